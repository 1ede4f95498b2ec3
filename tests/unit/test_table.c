/* Rows in every format, with the strings that break naive ones. */
#include "cli/table.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/filter.h"
#include "cli/options.h"
#include "cli/people.h"
#include "lib/faults.h"

static const struct mu_column columns[] = {
    {"host", "Host", 0, 6},
    {"state", "State", MU_COL_STATE, 8},
    {"seen_at", "Seen At", MU_COL_WIDE | MU_COL_TIME, 10},
    {"forced", "Forced", MU_COL_WIDE, 6},
    {"labels", "Labels", MU_COL_WIDE, 6},
    {"age_s", "Age", MU_COL_WIDE | MU_COL_RIGHT, 5},
    {"name", "Name", MU_COL_ASKED, 10},
    {NULL},
};
static const struct mu_example none[] = {{NULL, NULL}};
static const struct mu_command command = {
    .name = "test",
    .operands = "",
    .opts = MU_OPTS_COLOR | MU_OPTS_FORMAT | MU_OPTS_ROWS,
    .examples = none,
};

static const char rows[] =
    "[{\"binary\":\"b\",\"host\":\"h2\",\"state\":\"up\",\"seen_at\":\"2026-11-22T18:48:18.123Z\","
    "\"forced\":false,\"labels\":{\"r\":\"1\",\"s\":\"2\"},\"age_s\":3.204},"
    "{\"binary\":\"b\",\"host\":\"h10\",\"state\":\"down\",\"seen_at\":null,"
    "\"forced\":true,\"labels\":{},\"age_s\":null},"
    "{\"binary\":\"b "
    "c\",\"host\":\"h1\",\"state\":\"left\",\"seen_at\":\"1970-01-01T00:00:01.500Z\","
    "\"forced\":false,\"labels\":{\"r\":\"2\"},\"age_s\":10}]";

/* Prints @text's rows as `test @words`, limited to @limit. The caller frees what is returned. */
static char *print(const char *text, enum mu_shape shape, size_t limit, const char *const *words)
{
    const char *argv[16] = {"test"};
    char *out = NULL;
    struct mu_args args = {0};
    struct mu_table *table;
    int argc = 1;
    size_t size, i;
    json_t *all = json_loads(text, 0, NULL), *row;

    for (; words[argc - 1]; argc++)
        argv[argc] = words[argc - 1];
    assert_non_null(all);
    assert_int_equal(mu_args_read(&args, &command, argc, (char **)argv, NULL), 0);
    FILE *to = open_memstream(&out, &size);
    assert_int_equal(mu_table_open(&table, &args, columns, shape, to), MU_EXIT_OK);
    json_array_foreach(all, i, row) assert_int_equal(mu_table_add(table, row), 0);
    assert_int_equal(mu_table_end(table, limit), 0);
    mu_table_free(table);
    fclose(to);
    mu_args_fini(&args);
    json_decref(all);
    return out;
}

#define PRINTS(text, shape, limit, expected, ...)                                                  \
    do {                                                                                           \
        char *out_ = print((text), (shape), (limit), (const char *[]){__VA_ARGS__, NULL});         \
        assert_string_equal(out_, (expected));                                                     \
        free(out_);                                                                                \
    } while (0)
#define ALL SIZE_MAX

static void each_format_prints_its_columns(void **state)
{
    PRINTS(rows, MU_SHAPE_LIST, ALL, "h2 up\nh10 down\nh1 left\n", "-f", "value");
    PRINTS(rows, MU_SHAPE_LIST, ALL, "b@h2\nb@h10\nb c@h1\n", "-q");
    PRINTS(rows, MU_SHAPE_LIST, ALL, "host,state\r\nh2,up\r\nh10,down\r\nh1,left\r\n", "-f", "csv");
    PRINTS(rows, MU_SHAPE_LIST, ALL, "Host  State\nh2    + up\nh10   ! down\nh1    - left\n", "-f",
           "table");
    PRINTS(rows, MU_SHAPE_LIST, ALL, "h2    + up\nh10   ! down\nh1    - left\n", "--no-header");
    PRINTS(rows, MU_SHAPE_LIST, ALL,
           "[\n  {\"name\": \"b@h2\"},\n  {\"name\": \"b@h10\"},\n  {\"name\": \"b c@h1\"}\n]\n",
           "-f", "json", "-c", "name");
    PRINTS(
        rows, MU_SHAPE_LIST, ALL,
        "- host: h2\n  forced: false\n- host: h10\n  forced: true\n- host: h1\n  forced: false\n",
        "-o", "yaml", "-c", "host,Forced");
}

static void wide_shows_spans_and_pairs(void **state)
{
    PRINTS(rows, MU_SHAPE_LIST, ALL,
           "Host  State   Seen At                   Forced  Labels     Age\n"
           "h2    + up    2026-11-22T18:48:18.123Z  no      r=1 s=2  3.2 s\n"
           "h10   ! down  -                         yes     -            -\n"
           "h1    - left  1970-01-01T00:00:01.500Z  no      r=2       10 s\n",
           "-f", "wide", "--utc");
}

static void nothing_is_a_whole_answer(void **state)
{
    PRINTS("[]", MU_SHAPE_LIST, ALL, "[]\n", "-f", "json");
    PRINTS("[]", MU_SHAPE_LIST, ALL, "[]\n", "-f", "yaml");
    PRINTS("[]", MU_SHAPE_LIST, ALL, "host,state\r\n", "-f", "csv");
    PRINTS("[]", MU_SHAPE_LIST, ALL, "", "-f", "value");
    PRINTS("[]", MU_SHAPE_STREAM, ALL, "", "-f", "json");
}

static void one_thing_has_a_line_a_field(void **state)
{
    static const char one[] = "[{\"host\":\"h\",\"state\":null,\"forced\":true}]";

    PRINTS(one, MU_SHAPE_ONE, ALL, "h\nNone\nTrue\n", "-f", "value", "-c", "host", "-c", "state",
           "-c", "forced");
    PRINTS(one, MU_SHAPE_ONE, ALL, "{\n  \"host\": \"h\"\n}\n", "-f", "json", "-c", "host");
    PRINTS(one, MU_SHAPE_ONE, ALL, "Field   Value\nHost    h\nForced  yes\n", "-c", "host,forced");
}

static void a_stream_is_a_line_a_row(void **state)
{
    PRINTS(rows, MU_SHAPE_STREAM, ALL,
           "{\"host\":\"h2\",\"age_s\":3.204}\n{\"host\":\"h10\",\"age_s\":null}\n"
           "{\"host\":\"h1\",\"age_s\":10}\n",
           "-f", "json", "-c", "host,age_s");
    PRINTS(rows, MU_SHAPE_STREAM, ALL, "---\nhost: h2\n---\nhost: h10\n---\nhost: h1\n", "-f",
           "yaml", "-c", "host");
    PRINTS(rows, MU_SHAPE_STREAM, ALL,
           "Host    State\nh2      + up\nh10     ! down\nh1      - left\n", "-f", "table");
}

static void sorting_knows_numbers_and_puts_nothing_last(void **state)
{
    PRINTS(rows, MU_SHAPE_LIST, ALL, "h2\nh1\nh10\n", "-f", "value", "-c", "host", "--sort-column",
           "age_s");
    PRINTS(rows, MU_SHAPE_LIST, ALL, "h1\nh2\nh10\n", "-f", "value", "-c", "host", "--sort-column",
           "age_s", "--sort-descending");
    PRINTS(rows, MU_SHAPE_LIST, 1, "h1\n", "-f", "value", "-c", "host", "--sort-column", "host");
    PRINTS(rows, MU_SHAPE_LIST, ALL, "h1\nh2\nh10\n", "-f", "value", "-c", "host", "--sort-column",
           "forced,state,host", "--sort-ascending");
}

static void epoch_makes_times_numbers_everywhere(void **state)
{
    PRINTS(rows, MU_SHAPE_LIST, ALL, "1795373298.123\nNone\n1.5\n", "-f", "value", "-c", "seen_at",
           "--epoch");
    PRINTS(rows, MU_SHAPE_LIST, 1, "Seen At\n1795373298.123\n", "-c", "seen_at", "--epoch");
}

/* A name may be anything in UTF-8 but control characters; what is read from elsewhere may be worse.
 */
static const struct {
    const char *json, *value, *csv, *table, *yaml;
} nasty[] = {
    {"a,b", "a,b", "\"a,b\"", "a,b", "a,b"},
    {"say \\\"x\\\"", "say \"x\"", "\"say \"\"x\"\"\"", "say \"x\"", "say \"x\""},
    {"two\\nlines", "two\\x0alines", "\"two\nlines\"", "two\\x0alines", "\"two\\nlines\""},
    {"cr\\rx", "cr\\x0dx", "\"cr\rx\"", "cr\\x0dx", "\"cr\\rx\""},
    {"\\u001b[31mred", "\\x1b[31mred", "\033[31mred", "\\x1b[31mred", "\"\\e[31mred\""},
    {"\\u009b31m", "\\x9b31m", "\302\23331m", "\\x9b31m", "\"\\x9B31m\""},
    {"日本", "日本", "日本", "日本", "\"日本\""},
    {"", "", "", "-", "\"\""},
    {"yes", "yes", "yes", "yes", "\"yes\""},
    {"Null", "Null", "Null", "Null", "\"Null\""},
    {"12", "12", "12", "12", "\"12\""},
    {"~", "~", "~", "~", "\"~\""},
    {"-x", "-x", "-x", "-x", "\"-x\""},
    {"a: b", "a: b", "a: b", "a: b", "'a: b'"},
    {"a #b", "a #b", "a #b", "a #b", "'a #b'"},
    {" a ", " a ", " a ", " a ", "\" a \""},
    {"%s%n", "%s%n", "%s%n", "%s%n", "\"%s%n\""},
    {"back\\\\slash", "back\\slash", "back\\slash", "back\\slash", "back\\slash"},
};

static void expect(const char *json, const char *before, const char *text, const char *after,
                   const char *format)
{
    char row[256], expected[256];

    snprintf(row, sizeof(row), "[{\"host\":\"%s\"}]", json);
    snprintf(expected, sizeof(expected), "%s%s%s", before, text, after);
    PRINTS(row, MU_SHAPE_STREAM, ALL, expected, "-f", format, "-c", "host", "--no-header");
}

static void nasty_strings_break_no_format(void **state)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(nasty); i++) {
        expect(nasty[i].json, "", nasty[i].value, "\n", "value");
        expect(nasty[i].json, "", nasty[i].csv, "\r\n", "csv");
        expect(nasty[i].json, "", nasty[i].table, "\n", "table");
        expect(nasty[i].json, "---\nhost: ", nasty[i].yaml, "\n", "yaml");
    }
}

static void wide_characters_keep_columns_straight(void **state)
{
    static const char wide[] = "[{\"host\":\"日本\",\"state\":\"up\"},{\"host\":\"e\\u0301\","
                               "\"state\":\"down\"}]";

    PRINTS(wide, MU_SHAPE_LIST, ALL, "日本  + up\ne\u0301     ! down\n", "--no-header");
    PRINTS(wide, MU_SHAPE_STREAM, ALL, "日本    + up\ne\u0301       ! down\n", "--no-header");
}

static void colour_comes_with_the_word_and_the_sign(void **state)
{
    PRINTS(rows, MU_SHAPE_STREAM, ALL,
           "\033[32m+ up\033[0m\n\033[1;31m! down\033[0m\n\033[2m- left\033[0m\n", "-c", "state",
           "--no-header", "--color", "always");
    char *out = print(rows, MU_SHAPE_LIST, ALL,
                      (const char *[]){"-c", "state", "--no-header", "--color", "always", NULL});
    assert_non_null(strstr(out, "\033[32m+ up"));
    assert_non_null(strstr(out, "\033[1;31m! down"));
    free(out);
}

static bool wants(const char *filter)
{
    const char *argv[] = {"test", "--filter", filter, NULL};
    struct mu_args args = {0};
    struct mu_filters filters;
    json_t *row = json_loads("{\"host\":\"cmp-1\",\"state\":\"down\",\"forced\":true,"
                             "\"labels\":{\"rack\":\"r*1\"},\"age_s\":10,\"seen_at\":null}",
                             0, NULL);

    assert_int_equal(mu_args_read(&args, &command, 3, (char **)argv, NULL), 0);
    assert_int_equal(mu_filters_read(&filters, &args, columns), MU_EXIT_OK);
    bool yes = mu_filters_want(&filters, row);
    mu_filters_fini(&filters);
    mu_args_fini(&args);
    json_decref(row);
    return yes;
}

static void filters_match_words_patterns_and_labels(void **state)
{
    assert_true(wants("host=cmp-1"));
    assert_false(wants("host=cmp"));
    assert_true(wants("host=cmp-*"));
    assert_true(wants("Host=c?p-[0-9]"));
    assert_true(wants("state=up,down"));
    assert_true(wants("state=d*,up"));
    assert_false(wants("state=up,left"));
    assert_true(wants("label.rack=r\\*1"));
    assert_false(wants("label.rack=r\\*2"));
    assert_true(wants("label.none="));
    assert_true(wants("seen_at="));
    assert_true(wants("forced=true"));
    assert_true(wants("age_s=10"));
}

static void spans_and_times_read_naturally(void **state)
{
    char out[MU_PEOPLE_TIME];

    assert_string_equal(mu_people_span(-1, out), "0.0 s");
    assert_string_equal(mu_people_span(0.25, out), "250 ms");
    assert_string_equal(mu_people_span(0.9996, out), "1.0 s");
    assert_string_equal(mu_people_span(3.24, out), "3.2 s");
    assert_string_equal(mu_people_span(45.9, out), "45 s");
    assert_string_equal(mu_people_span(310, out), "5 min 10 s");
    assert_string_equal(mu_people_span(12000, out), "3 h 20 min");
    assert_string_equal(mu_people_span(86400 * 12 + 3600 * 4, out), "12 d 4 h");
    assert_string_equal(mu_people_time("1970-01-01T00:00:01Z", MU_TIMES_AGO, 13000, out),
                        "12 s ago");
    assert_string_equal(mu_people_time("1970-01-01T00:00:01Z", MU_TIMES_AGO, 500, out), "now");
    assert_string_equal(mu_people_time("1970-01-01T00:00:30Z", MU_TIMES_AGO, 500, out), "in 29 s");
    assert_string_equal(mu_people_time("rubbish", MU_TIMES_AGO, 500, out), "rubbish");
}

static void opening_survives_any_fault(void **state)
{
    const char *argv[] = {"test",       "-c",       "host,label.x", "--sort-column",
                          "age_s,host", "--filter", "state=up",     NULL};

    FOR_EACH_FAULT (n) {
        struct mu_args args = {0};
        struct mu_table *table = NULL;
        struct mu_filters filters = {0};
        int code = MU_EXIT_FAILED;
        if (mu_args_read(&args, &command, 7, (char **)argv, NULL) == 0)
            code = mu_table_open(&table, &args, columns, MU_SHAPE_LIST, stdout);
        if (code == MU_EXIT_OK)
            code = mu_filters_read(&filters, &args, columns);
        assert_true(code == MU_EXIT_OK || mu_mem_fault_fired());
        assert_true(code == MU_EXIT_OK || code == MU_EXIT_FAILED);
        mu_filters_fini(&filters);
        mu_table_free(table);
        mu_args_fini(&args);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_prints_its_columns),
        cmocka_unit_test(wide_shows_spans_and_pairs),
        cmocka_unit_test(nothing_is_a_whole_answer),
        cmocka_unit_test(one_thing_has_a_line_a_field),
        cmocka_unit_test(a_stream_is_a_line_a_row),
        cmocka_unit_test(sorting_knows_numbers_and_puts_nothing_last),
        cmocka_unit_test(epoch_makes_times_numbers_everywhere),
        cmocka_unit_test(nasty_strings_break_no_format),
        cmocka_unit_test(wide_characters_keep_columns_straight),
        cmocka_unit_test(colour_comes_with_the_word_and_the_sign),
        cmocka_unit_test(filters_match_words_patterns_and_labels),
        cmocka_unit_test(spans_and_times_read_naturally),
        cmocka_unit_test(opening_survives_any_fault),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    unsetenv("COLUMNS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
