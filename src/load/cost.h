/* cost.h - what a process uses: CPU in ns, memory; and how busy a core is. From /proc. */
#ifndef MU_LOAD_COST_H
#define MU_LOAD_COST_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/err.h"

struct mu_cost {
    uint64_t cpu;          /* ns, user and system, of all threads it has or had */
    uint64_t memory, peak; /* bytes resident, now and at most so far */
};

/* Of process @pid. Returns 0; MU_ENOENT when there is none, or it is not for us to see. */
int mu_cost_read(pid_t pid, struct mu_cost *out, struct mu_err *err);

/* How long core @cpu was not idle, ns since the machine started, in steps of a clock tick (10 ms):
 * with the kernel's work for others. MU_ENOENT when there is no such core. */
int mu_cost_core(int cpu, uint64_t *ns, struct mu_err *err);

/* The process that listens on the TCP port of @sa; 0 = not found, or @sa is another machine's. */
pid_t mu_cost_listener(const struct sockaddr *sa, socklen_t len);

/* Datagrams that the kernel has dropped at UDP port @port of this machine since it was bound. */
uint64_t mu_cost_drops(int port);

/* Keeps all threads of @pid (0 = us) on core @cpu, and those that they start. */
int mu_cost_pin(pid_t pid, int cpu, struct mu_err *err);

#endif
