#include "base/siphash.h"

#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "unit/siphash_vectors.h"

static const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

static void hex(const uint8_t *bytes, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        sprintf(out + 2 * i, "%02x", bytes[i]);
}

static void siphash64_gives_the_published_tags(void **state)
{
    uint8_t message[64], tag[8];
    char text[17];

    for (size_t n = 0; n < 64; n++) {
        uint64_t hash = mu_siphash64(key, message, n);
        for (int i = 0; i < 8; i++)
            tag[i] = (uint8_t)(hash >> (8 * i));
        hex(tag, sizeof(tag), text);
        assert_string_equal(text, siphash64_vectors[n]);
        message[n] = (uint8_t)n;
    }
}

static void siphash128_gives_the_published_tags(void **state)
{
    uint8_t message[64], tag[16];
    char text[33];

    for (size_t n = 0; n < 64; n++) {
        mu_siphash128(key, message, n, tag);
        hex(tag, sizeof(tag), text);
        assert_string_equal(text, siphash128_vectors[n]);
        message[n] = (uint8_t)n;
    }
}

static void siphash_counts_length_modulo_256(void **state)
{
    uint8_t zeros[512] = {0}, a[16], b[16];

    mu_siphash128(key, zeros, 256, a);
    mu_siphash128(key, zeros, 512, b);
    assert_memory_not_equal(a, b, 16); /* same length byte, another number of words */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash64_gives_the_published_tags),
        cmocka_unit_test(siphash128_gives_the_published_tags),
        cmocka_unit_test(siphash_counts_length_modulo_256),
    };

    return cmocka_run_group_tests_name("siphash", tests, NULL, NULL);
}
