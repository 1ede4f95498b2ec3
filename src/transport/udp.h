/* udp.h - datagram sockets of our own under the loop's poll.
 *
 * libuv's own datagrams have no control messages and allocate for each send. Here what waits is
 * read by recvmmsg, each datagram is handed to the sink, and the answers leave by sendmmsg, each
 * from the address that was spoken to. */
#ifndef MU_TRANSPORT_UDP_H
#define MU_TRANSPORT_UDP_H

#include "transport/transport.h"

struct mu_udp; /* a set of sockets */

/* @sink is borrowed for the set's life. Returns 0, MU_ENOMEM, or MU_EIO without a random key. */
int mu_udp_new(struct mu_udp **out, struct uv_loop_s *loop, const struct mu_transport_sink *sink);

/* Adds a bound, non-blocking socket and begins to read it. Takes @fd on success. */
int mu_udp_add(struct mu_udp *udp, int fd, struct mu_err *err);

/* See transport.h. */
uint64_t mu_udp_mark(struct mu_udp *udp);
bool mu_udp_passed(struct mu_udp *udp, uint64_t mark);

/* Datagrams that the kernel dropped since each socket was added, for want of room. */
uint64_t mu_udp_drops(struct mu_udp *udp);
int mu_udp_receive_buffer(const struct mu_udp *udp); /* bytes, the smallest; 0 without a socket */

/* Closes all; @closed runs on the loop when the handles are gone, never from within the call. */
void mu_udp_close(struct mu_udp *udp, void (*closed)(void *ctx), void *ctx);
void mu_udp_free(struct mu_udp *udp); /* after @closed, or when nothing was ever added */

#endif
