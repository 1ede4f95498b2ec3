/* order.h - slots in the order of their names: finds one by its name, and those that come after.
 *
 * Leaves of a few hundred slots under one array of leaves: to add or to remove one moves a few
 * hundred bytes at a million, and no page of a list has to wait for a sort. */
#ifndef MU_FLEET_ORDER_H
#define MU_FLEET_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MU_ORDER_LEAF 512

/* Compares the name of @slot with @key: <0, 0, >0 as strcmp(3). */
typedef int (*mu_order_cmp_fn)(const void *ctx, uint32_t slot, const void *key);

struct mu_order {
    struct mu_leaf **leaves;
    size_t n, cap;
    mu_order_cmp_fn cmp;
    const void *ctx;
};

/* Where a name is, or would be; good until the order is changed. */
struct mu_place {
    size_t leaf, at;
};

void mu_order_init(struct mu_order *order, mu_order_cmp_fn cmp, const void *ctx);
void mu_order_fini(struct mu_order *order);

/* Whether @key is there: then @place is its slot's, else where it belongs. */
bool mu_order_find(const struct mu_order *order, const void *key, struct mu_place *place);
uint32_t mu_order_at(const struct mu_order *order, struct mu_place place);

/* Makes room at @place, which may move, so that the mu_order_put() that comes next cannot fail. */
int mu_order_reserve(struct mu_order *order, struct mu_place *place);
void mu_order_put(struct mu_order *order, struct mu_place place, uint32_t slot);
void mu_order_del(struct mu_order *order, struct mu_place place);

/* Takes @n slots, sorted already, into an order that is empty. Returns 0, or MU_ENOMEM and it is
 * still empty. */
int mu_order_fill(struct mu_order *order, const uint32_t *sorted, size_t n);

/* Writes up to @n slots that come after @after (NULL = all) to @out; returns how many. */
size_t mu_order_after(const struct mu_order *order, const void *after, uint32_t *out, size_t n);

#endif
