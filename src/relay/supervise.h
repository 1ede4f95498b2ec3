/* supervise.h - runs a command and says how it ended.
 *
 * The command has our input and output. With a terminal as input it stays in our process group, so
 * that the terminal's keys and job control are its own; else it leads a group of its own, and
 * signals that we pass on reach all of it. It is sent SIGTERM when we die, however that comes
 * about: left alone it would run on under a name that the conductor calls down. */
#ifndef MU_RELAY_SUPERVISE_H
#define MU_RELAY_SUPERVISE_H

#include "base/err.h"
#include "wire/msg.h"

struct mu_supervise;
struct uv_loop_s;

/* @how and @status as in struct mu_ended. It may stop the supervision. */
typedef void (*mu_supervise_fn)(void *ctx, enum mu_ended_how how, int status);

/* Starts @argv. Returns 0; MU_ENOENT when there is no such command; MU_EPERM when it cannot be run;
 * MU_ENOMEM, MU_EFULL. */
int mu_supervise_new(struct mu_supervise **out, struct uv_loop_s *loop, char *const argv[],
                     mu_supervise_fn ended, void *ctx, struct mu_err *err);

/* Passes @sig on. What the terminal sends by itself (SIGINT, SIGQUIT) is passed on only where the
 * command is in another group than ours. */
void mu_supervise_signal(struct mu_supervise *sup, int sig);

/* Lets go of a command, which runs on if it still runs. NULL is allowed. */
void mu_supervise_free(struct mu_supervise *sup);

#endif
