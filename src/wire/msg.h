/* msg.h - the native wire's messages as values. docs/protocol.md gives every byte.
 *
 * Strings and bytes are borrowed: from the frame that was read, or from who writes one. They are
 * not NUL-terminated. Times are ms. Arrays are the codec's caller's memory. */
#ifndef MU_WIRE_MSG_H
#define MU_WIRE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MU_WIRE_VERSION    1
#define MU_DATAGRAM_MAX    1200         /* bytes */
#define MU_INDEXES_MAX     280          /* agents in one datagram */
#define MU_FRAME_MAX       (128 * 1024) /* bytes of a frame's body */
#define MU_JOIN_AGENTS_MAX 280          /* agents in one join */
#define MU_PAYLOAD_MAX     (64 * 1024)  /* bytes of a report's JSON */
#define MU_LABELS_MAX      32
#define MU_TEXT_MAX        255  /* bytes of a name's part, zone, version, label, token */
#define MU_WHY_TEXT_MAX    1024 /* bytes of an error's text */
#define MU_TAG_LEN         16
#define MU_INDEX_ALL       UINT32_MAX /* each agent of the session */

struct mu_bytes {
    const char *p;
    size_t n;
};

enum mu_msg_type {                    /* first byte of a frame's body */
                   MU_MSG_JOIN = 1,   /* agent -> conductor */
                   MU_MSG_ATTACH = 2, /* agent -> conductor: sealed, as a beat without indexes */
                   MU_MSG_BEAT = 3,   /* agent -> conductor: the sealed bytes of a datagram */
                   MU_MSG_REPORT = 4, /* agent -> conductor */
                   MU_MSG_LEAVE = 5,  /* agent -> conductor */
                   MU_MSG_ENDED = 6,  /* relay -> conductor: a watched process is gone */
                   MU_MSG_JOINED = 65,
                   MU_MSG_ACK = 66,   /* the sealed bytes of an ack; answers attach and beat */
                   MU_MSG_DONE = 67,  /* answers report, leave, ended */
                   MU_MSG_ERROR = 68, /* then the stream is closed; MU_ENOENT: the session attached
                                         is not known, join */
};

/* What an ack says. With REJOIN, SUPERSEDED and FENCED, .lease_ms holds for the beat's other
 * agents; 0 = for none. .index may be MU_INDEX_ALL there. An ack whose .seq is 0 answers nothing:
 * on the stream SUPERSEDED and FENCED may come so, at once. */
enum mu_ack_status {
    MU_ACK_OK = 0,         /* .lease_ms holds, counted from before the beat was sent */
    MU_ACK_RESYNC = 1,     /* .epoch is ours: beat (or attach) again at once */
    MU_ACK_REJOIN = 2,     /* .index is not known in this session: join */
    MU_ACK_SUPERSEDED = 3, /* .index: the name was taken over: stop that agent */
    MU_ACK_FENCED = 4,     /* .index: an operator says that it is dead */
    MU_ACK_DATAGRAMS = 5,  /* as OK; no stream is to be had: live by datagrams alone */
};

/* A beat, in a datagram or in a BEAT frame; an ATTACH has no indexes. */
struct mu_beat {
    uint64_t session;
    uint32_t epoch;
    uint64_t seq; /* grows with each sealed message of the session, datagram or stream; 48 bits */
    uint64_t sent_ms; /* the agent's BOOTTIME */
    uint8_t path;     /* 0 = datagram, 1 = stream */
    uint8_t health;   /* MU_HEALTH_* */
    uint16_t n;
    uint32_t indexes[MU_INDEXES_MAX];
};
#define MU_HEALTH_LATE 1 /* the sender itself was late with this beat: by over half an interval */
#define MU_HEALTH_QUIET                                                                            \
    2 /* he wants no ack where all is well: he holds no lease, and repeats none */

struct mu_ack {
    uint64_t session;
    uint32_t epoch;
    uint64_t seq;   /* of the beat */
    uint8_t status; /* enum mu_ack_status */
    uint32_t lease_ms;
    uint32_t index;
};

struct mu_label {
    struct mu_bytes key, value;
};

struct mu_join_agent {
    struct mu_bytes binary, host, zone, version;
    bool has_uuid;
    uint8_t uuid[16];     /* the last one it had */
    uint32_t interval_ms; /* wanted; 0 = the policy's */
    struct mu_label labels[MU_LABELS_MAX];
    size_t nlabels;
    struct mu_bytes payload; /* JSON; empty = none */
};

struct mu_join {
    uint32_t version;      /* MU_WIRE_VERSION */
    struct mu_bytes token; /* credentials */
    uint64_t start_id;
    uint64_t session; /* 0 = a new one; else the attached one, to which agents are added */
    size_t n;
    struct mu_join_agent *agents;
};

struct mu_joined_agent {
    int32_t rv; /* 0, or MU_E...: MU_EAGAIN = retry after .retry_ms */
    uint32_t retry_ms;
    uint32_t index;
    uint8_t uuid[16];
    uint64_t incarnation;
    uint32_t interval_ms, lease_ms, down_ms; /* in force */
    struct mu_bytes text;                    /* why not, for people */
};

struct mu_joined {
    uint64_t session;
    uint8_t key[16];
    uint32_t epoch;
    size_t n; /* as many as were asked, in their order */
    struct mu_joined_agent *agents;
};

struct mu_report {
    uint32_t id; /* the sender's; comes back in DONE */
    uint32_t index;
    struct mu_bytes payload;
};

struct mu_leave {
    uint32_t id;
    uint32_t index;
};

enum mu_ended_how { MU_ENDED_EXITED = 0, MU_ENDED_KILLED = 1, MU_ENDED_UNKNOWN = 2 };
struct mu_ended {
    uint32_t id;
    uint32_t index;
    uint8_t how;    /* enum mu_ended_how */
    int32_t status; /* exit status, or signal */
};

struct mu_done {
    uint32_t id;
    int32_t rv;        /* 0, or MU_E... */
    uint32_t retry_ms; /* with MU_EAGAIN */
};

struct mu_error_msg {
    int32_t rv;
    uint32_t retry_ms;
    struct mu_bytes text;
};

#endif
