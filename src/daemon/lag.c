#include "daemon/lag.h"

#include "base/clock.h"
#include "base/stat.h"

/* The last thing before a poll, so that all that was done since the one before is in one turn. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct mu_lag *lag = prepare->data;
    uint64_t at = uv_hrtime(), idle = uv_metrics_idle_time(prepare->loop);
    uint64_t slept = idle - lag->idle, away = at - lag->at - slept;
    uint64_t asked = (uint64_t)lag->timeout * MU_MS;

    if (lag->timeout >= 0 && slept > asked)
        away += slept - asked;
    if (lag->at) /* before the first poll nobody was listening */
        mu_stat_observe(MU_STAT_LAG, (double)away / MU_SEC);
    lag->at = at;
    lag->idle = idle;
    lag->timeout = uv_backend_timeout(prepare->loop);
}

void mu_lag_start(struct mu_lag *lag, uv_loop_t *loop)
{
    uv_loop_configure(loop, UV_METRICS_IDLE_TIME); /* fails for unknown options only */
    *lag = (struct mu_lag){.timeout = -1};
    uv_prepare_init(loop, &lag->before_poll);
    lag->before_poll.data = lag;
    uv_prepare_start(&lag->before_poll, on_prepare);
    uv_unref((uv_handle_t *)&lag->before_poll);
}

void mu_lag_stop(struct mu_lag *lag)
{
    uv_close((uv_handle_t *)&lag->before_poll, NULL);
}
