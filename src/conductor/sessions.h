/* sessions.h - the joined senders: which agent an index means, what was seen of the sender.
 *
 * A session is known by its id; its key is derived. An index that no longer means an agent keeps
 * saying why for as long as the session lives. One with a single agent needs no memory of its own.
 */
#ifndef MU_CONDUCTOR_SESSIONS_H
#define MU_CONDUCTOR_SESSIONS_H

#include "base/clock.h"
#include "base/entries.h"
#include "wire/seal.h"

/* What an index means. */
#define MU_INDEX_RENEW          0x40000000u /* with a slot: this agent is to join anew, at leisure */
#define MU_INDEX_SLOT           0x3fffffffu /* the slot's bits */
#define MU_INDEX_TAKEN          0xfffffffeu /* its name was taken over */
#define MU_INDEX_NOBODY         0xffffffffu /* unknown: join */
#define MU_INDEX_IS_SLOT(value) ((value) < MU_INDEX_TAKEN)

struct mu_sender {
    uint64_t id;
    struct mu_replay replay;
    uint64_t from;    /* hash of the address its last datagram came from; 0 = not known */
    mu_time moved_at; /* when that changed */
    mu_time told_at;  /* when an event told of it */
    mu_time touched;  /* when it last showed that it has the key */
    uint64_t conn;    /* the stream by which it last spoke; 0 = a datagram */
    uint32_t streams; /* attached */
    uint32_t stream;  /* if any is: the place of one */
    uint32_t live;    /* indexes that mean an agent */
    uint32_t taken;   /* indexes whose name was taken over */
    uint32_t n, cap;  /* indexes; cap 0 = .lone */
    union {
        uint32_t lone;
        uint32_t *many;
    } u;
};

struct mu_sessions {
    struct mu_entries all;
    uint32_t swept; /* how far mu_sessions_sweep() has come */
};

void mu_sessions_init(struct mu_sessions *sessions);
void mu_sessions_fini(struct mu_sessions *sessions);

/* A pointer got from here is good until the next mu_sessions_add(). */
static inline struct mu_sender *mu_sessions_find(const struct mu_sessions *sessions, uint64_t id)
{
    return mu_entries_find(&sessions->all, id);
}

struct mu_sender *mu_sessions_add(struct mu_sessions *sessions, uint64_t id,
                                  mu_time now); /* NULL */

/* Frees @s when nobody needs it: no agent, no stream, and nobody to be told that he was taken over.
 */
void mu_sessions_release(struct mu_sessions *sessions, struct mu_sender *s);

/* Frees a few of those that only wait to tell somebody that he was taken over, and have for long;
 * for less long when there are more sessions than @many. In the end all. */
void mu_sessions_sweep(struct mu_sessions *sessions, mu_time now, uint32_t many);

uint32_t mu_sender_get(const struct mu_sender *s, uint32_t index); /* MU_INDEX_NOBODY beyond .n */
/* Sets what @index means; it may be beyond .n, but not beyond @index < MU_SENDER_MAX. */
#define MU_SENDER_MAX (1u << 20)
int mu_sender_set(struct mu_sender *s, uint32_t index, uint32_t value);
/* Takes back an index that nobody has been told of. */
void mu_sender_unbind(struct mu_sender *s, uint32_t index);
/* Gives @slot the next index, that is *@index. MU_EFULL beyond MU_SENDER_MAX. */
int mu_sender_bind(struct mu_sender *s, uint32_t slot, uint32_t *index);

#endif
