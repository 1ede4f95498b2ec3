/* fleet_int.h - what the files of the fleet share. Private to load/fleet*.
 *
 * fleet.c has the agents and their faults; fleet_edge.c what goes out and comes in. */
#ifndef MU_LOAD_FLEET_INT_H
#define MU_LOAD_FLEET_INT_H

#include <sys/uio.h>
#include <uv.h>

#include "agent/session.h"
#include "base/map.h"
#include "base/rng.h"
#include "load/fleet.h"
#include "sim/agenda.h"
#include "transport/dial.h"

#define FLEET_BATCH 64

struct fleet_agent {
    struct mu_fleet *fleet;
    struct mu_session *session; /* NULL = not running */
    struct mu_dial *dial;
    uint64_t session_id; /* as its datagrams have it; 0 = none yet */
    uint64_t life;       /* counts its processes: what an older one sent late is void */
    uint32_t id;         /* its number in its session */
    bool dial_wanted, hangup_wanted;
    bool joined, leaving;

    uint16_t pauses, cuts; /* that lie on it */
    double loss;           /* percent, the sum of what lies on it */
    mu_dur delay;          /* the same */
    mu_time stream_free;   /* nothing on the stream may go out before: it would overtake */
    uint8_t held[128];     /* the last datagram that came while it was paused */
    uint8_t held_n;
};

struct mu_fleet {
    uv_loop_t *loop;
    struct mu_fleet_config config;
    struct mu_rng rng;
    uv_timer_t timer;
    uv_poll_t datagrams;
    int fd;
    unsigned handles;
    struct mu_map by_session;
    struct mu_agenda late; /* what is delayed on its way out */
    uint32_t started, joined, living;
    uint64_t beats;
    char refused[256];

    struct mmsghdr out[FLEET_BATCH], in[FLEET_BATCH];
    struct iovec out_iov[FLEET_BATCH], in_iov[FLEET_BATCH];
    uint8_t out_data[FLEET_BATCH][MU_DATAGRAM_MAX], in_data[FLEET_BATCH][MU_DATAGRAM_MAX];
    unsigned nout;

    mu_time *due; /* of each agent, packed: looked through at each tick */
    struct fleet_agent agents[];
};

static inline uint32_t fleet_number(const struct fleet_agent *a)
{
    return (uint32_t)(a - a->fleet->agents);
}

static inline bool fleet_hushed(const struct fleet_agent *a)
{
    return a->pauses || a->cuts;
}

/* After any call of the agent's session: does what it wants, and notes when it is due. */
void fleet_stir(struct fleet_agent *a);

/* fleet_edge.c */
int fleet_edge_open(struct mu_fleet *fleet, struct mu_err *err);
void fleet_edge_close(struct mu_fleet *fleet);
void fleet_edge_flush(struct mu_fleet *fleet);             /* sends what was gathered */
void fleet_edge_late(struct mu_fleet *fleet, mu_time now); /* sends what was delayed until now */
void fleet_edge_forget(struct fleet_agent *a);             /* its session is no more */
void fleet_edge_datagram(void *ctx, const uint8_t *data, size_t n); /* ports of the session */
void fleet_edge_stream(void *ctx, const uint8_t *data, size_t n);

#endif
