/* print.h - JSON values as text. */
#ifndef MU_CLI_PRINT_H
#define MU_CLI_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"

/* Numbers as the API writes them, not with the 17 digits that a double may have. */
#define MU_JSON_FLAGS (JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY)

/* A value as indented JSON and a line's end. Returns 0, MU_ENOMEM or MU_EIO. */
int mu_print_json(FILE *to, const json_t *value);

/* A value as one YAML document, which begins with "---" where @marked. Strings that YAML would take
 * for something else are quoted. Returns 0, MU_ENOMEM or MU_EIO. */
int mu_print_yaml(FILE *to, const json_t *value, bool marked);

/* One field of CSV (RFC 4180), quoted where it must be. */
void mu_print_csv(struct mu_buf *out, const char *text);

#endif
