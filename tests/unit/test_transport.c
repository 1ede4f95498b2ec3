/* Real sockets on loopback: clients are plain sockets of this thread, the loop turns only while a
 * test awaits something. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "lib/faults.h"
#include "lib/test.h"
#include "loop/socket.h"
#include "transport/peers.h"
#include "transport/transport.h"
#include "wire/frame.h"

#define PATIENCE (30 * MU_SEC)

struct world {
    uv_loop_t loop;
    uv_timer_t tick; /* so that a turn of the loop ends while nothing happens */
    struct mu_transport *t;
    int port;
    char dir[64];
    char path[80]; /* of the Unix socket, when there is one */

    /* What the sink saw. */
    unsigned opened, frames, closed, by_peer, datagrams;
    uint64_t conn; /* of the last frame */
    uint8_t *last; /* the last frame */
    size_t last_n, largest;
    struct {
        size_t n;
        uint8_t first;
    } came[256];    /* the first datagrams */
    unsigned soon;  /* how many were told of ahead */
    int flood;      /* > 0: for each datagram another is sent on this, so that never none waits */
    char order[64]; /* D datagram, F frame, C closed by the peer, c by us */
    bool echo;      /* frames and datagrams are sent back */
    int frame_rv;   /* what frame() returns, after a frame "bye" was sent */
    unsigned big;   /* so many frames of 64 KiB are sent for each that comes */
    mu_dur slow;    /* so long a frame takes */
    int again[20];  /* > 0: for a frame with this number another is sent on it */
    unsigned quiet; /* frames "quiet" that came */
    uint64_t quiet_conn;
    bool gone;
};

static void note(struct world *w, char what)
{
    size_t n = strlen(w->order);

    if (n + 1 < sizeof(w->order))
        w->order[n] = what;
}

static void write_frame(int fd, const void *body, size_t n)
{
    uint8_t head[MU_FRAME_HEAD];

    mu_frame_head(head, n);
    assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
    assert_int_equal(write(fd, body, n), (ssize_t)n);
}

static size_t on_datagram(void *ctx, const uint8_t *in, size_t n, uint64_t from, mu_time now,
                          uint8_t *out)
{
    struct world *w = ctx;

    (void)now;
    assert_true(from != 0);
    if (w->datagrams < MU_ARRAY_LEN(w->came)) {
        w->came[w->datagrams].n = n;
        w->came[w->datagrams].first = n ? in[0] : 0;
    }
    w->datagrams++;
    if (w->flood > 0 && n == 5)
        (void)send(w->flood, in, n, 0);
    else
        note(w, 'D');
    if (!w->echo)
        return 0;
    memcpy(out, in, n);
    return n;
}

/* What is told of ahead has the number of its turn in its first byte. */
static void on_soon(void *ctx, const uint8_t *in, size_t n)
{
    struct world *w = ctx;

    if (n == 0)
        return; /* nothing comes that is known */
    assert_int_equal(n, 20);
    assert_int_equal(in[0], w->soon % 256);
    w->soon++;
}

static int on_opened(void *ctx, uint64_t conn, const char *peer, mu_time now)
{
    struct world *w = ctx;

    (void)now;
    assert_true(conn != 0);
    assert_true(strncmp(peer, "127.0.0.1:", 10) == 0 || strncmp(peer, "unix pid ", 9) == 0 ||
                strcmp(peer, "gone") == 0);
    w->opened++;
    return 0;
}

static int on_frame(void *ctx, uint64_t conn, const uint8_t *frame, size_t n, mu_time now)
{
    struct world *w = ctx;
    static uint8_t big[64 * 1024];

    w->frames++;
    w->conn = conn;
    note(w, 'F');
    w->last = realloc(w->last, n + 1);
    memcpy(w->last, frame, n);
    w->last_n = n;
    w->largest = n > w->largest ? n : w->largest;
    if (w->echo)
        mu_transport_send(w->t, conn, frame, n);
    for (unsigned i = 0; i < w->big; i++) {
        big[0] = (uint8_t)i;
        mu_transport_send(w->t, conn, big, sizeof(big));
    }
    if (n == 5 && memcmp(frame, "quiet", 5) == 0) {
        w->quiet++;
        w->quiet_conn = conn;
    }
    if (n == 1 && frame[0] < MU_ARRAY_LEN(w->again) && w->again[frame[0]] > 0)
        write_frame(w->again[frame[0]], frame, n);
    for (mu_time until = now + w->slow; w->slow && mu_clock_now() < until;)
        ; /* it works */
    if (w->frame_rv)
        mu_transport_send(w->t, conn, (const uint8_t *)"bye", 3);
    return w->frame_rv;
}

static void on_closed(void *ctx, uint64_t conn, bool by_peer, mu_time now)
{
    struct world *w = ctx;

    (void)conn;
    (void)now;
    w->closed++;
    w->by_peer += by_peer;
    note(w, by_peer ? 'C' : 'c');
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void turn(struct world *w)
{
    uv_run(&w->loop, UV_RUN_ONCE);
}

/* Turns the loop until @cond holds; fails after PATIENCE. */
#define AWAIT(w, cond)                                                                             \
    do {                                                                                           \
        mu_time until_ = mu_clock_now() + PATIENCE;                                                \
        while (!(cond)) {                                                                          \
            if (mu_clock_now() > until_)                                                           \
                fail_msg("waited in vain for: %s", #cond);                                         \
            turn(w);                                                                               \
        }                                                                                          \
    } while (0)

static struct mu_transport_stats stats_of(struct world *w)
{
    struct mu_transport_stats stats;

    mu_transport_stats(w->t, &stats);
    return stats;
}

/* Reads all that has arrived by now, and nothing else. */
static void catch_up(struct world *w)
{
    uint64_t mark = mu_transport_mark(w->t);
    mu_time until = mu_clock_now() + PATIENCE;

    while (!mu_transport_passed(w->t, mark))
        assert_true(mu_clock_now() < until);
}

static void listen_on(struct world *w, const char *text)
{
    struct mu_addr addr;
    struct mu_err err = {0};
    int port;

    assert_int_equal(mu_addr_parse(&addr, text, &err), 0);
    if (mu_transport_listen(w->t, &addr, &port, &err))
        fail_msg("%s", err.text);
    if (text[0] != '/')
        w->port = port;
}

static void begin_into(struct world *w, struct mu_transport_config config,
                       const struct mu_transport_sink *sink)
{
    if (config.max_streams == 0)
        config.max_streams = 100;
    assert_int_equal(uv_loop_init(&w->loop), 0);
    uv_timer_init(&w->loop, &w->tick);
    uv_timer_start(&w->tick, on_tick, 5, 5);
    assert_int_equal(mu_transport_new(&w->t, &w->loop, &config, sink), 0);
    snprintf(w->dir, sizeof(w->dir), "/tmp/muster-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/sock", w->dir);
}

static struct world *begin_with(struct mu_transport_config config)
{
    struct world *w = calloc(1, sizeof(*w));
    struct mu_transport_sink sink = {w, on_datagram, NULL, on_opened, on_frame, on_closed};

    begin_into(w, config, &sink);
    return w;
}

static struct world *begin(struct mu_transport_config config)
{
    struct world *w = begin_with(config);

    listen_on(w, "127.0.0.1:0");
    listen_on(w, w->path);
    return w;
}

static void on_gone(void *ctx)
{
    ((struct world *)ctx)->gone = true;
}

static void end(struct world *w)
{
    mu_transport_close(w->t, on_gone, w);
    AWAIT(w, w->gone);
    mu_transport_free(w->t);
    uv_close((uv_handle_t *)&w->tick, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    assert_int_equal(rmdir(w->dir), 0); /* empty: the socket's path is gone */
    free(w->last);
    free(w);
}

/* --- clients ------------------------------------------------------------------------------------
 */

static int dial_ip(struct world *w, int type, const char *ip)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, ip, &sa.sin_addr), 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

static int dial(struct world *w)
{
    return dial_ip(w, SOCK_STREAM, "127.0.0.1");
}

static int dial_unix(struct world *w)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", w->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

static int (*const dials[])(struct world *w) = {dial, dial_unix};

/* Reads @n bytes while the loop turns; returns how many came before the end. */
static size_t read_all(struct world *w, int fd, void *out, size_t n)
{
    size_t got = 0;
    mu_time until = mu_clock_now() + PATIENCE;

    while (got < n) {
        ssize_t r = recv(fd, (uint8_t *)out + got, n - got, MSG_DONTWAIT);
        if (r == 0)
            return got;
        if (r < 0)
            assert_true(errno == EAGAIN);
        else
            got += (size_t)r;
        assert_true(mu_clock_now() < until);
        turn(w);
    }
    return got;
}

static void expect_frame(struct world *w, int fd, const char *text)
{
    uint8_t bytes[64];
    size_t n = strlen(text);

    assert_int_equal(read_all(w, fd, bytes, MU_FRAME_HEAD + n), MU_FRAME_HEAD + n);
    assert_int_equal(bytes[3], n);
    assert_memory_equal(bytes + MU_FRAME_HEAD, text, n);
}

static void reset(int fd)
{
    struct linger hard = {1, 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
}

static bool at_end(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* --- datagrams ----------------------------------------------------------------------------------
 */

static void port_0_gives_streams_and_datagrams_one_port(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int tcp = dial(w), udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");

    (void)state;
    assert_int_equal(send(udp, "x", 1, 0), 1);
    write_frame(tcp, "y", 1);
    AWAIT(w, w->datagrams == 1 && w->frames == 1);
    close(tcp);
    close(udp);
    end(w);
}

static void answer_leaves_from_the_address_spoken_to(void **state)
{
    struct world *w = begin_with((struct mu_transport_config){0});
    char got[8];
    int udp;

    (void)state;
    w->echo = true;
    listen_on(w, "0.0.0.0:0");
    udp = dial_ip(w, SOCK_DGRAM, "127.0.0.2"); /* connected: takes nothing from another address */
    assert_int_equal(send(udp, "hello", 5, 0), 5);
    AWAIT(w, recv(udp, got, sizeof(got), MSG_DONTWAIT) == 5);
    close(udp);
    end(w);
}

static void answer_over_ipv6_leaves_from_the_address_spoken_to(void **state)
{
    struct world *w = begin_with((struct mu_transport_config){0});
    struct sockaddr_in6 sa = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int udp = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char got[8];

    (void)state;
    if (udp < 0) {
        end(w);
        skip(); /* a machine without IPv6 */
    }
    w->echo = true;
    listen_on(w, "[::]:0");
    sa.sin6_port = htons((uint16_t)w->port);
    assert_int_equal(connect(udp, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(send(udp, "hello", 5, 0), 5);
    AWAIT(w, recv(udp, got, sizeof(got), MSG_DONTWAIT) == 5);
    close(udp);
    end(w);
}

static void too_long_a_datagram_is_seen_to_be(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    static char bytes[9000];
    int udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");

    (void)state;
    w->echo = true;
    assert_int_equal(send(udp, bytes, sizeof(bytes), 0), sizeof(bytes));
    AWAIT(w, w->datagrams == 1);
    assert_int_equal(recv(udp, bytes, sizeof(bytes), 0), MU_DATAGRAM_MAX + 1);
    close(udp);
    end(w);
}

/* Sends @n bytes as datagrams of @each, joined as a relay's are. Each has its number, from @from
 * on, in its first byte. */
static void send_joined(int fd, size_t n, size_t each, uint8_t from)
{
    static uint8_t bytes[64 * 1024];
    uint16_t segment = (uint16_t)each;
    union {
        struct cmsghdr head;
        uint8_t room[CMSG_SPACE(sizeof(segment))];
    } control = {.head = {.cmsg_level = IPPROTO_UDP,
                          .cmsg_type = UDP_SEGMENT,
                          .cmsg_len = CMSG_LEN(sizeof(segment))}};
    struct iovec iov = {bytes, n};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};

    memcpy(CMSG_DATA(&control.head), &segment, sizeof(segment));
    for (size_t at = 0; at < n; at += each)
        bytes[at] = from++;
    assert_int_equal(sendmsg(fd, &msg, 0), n);
}

/* A socket to which the kernel gives what came joined as it came. */
static int dial_joined(struct world *w, const char *ip)
{
    int fd = dial_ip(w, SOCK_DGRAM, ip), one = 1;

    assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)), 0);
    return fd;
}

static void joined_datagrams_come_apart(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");

    (void)state;
    send_joined(udp, 20 * 56, 56, 0); /* none shorter */
    send_joined(udp, 10 * 100 + 37, 100, 20);
    assert_int_equal(send(udp, "", 0, 0), 0); /* a datagram too */
    send_joined(udp, 3 * 1, 1, 31);
    AWAIT(w, w->datagrams == 35);
    for (unsigned i = 0; i < 35; i++) {
        assert_int_equal(w->came[i].n, i < 20 ? 56 : i < 30 ? 100 : i == 30 ? 37 : i == 31 ? 0 : 1);
        assert_int_equal(w->came[i].first, i < 31 ? i : i == 31 ? 0 : i - 1);
    }
    close(udp);
    end(w);
}

static void too_long_ones_that_were_joined_are_cut_one_by_one(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");

    (void)state;
    send_joined(udp, 5 * 3000 + MU_DATAGRAM_MAX, 3000, 0);
    AWAIT(w, w->datagrams == 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(w->came[i].n, i < 5 ? MU_DATAGRAM_MAX + 1 : MU_DATAGRAM_MAX);
        assert_int_equal(w->came[i].first, i);
    }
    close(udp);
    end(w);
}

/* Reads answers until @n bytes came, which must be those of datagrams of @each, numbered from @from
 * on. Returns how many messages they came in. */
static unsigned expect_answers(struct world *w, int fd, size_t n, size_t each, uint8_t from)
{
    static uint8_t bytes[64 * 1024];
    unsigned messages = 0;
    mu_time until = mu_clock_now() + PATIENCE;

    for (size_t got = 0; got < n;) {
        ssize_t r = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        assert_true(mu_clock_now() < until);
        turn(w);
        if (r < 0)
            continue;
        assert_true(r > 0 && ((size_t)r % each == 0 || got + (size_t)r == n));
        for (size_t at = 0; at < (size_t)r; at += each)
            assert_int_equal(bytes[at], from++);
        got += (size_t)r;
        messages++;
    }
    return messages;
}

static void answers_to_a_flow_leave_joined_from_the_address_spoken_to(void **state)
{
    static const char *const ips[] = {"127.0.0.2", "127.0.0.3"};
    struct world *w = begin_with((struct mu_transport_config){0});
    int udp[2], lone;

    (void)state;
    w->echo = true;
    listen_on(w, "0.0.0.0:0");
    for (size_t i = 0; i < 2; i++)
        udp[i] = dial_joined(w, ips[i]); /* takes nothing from another address */
    lone = dial_joined(w, "127.0.0.1");
    send_joined(udp[0], 30 * 52, 52, 0);
    send_joined(udp[1], 20 * 60 + 9, 60, 100);
    assert_int_equal(send(lone, "hello", 5, 0), 5);
    send_joined(udp[0], 2 * 52, 52, 30);
    assert_int_equal(expect_answers(w, udp[0], 32 * 52, 52, 0), 2);
    assert_int_equal(expect_answers(w, udp[1], 20 * 60 + 9, 60, 100), 2); /* the odd one alone */
    assert_int_equal(expect_answers(w, lone, 5, 5, 'h'), 1);
    for (size_t i = 0; i < 2; i++)
        close(udp[i]);
    close(lone);
    end(w);
}

static void answers_to_one_sender_leave_joined_though_he_sent_apart(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int a = dial_joined(w, "127.0.0.1"), b = dial_joined(w, "127.0.0.1");
    uint8_t beat[52] = {0};

    (void)state;
    w->echo = true;
    for (; beat[0] < 20; beat[0]++)
        assert_int_equal(send(a, beat, sizeof(beat), 0), sizeof(beat));
    assert_int_equal(send(b, "other", 5, 0), 5);
    assert_int_equal(send(a, beat, sizeof(beat), 0), sizeof(beat));
    assert_int_equal(expect_answers(w, a, 21 * sizeof(beat), sizeof(beat), 0), 2);
    assert_int_equal(expect_answers(w, b, 5, 5, 'o'), 1);
    close(a);
    close(b);
    end(w);
}

static void more_answers_than_there_is_room_for_all_leave(void **state)
{
    struct world *w = begin((struct mu_transport_config){.receive_buffer = 4 << 20});
    int udp = dial_joined(w, "127.0.0.1");

    (void)state;
    w->echo = true;
    mu_socket_receive_buffer(udp, 4 << 20);
    for (int i = 0; i < 10; i++)
        send_joined(udp, 50 * 1200, 1200, (uint8_t)(i * 50));
    expect_answers(w, udp, 500 * 1200, 1200, 0);
    assert_int_equal(w->datagrams, 500);
    close(udp);
    end(w);
}

/* Without checksums the kernel joins nothing on its way out. */
static void where_the_kernel_refuses_runs_answers_leave_one_by_one(void **state)
{
    struct world *w = begin_with((struct mu_transport_config){0});
    int stream, datagram, udp, one = 1;
    struct mu_addr addr;
    struct mu_err err;

    (void)state;
    w->echo = true;
    assert_int_equal(mu_addr_parse(&addr, "127.0.0.1:0", &err), 0);
    assert_int_equal(mu_socket_pair(&addr, 0, &stream, &datagram, &w->port, &err), 0);
    assert_int_equal(setsockopt(datagram, SOL_SOCKET, SO_NO_CHECK, &one, sizeof(one)), 0);
    assert_int_equal(mu_transport_adopt(w->t, datagram, &err), 0);
    udp = dial_joined(w, "127.0.0.1");
    for (uint8_t i = 0; i < 2; i++) { /* what was refused once is not tried again */
        send_joined(udp, 20 * 52, 52, 0);
        assert_int_equal(expect_answers(w, udp, 20 * 52, 52, 0), 20);
    }
    close(stream);
    close(udp);
    end(w);
}

/* Many at once are read by time, and then poll must tell of one again. */
static void one_is_read_after_many(void **state)
{
    struct world *w = begin((struct mu_transport_config){.receive_buffer = 4 << 20});
    uint8_t beat[20] = {0};
    unsigned sent = 0;
    int udp;

    (void)state;
    listen_on(w, "127.0.0.1:0");
    udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < (round % 2 ? 1 : 100); i++, sent++)
            assert_int_equal(send(udp, beat, sizeof(beat), 0), sizeof(beat));
        AWAIT(w, w->datagrams == sent);
    }
    close(udp);
    end(w);
}

static size_t on_datagram_told_of(void *ctx, const uint8_t *in, size_t n, uint64_t from,
                                  mu_time now, uint8_t *out)
{
    struct world *w = ctx;

    assert_true(w->soon > w->datagrams);
    assert_int_equal(in[0], w->datagrams % 256);
    return on_datagram(ctx, in, n, from, now, out);
}

static void each_datagram_is_told_of_ahead_and_in_order(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct mu_transport_sink sink = {w,        on_datagram_told_of, on_soon, on_opened, on_frame,
                                     on_closed};
    int udp;
    uint8_t beat[20] = {0};

    (void)state;
    begin_into(w, (struct mu_transport_config){.receive_buffer = 4 << 20}, &sink);
    listen_on(w, "127.0.0.1:0");
    udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");
    for (unsigned i = 0; i < 300; i++) { /* batches of both kinds */
        send_joined(udp, 3 * sizeof(beat), sizeof(beat), (uint8_t)(4 * i));
        beat[0] = (uint8_t)(4 * i + 3);
        assert_int_equal(send(udp, beat, sizeof(beat), 0), sizeof(beat));
    }
    AWAIT(w, w->datagrams == 1200);
    assert_int_equal(w->soon, w->datagrams);
    close(udp);
    end(w);
}

static void each_datagram_is_read_or_counted_as_dropped(void **state)
{
    struct world *w = begin((struct mu_transport_config){.receive_buffer = 8192});
    int udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");

    (void)state;
    for (int i = 0; i < 500; i++)
        assert_int_equal(send(udp, "beat", 4, 0), 4);
    assert_int_equal(w->datagrams, 0);
    catch_up(w);
    assert_true(w->datagrams > 0);
    assert_true(stats_of(w).drops > 0);
    assert_int_equal(w->datagrams + stats_of(w).drops, 500);
    assert_true(stats_of(w).receive_buffer >= 8192);
    close(udp);
    end(w);
}

static void all_that_had_arrived_is_read_before_its_mark_is_passed(void **state)
{
    struct world *w = begin((struct mu_transport_config){.receive_buffer = 4 << 20});
    int udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(send(udp, "beat", 4, 0), 4);
    catch_up(w);
    assert_int_equal(w->datagrams, 1000);
    close(udp);
    end(w);
}

static void a_turn_of_the_loop_reads_a_bounded_number(void **state)
{
    struct world *w = begin((struct mu_transport_config){.receive_buffer = 4 << 20});
    int udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");

    (void)state;
    for (int i = 0; i < 2000; i++)
        assert_int_equal(send(udp, "beat", 4, 0), 4);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_in_range(w->datagrams, 1, 1999);
    AWAIT(w, w->datagrams == 2000);
    close(udp);
    end(w);
}

/* On a busy machine what is sent waits in a short queue of the processor's before it is in a
 * socket. What comes back to its sender had the others before it. */
static void await_delivery(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval again = {.tv_usec = 50000};
    mu_time until = mu_clock_now() + PATIENCE;
    socklen_t len = sizeof(sa);
    char c;

    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &again, sizeof(again)), 0);
    do { /* where the queue is full it is lost */
        assert_true(mu_clock_now() < until);
        assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
    } while (recv(fd, &c, 1, 0) != 1);
    close(fd);
}

static struct world *begin_flood(void)
{
    struct world *w = begin((struct mu_transport_config){.receive_buffer = 8 << 20});

    w->flood = dial_ip(w, SOCK_DGRAM, "127.0.0.1");
    for (int i = 0; i < 8000; i++) {
        assert_int_equal(send(w->flood, "flood", 5, 0), 5);
        if (i % 500 == 0)
            await_delivery();
    }
    await_delivery();
    return w;
}

static void end_flood(struct world *w)
{
    close(w->flood);
    w->flood = -1;
    end(w);
}

static void marks_are_passed_however_fast_more_arrives(void **state)
{
    struct world *w = begin_flood();
    uint64_t first = mu_transport_mark(w->t), second = 0;
    unsigned before = 0, steps = 0;

    (void)state;
    for (; !mu_transport_passed(w->t, first); steps++) {
        assert_in_range(w->datagrams - before, 1, 1000); /* a step is bounded */
        before = w->datagrams;
        if (!second)
            second = mu_transport_mark(w->t);
        assert_in_range(mu_transport_mark(w->t), second, second); /* all who ask now get one */
        assert_true(steps < 100);
    }
    assert_in_range(w->datagrams, 8000, 24000);
    before = w->datagrams;
    for (steps = 0; !mu_transport_passed(w->t, second); steps++)
        assert_true(steps < 100);
    assert_true(w->datagrams > before); /* more had come by the time it was asked for */
    assert_true(mu_transport_mark(w->t) > second);
    end_flood(w);
}

static void in_a_flood_an_end_is_told_after_its_datagrams(void **state)
{
    struct world *w = begin_flood();
    int a = dial(w), b = dial(w), last = dial_ip(w, SOCK_DGRAM, "127.0.0.1");
    const char *told;

    (void)state;
    w->echo = true;
    write_frame(a, "a", 1);
    expect_frame(w, a, "a");
    write_frame(b, "b", 1);
    expect_frame(w, b, "b");
    memset(w->order, 0, sizeof(w->order));
    await_delivery();
    assert_int_equal(send(last, "last beat", 9, 0), 9);
    await_delivery();
    close(a);
    while (w->closed == 0) { /* each of these takes a few turns of the loop */
        write_frame(b, "c", 1);
        expect_frame(w, b, "c");
    }
    assert_int_equal(w->by_peer, 1);
    told = strchr(w->order, 'C');
    assert_non_null(strchr(w->order, 'D'));
    assert_true(strchr(w->order, 'D') < told);
    AWAIT(w, stats_of(w).streams == 1);
    close(last);
    close(b);
    end_flood(w);
}

/* --- frames -------------------------------------------------------------------------------------
 */

static void frame_may_arrive_byte_by_byte(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    static const uint8_t bytes[] = {0, 0, 0, 3, 'a', 'b', 'c'};

    (void)state;
    for (size_t k = 0; k < MU_ARRAY_LEN(dials); k++) {
        int fd = dials[k](w);
        for (size_t i = 0; i < sizeof(bytes); i++) {
            assert_int_equal(w->frames, k);
            assert_int_equal(write(fd, bytes + i, 1), 1);
            turn(w);
            turn(w);
        }
        AWAIT(w, w->frames == k + 1);
        assert_int_equal(w->last_n, 3);
        assert_memory_equal(w->last, "abc", 3);
        close(fd);
    }
    end(w);
}

static void largest_frame_comes_and_goes_whole(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    uint8_t *body = malloc(MU_FRAME_MAX), *back = malloc(MU_FRAME_HEAD + MU_FRAME_MAX);
    uint8_t head[MU_FRAME_HEAD];

    (void)state;
    w->echo = true;
    for (size_t i = 0; i < MU_FRAME_MAX; i++)
        body[i] = (uint8_t)(i * 7);
    mu_frame_head(head, MU_FRAME_MAX);
    for (size_t k = 0; k < MU_ARRAY_LEN(dials); k++) {
        int fd = dials[k](w);
        size_t sent = 0;
        assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
        while (sent < MU_FRAME_MAX) {
            ssize_t n = send(fd, body + sent, MU_FRAME_MAX - sent, MSG_DONTWAIT);
            sent += n > 0 ? (size_t)n : 0;
            turn(w);
        }
        assert_int_equal(read_all(w, fd, back, MU_FRAME_HEAD + MU_FRAME_MAX),
                         MU_FRAME_HEAD + MU_FRAME_MAX);
        assert_memory_equal(back + MU_FRAME_HEAD, body, MU_FRAME_MAX);
        close(fd);
    }
    free(body);
    free(back);
    end(w);
}

/* Silence is judged in the same turn: a beat must not hide behind reports that fill a read. */
static void what_came_behind_large_frames_is_read_with_them(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    enum { FULL = 64 << 10, FIRST = 40000, SECOND = FULL - FIRST - 2 * MU_FRAME_HEAD };
    static uint8_t report[FULL];
    int fd = dial_unix(w);

    (void)state;
    write_frame(fd, "a", 1);
    AWAIT(w, w->frames == 1);
    write_frame(fd, report, FIRST);
    write_frame(fd, report, SECOND);
    write_frame(fd, "beat", 4);
    AWAIT(w, w->frames > 1);
    assert_int_equal(w->frames, 4);
    close(fd);
    end(w);
}

static void a_turn_of_the_loop_reads_streams_for_a_bounded_time(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int fds[40];

    (void)state;
    for (size_t i = 0; i < MU_ARRAY_LEN(fds); i++)
        fds[i] = dial_unix(w);
    AWAIT(w, stats_of(w).accepted == MU_ARRAY_LEN(fds));
    w->slow = MU_MS;
    for (size_t i = 0; i < MU_ARRAY_LEN(fds); i++)
        write_frame(fds[i], "frame", 5);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_in_range(w->frames, 1, 11); /* 10 ms, and the one that goes beyond it */
    for (unsigned before = w->frames; w->frames < MU_ARRAY_LEN(fds); before = w->frames) {
        turn(w);
        assert_in_range(w->frames - before, 1, 11);
    }
    for (size_t i = 0; i < MU_ARRAY_LEN(fds); i++)
        close(fds[i]);
    end(w);
}

/* Twenty that send on end, of whose frames each takes @slow. */
static struct world *begin_streams(mu_dur slow, mu_dur silent_for)
{
    struct world *w = begin((struct mu_transport_config){.silent_for = silent_for});

    w->slow = slow;
    for (size_t i = 0; i < MU_ARRAY_LEN(w->again); i++) {
        w->again[i] = dial_unix(w);
        write_frame(w->again[i], &(uint8_t){(uint8_t)i}, 1);
    }
    AWAIT(w, w->frames > 5 * MU_ARRAY_LEN(w->again));
    return w;
}

static void end_streams(struct world *w)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(w->again); i++) {
        close(w->again[i]);
        w->again[i] = 0;
    }
    end(w);
}

static void streams_that_send_on_end_leave_others_their_turn(void **state)
{
    struct world *w = begin_streams(MU_MS, 0);
    unsigned turns = 0;
    uint64_t mark;
    int quiet = dial_unix(w);

    (void)state;
    write_frame(quiet, "quiet", 5);
    AWAIT(w, stats_of(w).accepted == MU_ARRAY_LEN(w->again) + 1);
    mark = mu_transport_mark(w->t);
    do {
        turn(w);
        assert_true(turns++ < 100);
    } while (!mu_transport_passed(w->t, mark));
    assert_int_equal(w->quiet, 1);
    close(quiet);
    end_streams(w);
}

/* A mark waits for one piece of it; that there is more is told. */
static void what_lies_unread_in_a_stream_is_told(void **state)
{
    struct world *w = begin_streams(MU_MS, 0);
    static uint8_t large[64 << 10];
    int fd = dial_unix(w);
    uint64_t conn, mark;

    (void)state;
    write_frame(fd, "quiet", 5);
    AWAIT(w, w->quiet == 1);
    conn = w->quiet_conn;
    AWAIT(w, !mu_transport_unread(w->t, conn));
    write_frame(fd, large, sizeof(large));
    AWAIT(w, mu_transport_unread(w->t, conn));
    mark = mu_transport_mark(w->t);
    do
        turn(w);
    while (!mu_transport_passed(w->t, mark));
    assert_int_not_equal(w->largest, sizeof(large));
    assert_true(mu_transport_unread(w->t, conn));
    AWAIT(w, w->largest == sizeof(large));
    AWAIT(w, !mu_transport_unread(w->t, conn));
    close(fd);
    end_streams(w);
}

/* In small pieces his frame takes longer than he may be silent. */
static void who_waits_to_be_read_is_not_silent(void **state)
{
    struct world *w = begin_streams(5 * MU_MS, 200 * MU_MS);
    static uint8_t large[64 << 10];
    int fd = dial_unix(w);

    (void)state;
    write_frame(fd, large, sizeof(large));
    AWAIT(w, w->largest == sizeof(large) || stats_of(w).silent);
    assert_int_equal(stats_of(w).silent, 0);
    close(fd);
    end_streams(w);
}

static void answers_to_what_came_together_leave_together(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    static uint8_t bytes[100][MU_FRAME_HEAD + 60], back[sizeof(bytes)];
    uint32_t info[40] = {0}; /* as in linux/tcp.h, which knows more than netinet/tcp.h */
    socklen_t len = sizeof(info);
    int fd = dial(w);

    (void)state;
    w->echo = true;
    for (uint8_t i = 0; i < 100; i++) {
        mu_frame_head(bytes[i], 60);
        bytes[i][MU_FRAME_HEAD] = i;
    }
    assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(read_all(w, fd, back, sizeof(back)), sizeof(back));
    assert_memory_equal(back, bytes, sizeof(back));
    assert_int_equal(w->frames, 100);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len), 0);
    assert_int_equal(len, sizeof(info));
    assert_int_equal(info[38], 1); /* tcpi_data_segs_in */
    close(fd);
    end(w);
}

/* More than is gathered at once, and more than the socket takes. */
static void many_answers_come_whole_and_in_order(void **state)
{
    struct world *w = begin((struct mu_transport_config){.send_queue_max = 32 << 20});
    enum { FRAMES = 2000, EACH = 3000 };
    size_t n = (size_t)FRAMES * (MU_FRAME_HEAD + EACH), sent = 0, got = 0;
    uint8_t *bytes = malloc(n), *back = malloc(n);

    (void)state;
    w->echo = true;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(i * 31 + i / 4096);
    for (size_t i = 0; i < FRAMES; i++)
        mu_frame_head(bytes + i * (MU_FRAME_HEAD + EACH), EACH);
    for (size_t k = 0; k < MU_ARRAY_LEN(dials); k++) {
        int fd = dials[k](w);
        for (sent = 0; sent < n;) { /* he does not read meanwhile */
            ssize_t r = send(fd, bytes + sent, n - sent, MSG_DONTWAIT);
            sent += r > 0 ? (size_t)r : 0;
            turn(w);
        }
        AWAIT(w, w->frames == (k + 1) * FRAMES);
        got = read_all(w, fd, back, n);
        assert_int_equal(got, n);
        assert_memory_equal(back, bytes, n);
        close(fd);
    }
    free(bytes);
    free(back);
    end(w);
}

static void frame_over_the_limit_ends_its_stream_alone(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    static const uint8_t claim[] = {0, 2, 0, 1, 'x'}; /* 128 KiB + 1 */
    int good = dial(w), bad = dial(w);

    (void)state;
    write_frame(good, "a", 1);
    write_frame(bad, "b", 1);
    AWAIT(w, w->frames == 2);
    assert_int_equal(write(bad, claim, sizeof(claim)), sizeof(claim));
    AWAIT(w, at_end(bad));
    close(bad);
    AWAIT(w, w->closed == 1);
    assert_int_equal(w->by_peer, 0);
    write_frame(good, "c", 1);
    AWAIT(w, w->frames == 3);
    close(good);
    end(w);
}

/* --- ends ---------------------------------------------------------------------------------------
 */

static void fin_and_rst_are_the_peers_doing(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int fin = dial(w), rst = dial(w), local = dial_unix(w);

    (void)state;
    write_frame(fin, "a", 1);
    write_frame(rst, "b", 1);
    write_frame(local, "c", 1);
    AWAIT(w, w->frames == 3);
    close(fin);
    AWAIT(w, w->closed == 1);
    reset(rst);
    AWAIT(w, w->closed == 2);
    close(local);
    AWAIT(w, w->closed == 3);
    assert_int_equal(w->by_peer, 3);
    AWAIT(w, stats_of(w).streams == 0);
    end(w);
}

static void our_close_is_not_the_peers_doing(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int fd = dial(w);

    (void)state;
    write_frame(fd, "a", 1);
    AWAIT(w, w->frames == 1);
    mu_transport_close_stream(w->t, w->conn);
    assert_int_equal(w->closed, 0); /* not from within the call */
    mu_transport_send(w->t, w->conn, (const uint8_t *)"late", 4);
    AWAIT(w, at_end(fd));
    close(fd);
    AWAIT(w, w->closed == 1);
    assert_int_equal(w->by_peer, 0);
    end(w);
}

static void peer_who_does_not_close_after_us_is_closed_in_2_s(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int fd = dial(w);
    mu_time then;

    (void)state;
    write_frame(fd, "a", 1);
    AWAIT(w, w->frames == 1);
    then = mu_clock_now();
    mu_transport_close_stream(w->t, w->conn);
    AWAIT(w, w->closed == 1);
    assert_true(mu_clock_now() - then >= 2 * MU_SEC);
    assert_int_equal(w->by_peer, 0);
    close(fd);
    end(w);
}

static void last_words_reach_a_peer_who_sent_more_than_was_read(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    static uint8_t rest[100 * 1024];
    int fd = dial(w);

    (void)state;
    w->frame_rv = MU_EPROTO;
    write_frame(fd, "a", 1);
    write_frame(fd, rest, sizeof(rest));
    expect_frame(w, fd, "bye");
    AWAIT(w, at_end(fd));
    assert_int_equal(w->frames, 1);
    close(fd);
    AWAIT(w, w->closed == 1);
    end(w);
}

static void length_that_no_frame_has_is_told_of_and_ends_the_stream(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int fd = dial(w);

    (void)state;
    w->frame_rv = MU_EPROTO;
    assert_int_equal(send(fd, "GET / HTTP/1.1", 14, 0), 14);
    expect_frame(w, fd, "bye");
    AWAIT(w, at_end(fd));
    assert_int_equal(w->frames, 1);
    assert_int_equal(w->last_n, 0);
    close(fd);
    AWAIT(w, w->closed == 1);
    end(w);
}

static void peer_who_closed_his_half_gets_what_is_queued(void **state)
{
    struct world *w = begin((struct mu_transport_config){.send_queue_max = 8 << 20});
    size_t n = 60 * (MU_FRAME_HEAD + 64 * 1024);
    uint8_t *back = malloc(n);
    int fd = dial(w);

    (void)state;
    w->big = 60;
    write_frame(fd, "a", 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    AWAIT(w, w->by_peer == 1);
    assert_int_equal(read_all(w, fd, back, n), n);
    AWAIT(w, at_end(fd));
    assert_int_equal(w->closed, 1);
    free(back);
    close(fd);
    end(w);
}

static void datagrams_are_read_before_an_end_is_told(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    int udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");

    (void)state;
    for (int i = 0; i < 5; i++) {
        int fd = dial(w);
        write_frame(fd, "a", 1);
        AWAIT(w, w->frames == (unsigned)i + 1);
        memset(w->order, 0, sizeof(w->order));
        close(fd);
        assert_int_equal(send(udp, "beat", 4, 0), 4);
        AWAIT(w, w->closed == (unsigned)i + 1);
        assert_string_equal(w->order, "DC");
    }
    close(udp);
    end(w);
}

/* --- bounds -------------------------------------------------------------------------------------
 */

static void who_says_nothing_is_closed_and_never_told(void **state)
{
    struct world *w = begin((struct mu_transport_config){.silent_for = 200 * MU_MS});
    int silent = dial(w), good = dial(w), cut = dial(w);

    (void)state;
    write_frame(good, "a", 1);
    assert_int_equal(write(cut, "\0\0\0\5ab", 6), 6);
    AWAIT(w, at_end(silent) && at_end(cut));
    assert_int_equal(stats_of(w).silent, 2);
    assert_int_equal(w->opened, 1);
    assert_int_equal(w->closed, 0);
    assert_int_equal(stats_of(w).streams, 1);
    write_frame(good, "b", 1); /* silent ever since, but it owed us nothing */
    AWAIT(w, w->frames == 2);
    close(silent);
    close(good);
    close(cut);
    end(w);
}

static void cut_frame_of_an_old_stream_must_be_finished_in_time(void **state)
{
    struct world *w = begin((struct mu_transport_config){.silent_for = 200 * MU_MS});
    int fd = dial(w);

    (void)state;
    write_frame(fd, "a", 1);
    assert_int_equal(write(fd, "\0\0\0\5ab", 6), 6);
    AWAIT(w, at_end(fd));
    assert_int_equal(w->frames, 1);
    assert_int_equal(w->closed, 1);
    assert_int_equal(w->by_peer, 0);
    close(fd);
    end(w);
}

static void flood_of_silent_ones_keeps_nobody_out(void **state)
{
    struct world *w = begin((struct mu_transport_config){.max_streams = 16});
    int flood[300], first = dial(w), last;

    (void)state;
    w->echo = true;
    write_frame(first, "first", 5);
    expect_frame(w, first, "first");
    for (size_t i = 0; i < MU_ARRAY_LEN(flood); i++) {
        flood[i] = dial(w);
        AWAIT(w, stats_of(w).accepted == i + 2); /* one a turn: each is read, however slow we are */
    }
    last = dial(w);
    write_frame(last, "last", 4);
    expect_frame(w, last, "last");
    write_frame(first, "again", 5);
    expect_frame(w, first, "again");
    assert_int_equal(stats_of(w).silent, 300 - 14); /* 16 places, two of them in good hands */
    assert_int_equal(stats_of(w).refused, 0);
    for (size_t i = 0; i < MU_ARRAY_LEN(flood); i++)
        close(flood[i]);
    close(first);
    close(last);
    end(w);
}

static void no_more_speaking_streams_than_allowed(void **state)
{
    struct world *w = begin((struct mu_transport_config){.max_streams = 2});
    int a = dial(w), b = dial(w), c;

    (void)state;
    write_frame(a, "a", 1);
    write_frame(b, "b", 1);
    AWAIT(w, w->frames == 2);
    c = dial(w);
    AWAIT(w, at_end(c));
    assert_int_equal(stats_of(w).refused, 1);
    assert_int_equal(stats_of(w).streams, 2);
    close(a);
    AWAIT(w, w->closed == 1);
    close(c);
    c = dial(w);
    write_frame(c, "c", 1);
    AWAIT(w, w->frames == 3);
    close(b);
    close(c);
    end(w);
}

static void who_does_not_read_is_closed(void **state)
{
    struct world *w = begin((struct mu_transport_config){.send_queue_max = 128 * 1024});
    int fd = dial(w);

    (void)state;
    w->big = 200; /* 12.8 MB: more than any socket's buffer */
    write_frame(fd, "a", 1);
    AWAIT(w, w->closed == 1);
    assert_int_equal(w->by_peer, 0);
    assert_int_equal(stats_of(w).overflowed, 1);
    close(fd);
    end(w);
}

/* Answers that were gathered are over the bound like others. */
static void who_asks_on_and_does_not_read_is_closed(void **state)
{
    struct world *w = begin((struct mu_transport_config){.send_queue_max = 1000});
    enum { FRAMES = 60, EACH = 996, TIMES = 100 };
    static uint8_t bytes[FRAMES * (MU_FRAME_HEAD + EACH)];
    int fd = dial_unix(w);

    (void)state;
    w->echo = true;
    for (size_t i = 0; i < FRAMES; i++)
        mu_frame_head(bytes + i * (MU_FRAME_HEAD + EACH), EACH);
    for (unsigned i = 1; i <= TIMES && stats_of(w).overflowed == 0; i++) {
        assert_int_equal(send(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
        AWAIT(w, w->frames == i * FRAMES || stats_of(w).overflowed > 0);
    }
    AWAIT(w, w->closed == 1);
    assert_int_equal(w->by_peer, 0);
    assert_int_equal(stats_of(w).overflowed, 1);
    close(fd);
    end(w);
}

/* Where all together hold too much the one pays that holds most of it, not who comes last. */
static void the_greediest_is_closed_for_all(void **state)
{
    struct world *w = begin((struct mu_transport_config){.send_queue_max = 64 << 20});
    enum { EACH = 64 << 10, MANY = 300, FEW = 24 };
    static uint8_t got[FEW * (MU_FRAME_HEAD + EACH)];
    int greedy = dial_unix(w), others[64];
    unsigned n = 0;

    (void)state;
    w->big = MANY;
    write_frame(greedy, "a", 1);
    AWAIT(w, w->frames == 1);
    w->big = FEW;
    while (stats_of(w).overflowed == 0 && n < MU_ARRAY_LEN(others)) {
        others[n] = dial_unix(w);
        write_frame(others[n++], "a", 1);
        AWAIT(w, w->frames == 1 + n);
    }
    AWAIT(w, w->closed == 1);
    assert_int_equal(stats_of(w).overflowed, 1);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(read_all(w, others[i], got, sizeof(got)), sizeof(got));
        close(others[i]);
    }
    close(greedy);
    end(w);
}

static void without_descriptors_callers_are_turned_away(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    struct rlimit old, low = {128, 0};
    int held[128], n = 0, good = dial(w), caller;

    (void)state;
    write_frame(good, "a", 1);
    AWAIT(w, w->frames == 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    caller = dial(w);
    while (n < 128 && (held[n] = dup(caller)) >= 0)
        n++;
    AWAIT(w, at_end(caller));
    assert_int_equal(stats_of(w).refused, 1);
    write_frame(good, "b", 1);
    AWAIT(w, w->frames == 2);
    while (n > 0)
        close(held[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    close(caller);
    caller = dial(w);
    write_frame(caller, "c", 1);
    AWAIT(w, w->frames == 3);
    close(caller);
    close(good);
    end(w);
}

static void one_address_may_have_so_many_and_loopback_any(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET}, b = a, home = a;
    struct mu_peers *peers;
    uint32_t id[3], other;

    (void)state;
    inet_pton(AF_INET, "192.0.2.1", &a.sin_addr);
    inet_pton(AF_INET, "192.0.2.2", &b.sin_addr);
    inet_pton(AF_INET, "127.0.0.9", &home.sin_addr);
    assert_int_equal(mu_peers_new(&peers, 2), 0);
    assert_int_equal(mu_peers_take(peers, (struct sockaddr *)&a, &id[0]), 0);
    assert_int_equal(mu_peers_take(peers, (struct sockaddr *)&a, &id[1]), 0);
    assert_int_equal(mu_peers_take(peers, (struct sockaddr *)&a, &id[2]), MU_EFULL);
    assert_int_equal(mu_peers_take(peers, (struct sockaddr *)&b, &other), 0);
    mu_peers_drop(peers, id[0]);
    assert_int_equal(mu_peers_take(peers, (struct sockaddr *)&a, &id[0]), 0);
    mu_peers_drop(peers, id[0]);
    mu_peers_drop(peers, id[1]);
    mu_peers_drop(peers, other);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(mu_peers_take(peers, (struct sockaddr *)&home, &other), 0);
        assert_int_equal(other, MU_PEER_NONE);
    }
    mu_peers_free(peers);
}

/* --- doors --------------------------------------------------------------------------------------
 */

static void stale_unix_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct world *w = begin_with((struct mu_transport_config){0});
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), port, fd;
    struct mu_addr addr;
    struct mu_err err;

    (void)state;
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", w->path);
    assert_int_equal(bind(stale, (struct sockaddr *)&sa, sizeof(sa)), 0);
    close(stale);
    listen_on(w, w->path);
    assert_int_equal(mu_addr_parse(&addr, w->path, &err), 0);
    assert_int_equal(mu_transport_listen(w->t, &addr, &port, &err), MU_ELOCKED);
    fd = dial_unix(w);
    write_frame(fd, "a", 1);
    AWAIT(w, w->frames == 1);
    close(fd);
    end(w);
}

static void file_that_is_no_socket_is_left_alone(void **state)
{
    struct world *w = begin_with((struct mu_transport_config){0});
    int port, fd = open(w->path, O_CREAT | O_WRONLY, 0600);
    struct mu_addr addr;
    struct mu_err err;

    (void)state;
    close(fd);
    assert_int_equal(mu_addr_parse(&addr, w->path, &err), 0);
    assert_int_equal(mu_transport_listen(w->t, &addr, &port, &err), MU_EEXIST);
    assert_non_null(strstr(err.text, w->path));
    assert_int_equal(unlink(w->path), 0);
    end(w);
}

static void port_in_use_is_an_error_that_names_it(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    struct mu_addr addr;
    struct mu_err err;
    char text[32];
    int port;

    (void)state;
    snprintf(text, sizeof(text), "127.0.0.1:%d", w->port);
    assert_int_equal(mu_addr_parse(&addr, text, &err), 0);
    assert_int_equal(mu_transport_listen(w->t, &addr, &port, &err), MU_ELOCKED);
    assert_non_null(strstr(err.text, text));
    end(w);
}

static void adopted_descriptors_serve_like_our_own(void **state)
{
    struct world *w = begin_with((struct mu_transport_config){0});
    struct mu_addr addr;
    struct mu_err err;
    int stream, datagram, tcp, udp, pipes[2];

    (void)state;
    assert_int_equal(mu_addr_parse(&addr, "127.0.0.1:0", &err), 0);
    assert_int_equal(mu_socket_pair(&addr, 0, &stream, &datagram, &w->port, &err), 0);
    assert_int_equal(mu_transport_adopt(w->t, stream, &err), 0);
    assert_int_equal(mu_transport_adopt(w->t, datagram, &err), 0);
    assert_int_equal(fcntl(stream, F_GETFD), FD_CLOEXEC);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(mu_transport_adopt(w->t, pipes[0], &err), MU_EINVAL);
    tcp = dial(w);
    udp = dial_ip(w, SOCK_DGRAM, "127.0.0.1");
    write_frame(tcp, "a", 1);
    assert_int_equal(send(udp, "b", 1, 0), 1);
    AWAIT(w, w->frames == 1 && w->datagrams == 1);
    close(tcp);
    close(udp);
    close(pipes[0]);
    close(pipes[1]);
    end(w);
}

static void after_the_doors_are_closed_streams_go_on(void **state)
{
    struct world *w = begin((struct mu_transport_config){0});
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
    int fd = dial(w), late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->echo = true;
    write_frame(fd, "a", 1);
    expect_frame(w, fd, "a");
    mu_transport_stop_accepting(w->t);
    assert_int_equal(connect(late, (struct sockaddr *)&sa, sizeof(sa)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    write_frame(fd, "b", 1);
    expect_frame(w, fd, "b");
    close(fd);
    close(late);
    end(w);
}

static void each_allocation_may_fail(void **state)
{
    struct mu_transport_config config = {.max_streams = 4, .max_per_peer = 2};
    struct mu_transport_sink sink = {0};

    (void)state;
    FOR_EACH_FAULT (n) {
        struct world w = {0};
        struct mu_addr addr;
        int port, rv;

        assert_int_equal(uv_loop_init(&w.loop), 0);
        assert_int_equal(mu_addr_parse(&addr, "127.0.0.1:0", NULL), 0);
        rv = mu_transport_new(&w.t, &w.loop, &config, &sink);
        FAULT_CHECK(rv);
        if (rv == 0) {
            rv = mu_transport_listen(w.t, &addr, &port, NULL);
            FAULT_CHECK(rv);
            mu_transport_close(w.t, on_gone, &w);
            uv_run(&w.loop, UV_RUN_DEFAULT);
            assert_true(w.gone);
            mu_transport_free(w.t);
        }
        assert_int_equal(uv_loop_close(&w.loop), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(port_0_gives_streams_and_datagrams_one_port),
        cmocka_unit_test(answer_leaves_from_the_address_spoken_to),
        cmocka_unit_test(answer_over_ipv6_leaves_from_the_address_spoken_to),
        cmocka_unit_test(too_long_a_datagram_is_seen_to_be),
        cmocka_unit_test(joined_datagrams_come_apart),
        cmocka_unit_test(too_long_ones_that_were_joined_are_cut_one_by_one),
        cmocka_unit_test(answers_to_a_flow_leave_joined_from_the_address_spoken_to),
        cmocka_unit_test(answers_to_one_sender_leave_joined_though_he_sent_apart),
        cmocka_unit_test(more_answers_than_there_is_room_for_all_leave),
        cmocka_unit_test(where_the_kernel_refuses_runs_answers_leave_one_by_one),
        cmocka_unit_test(one_is_read_after_many),
        cmocka_unit_test(each_datagram_is_told_of_ahead_and_in_order),
        cmocka_unit_test(each_datagram_is_read_or_counted_as_dropped),
        cmocka_unit_test(all_that_had_arrived_is_read_before_its_mark_is_passed),
        cmocka_unit_test(a_turn_of_the_loop_reads_a_bounded_number),
        cmocka_unit_test(marks_are_passed_however_fast_more_arrives),
        cmocka_unit_test(in_a_flood_an_end_is_told_after_its_datagrams),
        cmocka_unit_test(frame_may_arrive_byte_by_byte),
        cmocka_unit_test(largest_frame_comes_and_goes_whole),
        cmocka_unit_test(what_came_behind_large_frames_is_read_with_them),
        cmocka_unit_test(a_turn_of_the_loop_reads_streams_for_a_bounded_time),
        cmocka_unit_test(streams_that_send_on_end_leave_others_their_turn),
        cmocka_unit_test(what_lies_unread_in_a_stream_is_told),
        cmocka_unit_test(who_waits_to_be_read_is_not_silent),
        cmocka_unit_test(answers_to_what_came_together_leave_together),
        cmocka_unit_test(many_answers_come_whole_and_in_order),
        cmocka_unit_test(frame_over_the_limit_ends_its_stream_alone),
        cmocka_unit_test(fin_and_rst_are_the_peers_doing),
        cmocka_unit_test(our_close_is_not_the_peers_doing),
        cmocka_unit_test(peer_who_does_not_close_after_us_is_closed_in_2_s),
        cmocka_unit_test(last_words_reach_a_peer_who_sent_more_than_was_read),
        cmocka_unit_test(length_that_no_frame_has_is_told_of_and_ends_the_stream),
        cmocka_unit_test(peer_who_closed_his_half_gets_what_is_queued),
        cmocka_unit_test(datagrams_are_read_before_an_end_is_told),
        cmocka_unit_test(who_says_nothing_is_closed_and_never_told),
        cmocka_unit_test(cut_frame_of_an_old_stream_must_be_finished_in_time),
        cmocka_unit_test(flood_of_silent_ones_keeps_nobody_out),
        cmocka_unit_test(no_more_speaking_streams_than_allowed),
        cmocka_unit_test(who_does_not_read_is_closed),
        cmocka_unit_test(who_asks_on_and_does_not_read_is_closed),
        cmocka_unit_test(the_greediest_is_closed_for_all),
        cmocka_unit_test(without_descriptors_callers_are_turned_away),
        cmocka_unit_test(one_address_may_have_so_many_and_loopback_any),
        cmocka_unit_test(stale_unix_socket_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(file_that_is_no_socket_is_left_alone),
        cmocka_unit_test(port_in_use_is_an_error_that_names_it),
        cmocka_unit_test(adopted_descriptors_serve_like_our_own),
        cmocka_unit_test(after_the_doors_are_closed_streams_go_on),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
