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

/* The columns of a row, in the order of the arrays. */
#define MU_PG_ROW                                                                                  \
    "$1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],"        \
    " $8::text[], $9::text[], $10::boolean[], $11::text[], $12::bigint[], $13::text[],"            \
    " $14::text[], $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[],"     \
    " $20::bigint[], $21::bigint[]"
#define MU_PG_COLUMNS                                                                              \
    "id, uuid, \"binary\", host, zone, labels, version, status, disabled_reason, forced_down,"     \
    " forced_reason, revision, state, state_reason, state_since, joined_at, start_id,"             \
    " incarnation, session, session_index, report_interval_ms"
#define MU_PG_BEATS "unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS u (agent, at, n)"

/* Statements that are kept prepared on a connection, and their SQL. */
#define MU_PG_STATEMENTS(X)                                                                        \
    X(ROW_UPDATE,                                                                                  \
      "UPDATE agents a SET zone = u.zone, labels = u.labels, version = u.version,"                 \
      " status = u.status, disabled_reason = u.disabled_reason, forced_down = u.forced_down,"      \
      " forced_reason = u.forced_reason, revision = u.revision, state = u.state,"                  \
      " state_reason = u.state_reason, state_since = u.state_since, joined_at = u.joined_at,"      \
      " start_id = u.start_id, incarnation = u.incarnation, session = u.session,"                  \
      " session_index = u.session_index, report_interval_ms = u.report_interval_ms"                \
      " FROM unnest(" MU_PG_ROW ") AS u (" MU_PG_COLUMNS ") WHERE a.id = u.id")                    \
    X(ROW_INSERT,                                                                                  \
      "INSERT INTO agents (" MU_PG_COLUMNS ") SELECT * FROM unnest(" MU_PG_ROW ") AS u"            \
      " (" MU_PG_COLUMNS ") WHERE NOT EXISTS (SELECT FROM agents a WHERE a.id = u.id)")            \
    X(BEAT, "UPDATE beats b SET last_seen_at = u.at, report_count = u.n FROM " MU_PG_BEATS         \
            " WHERE b.agent = u.agent")                                                            \
    X(BEAT_INSERT, "INSERT INTO beats SELECT * FROM " MU_PG_BEATS                                  \
                   " WHERE NOT EXISTS (SELECT FROM beats b WHERE b.agent = u.agent)")              \
    X(DELETE_ROW, "DELETE FROM agents WHERE id = ANY ($1::bigint[])")                              \
    X(DELETE_BEAT, "DELETE FROM beats WHERE agent = ANY ($1::bigint[])")                           \
    X(DELETE_PAYLOAD, "DELETE FROM payloads WHERE agent = ANY ($1::bigint[])")                     \
    X(EVENT, "INSERT INTO events SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[],"     \
             " $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])"            \
             " ON CONFLICT (seq) DO NOTHING")                                                      \
    X(PAYLOAD, "INSERT INTO payloads SELECT u.* FROM unnest($1::bigint[], $2::bigint[],"           \
               " $3::text[]) AS u (agent, bytes, json) JOIN agents a ON a.id = u.agent"            \
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

#define MU_PG_ARRAYS 21 /* of the widest statement */

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
    int backend;     /* the server's pid of the last connection: its session may outlive it there */
    char holder[64]; /* what we call ourselves there: "muster: PID HOST", cut as the server cuts */
    struct mu_buf arrays[MU_PG_ARRAYS];
    size_t n;       /* items in each of those in use */
    uint64_t added; /* events, by the batch under way */
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

/* Runs a kept statement with @n arrays from @first on. *@changed (NULL is allowed) is how many rows
 * that were. */
int mu_pg_send(struct mu_postgres *db, enum mu_pg_statement which, int first, int n,
               uint64_t *changed, struct mu_err *err);

/* A binary value of a result. */
int64_t mu_pg_int(const PGresult *result, int row, int column);

#endif
