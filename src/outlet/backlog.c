#include "outlet/backlog.h"

#include <string.h>

#include "base/mem.h"

#define CAP_FIRST 1024
#define CAP_KEPT  65536 /* more than this is freed when the ring is empty */

void mu_backlog_init(struct mu_backlog *backlog, size_t max)
{
    *backlog = (struct mu_backlog){.max = max};
}

void mu_backlog_fini(struct mu_backlog *backlog)
{
    for (size_t i = 0; i < backlog->n; i++)
        mu_event_unref(&backlog->at[(backlog->head + i) & (backlog->cap - 1)]);
    mu_free(backlog->at);
    *backlog = (struct mu_backlog){.max = backlog->max};
}

static int grow(struct mu_backlog *backlog)
{
    size_t cap = backlog->cap ? 2 * backlog->cap : CAP_FIRST, end = backlog->cap - backlog->head;
    struct mu_event *at = mu_calloc(cap, sizeof(*at));

    if (!at)
        return MU_ENOMEM;
    if (backlog->n) { /* it is full: what begins at head runs round the end */
        memcpy(at, backlog->at + backlog->head, end * sizeof(*at));
        memcpy(at + end, backlog->at, backlog->head * sizeof(*at));
    }
    mu_free(backlog->at);
    backlog->at = at;
    backlog->head = 0;
    backlog->cap = cap;
    return 0;
}

int mu_backlog_push(struct mu_backlog *backlog, const struct mu_event *event)
{
    if (backlog->n >= backlog->max)
        return MU_EFULL;
    if (backlog->n == backlog->cap && grow(backlog))
        return MU_ENOMEM;
    mu_event_ref(event);
    backlog->at[(backlog->head + backlog->n++) & (backlog->cap - 1)] = *event;
    return 0;
}

const struct mu_event *mu_backlog_first(const struct mu_backlog *backlog)
{
    return backlog->n ? &backlog->at[backlog->head] : NULL;
}

void mu_backlog_pop(struct mu_backlog *backlog)
{
    backlog->head = (backlog->head + 1) & (backlog->cap - 1);
    if (--backlog->n == 0 && backlog->cap > CAP_KEPT)
        mu_backlog_fini(backlog);
}
