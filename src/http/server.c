/* Happy path: microhttpd calls on_uri, then on_request with the headers, with each piece of the
 * body and at its end; the answer is queued at once, or the connection is suspended, resumed by
 * mu_server_answered(), and on_request is called once more; on_completed ends it.
 * Ways to fail: a request that is refused by its headers is answered before its body is read, which
 * closes the connection; a client that goes away while it waits is found by on_house, since
 * microhttpd does not look at suspended connections; out of memory closes the connection. */
#include "http/server.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stat.h"
#include "http/api.h"
#include "http/feed.h"

#define HEADERS_MAX   (32 * 1024)
#define DISCARD_MAX   (4 * MU_BODY_MAX) /* of a body that is refused anyway */
#define STREAM_BLOCK  (16 * 1024)
#define CLOSING_SLACK 256 /* connections shut down that microhttpd has not noticed yet */
#define ANSWERS_MAX   ((size_t)64 << 20)
#define CLOSE_WITHIN  MU_SEC
#define TURN          MU_MS /* of a turn of the loop, for all slices together */
#define SLICES_MAX    16    /* at work at a time */

/* ---- answers ---- */

static struct MHD_Response *response_of(struct mu_req *req)
{
    struct MHD_Response *response;

    if (req->stream) {
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, mu_stream_read,
                                                     req->stream, mu_stream_free);
        if (response)
            req->stream = NULL;
        return response;
    }
    response =
        MHD_create_response_from_buffer_with_free_callback(req->out.len, req->out.data, mu_free);
    if (response)
        req->out.data = NULL, req->out.len = req->out.cap = 0;
    return response;
}

static int add_header(struct MHD_Response *response, const char *name, const char *value)
{
    return !value || !*value || MHD_add_response_header(response, name, value) == MHD_YES;
}

static int add_headers(struct MHD_Response *response, struct mu_req *req)
{
    return add_header(response, "Content-Type", req->status == 204 ? "" : req->type) &&
           add_header(response, "Cache-Control", "no-store") &&
           add_header(response, "X-Content-Type-Options", "nosniff") &&
           add_header(response, "ETag", req->etag) && add_header(response, "Allow", req->allow) &&
           add_header(response, "Retry-After", req->retry_after) &&
           add_header(response, "Link", mu_buf_text(&req->link_header)) &&
           add_header(response, "Location", mu_buf_text(&req->location));
}

/* Clients that don't read hold memory: beyond the bound the oldest of them lose their connection.
 */
static void charge(struct mu_req *req, size_t n)
{
    struct mu_http *http = req->http;

    req->charged = n;
    http->charged += n;
    while (http->charged > ANSWERS_MAX && mu_listen_evict_taker(http, req))
        ;
}

static enum MHD_Result queue(struct mu_req *req)
{
    size_t n = req->stream ? 0 : req->out.len;
    struct MHD_Response *response = response_of(req);
    enum MHD_Result rv = MHD_NO;

    if (!response)
        return MHD_NO;
    if (add_headers(response, req))
        rv = MHD_queue_response(req->mhd, req->status, response);
    MHD_destroy_response(response);
    req->state = MU_REQ_QUEUED;
    charge(req, n);
    return rv;
}

void mu_server_answered(struct mu_req *req)
{
    if (req->peer)
        req->peer->waits = req->stream != NULL;
    if (!req->suspended)
        return;
    req->suspended = false;
    mu_server_resume(req->http, req->mhd);
}

/* ---- requests ---- */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct mu_http *http = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct mu_peer *peer = info ? info->socket_context : NULL;
    struct mu_req *req = peer ? mu_req_new(http, uri) : NULL;

    if (!req)
        return NULL;
    req->peer = peer;
    peer->req = req;
    mu_list_append(&http->reqs, &req->link);
    return req;
}

static void collect(struct mu_req *req, const char *data, size_t n)
{
    req->body_seen += n;
    if (req->body_seen <= MU_BODY_MAX)
        mu_buf_put(&req->body, data, n);
}

static enum MHD_Result go_on(struct mu_req *req)
{
    if (req->state == MU_REQ_ANSWERED)
        return queue(req);
    if (req->state == MU_REQ_WAITING) {
        req->peer->waits = true;
        req->suspended = true;
        MHD_suspend_connection(req->mhd);
    }
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **con_cls)
{
    struct mu_req *req = *con_cls;

    if (!req || req->dropped)
        return MHD_NO;
    if (!req->mhd) {
        req->mhd = mhd;
        mu_list_remove(&req->peer->link); /* it asks: now it is the youngest */
        mu_list_append(&req->http->peers, &req->peer->link);
        mu_stat_add(MU_STAT_HTTP_REQUESTS, 1);
        mu_api_admit(req, method, version);
        return go_on(req);
    }
    if (*size) {
        collect(req, data, *size);
        *size = 0;
        return req->body_seen > DISCARD_MAX ? MHD_NO : MHD_YES;
    }
    if (req->state == MU_REQ_READING)
        mu_api_handle(req);
    return go_on(req);
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                         enum MHD_RequestTerminationCode code)
{
    struct mu_req *req = *con_cls;

    if (!req)
        return;
    *con_cls = NULL;
    if (req->state == MU_REQ_WAITING && req->gone)
        req->gone(req);
    if (req->stream)
        mu_stream_free(req->stream);
    req->http->charged -= req->charged;
    req->peer->req = NULL;
    req->peer->waits = false;
    mu_req_free(req);
}

/* ---- connections ---- */

static void peer_opened(struct mu_http *http, struct MHD_Connection *mhd, void **context)
{
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct mu_peer *peer = mu_alloc(sizeof(*peer));
    socklen_t len = sizeof(peer->addr);

    if (!peer) {
        shutdown(fd->connect_fd, SHUT_RDWR);
        return;
    }
    peer->fd = fd->connect_fd;
    if (getpeername(peer->fd, (struct sockaddr *)&peer->addr, &len))
        peer->addr.ss_family = AF_UNSPEC; /* gone already */
    peer->is_unix = peer->addr.ss_family == AF_UNIX;
    peer->local = mu_listen_is_local((const struct sockaddr *)&peer->addr);
    mu_list_append(&http->peers, &peer->link);
    http->npeers++;
    *context = peer;
}

static void peer_closed(struct mu_http *http, void **context)
{
    struct mu_peer *peer = *context;

    if (!peer)
        return;
    http->npeers--;
    http->nevicted -= peer->evicted;
    mu_list_remove(&peer->link);
    mu_free(peer);
    *context = NULL;
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct mu_http *http = cls;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        peer_opened(http, mhd, context);
    else
        peer_closed(http, context);
    mu_stat_set(MU_STAT_HTTP_CONNS, http->npeers);
}

void mu_server_local_address(const struct mu_req *req, char *out, size_t size)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    const void *addr = &((struct sockaddr_in *)&sa)->sin_addr;

    *out = '\0';
    if (req->peer->is_unix || getsockname(req->peer->fd, (struct sockaddr *)&sa, &len))
        return;
    if (sa.ss_family == AF_INET6)
        addr = &((struct sockaddr_in6 *)&sa)->sin6_addr;
    if (!inet_ntop(sa.ss_family, addr, out, (socklen_t)size))
        *out = '\0';
}

/* ---- the loop ---- */

static void on_timeout(uv_timer_t *timer)
{
    mu_server_pump(timer->data);
}

static void on_epoll(uv_poll_t *poll, int status, int events)
{
    mu_server_pump(poll->data);
}

void mu_server_resume(struct mu_http *http, struct MHD_Connection *mhd)
{
    MHD_resume_connection(mhd);
    http->resumed = true; /* its descriptor does not tell us */
    uv_timer_start(&http->timeout, on_timeout, 0, 0);
}

void mu_server_pump(struct mu_http *http)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (!http->mhd)
        return;
    http->resumed = false;
    http->turn_ends = mu_clock_now() + TURN;
    MHD_run(http->mhd);
    if (http->resumed)
        uv_timer_start(&http->timeout, on_timeout, 0, 0);
    else if (MHD_get_timeout(http->mhd, &ms) == MHD_YES)
        uv_timer_start(&http->timeout, on_timeout, ms, 0);
    else
        uv_timer_stop(&http->timeout);
}

bool mu_server_turn_over(const struct mu_http *http)
{
    return mu_clock_now() >= http->turn_ends;
}

static void begin(struct mu_http *http, struct mu_slice *slice)
{
    mu_list_append(&http->slices, &slice->link);
    slice->begun = true;
    http->nslices++;
}

/* Takes the next slice and does a piece of it. Meanwhile it is in no list. */
static void do_piece(struct mu_http *http)
{
    struct mu_slice *slice;

    while (http->nslices < SLICES_MAX && !mu_list_empty(&http->later)) {
        slice = MU_CONTAINER_OF(http->later.next, struct mu_slice, link);
        mu_list_remove(&slice->link);
        begin(http, slice);
    }
    slice = MU_CONTAINER_OF(http->slices.next, struct mu_slice, link);
    mu_server_unslice(http, slice);
    if (slice->step(slice))
        begin(http, slice);
}

static bool slices_wait(const struct mu_http *http)
{
    return !mu_list_empty(&http->slices) || !mu_list_empty(&http->later);
}

/* Once a turn while slices wait: the loop does not sleep, but looks at its sockets. */
static void on_idle(uv_idle_t *idle)
{
    struct mu_http *http = idle->data;

    http->turn_ends = mu_clock_now() + TURN;
    while (slices_wait(http) && !mu_server_turn_over(http))
        do_piece(http);
    if (!slices_wait(http))
        uv_idle_stop(idle);
}

void mu_server_slice(struct mu_http *http, struct mu_slice *slice)
{
    bool first = !slices_wait(http);

    slice->begun = false;
    if (slice->light)
        begin(http, slice);
    else
        mu_list_append(&http->later, &slice->link);
    if (first && !mu_server_turn_over(http)) /* most are done before a turn is over */
        do_piece(http);
    if (slices_wait(http))
        uv_idle_start(&http->idle, on_idle);
}

void mu_server_unslice(struct mu_http *http, struct mu_slice *slice)
{
    mu_list_remove(&slice->link);
    http->nslices -= slice->begun;
    slice->begun = false;
}

/* Watchers whose client has closed his end. Others wait for at most seconds, and a client that
 * shuts down only his sending side shall have his answer. */
static void drop_gone(struct mu_http *http)
{
    struct mu_list *next;

    for (struct mu_list *at = http->reqs.next; at != &http->reqs; at = next) {
        struct mu_req *req = MU_CONTAINER_OF(at, struct mu_req, link);
        char byte;

        next = at->next;
        if (!req->suspended || !req->watches)
            continue;
        if (recv(req->peer->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
            continue;
        req->dropped = true;
        req->suspended = false;
        mu_server_resume(http, req->mhd);
    }
}

static void stop(struct mu_http *http);

static void on_house(uv_timer_t *timer)
{
    struct mu_http *http = timer->data;
    mu_time now = mu_clock_now();

    if (http->closing) {
        bool busy = false;

        for (struct mu_list *at = http->peers.next; at != &http->peers; at = at->next)
            busy |= MU_CONTAINER_OF(at, struct mu_peer, link)->req != NULL;
        if (!busy || now >= http->close_by)
            stop(http);
        return;
    }
    mu_listen_retry(http);
    drop_gone(http);
    mu_feed_tick(http->feed, now);
}

/* ---- begin and end ---- */

static size_t keep_raw(void *cls, struct MHD_Connection *mhd, char *text)
{
    return strlen(text); /* url.c decodes, part by part */
}

__attribute__((format(printf, 2, 0))) static void on_log(void *cls, const char *fmt, va_list args)
{
    char text[256];

    if (!mu_log_on(MU_LOG_DEBUG))
        return;
    vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    mu_debug("http", "microhttpd says", MU_KVS("text", text));
}

static int start_mhd(struct mu_http *http, struct mu_err *err)
{
    const struct mu_http_config *config = &http->config;

    http->mhd = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_log, http,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, http, MHD_OPTION_UNESCAPE_CALLBACK, keep_raw, http,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, http, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)config->max_conns + CLOSING_SLACK, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)((config->idle + MU_SEC - 1) / MU_SEC), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEADERS_MAX, MHD_OPTION_END);
    return http->mhd ? 0 : mu_err_set(err, MU_EIO, "libmicrohttpd does not start");
}

static int start_loop(struct mu_http *http, struct mu_err *err)
{
    struct uv_loop_s *loop = http->config.loop;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD);
    int rv = info ? uv_poll_init(loop, &http->epoll, info->epoll_fd) : UV_EINVAL;

    if (rv)
        return mu_err_set(err, MU_EIO, "cannot poll libmicrohttpd: %s", uv_strerror(rv));
    uv_timer_init(loop, &http->timeout); /* these three cannot fail */
    uv_timer_init(loop, &http->house);
    uv_idle_init(loop, &http->idle);
    http->epoll.data = http->timeout.data = http->house.data = http->idle.data = http;
    http->handles += 4;
    uv_poll_start(&http->epoll, UV_READABLE, on_epoll);
    uv_timer_start(&http->house, on_house, 1000, 1000);
    mu_feed_start(http->feed);
    return 0;
}

static void set_defaults(struct mu_http_config *config)
{
    if (!config->max_conns)
        config->max_conns = 1024;
    if (!config->max_per_ip)
        config->max_per_ip = 256;
    if (!config->max_watchers)
        config->max_watchers = (config->max_conns + 3) / 4;
    if (!config->idle)
        config->idle = 30 * MU_SEC;
}

int mu_http_new(struct mu_http **out, const struct mu_http_config *config, struct mu_err *err)
{
    struct mu_http *http = mu_alloc(sizeof(*http));
    int rv;

    if (!http)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    http->config = *config;
    set_defaults(&http->config);
    mu_list_init(&http->listeners);
    mu_list_init(&http->peers);
    mu_list_init(&http->reqs);
    mu_list_init(&http->slices);
    mu_list_init(&http->later);
    rv = start_mhd(http, err);
    if (rv)
        goto fail;
    rv = mu_feed_new(&http->feed, http);
    if (rv)
        goto fail;
    rv = start_loop(http, err);
    if (rv)
        goto fail;
    *out = http;
    return 0;

fail:
    if (http->mhd)
        MHD_stop_daemon(http->mhd);
    mu_feed_free(http->feed);
    mu_free(http);
    return mu_err_wrap(err, rv, "HTTP");
}

void mu_server_handle_closed(struct mu_http *http)
{
    void (*closed)(void *ctx) = http->closed;
    void *ctx = http->closed_ctx;

    if (--http->handles)
        return;
    mu_feed_free(http->feed);
    mu_free(http);
    closed(ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
    mu_server_handle_closed(handle->data);
}

static void stop(struct mu_http *http)
{
    struct MHD_Daemon *mhd = http->mhd;

    uv_poll_stop(&http->epoll);
    http->mhd = NULL;
    MHD_stop_daemon(mhd); /* completes what is left: our callbacks run */
    uv_close((uv_handle_t *)&http->epoll, on_handle_closed);
    uv_close((uv_handle_t *)&http->timeout, on_handle_closed);
    uv_close((uv_handle_t *)&http->house, on_handle_closed);
    uv_close((uv_handle_t *)&http->idle, on_handle_closed);
    mu_feed_close_handles(http->feed);
}

void mu_http_close(struct mu_http *http, void (*closed)(void *ctx), void *ctx)
{
    struct mu_list *next;

    http->closing = true;
    http->closed = closed;
    http->closed_ctx = ctx;
    http->close_by = mu_clock_now() + CLOSE_WITHIN;
    mu_listen_close_all(http);
    for (struct mu_list *at = http->reqs.next; at != &http->reqs; at = next) {
        struct mu_req *req = MU_CONTAINER_OF(at, struct mu_req, link);

        next = at->next;
        if (req->state != MU_REQ_WAITING)
            continue;
        if (req->gone)
            req->gone(req);
        mu_req_problem(req, req->writes ? MU_UNKNOWN_OUTCOME : MU_DRAINING,
                       "the conductor is stopping%s; repeat it in a moment",
                       req->writes ? " and this write may still come true" : "");
    }
    mu_feed_close(http->feed);
    uv_timer_start(&http->house, on_house, 20, 20);
}
