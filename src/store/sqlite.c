#include "store/sqlite.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "store/drivers.h"
#include "store/words.h"

/* The log is copied back when it has this many pages, of 4 KiB. A flood writes the same pages again
 * and again, so that it pays to wait; who has a small fleet shall not have a large log. */
#define WAL_CALM  1000
#define WAL_FLOOD 16384
#define FLOOD     1000 /* events in a batch */

/* What a database of 64-bit signed integers makes of ours; (uint64_t) brings it back. */
static int bind_u64(sqlite3_stmt *stmt, int i, uint64_t value)
{
    return sqlite3_bind_int64(stmt, i, (int64_t)value);
}

/* The text is borrowed until the statement has run. */
static int bind_text(sqlite3_stmt *stmt, int i, const char *text)
{
    return sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

static const char *column_text(sqlite3_stmt *stmt, int i)
{
    const char *text = (const char *)sqlite3_column_text(stmt, i);

    return text ? text : "";
}

/* ---- writing ---- */

static void bind_beat(sqlite3_stmt *stmt, uint32_t row, mu_wall last_seen, uint64_t count)
{
    sqlite3_bind_int64(stmt, 1, row);
    sqlite3_bind_int64(stmt, 2, last_seen);
    bind_u64(stmt, 3, count);
}

/* @stmt is VERDICT or ROW_BEAT. */
static int put_verdict(sqlite3_stmt *stmt, const struct mu_verdict *verdict)
{
    bind_beat(stmt, verdict->row, verdict->last_seen, verdict->report_count);
    bind_text(stmt, 4, mu_state_text(verdict->state));
    bind_text(stmt, 5, mu_reason_text(verdict->reason));
    sqlite3_bind_int64(stmt, 6, verdict->since);
    return mu_sqlite_step(stmt);
}

static int put_row_beat(struct mu_sqlite *db, const struct mu_row *row)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_ROW_BEAT);

    if (!stmt)
        return sqlite3_errcode(db->db);
    return put_verdict(stmt, &(struct mu_verdict){.row = row->id,
                                                  .state = row->state,
                                                  .reason = row->state_reason,
                                                  .since = row->state_since,
                                                  .last_seen = row->last_seen,
                                                  .report_count = row->report_count});
}

static int put_row(struct mu_sqlite *db, const struct mu_row *row)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_ROW);
    char uuid[MU_UUID_TEXT];
    int i = 0;

    if (!stmt)
        return sqlite3_errcode(db->db);
    sqlite3_bind_int64(stmt, ++i, row->id);
    bind_text(stmt, ++i, mu_uuid_text(row->ident->uuid, uuid));
    bind_text(stmt, ++i, row->ident->binary);
    bind_text(stmt, ++i, row->ident->host);
    bind_text(stmt, ++i, row->zone);
    bind_text(stmt, ++i, row->labels);
    bind_text(stmt, ++i, row->version);
    bind_text(stmt, ++i, row->disabled ? "disabled" : "enabled");
    bind_text(stmt, ++i, row->disabled_reason);
    sqlite3_bind_int64(stmt, ++i, row->forced_down);
    bind_text(stmt, ++i, row->forced_reason);
    sqlite3_bind_int64(stmt, ++i, row->revision);
    sqlite3_bind_int64(stmt, ++i, row->joined_at);
    bind_u64(stmt, ++i, row->start_id);
    bind_u64(stmt, ++i, row->incarnation);
    bind_u64(stmt, ++i, row->session);
    sqlite3_bind_int64(stmt, ++i, row->index);
    sqlite3_bind_int64(stmt, ++i, row->interval_ms);
    int rc = mu_sqlite_step(stmt);
    return rc ? rc : put_row_beat(db, row);
}

static int put_rows(struct mu_sqlite *db, const struct mu_batch *batch)
{
    uint32_t last = 0;
    int rc = 0;

    for (size_t i = 0; i < batch->nrows && !rc; i++) {
        rc = put_row(db, &batch->rows[i]);
        if (batch->rows[i].id > last)
            last = batch->rows[i].id;
    }
    if (!rc && batch->nrows)
        rc = mu_sqlite_meta_set(db, MU_SQL_META_RAISE, "next_row", (int64_t)last + 1);
    return rc;
}

static int put_verdicts(struct mu_sqlite *db, const struct mu_batch *batch)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_VERDICT);
    int rc = 0;

    if (!stmt)
        return sqlite3_errcode(db->db);
    for (size_t i = 0; i < batch->nverdicts && !rc; i++)
        rc = put_verdict(stmt, &batch->verdicts[i]);
    return rc;
}

static int delete_rows(struct mu_sqlite *db, const struct mu_batch *batch)
{
    static const enum mu_sqlite_statement each[] = {MU_SQL_DELETE_ROW, MU_SQL_DELETE_BEAT,
                                                    MU_SQL_DELETE_PAYLOAD};
    int rc = 0;

    for (size_t i = 0; i < batch->ndeletes; i++) {
        for (size_t s = 0; s < MU_ARRAY_LEN(each) && !rc; s++) {
            sqlite3_stmt *stmt = mu_sqlite_stmt(db, each[s]);
            if (!stmt)
                return sqlite3_errcode(db->db);
            sqlite3_bind_int64(stmt, 1, batch->deletes[i]);
            rc = mu_sqlite_step(stmt);
        }
    }
    return rc;
}

static int put_event(sqlite3_stmt *stmt, const struct mu_event *event)
{
    struct mu_event_scratch scratch;
    struct mu_event_row words;
    int i = 0;

    mu_event_words(event, &scratch, &words);
    bind_u64(stmt, ++i, words.seq);
    sqlite3_bind_int64(stmt, ++i, words.at);
    bind_text(stmt, ++i, words.agent);
    bind_text(stmt, ++i, words.uuid);
    bind_text(stmt, ++i, words.kind);
    bind_text(stmt, ++i, words.from);
    bind_text(stmt, ++i, words.to);
    bind_text(stmt, ++i, words.reason);
    bind_text(stmt, ++i, words.detail);
    return mu_sqlite_step(stmt);
}

/* Rows are counted as they come and go: to count ten million of them at each trim takes seconds. */
static int put_events(struct mu_sqlite *db, const struct mu_batch *batch)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_EVENT);
    int64_t added = 0;
    int rc = 0;

    if (!stmt)
        return sqlite3_errcode(db->db);
    for (size_t i = 0; i < batch->nevents && !rc; i++) {
        rc = put_event(stmt, &batch->events[i]);
        added += rc ? 0 : sqlite3_changes64(db->db);
    }
    if (!rc && added)
        rc = mu_sqlite_meta_set(db, MU_SQL_META_ADD, "event_count", added);
    return rc;
}

static int put_payloads(struct mu_sqlite *db, const struct mu_batch *batch)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_PAYLOAD);
    int rc = 0;

    if (!stmt)
        return sqlite3_errcode(db->db);
    for (size_t i = 0; i < batch->npayloads && !rc; i++) {
        const struct mu_payload *payload = &batch->payloads[i];
        sqlite3_bind_int64(stmt, 1, payload->row);
        sqlite3_bind_int64(stmt, 2, payload->len);
        sqlite3_bind_text(stmt, 3, payload->json, (int)payload->len, SQLITE_STATIC);
        rc = mu_sqlite_step(stmt);
    }
    return rc;
}

static int commit(void *st, const struct mu_batch *batch, struct mu_err *err)
{
    struct mu_sqlite *db = st;
    int rc = mu_sqlite_begin(db, false);

    if (!rc)
        rc = delete_rows(db, batch);
    if (!rc)
        rc = put_rows(db, batch);
    if (!rc && batch->nverdicts)
        rc = put_verdicts(db, batch);
    if (!rc && batch->nevents)
        rc = put_events(db, batch);
    if (!rc && batch->npayloads)
        rc = put_payloads(db, batch);
    if (!rc && batch->grant)
        rc = mu_sqlite_meta_set(db, MU_SQL_META_RAISE, "event_limit", (int64_t)batch->grant);
    sqlite3_wal_autocheckpoint(db->db, batch->nevents < FLOOD ? WAL_CALM : WAL_FLOOD);
    return mu_sqlite_end(db, rc, err);
}

static int checkpoint(void *st, const struct mu_beat_row *beats, size_t n, struct mu_err *err)
{
    struct mu_sqlite *db = st;
    int rc = mu_sqlite_begin(db, true);
    sqlite3_stmt *stmt = rc ? NULL : mu_sqlite_stmt(db, MU_SQL_BEAT);

    if (!rc && !stmt)
        rc = sqlite3_errcode(db->db);
    for (size_t i = 0; i < n && !rc; i++) {
        bind_beat(stmt, beats[i].row, beats[i].last_seen, beats[i].report_count);
        rc = mu_sqlite_step(stmt);
    }
    return mu_sqlite_end(db, rc, err);
}

/* Walks the oldest events until one may stay. *@cut is the last that goes, 0 = none. */
static int find_cut(struct mu_sqlite *db, const struct mu_trim *which, int64_t excess, int64_t *cut,
                    bool *more)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_OLDEST);
    uint32_t n = 0;
    int rc;

    if (!stmt)
        return sqlite3_errcode(db->db);
    sqlite3_bind_int64(stmt, 1, which->slice);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (n >= excess && sqlite3_column_int64(stmt, 1) >= which->before)
            break;
        *cut = sqlite3_column_int64(stmt, 0);
        n++;
    }
    sqlite3_reset(stmt);
    *more = n == which->slice;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : rc;
}

static int trim(void *st, const struct mu_trim *which, bool *more, struct mu_err *err)
{
    struct mu_sqlite *db = st;
    int64_t count = 0, cut = 0, excess = 0;
    int rc = mu_sqlite_begin(db, true);

    if (!rc)
        rc = mu_sqlite_meta(db, "event_count", &count);
    if (which->keep && (uint64_t)count > which->keep)
        excess = count - (int64_t)which->keep;
    if (!rc)
        rc = find_cut(db, which, excess, &cut, more);
    if (!rc && cut) {
        sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_TRIM);
        if (stmt)
            sqlite3_bind_int64(stmt, 1, cut);
        rc = stmt ? mu_sqlite_step(stmt) : sqlite3_errcode(db->db);
        if (!rc)
            rc = mu_sqlite_meta_set(db, MU_SQL_META_ADD, "event_count", -sqlite3_changes64(db->db));
    }
    return mu_sqlite_end(db, rc, err);
}

/* ---- reading ---- */

static int read_row(sqlite3_stmt *stmt, struct mu_row *row, struct mu_who *who, struct mu_err *err)
{
    const struct mu_words words = {.id = sqlite3_column_int64(stmt, 0),
                                   .uuid = column_text(stmt, 1),
                                   .status = column_text(stmt, 7),
                                   .state = column_text(stmt, 20),
                                   .reason = column_text(stmt, 21)};

    *who = (struct mu_who){.binary = column_text(stmt, 2), .host = column_text(stmt, 3)};
    *row = (struct mu_row){
        .zone = column_text(stmt, 4),
        .labels = column_text(stmt, 5),
        .version = column_text(stmt, 6),
        .disabled_reason = column_text(stmt, 8),
        .forced_down = sqlite3_column_int(stmt, 9) != 0,
        .forced_reason = column_text(stmt, 10),
        .revision = (uint32_t)sqlite3_column_int64(stmt, 11),
        .joined_at = sqlite3_column_int64(stmt, 12),
        .start_id = (uint64_t)sqlite3_column_int64(stmt, 13),
        .incarnation = (uint64_t)sqlite3_column_int64(stmt, 14),
        .session = (uint64_t)sqlite3_column_int64(stmt, 15),
        .index = (uint32_t)sqlite3_column_int64(stmt, 16),
        .interval_ms = (uint32_t)sqlite3_column_int64(stmt, 17),
        .last_seen = sqlite3_column_int64(stmt, 18),
        .report_count = (uint64_t)sqlite3_column_int64(stmt, 19),
        .state_since = sqlite3_column_int64(stmt, 22),
    };
    return mu_words_read(&words, row, who, err);
}

static int load(void *st, mu_store_row_fn each, void *ctx, struct mu_err *err)
{
    static const char sql[] =
        "SELECT a.id, uuid, binary, host, zone, labels, version, status, disabled_reason,"
        " forced_down, forced_reason, revision, joined_at, start_id, incarnation, session,"
        " session_index, report_interval_ms, last_seen_at, report_count, state, state_reason,"
        " state_since, p.bytes"
        " FROM agents a LEFT JOIN beats b ON b.agent = a.id LEFT JOIN payloads p ON p.agent = a.id"
        " ORDER BY a.id";
    struct mu_sqlite *db = st;
    sqlite3_stmt *stmt;
    int rv = 0, rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);

    if (rc)
        return mu_sqlite_fail(db, rc, err);
    while (!rv && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct mu_who who;
        struct mu_row row;
        rv = read_row(stmt, &row, &who, err);
        if (rv)
            break;
        const struct mu_payload payload = {.row = row.id,
                                           .len = (uint32_t)sqlite3_column_int64(stmt, 23)};
        rv = each(ctx, &who, &row, &payload);
    }
    if (!rv && rc != SQLITE_DONE)
        rv = mu_sqlite_fail(db, rc, err);
    sqlite3_finalize(stmt);
    return rv;
}

static int read_span(struct mu_sqlite *db, struct mu_event_span *span)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_SPAN);

    if (!stmt)
        return sqlite3_errcode(db->db);
    int rc = sqlite3_step(stmt);
    span->oldest = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    span->newest = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(stmt, 1) : 0;
    sqlite3_reset(stmt);
    return rc == SQLITE_ROW ? 0 : rc;
}

/* The conditions of the partial indexes are said literally: else SQLite may not use them. An
 * agent's events are looked for in each piece of numbers that has any. */
static int prepare_events(struct mu_sqlite *db, const struct mu_event_query *query,
                          sqlite3_stmt **stmt)
{
    static const char pieces[] =
        "WITH RECURSIVE piece (n) AS (SELECT min(seq) >> 16 FROM events WHERE seq > ?1 UNION ALL"
        " SELECT (SELECT min(seq) FROM events WHERE seq >= (n + 1) << 16) >> 16 FROM piece"
        " WHERE n IS NOT NULL) ";
    const bool agent = *query->agent, kind = *query->kind;
    const bool rare = kind && !agent && strcmp(query->kind, "state") != 0;
    char sql[1024];

    snprintf(sql, sizeof(sql),
             "%sSELECT * FROM events WHERE seq IN (SELECT seq FROM %s WHERE seq > ?1%s%s%s"
             " ORDER BY seq %s LIMIT ?2) ORDER BY seq",
             agent ? pieces : "", agent ? "piece CROSS JOIN events" : "events",
             agent ? " AND seq >> 16 = n AND agent = ?3 AND agent <> ''" : "",
             kind ? " AND kind = ?4" : "", rare ? " AND kind <> 'state'" : "",
             query->newest ? "DESC" : "ASC");
    int rc = sqlite3_prepare_v2(db->db, sql, -1, stmt, NULL);
    if (rc)
        return rc;
    /* No number is above INT64_MAX. */
    sqlite3_bind_int64(*stmt, 1, query->since > INT64_MAX ? INT64_MAX : (int64_t)query->since);
    sqlite3_bind_int64(*stmt, 2, query->limit);
    if (*query->agent)
        bind_text(*stmt, 3, query->agent);
    if (kind)
        bind_text(*stmt, 4, query->kind);
    return 0;
}

static int events(void *st, const struct mu_event_query *query, struct mu_event_span *span,
                  mu_store_event_fn each, void *ctx, struct mu_err *err)
{
    struct mu_sqlite *db = st;
    sqlite3_stmt *stmt = NULL;
    int rv = 0, rc = read_span(db, span);

    if (!rc)
        rc = prepare_events(db, query, &stmt);
    if (rc)
        return mu_sqlite_fail(db, rc, err);
    while (!rv && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct mu_event_row event = {
            .seq = (uint64_t)sqlite3_column_int64(stmt, 0),
            .at = sqlite3_column_int64(stmt, 1),
            .agent = column_text(stmt, 2),
            .uuid = column_text(stmt, 3),
            .kind = column_text(stmt, 4),
            .from = column_text(stmt, 5),
            .to = column_text(stmt, 6),
            .reason = column_text(stmt, 7),
            .detail = column_text(stmt, 8),
        };
        rv = each(ctx, &event);
    }
    if (!rv && rc != SQLITE_DONE)
        rv = mu_sqlite_fail(db, rc, err);
    sqlite3_finalize(stmt);
    return rv;
}

static int payload(void *st, uint32_t row, struct mu_buf *json, struct mu_err *err)
{
    struct mu_sqlite *db = st;
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_GET_PAYLOAD);

    if (!stmt)
        return mu_sqlite_fail(db, sqlite3_errcode(db->db), err);
    sqlite3_bind_int64(stmt, 1, row);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        mu_buf_puts(json, column_text(stmt, 0));
    sqlite3_reset(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return mu_sqlite_fail(db, rc, err);
    return json->failed ? mu_err_set(err, json->failed, "out of memory") : 0;
}

const struct mu_store_driver mu_store_sqlite = {
    .scheme = "sqlite",
    .size = sizeof(struct mu_sqlite),
    .open = mu_sqlite_open,
    .close = mu_sqlite_close,
    .load = load,
    .commit = commit,
    .checkpoint = checkpoint,
    .events = events,
    .payload = payload,
    .trim = trim,
    .status = mu_sqlite_status,
    .upgrade = mu_sqlite_upgrade,
    .backup = mu_sqlite_backup,
};
