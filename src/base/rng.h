/* rng.h - a seeded generator (xoshiro256**, Blackman and Vigna 2018), so that a run can be
 * repeated.
 *
 * Not for secrets: those come from mu_rng_secret(). */
#ifndef MU_BASE_RNG_H
#define MU_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct mu_rng {
    uint64_t s[4];
};

void mu_rng_seed(struct mu_rng *rng, uint64_t seed);
uint64_t mu_rng_next(struct mu_rng *rng);
uint64_t mu_rng_below(struct mu_rng *rng, uint64_t n); /* 0 .. n-1, unbiased; 0 for n = 0 */
double mu_rng_unit(struct mu_rng *rng);                /* [0, 1) */
mu_dur mu_rng_jitter(struct mu_rng *rng, mu_dur dur, double part); /* dur * (1 -+ part), uniform */
void mu_rng_uuid(struct mu_rng *rng, uint8_t uuid[16]);            /* version 4 */

/* Bytes from the kernel's generator. Returns 0 or MU_EIO. */
int mu_rng_secret(void *out, size_t n);

/* "f81d4fae-7dec-41d0-a765-00a0c91e6bf6" and back; parse returns 0 or MU_EINVAL. */
#define MU_UUID_TEXT 37
char *mu_uuid_text(const uint8_t uuid[16], char out[MU_UUID_TEXT]);
int mu_uuid_parse(const char *text, uint8_t uuid[16]);

#endif
