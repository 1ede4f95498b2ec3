/* check.h - what a start would look at besides the settings, for who wants to know before it. */
#ifndef MU_DAEMON_CHECK_H
#define MU_DAEMON_CHECK_H

#include "daemon/config.h"

/* Looks at the kind of the store, the files of secret and token, and the paths of Unix sockets, as
 * the user who asks; makes and changes nothing, asks no database, and may run beside a conductor.
 * Returns 0, or the error that a start would end with. */
int mu_check_start(const struct mu_config *config, struct mu_err *err);

#endif
