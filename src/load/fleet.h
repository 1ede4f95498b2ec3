/* fleet.h - many agents in one process: the shipped session for each, real sockets, and faults.
 *
 * One datagram socket serves them all, since an ack says whose it is; each has a stream of its own,
 * and so a descriptor. Faults are done at our edge of the network: a dead agent's session is
 * dropped and its stream closed by the kernel's hand, a paused one neither reads nor is ticked, a
 * cut-off one reads and is ticked in vain. */
#ifndef MU_LOAD_FLEET_H
#define MU_LOAD_FLEET_H

#include <sys/socket.h>

#include "base/name.h"
#include "sim/play.h"

struct mu_fleet;
struct uv_loop_s;

struct mu_fleet_config {
    struct sockaddr_storage conductor;
    socklen_t conductor_len;
    uint32_t agents;   /* nova-compute@cmp-0000 and on, over zones a, b, c and racks of 20 */
    mu_dur interval;   /* wanted; 0 = the conductor's */
    const char *token; /* what the conductor asks for; "" = none; borrowed for the run */
    uint64_t seed;     /* of losses and jitter; who they are is drawn anew for each run */
};

/* Begins to start the agents, some at a time. Returns 0, MU_ENOMEM, MU_EIO, or MU_EFULL when there
 * are not enough descriptors, which @err tells. */
int mu_fleet_new(struct mu_fleet **out, struct uv_loop_s *loop,
                 const struct mu_fleet_config *config, struct mu_err *err);

uint32_t mu_fleet_joined(const struct mu_fleet *fleet); /* agents that have joined once */
uint64_t mu_fleet_beats(const struct mu_fleet *fleet);  /* datagrams sent, repeats included */
/* What an agent was refused for, the first time; NULL = none was. */
const char *mu_fleet_refused(const struct mu_fleet *fleet);

char *mu_fleet_name(const struct mu_fleet *fleet, uint32_t agent, char out[MU_NAME_TEXT]);
uint32_t mu_fleet_find(const struct mu_fleet *fleet, const char *name); /* or UINT32_MAX */

/* The fleet as a stage: its callbacks, with @ctx the fleet. */
void mu_fleet_stage(struct mu_fleet *fleet, struct mu_stage *stage);

/* Has all that live leave; then mu_fleet_living() falls to 0. Paused and cut-off ones cannot. */
void mu_fleet_leave(struct mu_fleet *fleet);
uint32_t mu_fleet_living(const struct mu_fleet *fleet);

/* Closes all; the memory goes when the loop has let go of it. */
void mu_fleet_close(struct mu_fleet *fleet);

#endif
