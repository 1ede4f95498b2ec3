/* slotset.h - a set of the roster's slots: which rows differ from what is stored.
 *
 * Putting a slot in cannot fail: when there is no memory for it, all slots are meant. */
#ifndef MU_OUTLET_SLOTSET_H
#define MU_OUTLET_SLOTSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mu_slotset {
    uint64_t *words;
    size_t nwords;
    size_t n;    /* slots in it */
    bool all;    /* every slot of the roster, until mu_slotset_settle() */
    size_t next; /* the word where the next walk begins */
};

void mu_slotset_fini(struct mu_slotset *set); /* zeroed memory is the empty set */
void mu_slotset_put(struct mu_slotset *set, uint32_t slot);
/* Room for slots 0 .. @nslots - 1. 0 or MU_ENOMEM. */
int mu_slotset_reserve(struct mu_slotset *set, uint32_t nslots);
void mu_slotset_clear(struct mu_slotset *set); /* its memory stays */
bool mu_slotset_has(const struct mu_slotset *set, uint32_t slot);
bool mu_slotset_take(struct mu_slotset *set, uint32_t slot); /* out of it; whether it was in */

/* Takes any slot, ascending, then from the lowest on again; false = empty. */
bool mu_slotset_take_any(struct mu_slotset *set, uint32_t *slot);

/* Makes `all` the @nslots that there are, when memory allows. */
void mu_slotset_settle(struct mu_slotset *set, uint32_t nslots);

#endif
