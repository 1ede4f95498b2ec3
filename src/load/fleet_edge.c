/* Out: the session -> cut off? lost? late? -> gathered -> sendmmsg. In: recvmmsg -> whose ack is
 * it? -> cut off? lost? paused? -> the session. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "load/fleet_int.h"
#include "wire/seal.h"

#define WAKE_BATCHES   16
#define RECEIVE_BUFFER (8 << 20)

enum { LATE_DATAGRAM, LATE_STREAM };

static bool by_session_eq(const void *ctx, uint32_t value, const void *key)
{
    const struct mu_fleet *fleet = ctx;

    return fleet->agents[value].session_id == *(const uint64_t *)key;
}

static uint64_t by_session_hash(const void *ctx, uint32_t value)
{
    const struct mu_fleet *fleet = ctx;

    return mu_map_hash_id(fleet->agents[value].session_id);
}

/* Whose datagram it is: what an agent sends tells which session it has now. */
static void learn_session(struct fleet_agent *a, const uint8_t *data, size_t n)
{
    struct mu_fleet *fleet = a->fleet;
    uint64_t session;

    if (mu_seal_peek(data, n, &session) < 0 || session == a->session_id)
        return;
    fleet_edge_forget(a);
    a->session_id = session;
    if (mu_map_put(&fleet->by_session, mu_map_hash_id(session), fleet_number(a)))
        a->session_id = 0; /* no memory: its acks are not found, it tries again */
}

void fleet_edge_forget(struct fleet_agent *a)
{
    if (a->session_id)
        (void)mu_map_del(&a->fleet->by_session, mu_map_hash_id(a->session_id), fleet_number(a));
    a->session_id = 0;
}

/* --- out ----------------------------------------------------------------------------------------
 */

void fleet_edge_flush(struct mu_fleet *fleet)
{
    unsigned sent = 0;

    while (sent < fleet->nout) {
        int rv = sendmmsg(fleet->fd, fleet->out + sent, fleet->nout - sent, MSG_DONTWAIT);
        if (rv > 0)
            sent += (unsigned)rv;
        else if (errno == EAGAIN || errno == ENOBUFS)
            break; /* lost, as datagrams may be */
        else
            sent++; /* refused: the conductor is away */
    }
    fleet->nout = 0;
}

static void gather(struct mu_fleet *fleet, const uint8_t *data, size_t n)
{
    memcpy(fleet->out_data[fleet->nout], data, n);
    fleet->out_iov[fleet->nout].iov_len = n;
    fleet->nout++;
    if (fleet->nout == FLEET_BATCH)
        fleet_edge_flush(fleet);
}

static bool is_lost(struct fleet_agent *a)
{
    return a->loss > 0 && mu_rng_unit(&a->fleet->rng) * 100 < a->loss;
}

static void send_late(struct fleet_agent *a, int what, mu_time at, const uint8_t *data, size_t n)
{
    struct mu_item item = {.what = what, .agent = fleet_number(a), .id = a->life, .n = n};

    item.data = mu_alloc(n);
    if (!item.data)
        return;
    memcpy(item.data, data, n);
    (void)mu_agenda_add(&a->fleet->late, at, item);
}

void fleet_edge_datagram(void *ctx, const uint8_t *data, size_t n)
{
    struct fleet_agent *a = ctx;

    learn_session(a, data, n);
    a->fleet->beats++;
    if (a->cuts || is_lost(a))
        return;
    if (a->delay)
        send_late(a, LATE_DATAGRAM, mu_clock_boot() + a->delay, data, n);
    else
        gather(a->fleet, data, n);
}

/* A stream loses nothing; what is cut off waits in the dial until it is not. */
void fleet_edge_stream(void *ctx, const uint8_t *data, size_t n)
{
    struct fleet_agent *a = ctx;
    mu_time now = mu_clock_boot(), at = now + a->delay;

    if (!a->dial)
        return;
    if (at < a->stream_free)
        at = a->stream_free;
    if (at <= now) {
        mu_dial_send(a->dial, data, n);
        return;
    }
    a->stream_free = at;
    send_late(a, LATE_STREAM, at, data, n);
}

void fleet_edge_late(struct mu_fleet *fleet, mu_time now)
{
    while (mu_agenda_next(&fleet->late) <= now) {
        struct mu_item item = mu_agenda_take(&fleet->late);
        struct fleet_agent *a = &fleet->agents[item.agent];

        if (a->life == item.id) {
            if (item.what == LATE_STREAM && a->dial)
                mu_dial_send(a->dial, item.data, item.n);
            else if (item.what == LATE_DATAGRAM && !a->cuts)
                gather(fleet, item.data, item.n);
        }
        mu_free(item.data);
    }
}

/* --- in -----------------------------------------------------------------------------------------
 */

static void arrived(struct mu_fleet *fleet, const uint8_t *data, size_t n)
{
    struct fleet_agent *a;
    uint64_t session;
    uint32_t i;

    if (mu_seal_peek(data, n, &session) < 0)
        return;
    i = mu_map_find(&fleet->by_session, mu_map_hash_id(session), &session);
    if (i == MU_MAP_NONE)
        return;
    a = &fleet->agents[i];
    if (!a->session || a->cuts || is_lost(a))
        return;
    if (a->pauses) { /* a stopped process would find it in its socket */
        a->held_n = n <= sizeof(a->held) ? (uint8_t)n : 0;
        memcpy(a->held, data, a->held_n);
        return;
    }
    mu_session_datagram(a->session, data, n, mu_clock_boot());
    fleet_stir(a);
}

static void on_datagrams(uv_poll_t *poll, int status, int events)
{
    struct mu_fleet *fleet = poll->data;
    int n = FLEET_BATCH;

    (void)events;
    if (status < 0)
        uv_poll_start(poll, UV_READABLE, on_datagrams);
    for (int k = 0; k < WAKE_BATCHES && n == FLEET_BATCH; k++) {
        n = recvmmsg(fleet->fd, fleet->in, FLEET_BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
            arrived(fleet, fleet->in_data[i], fleet->in[i].msg_len);
    }
    fleet_edge_flush(fleet);
}

int fleet_edge_open(struct mu_fleet *fleet, struct mu_err *err)
{
    const struct mu_fleet_config *config = &fleet->config;
    int size = RECEIVE_BUFFER;

    for (size_t i = 0; i < FLEET_BATCH; i++) {
        fleet->out_iov[i].iov_base = fleet->out_data[i];
        fleet->in_iov[i] = (struct iovec){fleet->in_data[i], MU_DATAGRAM_MAX};
        fleet->out[i].msg_hdr.msg_iov = &fleet->out_iov[i];
        fleet->in[i].msg_hdr.msg_iov = &fleet->in_iov[i];
        fleet->out[i].msg_hdr.msg_iovlen = fleet->in[i].msg_hdr.msg_iovlen = 1;
    }
    mu_map_init(&fleet->by_session, by_session_eq, by_session_hash, fleet);
    fleet->fd = socket(config->conductor.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fleet->fd < 0)
        return mu_err_set(err, MU_EIO, "no datagram socket: %s", strerror(errno));
    if (setsockopt(fleet->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
        (void)setsockopt(fleet->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (connect(fleet->fd, (const struct sockaddr *)&config->conductor, config->conductor_len) ||
        uv_poll_init(fleet->loop, &fleet->datagrams, fleet->fd)) {
        close(fleet->fd);
        return mu_err_set(err, MU_EIO, "no way to the conductor: %s", strerror(errno));
    }
    fleet->datagrams.data = fleet;
    uv_poll_start(&fleet->datagrams, UV_READABLE, on_datagrams);
    return 0;
}

void fleet_edge_close(struct mu_fleet *fleet)
{
    uv_poll_stop(&fleet->datagrams);
    close(fleet->fd);
    mu_map_fini(&fleet->by_session);
    mu_agenda_fini(&fleet->late);
}
