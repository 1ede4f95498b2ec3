/* count.h - the fleet counted, for those who ask.
 *
 * A walk over all agents is in slices. Who asks about all while one is under way shares it, and a
 * fleet that takes more than one turn of the loop is counted at most once a second. So an answer
 * says as of when it is: for a small fleet that is now. */
#ifndef MU_HTTP_COUNT_H
#define MU_HTTP_COUNT_H

#include "http/request.h"
#include "outlet/census.h"

/* Answers @req with a census that was begun at @as_of. */
typedef void (*mu_count_fn)(struct mu_req *req, const struct mu_census *census, mu_wall as_of);

/* Counts the agents that the parameters of @req pick, now or later; where it cannot be, @req has a
 * problem as its answer. */
void mu_count_agents(struct mu_req *req, mu_count_fn show);

void mu_count_forget(struct mu_http *http); /* what is kept, at the end */

#endif
