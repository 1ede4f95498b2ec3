#include "detect/pace.h"

#include <string.h>

double mu_pace_gap(void *st, size_t size, const struct mu_times *times, mu_time now)
{
    struct mu_pace *pace = st;
    uint32_t interval_ms = (uint32_t)(times->interval / MU_MS);
    mu_dur gap = now - pace->last;

    if (pace->interval_ms != interval_ms) {
        memset(st, 0, size);
        pace->interval_ms = interval_ms;
        gap = -1;
    }
    pace->last = now;
    return gap < 0 || gap > times->down ? -1 : (double)gap / (double)times->interval;
}

void mu_pace_mean(struct mu_pace *pace, double gap, unsigned n)
{
    pace->mean += (float)((gap - pace->mean) / n);
}
