/* row.h - an agent as a value: what the store keeps of it, and what people are shown.
 *
 * A row borrows its strings; who keeps one for longer copies it. */
#ifndef MU_FLEET_ROW_H
#define MU_FLEET_ROW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/state.h"

/* Who an agent is, for ever: shared by its slot and by every event that tells of it. Immutable but
 * for the count of references, which the loop's thread alone touches. */
struct mu_ident {
    const char *binary; /* one text for all that have it */
    uint32_t refs;
    uint8_t uuid[16];
    char host[];
};

/* Returns a new ident with one reference, or NULL. Binary and host have been checked. */
struct mu_ident *mu_ident_new(const uint8_t uuid[16], const char *binary, const char *host);
struct mu_ident *mu_ident_ref(struct mu_ident *ident);
void mu_ident_unref(struct mu_ident *ident); /* NULL is allowed */

/* The same as a value, borrowed: of a row that comes from the store. */
struct mu_who {
    uint8_t uuid[16];
    const char *binary, *host;
};

/* The durable part of an agent: a row of `agents`, and its of `beats`. */
struct mu_row {
    uint32_t id;            /* primary key: 1, 2, ..., given at the first join, never given again */
    struct mu_ident *ident; /* uuid, binary, host; NULL in a row that comes from the store */
    const char *zone;       /* "" = none */
    const char *labels;     /* a JSON object of strings, keys sorted: {"rack":"r1"} */
    const char *version;    /* the agent's own; "" = not told */

    bool disabled;
    const char *disabled_reason; /* "" = none */
    bool forced_down;
    const char *forced_reason; /* "" = none */
    uint32_t revision;         /* grows with each operator's write: the ETag */

    enum mu_state state; /* last judged, never MU_UNKNOWN */
    enum mu_reason state_reason;
    mu_wall state_since;

    uint64_t start_id;    /* of the life that reported last; 0 for beats by HTTP */
    uint64_t incarnation; /* epoch << 32 | counter */
    uint64_t session;     /* 0 = none: beats by HTTP, or left */
    uint32_t index;       /* of this agent in the session */
    uint32_t interval_ms; /* in force */
    mu_wall joined_at;

    mu_wall last_seen; /* table `beats`: relaxed */
    uint64_t report_count;
};

#endif
