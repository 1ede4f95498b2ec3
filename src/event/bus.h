/* bus.h - walks each event past the sinks, in the order they were attached, and owns the numbers.
 *
 * Numbers come from a block that the store has promised never to give again (mu_bus_grant). A write
 * that must be committed before it is told of takes its number when it is proposed; until it is
 * published or given up, mu_bus_floor() names it, so that a sink that hands events to people can
 * hold later ones back for a moment and keep the order. */
#ifndef MU_EVENT_BUS_H
#define MU_EVENT_BUS_H

#include "event/event.h"

struct mu_bus;

/* @event is borrowed for the call; mu_event_ref() keeps it. A sink may not publish. */
typedef void (*mu_sink_fn)(void *ctx, const struct mu_event *event);

int mu_bus_new(struct mu_bus **out);
void mu_bus_free(struct mu_bus *bus);
int mu_bus_attach(struct mu_bus *bus, mu_sink_fn fn, void *ctx);

/* Numbers below @end may be given out; the first ever is @next. Later calls only raise @end. */
void mu_bus_grant(struct mu_bus *bus, uint64_t next, uint64_t end);
uint64_t mu_bus_left(const struct mu_bus *bus); /* numbers still to be given out */
uint64_t mu_bus_last(const struct mu_bus *bus); /* the last one given out; 0 = none yet */

/* Takes the next number for a write still to be committed. 0 = none left. */
uint64_t mu_bus_reserve(struct mu_bus *bus);
void mu_bus_release(struct mu_bus *bus, uint64_t seq); /* the write came to nothing */
uint64_t mu_bus_floor(const struct mu_bus *bus); /* lowest reserved number; UINT64_MAX = none */

/* Hands @event to every sink: with the next number if event->seq is 0, else with its reserved one.
 * With no number left the event has seq 0 and goes to the sinks all the same (the journal counts it
 * as lost). */
void mu_bus_publish(struct mu_bus *bus, struct mu_event *event);

#endif
