#include "base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "lib/faults.h"

static void buf_holds_what_is_put(void **state)
{
    struct mu_buf buf;

    mu_buf_init(&buf, 0);
    assert_string_equal(mu_buf_text(&buf), "");
    mu_buf_put(&buf, "ab", 2);
    mu_buf_puts(&buf, "cd");
    mu_buf_printf(&buf, "-%d-%s", 42, "x");
    assert_string_equal(mu_buf_text(&buf), "abcd-42-x");
    assert_int_equal(buf.len, 9);
    mu_buf_drop(&buf, 4);
    assert_string_equal(mu_buf_text(&buf), "-42-x");
    mu_buf_drop(&buf, buf.len);
    assert_string_equal(mu_buf_text(&buf), "");
    mu_buf_fini(&buf);
}

static void buf_writes_decimals_as_printf_does(void **state)
{
    static const uint64_t cases[] = {0, 9, 10, 4294967297, INT64_MAX, UINT64_MAX};
    char want[32];
    struct mu_buf buf;

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        mu_buf_init(&buf, 0);
        mu_buf_dec(&buf, cases[i]);
        snprintf(want, sizeof(want), "%" PRIu64, cases[i]);
        assert_string_equal(mu_buf_text(&buf), want);
        mu_buf_fini(&buf);
    }
}

static void buf_integers_are_big_endian(void **state)
{
    static const uint8_t want[] = {0x01, 0xDE, 0xAD, 0xBE, 0xEF};
    struct mu_buf buf;
    struct mu_cur cur;

    mu_buf_init(&buf, 0);
    mu_buf_u8(&buf, 0x01);
    mu_buf_u32(&buf, 0xDEADBEEF);
    assert_int_equal(buf.len, sizeof(want));
    assert_memory_equal(buf.data, want, sizeof(want));

    mu_cur_init(&cur, buf.data, buf.len);
    assert_int_equal(mu_cur_u8(&cur), 0x01);
    assert_int_equal(mu_cur_u16(&cur), 0xDEAD);
    assert_int_equal(mu_cur_u16(&cur), 0xBEEF);
    assert_int_equal(mu_cur_left(&cur), 0);
    assert_false(cur.bad);
    mu_buf_fini(&buf);
}

static void buf_that_is_full_stays_so_until_reset(void **state)
{
    struct mu_buf buf;

    mu_buf_init(&buf, 4);
    mu_buf_puts(&buf, "abcd");
    assert_int_equal(buf.failed, 0);
    assert_string_equal(mu_buf_text(&buf), "abcd");
    mu_buf_u8(&buf, 'e');
    assert_int_equal(buf.failed, MU_EFULL);
    assert_string_equal(mu_buf_text(&buf), "");
    mu_buf_drop(&buf, 4);
    mu_buf_puts(&buf, "");
    assert_int_equal(buf.len, 0);
    assert_int_equal(buf.failed, MU_EFULL);
    assert_null(mu_buf_grow(&buf, 1));

    mu_buf_reset(&buf);
    mu_buf_printf(&buf, "%s", "xyz");
    assert_string_equal(mu_buf_text(&buf), "xyz");
    mu_buf_printf(&buf, "%s", "12");
    assert_int_equal(buf.failed, MU_EFULL);
    mu_buf_fini(&buf);
}

static void buf_refuses_sizes_that_overflow(void **state)
{
    struct mu_buf buf;

    mu_buf_init(&buf, 0);
    mu_buf_puts(&buf, "x");
    assert_null(mu_buf_grow(&buf, SIZE_MAX));
    assert_int_equal(buf.failed, MU_ENOMEM);
    mu_buf_fini(&buf);
    mu_buf_init(&buf, 10);
    assert_null(mu_buf_grow(&buf, SIZE_MAX));
    assert_int_equal(buf.failed, MU_EFULL);
    mu_buf_fini(&buf);
}

static void buf_remembers_that_memory_was_out(void **state)
{
    FOR_EACH_FAULT (n) {
        struct mu_buf buf;
        mu_buf_init(&buf, 0);
        for (int i = 0; i < 1000; i++)
            mu_buf_printf(&buf, "%d,", i);
        FAULT_CHECK(buf.failed);
        assert_int_equal(buf.failed != 0, mu_mem_fault_fired());
        assert_int_equal(strlen(mu_buf_text(&buf)), buf.failed ? 0 : 3890);
        mu_buf_fini(&buf);
    }
}

static void cur_gives_zero_past_the_end(void **state)
{
    static const uint8_t bytes[] = {1, 2, 3};
    struct mu_cur cur;

    mu_cur_init(&cur, bytes, sizeof(bytes));
    assert_int_equal(mu_cur_u16(&cur), 0x0102);
    assert_int_equal(mu_cur_u16(&cur), 0);
    assert_true(cur.bad);
    assert_int_equal(mu_cur_left(&cur), 0);
    assert_int_equal(mu_cur_u8(&cur), 0); /* though a byte is there */
    assert_null(mu_cur_take(&cur, 0));
}

static void cur_takes_nothing_from_nothing(void **state)
{
    struct mu_cur cur;

    mu_cur_init(&cur, NULL, 0);
    assert_non_null(mu_cur_take(&cur, 0));
    assert_false(cur.bad);
    assert_null(mu_cur_take(&cur, SIZE_MAX));
    assert_true(cur.bad);
}

static void fixed_places_read_what_was_written(void **state)
{
    struct mu_rng rng;
    uint8_t p[8];

    mu_rng_seed(&rng, 2);
    for (int i = 0; i < 1000; i++) {
        uint64_t v = mu_rng_next(&rng);
        mu_put64(p, v);
        assert_true(mu_get64(p) == v);
        mu_put32(p, (uint32_t)v);
        assert_true(mu_get32(p) == (uint32_t)v);
        mu_put16(p, (uint16_t)v);
        assert_true(mu_get16(p) == (uint16_t)v);
        assert_int_equal(p[0], (uint8_t)(v >> 8));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_holds_what_is_put),
        cmocka_unit_test(buf_writes_decimals_as_printf_does),
        cmocka_unit_test(buf_integers_are_big_endian),
        cmocka_unit_test(buf_that_is_full_stays_so_until_reset),
        cmocka_unit_test(buf_refuses_sizes_that_overflow),
        cmocka_unit_test(buf_remembers_that_memory_was_out),
        cmocka_unit_test(cur_gives_zero_past_the_end),
        cmocka_unit_test(cur_takes_nothing_from_nothing),
        cmocka_unit_test(fixed_places_read_what_was_written),
    };

    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
