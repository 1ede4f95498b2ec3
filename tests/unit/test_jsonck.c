#include "lib/test.h"

#include <string.h>

#include "base/jsonck.h"

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

static void json_is_told_from_what_is_none(void **state)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!mu_json_ok(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (mu_json_ok(bad[i], strlen(bad[i])))
            fail_msg("taken: %s", bad[i]);
    assert_false(mu_json_ok("{}\0", 3));
}

static void json_has_a_bounded_depth(void **state)
{
    char text[2 * (MU_JSON_DEPTH + 1)];

    memset(text, '[', MU_JSON_DEPTH);
    memset(text + MU_JSON_DEPTH, ']', MU_JSON_DEPTH);
    assert_true(mu_json_ok(text, 2 * MU_JSON_DEPTH));
    memset(text, '[', MU_JSON_DEPTH + 1);
    memset(text + MU_JSON_DEPTH + 1, ']', MU_JSON_DEPTH + 1);
    assert_false(mu_json_ok(text, sizeof(text)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_told_from_what_is_none),
        cmocka_unit_test(json_has_a_bounded_depth),
    };
    return cmocka_run_group_tests_name("jsonck", tests, NULL, NULL);
}
