/* stat.h - counters, gauges and histograms, and their text for Prometheus.
 *
 * Every metric is a row of stat_table.h: name, kind, unit and a sentence; /metrics, the docs and
 * the man page come from it. The loop's thread alone writes and reads them; other threads hand
 * their numbers over with their answers. Families with labels are made at scrape time by
 * outlet/metrics. */
#ifndef MU_BASE_STAT_H
#define MU_BASE_STAT_H

#include "base/buf.h"
#include "base/stat_table.h"

enum mu_stat {
#define MU_STAT_(id, name, kind, help) id,
    MU_STAT_TABLE(MU_STAT_)
#undef MU_STAT_
        MU_STATS
};

void mu_stat_add(enum mu_stat id, uint64_t n);       /* a counter */
void mu_stat_set(enum mu_stat id, double value);     /* a gauge */
void mu_stat_observe(enum mu_stat id, double value); /* a histogram, in the metric's unit */
uint64_t mu_stat_count(enum mu_stat id);             /* a counter's value, a histogram's count */
void mu_stat_reset(void);                            /* all to zero, for tests */

/* Appends every metric as Prometheus text, version 0.0.4. */
void mu_stat_expose(struct mu_buf *out);

#endif
