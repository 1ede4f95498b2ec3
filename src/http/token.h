/* token.h - the token of a list's next page: base64url of the name of the last agent of this one.
 */
#ifndef MU_HTTP_TOKEN_H
#define MU_HTTP_TOKEN_H

#include "base/buf.h"

/* Appends the token of @name, BINARY@HOST. */
void mu_token_write(struct mu_buf *out, const char *name);

/* Returns 0, and the name that @token stands for in the two, of MU_NAME_PART_MAX + 1 bytes; or
 * MU_EINVAL: it was never given. */
int mu_token_read(const char *token, char *binary, char *host);

#endif
