#include "sim/agenda.h"

#include <stdbool.h>

#include "base/err.h"
#include "base/mem.h"

static bool before(const struct mu_item *a, const struct mu_item *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void mu_agenda_fini(struct mu_agenda *a)
{
    for (size_t i = 0; i < a->n; i++)
        mu_free(a->items[i].data);
    mu_free(a->items);
    *a = (struct mu_agenda){0};
}

int mu_agenda_add(struct mu_agenda *a, mu_time at, struct mu_item item)
{
    if (a->n == a->cap) {
        size_t cap = a->cap ? 2 * a->cap : 64;
        struct mu_item *items = mu_realloc(a->items, cap, sizeof(*items));
        if (!items) {
            mu_free(item.data);
            return MU_ENOMEM;
        }
        a->items = items;
        a->cap = cap;
    }
    item.at = at;
    item.order = ++a->order;
    size_t i = a->n++;
    for (; i > 0 && before(&item, &a->items[(i - 1) / 2]); i = (i - 1) / 2)
        a->items[i] = a->items[(i - 1) / 2];
    a->items[i] = item;
    return 0;
}

mu_time mu_agenda_next(const struct mu_agenda *a)
{
    return a->n ? a->items[0].at : MU_NEVER;
}

struct mu_item mu_agenda_take(struct mu_agenda *a)
{
    struct mu_item top = a->items[0], last = a->items[--a->n];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= a->n)
            break;
        if (child + 1 < a->n && before(&a->items[child + 1], &a->items[child]))
            child++;
        if (!before(&a->items[child], &last))
            break;
        a->items[i] = a->items[child];
        i = child;
    }
    if (a->n)
        a->items[i] = last;
    return top;
}
