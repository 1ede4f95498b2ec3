#include "daemon/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3 };

/* A whole number from the environment; -1 where there is none. */
static int64_t number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    intmax_t n;

    if (!text || !*text)
        return -1;
    errno = 0;
    n = strtoimax(text, &end, 10);
    return *end || errno || n < 0 ? -1 : n;
}

static int connect_notify(const char *path, struct mu_err *err)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    int fd;

    if ((*path != '/' && *path != '@') || n < 2 || n >= sizeof(sun.sun_path))
        return mu_err_set(err, MU_EINVAL, "NOTIFY_SOCKET=%s: neither a path nor an abstract socket",
                          path);
    memcpy(sun.sun_path, path, n);
    if (*path == '@')
        sun.sun_path[0] = 0;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return mu_err_set(err, MU_EIO, "NOTIFY_SOCKET: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&sun,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (*path == '/')))) {
        mu_err_set(err, MU_EIO, "NOTIFY_SOCKET=%s: %s", path, strerror(errno));
        close(fd);
        return MU_EIO;
    }
    return fd;
}

int mu_notify_open(struct mu_notify *notify, struct mu_err *err)
{
    const char *path = getenv("NOTIFY_SOCKET");
    int64_t usec = number_of("WATCHDOG_USEC"), pid = number_of("WATCHDOG_PID");

    *notify = (struct mu_notify){.fd = -1};
    if (!path)
        return 0;
    notify->fd = connect_notify(path, err);
    if (notify->fd < 0)
        return notify->fd;
    if (usec > 0 && usec < INT64_MAX / MU_US && (pid < 0 || pid == getpid()))
        notify->watchdog = usec * MU_US / 2;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return 0;
}

void mu_notify_close(struct mu_notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void mu_notify_send(struct mu_notify *notify, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    int n;

    if (notify->fd < 0)
        return;
    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n > 0 && n < (int)sizeof(text))
        (void)send(notify->fd, text, (size_t)n, MSG_NOSIGNAL);
}

void mu_notify_alive(struct mu_notify *notify, mu_time now)
{
    if (!notify->watchdog || now - notify->told < notify->watchdog)
        return;
    notify->told = now;
    mu_notify_send(notify, "WATCHDOG=1");
}

void mu_notify_reloading(struct mu_notify *notify, mu_time now)
{
    mu_notify_send(notify, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, now / MU_US);
}

static int place_fd(struct mu_activated *out, int fd, const char *name, size_t n,
                    struct mu_err *err)
{
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (n == strlen("agents") && !strncmp(name, "agents", n))
        out->agents[out->nagents++] = fd;
    else if (n == strlen("http") && !strncmp(name, "http", n))
        out->http[out->nhttp++] = fd;
    else
        return mu_err_set(err, MU_EINVAL,
                          "socket %d from the service manager is called \"%.*s\"; say "
                          "FileDescriptorName=agents or http",
                          fd, (int)n, name);
    return 0;
}

int mu_activation_take(struct mu_activated *out, struct mu_err *err)
{
    int64_t n = number_of("LISTEN_FDS");
    const char *name = getenv("LISTEN_FDNAMES");
    int rv = 0;

    *out = (struct mu_activated){0};
    if (n <= 0 || number_of("LISTEN_PID") != getpid())
        return 0;
    if (n > MU_ACTIVATED_MAX)
        return mu_err_set(err, MU_EINVAL,
                          "%" PRId64 " sockets from the service manager; at most %d", n,
                          MU_ACTIVATED_MAX);
    for (int i = 0; i < n && !rv; i++) {
        size_t len = name ? strcspn(name, ":") : 0;

        rv = place_fd(out, FIRST_FD + i, name ? name : "", len, err);
        name = name && name[len] ? name + len + 1 : NULL;
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    return rv;
}
