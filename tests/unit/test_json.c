#include "http/json.h"
#include "lib/faults.h"

#include <string.h>

#include <jansson.h>

struct fixture {
    struct mu_buf buf;
    struct mu_json json;
};

static int setup(void **state)
{
    static struct fixture f;

    mu_buf_init(&f.buf, 0);
    mu_json_init(&f.json, &f.buf);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    mu_buf_fini(&((struct fixture *)*state)->buf);
    return 0;
}

static void json_nests_and_separates(void **state)
{
    struct fixture *f = *state;
    struct mu_json *j = &f->json;

    mu_json_object(j, NULL);
    mu_json_array(j, "a");
    mu_json_uint(j, NULL, 0);
    mu_json_uint(j, NULL, UINT64_MAX);
    mu_json_object(j, NULL);
    mu_json_end(j);
    mu_json_end(j);
    mu_json_bool(j, "b", true);
    mu_json_null(j, "c");
    mu_json_raw(j, "d", "{\"x\":1}");
    mu_json_end(j);
    assert_string_equal(mu_buf_text(&f->buf), "{\"a\":[0,18446744073709551615,{}],\"b\":true,"
                                              "\"c\":null,\"d\":{\"x\":1}}");
}

static void json_times_have_three_decimals(void **state)
{
    struct fixture *f = *state;
    struct mu_json *j = &f->json;

    mu_json_array(j, NULL);
    mu_json_dur(j, NULL, 0);
    mu_json_dur(j, NULL, 1500 * MU_MS + 999999);
    mu_json_dur(j, NULL, -2050 * MU_MS);
    mu_json_dur(j, NULL, MU_NEVER);
    mu_json_wall(j, NULL, 1);
    mu_json_wall(j, NULL, 0);
    mu_json_end(j);
    assert_string_equal(mu_buf_text(&f->buf),
                        "[0.000,1.500,-2.050,null,\"1970-01-01T00:00:00.001Z\",null]");
}

static void json_text_is_escaped(void **state)
{
    struct fixture *f = *state;

    mu_json_text(&f->json, NULL, "a\"\\\n\t\r\x01\x7f\xc3\xa9\xf0\x9f\x90\x95");
    assert_string_equal(mu_buf_text(&f->buf),
                        "\"a\\\"\\\\\\n\\t\\r\\u0001\\u007f\xc3\xa9\xf0\x9f\x90\x95\"");
}

static void json_of_any_bytes_is_valid(void **state)
{
    struct fixture *f = *state;
    char text[4] = {0};
    json_t *value;

    for (unsigned i = 1; i < 256; i++)
        for (unsigned k = 1; k < 256; k++) {
            text[0] = (char)i;
            text[1] = (char)k;
            text[2] = 'z';
            mu_buf_reset(&f->buf);
            mu_json_init(&f->json, &f->buf);
            mu_json_text(&f->json, NULL, text);
            value = json_loadb((const char *)f->buf.data, f->buf.len, JSON_DECODE_ANY, NULL);
            if (!value)
                fail_msg("%02x %02x: %s", i, k, mu_buf_text(&f->buf));
            assert_int_equal(json_string_value(value)[json_string_length(value) - 1], 'z');
            json_decref(value);
        }
}

static void json_without_memory_says_so(void **state)
{
    (void)state;
    FOR_EACH_FAULT (n) {
        struct mu_json json;
        struct mu_buf buf;

        mu_buf_init(&buf, 0);
        mu_json_init(&json, &buf);
        mu_json_object(&json, NULL);
        for (int i = 0; i < 100; i++)
            mu_json_text(&json, "key", "a text of some length");
        mu_json_end(&json);
        FAULT_CHECK(buf.failed);
        mu_buf_fini(&buf);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(json_nests_and_separates),    CASE(json_times_have_three_decimals),
        CASE(json_text_is_escaped),        CASE(json_of_any_bytes_is_valid),
        CASE(json_without_memory_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
