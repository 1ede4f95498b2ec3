/* lag.h - how long the loop is away from its sockets: muster_loop_lag_seconds, an observation a
 * turn.
 *
 * What counts is the time from one return of the poll to the next poll, and what a poll slept
 * beyond its timeout, as when the process was stopped meanwhile. */
#ifndef MU_DAEMON_LAG_H
#define MU_DAEMON_LAG_H

#include <uv.h>

struct mu_lag {
    uv_prepare_t before_poll;
    uint64_t at, idle; /* ns: when the last poll began, 0 = none yet, and all sleep before it */
    int timeout;       /* that it had, ms; -1 = none */
};

/* Before the loop runs. Its handle keeps no loop alive; mu_lag_stop() closes it. */
void mu_lag_start(struct mu_lag *lag, uv_loop_t *loop);
void mu_lag_stop(struct mu_lag *lag);

#endif
