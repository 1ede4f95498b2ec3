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
    MORE = 64, /* there is a struct more */
};

/* Moments are kept in ms, in 42 bits: until the year 2109. */
#define MOMENT_BITS 42

/* What a beat touches: a line of the processor's cache. */
struct hot {
    uint64_t heard : MOMENT_BITS; /* monotonic; until it is HEARD, wall-clock */
    uint64_t flags : 8;
    uint64_t state : 3;
    uint64_t ngaps : 5;
    uint64_t detector : 2;        /* enum mu_detector: whose state there is; mostly the policy's */
    uint64_t since : MOMENT_BITS; /* hearing time from which silence counts */
    uint64_t policy : 8;
    uint64_t line : 11; /* of the census */
    uint64_t report_count : 40;
    uint64_t profile : 24;           /* zone, labels, version: in the pool */
    uint32_t interval_ms, wanted_ms; /* in force; asked for, 0 = the policy's */
    uint16_t gaps[MU_GAPS];
};

/* What a beat of a healthy agent does not touch. */
struct cold {
    struct mu_ident *ident;
    uint64_t start_id, incarnation, session;
    uint64_t joined_at : MOMENT_BITS; /* wall-clock */
    uint64_t index : 20;              /* in the session */
    uint64_t state_since : MOMENT_BITS;
    uint64_t reason : 8;
    uint64_t generation : 14;
};

/* Slots come in blocks, which never move, so that a fleet that grows is never copied. */
#define BLOCK 1024

struct block {
    struct hot hot[BLOCK];
    struct cold cold[BLOCK];
    uint32_t due[BLOCK]; /* ms of hearing time, wraps; NOT_DUE = never */
    uint32_t row[BLOCK]; /* the row's number; of a free slot the next free one */
    uint8_t *learned;    /* MU_DETECT_STATE_MAX bytes each, by its detector; NULL = none learns */
};

#define NOT_DUE 0
/* What is due later than this is looked at in between: the sum wraps after twice as long. */
#define DUE_AT_MOST ((int64_t)20 * 24 * 3600 * 1000)

/* What only some agents have: those that report payloads, and those that operators have touched. */
struct more {
    uint64_t payload_hash;
    uint32_t slot; /* of a free one: the next */
    uint32_t payload_len : 31;
    uint32_t payload_kept : 1; /* the hash is of what is stored */
    uint32_t reported_ms;      /* monotonic, wraps; 0 = never */
    uint32_t revision;
    uint32_t disabled_reason, forced_reason; /* in the pool */
};

/* An operator's write that waits; there are few at a time. */
struct pend {
    struct pend *next;
    uint32_t slot;
    uint32_t disabled_reason, forced_reason, revision;
    bool disabled, forced_down, deletes;
};

struct mu_roster {
    struct block **blocks;
    uint32_t slots, cap;
    uint32_t free, nfree; /* slots to be used again: the first, how many */

    struct more *more;
    uint32_t nmore, more_cap, more_free; /* MU_MAP_NONE = none is free */
    struct mu_map more_of;               /* by slot */

    struct mu_census census;
    const struct mu_policies *policies;
    mu_dur wall_offset; /* ms to add to monotonic ms */
    struct mu_index index;
    struct mu_pool pool;
    struct pend *pends;
};

static inline struct hot *hot_of(const struct mu_roster *r, uint32_t slot)
{
    return &r->blocks[slot / BLOCK]->hot[slot % BLOCK];
}

static inline struct cold *cold_of(const struct mu_roster *r, uint32_t slot)
{
    return &r->blocks[slot / BLOCK]->cold[slot % BLOCK];
}

static inline uint32_t *due_of(const struct mu_roster *r, uint32_t slot)
{
    return &r->blocks[slot / BLOCK]->due[slot % BLOCK];
}

static inline uint32_t *row_of(const struct mu_roster *r, uint32_t slot)
{
    return &r->blocks[slot / BLOCK]->row[slot % BLOCK];
}

static inline void *learned(const struct mu_roster *r, uint32_t slot)
{
    uint8_t *states = r->blocks[slot / BLOCK]->learned;

    return states ? states + slot % BLOCK * MU_DETECT_STATE_MAX : NULL;
}

/* NULL = it has nothing more. */
static inline struct more *more_of(const struct mu_roster *r, uint32_t slot)
{
    if (!(hot_of(r, slot)->flags & MORE))
        return NULL;
    return &r->more[mu_map_find(&r->more_of, mu_map_hash_id(slot), &slot)];
}

static inline bool visible(const struct mu_roster *r, uint32_t slot)
{
    return slot < r->slots && (hot_of(r, slot)->flags & (USED | HIDDEN)) == USED;
}

static inline enum mu_state derived(const struct hot *hot)
{
    if (!(hot->flags & HEARD) && hot->state <= MU_SUSPECT)
        return MU_UNKNOWN;
    return (enum mu_state)hot->state;
}

static inline enum mu_state shown(const struct hot *hot)
{
    return hot->flags & FORCED ? MU_DOWN : derived(hot);
}

static inline struct pend **find_pend(const struct mu_roster *r, uint32_t slot)
{
    struct pend **at = (struct pend **)&r->pends;

    while (*at && (*at)->slot != slot)
        at = &(*at)->next;
    return at;
}

/* The interval in force fits the policy's down time, unless the policy has changed since the agent
 * was told: then he is given the time that his own interval needs, until he has joined anew. */
static inline struct mu_times times_of(const struct mu_roster *r, const struct hot *hot)
{
    const struct mu_policy *policy = &r->policies->at[hot->policy];
    mu_dur interval = hot->interval_ms * MU_MS;

    /* nearly always, and nothing to work out */
    if (interval == policy->times.interval && policy->times.down >= interval / 2 * 5 &&
        (policy->detector != MU_DETECT_DEADLINE || policy->times.floor == policy->times.down))
        return policy->times;
    return mu_times_for(policy, interval, true);
}

/* A moment of hearing time in ms, up to the next: a verdict may be late by one, never early. */
static inline uint64_t moment(mu_time at)
{
    return at <= 0 ? 0 : (uint64_t)(at + MU_MS - 1) / MU_MS;
}

#endif
