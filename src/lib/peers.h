/* peers.h - a conductor's addresses as people write them, resolved. */
#ifndef MU_LIB_PEERS_H
#define MU_LIB_PEERS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"

#define MU_PEERS_MAX 16

struct mu_peer {
    struct sockaddr_storage sa;
    socklen_t len;
};

struct mu_peers {
    size_t n;
    struct mu_peer at[MU_PEERS_MAX]; /* as given; a name's addresses one behind the other */
};

/* Reads @list, see base/conductors.h; what is more than MU_PEERS_MAX is passed over. @resolve:
 * names are looked up, which blocks; else they are passed over. Returns 0; MU_EINVAL for what is no
 * address; MU_EAGAIN where none could be resolved. */
int mu_peers_find(struct mu_peers *out, const char *list, bool resolve, struct mu_err *err);

/* Whether @list has an address that takes datagrams: not a Unix path. */
bool mu_peers_datagrams(const char *list);

#endif
