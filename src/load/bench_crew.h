/* bench_crew.h - many senders in about 60 bytes each: joined over real streams, beating by
 * datagrams in batches. Private to load/bench*.
 *
 * Leaner than the shipped session (load/fleet has that one): a beat without an ack is not sent
 * again but counted, acks are believed without a look at their tag, and senders of one crew have
 * one interval. Their turns come round robin; the order is drawn once all have joined, so that the
 * conductor meets them in no order that suits its tables. */
#ifndef MU_LOAD_BENCH_CREW_H
#define MU_LOAD_BENCH_CREW_H

#include "load/bench.h"
#include "load/pace.h"

struct mu_crew;

struct mu_crew_counts {
    uint64_t sent, acked; /* datagrams, or frames */
    uint64_t not_sent;    /* refused by the kernel: nobody listens there */
    uint64_t unanswered;  /* of both: no ack until the sender's next turn, or mu_crew_settle() */
    uint64_t resyncs;     /* answered so, and sent again */
    uint64_t gone;        /* senders who were told to join anew, or whose stream broke: they stop */
    uint64_t deferred;    /* joins that were told to come again */
};

/* How senders take their turns. */
enum mu_crew_mode {
    MU_CREW_PACED,    /* each once an interval, or .rate in all */
    MU_CREW_SATURATE, /* as acks come back */
    MU_CREW_BLIND,    /* without a pause */
    MU_CREW_QUIET,    /* none: what is on its way comes back */
};

/* @to and @want are borrowed. Returns 0; MU_ENOMEM, MU_EIO; MU_EFULL when more descriptors are
 * needed than there are. */
int mu_crew_new(struct mu_crew **out, const struct mu_bench_target *to,
                const struct mu_bench_beats *want, struct mu_err *err);
void mu_crew_free(struct mu_crew *crew);

/* Goes on in this mode until @until, reads what comes in, joins who has not joined. Turns that fell
 * due between two calls are owed, if the mode is the same and neither mu_crew_reset() nor
 * mu_crew_shuffle() came between. Returns 0, or why joining failed: MU_ETIMEDOUT when none got in
 * for 30 s. */
int mu_crew_run(struct mu_crew *crew, enum mu_crew_mode mode, mu_time until, struct mu_err *err);

/* Once all have joined: draws the order of turns. Returns 0 or MU_ENOMEM. */
int mu_crew_shuffle(struct mu_crew *crew);

/* Lets this part, or so many, of the living agents fall silent; whole bundles. */
int mu_crew_kill(struct mu_crew *crew, const struct mu_bench_kill *kill, struct mu_err *err);

uint32_t mu_crew_agents(const struct mu_crew *crew); /* of whole bundles */
bool mu_crew_all_joined(const struct mu_crew *crew);
uint32_t mu_crew_joined(const struct mu_crew *crew); /* agents */
uint32_t mu_crew_living(const struct mu_crew *crew); /* agents */
/* Whether all senders that live were acked in a later epoch than the one they joined in, and when
 * the last of them was. Where none lives, all are back. */
bool mu_crew_all_back(const struct mu_crew *crew, mu_time *when);
uint32_t mu_crew_back(const struct mu_crew *crew);    /* agents of such senders */
uint64_t mu_crew_skipped(const struct mu_crew *crew); /* turns that came too late to be caught up */

/* Acks that are still out count as unanswered, and are not waited for any more. */
void mu_crew_settle(struct mu_crew *crew);
/* Counts since the last call of mu_crew_reset(), which forgets round trips too. What was sent
 * before it is in no count after it. */
const struct mu_crew_counts *mu_crew_counts(const struct mu_crew *crew);
const struct mu_hist *mu_crew_trips(const struct mu_crew *crew); /* ns from send to ack */
void mu_crew_reset(struct mu_crew *crew);

#endif
