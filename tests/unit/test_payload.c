#include "conductor/payload.h"

#include <jansson.h>
#include <string.h>

#include "lib/faults.h"
#include "wire/msg.h"

#define DEPTH 2048

static const char *const good[] = {
    "{}",
    "[]",
    "0",
    "-0.5e+10",
    "\"\"",
    "true",
    "false",
    "null",
    " { \"a\" : [ 1 , 2 ] } \n",
    "\"\\u00e9\\n\\\"\"",
    "\"\\ud83d\\ude00\"",
    "[[[[]]]]",
    "{\"\":{}}",
    "1E5",
    "\"\xc3\xa9\"",
    "-123456789012345678901234567890",
    "\"\\u0000\"",
    "{\"a\":1,\"a\":2}",
    "-0",
};

static const char *const bad[] = {
    "",
    " ",
    "{",
    "}",
    "{\"a\"}",
    "{\"a\":}",
    "{a:1}",
    "[1,]",
    "[,1]",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "\"",
    "\"\n\"",
    "\"\\x\"",
    "\"\\u12g4\"",
    "tru",
    "nullx",
    "1 2",
    "{} {}",
    "'a'",
    "\"\\ud83d\"",
    "\"\\ude00\"",
    "NaN",
    "\"\xff\"",
    "{\"a\":1,}",
    "\"\\u12",
    "-",
    "[1 2]",
    "{\"a\" 1}",
    "\"\\ud83d\\u0041\"",
    "\"\\ud83d\\n\"",
    "-a",
    "1e999",
    "1e+",
    "[1}",
    "{\"a\":1]",
    "\v1",
    "\"\xed\xa0\x80\"",
    "\"\\[false",
};

/* Each byte of it matters, so that no part of it is JSON. */
static const char all[] = "{\"a\":[true,false,null,-1.5e+3,\"\\ud83d\\ude00\\n\xc3\xa9\"]}";

static void payload_is_told_from_what_is_none(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (mu_payload_check(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (mu_payload_check(bad[i], strlen(bad[i])) != MU_EINVAL)
            fail_msg("taken: %s", bad[i]);
    assert_int_equal(MU_EINVAL, mu_payload_check("{}\0", 3));
}

static void payload_is_bounded(void **state)
{
    char *text = test_malloc(MU_PAYLOAD_MAX + 1);

    (void)state;
    memset(text, ' ', MU_PAYLOAD_MAX + 1);
    text[0] = '1';
    assert_int_equal(0, mu_payload_check(text, MU_PAYLOAD_MAX));
    assert_int_equal(MU_EINVAL, mu_payload_check(text, MU_PAYLOAD_MAX + 1));
    memset(text, '[', DEPTH + 1);
    memset(text + DEPTH + 1, ']', DEPTH + 1);
    assert_int_equal(0, mu_payload_check(text + 1, (size_t)2 * DEPTH));
    assert_int_equal(MU_EINVAL, mu_payload_check(text, (size_t)2 * DEPTH + 2));
    test_free(text);
}

static void payload_cut_short_is_none(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(all) - 1; n++) {
        char *cut = test_malloc(n + 1); /* so that a sanitizer sees what is read beyond it */

        memcpy(cut + 1, all, n);
        if (mu_payload_check(cut + 1, n) != MU_EINVAL)
            fail_msg("taken: %.*s", (int)n, all);
        test_free(cut);
    }
    assert_int_equal(0, mu_payload_check(all, sizeof(all) - 1));
}

static void payload_is_not_blamed_for_memory(void **state)
{
    (void)state;
    FOR_EACH_FAULT (n) {
        int rv = mu_payload_check(all, sizeof(all) - 1);
        FAULT_CHECK(rv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload_is_told_from_what_is_none),
        cmocka_unit_test(payload_is_bounded),
        cmocka_unit_test(payload_cut_short_is_none),
        cmocka_unit_test(payload_is_not_blamed_for_memory),
    };

    json_set_alloc_funcs(mu_alloc, mu_free);
    return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
