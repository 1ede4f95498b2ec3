/* child.h - this very program, run as a child with another command. */
#ifndef MU_CLI_CHILD_H
#define MU_CLI_CHILD_H

#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"

/* Starts `muster @argv[1]...`, in a process group of its own, so that Ctrl-C on the terminal is
 * ours to deal with, and ending with us should we be killed. What it prints goes to the end of file
 * @log; NULL = where ours goes. Returns its pid, or an error that @err tells. */
pid_t mu_child_start(char *const argv[], const char *log, struct mu_err *err);

/* Whether it has ended; *@status is as of waitpid() then. */
int mu_child_ended(pid_t pid, int *status);

/* Asks it to stop by SIGTERM, and after @patience by SIGKILL; returns when it is gone. A @pid of 0
 * or less is none. */
void mu_child_stop(pid_t pid, mu_dur patience);

#endif
