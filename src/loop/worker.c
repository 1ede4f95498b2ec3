/* The happy path: give() links a job to the queue and signals; the thread takes it, runs it, and
 * posts it to the mailbox, from which the loop calls done().
 *
 * The way to fail: a job that never comes back. Then the loop sets .abandoned under the lock and
 * closes the mailbox; the thread, should it return, sees that under the same lock before it would
 * post, frees the worker and ends by itself. */
#include "loop/worker.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct mu_worker {
    pthread_t thread;
    int nicer;
    pthread_mutex_t lock; /* of all below, up to orphaned */
    pthread_cond_t wake;
    struct mu_mail *first, **last;
    bool stop;
    bool abandoned;
    void (*orphaned)(void *ctx);
    void *orphaned_ctx;

    struct mu_mailbox *box;
    size_t out; /* given and not handed back; the loop's */
};

static struct mu_job *job_of(struct mu_mail *mail)
{
    return MU_CONTAINER_OF(mail, struct mu_job, mail);
}

static void worker_free(struct mu_worker *worker)
{
    pthread_mutex_destroy(&worker->lock);
    pthread_cond_destroy(&worker->wake);
    mu_free(worker);
}

/* The next job, or NULL when there will be none. The lock is held. */
static struct mu_job *next_job(struct mu_worker *worker)
{
    while (!worker->first && !worker->stop && !worker->abandoned)
        pthread_cond_wait(&worker->wake, &worker->lock);
    if (worker->abandoned || !worker->first)
        return NULL;
    struct mu_mail *mail = worker->first;
    worker->first = mail->next;
    if (!worker->first)
        worker->last = &worker->first;
    return job_of(mail);
}

static void *work(void *arg)
{
    struct mu_worker *worker = arg;
    struct mu_job *job;

    (void)nice(worker->nicer); /* on Linux the calling thread's alone */
    pthread_mutex_lock(&worker->lock);
    while ((job = next_job(worker))) {
        pthread_mutex_unlock(&worker->lock);
        job->run(job);
        pthread_mutex_lock(&worker->lock);
        if (!worker->abandoned)
            mu_mailbox_post(worker->box, &job->mail);
    }
    bool abandoned = worker->abandoned;
    pthread_mutex_unlock(&worker->lock);
    if (abandoned) {
        void (*orphaned)(void *ctx) = worker->orphaned;
        void *ctx = worker->orphaned_ctx;
        worker_free(worker);
        if (orphaned)
            orphaned(ctx);
    }
    return NULL;
}

static void hand_back(void *ctx, struct mu_mail *mail)
{
    struct mu_worker *worker = ctx;
    struct mu_job *job = job_of(mail);

    worker->out--;
    job->done(job);
}

int mu_worker_open(struct mu_worker **out, struct uv_loop_s *loop, const char *name, int nicer,
                   struct mu_err *err)
{
    struct mu_worker *worker = mu_alloc(sizeof(*worker));

    if (!worker)
        return mu_err_set(err, MU_ENOMEM, "worker %s: out of memory", name);
    worker->last = &worker->first;
    worker->nicer = nicer;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->wake, NULL);
    int rv = mu_mailbox_open(&worker->box, loop, hand_back, worker);
    if (rv) {
        worker_free(worker);
        return mu_err_set(err, rv, "worker %s: cannot make its mailbox", name);
    }
    sigset_t all, before; /* the thread inherits the mask: signals are the loop's */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int no = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (no) {
        mu_mailbox_close(worker->box, NULL, NULL);
        worker_free(worker);
        return mu_err_set(err, MU_EIO, "worker %s: cannot start a thread: %s", name, strerror(no));
    }
    pthread_setname_np(worker->thread, name);
    *out = worker;
    return 0;
}

void mu_worker_give(struct mu_worker *worker, struct mu_job *job)
{
    job->mail.next = NULL;
    worker->out++;
    pthread_mutex_lock(&worker->lock);
    *worker->last = &job->mail;
    worker->last = &job->mail.next;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
}

void mu_worker_close(struct mu_worker *worker, void (*closed)(void *ctx), void *ctx)
{
    struct mu_mailbox *box = worker->box;

    assert(worker->out == 0);
    pthread_mutex_lock(&worker->lock);
    worker->stop = true;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    worker_free(worker);
    mu_mailbox_close(box, closed, ctx);
}

void mu_worker_abandon(struct mu_worker *worker, void (*orphaned)(void *ctx), void *orphaned_ctx,
                       void (*closed)(void *ctx), void *closed_ctx)
{
    struct mu_mailbox *box = worker->box;

    pthread_detach(worker->thread);
    pthread_mutex_lock(&worker->lock);
    worker->abandoned = true;
    worker->orphaned = orphaned;
    worker->orphaned_ctx = orphaned_ctx;
    pthread_cond_signal(&worker->wake);
    pthread_mutex_unlock(&worker->lock); /* from here on the worker is the thread's */
    mu_mailbox_close(box, closed, closed_ctx);
}
