#include "fleet/order.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

struct mu_leaf {
    uint32_t n; /* at least 1 */
    uint32_t slots[MU_ORDER_LEAF];
};

struct place {
    size_t leaf, at;
};

void mu_order_init(struct mu_order *order, mu_order_cmp_fn cmp, const void *ctx)
{
    *order = (struct mu_order){.cmp = cmp, .ctx = ctx};
}

void mu_order_fini(struct mu_order *order)
{
    for (size_t i = 0; i < order->n; i++)
        mu_free(order->leaves[i]);
    mu_free(order->leaves);
}

/* The leaf that @key is in, or would be put into: the last that does not begin after it. */
static size_t find_leaf(const struct mu_order *order, const void *key)
{
    size_t low = 0, high = order->n;

    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;

        if (order->cmp(order->ctx, order->leaves[mid]->slots[0], key) <= 0)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* The first place whose name is not less than @key; it may be one past its leaf's end. */
static struct place find_place(const struct mu_order *order, const void *key)
{
    struct place p = {.leaf = find_leaf(order, key)};
    size_t high;

    if (p.leaf >= order->n)
        return p;
    high = order->leaves[p.leaf]->n;
    while (p.at < high) {
        size_t mid = p.at + (high - p.at) / 2;

        if (order->cmp(order->ctx, order->leaves[p.leaf]->slots[mid], key) < 0)
            p.at = mid + 1;
        else
            high = mid;
    }
    return p;
}

static int add_leaf(struct mu_order *order, size_t at)
{
    struct mu_leaf *leaf;

    if (order->n == order->cap) {
        size_t cap = order->cap ? order->cap * 2 : 16;
        struct mu_leaf **leaves = mu_realloc(order->leaves, cap, sizeof(struct mu_leaf *));

        if (!leaves)
            return MU_ENOMEM;
        order->leaves = leaves;
        order->cap = cap;
    }
    leaf = mu_alloc(sizeof(*leaf));
    if (!leaf)
        return MU_ENOMEM;
    memmove(order->leaves + at + 1, order->leaves + at, (order->n - at) * sizeof(order->leaves[0]));
    order->leaves[at] = leaf;
    order->n++;
    return 0;
}

int mu_order_reserve(struct mu_order *order, const void *key)
{
    size_t i = find_leaf(order, key);
    struct mu_leaf *full, *next;

    if (order->n == 0)
        return add_leaf(order, 0); /* empty for this moment only: a put follows */
    full = order->leaves[i];
    if (full->n < MU_ORDER_LEAF)
        return 0;
    if (add_leaf(order, i + 1) != 0)
        return MU_ENOMEM;
    next = order->leaves[i + 1];
    next->n = MU_ORDER_LEAF / 2;
    full->n -= next->n;
    memcpy(next->slots, full->slots + full->n, next->n * sizeof(next->slots[0]));
    return 0;
}

void mu_order_put(struct mu_order *order, uint32_t slot, const void *key)
{
    struct place p = find_place(order, key);
    struct mu_leaf *leaf = order->leaves[p.leaf];

    assert(leaf->n < MU_ORDER_LEAF);
    memmove(leaf->slots + p.at + 1, leaf->slots + p.at, (leaf->n - p.at) * sizeof(leaf->slots[0]));
    leaf->slots[p.at] = slot;
    leaf->n++;
}

void mu_order_del(struct mu_order *order, const void *key)
{
    struct place p = find_place(order, key);
    struct mu_leaf *leaf;

    assert(p.leaf < order->n && p.at < order->leaves[p.leaf]->n);
    leaf = order->leaves[p.leaf];
    assert(order->cmp(order->ctx, leaf->slots[p.at], key) == 0);
    leaf->n--;
    memmove(leaf->slots + p.at, leaf->slots + p.at + 1, (leaf->n - p.at) * sizeof(leaf->slots[0]));
    if (leaf->n)
        return;
    order->n--;
    memmove(order->leaves + p.leaf, order->leaves + p.leaf + 1,
            (order->n - p.leaf) * sizeof(order->leaves[0]));
    mu_free(leaf);
}

size_t mu_order_after(const struct mu_order *order, const void *after, uint32_t *out, size_t n)
{
    struct place p = {0};
    size_t got = 0;

    if (after)
        p = find_place(order, after);
    for (; p.leaf < order->n && got < n; p.leaf++, p.at = 0) {
        const struct mu_leaf *leaf = order->leaves[p.leaf];

        for (; p.at < leaf->n && got < n; p.at++) {
            if (after && order->cmp(order->ctx, leaf->slots[p.at], after) == 0)
                continue;
            out[got++] = leaf->slots[p.at];
        }
    }
    return got;
}
