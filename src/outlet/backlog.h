/* backlog.h - events that wait for the store, oldest first: a ring with room for all that may wait.
 *
 * It is taken whole with the first event, and costs address space alone until a flood comes. So no
 * push copies what is there, and no small piece of memory above it keeps a flood's from going back.
 */
#ifndef MU_OUTLET_BACKLOG_H
#define MU_OUTLET_BACKLOG_H

#include "event/event.h"

struct mu_backlog {
    struct mu_event *at; /* with their references; NULL until there is one */
    size_t head, n, max;
    size_t used; /* places from the first on that may hold memory */
};

void mu_backlog_init(struct mu_backlog *backlog, size_t max);
void mu_backlog_fini(struct mu_backlog *backlog);

/* Takes references of its own. Returns 0, MU_EFULL or MU_ENOMEM. */
int mu_backlog_push(struct mu_backlog *backlog, const struct mu_event *event);
const struct mu_event *mu_backlog_first(const struct mu_backlog *backlog); /* NULL = none */
/* The first one leaves; its references are the caller's. What a flood needed is freed when it has
 * passed. */
void mu_backlog_pop(struct mu_backlog *backlog);

#endif
