/* relay.h - local programs become agents by writing lines to a Unix socket; one session carries
 * them all.
 *
 * A program's agents end with it: when its connection or its process does. docs/relay.md has the
 * protocol. */
#ifndef MU_RELAY_RELAY_H
#define MU_RELAY_RELAY_H

#include "relay/uplink.h"

struct mu_relay;

struct mu_relay_config {
    const struct mu_addr *path; /* where to listen */
    const char *host;           /* of agents that give none */
    const char *zone;           /* of agents that give none; "" = none */
    mu_dur interval;            /* of agents that give none; 0 = the conductor's */
};

/* Listens. @up is borrowed, and its notices are to be handed to mu_relay_notice(). @config is
 * copied but for .path. Errors: as mu_socket_listen(), MU_ENOMEM. */
int mu_relay_new(struct mu_relay **out, struct uv_loop_s *loop, struct mu_uplink *up,
                 const struct mu_relay_config *config, struct mu_err *err);

/* Returns whether the notice was of an agent of the relay's. */
bool mu_relay_notice(struct mu_relay *relay, enum mu_notice what, uint32_t agent, int rv,
                     const char *text);

/* We are told to stop: its agents leave. The lines of local programs are no longer read. */
void mu_relay_leave(struct mu_relay *relay);

/* Closes everything and removes the socket; before mu_uplink_close(). NULL is allowed. */
void mu_relay_free(struct mu_relay *relay);

#endif
