/* All idents of the process share their memory: blocks without malloc's overhead, and each binary's
 * name once. With the last ident it is given back. */
#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/slab.h"
#include "fleet/pool.h"
#include "fleet/row.h"

static struct {
    struct mu_slab slab;
    struct mu_pool binaries;
    size_t n;
} all;

static void begin(void)
{
    uint8_t key[16] = {0};

    (void)mu_rng_secret(key, sizeof(key)); /* without it the binaries are found all the same */
    mu_pool_init(&all.binaries, key);
}

static void end(void)
{
    mu_pool_fini(&all.binaries);
    mu_slab_fini(&all.slab);
}

static size_t size_of(const char *host)
{
    return offsetof(struct mu_ident, host) + strlen(host) + 1;
}

struct mu_ident *mu_ident_new(const uint8_t uuid[16], const char *binary, const char *host)
{
    struct mu_ident *ident;
    uint32_t id;

    if (all.n == 0)
        begin();
    ident = mu_slab_alloc(&all.slab, size_of(host));
    if (!ident || mu_pool_add(&all.binaries, binary, strlen(binary), &id) != 0) {
        if (ident)
            mu_slab_free(&all.slab, ident, size_of(host));
        if (all.n == 0)
            end();
        return NULL;
    }
    ident->binary = mu_pool_text(&all.binaries, id);
    ident->refs = 1;
    memcpy(ident->uuid, uuid, sizeof(ident->uuid));
    strcpy(ident->host, host);
    all.n++;
    return ident;
}

struct mu_ident *mu_ident_ref(struct mu_ident *ident)
{
    ident->refs++;
    return ident;
}

void mu_ident_unref(struct mu_ident *ident)
{
    if (!ident)
        return;
    assert(ident->refs > 0);
    if (--ident->refs > 0)
        return;
    if (*ident->binary)
        mu_pool_drop(&all.binaries, mu_pool_id(ident->binary));
    mu_slab_free(&all.slab, ident, size_of(ident->host));
    if (--all.n == 0)
        end();
}
