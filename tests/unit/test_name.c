#include "base/name.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "lib/test.h"

static int check(const char *part, int is_binary, struct mu_err *err)
{
    return mu_name_check(part, strlen(part), is_binary, err);
}

static void name_allows_what_people_use(void **state)
{
    static const char *const parts[] = {
        "nova-compute",
        "Open vSwitch agent",
        "cmp-017.example.org",
        "DHCP agent",
        "a",
        "\xC3\xB6st",
        "\xE6\x9C\xBA\xE5\x99\xA8",
        "\xF0\x9F\x90\x8B",
        "a:b=c,d;e%2F\"'\\",
        "10.0.0.1",
        "::1",
        " lead",
        "\xC2\xA0",
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(parts); i++) {
        assert_int_equal(check(parts[i], 0, NULL), 0);
        assert_int_equal(check(parts[i], 1, NULL), 0);
    }
}

/* Each is one character or fragment that may stand in no name: alone, between letters, last. */
static const struct {
    const char *bytes, *told;
} forbidden[] = {
    {"\x01", "U+0001"},         {"\t", "U+0009"},
    {"\n", "U+000A"},           {"\r", "U+000D"},
    {"\x1B", "U+001B"},         {"\x1F", "U+001F"},
    {"\x7F", "U+007F"},         {"\xC2\x80", "U+0080"},
    {"\xC2\x9B", "U+009B"},     {"\xC2\x9F", "U+009F"},
    {"\xC2\xAD", "U+00AD"},     {"\xCD\x8F", "U+034F"},
    {"\xD8\x9C", "U+061C"},     {"\xE1\xA0\x8E", "U+180E"},
    {"\xE2\x80\x8B", "U+200B"}, {"\xE2\x80\x8C", "U+200C"},
    {"\xE2\x80\x8D", "U+200D"}, {"\xE2\x80\x8E", "U+200E"},
    {"\xE2\x80\x8F", "U+200F"}, {"\xE2\x80\xA8", "U+2028"},
    {"\xE2\x80\xA9", "U+2029"}, {"\xE2\x80\xAA", "U+202A"},
    {"\xE2\x80\xAB", "U+202B"}, {"\xE2\x80\xAC", "U+202C"},
    {"\xE2\x80\xAD", "U+202D"}, {"\xE2\x80\xAE", "U+202E"},
    {"\xE2\x81\xA0", "U+2060"}, {"\xE2\x81\xA1", "U+2061"},
    {"\xE2\x81\xA6", "U+2066"}, {"\xE2\x81\xA7", "U+2067"},
    {"\xE2\x81\xA8", "U+2068"}, {"\xE2\x81\xA9", "U+2069"},
    {"\xEF\xBB\xBF", "U+FEFF"}, {"\xF3\xA0\x81\xA1", "U+E0061"},
};

/* What is no UTF-8 at all. */
static const char *const broken[] = {
    "\x80", /* continuation without a start */
    "\xBF",
    "\xC3", /* cut */
    "\xE2\x82",
    "\xF0\x9F\x90",
    "\xC0\x80", /* overlong NUL */
    "\xC0\xAF", /* overlong '/' */
    "\xC1\xBF",
    "\xE0\x80\xAF",
    "\xE0\x9F\xBF",
    "\xF0\x80\x80\xAF",
    "\xF0\x8F\xBF\xBF",
    "\xED\xA0\x80", /* surrogates */
    "\xED\xBF\xBF",
    "\xED\xA0\x80\xED\xB0\x80",
    "\xF4\x90\x80\x80", /* above U+10FFFF */
    "\xF5\x80\x80\x80",
    "\xF8\x88\x80\x80\x80",
    "\xFE",
    "\xFF",
};

/* @bytes alone, between letters and last are refused, as a name's part and as a text. */
static void refused_everywhere(const char *bytes, const char *told)
{
    static const char *const shapes[][2] = {{"", ""}, {"ab", "cd"}, {"ab", ""}};

    for (size_t i = 0; i < MU_ARRAY_LEN(shapes); i++) {
        char part[32];
        struct mu_err err = {0};
        snprintf(part, sizeof(part), "%s%s%s", shapes[i][0], bytes, shapes[i][1]);
        assert_int_equal(check(part, 0, &err), MU_EINVAL);
        assert_non_null(strstr(err.text, told));
        assert_int_equal(check(part, 1, &err), MU_EINVAL);
        assert_int_equal(mu_text_check(part, strlen(part), 100, "zone", &err), MU_EINVAL);
        assert_int_equal(strncmp(err.text, "zone \"", 6), 0);
        assert_true(mu_utf8_valid(err.text, strlen(err.text)));
        for (const char *p = err.text; *p; p++) /* shown as an escape, never as it is */
            assert_in_range(*p, ' ', '~');
    }
}

static void name_refuses_invisible_characters(void **state)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(forbidden); i++)
        refused_everywhere(forbidden[i].bytes, forbidden[i].told);
}

static void name_refuses_what_is_no_utf8(void **state)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(broken); i++) {
        refused_everywhere(broken[i], "not valid UTF-8");
        assert_false(mu_utf8_valid(broken[i], strlen(broken[i])));
    }
}

static void name_refuses_nul_slash_and_at(void **state)
{
    struct mu_err err;

    assert_int_equal(mu_name_check("a\0b", 3, 0, &err), MU_EINVAL);
    assert_non_null(strstr(err.text, "U+0000"));
    assert_int_equal(check("a/b", 0, &err), MU_EINVAL);
    assert_string_equal(err.text, "host \"a/b\": '/' is not allowed");
    assert_int_equal(check("/", 1, &err), MU_EINVAL);
    assert_int_equal(check("a@b", 1, &err), MU_EINVAL);
    assert_string_equal(err.text, "binary \"a@b\": '@' is not allowed");
    assert_int_equal(check("a@b", 0, &err), 0);
}

static void name_part_has_1_to_255_bytes(void **state)
{
    char part[257];

    memset(part, 'x', sizeof(part));
    assert_int_equal(mu_name_check(part, 0, 0, NULL), MU_EINVAL);
    assert_int_equal(mu_name_check(part, 1, 0, NULL), 0);
    assert_int_equal(mu_name_check(part, 255, 0, NULL), 0);
    assert_int_equal(mu_name_check(part, 256, 0, NULL), MU_EINVAL);
    assert_int_equal(mu_name_check(part, 256, 1, NULL), MU_EINVAL);
}

static void text_may_be_empty_and_has_its_bound(void **state)
{
    struct mu_err err;

    assert_int_equal(mu_text_check("", 0, 10, "reason", &err), 0);
    assert_int_equal(mu_text_check("a/b@c d", 7, 7, "reason", &err), 0);
    assert_int_equal(mu_text_check("12345678901", 11, 10, "reason", &err), MU_EINVAL);
    assert_string_equal(err.text, "reason \"12345678901\": 11 bytes; at most 10 are allowed");
}

static void name_parse_splits_at_the_first_at(void **state)
{
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];

    assert_int_equal(mu_name_parse("nova-compute@cmp@17", binary, host, NULL), 0);
    assert_string_equal(binary, "nova-compute");
    assert_string_equal(host, "cmp@17");
}

static void name_parse_refuses_halves(void **state)
{
    static const char *const wrong[] = {"", "a", "@", "a@", "@b", "a/@b", "a@b/", "a\n@b", "a@b\n"};
    char binary[MU_NAME_PART_MAX + 1] = "kept", host[MU_NAME_PART_MAX + 1] = "kept";

    for (size_t i = 0; i < MU_ARRAY_LEN(wrong); i++) {
        assert_int_equal(mu_name_parse(wrong[i], binary, host, NULL), MU_EINVAL);
        assert_string_equal(binary, "kept");
        assert_string_equal(host, "kept");
    }
}

static void name_parse_has_room_for_the_longest(void **state)
{
    char text[2 * MU_NAME_PART_MAX + 3], binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];

    memset(text, 'x', sizeof(text));
    text[MU_NAME_PART_MAX] = '@';
    text[MU_NAME_TEXT - 1] = '\0';
    assert_int_equal(mu_name_parse(text, binary, host, NULL), 0);
    assert_int_equal(strlen(binary), MU_NAME_PART_MAX);
    assert_int_equal(strlen(host), MU_NAME_PART_MAX);
    text[MU_NAME_TEXT - 1] = 'x';
    text[MU_NAME_TEXT] = '\0';
    assert_int_equal(mu_name_parse(text, binary, host, NULL), MU_EINVAL);
}

static void name_error_cuts_a_long_value(void **state)
{
    char part[300];
    struct mu_err err;

    memset(part, '\x01', sizeof(part));
    mu_name_check(part, sizeof(part), 0, &err);
    assert_non_null(strstr(err.text, "...\": 300 bytes; at most 255"));
    assert_true(strlen(err.text) < 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_allows_what_people_use),
        cmocka_unit_test(name_refuses_invisible_characters),
        cmocka_unit_test(name_refuses_what_is_no_utf8),
        cmocka_unit_test(name_refuses_nul_slash_and_at),
        cmocka_unit_test(name_part_has_1_to_255_bytes),
        cmocka_unit_test(text_may_be_empty_and_has_its_bound),
        cmocka_unit_test(name_parse_splits_at_the_first_at),
        cmocka_unit_test(name_parse_refuses_halves),
        cmocka_unit_test(name_parse_has_room_for_the_longest),
        cmocka_unit_test(name_error_cuts_a_long_value),
    };

    return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
