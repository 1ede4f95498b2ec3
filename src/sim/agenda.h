/* agenda.h - what will happen in a world, in order of time; of two at the same time the earlier
 * planned goes first. A binary heap. */
#ifndef MU_SIM_AGENDA_H
#define MU_SIM_AGENDA_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

struct mu_item {
    mu_time at;
    uint64_t order; /* the agenda's own */
    int what;
    uint32_t agent;
    uint64_t id;   /* of a process, a stream or a life: what became of it makes the item void */
    uint8_t *data; /* the item's own; NULL = none */
    size_t n;
};

struct mu_agenda {
    struct mu_item *items;
    size_t n, cap;
    uint64_t order;
};

void mu_agenda_fini(struct mu_agenda *a);

/* Takes @item.data. Returns 0; or MU_ENOMEM, and the data is freed. */
int mu_agenda_add(struct mu_agenda *a, mu_time at, struct mu_item item);

/* When the next thing happens; MU_NEVER = nothing does. */
mu_time mu_agenda_next(const struct mu_agenda *a);

/* Takes the next thing off a list that is not empty; its data is the caller's. */
struct mu_item mu_agenda_take(struct mu_agenda *a);

#endif
