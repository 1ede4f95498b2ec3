/* transport.h - listeners, streams and datagrams; knows bytes, frames and connections, no agent.
 *
 * A listener is TCP and UDP on one address and port, or a Unix socket (streams only). Runs on the
 * loop. Every bound is in struct mu_transport_config. */
#ifndef MU_TRANSPORT_TRANSPORT_H
#define MU_TRANSPORT_TRANSPORT_H

#include "base/addr.h"
#include "base/clock.h"

struct mu_transport;
struct uv_loop_s;

/* Who hears of it. @now is monotonic, read once a batch. */
struct mu_transport_sink {
    void *ctx;
    /* Returns how many bytes of @out (at least max(@n, 64)) are to be sent back; at most @n. */
    size_t (*datagram)(void *ctx, const uint8_t *in, size_t n, uint64_t from, mu_time now,
                       uint8_t *out);
    int (*opened)(void *ctx, uint64_t conn, const char *peer, mu_time now); /* non-zero: close it */
    int (*frame)(void *ctx, uint64_t conn, const uint8_t *frame, size_t n, mu_time now);
    void (*closed)(void *ctx, uint64_t conn, bool by_peer, mu_time now);
};

struct mu_transport_config {
    uint32_t max_streams;   /* open at once; more are accepted and closed at once */
    uint32_t max_per_peer;  /* of one address, loopback apart; 0 = no bound */
    mu_dur silent_for;      /* a stream that has sent no whole frame for so long after it was opened
                               is closed; default 10 s */
    size_t send_queue_max;  /* bytes that wait for a reader; beyond it the stream is closed */
    int receive_buffer;     /* bytes of the UDP socket's buffer that are asked for */
};

int mu_transport_new(struct mu_transport **out, struct uv_loop_s *loop,
                     const struct mu_transport_config *config, const struct mu_transport_sink *sink);

/* Binds and listens; port 0 is any, the same for TCP and UDP. *@port gets the one taken (0 for a
 * Unix socket). A stale Unix socket that nobody listens on is replaced. */
int mu_transport_listen(struct mu_transport *t, const struct mu_addr *addr, int *port,
                        struct mu_err *err);
/* The same with descriptors from socket activation: stream and datagram sockets, already bound. */
int mu_transport_adopt(struct mu_transport *t, int fd, struct mu_err *err);

/* Reads what waits in the datagram sockets now: before a sweep judges. Bounded: at most what had
 * arrived when it was called. */
void mu_transport_drain(struct mu_transport *t);

/* Sends a frame's body (the length prefix is added). An id of a stream that is gone is ignored. */
void mu_transport_send(struct mu_transport *t, uint64_t conn, const uint8_t *frame, size_t n);
/* Closes after what was sent has gone out, or 2 s. The sink hears closed(by_peer = false). */
void mu_transport_close_stream(struct mu_transport *t, uint64_t conn);

struct mu_transport_stats {
    uint64_t drops;          /* datagrams dropped by the kernel (SO_RXQ_OVFL, /proc/net/udp at worst) */
    uint32_t streams;        /* open */
    uint64_t accepted, refused, silent, overflowed;
    int receive_buffer;      /* bytes that were got */
};
void mu_transport_stats(struct mu_transport *t, struct mu_transport_stats *out);

/* Stops accepting; the rest goes on: a drain's first half. */
void mu_transport_stop_accepting(struct mu_transport *t);
/* Closes everything; @closed runs on the loop when the handles are gone, and *@t may be freed. */
void mu_transport_close(struct mu_transport *t, void (*closed)(void *ctx), void *ctx);
void mu_transport_free(struct mu_transport *t);

#endif
