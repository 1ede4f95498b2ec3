/* heart.h - what the conductor's own sources share; nobody else's.
 *
 * conductor.c its life and its tick | intake.c bytes and messages | join.c joins and takeovers |
 * stream.c streams, and answers on them | contest.c two of one name | write.c what waits for the
 * store | sweep.c silence | heart.c signs of life, verdicts and events. */
#ifndef MU_CONDUCTOR_HEART_H
#define MU_CONDUCTOR_HEART_H

#include "base/entries.h"
#include "base/list.h"
#include "base/rng.h"
#include "conductor/admit.h"
#include "conductor/conductor.h"
#include "conductor/hearing.h"
#include "conductor/sessions.h"
#include "wire/codec.h"

#define MU_PATIENCE     (2 * MU_SEC) /* with the store, until somebody is told that it is unknown */
#define MU_PEER_MAX     64
#define MU_CONTESTS     64
#define MU_SOON         8
#define MU_PENDING_MAX  10000
#define MU_LABELS_BYTES 4096 /* of an agent's labels as JSON */

/* A JOIN that is not answered yet. */
struct mu_batch_join {
    struct mu_list link; /* in the conductor's .joins, the oldest first */
    uint64_t id;         /* of this JOIN, never given again */
    uint64_t conn, session;
    mu_time deadline;
    size_t n, open;
    struct mu_joined_agent *agents; /* .rv is MU_EBUSY while open */
};

struct mu_stream {
    uint64_t conn;
    uint64_t session;      /* 0 = not joined, not attached */
    uint32_t newer, older; /* of the session's streams: links, a place + 1; 0 = none */
    struct mu_batch_join *join;
    mu_time guest_until; /* 0 = it may stay; else there is no room: attached for a last word */
    char peer[MU_PEER_MAX];
};

/* What waits for its commit. */
enum mu_pending_kind { MU_PENDING_JOIN, MU_PENDING_HTTP, MU_PENDING_OP };
struct mu_pending {
    uint64_t ticket;
    enum mu_pending_kind kind;
    uint32_t slot;
    struct mu_event event; /* owns its references */
    mu_time deadline;
    mu_op_fn done; /* NULL = nobody waits */
    void *ctx;
    bool deletes;
    uint64_t conn, join; /* the stream of the JOIN, and its id: it may be answered already */
    size_t agent;        /* in it */
};

/* A name that went from one process to another. */
struct mu_contest {
    uint32_t slot, generation;
    uint64_t loser;  /* session; 0 = that he is alive has been counted */
    uint32_t index;  /* of it in there */
    mu_time at;      /* the first takeover, or the last one refused */
    uint32_t proven; /* takeovers of one who was alive */
    bool told;
};

struct mu_closing {
    uint64_t session;
    mu_time at;
};

struct mu_conductor {
    struct mu_conductor_config config;
    struct mu_conductor_ports ports;
    struct mu_roster *roster;
    struct mu_bus *bus;
    struct mu_hearing hearing;
    struct mu_admit admit;
    struct mu_sessions sessions;
    struct mu_entries streams; /* of struct mu_stream */
    uint32_t guests;           /* of the streams */
    struct mu_entries waiting; /* of struct mu_pending */
    struct mu_list joins;
    struct mu_contest contests[MU_CONTESTS];
    struct mu_rng rng;

    mu_time now;  /* of the entry that is being served, never backward */
    mu_wall wall; /* at .wall_at */
    mu_time wall_at;
    mu_wall began_wall; /* at .began: a wall clock that nobody steps */
    mu_time began;
    bool stalled; /* since the last tick */
    bool draining, told_full;
    uint32_t life_counter, next_row;
    uint64_t join_counter, ticket_counter;
    uint32_t forgetting; /* how far it has come */
    mu_time roam_told;
    uint64_t soon[MU_SOON]; /* sessions of which datagrams come soon, in turn */
    uint32_t nsoon;

    struct mu_closing *closing; /* sessions whose last stream has ended, in order */
    size_t nclosing, closing_cap;
    struct mu_join_agent *room; /* MU_JOIN_AGENTS_MAX, for the decoder */
};

/* ---- heart.c ---- */

/* The first thing at every entry: accounts for our own absence. */
void mu_heart_enter(struct mu_conductor *c, mu_time now);
mu_wall mu_heart_wall(const struct mu_conductor *c);
mu_time mu_heart_time(const struct mu_conductor *c); /* hearing time now */

void mu_heart_stalled(struct mu_conductor *c);
void mu_heart_publish(struct mu_conductor *c, struct mu_event *event); /* sets .at */
void mu_heart_tell(struct mu_conductor *c, enum mu_reason why, const struct mu_evidence *evidence,
                   struct mu_ident *who, const char *text);

/* A verdict: the agent's state becomes @to, and an event says so. */
void mu_heart_move(struct mu_conductor *c, uint32_t slot, enum mu_state to, enum mu_reason why,
                   const struct mu_evidence *evidence);

/* A beat of @slot. @why is how it tells of itself where it brings the agent back. Returns whether
 * an event told of it. */
bool mu_heart_heard(struct mu_conductor *c, uint32_t slot, enum mu_reason why);

/* Whether @json is stored as what the agent reported last. */
bool mu_heart_reported(const struct mu_conductor *c, uint32_t slot, struct mu_bytes json);
/* Takes his report, which is JSON, to the store. Who sent it on @conn as @id is answered when it is
 * there; @conn 0 = nobody is. Returns 0; MU_EFULL or MU_ENOMEM: he is to come again. */
int mu_heart_report(struct mu_conductor *c, uint32_t slot, struct mu_bytes json, uint64_t conn,
                    uint32_t id);

/* The agent's session no longer speaks for it: its index means @value from now on. */
void mu_heart_unbind(struct mu_conductor *c, uint32_t slot, uint32_t value);
/* The same for a session that was the agent's before. */
void mu_heart_lose(struct mu_conductor *c, uint32_t slot, uint64_t session, uint32_t index,
                   uint32_t value);
/* The agent is gone for good: from its session, and from the roster. */
void mu_heart_remove(struct mu_conductor *c, uint32_t slot);
/* His next beat is answered with a rejoin: the join tells him his interval, and brings his report.
 */
void mu_heart_ask_to_join(struct mu_conductor *c, uint32_t slot);
uint64_t mu_heart_new_life(struct mu_conductor *c);

/* ---- join.c ---- */

int mu_join_take(struct mu_conductor *c, struct mu_stream *st, const struct mu_join *join);
void mu_join_settled(struct mu_conductor *c, const struct mu_pending *p, int rv);
void mu_join_tick(struct mu_conductor *c);
void mu_join_drop(struct mu_stream *st); /* nobody waits any more */
/* Adds a first-ever agent: hidden, proposed. 0, and it becomes true in mu_conductor_committed(). */
int mu_join_propose(struct mu_conductor *c, struct mu_row *row, const char *binary,
                    const char *host, struct mu_bytes payload, struct mu_pending *pending,
                    uint32_t *slot);

/* ---- stream.c ---- */

struct mu_stream *mu_stream_find(const struct mu_conductor *c, uint64_t conn);
/* Whether @more streams beyond those open are more than there is room for. */
bool mu_stream_crowded(const struct mu_conductor *c, uint32_t more);
void mu_stream_bind(struct mu_conductor *c, struct mu_stream *st, struct mu_sender *s);
/* Whether @s has a stream that may stay. */
bool mu_stream_stays(const struct mu_conductor *c, const struct mu_sender *s);
void mu_stream_guest(struct mu_conductor *c, struct mu_stream *st);       /* closed in a moment */
void mu_stream_waits(const struct mu_conductor *c, struct mu_stream *st); /* for the store */
void mu_stream_end_guests(struct mu_conductor *c);                        /* at a tick */
/* At a tick: ends that came before its @now make suspect. */
void mu_stream_close_pending(struct mu_conductor *c, mu_time now);
/* Whether what @session's stream has sent is not all here. */
bool mu_stream_unread(const struct mu_conductor *c, uint64_t session);
const char *mu_stream_peer(const struct mu_conductor *c, uint64_t session); /* "" = none attached */
void mu_stream_send(struct mu_conductor *c, uint64_t conn, const struct mu_msg *msg);
/* Says why, and returns @rv, for which the caller of mu_intake_frame() closes the stream. */
int mu_stream_refuse(struct mu_conductor *c, uint64_t conn, int rv, uint32_t retry_ms,
                     const char *text);
/* An ack on a stream: one a beat, so it takes no memory. */
void mu_stream_ack(struct mu_conductor *c, uint64_t conn, const uint8_t key[16],
                   const struct mu_ack *ack);
/* Tells @session's stream, where there is one, something about its @index at once. */
void mu_stream_tell(struct mu_conductor *c, uint64_t session, enum mu_ack_status status,
                    uint32_t index);
void mu_streams_fini(struct mu_conductor *c);

/* ---- contest.c ---- */

/* The name of @slot goes from @loser's @index to another start id, which was not heard yet. */
void mu_contest_taken(struct mu_conductor *c, uint32_t slot, uint64_t loser, uint32_t index);
/* Who had @index when it was taken over is alive. */
void mu_contest_alive(struct mu_conductor *c, uint64_t session, uint32_t index);
/* Whether a further takeover is to be refused. *@tell: an event is due. */
bool mu_contest_refuses(struct mu_conductor *c, uint32_t slot, bool *tell);

/* ---- write.c ---- */

/* Hands @p, which gets a ticket and a number, to the store as @row, with its first @payload, if
 * there is any. Returns 0; MU_EAGAIN or MU_ENOMEM, and nothing waits. */
int mu_write_propose(struct mu_conductor *c, struct mu_pending *p, const struct mu_row *row,
                     struct mu_bytes payload);
struct mu_pending *mu_write_find(struct mu_conductor *c, uint64_t ticket); /* NULL = none */
void mu_write_tick(struct mu_conductor *c);
/* forget_after has passed for @slot. */
int mu_write_forget(struct mu_conductor *c, uint32_t slot);
void mu_waiting_fini(struct mu_conductor *c);

/* ---- sweep.c ---- */

/* The moment from which @slot's silence counts, hearing time. */
mu_time mu_sweep_since(const struct mu_conductor *c, const struct mu_pulse *pulse);
/* @rest, of a silence on the clock, less what comes of a roster that keeps whole ms. */
mu_dur mu_sweep_rest(mu_dur rest);
void mu_sweep(struct mu_conductor *c, mu_time now);
void mu_sweep_forget(struct mu_conductor *c);

#endif
