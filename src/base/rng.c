#include "base/rng.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/err.h"

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

/* SplitMix64: makes any seed, 0 too, into four well mixed words. */
void mu_rng_seed(struct mu_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        rng->s[i] = z ^ z >> 31;
    }
}

uint64_t mu_rng_next(struct mu_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t mu_rng_below(struct mu_rng *rng, uint64_t n)
{
    uint64_t x, surplus;

    if (n == 0)
        return 0;
    surplus = -n % n; /* 2^64 mod n: the lowest values would come once too often */
    do
        x = mu_rng_next(rng);
    while (x < surplus);
    return x % n;
}

double mu_rng_unit(struct mu_rng *rng)
{
    return (double)(mu_rng_next(rng) >> 11) * 0x1p-53;
}

mu_dur mu_rng_jitter(struct mu_rng *rng, mu_dur dur, double part)
{
    return dur + (mu_dur)((double)dur * part * (2 * mu_rng_unit(rng) - 1));
}

void mu_rng_uuid(struct mu_rng *rng, uint8_t uuid[16])
{
    mu_put64(uuid, mu_rng_next(rng));
    mu_put64(uuid + 8, mu_rng_next(rng));
    uuid[6] = (uuid[6] & 0x0F) | 0x40; /* version 4 */
    uuid[8] = (uuid[8] & 0x3F) | 0x80; /* variant of RFC 9562 */
}

int mu_rng_secret(void *out, size_t n)
{
    uint8_t *p = out;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return MU_EIO;
        p += got;
        n -= (size_t)got;
    }
    return 0;
}

static const char uuid_shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

char *mu_uuid_text(const uint8_t uuid[16], char out[MU_UUID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    int nibble = 0;

    for (int i = 0; i < MU_UUID_TEXT; i++) {
        out[i] = uuid_shape[i];
        if (uuid_shape[i] != 'x')
            continue;
        out[i] = digits[nibble % 2 ? uuid[nibble / 2] & 0x0F : uuid[nibble / 2] >> 4];
        nibble++;
    }
    return out;
}

/* Of a digit its value and 1; 0 = none. A start reads a million UUIDs, and no branch on their
 * digits is foretold. */
static const uint8_t hex_digit[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

int mu_uuid_parse(const char *text, uint8_t uuid[16])
{
    uint8_t bytes[16] = {0};
    int nibble = 0;

    if (strlen(text) != MU_UUID_TEXT - 1)
        return MU_EINVAL;
    for (int i = 0; i < MU_UUID_TEXT - 1; i++) {
        int digit = hex_digit[(uint8_t)text[i]];
        if (uuid_shape[i] == '-' ? text[i] != '-' : !digit)
            return MU_EINVAL;
        if (uuid_shape[i] == '-')
            continue;
        bytes[nibble / 2] = (uint8_t)(bytes[nibble / 2] << 4 | (digit - 1));
        nibble++;
    }
    memcpy(uuid, bytes, sizeof(bytes));
    return 0;
}
