/* index.h - finds slots by name, by UUID; and in the order of names (host, then binary, bytewise).
 *
 * The keys stay with who owns the slots. UUIDs may come from outside, so they are hashed with a
 * secret. Names are searched in their order: a table of them besides would take more memory than
 * the microseconds of a join are worth. */
#ifndef MU_FLEET_INDEX_H
#define MU_FLEET_INDEX_H

#include "base/map.h"
#include "fleet/order.h"
#include "fleet/row.h"

struct mu_index {
    struct mu_map by_uuid;
    struct mu_order order;
    const struct mu_ident *(*ident)(const void *owner, uint32_t slot);
    const void *owner;
    uint8_t key[16];
};

/* .ident, .owner and .key are set already. */
void mu_index_init(struct mu_index *index);
void mu_index_fini(struct mu_index *index);

/* Makes room for @ident's slot, so that the mu_index_put() that comes next cannot fail. Returns 0;
 * MU_EEXIST where its name or UUID is there; MU_ENOMEM. */
int mu_index_reserve(struct mu_index *index, const struct mu_ident *ident, struct mu_place *place);
void mu_index_put(struct mu_index *index, struct mu_place place, uint32_t slot);
void mu_index_del(struct mu_index *index, uint32_t slot);

/* Takes @n slots at once, all that there are; @slots is written over. Returns 0; MU_EEXIST when two
 * have one name or UUID; MU_ENOMEM. Then nothing is in it. */
int mu_index_load(struct mu_index *index, uint32_t *slots, size_t n);

/* Each returns MU_MAP_NONE where there is none. */
uint32_t mu_index_name(const struct mu_index *index, const char *binary, const char *host);
uint32_t mu_index_uuid(const struct mu_index *index, const uint8_t uuid[16]);

/* Up to @n slots after that name (@host NULL = from the beginning); returns how many. */
size_t mu_index_after(const struct mu_index *index, const char *binary, const char *host,
                      uint32_t *out, size_t n);

#endif
