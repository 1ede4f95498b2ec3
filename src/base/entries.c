#include "base/entries.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define CAP_MIN 16

static uint64_t id_of(const void *entry)
{
    return *(const uint64_t *)entry;
}

static bool has_id(const void *ctx, uint32_t place, const void *id)
{
    return id_of(mu_entries_at(ctx, place)) == *(const uint64_t *)id;
}

static uint64_t hash_at(const void *ctx, uint32_t place)
{
    return mu_map_hash_id(id_of(mu_entries_at(ctx, place)));
}

void mu_entries_init(struct mu_entries *es, size_t size)
{
    *es = (struct mu_entries){.size = size};
    mu_map_init(&es->map, has_id, hash_at, es);
}

void mu_entries_fini(struct mu_entries *es)
{
    mu_free(es->at);
    mu_free(es->free);
    mu_map_fini(&es->map);
}

void *mu_entries_find(const struct mu_entries *es, uint64_t id)
{
    uint32_t place = mu_map_find(&es->map, mu_map_hash_id(id), &id);

    return place == MU_MAP_NONE ? NULL : mu_entries_at(es, place);
}

int mu_entries_reserve(struct mu_entries *es)
{
    uint32_t cap = es->cap ? es->cap * 2 : CAP_MIN, *places;
    unsigned char *at;

    if (mu_map_reserve(&es->map) != 0)
        return MU_ENOMEM;
    if (es->count < es->cap)
        return 0;
    places = mu_realloc(es->free, cap, sizeof(*places));
    if (!places)
        return MU_ENOMEM;
    es->free = places;
    at = mu_realloc(es->at, cap, es->size);
    if (!at)
        return MU_ENOMEM;
    es->at = at;
    es->cap = cap;
    return 0;
}

void *mu_entries_add(struct mu_entries *es, uint64_t id)
{
    uint32_t place;
    void *entry;

    assert(id != 0 && !mu_entries_find(es, id));
    if (mu_entries_reserve(es) != 0)
        return NULL;
    place = es->count < es->n ? es->free[es->n - es->count - 1] : es->n++;
    entry = mu_entries_at(es, place);
    memset(entry, 0, es->size);
    memcpy(entry, &id, sizeof(id));
    (void)mu_map_put(&es->map, mu_map_hash_id(id), place);
    es->count++;
    return entry;
}

void mu_entries_remove(struct mu_entries *es, void *entry)
{
    uint32_t place = mu_entries_place(es, entry);

    mu_map_del(&es->map, mu_map_hash_id(id_of(entry)), place);
    memset(entry, 0, es->size);
    es->count--;
    es->free[es->n - es->count - 1] = place;
}
