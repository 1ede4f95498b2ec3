#include "base/buf.h"
#include "base/clock.h"
#include "base/stat.h"
#include "daemon/lag.h"
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SLEEP 200 /* ms */
#define BUSY  (100 * MU_MS)

/* Instead of the C library's: with a clock that claims to be this fine, as on kernels of 1000 Hz,
 * the loop's time is that of the kernel's last tick, which may lie before the poll. */
__attribute__((visibility("default"))) int clock_getres(clockid_t id, struct timespec *out)
{
    (void)id;
    *out = (struct timespec){.tv_nsec = MU_MS};
    return 0;
}

struct fixture {
    uv_loop_t loop;
    uv_timer_t timer;
    struct mu_lag lag;
    mu_time began;
};

static int setup(void **state)
{
    static struct fixture f;

    mu_stat_reset();
    assert_int_equal(uv_loop_init(&f.loop), 0);
    mu_lag_start(&f.lag, &f.loop);
    uv_timer_init(&f.loop, &f.timer);
    f.began = mu_clock_now();
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    mu_lag_stop(&f->lag);
    uv_close((uv_handle_t *)&f->timer, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    return 0;
}

static double sum_of_lag(void)
{
    struct mu_buf out;
    const char *at;
    double sum;

    mu_buf_init(&out, 0);
    mu_stat_expose(&out);
    at = strstr(mu_buf_text(&out), "\nmuster_loop_lag_seconds_sum ");
    assert_non_null(at);
    sum = strtod(strchr(at, ' '), NULL);
    mu_buf_fini(&out);
    return sum;
}

static void on_quiet(uv_timer_t *timer)
{
    if (mu_stat_count(MU_STAT_LAG) > 2)
        uv_timer_stop(timer);
}

static void lag_is_not_what_the_loop_was_asked_to_sleep(void **state)
{
    struct fixture *f = *state;

    uv_timer_start(&f->timer, on_quiet, SLEEP, SLEEP);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    /* However long others kept us from running, two sleeps or more are not in it. */
    assert_true(sum_of_lag() < (double)(mu_clock_now() - f->began) / MU_SEC - SLEEP / 1e3);
}

static void on_turn(uv_idle_t *idle)
{
    if (mu_stat_count(MU_STAT_LAG) > 100)
        uv_close((uv_handle_t *)idle, NULL);
}

static void lag_is_no_more_than_went_by(void **state)
{
    struct fixture *f = *state;
    uv_idle_t idle;

    uv_idle_init(&f->loop, &idle);
    uv_idle_start(&idle, on_turn);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(sum_of_lag() <= (double)(mu_clock_now() - f->began) / MU_SEC);
}

static void on_busy(uv_timer_t *timer)
{
    mu_time until = mu_clock_now() + BUSY;

    while (mu_clock_now() < until)
        ;
    if (mu_stat_count(MU_STAT_LAG) > 1)
        uv_timer_stop(timer);
}

static void lag_is_what_a_turn_took(void **state)
{
    struct fixture *f = *state;

    uv_timer_start(&f->timer, on_busy, 1, 1);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(sum_of_lag() > (double)BUSY / MU_SEC);
}

static void on_io(uv_async_t *async)
{
    mu_time until = mu_clock_now() + BUSY;

    while (mu_clock_now() < until)
        ;
    uv_close((uv_handle_t *)async, NULL);
}

static void lag_is_what_callbacks_of_sockets_took(void **state)
{
    struct fixture *f = *state;
    uv_async_t async;

    uv_async_init(&f->loop, &async, on_io);
    uv_timer_start(&f->timer, on_quiet, 1, 1);
    uv_run(&f->loop, UV_RUN_ONCE); /* the first turn is not looked at */
    uv_async_send(&async);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(sum_of_lag() > (double)(BUSY - MU_MS) / MU_SEC);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(lag_is_not_what_the_loop_was_asked_to_sleep),
        CASE(lag_is_no_more_than_went_by),
        CASE(lag_is_what_a_turn_took),
        CASE(lag_is_what_callbacks_of_sockets_took),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
