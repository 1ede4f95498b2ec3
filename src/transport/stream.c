/* The way of a frame: poll -> recv into one buffer for all -> wire/frame cuts it -> the sink. What
 * the sink answers to the frames of one recv leaves by one send.
 *
 * A turn of the loop reads for a few ms. Of whom it then hears by poll waits, and the next turn
 * begins with those who wait, in their order and in small pieces. So however many send as fast as
 * they can, timers and datagrams have their turns, and nobody waits longer than the others.
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
#include "transport/stream_int.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utlist.h>

#include "base/mem.h"
#include "transport/peers.h"
#include "transport/udp.h"

#define LINGER        (2 * MU_SEC)
#define TICK_MS       100
#define TURN          (10 * MU_MS) /* of the loop, for reading streams; one piece goes beyond it */
#define PIECES_A_TURN 4            /* read of one stream */
#define SMALL_PIECE   ((size_t)4 << 10) /* of one that had to wait, so that all have a turn soon */
#define SLOT_BITS     24                /* of an id: which slot; the rest counts streams */
#define SLOTS_MAX     ((uint32_t)1 << SLOT_BITS)
#define NO_SLOT       UINT32_MAX

static void on_tick(uv_timer_t *timer);
static void on_turn(uv_prepare_t *turn);
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
    uv_prepare_init(loop, &all->turn);
    uv_idle_init(loop, &all->idle);
    all->timer.data = all->turn.data = all->idle.data = all;
    all->handles = 3;
    uv_prepare_start(&all->turn, on_turn);
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

static int take_slot(struct mu_streams *all, struct mu_accepted *s)
{
    uint32_t i = all->free_slot;

    if (i == NO_SLOT) {
        uint32_t n = all->nslots ? 2 * all->nslots : 64;
        struct mu_stream_slot *slots = mu_realloc(all->slots, n, sizeof(*slots));
        if (!slots)
            return MU_ENOMEM;
        for (uint32_t k = all->nslots; k < n; k++)
            slots[k] = (struct mu_stream_slot){NULL, k + 1 < n ? k + 1 : NO_SLOT};
        i = all->nslots;
        all->slots = slots;
        all->nslots = n;
    }
    all->free_slot = all->slots[i].next_free;
    all->slots[i].s = s;
    s->id = ++all->count << SLOT_BITS | i;
    return 0;
}

static void drop_slot(struct mu_streams *all, const struct mu_accepted *s)
{
    uint32_t i = (uint32_t)(s->id & (SLOTS_MAX - 1));

    all->slots[i] = (struct mu_stream_slot){NULL, all->free_slot};
    all->free_slot = i;
}

struct mu_accepted *mu_streams_find(struct mu_streams *all, uint64_t id)
{
    uint32_t i = (uint32_t)(id & (SLOTS_MAX - 1));
    struct mu_accepted *s = i < all->nslots ? all->slots[i].s : NULL;

    return s && s->id == id && s->term < MU_TERM_ENDING ? s : NULL;
}

static void leave_queue(struct mu_accepted *s)
{
    if (s->term == MU_TERM_OWING)
        DL_DELETE(s->all->owing, s);
    else if (s->term == MU_TERM_ENDING)
        DL_DELETE(s->all->ending, s);
    else if (s->term == MU_TERM_PARTING)
        DL_DELETE(s->all->parting, s);
    s->term = MU_TERM_NONE;
}

/* A term's length is the same for all of its queue, so that the oldest is always in front. */
static void enter_queue(struct mu_accepted *s, enum mu_stream_term term, mu_time now)
{
    struct mu_streams *all = s->all;

    leave_queue(s);
    s->term = (uint8_t)term;
    s->due = now + (term == MU_TERM_OWING ? all->config.silent_for : LINGER);
    if (term == MU_TERM_OWING)
        DL_APPEND(all->owing, s);
    else
        DL_APPEND(all->ending, s);
    if (!uv_is_active((uv_handle_t *)&all->timer))
        uv_timer_start(&all->timer, on_tick, TICK_MS, TICK_MS);
}

/* Being active is all it does: poll returns at once. */
static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

/* Since its turn to read is over: the next has those first who wait longest. */
static void wait_turn(struct mu_accepted *s)
{
    struct mu_streams *all = s->all;

    if (s->waits)
        return;
    s->waits = true;
    DL_APPEND2(all->waiting, s, wait_prev, wait_next);
    uv_idle_start(&all->idle, on_idle);
}

static void stop_waiting(struct mu_accepted *s)
{
    if (s->waits)
        DL_DELETE2(s->all->waiting, s, wait_prev, wait_next);
    s->waits = false;
}

/* @n bytes of what was owed have been read. */
static void pay(struct mu_accepted *s, size_t n)
{
    if (s->owed == 0)
        return;
    s->owed -= n < s->owed ? n : s->owed;
    if (s->owed == 0)
        s->all->indebted--;
}

void mu_streams_count_held(struct mu_accepted *s)
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
    struct mu_accepted *s = handle->data;
    struct mu_streams *all = s->all;

    mu_free(s);
    handle_gone(all);
}

/* The descriptor and the place are free at once, the memory when libuv has let go of the handle. */
static void destroy(struct mu_accepted *s)
{
    struct mu_streams *all = s->all;

    leave_queue(s);
    stop_waiting(s);
    pay(s, s->owed);
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

static void tell_closed(struct mu_accepted *s, bool by_peer, mu_time now)
{
    const struct mu_transport_sink *sink = s->all->sink;

    if (!s->told)
        return;
    s->told = false;
    sink->closed(sink->ctx, s->id, by_peer, now);
}

static void end_by_us(struct mu_accepted *s, mu_time now)
{
    destroy(s);
    tell_closed(s, false, now); /* last: the sink may call in */
}

void mu_streams_doom(struct mu_accepted *s)
{
    s->all->stats.overflowed++;
    mu_buf_fini(&s->out);
    mu_streams_count_held(s);
    leave_queue(s);
    s->term = MU_TERM_ENDING;
    s->due = 0;
    DL_PREPEND(s->all->ending, s);
    if (!uv_is_active((uv_handle_t *)&s->all->timer))
        uv_timer_start(&s->all->timer, on_tick, TICK_MS, TICK_MS);
}

struct mu_accepted *mu_streams_greediest(const struct mu_streams *all)
{
    struct mu_accepted *found = NULL;

    for (uint32_t i = 0; i < all->nslots; i++)
        if (all->slots[i].s && (!found || all->slots[i].s->held > found->held))
            found = all->slots[i].s;
    return found;
}

void mu_streams_watch(struct mu_accepted *s)
{
    int events =
        (s->eof || s->failed || s->waits ? 0 : UV_READABLE) | (s->out.len ? UV_WRITABLE : 0);

    if (events == s->events) /* to start it again would cost two system calls a frame */
        return;
    s->events = (uint8_t)events;
    if (events)
        uv_poll_start(&s->poll, events, on_poll);
    else
        uv_poll_stop(&s->poll);
}

/* The first from @s on of which nothing may lie unread. */
static struct mu_accepted *not_waiting(struct mu_accepted *s)
{
    while (s && s->waits)
        s = s->next;
    return s;
}

bool mu_streams_shed(struct mu_streams *all, mu_time now)
{
    struct mu_accepted *s = not_waiting(all->ending);

    if (!s)
        s = not_waiting(all->owing);
    if (!s)
        return false;
    if (s->term == MU_TERM_OWING)
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
        struct mu_accepted *s = all->owing;

        if (s->waits) { /* for us: what he owes may be here */
            enter_queue(s, MU_TERM_OWING, now);
            continue;
        }
        all->stats.silent++;
        end_by_us(s, now);
    }
    if (!all->owing && !all->ending)
        uv_timer_stop(timer);
}

/* Our FIN, once everything queued is out. */
static void shut_when_flushed(struct mu_accepted *s)
{
    if (s->out.len > 0 || s->shut || s == s->all->reading)
        return;
    s->shut = true;
    (void)shutdown(s->fd, SHUT_WR);
}

void mu_streams_end(struct mu_streams *all, uint64_t conn)
{
    struct mu_accepted *s = mu_streams_find(all, conn);

    if (!s)
        return;
    enter_queue(s, MU_TERM_ENDING, mu_clock_now());
    shut_when_flushed(s);
}

/* --- in -----------------------------------------------------------------------------------------
 */

static const char *peer_text(const struct mu_accepted *s, char *out, size_t size)
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
    struct mu_accepted *s = ctx;
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
    return rv == 0 && s->term == MU_TERM_ENDING ? MU_ECLOSED : rv;
}

/* Hands on what was read. Afterwards the stream owes a frame, or is at rest, or is ending. */
static void feed(struct mu_accepted *s, size_t n, mu_time now)
{
    struct mu_streams *all = s->all;
    int rv;

    s->framed = false;
    all->reading = s;
    rv = mu_frames_feed(&s->in, all->scratch, n, on_frame, s);
    mu_streams_let_go(all);
    all->reading = NULL;
    mu_streams_count_held(s);
    if (rv && s->term != MU_TERM_ENDING)
        enter_queue(s, MU_TERM_ENDING, now);
    if (s->term == MU_TERM_ENDING) /* also where the answers were over a bound */
        return;
    if (s->framed)
        leave_queue(s);
    if (mu_frames_pending(&s->in) && s->term == MU_TERM_NONE)
        enter_queue(s, MU_TERM_OWING, now);
}

/* Tells of the parting one that came first, if that may be told. Returns it, or NULL. */
static struct mu_accepted *tell_parting(struct mu_streams *all, mu_time now)
{
    struct mu_accepted *s = all->parting;

    if (!s || !mu_udp_passed(all->udp, s->mark))
        return NULL;
    enter_queue(s, MU_TERM_ENDING, now);
    tell_closed(s, true, now);
    return s;
}

static void part(struct mu_accepted *s, mu_time now)
{
    struct mu_streams *all = s->all;

    leave_queue(s);
    s->term = MU_TERM_PARTING;
    s->mark = mu_udp_mark(all->udp);
    DL_APPEND(all->parting, s);
    if (all->parting == s && !tell_parting(all, now))
        uv_idle_start(&all->idle, on_idle);
}

static void on_end(struct mu_accepted *s, int error, mu_time now)
{
    bool by_peer = error == 0 || error == ECONNRESET || error == EPIPE;

    s->eof = true;
    if (s->term != MU_TERM_ENDING && by_peer && s->told)
        part(s, now);
    else if (s->term != MU_TERM_ENDING && by_peer)
        enter_queue(s, MU_TERM_ENDING, now);
    if (error)
        mu_buf_reset(&s->out); /* nothing more goes out */
}

/* Whether this turn of the loop may read streams. */
static bool may_read(struct mu_streams *all, mu_time now)
{
    if (all->until == 0)
        all->until = now + TURN;
    return now < all->until;
}

/* Reads one piece of at most @max bytes. Returns whether there may be more. */
static bool read_piece(struct mu_accepted *s, size_t max, mu_time now)
{
    ssize_t n;

    do
        n = recv(s->fd, s->all->scratch, max, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN && !s->failed) {
        pay(s, s->owed);
        return false;
    }
    if (n <= 0) {
        pay(s, s->owed);
        on_end(s, n == 0 ? 0 : errno, now);
        return false;
    }
    pay(s, (size_t)n);
    if (s->term != MU_TERM_ENDING)
        feed(s, (size_t)n, now);
    return (size_t)n == max || s->failed;
}

/* Reads what is there, within the turn's bound, or at its next turn. */
static void read_some(struct mu_accepted *s, mu_time now)
{
    struct mu_streams *all = s->all;
    bool more = true;

    if (all->waiting) {
        wait_turn(s);
        return;
    }
    for (int i = 0; i < PIECES_A_TURN && more && may_read(all, now); i++, now = mu_clock_now())
        more = read_piece(s, MU_STREAM_PIECE, now);
    if (more)
        wait_turn(s);
}

/* After a stream has moved: closes it when it is at its end, else waits for what it waits for. */
static void settle(struct mu_accepted *s, mu_time now)
{
    struct mu_streams *all = s->all;

    if (s->term == MU_TERM_ENDING) {
        shut_when_flushed(s);
        if (s->eof && s->out.len == 0) {
            end_by_us(s, now);
            return;
        }
    } else if (s->eof && s->term != MU_TERM_PARTING) {
        end_by_us(s, now);
        return;
    }
    mu_streams_watch(s);
    while (all->held > MU_STREAMS_HELD_MAX) { /* may be this one: it is not looked at any more */
        all->stats.overflowed++;
        end_by_us(mu_streams_greediest(all), now);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct mu_accepted *s = poll->data;
    mu_time now = mu_clock_now();

    if (status < 0) { /* libuv has stopped the poll */
        s->events = 0;
        s->failed = true;
        if (s->eof)
            mu_buf_reset(&s->out); /* he is gone for good: nothing more goes out */
    }
    if (events & UV_WRITABLE)
        mu_streams_flush(s);
    if (!s->eof && (status < 0 || (events & UV_READABLE)))
        read_some(s, now);
    settle(s, now);
}

static void on_turn(uv_prepare_t *turn)
{
    struct mu_streams *all = turn->data;
    struct mu_accepted *s;
    mu_time now;

    all->until = 0;
    if (!uv_is_active((uv_handle_t *)&all->idle))
        return;
    while ((s = all->waiting) && may_read(all, now = mu_clock_now())) {
        stop_waiting(s);
        if (read_piece(s, SMALL_PIECE, now))
            wait_turn(s);
        settle(s, now);
    }
    while ((s = tell_parting(all, mu_clock_now())))
        settle(s, mu_clock_now());
    if (!all->waiting && !all->parting)
        uv_idle_stop(&all->idle);
}

/* ---- marks ---- */

void mu_streams_mark(struct mu_streams *all)
{
    all->marked = true;
}

/* A turn of each, so that a verdict waits no longer however much is sent; whose agents have more to
 * say is told by mu_streams_unread(). What had come is in those that wait: poll has told of it by
 * now, where it has not more than the 49,152 streams to tell of that libuv takes in a turn. */
static void count_owed(struct mu_streams *all)
{
    struct mu_accepted *s;

    DL_FOREACH2(all->waiting, s, wait_next)
    {
        int n = 0;

        (void)ioctl(s->fd, FIONREAD, &n);
        pay(s, s->owed);
        s->owed = (size_t)n < SMALL_PIECE ? (size_t)n : SMALL_PIECE;
        all->indebted += s->owed > 0;
    }
}

bool mu_streams_unread(struct mu_streams *all, uint64_t conn)
{
    const struct mu_accepted *s = mu_streams_find(all, conn);

    return s && s->waits;
}

bool mu_streams_passed(struct mu_streams *all)
{
    if (all->marked)
        count_owed(all);
    all->marked = false;
    return all->indebted == 0;
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

static struct mu_accepted *new_stream(struct mu_streams *all, int fd, const struct sockaddr *from)
{
    struct mu_accepted *s = mu_alloc(sizeof(*s));

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

void mu_streams_take(struct mu_streams *all, int fd, const struct sockaddr *from)
{
    struct mu_accepted *s = NULL;
    mu_time now = mu_clock_now(); /* each one's: many are taken in a turn, and read */

    if (all->stats.streams < all->config.max_streams || mu_streams_shed(all, now))
        s = new_stream(all, fd, from);
    if (!s) {
        close(fd);
        all->stats.refused++;
        return;
    }
    all->stats.accepted++;
    set_options(fd, from);
    enter_queue(s, MU_TERM_OWING, now);
    read_some(s, now);
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

static void part_gone(uv_handle_t *handle)
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
    uv_close((uv_handle_t *)&all->timer, part_gone);
    uv_close((uv_handle_t *)&all->turn, part_gone);
    uv_close((uv_handle_t *)&all->idle, part_gone);
}
