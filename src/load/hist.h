/* hist.h - how often which value came, for percentiles: log-linear buckets in fixed memory.
 *
 * Values below 64 are kept exactly; above, a bucket is at most 1/64 of its value wide. Nothing is
 * allocated and nothing is ever out of range. */
#ifndef MU_LOAD_HIST_H
#define MU_LOAD_HIST_H

#include <stdint.h>

#define MU_HIST_BITS    6
#define MU_HIST_BUCKETS ((64 - MU_HIST_BITS + 1) << MU_HIST_BITS)

struct mu_hist { /* all zero is an empty one */
    uint64_t n, max;
    uint64_t count[MU_HIST_BUCKETS];
};

void mu_hist_add(struct mu_hist *hist, uint64_t value);
void mu_hist_merge(struct mu_hist *into, const struct mu_hist *from);

/* The value that @part (0 to 1) of all do not exceed, at most 1/64 too high; 0 when there is none.
 */
uint64_t mu_hist_at(const struct mu_hist *hist, double part);

#endif
