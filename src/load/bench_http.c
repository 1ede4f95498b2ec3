#include "load/bench_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/addr.h"

#define PATIENCE_S 30
#define ANSWER_MAX ((size_t)64 << 20)

void mu_bench_http_init(struct mu_bench_http *http, const struct sockaddr *sa, socklen_t len)
{
    *http = (struct mu_bench_http){.sa = sa, .len = len, .fd = -1};
    mu_buf_init(&http->in, ANSWER_MAX);
}

static void hang_up(struct mu_bench_http *http)
{
    if (http->fd >= 0)
        close(http->fd);
    http->fd = -1;
}

void mu_bench_http_fini(struct mu_bench_http *http)
{
    hang_up(http);
    mu_buf_fini(&http->in);
}

static int dial(struct mu_bench_http *http, struct mu_err *err)
{
    struct timeval patience = {.tv_sec = PATIENCE_S};
    char text[128];
    int why;

    if (http->fd >= 0)
        return 0;
    http->fd = socket(http->sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (http->fd < 0)
        return mu_err_set(err, MU_EIO, "no socket: %s", strerror(errno));
    setsockopt(http->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(http->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(http->fd, http->sa, http->len) == 0)
        return 0;
    why = errno;
    hang_up(http);
    return mu_err_set(err, MU_EAGAIN,
                      "the conductor's API does not answer at %s: %s; --http says where it is",
                      mu_addr_text_of(http->sa, http->len, text, sizeof(text)), strerror(why));
}

/* Reads more. Returns 0 or MU_EAGAIN. */
static int more(struct mu_bench_http *http)
{
    uint8_t chunk[65536];
    ssize_t n = recv(http->fd, chunk, sizeof(chunk), 0);

    if (n <= 0)
        return MU_EAGAIN;
    mu_buf_put(&http->in, chunk, (size_t)n);
    return http->in.failed;
}

/* The length of the body that the head announces; -1 = it does not. */
static long long announced(const char *head)
{
    static const char name[] = "content-length:";

    for (const char *line = strstr(head, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, sizeof(name) - 1) == 0)
            return strtoll(line + 2 + sizeof(name) - 1, NULL, 10);
    return -1;
}

static int read_answer(struct mu_bench_http *http, struct mu_err *err)
{
    const char *text, *end;
    long long length;
    int status = 0, rv;

    mu_buf_reset(&http->in);
    do {
        rv = more(http);
        text = mu_buf_text(&http->in);
        end = strstr(text, "\r\n\r\n");
    } while (rv == 0 && !end);
    if (rv)
        return mu_err_set(err, rv, "the conductor's API broke off");
    http->head = (size_t)(end + 4 - text);
    *(char *)(end + 2) = '\0'; /* announced() looks no further */
    length = announced(text);
    if (sscanf(text, "HTTP/1.1 %d", &status) != 1 || status != 200 || length < 0)
        return mu_err_set(err, MU_EPROTO, "the conductor's API answered %.*s",
                          (int)strcspn(text, "\r\n"), text);
    while (http->in.len < http->head + (size_t)length)
        if ((rv = more(http)) != 0)
            return mu_err_set(err, rv, "the conductor's API broke off");
    return 0;
}

int mu_bench_http_get(struct mu_bench_http *http, const char *path, const char **body,
                      struct mu_err *err)
{
    char request[1024];
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    int rv = dial(http, err);

    if (rv)
        return rv;
    if (send(http->fd, request, (size_t)n, MSG_NOSIGNAL) != n)
        rv = mu_err_set(err, MU_EAGAIN, "the conductor's API takes no request");
    else
        rv = read_answer(http, err);
    if (rv) {
        hang_up(http);
        return rv;
    }
    *body = mu_buf_text(&http->in) + http->head;
    return 0;
}

double mu_bench_metric(const char *metrics, const char *name)
{
    size_t n = strlen(name);

    for (const char *line = metrics; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ' ')
            return strtod(line + n, NULL);
    }
    return 0;
}
