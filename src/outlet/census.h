/* census.h - how many agents there are of each zone, binary and state.
 *
 * Taken in slices, since a million rows in one go would hold the loop; so it is exact for a fleet
 * that holds still meanwhile. Zones and binaries are counted by name up to MU_CENSUS_MAX pairs,
 * what is beyond under the zone MU_CENSUS_OTHER, and where there are so many binaries, under the
 * binary of that name: so no fleet makes it, or /metrics, grow for ever. */
#ifndef MU_OUTLET_CENSUS_H
#define MU_OUTLET_CENSUS_H

#include "base/map.h"
#include "fleet/roster.h"

#define MU_CENSUS_MAX   1000
#define MU_CENSUS_LINES (MU_CENSUS_MAX + 101) /* with those of what is beyond */
#define MU_CENSUS_OTHER "(other)"

struct mu_census_line {
    char *zone, *binary;
    uint32_t state[MU_STATES]; /* by what is shown */
};

/* Whether an agent is counted. */
typedef bool (*mu_census_wants_fn)(const void *ctx, const struct mu_glance *agent);

struct mu_census {
    const struct mu_roster *roster; /* borrowed */
    mu_census_wants_fn wants;       /* NULL = all are */
    const void *ctx;
    uint32_t next; /* slot */
    struct mu_census_line *lines;
    uint32_t n, cap;
    struct mu_map map;
    uint16_t near[256]; /* lines that were found lately */
    uint32_t total, state[MU_STATES], disabled, forced;
};

void mu_census_init(struct mu_census *census, const struct mu_roster *roster,
                    mu_census_wants_fn wants, const void *ctx);
void mu_census_fini(struct mu_census *census);

/* Looks at @slots slots more. Returns 1 while there are others, 0 when all were counted, MU_ENOMEM.
 */
int mu_census_step(struct mu_census *census, uint32_t slots);

#endif
