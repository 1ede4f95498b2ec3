#include "http/body.h"
#include "http/guard.h"
#include "lib/test.h"

#include <string.h>

static void host_is_loopback_or_ours(void **state)
{
    static const char *const good[] = {
        "localhost", "LOCALHOST:1", "localhost.",  "127.0.0.1:4681", "127.8.9.1",
        "[::1]",     "[0:0::1]:80", "10.0.0.5:99", "cmp.example",    "Other.Example:7"};
    static const char *const bad[] = {"",
                                      ":80",
                                      "10.0.0.6",
                                      "[::2]",
                                      "[::1",
                                      "[::1]x",
                                      "localhost.example",
                                      "example",
                                      "cmp.example.com",
                                      "128.0.0.1",
                                      "127.0.0.1.evil.example",
                                      "0.0.0.0",
                                      "2130706433"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!mu_guard_host(good[i], "10.0.0.5", "cmp.example, other.example"))
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (mu_guard_host(bad[i], "10.0.0.5", "cmp.example, other.example"))
            fail_msg("%s is allowed", bad[i]);
    assert_true(mu_guard_host("[fd00::5]", "fd00:0::5", NULL));
    assert_false(mu_guard_host("fd00", "", NULL));
}

static void origin_is_the_host_itself(void **state)
{
    (void)state;
    assert_true(mu_guard_origin("http://localhost:4681", "localhost:4681"));
    assert_true(mu_guard_origin("HTTPS://Localhost", "localhost"));
    assert_false(mu_guard_origin("http://localhost:4682", "localhost:4681"));
    assert_false(mu_guard_origin("http://localhost", "localhost:4681"));
    assert_false(mu_guard_origin("null", "null"));
    assert_false(mu_guard_origin("file://localhost", "localhost"));
    assert_false(mu_guard_origin("", ""));
}

static void accept_is_read_by_its_ranges(void **state)
{
    static const char type[] = "application/json";

    (void)state;
    assert_true(mu_guard_accepts(NULL, type));
    assert_true(mu_guard_accepts(" ", type));
    assert_true(mu_guard_accepts("*/*", type));
    assert_true(mu_guard_accepts("text/html, application/*;q=0.1", type));
    assert_true(mu_guard_accepts("text/html;level=1,Application/JSON", type));
    assert_false(mu_guard_accepts("text/html", type));
    assert_false(mu_guard_accepts("application/json;q=0", type));
    assert_false(mu_guard_accepts("application/json ; q=0.000", type));
    assert_false(mu_guard_accepts("application/jsonx, app/*", type));
    assert_false(mu_guard_accepts(",;,", type));
}

static void content_type_ignores_parameters(void **state)
{
    (void)state;
    assert_true(mu_guard_is_type("application/json", "application/json"));
    assert_true(mu_guard_is_type("Application/JSON; charset=utf-8", "application/json"));
    assert_false(mu_guard_is_type("application/jsonp", "application/json"));
    assert_false(mu_guard_is_type("text/plain", "application/json"));
    assert_false(mu_guard_is_type(NULL, "application/json"));
}

static void names_may_have_a_beginning(void **state)
{
    (void)state;
    assert_true(mu_names_have("a,label.*,b", "b"));
    assert_true(mu_names_have("a,label.*,b", "label.x"));
    assert_false(mu_names_have("a,label.*,b", "label."));
    assert_false(mu_names_have("a,label.*,b", "x"));
    assert_false(mu_names_have("abc", "ab"));
    assert_false(mu_names_have("", "a"));
}

static void body_is_an_object_with_known_keys(void **state)
{
    static const struct {
        const char *text, *says; /* NULL = is fine */
    } cases[] = {
        {"{}", NULL},
        {" {\"a\":[1,2,{\"x\":\"[[[[[[[[[[[[[[[[\"}]}", NULL},
        {"", "empty"},
        {"{", "not JSON"},
        {"{} x", "not JSON"},
        {"{\"a\":1,\"a\":2}", "duplicate"},
        {"{\"a\":\"\\u0000\"}", "not JSON"},
        {"{\"c\":1}", "unknown key \"c\"; known are: a,b"},
        {"7", "not JSON"},
        {"[]", "not a JSON object"},
        {"{\"a\":[[[[[[[[]]]]]]]]}", "deeper than 8"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mu_err err = {0};
        json_t *body = NULL;
        int rv = mu_body_parse(cases[i].text, strlen(cases[i].text), "a,b", &body, &err);

        if (cases[i].says ? rv != MU_EINVAL || !strstr(err.text, cases[i].says) : rv != 0)
            fail_msg("%s: %s", cases[i].text, err.text);
        json_decref(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_is_loopback_or_ours),
        cmocka_unit_test(origin_is_the_host_itself),
        cmocka_unit_test(accept_is_read_by_its_ranges),
        cmocka_unit_test(content_type_ignores_parameters),
        cmocka_unit_test(names_may_have_a_beginning),
        cmocka_unit_test(body_is_an_object_with_known_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
