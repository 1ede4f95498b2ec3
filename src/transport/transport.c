/* The front: listeners and their doors. What comes in is stream.c's or udp.c's.
 *
 * A door accepts a bounded number a turn, so that a flood shares the loop with those who are in.
 * When descriptors run out the oldest silent stream gives up its own; where there is none, one kept
 * in reserve is closed for a moment to accept and refuse: a queue nobody empties would keep the
 * loop awake for nothing. */
#include "transport/transport.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>
#include <uv.h>

#include "base/log.h"
#include "base/mem.h"
#include "loop/socket.h"
#include "transport/stream.h"
#include "transport/udp.h"

#define ACCEPTS_A_TURN 128

struct door {
    uv_poll_t poll;
    struct mu_transport *t;
    struct door *prev, *next;
    int fd;
    char *path; /* of a Unix socket that we made; NULL otherwise */
    dev_t dev;  /* of that path's file, lest we remove another's */
    ino_t ino;
};

struct mu_transport {
    uv_loop_t *loop;
    struct mu_transport_sink sink;
    struct mu_transport_config config;
    struct door *doors;
    struct mu_udp *udp;
    struct mu_streams *streams;
    int reserve;      /* a descriptor for the day when there is none */
    unsigned closing; /* what is not gone yet */
    void (*closed)(void *ctx);
    void *closed_ctx;
};

int mu_transport_new(struct mu_transport **out, struct uv_loop_s *loop,
                     const struct mu_transport_config *config, const struct mu_transport_sink *sink)
{
    struct mu_transport *t = mu_alloc(sizeof(*t));
    int rv = MU_ENOMEM;

    if (!t)
        return MU_ENOMEM;
    t->loop = loop;
    t->sink = *sink;
    t->config = *config;
    if (t->config.silent_for == 0)
        t->config.silent_for = 10 * MU_SEC;
    if (t->config.send_queue_max == 0)
        t->config.send_queue_max = (size_t)1 << 20;
    t->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (t->reserve < 0) {
        rv = MU_EIO;
        goto no_reserve;
    }
    rv = mu_udp_new(&t->udp, loop, &t->sink);
    if (rv)
        goto no_udp;
    rv = mu_streams_new(&t->streams, loop, &t->config, &t->sink, t->udp);
    if (rv)
        goto no_streams;
    *out = t;
    return 0;

no_streams:
    mu_udp_free(t->udp);
no_udp:
    close(t->reserve);
no_reserve:
    mu_free(t);
    return rv;
}

void mu_transport_free(struct mu_transport *t)
{
    if (!t)
        return;
    assert(!t->doors);
    mu_streams_free(t->streams);
    mu_udp_free(t->udp);
    if (t->reserve >= 0)
        close(t->reserve);
    mu_free(t);
}

/* No descriptor is left: finds one, or turns one caller away. Returns whether another try is worth
 * while. */
static bool find_descriptor(struct mu_transport *t, int door, mu_time now)
{
    int fd;

    if (mu_streams_shed(t->streams, now))
        return true;
    close(t->reserve);
    fd = accept4(door, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
        mu_streams_refused(t->streams);
        mu_warn("transport", "no descriptor left, connection refused",
                MU_KVS("cure", "raise the limit of open files, or lower max_streams"));
    }
    t->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && t->reserve >= 0;
}

static void on_caller(uv_poll_t *poll, int status, int events)
{
    struct door *door = poll->data;
    struct mu_transport *t = door->t;
    mu_time now = mu_clock_now();

    (void)events;
    if (status < 0) /* libuv has stopped the poll; accept tells what it was */
        uv_poll_start(poll, UV_READABLE, on_caller);
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
        socklen_t len = sizeof(from);
        int fd = accept4(door->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0)
            mu_streams_take(t->streams, fd, (struct sockaddr *)&from);
        else if (errno == EMFILE || errno == ENFILE) {
            if (!find_descriptor(t, door->fd, now))
                return;
        } else if (errno != EINTR && errno != ECONNABORTED)
            return; /* nobody is waiting, or the kernel has no memory: the next turn */
    }
}

/* Takes @fd on success. */
static int open_door(struct mu_transport *t, int fd, const char *path, struct mu_err *err)
{
    struct door *door = mu_alloc(sizeof(*door));
    struct stat st;
    int rv;

    if (!door || (path && !(door->path = mu_strdup(path)))) {
        mu_free(door);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    if (path && lstat(path, &st) == 0) {
        door->dev = st.st_dev;
        door->ino = st.st_ino;
    }
    rv = uv_poll_init(t->loop, &door->poll, fd);
    if (rv) {
        mu_free(door->path);
        mu_free(door);
        return mu_err_set(err, MU_EIO, "cannot poll a listening socket: %s", uv_strerror(rv));
    }
    door->t = t;
    door->fd = fd;
    door->poll.data = door;
    DL_APPEND(t->doors, door);
    uv_poll_start(&door->poll, UV_READABLE, on_caller);
    return 0;
}

static int listen_unix(struct mu_transport *t, const struct mu_addr *addr, struct mu_err *err)
{
    int fd, rv = mu_socket_listen(addr, &fd, err);

    if (rv)
        return rv;
    rv = open_door(t, fd, addr->path, err);
    if (rv) {
        close(fd);
        unlink(addr->path);
    }
    return rv;
}

int mu_transport_listen(struct mu_transport *t, const struct mu_addr *addr, int *port,
                        struct mu_err *err)
{
    int stream, datagram, got, rv;

    if (addr->host[0] == '\0') {
        *port = 0;
        return listen_unix(t, addr, err);
    }
    rv = mu_socket_pair(addr, t->config.receive_buffer, &stream, &datagram, &got, err);
    if (rv)
        return rv;
    rv = mu_udp_add(t->udp, datagram, err);
    if (rv) {
        close(datagram);
        close(stream);
        return rv;
    }
    rv = open_door(t, stream, NULL, err);
    if (rv) {
        close(stream); /* the datagram socket goes with the transport */
        return rv;
    }
    *port = got;
    return 0;
}

static int adopt_datagrams(struct mu_transport *t, int fd, struct mu_err *err)
{
    int rv = mu_socket_want_destination(fd, err);

    if (rv)
        return rv;
    mu_socket_receive_buffer_least(fd, t->config.receive_buffer);
    return mu_udp_add(t->udp, fd, err);
}

int mu_transport_adopt(struct mu_transport *t, int fd, struct mu_err *err)
{
    int type = 0, family = 0, rv;
    socklen_t len = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len))
        return mu_err_set(err, MU_EINVAL, "descriptor %d: %s", fd, strerror(errno));
    rv = mu_socket_ready(fd, err);
    if (rv)
        return rv;
    if (type == SOCK_DGRAM && (family == AF_INET || family == AF_INET6))
        return adopt_datagrams(t, fd, err);
    if (type != SOCK_STREAM)
        return mu_err_set(err, MU_EINVAL, "descriptor %d: neither a stream socket nor one of UDP",
                          fd);
    if (listen(fd, SOMAXCONN)) /* harmless where it listens already */
        return mu_err_set(err, MU_EINVAL, "descriptor %d does not listen: %s", fd, strerror(errno));
    return open_door(t, fd, NULL, err);
}

uint64_t mu_transport_mark(struct mu_transport *t)
{
    mu_streams_mark(t->streams);
    return mu_udp_mark(t->udp);
}

bool mu_transport_passed(struct mu_transport *t, uint64_t mark)
{
    bool streams = mu_streams_passed(t->streams);

    return mu_udp_passed(t->udp, mark) && streams;
}

bool mu_transport_unread(struct mu_transport *t, uint64_t conn)
{
    return mu_streams_unread(t->streams, conn);
}

void mu_transport_send(struct mu_transport *t, uint64_t conn, const uint8_t *frame, size_t n)
{
    mu_streams_send(t->streams, conn, frame, n);
}

void mu_transport_close_stream(struct mu_transport *t, uint64_t conn)
{
    mu_streams_end(t->streams, conn);
}

void mu_transport_stats(struct mu_transport *t, struct mu_transport_stats *out)
{
    mu_streams_stats(t->streams, out);
    out->drops = mu_udp_drops(t->udp);
    out->receive_buffer = mu_udp_receive_buffer(t->udp);
}

static void part_gone(void *ctx)
{
    struct mu_transport *t = ctx;

    if (--t->closing == 0 && t->closed)
        t->closed(t->closed_ctx);
}

static void door_gone(uv_handle_t *handle)
{
    struct door *door = handle->data;
    struct mu_transport *t = door->t;

    mu_free(door->path);
    mu_free(door);
    part_gone(t);
}

static void remove_path(const struct door *door)
{
    struct stat st;

    if (door->path && lstat(door->path, &st) == 0 && st.st_dev == door->dev &&
        st.st_ino == door->ino)
        unlink(door->path);
}

void mu_transport_stop_accepting(struct mu_transport *t)
{
    struct door *door, *next;

    DL_FOREACH_SAFE(t->doors, door, next)
    {
        DL_DELETE(t->doors, door);
        remove_path(door);
        uv_poll_stop(&door->poll);
        close(door->fd);
        t->closing++;
        uv_close((uv_handle_t *)&door->poll, door_gone);
    }
}

void mu_transport_close(struct mu_transport *t, void (*closed)(void *ctx), void *ctx)
{
    mu_transport_stop_accepting(t);
    t->closed = closed;
    t->closed_ctx = ctx;
    t->closing += 2;
    mu_udp_close(t->udp, part_gone, t);
    mu_streams_close(t->streams, part_gone, t);
}
