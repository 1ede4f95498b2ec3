#include "detect/rhythm.h"

#include <string.h>

double mu_rhythm_gap(void *st, size_t size, const struct mu_times *times, mu_time now)
{
    struct mu_rhythm *rhythm = st;
    uint32_t interval_ms = (uint32_t)(times->interval / MU_MS);
    mu_dur gap = now - rhythm->last;

    if (rhythm->interval_ms != interval_ms) {
        memset(st, 0, size);
        rhythm->interval_ms = interval_ms;
        gap = -1;
    }
    rhythm->last = now;
    return gap < 0 || gap > times->down ? -1 : (double)gap / (double)times->interval;
}

void mu_rhythm_mean(struct mu_rhythm *rhythm, double gap, unsigned n)
{
    rhythm->mean += (float)((gap - rhythm->mean) / n);
}
