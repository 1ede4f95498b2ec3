/* url.h - the path and the query of a request, decoded once, part by part. */
#ifndef MU_HTTP_URL_H
#define MU_HTTP_URL_H

#include <stddef.h>

#include "base/err.h"

#define MU_URL_MAX      4096 /* bytes of a path with its query */
#define MU_URL_SEGMENTS 8
#define MU_URL_PARAMS   24

struct mu_param {
    const char *key, *value; /* value is "" where none was given */
};

struct mu_url {
    /* The parts, each with a NUL behind it: one for each separator, and one for each value that was
     * not given. Decoded text is never longer than what it was made from. */
    char text[MU_URL_MAX + MU_URL_PARAMS + 1];
    size_t nsegments, nparams;
    const char *segment[MU_URL_SEGMENTS];
    struct mu_param param[MU_URL_PARAMS];
};

/* Takes @raw, as it stood in the request line, apart. A segment may not contain %2F; nothing may
 * contain %00, a bad escape, a raw control character or what is not UTF-8; no key may come twice.
 * `+` is a space in the query. Returns 0; MU_EINVAL for the path, MU_ERANGE for the query, MU_EFULL
 * when it is too long; @err names the part. */
int mu_url_parse(struct mu_url *url, const char *raw, struct mu_err *err);

/* The value of parameter @key; NULL = not given. */
const char *mu_url_param(const struct mu_url *url, const char *key);

#endif
