/* The tables of options: what is read, what is refused, and that every command's are whole. */
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lib/faults.h"

static const struct mu_option own[] = {
    {"name", 'n', "NAME", "Its name"},
    {"watch", 'w', NULL, "Go on"},
    {"warn", 0, NULL, "Warn"},
    {"timeout", 0, "TIME", "Its own"},
    {NULL},
};
static const struct mu_example none[] = {{NULL, NULL}};

static const struct mu_command command = {
    .name = "test",
    .summary = "test",
    .operands = "[FILE]",
    .max = 1,
    .opts = MU_OPTS_ASK | MU_OPTS_COLOR,
    .options = own,
    .examples = none,
};

struct fixture {
    struct mu_args args;
    struct mu_err err;
    char *argv[16];
    int argc;
};

static int setup(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    mu_args_fini(&f->args);
    free(f);
    return 0;
}

#define READ(f, ...) read_words((f), (const char *[]){"test", __VA_ARGS__, NULL})
static int read_words(struct fixture *f, const char *const *words)
{
    for (f->argc = 0; words[f->argc]; f->argc++)
        f->argv[f->argc] = (char *)words[f->argc];
    mu_args_fini(&f->args);
    return mu_args_read(&f->args, &command, f->argc, f->argv, &f->err);
}

static void options_may_stand_after_operands(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(READ(f, "file", "--name", "a", "-w"), 0);
    assert_string_equal(mu_args_value(&f->args, "name"), "a");
    assert_true(mu_args_has(&f->args, "watch"));
    assert_int_equal(mu_args_count(&f->args), 1);
    assert_string_equal(mu_args_operands(&f->args)[0], "file");
}

static void what_follows_two_dashes_is_no_option(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(READ(f, "--", "--name"), 0);
    assert_int_equal(mu_args_count(&f->args), 1);
    assert_string_equal(mu_args_operands(&f->args)[0], "--name");
    assert_null(mu_args_operands(&f->args)[1]);
}

static void the_last_value_wins_and_all_are_kept(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(READ(f, "-na", "--name=b", "-n", "c"), 0);
    assert_string_equal(mu_args_value(&f->args, "name"), "c");
    assert_string_equal(mu_args_nth(&f->args, "name", 0), "a");
    assert_string_equal(mu_args_nth(&f->args, "name", 1), "b");
    assert_null(mu_args_nth(&f->args, "name", 3));
    assert_null(mu_args_value(&f->args, "color"));
}

static void an_own_option_hides_a_shared_one(void **state)
{
    const struct mu_option *o;
    int seen = 0;

    for (size_t i = 0; (o = mu_option_at(&command, i)); i++)
        if (strcmp(o->name, "timeout") == 0) {
            assert_string_equal(o->help, "Its own");
            seen++;
        }
    assert_int_equal(seen, 1);
}

static void each_mistake_has_one_line(void **state)
{
    static const struct {
        const char *words[4], *line;
    } mistakes[] = {
        {{"test", "--nmae", "x"}, "unknown option --nmae: did you mean --name?"},
        {{"test", "--nmae=x"}, "unknown option --nmae: did you mean --name?"},
        {{"test", "--wa"}, "--wa may mean --watch, --warn"},
        {{"test", "--zebra"}, "unknown option --zebra: --help lists the options"},
        {{"test", "--watch=1"}, "--watch takes no value: write --watch alone"},
        {{"test", "--name"}, "--name wants a value: --name NAME"},
        {{"test", "-n"}, "--name wants a value: --name NAME"},
        {{"test", "-wx"}, "unknown option -x: --help lists the options"},
        {{"test", "--watch", "-\xff"}, "unknown option -\\xff: --help lists the options"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < MU_ARRAY_LEN(mistakes); i++) {
        assert_int_equal(read_words(f, mistakes[i].words), MU_EINVAL);
        assert_string_equal(f->err.text, mistakes[i].line);
    }
}

static void the_number_of_operands_is_checked(void **state)
{
    struct fixture *f = *state;
    struct mu_command two = command;

    assert_int_equal(READ(f, "a", "b"), 0);
    assert_int_equal(mu_args_check(&f->args, &f->err), MU_EINVAL);
    assert_string_equal(f->err.text, "too many operands, from \"b\" on: it takes [FILE]");
    two.min = 2;
    two.max = 2;
    two.operands = "A B";
    assert_int_equal(READ(f, "a"), 0);
    f->args.command = &two;
    assert_int_equal(mu_args_check(&f->args, &f->err), MU_EINVAL);
    assert_string_equal(f->err.text, "wants A B: muster test --help shows how");
    two.max = 0;
    assert_int_equal(mu_args_check(&f->args, &f->err), MU_EINVAL);
    assert_string_equal(f->err.text, "takes no operand, but there is \"a\"");
}

static void numbers_and_times_are_checked(void **state)
{
    static const char *const bad[] = {"",   "x", "1x", "0",  "11", "99999999999999999999",
                                      "-1", " ", " 5", "+1", "-0"};
    struct fixture *f = *state;
    mu_dur dur = 5;
    long n = 7;

    assert_int_equal(READ(f, "-w"), 0);
    assert_int_equal(mu_args_int(&f->args, "name", 1, 10, &n), MU_EXIT_OK);
    assert_int_equal(n, 7);
    assert_int_equal(mu_args_dur(&f->args, "timeout", &dur), MU_EXIT_OK);
    assert_int_equal(dur, 5);
    assert_int_equal(READ(f, "-n", "10", "--timeout", "1.5s"), 0);
    assert_int_equal(mu_args_int(&f->args, "name", 1, 10, &n), MU_EXIT_OK);
    assert_int_equal(n, 10);
    assert_int_equal(mu_args_dur(&f->args, "timeout", &dur), MU_EXIT_OK);
    assert_int_equal(dur, 1500 * MU_MS);
    for (size_t i = 0; i < MU_ARRAY_LEN(bad); i++) {
        assert_int_equal(READ(f, "-n", bad[i]), 0);
        assert_int_equal(mu_args_int(&f->args, "name", 1, 10, &n), MU_EXIT_USAGE);
        assert_int_equal(n, 10);
    }
}

static void reading_survives_any_fault(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_FAULT (n) {
        int rv = READ(f, "--name", "a", "file");
        FAULT_CHECK(rv);
    }
}

/* What a table of options may not be, for every command there is. */
static void every_table_is_whole(void **state)
{
    for (const struct mu_command *const *c = mu_commands; *c; c++) {
        const struct mu_option *o, *other;
        bool letters[256] = {false};
        assert_non_null((*c)->summary);
        assert_non_null((*c)->operands);
        assert_non_null((*c)->run);
        assert_non_null((*c)->examples);
        assert_non_null((*c)->examples[0].line);
        assert_ptr_equal(mu_command_find((*c)->name), *c);
        for (size_t i = 0; (o = mu_option_at(*c, i)); i++) {
            size_t end = strlen(o->help);
            assert_true(i < 48); /* the parser has room for 64 */
            assert_true(end > 0 && o->help[end - 1] != '.');
            assert_false(o->words && !o->value);
            assert_false(o->letter && letters[(unsigned char)o->letter]);
            letters[(unsigned char)o->letter] = true;
            for (size_t k = 0; k < i && (other = mu_option_at(*c, k)); k++)
                assert_string_not_equal(o->name, other->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(claim) cmocka_unit_test_setup_teardown(claim, setup, teardown)
        TEST(options_may_stand_after_operands),
        TEST(what_follows_two_dashes_is_no_option),
        TEST(the_last_value_wins_and_all_are_kept),
        TEST(an_own_option_hides_a_shared_one),
        TEST(each_mistake_has_one_line),
        TEST(the_number_of_operands_is_checked),
        TEST(numbers_and_times_are_checked),
        TEST(reading_survives_any_fault),
        TEST(every_table_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
