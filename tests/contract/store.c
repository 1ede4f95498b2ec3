/* What every driver of store/driver.h must do: one list of cases, run against each. The cases of
 * the second list are for drivers that keep something when they are closed, those of the third for
 * drivers that copy their database.
 *
 * Built by itself, the program is about the drivers that are built in. For one of a plugin it is
 * built with that one's sources and DRIVER, the driver's public name; contract/serve.py starts the
 * server and says in $MUSTER_TEST_STORE where the n-th empty database is: a URL with {n} in it. */
#include <signal.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "lib/faults.h"
#include "lib/rows.h"
#include "store/drivers.h"

#ifdef DRIVER
extern const struct mu_store_driver DRIVER;
#endif

struct fixture {
    const struct mu_store_driver *driver;
    struct mu_addr addr;
    char dir[256];
    void *st;
    struct mu_boot boot;
    struct mu_err err;
};

static void open_store(struct fixture *f)
{
    f->st = mu_alloc(f->driver->size);
    assert_non_null(f->st);
    if (f->driver->open(f->st, &f->addr, true, &f->boot, &f->err))
        fail_msg("open: %s", f->err.text);
}

static void close_store(struct fixture *f)
{
    f->driver->close(f->st);
    mu_free(f->st);
    f->st = NULL;
}

/* The URL of a server's next empty database. */
static void next_url(char *out, size_t size)
{
    static int n;
    const char *url = getenv("MUSTER_TEST_STORE"), *place = url ? strstr(url, "{n}") : NULL;

    if (!place)
        fail_msg("$MUSTER_TEST_STORE has no {n}; run this by contract/serve.py");
    else
        snprintf(out, size, "%.*s%d%s", (int)(place - url), url, ++n, place + strlen("{n}"));
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char url[300] = "memory:";

    f->driver = *state;
    make_scratch(f->dir, sizeof(f->dir));
    if (strcmp(f->driver->scheme, "sqlite") == 0)
        snprintf(url, sizeof(url), "sqlite:%s/muster.db", f->dir);
    else if (strcmp(f->driver->scheme, "memory") != 0)
        next_url(url, sizeof(url));
    assert_int_equal(mu_addr_parse(&f->addr, url, &f->err), 0);
    open_store(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->st)
        close_store(f);
    remove_scratch(f->dir);
    free(f);
    return 0;
}

static void commit(struct fixture *f, const struct mu_batch *batch)
{
    if (f->driver->commit(f->st, batch, &f->err))
        fail_msg("commit: %s", f->err.text);
}

/* Rows 1 .. n, without events. */
static void commit_rows(struct fixture *f, uint32_t n)
{
    struct mu_row *rows = calloc(n, sizeof(*rows));

    for (uint32_t i = 0; i < n; i++)
        rows[i] = a_row(i + 1, an_ident(i + 1));
    commit(f, &(struct mu_batch){.rows = rows, .nrows = n});
    for (uint32_t i = 0; i < n; i++)
        mu_ident_unref(rows[i].ident);
    free(rows);
}

/* Events first .. last; of agent 1 where the number is odd, of agent 2 where it is even. */
static void commit_events(struct fixture *f, uint64_t first, uint64_t last)
{
    struct mu_ident *who[2] = {an_ident(2), an_ident(1)};
    size_t n = (size_t)(last - first + 1);
    struct mu_event *events = calloc(n, sizeof(*events));

    for (size_t i = 0; i < n; i++)
        events[i] = an_event(first + i, who[(first + i) % 2]);
    commit(f, &(struct mu_batch){.events = events, .nevents = n});
    free(events);
    mu_ident_unref(who[0]);
    mu_ident_unref(who[1]);
}

/* ---- reading back ---- */

struct seen {
    size_t n, stop_at;
    struct mu_row rows[8];
    struct mu_who who[8];
    uint32_t payload_len[8];
    char text[8][512];
};

static int see_row(void *ctx, const struct mu_who *who, const struct mu_row *row,
                   const struct mu_payload *payload)
{
    struct seen *seen = ctx;
    size_t i = seen->n++;

    assert_in_range(i, 0, 7);
    seen->rows[i] = *row;
    seen->who[i] = *who;
    seen->payload_len[i] = payload->len;
    snprintf(seen->text[i], sizeof(seen->text[i]), "%s|%s|%s|%s|%s|%s|%s", who->binary, who->host,
             row->zone, row->labels, row->version, row->disabled_reason, row->forced_reason);
    return seen->n == seen->stop_at ? MU_EFULL : 0;
}

static void load(struct fixture *f, struct seen *seen)
{
    memset(seen, 0, sizeof(*seen));
    if (f->driver->load(f->st, see_row, seen, &f->err))
        fail_msg("load: %s", f->err.text);
}

static int note_seq(void *ctx, const struct mu_event_row *event)
{
    char *out = ctx;

    snprintf(out + strlen(out), 4000 - strlen(out), "%s%llu", *out ? " " : "",
             (unsigned long long)event->seq);
    return 0;
}

/* The numbers found, "3 5 7"; the last call's. */
/* Returns whether there is more to trim. */
static bool trim(struct fixture *f, struct mu_trim which)
{
    bool more = false;

    assert_int_equal(f->driver->trim(f->st, &which, &more, &f->err), 0);
    return more;
}

static const char *find(struct fixture *f, struct mu_event_query query, struct mu_event_span *span)
{
    static char found[4000];
    struct mu_event_span unused;

    *found = '\0';
    if (f->driver->events(f->st, &query, span ? span : &unused, note_seq, found, &f->err))
        fail_msg("events: %s", f->err.text);
    return found;
}

static const char *payload_of(struct fixture *f, uint32_t row)
{
    static char text[256];
    struct mu_buf json;

    mu_buf_init(&json, 0);
    assert_int_equal(f->driver->payload(f->st, row, &json, &f->err), 0);
    snprintf(text, sizeof(text), "%s", mu_buf_text(&json));
    mu_buf_fini(&json);
    return text;
}

/* ---- the cases ---- */

static void first_life_begins_at_one(void **state)
{
    struct fixture *f = *state;
    struct mu_event_span span;
    struct seen seen;

    assert_int_equal(f->boot.epoch, 1);
    assert_int_equal(f->boot.seq, 1);
    assert_int_equal(f->boot.seq_end, 1 + MU_STORE_GRANT);
    assert_int_equal(f->boot.row, 1);
    assert_int_not_equal(f->boot.fleet, 0);
    load(f, &seen);
    assert_int_equal(seen.n, 0);
    assert_string_equal(find(f, (struct mu_event_query){.limit = 10}, &span), "");
    assert_int_equal(span.oldest, 0);
    assert_int_equal(span.newest, 0);
}

static void rows_come_back_as_they_went(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(7);
    struct mu_row row = a_row(7, ident), plain = a_row(9, an_ident(9)), rows[2];
    struct seen seen;

    row.zone = "Zürich 'a\"; --";
    row.disabled = true;
    row.disabled_reason = "disk swap";
    row.forced_down = true;
    row.forced_reason = "fenced";
    row.revision = UINT32_MAX - 1;
    row.state = MU_LEFT;
    row.state_reason = MU_WHY_LEFT;
    row.start_id = UINT64_MAX;
    row.session = UINT64_MAX - 1;
    row.incarnation = UINT64_MAX - 2;
    row.index = UINT32_MAX;
    row.report_count = UINT64_C(1) << 63;
    rows[0] = row;
    rows[1] = plain;
    commit(f, &(struct mu_batch){.rows = rows, .nrows = 2});
    load(f, &seen);

    assert_int_equal(seen.n, 2);
    const struct mu_row *got = &seen.rows[0];
    assert_int_equal(got->id, 7);
    assert_memory_equal(seen.who[0].uuid, ident->uuid, 16);
    assert_string_equal(seen.text[0], "nova-compute|cmp-7|Zürich 'a\"; --|{\"rack\":\"r1\"}|26.2.0|"
                                      "disk swap|fenced");
    assert_true(got->disabled);
    assert_true(got->forced_down);
    assert_int_equal(got->revision, row.revision);
    assert_int_equal(got->state, MU_LEFT);
    assert_int_equal(got->state_reason, MU_WHY_LEFT);
    assert_int_equal(got->state_since, row.state_since);
    assert_int_equal(got->joined_at, row.joined_at);
    assert_true(got->start_id == row.start_id && got->session == row.session);
    assert_true(got->incarnation == row.incarnation && got->report_count == row.report_count);
    assert_int_equal(got->index, row.index);
    assert_int_equal(got->interval_ms, row.interval_ms);
    assert_int_equal(got->last_seen, row.last_seen);
    assert_int_equal(seen.payload_len[0], 0);
    assert_false(seen.rows[1].disabled);
    assert_int_equal(seen.rows[1].state, MU_UP);
    mu_ident_unref(ident);
    mu_ident_unref(plain.ident);
}

static void every_state_and_reason_comes_back(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(1);
    struct mu_row row = a_row(1, ident);
    struct seen seen;

    for (int s = 0; s < MU_UNKNOWN; s++) {
        for (int why = 0; why < MU_REASONS_N; why++) {
            row.state = (enum mu_state)s;
            row.state_reason = (enum mu_reason)why;
            commit(f, &(struct mu_batch){.rows = &row, .nrows = 1});
            load(f, &seen);
            assert_int_equal(seen.rows[0].state, s);
            assert_int_equal(seen.rows[0].state_reason, why);
        }
    }
    mu_ident_unref(ident);
}

static void load_goes_in_row_order_until_told(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {.stop_at = 2};

    commit_rows(f, 4);
    assert_int_equal(f->driver->load(f->st, see_row, &seen, &f->err), MU_EFULL);
    assert_int_equal(seen.n, 2);
    load(f, &seen);
    assert_int_equal(seen.n, 4);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(seen.rows[i].id, i + 1);
}

static void commit_is_harmless_to_repeat(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(1);
    struct mu_row row = a_row(1, ident);
    struct mu_event event = an_event(1, ident);
    struct mu_payload payload = {.row = 1, .len = 2, .json = "{}"};
    const struct mu_batch batch = {.rows = &row,
                                   .nrows = 1,
                                   .events = &event,
                                   .nevents = 1,
                                   .payloads = &payload,
                                   .npayloads = 1,
                                   .grant = 3000000};
    struct seen seen;

    commit(f, &batch);
    commit(f, &batch);
    load(f, &seen);
    assert_int_equal(seen.n, 1);
    assert_string_equal(find(f, (struct mu_event_query){.limit = 10}, NULL), "1");
    /* It was counted once, too: of one event, one may stay. */
    assert_false(trim(f, (struct mu_trim){.keep = 1, .slice = 10}));
    assert_string_equal(find(f, (struct mu_event_query){.limit = 10}, NULL), "1");
    mu_ident_unref(ident);
}

static void a_batch_may_be_empty(void **state)
{
    commit(*state, &(struct mu_batch){0});
}

static void a_row_is_updated_in_place(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(1);
    struct mu_row row = a_row(1, ident);
    struct mu_payload payload = {.row = 1, .len = 2, .json = "{}"};
    struct seen seen;

    commit(f, &(struct mu_batch){.rows = &row, .nrows = 1, .payloads = &payload, .npayloads = 1});
    row.state = MU_DOWN;
    row.zone = "az2";
    row.last_seen++;
    row.report_count = 99;
    commit(f, &(struct mu_batch){.rows = &row, .nrows = 1});
    load(f, &seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.rows[0].state, MU_DOWN);
    assert_int_equal(seen.rows[0].last_seen, row.last_seen);
    assert_int_equal(seen.rows[0].report_count, 99);
    assert_non_null(strstr(seen.text[0], "|az2|"));
    assert_string_equal(payload_of(f, 1), "{}");
    assert_int_equal(seen.payload_len[0], 2);
    mu_ident_unref(ident);
}

static void a_verdict_changes_state_and_beats_alone(void **state)
{
    struct fixture *f = *state;
    struct mu_verdict verdicts[] = {{.row = 2,
                                     .state = MU_DOWN,
                                     .reason = MU_WHY_SILENCE,
                                     .since = 7000,
                                     .last_seen = 6000,
                                     .report_count = 70},
                                    {.row = 9, .state = MU_DOWN}}; /* not there: passed over */
    const struct mu_batch batch = {.verdicts = verdicts, .nverdicts = 2};
    struct seen seen;

    commit_rows(f, 2);
    commit(f, &batch);
    commit(f, &batch); /* harmless to repeat */
    load(f, &seen);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.rows[0].state, MU_UP);
    assert_int_equal(seen.rows[0].report_count, 1);
    assert_int_equal(seen.rows[1].state, MU_DOWN);
    assert_int_equal(seen.rows[1].state_reason, MU_WHY_SILENCE);
    assert_int_equal(seen.rows[1].state_since, 7000);
    assert_int_equal(seen.rows[1].last_seen, 6000);
    assert_int_equal(seen.rows[1].report_count, 70);
    assert_int_equal(seen.rows[1].interval_ms, 10000);
    assert_string_equal(seen.text[1], "nova-compute|cmp-2|az1|{\"rack\":\"r1\"}|26.2.0||");
}

static void a_name_may_go_and_come_in_one_batch(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(1);
    struct mu_row old = a_row(1, ident), new = a_row(5, ident);
    struct mu_payload payload = {.row = 1, .len = 2, .json = "{}"};
    const uint32_t gone = 1;
    struct seen seen;

    commit(f, &(struct mu_batch){.rows = &old, .nrows = 1, .payloads = &payload, .npayloads = 1});
    commit(f, &(struct mu_batch){.rows = &new, .nrows = 1, .deletes = &gone, .ndeletes = 1});
    load(f, &seen);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.rows[0].id, 5);
    assert_int_equal(seen.payload_len[0], 0);
    assert_string_equal(payload_of(f, 1), "");
    commit(f, &(struct mu_batch){.deletes = &gone, .ndeletes = 1}); /* not there: passed over */
    mu_ident_unref(ident);
}

static void events_are_found_by_number_agent_and_kind(void **state)
{
    struct fixture *f = *state;
    struct mu_event started = {.seq = 7,
                               .at = 1000007,
                               .kind = MU_KIND_CONDUCTOR,
                               .reason = MU_WHY_STARTED,
                               .from = MU_WORD_NONE,
                               .to = MU_WORD_NONE,
                               .evidence = mu_no_evidence};
    struct mu_event_span span;

    commit_events(f, 1, 6);
    commit(f, &(struct mu_batch){.events = &started, .nevents = 1});
    commit_events(f, 10, 12);
#define FIND(...) find(f, (struct mu_event_query){__VA_ARGS__}, &span)
    assert_string_equal(FIND(.limit = 100), "1 2 3 4 5 6 7 10 11 12");
    assert_int_equal(span.oldest, 1);
    assert_int_equal(span.newest, 12);
    assert_string_equal(FIND(.since = 4, .limit = 3), "5 6 7");
    assert_string_equal(FIND(.since = 12, .limit = 3), "");
    assert_string_equal(FIND(.since = UINT64_MAX, .limit = 3), "");
    assert_string_equal(FIND(.limit = 3, .newest = true), "10 11 12");
    assert_string_equal(FIND(.since = 10, .limit = 3, .newest = true), "11 12");
    assert_string_equal(FIND(.limit = 0), "");
    assert_string_equal(FIND(.limit = 0, .newest = true), "");
    assert_string_equal(FIND(.limit = 9, .agent = "nova-compute@cmp-1"), "1 3 5 11");
    assert_string_equal(FIND(.limit = 2, .newest = true, .agent = "nova-compute@cmp-1"), "5 11");
    assert_string_equal(FIND(.since = 2, .limit = 2, .agent = "nova-compute@cmp-2"), "4 6");
    assert_string_equal(FIND(.limit = 9, .agent = "nova-compute@none"), "");
    assert_string_equal(FIND(.limit = 9, .kind = "conductor"), "7");
    assert_string_equal(FIND(.limit = 2, .newest = true, .kind = "state"), "11 12");
    assert_string_equal(FIND(.limit = 9, .kind = "conductor", .agent = "nova-compute@cmp-1"), "");
    assert_string_equal(FIND(.limit = 1, .kind = "state", .agent = "nova-compute@cmp-1"), "1");
#undef FIND
}

static int check_words(void *ctx, const struct mu_event_row *event)
{
    const struct mu_event_row *want = ctx;

    assert_int_equal(event->seq, want->seq);
    assert_int_equal(event->at, want->at);
    assert_string_equal(event->kind, want->kind);
    assert_string_equal(event->from, want->from);
    assert_string_equal(event->to, want->to);
    assert_string_equal(event->reason, want->reason);
    assert_string_equal(event->agent, want->agent);
    assert_string_equal(event->uuid, want->uuid);
    assert_string_equal(event->detail, want->detail);
    return MU_EFULL; /* and is handed on */
}

/* A restored backup goes on a thousand million numbers further on. */
static void an_agents_events_are_found_across_gaps(void **state)
{
    static const uint64_t starts[] = {5, 65535, 2000000, UINT64_C(1002000000)};
    struct fixture *f = *state;
    struct mu_event_span span;

    for (size_t i = 0; i < MU_ARRAY_LEN(starts); i++)
        commit_events(f, starts[i], starts[i] + 2);
#define FIND(...)                                                                                  \
    find(f, (struct mu_event_query){__VA_ARGS__, .agent = "nova-compute@cmp-1"}, &span)
    assert_string_equal(FIND(.limit = 9), "5 7 65535 65537 2000001 1002000001");
    assert_string_equal(FIND(.limit = 3), "5 7 65535");
    assert_string_equal(FIND(.limit = 3, .newest = true), "65537 2000001 1002000001");
    assert_string_equal(FIND(.limit = 2, .since = 65535), "65537 2000001");
    assert_string_equal(FIND(.limit = 9, .newest = true, .since = 65535),
                        "65537 2000001 1002000001");
    assert_string_equal(FIND(.limit = 9, .kind = "state", .since = 2000001), "1002000001");
    assert_string_equal(FIND(.limit = 9, .kind = "status"), "");
    assert_string_equal(FIND(.limit = 9, .since = 1002000001), "");
    assert_int_equal(span.newest, 1002000002);
#undef FIND
}

static void an_event_is_kept_in_words(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(1);
    struct mu_event event = an_event(1, ident);
    struct mu_event_query query = {.limit = 10};
    struct mu_event_scratch scratch;
    struct mu_event_span span;
    struct mu_event_row words;

    event.kind = MU_KIND_STATUS;
    event.reason = MU_WHY_OPERATOR;
    event.from = MU_WORD_ENABLED;
    event.to = MU_WORD_DISABLED;
    event.text = mu_text_new("disk 'sda' \"dies\"");
    mu_event_words(&event, &scratch, &words);
    commit(f, &(struct mu_batch){.events = &event, .nevents = 1});
    assert_int_equal(f->driver->events(f->st, &query, &span, check_words, &words, &f->err),
                     MU_EFULL);
    mu_text_unref(event.text);
    mu_ident_unref(ident);
}

static void the_latest_payload_wins(void **state)
{
    struct fixture *f = *state;
    const struct mu_payload payloads[] = {{.row = 1, .len = 7, .json = "{\"a\":1}"},
                                          {.row = 2, .len = 2, .json = "[]"},
                                          {.row = 9, .len = 2, .json = "[]"},
                                          {.row = 1, .len = 7, .json = "{\"a\":2}"}};

    commit_rows(f, 2);
    commit(f, &(struct mu_batch){.payloads = payloads, .npayloads = 4});
    assert_string_equal(payload_of(f, 1), "{\"a\":2}");
    assert_string_equal(payload_of(f, 2), "[]");
    assert_string_equal(payload_of(f, 9), ""); /* no such row */
}

static void a_checkpoint_moves_beats_alone(void **state)
{
    struct fixture *f = *state;
    const struct mu_beat_row beats[] = {{.row = 2, .last_seen = 5000, .report_count = 70},
                                        {.row = 3, .last_seen = 6000, .report_count = 80},
                                        {.row = 8, .last_seen = 7000, .report_count = 90}};
    struct seen seen;

    commit_rows(f, 3);
    assert_int_equal(f->driver->checkpoint(f->st, beats, 3, &f->err), 0);
    load(f, &seen);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.rows[0].report_count, 1);
    assert_int_equal(seen.rows[1].last_seen, 5000);
    assert_int_equal(seen.rows[1].report_count, 70);
    assert_int_equal(seen.rows[2].last_seen, 6000);
    assert_int_equal(seen.rows[2].state, MU_UP);
}

static void events_are_trimmed_in_slices(void **state)
{
    struct fixture *f = *state;
    struct mu_event_span span;
    const struct mu_trim old = {.before = 1000005, .slice = 3};

    commit_events(f, 1, 10);
    /* Older than event 5, three at a time: 1-3, then 4. */
    assert_true(trim(f, old));
    assert_false(trim(f, old));
    assert_string_equal(find(f, (struct mu_event_query){.limit = 99}, &span), "5 6 7 8 9 10");
    assert_int_equal(span.oldest, 5);
    /* At most four are kept, whatever their age; gaps in the numbers count for nothing. */
    commit_events(f, 1000, 1000);
    assert_false(trim(f, (struct mu_trim){.keep = 4, .slice = 100}));
    assert_string_equal(find(f, (struct mu_event_query){.limit = 99}, NULL), "8 9 10 1000");
    assert_false(trim(f, (struct mu_trim){.before = INT64_MAX, .slice = 100}));
    assert_string_equal(find(f, (struct mu_event_query){.limit = 99}, &span), "");
    assert_int_equal(span.newest, 0);
}

/* A clock that is behind now must not cost the history: what seems to be later stays. */
static void an_event_that_seems_later_is_kept(void **state)
{
    struct fixture *f = *state;

    commit_events(f, 1, 10);
    assert_false(trim(f, (struct mu_trim){.before = 1, .slice = 100}));
    assert_string_equal(find(f, (struct mu_event_query){.limit = 99}, NULL),
                        "1 2 3 4 5 6 7 8 9 10");
}

static void without_memory_a_commit_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct mu_ident *ident = an_ident(1);
    struct mu_row row = a_row(1, ident);
    struct mu_event event = an_event(1, ident);
    struct mu_payload payload = {.row = 1, .len = 2, .json = "{}"};
    const struct mu_batch batch = {.rows = &row,
                                   .nrows = 1,
                                   .events = &event,
                                   .nevents = 1,
                                   .payloads = &payload,
                                   .npayloads = 1};
    struct seen seen;

    FOR_EACH_FAULT (n) {
        int rv = f->driver->commit(f->st, &batch, &f->err);
        FAULT_CHECK(rv);
        load(f, &seen);
        assert_int_equal(seen.n, rv ? 0 : 1);
        assert_string_equal(find(f, (struct mu_event_query){.limit = 9}, NULL), rv ? "" : "1");
    }
    mu_mem_fault_at(0);
    assert_string_equal(payload_of(f, 1), "{}");
    mu_ident_unref(ident);
}

static void a_lost_connection_is_made_anew_in_the_same_life(void **state)
{
    struct fixture *f = *state;
    struct seen seen;

    commit_rows(f, 2);
    assert_int_equal(f->driver->open(f->st, &f->addr, false, NULL, &f->err), 0);
    load(f, &seen);
    assert_int_equal(seen.n, 2);
    commit_events(f, 1, 1);
    assert_string_equal(find(f, (struct mu_event_query){.limit = 9}, NULL), "1");
}

/* ---- for drivers that keep something ---- */

static void the_next_life_goes_on_where_nothing_repeats(void **state)
{
    struct fixture *f = *state;
    const uint32_t gone[] = {3};
    const uint64_t fleet = f->boot.fleet;
    struct seen seen;

    commit_rows(f, 3);
    commit(f, &(struct mu_batch){.deletes = gone, .ndeletes = 1, .grant = 5000000});
    commit(f, &(struct mu_batch){.grant = 4000000}); /* is only raised */
    close_store(f);
    open_store(f);
    assert_int_equal(f->boot.epoch, 2);
    assert_int_equal(f->boot.seq, 5000000);
    assert_int_equal(f->boot.seq_end, 5000000 + MU_STORE_GRANT);
    assert_int_equal(f->boot.row, 4); /* though row 3 is gone */
    load(f, &seen);
    assert_int_equal(seen.n, 2);
    close_store(f);
    open_store(f);
    assert_int_equal(f->boot.epoch, 3);
    assert_int_equal(f->boot.seq, 5000000 + MU_STORE_GRANT);
    assert_int_equal(f->boot.fleet, fleet);
}

static void a_second_conductor_is_told_of_the_first(void **state)
{
    struct fixture *f = *state;
    void *second = mu_alloc(f->driver->size);
    struct mu_boot boot = {.epoch = 77};
    char pid[32];

    assert_non_null(second);
    assert_int_equal(f->driver->open(second, &f->addr, true, &boot, &f->err), MU_ELOCKED);
    f->driver->close(second);
    mu_free(second);
    snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
    assert_non_null(strstr(f->err.text, pid));
    assert_int_equal(boot.epoch, 77);
    commit_rows(f, 1); /* and the first goes on */
}

/* ---- for drivers that copy, and for those that leave it to others ---- */

#ifdef DRIVER
static void a_backup_names_who_makes_it(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->driver->backup(&f->addr, "copy", &f->err), MU_ENOTSUP);
    assert_non_null(strstr(f->err.text, "dump"));
}
#else
static void a_backup_is_a_whole_database(void **state)
{
    struct fixture *f = *state;
    char copy[300], url[320];
    struct seen seen;
    struct stat st;

    commit_rows(f, 3);
    commit_events(f, 1, 5);
    snprintf(copy, sizeof(copy), "%s/copy.db", f->dir);
    if (f->driver->backup(&f->addr, copy, &f->err)) /* while it is open */
        fail_msg("backup: %s", f->err.text);
    assert_int_equal(f->driver->backup(&f->addr, copy, &f->err), MU_EEXIST);
    assert_non_null(strstr(f->err.text, copy));
    assert_int_equal(stat(copy, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    commit_events(f, 6, 6); /* is not in the copy */
    close_store(f);
    snprintf(url, sizeof(url), "%s:%s", f->driver->scheme, copy);
    assert_int_equal(mu_addr_parse(&f->addr, url, &f->err), 0);
    open_store(f);
    assert_in_range(f->boot.epoch, 1000, 2000); /* beyond what was given out since */
    assert_true(f->boot.seq > 2 * MU_STORE_GRANT);
    load(f, &seen);
    assert_int_equal(seen.n, 3);
    assert_string_equal(find(f, (struct mu_event_query){.limit = 9}, NULL), "1 2 3 4 5");
}

#endif

/* ---- for drivers that keep something, killed ---- */

/* Commits rows and events for ever, and says so after each. Never returns. */
static void commit_until_killed(struct fixture *f, int acks)
{
    open_store(f);
    uint32_t row = f->boot.row;
    for (uint64_t seq = f->boot.seq;; seq++, row++) {
        struct mu_ident *ident = an_ident(row);
        struct mu_row inserted = a_row(row, ident);
        struct mu_event event = an_event(seq, ident);
        commit(f,
               &(struct mu_batch){.rows = &inserted, .nrows = 1, .events = &event, .nevents = 1});
        mu_ident_unref(ident);
        if (write(acks, &seq, sizeof(seq)) != sizeof(seq))
            _exit(1);
    }
}

static int count_row(void *ctx, const struct mu_who *who, const struct mu_row *row,
                     const struct mu_payload *payload)
{
    uint32_t *last = ctx;

    assert_int_equal(row->id, *last + 1);
    *last = row->id;
    return 0;
}

/* Every batch that was acknowledged is there, rows and events alike, and at most the one under way
 * besides. */
static void check_killed(struct fixture *f, uint64_t acked, uint32_t lives)
{
    struct mu_event_span span;
    uint32_t last = 0;

    open_store(f);
    assert_int_equal(f->boot.epoch, lives);
    find(f, (struct mu_event_query){.limit = 0}, &span);
    assert_in_range(span.newest, acked, acked + 1);
    assert_int_equal(f->driver->load(f->st, count_row, &last, &f->err), 0);
    assert_int_equal(f->boot.row, last + 1);
    assert_true(f->boot.seq > span.newest);
    close_store(f);
}

static void a_kill_loses_nothing_that_was_acknowledged(void **state)
{
    struct fixture *f = *state;
    uint32_t lives = 1;

    close_store(f);
    for (int round = 0; round < 5; round++) {
        uint64_t acked = 0;
        int acks[2];
        assert_int_equal(pipe(acks), 0);
        pid_t pid = fork();
        if (pid == 0)
            commit_until_killed(f, acks[1]);
        assert_true(pid > 0);
        close(acks[1]);
        for (int n = 0; n < 3 + 7 * round; n++)
            assert_int_equal(read(acks[0], &acked, sizeof(acked)), sizeof(acked));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        while (read(acks[0], &acked, sizeof(acked)) == sizeof(acked))
            ; /* those that came just before */
        close(acks[0]);
        lives += 2; /* the child's, and the one that checks */
        check_killed(f, acked, lives);
    }
}

#define CASES(X)                                                                                   \
    X(first_life_begins_at_one)                                                                    \
    X(rows_come_back_as_they_went)                                                                 \
    X(every_state_and_reason_comes_back)                                                           \
    X(load_goes_in_row_order_until_told)                                                           \
    X(commit_is_harmless_to_repeat)                                                                \
    X(a_batch_may_be_empty)                                                                        \
    X(a_row_is_updated_in_place)                                                                   \
    X(a_verdict_changes_state_and_beats_alone)                                                     \
    X(a_name_may_go_and_come_in_one_batch)                                                         \
    X(events_are_found_by_number_agent_and_kind)                                                   \
    X(an_agents_events_are_found_across_gaps)                                                      \
    X(an_event_is_kept_in_words)                                                                   \
    X(the_latest_payload_wins)                                                                     \
    X(a_checkpoint_moves_beats_alone)                                                              \
    X(events_are_trimmed_in_slices)                                                                \
    X(an_event_that_seems_later_is_kept)                                                           \
    X(without_memory_a_commit_changes_nothing)                                                     \
    X(a_lost_connection_is_made_anew_in_the_same_life)

#define KEEPING(X)                                                                                 \
    X(the_next_life_goes_on_where_nothing_repeats)                                                 \
    X(a_second_conductor_is_told_of_the_first)                                                     \
    X(a_kill_loses_nothing_that_was_acknowledged)

#define COPYING(X)     X(a_backup_is_a_whole_database)
#define NOT_COPYING(X) X(a_backup_names_who_makes_it)

#define MEMORY(test) {"memory_" #test, test, setup, teardown, (void *)&mu_store_memory},
#define SQLITE(test) {"sqlite_" #test, test, setup, teardown, (void *)&mu_store_sqlite},
#define SERVER(test) {#test, test, setup, teardown, (void *)&DRIVER},

int main(void)
{
#ifdef DRIVER
    const struct CMUnitTest tests[] = {CASES(SERVER) KEEPING(SERVER) NOT_COPYING(SERVER)};
#else
    const struct CMUnitTest tests[] = {CASES(MEMORY) CASES(SQLITE) KEEPING(SQLITE) COPYING(SQLITE)};
#endif

    return cmocka_run_group_tests(tests, NULL, NULL);
}
