/* lag.h - how long the loop is away from its sockets: muster_loop_lag_seconds, an observation a
 * turn.
 *
 * What counts is the time from one return of the poll to the next poll, and what a poll slept
 * beyond its timeout, as when the process was stopped meanwhile. Of either up to a millisecond is
 * missed, since the loop's own clock, which tells when the poll returned, has no more: its account
 * of idle time is exact, but costs a system call a turn. */
#ifndef MU_DAEMON_LAG_H
#define MU_DAEMON_LAG_H

#include <uv.h>

struct mu_lag {
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uint64_t polled, returned; /* ns; 0 = not yet */
    int timeout;               /* that the poll had, ms; -1 = none */
};

/* Its handles keep no loop alive; mu_lag_stop() closes them. */
void mu_lag_start(struct mu_lag *lag, uv_loop_t *loop);
void mu_lag_stop(struct mu_lag *lag);

#endif
