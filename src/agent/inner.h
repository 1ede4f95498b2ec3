/* inner.h - what session, member and beats share. Private to agent/.
 *
 * A session has members (its agents) and bundles: members of one interval whose indexes go in one
 * beat. A manual member has a bundle of its own. Each bundle has one beat under way at a time. */
#ifndef MU_AGENT_INNER_H
#define MU_AGENT_INNER_H

#include "agent/session.h"
#include "base/rng.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/seal.h"

#define MU_NONE UINT32_MAX /* no member, no bundle */

enum member_state {
    MEMBER_FREE,
    MEMBER_WANTS, /* to join */
    MEMBER_JOINING,
    MEMBER_LIVE,
    MEMBER_LEFT,
    MEMBER_SUPERSEDED,
    MEMBER_REFUSED,
};

/* A question that only a stream carries, and that DONE answers. */
enum ask_state { ASK_NONE, ASK_WAITS, ASK_SENT };
struct ask {
    uint8_t state; /* enum ask_state */
    uint32_t id;   /* while sent */
};

struct member {
    char *texts; /* binary, host, zone, version, then labels by pairs; each NUL-terminated */
    char *payload;
    mu_time lease_until;
    mu_time retry_at; /* join, report, last word: not before */
    mu_dur wanted, interval;
    uint64_t incarnation, beats;
    uint32_t payload_n;
    uint32_t index;
    uint32_t bundle, next; /* the next member of the bundle */
    struct ask report, end;
    int32_t end_status;
    uint8_t uuid[16];
    uint8_t state; /* enum member_state */
    uint8_t nlabels;
    uint8_t end_type; /* MU_MSG_LEAVE or MU_MSG_ENDED */
    uint8_t end_how;
    bool has_uuid, manual, fenced, beat_wanted;
};

#define SENDS 4 /* remembered of a bundle: an ack may come after the next beat */
struct send {
    uint64_t seq;
    mu_time at;
};

struct bundle {
    mu_dur interval;
    mu_time next;   /* the beat is due */
    mu_time last;   /* the beat before was sent */
    mu_time act_at; /* an ack is missed */
    struct send sends[SENDS];
    uint64_t first_seq; /* of the beat under way */
    uint32_t first, n;  /* members */
    uint8_t at;         /* next of .sends */
    uint8_t by_stream;  /* bit i: sends[i] went by the stream */
    uint8_t step;       /* enum beat_step */
    bool manual, late;
};

enum beat_step {
    BEAT_IDLE,     /* acked, or none yet */
    BEAT_SENT,     /* by datagram */
    BEAT_REPEATED, /* once more */
    BEAT_FALLEN,   /* no ack for both: waits for a stream */
    BEAT_STREAMED,
    BEAT_HELPED, /* no ack on the stream either: a datagram, and then another */
};

enum stream_state {
    STREAM_DOWN,
    STREAM_DIALLING,
    STREAM_UP, /* not attached to our session, or there is none */
    STREAM_ATTACHING,
    STREAM_ATTACHED,
};

struct mu_session {
    struct mu_session_ports ports;
    struct mu_rng rng;
    char *token;
    struct member *members;
    struct bundle *bundles;
    struct mu_frames frames;
    uint64_t start_id;
    uint64_t id; /* 0 = none */
    uint64_t seq, attach_seq;
    uint64_t epoch_seq; /* the first seq that carried .epoch */
    mu_time due;
    mu_time dial_at;
    mu_time join_sent;
    mu_time heard_until; /* the last lease of all ends */
    mu_time probe_at;    /* on the stream: try a datagram again */
    mu_dur srtt;
    mu_dur shortest; /* interval of all: bounds the back-off */
    uint32_t nmembers, nbundles;
    uint32_t nwants, njoining, nlive, nasks; /* members that want to join, ...; asks not answered */
    uint32_t epoch, ask_id;
    uint8_t key[16];
    uint8_t stream; /* enum stream_state */
    uint8_t tries;  /* dials in a row that led to nothing */
    uint8_t fallbacks;
    bool datagrams, on_stream, no_stream, lost;
    char put_off[96]; /* why the last join was, for people; empty where it was not */
    bool full;        /* it was because the conductor takes no more: no matter of seconds */
    bool answered;    /* a conductor's word has come, once */
};

/* member.c */
int member_init(struct member *m, const struct mu_session_agent *agent);
void member_fini(struct member *m);
void member_describe(const struct member *m, struct mu_join_agent *out); /* borrows */
/* All changes of these go through here, so that the session's counters are right. */
void member_set_state(struct mu_session *s, struct member *m, enum member_state state);
void member_set_ask(struct mu_session *s, struct ask *ask, enum ask_state state);
void member_stop(struct mu_session *s, uint32_t id, enum member_state state);
void member_want_join(struct mu_session *s, struct member *m, mu_time at);

/* session.c */
void session_notice(struct mu_session *s, enum mu_notice what, uint32_t member, int rv,
                    const char *text);
void session_heard(struct mu_session *s, mu_time until); /* a lease, until then */
void stream_attach(struct mu_session *s, mu_time now);
void stream_attached(struct mu_session *s, mu_time now);

/* talk.c */
struct talk {
    struct mu_session *s;
    mu_time now;
};
int talk_frame(void *ctx, const uint8_t *body, size_t n); /* @ctx: a struct talk */
void talk_ack(struct mu_session *s, const uint8_t *data, size_t n, bool by_stream, mu_time now);
void talk_join(struct mu_session *s, mu_time now); /* whoever may join now */
void talk_asks(struct mu_session *s, mu_time now); /* reports and last words that wait */

/* beats.c */
int beats_enter(struct mu_session *s, uint32_t id, mu_time now); /* a live member, into a bundle */
void beats_leave(struct mu_session *s, uint32_t id);
void beats_manual(struct mu_session *s, uint32_t id, mu_time now);
void beats_tick(struct mu_session *s, mu_time now);
void beats_attached(struct mu_session *s, mu_time now); /* there is a stream: what waits for one */
void beats_unattached(struct mu_session *s, mu_time now);
bool beats_want_stream(const struct mu_session *s);
mu_time beats_due(const struct mu_session *s);
/* The ack of a beat: leases, epoch, the way to take. What it says of single members is the
 * caller's. Returns whether it answers a beat that is remembered. */
bool beats_ack(struct mu_session *s, const struct mu_ack *ack, mu_time now);

#endif
