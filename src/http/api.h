/* api.h - the table of routes, and what a request must pass before a handler sees it. */
#ifndef MU_HTTP_API_H
#define MU_HTTP_API_H

#include "http/request.h"

/* A path of `{agent}` and literal segments, and what one method of it needs. */
struct mu_route {
    const char *path; /* "/v1/agents/{agent}/beat" */
    enum mu_method method;
    void (*handle)(struct mu_req *req);
    const char *params; /* "limit,label.*": names allowed; "" = none */
    enum { MU_BODY_NONE, MU_BODY_JSON, MU_BODY_OPTIONAL } takes;
    const char *type; /* of the answer, for Accept; "" = not looked at */
};

extern const struct mu_route mu_routes[];
extern const size_t mu_nroutes;

/* With the headers: refuses what can be refused without a body. Leaves the request as it is, or
 * answers it. */
void mu_api_admit(struct mu_req *req, const char *method, const char *version);

/* With the body too: has it handled. */
void mu_api_handle(struct mu_req *req);

#endif
