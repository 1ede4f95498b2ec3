#include "http/url.h"
#include "lib/test.h"

#include <string.h>

static void parts_are_decoded_once(void **state)
{
    struct mu_url url;

    (void)state;
    assert_int_equal(mu_url_parse(&url, "/a/b%20c%2525/%C3%A9+?x=1%262&y&z=a+b%2F", NULL), 0);
    assert_int_equal(url.nsegments, 3);
    assert_string_equal(url.segment[0], "a");
    assert_string_equal(url.segment[1], "b c%25");
    assert_string_equal(url.segment[2], "\xc3\xa9+");
    assert_int_equal(url.nparams, 3);
    assert_string_equal(mu_url_param(&url, "x"), "1&2");
    assert_string_equal(mu_url_param(&url, "y"), "");
    assert_string_equal(mu_url_param(&url, "z"), "a b/");
    assert_null(mu_url_param(&url, "w"));
}

static void empty_parts_stay(void **state)
{
    struct mu_url url;

    (void)state;
    assert_int_equal(mu_url_parse(&url, "//a/?&&x=&", NULL), 0);
    assert_int_equal(url.nsegments, 3);
    assert_string_equal(url.segment[0], "");
    assert_string_equal(url.segment[2], "");
    assert_int_equal(url.nparams, 1);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *raw;
        int rv;
        const char *says;
    } cases[] = {
        {"", MU_EINVAL, "does not begin with a slash"},
        {"a", MU_EINVAL, "does not begin with a slash"},
        {"?x", MU_EINVAL, "does not begin with a slash"},
        {"/a/%2f", MU_EINVAL, "segment 2, \"%2f\", contains %2F"},
        {"/a/%00", MU_EINVAL, "contains %00"},
        {"/%", MU_EINVAL, "two hexadecimal digits"},
        {"/%4", MU_EINVAL, "two hexadecimal digits"},
        {"/%4g", MU_EINVAL, "two hexadecimal digits"},
        {"/%%41", MU_EINVAL, "two hexadecimal digits"},
        {"/a b", MU_EINVAL, "must be percent-encoded"},
        {"/a#b", MU_EINVAL, "must be percent-encoded"},
        {"/\x7f", MU_EINVAL, "must be percent-encoded"},
        {"/%ff", MU_EINVAL, "is not UTF-8"},
        {"/%C0%AF", MU_EINVAL, "is not UTF-8"},
        {"/1/2/3/4/5/6/7/8/9", MU_EINVAL, "more than 8 segments"},
        {"/?x=%00", MU_ERANGE, "parameter \"x=%00\" contains %00"},
        {"/?x=%f", MU_ERANGE, "two hexadecimal digits"},
        {"/?%ff=1", MU_ERANGE, "is not UTF-8"},
        {"/?a=1&a=2", MU_ERANGE, "\"a\" is given twice"},
        {"/?a=1&%61=2", MU_ERANGE, "given twice"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mu_err err = {0};
        struct mu_url url;

        if (mu_url_parse(&url, cases[i].raw, &err) != cases[i].rv ||
            !strstr(err.text, cases[i].says))
            fail_msg("%s: %s", cases[i].raw, err.text);
    }
}

static void bounds_hold_at_their_edge(void **state)
{
    char raw[MU_URL_MAX + 2] = "/?";
    struct mu_err err = {0};
    struct mu_url url;

    (void)state;
    for (int i = 0; i < MU_URL_PARAMS; i++) { /* each with a NUL more than its bytes */
        raw[2 + 2 * i] = (char)('a' + i);
        raw[3 + 2 * i] = '&';
    }
    assert_int_equal(mu_url_parse(&url, raw, &err), 0);
    assert_int_equal(url.nparams, MU_URL_PARAMS);
    strcat(raw, "A");
    assert_int_equal(mu_url_parse(&url, raw, &err), MU_ERANGE);

    memset(raw, 'a', MU_URL_MAX);
    raw[0] = '/';
    raw[MU_URL_MAX] = '\0';
    assert_int_equal(mu_url_parse(&url, raw, &err), 0);
    assert_int_equal(strlen(url.segment[0]), MU_URL_MAX - 1);
    raw[MU_URL_MAX] = 'a';
    assert_int_equal(mu_url_parse(&url, raw, &err), MU_EFULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_decoded_once),
        cmocka_unit_test(empty_parts_stay),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(bounds_hold_at_their_edge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
