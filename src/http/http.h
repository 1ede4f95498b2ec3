/* http.h - the HTTP API, /metrics and health, on the loop's own thread.
 *
 * The daemon builds it from what it shows, then gives it listeners. docs/api.md tells what it
 * answers. */
#ifndef MU_HTTP_HTTP_H
#define MU_HTTP_HTTP_H

#include "base/addr.h"
#include "conductor/conductor.h"
#include "outlet/metrics.h"
#include "outlet/watch.h"
#include "store/store.h"

struct mu_http;
struct uv_loop_s;

/* One line of /readyz: @name in snake_case, @text says why not, or "ok". */
typedef void (*mu_check_fn)(void *ctx, const char *name, bool ok, const char *text);

struct mu_http_config {
    struct uv_loop_s *loop;
    struct mu_conductor *conductor;
    struct mu_store *store;     /* events and payloads are read from it */
    struct mu_watch *watch;     /* the newest events; http becomes its listener */
    struct mu_metrics *metrics; /* what /metrics prints */
    struct mu_journal *journal; /* its health; NULL = none */
    const char *version;        /* of the program */
    mu_wall started;            /* when this conductor began */
    uint32_t epoch;

    /* Calls @each for every check; the conductor is ready when all are ok. */
    void (*checks)(void *ctx, mu_check_fn each, void *each_ctx);
    void *checks_ctx;

    const char *hosts; /* names a Host header may have besides ours, comma-separated; NULL = none */
    uint32_t max_conns;    /* default 1024; the oldest that asks nothing makes room for a new one */
    uint32_t max_per_ip;   /* default 256; none for loopback and Unix sockets */
    uint32_t max_watchers; /* long polls and SSE streams at once; default a quarter of max_conns */
    mu_dur idle;           /* a connection without a request is closed after it; default 30 s */
};

/* All pointers of @config are borrowed until the close is done. Zeros get their defaults. */
int mu_http_new(struct mu_http **out, const struct mu_http_config *config, struct mu_err *err);

/* Listens: TCP (numeric, "localhost"; port 0 = any) or a Unix path, whose stale socket is replaced
 * and whose file goes at the close. May be called again for further ones. */
int mu_http_listen(struct mu_http *http, const struct mu_addr *addr, struct mu_err *err);

/* The same with a bound and listening socket, which becomes ours on success. */
int mu_http_adopt(struct mu_http *http, int fd, struct mu_err *err);

int mu_http_port(const struct mu_http *http); /* of the first TCP listener; -1 = none */

/* No new connections; what waits is answered with 503 and streams end; then all is freed and
 * @closed runs, at most about a second later. */
void mu_http_close(struct mu_http *http, void (*closed)(void *ctx), void *ctx);

#endif
