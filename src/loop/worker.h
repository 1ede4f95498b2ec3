/* worker.h - one thread that runs jobs in the order given, and hands each back to the loop. */
#ifndef MU_LOOP_WORKER_H
#define MU_LOOP_WORKER_H

#include "base/clock.h"
#include "base/err.h"
#include "loop/mailbox.h"

struct mu_job {
    struct mu_mail mail;              /* the worker's, until done() */
    void (*run)(struct mu_job *job);  /* on the worker's thread; may block */
    void (*done)(struct mu_job *job); /* on the loop's thread; the job is the giver's again */
};

struct mu_worker;

/* @name, at most 15 characters, is what ps and gdb show. By @nicer, 0 to 19, the thread is nicer
 * than its opener's. Returns 0, MU_ENOMEM or MU_EIO. */
int mu_worker_open(struct mu_worker **out, struct uv_loop_s *loop, const char *name, int nicer,
                   struct mu_err *err);

/* On the loop's thread. */
void mu_worker_give(struct mu_worker *worker, struct mu_job *job);

/* On the loop's thread, when every job given has been handed back: joins the thread. @closed runs
 * from the loop. */
void mu_worker_close(struct mu_worker *worker, void (*closed)(void *ctx), void *ctx);

/* Gives up a worker whose job does not come back: the thread is let go, and done() runs no more for
 * what it has. Should the job ever return, @orphaned runs on that thread, last, and may be before
 * @closed, which runs from the loop. */
void mu_worker_abandon(struct mu_worker *worker, void (*orphaned)(void *ctx), void *orphaned_ctx,
                       void (*closed)(void *ctx), void *closed_ctx);

#endif
