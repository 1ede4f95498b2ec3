#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#include "agent/session.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "conductor/intake.h"
#include "sim/agenda.h"
#include "sim/disk.h"
#include "wire/frame.h"

#define SOME_START (1000 * MU_SEC)
#define SOME_WALL  1767225600000 /* 2026-01-01 */
#define TICK       (100 * MU_MS)
#define GRANT      100000

enum happening {
    H_UP,      /* a datagram reaches the conductor */
    H_DOWN,    /* a datagram reaches an agent */
    H_DIALLED, /* an agent's dial has come to something */
    H_PUMP_UP, /* the front of a stream's queue may move */
    H_PUMP_DOWN,
    H_AGENT,  /* an agent's timer */
    H_TICK,   /* the conductor's */
    H_COMMIT, /* the store is done with its oldest job */
    H_RESUME  /* the conductor's stall is over */
};

/* A piece of a stream on its way; n = 0 is the FIN. */
struct piece {
    struct piece *next;
    mu_time ready;
    size_t n;
    uint8_t data[];
};

struct flow {
    struct piece *first, **last;
    mu_time free_at; /* the last piece's ready: a stream keeps its order */
};

struct process {
    struct mu_world *world;
    uint32_t number;
    struct mu_session *session; /* NULL = no process */
    uint32_t id;                /* of its agent in the session */
    uint64_t life;              /* counts processes of this name */
    mu_time paused_until;
    mu_time timer; /* of the H_AGENT item that counts */
    struct mu_link link;
    uint64_t conn; /* of its stream; 0 = none */
    bool accepted; /* the conductor knows of it */
    struct flow up, down;
    struct mu_frames frames; /* the conductor's end */
    bool leaving;
};

struct mu_world {
    struct mu_world_config config;
    struct mu_policies policies;
    struct mu_rng rng;
    mu_time now;
    mu_dur slept; /* BOOTTIME ahead of MONOTONIC */
    struct mu_agenda agenda;
    int rv; /* the first failure */

    struct process *procs;
    uint64_t streams; /* opened so far */

    struct mu_conductor *conductor;
    uint32_t epoch;
    mu_time stalled_until;
    struct mu_item *waiting; /* for a stalled conductor, in order */
    size_t nwaiting, waiting_cap;
    uint64_t drops;

    struct mu_disk disk;
    bool frozen, committing;
    uint64_t seq, seq_end;

    struct mu_seen *seen;
    size_t nseen, seen_cap;
    size_t false_downs;
    uint64_t joins;
};

static int append(void **array, size_t *n, size_t *cap, size_t size)
{
    if (*n == *cap) {
        size_t more = *cap ? *cap * 2 : 64;
        void *p = mu_realloc(*array, more, size);
        if (!p)
            return MU_ENOMEM;
        *array = p;
        *cap = more;
    }
    (*n)++;
    return 0;
}

/* Takes @item.data. */
static void plan(struct mu_world *w, mu_time at, struct mu_item item)
{
    if (mu_agenda_add(&w->agenda, at > w->now ? at : w->now, item))
        w->rv = MU_ENOMEM;
}

/* ---- the network ---- */

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
        plan(w, w->now + way(w, link),
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
    plan(w, piece->ready, (struct mu_item){.what = pump, .agent = p->number, .id = p->conn});
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

/* ---- the conductor's side ---- */

static bool hears(const struct mu_world *w)
{
    return w->conductor && w->now >= w->stalled_until;
}

static int frame_came(void *ctx, const uint8_t *body, size_t n)
{
    struct process *p = ctx;

    if (body[0] == MU_MSG_JOIN)
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

static void stream_up(struct mu_world *w, struct process *p)
{
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

static void datagram_up(struct mu_world *w, const struct mu_item *item)
{
    uint8_t out[MU_DATAGRAM_MAX + 64];
    size_t n = mu_intake_datagram(w->conductor, item->data, item->n, item->agent + 1, w->now, out);

    if (n)
        throw_datagram(&w->procs[item->agent], H_DOWN, out, n);
}

static void wait_for_conductor(struct mu_world *w, struct mu_item *item)
{
    if (!w->conductor)
        return;
    if (item->what == H_UP && w->config.socket_max && w->nwaiting >= w->config.socket_max) {
        w->drops++;
        return;
    }
    if (append((void **)&w->waiting, &w->nwaiting, &w->waiting_cap, sizeof(*w->waiting))) {
        w->rv = MU_ENOMEM;
        return;
    }
    w->waiting[w->nwaiting - 1] = *item;
    item->data = NULL; /* taken */
}

static void forget_waiting(struct mu_world *w)
{
    for (size_t i = 0; i < w->nwaiting; i++)
        mu_free(w->waiting[i].data);
    w->nwaiting = 0;
}

static void tick(struct mu_world *w)
{
    mu_conductor_tick(w->conductor, w->now, w->now + w->slept,
                      SOME_WALL + (w->now - SOME_START) / MU_MS, w->drops);
}

/* As in the daemon: the datagrams that wait are read, then the sweep judges, then streams. */
static void resume(struct mu_world *w)
{
    for (size_t i = 0; i < w->nwaiting; i++)
        datagram_up(w, &w->waiting[i]);
    forget_waiting(w);
    tick(w);
    for (uint32_t i = 0; i < w->config.agents; i++)
        stream_up(w, &w->procs[i]);
    plan(w, w->now + TICK, (struct mu_item){.what = H_TICK, .id = w->epoch});
}

/* A stream's id holds its agent's number: see dialled(). */
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

static int port_payload(void *ctx, uint32_t row, const char *json, size_t n)
{
    (void)ctx, (void)row, (void)json, (void)n;
    return 0;
}

/* ---- the store ---- */

static void kick_store(struct mu_world *w)
{
    if (w->committing || w->frozen || !mu_disk_waits(&w->disk))
        return;
    w->committing = true;
    plan(w, w->now + w->config.commit_after, (struct mu_item){.what = H_COMMIT, .id = w->epoch});
}

static void store_row(struct mu_world *w, uint32_t slot)
{
    struct mu_row row;

    if (!mu_roster_row(mu_conductor_roster(w->conductor), slot, &row))
        return;
    if (mu_disk_give(&w->disk, &row, 0, false))
        w->rv = MU_ENOMEM;
    kick_store(w);
}

static void port_changed(void *ctx, uint32_t slot)
{
    store_row(ctx, slot);
}

static int port_propose(void *ctx, const struct mu_change *change)
{
    struct mu_world *w = ctx;
    int rv = mu_disk_give(&w->disk, &change->row, change->ticket, change->deletes);

    kick_store(w);
    return rv;
}

static void committed(void *ctx, uint64_t ticket)
{
    struct mu_world *w = ctx;

    mu_conductor_committed(w->conductor, ticket, 0, w->now);
}

/* Commits all that has gathered; then, as the journal does, tells those who wait. */
static void commit(struct mu_world *w)
{
    w->committing = false;
    if (mu_disk_commit(&w->disk, committed, w))
        w->rv = MU_ENOMEM;
    kick_store(w);
}

/* ---- what was published ---- */

static uint32_t number_of(const struct mu_world *w, const struct mu_ident *who)
{
    unsigned n;

    if (!who || strcmp(who->binary, "sim") || sscanf(who->host, "h%u", &n) != 1)
        return UINT32_MAX;
    return n < w->config.agents ? n : UINT32_MAX;
}

static void sink_seen(void *ctx, const struct mu_event *event)
{
    struct mu_world *w = ctx;
    uint32_t agent = number_of(w, event->who);
    bool dead = agent != UINT32_MAX && !w->procs[agent].session;

    if (append((void **)&w->seen, &w->nseen, &w->seen_cap, sizeof(*w->seen))) {
        w->rv = MU_ENOMEM;
        return;
    }
    w->seen[w->nseen - 1] = (struct mu_seen){.at = w->now,
                                             .life = w->epoch,
                                             .agent = agent,
                                             .seq = event->seq,
                                             .kind = event->kind,
                                             .from = event->from,
                                             .to = event->to,
                                             .reason = event->reason,
                                             .evidence = event->evidence,
                                             .was_dead = dead};
    if (event->kind == MU_KIND_STATE && event->to == MU_DOWN && agent != UINT32_MAX && !dead)
        w->false_downs++;
    if (mu_bus_left(mu_conductor_bus(w->conductor)) < GRANT / 2) {
        w->seq_end += GRANT;
        mu_bus_grant(mu_conductor_bus(w->conductor), w->seq, w->seq_end);
    }
}

static void sink_store(void *ctx, const struct mu_event *event)
{
    struct mu_world *w = ctx;
    uint32_t slot;

    if (!event->who || event->kind == MU_KIND_DELETED)
        return;
    slot = mu_roster_find_uuid(mu_conductor_roster(w->conductor), event->who->uuid);
    if (slot != MU_NO_SLOT)
        store_row(w, slot);
}

/* ---- the agents' side ---- */

static void set_timer(struct process *p)
{
    struct mu_world *w = p->world;
    mu_time due;

    if (!p->session)
        return;
    due = mu_session_due(p->session);
    if (due == MU_NEVER)
        return;
    if (due < p->paused_until)
        due = p->paused_until;
    if (due < w->now)
        due = w->now;
    if (p->timer <= due && p->timer >= w->now)
        return; /* one that comes no later is planned; it looks again */
    p->timer = due;
    plan(w, due, (struct mu_item){.what = H_AGENT, .agent = p->number, .id = p->life});
}

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

    plan(w, w->now + took,
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

static void agent_notice(void *ctx, enum mu_notice what, uint32_t agent, int rv, const char *text)
{
    (void)ctx, (void)what, (void)agent, (void)rv, (void)text;
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

static int start_process(struct process *p)
{
    struct mu_world *w = p->world;
    struct mu_session_config config = {.start_id = mu_rng_next(&w->rng) | 1,
                                       .seed = mu_rng_next(&w->rng),
                                       .token = "",
                                       .datagrams = true};
    struct mu_session_ports ports = {.ctx = p,
                                     .datagram = agent_datagram,
                                     .stream = agent_stream,
                                     .dial = agent_dial,
                                     .hangup = agent_hangup,
                                     .notice = agent_notice};
    char host[16];
    struct mu_session_agent agent = {
        .binary = "sim", .host = mu_world_host(p->number, host), .zone = "z", .version = "1"};
    int rv = mu_session_new(&p->session, &config, &ports, w->now);

    if (rv)
        return rv;
    p->life++;
    p->paused_until = 0;
    p->timer = -1;
    p->leaving = false;
    rv = mu_session_add(p->session, &agent, &p->id, w->now);
    set_timer(p);
    return rv;
}

static void dialled(struct process *p, bool cut)
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

static void stream_down(struct process *p)
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

static void end_if_left(struct process *p)
{
    if (!p->leaving || !p->session || !mu_session_idle(p->session))
        return;
    mu_session_free(p->session);
    p->session = NULL;
    if (p->conn)
        push_stream(p, H_PUMP_UP, NULL, 0, NULL, 0);
}

/* ---- one thing after another ---- */

static void to_agent(struct mu_world *w, struct mu_item *item)
{
    struct process *p = &w->procs[item->agent];
    bool stream = item->what == H_PUMP_DOWN;

    if (stream ? item->id != p->conn : item->id != p->life || !p->session)
        return;
    if (w->now < p->paused_until || (stream && p->link.cut_down)) {
        struct mu_item again = *item;
        item->data = NULL;
        plan(w, w->now < p->paused_until ? p->paused_until : w->now + 50 * MU_MS, again);
        return;
    }
    switch (item->what) {
    case H_DOWN:
        mu_session_datagram(p->session, item->data, item->n, w->now);
        break;
    case H_DIALLED:
        dialled(p, item->n);
        break;
    case H_AGENT:
        p->timer = -1;
        if (mu_session_due(p->session) <= w->now)
            mu_session_tick(p->session, w->now);
        break;
    default:
        stream_down(p);
        break;
    }
    end_if_left(p);
    set_timer(p);
}

static void to_conductor(struct mu_world *w, struct mu_item *item)
{
    struct process *p = &w->procs[item->agent];

    if (item->what == H_UP) {
        if (hears(w))
            datagram_up(w, item);
        else
            wait_for_conductor(w, item);
    } else if (item->id == p->conn) {
        if (p->link.cut_up)
            plan(w, w->now + 50 * MU_MS, *item);
        else
            stream_up(w, p);
    }
}

static void happen(struct mu_world *w, struct mu_item *item)
{
    switch (item->what) {
    case H_UP:
    case H_PUMP_UP:
        to_conductor(w, item);
        break;
    case H_DOWN:
    case H_DIALLED:
    case H_PUMP_DOWN:
    case H_AGENT:
        to_agent(w, item);
        break;
    case H_TICK:
        if (item->id == w->epoch && hears(w)) {
            tick(w);
            plan(w, w->now + TICK, (struct mu_item){.what = H_TICK, .id = w->epoch});
        }
        break;
    case H_RESUME:
        if (item->id == w->epoch && hears(w))
            resume(w);
        break;
    case H_COMMIT:
        if (item->id != w->epoch || !w->committing)
            break;
        if (w->frozen)
            w->committing = false;
        else if (!hears(w)) /* done, but the loop that would hear of it stands still */
            plan(w, w->stalled_until, *item);
        else
            commit(w);
        break;
    }
    mu_free(item->data);
}

int mu_world_run(struct mu_world *w, mu_dur dur)
{
    mu_time until = w->now + dur;

    while (!w->rv && mu_agenda_next(&w->agenda) <= until) {
        struct mu_item item = mu_agenda_take(&w->agenda);
        w->now = item.at;
        happen(w, &item);
    }
    w->now = until;
    return w->rv;
}

/* ---- what befalls them ---- */

void mu_world_link(struct mu_world *w, uint32_t agent, const struct mu_link *link)
{
    w->procs[agent].link = *link;
}

void mu_world_kill(struct mu_world *w, uint32_t agent, bool host_too)
{
    struct process *p = &w->procs[agent];

    if (!p->session)
        return;
    mu_session_free(p->session);
    p->session = NULL;
    if (p->conn && !host_too)
        push_stream(p, H_PUMP_UP, NULL, 0, NULL, 0);
}

int mu_world_restart(struct mu_world *w, uint32_t agent)
{
    mu_world_kill(w, agent, false);
    stream_up(w, &w->procs[agent]);
    return start_process(&w->procs[agent]);
}

void mu_world_pause(struct mu_world *w, uint32_t agent, mu_dur dur)
{
    w->procs[agent].paused_until = w->now + dur;
}

int mu_world_leave(struct mu_world *w, uint32_t agent)
{
    struct process *p = &w->procs[agent];
    int rv = p->session ? mu_session_leave(p->session, p->id, w->now) : MU_ENOENT;

    p->leaving = rv == 0;
    set_timer(p);
    return rv;
}

void mu_world_stall(struct mu_world *w, mu_dur dur)
{
    w->stalled_until = w->now + dur;
    plan(w, w->stalled_until, (struct mu_item){.what = H_RESUME, .id = w->epoch});
}

void mu_world_suspend(struct mu_world *w, mu_dur dur)
{
    w->slept += dur;
}

void mu_world_crash(struct mu_world *w)
{
    if (!w->conductor)
        return;
    w->seq = w->seq_end; /* what was granted is never given again */
    mu_conductor_free(w->conductor);
    w->conductor = NULL;
    w->stalled_until = 0;
    forget_waiting(w);
    mu_disk_forget(&w->disk);
    w->committing = false;
    for (uint32_t i = 0; i < w->config.agents; i++) {
        struct process *p = &w->procs[i];
        if (!p->conn)
            continue;
        p->accepted = false;
        flow_fini(&p->up);
        push_stream(p, H_PUMP_DOWN, NULL, 0, NULL, 0); /* the kernel's RST */
    }
}

int mu_world_revive(struct mu_world *w)
{
    struct mu_conductor_ports ports = {.ctx = w,
                                       .propose = port_propose,
                                       .payload = port_payload,
                                       .changed = port_changed,
                                       .send = port_send,
                                       .close = port_close};
    struct mu_conductor_config config = {.epoch = ++w->epoch,
                                         .next_row = (uint32_t)w->disk.nrows + 1,
                                         .seed = mu_rng_next(&w->rng),
                                         .max_agents = 1000000,
                                         .join_rate = 20000,
                                         .policies = &w->policies};
    mu_wall wall = SOME_WALL + (w->now - SOME_START) / MU_MS;
    int rv;

    memcpy(config.secret, "0123456789abcdef", 16);
    rv = mu_conductor_new(&w->conductor, &config, &ports, w->now, wall);
    for (size_t i = 0; i < w->disk.nrows && !rv; i++)
        if (w->disk.rows[i].row.id)
            rv = mu_conductor_restore(w->conductor, &w->disk.rows[i].row, 0);
    if (!rv)
        rv = mu_bus_attach(mu_conductor_bus(w->conductor), sink_store, w);
    if (!rv)
        rv = mu_bus_attach(mu_conductor_bus(w->conductor), sink_seen, w);
    if (rv)
        return rv;
    w->seq = w->seq_end ? w->seq_end : 1;
    w->seq_end = w->seq + GRANT;
    mu_bus_grant(mu_conductor_bus(w->conductor), w->seq, w->seq_end);
    mu_conductor_begin(w->conductor, w->now, wall);
    plan(w, w->now + TICK, (struct mu_item){.what = H_TICK, .id = w->epoch});
    return w->rv;
}

void mu_world_freeze_store(struct mu_world *w, bool frozen)
{
    w->frozen = frozen;
    kick_store(w);
}

/* ---- what is there to see ---- */

mu_time mu_world_now(const struct mu_world *w)
{
    return w->now;
}

struct mu_rng *mu_world_rng(struct mu_world *w)
{
    return &w->rng;
}

struct mu_conductor *mu_world_conductor(struct mu_world *w)
{
    return w->conductor;
}

const struct mu_seen *mu_world_seen(const struct mu_world *w, size_t *n)
{
    *n = w->nseen;
    return w->seen;
}

size_t mu_world_false_downs(const struct mu_world *w)
{
    return w->false_downs;
}

uint64_t mu_world_joins(const struct mu_world *w)
{
    return w->joins;
}

const char *mu_world_host(uint32_t agent, char out[16])
{
    snprintf(out, 16, "h%u", agent);
    return out;
}

enum mu_state mu_world_shown(struct mu_world *w, uint32_t agent)
{
    struct mu_roster *roster = mu_conductor_roster(w->conductor);
    char host[16];
    uint32_t slot = mu_roster_find(roster, "sim", mu_world_host(agent, host));
    struct mu_view view;

    if (slot == MU_NO_SLOT)
        return MU_LEFT;
    mu_roster_view(roster, slot, w->now, &view);
    return view.shown;
}

bool mu_world_identity(struct mu_world *w, uint32_t agent, uint8_t uuid[16], uint64_t *incarnation)
{
    struct process *p = &w->procs[agent];
    struct mu_session_status status;

    if (!p->session || mu_session_status(p->session, p->id, w->now, &status) ||
        status.incarnation == 0)
        return false;
    memcpy(uuid, status.uuid, 16);
    *incarnation = status.incarnation;
    return true;
}

bool mu_world_on_stream(struct mu_world *w, uint32_t agent)
{
    struct process *p = &w->procs[agent];
    struct mu_session_status status;

    return p->session && !mu_session_status(p->session, p->id, w->now, &status) && status.on_stream;
}

int mu_world_new(struct mu_world **out, const struct mu_world_config *config)
{
    struct mu_world *w = mu_alloc(sizeof(*w));
    int rv = MU_ENOMEM;

    if (!w)
        return MU_ENOMEM;
    w->config = *config;
    w->now = SOME_START;
    mu_disk_init(&w->disk);
    if (!w->config.commit_after)
        w->config.commit_after = 5 * MU_MS;
    mu_rng_seed(&w->rng, config->seed);
    mu_policies_init(&w->policies);
    w->policies.at[0].times = config->times;
    w->procs = mu_calloc(config->agents ? config->agents : 1, sizeof(*w->procs));
    if (!w->procs)
        goto fail;
    for (uint32_t i = 0; i < config->agents; i++) {
        struct process *p = &w->procs[i];
        *p = (struct process){.world = w, .number = i, .link = config->link, .timer = -1};
        flow_init(&p->up);
        flow_init(&p->down);
        mu_frames_init(&p->frames);
    }
    rv = mu_policies_finish(&w->policies, NULL, NULL, NULL);
    if (!rv)
        rv = mu_world_revive(w);
    for (uint32_t i = 0; i < config->agents && !rv; i++)
        rv = start_process(&w->procs[i]);
    if (rv)
        goto fail;
    *out = w;
    return 0;

fail:
    mu_world_free(w);
    return rv;
}

void mu_world_free(struct mu_world *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; w->procs && i < w->config.agents; i++) {
        mu_session_free(w->procs[i].session);
        flow_fini(&w->procs[i].up);
        flow_fini(&w->procs[i].down);
        mu_frames_fini(&w->procs[i].frames);
    }
    mu_conductor_free(w->conductor);
    forget_waiting(w);
    mu_disk_fini(&w->disk);
    mu_agenda_fini(&w->agenda);
    mu_free(w->waiting);
    mu_free(w->seen);
    mu_free(w->procs);
    mu_free(w);
}
