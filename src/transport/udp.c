/* The way of a wake: poll says readable -> one batch after the other -> the rest is left to the
 * next turn of the loop after WAKE_MAX datagrams, so that timers run and others are read.
 *
 * Where a wake finds many, more are on their way: the next is not by poll, which would come for a
 * few of them, but a ms later for all that have come by then. So a busy socket costs less for each
 * datagram, and nobody waits longer than for a network's own jitter.
 *
 * A mark is passed when each socket has been found empty since, or has given as many messages as it
 * can have held. Whoever asks for a mark while one is on its way gets the next, which begins when
 * that one has been passed: so each of them ends, however fast more arrives. */
#include "transport/udp.h"

#include <assert.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <unistd.h>
#include <utlist.h>
#include <uv.h>

#include "base/mem.h"
#include "base/stat.h"
#include "loop/socket.h"
#include "transport/datagrams.h"

#define WAKE_MAX   512 /* datagrams; one batch goes beyond it */
#define MANY       8   /* datagrams in a wake, after which the socket is read by time */
#define PAUSE_MS   1
#define CHARGE_MIN 512 /* bytes, less than the kernel charges for the smallest datagram */

struct udp_socket {
    uv_poll_t poll;
    uv_timer_t pause; /* active: read when it is over, and poll rests */
    struct mu_udp *udp;
    struct udp_socket *prev, *next;
    int fd;
    uint32_t drops; /* the kernel's count when last asked; it wraps */
    int receive_buffer;
    size_t owed; /* messages, at most, before the mark that is on its way is passed */
    bool half_gone;
};

struct mu_udp {
    uv_loop_t *loop;
    struct mu_datagrams *datagrams;
    struct udp_socket *sockets;
    uint64_t drops;
    uint64_t asked, passed; /* marks: at most one is on its way, and one comes after it */
    unsigned handles;
    void (*closed)(void *ctx);
    void *closed_ctx;
    uv_timer_t tell; /* so that @closed never runs from within mu_udp_close() */
};

int mu_udp_new(struct mu_udp **out, struct uv_loop_s *loop, const struct mu_transport_sink *sink)
{
    struct mu_udp *udp = mu_alloc(sizeof(*udp));
    int rv;

    if (!udp)
        return MU_ENOMEM;
    rv = mu_datagrams_new(&udp->datagrams, sink);
    if (rv) {
        mu_free(udp);
        return rv;
    }
    udp->loop = loop;
    *out = udp;
    return 0;
}

void mu_udp_free(struct mu_udp *udp)
{
    if (!udp)
        return;
    assert(!udp->sockets && udp->handles == 0);
    mu_datagrams_free(udp->datagrams);
    mu_free(udp);
}

/* Reads a bounded number; no further than to the mark if @to_mark. Returns how many. */
static unsigned wake(struct udp_socket *s, bool to_mark)
{
    unsigned count = 0, n;

    do {
        n = mu_datagrams_turn(s->udp->datagrams, s->fd, &count);
        s->owed = n < MU_BATCH || s->owed < n ? 0 : s->owed - n;
    } while (n == MU_BATCH && count < WAKE_MAX && (s->owed || !to_mark));
    return count;
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
    struct udp_socket *s = timer->data;
    unsigned count = wake(s, false);

    if (count >= MANY && count < WAKE_MAX)
        return; /* it repeats */
    uv_timer_stop(timer);
    uv_poll_start(&s->poll, UV_READABLE, on_readable);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct udp_socket *s = poll->data;
    unsigned count;

    (void)events;
    if (status < 0) { /* libuv has stopped the poll; the error is the socket's, and is read away */
        int error;
        socklen_t len = sizeof(error);
        (void)getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        uv_poll_start(poll, UV_READABLE, on_readable);
    }
    count = wake(s, false);
    if (count < MANY || count >= WAKE_MAX)
        return;
    uv_poll_stop(poll);
    uv_timer_start(&s->pause, on_pause_over, PAUSE_MS, PAUSE_MS);
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
    uint32_t mem[SK_MEMINFO_VARS], fresh;

    if (memory_of(s->fd, mem))
        return;
    fresh = mem[SK_MEMINFO_DROPS] - s->drops;
    s->drops = mem[SK_MEMINFO_DROPS];
    s->udp->drops += fresh;
    mu_stat_add(MU_STAT_DATAGRAMS_DROPPED, fresh);
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

/* ---- marks ---- */

static void begin_mark(struct mu_udp *udp)
{
    struct udp_socket *s;

    DL_FOREACH(udp->sockets, s)
    {
        uint32_t mem[SK_MEMINFO_VARS] = {0};

        (void)memory_of(s->fd, mem);
        s->owed = MU_BATCH + mem[SK_MEMINFO_RMEM_ALLOC] / CHARGE_MIN;
    }
}

uint64_t mu_udp_mark(struct mu_udp *udp)
{
    if (udp->asked == udp->passed)
        begin_mark(udp);
    if (udp->asked < udp->passed + 2)
        udp->asked++;
    return udp->asked;
}

bool mu_udp_passed(struct mu_udp *udp, uint64_t mark)
{
    struct udp_socket *s;

    while (udp->passed < mark) {
        DL_FOREACH(udp->sockets, s)
        if (s->owed)
            (void)wake(s, true);
        DL_FOREACH(udp->sockets, s)
        if (s->owed)
            return false;
        udp->passed++;
        if (udp->asked > udp->passed)
            begin_mark(udp);
    }
    return true;
}

int mu_udp_add(struct mu_udp *udp, int fd, struct mu_err *err)
{
    struct udp_socket *s = mu_alloc(sizeof(*s));
    uint32_t mem[SK_MEMINFO_VARS];
    int one = 1, rv;

    if (!s)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    rv = uv_poll_init(udp->loop, &s->poll, fd);
    if (rv) {
        mu_free(s);
        return mu_err_set(err, MU_EIO, "cannot poll a datagram socket: %s", uv_strerror(rv));
    }
    s->udp = udp;
    s->fd = fd;
    uv_timer_init(udp->loop, &s->pause);
    s->poll.data = s->pause.data = s;
    if (memory_of(fd, mem) == 0)
        s->drops = mem[SK_MEMINFO_DROPS];
    /* Refused before Linux 5.0: then each message is one datagram. */
    (void)setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one));
    s->receive_buffer = mu_socket_has_receive_buffer(fd);
    uv_poll_start(&s->poll, UV_READABLE, on_readable);
    DL_APPEND(udp->sockets, s);
    udp->handles += 2;
    return 0;
}

static void handle_gone(struct mu_udp *udp)
{
    if (--udp->handles == 0)
        udp->closed(udp->closed_ctx);
}

/* Of its poll, and of its pause. */
static void part_gone(uv_handle_t *handle)
{
    struct udp_socket *s = handle->data;
    struct mu_udp *udp = s->udp;

    if (s->half_gone)
        mu_free(s);
    else
        s->half_gone = true;
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
        uv_close((uv_handle_t *)&s->poll, part_gone);
        uv_close((uv_handle_t *)&s->pause, part_gone);
    }
    uv_close((uv_handle_t *)&udp->tell, tell_gone);
}
