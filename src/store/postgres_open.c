/* The happy path of an open: connected, the session's settings made, the lock taken, the tables
 * looked at (ours? which schema?), and only then changed: migration, a new life.
 *
 * Who has the database is told by an advisory lock of the session: the server lets it go when the
 * process that holds it ends, or when its machine no longer answers. It may also be lost with a
 * connection; then another conductor may begin a life, which is why each transaction proves that
 * ours is still the last one. */
#include "store/postgres.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/schema.h"

#define LOCK_TRIES 60 /* a session that was cut off takes a moment to end there */
#define LOCK_PAUSE 50 /* ms */

/* The schema, in the sense of SQL, that the tables are in: the session's search_path is that. */
#define PLACE "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
/* The key of the lock: "MUST" and that schema; as one number, and as pg_locks shows it. */
#define KEY "(1297437524::bigint << 32 | " PLACE "::bigint)"
#define IS_LOCK                                                                                    \
    "locktype = 'advisory' AND classid = 1297437524 AND objid = " PLACE " AND objsubid = 1"        \
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND granted"

static const char ours[] = "muster: "; /* before PID HOST, in pg_stat_activity */

/* ---- the connection ---- */

static void disconnect(struct mu_postgres *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
    memset(db->prepared, 0, sizeof(db->prepared));
    for (int i = 0; i < MU_PG_ARRAYS; i++)
        mu_buf_fini(&db->arrays[i]);
}

static void ignore(void *ctx, const PGresult *result)
{
}

static const char *option(const PQconninfoOption *options, const char *key)
{
    for (; options->keyword; options++)
        if (strcmp(options->keyword, key) == 0 && options->val)
            return options->val;
    return "";
}

static int bad_url(struct mu_err *err)
{
    return mu_err_set(err, MU_EINVAL,
                      "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in USER and PASSWORD"
                      " write @ : / ? # %% as %%40 %%3A %%2F %%3F %%23 %%25");
}

/* What the library would say of such a URL may have a part of the password in it. */
static int check_url(const struct mu_addr *addr, const char *url, struct mu_err *err)
{
    static const char unknown[] = "invalid URI query parameter";
    PQconninfoOption *options;
    char *why = NULL;
    int rv = 0;

    if (strncmp(strchr(url, ':'), "://", 3) != 0 || strchr(addr->path, '@'))
        return bad_url(err);
    options = PQconninfoParse(url, &why);
    if (!options) {
        rv = why && !strchr(addr->query, '@') && strncmp(why, unknown, strlen(unknown)) == 0
                 ? mu_err_set(err, MU_EINVAL, "%.*s", (int)strcspn(why, "\n"), why)
                 : bad_url(err);
        PQfreemem(why);
        return rv;
    }
    const char *port = option(options, "port");
    if (port[strspn(port, "0123456789,")])
        rv = bad_url(err);
    PQconninfoFree(options);
    return rv;
}

/* Ours come first where the URL may say otherwise. */
static int dial(struct mu_postgres *db, const struct mu_addr *addr, struct mu_err *err)
{
    const char *const keys[] = {"connect_timeout",  "keepalives_idle",  "keepalives_interval",
                                "keepalives_count", "tcp_user_timeout", "dbname",
                                "client_encoding",  "application_name", NULL};
    char url[sizeof(addr->given) + 16];
    const char *const values[] = {"5", "10", "5", "3", "30000", url, "UTF8", db->holder, NULL};

    snprintf(url, sizeof(url), "postgresql%s", strchr(addr->given, ':'));
    int rv = check_url(addr, url, err);
    if (rv)
        return rv;
    db->conn = PQconnectdbParams(keys, values, 1);
    if (!db->conn || PQstatus(db->conn) != CONNECTION_OK)
        return mu_pg_fail(db, NULL, err);
    PQsetNoticeReceiver(db->conn, ignore, NULL);
    if (PQsetnonblocking(db->conn, 1))
        return mu_pg_fail(db, NULL, err);
    return 0;
}

/* A server that hangs, and a client that hangs in a transaction, are noticed by the server; so is a
 * client whose machine is gone. One that has nothing to write keeps its session, and so the lock.
 * The plans of the kept statements are made once, and perhaps while the tables are empty: they
 * shall walk an index in the order of the array for ever. Settings that an older server lacks are
 * passed over. */
static int set_session(struct mu_postgres *db, struct mu_err *err)
{
    static const char sql[] =
        "SELECT set_config(name, v, false) FROM (VALUES"
        " ('search_path', quote_ident(current_schema())),"
        " ('statement_timeout', '60s'),"
        " ('lock_timeout', '10s'),"
        " ('idle_in_transaction_session_timeout', '60s'),"
        " ('idle_session_timeout', '0'),"
        " ('client_connection_check_interval', '1s'),"
        " ('tcp_keepalives_idle', '10'),"
        " ('tcp_keepalives_interval', '5'),"
        " ('tcp_keepalives_count', '3'),"
        " ('tcp_user_timeout', '30s'),"
        " ('plan_cache_mode', 'force_generic_plan'),"
        " ('enable_seqscan', 'off'),"
        " ('enable_hashjoin', 'off'),"
        " ('enable_mergejoin', 'off'),"
        " ('jit', 'off')) AS ours (name, v) JOIN pg_settings USING (name) WHERE v IS NOT NULL"
        " UNION ALL SELECT set_config(name, 'on', false) FROM pg_settings"
        " WHERE name = 'synchronous_commit' AND setting = 'off'";
    const char *encoding = PQparameterStatus(db->conn, "server_encoding");
    PGresult *result;

    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return mu_err_set(err, db->opening ? MU_EIO : MU_EAGAIN,
                          "the database's encoding is %s; create one with ENCODING 'UTF8' TEMPLATE"
                          " template0",
                          encoding ? encoding : "unknown");
    int rv = mu_pg_run(db, sql, NULL, err);
    if (!rv)
        rv = mu_pg_run(db, "SELECT current_schema()", &result, err);
    if (rv)
        return rv;
    bool nowhere = PQgetisnull(result, 0, 0);
    PQclear(result);
    if (nowhere)
        return mu_err_set(err, db->opening ? MU_EIO : MU_EAGAIN,
                          "no schema of the search_path exists; create one, or name one by"
                          " ?options=-csearch_path%%3DNAME in the URL");
    return 0;
}

static int connect_to(struct mu_postgres *db, const struct mu_addr *addr, struct mu_err *err)
{
    char host[256] = "";

    gethostname(host, sizeof(host) - 1);
    snprintf(db->holder, sizeof(db->holder), "%s%ld %.40s", ours, (long)getpid(), host);
    int rv = dial(db, addr, err);
    return rv ? rv : set_session(db, err);
}

/* One whole number. */
static int ask_number(struct mu_postgres *db, const char *sql, int64_t *out, struct mu_err *err)
{
    PGresult *result;
    int rv = mu_pg_run(db, sql, &result, err);

    if (rv)
        return rv;
    *out = PQntuples(result) ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
    PQclear(result);
    return 0;
}

/* ---- the lock ---- */

/* "PID HOST" of who has the lock, "" = nobody; *@backend is the server's pid for him. */
static int find_holder(struct mu_postgres *db, char *out, size_t size, int *backend,
                       struct mu_err *err)
{
    PGresult *result;
    int rv = mu_pg_run(db,
                       "SELECT pid, coalesce(application_name, '') FROM pg_locks"
                       " LEFT JOIN pg_stat_activity USING (pid) WHERE " IS_LOCK,
                       &result, err);

    if (rv)
        return rv;
    *out = '\0';
    *backend = 0;
    if (PQntuples(result)) {
        const char *name = PQgetvalue(result, 0, 1);
        bool known = strncmp(name, ours, strlen(ours)) == 0;
        *backend = atoi(PQgetvalue(result, 0, 0));
        snprintf(out, size, "%s", known ? name + strlen(ours) : "unknown unknown");
    }
    PQclear(result);
    return 0;
}

/* Our own session of before, when the connection was cut and the server has not noticed. */
static int end_own_session(struct mu_postgres *db, const char *holder, int backend,
                           struct mu_err *err)
{
    char sql[80];

    if (!backend || backend != db->backend || strcmp(holder, db->holder + strlen(ours)) != 0)
        return 0;
    snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d)", backend);
    return mu_pg_run(db, sql, NULL, err);
}

/* Whether another life has begun, so that ours is over. */
static bool life_is_over(struct mu_postgres *db)
{
    int64_t epoch = 0;

    return db->epoch &&
           !ask_number(db, "SELECT value FROM meta WHERE key = 'epoch'", &epoch, NULL) &&
           epoch > db->epoch;
}

static int locked(struct mu_postgres *db, const char *holder, struct mu_err *err)
{
    const char *host = strchr(holder, ' ');
    bool passes = !db->opening && !life_is_over(db);

    return mu_err_set(
        err, passes ? MU_EAGAIN : MU_ELOCKED,
        "the database is in use by the conductor with pid %.*s on %s; stop that one, or"
        " give this one another --store",
        (int)strcspn(holder, " "), holder, host ? host + 1 : "an unknown host");
}

static int take_lock(struct mu_postgres *db, struct mu_err *err)
{
    char holder[64] = "";
    PGresult *result;
    int backend, rv;

    for (int i = 0; i < LOCK_TRIES; i++) {
        rv = mu_pg_run(db, "SELECT pg_try_advisory_lock(" KEY ")", &result, err);
        if (rv)
            return rv;
        bool taken = *PQgetvalue(result, 0, 0) == 't';
        PQclear(result);
        if (taken) {
            db->backend = PQbackendPID(db->conn);
            return 0;
        }
        rv = find_holder(db, holder, sizeof(holder), &backend, err);
        if (!rv)
            rv = end_own_session(db, holder, backend, err);
        if (rv)
            return rv;
        poll(NULL, 0, LOCK_PAUSE);
    }
    return locked(db, holder, err);
}

/* ---- the tables ---- */

/* Looks without touching. *@schema is 0 where there is none of our tables. */
static int look(struct mu_postgres *db, uint32_t *schema, struct mu_err *err)
{
    int64_t tables, number = 0;
    int rv =
        ask_number(db,
                   "SELECT count(*) FROM pg_class WHERE relnamespace = " PLACE " AND relname IN"
                   " ('meta', 'agents', 'beats', 'payloads', 'events', 'fleet', 'history')",
                   &tables, err);

    if (!rv && tables == 7)
        rv = ask_number(db, "SELECT value FROM meta WHERE key = 'schema'", &number, err);
    if (rv)
        return rv;
    if (tables && number <= 0)
        return mu_err_set(
            err, MU_ECORRUPT,
            "it has tables of muster's names, but not muster's; name another database,"
            " or a schema by ?options=-csearch_path%%3DNAME in the URL");
    *schema = (uint32_t)number;
    return 0;
}

/* What this connection's statements go by. */
static int find_newest(struct mu_postgres *db, struct mu_err *err)
{
    int64_t newest;
    int rv = ask_number(db, "SELECT coalesce(max(seq), 0) FROM events", &newest, err);

    if (!rv)
        db->newest = (uint64_t)newest;
    return rv;
}

static int migrate(struct mu_postgres *db, uint32_t from, struct mu_err *err)
{
    char sql[80];

    if (from == mu_schema_postgresql_n)
        return 0;
    int rv = mu_pg_run(db, "BEGIN", NULL, err);
    for (uint32_t i = from; i < mu_schema_postgresql_n && !rv; i++)
        rv = mu_pg_run(db, mu_schema_postgresql[i], NULL, err);
    snprintf(sql, sizeof(sql), "UPDATE meta SET value = %u WHERE key = 'schema'",
             mu_schema_postgresql_n);
    if (!rv)
        rv = mu_pg_run(db, sql, NULL, err);
    return mu_pg_end(db, rv, err);
}

/* ---- a life ---- */

/* Runs @sql, which returns rows of meta, and hands them out by key. */
static int change_meta(struct mu_postgres *db, const char *sql, struct mu_schema_meta *out,
                       struct mu_err *err)
{
    PGresult *result;
    int rv = mu_pg_run(db, sql, &result, err);

    if (rv)
        return rv;
    for (int i = 0; i < PQntuples(result); i++) {
        const char *key = PQgetvalue(result, i, 0);
        int64_t value = strtoll(PQgetvalue(result, i, 1), NULL, 10);
        *(strcmp(key, "epoch") == 0         ? &out->epoch
          : strcmp(key, "event_limit") == 0 ? &out->event_limit
          : strcmp(key, "fleet") == 0       ? &out->fleet
                                            : &out->next_row) = value;
    }
    PQclear(result);
    return 0;
}

static int put_fleet(struct mu_postgres *db, struct mu_err *err)
{
    char sql[128];
    int64_t drawn;
    int rv = mu_schema_draw_fleet(&drawn, err);

    if (rv)
        return rv;
    snprintf(sql, sizeof(sql),
             "INSERT INTO meta (key, value) VALUES ('fleet', %" PRId64 ")"
             " ON CONFLICT DO NOTHING",
             drawn);
    return mu_pg_run(db, sql, NULL, err);
}

/* The new life is durable before anybody hears of it. */
static int begin_life(struct mu_postgres *db, struct mu_boot *boot, struct mu_err *err)
{
    struct mu_schema_meta meta = {0};
    char sql[256];
    int rv = put_fleet(db, err);

    if (rv)
        return rv;
    snprintf(
        sql, sizeof(sql),
        "UPDATE meta SET value = value + CASE key WHEN 'epoch' THEN 1 WHEN 'event_limit' THEN %d"
        " ELSE 0 END WHERE key IN ('epoch', 'event_limit', 'next_row', 'fleet') RETURNING key, "
        "value",
        MU_STORE_GRANT);
    rv = change_meta(db, sql, &meta, err);
    if (rv)
        return rv;
    rv = mu_schema_boot(&meta, boot, err);
    if (rv)
        return rv;
    db->epoch = boot->epoch;
    db->limit = boot->seq_end;
    return 0;
}

/* After a failover the server may be a copy that lacks the last seconds: what this life was given
 * must not be given again. An epoch above ours is another's life. */
static int go_on_living(struct mu_postgres *db, struct mu_err *err)
{
    struct mu_schema_meta meta = {0};
    char sql[320];

    snprintf(sql, sizeof(sql),
             "UPDATE meta SET value = greatest(value, CASE key WHEN 'epoch' THEN %u"
             " WHEN 'event_limit' THEN %llu ELSE 0 END)"
             " WHERE key IN ('epoch', 'event_limit', 'next_row', 'fleet') RETURNING key, value",
             db->epoch, (unsigned long long)db->limit);
    int rv = change_meta(db, sql, &meta, err);
    return rv ? rv : mu_pg_check_life(db, meta.epoch, err);
}

/* After a lost connection. What is found there may be a server in the midst of its own recovery or
 * restore: only another's life is final. */
static int open_again(struct mu_postgres *db, const struct mu_addr *addr, struct mu_err *err)
{
    uint32_t schema = 0;

    disconnect(db);
    int rv = connect_to(db, addr, err);
    if (!rv)
        rv = take_lock(db, err);
    if (!rv)
        rv = look(db, &schema, err);
    if (!rv)
        rv = mu_schema_check(schema, mu_schema_postgresql_n, false, addr->text, err);
    if (!rv && !schema)
        rv = mu_err_set(err, MU_EAGAIN, "muster's tables are gone; restore a backup");
    if (!rv)
        rv = go_on_living(db, err);
    if (!rv)
        rv = find_newest(db, err);
    if (rv && rv != MU_ELOCKED && rv != MU_ENOMEM)
        rv = MU_EAGAIN;
    return rv;
}

int mu_pg_open(void *st, const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
               struct mu_err *err)
{
    struct mu_postgres *db = st;
    uint32_t schema = 0;

    if (!boot)
        return open_again(db, addr, err);
    db->opening = true;
    int rv = connect_to(db, addr, err);
    if (!rv)
        rv = take_lock(db, err);
    if (!rv)
        rv = look(db, &schema, err);
    if (!rv)
        rv = mu_schema_check(schema, mu_schema_postgresql_n, may_migrate, addr->text, err);
    if (!rv)
        rv = migrate(db, schema, err);
    if (!rv)
        rv = find_newest(db, err);
    if (!rv)
        rv = begin_life(db, boot, err);
    db->opening = false;
    return rv;
}

/* The lock goes with the session. */
void mu_pg_close(void *st)
{
    disconnect(st);
}

/* ---- without a life: status, upgrade, backup ---- */

static int count_all(struct mu_postgres *db, struct mu_store_status *out, struct mu_err *err)
{
    int64_t n[5] = {0};
    static const char *const sql[] = {
        "SELECT value FROM meta WHERE key = 'epoch'",
        "SELECT count(*) FROM agents",
        "SELECT value FROM meta WHERE key = 'event_count'",
        "SELECT coalesce(min(seq), 0) FROM events",
        "SELECT coalesce(max(seq), 0) FROM events",
    };
    int rv = 0;

    for (size_t i = 0; i < MU_ARRAY_LEN(sql) && !rv; i++)
        rv = ask_number(db, sql[i], &n[i], err);
    if (rv)
        return rv;
    out->counted = true;
    out->epoch = (uint32_t)n[0];
    out->agents = (uint64_t)n[1];
    out->events = (uint64_t)n[2];
    out->span = (struct mu_event_span){.oldest = (uint64_t)n[3], .newest = (uint64_t)n[4]};
    return 0;
}

/* What another schema's tables do not tell is unknown, and no failure. */
int mu_pg_status(const struct mu_addr *addr, struct mu_store_status *out, struct mu_err *err)
{
    struct mu_postgres db = {.opening = true};
    struct mu_store_status status = {.writes = mu_schema_postgresql_n};
    int64_t bytes = 0;
    int backend, rv = connect_to(&db, addr, err);

    if (!rv)
        rv = look(&db, &status.schema, err);
    status.counted = !status.schema;
    if (!rv && status.schema)
        rv = count_all(&db, &status, err);
    if (rv && status.schema && status.schema != status.writes)
        rv = 0;
    if (!rv)
        rv = ask_number(&db,
                        "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
                        " WHERE relnamespace = " PLACE
                        " AND relname IN ('meta', 'agents', 'beats', 'payloads', 'events')",
                        &bytes, err);
    status.bytes = (uint64_t)bytes;
    if (!rv)
        rv = find_holder(&db, status.holder, sizeof(status.holder), &backend, err);
    mu_pg_close(&db);
    if (!rv)
        *out = status;
    return rv;
}

int mu_pg_upgrade(const struct mu_addr *addr, uint32_t *from, uint32_t *to, struct mu_err *err)
{
    struct mu_postgres db = {.opening = true};
    uint32_t schema = 0;
    int rv = connect_to(&db, addr, err);

    if (!rv)
        rv = take_lock(&db, err);
    if (!rv)
        rv = look(&db, &schema, err);
    if (!rv)
        rv = mu_schema_check(schema, mu_schema_postgresql_n, true, addr->text, err);
    if (!rv)
        rv = migrate(&db, schema, err);
    mu_pg_close(&db);
    if (rv)
        return rv;
    *from = schema;
    *to = mu_schema_postgresql_n;
    return 0;
}

int mu_pg_backup(const struct mu_addr *addr, const char *path, struct mu_err *err)
{
    return mu_err_set(err, MU_ENOTSUP,
                      "PostgreSQL's own programs copy it: pg_dump --file=%s %s; muster-db(1) says"
                      " what to raise after a restore",
                      path, addr->path + (*addr->path == '/'));
}
