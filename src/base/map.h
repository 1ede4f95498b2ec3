/* map.h - a hash table of u32 slots over keys that are kept elsewhere.
 *
 * Open addressing with linear probing and backward-shift deletion, between half and 3/4 full. It
 * grows without a pause: each put takes a few slots over from the smaller table. The caller hashes
 * (mu_siphash64() with a secret key where the key comes from outside; the low 32 bits are looked
 * at) and compares. */
#ifndef MU_BASE_MAP_H
#define MU_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MU_MAP_NONE UINT32_MAX       /* no slot */
#define MU_MAP_MAX  (UINT32_MAX - 2) /* the highest slot that may be stored */

/* Whether slot @value has the key that is looked for. */
typedef bool (*mu_map_eq_fn)(const void *ctx, uint32_t value, const void *key);
/* The hash of slot @value's key, when the table grows or closes a gap. */
typedef uint64_t (*mu_map_hash_fn)(const void *ctx, uint32_t value);

struct mu_map {
    uint32_t *slots;
    size_t cap, len;
    uint32_t *old;          /* the smaller table, while some are still in it; NULL = none */
    size_t old_cap, old_at; /* those before .old_at have been taken over */
    mu_map_eq_fn eq;
    mu_map_hash_fn hash;
    const void *ctx;
};

void mu_map_init(struct mu_map *map, mu_map_eq_fn eq, mu_map_hash_fn hash, const void *ctx);
void mu_map_fini(struct mu_map *map);
uint32_t mu_map_find(const struct mu_map *map, uint64_t hash, const void *key);
/* Makes room for one more, so that the next mu_map_put() cannot fail. Returns 0 or MU_ENOMEM. */
int mu_map_reserve(struct mu_map *map);
/* The same for @n in an empty table: none of their puts will have to make it anew. */
int mu_map_reserve_all(struct mu_map *map, size_t n);
/* Adds @value, whose key must not be there. Returns 0 or MU_ENOMEM. */
int mu_map_put(struct mu_map *map, uint64_t hash, uint32_t value);
/* Removes @value with hash @hash. Returns whether it was there. */
bool mu_map_del(struct mu_map *map, uint64_t hash, uint32_t value);

/* The hash of a number that we give out ourselves, so that nobody chooses it: mixing is enough. */
static inline uint64_t mu_map_hash_id(uint64_t id)
{
    uint64_t x = id * UINT64_C(0x9e3779b97f4a7c15);

    return x ^ x >> 32;
}

#endif
