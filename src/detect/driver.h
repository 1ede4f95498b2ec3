/* driver.h - what a detector must do: say after a beat when its silence becomes suspect, and when
 * death.
 *
 * It sees times and no agent, is O(1), and calls nothing. Times are hearing time (see
 * conductor/hearing.h): a moment in which we could not hear has not passed. @st is the agent's own
 * .size zeroed bytes, at most MU_DETECT_STATE_MAX. */
#ifndef MU_DETECT_DRIVER_H
#define MU_DETECT_DRIVER_H

#include <stddef.h>

#include "base/clock.h"

#define MU_DETECT_STATE_MAX 32

/* What the policy promises for an agent. */
struct mu_times {
    mu_dur interval; /* between reports; default 10 s; 100 ms to 1 h */
    mu_dur suspect;  /* silence until `suspect`; default 2.5 x interval, at most 0.8 x down */
    mu_dur down;     /* silence until `down`; default 60 s; to 30 d */
};

struct mu_detector_driver {
    const char *name; /* as in the configuration */
    size_t size;

    /* A beat came at @now. */
    void (*heard)(void *st, const struct mu_times *times, mu_time now);

    /* When the silence that began at @since is due. @since < *@suspect_at <= *@down_at. */
    void (*due)(const void *st, const struct mu_times *times, mu_time since, mu_time *suspect_at,
                mu_time *down_at);

    /* How near to death the silence since @since is at @now: 0 = just heard, 1 = down is due. Grows
     * with @now. For people. */
    double (*level)(const void *st, const struct mu_times *times, mu_time since, mu_time now);
};

#endif
