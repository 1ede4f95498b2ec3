/* secret.h - what the conductor knows and nobody else may: the fleet secret, and agents' token.
 *
 * A file that others can read or change is refused. Nothing of it is ever printed. */
#ifndef MU_DAEMON_SECRET_H
#define MU_DAEMON_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Reads the fleet secret of @path: 32 hexadecimal digits. Where there is no such file it is made,
 * mode 0600, whole or not at all, and only one of several that try at once makes it. With "" the
 * secret is random, and forgotten at the end. Returns 0, MU_EPERM, MU_ECORRUPT or MU_EIO. */
int mu_secret_load(const char *path, uint8_t out[16], struct mu_err *err);

/* Reads a token of 1 to @size - 1 printable characters, without the newline at its end.
 * MU_EINVAL: there is no such file. */
int mu_secret_token(const char *path, char *out, size_t size, struct mu_err *err);

/* Whether the two above would take what is there, for who asks before a start: nothing is made, and
 * a secret that is not there yet is well. Asked by root, any user's own file is: he may be the one
 * that the conductor runs as. */
int mu_secret_check(const char *path, struct mu_err *err);
int mu_secret_check_token(const char *path, size_t size, struct mu_err *err);

#endif
