/* connect -> poll says writable -> dialled() -> data() ... hungup(). An error of sending is left to
 * reading, which finds what still came. */
#include "transport/dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#include <uv.h>

#include "base/buf.h"
#include "base/mem.h"

#define QUEUE_MAX ((size_t)1 << 20)

struct mu_dial {
    uv_poll_t poll;
    struct mu_dial_ports ports;
    struct mu_buf out;
    int fd;
    bool up; /* dialled(0) was told */
    bool held;
    bool closed; /* by the owner */
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct mu_dial *dial)
{
    int events = dial->up ? UV_READABLE | (dial->out.len ? UV_WRITABLE : 0) : UV_WRITABLE;

    if (dial->closed)
        return;
    if (dial->held)
        uv_poll_stop(&dial->poll);
    else
        uv_poll_start(&dial->poll, events, on_poll);
}

static void flush(struct mu_dial *dial)
{
    while (dial->out.len > 0) {
        ssize_t n = send(dial->fd, dial->out.data, dial->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        mu_buf_drop(&dial->out, n < 0 ? dial->out.len : (size_t)n);
    }
    mu_buf_fini(&dial->out);
    mu_buf_init(&dial->out, QUEUE_MAX);
}

/* Reads once, or to the end when the peer is gone. */
static void read_some(struct mu_dial *dial, bool to_end)
{
    uint8_t bytes[16 * 1024];

    do {
        ssize_t n = recv(dial->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && !to_end)
            return;
        if (n <= 0) {
            uv_poll_stop(&dial->poll);
            dial->ports.hungup(dial->ports.ctx);
            return;
        }
        dial->ports.data(dial->ports.ctx, bytes, (size_t)n);
    } while (to_end && !dial->closed);
}

static void connected(struct mu_dial *dial)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
        uv_poll_stop(&dial->poll);
        dial->ports.dialled(dial->ports.ctx, MU_EAGAIN);
        return;
    }
    dial->up = true;
    dial->ports.dialled(dial->ports.ctx, 0);
    watch(dial);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct mu_dial *dial = poll->data;

    if (!dial->up) {
        connected(dial);
        return;
    }
    if (dial->out.failed) { /* it did not read for too long */
        uv_poll_stop(poll);
        dial->ports.hungup(dial->ports.ctx);
        return;
    }
    if (events & UV_WRITABLE) {
        flush(dial);
        watch(dial);
    }
    if (status < 0 || (events & UV_READABLE))
        read_some(dial, status < 0);
}

/* Nobody waits for minutes to learn that a machine is gone: 7 s for a call, 30 s for an answer. */
static void set_options(int fd, sa_family_t family)
{
    int one = 1, syns = 2, unanswered_ms = 30000;

    if (family == AF_UNIX)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_SYNCNT, &syns, sizeof(syns));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof(unanswered_ms));
}

int mu_dial_open(struct mu_dial **out, struct uv_loop_s *loop, const struct sockaddr *sa,
                 socklen_t len, const struct mu_dial_ports *ports)
{
    struct mu_dial *dial = mu_alloc(sizeof(*dial));
    int rv = MU_EFULL;

    if (!dial)
        return MU_ENOMEM;
    dial->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (dial->fd < 0)
        goto no_socket;
    set_options(dial->fd, sa->sa_family);
    rv = MU_EAGAIN;
    if (connect(dial->fd, sa, len) && errno != EINPROGRESS)
        goto no_peer;
    rv = MU_EFULL;
    if (uv_poll_init(loop, &dial->poll, dial->fd))
        goto no_peer;
    dial->ports = *ports;
    dial->poll.data = dial;
    mu_buf_init(&dial->out, QUEUE_MAX);
    watch(dial);
    *out = dial;
    return 0;

no_peer:
    close(dial->fd);
no_socket:
    mu_free(dial);
    return rv;
}

void mu_dial_send(struct mu_dial *dial, const uint8_t *data, size_t n)
{
    if (dial->out.len == 0 && !dial->held) {
        ssize_t sent = send(dial->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return;
        data += sent > 0 ? sent : 0;
        n -= sent > 0 ? (size_t)sent : 0;
    }
    if (n == 0)
        return;
    mu_buf_put(&dial->out, data, n);
    if (dial->out.failed)
        (void)shutdown(dial->fd, SHUT_RDWR); /* which the poll sees, and tells */
    watch(dial);
}

void mu_dial_hold(struct mu_dial *dial, bool held)
{
    dial->held = held;
    watch(dial);
}

static void on_gone(uv_handle_t *handle)
{
    struct mu_dial *dial = handle->data;

    mu_buf_fini(&dial->out);
    mu_free(dial);
}

void mu_dial_close(struct mu_dial *dial)
{
    if (!dial || dial->closed)
        return;
    dial->closed = true;
    uv_poll_stop(&dial->poll);
    close(dial->fd);
    uv_close((uv_handle_t *)&dial->poll, on_gone);
}
