/* pool.h - texts that many agents share: where they stand, what they run, reasons; each kept once.
 *
 * A text is known by a small number, with a count of who uses it. It may be several strings, with
 * a NUL between them. Number 0 is "" and needs no memory. */
#ifndef MU_FLEET_POOL_H
#define MU_FLEET_POOL_H

#include "base/map.h"

#define MU_POOL_MAX 0xffffff /* numbers are below */

struct mu_pooled;

struct mu_pool {
    struct mu_map map;
    union mu_pool_place *at;
    uint32_t n, cap;
    uint32_t free; /* the first number that is free; 0 = none */
    uint8_t key[16];
};

void mu_pool_init(struct mu_pool *pool, const uint8_t key[16]);
void mu_pool_fini(struct mu_pool *pool);

/* One user more of the @n bytes at @text, whose end is marked by a NUL that is not counted. Returns
 * 0 and its number, or MU_ENOMEM, *@id untouched. */
int mu_pool_add(struct mu_pool *pool, const char *text, size_t n, uint32_t *id);
void mu_pool_drop(struct mu_pool *pool, uint32_t id); /* one user less */
const char *mu_pool_text(const struct mu_pool *pool, uint32_t id);
uint32_t mu_pool_id(const char *text); /* of a pointer that mu_pool_text() has given, not to "" */

#endif
