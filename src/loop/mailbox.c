#include "loop/mailbox.h"

#include <pthread.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"

struct mu_mailbox {
    uv_async_t async;
    pthread_mutex_t lock; /* of first and last */
    struct mu_mail *first, **last;
    mu_mail_fn fn;
    void *ctx;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* One wake-up may stand for many posts, so all that is there is taken at once. */
static void on_async(uv_async_t *async)
{
    struct mu_mailbox *box = MU_CONTAINER_OF(async, struct mu_mailbox, async);

    pthread_mutex_lock(&box->lock);
    struct mu_mail *mail = box->first;
    box->first = NULL;
    box->last = &box->first;
    pthread_mutex_unlock(&box->lock);

    while (mail && !uv_is_closing((uv_handle_t *)async)) {
        struct mu_mail *next = mail->next;
        box->fn(box->ctx, mail);
        mail = next;
    }
}

int mu_mailbox_open(struct mu_mailbox **out, struct uv_loop_s *loop, mu_mail_fn fn, void *ctx)
{
    struct mu_mailbox *box = mu_alloc(sizeof(*box));

    if (!box)
        return MU_ENOMEM;
    if (uv_async_init(loop, &box->async, on_async)) {
        mu_free(box);
        return MU_EIO;
    }
    pthread_mutex_init(&box->lock, NULL);
    box->last = &box->first;
    box->fn = fn;
    box->ctx = ctx;
    *out = box;
    return 0;
}

void mu_mailbox_post(struct mu_mailbox *box, struct mu_mail *mail)
{
    mail->next = NULL;
    pthread_mutex_lock(&box->lock);
    *box->last = mail;
    box->last = &mail->next;
    pthread_mutex_unlock(&box->lock);
    uv_async_send(&box->async);
}

static void on_closed(uv_handle_t *handle)
{
    struct mu_mailbox *box = MU_CONTAINER_OF((uv_async_t *)handle, struct mu_mailbox, async);
    void (*closed)(void *ctx) = box->closed;
    void *ctx = box->closed_ctx;

    pthread_mutex_destroy(&box->lock);
    mu_free(box);
    if (closed)
        closed(ctx);
}

void mu_mailbox_close(struct mu_mailbox *box, void (*closed)(void *ctx), void *ctx)
{
    box->closed = closed;
    box->closed_ctx = ctx;
    uv_close((uv_handle_t *)&box->async, on_closed);
}
