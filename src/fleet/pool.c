#include "fleet/pool.h"

#include <assert.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/siphash.h"

struct mu_pooled {
    uint32_t refs;
    char text[];
};

static bool same_text(const void *ctx, uint32_t id, const void *key)
{
    const struct mu_pool *pool = ctx;

    return strcmp(pool->at[id]->text, key) == 0;
}

static uint64_t hash_text(const struct mu_pool *pool, const char *text)
{
    return mu_siphash64(pool->key, text, strlen(text));
}

static uint64_t hash_id(const void *ctx, uint32_t id)
{
    const struct mu_pool *pool = ctx;

    return hash_text(pool, pool->at[id]->text);
}

void mu_pool_init(struct mu_pool *pool, const uint8_t key[16])
{
    memset(pool, 0, sizeof(*pool));
    memcpy(pool->key, key, sizeof(pool->key));
    mu_map_init(&pool->map, same_text, hash_id, pool);
    pool->n = 1;
}

void mu_pool_fini(struct mu_pool *pool)
{
    for (uint32_t id = 1; id < pool->n; id++)
        mu_free(pool->at[id]);
    mu_free(pool->at);
    mu_map_fini(&pool->map);
}

/* A number for one text more. It is not taken until at[] is set. */
static int free_id(struct mu_pool *pool, uint32_t *id)
{
    if (pool->free) {
        while (pool->hint == 0 || pool->at[pool->hint])
            pool->hint = (pool->hint + 1) % pool->n;
        *id = pool->hint;
        return 0;
    }
    if (pool->n >= pool->cap) {
        uint32_t cap = pool->cap ? pool->cap * 2 : 64;
        struct mu_pooled **at = mu_realloc(pool->at, cap, sizeof(struct mu_pooled *));

        if (!at)
            return MU_ENOMEM;
        at[0] = NULL;
        pool->at = at;
        pool->cap = cap;
    }
    *id = pool->n;
    return 0;
}

int mu_pool_add(struct mu_pool *pool, const char *text, uint32_t *out)
{
    size_t n = strlen(text);
    struct mu_pooled *entry;
    uint32_t id;

    if (n == 0) {
        *out = 0;
        return 0;
    }
    id = mu_map_find(&pool->map, hash_text(pool, text), text);
    if (id != MU_MAP_NONE) {
        pool->at[id]->refs++;
        *out = id;
        return 0;
    }
    if (mu_map_reserve(&pool->map) != 0 || free_id(pool, &id) != 0)
        return MU_ENOMEM;
    entry = mu_alloc(sizeof(*entry) + n + 1);
    if (!entry)
        return MU_ENOMEM;
    entry->refs = 1;
    memcpy(entry->text, text, n + 1);
    if (id == pool->n)
        pool->n++;
    else
        pool->free--;
    pool->at[id] = entry;
    mu_map_put(&pool->map, hash_text(pool, text), id);
    *out = id;
    return 0;
}

void mu_pool_drop(struct mu_pool *pool, uint32_t id)
{
    if (id == 0 || --pool->at[id]->refs)
        return;
    mu_map_del(&pool->map, hash_id(pool, id), id);
    mu_free(pool->at[id]);
    pool->at[id] = NULL;
    pool->free++;
    pool->hint = id;
}

const char *mu_pool_text(const struct mu_pool *pool, uint32_t id)
{
    assert(id == 0 || (id < pool->n && pool->at[id]));
    return id ? pool->at[id]->text : "";
}
