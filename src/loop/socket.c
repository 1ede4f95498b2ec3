#include "loop/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PORT_TRIES 32 /* a port that is free for streams is rarely taken for datagrams */

union any {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
    struct sockaddr_storage storage;
};

static int failed(struct mu_err *err, const struct mu_addr *addr, const char *what)
{
    int code = errno == EADDRINUSE                 ? MU_ELOCKED
               : errno == EACCES || errno == EPERM ? MU_EPERM
                                                   : MU_EIO;

    return mu_err_set(err, code, "cannot %s %s: %s", what, addr->text, strerror(errno));
}

static void set_port(union any *sa, int port)
{
    if (sa->sa.sa_family == AF_INET6)
        sa->v6.sin6_port = htons((uint16_t)port);
    else
        sa->v4.sin_port = htons((uint16_t)port);
}

int mu_socket_port(int fd)
{
    union any sa = {.sa.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(sa);

    if (getsockname(fd, &sa.sa, &len) ||
        (sa.sa.sa_family != AF_INET && sa.sa.sa_family != AF_INET6))
        return -1;
    return ntohs(sa.sa.sa_family == AF_INET6 ? sa.v6.sin6_port : sa.v4.sin_port);
}

/* Returns a bound socket, or -1 with errno. [::] is IPv6 alone, so that it can stand beside
 * 0.0.0.0. */
static int bound(const union any *sa, socklen_t len, int type)
{
    int fd = socket(sa->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;

    if (fd < 0)
        return -1;
    if (type == SOCK_STREAM && sa->sa.sa_family != AF_UNIX)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (sa->sa.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, &sa->sa, len) == 0 && (type != SOCK_STREAM || listen(fd, SOMAXCONN) == 0))
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* The stream socket chooses the port, the datagram socket follows; another try when that one is
 * taken, unless the port was asked for by number. */
static int bind_pair(union any *sa, socklen_t len, int want, int *stream, int *datagram)
{
    for (int i = 0; i < PORT_TRIES; i++) {
        set_port(sa, want);
        *stream = bound(sa, len, SOCK_STREAM);
        if (*stream < 0)
            return -1;
        set_port(sa, mu_socket_port(*stream));
        *datagram = bound(sa, len, SOCK_DGRAM);
        if (*datagram >= 0)
            return 0;
        int saved = errno;
        close(*stream);
        errno = saved;
        if (want != 0 || errno != EADDRINUSE)
            return -1;
    }
    return -1;
}

int mu_socket_pair(const struct mu_addr *addr, int receive_buffer, int *stream, int *datagram,
                   int *port, struct mu_err *err)
{
    union any sa = {.sa.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(sa);
    int s, d, rv = mu_addr_sockaddr(addr, &sa.storage, &len, err);

    if (rv)
        return rv;
    if (bind_pair(&sa, len, addr->port < 0 ? 0 : addr->port, &s, &d))
        return failed(err, addr, "listen on");
    mu_socket_receive_buffer(d, receive_buffer);
    rv = mu_socket_want_destination(d, err);
    if (rv) {
        close(s);
        close(d);
        return rv;
    }
    *stream = s;
    *datagram = d;
    *port = mu_socket_port(s);
    return 0;
}

void mu_socket_receive_buffer(int fd, int bytes)
{
    if (bytes > 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

int mu_socket_has_receive_buffer(int fd)
{
    int bytes = 0;
    socklen_t len = sizeof(bytes);

    (void)getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &len);
    return bytes / 2; /* the kernel doubles what it is asked for, and says so */
}

/* How much we may ask for, found out on a socket of no other use. */
static int obtainable(int bytes)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), got;

    if (fd < 0)
        return 0;
    mu_socket_receive_buffer(fd, bytes);
    got = mu_socket_has_receive_buffer(fd);
    close(fd);
    return got;
}

/* Who handed it over may have had the right to go beyond the system's limit, which SO_RCVBUF would
 * take it back to. */
void mu_socket_receive_buffer_least(int fd, int bytes)
{
    if (obtainable(bytes) > mu_socket_has_receive_buffer(fd))
        mu_socket_receive_buffer(fd, bytes);
}

int mu_socket_want_destination(int fd, struct mu_err *err)
{
    union any sa = {.sa.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(sa);
    int one = 1, rv = 0;

    if (getsockname(fd, &sa.sa, &len))
        rv = -1;
    else if (sa.sa.sa_family == AF_INET && sa.v4.sin_addr.s_addr == htonl(INADDR_ANY))
        rv = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
    else if (sa.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&sa.v6.sin6_addr))
        rv = setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
    if (rv)
        return mu_err_set(err, MU_EIO, "cannot ask for the destination of datagrams: %s",
                          strerror(errno));
    return 0;
}

int mu_socket_ready(int fd, struct mu_err *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
        return mu_err_set(err, MU_EIO, "descriptor %d: %s", fd, strerror(errno));
    return 0;
}

int mu_socket_check_path(const struct mu_addr *addr, struct mu_err *err)
{
    struct stat st;

    if (lstat(addr->path, &st))
        return errno == ENOENT ? MU_ENOENT : failed(err, addr, "look at");
    if (S_ISSOCK(st.st_mode))
        return 0;
    return mu_err_set(err, MU_EEXIST,
                      "cannot listen on %s: a file that is no socket is there; remove it, or name "
                      "another path",
                      addr->path);
}

/* Clears the way for a bind: removes a socket that nobody answers on. */
static int clear_stale(const struct mu_addr *addr, const struct sockaddr_un *sun,
                       struct mu_err *err)
{
    int fd, error = 0, rv = mu_socket_check_path(addr, err);

    if (rv)
        return rv == MU_ENOENT ? 0 : rv;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return failed(err, addr, "open a socket for");
    if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)))
        error = errno;
    close(fd);
    if (error == EACCES)
        return mu_err_set(err, MU_EPERM,
                          "cannot listen on %s: a socket is there to which we may not connect; "
                          "remove it if nobody listens",
                          addr->path);
    if (error != ECONNREFUSED) /* a full queue (EAGAIN) has somebody behind it too */
        return mu_err_set(err, MU_ELOCKED, "cannot listen on %s: another process does", addr->path);
    if (unlink(addr->path) && errno != ENOENT)
        return failed(err, addr, "replace");
    return 0;
}

int mu_socket_listen(const struct mu_addr *addr, int *fd, struct mu_err *err)
{
    union any sa = {.sa.sa_family = AF_UNSPEC};
    socklen_t len = sizeof(sa);
    int s, rv = mu_addr_sockaddr(addr, &sa.storage, &len, err);

    if (rv == 0 && sa.sa.sa_family == AF_UNIX)
        rv = clear_stale(addr, &sa.un, err);
    if (rv)
        return rv;
    s = bound(&sa, len, SOCK_STREAM);
    if (s < 0)
        return failed(err, addr, "listen on");
    *fd = s;
    return 0;
}
