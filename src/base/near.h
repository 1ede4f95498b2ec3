/* near.h - the word that somebody probably meant. */
#ifndef MU_BASE_NEAR_H
#define MU_BASE_NEAR_H

#include <stddef.h>

/* Letters to add, drop, change or swap with their neighbour to make @b from @a (Damerau 1964).
 * Words of more than 63 bytes are SIZE_MAX apart. */
size_t mu_near_distance(const char *a, const char *b);

/* Takes the nearest of the words it is shown one by one, if near enough to be worth naming: at most
 * a third of its letters differ, and at least one may. .best is NULL until there is one. */
struct mu_near {
    const char *word;
    const char *best;
    size_t distance;
};

void mu_near_init(struct mu_near *near, const char *word);
/* @candidate is borrowed as long as .best is used. */
void mu_near_try(struct mu_near *near, const char *candidate);

#endif
