#include "outlet/payloads.h"

#include <string.h>

#include "base/mem.h"

#define NONE UINT32_MAX

struct mu_waiting {
    struct mu_reported from;
    uint32_t len;
    char *json;
    uint32_t next, prev; /* in the queue, or among the free; NONE = the last, the first */
};

_Static_assert(sizeof(struct mu_waiting) <= MU_PAYLOAD_COST, "what an item costs");

static size_t cost(size_t n)
{
    return n + MU_PAYLOAD_COST;
}

static bool same_row(const void *ctx, uint32_t item, const void *key)
{
    const struct mu_payloads *payloads = ctx;

    return payloads->items[item].from.row == *(const uint32_t *)key;
}

static uint64_t hash_item(const void *ctx, uint32_t item)
{
    const struct mu_payloads *payloads = ctx;

    return mu_map_hash_id(payloads->items[item].from.row);
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
    item->from.row = row;
    rv = mu_map_put(&payloads->by_row, mu_map_hash_id(row), i);
    if (rv)
        return rv;
    payloads->free = free;
    *item = (struct mu_waiting){.from.row = row, .next = NONE, .prev = payloads->last};
    if (payloads->last == NONE)
        payloads->first = i;
    else
        payloads->items[payloads->last].next = i;
    payloads->last = i;
    *out = i;
    return 0;
}

static uint32_t find(const struct mu_payloads *payloads, uint32_t row)
{
    uint32_t i = mu_map_find(&payloads->by_row, mu_map_hash_id(row), &row);

    return i == MU_MAP_NONE ? NONE : i;
}

/* A copy of @json in the place of one that had cost @old. */
static int copy(struct mu_payloads *payloads, const char *json, size_t n, size_t old, char **out)
{
    if (cost(n) > payloads->max || payloads->bytes - old > payloads->max - cost(n))
        return MU_EFULL;
    *out = mu_alloc(n + 1);
    if (!*out)
        return MU_ENOMEM;
    memcpy(*out, json, n);
    return 0;
}

int mu_payloads_put(struct mu_payloads *payloads, const struct mu_reported *from, const char *json,
                    size_t n)
{
    uint32_t i = find(payloads, from->row);
    size_t old = i == NONE ? 0 : cost(payloads->items[i].len);
    char *text;
    int rv = copy(payloads, json, n, old, &text);

    if (rv)
        return rv;
    rv = i == NONE ? append(payloads, from->row, &i) : 0;
    if (rv) {
        mu_free(text);
        return rv;
    }
    struct mu_waiting *item = &payloads->items[i];
    mu_free(item->json);
    item->json = text;
    item->len = (uint32_t)n;
    item->from = *from;
    payloads->bytes += cost(n) - old;
    return 0;
}

int mu_payloads_copy(struct mu_payloads *payloads, uint32_t row, const char *json, size_t n,
                     struct mu_payload *out)
{
    char *text;
    int rv = copy(payloads, json, n, 0, &text);

    if (rv)
        return rv;
    payloads->bytes += cost(n);
    *out = (struct mu_payload){.row = row, .len = (uint32_t)n, .json = text};
    return 0;
}

static void take(struct mu_payloads *payloads, uint32_t i, struct mu_payload *out,
                 struct mu_reported *from)
{
    struct mu_waiting *item = &payloads->items[i];

    *from = item->from;
    *out = (struct mu_payload){.row = item->from.row, .len = item->len, .json = item->json};
    mu_map_del(&payloads->by_row, mu_map_hash_id(item->from.row), i);
    *(item->prev == NONE ? &payloads->first : &payloads->items[item->prev].next) = item->next;
    *(item->next == NONE ? &payloads->last : &payloads->items[item->next].prev) = item->prev;
    item->json = NULL;
    item->next = payloads->free;
    payloads->free = i;
}

bool mu_payloads_take(struct mu_payloads *payloads, struct mu_payload *out,
                      struct mu_reported *from)
{
    if (payloads->first == NONE)
        return false;
    take(payloads, payloads->first, out, from);
    return true;
}

bool mu_payloads_take_of(struct mu_payloads *payloads, uint32_t row, struct mu_payload *out,
                         struct mu_reported *from)
{
    uint32_t i = find(payloads, row);

    if (i == NONE)
        return false;
    take(payloads, i, out, from);
    return true;
}

size_t mu_payloads_len(const struct mu_payloads *payloads, uint32_t row)
{
    uint32_t i = find(payloads, row);

    return i == NONE ? 0 : payloads->items[i].len;
}

void mu_payloads_give_back(struct mu_payloads *payloads, const struct mu_payload *payload)
{
    payloads->bytes -= cost(payload->len);
    mu_free((char *)payload->json);
}

bool mu_payloads_empty(const struct mu_payloads *payloads)
{
    return payloads->first == NONE;
}
