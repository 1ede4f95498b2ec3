/* What goes out. A frame is sent at once, or gathered while its stream is being read; what the
 * socket does not take is queued, within bounds, until poll tells that it does. */
#include "transport/stream_int.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

void mu_streams_flush(struct mu_accepted *s)
{
    while (s->out.len > 0) {
        ssize_t n = send(s->fd, s->out.data, s->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        mu_buf_drop(&s->out, n < 0 ? s->out.len : (size_t)n);
    }
    if (s->out.len == 0 && s->out.cap > 0) {
        mu_buf_fini(&s->out);
        mu_buf_init(&s->out, 0);
    }
    mu_streams_count_held(s);
}

/* Sends what the socket takes now; returns how much of head and body that was. */
static size_t send_now(struct mu_accepted *s, const uint8_t *head, const uint8_t *frame, size_t n)
{
    struct iovec iov[2] = {{(void *)head, MU_FRAME_HEAD}, {(void *)frame, n}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent >= 0)
        return (size_t)sent;
    return errno == EAGAIN || errno == EINTR ? 0 : MU_FRAME_HEAD + n; /* see mu_streams_flush() */
}

/* Keeps what the socket does not take now. */
static void queued(struct mu_accepted *s)
{
    struct mu_streams *all = s->all;

    mu_streams_count_held(s);
    if (s->out.failed || s->out.len > all->config.send_queue_max)
        mu_streams_doom(s);
    else if (all->held > MU_STREAMS_HELD_MAX)
        mu_streams_doom(mu_streams_greediest(all));
    mu_streams_watch(s);
}

void mu_streams_let_go(struct mu_streams *all)
{
    struct mu_accepted *s = all->reading;
    size_t n = all->gathered;
    ssize_t sent;

    if (n == 0)
        return;
    all->gathered = 0;
    sent = send(s->fd, all->answers, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)n || (sent < 0 && errno != EAGAIN && errno != EINTR))
        return; /* see mu_streams_flush() */
    sent = sent < 0 ? 0 : sent;
    mu_buf_put(&s->out, all->answers + sent, n - (size_t)sent);
    queued(s);
}

/* Whether nothing is left to do: the frame waits until all that came with its question has been
 * answered, or its stream is over a bound. */
static bool gather(struct mu_accepted *s, const uint8_t *head, const uint8_t *frame, size_t n)
{
    struct mu_streams *all = s->all;

    if (s != all->reading || s->out.len > 0)
        return false;
    if (n + MU_FRAME_HEAD > MU_STREAM_PIECE - all->gathered) {
        mu_streams_let_go(all);
        return s->term == MU_TERM_ENDING;
    }
    memcpy(all->answers + all->gathered, head, MU_FRAME_HEAD);
    memcpy(all->answers + all->gathered + MU_FRAME_HEAD, frame, n);
    all->gathered += n + MU_FRAME_HEAD;
    return true;
}

void mu_streams_send(struct mu_streams *all, uint64_t conn, const uint8_t *frame, size_t n)
{
    struct mu_accepted *s = mu_streams_find(all, conn);
    uint8_t head[MU_FRAME_HEAD];
    size_t sent = 0;

    assert(n > 0 && n <= MU_FRAME_MAX);
    if (!s)
        return;
    mu_frame_head(head, n);
    if (gather(s, head, frame, n))
        return;
    if (s->out.len == 0)
        sent = send_now(s, head, frame, n);
    if (sent == MU_FRAME_HEAD + n)
        return;
    if (sent < MU_FRAME_HEAD) {
        mu_buf_put(&s->out, head + sent, MU_FRAME_HEAD - sent);
        sent = MU_FRAME_HEAD;
    }
    mu_buf_put(&s->out, frame + (sent - MU_FRAME_HEAD), n - (sent - MU_FRAME_HEAD));
    queued(s);
}
