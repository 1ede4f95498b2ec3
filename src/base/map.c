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

/* Where a search begins: the hash's share of the table, whose size is no power of two, so that a
 * table of a million is not one of two. */
static size_t home_of(size_t cap, uint64_t hash)
{
    return (size_t)((hash & UINT32_MAX) * cap >> 32);
}

static size_t next_of(size_t cap, size_t i)
{
    return i + 1 == cap ? 0 : i + 1;
}

uint32_t mu_map_find(const struct mu_map *map, uint64_t hash, const void *key)
{
    if (map->cap == 0)
        return MU_MAP_NONE;
    for (size_t i = home_of(map->cap, hash); map->slots[i] != MU_MAP_NONE; i = next_of(map->cap, i))
        if (map->eq(map->ctx, map->slots[i], key))
            return map->slots[i];
    return MU_MAP_NONE;
}

static void place(uint32_t *slots, size_t cap, uint64_t hash, uint32_t value)
{
    size_t i = home_of(cap, hash);

    while (slots[i] != MU_MAP_NONE)
        i = next_of(cap, i);
    slots[i] = value;
}

static int resize(struct mu_map *map, size_t cap)
{
    uint32_t *slots = mu_realloc(NULL, cap, sizeof(*slots));

    if (!slots)
        return MU_ENOMEM;
    memset(slots, 0xFF, cap * sizeof(*slots)); /* MU_MAP_NONE everywhere */
    for (size_t i = 0; i < map->cap; i++)
        if (map->slots[i] != MU_MAP_NONE)
            place(slots, cap, map->hash(map->ctx, map->slots[i]), map->slots[i]);
    mu_free(map->slots);
    map->slots = slots;
    map->cap = cap;
    return 0;
}

int mu_map_reserve(struct mu_map *map)
{
    if ((map->len + 1) * 4 <= map->cap * 3)
        return 0;
    return resize(map, map->cap ? map->cap + map->cap / 2 : CAP_MIN);
}

int mu_map_reserve_all(struct mu_map *map, size_t n)
{
    size_t cap = n + (2 * n + 4) / 5; /* with room for some more */

    assert(map->len == 0);
    return resize(map, cap > CAP_MIN ? cap : CAP_MIN);
}

int mu_map_put(struct mu_map *map, uint64_t hash, uint32_t value)
{
    int rv = mu_map_reserve(map);

    assert(value != MU_MAP_NONE);
    if (rv)
        return rv;
    place(map->slots, map->cap, hash, value);
    map->len++;
    return 0;
}

/* How far @to lies behind @from, round the end. */
static size_t way(size_t cap, size_t from, size_t to)
{
    return to >= from ? to - from : to + cap - from;
}

/* Moves back what stands behind the gap at @gap and may stand in it, so that no search stops
 * early: a slot whose home lies cyclically in (gap, i] stays. */
static void close_gap(struct mu_map *map, size_t gap)
{
    for (size_t i = next_of(map->cap, gap); map->slots[i] != MU_MAP_NONE;
         i = next_of(map->cap, i)) {
        size_t home = home_of(map->cap, map->hash(map->ctx, map->slots[i]));

        if (way(map->cap, home, i) < way(map->cap, gap, i))
            continue;
        map->slots[gap] = map->slots[i];
        gap = i;
    }
    map->slots[gap] = MU_MAP_NONE;
}

bool mu_map_del(struct mu_map *map, uint64_t hash, uint32_t value)
{
    if (map->cap == 0)
        return false;
    for (size_t i = home_of(map->cap, hash); map->slots[i] != MU_MAP_NONE;
         i = next_of(map->cap, i)) {
        if (map->slots[i] != value)
            continue;
        close_gap(map, i);
        map->len--;
        return true;
    }
    return false;
}
