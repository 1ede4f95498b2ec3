#include "base/rng.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "lib/test.h"

static void rng_is_xoshiro256_star_star(void **state)
{
    static const uint64_t want[] = {
        11520, 0, 1509978240, 1215971899390074240, 1216172134540287360, 607988272756665600};
    struct mu_rng rng = {{1, 2, 3, 4}};

    for (size_t i = 0; i < MU_ARRAY_LEN(want); i++)
        assert_true(mu_rng_next(&rng) == want[i]);
}

static void rng_seed_is_splitmix64(void **state)
{
    struct mu_rng rng;

    mu_rng_seed(&rng, 0);
    assert_true(rng.s[0] == 0xE220A8397B1DCDAF);
    assert_true(rng.s[1] == 0x6E789E6AA1B965F4);
    assert_true(rng.s[2] == 0x06C45D188009454F);
    assert_true(rng.s[3] == 0xF88BB8A8724C81EC);
}

static void rng_below_is_even(void **state)
{
    unsigned seen[6] = {0};
    struct mu_rng rng;

    mu_rng_seed(&rng, 3);
    for (int i = 0; i < 60000; i++)
        seen[mu_rng_below(&rng, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(seen[i], 9600, 10400); /* 4 sigma */
    assert_true(mu_rng_below(&rng, 0) == 0);
    assert_true(mu_rng_below(&rng, 1) == 0);
    for (int i = 0; i < 100; i++)
        assert_true(mu_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
}

static void rng_unit_and_jitter_keep_their_bounds(void **state)
{
    mu_dur low = MU_SEC, high = MU_SEC;
    struct mu_rng rng;

    mu_rng_seed(&rng, 4);
    for (int i = 0; i < 10000; i++) {
        double unit = mu_rng_unit(&rng);
        mu_dur dur = mu_rng_jitter(&rng, MU_SEC, 0.1);
        assert_true(unit >= 0 && unit < 1);
        low = dur < low ? dur : low;
        high = dur > high ? dur : high;
    }
    assert_in_range(low, 900 * MU_MS, 901 * MU_MS);
    assert_in_range(high, 1099 * MU_MS, 1100 * MU_MS);
    assert_true(mu_rng_jitter(&rng, MU_SEC, 0) == MU_SEC);
}

static void rng_secret_fills_every_byte(void **state)
{
    uint8_t seen[300] = {0}, bytes[300];

    for (int round = 0; round < 16; round++) {
        assert_int_equal(mu_rng_secret(bytes, sizeof(bytes)), 0);
        for (size_t i = 0; i < sizeof(bytes); i++)
            seen[i] |= bytes[i];
    }
    for (size_t i = 0; i < sizeof(seen); i++)
        assert_true(seen[i]); /* zero 16 times in a row: 2^-128 */
}

static void uuid_is_version_4_and_reads_back(void **state)
{
    uint8_t uuid[16], back[16];
    char text[MU_UUID_TEXT];
    struct mu_rng rng;

    mu_rng_seed(&rng, 5);
    for (int i = 0; i < 1000; i++) {
        mu_rng_uuid(&rng, uuid);
        mu_uuid_text(uuid, text);
        assert_int_equal(strlen(text), 36);
        assert_int_equal(text[14], '4');
        assert_non_null(strchr("89ab", text[19]));
        assert_int_equal(mu_uuid_parse(text, back), 0);
        assert_memory_equal(uuid, back, 16);
    }
}

static void uuid_parse_takes_only_the_one_shape(void **state)
{
    static const char *const wrong[] = {
        "",
        "f81d4fae-7dec-41d0-a765-00a0c91e6bf",
        "f81d4fae-7dec-41d0-a765-00a0c91e6bf66",
        "f81d4fae-7dec-41d0-a765-00a0c91e6bfg",
        "f81d4fae07dec-41d0-a765-00a0c91e6bf6",
        "f81d4fa--7dec-41d0-a765-00a0c91e6bf6",
        "{81d4fae-7dec-41d0-a765-00a0c91e6bf6",
        "f81d4fae-7dec-41d0-a765-00a0c91e6b\xC3\xA6",
    };
    static const uint8_t want[] = {0xF8, 0x1D, 0x4F, 0xAE, 0x7D, 0xEC, 0x41, 0xD0,
                                   0xA7, 0x65, 0x00, 0xA0, 0xC9, 0x1E, 0x6B, 0xF6};
    uint8_t uuid[16], kept[16] = {7};

    assert_int_equal(mu_uuid_parse("F81D4FAE-7dec-41d0-a765-00a0c91e6bf6", uuid), 0);
    assert_memory_equal(uuid, want, 16);
    for (size_t i = 0; i < MU_ARRAY_LEN(wrong); i++) {
        assert_int_equal(mu_uuid_parse(wrong[i], kept), MU_EINVAL);
        assert_int_equal(kept[0], 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rng_is_xoshiro256_star_star),
        cmocka_unit_test(rng_seed_is_splitmix64),
        cmocka_unit_test(rng_below_is_even),
        cmocka_unit_test(rng_unit_and_jitter_keep_their_bounds),
        cmocka_unit_test(rng_secret_fills_every_byte),
        cmocka_unit_test(uuid_is_version_4_and_reads_back),
        cmocka_unit_test(uuid_parse_takes_only_the_one_shape),
    };

    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
