#include "fleet/history.h"

#include <string.h>

/* 11 bits of value, 5 of how far it is shifted. */
#define VALUE_BITS 11
#define VALUE_MAX  ((1u << VALUE_BITS) - 1)
#define LONGEST_MS ((uint64_t)VALUE_MAX << 20)

static uint16_t pack(uint64_t ms)
{
    unsigned shift = 0;

    if (ms > LONGEST_MS)
        ms = LONGEST_MS;
    if (ms > VALUE_MAX)
        shift = 64 - VALUE_BITS - (unsigned)__builtin_clzll(ms);
    return (uint16_t)(shift << VALUE_BITS | (unsigned)(ms >> shift));
}

unsigned mu_gaps_add(uint16_t gaps[MU_GAPS], unsigned n, uint64_t ms)
{
    memmove(gaps + 1, gaps, (MU_GAPS - 1) * sizeof(gaps[0]));
    gaps[0] = pack(ms);
    return n < MU_GAPS ? n + 1 : n;
}

size_t mu_gaps_ms(const uint16_t gaps[MU_GAPS], unsigned n, uint32_t out[MU_GAPS])
{
    for (unsigned i = 0; i < n; i++)
        out[i] = (uint32_t)(gaps[i] & VALUE_MAX) << (gaps[i] >> VALUE_BITS);
    return n;
}
