#include "daemon/lag.h"

#include "base/clock.h"
#include "base/stat.h"

/* The callbacks of sockets have run by now, but the loop's clock still stands where the poll
 * returned: nobody may call uv_update_time() in them. */
static void on_check(uv_check_t *check)
{
    struct mu_lag *lag = check->data;
    uint64_t now = uv_hrtime(), latest = (uv_now(check->loop) + 1) * MU_MS;

    if (latest < lag->polled) /* the loop's clock may be the kernel's coarse one, a tick behind */
        latest = lag->polled;
    lag->returned = latest < now ? latest : now;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct mu_lag *lag = prepare->data;
    uint64_t now = uv_hrtime();

    if (lag->returned) {
        uint64_t away = now - lag->returned, slept = lag->returned - lag->polled;
        uint64_t asked = (uint64_t)(lag->timeout + 1) * MU_MS;

        if (lag->timeout >= 0 && slept > asked)
            away += slept - asked;
        mu_stat_observe(MU_STAT_LAG, (double)away / MU_SEC);
    }
    lag->polled = now;
    lag->timeout = uv_backend_timeout(prepare->loop);
}

void mu_lag_start(struct mu_lag *lag, uv_loop_t *loop)
{
    *lag = (struct mu_lag){0};
    uv_prepare_init(loop, &lag->before_poll);
    uv_check_init(loop, &lag->after_poll);
    lag->before_poll.data = lag->after_poll.data = lag;
    uv_prepare_start(&lag->before_poll, on_prepare);
    uv_check_start(&lag->after_poll, on_check);
    uv_unref((uv_handle_t *)&lag->before_poll);
    uv_unref((uv_handle_t *)&lag->after_poll);
}

void mu_lag_stop(struct mu_lag *lag)
{
    uv_close((uv_handle_t *)&lag->before_poll, NULL);
    uv_close((uv_handle_t *)&lag->after_poll, NULL);
}
