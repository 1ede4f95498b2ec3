#include "fleet/history.h"

#include <string.h>

/* 11 bits of value, 5 of how far it is shifted. */
#define VALUE_BITS 11
#define VALUE_MAX  ((1u << VALUE_BITS) - 1)
#define LONGEST_MS ((int64_t)VALUE_MAX << 20)

static uint16_t pack(mu_dur gap)
{
    int64_t ms = gap < 0 ? 0 : gap / MU_MS;
    unsigned shift = 0;

    if (ms > LONGEST_MS)
        ms = LONGEST_MS;
    while (ms >> shift > VALUE_MAX)
        shift++;
    return (uint16_t)(shift << VALUE_BITS | (unsigned)(ms >> shift));
}

void mu_history_add(struct mu_history *history, mu_dur gap)
{
    memmove(history->gap + 1, history->gap, sizeof(history->gap) - sizeof(history->gap[0]));
    history->gap[0] = pack(gap);
    if (history->n < MU_GAPS)
        history->n++;
}

size_t mu_history_ms(const struct mu_history *history, uint32_t out[MU_GAPS])
{
    for (size_t i = 0; i < history->n; i++)
        out[i] = (uint32_t)(history->gap[i] & VALUE_MAX) << (history->gap[i] >> VALUE_BITS);
    return history->n;
}
