/* pool.h - texts that many agents share: zones, versions, labels, reasons; each kept once.
 *
 * A text is known by a small number, with a count of who uses it. Number 0 is "" and needs no
 * memory. */
#ifndef MU_FLEET_POOL_H
#define MU_FLEET_POOL_H

#include "base/map.h"

struct mu_pooled;

struct mu_pool {
    struct mu_map map;
    struct mu_pooled **at; /* NULL = a number that is free */
    uint32_t n, cap;
    uint32_t free; /* how many of at[1 .. n - 1] are NULL */
    uint32_t hint; /* where to look for one */
    uint8_t key[16];
};

void mu_pool_init(struct mu_pool *pool, const uint8_t key[16]);
void mu_pool_fini(struct mu_pool *pool);

/* One user more of @text. Returns 0 and its number, or MU_ENOMEM, *@id untouched. */
int mu_pool_add(struct mu_pool *pool, const char *text, uint32_t *id);
void mu_pool_drop(struct mu_pool *pool, uint32_t id); /* one user less */
const char *mu_pool_text(const struct mu_pool *pool, uint32_t id);

#endif
