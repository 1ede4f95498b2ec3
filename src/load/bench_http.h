/* bench_http.h - GETs to the conductor's API over a connection that is kept: for latencies, and for
 * what the conductor counts. Blocks. Private to load/bench*. */
#ifndef MU_LOAD_BENCH_HTTP_H
#define MU_LOAD_BENCH_HTTP_H

#include <sys/socket.h>

#include "base/buf.h"

struct mu_bench_http {
    const struct sockaddr *sa; /* borrowed */
    socklen_t len;
    int fd; /* -1 = none: the next GET connects */
    struct mu_buf in;
    size_t head; /* bytes of .in before the last answer's body */
};

void mu_bench_http_init(struct mu_bench_http *http, const struct sockaddr *sa, socklen_t len);
void mu_bench_http_fini(struct mu_bench_http *http);

/* Gets @path within 30 s; *@body is its NUL-terminated text, borrowed until the next call. Returns
 * 0; MU_EAGAIN when nobody answers; MU_EPROTO for an answer other than 200 with a length. */
int mu_bench_http_get(struct mu_bench_http *http, const char *path, const char **body,
                      struct mu_err *err);

/* The value of metric @name in the text of /metrics; 0 when there is none. */
double mu_bench_metric(const char *metrics, const char *name);

#endif
