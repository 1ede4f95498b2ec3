/* jsonck.h - whether bytes are JSON (RFC 8259), without making anything of them. */
#ifndef MU_BASE_JSONCK_H
#define MU_BASE_JSONCK_H

#include <stdbool.h>
#include <stddef.h>

#define MU_JSON_DEPTH 64 /* arrays and objects within each other; deeper counts as none */

/* Whether @n bytes are one JSON value and nothing else: valid UTF-8, no lone surrogate escapes. */
bool mu_json_ok(const char *text, size_t n);

#endif
