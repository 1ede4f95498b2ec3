/* roster_own.h - what roster.c, which changes it, and roster_read.c share; nobody else's. */
#ifndef MU_FLEET_ROSTER_OWN_H
#define MU_FLEET_ROSTER_OWN_H

#include "detect/detect.h"
#include "fleet/index.h"
#include "fleet/pool.h"
#include "fleet/roster.h"

enum {
    USED = 1,
    HIDDEN = 2,
    HEARD = 4, /* since this conductor started */
    DISABLED = 8,
    FORCED = 16,
    PENDING = 32,
};

/* What a beat of a healthy agent hardly touches. */
struct cold {
    struct mu_ident *ident;
    uint64_t start_id, incarnation, session, report_count, payload_hash;
    mu_wall state_since, joined_at;
    mu_time since;                /* hearing time from which silence counts */
    uint32_t suspect_ms, down_ms; /* what the detector said, from .since on */
    uint32_t row, index, revision, generation, payload_len;
    uint32_t reported_ms;                    /* monotonic, wraps */
    uint32_t interval_ms, wanted_ms;         /* in force; asked for, 0 = the policy's */
    uint32_t zone, labels, version;          /* in the pool */
    uint32_t disabled_reason, forced_reason; /* in the pool */
    uint16_t policy;
    struct mu_history history;
    uint8_t reason;
    uint8_t detector; /* whose state there is; the policy's */
};

/* An operator's write that waits; there are few at a time. */
struct pend {
    struct pend *next;
    uint32_t slot;
    uint32_t disabled_reason, forced_reason, revision;
    bool disabled, forced_down, deletes;
};

struct mu_roster {
    /* hot, by slot */
    mu_time *due;
    mu_time *heard; /* monotonic ns; until it is HEARD, wall-clock ms */
    uint8_t *flags, *state;
    /* cold, by slot */
    struct cold *cold;
    uint8_t *learned; /* by its detector: MU_DETECT_STATE_MAX bytes each */
    uint32_t slots, cap, count;
    uint32_t *free, nfree; /* slots to be used again; the array has room for .cap */

    uint32_t shown[MU_STATES];
    const struct mu_policies *policies;
    mu_dur wall_offset; /* ms to add to monotonic ms */
    struct mu_index index;
    struct mu_pool pool;
    struct pend *pends;
};

static inline bool visible(const struct mu_roster *r, uint32_t slot)
{
    return slot < r->slots && (r->flags[slot] & (USED | HIDDEN)) == USED;
}

static inline enum mu_state derived(const struct mu_roster *r, uint32_t slot)
{
    if (!(r->flags[slot] & HEARD) && r->state[slot] <= MU_SUSPECT)
        return MU_UNKNOWN;
    return r->state[slot];
}

static inline enum mu_state shown(const struct mu_roster *r, uint32_t slot)
{
    return r->flags[slot] & FORCED ? MU_DOWN : derived(r, slot);
}

static inline struct pend **find_pend(const struct mu_roster *r, uint32_t slot)
{
    struct pend **at = (struct pend **)&r->pends;

    while (*at && (*at)->slot != slot)
        at = &(*at)->next;
    return at;
}

static inline void *learned(const struct mu_roster *r, uint32_t slot)
{
    return r->learned + (size_t)slot * MU_DETECT_STATE_MAX;
}

/* The interval in force fits the policy's down time, unless the policy has changed since the agent
 * was told: then he is given the time that his own interval needs, until he has joined anew. */
static inline struct mu_times times_of(const struct mu_roster *r, uint32_t slot)
{
    const struct cold *cold = &r->cold[slot];

    return mu_times_for(&r->policies->at[cold->policy], cold->interval_ms * MU_MS, true);
}

#endif
