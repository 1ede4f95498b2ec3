/* handlers.h - what the routes do; api.c names them. */
#ifndef MU_HTTP_HANDLERS_H
#define MU_HTTP_HANDLERS_H

#include "http/server.h"

/* agents.c: one agent */
void mu_get_agent(struct mu_req *req);
void mu_get_explain(struct mu_req *req);
void mu_get_agent_events(struct mu_req *req);
void mu_get_payload(struct mu_req *req);
void mu_put_beat(struct mu_req *req);
void mu_put_status(struct mu_req *req);
void mu_put_forced_down(struct mu_req *req);
void mu_delete_agent(struct mu_req *req);

/* list.c: many */
void mu_get_agents(struct mu_req *req);

/* meta.c: the service itself */
void mu_get_summary(struct mu_req *req);
void mu_get_metrics(struct mu_req *req);
void mu_get_livez(struct mu_req *req);
void mu_get_readyz(struct mu_req *req);
void mu_get_version(struct mu_req *req);
void mu_get_openapi(struct mu_req *req);

/* Reads parameter @key as a whole number from @min to @max into *@out; without it, nothing. Returns
 * false when it was none, and @req has its answer. */
bool mu_param_number(struct mu_req *req, const char *key, uint64_t min, uint64_t max,
                     uint64_t *out);

#endif
