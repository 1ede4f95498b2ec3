/* guard.h - who may ask, and what they can take: Host, Origin, Accept and Content-Type. */
#ifndef MU_HTTP_GUARD_H
#define MU_HTTP_GUARD_H

#include <stdbool.h>

/* Whether @host, as in a Host header, names this conductor: loopback, @local (the numeric address
 * the client has connected to), or one of @names (comma-separated, NULL = none). A web page that
 * has its own name resolved to our address is caught here. */
bool mu_guard_host(const char *host, const char *local, const char *names);

/* Whether @origin is a page of @host itself. */
bool mu_guard_origin(const char *origin, const char *host);

/* Whether an Accept header @accept allows @type, which is without parameters; NULL allows all. */
bool mu_guard_accepts(const char *accept, const char *type);

/* Whether a Content-Type header is @type, whatever its parameters; NULL is not. */
bool mu_guard_is_type(const char *header, const char *type);

#endif
