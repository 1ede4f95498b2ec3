#include "base/siphash.h"

#include <endian.h>
#include <string.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotl(uint64_t x, int b)
{
    return x << b | x >> (64 - b);
}

static uint64_t get_le64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static void put_le64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, sizeof(v));
}

static inline void round_once(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

static inline void word(struct sip *s, uint64_t m)
{
    s->v3 ^= m;
    round_once(s);
    round_once(s);
    s->v0 ^= m;
}

/* The key, "somepseudorandomlygeneratedbytes", and the whole message with its length. */
static inline struct sip absorb(const uint8_t key[16], const uint8_t *p, size_t n, uint64_t wide)
{
    struct sip s; /* by value all the way: it stays in four registers */
    uint64_t k0 = get_le64(key), k1 = get_le64(key + 8);
    uint64_t last = (uint64_t)n << 56;

    s.v0 = k0 ^ 0x736F6D6570736575;
    s.v1 = k1 ^ 0x646F72616E646F6D ^ wide;
    s.v2 = k0 ^ 0x6C7967656E657261;
    s.v3 = k1 ^ 0x7465646279746573;
    for (; n >= 8; n -= 8, p += 8)
        word(&s, get_le64(p));
    for (size_t i = 0; i < n; i++)
        last |= (uint64_t)p[i] << (8 * i);
    word(&s, last);
    return s;
}

static inline uint64_t squeeze(struct sip *s)
{
    round_once(s);
    round_once(s);
    round_once(s);
    round_once(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t mu_siphash64(const uint8_t key[16], const void *data, size_t n)
{
    struct sip s = absorb(key, data, n, 0);

    s.v2 ^= 0xFF;
    return squeeze(&s);
}

void mu_siphash128(const uint8_t key[16], const void *data, size_t n, uint8_t out[16])
{
    struct sip s = absorb(key, data, n, 0xEE);

    s.v2 ^= 0xEE;
    put_le64(out, squeeze(&s));
    s.v1 ^= 0xDD;
    put_le64(out + 8, squeeze(&s));
}
