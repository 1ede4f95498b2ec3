#include "fleet/order.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

struct mu_leaf {
    uint32_t n; /* at least 1 */
    uint32_t slots[MU_ORDER_LEAF];
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
    mu_order_init(order, order->cmp, order->ctx);
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

bool mu_order_find(const struct mu_order *order, const void *key, struct mu_place *place)
{
    const struct mu_leaf *leaf;
    size_t low = 0, high;

    *place = (struct mu_place){.leaf = find_leaf(order, key)};
    if (place->leaf >= order->n)
        return false;
    leaf = order->leaves[place->leaf];
    high = leaf->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int cmp = order->cmp(order->ctx, leaf->slots[mid], key);

        if (cmp == 0) {
            place->at = mid;
            return true;
        }
        if (cmp < 0)
            low = mid + 1;
        else
            high = mid;
    }
    place->at = low; /* it may be one past the leaf's end */
    return false;
}

uint32_t mu_order_at(const struct mu_order *order, struct mu_place place)
{
    return order->leaves[place.leaf]->slots[place.at];
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
    leaf = mu_realloc(NULL, 1, sizeof(*leaf));
    if (!leaf)
        return MU_ENOMEM;
    leaf->n = 0;
    memmove(order->leaves + at + 1, order->leaves + at, (order->n - at) * sizeof(order->leaves[0]));
    order->leaves[at] = leaf;
    order->n++;
    return 0;
}

/* A full leaf is halved; but at the end of all, where names that ascend come one after the other,
 * it stays full and a new one is begun. */
int mu_order_reserve(struct mu_order *order, struct mu_place *place)
{
    struct mu_leaf *full, *next;
    bool ascending;

    if (order->n == 0)
        return add_leaf(order, 0); /* empty for this moment only: a put follows */
    full = order->leaves[place->leaf];
    if (full->n < MU_ORDER_LEAF)
        return 0;
    ascending = place->leaf + 1 == order->n && place->at == full->n;
    if (add_leaf(order, place->leaf + 1) != 0)
        return MU_ENOMEM;
    next = order->leaves[place->leaf + 1];
    next->n = ascending ? 0 : MU_ORDER_LEAF / 2;
    full->n -= next->n;
    memcpy(next->slots, full->slots + full->n, next->n * sizeof(next->slots[0]));
    if (ascending || place->at > full->n) {
        place->at -= full->n;
        place->leaf++;
    }
    return 0;
}

void mu_order_put(struct mu_order *order, struct mu_place place, uint32_t slot)
{
    struct mu_leaf *leaf = order->leaves[place.leaf];

    assert(leaf->n < MU_ORDER_LEAF && place.at <= leaf->n);
    memmove(leaf->slots + place.at + 1, leaf->slots + place.at,
            (leaf->n - place.at) * sizeof(leaf->slots[0]));
    leaf->slots[place.at] = slot;
    leaf->n++;
}

void mu_order_del(struct mu_order *order, struct mu_place place)
{
    struct mu_leaf *leaf = order->leaves[place.leaf];

    leaf->n--;
    memmove(leaf->slots + place.at, leaf->slots + place.at + 1,
            (leaf->n - place.at) * sizeof(leaf->slots[0]));
    if (leaf->n)
        return;
    order->n--;
    memmove(order->leaves + place.leaf, order->leaves + place.leaf + 1,
            (order->n - place.leaf) * sizeof(order->leaves[0]));
    mu_free(leaf);
}

int mu_order_fill(struct mu_order *order, const uint32_t *sorted, size_t n)
{
    assert(order->n == 0);
    for (size_t at = 0; at < n; at += MU_ORDER_LEAF) {
        struct mu_leaf *leaf;

        if (add_leaf(order, order->n) != 0) {
            mu_order_fini(order);
            return MU_ENOMEM;
        }
        leaf = order->leaves[order->n - 1];
        leaf->n = n - at < MU_ORDER_LEAF ? (uint32_t)(n - at) : MU_ORDER_LEAF;
        memcpy(leaf->slots, sorted + at, leaf->n * sizeof(leaf->slots[0]));
    }
    return 0;
}

size_t mu_order_after(const struct mu_order *order, const void *after, uint32_t *out, size_t n)
{
    struct mu_place p = {0};
    size_t got = 0;

    if (after && mu_order_find(order, after, &p))
        p.at++;
    for (; p.leaf < order->n && got < n; p.leaf++, p.at = 0) {
        const struct mu_leaf *leaf = order->leaves[p.leaf];
        size_t some = leaf->n - p.at < n - got ? leaf->n - p.at : n - got;

        memcpy(out + got, leaf->slots + p.at, some * sizeof(*out));
        got += some;
    }
    return got;
}
