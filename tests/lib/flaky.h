/* flaky.h - a store in memory that freezes, fails, or commits and then says that it has not.
 *
 * There is one plan for all of them, since the front hides a driver's state. */
#ifndef TEST_LIB_FLAKY_H
#define TEST_LIB_FLAKY_H

#include <pthread.h>

#include "lib/test.h"
#include "store/drivers.h"

enum flaky_call {
    ON_OPEN,
    ON_COMMIT,
    ON_CHECKPOINT,
    ON_EVENTS,
    ON_TRIM,
    ON_PING,
    ON_CLOSE,
    ON_CALLS
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct {
        int code;       /* what it fails with; 0 = it does not */
        unsigned times; /* how often it still fails */
        bool after;     /* having done its work */
        bool frozen;
        unsigned begun, ended;
    } on[ON_CALLS];
    size_t nrows, nverdicts; /* of the last commit */
} flaky = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static inline void flaky_reset(void)
{
    pthread_mutex_lock(&flaky.lock);
    memset(flaky.on, 0, sizeof(flaky.on));
    pthread_mutex_unlock(&flaky.lock);
}

static inline void flaky_fail(enum flaky_call call, int code, unsigned times, bool after)
{
    pthread_mutex_lock(&flaky.lock);
    flaky.on[call].code = code;
    flaky.on[call].times = times;
    flaky.on[call].after = after;
    pthread_mutex_unlock(&flaky.lock);
}

static inline void flaky_freeze(enum flaky_call call, bool frozen)
{
    pthread_mutex_lock(&flaky.lock);
    flaky.on[call].frozen = frozen;
    pthread_cond_broadcast(&flaky.moved);
    pthread_mutex_unlock(&flaky.lock);
}

/* Waits until the store has begun (@ended: finished) its @n-th such call. */
static inline void flaky_await(enum flaky_call call, unsigned n, bool ended)
{
    pthread_mutex_lock(&flaky.lock);
    while ((ended ? flaky.on[call].ended : flaky.on[call].begun) < n)
        pthread_cond_wait(&flaky.moved, &flaky.lock);
    pthread_mutex_unlock(&flaky.lock);
}

static inline unsigned flaky_count(enum flaky_call call)
{
    pthread_mutex_lock(&flaky.lock);
    unsigned n = flaky.on[call].ended;
    pthread_mutex_unlock(&flaky.lock);
    return n;
}

/* Returns the code to fail with before the work, or 0. */
static inline int flaky_enter(enum flaky_call call)
{
    int rv = 0;

    pthread_mutex_lock(&flaky.lock);
    flaky.on[call].begun++;
    pthread_cond_broadcast(&flaky.moved);
    while (flaky.on[call].frozen)
        pthread_cond_wait(&flaky.moved, &flaky.lock);
    if (flaky.on[call].times && !flaky.on[call].after) {
        flaky.on[call].times--;
        rv = flaky.on[call].code;
    }
    pthread_mutex_unlock(&flaky.lock);
    return rv;
}

static inline int flaky_leave(enum flaky_call call, int rv, struct mu_err *err)
{
    pthread_mutex_lock(&flaky.lock);
    if (!rv && flaky.on[call].times && flaky.on[call].after) {
        flaky.on[call].times--;
        rv = flaky.on[call].code;
    }
    flaky.on[call].ended++;
    pthread_cond_broadcast(&flaky.moved);
    pthread_mutex_unlock(&flaky.lock);
    return rv ? mu_err_set(err, rv, "flaky") : 0;
}

#define FLAKY(call, work)                                                                          \
    int rv = flaky_enter(call);                                                                    \
    return flaky_leave((call), rv ? rv : (work), err)

static int flaky_open(void *st, const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
                      struct mu_err *err)
{
    FLAKY(ON_OPEN, mu_store_memory.open(st, addr, may_migrate, boot, err));
}

static void flaky_close(void *st)
{
    flaky_enter(ON_CLOSE);
    mu_store_memory.close(st);
    flaky_leave(ON_CLOSE, 0, NULL);
}

static int flaky_load(void *st, mu_store_row_fn each, void *ctx, struct mu_err *err)
{
    return mu_store_memory.load(st, each, ctx, err);
}

static int flaky_commit(void *st, const struct mu_batch *batch, struct mu_err *err)
{
    pthread_mutex_lock(&flaky.lock);
    flaky.nrows = batch->nrows;
    flaky.nverdicts = batch->nverdicts;
    pthread_mutex_unlock(&flaky.lock);
    FLAKY(ON_COMMIT, mu_store_memory.commit(st, batch, err));
}

static int flaky_checkpoint(void *st, const struct mu_beat_row *beats, size_t n, struct mu_err *err)
{
    FLAKY(ON_CHECKPOINT, mu_store_memory.checkpoint(st, beats, n, err));
}

static int flaky_events(void *st, const struct mu_event_query *query, struct mu_event_span *span,
                        mu_store_event_fn each, void *ctx, struct mu_err *err)
{
    FLAKY(ON_EVENTS, mu_store_memory.events(st, query, span, each, ctx, err));
}

static int flaky_payload(void *st, uint32_t row, struct mu_buf *json, struct mu_err *err)
{
    return mu_store_memory.payload(st, row, json, err);
}

static int flaky_trim(void *st, const struct mu_trim *which, bool *more, struct mu_err *err)
{
    FLAKY(ON_TRIM, mu_store_memory.trim(st, which, more, err));
}

static int flaky_ping(void *st, struct mu_err *err)
{
    FLAKY(ON_PING, 0);
}

/* Its size is that of a store in memory, which is known at run time only. */
static inline struct mu_store_driver flaky_driver(void)
{
    return (struct mu_store_driver){.scheme = "flaky",
                                    .size = mu_store_memory.size,
                                    .open = flaky_open,
                                    .close = flaky_close,
                                    .load = flaky_load,
                                    .commit = flaky_commit,
                                    .checkpoint = flaky_checkpoint,
                                    .events = flaky_events,
                                    .payload = flaky_payload,
                                    .trim = flaky_trim,
                                    .ping = flaky_ping};
}

#endif
