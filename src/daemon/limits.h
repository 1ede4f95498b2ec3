/* limits.h - how many files may be open, and for what: no flood of one starves the others. */
#ifndef MU_DAEMON_LIMITS_H
#define MU_DAEMON_LIMITS_H

#include <stdint.h>

#include "base/err.h"

/* Store, log, listeners, loop, and what is accepted only to be refused. */
#define MU_FILES_KEPT  128
#define MU_FILES_LEAST 256 /* fewer than this is no place to serve from */

struct mu_limits {
    uint64_t files;    /* the limit of open files */
    uint32_t http;     /* of them for HTTP: at most a quarter */
    uint32_t streams;  /* for agents' connections: the rest */
    uint32_t sessions; /* of these may stay; the others are for who comes to join, and goes */
};

/* Raises the limit of open files as far as allowed, and returns it. */
uint64_t mu_limits_raise(void);

/* Shares @files out. @http and @streams are what the configuration allows, 0 = any number.
 * MU_ERANGE says how many are needed, and where to raise them. */
int mu_limits_share(uint64_t files, int64_t http, int64_t streams, struct mu_limits *out,
                    struct mu_err *err);

#endif
