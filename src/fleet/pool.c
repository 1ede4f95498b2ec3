#include "fleet/pool.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/siphash.h"

struct mu_pooled {
    uint32_t refs, id, n;
    char text[];
};

union mu_pool_place {
    struct mu_pooled *entry;
    uintptr_t next; /* of a number that is free: twice the next free one, plus 1 */
};

struct key {
    const char *text;
    size_t n;
};

static bool same_text(const void *ctx, uint32_t id, const void *key)
{
    const struct mu_pooled *entry = ((const struct mu_pool *)ctx)->at[id].entry;
    const struct key *wanted = key;

    return entry->n == wanted->n && memcmp(entry->text, wanted->text, wanted->n) == 0;
}

static uint64_t hash_id(const void *ctx, uint32_t id)
{
    const struct mu_pool *pool = ctx;
    const struct mu_pooled *entry = pool->at[id].entry;

    return mu_siphash64(pool->key, entry->text, entry->n);
}

void mu_pool_init(struct mu_pool *pool, const uint8_t key[16])
{
    memset(pool, 0, sizeof(*pool));
    memcpy(pool->key, key, sizeof(pool->key));
    mu_map_init(&pool->map, same_text, hash_id, pool);
    pool->n = 1;
}

static bool is_free(const struct mu_pool *pool, uint32_t id)
{
    return pool->at[id].next & 1;
}

void mu_pool_fini(struct mu_pool *pool)
{
    for (uint32_t id = 1; id < pool->n; id++)
        if (!is_free(pool, id))
            mu_free(pool->at[id].entry);
    mu_free(pool->at);
    mu_map_fini(&pool->map);
}

/* Room for one number more. */
static int reserve(struct mu_pool *pool)
{
    uint32_t cap = pool->cap ? pool->cap * 2 : 64;
    union mu_pool_place *at;

    if (pool->free || pool->n < pool->cap)
        return 0;
    if (pool->n >= MU_POOL_MAX)
        return MU_ENOMEM;
    at = mu_realloc(pool->at, cap, sizeof(*at));
    if (!at)
        return MU_ENOMEM;
    pool->at = at;
    pool->cap = cap;
    return 0;
}

static uint32_t take_id(struct mu_pool *pool)
{
    uint32_t id = pool->free;

    if (!id)
        return pool->n++;
    pool->free = (uint32_t)(pool->at[id].next >> 1);
    return id;
}

int mu_pool_add(struct mu_pool *pool, const char *text, size_t n, uint32_t *out)
{
    struct key key = {text, n};
    uint64_t hash;
    struct mu_pooled *entry;
    uint32_t id;

    if (n == 0) {
        *out = 0;
        return 0;
    }
    hash = mu_siphash64(pool->key, text, n);
    id = mu_map_find(&pool->map, hash, &key);
    if (id != MU_MAP_NONE) {
        pool->at[id].entry->refs++;
        *out = id;
        return 0;
    }
    if (mu_map_reserve(&pool->map) != 0 || reserve(pool) != 0)
        return MU_ENOMEM;
    entry = mu_alloc(sizeof(*entry) + n + 1);
    if (!entry)
        return MU_ENOMEM;
    id = take_id(pool);
    *entry = (struct mu_pooled){.refs = 1, .id = id, .n = (uint32_t)n};
    memcpy(entry->text, text, n);
    pool->at[id].entry = entry;
    mu_map_put(&pool->map, hash, id);
    *out = id;
    return 0;
}

void mu_pool_drop(struct mu_pool *pool, uint32_t id)
{
    if (id == 0 || --pool->at[id].entry->refs)
        return;
    mu_map_del(&pool->map, hash_id(pool, id), id);
    mu_free(pool->at[id].entry);
    pool->at[id].next = (uintptr_t)pool->free << 1 | 1;
    pool->free = id;
}

const char *mu_pool_text(const struct mu_pool *pool, uint32_t id)
{
    assert(id == 0 || (id < pool->n && !is_free(pool, id)));
    return id ? pool->at[id].entry->text : "";
}

uint32_t mu_pool_id(const char *text)
{
    return MU_CONTAINER_OF(text, const struct mu_pooled, text)->id;
}
