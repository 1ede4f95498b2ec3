#include "base/map.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define CAP_MIN 16

void mu_map_init(struct mu_map *map, mu_map_eq_fn eq, mu_map_hash_fn hash, const void *ctx)
{
    *map = (struct mu_map){.eq = eq, .hash = hash, .ctx = ctx};
}

void mu_map_fini(struct mu_map *map)
{
    mu_free(map->slots);
    mu_map_init(map, map->eq, map->hash, map->ctx);
}

uint32_t mu_map_find(const struct mu_map *map, uint64_t hash, const void *key)
{
    size_t mask = map->cap - 1;

    if (map->cap == 0)
        return MU_MAP_NONE;
    for (size_t i = hash & mask; map->slots[i] != MU_MAP_NONE; i = (i + 1) & mask)
        if (map->eq(map->ctx, map->slots[i], key))
            return map->slots[i];
    return MU_MAP_NONE;
}

static void place(uint32_t *slots, size_t mask, uint64_t hash, uint32_t value)
{
    size_t i = hash & mask;

    while (slots[i] != MU_MAP_NONE)
        i = (i + 1) & mask;
    slots[i] = value;
}

static int grow(struct mu_map *map)
{
    size_t cap = map->cap ? map->cap * 2 : CAP_MIN;
    uint32_t *slots = mu_realloc(NULL, cap, sizeof(*slots));

    if (!slots)
        return MU_ENOMEM;
    memset(slots, 0xFF, cap * sizeof(*slots)); /* MU_MAP_NONE everywhere */
    for (size_t i = 0; i < map->cap; i++)
        if (map->slots[i] != MU_MAP_NONE)
            place(slots, cap - 1, map->hash(map->ctx, map->slots[i]), map->slots[i]);
    mu_free(map->slots);
    map->slots = slots;
    map->cap = cap;
    return 0;
}

int mu_map_reserve(struct mu_map *map)
{
    return (map->len + 1) * 4 > map->cap * 3 ? grow(map) : 0;
}

int mu_map_put(struct mu_map *map, uint64_t hash, uint32_t value)
{
    int rv = mu_map_reserve(map);

    assert(value != MU_MAP_NONE);
    if (rv)
        return rv;
    place(map->slots, map->cap - 1, hash, value);
    map->len++;
    return 0;
}

/* Moves back what stands behind the gap at @gap and may stand in it, so that no search stops
 * early: a slot whose home lies cyclically in (gap, i] stays. */
static void close_gap(struct mu_map *map, size_t gap)
{
    size_t mask = map->cap - 1;

    for (size_t i = (gap + 1) & mask; map->slots[i] != MU_MAP_NONE; i = (i + 1) & mask) {
        size_t home = map->hash(map->ctx, map->slots[i]) & mask;
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        map->slots[gap] = map->slots[i];
        gap = i;
    }
    map->slots[gap] = MU_MAP_NONE;
}

bool mu_map_del(struct mu_map *map, uint64_t hash, uint32_t value)
{
    size_t mask = map->cap - 1;

    if (map->cap == 0)
        return false;
    for (size_t i = hash & mask; map->slots[i] != MU_MAP_NONE; i = (i + 1) & mask) {
        if (map->slots[i] != value)
            continue;
        close_gap(map, i);
        map->len--;
        return true;
    }
    return false;
}
