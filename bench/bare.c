/* bare - what the kernel alone asks for a datagram: a loop of recvmmsg, and with --echo of sendmmsg
 * of 52 bytes back to each sender, which is as long as an ack. Nothing is checked or kept. With
 * --by-time a socket that gave many is looked at again a ms later, as the conductor does, rather
 * than when the next datagram comes.
 *
 *     bare [--echo] [--by-time]
 *
 * Prints "port=N pid=N", then serves until SIGTERM or five minutes without a datagram. The load is
 * `muster bench beats --made-up`; its acks are the echoes, of which the kind alone is changed. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH    64
#define IN_MAX   2048
#define ACK      52
#define BUFFER   (128 << 20)
#define PATIENCE (5 * 60 * 1000) /* ms */
#define MANY     8               /* datagrams */

static struct mmsghdr in[BATCH], out[BATCH];
static struct iovec in_iov[BATCH], out_iov[BATCH];
static struct sockaddr_in peers[BATCH];
static uint8_t data[BATCH][IN_MAX];

static int open_socket(void)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = BUFFER;
    socklen_t len = sizeof(sin);

    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ||
        getsockname(fd, (struct sockaddr *)&sin, &len))
        return -1;
    printf("port=%d pid=%d\n", ntohs(sin.sin_port), (int)getpid());
    fflush(stdout);
    return fd;
}

static void send_back(int fd, int n)
{
    for (int i = 0; i < n; i++) {
        data[i][3] = 2; /* an ack, of status 0 */
        data[i][24] = 0;
        out[i].msg_hdr.msg_namelen = in[i].msg_hdr.msg_namelen;
    }
    for (int sent = 0, rv; sent<n; sent += rv> 0 ? rv : 1)
        rv = sendmmsg(fd, out + sent, (unsigned)(n - sent), MSG_DONTWAIT);
}

/* All that is there; returns how many. */
static int read_all(int fd, bool echo)
{
    int n = BATCH, count = 0;

    while (n == BATCH) {
        for (int i = 0; i < BATCH; i++)
            in[i].msg_hdr.msg_namelen = sizeof(peers[i]);
        n = recvmmsg(fd, in, BATCH, MSG_DONTWAIT, NULL);
        if (echo && n > 0)
            send_back(fd, n);
        count += n > 0 ? n : 0;
    }
    return count;
}

static bool has_option(int argc, char **argv, const char *option)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], option) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    bool echo = has_option(argc, argv, "--echo"), by_time = has_option(argc, argv, "--by-time");
    const struct timespec pause = {.tv_nsec = 1000000};
    struct pollfd fd = {.events = POLLIN};

    for (int i = 0; i < BATCH; i++) {
        in_iov[i] = (struct iovec){data[i], IN_MAX};
        out_iov[i] = (struct iovec){data[i], ACK};
        in[i].msg_hdr =
            (struct msghdr){.msg_name = &peers[i], .msg_iov = &in_iov[i], .msg_iovlen = 1};
        out[i].msg_hdr =
            (struct msghdr){.msg_name = &peers[i], .msg_iov = &out_iov[i], .msg_iovlen = 1};
    }
    fd.fd = open_socket();
    if (fd.fd < 0) {
        fprintf(stderr, "bare: no socket: %s\n", strerror(errno));
        return 1;
    }
    while (poll(&fd, 1, PATIENCE) > 0)
        while (read_all(fd.fd, echo) >= MANY && by_time)
            nanosleep(&pause, NULL);
    return 0;
}
