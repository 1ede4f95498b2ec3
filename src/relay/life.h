/* life.h - the life of `muster agent`: from its first join to its last word. */
#ifndef MU_RELAY_LIFE_H
#define MU_RELAY_LIFE_H

#include <sys/types.h>

#include "agent/session.h"
#include "base/conductors.h"

struct mu_life_config {
    const struct mu_conductors *conductors;
    const char *token;                     /* what the conductor asks for; "" = none */
    const char *binary;                    /* of our own agent; NULL = none, but a relay's */
    const char *host;                      /* of our own, and of a relay's agents that give none */
    const char *zone;                      /* likewise; "" = none */
    const struct mu_session_label *labels; /* of our own */
    size_t nlabels;
    mu_dur interval; /* of both; 0 = the conductor's */

    /* What it lives for; at most one. Without any: until it is told to stop. */
    char *const *command;        /* to run */
    pid_t pid;                   /* to watch; 0 = none */
    const struct mu_addr *relay; /* to listen on */
};

/* Lives until SIGTERM or SIGINT (left), or until what it watches has ended (ended). The last word
 * may take 2 s when nobody answers; a further signal cuts that short. Returns 0, and *@status to
 * exit with: that of the command (128 + n for signal n), else 0; or why it could not begin, or go
 * on without its name, and *@err. MU_ENOENT and MU_EPERM with a command: it could not be run. */
int mu_life_run(const struct mu_life_config *config, int *status, struct mu_err *err);

#endif
