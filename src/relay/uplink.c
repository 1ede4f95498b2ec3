/* The session's ports may not call back in, so they only note what is wanted; stir() does it.
 *
 * A dial: the next conductor of the list -> its addresses (getaddrinfo on libuv's threads, unless
 * it is numeric) -> each in turn until one answers -> mu_session_dialled(). */
#include "relay/uplink.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "transport/dial.h"

#define ADDRESSES_MAX 8
#define A_WAKE        64           /* datagrams read */
#define SILENT        (4 * MU_SEC) /* after which it is told that nothing answers a first join */

struct address {
    struct sockaddr_storage sa;
    socklen_t len;
};

struct notice {
    struct notice *next;
    enum mu_notice what;
    uint32_t agent;
    int rv;
    char text[];
};

struct datagrams {
    uv_poll_t poll;
    struct mu_uplink *up;
    int fd;
};

struct mu_uplink {
    uv_loop_t *loop;
    struct mu_session *session;
    struct mu_conductors conductors;
    size_t turn; /* the conductor to be dialled next */
    mu_uplink_notice_fn notice;
    void *ctx;
    struct notice *notices, **last; /* told by the session, and not yet by us */

    struct address addresses[ADDRESSES_MAX]; /* of the conductor being dialled */
    size_t naddresses, tried;
    bool dial_wanted, hangup_wanted;
    bool reached;                    /* a conductor, once */
    bool strange[MU_CONDUCTORS_MAX]; /* was named: took our stream, and does not answer */
    mu_time silent_until;            /* it is named then; MU_NEVER = nobody is */
    bool dialling;                   /* until mu_session_dialled() */
    bool resolving;                  /* a part of it */
    struct mu_dial *dial;
    struct datagrams *datagrams;

    bool stirring, closing;
    bool quiet; /* the last word is on its way, and mu_uplink_excuse() tells the rest */
    uv_timer_t timer;
    uv_getaddrinfo_t resolve;
    unsigned handles; /* the timer, and the resolver while it is asked */
};

static void on_timer(uv_timer_t *timer);
static void try_addresses(struct mu_uplink *up);

/* --- what the session asks for ------------------------------------------------------------------
 */

static void port_datagram(void *ctx, const uint8_t *data, size_t n)
{
    struct mu_uplink *up = ctx;

    if (up->datagrams)
        (void)send(up->datagrams->fd, data, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void port_stream(void *ctx, const uint8_t *data, size_t n)
{
    struct mu_uplink *up = ctx;

    if (up->dial)
        mu_dial_send(up->dial, data, n);
}

static void port_dial(void *ctx)
{
    ((struct mu_uplink *)ctx)->dial_wanted = true;
}

static void port_hangup(void *ctx)
{
    struct mu_uplink *up = ctx;

    up->hangup_wanted = true;
    up->dial_wanted = false;
}

static void port_notice(void *ctx, enum mu_notice what, uint32_t agent, int rv, const char *text)
{
    struct mu_uplink *up = ctx;
    size_t n = text ? strlen(text) : 0;
    struct notice *notice = mu_alloc(sizeof(*notice) + n + 1);

    if (!notice)
        return;
    notice->what = what;
    notice->agent = agent;
    notice->rv = rv;
    if (n)
        memcpy(notice->text, text, n);
    *up->last = notice;
    up->last = &notice->next;
}

/* --- datagrams ----------------------------------------------------------------------------------
 */

static void on_datagram(uv_poll_t *poll, int status, int events)
{
    struct datagrams *d = poll->data;
    struct mu_uplink *up = d->up;
    uint8_t bytes[MU_DATAGRAM_MAX];

    (void)events;
    if (status < 0) /* libuv has stopped the poll; recv() clears the error, a refused port mostly */
        uv_poll_start(poll, UV_READABLE, on_datagram);
    for (int i = 0; i < A_WAKE; i++) {
        ssize_t n = recv(d->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n > 0)
            mu_session_datagram(up->session, bytes, (size_t)n, mu_clock_boot());
    }
    mu_uplink_stir(up);
}

static void datagrams_gone(uv_handle_t *handle)
{
    mu_free(handle->data);
}

static void close_datagrams(struct mu_uplink *up)
{
    struct datagrams *d = up->datagrams;

    if (!d)
        return;
    up->datagrams = NULL;
    uv_poll_stop(&d->poll);
    close(d->fd);
    uv_close((uv_handle_t *)&d->poll, datagrams_gone);
}

/* A socket towards @to in place of the one there was. Without one, beats go by the stream. */
static void open_datagrams(struct mu_uplink *up, const struct address *to)
{
    struct datagrams *d;

    close_datagrams(up);
    if (to->sa.ss_family == AF_UNIX)
        return;
    d = mu_alloc(sizeof(*d));
    if (!d)
        return;
    d->fd = socket(to->sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0)
        goto no_socket;
    if (connect(d->fd, (const struct sockaddr *)&to->sa, to->len) ||
        uv_poll_init(up->loop, &d->poll, d->fd))
        goto no_poll;
    d->up = up;
    d->poll.data = d;
    uv_poll_start(&d->poll, UV_READABLE, on_datagram);
    up->datagrams = d;
    return;

no_poll:
    close(d->fd);
no_socket:
    mu_free(d);
}

/* --- the stream ---------------------------------------------------------------------------------
 */

/* Until the first conductor is reached, each that is not is named once: an address may be a slip.
 * Later the session tells that it is lost. */
static void tell_absent(const struct mu_uplink *up)
{
    if (!up->reached && !up->quiet && up->turn <= up->conductors.n)
        mu_warn("agent", "no conductor there yet, trying on",
                MU_KVS("conductor", up->conductors.addrs[up->turn - 1].text));
}

/* Something took our stream that says nothing, or nothing that a conductor says: mostly the port
 * of something else. Once for each of the list, and not where one has ever answered. */
static void tell_strange(struct mu_uplink *up)
{
    size_t i = (up->turn - 1) % up->conductors.n;

    up->silent_until = MU_NEVER;
    if (mu_session_answered(up->session) || up->strange[i] || up->quiet)
        return;
    up->strange[i] = true;
    mu_warn("agent", "no answer of a conductor there yet; is it another port? trying on",
            MU_KVS("conductor", up->conductors.addrs[i].text));
}

static void dial_failed(struct mu_uplink *up)
{
    tell_absent(up);
    up->dialling = false;
    mu_session_dialled(up->session, MU_EAGAIN, mu_clock_boot());
    mu_uplink_stir(up);
}

static void on_dialled(void *ctx, int rv)
{
    struct mu_uplink *up = ctx;

    if (rv) {
        mu_dial_close(up->dial);
        up->dial = NULL;
        try_addresses(up);
        return;
    }
    up->dialling = false;
    up->reached = true;
    up->silent_until = mu_clock_boot() + SILENT;
    open_datagrams(up, &up->addresses[up->tried - 1]);
    mu_session_dialled(up->session, 0, mu_clock_boot());
    mu_uplink_stir(up);
}

static void on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct mu_uplink *up = ctx;

    mu_session_stream(up->session, data, n, mu_clock_boot());
    mu_uplink_stir(up);
}

static void on_hungup(void *ctx)
{
    struct mu_uplink *up = ctx;

    mu_dial_close(up->dial);
    up->dial = NULL;
    tell_strange(up);
    mu_session_hungup(up->session, mu_clock_boot());
    mu_uplink_stir(up);
}

static void try_addresses(struct mu_uplink *up)
{
    struct mu_dial_ports ports = {up, on_dialled, on_data, on_hungup};

    while (up->tried < up->naddresses) {
        const struct address *to = &up->addresses[up->tried++];
        if (mu_dial_open(&up->dial, up->loop, (const struct sockaddr *)&to->sa, to->len, &ports) ==
            0)
            return;
    }
    dial_failed(up);
}

static void drop_handle(struct mu_uplink *up)
{
    if (--up->handles == 0)
        mu_free(up);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct mu_uplink *up = req->data;
    bool dropped = up->closing || !up->dialling;

    up->resolving = false;
    for (struct addrinfo *ai = status ? NULL : list; ai && up->naddresses < ADDRESSES_MAX;
         ai = ai->ai_next) {
        struct address *to = &up->addresses[up->naddresses++];
        memcpy(&to->sa, ai->ai_addr, ai->ai_addrlen);
        to->len = ai->ai_addrlen;
    }
    uv_freeaddrinfo(list);
    if (!dropped)
        try_addresses(up);
    else if (!up->closing)
        mu_uplink_stir(up); /* a dial may have waited for the resolver */
    drop_handle(up);
}

static void begin_dial(struct mu_uplink *up)
{
    const struct mu_addr *addr = &up->conductors.addrs[up->turn++ % up->conductors.n];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char port[16];

    up->dialling = true;
    up->naddresses = up->tried = 0;
    if (mu_addr_sockaddr(addr, &up->addresses[0].sa, &up->addresses[0].len, NULL) == 0) {
        up->naddresses = 1;
        try_addresses(up);
        return;
    }
    snprintf(port, sizeof(port), "%d", addr->port);
    up->resolve.data = up;
    if (uv_getaddrinfo(up->loop, &up->resolve, on_resolved, addr->host, port, &hints)) {
        dial_failed(up);
        return;
    }
    up->resolving = true;
    up->handles++;
}

/* --- the machine --------------------------------------------------------------------------------
 */

static void tell_notices(struct mu_uplink *up)
{
    while (up->notices) {
        struct notice *notice = up->notices;

        up->notices = notice->next;
        if (!up->notices)
            up->last = &up->notices;
        up->notice(up->ctx, notice->what, notice->agent, notice->rv, notice->text);
        mu_free(notice);
    }
}

static void arm(struct mu_uplink *up)
{
    mu_time due = mu_session_due(up->session), now = mu_clock_boot();

    if (mu_session_answered(up->session))
        up->silent_until = MU_NEVER;
    due = up->silent_until < due ? up->silent_until : due;
    if (due == MU_NEVER) {
        uv_timer_stop(&up->timer);
        return;
    }
    uv_update_time(up->loop); /* else the timer would count from the beginning of this turn */
    uv_timer_start(&up->timer, on_timer, due <= now ? 0 : (uint64_t)((due - now) / MU_MS + 1), 0);
}

static bool may_dial(const struct mu_uplink *up)
{
    return up->dial_wanted && !up->dialling && !up->resolving;
}

void mu_uplink_stir(struct mu_uplink *up)
{
    if (up->stirring) /* what is begun below may fail at once, and come here again */
        return;
    up->stirring = true;
    while (up->hangup_wanted || may_dial(up) || up->notices) {
        if (up->hangup_wanted) {
            up->hangup_wanted = false;
            up->dialling = false;
            mu_dial_close(up->dial);
            up->dial = NULL;
            tell_strange(up);
        }
        if (may_dial(up)) {
            up->dial_wanted = false;
            begin_dial(up);
        }
        tell_notices(up);
    }
    up->stirring = false;
    arm(up);
}

static void on_timer(uv_timer_t *timer)
{
    struct mu_uplink *up = timer->data;

    mu_time now = mu_clock_boot();

    if (now >= up->silent_until)
        tell_strange(up);
    mu_session_tick(up->session, now);
    mu_uplink_stir(up);
}

struct mu_session *mu_uplink_session(struct mu_uplink *up)
{
    return up->session;
}

void mu_uplink_quiet(struct mu_uplink *up)
{
    up->quiet = true;
}

const char *mu_uplink_excuse(const struct mu_uplink *up, char out[MU_UPLINK_EXCUSE])
{
    size_t last = up->turn ? (up->turn - 1) % up->conductors.n : 0;
    const char *place = up->conductors.addrs[last].text;

    if (mu_session_answered(up->session))
        snprintf(out, MU_UPLINK_EXCUSE, "no answer");
    else if (up->reached)
        snprintf(out, MU_UPLINK_EXCUSE, "no answer of a conductor at %s; is it another port?",
                 place);
    else
        snprintf(out, MU_UPLINK_EXCUSE, "no conductor at %s", place);
    return out;
}

static int new_session(struct mu_uplink *up, const char *token)
{
    struct mu_session_ports ports = {up,        port_datagram, port_stream,
                                     port_dial, port_hangup,   port_notice};
    struct mu_session_config config = {.token = token ? token : ""};
    int rv = mu_rng_secret(&config.start_id, sizeof(config.start_id));

    if (rv == 0)
        rv = mu_rng_secret(&config.seed, sizeof(config.seed));
    for (size_t i = 0; i < up->conductors.n; i++) /* by Unix sockets alone there are no datagrams */
        config.datagrams |= up->conductors.addrs[i].host[0] != '\0';
    return rv ? rv : mu_session_new(&up->session, &config, &ports, mu_clock_boot());
}

int mu_uplink_new(struct mu_uplink **out, struct uv_loop_s *loop,
                  const struct mu_conductors *conductors, const char *token,
                  mu_uplink_notice_fn notice, void *ctx)
{
    struct mu_uplink *up = mu_alloc(sizeof(*up));
    int rv;

    if (!up)
        return MU_ENOMEM;
    up->loop = loop;
    up->conductors = *conductors;
    up->notice = notice;
    up->ctx = ctx;
    up->last = &up->notices;
    up->silent_until = MU_NEVER;
    rv = new_session(up, token);
    if (rv) {
        mu_free(up);
        return rv;
    }
    uv_timer_init(loop, &up->timer);
    up->timer.data = up;
    up->handles = 1;
    *out = up;
    return 0;
}

static void timer_gone(uv_handle_t *handle)
{
    drop_handle(handle->data);
}

bool mu_uplink_close(struct mu_uplink *up)
{
    bool resolving;

    if (!up)
        return false;
    up->closing = true;
    mu_dial_close(up->dial);
    close_datagrams(up);
    while (up->notices) {
        struct notice *notice = up->notices;
        up->notices = notice->next;
        mu_free(notice);
    }
    mu_session_free(up->session);
    resolving = up->resolving && uv_cancel((uv_req_t *)&up->resolve);
    uv_close((uv_handle_t *)&up->timer, timer_gone);
    return resolving;
}
