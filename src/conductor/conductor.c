/* The conductor's life: made, told what is stored, begun, ticked. */
#include "conductor/heart.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

/* Sessions beyond two an agent before those without any are let go sooner. */
#define SESSIONS_SPARE 10000

int mu_conductor_new(struct mu_conductor **out, const struct mu_conductor_config *config,
                     const struct mu_conductor_ports *ports, mu_time now, mu_wall wall)
{
    struct mu_conductor *c = mu_alloc(sizeof(*c));
    struct mu_roster_config rc = {.policies = config->policies};

    if (!c)
        return MU_ENOMEM;
    c->config = *config;
    c->ports = *ports;
    c->next_row = config->next_row;
    c->now = c->wall_at = c->began = now;
    c->wall = c->began_wall = wall;
    c->roam_told = now - MU_SEC;
    for (size_t i = 0; i < MU_CONTESTS; i++)
        c->contests[i].slot = MU_NO_SLOT;
    mu_rng_seed(&c->rng, config->seed);
    mu_hearing_init(&c->hearing, now);
    mu_admit_init(&c->admit, config->join_rate, now);
    mu_sessions_init(&c->sessions, config->epoch, now);
    mu_entries_init(&c->streams, sizeof(struct mu_stream));
    mu_list_init(&c->joins);
    mu_entries_init(&c->waiting, sizeof(struct mu_pending));
    for (size_t i = 0; i < sizeof(rc.key); i++)
        rc.key[i] = (uint8_t)mu_rng_next(&c->rng);
    c->room = mu_calloc(MU_JOIN_AGENTS_MAX, sizeof(*c->room));
    if (!c->room || mu_roster_new(&c->roster, &rc) != 0 || mu_bus_new(&c->bus) != 0) {
        mu_conductor_free(c);
        return MU_ENOMEM;
    }
    mu_roster_clock(c->roster, now, wall);
    *out = c;
    return 0;
}

void mu_conductor_free(struct mu_conductor *c)
{
    if (!c)
        return;
    mu_streams_fini(c);
    mu_waiting_fini(c);
    mu_sessions_fini(&c->sessions);
    mu_roster_free(c->roster);
    mu_bus_free(c->bus);
    mu_free(c->room);
    mu_free(c);
}

/* The session goes on under its old id; that it is used in a new epoch is settled by a resync. */
static int restore_session(struct mu_conductor *c, const struct mu_row *row, uint32_t slot)
{
    struct mu_sender *s;

    if (row->session == 0)
        return 0;
    if (row->session >> 32 == 0 || row->session >> 32 > c->config.epoch ||
        row->index >= MU_SENDER_MAX) { /* none that was ever given: he joins anew */
        mu_roster_bind(c->roster, slot, 0, 0);
        return 0;
    }
    s = mu_sessions_find(&c->sessions, row->session);
    if (!s && mu_sessions_restore(&c->sessions, row->session, &s) != 0)
        return MU_ENOMEM;
    if (s)
        return mu_sender_set(&c->sessions, s, row->index, slot);
    mu_roster_bind(c->roster, slot, 0, 0); /* it was over, and the store has not heard of it */
    return 0;
}

int mu_conductor_restore(struct mu_conductor *c, const struct mu_who *who, const struct mu_row *row,
                         uint32_t payload_len)
{
    struct mu_row own = *row;
    uint32_t slot;
    int rv;

    own.ident = mu_ident_new(who->uuid, who->binary, who->host);
    if (!own.ident)
        return MU_ENOMEM;
    rv = mu_roster_load(c->roster, &own, &slot);
    mu_ident_unref(own.ident);
    if (rv != 0)
        return rv;
    mu_roster_stored(c->roster, slot, payload_len);
    if (row->id >= c->next_row)
        c->next_row = row->id + 1;
    return restore_session(c, row, slot);
}

int mu_conductor_restored(struct mu_conductor *c)
{
    mu_sessions_restored(&c->sessions);
    return mu_roster_loaded(c->roster);
}

void mu_conductor_begin(struct mu_conductor *c, mu_time now, mu_wall wall)
{
    struct mu_evidence evidence = mu_no_evidence;

    c->now = c->wall_at = c->began = now;
    c->wall = c->began_wall = wall;
    mu_roster_clock(c->roster, now, wall);
    mu_hearing_init(&c->hearing, now); /* loading was no stall: nobody could be heard before */
    mu_admit_init(&c->admit, c->config.join_rate, now);
    evidence.count = mu_roster_begin(c->roster, mu_heart_time(c));
    mu_heart_tell(c, MU_WHY_STARTED, &evidence, NULL, NULL);
}

struct mu_roster *mu_conductor_roster(struct mu_conductor *c)
{
    return c->roster;
}

struct mu_bus *mu_conductor_bus(struct mu_conductor *c)
{
    return c->bus;
}

const struct mu_hearing *mu_conductor_hearing(const struct mu_conductor *c)
{
    return &c->hearing;
}

/* How well we hear by now: a suspend, and datagrams that the kernel has dropped. */
static void listen(struct mu_conductor *c, mu_time now, mu_time boot, uint64_t drops)
{
    struct mu_evidence evidence = mu_no_evidence;
    enum mu_heard heard;

    if (mu_hearing_suspended(&c->hearing, now, boot) == MU_HEARD_STALL)
        mu_heart_stalled(c);
    heard = mu_hearing_drops(&c->hearing, now, drops);
    if (heard == MU_HEARD_DEAF) {
        evidence.count = (int64_t)(c->hearing.drops - c->hearing.drops_before);
        mu_heart_tell(c, MU_WHY_DEAF, &evidence, NULL, NULL);
    } else if (heard == MU_HEARD_AGAIN) {
        mu_dur deaf = now - c->hearing.deaf_since;

        if (deaf > mu_roster_shortest(c->roster))
            mu_hearing_forgive(&c->hearing, now);
        evidence.count = (int64_t)(c->hearing.drops - c->hearing.drops_before);
        evidence.stall_ms = deaf / MU_MS;
        mu_heart_tell(c, MU_WHY_HEARS_AGAIN, &evidence, NULL, NULL);
    }
}

static void warn_full(struct mu_conductor *c)
{
    uint32_t count = mu_roster_count(c->roster);
    uint64_t percent = (uint64_t)count * 100 / c->config.max_agents;

    if (percent >= 80 && !c->told_full)
        mu_warn("conductor", "nearly full", MU_KVU("agents", count),
                MU_KVU("max_agents", c->config.max_agents));
    if (percent >= 80 || percent < 75)
        c->told_full = percent >= 80;
}

void mu_conductor_tick(struct mu_conductor *c, mu_time now, mu_time boot, mu_wall wall,
                       uint64_t drops)
{
    mu_heart_enter(c, now);
    c->wall = wall;
    c->wall_at = now;
    mu_roster_clock(c->roster, now, wall);
    listen(c, now, boot, drops);
    mu_stream_close_pending(c, now);
    mu_stream_end_guests(c);
    if (!c->draining) { /* at the end nobody is judged: the journal would never be empty */
        mu_sweep(c, now);
        mu_sweep_forget(c);
    }
    mu_sessions_sweep(&c->sessions, c->now, 2 * mu_roster_count(c->roster) + SESSIONS_SPARE);
    warn_full(c);
    c->stalled = false;
    mu_join_tick(c);
    mu_write_tick(c);
}

void mu_conductor_policies(struct mu_conductor *c, const struct mu_policies *policies, mu_time now)
{
    mu_heart_enter(c, now);
    c->config.policies = policies;
    mu_roster_policies(c->roster, policies);
    for (uint32_t slot = 0; slot < mu_roster_slots(c->roster); slot++)
        if ((mu_roster_used(c->roster, slot) || mu_roster_hidden(c->roster, slot)) &&
            mu_roster_retime(c->roster, slot, mu_heart_time(c)))
            mu_heart_ask_to_join(c, slot);
}

void mu_conductor_drain(struct mu_conductor *c)
{
    if (c->draining)
        return;
    c->draining = true;
    mu_heart_tell(c, MU_WHY_STOPPED, &mu_no_evidence, NULL, NULL);
}
