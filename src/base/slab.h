/* slab.h - many small blocks, without what malloc(3) adds to each.
 *
 * Sizes go up in steps of 8 bytes; what is larger than MU_SLAB_MAX comes from mu_alloc(). A block
 * that is given back serves the next one of its size; memory returns when the slab ends. One
 * thread. */
#ifndef MU_BASE_SLAB_H
#define MU_BASE_SLAB_H

#include <stddef.h>

#define MU_SLAB_MAX 256 /* bytes */

struct mu_slab {
    struct mu_slab_block *free[MU_SLAB_MAX / 8 + 1]; /* by size / 8 */
    struct mu_slab_chunk *chunks;                    /* the first one is being filled */
    size_t used;                                     /* bytes of it */
};

/* Zeroed memory is an empty slab. */
void mu_slab_fini(struct mu_slab *slab);
void *mu_slab_alloc(struct mu_slab *slab, size_t size); /* not zeroed; NULL = out of memory */
void mu_slab_free(struct mu_slab *slab, void *block, size_t size); /* @size as it was asked for */

#endif
