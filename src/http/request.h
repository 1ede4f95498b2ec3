/* request.h - one request and its answer, between the server and the handlers.
 *
 * A handler answers at once by mu_req_json() .. mu_req_send() or mu_req_problem(), or leaves the
 * request waiting and answers later: the server suspends the connection meanwhile. A waiting
 * request whose client goes away is told by .gone, after which it must not be touched. */
#ifndef MU_HTTP_REQUEST_H
#define MU_HTTP_REQUEST_H

#include <microhttpd.h>

#include "base/list.h"
#include "http/json.h"
#include "http/problem.h"
#include "http/url.h"

struct mu_http;
struct mu_peer;
struct mu_route;
struct mu_stream;

#define MU_BODY_MAX (64 * 1024)

enum mu_method { MU_GET = 1, MU_PUT = 2, MU_DELETE = 4, MU_OPTIONS = 8 };

enum mu_req_state {
    MU_REQ_READING,  /* headers are there, the body comes */
    MU_REQ_WAITING,  /* for a commit, an event, a read, a slice */
    MU_REQ_ANSWERED, /* not given to microhttpd yet */
    MU_REQ_QUEUED    /* on its way out */
};

struct mu_req {
    struct mu_list link; /* in http's list of all */
    struct mu_http *http;
    struct mu_peer *peer;
    struct MHD_Connection *mhd; /* NULL until the headers are in, and in tests without a server */
    enum mu_method method;
    enum mu_req_state state;
    bool suspended, head;
    bool watches; /* waits for events: over when the client closes his end */
    bool writes;  /* an operator's write is on its way */
    bool creates; /* a beat whose agent is not known yet */
    bool dropped; /* nobody will read the answer */
    const struct mu_route *route;
    char *raw; /* path and query as they came */
    struct mu_url url;
    struct mu_buf body;
    size_t body_seen; /* bytes that came, also those beyond the bound */

    /* the answer */
    unsigned status;
    const char *type;
    struct mu_buf out;
    char etag[64], allow[64], retry_after[16];
    struct mu_buf link_header, location;
    struct mu_stream *stream; /* instead of .out; taken over by the answer */
    size_t charged;           /* bytes of it that http->charged counts */

    /* the handler's own, while it waits */
    void (*gone)(struct mu_req *req);
    void *job;
};

struct mu_req *mu_req_new(struct mu_http *http, const char *raw);
void mu_req_free(struct mu_req *req);

/* A header's value; NULL = not there. */
const char *mu_req_header(const struct mu_req *req, const char *name);

/* The start of a JSON answer; then mu_req_send() with its status. */
void mu_req_json(struct mu_req *req, struct mu_json *json);
void mu_req_send(struct mu_req *req, unsigned status);
void mu_req_text(struct mu_req *req, unsigned status, const char *text); /* text/plain */

/* An answer that failed. The open form is for members of its own: add them and mu_req_send() with
 * 0. */
void mu_req_problem(struct mu_req *req, enum mu_problem problem, const char *fmt, ...)
    MU_PRINTF(3, 4);
void mu_req_problem_open(struct mu_req *req, struct mu_json *json, enum mu_problem problem,
                         const char *fmt, ...) MU_PRINTF(4, 5);

/* The handler answers later. @gone as above. */
void mu_req_wait(struct mu_req *req, void (*gone)(struct mu_req *req), void *job);

#endif
