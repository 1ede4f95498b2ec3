/* schema.h - the tables as SQL, in numbered steps; docs/store.md tells people what they mean.
 *
 * A step is never changed once a release has it: a change is a further step. */
#ifndef MU_STORE_SCHEMA_H
#define MU_STORE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "store/driver.h"

#define MU_SCHEMA_APPLICATION 0x4d555354 /* "MUST": PRAGMA application_id of our SQLite files */

/* Step i brings schema i to i + 1; schema 0 is the empty database. */
extern const char *const mu_schema_sqlite[];
extern const uint32_t mu_schema_sqlite_n;
extern const char *const mu_schema_postgresql[];
extern const uint32_t mu_schema_postgresql_n;

/* Draws struct mu_boot's .fleet, from 1 to INT64_MAX. Returns 0 or MU_EIO. */
int mu_schema_draw_fleet(int64_t *out, struct mu_err *err);

/* What a life begins with: the numbers of `meta` as it has raised them. Returns 0, or MU_ECORRUPT
 * where one is gone (0) or impossible: then nothing may be stored by it. */
struct mu_schema_meta {
    int64_t epoch, event_limit, next_row, fleet;
};
int mu_schema_boot(const struct mu_schema_meta *meta, struct mu_boot *out, struct mu_err *err);

/* Whether a program that writes schema @ours may use a database of @schema; an older one only when
 * it may migrate it. 0, or MU_EVERSION with both numbers, and what to run for the store @url. */
int mu_schema_check(uint32_t schema, uint32_t ours, bool may_migrate, const char *url,
                    struct mu_err *err);

#endif
