#include "base/map.h"

#include <assert.h>

#include "base/err.h"
#include "base/mem.h"

#define CAP_MIN    16
#define MOVE_A_PUT 16 /* places; after a sixth of the puts to the next growth all have moved */

/* What stands in a place: EMPTY, as in fresh memory, or a slot + 1; in the old table also LEFT, by
 * one that has moved or was deleted, so that a search goes on. */
#define EMPTY 0
#define LEFT  UINT32_MAX

void mu_map_init(struct mu_map *map, mu_map_eq_fn eq, mu_map_hash_fn hash, const void *ctx)
{
    *map = (struct mu_map){.eq = eq, .hash = hash, .ctx = ctx};
}

void mu_map_fini(struct mu_map *map)
{
    mu_free(map->slots);
    mu_free(map->old);
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

static uint32_t find_in(const struct mu_map *map, const uint32_t *slots, size_t cap, uint64_t hash,
                        const void *key)
{
    if (cap == 0)
        return MU_MAP_NONE;
    for (size_t i = home_of(cap, hash); slots[i] != EMPTY; i = next_of(cap, i))
        if (slots[i] != LEFT && map->eq(map->ctx, slots[i] - 1, key))
            return slots[i] - 1;
    return MU_MAP_NONE;
}

uint32_t mu_map_find(const struct mu_map *map, uint64_t hash, const void *key)
{
    uint32_t found = find_in(map, map->slots, map->cap, hash, key);

    if (found == MU_MAP_NONE)
        found = find_in(map, map->old, map->old_cap, hash, key);
    return found;
}

/* The place of @value, or @cap. */
static size_t place_of(const uint32_t *slots, size_t cap, uint64_t hash, uint32_t value)
{
    if (cap == 0)
        return cap;
    for (size_t i = home_of(cap, hash); slots[i] != EMPTY; i = next_of(cap, i))
        if (slots[i] == value + 1)
            return i;
    return cap;
}

static void place(struct mu_map *map, uint64_t hash, uint32_t value)
{
    size_t i = home_of(map->cap, hash);

    while (map->slots[i] != EMPTY)
        i = next_of(map->cap, i);
    map->slots[i] = value + 1;
}

/* Takes over what stands in the next @n places of the old table. */
static void move(struct mu_map *map, size_t n)
{
    for (; n > 0 && map->old_at < map->old_cap; n--, map->old_at++) {
        uint32_t *from = &map->old[map->old_at];

        if (*from == EMPTY || *from == LEFT)
            continue;
        place(map, map->hash(map->ctx, *from - 1), *from - 1);
        *from = LEFT;
    }
    if (map->old_at < map->old_cap)
        return;
    mu_free(map->old);
    map->old = NULL;
    map->old_cap = map->old_at = 0;
}

static int grow(struct mu_map *map, size_t cap)
{
    uint32_t *slots = mu_calloc(cap, sizeof(*slots));

    if (!slots)
        return MU_ENOMEM;
    move(map, map->old_cap);
    map->old = map->slots;
    map->old_cap = map->cap;
    map->slots = slots;
    map->cap = cap;
    return 0;
}

int mu_map_reserve(struct mu_map *map)
{
    if ((map->len + 1) * 4 <= map->cap * 3)
        return 0;
    return grow(map, map->cap ? map->cap + map->cap / 2 : CAP_MIN);
}

int mu_map_reserve_all(struct mu_map *map, size_t n)
{
    size_t cap = n + (2 * n + 4) / 5; /* with room for some more */
    int rv = grow(map, cap > CAP_MIN ? cap : CAP_MIN);

    assert(map->len == 0);
    if (rv == 0)
        move(map, map->old_cap);
    return rv;
}

int mu_map_put(struct mu_map *map, uint64_t hash, uint32_t value)
{
    int rv = mu_map_reserve(map);

    assert(value <= MU_MAP_MAX);
    if (rv)
        return rv;
    place(map, hash, value);
    map->len++;
    move(map, MOVE_A_PUT);
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
    for (size_t i = next_of(map->cap, gap); map->slots[i] != EMPTY; i = next_of(map->cap, i)) {
        size_t home = home_of(map->cap, map->hash(map->ctx, map->slots[i] - 1));

        if (way(map->cap, home, i) < way(map->cap, gap, i))
            continue;
        map->slots[gap] = map->slots[i];
        gap = i;
    }
    map->slots[gap] = EMPTY;
}

bool mu_map_del(struct mu_map *map, uint64_t hash, uint32_t value)
{
    size_t i = place_of(map->slots, map->cap, hash, value);

    if (i < map->cap) {
        close_gap(map, i);
    } else {
        i = place_of(map->old, map->old_cap, hash, value);
        if (i == map->old_cap)
            return false;
        map->old[i] = LEFT;
    }
    map->len--;
    return true;
}
