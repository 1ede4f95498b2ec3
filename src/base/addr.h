/* addr.h - addresses as people write them.
 *
 * URLs: `scheme:rest` (sqlite:/var/lib/x.db, memory:) and `scheme://host:port/path?key=value`.
 * Listeners and peers: `A.B.C.D:PORT`, `[V6]:PORT`, `NAME:PORT`, `/unix/path`. */
#ifndef MU_BASE_ADDR_H
#define MU_BASE_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

struct mu_addr {
    char text[1024];  /* as given, passwords masked: for logs and errors */
    char given[1024]; /* as given: for a driver that needs the password, never to be shown */
    char scheme[16];  /* lower case; "" for a bare listener */
    char host[256];   /* without brackets; "" for a Unix path or a scheme without host */
    char path[1024];  /* Unix path, or what follows host:port, or `rest` */
    char query[512];  /* after '?', undecoded */
    int port;         /* -1 = none given */
};

/* Reads a URL or a bare HOST:PORT or /path. Returns 0, or MU_EINVAL and why in @err. */
int mu_addr_parse(struct mu_addr *out, const char *text, struct mu_err *err);

/* Masks the passwords of a URL where it stands; it grows no longer. */
void mu_addr_mask(char *text);

/* A bound or numeric address as sockaddr; names are not resolved (MU_EINVAL). @len is set. */
int mu_addr_sockaddr(const struct mu_addr *addr, struct sockaddr_storage *out, socklen_t *len,
                     struct mu_err *err);

/* Whether only this machine can reach it: a Unix path, 127.0.0.0/8, ::1, "localhost". */
bool mu_addr_is_loopback(const struct mu_addr *addr);

/* Whether not both can be listened on: one path; or one port, 0 apart, of one address, where
 * 0.0.0.0 is all of IPv4 and [::] all of IPv6. Names are no addresses: false. */
bool mu_addr_collide(const struct mu_addr *a, const struct mu_addr *b);

/* "127.0.0.1:4680", "[::1]:4680", "/run/x.sock", for a socket's address. Returns @out. */
char *mu_addr_text_of(const struct sockaddr *sa, socklen_t len, char *out, size_t size);

#endif
