/* The happy path: an event comes by the bus and waits in the backlog, a proposal in its queue;
 * flush() merges both by number into one batch, with the rows that they changed; the store commits
 * it; on_committed() answers the proposals and starts the next.
 *
 * The ways to fail. The store does not answer: the front tries for ever, all waits here within its
 * bounds. The backlog is full: the event is counted, its slot stays in `dirty`, so that the row
 * follows when there is time. The store says no for good: proposals hear it, events count as lost,
 * rows are dirty again. */
#include "outlet/journal.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/stat.h"
#include "outlet/backlog.h"
#include "outlet/batch.h"
#include "outlet/checkpoint.h"
#include "outlet/slotset.h"

#define TRIM_FIRST    (60 * MU_SEC) /* after the start, when agents have come back */
#define TRIM_INTERVAL (3600 * MU_SEC)
#define REFUSED_PAUSE (1 * MU_SEC) /* after a batch that the store refused for good */

struct mu_journal {
    struct mu_journal_config config;
    struct mu_backlog backlog;
    struct mu_slotset dirty; /* rows that differ from what is stored, and from what verdicts wait */
    struct mu_slotset whole; /* those of them that do in more than their State */
    struct mu_slotset given; /* that are in the batch which is being gathered */
    size_t nwhole, nwhole_bytes; /* rows that its events will bring, and their payloads, at most */
    struct mu_payloads payloads;
    struct mu_proposal *first, **last; /* not in a batch yet */
    size_t nproposals;                 /* waiting, or in the batch */
    struct mu_gather *gather;          /* the batch: gathering, or in flight */
    struct mu_checkpoint *checkpoint;
    bool in_flight;
    bool more_reports;               /* waited when the batch was full */
    uint64_t taken;                  /* the highest number that went into a batch */
    uint64_t granted_first, granted; /* numbers of this life begin, and end before */

    uint64_t lost;                     /* events, since the start */
    uint64_t gap, gap_first, gap_last; /* lost and not told of yet: count, numbers */

    mu_time now; /* of the last tick */
    mu_wall wall;
    mu_time waiting_since; /* of the oldest that waits; MU_NEVER = nothing does */
    mu_time hold_until;
    mu_time trim_at;
    bool trimming;

    bool finishing, last_checkpoint;
    mu_time finish_by;
    void (*finished)(void *ctx, size_t lost);
    void *finished_ctx;
};

/* A batch that a hung store still reads when all else is freed: kept in sight, never given back. */
static struct mu_gather *volatile left_behind;

/* ---- what comes in ---- */

static void note_waiting(struct mu_journal *journal)
{
    if (journal->waiting_since == MU_NEVER)
        journal->waiting_since = journal->now;
}

static void note_lost(struct mu_journal *journal, uint64_t seq)
{
    journal->lost++;
    journal->gap++;
    if (seq && (!journal->gap_first || seq < journal->gap_first))
        journal->gap_first = seq;
    if (seq > journal->gap_last)
        journal->gap_last = seq;
    mu_stat_add(MU_STAT_EVENTS_LOST, 1);
}

/* Whether @who is still the one in @slot: an agent may have gone, and another come in his place. */
static bool stands_in(const struct mu_journal *journal, const struct mu_ident *who, uint32_t slot)
{
    return mu_roster_used(journal->config.roster, slot) &&
           mu_roster_ident(journal->config.roster, slot) == who;
}

/* Whether nothing of the row has changed with @event but its State. */
static bool is_verdict(const struct mu_event *event)
{
    return event->kind == MU_KIND_STATE &&
           (event->reason == MU_WHY_SILENCE || event->reason == MU_WHY_NOT_HEARD ||
            event->reason == MU_WHY_STREAM_CLOSED || event->reason == MU_WHY_HEARD);
}

static void mark(struct mu_journal *journal, uint32_t slot, bool whole)
{
    mu_slotset_put(&journal->dirty, slot);
    if (whole)
        mu_slotset_put(&journal->whole, slot);
}

static void on_event(void *ctx, const struct mu_event *event)
{
    struct mu_journal *journal = ctx;

    if (event->seq && event->seq <= journal->taken)
        return; /* stored with its proposal */
    bool lost = !event->seq || mu_backlog_push(&journal->backlog, event);
    if (lost)
        note_lost(journal, event->seq);
    if (event->who && (lost || !is_verdict(event)) && stands_in(journal, event->who, event->slot))
        mark(journal, event->slot, !is_verdict(event));
    note_waiting(journal);
}

static void flush(struct mu_journal *journal);

/* Asked each time, since it may be back since the last tick. */
static bool store_away(const struct mu_journal *journal)
{
    struct mu_store_health health;

    mu_store_health(journal->config.store, journal->now, &health);
    return health.away > MU_JOURNAL_AWAY;
}

int mu_journal_propose(void *ctx, const struct mu_change *change)
{
    struct mu_journal *journal = ctx;
    struct mu_proposal *proposal;

    if (journal->finishing || store_away(journal) ||
        journal->nproposals >= MU_JOURNAL_PROPOSALS_MAX || !change->event.seq)
        return MU_EAGAIN;
    int rv = mu_proposal_new(&proposal, change);
    if (rv)
        return rv;
    if (change->payload)
        rv = mu_payloads_copy(&journal->payloads, change->row.id, change->payload,
                              change->payload_len, &proposal->payload);
    if (rv) {
        mu_proposal_free(proposal);
        return MU_EAGAIN;
    }
    *journal->last = proposal;
    journal->last = &proposal->next;
    journal->nproposals++;
    note_waiting(journal);
    flush(journal);
    return 0;
}

int mu_journal_payload(void *ctx, const struct mu_reported *report, const char *json, size_t n)
{
    struct mu_journal *journal = ctx;
    int rv = mu_payloads_put(&journal->payloads, report, json, n);

    if (!rv)
        note_waiting(journal);
    return rv;
}

void mu_journal_changed(void *ctx, uint32_t slot)
{
    struct mu_journal *journal = ctx;

    mark(journal, slot, true);
    note_waiting(journal);
}

/* ---- a batch ---- */

/* A row takes along what was reported with it: who has joined by this row, and is known by it after
 * a kill, does not report it again. */
static int gather_row(struct mu_journal *journal, const struct mu_row *row, uint32_t slot)
{
    struct mu_payload payload;
    struct mu_reported from;
    int rv = mu_gather_row(journal->gather, row, slot);

    if (!rv && mu_payloads_take_of(&journal->payloads, row->id, &payload, &from))
        mu_gather_payload(journal->gather, &payload, &from);
    return rv;
}

/* What differs of the row in @slot, as it is now. Without memory it stays dirty. */
static void gather_slot(struct mu_journal *journal, uint32_t slot)
{
    bool whole = mu_slotset_has(&journal->whole, slot);
    struct mu_row row;

    mu_slotset_take(&journal->whole, slot);
    if (!mu_roster_used(journal->config.roster, slot) ||
        !mu_roster_row(journal->config.roster, slot, &row))
        return;
    if (!whole)
        mu_gather_verdict(journal->gather, &row, slot);
    else if (gather_row(journal, &row, slot))
        mark(journal, slot, true);
}

/* What an operator changes is in the proposal alone, what was judged meanwhile in the roster alone.
 * The roster has no such row at a first join: then the proposal's is all there is. */
static struct mu_row changed_row(const struct mu_journal *journal, const struct mu_change *change,
                                 bool known)
{
    struct mu_row row;

    if (!known)
        return change->row;
    (void)mu_roster_row(journal->config.roster, change->slot, &row);
    row.disabled = change->row.disabled;
    row.disabled_reason = change->row.disabled_reason;
    row.forced_down = change->row.forced_down;
    row.forced_reason = change->row.forced_reason;
    row.revision = change->row.revision;
    return row;
}

static int gather_change(struct mu_journal *journal, const struct mu_change *change)
{
    bool known = stands_in(journal, change->row.ident, change->slot);
    struct mu_row row;

    if (change->deletes) {
        mu_gather_delete(journal->gather, change->row.id, change->slot);
    } else {
        row = changed_row(journal, change, known);
        if (gather_row(journal, &row, known ? change->slot : MU_NO_SLOT))
            return MU_ENOMEM;
    }
    if (known) {
        mu_slotset_take(&journal->dirty, change->slot);
        mu_slotset_take(&journal->whole, change->slot);
        mu_slotset_put(&journal->given, change->slot);
    }
    return 0;
}

static int take_proposal(struct mu_journal *journal)
{
    struct mu_proposal *proposal = journal->first;
    int rv = gather_change(journal, &proposal->change);

    if (rv)
        return rv;
    journal->first = proposal->next;
    if (!journal->first)
        journal->last = &journal->first;
    if (proposal->payload.json)
        mu_gather_payload(journal->gather, &proposal->payload, &(struct mu_reported){0});
    proposal->payload.json = NULL;
    mu_gather_proposal(journal->gather, proposal);
    journal->taken = proposal->change.event.seq;
    return 0;
}

static void note_whole(struct mu_journal *journal, const struct mu_event *event)
{
    struct mu_row row;

    if (!event->who || !mu_slotset_has(&journal->whole, event->slot) ||
        !mu_roster_row(journal->config.roster, event->slot, &row))
        return;
    journal->nwhole++;
    journal->nwhole_bytes += mu_payloads_len(&journal->payloads, row.id);
}

static void take_event(struct mu_journal *journal, const struct mu_event *event)
{
    mu_gather_event(journal->gather, event);
    journal->taken = event->seq;
    note_whole(journal, event);
    mu_backlog_pop(&journal->backlog);
}

/* A batch deletes first and inserts then: the row of who goes must not come by a verdict's way, nor
 * because all rows are meant. */
static void spare_deleted(struct mu_journal *journal)
{
    mu_slotset_settle(&journal->dirty, mu_roster_slots(journal->config.roster));
    mu_slotset_settle(&journal->whole, mu_roster_slots(journal->config.roster));
    for (const struct mu_proposal *proposal = journal->first; proposal; proposal = proposal->next) {
        const struct mu_change *change = &proposal->change;
        if (change->deletes && stands_in(journal, change->row.ident, change->slot))
            mu_slotset_take(&journal->dirty, change->slot);
    }
}

/* For one more event, and the row and payload that it may bring. */
static bool has_room(const struct mu_journal *journal)
{
    const struct mu_batch *batch = &journal->gather->batch;

    return batch->nevents < MU_JOURNAL_BATCH_EVENTS &&
           batch->nrows + batch->ndeletes + journal->nwhole < MU_JOURNAL_BATCH_ROWS &&
           journal->gather->payload_bytes + journal->nwhole_bytes < MU_JOURNAL_BATCH_PAYLOADS;
}

/* Both queues ascend by number: taking the lower one of the two heads keeps the order of the whole,
 * over batches too. */
static void take_events(struct mu_journal *journal)
{
    size_t left = MU_JOURNAL_BATCH_PROPOSALS;

    while (has_room(journal)) {
        const struct mu_event *event = mu_backlog_first(&journal->backlog);
        const struct mu_proposal *proposal = journal->first;

        if (proposal && (!event || proposal->change.event.seq < event->seq)) {
            if (left-- == 0 || take_proposal(journal))
                return;
        } else if (event) {
            take_event(journal, event);
        } else {
            return;
        }
    }
}

/* How @event says that its agent was judged. The roster may know better already, by an event that
 * still waits: a kill before that one is stored must not leave its State behind without it. */
static bool gather_verdict(struct mu_journal *journal, const struct mu_event *event)
{
    struct mu_row row;

    if (!is_verdict(event) || !mu_roster_row(journal->config.roster, event->slot, &row))
        return false;
    row.state = (enum mu_state)event->to;
    row.state_reason = (enum mu_reason)event->reason;
    row.state_since = event->at;
    mu_gather_verdict(journal->gather, &row, event->slot);
    return true;
}

/* Rows and verdicts of the events that were taken: of each agent's latest. Where no event waits any
 * more, the roster knows best, as after one that was lost. */
static void gather_by_events(struct mu_journal *journal)
{
    for (size_t i = journal->gather->batch.nevents; i-- > 0;) {
        const struct mu_event *event = &journal->gather->events[i];

        if (!event->who || !stands_in(journal, event->who, event->slot) ||
            mu_slotset_has(&journal->given, event->slot))
            continue;
        bool by_roster = mu_slotset_has(&journal->whole, event->slot) ||
                         (journal->backlog.n == 0 && mu_slotset_has(&journal->dirty, event->slot));
        if (by_roster && mu_slotset_take(&journal->dirty, event->slot))
            gather_slot(journal, event->slot);
        else if (!gather_verdict(journal, event))
            continue;
        mu_slotset_put(&journal->given, event->slot);
    }
}

static void gather_events(struct mu_journal *journal)
{
    if (mu_slotset_reserve(&journal->given, mu_roster_slots(journal->config.roster)))
        return;
    take_events(journal);
    gather_by_events(journal);
    journal->nwhole = journal->nwhole_bytes = 0;
    mu_slotset_clear(&journal->given);
}

/* Rows whose event was dropped, or that changed without one. Not before the events that wait have
 * taken theirs, so that a row and its event stay in one transaction. */
static void gather_rows(struct mu_journal *journal)
{
    const struct mu_batch *batch = &journal->gather->batch;
    uint32_t slot;

    if (journal->backlog.n || journal->first)
        return;
    for (size_t tries = journal->dirty.n;
         tries && has_room(journal) && batch->nverdicts < MU_JOURNAL_BATCH_EVENTS &&
         mu_slotset_take_any(&journal->dirty, &slot);
         tries--)
        gather_slot(journal, slot);
}

/* Reports that come with no row have a quarter of the room, whatever the rows bring along. Returns
 * whether more wait. */
static bool gather_reports(struct mu_journal *journal)
{
    const struct mu_gather *gather = journal->gather;
    const size_t reserved = gather->payload_bytes + MU_JOURNAL_BATCH_PAYLOADS / 4;
    struct mu_payload payload;
    struct mu_reported from;

    for (size_t n = 0;
         n < MU_JOURNAL_BATCH_REPORTS && gather->batch.npayloads < MU_JOURNAL_BATCH_ROWS &&
         (gather->payload_bytes < MU_JOURNAL_BATCH_PAYLOADS || gather->payload_bytes < reserved) &&
         mu_payloads_take(&journal->payloads, &payload, &from);
         n++)
        mu_gather_payload(journal->gather, &payload, &from);
    return !mu_payloads_empty(&journal->payloads);
}

static void on_committed(void *ctx, int rv, const struct mu_err *err);

/* A full batch that could not be given for want of memory is given at the next try. */
static void flush(struct mu_journal *journal)
{
    struct mu_gather *gather = journal->gather;

    if (journal->in_flight || journal->now < journal->hold_until)
        return;
    if (mu_gather_empty(gather)) {
        spare_deleted(journal);
        gather_events(journal);
        gather_rows(journal);
        journal->more_reports = gather_reports(journal);
        if (mu_bus_left(journal->config.bus) < MU_JOURNAL_GRANT / 2)
            gather->batch.grant = journal->granted + MU_JOURNAL_GRANT;
    }
    if (mu_gather_empty(gather))
        return;
    journal->in_flight =
        mu_store_commit(journal->config.store, &gather->batch, on_committed, journal) == 0;
}

static void mark_again(struct mu_journal *journal, uint32_t slot, bool whole)
{
    if (slot != MU_NO_SLOT)
        mark(journal, slot, whole);
}

/* The store will never have this batch. Events are counted as lost, rows are tried again as they
 * are then; of the payloads in it only those hear who wait for an answer. */
static void give_up(struct mu_journal *journal, int rv, const struct mu_err *err)
{
    const struct mu_gather *gather = journal->gather;
    const struct mu_proposal *proposal = gather->first;

    mu_error("journal", "batch refused", MU_KVS("error", err->text),
             MU_KVU("events", gather->batch.nevents),
             MU_KVU("rows", gather->batch.nrows + gather->batch.nverdicts));
    for (size_t i = 0; i < gather->batch.nevents; i++) {
        if (proposal && proposal->change.event.seq == gather->events[i].seq)
            proposal = proposal->next; /* its proposer hears of it */
        else
            note_lost(journal, gather->events[i].seq);
    }
    for (size_t i = 0; i < gather->batch.nrows; i++)
        mark_again(journal, gather->row_slots[i], true);
    for (size_t i = 0; i < gather->batch.nverdicts; i++)
        mark_again(journal, gather->verdict_slots[i], false);
    for (size_t i = 0; i < gather->batch.ndeletes; i++)
        mark_again(journal, gather->delete_slots[i], true);
    journal->hold_until = journal->now + REFUSED_PAUSE;
}

/* The place of what was dropped, for whoever reads the events: as soon as the store takes some. */
static void tell_gap(struct mu_journal *journal)
{
    struct mu_event event = {.at = journal->wall,
                             .kind = MU_KIND_CONDUCTOR,
                             .reason = MU_WHY_EVENTS_LOST,
                             .from = MU_WORD_NONE,
                             .to = MU_WORD_NONE,
                             .evidence = mu_no_evidence};

    if (!journal->gap || journal->backlog.n >= MU_JOURNAL_EVENTS_MAX ||
        !mu_bus_left(journal->config.bus))
        return;
    event.evidence.count = (int64_t)journal->gap;
    event.evidence.first = journal->gap_first;
    event.evidence.last = journal->gap_last;
    mu_warn("journal", "events lost", MU_KVU("n", journal->gap), MU_KVU("from", journal->gap_first),
            MU_KVU("to", journal->gap_last));
    journal->gap = journal->gap_first = journal->gap_last = 0;
    mu_bus_publish(journal->config.bus, &event);
}

static void note_stored(struct mu_journal *journal)
{
    const struct mu_batch *batch = &journal->gather->batch;

    mu_stat_add(MU_STAT_EVENTS_STORED, batch->nevents);
    if (!batch->grant)
        return;
    journal->granted = batch->grant;
    mu_bus_grant(journal->config.bus, journal->granted_first, journal->granted);
}

static void answer(struct mu_journal *journal, struct mu_proposal *answered, int rv)
{
    struct mu_proposal *next;

    for (struct mu_proposal *proposal = answered; proposal; proposal = next) {
        uint64_t ticket = proposal->change.ticket;
        next = proposal->next;
        mu_proposal_free(proposal);
        journal->nproposals--;
        journal->config.committed(journal->config.ctx, ticket, rv);
    }
}

static void answer_reports(const struct mu_journal *journal, int rv)
{
    const struct mu_gather *gather = journal->gather;

    for (size_t i = 0; i < gather->batch.npayloads; i++)
        if (gather->reported[i].row)
            journal->config.reported(journal->config.ctx, &gather->reported[i], rv);
}

static bool waits(const struct mu_journal *journal)
{
    return journal->first || journal->backlog.n || journal->dirty.n || journal->dirty.all ||
           !mu_payloads_empty(&journal->payloads) || !mu_gather_empty(journal->gather);
}

/* in_flight stays set during the answers: a proposal made from within waits for their end. */
static void on_committed(void *ctx, int rv, const struct mu_err *err)
{
    struct mu_journal *journal = ctx;
    struct mu_gather *gather = journal->gather;
    struct mu_proposal *answered = gather->first;

    if (rv)
        give_up(journal, rv, err);
    else
        note_stored(journal);
    answer_reports(journal, rv);
    mu_gather_reset(gather, &journal->payloads);
    journal->waiting_since = waits(journal) ? journal->now : MU_NEVER;
    answer(journal, answered, rv);
    if (!rv)
        tell_gap(journal);
    journal->in_flight = false;
    if (journal->first || journal->backlog.n >= MU_JOURNAL_BATCH_EVENTS || journal->more_reports ||
        journal->finishing)
        flush(journal);
}

/* ---- time ---- */

static void on_trimmed(void *ctx, int rv, const struct mu_err *err)
{
    struct mu_journal *journal = ctx;

    journal->trimming = false;
    if (rv)
        mu_warn("journal", "old events not trimmed", MU_KVS("error", err->text));
}

static void trim(struct mu_journal *journal)
{
    const struct mu_journal_config *config = &journal->config;
    mu_wall before = config->retention ? journal->wall - config->retention / MU_MS : 0;

    if (journal->trimming || journal->now < journal->trim_at ||
        (!config->retention && !config->keep))
        return;
    journal->trim_at = journal->now + TRIM_INTERVAL;
    journal->trimming =
        mu_store_trim(config->store, before, config->keep, on_trimmed, journal) == 0;
}

static size_t not_stored(const struct mu_journal *journal)
{
    return journal->backlog.n + journal->gather->batch.nevents + journal->gap;
}

/* The end, step by step: what waits, then a last checkpoint, then the word. */
static void finish(struct mu_journal *journal)
{
    bool stored = !journal->in_flight && !waits(journal) && !journal->gap;
    void (*finished)(void *ctx, size_t lost) = journal->finished;

    if (stored && !journal->last_checkpoint)
        journal->last_checkpoint =
            mu_checkpoint_begin(journal->checkpoint, journal->now, journal->wall);
    stored = stored && journal->last_checkpoint && !mu_checkpoint_running(journal->checkpoint);
    if (!finished || (!stored && journal->now < journal->finish_by))
        return;
    journal->finished = NULL;
    finished(journal->finished_ctx, stored ? 0 : not_stored(journal));
}

void mu_journal_tick(struct mu_journal *journal, mu_time now, mu_wall wall)
{
    journal->now = now;
    journal->wall = wall;
    flush(journal);
    mu_checkpoint_tick(journal->checkpoint, now, wall);
    if (journal->finishing)
        finish(journal);
    else
        trim(journal);
}

void mu_journal_finish(struct mu_journal *journal, mu_dur patience,
                       void (*done)(void *ctx, size_t lost), void *ctx)
{
    journal->finishing = true;
    journal->finish_by = journal->now + patience;
    journal->finished = done;
    journal->finished_ctx = ctx;
    flush(journal);
}

void mu_journal_health(const struct mu_journal *journal, struct mu_journal_health *out)
{
    *out = (struct mu_journal_health){
        .events = journal->backlog.n + journal->gather->batch.nevents,
        .proposals = journal->nproposals,
        .payload_bytes = journal->payloads.bytes,
        .lost = journal->lost,
        .oldest = journal->waiting_since == MU_NEVER ? 0 : journal->now - journal->waiting_since,
        .checkpoint_interval = mu_checkpoint_interval(journal->checkpoint),
        .checkpointed_at = mu_checkpoint_last(journal->checkpoint),
    };
}

/* ---- birth and death ---- */

int mu_journal_new(struct mu_journal **out, const struct mu_journal_config *config,
                   const struct mu_boot *boot, mu_time now, mu_wall wall)
{
    struct mu_journal *journal = mu_alloc(sizeof(*journal));

    if (!journal)
        return MU_ENOMEM;
    journal->config = *config;
    journal->last = &journal->first;
    journal->now = now;
    journal->wall = wall;
    journal->trim_at = now + TRIM_FIRST;
    journal->waiting_since = MU_NEVER;
    journal->granted_first = boot->seq;
    journal->granted = boot->seq_end;
    mu_backlog_init(&journal->backlog, MU_JOURNAL_EVENTS_MAX);
    mu_payloads_init(&journal->payloads, MU_JOURNAL_PAYLOADS_MAX);
    int rv = mu_gather_new(&journal->gather, MU_JOURNAL_BATCH_EVENTS, MU_JOURNAL_BATCH_ROWS);
    if (!rv)
        rv = mu_checkpoint_new(&journal->checkpoint, config->store, config->roster,
                               config->checkpoint_interval, MU_JOURNAL_SLICE, now, wall);
    if (!rv)
        rv = mu_bus_attach(config->bus, on_event, journal);
    if (rv) {
        mu_journal_free(journal);
        return rv;
    }
    mu_bus_grant(config->bus, boot->seq, boot->seq_end);
    *out = journal;
    return 0;
}

static void free_proposals(struct mu_proposal *first)
{
    struct mu_proposal *next;

    for (struct mu_proposal *proposal = first; proposal; proposal = next) {
        next = proposal->next;
        mu_proposal_free(proposal);
    }
}

void mu_journal_free(struct mu_journal *journal)
{
    if (!journal)
        return;
    if (journal->in_flight)
        left_behind = journal->gather;
    else
        mu_gather_free(journal->gather, &journal->payloads);
    free_proposals(journal->first);
    mu_payloads_fini(&journal->payloads);
    mu_slotset_fini(&journal->dirty);
    mu_slotset_fini(&journal->whole);
    mu_slotset_fini(&journal->given);
    mu_backlog_fini(&journal->backlog);
    mu_checkpoint_free(journal->checkpoint);
    mu_free(journal);
}
