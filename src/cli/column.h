/* column.h - a column of what is listed, and what a row of JSON has in it.
 *
 * Some keys are not in the JSON: "name" is BINARY@HOST, or what `agent` says; "label.K" is the
 * label K, which may be asked for though no column is of that key; "OUTER.INNER" is a member of an
 * object in the row. */
#ifndef MU_CLI_COLUMN_H
#define MU_CLI_COLUMN_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/cli.h"

enum mu_col {
    MU_COL_WIDE = 1,  /* only in `wide`, or when asked for */
    MU_COL_TIME = 2,  /* an RFC 3339 time */
    MU_COL_STATE = 4, /* a State: sign and colour */
    MU_COL_CUT = 8,   /* may be cut at the edge of a terminal */
    MU_COL_RIGHT = 16,
    MU_COL_ASKED = 32, /* only when asked for, which json and yaml never need */
};

struct mu_column {
    const char *key; /* of the JSON, and the heading of csv; NULL ends a list */
    const char *title;
    unsigned flags;
    int width; /* of a terminal it mostly takes: for rows that are written as they come */
};

/* The column that @name means, by key or title, whatever its case; NULL = none. One of "label.K"
 * has the key "label.". */
const struct mu_column *mu_column_find(const struct mu_column *columns, const char *name);

/* The key of what mu_column_find() found for @name: the caller frees it. NULL = no memory. */
char *mu_column_key(const struct mu_column *found, const char *name);

/* Tells that @option names an unknown column. Returns MU_EXIT_USAGE. */
int mu_column_unknown(const struct mu_args *args, const struct mu_column *columns,
                      const char *option, const char *name);

/* The value of @key in @row, a new reference; JSON's null where there is none. NULL = no memory. */
json_t *mu_cell(const json_t *row, const char *key);

/* Appends a value as text: a string as it is, nothing as @null, booleans as Python has them or as
 * JSON does, all else as JSON on one line. */
void mu_cell_text(struct mu_buf *out, const json_t *value, const char *null, bool python);

#endif
