#include "fleet/index.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"

struct name {
    const char *binary, *host;
};

static const struct mu_ident *ident_of(const struct mu_index *ix, uint32_t slot)
{
    return ix->ident(ix->owner, slot);
}

static int cmp_name(const void *ctx, uint32_t slot, const void *key)
{
    const struct mu_ident *ident = ident_of(ctx, slot);
    const struct name *name = key;
    int cmp = strcmp(ident->host, name->host);

    return cmp ? cmp : strcmp(ident->binary, name->binary);
}

static bool eq_uuid(const void *ctx, uint32_t slot, const void *key)
{
    return memcmp(ident_of(ctx, slot)->uuid, key, 16) == 0;
}

static uint64_t hash_uuid(const struct mu_index *ix, const uint8_t uuid[16])
{
    return mu_siphash64(ix->key, uuid, 16);
}

static uint64_t slot_hash_uuid(const void *ctx, uint32_t slot)
{
    return hash_uuid(ctx, ident_of(ctx, slot)->uuid);
}

void mu_index_init(struct mu_index *ix)
{
    mu_map_init(&ix->by_uuid, eq_uuid, slot_hash_uuid, ix);
    mu_order_init(&ix->order, cmp_name, ix);
}

void mu_index_fini(struct mu_index *ix)
{
    mu_map_fini(&ix->by_uuid);
    mu_order_fini(&ix->order);
}

int mu_index_reserve(struct mu_index *ix, const struct mu_ident *ident, struct mu_place *place)
{
    struct name name = {ident->binary, ident->host};

    if (mu_order_find(&ix->order, &name, place) || mu_index_uuid(ix, ident->uuid) != MU_MAP_NONE)
        return MU_EEXIST;
    if (mu_map_reserve(&ix->by_uuid) != 0)
        return MU_ENOMEM;
    return mu_order_reserve(&ix->order, place);
}

void mu_index_put(struct mu_index *ix, struct mu_place place, uint32_t slot)
{
    mu_map_put(&ix->by_uuid, slot_hash_uuid(ix, slot), slot);
    mu_order_put(&ix->order, place, slot);
}

void mu_index_del(struct mu_index *ix, uint32_t slot)
{
    const struct mu_ident *ident = ident_of(ix, slot);
    struct name name = {ident->binary, ident->host};
    struct mu_place place;

    mu_map_del(&ix->by_uuid, slot_hash_uuid(ix, slot), slot);
    if (mu_order_find(&ix->order, &name, &place))
        mu_order_del(&ix->order, place);
}

/* ---- many at once ---- */

/* A slot with the first bytes in which its host differs from others, as a number: nearly all
 * comparisons of a sort end there, and none has to fetch a name. */
struct sorted {
    uint64_t prefix;
    uint32_t slot;
};

static size_t common(const char *a, const char *b, size_t most)
{
    size_t n = 0;

    while (n < most && a[n] == b[n] && a[n])
        n++;
    return n;
}

static uint64_t prefix_of(const char *text)
{
    uint64_t prefix = 0;

    for (int i = 0; i < 8; i++) {
        prefix = prefix << 8 | (uint8_t)*text;
        text += *text != '\0';
    }
    return prefix;
}

static int cmp_sorted(const void *pa, const void *pb, void *ctx)
{
    const struct sorted *a = pa, *b = pb;
    const struct mu_ident *ident;
    struct name name;

    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    ident = ident_of(ctx, b->slot);
    name = (struct name){ident->binary, ident->host};
    return cmp_name(ctx, a->slot, &name);
}

/* Whether they are in order, and no two alike. */
static bool ascends(const struct mu_index *ix, const struct sorted *at, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (cmp_sorted(&at[i - 1], &at[i], (void *)ix) >= 0)
            return false;
    return true;
}

static int load_names(struct mu_index *ix, uint32_t *slots, size_t n)
{
    struct sorted *at = mu_realloc(NULL, n, sizeof(*at));
    size_t shared = SIZE_MAX;
    int rv = MU_EEXIST;

    if (!at)
        return MU_ENOMEM;
    for (size_t i = 1; i < n; i++)
        shared = common(ident_of(ix, slots[0])->host, ident_of(ix, slots[i])->host, shared);
    for (size_t i = 0; i < n; i++)
        at[i] = (struct sorted){prefix_of(ident_of(ix, slots[i])->host + (n > 1 ? shared : 0)),
                                slots[i]};
    if (!ascends(ix, at, n))
        qsort_r(at, n, sizeof(*at), cmp_sorted, ix);
    if (ascends(ix, at, n)) {
        for (size_t i = 0; i < n; i++)
            slots[i] = at[i].slot;
        rv = mu_order_fill(&ix->order, slots, n);
    }
    mu_free(at);
    return rv;
}

static int load_uuids(struct mu_index *ix, const uint32_t *slots, size_t n)
{
    if (mu_map_reserve_all(&ix->by_uuid, n) != 0)
        return MU_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        uint64_t hash = slot_hash_uuid(ix, slots[i]);

        if (mu_map_find(&ix->by_uuid, hash, ident_of(ix, slots[i])->uuid) != MU_MAP_NONE)
            return MU_EEXIST;
        mu_map_put(&ix->by_uuid, hash, slots[i]);
    }
    return 0;
}

int mu_index_load(struct mu_index *ix, uint32_t *slots, size_t n)
{
    int rv = load_uuids(ix, slots, n);

    if (rv == 0)
        rv = load_names(ix, slots, n);
    if (rv != 0)
        mu_index_fini(ix);
    return rv;
}

/* ---- looking ---- */

uint32_t mu_index_name(const struct mu_index *ix, const char *binary, const char *host)
{
    struct name name = {binary, host};
    struct mu_place place;

    return mu_order_find(&ix->order, &name, &place) ? mu_order_at(&ix->order, place) : MU_MAP_NONE;
}

uint32_t mu_index_uuid(const struct mu_index *ix, const uint8_t uuid[16])
{
    return mu_map_find(&ix->by_uuid, hash_uuid(ix, uuid), uuid);
}

size_t mu_index_after(const struct mu_index *ix, const char *binary, const char *host,
                      uint32_t *out, size_t n)
{
    struct name after = {binary ? binary : "", host};

    return mu_order_after(&ix->order, host ? &after : NULL, out, n);
}
