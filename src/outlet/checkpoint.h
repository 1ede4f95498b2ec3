/* checkpoint.h - brings last_seen_at and report_count of who was heard to the store, now and then.
 *
 * Walks the roster a slice at a time, so that commits find their turn between, and hands over only
 * rows heard since the last walk. Known by time, since a mark an agent would cost memory. */
#ifndef MU_OUTLET_CHECKPOINT_H
#define MU_OUTLET_CHECKPOINT_H

#include "fleet/roster.h"
#include "store/store.h"

struct mu_checkpoint;

/* @interval is the least time between two walks; @slice is how many rows go into one piece. */
int mu_checkpoint_new(struct mu_checkpoint **out, struct mu_store *store,
                      const struct mu_roster *roster, mu_dur interval, uint32_t slice, mu_time now,
                      mu_wall wall);
/* After the store was closed. What a hung one still reads is not freed. */
void mu_checkpoint_free(struct mu_checkpoint *checkpoint);

/* max(@interval, agents / 5000 s), as things are now. */
mu_dur mu_checkpoint_interval(const struct mu_checkpoint *checkpoint);

/* Begins a walk when the interval has passed; goes on with one. */
void mu_checkpoint_tick(struct mu_checkpoint *checkpoint, mu_time now, mu_wall wall);

/* Begins one at once; false while one is under way. */
bool mu_checkpoint_begin(struct mu_checkpoint *checkpoint, mu_time now, mu_wall wall);
bool mu_checkpoint_running(const struct mu_checkpoint *checkpoint); /* a walk is not finished */
mu_wall mu_checkpoint_last(
    const struct mu_checkpoint *checkpoint); /* begin of the last whole one */

#endif
