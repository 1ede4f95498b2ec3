/* bench_run.h - the parts of a run that several benchmarks have. Private to load/bench*. */
#ifndef MU_LOAD_BENCH_RUN_H
#define MU_LOAD_BENCH_RUN_H

#include "load/bench_crew.h"
#include "load/cost.h"

struct mu_bench_look { /* what is counted, at one moment */
    mu_time at;
    double beats;   /* that the conductor took in */
    uint64_t drops; /* datagrams that the kernel dropped at its port */
    struct mu_cost server, load;
    uint64_t core; /* ns that the server's core was busy */
};

int mu_bench_look(const struct mu_bench_target *to, struct mu_bench_look *out, struct mu_err *err);

/* Has all join, beating as they come in, and draws the order of turns. *@took is how long. */
int mu_bench_join(const struct mu_bench_target *to, struct mu_crew *crew, mu_dur *took,
                  struct mu_err *err);

int mu_bench_pin(const struct mu_bench_target *to, struct mu_err *err);
void mu_bench_tell(const struct mu_bench_target *to, const char *line);

void mu_bench_joined_figures(const struct mu_crew *crew, mu_dur took, struct mu_figures *out);
void mu_bench_beats_figures(const struct mu_bench_target *to, const struct mu_bench_beats *beats,
                            const struct mu_crew *crew, const struct mu_bench_look *before,
                            const struct mu_bench_look *after, struct mu_figures *out);
/* The same, for a beat. */
void mu_bench_cost_figures(const struct mu_bench_target *to, const struct mu_bench_beats *beats,
                           const struct mu_crew *crew, const struct mu_bench_look *before,
                           const struct mu_bench_look *after, struct mu_figures *out);

#endif
