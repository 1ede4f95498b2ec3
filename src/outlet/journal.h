/* journal.h - takes events, rows and payloads to the store, in order and never twice.
 *
 * A sink of the bus, and the port behind mu_propose_fn. While one batch is being committed the next
 * one gathers; a change that somebody waits for starts it at once, transitions at the next tick.
 * With a store that is slow, frozen or gone all of it waits here, bounded, and the conductor goes
 * on: beyond the bound events are dropped, counted, and replaced by one `events lost`, while the
 * agents' rows still get their latest State. Reads no clock; one thread. */
#ifndef MU_OUTLET_JOURNAL_H
#define MU_OUTLET_JOURNAL_H

#include "event/bus.h"
#include "event/change.h"
#include "fleet/roster.h"
#include "store/store.h"

#define MU_JOURNAL_EVENTS_MAX      1000000 /* waiting; beyond it events are dropped and counted */
#define MU_JOURNAL_PROPOSALS_MAX   10000   /* waiting; beyond it MU_EAGAIN */
#define MU_JOURNAL_BATCH_EVENTS    20000   /* in one transaction; verdicts, too */
#define MU_JOURNAL_BATCH_PROPOSALS 1000    /* in one transaction: all are answered in one turn */
#define MU_JOURNAL_BATCH_REPORTS   1000    /* the same, of those that come with no row */
#define MU_JOURNAL_BATCH_ROWS      5000    /* in one transaction, with the deletes */
#define MU_JOURNAL_PAYLOADS_MAX    ((size_t)64 << 20) /* bytes waiting; beyond it MU_EFULL */
#define MU_JOURNAL_BATCH_PAYLOADS  ((size_t)4 << 20)  /* bytes in one transaction, about */
#define MU_JOURNAL_SLICE           5000 /* slots looked at for one piece of a checkpoint */
#define MU_JOURNAL_GRANT           MU_STORE_GRANT /* event numbers, asked for at half */
#define MU_JOURNAL_AWAY            (2 * MU_SEC)   /* a store away so long: MU_EAGAIN */

struct mu_journal;

struct mu_journal_config {
    struct mu_store *store;
    struct mu_roster *roster;
    struct mu_bus *bus;
    /* A proposal's outcome: 0, or why it can never be stored. mu_conductor_committed() behind it.
     */
    void (*committed)(void *ctx, uint64_t ticket, int rv);
    /* The same for a report; mu_conductor_reported(). */
    void (*reported)(void *ctx, const struct mu_reported *report, int rv);
    void *ctx;
    mu_dur checkpoint_interval; /* at least; longer for many agents */
    mu_dur retention;           /* of events; 0 = for ever */
    uint64_t keep;              /* events at most; 0 = any number */
};

/* Attaches itself to the bus, and grants it the numbers of @boot. */
int mu_journal_new(struct mu_journal **out, const struct mu_journal_config *config,
                   const struct mu_boot *boot, mu_time now, mu_wall wall);

/* After mu_store_close() has answered, and when nothing is published any more. */
void mu_journal_free(struct mu_journal *journal);

/* The conductor's ports; @ctx is the journal. The first is a mu_propose_fn. */
int mu_journal_propose(void *ctx, const struct mu_change *change);
int mu_journal_payload(void *ctx, const struct mu_reported *report, const char *json, size_t n);
/* The row in @slot differs from what is stored in more than its State, and no event but one of kind
 * `state` tells of it: a new session. */
void mu_journal_changed(void *ctx, uint32_t slot);

/* Every 100 ms: starts batches, checkpoints, and once an hour the trimming of old events. */
void mu_journal_tick(struct mu_journal *journal, mu_time now, mu_wall wall);

/* What /readyz and /metrics tell. */
struct mu_journal_health {
    size_t events, proposals; /* waiting, or in the batch under way */
    size_t payload_bytes;
    uint64_t lost; /* events dropped since the start */
    mu_dur oldest; /* how long the oldest of them has waited; 0 = none */
    mu_dur checkpoint_interval;
    mu_wall checkpointed_at; /* when the last whole checkpoint was begun; 0 = none yet */
};
void mu_journal_health(const struct mu_journal *journal, struct mu_journal_health *out);

/* For the shutdown: takes no more proposals, stores what waits and a last checkpoint, all within
 * @patience; then @done runs, from a tick or a commit, with how many events are not stored. Ticks
 * must go on until then. */
void mu_journal_finish(struct mu_journal *journal, mu_dur patience,
                       void (*done)(void *ctx, size_t lost), void *ctx);

#endif
