/* feed.h - follows the events of a conductor, across its restarts.
 *
 * By long polls: each names the last number that was seen, so that nothing is missed and nothing
 * comes twice, however often the connection breaks. */
#ifndef MU_CLI_FEED_H
#define MU_CLI_FEED_H

#include <stdint.h>

#include "cli/ask.h"

struct mu_feed {
    struct mu_ask *ask;
    const struct mu_args *args;
    const char *agent; /* only events of BINARY@HOST; NULL = all */
    const char *kind;  /* only of this kind; NULL = all */
    uint64_t since;    /* the last number seen */
};

/* Sets .since so that what happens from now on is seen. Returns as mu_ask(). */
int mu_feed_from_now(struct mu_feed *feed, struct mu_err *err);

/* The events after .since, oldest first and at most 1000, and moves .since on. Waits up to @wait
 * (at most 60 s) when there is none yet: *@events is an empty array then. Events that are no longer
 * kept are passed over, which is told on standard error. Returns as mu_ask(). */
int mu_feed_next(struct mu_feed *feed, mu_dur wait, json_t **events, struct mu_err *err);

/* As mu_feed_next(), for ever: calls @each for each event until it returns other than MU_EXIT_OK,
 * and returns that. A conductor that goes away is told of once and waited for. */
int mu_feed_follow(struct mu_feed *feed, int (*each)(void *ctx, json_t *event), void *ctx);

/* Whether a call that failed with @code may work later: the conductor is away. */
bool mu_feed_may_return(int code);

/* Waits before the @n-th try, 1 and up, in a row: 0.2 s, growing to 2 s. */
void mu_feed_pause(unsigned n);

#endif
