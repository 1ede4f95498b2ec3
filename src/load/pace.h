/* pace.h - so many a second, evenly, whoever is slow: an open loop.
 *
 * What was not sent in time is due later on top, so that a slow server is not spared; but at most
 * one second's worth, and the rest is counted as skipped. */
#ifndef MU_LOAD_PACE_H
#define MU_LOAD_PACE_H

#include "base/clock.h"

struct mu_pace {
    double rate; /* a second */
    double due;  /* not yet taken; below 1 between calls */
    mu_time at;  /* until when .due is worked out */
    uint64_t skipped;
};

void mu_pace_init(struct mu_pace *pace, double rate, mu_time now);
/* What is due so far is kept; from @now on it is @rate. */
void mu_pace_set(struct mu_pace *pace, double rate, mu_time now);
/* How many are due at @now; they count as taken. */
uint64_t mu_pace_take(struct mu_pace *pace, mu_time now);
/* How long until the next is due; MU_NEVER at rate 0. */
mu_dur mu_pace_wait(const struct mu_pace *pace, mu_time now);

#endif
