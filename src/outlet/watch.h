/* watch.h - the newest events in memory, by number, for those who follow them.
 *
 * A sink of the bus. While a write that has its number already waits for its commit, later events
 * are held back until it is told or mu_watch_release() gives them free, so that numbers come in
 * order; a write that comes later still is `late`. Older events are in the store. One thread. */
#ifndef MU_OUTLET_WATCH_H
#define MU_OUTLET_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "event/bus.h"

#define MU_WATCH_EVENTS 16384         /* kept by default: about 2 MB */
#define MU_WATCH_HOLD   (100 * MU_MS) /* call mu_watch_release() so long after `held` was told */

struct mu_watch;

/* Told from within the bus: there is something to read (@held false), or something to release
 * (@held true). @late is an event whose number was passed already, NULL = none. */
typedef void (*mu_watch_fn)(void *ctx, bool held, const struct mu_event *late);

/* Attaches itself to @bus. @first is the first number of this life (mu_boot.seq); @capacity is how
 * many events are kept. Returns 0 or MU_ENOMEM. */
int mu_watch_new(struct mu_watch **out, struct mu_bus *bus, uint64_t first, size_t capacity);
void mu_watch_free(struct mu_watch *watch); /* after the bus, or with no event to come */

void mu_watch_listen(struct mu_watch *watch, mu_watch_fn fn,
                     void *ctx); /* one listener; NULL = none */

/* Shows all that is held. Returns whether something was. */
bool mu_watch_release(struct mu_watch *watch);

/* Whether every event of this life after number @since is here, so that no store need be asked. */
bool mu_watch_covers(const struct mu_watch *watch, uint64_t since);

uint64_t mu_watch_first(const struct mu_watch *watch); /* first number of this life */
uint64_t mu_watch_last(const struct mu_watch *watch);  /* newest number shown; first - 1 = none */
uint64_t mu_watch_evicted(
    const struct mu_watch *watch); /* newest number no longer here; 0 = none */

/* Hands the events after number @since to @each in order until it returns non-zero. Returns the
 * number of the last one handed over, or of the newest when all were: from where to go on. */
typedef int (*mu_watch_each_fn)(void *ctx, const struct mu_event *event);
uint64_t mu_watch_read(const struct mu_watch *watch, uint64_t since, mu_watch_each_fn each,
                       void *ctx);

#endif
