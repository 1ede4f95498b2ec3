/* stream_int.h - between the files of the streams: stream.c has their lives and what comes in,
 * stream_out.c what goes out. */
#ifndef MU_TRANSPORT_STREAM_INT_H
#define MU_TRANSPORT_STREAM_INT_H

#include <uv.h>

#include "transport/stream.h"
#include "wire/frame.h"

#define MU_STREAM_PIECE     ((size_t)64 << 10) /* read at once */
#define MU_STREAMS_HELD_MAX ((size_t)64 << 20) /* bytes of cut frames and of queues, of all */

enum mu_stream_term { MU_TERM_NONE, MU_TERM_OWING, MU_TERM_ENDING, MU_TERM_PARTING };

struct mu_accepted {
    uv_poll_t poll;
    struct mu_streams *all;
    struct mu_accepted *prev, *next;           /* in the queue of its term */
    struct mu_accepted *wait_prev, *wait_next; /* among the waiting */
    mu_time due;                               /* of its term; a parting one has none, but a mark */
    uint64_t mark;
    uint64_t id;
    struct mu_frames in;
    struct mu_buf out;
    size_t held; /* bytes of .in and .out, as counted in all->held */
    size_t owed; /* bytes, at most, to be read before the mark is passed */
    int fd;
    uint32_t peer;
    uint8_t term;   /* enum mu_stream_term */
    uint8_t events; /* that are polled for */
    bool told;      /* the sink has heard of it, and not yet that it is gone */
    bool framed;    /* a whole frame came with what is being read */
    bool waits;     /* to be read in a turn to come */
    bool failed;    /* poll tells no more of it: it is read to its end */
    bool eof;       /* nothing more comes from the peer */
    bool shut;      /* our FIN is sent */
};

struct mu_stream_slot {
    struct mu_accepted *s;
    uint32_t next_free;
};

struct mu_streams {
    uv_loop_t *loop;
    struct mu_transport_config config;
    const struct mu_transport_sink *sink;
    struct mu_udp *udp;
    struct mu_peers *peers;
    struct mu_stream_slot *slots;
    uint32_t nslots, free_slot;
    uint64_t count; /* of streams ever */
    struct mu_accepted *owing, *ending, *parting;
    struct mu_accepted *waiting; /* to be read, in this order */
    size_t held;
    mu_time until;     /* to which this turn of the loop may read; 0 = it has not read yet */
    bool marked;       /* since the waiting have been counted */
    uint32_t indebted; /* streams of which something is owed */
    uv_timer_t timer;
    uv_prepare_t turn; /* reads of those that wait, and tells of the parting */
    uv_idle_t idle;    /* turns the loop while there are any */
    struct mu_transport_stats stats;
    size_t handles;
    void (*closed)(void *ctx);
    void *closed_ctx;
    struct mu_accepted *reading; /* the one whose frames are with the sink */
    size_t gathered;             /* bytes for it in .answers */
    uint8_t answers[MU_STREAM_PIECE];
    uint8_t scratch[MU_STREAM_PIECE];
};

/* ---- stream.c ---- */

/* The stream with that id, unless it is gone or going. */
struct mu_accepted *mu_streams_find(struct mu_streams *all, uint64_t id);
/* Puts an end to a stream over a bound: dead at the next tick, not now, since the sink may be the
 * caller. */
void mu_streams_doom(struct mu_accepted *s);
/* The one that pays when all together hold too much, or NULL. */
struct mu_accepted *mu_streams_greediest(const struct mu_streams *all);
void mu_streams_count_held(struct mu_accepted *s);
void mu_streams_watch(struct mu_accepted *s); /* polls for what it waits for */

/* ---- stream_out.c ---- */

/* Sends what is queued. An error of sending is left to reading, which tells FIN from RST and finds
 * what still came. */
void mu_streams_flush(struct mu_accepted *s);
/* Sends what was gathered for the stream that is being read. */
void mu_streams_let_go(struct mu_streams *all);

#endif
