/* census.h - how many agents there are of each zone, binary and state.
 *
 * Zones and binaries are counted by name up to MU_CENSUS_MAX pairs, what is beyond under the zone
 * MU_CENSUS_OTHER, and where there are so many binaries, under the binary of that name: so no fleet
 * makes it, or /metrics, grow for ever. The roster keeps one of all agents; another can be taken of
 * some. */
#ifndef MU_FLEET_CENSUS_H
#define MU_FLEET_CENSUS_H

#include "base/map.h"
#include "base/state.h"

#define MU_CENSUS_MAX   1000
#define MU_CENSUS_LINES (MU_CENSUS_MAX + 101) /* with those of what is beyond */
#define MU_CENSUS_NONE  2047                  /* no line: 11 bits */
#define MU_CENSUS_OTHER "(other)"

struct mu_census_line {
    char *zone, *binary;       /* NULL = nobody's, to be used again */
    uint32_t agents;           /* that have this line, and were not taken from it */
    uint32_t state[MU_STATES]; /* those that are counted, by what is shown */
};

struct mu_census {
    struct mu_census_line *lines;
    uint32_t n, cap, used; /* lines, room, lines that are somebody's */
    struct mu_map map;
    uint16_t near[256]; /* lines that were found lately */
    uint32_t total, state[MU_STATES], disabled, forced;
};

void mu_census_init(struct mu_census *census);
void mu_census_fini(struct mu_census *census);

/* The line of @zone and @binary, for one agent more; MU_CENSUS_NONE when memory is out: such an
 * agent is counted in the totals alone. */
uint32_t mu_census_enter(struct mu_census *census, const char *zone, const char *binary);
void mu_census_leave(struct mu_census *census, uint32_t line);

uint32_t mu_census_sum(const struct mu_census_line *line); /* of those that are counted */

/* @by is 1 for one agent more of these, -1 for one less. */
void mu_census_count(struct mu_census *census, uint32_t line, enum mu_state shown, bool disabled,
                     bool forced, int by);

#endif
