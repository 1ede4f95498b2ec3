/* pid.h - watches a process, ours or not, by its pidfd: a number is given anew, this is not. */
#ifndef MU_RELAY_PID_H
#define MU_RELAY_PID_H

#include <sys/types.h>

#include "base/err.h"

struct mu_pid;
struct uv_loop_s;

/* @gone runs once, on the loop, when process @pid has ended; it may stop the watch. Returns 0;
 * MU_ENOENT when there is no such process; MU_EINVAL for what is no process; MU_ENOMEM, MU_EFULL.
 */
int mu_pid_watch(struct mu_pid **out, struct uv_loop_s *loop, pid_t pid, void (*gone)(void *ctx),
                 void *ctx, struct mu_err *err);
int mu_pid_fd(const struct mu_pid *watch); /* its pidfd: for waitid() and pidfd_send_signal() */
void mu_pid_stop(struct mu_pid *watch);    /* NULL is allowed */

#endif
