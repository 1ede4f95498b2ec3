/* session.h - the agent's side as a machine: what to send, and when.
 *
 * One joined sender with one or many agents. No socket, thread or clock: it is handed `now`
 * (CLOCK_BOOTTIME), bytes that came, and the fates of its stream; it asks for what it wants through
 * its ports. Design section 4, from the sender's side: join with back-off and jitter, beats by
 * datagram, one repeat, the same beat on the stream, two such and the stream is kept, datagrams
 * tried again every 30 s; resync; rejoin; attach; superseded. */
#ifndef MU_AGENT_SESSION_H
#define MU_AGENT_SESSION_H

#include "base/clock.h"
#include "base/err.h"
#include "wire/msg.h"

struct mu_session;

/* What the owner of a session hears. @agent is the number that mu_session_add() gave, or
 * MU_INDEX_ALL for LOST and RECOVERED, which are the session's. */
enum mu_notice {
    MU_NOTICE_JOINED,     /* has an identity (again) */
    MU_NOTICE_LOST,       /* no ack for so long that every lease is over; MU_EFULL: no room; once */
    MU_NOTICE_RECOVERED,  /* acks again; once after LOST */
    MU_NOTICE_REFUSED,    /* was refused for good: @rv; @text says why */
    MU_NOTICE_SUPERSEDED, /* another process has the name; it stops beating */
    MU_NOTICE_FENCED,     /* was declared dead by an operator; it goes on beating */
    MU_NOTICE_DONE,       /* its report, leave or ended was answered: @rv */
    MU_NOTICE_SLOWER,     /* the interval in force is not the one wanted; @text has both */
};

/* All may be called from within any call below; none may call back in. */
struct mu_session_ports {
    void *ctx;
    void (*datagram)(void *ctx, const uint8_t *data, size_t n); /* best effort */
    void (*stream)(void *ctx, const uint8_t *data, size_t n);   /* only while it is up */
    void (*dial)(void *ctx);   /* answered by mu_session_dialled() */
    void (*hangup)(void *ctx); /* close the stream; not answered */
    void (*notice)(void *ctx, enum mu_notice what, uint32_t agent, int rv, const char *text);
};

struct mu_session_config {
    uint64_t start_id; /* of this process */
    uint64_t seed;     /* of jitter */
    const char *token; /* "" = none; copied */
    bool datagrams;    /* false where there are none: a Unix socket */
};

struct mu_session_label {
    const char *key, *value;
};

#define MU_SESSION_INTERVAL_MAX (10 * 86400 * MU_SEC)

/* What an agent is; copied. */
struct mu_session_agent {
    const char *binary, *host, *zone, *version;
    const struct mu_session_label *labels;
    size_t nlabels;
    mu_dur interval;     /* wanted; 0 = the conductor's */
    const char *payload; /* JSON or NULL */
    bool manual;         /* beats only when mu_session_beat() says so, else by itself */
};

int mu_session_new(struct mu_session **out, const struct mu_session_config *config,
                   const struct mu_session_ports *ports, mu_time now);
void mu_session_free(struct mu_session *s); /* tells nobody: leave first */

/* Adds an agent, which joins as soon as it can. *@id is its number here, for the other calls.
 * Returns 0; MU_EINVAL for a name, text or label that the wire cannot carry; MU_ERANGE for an
 * interval over ten days; MU_ENOMEM. */
int mu_session_add(struct mu_session *s, const struct mu_session_agent *agent, uint32_t *id,
                   mu_time now);

/* Forgets an agent that has left, was refused or superseded, or never joined; its number may be
 * given again. MU_EBUSY for one that lives. */
int mu_session_remove(struct mu_session *s, uint32_t agent, mu_time now);

/* These return MU_ENOENT for a number that is none, MU_ECLOSED for an agent that has left or is
 * leaving, MU_ESUPERSEDED, MU_EPERM for one that was refused. All may be called before the join was
 * answered; what they ask for is done when it can be, and asked again over a broken stream.
 *
 * beat(): "still here" of a manual agent: goes out now, or when its interval allows (at most one a
 * quarter interval). MU_EINVAL for an agent that is not manual.
 * report(): @n bytes of JSON, 1 to MU_PAYLOAD_MAX (MU_ERANGE), of valid UTF-8 (MU_EINVAL), copied;
 * one that was not answered yet is replaced. Answered by MU_NOTICE_DONE, as the next two. leave(),
 * ended(): its last word. An agent that never joined has left at once; one that has ended joins,
 * and tells it then. */
int mu_session_beat(struct mu_session *s, uint32_t agent, mu_time now);
int mu_session_report(struct mu_session *s, uint32_t agent, const char *json, size_t n,
                      mu_time now);
int mu_session_leave(struct mu_session *s, uint32_t agent, mu_time now);
int mu_session_ended(struct mu_session *s, uint32_t agent, enum mu_ended_how how, int status,
                     mu_time now);

/* What happened outside: a dial was answered (0, or why there is no stream), bytes came by the
 * stream, it is gone, a datagram came. */
void mu_session_dialled(struct mu_session *s, int rv, mu_time now);
void mu_session_stream(struct mu_session *s, const uint8_t *data, size_t n, mu_time now);
void mu_session_hungup(struct mu_session *s, mu_time now);
void mu_session_datagram(struct mu_session *s, const uint8_t *data, size_t n, mu_time now);

/* When mu_session_tick() wants to be called next (MU_NEVER = not), and the call. */
mu_time mu_session_due(const struct mu_session *s);
void mu_session_tick(struct mu_session *s, mu_time now);

enum mu_lease {
    MU_LEASE_NONE,
    MU_LEASE_HELD,
    MU_LEASE_EXPIRED,
    MU_LEASE_SUPERSEDED,
    MU_LEASE_REFUSED,
    MU_LEASE_LEFT
};
struct mu_session_status {
    enum mu_lease lease;
    mu_dur lease_left; /* 0 unless held */
    uint8_t uuid[16];  /* zero before the first join */
    uint64_t incarnation;
    mu_dur interval; /* in force */
    uint64_t beats;  /* sent */
    bool on_stream;  /* beats go by the stream for now */
    bool fenced;
};
int mu_session_status(const struct mu_session *s, uint32_t agent, mu_time now,
                      struct mu_session_status *out);

/* Whether nothing waits for an answer any more: for who wants to end after a leave. */
bool mu_session_idle(const struct mu_session *s);

/* Whether something that a conductor says has ever come by a stream. */
bool mu_session_answered(const struct mu_session *s);

#endif
