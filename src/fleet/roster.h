/* roster.h - who there is: a slot for each agent, hot numbers packed apart from the rest.
 *
 * Slots are reused; a generation tells the lives of a slot apart. Pointers and strings got from a
 * roster are good until it is changed. One thread. A beat allocates nothing. */
#ifndef MU_FLEET_ROSTER_H
#define MU_FLEET_ROSTER_H

#include "fleet/policy.h"
#include "fleet/row.h"

#define MU_NO_SLOT  UINT32_MAX
#define MU_GAPS     16

struct mu_roster;

/* An agent as people see it now: a row, and what is derived. */
struct mu_view {
    struct mu_row row;       /* .state is what is judged; see .shown */
    uint32_t slot;
    enum mu_state shown;     /* what we say: forced_down shows MU_DOWN; MU_UNKNOWN as derived */
    enum mu_reason shown_reason;
    bool heard;              /* since this conductor started */
    mu_dur silence;          /* since the last beat, monotonic; MU_NEVER = not heard, see row.last_seen */
    struct mu_times times;   /* in force */
    const char *policy;      /* its name */
    uint64_t payload_hash;
    uint32_t payload_len;    /* 0 = none */
};

uint32_t mu_roster_count(const struct mu_roster *roster);     /* agents */
uint32_t mu_roster_slots(const struct mu_roster *roster);     /* slots are 0 .. this - 1 */
bool mu_roster_used(const struct mu_roster *roster, uint32_t slot);
uint32_t mu_roster_generation(const struct mu_roster *roster, uint32_t slot);
uint32_t mu_roster_find(const struct mu_roster *roster, const char *binary, const char *host);
uint32_t mu_roster_find_uuid(const struct mu_roster *roster, const uint8_t uuid[16]);
uint32_t mu_roster_find_row(const struct mu_roster *roster, uint32_t row);

void mu_roster_view(const struct mu_roster *roster, uint32_t slot, mu_time now, struct mu_view *out);

/* The durable part alone; for the journal. */
void mu_roster_row(const struct mu_roster *roster, uint32_t slot, struct mu_row *out);
/* What a checkpoint writes. */
void mu_roster_beat(const struct mu_roster *roster, uint32_t slot, mu_wall *last_seen, uint64_t *count);

/* Slots in order of name (host, then binary, bytewise): writes up to @n of those after the name of
 * @after (NULL = from the beginning) to @out; returns how many. */
size_t mu_roster_by_name(struct mu_roster *roster, const char *after_binary, const char *after_host,
                         uint32_t *out, size_t n);

/* Counts of what is shown, kept up to date with each change: by state. */
uint32_t mu_roster_shown(const struct mu_roster *roster, enum mu_state state);

/* The calls that change it are the conductor's: see the second part of this header. */

#endif
