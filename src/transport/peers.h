/* peers.h - how many streams each address has open, for the bound per address. */
#ifndef MU_TRANSPORT_PEERS_H
#define MU_TRANSPORT_PEERS_H

#include <stdint.h>
#include <sys/socket.h>

struct mu_peers;

#define MU_PEER_NONE UINT32_MAX /* not counted: loopback, Unix sockets */

/* @max of one address. Returns 0, MU_ENOMEM, or MU_EIO without a random key. */
int mu_peers_new(struct mu_peers **out, uint32_t max);
void mu_peers_free(struct mu_peers *peers);

/* Counts a stream of @from. *@peer is its address's number until mu_peers_drop(), or MU_PEER_NONE.
 * Returns 0, MU_EFULL when it has as many as it may, or MU_ENOMEM. */
int mu_peers_take(struct mu_peers *peers, const struct sockaddr *from, uint32_t *peer);
void mu_peers_drop(struct mu_peers *peers, uint32_t peer);

#endif
