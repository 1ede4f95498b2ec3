/* store.h - the front of the stores: one worker thread, a queue of jobs, answers on the loop.
 *
 * Jobs run in the order they were given, one at a time. A write that meets MU_EAGAIN or MU_ENOMEM
 * is tried again with a growing pause (100 ms to 5 s), the connection opened anew, until it
 * succeeds or the store is closed; final errors are answered. Jobs' callbacks run on the loop's
 * thread, last in a function, never from within the call. What a job borrows must stay until its
 * callback has run. All calls are the loop thread's. How many writes wait is bounded by who gives
 * them. */
#ifndef MU_STORE_STORE_H
#define MU_STORE_STORE_H

#include "store/driver.h"

struct mu_store;
struct uv_loop_s;

typedef void (*mu_store_done_fn)(void *ctx, int rv, const struct mu_err *err);

/* Opens @url ("memory:", "sqlite:PATH", "postgresql://HOST/DATABASE",
 * "mysql://HOST/DATABASE") and begins a new life;
 * blocks. @err says why not. */
int mu_store_open(struct mu_store **out, struct uv_loop_s *loop, const char *url, bool may_migrate,
                  struct mu_boot *boot, struct mu_err *err);

/* The same with a driver that is not in the table: a test's. */
int mu_store_open_driver(struct mu_store **out, struct uv_loop_s *loop,
                         const struct mu_store_driver *driver, const struct mu_addr *addr,
                         bool may_migrate, struct mu_boot *boot, struct mu_err *err);

/* The driver of a URL's scheme, built in or from a plugin. MU_EINVAL names those there are; why a
 * plugin cannot be had, base/plugin.h says. */
int mu_store_driver_for(const struct mu_addr *addr, const struct mu_store_driver **out,
                        struct mu_err *err);

/* Hands over every row; blocks, so only before serving. */
int mu_store_load(struct mu_store *store, mu_store_row_fn each, void *ctx, struct mu_err *err);

/* Jobs. Each returns 0, and @done runs once; or MU_ENOMEM, or MU_ECLOSED after mu_store_close(),
 * and nothing happens. */
int mu_store_commit(struct mu_store *store, const struct mu_batch *batch, mu_store_done_fn done,
                    void *ctx);
int mu_store_checkpoint(struct mu_store *store, const struct mu_beat_row *beats, size_t n,
                        mu_store_done_fn done, void *ctx);

/* The events found, oldest first, and what is kept; borrowed for the call. A reader does not wait
 * for a store that is away: MU_EAGAIN, from the call where that is known already, to @done when it
 * turns out so within 2 s. At most 16 reads may wait (MU_EFULL). @json "" = none. */
typedef void (*mu_store_events_fn)(void *ctx, int rv, const struct mu_event_row *events, size_t n,
                                   const struct mu_event_span *span, const struct mu_err *err);
int mu_store_events(struct mu_store *store, const struct mu_event_query *query,
                    mu_store_events_fn done, void *ctx);
typedef void (*mu_store_payload_fn)(void *ctx, int rv, const char *json, const struct mu_err *err);
int mu_store_payload(struct mu_store *store, uint32_t row, mu_store_payload_fn done, void *ctx);
#define MU_STORE_TRIM_SLICE 1000 /* events deleted before other jobs get their turn */
/* In slices, between other jobs; which events go is told at struct mu_trim. */
int mu_store_trim(struct mu_store *store, mu_wall before, uint64_t keep, mu_store_done_fn done,
                  void *ctx);

struct mu_store_health {
    bool ok;         /* the last attempt succeeded, and none has been running for 2 s */
    bool taken;      /* another conductor has taken the database over: nothing is stored any more */
    mu_dur away;     /* how long it has failed, or a job has been running; 0 = neither */
    size_t jobs;     /* waiting or running */
    char error[512]; /* why not; "" = ok */
    uint64_t writes, errors;
    double write_seconds; /* of the last commit */
};
void mu_store_health(const struct mu_store *store, mu_time now, struct mu_store_health *out);

/* Finishes what was given, at most for @patience; closes the database. Writes that are still not
 * done are answered MU_ECLOSED and counted in @lost. A call that hangs even then is left behind:
 * its thread goes on by itself, and what its job borrowed is never given back. @closed runs on the
 * loop, last; the store's memory is gone by then. */
void mu_store_close(struct mu_store *store, mu_dur patience, void (*closed)(void *ctx, size_t lost),
                    void *ctx);

#endif
