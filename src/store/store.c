/* The happy path: a job is queued, given to the worker when none is running, run by the driver, and
 * answered on the loop; then the next.
 *
 * The ways to fail: the driver says MU_EAGAIN: the job goes back to the head of the queue, what
 * only reads is answered at once, and after a pause the connection is opened anew and the job run
 * again. The driver does not come back: after STUCK readers are answered; writes wait. At the close
 * the thread is left behind with its engine and its job, which are therefore no part of struct
 * mu_store. */
#include "store/store.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/plugin.h"
#include "base/stat.h"
#include "loop/alarm.h"
#include "store/drivers.h"
#include "store/job.h"

#define PAUSE_FIRST (100 * MU_MS)
#define PAUSE_MAX   (5 * MU_SEC)
#define STUCK       (2 * MU_SEC) /* a call that runs for so long counts as a store that is away */
#define CLOSE_GRACE (1 * MU_SEC) /* for the driver's close(), when the patience is used up */
#define READS_MAX   16
#define NICE        5 /* a third of the loop's share, where both want one processor */

struct mu_store {
    struct mu_engine *engine;
    struct mu_worker *worker;
    struct mu_alarm *alarm; /* while a job runs: STUCK; while pausing: the pause; else .idle */
    struct mu_alarm *limit; /* of the close */
    struct mu_store_job *first, **last;
    struct mu_store_job *running;
    struct mu_store_job *closer; /* the last job of all: made first, since it must not fail */
    size_t njobs, nreads;        /* waiting or running */
    mu_time started;             /* the running job */
    mu_dur pause;                /* the next one */
    bool pausing, stuck, closing, graced;
    bool lost_connection;
    bool failing, failing_write;
    bool taken; /* by another conductor */
    mu_time failing_since;
    uint64_t writes, errors;
    double write_seconds;
    char error[512];
    size_t lost;
    void (*closed)(void *ctx, size_t lost);
    void *closed_ctx;
};

static bool is_read(const struct mu_store_job *job)
{
    return job->kind == MU_JOB_EVENTS || job->kind == MU_JOB_PAYLOAD;
}

static bool is_write(const struct mu_store_job *job)
{
    return job->kind == MU_JOB_COMMIT || job->kind == MU_JOB_CHECKPOINT || job->kind == MU_JOB_TRIM;
}

static bool is_passing(int rv)
{
    return rv == MU_EAGAIN || rv == MU_ENOMEM;
}

/* ---- the queue, on the loop's thread ---- */

static void pump(struct mu_store *store);

static struct mu_store_job *job_new(struct mu_store *store, enum mu_store_kind kind, void *ctx)
{
    struct mu_store_job *job = mu_alloc(sizeof(*job));

    if (!job)
        return NULL;
    job->store = store;
    job->engine = store->engine;
    job->kind = kind;
    job->ctx = ctx;
    mu_buf_init(&job->text, 0);
    return job;
}

static void push(struct mu_store *store, struct mu_store_job *job)
{
    job->next = NULL;
    *store->last = job;
    store->last = &job->next;
}

static void push_front(struct mu_store *store, struct mu_store_job *job)
{
    job->next = store->first;
    store->first = job;
    if (!job->next)
        store->last = &job->next;
}

static struct mu_store_job *pop(struct mu_store *store)
{
    struct mu_store_job *job = store->first;

    if (job) {
        store->first = job->next;
        if (!store->first)
            store->last = &store->first;
    }
    return job;
}

static void call_done(struct mu_store_job *job, int rv, const struct mu_err *err)
{
    if (job->kind == MU_JOB_EVENTS)
        job->u.events.done(job->ctx, rv, rv ? NULL : job->u.events.rows, rv ? 0 : job->u.events.n,
                           rv ? NULL : &job->u.events.span, err);
    else if (job->kind == MU_JOB_PAYLOAD)
        job->u.payload.done(job->ctx, rv, rv ? "" : mu_buf_text(&job->text), err);
    else if (job->done)
        job->done(job->ctx, rv, err);
}

/* Calls back, so it comes last. */
static void answer(struct mu_store *store, struct mu_store_job *job, int rv)
{
    store->njobs--;
    if (job->answered) {
        mu_store_job_free(job);
        return;
    }
    store->nreads -= is_read(job);
    if (rv && rv != job->err.code)
        mu_err_set(&job->err, rv, "store %s: %s", job->engine->addr.text,
                   rv == MU_ECLOSED ? "closed" : "away");
    call_done(job, rv, rv ? &job->err : NULL);
    mu_store_job_free(job);
}

/* Answers all that waits (@all), or the reads among it. */
static void answer_waiting(struct mu_store *store, bool all, int rv)
{
    struct mu_store_job *waiting = store->first, *next;

    store->first = NULL;
    store->last = &store->first;
    struct mu_store_job *answered = NULL, **last = &answered;
    for (struct mu_store_job *job = waiting; job; job = next) {
        next = job->next;
        job->next = NULL;
        if (all || is_read(job)) {
            *last = job;
            last = &job->next;
        } else {
            push(store, job);
        }
    }
    for (struct mu_store_job *job = answered; job; job = next) {
        next = job->next;
        store->lost += is_write(job) && rv == MU_ECLOSED;
        answer(store, job, rv);
    }
}

/* ---- how it goes ---- */

static void note_failure(struct mu_store *store, const struct mu_store_job *job)
{
    store->errors++;
    if (is_read(job) && !is_passing(job->rv) && job->rv != MU_ELOCKED)
        return; /* what it wanted is spoilt: nothing that a pause or a write would mend */
    if (!store->failing)
        store->failing_since = store->started;
    store->failing = true;
    store->taken = store->taken || job->rv == MU_ELOCKED;
    store->failing_write = store->failing_write || is_write(job);
    memcpy(store->error, job->err.text, sizeof(store->error) - 1);
    store->error[sizeof(store->error) - 1] = '\0';
}

static enum mu_stat stat_of(const struct mu_store_job *job)
{
    switch (job->kind) {
    case MU_JOB_COMMIT:
        return MU_STAT_COMMIT;
    case MU_JOB_CHECKPOINT:
        return MU_STAT_CHECKPOINT;
    case MU_JOB_TRIM:
        return MU_STAT_TRIM;
    default:
        return MU_STATS;
    }
}

/* A read that succeeds says nothing about a disk that is full. */
static void note_success(struct mu_store *store, const struct mu_store_job *job)
{
    double seconds = (double)job->took / (double)MU_SEC;

    store->lost_connection = false;
    store->pause = PAUSE_FIRST;
    if (is_write(job))
        store->writes++;
    if (job->kind == MU_JOB_COMMIT)
        store->write_seconds = seconds;
    if (stat_of(job) != MU_STATS)
        mu_stat_observe(stat_of(job), seconds);
    if (store->failing_write && !is_write(job))
        return;
    store->failing = store->failing_write = false;
    store->error[0] = '\0';
}

static void pause_now(struct mu_store *store)
{
    store->pausing = true;
    mu_alarm_set(store->alarm, store->pause);
    store->pause = store->pause * 2 > PAUSE_MAX ? PAUSE_MAX : store->pause * 2;
}

static void on_worker_closed(void *ctx)
{
    struct mu_store *store = ctx;
    void (*closed)(void *closed_ctx, size_t lost) = store->closed;
    void *closed_ctx = store->closed_ctx;
    size_t lost = store->lost;

    mu_free(store);
    if (closed)
        closed(closed_ctx, lost);
}

static void free_alarms(struct mu_store *store)
{
    mu_alarm_free(store->alarm);
    mu_alarm_free(store->limit);
}

static void finish_failed(struct mu_store *store, struct mu_store_job *job)
{
    note_failure(store, job);
    store->lost_connection = true;
    pause_now(store);
    if (is_write(job))
        push_front(store, job);
    answer_waiting(store, false, MU_EAGAIN);
    if (!is_write(job))
        answer(store, job, job->rv);
}

static void on_done(struct mu_job *base)
{
    struct mu_store_job *job = MU_CONTAINER_OF(base, struct mu_store_job, job);
    struct mu_store *store = job->store;

    store->running = store->engine->running = NULL;
    store->stuck = false;
    mu_alarm_stop(store->alarm);
    if (job->kind == MU_JOB_CLOSE) {
        mu_store_job_free(job);
        mu_engine_free(store->engine);
        free_alarms(store);
        mu_worker_close(store->worker, on_worker_closed, store);
        return;
    }
    if (is_passing(job->rv)) {
        finish_failed(store, job);
        return;
    }
    if (job->rv)
        note_failure(store, job);
    else
        note_success(store, job);
    if (job->kind == MU_JOB_TRIM && !job->rv && job->u.trim.more) {
        push(store, job);
        job = NULL;
    }
    pump(store);
    if (job)
        answer(store, job, job->rv);
}

static void run(struct mu_job *base)
{
    mu_store_job_run(MU_CONTAINER_OF(base, struct mu_store_job, job));
}

static void start(struct mu_store *store, struct mu_store_job *job)
{
    job->job.run = run;
    job->job.done = on_done;
    job->reopen = store->lost_connection && job->kind != MU_JOB_CLOSE;
    store->running = store->engine->running = job;
    store->started = mu_clock_now();
    mu_alarm_set(store->alarm, STUCK);
    mu_worker_give(store->worker, &job->job);
}

static void pump(struct mu_store *store)
{
    if (store->running || store->pausing)
        return;
    struct mu_store_job *job = pop(store);
    if (!job && store->closing)
        job = store->closer;
    if (job)
        start(store, job);
    else if (store->engine->driver->idle)
        mu_alarm_set(store->alarm, store->engine->driver->idle);
}

static void probe(struct mu_store *store)
{
    struct mu_store_job *job = job_new(store, MU_JOB_PROBE, NULL);

    if (!job) {
        pause_now(store);
        return;
    }
    store->njobs++;
    start(store, job);
}

/* A pause is over. With nothing to do, we still want to know whether the store is back. */
static void end_pause(struct mu_store *store)
{
    store->pausing = false;
    if (!store->first && !store->closing)
        probe(store);
    else
        pump(store);
}

static void give_up_read(struct mu_store *store, struct mu_store_job *job)
{
    struct mu_err err;

    job->answered = true;
    store->nreads--;
    mu_err_set(&err, MU_EAGAIN, "store %s: away", store->engine->addr.text);
    call_done(job, MU_EAGAIN, &err);
}

static void on_alarm(void *ctx)
{
    struct mu_store *store = ctx;

    if (store->pausing) {
        end_pause(store);
        return;
    }
    if (!store->running) {
        probe(store);
        return;
    }
    store->stuck = true;
    if (is_read(store->running))
        give_up_read(store, store->running);
    answer_waiting(store, false, MU_EAGAIN);
}

static void abandon(struct mu_store *store)
{
    if (is_read(store->running) && !store->running->answered)
        give_up_read(store, store->running);
    store->lost += is_write(store->running);
    if (store->running != store->closer)
        mu_store_job_free(store->closer);
    free_alarms(store);
    mu_worker_abandon(store->worker, mu_engine_orphaned, store->engine, on_worker_closed, store);
}

/* The patience is used up. What waits is lost; a driver that can still close does so; one that
 * hangs is left behind. */
static void on_limit(void *ctx)
{
    struct mu_store *store = ctx;

    answer_waiting(store, true, MU_ECLOSED);
    if (store->graced || (store->running && store->running->kind != MU_JOB_CLOSE)) {
        abandon(store);
        return;
    }
    store->graced = true;
    mu_alarm_set(store->limit, CLOSE_GRACE);
    store->pausing = false;
    pump(store);
}

/* ---- the calls ---- */

static const struct mu_store_driver *const drivers[] = {&mu_store_memory, &mu_store_sqlite};

/* Schemes of URLs whose driver is a plugin, and its name. */
static const char *const plugins[][2] = {{"postgresql", "postgresql"},
                                         {"postgres", "postgresql"},
                                         {"mysql", "mysql"},
                                         {"mariadb", "mysql"}};

int mu_store_driver_for(const struct mu_addr *addr, const struct mu_store_driver **out,
                        struct mu_err *err)
{
    const void *driver;

    for (size_t i = 0; i < MU_ARRAY_LEN(drivers); i++) {
        if (strcmp(addr->scheme, drivers[i]->scheme) == 0) {
            *out = drivers[i];
            return 0;
        }
    }
    for (size_t i = 0; i < MU_ARRAY_LEN(plugins); i++) {
        if (strcmp(addr->scheme, plugins[i][0]) != 0)
            continue;
        int rv = mu_plugin_load("store", plugins[i][1], MU_STORE_ABI, &driver, err);
        if (rv) /* not "no such database" */
            return mu_err_wrap(err, rv == MU_ENOENT ? MU_EINVAL : rv, "store %s", addr->text);
        *out = driver;
        return 0;
    }
    return mu_err_set(err, MU_EINVAL,
                      "store %s: no such kind; there are sqlite:PATH, postgresql://HOST/DATABASE,"
                      " mysql://HOST/DATABASE and memory:",
                      addr->text);
}

static int engine_new(struct mu_engine **out, const struct mu_store_driver *driver,
                      const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
                      struct mu_err *err)
{
    struct mu_engine *engine = mu_alloc(sizeof(*engine));

    if (!engine)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    engine->driver = driver;
    engine->addr = *addr;
    engine->st = mu_alloc(driver->size);
    if (!engine->st) {
        mu_engine_free(engine);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    int rv = driver->open(engine->st, addr, may_migrate, boot, err);
    if (rv) {
        driver->close(engine->st);
        mu_engine_free(engine);
        return rv;
    }
    *out = engine;
    return 0;
}

/* The database comes first: what the loop has of ours is closed from the loop only, and an open
 * that fails leaves nothing there. */
int mu_store_open_driver(struct mu_store **out, struct uv_loop_s *loop,
                         const struct mu_store_driver *driver, const struct mu_addr *addr,
                         bool may_migrate, struct mu_boot *boot, struct mu_err *err)
{
    struct mu_store *store = mu_alloc(sizeof(*store));
    int rv;

    if (!store)
        return mu_err_set(err, MU_ENOMEM, "store %s: out of memory", addr->text);
    store->last = &store->first;
    store->pause = PAUSE_FIRST;
    rv = engine_new(&store->engine, driver, addr, may_migrate, boot, err);
    if (rv) {
        mu_free(store);
        return mu_err_wrap(err, rv, "store %s", addr->text);
    }
    rv = mu_worker_open(&store->worker, loop, "store", NICE, err);
    if (rv)
        goto no_worker;
    rv = mu_alarm_new(&store->alarm, loop, on_alarm, store);
    if (!rv)
        rv = mu_alarm_new(&store->limit, loop, on_limit, store);
    if (rv)
        goto no_alarm;
    rv = MU_ENOMEM;
    store->closer = job_new(store, MU_JOB_CLOSE, NULL);
    if (!store->closer)
        goto no_alarm;
    pump(store); /* nothing is there, but time begins to count */
    *out = store;
    return 0;

no_alarm:
    mu_err_set(err, rv, "out of memory");
    free_alarms(store);
    mu_worker_close(store->worker, NULL, NULL);
no_worker:
    driver->close(store->engine->st);
    mu_engine_free(store->engine);
    mu_free(store);
    return mu_err_wrap(err, rv, "store %s", addr->text);
}

int mu_store_open(struct mu_store **out, struct uv_loop_s *loop, const char *url, bool may_migrate,
                  struct mu_boot *boot, struct mu_err *err)
{
    struct mu_addr addr;
    const struct mu_store_driver *driver = NULL;
    int rv = mu_addr_parse(&addr, url, err);

    if (!rv)
        rv = mu_store_driver_for(&addr, &driver, err);
    if (rv)
        return rv;
    assert(driver);
    return mu_store_open_driver(out, loop, driver, &addr, may_migrate, boot, err);
}

int mu_store_load(struct mu_store *store, mu_store_row_fn each, void *ctx, struct mu_err *err)
{
    struct mu_engine *engine = store->engine;

    assert(store->njobs == 0); /* the worker rests: the engine is ours */
    int rv = engine->driver->load(engine->st, each, ctx, err);
    return rv ? mu_err_wrap(err, rv, "store %s: cannot read the agents", engine->addr.text) : 0;
}

static int new_job(struct mu_store_job **out, struct mu_store *store, enum mu_store_kind kind,
                   void *ctx)
{
    if (store->closing)
        return MU_ECLOSED;
    *out = job_new(store, kind, ctx);
    return *out ? 0 : MU_ENOMEM;
}

static void give(struct mu_store *store, struct mu_store_job *job)
{
    store->njobs++;
    store->nreads += is_read(job);
    push(store, job);
    pump(store);
}

int mu_store_commit(struct mu_store *store, const struct mu_batch *batch, mu_store_done_fn done,
                    void *ctx)
{
    struct mu_store_job *job;
    int rv = new_job(&job, store, MU_JOB_COMMIT, ctx);

    if (rv)
        return rv;
    job->u.commit.batch = *batch;
    job->done = done;
    give(store, job);
    return 0;
}

int mu_store_checkpoint(struct mu_store *store, const struct mu_beat_row *beats, size_t n,
                        mu_store_done_fn done, void *ctx)
{
    struct mu_store_job *job;
    int rv = new_job(&job, store, MU_JOB_CHECKPOINT, ctx);

    if (rv)
        return rv;
    job->u.checkpoint.beats = beats;
    job->u.checkpoint.n = n;
    job->done = done;
    give(store, job);
    return 0;
}

int mu_store_trim(struct mu_store *store, mu_wall before, uint64_t keep, mu_store_done_fn done,
                  void *ctx)
{
    struct mu_store_job *job;
    int rv = new_job(&job, store, MU_JOB_TRIM, ctx);

    if (rv)
        return rv;
    job->u.trim.which =
        (struct mu_trim){.before = before, .keep = keep, .slice = MU_STORE_TRIM_SLICE};
    job->done = done;
    give(store, job);
    return 0;
}

/* 0, or why a read is not even tried. */
static int may_read(const struct mu_store *store)
{
    if (store->failing || store->stuck)
        return MU_EAGAIN;
    return store->nreads >= READS_MAX ? MU_EFULL : 0;
}

int mu_store_events(struct mu_store *store, const struct mu_event_query *query,
                    mu_store_events_fn done, void *ctx)
{
    struct mu_store_job *job;
    int rv = may_read(store);

    if (!rv)
        rv = new_job(&job, store, MU_JOB_EVENTS, ctx);
    if (rv)
        return rv;
    job->u.events.query = *query;
    job->u.events.done = done;
    give(store, job);
    return 0;
}

int mu_store_payload(struct mu_store *store, uint32_t row, mu_store_payload_fn done, void *ctx)
{
    struct mu_store_job *job;
    int rv = may_read(store);

    if (!rv)
        rv = new_job(&job, store, MU_JOB_PAYLOAD, ctx);
    if (rv)
        return rv;
    job->u.payload.row = row;
    job->u.payload.done = done;
    give(store, job);
    return 0;
}

void mu_store_health(const struct mu_store *store, mu_time now, struct mu_store_health *out)
{
    mu_dur running = store->running ? now - store->started : 0;

    memset(out, 0, sizeof(*out));
    out->away = store->failing ? now - store->failing_since : running;
    out->ok = !store->failing && running < STUCK;
    out->taken = store->taken;
    out->jobs = store->njobs;
    out->writes = store->writes;
    out->errors = store->errors;
    out->write_seconds = store->write_seconds;
    if (store->failing)
        memcpy(out->error, store->error, sizeof(out->error));
    else if (!out->ok)
        snprintf(out->error, sizeof(out->error), "no answer for %.1f s",
                 (double)running / (double)MU_SEC);
}

void mu_store_close(struct mu_store *store, mu_dur patience, void (*closed)(void *ctx, size_t lost),
                    void *ctx)
{
    store->closing = true;
    store->closed = closed;
    store->closed_ctx = ctx;
    mu_alarm_set(store->limit, patience);
    pump(store);
}
