/* conductors.h - where an agent finds its conductors: a list as --conductor and $MUSTER_CONDUCTOR
 * have it.
 *
 * "muster://a:4680,muster://b", "a:4680", "/run/muster.sock". One list serves all clients: entries
 * of scheme muster, bare ones and paths are ours; where there is none of these, the hosts of
 * http:// entries at the default port. */
#ifndef MU_BASE_CONDUCTORS_H
#define MU_BASE_CONDUCTORS_H

#include <stddef.h>

#include "base/addr.h"

#define MU_CONDUCTORS_MAX 16
#define MU_AGENTS_PORT    4680

struct mu_conductors {
    size_t n; /* at least 1 */
    struct mu_addr addrs[MU_CONDUCTORS_MAX];
};

/* Hands each address of @text to @fn; NULL or "" is 127.0.0.1 at the default port. Returns 0; or
 * MU_EINVAL and why, and @fn has not run. */
typedef void (*mu_conductor_fn)(void *ctx, const struct mu_addr *addr);
int mu_conductors_each(const char *text, mu_conductor_fn fn, void *ctx, struct mu_err *err);

/* The same into *@out, which is untouched by a failure. */
int mu_conductors_parse(struct mu_conductors *out, const char *text, struct mu_err *err);

#endif
