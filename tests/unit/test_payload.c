#include "lib/test.h"

#include <string.h>

#include "conductor/payload.h"
#include "wire/msg.h"

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
};

static void payload_is_told_from_what_is_none(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!mu_payload_ok(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (mu_payload_ok(bad[i], strlen(bad[i])))
            fail_msg("taken: %s", bad[i]);
    assert_false(mu_payload_ok("{}\0", 3));
}

static void payload_is_bounded(void **state)
{
    char *text = test_malloc(MU_PAYLOAD_MAX + 1);

    (void)state;
    memset(text, ' ', MU_PAYLOAD_MAX + 1);
    text[0] = '1';
    assert_true(mu_payload_ok(text, MU_PAYLOAD_MAX));
    assert_false(mu_payload_ok(text, MU_PAYLOAD_MAX + 1));
    memset(text, '[', MU_PAYLOAD_MAX); /* deep, and never closed */
    assert_false(mu_payload_ok(text, MU_PAYLOAD_MAX));
    test_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payload_is_told_from_what_is_none),
        cmocka_unit_test(payload_is_bounded),
    };
    return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
