/* sim.h - a fleet, a scenario and what the conductor says of it, from beginning to report.
 *
 * First all agents join; then the scenario's time begins. The conductor's words are asked for on a
 * thread of their own. At the end deaths that were not told of are waited for, and the living
 * leave. */
#ifndef MU_LOAD_SIM_H
#define MU_LOAD_SIM_H

#include "load/fleet.h"
#include "sim/tally.h"

#define MU_SIM_WORDS 1000 /* in one answer */

struct mu_sim_word { /* "agent NAME is STATE now" */
    char name[MU_NAME_TEXT];
    enum mu_state state;
    mu_dur silence; /* below 0: it does not say */
};

struct mu_sim_config {
    struct mu_fleet_config fleet;
    const struct mu_scenario *scenario;
    mu_dur length; /* of the scenario's time */
    mu_dur settle; /* how long unanswered deaths are waited for after it */

    /* Fills @words with the next of the conductor's words on States, waiting up to a second when
     * there are none; *@n of them. Runs on another thread. Returns 0, or an error that ends the
     * run. */
    int (*listen)(void *ctx, struct mu_sim_word words[MU_SIM_WORDS], size_t *n, struct mu_err *err);
    /* A line of what happens, for people: @at is the scenario's time, below 0 before it begins. */
    void (*tell)(void *ctx, mu_dur at, const char *line);
    void *ctx;
};

struct mu_sim_result {
    struct mu_report report;
    mu_dur join_time;     /* until the last had joined */
    uint64_t beats;       /* datagrams sent */
    uint32_t named;       /* of the following */
    uint32_t named_false; /* of these the first, falsely down; the others are missed deaths */
    char names[16][MU_NAME_TEXT];
};

/* Runs to its end, or until SIGINT or SIGTERM, which ends the scenario early. Returns 0 and *@out;
 * MU_EAGAIN when not all could join within a minute; or why it could not begin or go on. */
int mu_sim_run(const struct mu_sim_config *config, struct mu_sim_result *out, struct mu_err *err);

#endif
