/* name.h - an agent's name, BINARY@HOST: parse, check, print. The rules are in design section 2. */
#ifndef MU_BASE_NAME_H
#define MU_BASE_NAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define MU_NAME_PART_MAX 255                        /* bytes of a binary, of a host */
#define MU_NAME_TEXT     (2 * MU_NAME_PART_MAX + 2) /* BINARY@HOST and its NUL */

/* A binary or a host, @n bytes: 1-255 bytes of valid UTF-8; no '/', no control, bidi or zero-width
 * characters; no '@' where @is_binary. Returns 0, or MU_EINVAL and which rule in @err. */
int mu_name_check(const char *part, size_t n, int is_binary, struct mu_err *err);

/* Zone, label key or value, version, reason: valid UTF-8 without control, bidi or zero-width
 * characters, at most @max bytes, may be empty. @what names the field in the error. */
int mu_text_check(const char *text, size_t n, size_t max, const char *what, struct mu_err *err);

/* Splits @text at its first '@' and checks both parts. @binary and @host have MU_NAME_PART_MAX + 1
 * bytes. Returns 0, or MU_EINVAL. */
int mu_name_parse(const char *text, char *binary, char *host, struct mu_err *err);

#endif
