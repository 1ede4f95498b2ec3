/* bench_int.h - what the files of a crew share. Private to load/bench_crew.c,
 * bench_crew_open.c and bench_join.c. */
#ifndef MU_LOAD_BENCH_INT_H
#define MU_LOAD_BENCH_INT_H

#include <netinet/in.h>
#include <stdio.h>
#include <sys/uio.h>

#include "base/map.h"
#include "base/rng.h"
#include "load/bench_crew.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/seal.h"

#define CREW_BATCH   64
#define CREW_JOINERS 2000 /* streams on which joins are asked for side by side, at most */

struct crew_sender { /* 48 bytes */
    uint64_t id;
    mu_time sent_at; /* of the last beat, or the join */
    uint8_t key[16];
    uint32_t epoch, seq;
    uint32_t agent; /* number of its first one */
    bool waiting;   /* for the ack of the last beat */
    bool gone;      /* silent for good */
    bool back;      /* acked in a later epoch than it joined in */
};

struct crew_stream { /* of the sender at the same place, where beats go over streams */
    int fd;
    struct mu_frames in;
};

enum joiner_phase { JOINER_IDLE, JOINER_DIALLING, JOINER_ASKED, JOINER_RESTING, JOINER_DONE };

struct crew_joiner {
    struct mu_crew *crew;
    int fd; /* -1 = none */
    enum joiner_phase phase;
    struct mu_frames in;
    uint32_t sender;                          /* the number of the one it works for */
    uint64_t session;                         /* that was opened for it; 0 = none yet */
    mu_time at;                               /* RESTING, IDLE: when to go on */
    uint16_t ntodo, todo[MU_JOIN_AGENTS_MAX]; /* of the sender's agents, those not in yet */
};

struct mu_crew {
    const struct mu_bench_target *to;
    const struct mu_bench_beats *want;
    struct mu_rng rng;
    uint64_t start_ids; /* from which each sender's is made */
    uint32_t total;     /* senders wanted */
    uint32_t n, living; /* joined */
    uint32_t nback;
    mu_time back_at;
    struct crew_sender *senders;
    struct mu_map by_id;
    struct crew_stream *streams; /* or NULL */
    int epoll;
    int fd;           /* for datagrams */
    uint32_t sources; /* addresses; 1 = the socket's own */

    uint32_t cursor; /* whose turn is next */
    enum mu_crew_mode mode;
    struct mu_pace pace;
    mu_dur interval; /* in force */
    uint32_t outstanding;
    mu_time heard_at; /* the last ack */

    struct crew_joiner *joiners;
    uint32_t njoiners, next; /* the next sender to be joined */
    mu_time joined_at;       /* the last that was */
    struct mu_join_agent *ask_room;
    struct mu_joined_agent *answer_room;
    int rv; /* why joining failed */
    struct mu_err err;

    FILE *killed;
    struct mu_crew_counts counts;
    struct mu_hist trips;
    size_t stride; /* bytes of a beat */
    struct mu_beat beat;
    struct mmsghdr out[CREW_BATCH], in[CREW_BATCH];
    struct iovec out_iov[CREW_BATCH], in_iov[CREW_BATCH];
    struct crew_source {
        _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } from[CREW_BATCH];
    uint8_t out_data[CREW_BATCH * MU_DATAGRAM_MAX], in_data[CREW_BATCH][MU_ACK_LEN + 1];
};

/* bench_join.c: the streams' side. */
int crew_join_begin(struct mu_crew *crew, uint32_t joiners, struct mu_err *err);
/* Goes on with what may: dials, asks, asks again. */
void crew_join_turn(struct mu_crew *crew, mu_time now);
/* What epoll says of joiner @i. */
void crew_join_event(struct mu_crew *crew, uint32_t i, mu_time now);
void crew_join_end(struct mu_crew *crew);
/* When crew_join_turn() has something to do next; MU_NEVER = nothing. */
mu_time crew_join_next(const struct mu_crew *crew);

/* bench_crew.c: a sender is in. Takes @fd, where beats go over streams. */
void crew_add(struct mu_crew *crew, const struct crew_sender *sender, int fd);
void crew_name(uint32_t agent, char out[32]);
/* An empty index of senders by their session. */
void crew_index(struct mu_crew *crew);

#define CREW_EPOLL_STREAM ((uint64_t)1 << 32) /* and its place; else a joiner's number */

#endif
