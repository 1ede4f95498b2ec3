/* table_int.h - what the parts of the table share. */
#ifndef MU_CLI_TABLE_INT_H
#define MU_CLI_TABLE_INT_H

#include "cli/people.h"
#include "cli/table.h"

enum mu_format {
    MU_FORMAT_TABLE,
    MU_FORMAT_WIDE,
    MU_FORMAT_JSON,
    MU_FORMAT_YAML,
    MU_FORMAT_CSV,
    MU_FORMAT_VALUE,
    MU_FORMAT_NAME,
    MU_FORMATS,
};

struct mu_table {
    FILE *to;
    enum mu_format format;
    enum mu_shape shape;
    enum mu_times times;
    bool color, header, chosen; /* .chosen: the columns were named by the user */
    bool began;                 /* something was printed: a heading, a bracket */
    mu_wall now;
    struct mu_column *columns; /* those to print; ends with a NULL key */
    size_t ncolumns;
    char **sorts; /* keys */
    size_t nsorts;
    bool descending;
    const struct mu_column *known; /* all there are */
    json_t *kept;                  /* an array, or NULL */
};

/* Writers. Return 0, MU_ENOMEM or MU_EIO. */
int mu_write_people(struct mu_table *table, size_t limit); /* all that is kept, by libsmartcols */
int mu_write_line(struct mu_table *table, json_t *row);    /* a row of people's stream */
int mu_write_row(struct mu_table *table, json_t *row);     /* a row of the other formats */
int mu_write_end(struct mu_table *table);

#endif
