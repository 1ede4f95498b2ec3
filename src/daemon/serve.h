/* serve.h - a conductor's life: builds the rooms, ties them, and takes them down in reverse. */
#ifndef MU_DAEMON_SERVE_H
#define MU_DAEMON_SERVE_H

#include "daemon/config.h"

struct mu_serve_options {
    struct mu_config_source source; /* borrowed until the end: read again on SIGHUP */
    const char *ports_file;         /* agents=PORT and http=PORT, once listening; NULL = none */
    bool facts;                     /* tell where it listens on standard output, for a person */
};

/* Serves until SIGTERM or SIGINT, which drain it: no new joins, what waits is stored, then the end;
 * a second one ends the process at once. SIGHUP reads the configuration anew, SIGUSR1 tells the
 * state in the log. Returns 0 after an orderly end; an error that kept it from starting; MU_EIO
 * when not everything could be stored at the end. */
int mu_serve(const struct mu_serve_options *options, struct mu_err *err);

#endif
