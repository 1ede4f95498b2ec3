/* play.h - a scenario as it is played: when each step begins, whom it takes, when it ends.
 *
 * Whom a step takes is drawn from a seed, so that a run can be repeated. */
#ifndef MU_SIM_PLAY_H
#define MU_SIM_PLAY_H

#include "sim/scenario.h"

/* Where it is played. Agents are 0 .. count-1. */
struct mu_stage {
    void *ctx;
    uint32_t count;
    bool (*may_take)(void *ctx, uint32_t agent); /* is it there, to have something befall it? */
    const char *(*label)(void *ctx, uint32_t agent,
                         const char *key); /* zone or label; NULL = none */
    void (*begin)(void *ctx, const struct mu_step *step, uint32_t agent, mu_time now);
    void (*end)(void *ctx, const struct mu_step *step, uint32_t agent,
                mu_time now);                              /* if it lasts */
    void (*nobody)(void *ctx, const struct mu_step *step); /* none to take; NULL = let it pass */
};

struct mu_play;

/* Begins to play @sc at time @now; @sc and @stage are borrowed. Returns 0 or MU_ENOMEM. */
int mu_play_new(struct mu_play **out, const struct mu_scenario *sc, const struct mu_stage *stage,
                uint64_t seed, mu_time now);
void mu_play_free(struct mu_play *play);

mu_time mu_play_due(const struct mu_play *play); /* MU_NEVER = it is over */

/* Plays what is due by @now: ends first, then beginnings, in order of time. */
void mu_play_advance(struct mu_play *play, mu_time now);

#endif
