/* world.h - a fleet in virtual time: the shipped agents, the shipped conductor, a network between
 * them that loses, delays, repeats and cuts, and a store that commits when it likes.
 *
 * One seed, one history. Time moves only in mu_world_run(). What happened is kept as a list of what
 * the conductor published, with the moment of this world. For tests, and for whoever wants to try
 * settings without a fleet. */
#ifndef MU_SIM_WORLD_H
#define MU_SIM_WORLD_H

#include "conductor/conductor.h"
#include "wire/msg.h"

struct mu_world;

/* The way between one agent and the conductor. All zero is a perfect one. */
struct mu_link {
    double loss;   /* part of the datagrams that vanish, each way; a stream resends instead */
    double twice;  /* part of the datagrams that arrive twice */
    mu_dur delay;  /* one way */
    mu_dur jitter; /* added to it, uniform: datagrams overtake each other */
    bool cut_up;   /* nothing reaches the conductor */
    bool cut_down; /* nothing reaches the agent */
    bool no_udp;   /* datagrams vanish both ways, streams do not */
};

struct mu_world_config {
    uint64_t seed;
    uint32_t agents;
    struct mu_times times; /* of the one policy */
    enum mu_detector detector;
    mu_dur commit_after; /* how long the store takes; 0 = 5 ms */
    uint32_t socket_max; /* datagrams that wait for a stalled conductor; more are dropped and
                            counted; 0 = no bound */
    struct mu_link link; /* everybody's at first */
};

/* One thing that the conductor published. */
struct mu_seen {
    mu_time at;     /* of this world */
    uint32_t life;  /* the conductor's epoch */
    uint32_t agent; /* its number here; UINT32_MAX = of none */
    uint64_t seq;
    uint8_t kind, from, to, reason;
    struct mu_evidence evidence;
    bool was_dead; /* the agent's process was not running (paused ones run) */
};

int mu_world_new(struct mu_world **out, const struct mu_world_config *config);
void mu_world_free(struct mu_world *w);

/* Lets @dur pass. Returns 0, or MU_ENOMEM, and the world is of no more use. */
int mu_world_run(struct mu_world *w, mu_dur dur);
mu_time mu_world_now(const struct mu_world *w);
struct mu_rng *mu_world_rng(struct mu_world *w); /* for a test's own dice, from the same seed */

/* What befalls agents. */
void mu_world_link(struct mu_world *w, uint32_t agent, const struct mu_link *link);
void mu_world_kill(struct mu_world *w, uint32_t agent,
                   bool host_too);                        /* with the host no FIN comes */
int mu_world_restart(struct mu_world *w, uint32_t agent); /* a new process of that name */
void mu_world_pause(struct mu_world *w, uint32_t agent, mu_dur dur); /* as by SIGSTOP */
int mu_world_leave(struct mu_world *w, uint32_t agent);

/* What befalls the conductor and its store. */
void mu_world_stall(struct mu_world *w, mu_dur dur); /* as by SIGSTOP */
void mu_world_suspend(struct mu_world *w,
                      mu_dur dur);       /* the machine slept: BOOTTIME alone goes on */
void mu_world_crash(struct mu_world *w); /* as by SIGKILL: what was not committed is lost */
int mu_world_revive(struct mu_world *w); /* starts it again on what was committed */
void mu_world_freeze_store(struct mu_world *w, bool frozen);

/* What is there to see. */
const struct mu_seen *mu_world_seen(const struct mu_world *w, size_t *n);
enum mu_state mu_world_shown(struct mu_world *w, uint32_t agent); /* MU_LEFT where there is none */
size_t mu_world_false_downs(const struct mu_world *w); /* down, and the process was running */
uint64_t mu_world_joins(const struct mu_world *w);     /* JOIN frames that reached a conductor */
bool mu_world_identity(struct mu_world *w, uint32_t agent, uint8_t uuid[16], uint64_t *incarnation);
bool mu_world_on_stream(struct mu_world *w, uint32_t agent); /* beats go by the stream for now */
/* The name of agent @agent: "sim" and this. */
const char *mu_world_host(uint32_t agent, char out[16]);

#endif
