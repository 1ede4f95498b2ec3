#include "store/mysql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/plugin.h"
#include "base/rng.h"
#include "store/words.h"

#define TOLD_MAX 5000 /* rows that the server is told of before it changes them */

/* ---- many rows in one message ---- */

static const char *const kinds_of[MU_MYSQL_N] = {
#define KINDS(name, kinds, sql) [MU_MYSQL_##name] = (kinds),
    MU_MYSQL_STATEMENTS(KINDS)
#undef KINDS
};

static const char *const sql_of[MU_MYSQL_N] = {
#define SQL(name, kinds, sql) [MU_MYSQL_##name] = (sql),
    MU_MYSQL_STATEMENTS(SQL)
#undef SQL
};

/* Rows of one statement on their way: put_...() fills a row from left to right, next() ends it. */
struct rows {
    struct mu_mysql *db;
    enum mu_mysql_statement which;
    unsigned n;   /* whole rows */
    size_t col;   /* where the next value goes */
    size_t bytes; /* of the texts so far */
    uint64_t affected;
};

static int prepare(struct mu_mysql *db, enum mu_mysql_statement which, struct mu_err *err)
{
    MYSQL_STMT *stmt = mysql_stmt_init(db->my);

    if (!stmt)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (mysql_stmt_prepare(stmt, sql_of[which], (unsigned long)strlen(sql_of[which]))) {
        int rv = mu_mysql_fail(db, stmt, err);
        mysql_stmt_close(stmt);
        return rv;
    }
    db->kept[which] = stmt;
    return 0;
}

static int send_rows(struct rows *rows, struct mu_err *err)
{
    MYSQL_BIND bind[MU_MYSQL_COLUMNS] = {0};
    const char *kinds = kinds_of[rows->which];

    if (!rows->n)
        return 0;
    if (!rows->db->kept[rows->which]) {
        int rv = prepare(rows->db, rows->which, err);
        if (rv)
            return rv;
    }
    MYSQL_STMT *stmt = rows->db->kept[rows->which];
    for (size_t i = 0; kinds[i]; i++) {
        struct mu_mysql_column *column = &rows->db->column[i];
        bind[i].buffer = &column->of;
        bind[i].length = column->length;
        bind[i].buffer_type = kinds[i] == 't' ? MYSQL_TYPE_STRING : MYSQL_TYPE_LONGLONG;
        bind[i].is_unsigned = kinds[i] == 'u';
    }
    if (mysql_stmt_attr_set(stmt, STMT_ATTR_ARRAY_SIZE, &rows->n) ||
        mysql_stmt_bind_param(stmt, bind) || mysql_stmt_execute(stmt))
        return mu_mysql_fail(rows->db, stmt, err);
    rows->affected += mysql_stmt_affected_rows(stmt);
    rows->n = 0;
    rows->bytes = 0;
    return 0;
}

static void put_number(struct rows *rows, uint64_t value)
{
    rows->db->column[rows->col++].of.number[rows->n] = value;
}

/* Borrowed until the row is sent: by the end of the call that is given the batch. */
static void put_bytes(struct rows *rows, const char *text, size_t n)
{
    struct mu_mysql_column *column = &rows->db->column[rows->col++];

    column->of.text[rows->n] = text;
    column->length[rows->n] = (unsigned long)n;
    rows->bytes += n;
}

static void put_text(struct rows *rows, const char *text)
{
    put_bytes(rows, text, strlen(text));
}

/* Ends a row. Half of what the server takes leaves room for the longest row and all numbers. */
static int next(struct rows *rows, struct mu_err *err)
{
    rows->n++;
    rows->col = 0;
    return rows->n == MU_MYSQL_CHUNK || rows->bytes > rows->db->packet / 2 ? send_rows(rows, err)
                                                                           : 0;
}

/* ---- writing ---- */

static int raise_meta(struct mu_mysql *db, const char *key, uint64_t value, struct mu_err *err)
{
    return mu_mysql_run(db, err,
                        "UPDATE meta SET value = GREATEST(value, %" PRIu64 ") WHERE `key` = '%s'",
                        value, key);
}

static int add_events(struct mu_mysql *db, int64_t n, struct mu_err *err)
{
    return n ? mu_mysql_run(
                   db, err,
                   "UPDATE meta SET value = value + %" PRId64 " WHERE `key` = 'event_count'", n)
             : 0;
}

static int put_row(struct rows *rows, const struct mu_row *row, struct mu_err *err)
{
    put_number(rows, row->id);
    put_text(rows, mu_uuid_text(row->ident->uuid, rows->db->scratch[rows->n].uuid));
    put_text(rows, row->ident->binary);
    put_text(rows, row->ident->host);
    put_text(rows, row->zone);
    put_text(rows, row->labels);
    put_text(rows, row->version);
    put_text(rows, row->disabled ? "disabled" : "enabled");
    put_text(rows, row->disabled_reason);
    put_number(rows, row->forced_down);
    put_text(rows, row->forced_reason);
    put_number(rows, row->revision);
    put_number(rows, (uint64_t)row->joined_at);
    put_number(rows, row->start_id);
    put_number(rows, row->incarnation);
    put_number(rows, row->session);
    put_number(rows, row->index);
    put_number(rows, row->interval_ms);
    return next(rows, err);
}

/* The n-th of a batch, and its row's id. */
struct place {
    uint32_t id;
    uint32_t at;
};

static int by_id(const void *a, const void *b)
{
    uint32_t x = ((const struct place *)a)->id, y = ((const struct place *)b)->id;

    return (x > y) - (x < y);
}

/* What a row of `beats` becomes, or one of `told`. */
static int put_verdict(struct rows *rows, const struct mu_verdict *verdict, struct mu_err *err)
{
    put_number(rows, verdict->row);
    put_number(rows, (uint64_t)verdict->last_seen);
    put_number(rows, verdict->report_count);
    put_text(rows, mu_state_text(verdict->state));
    put_text(rows, mu_reason_text(verdict->reason));
    put_number(rows, (uint64_t)verdict->since);
    return next(rows, err);
}

static int put_row_beat(struct rows *rows, const struct mu_row *row, struct mu_err *err)
{
    return put_verdict(rows,
                       &(struct mu_verdict){.row = row->id,
                                            .state = row->state,
                                            .reason = row->state_reason,
                                            .since = row->state_since,
                                            .last_seen = row->last_seen,
                                            .report_count = row->report_count},
                       err);
}

/* Locks are taken, and pages filled, in the order of the ids. */
static int put_rows(struct mu_mysql *db, const struct mu_batch *batch, struct mu_err *err)
{
    struct rows rows = {.db = db, .which = MU_MYSQL_ROW};
    struct rows beats = {.db = db, .which = MU_MYSQL_ROW_BEAT};
    const size_t n = batch->nrows;
    struct place *places;
    int rv = 0;

    if (!n)
        return 0;
    places = mu_calloc(n, sizeof(*places));
    if (!places)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        places[i] = (struct place){.id = batch->rows[i].id, .at = (uint32_t)i};
    qsort(places, n, sizeof(*places), by_id);
    for (size_t i = 0; i < n && !rv; i++)
        rv = put_row(&rows, &batch->rows[places[i].at], err);
    if (!rv)
        rv = send_rows(&rows, err);
    for (size_t i = 0; i < n && !rv; i++)
        rv = put_row_beat(&beats, &batch->rows[places[i].at], err);
    if (!rv)
        rv = send_rows(&beats, err);
    if (!rv)
        rv = raise_meta(db, "next_row", (uint64_t)places[n - 1].id + 1, err);
    mu_free(places);
    return rv;
}

/* Tells the server of @n verdicts, and has them done. */
static int put_verdicts(struct mu_mysql *db, const struct mu_verdict *verdicts, size_t n,
                        struct mu_err *err)
{
    struct rows rows = {.db = db, .which = MU_MYSQL_TOLD_ROW};
    int rv = mu_mysql_run(db, err, "DELETE FROM told");

    for (size_t i = 0; i < n && !rv; i++)
        rv = put_verdict(&rows, &verdicts[i], err);
    if (!rv)
        rv = send_rows(&rows, err);
    return rv ? rv
              : mu_mysql_run(db, err,
                             "UPDATE told t STRAIGHT_JOIN beats b ON b.agent = t.agent SET"
                             " b.last_seen_at = t.last_seen_at, b.report_count = t.report_count,"
                             " b.state = t.state, b.state_reason = t.state_reason,"
                             " b.state_since = t.state_since");
}

static int put_all_verdicts(struct mu_mysql *db, const struct mu_batch *batch, struct mu_err *err)
{
    const size_t n = batch->nverdicts;
    int rv = 0;

    for (size_t i = 0; i < n && !rv; i += TOLD_MAX)
        rv = put_verdicts(db, &batch->verdicts[i], n - i < TOLD_MAX ? n - i : TOLD_MAX, err);
    return rv;
}

static int delete_rows(struct mu_mysql *db, const struct mu_batch *batch, struct mu_err *err)
{
    static const enum mu_mysql_statement each[] = {MU_MYSQL_DELETE_ROW, MU_MYSQL_DELETE_BEAT,
                                                   MU_MYSQL_DELETE_PAYLOAD};
    int rv = 0;

    for (size_t s = 0; s < MU_ARRAY_LEN(each) && !rv; s++) {
        struct rows rows = {.db = db, .which = each[s]};
        for (size_t i = 0; i < batch->ndeletes && !rv; i++) {
            put_number(&rows, batch->deletes[i]);
            rv = next(&rows, err);
        }
        if (!rv)
            rv = send_rows(&rows, err);
    }
    return rv;
}

/* Rows are counted as they come and go: to count ten million of them at each trim takes seconds. */
static int put_events(struct mu_mysql *db, const struct mu_batch *batch, struct mu_err *err)
{
    struct rows rows = {.db = db, .which = MU_MYSQL_EVENT};
    int rv = 0;

    for (size_t i = 0; i < batch->nevents && !rv; i++) {
        struct mu_event_row words;
        mu_event_words(&batch->events[i], &db->scratch[rows.n], &words);
        put_number(&rows, words.seq);
        put_number(&rows, (uint64_t)words.at);
        put_text(&rows, words.agent);
        put_text(&rows, words.uuid);
        put_text(&rows, words.kind);
        put_text(&rows, words.from);
        put_text(&rows, words.to);
        put_text(&rows, words.reason);
        put_text(&rows, words.detail);
        rv = next(&rows, err);
    }
    if (!rv)
        rv = send_rows(&rows, err);
    return rv ? rv : add_events(db, (int64_t)rows.affected, err);
}

/* An INSERT that asks whether the agent is there cannot be given many rows at once. */
static int put_payloads(struct mu_mysql *db, const struct mu_batch *batch, struct mu_err *err)
{
    struct rows rows = {.db = db, .which = MU_MYSQL_PAYLOAD};
    struct rows orphans = {.db = db, .which = MU_MYSQL_ORPHAN};
    int rv = 0;

    for (size_t i = 0; i < batch->npayloads && !rv; i++) {
        const struct mu_payload *payload = &batch->payloads[i];
        put_number(&rows, payload->row);
        put_number(&rows, payload->len);
        put_bytes(&rows, payload->json, payload->len);
        rv = next(&rows, err);
    }
    if (!rv)
        rv = send_rows(&rows, err);
    for (size_t i = 0; i < batch->npayloads && !rv; i++) {
        put_number(&orphans, batch->payloads[i].row);
        rv = next(&orphans, err);
    }
    return rv ? rv : send_rows(&orphans, err);
}

/* What the server must know when it is another one. */
static void remember(struct mu_mysql *db, const struct mu_batch *batch)
{
    if (batch->grant > db->granted)
        db->granted = batch->grant;
    for (size_t i = 0; i < batch->nrows; i++)
        if (batch->rows[i].id >= db->next_row)
            db->next_row = batch->rows[i].id + 1;
}

static int commit(void *st, const struct mu_batch *batch, struct mu_err *err)
{
    struct mu_mysql *db = st;
    int rv = mu_mysql_begin(db, err);

    if (!rv)
        rv = delete_rows(db, batch, err);
    if (!rv)
        rv = put_rows(db, batch, err);
    if (!rv)
        rv = put_all_verdicts(db, batch, err);
    if (!rv)
        rv = put_events(db, batch, err);
    if (!rv)
        rv = put_payloads(db, batch, err);
    if (!rv && batch->grant)
        rv = raise_meta(db, "event_limit", batch->grant, err);
    rv = mu_mysql_end(db, rv, err);
    if (!rv)
        remember(db, batch);
    return rv;
}

/* A beat says nothing of State. */
static int put_beats(struct mu_mysql *db, const struct mu_beat_row *beats, size_t n,
                     struct mu_err *err)
{
    struct rows rows = {.db = db, .which = MU_MYSQL_TOLD_ROW};
    int rv = mu_mysql_run(db, err, "DELETE FROM told");

    for (size_t i = 0; i < n && !rv; i++) {
        const struct mu_verdict heard = {.row = beats[i].row,
                                         .last_seen = beats[i].last_seen,
                                         .report_count = beats[i].report_count};
        rv = put_verdict(&rows, &heard, err);
    }
    if (!rv)
        rv = send_rows(&rows, err);
    return rv ? rv
              : mu_mysql_run(db, err,
                             "UPDATE told t STRAIGHT_JOIN beats b ON b.agent = t.agent SET"
                             " b.last_seen_at = t.last_seen_at, b.report_count = t.report_count");
}

static int checkpoint(void *st, const struct mu_beat_row *beats, size_t n, struct mu_err *err)
{
    struct mu_mysql *db = st;
    int rv = mu_mysql_begin(db, err);

    for (size_t i = 0; i < n && !rv; i += TOLD_MAX)
        rv = put_beats(db, &beats[i], n - i < TOLD_MAX ? n - i : TOLD_MAX, err);
    return mu_mysql_end(db, rv, err);
}

/* ---- reading ---- */

/* Runs @sql; rows come as the server sends them, and all must be fetched or given back. */
static int query(struct mu_mysql *db, const char *sql, MYSQL_RES **out, struct mu_err *err)
{
    if (mysql_query(db->my, sql))
        return mu_mysql_fail(db, NULL, err);
    *out = mysql_use_result(db->my);
    return *out ? 0 : mu_mysql_fail(db, NULL, err);
}

/* Gives back what is left of a result. The last row may have been the connection's last. */
static int finish(struct mu_mysql *db, MYSQL_RES *result, int rv, struct mu_err *err)
{
    if (!rv && mysql_errno(db->my))
        rv = mu_mysql_fail(db, NULL, err);
    mysql_free_result(result);
    return rv;
}

static uint64_t number(const char *text)
{
    return text ? strtoull(text, NULL, 10) : 0;
}

/* Walks the oldest events until one may stay. *@cut is the last that goes, 0 = none. */
static int find_cut(struct mu_mysql *db, const struct mu_trim *which, uint64_t excess,
                    uint64_t *cut, bool *more, struct mu_err *err)
{
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;
    char sql[96];
    uint32_t n = 0;
    bool found = false;

    snprintf(sql, sizeof(sql), "SELECT seq, at FROM events ORDER BY seq LIMIT %u", which->slice);
    int rv = query(db, sql, &result, err);
    if (rv)
        return rv;
    while (!found && (row = mysql_fetch_row(result))) {
        found = n >= excess && (mu_wall)strtoll(row[1], NULL, 10) >= which->before;
        if (!found) {
            *cut = number(row[0]);
            n++;
        }
    }
    *more = n == which->slice;
    return finish(db, result, 0, err);
}

static int trim(void *st, const struct mu_trim *which, bool *more, struct mu_err *err)
{
    struct mu_mysql *db = st;
    uint64_t count = 0, cut = 0;
    int rv = mu_mysql_begin(db, err);

    if (!rv)
        rv = mu_mysql_numbers(db, "SELECT value FROM meta WHERE `key` = 'event_count'", &count, 1,
                              err);
    if (!rv)
        rv = find_cut(db, which, which->keep && count > which->keep ? count - which->keep : 0, &cut,
                      more, err);
    if (!rv && cut)
        rv = mu_mysql_run(db, err, "DELETE FROM events WHERE seq <= %" PRIu64, cut);
    if (!rv && cut)
        rv = add_events(db, -(int64_t)mysql_affected_rows(db->my), err);
    return mu_mysql_end(db, rv, err);
}

static int read_row(MYSQL_ROW from, struct mu_row *row, struct mu_who *who, struct mu_err *err)
{
    const struct mu_words words = {.id = (int64_t)number(from[0]),
                                   .uuid = from[1],
                                   .status = from[7],
                                   .state = from[20],
                                   .reason = from[21]};

    *who = (struct mu_who){.binary = from[2], .host = from[3]};
    *row = (struct mu_row){
        .zone = from[4],
        .labels = from[5],
        .version = from[6],
        .disabled_reason = from[8],
        .forced_down = *from[9] != '0',
        .forced_reason = from[10],
        .revision = (uint32_t)number(from[11]),
        .joined_at = strtoll(from[12], NULL, 10),
        .start_id = number(from[13]),
        .incarnation = number(from[14]),
        .session = number(from[15]),
        .index = (uint32_t)number(from[16]),
        .interval_ms = (uint32_t)number(from[17]),
        .last_seen = strtoll(from[18], NULL, 10),
        .report_count = number(from[19]),
        .state_since = strtoll(from[22], NULL, 10),
    };
    return mu_words_read(&words, row, who, err);
}

static int load(void *st, mu_store_row_fn each, void *ctx, struct mu_err *err)
{
    static const char sql[] =
        "SELECT a.id, uuid, `binary`, host, zone, labels, version, status, disabled_reason,"
        " forced_down, forced_reason, revision, joined_at, start_id, incarnation, session,"
        " session_index, report_interval_ms, IFNULL(last_seen_at, 0), IFNULL(report_count, 0),"
        " IFNULL(state, ''), IFNULL(state_reason, ''), IFNULL(state_since, 0), p.bytes"
        " FROM agents a LEFT JOIN beats b ON b.agent = a.id LEFT JOIN payloads p ON p.agent = a.id"
        " ORDER BY a.id";
    struct mu_mysql *db = st;
    MYSQL_RES *result = NULL;
    MYSQL_ROW from;
    int rv = query(db, sql, &result, err);

    if (rv)
        return rv;
    while (!rv && (from = mysql_fetch_row(result))) {
        struct mu_who who;
        struct mu_row row;
        rv = read_row(from, &row, &who, err);
        if (rv)
            break;
        const struct mu_payload payload = {.row = row.id, .len = (uint32_t)number(from[23])};
        rv = each(ctx, &who, &row, &payload);
    }
    return finish(db, result, rv, err);
}

static int read_span(struct mu_mysql *db, struct mu_event_span *span, struct mu_err *err)
{
    uint64_t n[2] = {0};
    int rv = mu_mysql_numbers(
        db, "SELECT (SELECT MIN(seq) FROM events), (SELECT MAX(seq) FROM events)", n, 2, err);

    *span = (struct mu_event_span){.oldest = n[0], .newest = n[1]};
    return rv;
}

static void write_events_query(struct mu_mysql *db, const struct mu_event_query *query, char *sql,
                               size_t size)
{
    char agent[2 * sizeof(query->agent) + 1], kind[2 * sizeof(query->kind) + 1];

    mysql_real_escape_string(db->my, agent, query->agent, (unsigned long)strlen(query->agent));
    mysql_real_escape_string(db->my, kind, query->kind, (unsigned long)strlen(query->kind));
    snprintf(sql, size,
             "SELECT * FROM (SELECT * FROM events WHERE seq > %" PRIu64 "%s%s%s%s%s%s"
             " ORDER BY seq %s LIMIT %u) found ORDER BY seq",
             query->since, *agent ? " AND agent = '" : "", agent, *agent ? "'" : "",
             *kind ? " AND kind = '" : "", kind, *kind ? "'" : "", query->newest ? "DESC" : "ASC",
             query->limit);
}

static int events(void *st, const struct mu_event_query *wanted, struct mu_event_span *span,
                  mu_store_event_fn each, void *ctx, struct mu_err *err)
{
    struct mu_mysql *db = st;
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;
    char sql[1536];
    int rv = read_span(db, span, err);

    write_events_query(db, wanted, sql, sizeof(sql));
    if (!rv)
        rv = query(db, sql, &result, err);
    if (rv)
        return rv;
    while (!rv && (row = mysql_fetch_row(result))) {
        struct mu_event_row event = {
            .seq = number(row[0]),
            .at = strtoll(row[1], NULL, 10),
            .agent = row[2],
            .uuid = row[3],
            .kind = row[4],
            .from = row[5],
            .to = row[6],
            .reason = row[7],
            .detail = row[8],
        };
        rv = each(ctx, &event);
    }
    return finish(db, result, rv, err);
}

static int payload(void *st, uint32_t id, struct mu_buf *json, struct mu_err *err)
{
    struct mu_mysql *db = st;
    MYSQL_RES *result = NULL;
    MYSQL_ROW row;
    char sql[96];

    snprintf(sql, sizeof(sql), "SELECT json FROM payloads WHERE agent = %" PRIu32, id);
    int rv = query(db, sql, &result, err);
    if (rv)
        return rv;
    while ((row = mysql_fetch_row(result)))
        mu_buf_puts(json, row[0]);
    rv = finish(db, result, 0, err);
    return !rv && json->failed ? mu_err_set(err, json->failed, "out of memory") : rv;
}

static int ping(void *st, struct mu_err *err)
{
    struct mu_mysql *db = st;

    return mysql_ping(db->my) ? mu_mysql_fail(db, NULL, err) : 0;
}

extern const struct mu_store_driver mu_store_mysql;
const struct mu_store_driver mu_store_mysql = {
    .scheme = "mysql",
    .size = sizeof(struct mu_mysql),
    .open = mu_mysql_open,
    .close = mu_mysql_close,
    .load = load,
    .commit = commit,
    .checkpoint = checkpoint,
    .events = events,
    .payload = payload,
    .trim = trim,
    .ping = ping,
    .idle = MU_MYSQL_IDLE,
    .status = mu_mysql_status,
    .upgrade = mu_mysql_upgrade,
    .backup = mu_mysql_backup,
};

MU_PLUGIN("store", MU_STORE_ABI, mu_store_mysql);
