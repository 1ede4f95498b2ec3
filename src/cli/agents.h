/* agents.h - an agent's columns, and events' ones, for all who print some. */
#ifndef MU_CLI_AGENTS_H
#define MU_CLI_AGENTS_H

#include "cli/ask.h"
#include "cli/table.h"

extern const struct mu_column mu_agent_columns[];
extern const struct mu_column mu_event_columns[];

/* Tells of @code from mu_table_add() or mu_table_end(). Returns what to exit with; MU_EXIT_OK for
 * 0. */
int mu_table_fail(const struct mu_args *args, int code);

/* Appends an event as a line for people, without a line's end:
 * "18:59:01  ! down  nova-compute@cmp-017  was suspect: silence, 60.0 s without a beat". */
void mu_event_line(struct mu_buf *out, const json_t *event, bool utc, bool color);

#endif
