/* count.h - the fleet counted, for those who ask.
 *
 * All of it is counted already, by the roster. Those that a filter picks are counted in slices, and
 * the answer says as of when it is: when that began. */
#ifndef MU_HTTP_COUNT_H
#define MU_HTTP_COUNT_H

#include "fleet/census.h"
#include "http/request.h"

/* Answers @req with a census that was begun at @as_of; borrowed for the call. */
typedef void (*mu_count_fn)(struct mu_req *req, const struct mu_census *census, mu_wall as_of);

/* Counts the agents that the parameters of @req pick, now or later; where it cannot be, @req has a
 * problem as its answer. */
void mu_count_agents(struct mu_req *req, mu_count_fn show);

#endif
