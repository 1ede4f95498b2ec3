/* admin.h - what an operator does to a database: look, upgrade, copy. For `muster db`.
 *
 * All block, need no loop, and take a URL. Status and backup work beside a running conductor;
 * upgrade refuses with MU_ELOCKED, naming it. MU_ENOENT: no such database. memory: has nothing to
 * look at (MU_ENOTSUP). */
#ifndef MU_STORE_ADMIN_H
#define MU_STORE_ADMIN_H

#include "store/driver.h"

/* Changes nothing, not even an old schema. */
int mu_store_status(const char *url, struct mu_store_status *out, struct mu_err *err);

/* Brings the schema from *@from up to *@to, the one this program writes; equal: nothing to do. */
int mu_store_upgrade(const char *url, uint32_t *from, uint32_t *to, struct mu_err *err);

/* A consistent copy in the new file @path, mode 0600, whose epoch and event numbers begin further
 * on, so that restoring it repeats none; MU_EEXIST when it is there already. A copy that could not
 * be finished is removed. */
int mu_store_backup(const char *url, const char *path, struct mu_err *err);

#endif
