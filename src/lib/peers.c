#include "lib/peers.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/conductors.h"

static void put(struct mu_peers *peers, const void *sa, socklen_t len)
{
    struct mu_peer *peer = &peers->at[peers->n];

    if (peers->n == MU_PEERS_MAX)
        return; /* the first ones must do */
    memcpy(&peer->sa, sa, len);
    peer->len = len;
    peers->n++;
}

static void resolve(struct mu_peers *peers, const struct mu_addr *addr)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found;
    char port[16];

    snprintf(port, sizeof(port), "%d", addr->port);
    if (getaddrinfo(addr->host, port, &hints, &found))
        return; /* may be found the next time */
    for (const struct addrinfo *ai = found; ai; ai = ai->ai_next)
        put(peers, ai->ai_addr, ai->ai_addrlen);
    freeaddrinfo(found);
}

struct finding {
    struct mu_peers *peers;
    bool resolve;
};

static void find(void *ctx, const struct mu_addr *addr)
{
    struct finding *f = ctx;
    struct sockaddr_storage sa;
    socklen_t len;

    if (mu_addr_sockaddr(addr, &sa, &len, NULL) == 0)
        put(f->peers, &sa, len);
    else if (f->resolve && addr->host[0])
        resolve(f->peers, addr);
}

int mu_peers_find(struct mu_peers *out, const char *list, bool resolve_names, struct mu_err *err)
{
    struct finding f = {out, resolve_names};
    int rv;

    out->n = 0;
    rv = mu_conductors_each(list, find, &f, err);
    if (!rv && out->n == 0)
        rv = mu_err_set(err, MU_EAGAIN, "no address of \"%s\" is known", list);
    return rv;
}

static void is_inet(void *ctx, const struct mu_addr *addr)
{
    bool *found = ctx;

    *found = *found || addr->host[0] != '\0';
}

bool mu_peers_datagrams(const char *list)
{
    bool found = false;

    (void)mu_conductors_each(list, is_inet, &found, NULL);
    return found;
}
