/* A dial ends in dialled(0), when the socket becomes writable without an error, or in dialled(rv):
 * refused at once, refused later, or no answer within CONNECT_WAIT. A stream ends in hungup():
 * closed or reset by the conductor, or so much unread by it that OUT_MAX is waiting. Datagrams are
 * best effort: an error of theirs is what the session's missing ack tells anyway. */
#include "lib/link.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "wire/msg.h"

#define CONNECT_WAIT    (5 * MU_SEC)
#define UNACKED_MAX_MS  60000 /* so long without an ack of its kernel, and the peer is gone */
#define OUT_MAX         (1024 * 1024)
#define DATAGRAMS_ASTEP 64

enum { NONE = -1 };

struct mu_link {
    struct mu_link_events events;
    int epoll, wake, tcp, udp;
    bool connecting;
    bool broken; /* tell of it in the next step */
    bool astray;
    mu_time give_up;     /* of connecting */
    struct mu_buf out;   /* what the stream did not take yet */
    size_t turn, failed; /* of the addresses: whose turn, how many in vain */
    size_t udp_to;       /* which address the datagram socket is connected to */
    struct mu_peers peers;
};

static void watch(struct mu_link *l, int fd, uint32_t what, int op)
{
    struct epoll_event ev = {.events = what, .data.fd = fd};

    epoll_ctl(l->epoll, op, fd, &ev);
}

static void shut(int *fd)
{
    if (*fd != NONE)
        close(*fd);
    *fd = NONE;
}

int mu_link_open(struct mu_link **out, const struct mu_link_events *events)
{
    struct mu_link *l = mu_alloc(sizeof(*l));

    if (!l)
        return MU_ENOMEM;
    l->events = *events;
    l->tcp = l->udp = NONE;
    mu_buf_init(&l->out, OUT_MAX);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epoll < 0 || l->wake < 0) {
        mu_link_close(l);
        return MU_EIO;
    }
    watch(l, l->wake, EPOLLIN, EPOLL_CTL_ADD);
    *out = l;
    return 0;
}

void mu_link_abandon(struct mu_link *l)
{
    shut(&l->tcp);
    shut(&l->udp);
    shut(&l->wake);
    shut(&l->epoll);
}

void mu_link_close(struct mu_link *l)
{
    if (!l)
        return;
    mu_link_abandon(l);
    mu_buf_fini(&l->out);
    mu_free(l);
}

void mu_link_peers(struct mu_link *l, const struct mu_peers *peers)
{
    l->peers = *peers;
    l->turn = l->failed = 0;
    l->astray = false;
    shut(&l->udp);
}

bool mu_link_astray(struct mu_link *l)
{
    bool astray = l->astray;

    l->astray = false;
    return astray;
}

int mu_link_fd(const struct mu_link *l)
{
    return l->epoll;
}

void mu_link_wake(struct mu_link *l)
{
    const uint64_t one = 1;
    ssize_t ignored = write(l->wake, &one, sizeof(one)); /* full is awake too */

    (void)ignored;
}

/* ---- the stream ---- */

static void end_stream(struct mu_link *l)
{
    shut(&l->tcp);
    l->connecting = l->broken = false;
    mu_buf_fini(&l->out);
    mu_buf_init(&l->out, OUT_MAX);
}

/* Something failed within a call from above, which must not be called back: the next step tells. */
static void mark_broken(struct mu_link *l)
{
    l->broken = true;
    mu_link_wake(l);
}

void mu_link_dial(struct mu_link *l, mu_time now)
{
    const struct mu_peer *peer = &l->peers.at[l->turn];
    const int on = 1, unacked = UNACKED_MAX_MS;

    end_stream(l);
    l->connecting = true;
    l->give_up = now + CONNECT_WAIT;
    if (l->peers.n == 0) {
        mark_broken(l);
        return;
    }
    l->tcp = socket(peer->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->tcp < 0) {
        mark_broken(l);
        return;
    }
    if (peer->sa.ss_family != AF_UNIX) {
        setsockopt(l->tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(l->tcp, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
    }
    if (connect(l->tcp, (const struct sockaddr *)&peer->sa, peer->len) && errno != EINPROGRESS) {
        mark_broken(l);
        return;
    }
    watch(l, l->tcp, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

void mu_link_hangup(struct mu_link *l)
{
    end_stream(l);
}

/* Gives the socket what it takes of @n bytes. Returns how many, or -1 for a broken stream. */
static ssize_t give(struct mu_link *l, const uint8_t *data, size_t n)
{
    ssize_t sent = send(l->tcp, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return sent;
}

void mu_link_stream(struct mu_link *l, const uint8_t *data, size_t n)
{
    ssize_t sent = 0;

    if (l->tcp == NONE || l->connecting || l->broken)
        return;
    if (l->out.len == 0)
        sent = give(l, data, n);
    if (sent >= 0 && (size_t)sent < n) {
        mu_buf_put(&l->out, data + sent, n - (size_t)sent);
        watch(l, l->tcp, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    if (sent < 0 || l->out.failed)
        mark_broken(l);
}

static void flush(struct mu_link *l)
{
    ssize_t sent = give(l, l->out.data, l->out.len);

    if (sent < 0) {
        mark_broken(l);
        return;
    }
    mu_buf_drop(&l->out, (size_t)sent);
    if (l->out.len == 0)
        watch(l, l->tcp, EPOLLIN, EPOLL_CTL_MOD);
}

static void dial_failed(struct mu_link *l, mu_time now)
{
    end_stream(l);
    l->failed++;
    l->turn = l->peers.n ? (l->turn + 1) % l->peers.n : 0;
    if (l->failed >= l->peers.n) {
        l->astray = true;
        l->failed = 0;
    }
    l->events.dialled(l->events.ctx, MU_EAGAIN, now);
}

static void finish_dial(struct mu_link *l, mu_time now)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(l->tcp, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
        dial_failed(l, now);
        return;
    }
    l->connecting = false;
    l->failed = 0;
    watch(l, l->tcp, EPOLLIN, EPOLL_CTL_MOD);
    l->events.dialled(l->events.ctx, 0, now);
}

static void hung_up(struct mu_link *l, mu_time now)
{
    end_stream(l);
    l->events.hungup(l->events.ctx, now);
}

/* Once a step: what more there is makes the descriptor readable again. */
static void read_stream(struct mu_link *l, mu_time now)
{
    uint8_t data[16384];
    ssize_t n = recv(l->tcp, data, sizeof(data), MSG_DONTWAIT);

    if (n > 0)
        l->events.stream(l->events.ctx, data, (size_t)n, now);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        hung_up(l, now);
}

static void on_stream(struct mu_link *l, uint32_t what, mu_time now)
{
    if (l->connecting) {
        if (what & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            finish_dial(l, now);
        return;
    }
    if (what & EPOLLOUT)
        flush(l);
    if (what & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_stream(l, now);
}

/* ---- datagrams ---- */

/* A socket for the address whose turn it is. Connected, so that nobody else's datagrams come in. */
static bool udp_ready(struct mu_link *l)
{
    const struct mu_peer *peer = &l->peers.at[l->turn];

    if (l->udp != NONE && l->udp_to == l->turn)
        return true;
    shut(&l->udp);
    if (l->peers.n == 0 || peer->sa.ss_family == AF_UNIX)
        return false;
    l->udp = socket(peer->sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->udp < 0)
        return false;
    if (connect(l->udp, (const struct sockaddr *)&peer->sa, peer->len)) {
        shut(&l->udp); /* no route, for now */
        return false;
    }
    l->udp_to = l->turn;
    watch(l, l->udp, EPOLLIN, EPOLL_CTL_ADD);
    return true;
}

void mu_link_datagram(struct mu_link *l, const uint8_t *data, size_t n)
{
    if (!udp_ready(l))
        return;
    /* The first may be told that the one before was refused. */
    for (int tries = 0; tries < 2; tries++)
        if (send(l->udp, data, n, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0 || errno != ECONNREFUSED)
            return;
}

static void read_datagrams(struct mu_link *l, mu_time now)
{
    uint8_t data[MU_DATAGRAM_MAX];

    for (int i = 0; i < DATAGRAMS_ASTEP && l->udp != NONE; i++) {
        ssize_t n = recv(l->udp, data, sizeof(data), MSG_DONTWAIT);
        if (n > 0)
            l->events.datagram(l->events.ctx, data, (size_t)n, now);
        else if (n < 0 && errno == EAGAIN)
            return;
    }
}

/* ---- steps ---- */

mu_time mu_link_due(const struct mu_link *l)
{
    if (l->broken)
        return 0;
    return l->connecting ? l->give_up : MU_NEVER;
}

void mu_link_step(struct mu_link *l, mu_time now)
{
    struct epoll_event ready[4];
    uint64_t ignored;
    int n = epoll_wait(l->epoll, ready, 4, 0);

    for (int i = 0; i < n; i++) {
        int fd = ready[i].data.fd;
        if (fd == l->wake)
            (void)!read(l->wake, &ignored, sizeof(ignored));
        else if (fd == l->udp)
            read_datagrams(l, now);
        else if (fd == l->tcp && !l->broken)
            on_stream(l, ready[i].events, now);
    }
    if (l->connecting && (l->broken || now >= l->give_up))
        dial_failed(l, now);
    else if (l->broken)
        hung_up(l, now);
}
