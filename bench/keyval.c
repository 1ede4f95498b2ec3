/* keyval - heartbeats as keys that expire, to Redis or memcached, to have what to compare with.
 *
 *     keyval redis|memcached PORT KEYS CONNECTIONS PIPELINE SECONDS
 *
 * Each connection writes PIPELINE commands at once, reads their answers, and goes on: SET key 1 EX
 * 60, or set key 0 60 1. Keys come in an order that was drawn. Prints "commands=N seconds=S". */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define COMMAND_MAX     96
#define EVENTS          64

struct conn {
    int fd;
    unsigned owed; /* answers that have not come */
};

static bool redis;
static unsigned keys, pipeline;
static uint64_t drawn = 88172645463325252u, commands;

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned draw(void) /* xorshift64, Marsaglia 2003 */
{
    drawn ^= drawn << 13;
    drawn ^= drawn >> 7;
    drawn ^= drawn << 17;
    return (unsigned)(drawn % keys);
}

static void fail(const char *what)
{
    fprintf(stderr, "keyval: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

static void write_commands(struct conn *c)
{
    static char text[COMMAND_MAX * 1024];
    size_t n = 0;

    for (unsigned i = 0; i < pipeline; i++) {
        unsigned key = draw();

        if (redis)
            n += (size_t)sprintf(text + n,
                                 "*5\r\n$3\r\nSET\r\n$13\r\nbench@h%06u\r\n$1\r\n1\r\n$2\r\nEX\r\n"
                                 "$2\r\n60\r\n",
                                 key % 1000000);
        else
            n += (size_t)sprintf(text + n, "set bench@h%06u 0 60 1\r\n1\r\n", key % 1000000);
    }
    if (send(c->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        fail("a write was cut short");
    c->owed = pipeline;
}

/* An answer is a line: +OK, or STORED. */
static void read_answers(struct conn *c)
{
    char text[65536];
    ssize_t n = recv(c->fd, text, sizeof(text), 0);

    if (n <= 0)
        fail("the server hung up");
    for (const char *p = text; p && p < text + n; p++) {
        if (*p == '-' || *p == 'E')
            fail("the server refused a command");
        p = memchr(p, '\n', (size_t)(text + n - p));
        if (!p)
            break;
        c->owed--;
        commands++;
    }
    if (c->owed == 0)
        write_commands(c);
}

static int dial(int port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET,
                              .sin_addr = {htonl(INADDR_LOOPBACK)},
                              .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
        fail("cannot connect");
    return fd;
}

int main(int argc, char **argv)
{
    static struct conn conns[CONNECTIONS_MAX];
    int epoll = epoll_create1(EPOLL_CLOEXEC), port, nconns;
    double seconds, began;

    if (argc != 7) {
        fprintf(stderr, "keyval redis|memcached PORT KEYS CONNECTIONS PIPELINE SECONDS\n");
        return 2;
    }
    redis = strcmp(argv[1], "redis") == 0;
    port = atoi(argv[2]);
    keys = (unsigned)atoi(argv[3]);
    nconns = atoi(argv[4]);
    pipeline = (unsigned)atoi(argv[5]);
    seconds = atof(argv[6]);
    if (keys < 1 || keys > 1000000 || nconns < 1 || nconns > CONNECTIONS_MAX || pipeline < 1 ||
        pipeline > 1024 || seconds <= 0)
        fail("a number is out of range");
    for (int i = 0; i < nconns; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};

        conns[i].fd = dial(port);
        epoll_ctl(epoll, EPOLL_CTL_ADD, conns[i].fd, &event);
        write_commands(&conns[i]);
    }
    began = now();
    while (now() - began < seconds) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll, events, EVENTS, 100);

        for (int i = 0; i < n; i++)
            read_answers(events[i].data.ptr);
    }
    printf("commands=%llu seconds=%.3f\n", (unsigned long long)commands, now() - began);
    return 0;
}
