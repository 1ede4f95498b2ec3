#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/owner.h"
#include "daemon/rooms.h"
#include "loop/socket.h"

/* Says who has the port that could not be had, and which flag gives another. */
static int not_listening(const char *flag, const struct mu_addr *addr, int rv, struct mu_err *err)
{
    char name[64];
    pid_t pid = rv == MU_ELOCKED && addr->port > 0 ? mu_port_owner(addr->port, name) : 0;
    struct mu_err why = *err;

    if (pid)
        return mu_err_set(err, rv,
                          "%s: port %d is taken by process %ld (%s); choose another with %s",
                          why.text, addr->port, (long)pid, name, flag);
    if (rv == MU_ELOCKED)
        return mu_err_set(err, rv, "%s; choose another address with %s", why.text, flag);
    return mu_err_wrap(err, rv, "%s", flag);
}

static int check_paths(const char *flag, const struct mu_config_list *list, struct mu_err *err)
{
    for (size_t i = 0; i < list->n; i++) {
        struct mu_addr addr;
        int rv = mu_addr_parse(&addr, list->at[i], err);

        if (!rv && !*addr.host)
            rv = mu_socket_check_path(&addr, err);
        if (rv && rv != MU_ENOENT)
            return not_listening(flag, &addr, rv, err);
    }
    return 0;
}

int mu_rooms_check_paths(const struct mu_config *config, struct mu_err *err)
{
    int rv = check_paths("--listen", &config->listen, err);

    return rv ? rv : check_paths("--http", &config->http, err);
}

static int listen_agents(struct mu_rooms *rooms, const char *text, struct mu_err *err)
{
    struct mu_addr addr;
    int port = 0, rv = mu_addr_parse(&addr, text, err);

    if (rv)
        return rv;
    rv = mu_transport_listen(rooms->transport, &addr, &port, err);
    if (rv)
        return not_listening("--listen", &addr, rv, err);
    if (!rooms->agents_port)
        rooms->agents_port = port;
    return 0;
}

static int listen_http(struct mu_rooms *rooms, const char *text, struct mu_err *err)
{
    struct mu_addr addr;
    int rv = mu_addr_parse(&addr, text, err);

    if (!rv && (rv = mu_http_listen(rooms->http, &addr, err)))
        rv = not_listening("--http", &addr, rv, err);
    return rv;
}

/* The port of an activated socket, 0 for a Unix one; an address that others can reach needs to be
 * allowed like a configured one. What is no socket at all is told by who adopts it. */
static int check_activated(const struct mu_rooms *rooms, int fd, int *port, struct mu_err *err)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    struct mu_addr addr;
    char text[256];

    *port = 0;
    if (getsockname(fd, (struct sockaddr *)&sa, &len) ||
        (sa.ss_family != AF_INET && sa.ss_family != AF_INET6) ||
        mu_addr_parse(&addr, mu_addr_text_of((struct sockaddr *)&sa, len, text, sizeof(text)),
                      NULL))
        return 0;
    *port = addr.port;
    if (rooms->config->insecure || mu_addr_is_loopback(&addr))
        return 0;
    return mu_err_set(err, MU_EINVAL,
                      "%s: other machines could reach it, and nothing there is encrypted; listen "
                      "on 127.0.0.1, or set insecure = true where the network can be trusted",
                      text);
}

/* Activated sockets take the place of the configured addresses of their kind. */
static int adopt(struct mu_rooms *rooms, struct mu_err *err)
{
    const struct mu_activated *activated = &rooms->activated;
    int port, rv = 0;

    for (size_t i = 0; i < activated->nagents && !rv; i++) {
        rv = check_activated(rooms, activated->agents[i], &port, err);
        if (!rv)
            rv = mu_transport_adopt(rooms->transport, activated->agents[i], err);
        if (!rooms->agents_port)
            rooms->agents_port = port;
    }
    for (size_t i = 0; i < activated->nhttp && !rv; i++) {
        rv = check_activated(rooms, activated->http[i], &port, err);
        if (!rv)
            rv = mu_http_adopt(rooms->http, activated->http[i], err);
    }
    return rv ? mu_err_wrap(err, rv, "socket from the service manager") : 0;
}

int mu_rooms_listen(struct mu_rooms *rooms, struct mu_err *err)
{
    const struct mu_config *config = rooms->config;
    int rv = adopt(rooms, err);

    if (!rooms->activated.nagents)
        for (size_t i = 0; i < config->listen.n && !rv; i++)
            rv = listen_agents(rooms, config->listen.at[i], err);
    if (!rooms->activated.nhttp)
        for (size_t i = 0; i < config->http.n && !rv; i++)
            rv = listen_http(rooms, config->http.at[i], err);
    if (!rv && mu_http_port(rooms->http) > 0)
        rooms->http_port = mu_http_port(rooms->http);
    return rv;
}

/* Whoever waits for the file must never read half of it. */
int mu_rooms_ports_file(const struct mu_rooms *rooms, const char *path, struct mu_err *err)
{
    char temp[1100];
    FILE *file;
    int failed;

    snprintf(temp, sizeof(temp), "%s.%ld", path, (long)getpid());
    file = fopen(temp, "we");
    if (!file)
        return mu_err_set(err, MU_EIO, "--ports-file %s: %s", path, strerror(errno));
    if (rooms->agents_port)
        fprintf(file, "agents=%d\n", rooms->agents_port);
    if (rooms->http_port)
        fprintf(file, "http=%d\n", rooms->http_port);
    failed = ferror(file);
    failed |= fclose(file);
    if (!failed && !rename(temp, path))
        return 0;
    mu_err_set(err, MU_EIO, "--ports-file %s: %s", path, strerror(errno));
    unlink(temp);
    return MU_EIO;
}
