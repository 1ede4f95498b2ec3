/* index.h - finds slots by name, by UUID, by row; and in the order of names.
 *
 * The keys stay with who owns the slots; all but the rows' come from outside, so they are hashed
 * with a secret. */
#ifndef MU_FLEET_INDEX_H
#define MU_FLEET_INDEX_H

#include "base/map.h"
#include "fleet/order.h"
#include "fleet/row.h"

struct mu_index {
    struct mu_map by_name, by_uuid, by_row;
    struct mu_order order; /* host, then binary, bytewise */
    const struct mu_ident *(*ident)(const void *owner, uint32_t slot);
    uint32_t (*row)(const void *owner, uint32_t slot);
    const void *owner;
    uint8_t key[16];
};

/* .ident, .row, .owner and .key are set already. */
void mu_index_init(struct mu_index *index);
void mu_index_fini(struct mu_index *index);

/* Makes room, so that the mu_index_put() of @ident's slot that comes next cannot fail. */
int mu_index_reserve(struct mu_index *index, const struct mu_ident *ident);
void mu_index_put(struct mu_index *index, uint32_t slot);
void mu_index_del(struct mu_index *index, uint32_t slot);

/* Each returns MU_MAP_NONE where there is none. */
uint32_t mu_index_name(const struct mu_index *index, const char *binary, const char *host);
uint32_t mu_index_uuid(const struct mu_index *index, const uint8_t uuid[16]);
uint32_t mu_index_row(const struct mu_index *index, uint32_t row);

/* Up to @n slots after that name (@host NULL = from the beginning); returns how many. */
size_t mu_index_after(const struct mu_index *index, const char *binary, const char *host,
                      uint32_t *out, size_t n);

#endif
