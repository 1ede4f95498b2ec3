#include "loop/alarm.h"

#include <uv.h>

#include "base/err.h"
#include "base/mem.h"

struct mu_alarm {
    uv_timer_t timer;
    void (*fire)(void *ctx);
    void *ctx;
};

static void on_timer(uv_timer_t *timer)
{
    struct mu_alarm *alarm = MU_CONTAINER_OF(timer, struct mu_alarm, timer);

    alarm->fire(alarm->ctx);
}

int mu_alarm_new(struct mu_alarm **out, struct uv_loop_s *loop, void (*fire)(void *ctx), void *ctx)
{
    struct mu_alarm *alarm = mu_alloc(sizeof(*alarm));

    if (!alarm)
        return MU_ENOMEM;
    alarm->fire = fire;
    alarm->ctx = ctx;
    uv_timer_init(loop, &alarm->timer);
    uv_unref((uv_handle_t *)&alarm->timer);
    *out = alarm;
    return 0;
}

void mu_alarm_set(struct mu_alarm *alarm, mu_dur after)
{
    /* The moment itself is rounded up: never early. The loop's own idea of now may be old, and
     * would make it so; it stays as it is, for it tells when the loop's poll returned. */
    uint64_t due = (uv_hrtime() + (uint64_t)after + MU_MS - 1) / MU_MS;

    uv_timer_start(&alarm->timer, on_timer, after <= 0 ? 0 : due - uv_now(alarm->timer.loop), 0);
}

void mu_alarm_stop(struct mu_alarm *alarm)
{
    uv_timer_stop(&alarm->timer);
}

static void on_closed(uv_handle_t *handle)
{
    mu_free(MU_CONTAINER_OF((uv_timer_t *)handle, struct mu_alarm, timer));
}

void mu_alarm_free(struct mu_alarm *alarm)
{
    if (alarm)
        uv_close((uv_handle_t *)&alarm->timer, on_closed);
}
