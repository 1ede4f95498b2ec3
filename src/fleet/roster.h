/* roster.h - who there is: a slot for each agent, what a beat touches packed apart from the rest.
 *
 * Slots are reused; a generation tells the lives of a slot apart. Moments are kept in ms. Pointers
 * and strings got from a roster are good until it is changed. One thread. A beat allocates nothing.
 */
#ifndef MU_FLEET_ROSTER_H
#define MU_FLEET_ROSTER_H

#include "fleet/census.h"
#include "fleet/history.h"
#include "fleet/policy.h"
#include "fleet/row.h"

#define MU_NO_SLOT UINT32_MAX

struct mu_roster;

/* An agent as people see it now: a row, and what is derived. */
struct mu_view {
    struct mu_row row; /* .state is what is judged; see .shown */
    uint32_t slot;
    enum mu_state shown; /* what we say: forced_down shows MU_DOWN; MU_UNKNOWN as derived */
    enum mu_reason shown_reason;
    bool heard;     /* since this conductor started */
    mu_dur silence; /* since the last beat, monotonic; MU_NEVER = not heard, see row.last_seen */
    struct mu_times times; /* in force */
    const char *policy;    /* its name */
    uint32_t payload_len;  /* 0 = none */
};

uint32_t mu_roster_count(const struct mu_roster *roster); /* agents */
uint32_t mu_roster_taken(const struct mu_roster *roster); /* with those that are hidden */
uint32_t mu_roster_slots(const struct mu_roster *roster); /* slots are 0 .. this - 1 */
bool mu_roster_used(const struct mu_roster *roster, uint32_t slot);
uint32_t mu_roster_generation(const struct mu_roster *roster, uint32_t slot);
uint32_t mu_roster_find(const struct mu_roster *roster, const char *binary, const char *host);
uint32_t mu_roster_find_uuid(const struct mu_roster *roster, const uint8_t uuid[16]);

void mu_roster_view(const struct mu_roster *roster, uint32_t slot, mu_time now,
                    struct mu_view *out);

/* Of a view what people choose agents by, for walks over all of them. */
struct mu_glance {
    const struct mu_ident *ident;
    const char *zone, *labels; /* as in a row */
    enum mu_state shown;
    bool disabled, forced_down;
};
void mu_roster_glance(const struct mu_roster *roster, uint32_t slot, struct mu_glance *out);

/* The durable part alone, as the store shall have it: an operator's write that waits for its commit
 * is in it already, so that a later snapshot never takes back what was stored before it. False, and
 * *@out is not to be written, while a delete waits. For the journal. */
bool mu_roster_row(const struct mu_roster *roster, uint32_t slot, struct mu_row *out);
/* What a checkpoint writes. */
void mu_roster_beat(const struct mu_roster *roster, uint32_t slot, mu_wall *last_seen,
                    uint64_t *count);

/* Slots in order of name (host, then binary, bytewise): writes up to @n of those after the name of
 * @after (NULL = from the beginning) to @out; returns how many. */
size_t mu_roster_by_name(struct mu_roster *roster, const char *after_binary, const char *after_host,
                         uint32_t *out, size_t n);

/* Of all agents but those that are hidden, kept up to date with each change. */
const struct mu_census *mu_roster_census(const struct mu_roster *roster);

/* ---- What changes it: the conductor's calls. ----
 *
 * An agent's silence is counted in hearing time (conductor/hearing.h), here @h; @now is monotonic.
 * A slot that is added hidden is seen by none of the calls above but mu_roster_row() until it is
 * revealed: its name is taken, but its row is not stored yet. */

struct mu_roster_config {
    uint8_t key[16];                    /* of the hashes */
    const struct mu_policies *policies; /* borrowed until mu_roster_policies() gives others */
};

int mu_roster_new(struct mu_roster **out, const struct mu_roster_config *config);
void mu_roster_free(struct mu_roster *roster);
void mu_roster_policies(struct mu_roster *roster, const struct mu_policies *policies);

/* What wall-clock time a monotonic one is: for mu_row.last_seen. */
void mu_roster_clock(struct mu_roster *roster, mu_time now, mu_wall wall);

/* Adds @row, of which .interval_ms is the interval wanted; strings are copied, the ident is shared.
 * Returns 0 and the slot; MU_EEXIST when name or UUID is there; MU_ENOMEM. */
int mu_roster_add(struct mu_roster *roster, const struct mu_row *row, bool hidden, uint32_t *slot);
/* The same for rows that are stored already, many in a row: nobody is found by his name before
 * or UUID before mu_roster_loaded(), which returns MU_EEXIST when two have the same, or MU_ENOMEM.
 */
int mu_roster_load(struct mu_roster *roster, const struct mu_row *row, uint32_t *slot);
int mu_roster_loaded(struct mu_roster *roster);
void mu_roster_reveal(struct mu_roster *roster, uint32_t slot);
void mu_roster_remove(struct mu_roster *roster, uint32_t slot);
bool mu_roster_hidden(const struct mu_roster *roster, uint32_t slot);
/* As mu_roster_find(), hidden ones too. */
uint32_t mu_roster_find_any(const struct mu_roster *roster, const char *binary, const char *host);

/* Takes what a join tells from @row: zone, labels, version, start id, incarnation, session, index,
 * joined_at, and .interval_ms as the interval wanted. Returns 0; MU_ENOMEM, nothing changed. */
int mu_roster_rejoin(struct mu_roster *roster, uint32_t slot, const struct mu_row *row);
void mu_roster_bind(struct mu_roster *roster, uint32_t slot, uint64_t session, uint32_t index);
/* A report of @len bytes with that hash was taken at @now, and is on its way to the store. Without
 * memory it is forgotten, and the same report would be taken once more. */
void mu_roster_payload(struct mu_roster *roster, uint32_t slot, uint64_t hash, uint32_t len,
                       mu_time now);
/* That report is stored; if it is still the last one. */
void mu_roster_kept(struct mu_roster *roster, uint32_t slot, uint64_t hash);
/* Whether that report is the last one that was taken, and is stored. */
bool mu_roster_reported(const struct mu_roster *roster, uint32_t slot, uint64_t hash, uint32_t len);
/* How long the agent must wait before its next report: at most one an interval. */
mu_dur mu_roster_report_wait(const struct mu_roster *roster, uint32_t slot, mu_time now);
/* What was stored of it: at the start. */
void mu_roster_stored(struct mu_roster *roster, uint32_t slot, uint32_t payload_len);

/* An operator's write that waits for its commit: the fields disabled, forced_down, their reasons
 * and revision of @wanted, or a delete. One an agent. Returns 0 or MU_ENOMEM. */
int mu_roster_pend(struct mu_roster *roster, uint32_t slot, const struct mu_row *wanted,
                   bool deletes);
bool mu_roster_pending(const struct mu_roster *roster, uint32_t slot);
/* The write came true, or to nothing. Removing the agent of a delete is the caller's. */
void mu_roster_settle(struct mu_roster *roster, uint32_t slot, bool apply);

/* Has the processor fetch what mu_roster_heard() will need of @slot. */
void mu_roster_soon(const struct mu_roster *roster, uint32_t slot);
/* A beat; a second one in the same ms is none. Its state is not touched: see mu_roster_move(). */
void mu_roster_heard(struct mu_roster *roster, uint32_t slot, mu_time now, mu_time h);
/* Not a beat, but a sign of life that puts off what silence would lead to. */
void mu_roster_spare(struct mu_roster *roster, uint32_t slot, mu_time h);
/* For every agent that was up or suspect: nothing was heard yet, its silence begins at @h. Returns
 * how many. */
uint32_t mu_roster_begin(struct mu_roster *roster, mu_time h);
void mu_roster_move(struct mu_roster *roster, uint32_t slot, enum mu_state state,
                    enum mu_reason why, mu_wall at);

/* The interval in force for who wants @wanted_ms (0 = the policy's). */
uint32_t mu_roster_interval_for(const struct mu_roster *roster, uint32_t slot, uint32_t wanted_ms);

/* Takes up the policies' times for @slot; what is due is put off until one interval from @h on.
 * Returns whether the agent should be told another interval; until he has joined anew for it, his
 * times are stretched to the one he has. */
bool mu_roster_retime(struct mu_roster *roster, uint32_t slot, mu_time h);

/* What its silence is judged by. Times are hearing time. */
struct mu_pulse {
    enum mu_state state; /* judged; MU_UNKNOWN as derived */
    mu_time since;       /* its silence counts from here */
    mu_time suspect_at, down_at;
    mu_time heard; /* monotonic, of the last beat; MU_NEVER = not since the start */
    struct mu_times times;
    const struct mu_detector_driver *detector;
    const void *learned; /* its state */
};
void mu_roster_pulse(const struct mu_roster *roster, uint32_t slot, struct mu_pulse *out);

/* The first slot from @from on whose silence may make a difference by @h; MU_NO_SLOT = none. For
 * the sweep: who is due is to be looked at, and to be put off where nothing came of it. */
uint32_t mu_roster_due(const struct mu_roster *roster, uint32_t from, mu_time h);
void mu_roster_put_off(struct mu_roster *roster, uint32_t slot, mu_time due, mu_time h);

/* The same as fields of a view, without the rest of it. */
enum mu_state mu_roster_state(const struct mu_roster *roster, uint32_t slot);
bool mu_roster_forced(const struct mu_roster *roster, uint32_t slot);
/* What a lease promises: silence before which nobody is down. */
mu_dur mu_roster_down_time(const struct mu_roster *roster, uint32_t slot);
struct mu_ident *mu_roster_ident(const struct mu_roster *roster, uint32_t slot);
size_t mu_roster_history(const struct mu_roster *roster, uint32_t slot, uint32_t gaps_ms[MU_GAPS]);
mu_dur mu_roster_shortest(const struct mu_roster *roster); /* interval of all; MU_NEVER = nobody */

#endif
