#include "sim/world.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conductor/conductor.h"
#include "sim/world_own.h"

#define SOME_START (1000 * MU_SEC)
#define SOME_WALL  1767225600000 /* 2026-01-01 */
#define TICK       (100 * MU_MS)
#define GRANT      100000

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

void mu_world_plan(struct mu_world *w, mu_time at, struct mu_item item)
{
    if (mu_agenda_add(&w->agenda, at > w->now ? at : w->now, item))
        w->rv = MU_ENOMEM;
}

/* ---- the conductor's side ---- */

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
        mu_net_datagram_up(w, &w->waiting[i]);
    forget_waiting(w);
    tick(w);
    for (uint32_t i = 0; i < w->config.agents; i++)
        mu_net_stream_up(&w->procs[i]);
    mu_world_plan(w, w->now + TICK, (struct mu_item){.what = H_TICK, .id = w->epoch});
}

/* ---- the store ---- */

static void kick_store(struct mu_world *w)
{
    if (w->committing || w->frozen || !mu_disk_waits(&w->disk))
        return;
    w->committing = true;
    mu_world_plan(w, w->now + w->config.commit_after,
                  (struct mu_item){.what = H_COMMIT, .id = w->epoch});
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

static int port_payload(void *ctx, const struct mu_reported *report, const char *json, size_t n)
{
    (void)ctx, (void)report, (void)json, (void)n; /* none of its agents reports any */
    return 0;
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
    mu_world_plan(w, due, (struct mu_item){.what = H_AGENT, .agent = p->number, .id = p->life});
}

static void agent_notice(void *ctx, enum mu_notice what, uint32_t agent, int rv, const char *text)
{
    (void)ctx, (void)what, (void)agent, (void)rv, (void)text;
}

static int start_process(struct process *p)
{
    struct mu_world *w = p->world;
    struct mu_session_config config = {.start_id = mu_rng_next(&w->rng) | 1,
                                       .seed = mu_rng_next(&w->rng),
                                       .token = "",
                                       .datagrams = true};
    struct mu_session_ports ports = {.notice = agent_notice};
    char host[16];
    struct mu_session_agent agent = {
        .binary = "sim", .host = mu_world_host(p->number, host), .zone = "z", .version = "1"};
    int rv;

    mu_net_agent_ports(p, &ports);
    rv = mu_session_new(&p->session, &config, &ports, w->now);
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

static void end_if_left(struct process *p)
{
    if (!p->leaving || !p->session || !mu_session_idle(p->session))
        return;
    mu_session_free(p->session);
    p->session = NULL;
    mu_net_fin(p);
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
        mu_world_plan(w, w->now < p->paused_until ? p->paused_until : w->now + 50 * MU_MS, again);
        return;
    }
    switch (item->what) {
    case H_DOWN:
        mu_session_datagram(p->session, item->data, item->n, w->now);
        break;
    case H_DIALLED:
        mu_net_dialled(p, item->n);
        break;
    case H_AGENT:
        p->timer = -1;
        if (mu_session_due(p->session) <= w->now)
            mu_session_tick(p->session, w->now);
        break;
    default:
        mu_net_stream_down(p);
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
            mu_net_datagram_up(w, item);
        else
            wait_for_conductor(w, item);
    } else if (item->id == p->conn) {
        if (p->link.cut_up)
            mu_world_plan(w, w->now + 50 * MU_MS, *item);
        else
            mu_net_stream_up(p);
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
            mu_world_plan(w, w->now + TICK, (struct mu_item){.what = H_TICK, .id = w->epoch});
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
            mu_world_plan(w, w->stalled_until, *item);
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
    if (!host_too)
        mu_net_fin(p);
}

int mu_world_restart(struct mu_world *w, uint32_t agent)
{
    mu_world_kill(w, agent, false);
    mu_net_stream_up(&w->procs[agent]);
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
    mu_world_plan(w, w->stalled_until, (struct mu_item){.what = H_RESUME, .id = w->epoch});
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
    for (uint32_t i = 0; i < w->config.agents; i++)
        mu_net_rst(&w->procs[i]); /* as its kernel would */
}

static int restore(struct mu_world *w, const struct mu_row *row)
{
    struct mu_who who = {.binary = row->ident->binary, .host = row->ident->host};

    memcpy(who.uuid, row->ident->uuid, sizeof(who.uuid));
    return mu_conductor_restore(w->conductor, &who, row, 0);
}

int mu_world_revive(struct mu_world *w)
{
    struct mu_conductor_ports ports = {
        .propose = port_propose, .payload = port_payload, .changed = port_changed};
    struct mu_conductor_config config = {.epoch = ++w->epoch,
                                         .next_row = (uint32_t)w->disk.nrows + 1,
                                         .seed = mu_rng_next(&w->rng),
                                         .max_agents = 1000000,
                                         .join_rate = 20000,
                                         .policies = &w->policies};
    mu_wall wall = SOME_WALL + (w->now - SOME_START) / MU_MS;
    int rv;

    memcpy(config.secret, "0123456789abcdef", 16);
    mu_net_conductor_ports(w, &ports);
    rv = mu_conductor_new(&w->conductor, &config, &ports, w->now, wall);
    for (size_t i = 0; i < w->disk.nrows && !rv; i++)
        if (w->disk.rows[i].row.id)
            rv = restore(w, &w->disk.rows[i].row);
    if (!rv)
        rv = mu_conductor_restored(w->conductor);
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
    mu_world_plan(w, w->now + TICK, (struct mu_item){.what = H_TICK, .id = w->epoch});
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
    w->policies.at[0].detector = (int)config->detector;
    w->procs = mu_calloc(config->agents ? config->agents : 1, sizeof(*w->procs));
    if (!w->procs)
        goto fail;
    for (uint32_t i = 0; i < config->agents; i++) {
        struct process *p = &w->procs[i];
        *p = (struct process){.world = w, .number = i, .link = config->link, .timer = -1};
        mu_net_init(p);
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
        mu_net_fini(&w->procs[i]);
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
