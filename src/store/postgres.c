#include "store/postgres.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/plugin.h"
#include "base/rng.h"
#include "store/words.h"

/* ---- writing: in row order, which is that of the pages, and in pieces ---- */

/* Puts item @i of what @items points to into the arrays. */
typedef void (*put_fn)(struct mu_postgres *db, const void *items, size_t i);
/* Sends what is in the arrays. */
typedef int (*send_fn)(struct mu_postgres *db, struct mu_err *err);

static int put_all(struct mu_postgres *db, const void *items, size_t n, put_fn put, send_fn send,
                   struct mu_err *err)
{
    int rv = 0;

    mu_pg_reset(db);
    for (size_t i = 0; i < n && !rv; i++) {
        put(db, items, i);
        db->n++;
        if (i + 1 < n && !mu_pg_full(db))
            continue;
        rv = send(db, err);
        mu_pg_reset(db);
    }
    return rv;
}

static void put_id(struct mu_postgres *db, const void *items, size_t i)
{
    mu_pg_put_int(db, 0, ((const uint32_t *)items)[i]);
}

static int send_deletes(struct mu_postgres *db, struct mu_err *err)
{
    int rv = mu_pg_send(db, MU_PG_DELETE_ROW, 1, NULL, err);

    if (!rv)
        rv = mu_pg_send(db, MU_PG_DELETE_BEAT, 1, NULL, err);
    return rv ? rv : mu_pg_send(db, MU_PG_DELETE_PAYLOAD, 1, NULL, err);
}

static void put_word(struct mu_postgres *db, int column, const char *text)
{
    mu_pg_put_text(db, column, text, strlen(text));
}

static void put_row(struct mu_postgres *db, const void *items, size_t i)
{
    const struct mu_row *row = ((const struct mu_row *const *)items)[i];
    char uuid[MU_UUID_TEXT];
    int c = 0;

    mu_pg_put_int(db, c++, row->id);
    put_word(db, c++, mu_uuid_text(row->ident->uuid, uuid));
    put_word(db, c++, row->ident->binary);
    put_word(db, c++, row->ident->host);
    put_word(db, c++, row->zone);
    put_word(db, c++, row->labels);
    put_word(db, c++, row->version);
    put_word(db, c++, row->disabled ? "disabled" : "enabled");
    put_word(db, c++, row->disabled_reason);
    mu_pg_put_bool(db, c++, row->forced_down);
    put_word(db, c++, row->forced_reason);
    mu_pg_put_int(db, c++, row->revision);
    mu_pg_put_int(db, c++, row->joined_at);
    mu_pg_put_int(db, c++, (int64_t)row->start_id);
    mu_pg_put_int(db, c++, (int64_t)row->incarnation);
    mu_pg_put_int(db, c++, (int64_t)row->session);
    mu_pg_put_int(db, c++, row->index);
    mu_pg_put_int(db, c++, row->interval_ms);
}

/* Nearly all rows are there already, so updating comes first: ON CONFLICT would lock each of them
 * once more. Nobody else inserts meanwhile. */
static int send_rows(struct mu_postgres *db, struct mu_err *err)
{
    uint64_t changed = 0;
    int rv = mu_pg_send(db, MU_PG_ROW_UPDATE, 18, &changed, err);

    if (!rv && changed < db->n)
        rv = mu_pg_send(db, MU_PG_ROW_INSERT, 18, NULL, err);
    return rv;
}

static void put_beat(struct mu_postgres *db, uint32_t row, mu_wall last_seen, uint64_t count)
{
    mu_pg_put_int(db, 0, row);
    mu_pg_put_int(db, 1, last_seen);
    mu_pg_put_int(db, 2, (int64_t)count);
}

static void put_state(struct mu_postgres *db, enum mu_state state, enum mu_reason reason,
                      mu_wall since)
{
    put_word(db, 3, mu_state_text(state));
    put_word(db, 4, mu_reason_text(reason));
    mu_pg_put_int(db, 5, since);
}

static void put_row_beat(struct mu_postgres *db, const void *items, size_t i)
{
    const struct mu_row *row = ((const struct mu_row *const *)items)[i];

    put_beat(db, row->id, row->last_seen, row->report_count);
    put_state(db, row->state, row->state_reason, row->state_since);
}

static int send_row_beats(struct mu_postgres *db, struct mu_err *err)
{
    uint64_t changed = 0;
    int rv = mu_pg_send(db, MU_PG_VERDICT, 6, &changed, err);

    if (!rv && changed < db->n)
        rv = mu_pg_send(db, MU_PG_VERDICT_INSERT, 6, NULL, err);
    return rv;
}

static void put_verdict(struct mu_postgres *db, const void *items, size_t i)
{
    const struct mu_verdict *verdict = &((const struct mu_verdict *)items)[i];

    put_beat(db, verdict->row, verdict->last_seen, verdict->report_count);
    put_state(db, verdict->state, verdict->reason, verdict->since);
}

static int send_verdicts(struct mu_postgres *db, struct mu_err *err)
{
    return mu_pg_send(db, MU_PG_VERDICT, 6, NULL, err);
}

/* Ascending by row, which is what rows and payloads begin with; the later one behind the
 * earlier. */
static int by_row(const void *a, const void *b)
{
    const uint32_t *x = *(const uint32_t *const *)a, *y = *(const uint32_t *const *)b;

    if (*x != *y)
        return *x < *y ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* Pointers to the *@n items of @size bytes in the order of their rows, of each row the last: a
 * statement may change a row once. Freed by the caller; NULL = out of memory. */
static const void **sort(const void *items, size_t size, size_t *n)
{
    const void **sorted = mu_calloc(*n, sizeof(*sorted));
    size_t kept = 0;

    if (!sorted)
        return NULL;
    for (size_t i = 0; i < *n; i++)
        sorted[i] = (const char *)items + i * size;
    qsort(sorted, *n, sizeof(*sorted), by_row);
    for (size_t i = 0; i < *n; i++)
        if (i + 1 == *n || *(const uint32_t *)sorted[i + 1] != *(const uint32_t *)sorted[i])
            sorted[kept++] = sorted[i];
    *n = kept;
    return sorted;
}

/* *@next is one past the highest id. */
static int put_rows(struct mu_postgres *db, const struct mu_batch *batch, int64_t *next,
                    struct mu_err *err)
{
    size_t n = batch->nrows;

    if (!n)
        return 0;
    const void **rows = sort(batch->rows, sizeof(*batch->rows), &n);
    if (!rows)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    int rv = put_all(db, rows, n, put_row, send_rows, err);
    if (!rv)
        rv = put_all(db, rows, n, put_row_beat, send_row_beats, err);
    *next = (int64_t)((const struct mu_row *)rows[n - 1])->id + 1;
    mu_free(rows);
    return rv;
}

static void put_event(struct mu_postgres *db, const void *items, size_t i)
{
    struct mu_event_scratch scratch;
    struct mu_event_row words;
    int c = 0;

    mu_event_words(&((const struct mu_event *)items)[i], &scratch, &words);
    mu_pg_put_int(db, c++, (int64_t)words.seq);
    mu_pg_put_int(db, c++, words.at);
    put_word(db, c++, words.agent);
    put_word(db, c++, words.uuid);
    put_word(db, c++, words.kind);
    put_word(db, c++, words.from);
    put_word(db, c++, words.to);
    put_word(db, c++, words.reason);
    put_word(db, c++, words.detail);
}

static int send_events(struct mu_postgres *db, struct mu_err *err)
{
    uint64_t added = 0;
    int rv = mu_pg_send(db, db->event_insert, 9, &added, err);

    db->added += added;
    return rv;
}

/* Numbers may be there already when the answer to an earlier try was lost. To look out for them
 * costs a fifth more, so that is done only then. What was there is not counted. */
static int put_events(struct mu_postgres *db, const struct mu_batch *batch, int64_t *added,
                      struct mu_err *err)
{
    if (!batch->nevents)
        return 0;
    db->added = 0;
    db->event_insert = batch->events[0].seq > db->newest ? MU_PG_EVENT : MU_PG_EVENT_AGAIN;
    int rv = put_all(db, batch->events, batch->nevents, put_event, send_events, err);
    *added = (int64_t)db->added;
    return rv;
}

static void put_payload(struct mu_postgres *db, const void *items, size_t i)
{
    const struct mu_payload *payload = ((const struct mu_payload *const *)items)[i];

    mu_pg_put_int(db, 0, payload->row);
    mu_pg_put_int(db, 1, payload->len);
    mu_pg_put_text(db, 2, payload->json, payload->len);
}

static int send_payloads(struct mu_postgres *db, struct mu_err *err)
{
    return mu_pg_send(db, MU_PG_PAYLOAD, 3, NULL, err);
}

static int put_payloads(struct mu_postgres *db, const struct mu_batch *batch, struct mu_err *err)
{
    size_t n = batch->npayloads;

    if (!n)
        return 0;
    const void **payloads = sort(batch->payloads, sizeof(*batch->payloads), &n);
    if (!payloads)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    int rv = put_all(db, payloads, n, put_payload, send_payloads, err);
    mu_free(payloads);
    return rv;
}

/* Events are counted as they come and go: to count ten million of them at each trim takes seconds.
 */
static int put_meta(struct mu_postgres *db, int64_t added, uint64_t grant, int64_t next,
                    struct mu_err *err)
{
    const int64_t numbers[] = {added, (int64_t)grant, next};

    return added || grant || next ? mu_pg_call(db, MU_PG_META, numbers, 3, NULL, err) : 0;
}

static int commit(void *st, const struct mu_batch *batch, struct mu_err *err)
{
    struct mu_postgres *db = st;
    int64_t added = 0, next = 0;
    int rv = mu_pg_begin(db, false, err);

    if (rv)
        return rv;
    rv = put_all(db, batch->deletes, batch->ndeletes, put_id, send_deletes, err);
    if (!rv)
        rv = put_rows(db, batch, &next, err);
    if (!rv)
        rv = put_all(db, batch->verdicts, batch->nverdicts, put_verdict, send_verdicts, err);
    if (!rv)
        rv = put_events(db, batch, &added, err);
    if (!rv)
        rv = put_payloads(db, batch, err);
    if (!rv)
        rv = put_meta(db, added, batch->grant, next, err);
    rv = mu_pg_end(db, rv, err);
    if (rv)
        return rv;
    if (batch->grant > db->limit)
        db->limit = batch->grant;
    if (batch->nevents && batch->events[batch->nevents - 1].seq > db->newest)
        db->newest = batch->events[batch->nevents - 1].seq;
    return 0;
}

static void put_checkpoint(struct mu_postgres *db, const void *items, size_t i)
{
    const struct mu_beat_row *beat = &((const struct mu_beat_row *)items)[i];

    put_beat(db, beat->row, beat->last_seen, beat->report_count);
}

static int send_beats(struct mu_postgres *db, struct mu_err *err)
{
    return mu_pg_send(db, MU_PG_BEAT, 3, NULL, err);
}

static int checkpoint(void *st, const struct mu_beat_row *beats, size_t n, struct mu_err *err)
{
    struct mu_postgres *db = st;
    int rv = mu_pg_begin(db, true, err);

    return rv ? rv : mu_pg_end(db, put_all(db, beats, n, put_checkpoint, send_beats, err), err);
}

/* ---- trimming ---- */

/* Walks the oldest events until one may stay. *@cut is the last that goes, 0 = none. */
static int find_cut(struct mu_postgres *db, const struct mu_trim *which, int64_t *cut, bool *more,
                    struct mu_err *err)
{
    const int64_t limit = which->slice;
    PGresult *result;
    int rv = mu_pg_call(db, MU_PG_COUNT, NULL, 0, &result, err);

    if (rv)
        return rv;
    int64_t excess =
        which->keep && PQntuples(result) ? mu_pg_int(result, 0, 0) - (int64_t)which->keep : 0;
    PQclear(result);
    rv = mu_pg_call(db, MU_PG_OLDEST, &limit, 1, &result, err);
    if (rv)
        return rv;
    int n = 0;
    for (; n < PQntuples(result) && (n < excess || mu_pg_int(result, n, 1) < which->before); n++)
        *cut = mu_pg_int(result, n, 0);
    *more = n == (int)which->slice;
    PQclear(result);
    return 0;
}

static int cut_off(struct mu_postgres *db, int64_t cut, struct mu_err *err)
{
    PGresult *result;
    int rv = mu_pg_call(db, MU_PG_TRIM, &cut, 1, &result, err);

    if (rv)
        return rv;
    int64_t gone = strtoll(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return put_meta(db, -gone, 0, 0, err);
}

static int trim(void *st, const struct mu_trim *which, bool *more, struct mu_err *err)
{
    struct mu_postgres *db = st;
    int64_t cut = 0;
    int rv = mu_pg_begin(db, true, err);

    if (rv)
        return rv;
    rv = find_cut(db, which, &cut, more, err);
    if (!rv && cut)
        rv = cut_off(db, cut, err);
    return mu_pg_end(db, rv, err);
}

/* ---- reading ---- */

/* A row of the load, as it comes: each field a length and bytes. */
enum { FIELDS = 24 };

struct fields {
    const char *text[FIELDS]; /* NULL = SQL's NULL */
    uint32_t len[FIELDS];
};

/* Reads one message of COPY. Each text is made to end with a NUL, in the place of the next one's
 * length, which is read by then; the last one has the library's. Returns whether it is a whole row;
 * *@end that it is the end mark. */
static bool split(char *data, size_t n, struct fields *fields, bool *end)
{
    static const char signature[] = "PGCOPY\n\377\r\n";
    struct mu_cur cur;

    mu_cur_init(&cur, data, n);
    if (n >= 19 && memcmp(data, signature, sizeof(signature)) == 0) { /* flags, and no extension */
        mu_cur_take(&cur, 19);
    }
    uint16_t count = mu_cur_u16(&cur);
    *end = !cur.bad && count == UINT16_MAX;
    if (*end || count != FIELDS)
        return false;
    for (int i = 0; i < FIELDS; i++) {
        const uint8_t *len = mu_cur_take(&cur, 4);
        fields->len[i] = len ? mu_get32(len) : 0;
        bool null = fields->len[i] == UINT32_MAX;
        fields->text[i] = null ? NULL : (const char *)mu_cur_take(&cur, fields->len[i]);
    }
    if (cur.bad)
        return false;
    for (int i = 0; i < FIELDS; i++)
        if (fields->text[i])
            ((char *)data)[fields->text[i] + fields->len[i] - data] = '\0';
    return true;
}

static const char *text_of(const struct fields *fields, int i)
{
    return fields->text[i] ? fields->text[i] : "";
}

static int64_t int_of(const struct fields *fields, int i)
{
    return fields->text[i] && fields->len[i] == 8
               ? (int64_t)mu_get64((const uint8_t *)fields->text[i])
               : 0;
}

static int read_row(const struct fields *fields, struct mu_row *row, struct mu_who *who,
                    struct mu_err *err)
{
    const struct mu_words words = {.id = int_of(fields, 0),
                                   .uuid = text_of(fields, 1),
                                   .status = text_of(fields, 7),
                                   .state = text_of(fields, 20),
                                   .reason = text_of(fields, 21)};

    *who = (struct mu_who){.binary = text_of(fields, 2), .host = text_of(fields, 3)};
    *row = (struct mu_row){
        .zone = text_of(fields, 4),
        .labels = text_of(fields, 5),
        .version = text_of(fields, 6),
        .disabled_reason = text_of(fields, 8),
        .forced_down = fields->len[9] == 1 && *text_of(fields, 9),
        .forced_reason = text_of(fields, 10),
        .revision = (uint32_t)int_of(fields, 11),
        .joined_at = int_of(fields, 12),
        .start_id = (uint64_t)int_of(fields, 13),
        .incarnation = (uint64_t)int_of(fields, 14),
        .session = (uint64_t)int_of(fields, 15),
        .index = (uint32_t)int_of(fields, 16),
        .interval_ms = (uint32_t)int_of(fields, 17),
        .last_seen = int_of(fields, 18),
        .report_count = (uint64_t)int_of(fields, 19),
        .state_since = int_of(fields, 22),
    };
    return mu_words_read(&words, row, who, err);
}

/* One message of the load: a row, or the end mark. */
static int hand_on(char *data, size_t n, mu_store_row_fn each, void *ctx, struct mu_err *err)
{
    struct fields fields;
    struct mu_row row;
    struct mu_who who;
    bool end;

    if (!split(data, n, &fields, &end))
        return end ? 0 : mu_err_set(err, MU_EIO, "the server sent no row of agents");
    int rv = read_row(&fields, &row, &who, err);
    if (rv)
        return rv;
    const struct mu_payload payload = {.row = row.id, .len = (uint32_t)int_of(&fields, 23)};
    return each(ctx, &who, &row, &payload);
}

/* However long it takes, as long as something comes. Takes all of it, also when @each wants no
 * more: the connection is needed afterwards. */
static int load(void *st, mu_store_row_fn each, void *ctx, struct mu_err *err)
{
    static const char sql[] =
        "COPY (SELECT a.id, uuid, a.binary, host, zone, labels, version, status, disabled_reason,"
        " forced_down, forced_reason, revision, joined_at, start_id, incarnation, session,"
        " session_index, report_interval_ms, last_seen_at, report_count, state, state_reason,"
        " state_since, p.bytes"
        " FROM agents a LEFT JOIN beats b ON b.agent = a.id LEFT JOIN payloads p ON p.agent = a.id"
        " ORDER BY a.id) TO STDOUT (FORMAT binary)";
    struct mu_postgres *db = st;
    char *data;
    int n = 0, refused = 0;
    int rv = mu_pg_run(
        db, "BEGIN; SET LOCAL enable_mergejoin = on; SET LOCAL statement_timeout = 0", NULL, err);

    if (!rv)
        rv = mu_pg_run(db, sql, NULL, err);
    while (!rv && (n = PQgetCopyData(db->conn, &data, 1)) >= 0) {
        if (n == 0) {
            rv = mu_pg_await(db, err);
            continue;
        }
        if (!refused)
            refused = hand_on(data, (size_t)n, each, ctx, err);
        PQfreemem(data);
    }
    if (!rv)
        rv = mu_pg_finish(db, refused ? NULL : err);
    return mu_pg_end(db, refused ? refused : rv, err);
}

static int read_span(struct mu_postgres *db, struct mu_event_span *span, struct mu_err *err)
{
    PGresult *result;
    int rv = mu_pg_call(db, MU_PG_SPAN, NULL, 0, &result, err);

    if (rv)
        return rv;
    span->oldest = (uint64_t)mu_pg_int(result, 0, 0);
    span->newest = (uint64_t)mu_pg_int(result, 0, 1);
    PQclear(result);
    return 0;
}

/* The conditions of the partial indexes are said literally, so that they may be used. An agent's
 * events are looked for in each piece of numbers that has any, as they are indexed. */
static int find_events(struct mu_postgres *db, const struct mu_event_query *query,
                       PGresult **result, struct mu_err *err)
{
    static const char pieces[] =
        "WITH RECURSIVE piece (n) AS (SELECT min(seq) >> 16 FROM events WHERE seq > $1::bigint"
        " UNION ALL SELECT (SELECT min(seq) FROM events WHERE seq >= (n + 1) << 16) >> 16"
        " FROM piece WHERE n IS NOT NULL) ";
    const bool agent = *query->agent, kind = *query->kind;
    const bool rare = kind && !agent && strcmp(query->kind, "state") != 0;
    char sql[1024], since[24], limit[16];
    const char *const values[] = {since, limit, query->agent, query->kind};

    /* The server is told both texts, and so must be asked for both. */
    snprintf(sql, sizeof(sql),
             "%sSELECT * FROM (SELECT events.* FROM %s WHERE seq > $1::bigint"
             " AND ($3::text, $4::text) IS NOT NULL%s%s%s ORDER BY seq %s LIMIT $2::bigint)"
             " AS found ORDER BY seq",
             agent ? pieces : "", agent ? "piece, events" : "events",
             agent ? " AND seq >> 16 = n AND agent = $3::text AND agent <> ''" : "",
             kind ? " AND kind = $4::text" : "", rare ? " AND kind <> 'state'" : "",
             query->newest ? "DESC" : "ASC");
    /* No number is above INT64_MAX. */
    snprintf(since, sizeof(since), "%lld",
             query->since > INT64_MAX ? (long long)INT64_MAX : (long long)query->since);
    snprintf(limit, sizeof(limit), "%u", query->limit);
    return mu_pg_ask(db, sql, values, 4, result, err);
}

static int events(void *st, const struct mu_event_query *query, struct mu_event_span *span,
                  mu_store_event_fn each, void *ctx, struct mu_err *err)
{
    struct mu_postgres *db = st;
    PGresult *result;
    int rv = read_span(db, span, err);

    if (!rv)
        rv = find_events(db, query, &result, err);
    if (rv)
        return rv;
    for (int i = 0; i < PQntuples(result) && !rv; i++) {
        struct mu_event_row event = {
            .seq = strtoull(PQgetvalue(result, i, 0), NULL, 10),
            .at = strtoll(PQgetvalue(result, i, 1), NULL, 10),
            .agent = PQgetvalue(result, i, 2),
            .uuid = PQgetvalue(result, i, 3),
            .kind = PQgetvalue(result, i, 4),
            .from = PQgetvalue(result, i, 5),
            .to = PQgetvalue(result, i, 6),
            .reason = PQgetvalue(result, i, 7),
            .detail = PQgetvalue(result, i, 8),
        };
        rv = each(ctx, &event);
    }
    PQclear(result);
    return rv;
}

static int payload(void *st, uint32_t row, struct mu_buf *json, struct mu_err *err)
{
    struct mu_postgres *db = st;
    const int64_t id = row;
    PGresult *result;
    int rv = mu_pg_call(db, MU_PG_GET_PAYLOAD, &id, 1, &result, err);

    if (rv)
        return rv;
    if (PQntuples(result))
        mu_buf_puts(json, PQgetvalue(result, 0, 0));
    PQclear(result);
    return json->failed ? mu_err_set(err, json->failed, "out of memory") : 0;
}

static int ping(void *st, struct mu_err *err)
{
    PGresult *result;
    int rv = mu_pg_run(st, "SELECT 1", &result, err);

    if (rv == 0)
        PQclear(result);
    return rv;
}

const struct mu_store_driver mu_store_postgresql = {
    .scheme = "postgresql",
    .size = sizeof(struct mu_postgres),
    .open = mu_pg_open,
    .close = mu_pg_close,
    .load = load,
    .commit = commit,
    .checkpoint = checkpoint,
    .events = events,
    .payload = payload,
    .trim = trim,
    .ping = ping,
    .idle = 30 * MU_SEC,
    .status = mu_pg_status,
    .upgrade = mu_pg_upgrade,
    .backup = mu_pg_backup,
};

MU_PLUGIN("store", MU_STORE_ABI, mu_store_postgresql);
