/* The way of a frame: poll -> recv into one buffer for all -> wire/frame cuts it -> the sink. What
 * the sink answers to the frames of one recv leaves by one send.
 *
 * Ways to end, and what the sink hears:
 *   the peer closes (FIN)     closed(by_peer), what is queued still goes out, then close
 *   the peer is gone (RST)    closed(by_peer), close
 *   the path is gone          closed(by us): a keep-alive that nobody answered says nothing of him
 *   we close                  what is queued goes out, FIN, his rest is read away (left unread it
 *                             would make an RST of it, and take our last words), close; closed(by
 *                             us)
 *   over a bound              close, what is queued is lost; closed(by us)
 *
 * What the peer did is told when the datagrams have been read that came before it: at once, but for
 * a flood, in which he waits among the parting.
 *
 * Nothing that the sink may call tears a stream down: it is only marked, and dies on the loop. */
#include "transport/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>
#include <uv.h>

#include "base/mem.h"
#include "transport/peers.h"
#include "transport/udp.h"
#include "wire/frame.h"

#define LINGER        (2 * MU_SEC)
#define TICK_MS       100
#define HELD_MAX      ((size_t)64 << 20) /* bytes of cut frames and of queues, of all streams */
#define SCRATCH       ((size_t)64 << 10)
#define PIECES_A_TURN 4  /* of SCRATCH, read of one stream */
#define MORE_A_TURN   32 /* of SCRATCH, beyond the first of each stream, of all streams */
#define SLOT_BITS     24 /* of an id: which slot; the rest counts streams */
#define SLOTS_MAX     ((uint32_t)1 << SLOT_BITS)
#define NO_SLOT       UINT32_MAX

enum term { NO_TERM, OWING, ENDING, PARTING };

struct stream {
    uv_poll_t poll;
    struct mu_streams *all;
    struct stream *prev, *next; /* in the queue of its term */
    mu_time due;                /* of its term; a parting one has none, but a mark */
    uint64_t mark;
    uint64_t id;
    struct mu_frames in;
    struct mu_buf out;
    size_t held; /* bytes of .in and .out, as counted in all->held */
    int fd;
    uint32_t peer;
    uint8_t term;   /* enum term */
    uint8_t events; /* that are polled for */
    bool told;      /* the sink has heard of it, and not yet that it is gone */
    bool framed;    /* a whole frame came with what is being read */
    bool eof;       /* nothing more comes from the peer */
    bool shut;      /* our FIN is sent */
};

struct slot {
    struct stream *s;
    uint32_t next_free;
};

struct mu_streams {
    uv_loop_t *loop;
    struct mu_transport_config config;
    const struct mu_transport_sink *sink;
    struct mu_udp *udp;
    struct mu_peers *peers;
    struct slot *slots;
    uint32_t nslots, free_slot;
    uint64_t count; /* of streams ever */
    struct stream *owing, *ending, *parting;
    size_t held;
    uint64_t turn; /* by the loop's clock; .more = pieces that it may still read */
    unsigned more;
    uv_timer_t timer;
    uv_idle_t idle; /* turns the loop while some are parting */
    struct mu_transport_stats stats;
    size_t handles;
    void (*closed)(void *ctx);
    void *closed_ctx;
    struct stream *reading; /* the one whose frames are with the sink */
    size_t gathered;        /* bytes for it in .answers */
    uint8_t answers[SCRATCH];
    uint8_t scratch[SCRATCH];
};

static void on_tick(uv_timer_t *timer);
static void on_idle(uv_idle_t *idle);
static void on_poll(uv_poll_t *poll, int status, int events);

int mu_streams_new(struct mu_streams **out, struct uv_loop_s *loop,
                   const struct mu_transport_config *config, const struct mu_transport_sink *sink,
                   struct mu_udp *udp)
{
    struct mu_streams *all = mu_alloc(sizeof(*all));
    int rv;

    if (!all)
        return MU_ENOMEM;
    rv = mu_peers_new(&all->peers, config->max_per_peer);
    if (rv) {
        mu_free(all);
        return rv;
    }
    all->loop = loop;
    all->config = *config;
    if (all->config.max_streams > SLOTS_MAX)
        all->config.max_streams = SLOTS_MAX;
    all->sink = sink;
    all->udp = udp;
    all->free_slot = NO_SLOT;
    uv_timer_init(loop, &all->timer);
    uv_idle_init(loop, &all->idle);
    all->timer.data = all->idle.data = all;
    all->handles = 2;
    *out = all;
    return 0;
}

void mu_streams_free(struct mu_streams *all)
{
    if (!all)
        return;
    assert(all->handles == 0);
    mu_peers_free(all->peers);
    mu_free(all->slots);
    mu_free(all);
}

/* --- slots and terms ----------------------------------------------------------------------------
 */

static int take_slot(struct mu_streams *all, struct stream *s)
{
    uint32_t i = all->free_slot;

    if (i == NO_SLOT) {
        uint32_t n = all->nslots ? 2 * all->nslots : 64;
        struct slot *slots = mu_realloc(all->slots, n, sizeof(*slots));
        if (!slots)
            return MU_ENOMEM;
        for (uint32_t k = all->nslots; k < n; k++)
            slots[k] = (struct slot){NULL, k + 1 < n ? k + 1 : NO_SLOT};
        i = all->nslots;
        all->slots = slots;
        all->nslots = n;
    }
    all->free_slot = all->slots[i].next_free;
    all->slots[i].s = s;
    s->id = ++all->count << SLOT_BITS | i;
    return 0;
}

static void drop_slot(struct mu_streams *all, const struct stream *s)
{
    uint32_t i = (uint32_t)(s->id & (SLOTS_MAX - 1));

    all->slots[i] = (struct slot){NULL, all->free_slot};
    all->free_slot = i;
}

/* The stream with that id, unless it is gone or going. */
static struct stream *find(struct mu_streams *all, uint64_t id)
{
    uint32_t i = (uint32_t)(id & (SLOTS_MAX - 1));
    struct stream *s = i < all->nslots ? all->slots[i].s : NULL;

    return s && s->id == id && s->term < ENDING ? s : NULL;
}

static void leave_queue(struct stream *s)
{
    if (s->term == OWING)
        DL_DELETE(s->all->owing, s);
    else if (s->term == ENDING)
        DL_DELETE(s->all->ending, s);
    else if (s->term == PARTING)
        DL_DELETE(s->all->parting, s);
    s->term = NO_TERM;
}

/* A term's length is the same for all of its queue, so that the oldest is always in front. */
static void enter_queue(struct stream *s, enum term term, mu_time now)
{
    struct mu_streams *all = s->all;

    leave_queue(s);
    s->term = (uint8_t)term;
    s->due = now + (term == OWING ? all->config.silent_for : LINGER);
    if (term == OWING)
        DL_APPEND(all->owing, s);
    else
        DL_APPEND(all->ending, s);
    if (!uv_is_active((uv_handle_t *)&all->timer))
        uv_timer_start(&all->timer, on_tick, TICK_MS, TICK_MS);
}

static void count_held(struct stream *s)
{
    size_t held = s->in.rest.cap + s->out.cap;

    s->all->held += held - s->held;
    s->held = held;
}

/* --- ends ---------------------------------------------------------------------------------------
 */

static void handle_gone(struct mu_streams *all)
{
    if (--all->handles == 0)
        all->closed(all->closed_ctx);
}

static void on_gone(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    struct mu_streams *all = s->all;

    mu_free(s);
    handle_gone(all);
}

/* The descriptor and the place are free at once, the memory when libuv has let go of the handle. */
static void destroy(struct stream *s)
{
    struct mu_streams *all = s->all;

    leave_queue(s);
    drop_slot(all, s);
    mu_peers_drop(all->peers, s->peer);
    mu_frames_fini(&s->in);
    mu_buf_fini(&s->out);
    all->held -= s->held;
    all->stats.streams--;
    uv_poll_stop(&s->poll);
    close(s->fd);
    uv_close((uv_handle_t *)&s->poll, on_gone);
}

static void tell_closed(struct stream *s, bool by_peer, mu_time now)
{
    const struct mu_transport_sink *sink = s->all->sink;

    if (!s->told)
        return;
    s->told = false;
    sink->closed(sink->ctx, s->id, by_peer, now);
}

static void end_by_us(struct stream *s, mu_time now)
{
    destroy(s);
    tell_closed(s, false, now); /* last: the sink may call in */
}

/* Puts an end to a stream over a bound: dead at the next tick, not now, since the sink may be the
 * caller. */
static void doom(struct stream *s)
{
    s->all->stats.overflowed++;
    mu_buf_fini(&s->out);
    count_held(s);
    leave_queue(s);
    s->term = ENDING;
    s->due = 0;
    DL_PREPEND(s->all->ending, s);
    if (!uv_is_active((uv_handle_t *)&s->all->timer))
        uv_timer_start(&s->all->timer, on_tick, TICK_MS, TICK_MS);
}

/* The one that pays when all together hold too much. */
static struct stream *greediest(const struct mu_streams *all)
{
    struct stream *found = NULL;

    for (uint32_t i = 0; i < all->nslots; i++)
        if (all->slots[i].s && (!found || all->slots[i].s->held > found->held))
            found = all->slots[i].s;
    return found;
}

static void watch(struct stream *s)
{
    int events = (s->eof ? 0 : UV_READABLE) | (s->out.len ? UV_WRITABLE : 0);

    if (events == s->events) /* to start it again would cost two system calls a frame */
        return;
    s->events = (uint8_t)events;
    if (events)
        uv_poll_start(&s->poll, events, on_poll);
    else
        uv_poll_stop(&s->poll);
}

bool mu_streams_shed(struct mu_streams *all, mu_time now)
{
    struct stream *s = all->ending ? all->ending : all->owing;

    if (!s)
        return false;
    if (s->term == OWING)
        all->stats.silent++;
    end_by_us(s, now);
    return true;
}

void mu_streams_refused(struct mu_streams *all)
{
    all->stats.refused++;
}

static void on_tick(uv_timer_t *timer)
{
    struct mu_streams *all = timer->data;
    mu_time now = mu_clock_now();

    while (all->ending && all->ending->due <= now)
        end_by_us(all->ending, now);
    while (all->owing && all->owing->due <= now) {
        all->stats.silent++;
        end_by_us(all->owing, now);
    }
    if (!all->owing && !all->ending)
        uv_timer_stop(timer);
}

/* --- out ----------------------------------------------------------------------------------------
 */

/* An error of sending is left to reading, which tells FIN from RST and finds what still came. */
static void flush(struct stream *s)
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
    count_held(s);
}

/* Sends what the socket takes now; returns how much of head and body that was. */
static size_t send_now(struct stream *s, const uint8_t *head, const uint8_t *frame, size_t n)
{
    struct iovec iov[2] = {{(void *)head, MU_FRAME_HEAD}, {(void *)frame, n}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (sent >= 0)
        return (size_t)sent;
    return errno == EAGAIN || errno == EINTR ? 0 : MU_FRAME_HEAD + n; /* see flush() */
}

/* Keeps what the socket does not take now. */
static void queued(struct stream *s)
{
    struct mu_streams *all = s->all;

    count_held(s);
    if (s->out.failed || s->out.len > all->config.send_queue_max)
        doom(s);
    else if (all->held > HELD_MAX)
        doom(greediest(all));
    watch(s);
}

/* Sends what was gathered for the stream that is being read. */
static void let_go(struct mu_streams *all)
{
    struct stream *s = all->reading;
    size_t n = all->gathered;
    ssize_t sent;

    if (n == 0)
        return;
    all->gathered = 0;
    sent = send(s->fd, all->answers, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == (ssize_t)n || (sent < 0 && errno != EAGAIN && errno != EINTR)) /* see flush() */
        return;
    sent = sent < 0 ? 0 : sent;
    mu_buf_put(&s->out, all->answers + sent, n - (size_t)sent);
    queued(s);
}

/* Whether nothing is left to do: the frame waits until all that came with its question has been
 * answered, or its stream is over a bound. */
static bool gather(struct stream *s, const uint8_t *head, const uint8_t *frame, size_t n)
{
    struct mu_streams *all = s->all;

    if (s != all->reading || s->out.len > 0)
        return false;
    if (n + MU_FRAME_HEAD > SCRATCH - all->gathered) {
        let_go(all);
        return s->term == ENDING;
    }
    memcpy(all->answers + all->gathered, head, MU_FRAME_HEAD);
    memcpy(all->answers + all->gathered + MU_FRAME_HEAD, frame, n);
    all->gathered += n + MU_FRAME_HEAD;
    return true;
}

void mu_streams_send(struct mu_streams *all, uint64_t conn, const uint8_t *frame, size_t n)
{
    struct stream *s = find(all, conn);
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

/* Our FIN, once everything queued is out. */
static void shut_when_flushed(struct stream *s)
{
    if (s->out.len > 0 || s->shut || s == s->all->reading)
        return;
    s->shut = true;
    (void)shutdown(s->fd, SHUT_WR);
}

void mu_streams_end(struct mu_streams *all, uint64_t conn)
{
    struct stream *s = find(all, conn);

    if (!s)
        return;
    enter_queue(s, ENDING, mu_clock_now());
    shut_when_flushed(s);
}

/* --- in -----------------------------------------------------------------------------------------
 */

static const char *peer_text(const struct stream *s, char *out, size_t size)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    struct ucred cred;
    socklen_t cred_len = sizeof(cred);

    if (getpeername(s->fd, (struct sockaddr *)&sa, &len))
        return "gone"; /* reset since it spoke */
    if (sa.ss_family != AF_UNIX)
        return mu_addr_text_of((struct sockaddr *)&sa, len, out, size);
    if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &cred, &cred_len))
        return "unix";
    snprintf(out, size, "unix pid %ld", (long)cred.pid);
    return out;
}

static int on_frame(void *ctx, const uint8_t *body, size_t n)
{
    struct stream *s = ctx;
    const struct mu_transport_sink *sink = s->all->sink;
    mu_time now = mu_clock_now();
    char text[128];
    int rv;

    s->framed = true;
    if (!s->told) {
        s->told = true;
        rv = sink->opened(sink->ctx, s->id, peer_text(s, text, sizeof(text)), now);
        if (rv)
            return rv;
    }
    rv = sink->frame(sink->ctx, s->id, body, n, now);
    return rv == 0 && s->term == ENDING ? MU_ECLOSED : rv;
}

/* Hands on what was read. Afterwards the stream owes a frame, or is at rest, or is ending. */
static void feed(struct stream *s, size_t n, mu_time now)
{
    struct mu_streams *all = s->all;
    int rv;

    s->framed = false;
    all->reading = s;
    rv = mu_frames_feed(&s->in, all->scratch, n, on_frame, s);
    let_go(all);
    all->reading = NULL;
    count_held(s);
    if (rv && s->term != ENDING)
        enter_queue(s, ENDING, now);
    if (s->term == ENDING) /* also where the answers were over a bound */
        return;
    if (s->framed)
        leave_queue(s);
    if (mu_frames_pending(&s->in) && s->term == NO_TERM)
        enter_queue(s, OWING, now);
}

/* Tells of the parting one that came first, if that may be told. Returns it, or NULL. */
static struct stream *tell_parting(struct mu_streams *all, mu_time now)
{
    struct stream *s = all->parting;

    if (!s || !mu_udp_passed(all->udp, s->mark))
        return NULL;
    enter_queue(s, ENDING, now);
    tell_closed(s, true, now);
    return s;
}

static void part(struct stream *s, mu_time now)
{
    struct mu_streams *all = s->all;

    leave_queue(s);
    s->term = PARTING;
    s->mark = mu_udp_mark(all->udp);
    DL_APPEND(all->parting, s);
    if (all->parting == s && !tell_parting(all, now))
        uv_idle_start(&all->idle, on_idle);
}

static void on_end(struct stream *s, int error, mu_time now)
{
    bool by_peer = error == 0 || error == ECONNRESET || error == EPIPE;

    s->eof = true;
    if (s->term != ENDING && by_peer && s->told)
        part(s, now);
    else if (s->term != ENDING && by_peer)
        enter_queue(s, ENDING, now);
    if (error)
        mu_buf_reset(&s->out); /* nothing more goes out */
}

/* Whether a turn may read one more piece beyond the first of each stream. */
static bool take_piece(struct mu_streams *all)
{
    if (all->turn != uv_now(all->loop)) {
        all->turn = uv_now(all->loop);
        all->more = MORE_A_TURN;
    }
    if (all->more == 0)
        return false;
    all->more--;
    return true;
}

/* Reads what is there, up to a bound; to the end when the peer has gone: then there is no next
 * time. */
static void read_some(struct stream *s, bool to_end, mu_time now)
{
    int pieces = PIECES_A_TURN;
    ssize_t n;

    do {
        n = recv(s->fd, s->all->scratch, SCRATCH, MSG_DONTWAIT);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN && !to_end)
            return;
        if (n <= 0) {
            on_end(s, n == 0 ? 0 : errno, now);
            return;
        }
        if (s->term != ENDING)
            feed(s, (size_t)n, now);
    } while (to_end || (n == SCRATCH && --pieces > 0 && take_piece(s->all)));
}

/* After a stream has moved: closes it when it is at its end, else waits for what it waits for. */
static void settle(struct stream *s, mu_time now)
{
    struct mu_streams *all = s->all;

    if (s->term == ENDING) {
        shut_when_flushed(s);
        if (s->eof && s->out.len == 0) {
            end_by_us(s, now);
            return;
        }
    } else if (s->eof && s->term != PARTING) {
        end_by_us(s, now);
        return;
    }
    watch(s);
    while (all->held > HELD_MAX) { /* may be this one: nothing of it is looked at any more */
        all->stats.overflowed++;
        end_by_us(greediest(all), now);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct stream *s = poll->data;
    mu_time now = mu_clock_now();

    if (status < 0) { /* libuv has stopped the poll */
        s->events = 0;
        if (s->eof)
            mu_buf_reset(&s->out); /* he is gone for good: nothing more goes out */
    }
    if (events & UV_WRITABLE)
        flush(s);
    if (!s->eof && (status < 0 || (events & UV_READABLE)))
        read_some(s, status < 0, now);
    settle(s, now);
}

static void on_idle(uv_idle_t *idle)
{
    struct mu_streams *all = idle->data;
    mu_time now = mu_clock_now();
    struct stream *s;

    while ((s = tell_parting(all, now)))
        settle(s, now);
    if (!all->parting)
        uv_idle_stop(idle);
}

/* --- the door -----------------------------------------------------------------------------------
 */

/* A peer whose machine is gone sends no FIN: his stream would be kept for ever. */
static void set_options(int fd, const struct sockaddr *from)
{
    int one = 1, idle = 60, interval = 15, count = 4;

    if (from->sa_family == AF_UNIX)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static struct stream *new_stream(struct mu_streams *all, int fd, const struct sockaddr *from)
{
    struct stream *s = mu_alloc(sizeof(*s));

    if (!s)
        return NULL;
    if (mu_peers_take(all->peers, from, &s->peer))
        goto no_peer;
    s->all = all;
    s->fd = fd;
    if (take_slot(all, s))
        goto no_slot;
    if (uv_poll_init(all->loop, &s->poll, fd))
        goto no_poll;
    s->poll.data = s;
    mu_frames_init(&s->in);
    mu_buf_init(&s->out, 0);
    all->handles++;
    all->stats.streams++;
    return s;

no_poll:
    drop_slot(all, s);
no_slot:
    mu_peers_drop(all->peers, s->peer);
no_peer:
    mu_free(s);
    return NULL;
}

void mu_streams_take(struct mu_streams *all, int fd, const struct sockaddr *from, mu_time now)
{
    struct stream *s = NULL;

    if (all->stats.streams < all->config.max_streams || mu_streams_shed(all, now))
        s = new_stream(all, fd, from);
    if (!s) {
        close(fd);
        all->stats.refused++;
        return;
    }
    all->stats.accepted++;
    set_options(fd, from);
    enter_queue(s, OWING, now);
    read_some(s, false, now);
    settle(s, now);
}

void mu_streams_stats(const struct mu_streams *all, struct mu_transport_stats *out)
{
    out->streams = all->stats.streams;
    out->accepted = all->stats.accepted;
    out->refused = all->stats.refused;
    out->silent = all->stats.silent;
    out->overflowed = all->stats.overflowed;
}

static void turn_gone(uv_handle_t *handle)
{
    handle_gone(handle->data);
}

void mu_streams_close(struct mu_streams *all, void (*closed)(void *ctx), void *ctx)
{
    all->closed = closed;
    all->closed_ctx = ctx;
    for (uint32_t i = 0; i < all->nslots; i++)
        if (all->slots[i].s)
            destroy(all->slots[i].s);
    uv_close((uv_handle_t *)&all->timer, turn_gone);
    uv_close((uv_handle_t *)&all->idle, turn_gone);
}
