/* metrics.h - what /metrics prints: the table of base/stat, and the families with labels.
 *
 * A sink of the bus counts transitions by what they went to and why. No label names a host, and
 * zone and binary are bounded by the census, so a scrape's size does not grow with the fleet. */
#ifndef MU_OUTLET_METRICS_H
#define MU_OUTLET_METRICS_H

#include "base/buf.h"
#include "event/bus.h"
#include "fleet/census.h"
#include "outlet/journal.h"
#include "store/store.h"

struct mu_metrics;

int mu_metrics_new(struct mu_metrics **out, struct mu_bus *bus, const char *version);
void mu_metrics_free(struct mu_metrics *metrics); /* NULL is allowed */

/* Appends everything as Prometheus text 0.0.4. @census is complete; @journal may be NULL. */
void mu_metrics_expose(const struct mu_metrics *metrics, const struct mu_census *census,
                       const struct mu_store_health *store, const struct mu_journal_health *journal,
                       struct mu_buf *out);

#endif
