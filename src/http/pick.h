/* pick.h - which agents a request is about: the parameters that lists and counts have in common. */
#ifndef MU_HTTP_PICK_H
#define MU_HTTP_PICK_H

#include "fleet/roster.h"
#include "http/request.h"

/* Their names, for the table of routes. */
#define MU_PICK_PARAMS "binary,host,zone,name_prefix,state,status,forced_down,label.*"
#define MU_PICK_LABELS 8 /* at most */

/* Borrows from the request. */
struct mu_pick {
    const char *binary, *host, *zone, *prefix; /* NULL = any */
    unsigned states;                           /* bit a state; 0 = any */
    int disabled, forced;                      /* -1 = any */
    size_t nlabels;
    struct mu_buf labels[MU_PICK_LABELS]; /* "key":"value", as it stands in a row's JSON */
};

/* Reads the parameters of @req. Returns false when one was wrong, and @req has its answer; @pick is
 * to be ended either way. */
bool mu_pick_read(struct mu_pick *pick, struct mu_req *req);
void mu_pick_fini(struct mu_pick *pick);

bool mu_pick_wants(const struct mu_pick *pick, const struct mu_glance *agent);
bool mu_pick_all(const struct mu_pick *pick); /* whether it wants every agent */

#endif
