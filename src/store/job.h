/* job.h - one call of a driver as a value, and what the worker's thread touches. Private to the
 * front.
 *
 * Between start and done a job and the engine are the worker's; else the loop's. */
#ifndef MU_STORE_JOB_H
#define MU_STORE_JOB_H

#include "loop/worker.h"
#include "store/store.h"

/* A PROBE only looks whether there is a connection, and makes a lost one anew; CLOSE is the last
 * job of all. */
enum mu_store_kind {
    MU_JOB_COMMIT,
    MU_JOB_CHECKPOINT,
    MU_JOB_TRIM,
    MU_JOB_EVENTS,
    MU_JOB_PAYLOAD,
    MU_JOB_PROBE,
    MU_JOB_CLOSE
};

/* What the worker's thread touches: the driver's state, and the job that is running. */
struct mu_engine {
    const struct mu_store_driver *driver;
    struct mu_addr addr;
    struct mu_store_job *running;
    void *st;
};

struct mu_store_job {
    struct mu_job job;
    struct mu_store_job *next;
    struct mu_store *store; /* the loop's only */
    struct mu_engine *engine;
    enum mu_store_kind kind;
    bool reopen;
    bool answered; /* a read that was given up while it ran */
    int rv;
    struct mu_err err;
    mu_dur took;
    void *ctx;
    union {
        struct {
            struct mu_batch batch;
        } commit;
        struct {
            const struct mu_beat_row *beats;
            size_t n;
        } checkpoint;
        struct {
            struct mu_trim which;
            bool more;
        } trim;
        struct {
            struct mu_event_query query;
            struct mu_event_span span;
            struct mu_event_row *rows;
            size_t n, cap;
            mu_store_events_fn done;
        } events;
        struct {
            uint32_t row;
            mu_store_payload_fn done;
        } payload;
    } u;
    mu_store_done_fn done; /* of writes */
    struct mu_buf text;    /* of reads: the strings of the answer */
};

/* Opens the connection anew where .reopen says so, calls the driver; .rv, .err, .took and the
 * answer are set. Any thread, one at a time an engine. */
void mu_store_job_run(struct mu_store_job *job);
void mu_store_job_free(struct mu_store_job *job);

/* Closes nothing. */
void mu_engine_free(struct mu_engine *engine);
/* For the thread that was left behind: closes the database, frees engine and running job. */
void mu_engine_orphaned(void *engine);

#endif
