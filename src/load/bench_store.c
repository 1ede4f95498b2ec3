/* A store's driver, called as the front does, on this thread, with as much at a time as the journal
 * gives it. What was written is deleted again. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "load/bench.h"
#include "outlet/journal.h"
#include "store/store.h"

/* In one transaction. */
#define JOINS  MU_JOURNAL_BATCH_PROPOSALS /* deletes, too */
#define DEATHS MU_JOURNAL_BATCH_EVENTS    /* at least as many as the others */

struct trial {
    const struct mu_store_driver *driver;
    struct mu_addr addr;
    void *st;
    struct mu_boot boot;
    uint64_t seq;
    uint32_t n;
    const volatile sig_atomic_t *stop;
    struct mu_row *rows;         /* DEATHS of them */
    struct mu_verdict *verdicts; /* the same */
    struct mu_event *events;
    struct mu_beat_row *beats;
    uint32_t *ids;
};

static uint32_t id_of(const struct trial *t, uint32_t i)
{
    return t->boot.row + i;
}

/* --- a batch ------------------------------------------------------------------------------------
 */

static void drop_batch(struct trial *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mu_ident_unref(t->rows[i].ident);
}

/* Row @i of the batch, as it joins, and the event that tells of it. */
static int make_join(struct trial *t, size_t i, uint32_t agent)
{
    uint32_t id = id_of(t, agent);
    uint8_t uuid[16] = {0};
    mu_wall wall = mu_clock_wall();
    char host[16];

    snprintf(host, sizeof(host), "h%07u", (unsigned)agent);
    memcpy(uuid, &id, sizeof(id));
    uuid[6] = 0x40; /* version 4, variant 1 */
    uuid[8] = 0x80;
    t->rows[i] = (struct mu_row){.id = id,
                                 .ident = mu_ident_new(uuid, "bench", host),
                                 .zone = "a",
                                 .labels = "{\"rack\":\"r1\"}",
                                 .version = "1.0",
                                 .disabled_reason = "",
                                 .forced_reason = "",
                                 .state = MU_UP,
                                 .state_reason = MU_WHY_JOINED,
                                 .state_since = wall,
                                 .start_id = id,
                                 .incarnation = id,
                                 .session = (uint64_t)t->boot.epoch << 32 | id,
                                 .interval_ms = 10000,
                                 .joined_at = wall,
                                 .last_seen = wall};
    t->events[i] = (struct mu_event){.seq = t->seq++,
                                     .at = wall,
                                     .who = t->rows[i].ident,
                                     .kind = MU_KIND_JOINED,
                                     .reason = MU_WHY_JOINED,
                                     .from = MU_WORD_NONE,
                                     .to = MU_WORD_PRESENT,
                                     .evidence = mu_no_evidence};
    return t->rows[i].ident ? 0 : MU_ENOMEM;
}

/* The same agent's death: what is written when half of a fleet dies. */
static void make_death(struct trial *t, size_t i)
{
    struct mu_event *event = &t->events[i];

    t->verdicts[i] = (struct mu_verdict){.row = t->rows[i].id,
                                         .state = MU_DOWN,
                                         .reason = MU_WHY_SILENCE,
                                         .since = mu_clock_wall(),
                                         .last_seen = t->rows[i].last_seen,
                                         .report_count = 7};
    event->seq = t->seq++;
    event->at = mu_clock_wall();
    event->kind = MU_KIND_STATE;
    event->reason = MU_WHY_SILENCE;
    event->from = MU_SUSPECT;
    event->to = MU_DOWN;
    event->evidence.silence_ms = 60042;
    event->evidence.threshold_ms = 60000;
}

/* All agents join, or die, with an event each. *@spent is the driver's time. */
static int write_all(struct trial *t, bool join, mu_dur *spent, struct mu_err *err)
{
    const uint32_t most = join ? JOINS : DEATHS;
    int rv = 0;

    *spent = 0;
    for (uint32_t first = 0; first < t->n && rv == 0 && !*t->stop; first += most) {
        size_t n = t->n - first < most ? t->n - first : most, made = 0;
        struct mu_batch batch = {.events = t->events, .nevents = n};
        mu_time began;

        for (; made < n && rv == 0; made++) {
            rv = make_join(t, made, first + (uint32_t)made);
            if (rv == 0 && !join)
                make_death(t, made);
        }
        batch.rows = t->rows;
        batch.nrows = join ? n : 0;
        batch.verdicts = t->verdicts;
        batch.nverdicts = join ? 0 : n;
        if (t->seq > t->boot.seq_end) {
            t->boot.seq_end = t->seq + MU_STORE_GRANT;
            batch.grant = t->boot.seq_end;
        }
        began = mu_clock_now();
        if (rv == 0)
            rv = t->driver->commit(t->st, &batch, err);
        *spent += mu_clock_now() - began;
        drop_batch(t, made);
    }
    return rv;
}

static int checkpoint_all(struct trial *t, mu_dur *spent, struct mu_err *err)
{
    mu_time began;
    int rv = 0;

    for (uint32_t i = 0; i < t->n; i++)
        t->beats[i] = (struct mu_beat_row){
            .row = id_of(t, i), .last_seen = mu_clock_wall(), .report_count = 100 + i};
    began = mu_clock_now();
    for (uint32_t i = 0; i < t->n && rv == 0; i += MU_JOURNAL_SLICE) {
        size_t n = t->n - i < MU_JOURNAL_SLICE ? t->n - i : MU_JOURNAL_SLICE;

        rv = t->driver->checkpoint(t->st, &t->beats[i], n, err);
    }
    *spent = mu_clock_now() - began;
    return rv;
}

/* --- reading, and what is left ------------------------------------------------------------------
 */

static int count_row(void *ctx, const struct mu_who *who, const struct mu_row *row,
                     const struct mu_payload *payload)
{
    ++*(uint32_t *)ctx;
    return 0;
}

static int load_all(struct trial *t, uint32_t *rows, mu_dur *spent, struct mu_err *err)
{
    mu_time began = mu_clock_now();
    int rv;

    *rows = 0;
    rv = t->driver->load(t->st, count_row, rows, err);
    *spent = mu_clock_now() - began;
    return rv;
}

static int delete_all(struct trial *t, mu_dur *spent, struct mu_err *err)
{
    int rv = 0;

    *spent = 0;
    for (uint32_t first = 0; first < t->n && rv == 0; first += JOINS) {
        struct mu_batch batch = {.deletes = t->ids};
        mu_time began;

        for (; batch.ndeletes < JOINS && first + batch.ndeletes < t->n; batch.ndeletes++)
            t->ids[batch.ndeletes] = id_of(t, first + (uint32_t)batch.ndeletes);
        began = mu_clock_now();
        rv = t->driver->commit(t->st, &batch, err);
        *spent += mu_clock_now() - began;
    }
    return rv;
}

/* In slices. The longest of them is what others wait for. */
static int trim_all(struct trial *t, mu_dur *spent, mu_dur *longest, struct mu_err *err)
{
    const struct mu_trim all = {.before = INT64_MAX, .slice = MU_STORE_TRIM_SLICE};
    bool more = true;
    int rv = 0;

    *spent = *longest = 0;
    while (more && rv == 0) {
        mu_time began = mu_clock_now();

        rv = t->driver->trim(t->st, &all, &more, err);
        began = mu_clock_now() - began;
        *spent += began;
        *longest = began > *longest ? began : *longest;
    }
    return rv;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

/* @what of @t's rows took @spent: "%s rows/s committed". */
static void put(const struct trial *t, const char *what, mu_dur spent, const char *says,
                struct mu_figures *out)
{
    char key[40];

    snprintf(key, sizeof(key), "%s_s", what);
    mu_figures_add(out, key, (double)spent / (double)MU_SEC, 3, says);
    snprintf(key, sizeof(key), "%s_rows_per_s", what);
    mu_figures_add(out, key, t->n * (double)MU_SEC / (double)spent, 0, NULL);
}

/* Until it is done, or is to stop: what was not done whole has no figure. */
static int measure(struct trial *t, struct mu_figures *out, struct mu_err *err)
{
    mu_dur spent;
    uint32_t rows;
    int rv = write_all(t, true, &spent, err);

    if (rv || *t->stop)
        return rv;
    put(t, "joins", spent, "committed with an event each in %s s", out);
    if ((rv = write_all(t, false, &spent, err)) != 0 || *t->stop)
        return rv;
    put(t, "deaths", spent, "dead with an event each in %s s", out);
    if ((rv = checkpoint_all(t, &spent, err)) != 0)
        return rv;
    put(t, "checkpoint", spent, "checkpoint %s s", out);
    if ((rv = load_all(t, &rows, &spent, err)) != 0)
        return rv;
    put(t, "load", spent, "loaded in %s s", out);
    mu_figures_add(out, "loaded_rows", rows, 0, NULL);
    return 0;
}

/* However far it came. */
static int clear(struct trial *t, struct mu_figures *out, struct mu_err *err)
{
    mu_dur deleted, trimmed, longest;
    int rv = delete_all(t, &deleted, err);

    if (rv == 0)
        rv = trim_all(t, &trimmed, &longest, err);
    if (rv || *t->stop)
        return rv;
    put(t, "delete", deleted, "deleted in %s s", out);
    mu_figures_add(out, "trim_s", (double)trimmed / (double)MU_SEC, 3, "events trimmed in %s s");
    mu_figures_add(out, "trim_slice_max_ms", (double)longest / (double)MU_MS, 1, NULL);
    return 0;
}

static int no_event(void *ctx, const struct mu_event_row *event)
{
    return 0;
}

/* Whose rows or events are there already would lose them. */
static int check_empty(struct trial *t, struct mu_err *err)
{
    const struct mu_event_query query = {.limit = 1};
    struct mu_event_span span;
    uint32_t rows;
    mu_dur spent;
    int rv;

    if ((rv = load_all(t, &rows, &spent, err)) != 0 ||
        (rv = t->driver->events(t->st, &query, &span, no_event, NULL, err)) != 0)
        return rv;
    if (rows > 0 || span.oldest > 0)
        return mu_err_set(err, MU_EEXIST, "%s has %s: give a database that has none", t->addr.text,
                          rows > 0 ? "agents" : "events");
    return 0;
}

static int begin(struct trial *t, const char *url, struct mu_err *err)
{
    int rv;

    t->rows = mu_calloc(DEATHS, sizeof(*t->rows));
    t->verdicts = mu_calloc(DEATHS, sizeof(*t->verdicts));
    t->events = mu_calloc(DEATHS, sizeof(*t->events));
    t->ids = mu_calloc(DEATHS, sizeof(*t->ids));
    t->beats = mu_calloc(t->n, sizeof(*t->beats));
    if ((rv = mu_addr_parse(&t->addr, url, err)) != 0 ||
        (rv = mu_store_driver_for(&t->addr, &t->driver, err)) != 0)
        return rv;
    t->st = mu_alloc(t->driver->size);
    if (!t->rows || !t->verdicts || !t->events || !t->ids || !t->beats || !t->st)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if ((rv = t->driver->open(t->st, &t->addr, true, &t->boot, err)) != 0 ||
        (rv = check_empty(t, err)) != 0)
        return rv;
    t->seq = t->boot.seq;
    return 0;
}

int mu_bench_store(const char *url, uint32_t agents, const volatile sig_atomic_t *stop,
                   struct mu_figures *out, struct mu_err *err)
{
    struct trial t = {.n = agents, .stop = stop};
    int rv = begin(&t, url, err), cleared;

    if (rv == 0) {
        mu_figures_add(out, "rows", t.n, 0, "%s rows");
        rv = measure(&t, out, err);
        cleared = clear(&t, out, rv ? NULL : err);
        rv = rv ? rv : cleared;
    }
    if (t.st)
        t.driver->close(t.st);
    mu_free(t.st);
    mu_free(t.rows);
    mu_free(t.verdicts);
    mu_free(t.events);
    mu_free(t.beats);
    mu_free(t.ids);
    if (rv && err->code == 0)
        return mu_err_set(err, rv, "%s", muster_strerror(rv));
    return rv;
}
