/* store.h - the front of the stores: one worker thread, a queue of jobs, answers on the loop.
 *
 * Jobs run in the order they were given, one at a time. A job that meets MU_EAGAIN is tried again
 * with a growing pause (100 ms to 5 s), the connection opened anew, until it succeeds or the store
 * is closed; final errors are answered. Jobs' callbacks run on the loop's thread, last in a
 * function. What a job borrows must stay until its callback has run. */
#ifndef MU_STORE_STORE_H
#define MU_STORE_STORE_H

#include "store/driver.h"

struct mu_store;
struct uv_loop_s;

typedef void (*mu_store_done_fn)(void *ctx, int rv, const struct mu_err *err);

/* Opens @url ("memory:", "sqlite:PATH") and begins a new life; blocks. @err says why not. */
int mu_store_open(struct mu_store **out, struct uv_loop_s *loop, const char *url, bool may_migrate,
                  struct mu_boot *boot, struct mu_err *err);

/* Hands over every row; blocks, so only before serving. */
int mu_store_load(struct mu_store *store, mu_store_row_fn each, void *ctx, struct mu_err *err);

/* Jobs. Each returns 0, and @done runs once; or MU_ENOMEM, and nothing happens. */
int mu_store_commit(struct mu_store *store, const struct mu_batch *batch, mu_store_done_fn done,
                    void *ctx);
int mu_store_checkpoint(struct mu_store *store, const struct mu_beat_row *beats, size_t n,
                        mu_store_done_fn done, void *ctx);

/* The events found, oldest first, and what is kept. Owned by the callback's caller. MU_EAGAIN at
 * once when the store is away: a reader does not wait for it. At most 16 reads may wait (MU_EFULL). */
typedef void (*mu_store_events_fn)(void *ctx, int rv, const struct mu_event_row *events, size_t n,
                                   const struct mu_event_span *span, const struct mu_err *err);
int mu_store_events(struct mu_store *store, const struct mu_event_query *query,
                    mu_store_events_fn done, void *ctx);
typedef void (*mu_store_payload_fn)(void *ctx, int rv, const char *json, const struct mu_err *err);
int mu_store_payload(struct mu_store *store, uint32_t row, mu_store_payload_fn done, void *ctx);
int mu_store_trim(struct mu_store *store, mu_wall before, uint64_t keep, mu_store_done_fn done,
                  void *ctx); /* in slices, between other jobs */
int mu_store_backup(struct mu_store *store, const char *path, mu_store_done_fn done, void *ctx);

struct mu_store_health {
    bool ok;           /* the last attempt succeeded */
    mu_dur away;       /* since when it has not answered or has failed: length; 0 = ok */
    size_t jobs;       /* waiting or running */
    char error[512];   /* why not; "" = ok */
    uint64_t writes, errors;
    double write_seconds; /* of the last commit */
};
void mu_store_health(const struct mu_store *store, mu_time now, struct mu_store_health *out);

/* Finishes what was given, at most for @patience, closes and joins the worker; @closed runs on the
 * loop, with how many jobs were not done. */
void mu_store_close(struct mu_store *store, mu_dur patience, void (*closed)(void *ctx, size_t lost),
                    void *ctx);

#endif
