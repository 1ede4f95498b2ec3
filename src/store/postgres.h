/* postgres.h - what the parts of the PostgreSQL driver share: postgres_open.c connects, locks,
 * checks and migrates; postgres.c reads and writes the tables; postgres_talk.c carries statements
 * over and results back.
 *
 * A statement that changes many rows takes them as arrays, one a column, in binary form: one round
 * trip for thousands of rows, and no quoting. */
#ifndef MU_STORE_POSTGRES_H
#define MU_STORE_POSTGRES_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "store/driver.h"

/* The rows that arrays make. Unnested in the list of a SELECT they stream; in a FROM the server
 * would put them by first, at four times the cost. */
#define MU_PG_ROWS                                                                                 \
    "(SELECT unnest($1::bigint[]) AS id, unnest($2::text[]) AS uuid,"                              \
    " unnest($3::text[]) AS \"binary\", unnest($4::text[]) AS host, unnest($5::text[]) AS zone,"   \
    " unnest($6::text[]) AS labels, unnest($7::text[]) AS version,"                                \
    " unnest($8::text[]) AS status, unnest($9::text[]) AS disabled_reason,"                        \
    " unnest($10::boolean[]) AS forced_down, unnest($11::text[]) AS forced_reason,"                \
    " unnest($12::bigint[]) AS revision, unnest($13::bigint[]) AS joined_at,"                      \
    " unnest($14::bigint[]) AS start_id, unnest($15::bigint[]) AS incarnation,"                    \
    " unnest($16::bigint[]) AS session, unnest($17::bigint[]) AS session_index,"                   \
    " unnest($18::bigint[]) AS report_interval_ms) AS u"
#define MU_PG_BEATS                                                                                \
    "(SELECT unnest($1::bigint[]) AS agent, unnest($2::bigint[]) AS last_seen_at,"                 \
    " unnest($3::bigint[]) AS report_count) AS u"
#define MU_PG_VERDICTS                                                                             \
    "(SELECT unnest($1::bigint[]) AS agent, unnest($2::bigint[]) AS last_seen_at,"                 \
    " unnest($3::bigint[]) AS report_count, unnest($4::text[]) AS state,"                          \
    " unnest($5::text[]) AS state_reason, unnest($6::bigint[]) AS state_since) AS u"
#define MU_PG_EVENTS                                                                               \
    "INSERT INTO events SELECT unnest($1::bigint[]), unnest($2::bigint[]), unnest($3::text[]),"    \
    " unnest($4::text[]), unnest($5::text[]), unnest($6::text[]), unnest($7::text[]),"             \
    " unnest($8::text[]), unnest($9::text[])"

/* Statements that are kept prepared on a connection, and their SQL. */
#define MU_PG_STATEMENTS(X)                                                                        \
    X(ROW_UPDATE,                                                                                  \
      "UPDATE agents a SET zone = u.zone, labels = u.labels, version = u.version,"                 \
      " status = u.status, disabled_reason = u.disabled_reason, forced_down = u.forced_down,"      \
      " forced_reason = u.forced_reason, revision = u.revision, joined_at = u.joined_at,"          \
      " start_id = u.start_id, incarnation = u.incarnation, session = u.session,"                  \
      " session_index = u.session_index, report_interval_ms = u.report_interval_ms"                \
      " FROM " MU_PG_ROWS " WHERE a.id = u.id")                                                    \
    X(ROW_INSERT, "INSERT INTO agents SELECT * FROM " MU_PG_ROWS                                   \
                  " WHERE NOT EXISTS (SELECT FROM agents a WHERE a.id = u.id)")                    \
    X(BEAT, "UPDATE beats b SET last_seen_at = u.last_seen_at, report_count = u.report_count"      \
            " FROM " MU_PG_BEATS " WHERE b.agent = u.agent")                                       \
    X(VERDICT, "UPDATE beats b SET last_seen_at = u.last_seen_at, report_count = u.report_count,"  \
               " state = u.state, state_reason = u.state_reason, state_since = u.state_since"      \
               " FROM " MU_PG_VERDICTS " WHERE b.agent = u.agent")                                 \
    X(VERDICT_INSERT, "INSERT INTO beats SELECT * FROM " MU_PG_VERDICTS                            \
                      " WHERE NOT EXISTS (SELECT FROM beats b WHERE b.agent = u.agent)")           \
    X(DELETE_ROW, "DELETE FROM agents WHERE id = ANY ($1::bigint[])")                              \
    X(DELETE_BEAT, "DELETE FROM beats WHERE agent = ANY ($1::bigint[])")                           \
    X(DELETE_PAYLOAD, "DELETE FROM payloads WHERE agent = ANY ($1::bigint[])")                     \
    X(EVENT, MU_PG_EVENTS)                                                                         \
    X(EVENT_AGAIN, MU_PG_EVENTS " ON CONFLICT (seq) DO NOTHING")                                   \
    X(PAYLOAD, "INSERT INTO payloads SELECT u.* FROM (SELECT unnest($1::bigint[]) AS agent,"       \
               " unnest($2::bigint[]) AS bytes, unnest($3::text[]) AS json) AS u"                  \
               " JOIN agents a ON a.id = u.agent"                                                  \
               " ON CONFLICT (agent) DO UPDATE SET bytes = excluded.bytes, json = excluded.json")  \
    X(META, "UPDATE meta SET value = CASE key WHEN 'event_count' THEN value + $1::bigint"          \
            " WHEN 'event_limit' THEN greatest(value, $2::bigint)"                                 \
            " ELSE greatest(value, $3::bigint) END"                                                \
            " WHERE key IN ('event_count', 'event_limit', 'next_row')")                            \
    X(GET_PAYLOAD, "SELECT json FROM payloads WHERE agent = $1::bigint")                           \
    X(SPAN, "SELECT coalesce((SELECT min(seq) FROM events), 0),"                                   \
            " coalesce((SELECT max(seq) FROM events), 0)")                                         \
    X(COUNT, "SELECT value FROM meta WHERE key = 'event_count'")                                   \
    X(OLDEST, "SELECT seq, at FROM events ORDER BY seq LIMIT $1::bigint")                          \
    X(TRIM, "DELETE FROM events WHERE seq <= $1::bigint")

extern const struct mu_store_driver mu_store_postgresql;

enum mu_pg_statement {
#define MU_PG_STATEMENT_(name, sql) MU_PG_##name,
    MU_PG_STATEMENTS(MU_PG_STATEMENT_)
#undef MU_PG_STATEMENT_
        MU_PG_N
};

#define MU_PG_ARRAYS 18 /* of the widest statement */

enum mu_pg_type {
    MU_PG_BOOL = 16,
    MU_PG_INT = 20, /* bigint */
    MU_PG_TEXT = 25
};

struct mu_postgres {
    PGconn *conn; /* NULL = none */
    bool prepared[MU_PG_N];
    bool opening;    /* there is no life yet: trouble is final */
    uint32_t epoch;  /* of our life; 0 = there is none yet */
    uint64_t limit;  /* event numbers below it were granted to it */
    uint64_t newest; /* the highest event number there is */
    int backend;     /* the server's pid of the last connection: its session may outlive it there */
    char holder[64]; /* what we call ourselves there: "muster: PID HOST", cut as the server cuts */
    struct mu_buf arrays[MU_PG_ARRAYS];
    size_t n;                          /* items in each of those in use */
    enum mu_pg_statement event_insert; /* of the batch under way */
    uint64_t added;                    /* events, by it */
};

/* ---- postgres_open.c ---- */

int mu_pg_open(void *st, const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
               struct mu_err *err);
void mu_pg_close(void *st);
int mu_pg_status(const struct mu_addr *addr, struct mu_store_status *out, struct mu_err *err);
int mu_pg_upgrade(const struct mu_addr *addr, uint32_t *from, uint32_t *to, struct mu_err *err);
int mu_pg_backup(const struct mu_addr *addr, const char *path, struct mu_err *err);

/* ---- postgres_talk.c ---- */

/* Puts a failed @result, or what became of the connection where that is NULL, into words. Returns a
 * MU_E code. */
int mu_pg_fail(struct mu_postgres *db, const PGresult *result, struct mu_err *err);

/* Waits until the server has sent something, at most as long as a server that lives may take. 0, or
 * MU_EAGAIN (MU_EIO while opening). */
int mu_pg_await(struct mu_postgres *db, struct mu_err *err);

/* Runs @sql: one statement, or several without parameters. Where @out is not NULL it gets the last
 * result, with its values as text; the caller clears it. */
int mu_pg_run(struct mu_postgres *db, const char *sql, PGresult **out, struct mu_err *err);

/* The same with @n parameters, as text. */
int mu_pg_ask(struct mu_postgres *db, const char *sql, const char *const *values, int n,
              PGresult **out, struct mu_err *err);

/* Takes what is left of a statement whose rows were copied out. */
int mu_pg_finish(struct mu_postgres *db, struct mu_err *err);

/* Runs a kept statement with @n whole numbers; the result's values are binary. */
int mu_pg_call(struct mu_postgres *db, enum mu_pg_statement which, const int64_t *numbers, int n,
               PGresult **out, struct mu_err *err);

/* Whether @epoch, as it stands in the database, is that of our life. 0, or MU_ELOCKED. */
int mu_pg_check_life(const struct mu_postgres *db, int64_t epoch, struct mu_err *err);

/* BEGIN, and the proof that our life is still the last one; with @relaxed the commit may be lost
 * when power is. Until mu_pg_end() no other life can begin. */
int mu_pg_begin(struct mu_postgres *db, bool relaxed, struct mu_err *err);

/* COMMIT when @rv is 0 and that succeeds, else ROLLBACK, @err staying as it is. 0 or MU_E. */
int mu_pg_end(struct mu_postgres *db, int rv, struct mu_err *err);

/* Arrays: reset, put an item into each, send. The text is not NUL-terminated on its way. */
void mu_pg_reset(struct mu_postgres *db);
void mu_pg_put_int(struct mu_postgres *db, int column, int64_t value);
void mu_pg_put_bool(struct mu_postgres *db, int column, bool value);
void mu_pg_put_text(struct mu_postgres *db, int column, const char *text, size_t n);

/* Whether enough is in the arrays for one statement: they are kept small. */
bool mu_pg_full(const struct mu_postgres *db);

/* Runs a kept statement with the first @n arrays. *@changed (NULL is allowed) is how many rows that
 * were. */
int mu_pg_send(struct mu_postgres *db, enum mu_pg_statement which, int n, uint64_t *changed,
               struct mu_err *err);

/* A binary value of a result. */
int64_t mu_pg_int(const PGresult *result, int row, int column);

#endif
