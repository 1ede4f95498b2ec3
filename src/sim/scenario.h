/* scenario.h - a script of what befalls a fleet, and when; says to whom, and leaves the doing to
 * others.
 *
 *     # time counts from the start; a line without `at` happens with the line before it
 *     at 10s kill 3
 *     at 20s pause 5 for 10s
 *     partition zone=b for 20s
 *     at 30s loss 20% for 30s
 *     delay 200ms rack=r3; restart 10
 *
 * muster-sim(1) has the language, sim/play.h plays it. */
#ifndef MU_SIM_SCENARIO_H
#define MU_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

enum mu_act {
    MU_ACT_KILL,      /* dead at once, as by SIGKILL */
    MU_ACT_RESTART,   /* the same, and back as a new process */
    MU_ACT_LEAVE,     /* told to stop */
    MU_ACT_PAUSE,     /* as by SIGSTOP: alive and silent */
    MU_ACT_PARTITION, /* nothing passes either way */
    MU_ACT_LOSS,      /* of datagrams */
    MU_ACT_DELAY,     /* of all that is sent */
    MU_ACTS
};

const char *mu_act_text(enum mu_act act); /* "kill", ... */

#define MU_WHOM_TERMS 4
#define MU_WHOM_TEXT  64

/* Agents that match all terms; of these a number, a share, or all. */
struct mu_whom {
    uint32_t count; /* 0 = see .percent */
    double percent; /* of those who match */
    size_t nterms;
    struct {
        char key[MU_WHOM_TEXT], value[MU_WHOM_TEXT]; /* zone or a label */
    } terms[MU_WHOM_TERMS];
};

struct mu_step {
    mu_dur at;
    mu_dur length; /* of what lasts; MU_NEVER = to the end */
    enum mu_act act;
    struct mu_whom whom;
    double loss; /* percent */
    mu_dur delay;
};

struct mu_scenario {
    struct mu_step *steps; /* in order of time */
    size_t n, cap;
    mu_dur last; /* .at of the last line that was read */
};

void mu_scenario_init(struct mu_scenario *sc);
void mu_scenario_fini(struct mu_scenario *sc);

/* Adds the steps of @text, whose lines are told as @name:LINE in errors: MU_EINVAL and what was
 * expected there; nothing is added then. Steps of several texts are merged in order of time. */
int mu_scenario_parse(struct mu_scenario *sc, const char *name, const char *text, size_t n,
                      struct mu_err *err);

#endif
