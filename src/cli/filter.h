/* filter.h - which rows are wanted: --filter KEY=VALUE, all of which must hold.
 *
 * VALUE is a pattern with *, ? and [...]; that of `state` may be several, "down,suspect". Nothing
 * (JSON's null) is as the empty text. */
#ifndef MU_CLI_FILTER_H
#define MU_CLI_FILTER_H

#include "cli/column.h"

struct mu_filter {
    char *key; /* of a column, or label.K */
    const char *value;
    bool exact; /* no pattern */
};

struct mu_filters {
    struct mu_filter *each;
    size_t n;
};

/* Reads every --filter of @args, whose keys must be @columns'. Returns MU_EXIT_OK, or what to exit
 * with after telling the user. Values stay borrowed from @args. */
int mu_filters_read(struct mu_filters *out, const struct mu_args *args,
                    const struct mu_column *columns);
void mu_filters_fini(struct mu_filters *filters);

/* Whether the API can apply filter @i of agents by itself. */
bool mu_filters_asked(const struct mu_filters *filters, size_t i);

/* Appends those to a query, the first after @between: '?' or '&'. */
void mu_filters_query(struct mu_buf *path, char between, const struct mu_filters *filters);

bool mu_filters_want(const struct mu_filters *filters, const json_t *row);

#endif
