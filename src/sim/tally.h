/* tally.h - what was done to a fleet, what the conductor said of it, and how the two compare.
 *
 * It is handed faults and events with their times and counts; a verdict of `down` is right when the
 * agent was dead, excused when it was silent (paused, cut off) or had just ceased to be, and false
 * otherwise. */
#ifndef MU_SIM_TALLY_H
#define MU_SIM_TALLY_H

#include "base/state.h"
#include "sim/scenario.h"

struct mu_tally;

int mu_tally_new(struct mu_tally **out, uint32_t agents);
void mu_tally_free(struct mu_tally *tally);

/* @act begins to befall @agent, or ceases to. */
void mu_tally_begin(struct mu_tally *tally, enum mu_act act, uint32_t agent, mu_time now);
void mu_tally_end(struct mu_tally *tally, enum mu_act act, uint32_t agent, mu_time now);

/* The conductor says that @agent is @state now, having been silent for @silence (below 0: it does
 * not say). */
void mu_tally_heard(struct mu_tally *tally, uint32_t agent, enum mu_state state, mu_dur silence,
                    mu_time now);

uint32_t mu_tally_open(const struct mu_tally *tally); /* deaths that it has not told of yet */

struct mu_spread { /* of @n lengths of time */
    uint32_t n;
    mu_dur p50, p99, max;
};

struct mu_report {
    uint32_t agents;
    uint32_t injected[MU_ACTS]; /* agents that each act befell */
    uint32_t heard[MU_STATES];  /* verdicts of each State */
    uint32_t deaths, found, missed;
    uint32_t false_downs, excused_downs;
    uint32_t false_suspects;  /* of agents that nothing had befallen */
    uint32_t leaves, left;    /* who left, and who was said to have left */
    struct mu_spread suspect; /* from a death to the word `suspect` */
    struct mu_spread down;    /* from a death to the word `down` */
    struct mu_spread silence; /* what the word `down` itself gives as silence */
};

/* Fills *@out. Whoever is dead and was not found by now is missed. */
void mu_tally_report(struct mu_tally *tally, struct mu_report *out);

/* The @i-th agent that was falsely down or was missed, or UINT32_MAX after the last: for naming
 * them. */
uint32_t mu_tally_false(const struct mu_tally *tally, size_t i);
uint32_t mu_tally_missed(const struct mu_tally *tally, size_t i);

#endif
