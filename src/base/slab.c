#include "base/slab.h"

#include "base/mem.h"

#define CHUNK ((size_t)64 * 1024 - 64) /* with its link and malloc's part, under 64 KiB */

struct mu_slab_block {
    struct mu_slab_block *next;
};

struct mu_slab_chunk {
    struct mu_slab_chunk *next;
    unsigned char bytes[CHUNK];
};

void mu_slab_fini(struct mu_slab *slab)
{
    struct mu_slab_chunk *next;

    for (struct mu_slab_chunk *chunk = slab->chunks; chunk; chunk = next) {
        next = chunk->next;
        mu_free(chunk);
    }
    *slab = (struct mu_slab){.chunks = NULL};
}

static size_t rounded(size_t size)
{
    return (size + 7) / 8 * 8;
}

void *mu_slab_alloc(struct mu_slab *slab, size_t size)
{
    size_t n = rounded(size);
    struct mu_slab_block *block;

    if (n > MU_SLAB_MAX)
        return mu_alloc(size);
    block = slab->free[n / 8];
    if (block) {
        slab->free[n / 8] = block->next;
        return block;
    }
    if (!slab->chunks || slab->used + n > CHUNK) {
        struct mu_slab_chunk *chunk = mu_realloc(NULL, 1, sizeof(*chunk));

        if (!chunk)
            return NULL;
        chunk->next = slab->chunks;
        slab->chunks = chunk;
        slab->used = 0;
    }
    slab->used += n;
    return slab->chunks->bytes + slab->used - n;
}

void mu_slab_free(struct mu_slab *slab, void *ptr, size_t size)
{
    struct mu_slab_block *block = ptr;
    size_t n = rounded(size);

    if (n > MU_SLAB_MAX) {
        mu_free(ptr);
        return;
    }
    block->next = slab->free[n / 8];
    slab->free[n / 8] = block;
}
