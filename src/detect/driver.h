/* driver.h - what a detector must do: learn from beats, and say when a silence becomes suspect and
 * when death.
 *
 * It sees times and no agent, is O(1), allocates nothing and calls nothing. Times are hearing time
 * (see conductor/hearing.h): a moment in which we could not hear has not passed. @st is the agent's
 * own .size bytes, zeroed at each new life; who changes an agent's detector zeroes them too.
 *
 * An operator's promise stands whatever a detector thinks: it moves verdicts within .floor and
 * .down, which mu_detect_bound() holds it to, and is as patient as `deadline` until it has learned
 * from MU_DETECT_LEARNED beats. */
#ifndef MU_DETECT_DRIVER_H
#define MU_DETECT_DRIVER_H

#include <stddef.h>

#include "base/clock.h"

#define MU_DETECT_STATE_MAX 32
#define MU_DETECT_LEARNED   30
#define MU_DETECT_NUMBERS   6

/* What the policy promises for an agent. */
struct mu_times {
    mu_dur interval; /* between reports; default 10 s; 100 ms to 1 h */
    mu_dur suspect;  /* silence at which it is `suspect` at the latest; default 2.5 x interval, at
                        most 0.8 x down */
    mu_dur down;     /* silence at which it is `down` at the latest; default 60 s; to 30 d */
    mu_dur floor;    /* silence before which it is not `down`: what a lease promises. `deadline`:
                        .down; else default 3.5 x interval, at least .suspect, at most .down */
    int64_t phi;     /* for the detector `phi`: of how much it is death; default 8 */
};

/* A number that a detector goes by, for people. */
struct mu_detect_number {
    const char *name; /* "mean gap" */
    const char *unit; /* "s", "beats", "" */
    double value;
};

struct mu_detector_driver {
    const char *name; /* as in the configuration */
    size_t size;

    /* A beat came at @now. */
    void (*heard)(void *st, const struct mu_times *times, mu_time now);

    /* When the silence that began at @since is due, unless a beat ends it. Changes nothing, and
     * says the same until something is heard. @since < *@suspect_at <= *@down_at. */
    void (*due)(const void *st, const struct mu_times *times, mu_time since, mu_time *suspect_at,
                mu_time *down_at);

    /* What it has learned, and what it makes of the silence since @since at @now; returns how many
     * numbers. */
    size_t (*numbers)(const void *st, const struct mu_times *times, mu_time since, mu_time now,
                      struct mu_detect_number out[MU_DETECT_NUMBERS]);
};

/* For drivers: when silences of @suspect and @down from @since on are due, within what is promised:
 * suspect after one and a half interval at the earliest, since a beat that is lost is sent anew
 * within a half. */
void mu_detect_bound(const struct mu_times *times, mu_time since, mu_dur suspect, mu_dur down,
                     mu_time *suspect_at, mu_time *down_at);

#endif
