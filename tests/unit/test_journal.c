/* The journal, with a roster and a bus but no conductor: the test judges, the store misbehaves.
 * Time is handed in: it begins at the real clock's, which the front uses, and is moved on by hand.
 */
#include "base/stat.h"
#include "fleet/roster.h"
#include "lib/faults.h"
#include "lib/flaky.h"
#include "lib/rows.h"
#include "lib/turn.h"
#include "outlet/journal.h"
#include "outlet/payloads.h"

#define WALL INT64_C(1763838498000)

struct fixture {
    uv_loop_t loop;
    struct mu_store *store;
    struct mu_boot boot;
    struct mu_policies policies;
    struct mu_roster *roster;
    struct mu_bus *bus;
    struct mu_journal *journal;
    struct mu_err err;
    mu_time begin, now;
    char answers[1024]; /* "1=0 2=-6" */
    size_t nanswers;
    struct mu_event on_answer[16]; /* published when that ticket is answered: .seq = 0 is none */
    bool nested;                   /* answer 1 proposes ticket 2 */
    uint64_t told[64];             /* numbers that came by the bus */
    size_t ntold;
    struct mu_event gap; /* the last `events lost` */
    char reports[128];   /* "ID=RV", as they were answered */
    size_t nreports;
    bool finished, closed;
    size_t lost;
};

static void propose(struct fixture *f, uint64_t ticket, struct mu_change *change);

static void on_committed(void *ctx, uint64_t ticket, int rv)
{
    struct fixture *f = ctx;

    snprintf(f->answers + strlen(f->answers), sizeof(f->answers) - strlen(f->answers), "%s%d=%d",
             *f->answers ? " " : "", (int)ticket, rv);
    f->nanswers++;
    if (ticket < MU_ARRAY_LEN(f->on_answer) && f->on_answer[ticket].seq && !rv)
        mu_bus_publish(f->bus, &f->on_answer[ticket]);
    if (f->nested && ticket == 1) {
        struct mu_ident *ident = an_ident(2);
        struct mu_change change = {.row = a_row(2, ident)};
        propose(f, 2, &change);
        mu_ident_unref(ident);
    }
}

static void on_reported(void *ctx, const struct mu_reported *report, int rv)
{
    struct fixture *f = ctx;
    size_t n = strlen(f->reports);

    f->nreports++;
    snprintf(f->reports + n, sizeof(f->reports) - n, "%s%d=%d", n ? " " : "", (int)report->id, rv);
}

static void on_told(void *ctx, const struct mu_event *event)
{
    struct fixture *f = ctx;

    if (f->ntold < MU_ARRAY_LEN(f->told))
        f->told[f->ntold++] = event->seq;
    if (event->reason == MU_WHY_EVENTS_LOST)
        f->gap = *event;
}

static void open_all(struct fixture *f)
{
    static const struct mu_addr addr = {.text = "flaky:", .scheme = "flaky"};
    static struct mu_store_driver driver;
    const struct mu_roster_config roster = {.policies = &f->policies};

    driver = flaky_driver();
    assert_int_equal(
        mu_store_open_driver(&f->store, &f->loop, &driver, &addr, true, &f->boot, &f->err), 0);
    assert_int_equal(mu_roster_new(&f->roster, &roster), 0);
    assert_int_equal(mu_bus_new(&f->bus), 0);
    f->begin = f->now = mu_clock_now();
    mu_roster_clock(f->roster, f->now, WALL);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    flaky_reset();
    assert_int_equal(uv_loop_init(&f->loop), 0);
    mu_policies_init(&f->policies);
    open_all(f);
    const struct mu_journal_config config = {.store = f->store,
                                             .roster = f->roster,
                                             .bus = f->bus,
                                             .committed = on_committed,
                                             .reported = on_reported,
                                             .ctx = f,
                                             .checkpoint_interval = 30 * MU_SEC,
                                             .retention = 30 * 24 * 3600 * MU_SEC,
                                             .keep = 10};
    assert_int_equal(mu_journal_new(&f->journal, &config, &f->boot, f->now, WALL), 0);
    assert_int_equal(mu_bus_attach(f->bus, on_told, f), 0);
    *state = f;
    return 0;
}

static void on_closed(void *ctx, size_t lost)
{
    struct fixture *f = ctx;

    f->closed = true;
    f->store = NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->store) {
        mu_store_close(f->store, 10 * MU_SEC, on_closed, f);
        TURN_UNTIL(&f->loop, f->closed);
    }
    mu_journal_free(f->journal);
    mu_bus_free(f->bus);
    mu_roster_free(f->roster);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

/* ---- the world ---- */

static mu_wall wall_of(const struct fixture *f)
{
    return WALL + (f->now - f->begin) / MU_MS;
}

static void tick(struct fixture *f, mu_dur passed)
{
    f->now += passed;
    mu_roster_clock(f->roster, f->now, wall_of(f));
    mu_journal_tick(f->journal, f->now, wall_of(f));
}

static struct mu_journal_health health_of(struct fixture *f)
{
    struct mu_journal_health health;

    mu_journal_health(f->journal, &health);
    return health;
}

/* Ticks until the store has all that there is. */
static void settle(struct fixture *f)
{
    struct mu_store_health store;

    do {
        tick(f, 100 * MU_MS);
        mu_store_health(f->store, f->now, &store);
        if (store.jobs)
            TURN_UNTIL(&f->loop, (mu_store_health(f->store, f->now, &store), store.jobs == 0));
    } while (health_of(f).events || health_of(f).proposals || health_of(f).payload_bytes);
}

/* Agent @n, in row @n: in the roster; in the store with the next batch. */
static uint32_t add_agent(struct fixture *f, uint32_t n)
{
    struct mu_ident *ident = an_ident(n);
    struct mu_row row = a_row(n, ident);
    uint32_t slot;

    assert_int_equal(mu_roster_add(f->roster, &row, false, &slot), 0);
    mu_journal_changed(f->journal, slot);
    mu_ident_unref(ident);
    return slot;
}

static uint32_t slot_of(struct fixture *f, uint32_t n)
{
    char host[32];

    snprintf(host, sizeof(host), "cmp-%u", n);
    return mu_roster_find(f->roster, "nova-compute", host);
}

static void judge(struct fixture *f, uint32_t slot, enum mu_state to)
{
    struct mu_event event = an_event(0, mu_roster_ident(f->roster, slot));

    event.slot = slot;
    event.at = wall_of(f);
    event.from = (uint8_t)mu_roster_state(f->roster, slot);
    event.to = (uint8_t)to;
    mu_roster_move(f->roster, slot, to, MU_WHY_SILENCE, event.at);
    mu_bus_publish(f->bus, &event);
}

static void propose(struct fixture *f, uint64_t ticket, struct mu_change *change)
{
    change->ticket = ticket;
    change->event = an_event(mu_bus_reserve(f->bus), change->row.ident);
    change->event.kind = MU_KIND_STATUS;
    change->event.reason = MU_WHY_OPERATOR;
    change->event.from = MU_WORD_ENABLED;
    change->event.to = MU_WORD_DISABLED;
    assert_int_equal(mu_journal_propose(f->journal, change), 0);
}

/* Publishes @n events of the agent in @slot, which is up and down in turn; the last is @last. */
static void flood(struct fixture *f, uint32_t slot, size_t n, enum mu_state last)
{
    for (size_t i = n; i > 0; i--)
        judge(f, slot, i % 2 == 1 ? last : last == MU_UP ? MU_DOWN : MU_UP);
}

/* Disables the agent in @slot, as an operator does. */
static void disable(struct fixture *f, uint64_t ticket, uint32_t slot)
{
    struct mu_change change = {.slot = slot};

    assert_true(mu_roster_row(f->roster, slot, &change.row));
    change.row.disabled = true;
    change.row.disabled_reason = "disk swap";
    change.row.revision++;
    propose(f, ticket, &change);
}

/* ---- what the store has ---- */

static char stored[4096]; /* rows "1:down,disabled,7", ids with state, status, report count */

static int note_row(void *ctx, const struct mu_who *who, const struct mu_row *row,
                    const struct mu_payload *payload)
{
    snprintf(stored + strlen(stored), sizeof(stored) - strlen(stored), "%s%u:%s%s%s,%d",
             *stored ? " " : "", row->id, mu_state_text(row->state),
             row->disabled ? ",disabled:" : "", row->disabled_reason, (int)row->report_count);
    return 0;
}

static const char *rows(struct fixture *f)
{
    *stored = '\0';
    assert_int_equal(mu_store_load(f->store, note_row, NULL, &f->err), 0);
    return stored;
}

static char seqs[4096];
static bool seqs_done;

static void note_events(void *ctx, int rv, const struct mu_event_row *events, size_t n,
                        const struct mu_event_span *span, const struct mu_err *err)
{
    assert_int_equal(rv, 0);
    *seqs = '\0';
    for (size_t i = 0; i < n; i++)
        snprintf(seqs + strlen(seqs), sizeof(seqs) - strlen(seqs), "%s%llu:%s", i ? " " : "",
                 (unsigned long long)events[i].seq,
                 strcmp(events[i].kind, "state") ? events[i].reason : events[i].to);
    seqs_done = true;
}

/* The newest ten, "1:down 2:up". */
static const char *events(struct fixture *f)
{
    const struct mu_event_query query = {.limit = 10, .newest = true};

    seqs_done = false;
    assert_int_equal(mu_store_events(f->store, &query, note_events, f), 0);
    TURN_UNTIL(&f->loop, seqs_done);
    return seqs;
}

/* ---- the happy path ---- */

static void a_transition_is_stored_with_its_row_at_the_next_tick(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    mu_stat_reset();
    judge(f, slot, MU_SUSPECT);
    judge(f, slot, MU_DOWN);
    assert_int_equal(f->ntold, 2); /* people hear of it before the commit */
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(flaky_count(ON_COMMIT), 0);
    settle(f);
    assert_int_equal(flaky_count(ON_COMMIT), 1); /* both, in one */
    assert_string_equal(rows(f), "1:down,1");
    assert_string_equal(events(f), "1:suspect 2:down");
    assert_int_equal(health_of(f).oldest, 0);
    assert_int_equal(mu_stat_count(MU_STAT_EVENTS_STORED), 2);
    assert_int_equal(mu_stat_count(MU_STAT_COMMIT), 1);
}

static void a_proposal_is_committed_at_once_and_then_told(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    disable(f, 1, slot);
    f->on_answer[1] = an_event(1, mu_roster_ident(f->roster, slot));
    assert_int_equal(f->ntold, 0);
    assert_string_equal(f->answers, ""); /* never from within */
    TURN_UNTIL(&f->loop, f->nanswers == 1);
    assert_string_equal(f->answers, "1=0");
    assert_int_equal(f->ntold, 1);
    assert_string_equal(rows(f), "1:up,disabled:disk swap,1");
    settle(f);
    assert_int_equal(flaky_count(ON_COMMIT), 1); /* what was told is not stored once more */
    assert_string_equal(events(f), "1:operator");
}

static void what_gathers_during_a_commit_goes_together(void **state)
{
    struct fixture *f = *state;
    uint32_t slot[4];

    for (uint32_t i = 0; i < 4; i++)
        slot[i] = add_agent(f, i + 1);
    flaky_freeze(ON_COMMIT, true);
    disable(f, 1, slot[0]);
    flaky_await(ON_COMMIT, 1, false);
    disable(f, 2, slot[1]);
    judge(f, slot[2], MU_DOWN);
    disable(f, 3, slot[3]);
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, f->nanswers == 3);
    assert_string_equal(f->answers, "1=0 2=0 3=0");
    assert_int_equal(flaky_count(ON_COMMIT), 2);
    assert_string_equal(events(f), "1:operator 2:operator 3:down 4:operator");
    assert_string_equal(rows(f), "1:up,disabled:disk swap,1 2:up,disabled:disk swap,1 3:down,1 "
                                 "4:up,disabled:disk swap,1");
}

static void a_proposal_and_a_verdict_do_not_undo_each_other(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1), other = add_agent(f, 2);

    flaky_freeze(ON_COMMIT, true);
    disable(f, 1, other); /* keeps the store busy */
    disable(f, 2, slot);  /* when it was up */
    judge(f, slot, MU_DOWN);
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, f->nanswers == 2);
    assert_string_equal(rows(f), "1:down,disabled:disk swap,1 2:up,disabled:disk swap,1");
    settle(f);
    assert_int_equal(flaky_count(ON_COMMIT), 2);
}

static void a_first_join_needs_no_slot(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(7);
    struct mu_change change = {.row = a_row(7, ident)};

    propose(f, 1, &change);
    mu_ident_unref(ident);
    memset(&change, 0xff, sizeof(change)); /* it was borrowed for the call */
    TURN_UNTIL(&f->loop, f->nanswers == 1);
    assert_string_equal(rows(f), "7:up,1");
}

static void a_delete_is_not_undone_by_a_verdict(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);
    struct mu_change change = {.slot = slot, .deletes = true};

    mu_journal_changed(f->journal, slot);
    settle(f);
    assert_string_equal(rows(f), "1:up,1");
    judge(f, slot, MU_DOWN);
    assert_true(mu_roster_row(f->roster, slot, &change.row));
    propose(f, 1, &change);
    TURN_UNTIL(&f->loop, f->nanswers == 1);
    assert_int_equal(flaky.nverdicts, 0);
    mu_roster_remove(f->roster, slot);
    settle(f);
    assert_string_equal(rows(f), "");
    assert_string_equal(events(f), "1:down 2:operator");
}

/* Without memory for the set of them all slots are meant, that of who goes among them. */
static void a_delete_is_not_undone_by_want_of_memory(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);
    struct mu_change change = {.slot = slot, .deletes = true};

    settle(f);
    assert_string_equal(rows(f), "1:up,1");
    mu_journal_changed(f->journal, slot);
    mu_mem_fault_at(1);
    mu_journal_changed(f->journal, 5000);
    assert_true(mu_mem_fault_fired());
    mu_mem_fault_at(0);
    assert_true(mu_roster_row(f->roster, slot, &change.row));
    propose(f, 1, &change);
    TURN_UNTIL(&f->loop, f->nanswers == 1);
    mu_roster_remove(f->roster, slot);
    settle(f);
    assert_string_equal(rows(f), "");
}

static void who_comes_into_a_slot_is_not_who_left_it(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    flaky_freeze(ON_COMMIT, true);
    disable(f, 1, add_agent(f, 2)); /* keeps the store busy */
    disable(f, 2, slot);
    judge(f, slot, MU_DOWN);
    mu_roster_remove(f->roster, slot);
    assert_int_equal(add_agent(f, 3), slot);
    mu_journal_changed(f->journal, slot);
    flaky_freeze(ON_COMMIT, false);
    settle(f);
    assert_string_equal(rows(f), "1:up,disabled:disk swap,1 2:up,disabled:disk swap,1 3:up,1");
}

static void a_proposal_from_within_an_answer_waits_its_turn(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(1);
    struct mu_change change = {.row = a_row(1, ident)};

    f->nested = true;
    propose(f, 1, &change);
    mu_ident_unref(ident);
    TURN_UNTIL(&f->loop, f->nanswers == 2);
    assert_string_equal(f->answers, "1=0 2=0");
    assert_string_equal(rows(f), "1:up,1 2:up,1");
}

static void a_verdict_is_no_whole_row(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1), other = add_agent(f, 2);

    settle(f);
    assert_int_equal(flaky.nrows, 2);
    judge(f, slot, MU_DOWN);
    settle(f);
    assert_int_equal(flaky.nrows, 0);
    assert_int_equal(flaky.nverdicts, 1);
    judge(f, slot, MU_UP);
    judge(f, other, MU_DOWN);
    mu_journal_changed(f->journal, other); /* in more than its State */
    settle(f);
    assert_int_equal(flaky.nrows, 1);
    assert_int_equal(flaky.nverdicts, 1);
    assert_string_equal(rows(f), "1:up,1 2:down,1");
}

static void an_agent_is_in_a_batch_once(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1), other = add_agent(f, 2);

    settle(f);
    flaky_freeze(ON_COMMIT, true);
    disable(f, 1, other); /* keeps the store busy */
    judge(f, slot, MU_SUSPECT);
    disable(f, 2, slot);
    judge(f, slot, MU_DOWN);
    flaky_freeze(ON_COMMIT, false);
    settle(f);
    assert_int_equal(flaky.nrows, 1);
    assert_int_equal(flaky.nverdicts, 0);
    assert_string_equal(rows(f), "1:down,disabled:disk swap,1 2:up,disabled:disk swap,1");
}

static void a_batch_has_a_bound_of_rows(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 1; i <= MU_JOURNAL_BATCH_ROWS + 1; i++)
        judge(f, add_agent(f, i), MU_DOWN);
    settle(f);
    assert_int_equal(flaky_count(ON_COMMIT), 2);
    assert_int_equal(flaky.nrows, 1);
}

static void a_batch_has_a_bound_of_proposals(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    flaky_freeze(ON_COMMIT, true);
    for (uint64_t ticket = 1; ticket <= MU_JOURNAL_BATCH_PROPOSALS + 2; ticket++)
        disable(f, ticket, slot); /* the first one keeps the store busy */
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, f->nanswers == MU_JOURNAL_BATCH_PROPOSALS + 2);
    assert_int_equal(flaky_count(ON_COMMIT), 3);
}

static void a_state_is_not_stored_before_its_event(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1), other = add_agent(f, 2);
    struct mu_store_health store;

    settle(f);
    flaky_freeze(ON_COMMIT, true);
    disable(f, 1, other); /* keeps the store busy */
    judge(f, slot, MU_SUSPECT);
    flood(f, other, MU_JOURNAL_BATCH_EVENTS - 1, MU_UP);
    judge(f, slot, MU_DOWN);
    flaky_freeze(ON_COMMIT, false);
    tick(f, 0);
    TURN_UNTIL(&f->loop, flaky_count(ON_COMMIT) == 3 &&
                             (mu_store_health(f->store, f->now, &store), store.jobs == 0));
    assert_string_equal(rows(f), "1:suspect,1 2:up,disabled:disk swap,1");
    settle(f);
    assert_string_equal(rows(f), "1:down,1 2:up,disabled:disk swap,1");
}

/* What was lost is made good by the rows, and what waits in the same batch is not given twice. */
static void a_lost_event_and_one_that_waits_are_of_one_agent(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1), other = add_agent(f, 2);

    settle(f);
    flaky_freeze(ON_COMMIT, true);
    disable(f, 1, other);
    judge(f, slot, MU_SUSPECT);
    flood(f, other, MU_JOURNAL_EVENTS_MAX - 1, MU_UP);
    judge(f, slot, MU_DOWN); /* lost */
    assert_int_equal(health_of(f).lost, 1);
    flaky_freeze(ON_COMMIT, false);
    settle(f);
    settle(f);
    assert_string_equal(rows(f), "1:down,1 2:up,disabled:disk swap,1");
}

static void a_row_may_change_without_an_event(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    mu_journal_changed(f->journal, slot);
    mu_journal_changed(f->journal, slot);
    settle(f);
    assert_string_equal(rows(f), "1:up,1");
    settle(f);
    assert_int_equal(flaky_count(ON_COMMIT), 1);
}

/* ---- a store that is away (rules 5 and 6) ---- */

static void an_unknown_outcome_is_answered_once(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    flaky_fail(ON_COMMIT, MU_EAGAIN, 2, true);
    disable(f, 1, slot);
    TURN_UNTIL(&f->loop, f->nanswers == 1);
    settle(f);
    assert_string_equal(f->answers, "1=0");
    assert_string_equal(events(f), "1:operator");
    assert_int_equal(flaky_count(ON_COMMIT), 3);
}

static void proposals_are_turned_away_after_two_seconds(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1), other = add_agent(f, 2);
    struct mu_change change = {.slot = slot};

    flaky_freeze(ON_COMMIT, true);
    disable(f, 1, slot);
    tick(f, MU_SEC);
    disable(f, 2, other); /* one second: it may still come */
    tick(f, 1500 * MU_MS);
    assert_true(mu_roster_row(f->roster, slot, &change.row));
    change.event = an_event(mu_bus_reserve(f->bus), change.row.ident);
    assert_int_equal(mu_journal_propose(f->journal, &change), MU_EAGAIN);
    mu_bus_release(f->bus, change.event.seq);
    assert_int_equal(health_of(f).proposals, 2);
    assert_true(health_of(f).oldest >= 2 * MU_SEC);
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, f->nanswers == 2); /* late, and all the same */
    change.event.seq = mu_bus_reserve(f->bus);
    assert_int_equal(mu_journal_propose(f->journal, &change), 0);
    TURN_UNTIL(&f->loop, f->nanswers == 3);
}

static void at_most_ten_thousand_proposals_wait(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(1);
    struct mu_change change = {.row = a_row(1, ident)};

    flaky_freeze(ON_COMMIT, true);
    for (uint64_t i = 1; i <= MU_JOURNAL_PROPOSALS_MAX; i++)
        propose(f, i, &change);
    change.event.seq = mu_bus_reserve(f->bus);
    assert_int_equal(mu_journal_propose(f->journal, &change), MU_EAGAIN);
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, f->nanswers == MU_JOURNAL_PROPOSALS_MAX);
    assert_int_equal(health_of(f).proposals, 0);
    mu_ident_unref(ident);
}

static void beyond_a_million_events_are_lost_and_told(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1), other = add_agent(f, 2);

    flaky_freeze(ON_COMMIT, true);
    disable(f, 1, add_agent(f, 3));
    flood(f, slot, MU_JOURNAL_EVENTS_MAX, MU_UP);
    assert_int_equal(health_of(f).lost, 0);
    judge(f, slot, MU_SUSPECT);
    judge(f, slot, MU_DOWN);
    judge(f, other, MU_DOWN);
    assert_int_equal(health_of(f).lost, 3);
    assert_int_equal(health_of(f).events, MU_JOURNAL_EVENTS_MAX + 1);
    flaky_freeze(ON_COMMIT, false);
    settle(f);
    /* The gap has an event of its own, and the table is right. */
    assert_int_equal(f->gap.evidence.count, 3);
    assert_int_equal(f->gap.evidence.first, MU_JOURNAL_EVENTS_MAX + 2);
    assert_int_equal(f->gap.evidence.last, MU_JOURNAL_EVENTS_MAX + 4);
    assert_string_equal(rows(f), "1:down,1 2:down,1 3:up,disabled:disk swap,1");
    assert_non_null(strstr(events(f), ":up 1000005:events lost"));
    assert_int_equal(health_of(f).events, 0);
}

static void what_is_refused_for_good_is_answered_and_counted(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1), other = add_agent(f, 2);

    flaky_freeze(ON_COMMIT, true);
    flaky_fail(ON_COMMIT, MU_ECORRUPT, 1, false);
    judge(f, slot, MU_DOWN);
    disable(f, 1, other);
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, f->nanswers == 1);
    assert_string_equal(f->answers, "1=-14");
    assert_int_equal(health_of(f).lost, 1);
    tick(f, 100 * MU_MS);
    assert_int_equal(flaky_count(ON_COMMIT), 1); /* not again at once */
    tick(f, MU_SEC);
    settle(f);
    assert_string_equal(rows(f), "1:down,1 2:up,1"); /* the rows follow */
    assert_int_equal(f->gap.evidence.count, 1);
    assert_int_equal(f->gap.evidence.first, 1);
    flaky_fail(ON_COMMIT, MU_ECORRUPT, 1, false);
    judge(f, slot, MU_UP);
    settle(f);
    tick(f, MU_SEC);
    settle(f);
    assert_string_equal(rows(f), "1:up,1 2:up,1"); /* and verdicts */
}

/* ---- numbers (rule 7) ---- */

static void numbers_are_asked_for_ahead_of_use(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    settle(f);
    assert_int_equal(flaky_count(ON_COMMIT), 1);
    for (uint64_t n = MU_JOURNAL_GRANT / 2 + 1; n > 0; n--)
        mu_bus_release(f->bus, mu_bus_reserve(f->bus));
    settle(f);
    assert_int_equal(flaky_count(ON_COMMIT), 2); /* for that alone */
    assert_int_equal(mu_bus_left(f->bus), 2 * MU_JOURNAL_GRANT - MU_JOURNAL_GRANT / 2 - 1);
    judge(f, slot, MU_DOWN);
    settle(f);
    assert_string_equal(events(f), "1000002:down");
}

static void with_no_number_left_an_event_is_lost_and_its_row_is_not(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    flaky_freeze(ON_COMMIT, true);
    mu_journal_changed(f->journal, add_agent(f, 2));
    tick(f, 100 * MU_MS);
    while (mu_bus_left(f->bus))
        mu_bus_release(f->bus, mu_bus_reserve(f->bus));
    judge(f, slot, MU_DOWN);
    assert_int_equal(health_of(f).lost, 1);
    flaky_freeze(ON_COMMIT, false);
    settle(f);
    settle(f);
    assert_string_equal(rows(f), "1:down,1 2:up,1");
    assert_int_equal(f->gap.evidence.count, 1);
    assert_int_equal(f->gap.seq, MU_JOURNAL_GRANT + 1);
}

/* ---- payloads ---- */

static int report(struct fixture *f, uint32_t row, uint32_t id, const char *json, size_t n)
{
    const struct mu_reported from = {.row = row, .id = id};

    return mu_journal_payload(f->journal, &from, json, n);
}

static void on_payload(void *ctx, int rv, const char *json, const struct mu_err *err)
{
    assert_int_equal(rv, 0);
    assert_string_equal(json, "{}");
    ++*(uint32_t *)ctx;
}

static void the_latest_payload_of_an_agent_is_stored_and_then_answered(void **state)
{
    struct fixture *f = *state;

    mu_journal_changed(f->journal, add_agent(f, 1));
    assert_int_equal(report(f, 1, 7, "{\"a\":1}", 7), 0);
    assert_int_equal(report(f, 1, 8, "{}", 2), 0);
    assert_int_equal(health_of(f).payload_bytes, 2 + MU_PAYLOAD_COST);
    flaky_freeze(ON_COMMIT, true);
    tick(f, 0);
    assert_string_equal(f->reports, "");
    flaky_freeze(ON_COMMIT, false);
    settle(f);
    assert_string_equal(f->reports, "8=0");
    assert_int_equal(health_of(f).payload_bytes, 0);
    assert_int_equal(flaky_count(ON_COMMIT), 1);
}

static void who_reported_what_is_refused_hears_of_it(void **state)
{
    struct fixture *f = *state;
    char want[16];

    mu_journal_changed(f->journal, add_agent(f, 1));
    assert_int_equal(report(f, 1, 7, "{}", 2), 0);
    flaky_fail(ON_COMMIT, MU_ECORRUPT, 1, false);
    settle(f);
    snprintf(want, sizeof(want), "7=%d", MU_ECORRUPT);
    assert_string_equal(f->reports, want);
}

static void join_with(struct fixture *f, uint32_t n, const char *json, uint32_t len)
{
    struct mu_ident *ident = an_ident(n);
    struct mu_change change = {
        .ticket = n, .row = a_row(n, ident), .slot = n, .payload = json, .payload_len = len};

    change.event = an_event(mu_bus_reserve(f->bus), ident);
    change.event.kind = MU_KIND_JOINED;
    assert_int_equal(mu_journal_propose(f->journal, &change), 0);
    mu_ident_unref(ident);
}

static void a_first_join_brings_its_payload(void **state)
{
    struct fixture *f = *state;
    const uint32_t n = MU_JOURNAL_BATCH_PROPOSALS + 5;
    uint32_t found = 0;

    flaky_freeze(ON_COMMIT, true);
    for (uint32_t i = 1; i <= n; i++) /* the first one keeps the store busy */
        join_with(f, i, "{}", 2);
    assert_int_equal(health_of(f).payload_bytes, n * (2 + MU_PAYLOAD_COST));
    flaky_freeze(ON_COMMIT, false);
    settle(f);
    assert_int_equal(f->nanswers, n);
    assert_string_equal(f->reports, ""); /* the joins were answered */
    assert_int_equal(health_of(f).payload_bytes, 0);
    for (uint32_t i = n - 9; i <= n; i++) /* of the first batch, and of the one after it */
        assert_int_equal(mu_store_payload(f->store, i, on_payload, &found), 0);
    TURN_UNTIL(&f->loop, found == 10);
}

/* Payloads of 64 KiB, and what each costs beside, are a whole number in the bound. */
enum { LARGE = 65536 - MU_PAYLOAD_COST };

static void a_row_takes_its_payload_along(void **state)
{
    struct fixture *f = *state;
    static char json[LARGE];
    uint32_t found = 0;

    memset(json, ' ', sizeof(json));
    for (uint32_t i = 1; i < 200; i++) /* three batches */
        assert_int_equal(report(f, i, i, json, sizeof(json)), 0);
    mu_journal_changed(f->journal, add_agent(f, 200));
    assert_int_equal(report(f, 200, 200, "{}", 2), 0);
    flaky_freeze(ON_COMMIT, true);
    tick(f, 0);
    flaky_await(ON_COMMIT, 1, false);
    assert_int_equal(mu_store_payload(f->store, 200, on_payload, &found), 0);
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, found == 1);
    assert_int_equal(flaky_count(ON_COMMIT), 1);
    settle(f);
}

static void reports_go_in_pieces_that_are_answered_in_one_turn(void **state)
{
    struct fixture *f = *state;

    for (uint32_t i = 1; i <= 2 * MU_JOURNAL_BATCH_REPORTS + 1; i++)
        assert_int_equal(report(f, i, 1, "{}", 2), 0);
    tick(f, 0);
    TURN_UNTIL(&f->loop, f->nreports == 2 * MU_JOURNAL_BATCH_REPORTS + 1); /* by one tick */
    assert_int_equal(flaky_count(ON_COMMIT), 3);
}

static void first_joins_leave_reports_their_room(void **state)
{
    struct fixture *f = *state;
    static char json[LARGE];

    memset(json, ' ', sizeof(json));
    flaky_freeze(ON_COMMIT, true);
    for (uint32_t i = 1; i <= 200; i++) /* three batches, by their bytes */
        join_with(f, i, json, sizeof(json));
    assert_int_equal(report(f, 1000, 1, "{}", 2), 0);
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, f->nreports == 1);
    assert_in_range(f->nanswers, 1, 100);
    settle(f);
}

static void payloads_have_a_bound_and_go_in_pieces(void **state)
{
    enum { N = MU_JOURNAL_PAYLOADS_MAX / (LARGE + MU_PAYLOAD_COST) };
    struct fixture *f = *state;
    static char json[LARGE];

    memset(json, ' ', sizeof(json));
    for (uint32_t i = 0; i < N; i++)
        assert_int_equal(report(f, i + 1, 0, json, LARGE), 0);
    assert_int_equal(report(f, N + 1, 0, "1", 1), MU_EFULL);
    assert_int_equal(report(f, N, 0, json, LARGE), 0); /* takes the old one's place */
    settle(f);
    assert_in_range(flaky_count(ON_COMMIT), 16, 17);
    assert_int_equal(report(f, N + 1, 0, "1", 1), 0);
}

/* ---- checkpoints ---- */

static void stored_rows(struct fixture *f, uint32_t n)
{
    for (uint32_t i = 1; i <= n; i++)
        mu_journal_changed(f->journal, add_agent(f, i));
    settle(f);
}

static void a_checkpoint_writes_who_was_heard(void **state)
{
    struct fixture *f = *state;

    mu_stat_reset();
    stored_rows(f, 3);
    tick(f, 5 * MU_SEC);
    mu_roster_heard(f->roster, slot_of(f, 2), f->now, f->now);
    tick(f, 20 * MU_SEC);
    settle(f);
    assert_int_equal(flaky_count(ON_CHECKPOINT), 0);
    tick(f, 6 * MU_SEC);
    settle(f);
    assert_int_equal(flaky_count(ON_CHECKPOINT), 1);
    assert_string_equal(rows(f), "1:up,1 2:up,2 3:up,1");
    assert_true(health_of(f).checkpointed_at > WALL);
    assert_int_equal(mu_stat_count(MU_STAT_CHECKPOINTS), 1);
    /* The others were heard last, their rows say, after the journal began. */
    assert_int_equal(mu_stat_count(MU_STAT_CHECKPOINT_ROWS), 3);
    assert_int_equal(mu_stat_count(MU_STAT_CHECKPOINT), 1);
    tick(f, 31 * MU_SEC); /* nobody was heard: nothing is written */
    settle(f);
    assert_int_equal(flaky_count(ON_CHECKPOINT), 1);
    assert_int_equal(health_of(f).checkpoint_interval, 30 * MU_SEC);
}

static void checkpoints_come_as_often_as_set(void **state)
{
    struct fixture *f = *state;
    struct mu_journal_config config = {.store = f->store,
                                       .roster = f->roster,
                                       .committed = on_committed,
                                       .reported = on_reported,
                                       .ctx = f,
                                       .checkpoint_interval = MU_SEC};
    struct mu_journal_health health;
    struct mu_journal *journal;

    stored_rows(f, 1);
    assert_int_equal(mu_bus_new(&config.bus), 0);
    assert_int_equal(mu_journal_new(&journal, &config, &f->boot, f->now, WALL), 0);
    mu_journal_health(journal, &health);
    assert_int_equal(health.checkpoint_interval, MU_SEC);
    mu_roster_heard(f->roster, 0, f->now, f->now);
    mu_journal_tick(journal, f->now + 900 * MU_MS, WALL + 900);
    settle(f);
    assert_int_equal(flaky_count(ON_CHECKPOINT), 0);
    mu_journal_tick(journal, f->now + MU_SEC, WALL + 1000);
    settle(f);
    assert_int_equal(flaky_count(ON_CHECKPOINT), 1);
    mu_journal_free(journal);
    mu_bus_free(config.bus);
}

static void a_frozen_checkpoint_is_alone(void **state)
{
    struct fixture *f = *state;

    stored_rows(f, 1);
    flaky_freeze(ON_CHECKPOINT, true);
    for (int i = 0; i < 5; i++) {
        mu_roster_heard(f->roster, 0, f->now, f->now);
        tick(f, 40 * MU_SEC);
    }
    flaky_await(ON_CHECKPOINT, 1, false);
    struct mu_store_health store;
    mu_store_health(f->store, f->now, &store);
    assert_int_equal(store.jobs, 2); /* behind it waits the hourly trimming */
    flaky_freeze(ON_CHECKPOINT, false);
    settle(f);
    tick(f, 40 * MU_SEC);
    settle(f);
    assert_string_equal(rows(f), "1:up,6");
}

static void a_clock_that_was_set_back_hides_nobody(void **state)
{
    struct fixture *f = *state;

    stored_rows(f, 1);
    tick(f, 31 * MU_SEC);
    settle(f);
    f->now += MU_SEC;
    mu_roster_clock(f->roster, f->now, wall_of(f) - 3600000);
    mu_roster_heard(f->roster, 0, f->now, f->now);
    f->now += 31 * MU_SEC;
    mu_journal_tick(f->journal, f->now, wall_of(f) - 3600000);
    struct mu_store_health store;
    TURN_UNTIL(&f->loop, (mu_store_health(f->store, f->now, &store), store.jobs == 0));
    assert_string_equal(rows(f), "1:up,2");
}

/* ---- old events ---- */

static void old_events_are_trimmed_by_the_hour(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    flood(f, slot, 30, MU_UP);
    settle(f);
    tick(f, 61 * MU_SEC);
    settle(f);
    assert_int_equal(flaky_count(ON_TRIM), 1);
    assert_non_null(strstr(events(f), "21:down"));
    tick(f, 1800 * MU_SEC);
    settle(f);
    assert_int_equal(flaky_count(ON_TRIM), 1);
    tick(f, 1800 * MU_SEC);
    settle(f);
    assert_int_equal(flaky_count(ON_TRIM), 2);
}

/* ---- the end ---- */

static void on_finished(void *ctx, size_t lost)
{
    struct fixture *f = ctx;

    assert_false(f->finished);
    f->finished = true;
    f->lost = lost;
}

static void a_finish_stores_all_and_a_last_checkpoint(void **state)
{
    struct fixture *f = *state;
    uint32_t slot;
    struct mu_change change = {0};

    stored_rows(f, 2);
    slot = slot_of(f, 1);
    mu_roster_heard(f->roster, slot_of(f, 2), f->now, f->now);
    judge(f, slot, MU_DOWN);
    mu_journal_finish(f->journal, 10 * MU_SEC, on_finished, f);
    assert_true(mu_roster_row(f->roster, slot, &change.row));
    change.event = an_event(mu_bus_reserve(f->bus), change.row.ident);
    assert_int_equal(mu_journal_propose(f->journal, &change), MU_EAGAIN);
    TURN_UNTIL(&f->loop, (tick(f, 0), f->finished)); /* its limit is in time that is handed in */
    assert_int_equal(f->lost, 0);
    assert_string_equal(rows(f), "1:down,1 2:up,2");
}

static void a_finish_has_a_limit(void **state)
{
    struct fixture *f = *state;

    flaky_freeze(ON_COMMIT, true);
    judge(f, add_agent(f, 1), MU_DOWN);
    tick(f, 100 * MU_MS);
    judge(f, add_agent(f, 2), MU_DOWN);
    mu_journal_finish(f->journal, 5 * MU_SEC, on_finished, f);
    tick(f, 4 * MU_SEC);
    assert_false(f->finished);
    tick(f, 2 * MU_SEC);
    assert_true(f->finished);
    assert_int_equal(f->lost, 2);
    flaky_freeze(ON_COMMIT, false);
}

/* What the hung thread reads must outlive the journal. */
static void a_hung_batch_outlives_the_journal(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1);

    flaky_freeze(ON_COMMIT, true);
    judge(f, slot, MU_DOWN);
    tick(f, 100 * MU_MS);
    flaky_await(ON_COMMIT, 1, false);
    mu_store_close(f->store, 20 * MU_MS, on_closed, f);
    TURN_UNTIL(&f->loop, f->closed);
    mu_journal_free(f->journal);
    f->journal = NULL;
    mu_roster_remove(f->roster, slot);
    flaky_freeze(ON_COMMIT, false);
    flaky_await(ON_CLOSE, 1, true);
    assert_int_equal(flaky_count(ON_COMMIT), 1);
}

/* ---- memory ---- */

static void without_memory_nothing_is_made(void **state)
{
    struct fixture *f = *state;
    const struct mu_journal_config config = {
        .store = f->store, .roster = f->roster, .bus = f->bus, .committed = on_committed, .ctx = f};

    FOR_EACH_FAULT (n) {
        struct mu_bus *bus = NULL; /* one that may be thrown away with what is attached to it */
        struct mu_journal *journal = NULL;
        struct mu_journal_config with = config;
        int rv = mu_bus_new(&bus);
        with.bus = bus;
        if (!rv)
            rv = mu_journal_new(&journal, &with, &f->boot, f->now, WALL);
        FAULT_CHECK(rv);
        mu_journal_free(journal);
        mu_bus_free(bus);
    }
    mu_mem_fault_at(0);
}

/* Whichever allocation fails: the event is stored or counted, the row is right, and no proposal is
 * answered that is not stored. */
static void without_memory_rows_are_right_in_the_end(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add_agent(f, 1), other = add_agent(f, 2), round = 0;

    FOR_EACH_FAULT (n) {
        struct mu_change change = {.ticket = ++round, .slot = other};
        enum mu_state to = round % 2 ? MU_DOWN : MU_UP;
        size_t before = f->nanswers;

        judge(f, slot, to);
        assert_true(mu_roster_row(f->roster, other, &change.row));
        change.row.revision = round;
        change.event = an_event(mu_bus_reserve(f->bus), change.row.ident);
        int rv = mu_journal_propose(f->journal, &change);
        FAULT_CHECK(rv);
        settle(f);
        settle(f);
        assert_int_equal(f->nanswers, before + (rv ? 0 : 1));
        if (rv)
            mu_bus_release(f->bus, change.event.seq);
        assert_non_null(strstr(rows(f), to == MU_DOWN ? "1:down" : "1:up"));
    }
    mu_mem_fault_at(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_transition_is_stored_with_its_row_at_the_next_tick),
        TEST(a_proposal_is_committed_at_once_and_then_told),
        TEST(what_gathers_during_a_commit_goes_together),
        TEST(a_proposal_and_a_verdict_do_not_undo_each_other),
        TEST(a_first_join_needs_no_slot),
        TEST(a_delete_is_not_undone_by_a_verdict),
        TEST(a_delete_is_not_undone_by_want_of_memory),
        TEST(who_comes_into_a_slot_is_not_who_left_it),
        TEST(a_proposal_from_within_an_answer_waits_its_turn),
        TEST(a_verdict_is_no_whole_row),
        TEST(an_agent_is_in_a_batch_once),
        TEST(a_batch_has_a_bound_of_rows),
        TEST(a_batch_has_a_bound_of_proposals),
        TEST(a_state_is_not_stored_before_its_event),
        TEST(a_lost_event_and_one_that_waits_are_of_one_agent),
        TEST(a_row_may_change_without_an_event),
        TEST(an_unknown_outcome_is_answered_once),
        TEST(proposals_are_turned_away_after_two_seconds),
        TEST(at_most_ten_thousand_proposals_wait),
        TEST(beyond_a_million_events_are_lost_and_told),
        TEST(what_is_refused_for_good_is_answered_and_counted),
        TEST(numbers_are_asked_for_ahead_of_use),
        TEST(with_no_number_left_an_event_is_lost_and_its_row_is_not),
        TEST(the_latest_payload_of_an_agent_is_stored_and_then_answered),
        TEST(who_reported_what_is_refused_hears_of_it),
        TEST(a_first_join_brings_its_payload),
        TEST(a_row_takes_its_payload_along),
        TEST(reports_go_in_pieces_that_are_answered_in_one_turn),
        TEST(first_joins_leave_reports_their_room),
        TEST(payloads_have_a_bound_and_go_in_pieces),
        TEST(a_checkpoint_writes_who_was_heard),
        TEST(checkpoints_come_as_often_as_set),
        TEST(a_frozen_checkpoint_is_alone),
        TEST(a_clock_that_was_set_back_hides_nobody),
        TEST(old_events_are_trimmed_by_the_hour),
        TEST(a_finish_stores_all_and_a_last_checkpoint),
        TEST(a_finish_has_a_limit),
        TEST(a_hung_batch_outlives_the_journal),
        TEST(without_memory_nothing_is_made),
        TEST(without_memory_rows_are_right_in_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
