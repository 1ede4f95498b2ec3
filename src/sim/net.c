/* The network between agents and conductor: datagrams that get lost, late or twice, and streams
 * that keep their order; and what either end makes of what comes. */
#include <string.h>

#include "base/mem.h"
#include "conductor/intake.h"
#include "sim/world_own.h"

static bool chance(struct mu_world *w, double part)
{
    return part > 0 && mu_rng_unit(&w->rng) < part;
}

static mu_dur way(struct mu_world *w, const struct mu_link *link)
{
    return link->delay + (mu_dur)(mu_rng_unit(&w->rng) * (double)link->jitter);
}

static void throw_datagram(struct process *p, enum happening what, const uint8_t *data, size_t n)
{
    struct mu_world *w = p->world;
    const struct mu_link *link = &p->link;
    int copies = chance(w, link->twice) ? 2 : 1;

    if (link->no_udp || (what == H_UP ? link->cut_up : link->cut_down))
        return;
    for (int i = 0; i < copies; i++) {
        if (chance(w, link->loss))
            continue;
        uint8_t *copy = mu_alloc(n);
        if (!copy) {
            w->rv = MU_ENOMEM;
            return;
        }
        memcpy(copy, data, n);
        mu_world_plan(w, w->now + way(w, link),
                      (struct mu_item){
                          .what = what, .agent = p->number, .id = p->life, .data = copy, .n = n});
    }
}

static void flow_init(struct flow *f)
{
    f->first = NULL;
    f->last = &f->first;
    f->free_at = 0;
}

static void flow_fini(struct flow *f)
{
    while (f->first) {
        struct piece *piece = f->first;
        f->first = piece->next;
        mu_free(piece);
    }
    flow_init(f);
}

/* A lost piece of a stream comes all the same, after the kernel's resending. */
static void push_stream(struct process *p, enum happening pump, const uint8_t *head, size_t nhead,
                        const uint8_t *data, size_t n)
{
    struct mu_world *w = p->world;
    struct flow *f = pump == H_PUMP_UP ? &p->up : &p->down;
    struct piece *piece = mu_alloc(sizeof(*piece) + nhead + n);
    mu_dur late = way(w, &p->link);

    if (!piece) {
        w->rv = MU_ENOMEM;
        return;
    }
    for (mu_dur wait = 200 * MU_MS; chance(w, p->link.loss) && wait < 10 * MU_SEC; wait *= 2)
        late += wait;
    piece->n = nhead + n;
    if (nhead)
        memcpy(piece->data, head, nhead);
    if (n)
        memcpy(piece->data + nhead, data, n);
    piece->ready = w->now + late > f->free_at ? w->now + late : f->free_at;
    f->free_at = piece->ready;
    *f->last = piece;
    f->last = &piece->next;
    mu_world_plan(w, piece->ready,
                  (struct mu_item){.what = pump, .agent = p->number, .id = p->conn});
}

static struct piece *pop_piece(struct mu_world *w, struct flow *f)
{
    struct piece *piece = f->first;

    if (!piece || piece->ready > w->now)
        return NULL;
    f->first = piece->next;
    if (!f->first)
        f->last = &f->first;
    return piece;
}

/* ---- the conductor's end ---- */

static int frame_came(void *ctx, const uint8_t *body, size_t n)
{
    struct process *p = ctx;

    if (n > 0 && body[0] == MU_MSG_JOIN)
        p->world->joins++;
    return mu_intake_frame(p->world->conductor, p->conn, body, n, p->world->now);
}

/* Both ends forget the stream; @tell the agent's after the way there. */
static void conductor_hangs_up(struct process *p, bool by_peer)
{
    uint64_t conn = p->conn;

    if (!p->accepted)
        return;
    p->accepted = false;
    mu_frames_fini(&p->frames);
    mu_frames_init(&p->frames);
    if (p->world->conductor)
        mu_intake_closed(p->world->conductor, conn, by_peer, p->world->now);
    if (!by_peer && p->conn == conn)
        push_stream(p, H_PUMP_DOWN, NULL, 0, NULL, 0);
}

void mu_net_stream_up(struct process *p)
{
    struct mu_world *w = p->world;
    struct piece *piece;

    while (hears(w) && (piece = pop_piece(w, &p->up))) {
        char peer[16];
        if (!p->accepted && piece->n) {
            p->accepted = true;
            if (mu_intake_opened(w->conductor, p->conn, mu_world_host(p->number, peer), w->now))
                conductor_hangs_up(p, false);
        }
        if (piece->n == 0)
            conductor_hangs_up(p, true);
        else if (p->accepted &&
                 mu_frames_feed(&p->frames, piece->data, piece->n, frame_came, p) != 0)
            conductor_hangs_up(p, false);
        mu_free(piece);
    }
}

void mu_net_datagram_up(struct mu_world *w, const struct mu_item *item)
{
    uint8_t out[MU_DATAGRAM_MAX + 64];
    size_t n = mu_intake_datagram(w->conductor, item->data, item->n, item->agent + 1, w->now, out);

    if (n)
        throw_datagram(&w->procs[item->agent], H_DOWN, out, n);
}

/* A stream's id holds its agent's number: see mu_net_dialled(). */
static struct process *process_of(struct mu_world *w, uint64_t conn)
{
    return &w->procs[conn % w->config.agents];
}

static void port_send(void *ctx, uint64_t conn, const uint8_t *frame, size_t n)
{
    struct process *p = process_of(ctx, conn);
    uint8_t head[MU_FRAME_HEAD];

    mu_frame_head(head, n);
    if (p->conn == conn && p->accepted)
        push_stream(p, H_PUMP_DOWN, head, sizeof(head), frame, n);
}

static void port_close(void *ctx, uint64_t conn)
{
    struct process *p = process_of(ctx, conn);

    if (p->conn == conn)
        conductor_hangs_up(p, false);
}

void mu_net_conductor_ports(struct mu_world *w, struct mu_conductor_ports *ports)
{
    ports->ctx = w;
    ports->send = port_send;
    ports->close = port_close;
}

/* ---- the agents' ends ---- */

static void agent_datagram(void *ctx, const uint8_t *data, size_t n)
{
    throw_datagram(ctx, H_UP, data, n);
}

static void agent_stream(void *ctx, const uint8_t *data, size_t n)
{
    struct process *p = ctx;

    if (p->conn)
        push_stream(p, H_PUMP_UP, NULL, 0, data, n);
}

/* A try takes a round trip; where nothing comes back it is given up after 3 s. */
static void agent_dial(void *ctx)
{
    struct process *p = ctx;
    struct mu_world *w = p->world;
    bool cut = p->link.cut_up || p->link.cut_down;
    mu_dur took = cut ? 3 * MU_SEC : way(w, &p->link) + way(w, &p->link);

    mu_world_plan(w, w->now + took,
                  (struct mu_item){.what = H_DIALLED, .agent = p->number, .id = p->life, .n = cut});
}

/* The agent's end goes; the FIN follows what was sent. */
static void agent_hangup(void *ctx)
{
    struct process *p = ctx;

    if (!p->conn)
        return;
    push_stream(p, H_PUMP_UP, NULL, 0, NULL, 0);
    flow_fini(&p->down);
}

void mu_net_agent_ports(struct process *p, struct mu_session_ports *ports)
{
    ports->ctx = p;
    ports->datagram = agent_datagram;
    ports->stream = agent_stream;
    ports->dial = agent_dial;
    ports->hangup = agent_hangup;
}

static void drop_stream(struct process *p)
{
    flow_fini(&p->up);
    flow_fini(&p->down);
    mu_frames_fini(&p->frames);
    mu_frames_init(&p->frames);
    p->conn = 0;
    p->accepted = false;
}

void mu_net_dialled(struct process *p, bool cut)
{
    struct mu_world *w = p->world;

    if (cut || !w->conductor) {
        mu_session_dialled(p->session, MU_EAGAIN, w->now);
        return;
    }
    if (p->conn) /* what was left of an older one */
        conductor_hangs_up(p, true);
    drop_stream(p);
    p->conn = ++w->streams * w->config.agents + p->number;
    mu_session_dialled(p->session, 0, w->now);
}

void mu_net_stream_down(struct process *p)
{
    struct mu_world *w = p->world;
    struct piece *piece;

    while (p->session && (piece = pop_piece(w, &p->down))) {
        if (piece->n)
            mu_session_stream(p->session, piece->data, piece->n, w->now);
        else {
            drop_stream(p);
            mu_session_hungup(p->session, w->now);
        }
        mu_free(piece);
    }
}

void mu_net_fin(struct process *p)
{
    if (p->conn)
        push_stream(p, H_PUMP_UP, NULL, 0, NULL, 0);
}

void mu_net_rst(struct process *p)
{
    if (!p->conn)
        return;
    p->accepted = false;
    flow_fini(&p->up);
    push_stream(p, H_PUMP_DOWN, NULL, 0, NULL, 0);
}

void mu_net_init(struct process *p)
{
    flow_init(&p->up);
    flow_init(&p->down);
    mu_frames_init(&p->frames);
}

void mu_net_fini(struct process *p)
{
    flow_fini(&p->up);
    flow_fini(&p->down);
    mu_frames_fini(&p->frames);
}
