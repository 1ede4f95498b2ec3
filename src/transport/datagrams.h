/* datagrams.h - a batch of datagrams: read from a socket, handed to the sink, answered.
 *
 * One batch of buffers serves all sockets. A message is one datagram, or where the kernel has
 * joined some of one flow (UDP_GRO) several of one length, of which the last may be shorter.
 * Answers of one length that go to one sender, one after the other, leave the same way
 * (UDP_SEGMENT): a relay's flow costs a call into the network stack each way, not two for each
 * datagram. */
#ifndef MU_TRANSPORT_DATAGRAMS_H
#define MU_TRANSPORT_DATAGRAMS_H

#include "transport/transport.h"

#define MU_BATCH 64 /* messages */

struct mu_datagrams;

/* @sink is borrowed. Returns 0, MU_ENOMEM, or MU_EIO without a random key. */
int mu_datagrams_new(struct mu_datagrams **out, const struct mu_transport_sink *sink);
void mu_datagrams_free(struct mu_datagrams *d);

/* Reads what waits in @fd, at most a batch, and answers it. Returns how many messages that was:
 * fewer than MU_BATCH, and the socket was empty. *@count grows by how many datagrams they held. */
unsigned mu_datagrams_turn(struct mu_datagrams *d, int fd, unsigned *count);

#endif
