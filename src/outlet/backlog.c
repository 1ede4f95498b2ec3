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

/* Where much memory is in use, to enlarge it moves pages and copies nothing. It is full: what
 * begins at head runs round the end; the shorter one of its two parts is moved. */
static int grow(struct mu_backlog *backlog)
{
    size_t old = backlog->cap, cap = old ? 2 * old : CAP_FIRST, end = old - backlog->head;
    struct mu_event *at = mu_realloc(backlog->at, cap, sizeof(*at));

    if (!at)
        return MU_ENOMEM;
    if (backlog->head <= end) {
        memcpy(at + old, at, backlog->head * sizeof(*at));
    } else {
        memcpy(at + cap - end, at + backlog->head, end * sizeof(*at));
        backlog->head = cap - end;
    }
    backlog->at = at;
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
