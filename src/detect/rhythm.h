/* rhythm.h - what drivers that learn from gaps share: when the last beat came, and the mean gap.
 *
 * Gaps are counted in intervals, so that 100 ms and 1 h look alike. What is learned holds for the
 * interval in force, and is forgotten with it. */
#ifndef MU_DETECT_RHYTHM_H
#define MU_DETECT_RHYTHM_H

#include "detect/driver.h"

/* At the head of a driver's state. */
struct mu_rhythm {
    mu_time last;
    uint32_t interval_ms; /* in force when it was learned; 0 = nothing was heard yet */
    float mean;           /* gap, in intervals; of the driver's own making */
};

/* Notes a beat at @now in @st, a driver's state of @size bytes. Returns the gap since the one
 * before, in intervals; or a number below 0 where there is nothing to learn: there was none before,
 * it is another interval now, and all of @st is forgotten, or the silence was longer than .down:
 * what a death or a cut lasted says nothing of how beats come. */
double mu_rhythm_gap(void *st, size_t size, const struct mu_times *times, mu_time now);

/* Moves the mean to the @n-th @gap it is made of: that of all, while @n grows, and exponentially
 * forgetful when the driver lets it grow no more. */
void mu_rhythm_mean(struct mu_rhythm *rhythm, double gap, unsigned n);

#endif
