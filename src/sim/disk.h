/* disk.h - the store of a world in virtual time: what is committed outlives a conductor, what waits
 * does not. */
#ifndef MU_SIM_DISK_H
#define MU_SIM_DISK_H

#include "event/change.h"

/* A row with strings and an ident of its own. */
struct mu_disk_row {
    struct mu_row row; /* .id 0 = none */
    char *strings[5];
};

struct mu_disk_job;

struct mu_disk {
    struct mu_disk_row *rows; /* what is committed, by row id - 1 */
    size_t nrows;
    struct mu_disk_job *jobs, **last;
};

void mu_disk_init(struct mu_disk *d);
void mu_disk_fini(struct mu_disk *d);

/* Copies @row to what waits. @ticket 0 = nobody is told. Returns 0 or MU_ENOMEM. */
int mu_disk_give(struct mu_disk *d, const struct mu_row *row, uint64_t ticket, bool deletes);

bool mu_disk_waits(const struct mu_disk *d);

/* Commits all that waits, calling @told for each ticket in order. Returns 0, or MU_ENOMEM: what
 * could not be kept is lost. */
int mu_disk_commit(struct mu_disk *d, void (*told)(void *ctx, uint64_t ticket), void *ctx);

/* The machine's power fails: what waits is gone. */
void mu_disk_forget(struct mu_disk *d);

#endif
