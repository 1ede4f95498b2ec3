/* Mailbox, worker and alarm: what crosses between threads. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/faults.h"
#include "lib/turn.h"
#include "loop/alarm.h"
#include "loop/worker.h"

struct fixture {
    uv_loop_t loop;
    pthread_t loop_thread;
    int runs, dones, fired, closed;
    pthread_mutex_t lock; /* of what a job waits for */
    pthread_cond_t moved;
    bool inside, release, orphaned;
};

struct item {
    struct mu_job job;
    struct fixture *f;
    int number;
    bool foreign; /* ran on another thread than the loop's */
    int nice;     /* of that thread */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->loop_thread = pthread_self();
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->moved, NULL);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->moved);
    free(f);
    return 0;
}

static struct item *item_of(struct mu_job *job)
{
    return MU_CONTAINER_OF(job, struct item, job);
}

static void on_closed(void *ctx)
{
    ((struct fixture *)ctx)->closed++;
}

static void run(struct mu_job *job)
{
    struct item *item = item_of(job);

    item->foreign = !pthread_equal(pthread_self(), item->f->loop_thread);
    item->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    assert_int_equal(item->f->runs++, item->number);
}

static void done(struct mu_job *job)
{
    struct item *item = item_of(job);

    assert_true(pthread_equal(pthread_self(), item->f->loop_thread));
    assert_true(item->foreign);
    assert_int_equal(item->f->dones++, item->number);
}

static void jobs_run_in_order_on_a_thread_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct mu_worker *worker;
    struct item items[100];

    assert_int_equal(mu_worker_open(&worker, &f->loop, "test", 0, NULL), 0);
    for (int round = 0; round < 2; round++) {
        f->runs = f->dones = 0;
        for (int i = 0; i < 100; i++) {
            items[i] = (struct item){.job = {.run = run, .done = done}, .f = f, .number = i};
            mu_worker_give(worker, &items[i].job);
        }
        TURN_UNTIL(&f->loop, f->dones == 100);
    }
    mu_worker_close(worker, on_closed, f);
    assert_int_equal(f->closed, 0);
    TURN_UNTIL(&f->loop, f->closed == 1);
}

static void a_worker_is_as_nice_as_asked(void **state)
{
    struct fixture *f = *state;
    int own = getpriority(PRIO_PROCESS, (id_t)gettid());
    struct item item = {.job = {.run = run, .done = done}, .f = f};
    struct mu_worker *worker;

    assert_int_equal(mu_worker_open(&worker, &f->loop, "test", 5, NULL), 0);
    mu_worker_give(worker, &item.job);
    TURN_UNTIL(&f->loop, f->dones == 1);
    assert_int_equal(item.nice, own + 5 < 19 ? own + 5 : 19);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)gettid()), own);
    mu_worker_close(worker, on_closed, f);
    TURN_UNTIL(&f->loop, f->closed == 1);
}

static void hang(struct mu_job *job)
{
    struct fixture *f = item_of(job)->f;

    pthread_mutex_lock(&f->lock);
    f->inside = true;
    pthread_cond_broadcast(&f->moved);
    while (!f->release)
        pthread_cond_wait(&f->moved, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

static void on_orphaned(void *ctx)
{
    struct fixture *f = ctx;

    assert_false(pthread_equal(pthread_self(), f->loop_thread));
    pthread_mutex_lock(&f->lock);
    f->orphaned = true;
    pthread_cond_broadcast(&f->moved);
    pthread_mutex_unlock(&f->lock);
}

static void await(struct fixture *f, const bool *what)
{
    pthread_mutex_lock(&f->lock);
    while (!*what)
        pthread_cond_wait(&f->moved, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

static void an_abandoned_thread_hands_nothing_back(void **state)
{
    struct fixture *f = *state;
    struct item stuck = {.job = {.run = hang, .done = done}, .f = f};
    struct item behind = {.job = {.run = run, .done = done}, .f = f};
    struct mu_worker *worker;

    assert_int_equal(mu_worker_open(&worker, &f->loop, "test", 0, NULL), 0);
    mu_worker_give(worker, &stuck.job);
    mu_worker_give(worker, &behind.job);
    await(f, &f->inside);
    mu_worker_abandon(worker, on_orphaned, f, on_closed, f);
    TURN_UNTIL(&f->loop, f->closed == 1);
    pthread_mutex_lock(&f->lock);
    assert_false(f->orphaned);
    f->release = true;
    pthread_cond_broadcast(&f->moved);
    pthread_mutex_unlock(&f->lock);
    await(f, &f->orphaned);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->runs + f->dones, 0);
}

/* The job has come back, its answer is in the mailbox, and then it is given up. */
static void an_answer_on_its_way_is_dropped_by_an_abandon(void **state)
{
    struct fixture *f = *state;
    struct item item = {.job = {.run = hang, .done = done}, .f = f};
    struct mu_worker *worker;

    f->release = true;
    assert_int_equal(mu_worker_open(&worker, &f->loop, "test", 0, NULL), 0);
    mu_worker_give(worker, &item.job);
    await(f, &f->inside);
    mu_worker_abandon(worker, on_orphaned, f, on_closed, f);
    await(f, &f->orphaned);
    TURN_UNTIL(&f->loop, f->closed == 1);
    assert_int_equal(f->dones, 0);
}

static void fire(void *ctx)
{
    ((struct fixture *)ctx)->fired++;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* the loop never rests: what is due a moment too soon fires too soon */
}

static void an_alarm_fires_once_and_never_early(void **state)
{
    struct fixture *f = *state;
    struct mu_alarm *alarm;
    uv_idle_t idle;

    assert_int_equal(mu_alarm_new(&alarm, &f->loop, fire, f), 0);
    uv_idle_init(&f->loop, &idle);
    uv_idle_start(&idle, on_idle);
    uv_unref((uv_handle_t *)&idle);
    for (int i = 1; i <= 20; i++) {
        mu_time begin = mu_clock_now();

        mu_alarm_set(alarm, 3600 * MU_SEC);
        mu_alarm_set(alarm, 2 * MU_MS); /* moves it */
        TURN_UNTIL(&f->loop, f->fired == i);
        assert_true(mu_clock_now() - begin >= 2 * MU_MS);
    }
    uv_close((uv_handle_t *)&idle, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    mu_alarm_set(alarm, 0);
    mu_alarm_stop(alarm);
    assert_false(uv_run(&f->loop, UV_RUN_NOWAIT)); /* and it holds no loop */
    assert_int_equal(f->fired, 20);
    mu_alarm_set(alarm, 0);
    mu_alarm_free(alarm);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->fired, 20);
}

static void without_memory_there_is_no_worker(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_FAULT (n) {
        struct mu_worker *worker = NULL;
        int rv = mu_worker_open(&worker, &f->loop, "test", 0, NULL);
        FAULT_CHECK(rv);
        if (rv == 0)
            mu_worker_close(worker, on_closed, f);
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    mu_mem_fault_at(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(jobs_run_in_order_on_a_thread_of_their_own),
        TEST(a_worker_is_as_nice_as_asked),
        TEST(an_abandoned_thread_hands_nothing_back),
        TEST(an_answer_on_its_way_is_dropped_by_an_abandon),
        TEST(an_alarm_fires_once_and_never_early),
        TEST(without_memory_there_is_no_worker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
