/* Happy path: the loop says that a listener can be read; up to ACCEPT_MAX connections are accepted
 * and handed to microhttpd, which sets each up in the pump that follows. Ways to fail: the bound is
 * reached, then the connection that has asked nothing for longest is shut down, and where there is
 * none the new one is answered 503 by hand; descriptors run out, then the listener rests for a
 * second. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/stat.h"
#include "http/server.h"
#include "loop/socket.h"

#define ACCEPT_MAX 64
#define SEND_MAX   (64 * 1024) /* bytes the kernel may hold for a client who does not read */

struct mu_listener {
    struct mu_list link;
    struct mu_http *http;
    uv_poll_t poll;
    int fd;
    int port;       /* -1 = a Unix socket */
    bool rests;     /* until mu_listen_retry() */
    char path[108]; /* to unlink at the close; "" = none */
    dev_t dev;      /* of that path's file */
    ino_t ino;
};

bool mu_listen_is_local(const struct sockaddr *sa)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

    if (sa->sa_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    if (sa->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
    return true;
}

static bool same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
}

static uint32_t count_of_host(const struct mu_http *http, const struct sockaddr_storage *addr)
{
    uint32_t n = 0;

    for (struct mu_list *at = http->peers.next; at != &http->peers; at = at->next) {
        const struct mu_peer *peer = MU_CONTAINER_OF(at, struct mu_peer, link);
        n += !peer->local && !peer->evicted && same_host(&peer->addr, addr);
    }
    return n;
}

static bool is_taking(const struct mu_peer *peer)
{
    return peer->req && peer->req->state == MU_REQ_QUEUED && !peer->waits;
}

static void shut(struct mu_http *http, struct mu_peer *peer)
{
    peer->evicted = true;
    http->nevicted++;
    shutdown(peer->fd, SHUT_RDWR);
    mu_stat_add(MU_STAT_HTTP_REFUSED, 1);
}

/* Shuts down the connection that asked nothing for longest; without one, the one that has been
 * taking its answer for longest. Those that wait for something stay. Returns whether there was one.
 */
static bool evict(struct mu_http *http)
{
    for (struct mu_list *at = http->peers.next; at != &http->peers; at = at->next) {
        struct mu_peer *peer = MU_CONTAINER_OF(at, struct mu_peer, link);

        if (!peer->evicted && (!peer->req || peer->req->state == MU_REQ_READING)) {
            shut(http, peer);
            return true;
        }
    }
    return mu_listen_evict_taker(http, NULL);
}

bool mu_listen_evict_taker(struct mu_http *http, const struct mu_req *but)
{
    for (struct mu_list *at = http->peers.next; at != &http->peers; at = at->next) {
        struct mu_peer *peer = MU_CONTAINER_OF(at, struct mu_peer, link);

        if (!peer->evicted && is_taking(peer) && peer->req != but) {
            http->charged -= peer->req->charged;
            peer->req->charged = 0;
            shut(http, peer);
            return true;
        }
    }
    return false;
}

/* Makes room for a connection from @addr. @added were accepted before it in this turn, and are not
 * counted by microhttpd yet. */
static bool admit(struct mu_http *http, const struct sockaddr_storage *addr, uint32_t added)
{
    if (!mu_listen_is_local((const struct sockaddr *)addr) &&
        count_of_host(http, addr) + added >= http->config.max_per_ip)
        return false;
    if (http->npeers - http->nevicted + added < http->config.max_conns)
        return true;
    return evict(http);
}

static void refuse(int fd)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n"
                               "Content-Length: 0\r\nConnection: close\r\n\r\n";

    if (send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        mu_debug("http", "refused", MU_KVS("error", strerror(errno)));
    close(fd);
    mu_stat_add(MU_STAT_HTTP_REFUSED, 1);
}

static void rest(struct mu_listener *listener, int error)
{
    listener->rests = true;
    uv_poll_stop(&listener->poll);
    evict(listener->http);
    mu_warn("http", "cannot accept, trying again in a second", MU_KVS("error", strerror(error)));
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct mu_listener *listener = poll->data;
    struct mu_http *http = listener->http;

    for (uint32_t added = 0; added < ACCEPT_MAX;) {
        struct sockaddr_storage addr = {0};
        socklen_t len = sizeof(addr);
        int fd =
            accept4(listener->fd, (struct sockaddr *)&addr, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                rest(listener, errno);
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            break;
        }
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_MAX}, sizeof(int));
        if (!admit(http, &addr, added))
            refuse(fd);
        else if (MHD_add_connection(http->mhd, fd, (struct sockaddr *)&addr, len) == MHD_YES)
            added++; /* else it is closed already */
    }
    mu_server_pump(http);
}

void mu_listen_retry(struct mu_http *http)
{
    for (struct mu_list *at = http->listeners.next; at != &http->listeners; at = at->next) {
        struct mu_listener *listener = MU_CONTAINER_OF(at, struct mu_listener, link);

        if (listener->rests && uv_poll_start(&listener->poll, UV_READABLE, on_readable) == 0)
            listener->rests = false;
    }
}

static int attach(struct mu_http *http, int fd, const char *path, struct mu_err *err)
{
    struct mu_listener *listener = mu_alloc(sizeof(*listener));
    struct stat st;
    int rv;

    if (!listener)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    listener->http = http;
    listener->fd = fd;
    listener->port = mu_socket_port(fd);
    listener->poll.data = listener;
    snprintf(listener->path, sizeof(listener->path), "%s", path);
    if (lstat(path, &st) == 0) {
        listener->dev = st.st_dev;
        listener->ino = st.st_ino;
    }
    rv = uv_poll_init(http->config.loop, &listener->poll, fd);
    if (rv) { /* nothing of the loop is open then */
        mu_free(listener);
        return mu_err_set(err, MU_EIO, "cannot poll: %s", uv_strerror(rv));
    }
    mu_list_append(&http->listeners, &listener->link);
    http->handles++;
    listener->rests = uv_poll_start(&listener->poll, UV_READABLE, on_readable) != 0;
    return 0;
}

int mu_http_listen(struct mu_http *http, const struct mu_addr *addr, struct mu_err *err)
{
    int fd, rv = mu_socket_listen(addr, &fd, err);

    if (rv)
        return rv;
    rv = attach(http, fd, addr->host[0] ? "" : addr->path, err);
    if (rv)
        close(fd);
    return rv;
}

int mu_http_adopt(struct mu_http *http, int fd, struct mu_err *err)
{
    int listening = 0;
    socklen_t len = sizeof(listening);

    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) || !listening)
        return mu_err_set(err, MU_EINVAL, "descriptor %d is not a listening socket", fd);
    return attach(http, fd, "", err);
}

int mu_http_port(const struct mu_http *http)
{
    for (struct mu_list *at = http->listeners.next; at != &http->listeners; at = at->next) {
        const struct mu_listener *listener = MU_CONTAINER_OF(at, struct mu_listener, link);
        if (listener->port >= 0)
            return listener->port;
    }
    return -1;
}

static void on_closed(uv_handle_t *handle)
{
    struct mu_listener *listener = handle->data;
    struct mu_http *http = listener->http;

    mu_free(listener);
    mu_server_handle_closed(http);
}

/* Not another's, who listens there by now. */
static void remove_path(const struct mu_listener *listener)
{
    struct stat st;

    if (lstat(listener->path, &st) == 0 && st.st_dev == listener->dev && st.st_ino == listener->ino)
        unlink(listener->path);
}

void mu_listen_close_all(struct mu_http *http)
{
    while (!mu_list_empty(&http->listeners)) {
        struct mu_listener *listener =
            MU_CONTAINER_OF(http->listeners.next, struct mu_listener, link);

        mu_list_remove(&listener->link);
        uv_poll_stop(&listener->poll);
        close(listener->fd);
        remove_path(listener);
        uv_close((uv_handle_t *)&listener->poll, on_closed);
    }
}
