/* transport.h - listeners, streams and datagrams; knows bytes, frames and connections, no agent.
 *
 * A listener is TCP and UDP on one address and port, or a Unix socket (streams only). Runs on the
 * loop. Every bound is in struct mu_transport_config. */
#ifndef MU_TRANSPORT_TRANSPORT_H
#define MU_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/clock.h"

struct mu_transport;
struct uv_loop_s;

/* Who hears of it. @now is monotonic, read once a batch. Each may call mu_transport_send() and
 * _close_stream(); neither calls back in. None takes a mark: its batch is not handed on yet. */
struct mu_transport_sink {
    void *ctx;
    /* A datagram longer than MU_DATAGRAM_MAX comes cut at one byte more. Returns how many bytes of
     * @out (at least max(@n, 64)) are to be sent back; at most @n. */
    size_t (*datagram)(void *ctx, const uint8_t *in, size_t n, uint64_t from, mu_time now,
                       uint8_t *out);
    /* This datagram comes a few after the next: who needs memory for it may fetch it into the
     * cache. It may say anything, and nothing may be decided by it; @n is 0 for those beyond the
     * last that is known. NULL is allowed. */
    void (*soon)(void *ctx, const uint8_t *in, size_t n);
    /* Before a stream's first frame: one that never sends any is never told. @conn is given once.
     * Non-zero: close it. */
    int (*opened)(void *ctx, uint64_t conn, const char *peer, mu_time now);
    /* Non-zero: close it, once what was sent to it is out. @n is 0 for a length that no frame has:
     * it is closed whatever this returns. What is sent to @conn in the meantime leaves afterwards.
     */
    int (*frame)(void *ctx, uint64_t conn, const uint8_t *frame, size_t n, mu_time now);
    /* Once for each stream that was opened. @by_peer: FIN or RST, told after what waits in the
     * datagram sockets has been read; else we closed it, or the path is gone. */
    void (*closed)(void *ctx, uint64_t conn, bool by_peer, mu_time now);
};

struct mu_transport_config {
    uint32_t max_streams; /* open at once; one more takes the place of the oldest that owes a frame,
                             or is accepted and closed at once */
    uint32_t max_per_peer; /* of one address, loopback apart; 0 = no bound */
    mu_dur silent_for; /* how long a stream may take for its first frame, and for the rest of any
                          frame it has begun; 0 = 10 s */
    size_t send_queue_max; /* bytes that wait for a reader; beyond it the stream is closed; 0 = 1
                              MiB */
    int receive_buffer;    /* bytes of the UDP socket's buffer that are asked for */
};

/* @config is copied; @sink is borrowed until the transport is closed. Returns 0, MU_ENOMEM, or
 * MU_EIO without random bytes or a descriptor in reserve. */
int mu_transport_new(struct mu_transport **out, struct uv_loop_s *loop,
                     const struct mu_transport_config *config,
                     const struct mu_transport_sink *sink);

/* Binds and listens; port 0 is any, the same for TCP and UDP. *@port gets the one taken (0 for a
 * Unix socket). A stale Unix socket that nobody listens on is replaced. */
int mu_transport_listen(struct mu_transport *t, const struct mu_addr *addr, int *port,
                        struct mu_err *err);
/* The same with descriptors from socket activation: stream and datagram sockets, already bound.
 * Takes
 * @fd on success. */
int mu_transport_adopt(struct mu_transport *t, int fd, struct mu_err *err);

/* Before silence is judged: a number for all that has arrived by now. One mark at a time: the next
 * when it is passed. */
uint64_t mu_transport_mark(struct mu_transport *t);
/* Reads on towards @mark, a bounded number of datagrams, and returns whether all of its have been
 * read: every datagram, and a piece of each stream. While it is false ask again, once a turn of the
 * loop, after its poll (from a uv_check_t): a flood has filled the sockets, and the others want
 * their turns too. */
bool mu_transport_passed(struct mu_transport *t, uint64_t mark);
/* Whether @conn has sent more than could be read by now: who speaks by it may have spoken. */
bool mu_transport_unread(struct mu_transport *t, uint64_t conn);

/* Sends a frame's body (the length prefix is added). An id of a stream that is gone is ignored. */
void mu_transport_send(struct mu_transport *t, uint64_t conn, const uint8_t *frame, size_t n);
/* Closes after what was sent has gone out, or 2 s; then the sink hears closed(by_peer = false). No
 * more frames of it come, and what is sent to it from now on is ignored. */
void mu_transport_close_stream(struct mu_transport *t, uint64_t conn);

struct mu_transport_stats {
    uint64_t drops;      /* datagrams that the kernel dropped, for want of room in the socket */
    uint32_t streams;    /* open */
    uint64_t accepted;   /* streams ever */
    uint64_t refused;    /* connections closed at once, for want of room or descriptors */
    uint64_t silent;     /* streams closed because they owed a frame */
    uint64_t overflowed; /* streams closed because they did not read what was sent */
    int receive_buffer;  /* bytes that were got, of the smallest; 0 without a datagram socket */
};
void mu_transport_stats(struct mu_transport *t, struct mu_transport_stats *out);

/* Closes the doors, so that who dials is refused at once; streams and datagrams go on: a drain's
 * first half. */
void mu_transport_stop_accepting(struct mu_transport *t);
/* Closes everything; the sink hears no more. @closed runs on the loop when the handles are gone,
 * and
 * *@t may be freed. */
void mu_transport_close(struct mu_transport *t, void (*closed)(void *ctx), void *ctx);
void mu_transport_free(struct mu_transport *t);

#endif
