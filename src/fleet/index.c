#include "fleet/index.h"

#include <string.h>

#include "base/siphash.h"

struct name {
    const char *binary, *host;
};

static uint64_t hash_name(const struct mu_index *ix, const char *binary, const char *host)
{
    return mu_siphash64(ix->key, binary, strlen(binary)) * 31 +
           mu_siphash64(ix->key, host, strlen(host));
}

static int cmp_name(const void *ctx, uint32_t slot, const void *key)
{
    const struct mu_index *ix = ctx;
    const struct mu_ident *ident = ix->ident(ix->owner, slot);
    const struct name *name = key;
    int cmp = strcmp(ident->host, name->host);

    return cmp ? cmp : strcmp(ident->binary, name->binary);
}

static bool eq_name(const void *ctx, uint32_t slot, const void *key)
{
    return cmp_name(ctx, slot, key) == 0;
}

static uint64_t slot_hash_name(const void *ctx, uint32_t slot)
{
    const struct mu_index *ix = ctx;
    const struct mu_ident *ident = ix->ident(ix->owner, slot);

    return hash_name(ix, ident->binary, ident->host);
}

static bool eq_uuid(const void *ctx, uint32_t slot, const void *key)
{
    const struct mu_index *ix = ctx;

    return memcmp(ix->ident(ix->owner, slot)->uuid, key, 16) == 0;
}

static uint64_t slot_hash_uuid(const void *ctx, uint32_t slot)
{
    const struct mu_index *ix = ctx;

    return mu_siphash64(ix->key, ix->ident(ix->owner, slot)->uuid, 16);
}

static bool eq_row(const void *ctx, uint32_t slot, const void *key)
{
    const struct mu_index *ix = ctx;

    return ix->row(ix->owner, slot) == *(const uint32_t *)key;
}

static uint64_t slot_hash_row(const void *ctx, uint32_t slot)
{
    const struct mu_index *ix = ctx;

    return mu_map_hash_id(ix->row(ix->owner, slot));
}

void mu_index_init(struct mu_index *ix)
{
    mu_map_init(&ix->by_name, eq_name, slot_hash_name, ix);
    mu_map_init(&ix->by_uuid, eq_uuid, slot_hash_uuid, ix);
    mu_map_init(&ix->by_row, eq_row, slot_hash_row, ix);
    mu_order_init(&ix->order, cmp_name, ix);
}

void mu_index_fini(struct mu_index *ix)
{
    mu_map_fini(&ix->by_name);
    mu_map_fini(&ix->by_uuid);
    mu_map_fini(&ix->by_row);
    mu_order_fini(&ix->order);
}

int mu_index_reserve(struct mu_index *ix, const struct mu_ident *ident)
{
    struct name name = {ident->binary, ident->host};

    if (mu_map_reserve(&ix->by_name) != 0 || mu_map_reserve(&ix->by_uuid) != 0 ||
        mu_map_reserve(&ix->by_row) != 0)
        return MU_ENOMEM;
    return mu_order_reserve(&ix->order, &name);
}

void mu_index_put(struct mu_index *ix, uint32_t slot)
{
    const struct mu_ident *ident = ix->ident(ix->owner, slot);
    struct name name = {ident->binary, ident->host};

    mu_map_put(&ix->by_name, slot_hash_name(ix, slot), slot);
    mu_map_put(&ix->by_uuid, slot_hash_uuid(ix, slot), slot);
    mu_map_put(&ix->by_row, slot_hash_row(ix, slot), slot);
    mu_order_put(&ix->order, slot, &name);
}

void mu_index_del(struct mu_index *ix, uint32_t slot)
{
    const struct mu_ident *ident = ix->ident(ix->owner, slot);
    struct name name = {ident->binary, ident->host};

    mu_map_del(&ix->by_name, slot_hash_name(ix, slot), slot);
    mu_map_del(&ix->by_uuid, slot_hash_uuid(ix, slot), slot);
    mu_map_del(&ix->by_row, slot_hash_row(ix, slot), slot);
    mu_order_del(&ix->order, &name);
}

uint32_t mu_index_name(const struct mu_index *ix, const char *binary, const char *host)
{
    struct name name = {binary, host};

    return mu_map_find(&ix->by_name, hash_name(ix, binary, host), &name);
}

uint32_t mu_index_uuid(const struct mu_index *ix, const uint8_t uuid[16])
{
    return mu_map_find(&ix->by_uuid, mu_siphash64(ix->key, uuid, 16), uuid);
}

uint32_t mu_index_row(const struct mu_index *ix, uint32_t row)
{
    return mu_map_find(&ix->by_row, mu_map_hash_id(row), &row);
}

size_t mu_index_after(const struct mu_index *ix, const char *binary, const char *host,
                      uint32_t *out, size_t n)
{
    struct name after = {binary ? binary : "", host};

    return mu_order_after(&ix->order, host ? &after : NULL, out, n);
}
