/* bench.h - what a conductor, its table and its store bear, in figures.
 *
 * Each call runs to its end in bounded time, or until *stop is set; then it returns what was
 * measured so far. None of them checks verdicts: that is load/sim. */
#ifndef MU_LOAD_BENCH_H
#define MU_LOAD_BENCH_H

#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"
#include "load/figures.h"
#include "wire/msg.h"

/* The conductor that is measured. */
struct mu_bench_target {
    struct sockaddr_storage agents, http;
    socklen_t agents_len, http_len; /* .http_len 0 = no API: no count of beats taken in */
    const char *token;              /* "" = none */
    pid_t pid;                      /* 0 = not known: no CPU, no memory */
    int server_cpu, load_cpu;       /* cores they are kept on; -1 = any */
    const volatile sig_atomic_t *stop;
    void *ctx;
    void (*tell)(void *ctx, const char *line); /* how far it is, for people */
    /* Kills the conductor, starts it again on the same addresses and store, and sets .pid; returns
     * once it listens. NULL = cannot be. */
    int (*restart)(void *ctx, pid_t *pid, struct mu_err *err);
};

#define MU_BENCH_KILLS_MAX   16
#define MU_BENCH_BUNDLE_MAX  MU_INDEXES_MAX
#define MU_BENCH_SOURCES_MAX 60000
#define MU_BENCH_AGENTS_MAX  4000000

struct mu_bench_kill { /* at a time after all have joined, so many agents fall silent for good */
    mu_dur at;
    double part;     /* of those that live, 0 to 1; or */
    uint32_t agents; /* so many */
};

struct mu_bench_beats {
    uint32_t agents;  /* rounded up to whole bundles; bench@h0000000 and on */
    uint32_t bundle;  /* agents a session, and a beat: 1 to MU_BENCH_BUNDLE_MAX */
    uint32_t sources; /* addresses of senders, where the target is 127.x.y.z: 127.0.0.1 and on */
    mu_dur interval;  /* of each agent; the conductor may set another */
    double rate;      /* beats a second, whatever the interval; 0 = as it says */
    mu_dur length;    /* of the measured time, once all have joined and .warm has passed */
    mu_dur warm;
    bool saturate;        /* as fast as acks come back, with at most .outstanding unanswered */
    uint32_t outstanding; /* datagrams */
    bool no_acks; /* none are wanted, nor read; with .saturate: as fast as this process can send */
    bool streams; /* beats go over a stream for each session, not as datagrams */
    bool gso;     /* up to 64 datagrams are handed to the kernel as one, of one flow: UDP_SEGMENT */
    bool made_up; /* nobody is asked to let them join: for a server that answers anything */
    uint64_t seed;
    struct mu_bench_kill kills[MU_BENCH_KILLS_MAX];
    size_t nkills;
    const char *killed_file; /* a line NAME LAST_BEAT_MS (wall clock) for each; NULL = none */
};

int mu_bench_beats(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                   struct mu_figures *out, struct mu_err *err);

/* All join at once, beat for two intervals; the conductor is killed and started again; until each
 * has been heard anew. Needs target.restart. MU_ETIMEDOUT when not all were: @out is whole, but has
 * no time for it. */
int mu_bench_storm(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                   struct mu_figures *out, struct mu_err *err);

struct mu_bench_api {
    uint32_t clients;
    uint32_t limit; /* agents a page */
    uint32_t rows;  /* agents that a client reads before it begins anew; 0 = all */
};

/* Clients page through the agents while these beat. */
int mu_bench_api(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                 const struct mu_bench_api *api, struct mu_figures *out, struct mu_err *err);

/* The conductor's core in this process, without a socket: joins, beats, sweeps, finds. */
int mu_bench_table(uint32_t agents, uint64_t seed, const volatile sig_atomic_t *stop,
                   struct mu_figures *out, struct mu_err *err);

/* A store by its driver: @agents rows and as many events written, checkpointed, read back, and
 * deleted again however it ends. MU_EEXIST when there are agents or events in it already: nothing
 * of others is touched. */
int mu_bench_store(const char *url, uint32_t agents, const volatile sig_atomic_t *stop,
                   struct mu_figures *out, struct mu_err *err);

#endif
