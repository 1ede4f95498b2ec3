#include "load/hist.h"

#define HALF ((uint64_t)1 << MU_HIST_BITS)

static unsigned bucket_of(uint64_t value)
{
    unsigned shift;

    if (value < HALF)
        return (unsigned)value;
    shift = 63 - (unsigned)__builtin_clzll(value) - MU_HIST_BITS;
    return ((shift + 1) << MU_HIST_BITS) + (unsigned)((value >> shift) - HALF);
}

static uint64_t highest_of(unsigned bucket)
{
    unsigned shift = bucket >> MU_HIST_BITS;

    if (shift == 0)
        return bucket;
    shift--;
    return ((HALF + (bucket & (HALF - 1))) << shift) + (((uint64_t)1 << shift) - 1);
}

void mu_hist_add(struct mu_hist *hist, uint64_t value)
{
    hist->count[bucket_of(value)]++;
    hist->n++;
    if (value > hist->max)
        hist->max = value;
}

void mu_hist_merge(struct mu_hist *into, const struct mu_hist *from)
{
    for (unsigned i = 0; i < MU_HIST_BUCKETS; i++)
        into->count[i] += from->count[i];
    into->n += from->n;
    if (from->max > into->max)
        into->max = from->max;
}

uint64_t mu_hist_at(const struct mu_hist *hist, double part)
{
    uint64_t wanted = (uint64_t)(part * (double)hist->n), seen = 0;

    if ((double)wanted < part * (double)hist->n)
        wanted++;
    if (wanted == 0)
        wanted = 1;
    for (unsigned i = 0; i < MU_HIST_BUCKETS && hist->n; i++) {
        seen += hist->count[i];
        if (seen >= wanted)
            return highest_of(i) < hist->max ? highest_of(i) : hist->max;
    }
    return hist->max;
}
