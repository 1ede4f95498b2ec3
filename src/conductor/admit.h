/* admit.h - join storms: a bounded rate of joins; the others are told when to come again.
 *
 * A bucket of tokens, and behind it a queue that is only a number: each one who is sent away is
 * given a moment a little further off than the one before him, spread by jitter. */
#ifndef MU_CONDUCTOR_ADMIT_H
#define MU_CONDUCTOR_ADMIT_H

#include <stdbool.h>

#include "base/rng.h"

struct mu_admit {
    uint32_t rate;    /* a second */
    mu_dur credit;    /* joins that may come at once, in time at that rate */
    mu_time filled;   /* when .credit was worked out */
    mu_time queue;    /* the moment given to the last one sent away */
    mu_time expected; /* until when a known one sent away may still be on his way back */
};

void mu_admit_init(struct mu_admit *admit, uint32_t rate, mu_time now);

/* Takes one join in. Returns 0, or the ms after which to come again: at most @longest. @known: the
 * name is one of the fleet's, whose silence is judged. */
uint32_t mu_admit_ask(struct mu_admit *admit, mu_time now, mu_dur longest, bool known,
                      struct mu_rng *rng);

/* @after with the same jitter, in ms, for who waits for something else than his turn. */
uint32_t mu_admit_later(mu_dur after, struct mu_rng *rng);

/* Whether nobody known who was sent away is still expected. */
bool mu_admit_empty(const struct mu_admit *admit, mu_time now);

#endif
