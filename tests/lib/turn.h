/* turn.h - turns a loop until something has happened. */
#ifndef TEST_LIB_TURN_H
#define TEST_LIB_TURN_H

#include <uv.h>

#include "base/clock.h"
#include "lib/test.h"

#define TURN_LIMIT (60 * MU_SEC) /* far beyond anything awaited, sanitizers included */

static void turn_tick(uv_timer_t *timer)
{
    (void)timer; /* wakes the loop, so that the limit is seen */
}

/* @cond is looked at after each turn. */
#define TURN_UNTIL(loop, cond)                                                                     \
    do {                                                                                           \
        uv_timer_t tick_;                                                                          \
        mu_time limit_ = mu_clock_now() + TURN_LIMIT;                                              \
        uv_timer_init((loop), &tick_);                                                             \
        uv_timer_start(&tick_, turn_tick, 1000, 1000);                                             \
        while (!(cond)) {                                                                          \
            uv_run((loop), UV_RUN_ONCE);                                                           \
            if (mu_clock_now() > limit_)                                                           \
                fail_msg("still not: %s", #cond);                                                  \
        }                                                                                          \
        uv_close((uv_handle_t *)&tick_, NULL);                                                     \
        uv_run((loop), UV_RUN_NOWAIT);                                                             \
    } while (0)

#endif
