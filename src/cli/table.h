/* table.h - rows of JSON in every format there is.
 *
 * A row is an object as the API sends it. json and yaml print it as it is, unless columns were
 * chosen; the others print columns: table, csv and value those that are not MU_COL_WIDE, wide those
 * too. The keys of columns are those of the JSON, they are what csv has as its headings; headings
 * for people are no interface.
 *
 * Rows are written as they come, but for table and wide, which must know the widest first, and for
 * sorting. Those keep the rows in memory. */
#ifndef MU_CLI_TABLE_H
#define MU_CLI_TABLE_H

#include <stdio.h>

#include "cli/column.h"

struct mu_table;

/* What shape is printed. */
enum mu_shape {
    MU_SHAPE_LIST,   /* many rows */
    MU_SHAPE_ONE,    /* one: a line a field for people and value, one object in json and yaml */
    MU_SHAPE_STREAM, /* rows as they happen: each is flushed, json is an object a line */
};

/* Reads the format, columns and sorting of @args. Returns MU_EXIT_OK and *@out, or what
 * to exit with after telling the user. */
int mu_table_open(struct mu_table **out, const struct mu_args *args,
                  const struct mu_column *columns, enum mu_shape shape, FILE *to);

/* Whether rows are kept until the end for sorting, so that a limit cannot be applied earlier. */
bool mu_table_sorts(const struct mu_table *table);

/* Whether it is for people: table or wide. */
bool mu_table_for_people(const struct mu_table *table);

/* Prints or keeps @row. Returns 0, MU_ENOMEM, or MU_EIO when the
 * output cannot be written. */
int mu_table_add(struct mu_table *table, json_t *row);

/* Prints what was kept, the first @limit rows of it. Returns as mu_table_add(). */
int mu_table_end(struct mu_table *table, size_t limit);
void mu_table_free(struct mu_table *table); /* NULL is allowed */

#endif
