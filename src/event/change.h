/* change.h - a write that must be stored before it is true: a first-ever join, an operator's word.
 *
 * The conductor proposes it, the journal has it committed with everything that came before, and
 * mu_conductor_committed() makes it true, publishes its event and answers. */
#ifndef MU_EVENT_CHANGE_H
#define MU_EVENT_CHANGE_H

#include "event/event.h"

struct mu_change {
    uint64_t ticket;     /* the conductor's name for it */
    struct mu_row row;   /* as it shall be; borrowed for the call */
    uint32_t slot;       /* where it is in the roster */
    bool deletes;        /* the row goes, with its beats and payload */
    const char *payload; /* what a first join reports, borrowed; NULL = nothing */
    uint32_t payload_len;
    struct mu_event event; /* numbered already */
};

/* Takes @change to the store; it copies what it keeps. Returns 0, and mu_conductor_committed() will
 * be called once, later, never from within; MU_EAGAIN when the store is away for long enough, or
 * has so much to do, that waiting makes no sense; MU_ENOMEM. */
typedef int (*mu_propose_fn)(void *ctx, const struct mu_change *change);

/* A report of an agent that is stored already: whose, and who hears of it. */
struct mu_reported {
    uint32_t row, slot;
    uint32_t id;   /* of his REPORT */
    uint64_t conn; /* the stream that it came on; 0 = nobody waits */
    uint64_t hash; /* of the JSON */
};

#endif
