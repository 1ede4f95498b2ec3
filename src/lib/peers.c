#include "lib/peers.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"

typedef int (*addr_fn)(void *ctx, const struct mu_addr *addr, struct mu_err *err);

/* Hands each address of @list to @fn: those of our own scheme, or the http:// ones. */
static int each(const char *list, bool http, addr_fn fn, void *ctx, struct mu_err *err)
{
    char text[1024];
    struct mu_addr addr;
    size_t n;
    int rv;

    for (; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        if (n == 0)
            continue;
        if (n >= sizeof(text))
            return mu_err_set(err, MU_EINVAL, "address is longer than %zu bytes", sizeof(text) - 1);
        snprintf(text, sizeof(text), "%.*s", (int)n, list);
        rv = mu_addr_parse(&addr, text, err);
        if (rv)
            return rv;
        if (strncmp(addr.scheme, "http", 4) == 0) {
            if (!http)
                continue;
            addr.port = MU_PORT;
            addr.path[0] = '\0';
        } else if (addr.scheme[0] && strcmp(addr.scheme, "muster") != 0) {
            return mu_err_set(err, MU_EINVAL,
                              "address \"%s\": scheme \"%s\" is not muster, http or https", text,
                              addr.scheme);
        } else if (http) {
            continue;
        }
        if (!addr.host[0] && addr.path[0] != '/')
            return mu_err_set(err, MU_EINVAL, "address \"%s\" has neither host nor path", text);
        addr.port = addr.port < 0 ? MU_PORT : addr.port;
        rv = fn(ctx, &addr, err);
        if (rv)
            return rv;
    }
    return 0;
}

static int count(void *ctx, const struct mu_addr *addr, struct mu_err *err)
{
    size_t *n = ctx;

    ++*n;
    return 0;
}

/* Whether the http:// addresses must do. */
static int only_http(const char *list, bool *out, struct mu_err *err)
{
    size_t n = 0;
    int rv = each(list, false, count, &n, err);

    *out = n == 0;
    return rv;
}

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

static int find(void *ctx, const struct mu_addr *addr, struct mu_err *err)
{
    struct finding *f = ctx;
    struct sockaddr_storage sa;
    socklen_t len;

    if (mu_addr_sockaddr(addr, &sa, &len, NULL) == 0)
        put(f->peers, &sa, len);
    else if (f->resolve && addr->host[0])
        resolve(f->peers, addr);
    return 0;
}

int mu_peers_find(struct mu_peers *out, const char *list, bool resolve_names, struct mu_err *err)
{
    struct finding f = {out, resolve_names};
    bool http;
    int rv = only_http(list, &http, err);

    out->n = 0;
    if (!rv)
        rv = each(list, http, find, &f, err);
    if (!rv && out->n == 0)
        rv = mu_err_set(err, MU_EAGAIN, "no address of \"%s\" is known", list);
    return rv;
}

static int is_inet(void *ctx, const struct mu_addr *addr, struct mu_err *err)
{
    bool *found = ctx;

    *found = *found || addr->host[0] != '\0';
    return 0;
}

bool mu_peers_datagrams(const char *list)
{
    bool http, found = false;

    if (only_http(list, &http, NULL) == 0)
        each(list, http, is_inet, &found, NULL);
    return found;
}
