#include "outlet/payloads.h"

#include <string.h>

#include "base/mem.h"

#define NONE UINT32_MAX

struct mu_waiting {
    uint32_t row, len;
    char *json;
    uint32_t next; /* in the queue, or among the free; NONE = the last */
};

static bool same_row(const void *ctx, uint32_t item, const void *key)
{
    const struct mu_payloads *payloads = ctx;

    return payloads->items[item].row == *(const uint32_t *)key;
}

static uint64_t hash_item(const void *ctx, uint32_t item)
{
    const struct mu_payloads *payloads = ctx;

    return mu_map_hash_id(payloads->items[item].row);
}

void mu_payloads_init(struct mu_payloads *payloads, size_t max)
{
    *payloads = (struct mu_payloads){.first = NONE, .last = NONE, .free = NONE, .max = max};
    mu_map_init(&payloads->by_row, same_row, hash_item, payloads);
}

void mu_payloads_fini(struct mu_payloads *payloads)
{
    for (uint32_t i = payloads->first; i != NONE; i = payloads->items[i].next)
        mu_free(payloads->items[i].json);
    mu_free(payloads->items);
    mu_map_fini(&payloads->by_row);
}

static int more_items(struct mu_payloads *payloads)
{
    uint32_t n = payloads->n ? 2 * payloads->n : 64;
    struct mu_waiting *items = mu_realloc(payloads->items, n, sizeof(*items));

    if (!items)
        return MU_ENOMEM;
    for (uint32_t i = payloads->n; i < n; i++)
        items[i] = (struct mu_waiting){.next = i + 1 < n ? i + 1 : NONE};
    payloads->items = items;
    payloads->free = payloads->n;
    payloads->n = n;
    return 0;
}

/* A new item at the end of the queue; its payload is not set. */
static int append(struct mu_payloads *payloads, uint32_t row, uint32_t *out)
{
    int rv = payloads->free == NONE ? more_items(payloads) : 0;

    if (rv)
        return rv;
    uint32_t i = payloads->free;
    struct mu_waiting *item = &payloads->items[i];
    uint32_t free = item->next;
    item->row = row;
    rv = mu_map_put(&payloads->by_row, mu_map_hash_id(row), i);
    if (rv)
        return rv;
    payloads->free = free;
    *item = (struct mu_waiting){.row = row, .next = NONE};
    if (payloads->last == NONE)
        payloads->first = i;
    else
        payloads->items[payloads->last].next = i;
    payloads->last = i;
    *out = i;
    return 0;
}

int mu_payloads_put(struct mu_payloads *payloads, uint32_t row, const char *json, size_t n)
{
    uint32_t i = mu_map_find(&payloads->by_row, mu_map_hash_id(row), &row);
    size_t old = i == MU_MAP_NONE ? 0 : payloads->items[i].len;

    if (n > payloads->max || payloads->bytes - old > payloads->max - n)
        return MU_EFULL;
    char *copy = mu_alloc(n + 1);
    if (!copy)
        return MU_ENOMEM;
    memcpy(copy, json, n);
    int rv = i == MU_MAP_NONE ? append(payloads, row, &i) : 0;
    if (rv) {
        mu_free(copy);
        return rv;
    }
    mu_free(payloads->items[i].json);
    payloads->items[i].json = copy;
    payloads->items[i].len = (uint32_t)n;
    payloads->bytes += n - old;
    return 0;
}

bool mu_payloads_take(struct mu_payloads *payloads, uint32_t end, struct mu_payload *out)
{
    uint32_t i = payloads->first;

    if (i == NONE || payloads->items[i].row >= end)
        return false;
    struct mu_waiting *item = &payloads->items[i];
    *out = (struct mu_payload){.row = item->row, .len = item->len, .json = item->json};
    mu_map_del(&payloads->by_row, mu_map_hash_id(item->row), i);
    payloads->first = item->next;
    if (payloads->first == NONE)
        payloads->last = NONE;
    item->json = NULL;
    item->next = payloads->free;
    payloads->free = i;
    return true;
}

void mu_payloads_give_back(struct mu_payloads *payloads, const struct mu_payload *payload)
{
    payloads->bytes -= payload->len;
    mu_free((char *)payload->json);
}

bool mu_payloads_empty(const struct mu_payloads *payloads)
{
    return payloads->first == NONE;
}
