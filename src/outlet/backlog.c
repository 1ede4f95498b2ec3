#include "outlet/backlog.h"

#include "base/mem.h"

#define USED_KEPT 65536 /* more than this is freed when the ring is empty */

void mu_backlog_init(struct mu_backlog *backlog, size_t max)
{
    *backlog = (struct mu_backlog){.max = max};
}

static size_t place(const struct mu_backlog *backlog, size_t i)
{
    i += backlog->head;
    return i < backlog->max ? i : i - backlog->max;
}

void mu_backlog_fini(struct mu_backlog *backlog)
{
    for (size_t i = 0; i < backlog->n; i++)
        mu_event_unref(&backlog->at[place(backlog, i)]);
    mu_free(backlog->at);
    mu_backlog_init(backlog, backlog->max);
}

int mu_backlog_push(struct mu_backlog *backlog, const struct mu_event *event)
{
    size_t i = place(backlog, backlog->n);

    if (backlog->n >= backlog->max)
        return MU_EFULL;
    if (!backlog->at)
        backlog->at = mu_calloc(backlog->max, sizeof(*backlog->at));
    if (!backlog->at)
        return MU_ENOMEM;
    mu_event_ref(event);
    backlog->at[i] = *event;
    backlog->n++;
    if (backlog->used <= i)
        backlog->used = i + 1;
    return 0;
}

const struct mu_event *mu_backlog_first(const struct mu_backlog *backlog)
{
    return backlog->n ? &backlog->at[backlog->head] : NULL;
}

void mu_backlog_pop(struct mu_backlog *backlog)
{
    backlog->head = place(backlog, 1);
    if (--backlog->n > 0)
        return;
    backlog->head = 0; /* what is used already is used again */
    if (backlog->used > USED_KEPT)
        mu_backlog_fini(backlog);
}
