/* The way of a batch: poll says readable -> recvmmsg -> the sink, one by one -> sendmmsg. A wake
 * reads at most WAKE_BATCHES of them and leaves the rest to the next turn of the loop, so that
 * timers run. Answers are best effort: what does not fit the socket's buffer is lost as any
 * datagram may be. */
#include "transport/udp.h"

#include <assert.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>
#include <uv.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "wire/msg.h"

#define BATCH        64
#define WAKE_BATCHES 8
#define IN_MAX       (MU_DATAGRAM_MAX + 1) /* one more than allowed: what is too long is seen to be */
#define CHARGE_MIN   512 /* bytes, less than the kernel charges for the smallest datagram */

union peer {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct control { /* room for either kind, aligned as the kernel wants it */
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct udp_socket {
    uv_poll_t poll;
    struct mu_udp *udp;
    struct udp_socket *prev, *next;
    int fd;
    uint32_t drops; /* the kernel's count when last asked; it wraps */
    int receive_buffer;
};

struct mu_udp {
    uv_loop_t *loop;
    const struct mu_transport_sink *sink;
    struct udp_socket *sockets;
    uint64_t drops;
    uint8_t key[16]; /* of the hash of addresses */
    unsigned handles;
    void (*closed)(void *ctx);
    void *closed_ctx;
    uv_timer_t tell; /* so that @closed never runs from within mu_udp_close() */

    struct mmsghdr in[BATCH], out[BATCH];
    struct iovec in_iov[BATCH], out_iov[BATCH];
    union peer peers[BATCH];
    struct control controls[BATCH];
    uint8_t data[BATCH][IN_MAX];
    uint8_t answers[BATCH][IN_MAX];
};

int mu_udp_new(struct mu_udp **out, struct uv_loop_s *loop, const struct mu_transport_sink *sink)
{
    struct mu_udp *udp = mu_alloc(sizeof(*udp));

    if (!udp)
        return MU_ENOMEM;
    if (mu_rng_secret(udp->key, sizeof(udp->key))) {
        mu_free(udp);
        return MU_EIO;
    }
    udp->loop = loop;
    udp->sink = sink;
    for (size_t i = 0; i < BATCH; i++) {
        udp->in_iov[i] = (struct iovec){udp->data[i], IN_MAX};
        udp->in[i].msg_hdr.msg_iov = &udp->in_iov[i];
        udp->in[i].msg_hdr.msg_iovlen = 1;
        udp->in[i].msg_hdr.msg_name = &udp->peers[i];
        udp->in[i].msg_hdr.msg_control = &udp->controls[i];
        udp->out[i].msg_hdr.msg_iov = &udp->out_iov[i];
        udp->out[i].msg_hdr.msg_iovlen = 1;
    }
    *out = udp;
    return 0;
}

void mu_udp_free(struct mu_udp *udp)
{
    if (!udp)
        return;
    assert(!udp->sockets && udp->handles == 0);
    mu_free(udp);
}

/* The control message that was received says which address was spoken to; sent along with the
 * answer, it says where to leave from. The interface is left to the routes, but for link-local
 * addresses, which mean nothing without one. */
static void answer_from(struct msghdr *out, const struct msghdr *in)
{
    struct cmsghdr *c = in->msg_controllen ? CMSG_FIRSTHDR(in) : NULL;

    out->msg_control = NULL;
    out->msg_controllen = 0;
    if (!c)
        return;
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        ((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex = 0;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo *info = (struct in6_pktinfo *)CMSG_DATA(c);
        if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
            info->ipi6_ifindex = 0;
    } else {
        return;
    }
    out->msg_control = in->msg_control;
    out->msg_controllen = in->msg_controllen;
}

static uint64_t hash_of(const struct mu_udp *udp, const union peer *peer)
{
    uint8_t bytes[18];

    if (peer->sa.sa_family == AF_INET6) {
        memcpy(bytes, &peer->v6.sin6_addr, 16);
        memcpy(bytes + 16, &peer->v6.sin6_port, 2);
        return mu_siphash64(udp->key, bytes, 18);
    }
    memcpy(bytes, &peer->v4.sin_addr, 4);
    memcpy(bytes + 4, &peer->v4.sin_port, 2);
    return mu_siphash64(udp->key, bytes, 6);
}

static void send_answers(struct mu_udp *udp, int fd, unsigned n)
{
    unsigned sent = 0;

    while (sent < n) {
        int rv = sendmmsg(fd, udp->out + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (rv > 0)
            sent += (unsigned)rv;
        else if (rv < 0 && (errno == EAGAIN || errno == ENOBUFS))
            return; /* no room: the senders ask again */
        else if (rv == 0 || errno != EINTR)
            sent++; /* no way to this one; the others still get theirs */
    }
}

/* Reads and answers one batch. Returns how many datagrams it had. */
static unsigned one_batch(struct udp_socket *s)
{
    struct mu_udp *udp = s->udp;
    unsigned answers = 0;
    mu_time now;
    int n;

    for (size_t i = 0; i < BATCH; i++) {
        udp->in[i].msg_hdr.msg_namelen = sizeof(union peer);
        udp->in[i].msg_hdr.msg_controllen = sizeof(struct control);
    }
    n = recvmmsg(s->fd, udp->in, BATCH, MSG_DONTWAIT, NULL);
    if (n <= 0)
        return 0;
    now = mu_clock_now();
    for (int i = 0; i < n; i++) {
        const struct mmsghdr *in = &udp->in[i];
        uint8_t *answer = udp->answers[answers];
        size_t len = udp->sink->datagram(udp->sink->ctx, udp->data[i], in->msg_len,
                                         hash_of(udp, &udp->peers[i]), now, answer);

        assert(len <= in->msg_len); /* no answer is longer than its question */
        if (len == 0)
            continue;
        udp->out_iov[answers] = (struct iovec){answer, len};
        udp->out[answers].msg_hdr.msg_name = in->msg_hdr.msg_name;
        udp->out[answers].msg_hdr.msg_namelen = in->msg_hdr.msg_namelen;
        answer_from(&udp->out[answers].msg_hdr, &in->msg_hdr);
        answers++;
    }
    send_answers(udp, s->fd, answers);
    return (unsigned)n;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct udp_socket *s = poll->data;

    (void)events;
    if (status < 0) { /* libuv has stopped the poll; the error is the socket's, and is read away */
        int error;
        socklen_t len = sizeof(error);
        (void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        uv_poll_start(poll, UV_READABLE, on_readable);
    }
    for (int i = 0; i < WAKE_BATCHES; i++)
        if (one_batch(s) < BATCH)
            return;
}

static int memory_of(int fd, uint32_t mem[SK_MEMINFO_VARS])
{
    socklen_t len = SK_MEMINFO_VARS * sizeof(*mem);

    return getsockopt(fd, SOL_SOCKET, SO_MEMINFO, mem, &len);
}

/* The socket's own count is read, rather than the one that SO_RXQ_OVFL sends along with datagrams:
 * that one tells of a loss only when the next datagram has got through. */
static void count_drops(struct udp_socket *s)
{
    uint32_t mem[SK_MEMINFO_VARS];

    if (memory_of(s->fd, mem))
        return;
    s->udp->drops += mem[SK_MEMINFO_DROPS] - s->drops;
    s->drops = mem[SK_MEMINFO_DROPS];
}

uint64_t mu_udp_drops(struct mu_udp *udp)
{
    struct udp_socket *s;

    DL_FOREACH(udp->sockets, s)
    count_drops(s);
    return udp->drops;
}

int mu_udp_receive_buffer(const struct mu_udp *udp)
{
    struct udp_socket *s;
    int least = 0;

    DL_FOREACH(udp->sockets, s)
    if (least == 0 || s->receive_buffer < least)
        least = s->receive_buffer;
    return least;
}

void mu_udp_drain(struct mu_udp *udp)
{
    struct udp_socket *s;

    DL_FOREACH(udp->sockets, s)
    {
        uint32_t mem[SK_MEMINFO_VARS];
        size_t left = BATCH;

        if (memory_of(s->fd, mem) == 0)
            left += mem[SK_MEMINFO_RMEM_ALLOC] / CHARGE_MIN;
        for (unsigned n = BATCH; n == BATCH && left > 0; left -= n < left ? n : left)
            n = one_batch(s);
    }
}

int mu_udp_add(struct mu_udp *udp, int fd, struct mu_err *err)
{
    struct udp_socket *s = mu_alloc(sizeof(*s));
    uint32_t mem[SK_MEMINFO_VARS];
    socklen_t len = sizeof(int);
    int rv;

    if (!s)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    rv = uv_poll_init(udp->loop, &s->poll, fd);
    if (rv) {
        mu_free(s);
        return mu_err_set(err, MU_EIO, "cannot poll a datagram socket: %s", uv_strerror(rv));
    }
    s->udp = udp;
    s->fd = fd;
    s->poll.data = s;
    if (memory_of(fd, mem) == 0)
        s->drops = mem[SK_MEMINFO_DROPS];
    (void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &s->receive_buffer, &len);
    uv_poll_start(&s->poll, UV_READABLE, on_readable);
    DL_APPEND(udp->sockets, s);
    udp->handles++;
    return 0;
}

static void handle_gone(struct mu_udp *udp)
{
    if (--udp->handles == 0)
        udp->closed(udp->closed_ctx);
}

static void socket_gone(uv_handle_t *handle)
{
    struct udp_socket *s = handle->data;
    struct mu_udp *udp = s->udp;

    mu_free(s);
    handle_gone(udp);
}

static void tell_gone(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

void mu_udp_close(struct mu_udp *udp, void (*closed)(void *ctx), void *ctx)
{
    struct udp_socket *s, *next;

    udp->closed = closed;
    udp->closed_ctx = ctx;
    uv_timer_init(udp->loop, &udp->tell);
    udp->tell.data = udp;
    udp->handles++;
    DL_FOREACH_SAFE(udp->sockets, s, next)
    {
        count_drops(s);
        DL_DELETE(udp->sockets, s);
        uv_poll_stop(&s->poll);
        close(s->fd);
        uv_close((uv_handle_t *)&s->poll, socket_gone);
    }
    uv_close((uv_handle_t *)&udp->tell, tell_gone);
}
