/* own.h - a conductor of a command's own: a child in a scratch folder, gone when the command ends.
 */
#ifndef MU_CLI_OWN_H
#define MU_CLI_OWN_H

#include <signal.h>
#include <sys/types.h>

#include "base/err.h"

struct mu_own {
    char folder[256]; /* "" = none made */
    char listen[64], http[64];
    const char *store; /* URL, borrowed; NULL = a file in the folder */
    const volatile sig_atomic_t *stopped;
    pid_t pid; /* 0 = not running */
    int agents_port, http_port;
};

#define MU_OWN_PATH 320

/* Makes the folder, $TMPDIR/muster-@name-XXXXXX, and muster.conf in it with @text and a secret_file
 * of its own. Returns 0, MU_EINVAL or MU_EIO. */
int mu_own_make(struct mu_own *own, const char *name, const char *text, struct mu_err *err);
/* The path of @name in the folder. Returns @out. */
char *mu_own_path(const struct mu_own *own, const char *name, char out[MU_OWN_PATH]);

/* Starts the conductor at .listen and .http, and waits until it listens; its ports are known then,
 * and kept for the next start. Returns 0 also when *.stopped was set meanwhile. */
int mu_own_start(struct mu_own *own, struct mu_err *err);
/* Kills it without a word, as a crash would. */
void mu_own_kill(struct mu_own *own);

/* Says that child @name has ended, with the last line that it left in its log of that name. */
int mu_own_told(const struct mu_own *own, const char *name, struct mu_err *err);

/* Stops it, and removes the folder. */
void mu_own_clean(struct mu_own *own);

#endif
