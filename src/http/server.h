/* server.h - libmicrohttpd in the loop: connections, requests, and work in slices.
 *
 * Its epoll descriptor is polled by the loop, and all callbacks run on the loop's thread. Sockets
 * are accepted here rather than by it: so there is one bound over all listeners, and a connection
 * that asks nothing makes room for one that does. */
#ifndef MU_HTTP_SERVER_H
#define MU_HTTP_SERVER_H

#include <uv.h>

#include "http/http.h"
#include "http/request.h"

struct mu_feed;

/* A connection. */
struct mu_peer {
    struct mu_list link; /* the one that was active last is last */
    int fd;
    bool local; /* a Unix socket or loopback */
    bool is_unix;
    bool waits;         /* has a request that waits, or a stream */
    bool evicted;       /* shut down; microhttpd has not noticed yet */
    struct mu_req *req; /* under way; NULL = none */
    struct sockaddr_storage addr;
};

/* Work for a request that may be too long for one turn of the loop. .step does a piece of it, at
 * least something and then until mu_server_turn_over(), and returns whether there is more; it may
 * free the slice when it returns false. */
struct mu_slice {
    struct mu_list link;
    bool begun; /* takes turns */
    bool light; /* holds nothing much: takes turns at once */
    bool (*step)(struct mu_slice *slice);
};

struct mu_http {
    struct mu_http_config config;
    struct MHD_Daemon *mhd;
    struct mu_feed *feed;
    uv_poll_t epoll;
    uv_timer_t timeout, house;
    uv_idle_t idle;
    struct mu_list listeners, peers, reqs;
    struct mu_list slices, later; /* that take turns, and that wait to */
    uint32_t npeers, nevicted, nslices;
    size_t charged;    /* bytes of answers that are on their way out */
    mu_time turn_ends; /* when slices have had their share of this turn of the loop */
    bool resumed;      /* a connection, which microhttpd must be run for */
    bool closing;
    unsigned handles; /* of the loop, still open */
    mu_time close_by;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

/* The request has its answer: a suspended connection goes on. */
void mu_server_answered(struct mu_req *req);

/* Slices take turns, and have all together about a millisecond of one turn of the loop, so that
 * sockets are read in between however many ask. A few of them are at work at a time, since each
 * holds half an answer; the others wait for theirs, but for light ones. @slice may be done when
 * this returns. */
void mu_server_slice(struct mu_http *http, struct mu_slice *slice);
bool mu_server_turn_over(const struct mu_http *http);
/* It will not be called again. */
void mu_server_unslice(struct mu_http *http, struct mu_slice *slice);

/* The address at our end of the request's connection, without port; "" = a Unix socket. */
void mu_server_local_address(const struct mu_req *req, char *out, size_t size);

/* listen.c: accepting. */
bool mu_listen_is_local(const struct sockaddr *sa); /* loopback or Unix */
void mu_listen_close_all(struct mu_http *http);     /* takes no more; each closes its handle */
void mu_listen_retry(struct mu_http *http);         /* after descriptors had run out */

/* Shuts down the connection that has been taking its answer for longest, other than that of @but.
 * Returns whether there was one. */
bool mu_listen_evict_taker(struct mu_http *http, const struct mu_req *but);

/* A handle of the loop is closed: the last one ends a close. */
void mu_server_handle_closed(struct mu_http *http);
void mu_server_resume(struct mu_http *http, struct MHD_Connection *mhd);
void mu_server_pump(struct mu_http *http); /* lets microhttpd do what it can */

#endif
