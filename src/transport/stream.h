/* stream.h - accepted streams, TCP and Unix alike: frames in, frames out, and how each one ends.
 *
 * A stream is a socket of our own under the loop's poll, smaller than libuv's own streams, and it
 * sees how each end came about. Two queues hold those that have a term: the ones that owe us a
 * whole frame (new, or in the midst of one) and the ones that are being closed. Whoever has no term
 * may be silent as long as he likes: his beats may go elsewhere. */
#ifndef MU_TRANSPORT_STREAM_H
#define MU_TRANSPORT_STREAM_H

#include "transport/transport.h"

struct mu_streams;
struct mu_udp;

/* @sink and @udp are borrowed for the life of the streams. Before the sink hears that a peer has
 * closed, what he sent to @udp is read. */
int mu_streams_new(struct mu_streams **out, struct uv_loop_s *loop,
                   const struct mu_transport_config *config, const struct mu_transport_sink *sink,
                   struct mu_udp *udp);

/* Takes a connection that was accepted from @from, whatever happens: where there is no room, the
 * oldest that owes us a frame makes some, and else it is closed at once. What it has sent already
 * is read at once, or it keeps its place until it is, so that a flood of silent ones cannot push
 * out one that speaks. */
void mu_streams_take(struct mu_streams *all, int fd, const struct sockaddr *from);

/* Closes the oldest that has a term, to get its descriptor. Returns whether there was one. */
bool mu_streams_shed(struct mu_streams *all, mu_time now);
void mu_streams_refused(struct mu_streams *all); /* counts one that never became a stream */

/* As of transport.h, for what has arrived in the streams. One mark at a time: a second one before
 * the first is passed takes its place. */
void mu_streams_mark(struct mu_streams *all);
bool mu_streams_passed(struct mu_streams *all);
bool mu_streams_unread(struct mu_streams *all, uint64_t conn);

void mu_streams_send(struct mu_streams *all, uint64_t conn, const uint8_t *frame, size_t n);
void mu_streams_end(struct mu_streams *all, uint64_t conn);
void mu_streams_stats(const struct mu_streams *all, struct mu_transport_stats *out);

/* Closes all, and tells the sink of none. @closed runs on the loop, never from within the call. */
void mu_streams_close(struct mu_streams *all, void (*closed)(void *ctx), void *ctx);
void mu_streams_free(struct mu_streams *all); /* after @closed */

#endif
