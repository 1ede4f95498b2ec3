/* world_own.h - what world.c, where things happen, and net.c, which carries bytes between agents
 * and conductor, share; nobody else's. */
#ifndef MU_SIM_WORLD_OWN_H
#define MU_SIM_WORLD_OWN_H

#include "agent/session.h"
#include "base/rng.h"
#include "sim/agenda.h"
#include "sim/disk.h"
#include "sim/world.h"
#include "wire/frame.h"

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

static inline bool hears(const struct mu_world *w)
{
    return w->conductor && w->now >= w->stalled_until;
}

/* world.c: @item comes at @at. Takes its data. */
void mu_world_plan(struct mu_world *w, mu_time at, struct mu_item item);

/* ---- net.c ---- */

void mu_net_init(struct process *p);
void mu_net_fini(struct process *p);

/* How either side speaks. */
void mu_net_agent_ports(struct process *p, struct mu_session_ports *ports);
void mu_net_conductor_ports(struct mu_world *w, struct mu_conductor_ports *ports);

/* What has arrived by now is handed over. */
void mu_net_datagram_up(struct mu_world *w, const struct mu_item *item);
void mu_net_stream_up(struct process *p);
void mu_net_stream_down(struct process *p);
void mu_net_dialled(struct process *p, bool cut); /* a dial has come to something */

void mu_net_fin(struct process *p); /* the agent's end is closed behind what was sent */
void mu_net_rst(struct process *p); /* there is no conductor any more */

#endif
