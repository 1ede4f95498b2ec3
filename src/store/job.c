#include "store/job.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/words.h"

static int keep_event(void *ctx, const struct mu_event_row *event)
{
    struct mu_store_job *job = ctx;
    const bool whole = mu_words_object(event->detail, true);
    const char *const words[] = {event->kind,
                                 event->from,
                                 event->to,
                                 event->reason,
                                 event->agent,
                                 event->uuid,
                                 whole ? event->detail : "{\"damaged\":true}"};

    if (job->u.events.n == job->u.events.cap) {
        size_t cap = job->u.events.cap ? 2 * job->u.events.cap : 64;
        void *rows = mu_realloc(job->u.events.rows, cap, sizeof(*event));
        if (!rows)
            return MU_ENOMEM;
        job->u.events.rows = rows;
        job->u.events.cap = cap;
    }
    job->u.events.rows[job->u.events.n++] =
        (struct mu_event_row){.seq = event->seq, .at = event->at};
    for (size_t i = 0; i < MU_ARRAY_LEN(words); i++)
        mu_buf_put(&job->text, words[i], strlen(words[i]) + 1);
    return job->text.failed;
}

/* The text has stopped growing: its strings lie one behind the other in the order kept. */
static void point_events(struct mu_store_job *job)
{
    const char *p = (const char *)job->text.data;

    for (size_t i = 0; i < job->u.events.n; i++) {
        struct mu_event_row *row = &job->u.events.rows[i];
        const char **const words[] = {&row->kind,  &row->from, &row->to,    &row->reason,
                                      &row->agent, &row->uuid, &row->detail};
        for (size_t w = 0; w < MU_ARRAY_LEN(words); w++) {
            *words[w] = p;
            p += strlen(p) + 1;
        }
    }
}

static int run_events(struct mu_store_job *job, struct mu_engine *engine)
{
    int rv = engine->driver->events(engine->st, &job->u.events.query, &job->u.events.span,
                                    keep_event, job, &job->err);

    if (!rv)
        point_events(job);
    return rv;
}

static int by_row(const void *a, const void *b)
{
    uint32_t x = ((const struct mu_verdict *)a)->row, y = ((const struct mu_verdict *)b)->row;

    return (x > y) - (x < y);
}

/* Neighbours share a page of the database. Here, since the worker's time is not the loop's. */
static void sort_verdicts(struct mu_batch *batch)
{
    if (batch->nverdicts)
        qsort(batch->verdicts, batch->nverdicts, sizeof(*batch->verdicts), by_row);
}

static int run_driver(struct mu_store_job *job)
{
    struct mu_engine *engine = job->engine;
    const struct mu_store_driver *driver = engine->driver;
    int rv = 0;

    if (job->reopen)
        rv = driver->open(engine->st, &engine->addr, false, NULL, &job->err);
    if (rv)
        return rv;
    switch (job->kind) {
    case MU_JOB_COMMIT:
        sort_verdicts(&job->u.commit.batch);
        return driver->commit(engine->st, &job->u.commit.batch, &job->err);
    case MU_JOB_CHECKPOINT:
        return driver->checkpoint(engine->st, job->u.checkpoint.beats, job->u.checkpoint.n,
                                  &job->err);
    case MU_JOB_TRIM:
        return driver->trim(engine->st, &job->u.trim.which, &job->u.trim.more, &job->err);
    case MU_JOB_EVENTS:
        return run_events(job, engine);
    case MU_JOB_PAYLOAD:
        return driver->payload(engine->st, job->u.payload.row, &job->text, &job->err);
    case MU_JOB_PROBE:
        return driver->idle ? driver->ping(engine->st, &job->err) : 0;
    case MU_JOB_CLOSE:
        driver->close(engine->st);
        return 0;
    }
    return 0;
}

void mu_store_job_run(struct mu_store_job *job)
{
    mu_time start = mu_clock_now();

    job->err.code = 0;
    job->err.text[0] = '\0';
    job->rv = run_driver(job);
    if (job->rv)
        mu_err_wrap(&job->err, job->rv, "store %s", job->engine->addr.text);
    job->took = mu_clock_now() - start;
}

void mu_engine_free(struct mu_engine *engine)
{
    mu_free(engine->st);
    mu_free(engine);
}

/* The call that hung has come back, and nobody waits for it any more. */
void mu_engine_orphaned(void *ctx)
{
    struct mu_engine *engine = ctx;

    if (engine->running->kind != MU_JOB_CLOSE)
        engine->driver->close(engine->st);
    mu_store_job_free(engine->running);
    mu_engine_free(engine);
}

void mu_store_job_free(struct mu_store_job *job)
{
    if (job->kind == MU_JOB_EVENTS)
        mu_free(job->u.events.rows);
    mu_buf_fini(&job->text);
    mu_free(job);
}
