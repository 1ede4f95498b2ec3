#include "base/utf8.h"
#include "lib/test.h"

/* Every character is one that decodes to itself, or a surrogate. */
static void utf8_reads_every_character(void **state)
{
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        char p[4];
        uint32_t got = 0;
        size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
        for (size_t i = n - 1; i > 0; i--)
            p[i] = (char)(0x80 | (cp >> (6 * (n - 1 - i)) & 0x3F));
        p[0] = (char)(n == 1 ? cp : (0xF00U >> n & 0xFF) | cp >> (6 * (n - 1)));
        if (cp >= 0xD800 && cp <= 0xDFFF) {
            assert_int_equal(mu_utf8_next(p, n, &got), 0);
            continue;
        }
        assert_int_equal(mu_utf8_next(p, n, &got), n);
        assert_int_equal(got, cp);
        assert_int_equal(mu_utf8_next(p, n - 1, &got), 0);
    }
}

static void utf8_is_valid_as_a_whole_or_not(void **state)
{
    (void)state;
    assert_true(mu_utf8_valid("", 0));
    assert_true(mu_utf8_valid("a\0\xc3\xa9", 4));
    assert_false(mu_utf8_valid("a\xc3", 2));
    assert_false(mu_utf8_valid("\xc0\xaf", 2));         /* overlong */
    assert_false(mu_utf8_valid("\xf4\x90\x80\x80", 4)); /* beyond U+10FFFF */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_reads_every_character),
        cmocka_unit_test(utf8_is_valid_as_a_whole_or_not),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
