/* sessions.h - the joined senders: which agent an index means, what was seen of the sender.
 *
 * A session's number says where it is kept: the epoch in which it was given, how often its place
 * had been given in that epoch, and the place. So it is found without a search, and no number is
 * given twice. Its key is derived. An index that no longer means an agent keeps saying why for as
 * long as the session lives. A sender with one agent, which is most of a million, needs nothing but
 * its place; one with more, or with something to remember, has a crew. */
#ifndef MU_CONDUCTOR_SESSIONS_H
#define MU_CONDUCTOR_SESSIONS_H

#include "base/clock.h"
#include "wire/seal.h"

/* What an index means. */
#define MU_INDEX_RENEW          0x40000000u /* with a slot: this agent is to join anew, at leisure */
#define MU_INDEX_SLOT           0x3fffffffu /* the slot's bits */
#define MU_INDEX_TAKEN          0xfffffffeu /* its name was taken over */
#define MU_INDEX_NOBODY         0xffffffffu /* unknown: join */
#define MU_INDEX_IS_SLOT(value) ((value) < MU_INDEX_TAKEN)

#define MU_SESSION_PLACES (1u << 24) /* at once */

struct mu_sender {
    uint64_t top : 48;  /* sequence numbers: the highest seen, */
    uint64_t from : 16; /* hash of the address its last datagram came from; 0 = not known */
    uint64_t seen;      /* and which of the 64 up to it */
    uint32_t epoch;     /* with .given and its place, its number; 0 = a free place */
    uint32_t stream;    /* the link of the latest that is attached; see struct mu_stream */
    uint32_t only;   /* the slot of index 0, all there is; MU_INDEX_NOBODY = none was given yet; or
                        where it is .crewed, its crew */
    uint8_t given;   /* how often the place was, before, in the same epoch */
    uint8_t moved_s; /* monotonic, wraps: when .from changed last, where it has .moved */
    uint8_t told_s;  /* and when an event told of it, where it was .told */
    uint8_t moved : 1; /* within the last minute or two: the sweep takes it back */
    uint8_t told : 1;
    uint8_t by_stream : 1; /* how it last spoke */
    uint8_t crewed : 1;
};

struct mu_sessions {
    struct mu_sender *at;
    uint32_t n, cap, count;
    uint32_t free_first, free_last; /* places, used again in turn; UINT32_MAX = none */
    struct mu_crew *crews;
    uint32_t ncrews, crew_cap, crew_free;
    uint32_t epoch; /* of the sessions to come */
    mu_time now;    /* of the last tick */
    uint32_t swept; /* how far mu_sessions_sweep() has come */
};

void mu_sessions_init(struct mu_sessions *sessions, uint32_t epoch, mu_time now);
void mu_sessions_fini(struct mu_sessions *sessions);

static inline uint64_t mu_sender_id(const struct mu_sessions *ss, const struct mu_sender *s)
{
    return (uint64_t)s->epoch << 32 | (uint32_t)s->given << 24 | (uint32_t)(s - ss->at);
}

/* A pointer got from here is good until the next mu_sessions_add(). NULL = none. */
static inline struct mu_sender *mu_sessions_find(const struct mu_sessions *ss, uint64_t id)
{
    uint32_t place = id & (MU_SESSION_PLACES - 1);

    if (place >= ss->n || id >> 32 == 0 || mu_sender_id(ss, &ss->at[place]) != id)
        return NULL;
    return &ss->at[place];
}

/* Has the processor fetch it. */
static inline void mu_sessions_soon(const struct mu_sessions *ss, uint64_t id)
{
    uint32_t place = id & (MU_SESSION_PLACES - 1);

    if (place < ss->n) { /* it may lie on two lines */
        __builtin_prefetch(&ss->at[place], 1);
        __builtin_prefetch(&ss->at[place].told_s, 1);
    }
}

/* A new session. NULL = out of memory, or of places. */
struct mu_sender *mu_sessions_add(struct mu_sessions *sessions);

/* A session of an earlier epoch, from the store; before the first mu_sessions_add(). Returns 0 and
 * *@out, which is NULL where its place has a later one already: then it is over; MU_ENOMEM. */
int mu_sessions_restore(struct mu_sessions *sessions, uint64_t id, struct mu_sender **out);
void mu_sessions_restored(struct mu_sessions *sessions); /* that were all */

/* Whether @seq is new, as mu_replay_accept(); numbers beyond 48 bits are not. */
bool mu_sender_accept(struct mu_sender *s, uint64_t seq);

/* Its datagrams come from elsewhere now. Returns whether that is to be told: it has changed less
 * than a minute ago as well, and nobody was told of that for a minute. */
bool mu_sender_roams(struct mu_sender *s, uint16_t from, mu_time now);
void mu_sender_told(struct mu_sender *s, mu_time now);

/* It has shown that it has the key. */
void mu_sender_touch(struct mu_sessions *sessions, struct mu_sender *s);

/* Frees @s when nobody needs it: no agent, no stream, and nobody to be told that he was taken over.
 */
void mu_sessions_release(struct mu_sessions *sessions, struct mu_sender *s);

/* At each tick. Frees a few of those that only wait to tell somebody that he was taken over, and
 * have for long; for less long when there are more sessions than @many. In the end all. */
void mu_sessions_sweep(struct mu_sessions *sessions, mu_time now, uint32_t many);

#define MU_SENDER_MAX (1u << 20) /* indexes of a session */
uint32_t mu_sender_n(const struct mu_sessions *ss, const struct mu_sender *s); /* given so far */
/* MU_INDEX_NOBODY for one that was not given. */
uint32_t mu_sender_get(const struct mu_sessions *ss, const struct mu_sender *s, uint32_t index);
/* Sets what @index means; it may not have been given yet. MU_EFULL beyond MU_SENDER_MAX. */
int mu_sender_set(struct mu_sessions *ss, struct mu_sender *s, uint32_t index, uint32_t value);
/* Gives @slot the next index, that is *@index. */
int mu_sender_bind(struct mu_sessions *ss, struct mu_sender *s, uint32_t slot, uint32_t *index);
/* Takes back an index that nobody has been told of. */
void mu_sender_unbind(struct mu_sessions *ss, struct mu_sender *s, uint32_t index);

#endif
