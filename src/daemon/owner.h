/* owner.h - who sits on a port that we want. */
#ifndef MU_DAEMON_OWNER_H
#define MU_DAEMON_OWNER_H

#include <sys/types.h>

/* The process that listens on TCP @port or has bound UDP @port on this machine, and its name. 0 =
 * none found: it may be another user's, whose files we may not look at. */
pid_t mu_port_owner(int port, char name[64]);

#endif
