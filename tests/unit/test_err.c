#include "base/err.h"

#include <string.h>

#include "base/name.h"
#include "base/utf8.h"
#include "lib/test.h"

static void err_set_stores_code_and_text(void **state)
{
    struct mu_err err = {0};

    assert_int_equal(mu_err_set(&err, MU_EIO, "disk %d", 7), MU_EIO);
    assert_int_equal(err.code, MU_EIO);
    assert_string_equal(err.text, "disk 7");
}

static void err_accepts_that_nobody_reads(void **state)
{
    assert_int_equal(mu_err_set(NULL, MU_EIO, "x"), MU_EIO);
    assert_int_equal(mu_err_wrap(NULL, MU_EIO, "x"), MU_EIO);
}

static void err_wrap_puts_words_in_front(void **state)
{
    struct mu_err err = {0};

    mu_err_set(&err, MU_ENOENT, "no file");
    assert_int_equal(mu_err_wrap(&err, MU_EIO, "store %s", "a.db"), MU_EIO);
    assert_int_equal(err.code, MU_EIO);
    assert_string_equal(err.text, "store a.db: no file");
}

static void err_wrap_of_nothing_tells_the_code(void **state)
{
    struct mu_err err = {0};

    mu_err_wrap(&err, MU_EBUSY, "agent a@b");
    assert_string_equal(err.text, "agent a@b: another write is pending");
}

static void err_may_use_its_own_text(void **state)
{
    struct mu_err err = {0};

    mu_err_set(&err, MU_EIO, "inner");
    mu_err_set(&err, MU_EIO, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
    mu_err_wrap(&err, MU_EIO, "again <%s>", err.text);
    assert_string_equal(err.text, "again <outer (inner)>: outer (inner)");
}

/* The cut must hit each of the bytes of a three-byte character once. */
static void err_is_cut_at_a_characters_end(void **state)
{
    char text[2 * MU_ERR_TEXT_MAX] = "";
    struct mu_err err = {0};

    for (int shift = 0; shift < 3; shift++) {
        memset(text, 'x', (size_t)shift);
        text[shift] = '\0';
        while (strlen(text) < MU_ERR_TEXT_MAX + 16)
            strcat(text, "\xE2\x82\xAC");
        mu_err_set(&err, MU_EIO, "%s", text);
        assert_in_range(strlen(err.text), MU_ERR_TEXT_MAX - 3, MU_ERR_TEXT_MAX - 1);
        assert_true(mu_utf8_valid(err.text, strlen(err.text)));
        mu_err_wrap(&err, MU_EIO, "%s", text);
        assert_true(mu_utf8_valid(err.text, strlen(err.text)));
    }
}

static void err_quotes_rubbish_as_one_line(void **state)
{
    struct mu_err err = {0};

    mu_err_set(&err, MU_EINVAL, "not '%s'", "a\n\x1b[2J\xff\xe2\x82 \xe2\x80\xae\xc3\xa9");
    assert_string_equal(err.text, "not 'a??[2J??? ???\xc3\xa9'");
    mu_err_wrap(&err, MU_EINVAL, "%s", "\t");
    assert_string_equal(err.text, "?: not 'a??[2J??? ???\xc3\xa9'");
}

static void strerror_has_a_text_for_each_error(void **state)
{
#define CHECK(name, value, text) assert_string_equal(muster_strerror(value), text);
    MUSTER_ERRORS(CHECK)
#undef CHECK
    assert_string_equal(muster_strerror(0), "no error");
    assert_string_equal(muster_strerror(-1000), "unknown error");
    assert_string_equal(muster_strerror(1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_set_stores_code_and_text),
        cmocka_unit_test(err_accepts_that_nobody_reads),
        cmocka_unit_test(err_wrap_puts_words_in_front),
        cmocka_unit_test(err_wrap_of_nothing_tells_the_code),
        cmocka_unit_test(err_may_use_its_own_text),
        cmocka_unit_test(err_is_cut_at_a_characters_end),
        cmocka_unit_test(err_quotes_rubbish_as_one_line),
        cmocka_unit_test(strerror_has_a_text_for_each_error),
    };

    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
