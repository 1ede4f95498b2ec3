/* The happy path of an open: the URL taken apart, connected, the session set up, the lock taken,
 * the database looked at (ours? which schema?), and only then changed: migration, a new life.
 *
 * Who may write is said twice. The lock (GET_LOCK, named after the database) belongs to a
 * connection and keeps a second conductor out while ours stands. The epoch, read in each
 * transaction, keeps out the one that was taken for dead: whoever begins a life raises it, and
 * waits for the transactions that have read it. A lost connection is made anew by the same way
 * without a life; the lock may still be held by what the server has left of the old one. */
#include <errmsg.h>
#include <errno.h>
#include <inttypes.h>
#include <mysqld_error.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "store/mysql.h"
#include "store/schema.h"

#define CONNECT_SECONDS 5
#define ANSWER_SECONDS  30 /* no statement of ours takes so long: the server is frozen or gone */
#define LOCK_SECONDS    3  /* for the server to notice that the last holder is gone */
#define PACKET_MIN      1048576

#define LOCK_NAME "CONCAT('muster ', SHA1(DATABASE()))"

/* A session of ours: our dialect whatever the server's, what each transaction sees is committed, no
 * wait is for ever, and a holder whose machine is gone loses the lock: see MU_MYSQL_IDLE. */
static const char session[] =
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', autocommit = 1,"
    " innodb_lock_wait_timeout = 10, lock_wait_timeout = 10, wait_timeout = 120,"
    " net_read_timeout = 60, net_write_timeout = 120";
static const char isolation[] = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/* ---- trouble in words ---- */

static int trouble(struct mu_mysql *db, unsigned no, const char *state, const char *text,
                   struct mu_err *err)
{
    const int passing = db->opening ? MU_EIO : MU_EAGAIN;
    const char *user = db->url.user, *database = db->url.database;

    switch (no) {
    case CR_OUT_OF_MEMORY:
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
    case CR_UNKNOWN_HOST:
        return mu_err_set(err, MU_EAGAIN,
                          "not reached: %s; start the server, or correct the address", text);
    case ER_ACCESS_DENIED_ERROR:
        return mu_err_set(err, db->opening ? MU_EPERM : MU_EAGAIN,
                          "%s; correct user and password in the URL, or its password_file", text);
    case ER_DBACCESS_DENIED_ERROR:
    case ER_TABLEACCESS_DENIED_ERROR:
        return mu_err_set(err, passing, "%s; GRANT ALL ON `%s`.* TO '%s'@...", text, database,
                          user);
    case ER_BAD_DB_ERROR:
        return mu_err_set(err, passing, "there is no database `%s`; make it: CREATE DATABASE `%s`",
                          database, database);
    case ER_CON_COUNT_ERROR:
    case ER_TOO_MANY_USER_CONNECTIONS:
        return mu_err_set(err, passing, "%s; raise max_connections or max_user_connections", text);
    case ER_DISK_FULL:
    case ER_RECORD_FILE_FULL:
    case ER_ERROR_ON_WRITE:
        return mu_err_set(err, passing, "no room: %s; make room on the server's disk", text);
    case ER_OPTION_PREVENTS_STATEMENT:
    case ER_READ_ONLY_MODE:
        return mu_err_set(err, passing, "may not be written: %s; name the server that takes writes",
                          text);
    case ER_LOCK_WAIT_TIMEOUT:
    case ER_LOCK_DEADLOCK:
        return mu_err_set(err, passing, "%s; another program has locked rows of `%s`", text,
                          database);
    default:
        break;
    }
    /* Data that the server will never take, and a row that is there twice. All else may be mended
     * there: the batch waits. */
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0)
        return mu_err_set(err, MU_EIO, "refused: %s (error %u)", text, no);
    return mu_err_set(err, passing, "%s (error %u)", text, no);
}

int mu_mysql_fail(struct mu_mysql *db, MYSQL_STMT *stmt, struct mu_err *err)
{
    return stmt
               ? trouble(db, mysql_stmt_errno(stmt), mysql_stmt_sqlstate(stmt),
                         mysql_stmt_error(stmt), err)
               : trouble(db, mysql_errno(db->my), mysql_sqlstate(db->my), mysql_error(db->my), err);
}

/* ---- statements ---- */

int mu_mysql_run(struct mu_mysql *db, struct mu_err *err, const char *fmt, ...)
{
    char sql[512];
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(sql, sizeof(sql), fmt, args);
    va_end(args);
    return mysql_real_query(db->my, sql, (unsigned long)n) ? mu_mysql_fail(db, NULL, err) : 0;
}

/* Runs @sql and copies its first row's columns; "" for NULL and for what is not there. */
static int read_texts(struct mu_mysql *db, const char *sql, char (*out)[300], size_t n,
                      struct mu_err *err)
{
    MYSQL_RES *result = NULL;

    for (size_t i = 0; i < n; i++)
        out[i][0] = '\0';
    if (!mysql_query(db->my, sql))
        result = mysql_store_result(db->my);
    if (!result)
        return mu_mysql_fail(db, NULL, err);
    MYSQL_ROW row = mysql_fetch_row(result);
    for (size_t i = 0; row && i < n; i++)
        snprintf(out[i], sizeof(out[i]), "%s", row[i] ? row[i] : "");
    mysql_free_result(result);
    return 0;
}

int mu_mysql_numbers(struct mu_mysql *db, const char *sql, uint64_t *out, size_t n,
                     struct mu_err *err)
{
    char texts[8][300];
    int rv = read_texts(db, sql, texts, n, err);

    for (size_t i = 0; i < n && !rv; i++)
        out[i] = strtoull(texts[i], NULL, 10);
    return rv;
}

/* ---- the connection ---- */

static void disconnect(struct mu_mysql *db)
{
    for (size_t i = 0; i < MU_MYSQL_N; i++) {
        if (db->kept[i])
            mysql_stmt_close(db->kept[i]);
        db->kept[i] = NULL;
    }
    if (db->my)
        mysql_close(db->my);
    db->my = NULL;
}

static void set_options(struct mu_mysql *db)
{
    const unsigned connect = CONNECT_SECONDS, answer = ANSWER_SECONDS, local = 0;
    const unsigned protocol = *db->url.host ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;
    const my_bool no = 0, yes = 1;

    mysql_options(db->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(db->my, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(db->my, MYSQL_OPT_CONNECT_TIMEOUT, &connect);
    mysql_options(db->my, MYSQL_OPT_READ_TIMEOUT, &answer);
    mysql_options(db->my, MYSQL_OPT_WRITE_TIMEOUT, &answer);
    mysql_options(db->my, MYSQL_OPT_RECONNECT, &no);
    mysql_options(db->my, MYSQL_OPT_LOCAL_INFILE, &local); /* no server may ask for our files */
    if (!*db->url.ssl_ca)
        return;
    mysql_options(db->my, MYSQL_OPT_SSL_CA, db->url.ssl_ca);
    mysql_options(db->my, MYSQL_OPT_SSL_ENFORCE, &yes);
    mysql_options(db->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    if (*db->url.ssl_cert) {
        mysql_options(db->my, MYSQL_OPT_SSL_CERT, db->url.ssl_cert);
        mysql_options(db->my, MYSQL_OPT_SSL_KEY, db->url.ssl_key);
    }
}

/* The library would tell of its own troubles with them, and not of the file. */
static int check_files(const struct mu_mysql *db, struct mu_err *err)
{
    const struct {
        const char *key, *path;
    } files[] = {
        {"ssl_ca", db->url.ssl_ca}, {"ssl_cert", db->url.ssl_cert}, {"ssl_key", db->url.ssl_key}};

    for (size_t i = 0; i < MU_ARRAY_LEN(files); i++)
        if (*files[i].path && access(files[i].path, R_OK))
            return mu_err_set(err, db->opening ? MU_EINVAL : MU_EAGAIN,
                              "%s %s: %s; name a file that this user can read", files[i].key,
                              files[i].path, strerror(errno));
    return 0;
}

static int check_server(struct mu_mysql *db, struct mu_err *err)
{
    uint64_t packet = 0;

    if (!mariadb_connection(db->my))
        return mu_err_set(err, MU_ENOTSUP, "this is MySQL %s; only MariaDB will do",
                          mysql_get_server_info(db->my));
    int rv = mu_mysql_numbers(db, "SELECT @@max_allowed_packet", &packet, 1, err);
    if (!rv && packet < PACKET_MIN)
        return mu_err_set(err, db->opening ? MU_EINVAL : MU_EAGAIN,
                          "the server's max_allowed_packet is %llu; raise it to %d or more",
                          (unsigned long long)packet, PACKET_MIN);
    db->packet = (size_t)packet;
    return rv;
}

static int connect_server(struct mu_mysql *db, struct mu_err *err)
{
    const struct mu_mysql_url *url = &db->url;
    char password[MU_MYSQL_PASSWORD];
    int rv = mu_mysql_password(url, password, err);

    if (rv)
        return db->opening ? rv : mu_err_wrap(err, MU_EAGAIN, "no password");
    rv = check_files(db, err);
    if (rv)
        return rv;
    db->my = mysql_init(NULL);
    if (!db->my)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    set_options(db);
    if (!mysql_real_connect(db->my, *url->host ? url->host : NULL, url->user, password,
                            url->database, url->port, *url->host ? NULL : url->unix_socket, 0))
        rv = mu_mysql_fail(db, NULL, err);
    explicit_bzero(password, sizeof(password));
    if (!rv)
        rv = check_server(db, err);
    if (!rv)
        rv = mu_mysql_run(db, err, session);
    return rv ? rv : mu_mysql_run(db, err, isolation);
}

/* ---- what is there ---- */

/* Looks without touching. *@schema is 0 for an empty database. */
static int look(struct mu_mysql *db, uint32_t *schema, struct mu_err *err)
{
    uint64_t seen[2], number = 0;
    int rv = mu_mysql_numbers(db,
                              "SELECT COUNT(*), SUM(table_name = 'meta' AND table_comment ="
                              " 'muster') FROM information_schema.tables"
                              " WHERE table_schema = DATABASE()",
                              seen, 2, err);

    if (!rv && seen[0] && !seen[1])
        return mu_err_set(err, db->opening ? MU_ECORRUPT : MU_EAGAIN,
                          "database `%s` has tables, but none of muster's; name another one",
                          db->url.database);
    if (!rv && seen[1])
        rv = mu_mysql_numbers(db, "SELECT value FROM meta WHERE `key` = 'schema'", &number, 1, err);
    *schema = (uint32_t)number;
    return rv;
}

static int migrate(struct mu_mysql *db, uint32_t from, struct mu_err *err)
{
    int rv = 0;

    for (uint32_t i = from; i < mu_mysql_nsteps && !rv; i++) {
        for (const char *const *sql = mu_mysql_steps[i]; *sql && !rv; sql++)
            rv = mysql_query(db->my, *sql) ? mu_mysql_fail(db, NULL, err) : 0;
        if (!rv)
            rv = mu_mysql_run(db, err, "UPDATE meta SET value = %u WHERE `key` = 'schema'", i + 1);
    }
    return rv;
}

/* ---- who may write ---- */

/* *@connection: the server's number of the one that has the lock, 0 = nobody. @who: "PID HOST" of a
 * conductor, "" where it is something else. */
static int find_holder(struct mu_mysql *db, uint64_t *connection, char who[300], struct mu_err *err)
{
    int rv = mu_mysql_numbers(db, "SELECT IS_USED_LOCK(" LOCK_NAME ")", connection, 1, err);
    char texts[1][300] = {""};
    char sql[128];

    snprintf(sql, sizeof(sql), "SELECT who FROM holder WHERE connection = %llu",
             (unsigned long long)*connection);
    if (!rv && *connection)
        rv = read_texts(db, sql, texts, 1, err);
    if (rv && mysql_errno(db->my) == ER_NO_SUCH_TABLE) /* its maker is at work */
        rv = 0;
    memcpy(who, texts[0], sizeof(texts[0]));
    return rv;
}

static int read_epoch(struct mu_mysql *db, uint32_t *epoch, struct mu_err *err)
{
    uint64_t value = 0;
    int rv = mu_mysql_numbers(db, "SELECT value FROM meta WHERE `key` = 'epoch'", &value, 1, err);

    *epoch = (uint32_t)value;
    return rv;
}

static int fenced(const struct mu_mysql *db, uint32_t epoch, struct mu_err *err)
{
    return mu_err_set(
        err, MU_ELOCKED,
        "database `%s` was taken over by another conductor, in start %u (ours was %u);"
        " stop this one",
        db->url.database, epoch, db->epoch);
}

/* What the server has left of our own last connection is told to go: what it was doing is undone,
 * or was done. The next attempt finds the lock free. */
static int held(struct mu_mysql *db, struct mu_err *err)
{
    uint64_t connection = 0;
    char who[300], pid[32];
    int rv = find_holder(db, &connection, who, err);
    const char *host = strchr(who, ' ');

    if (rv)
        return rv;
    if (host && !db->opening && connection == db->thread) {
        mu_mysql_run(db, NULL, "KILL CONNECTION %lu", db->thread);
        return mu_err_set(err, MU_EAGAIN, "the server has not yet ended our last connection");
    }
    if (!host)
        return mu_err_set(err, db->opening ? MU_ELOCKED : MU_EAGAIN,
                          "database `%s` is in use: connection %llu of its server holds the lock;"
                          " stop that one, or give this one another --store",
                          db->url.database, (unsigned long long)connection);
    snprintf(pid, sizeof(pid), "%.*s", (int)(host - who), who);
    return mu_err_set(
        err, db->opening ? MU_ELOCKED : MU_EAGAIN,
        "database `%s` is in use by the conductor with pid %s on %s; stop that one, or"
        " give this one another --store",
        db->url.database, pid, host + 1);
}

static int take_lock(struct mu_mysql *db, struct mu_err *err)
{
    uint64_t got = 0;
    char sql[128];

    snprintf(sql, sizeof(sql), "SELECT GET_LOCK(" LOCK_NAME ", %d)", LOCK_SECONDS);
    int rv = mu_mysql_numbers(db, sql, &got, 1, err);
    if (!rv && !got)
        rv = held(db, err);
    return rv;
}

static int write_holder(struct mu_mysql *db, struct mu_err *err)
{
    char host[256] = "", quoted[2 * sizeof(host)];

    gethostname(host, sizeof(host) - 1);
    mysql_real_escape_string(db->my, quoted, host, (unsigned long)strlen(host));
    int rv = mu_mysql_run(db, err, "REPLACE INTO holder VALUES (1, CONNECTION_ID(), '%ld %.256s')",
                          (long)getpid(), quoted);
    if (!rv)
        db->thread = mysql_thread_id(db->my);
    return rv;
}

int mu_mysql_begin(struct mu_mysql *db, struct mu_err *err)
{
    uint64_t epoch = 0;
    int rv = mu_mysql_run(db, err, "START TRANSACTION");

    if (!rv)
        rv = mu_mysql_numbers(db, "SELECT value FROM meta WHERE `key` = 'epoch' LOCK IN SHARE MODE",
                              &epoch, 1, err);
    return rv || epoch == db->epoch ? rv : fenced(db, (uint32_t)epoch, err);
}

int mu_mysql_end(struct mu_mysql *db, int rv, struct mu_err *err)
{
    if (!rv)
        rv = mu_mysql_run(db, err, "COMMIT");
    if (rv)
        mysql_rollback(db->my); /* a connection that is lost is rolled back by the server */
    return rv;
}

/* The new life is durable before anybody hears of it. */
static int begin_life(struct mu_mysql *db, struct mu_boot *boot, struct mu_err *err)
{
    uint64_t meta[3] = {0}, fleet = 0;
    int64_t drawn;
    int rv = mu_schema_draw_fleet(&drawn, err);

    if (!rv)
        rv = mu_mysql_run(db, err, "START TRANSACTION");

    if (!rv)
        rv = mu_mysql_run(db, err, "UPDATE meta SET value = value + 1 WHERE `key` = 'epoch'");
    if (!rv)
        rv = mu_mysql_run(db, err, "UPDATE meta SET value = value + %d WHERE `key` = 'event_limit'",
                          MU_STORE_GRANT);
    if (!rv)
        rv = mu_mysql_numbers(db,
                              "SELECT SUM(IF(`key` = 'epoch', value, 0)),"
                              " SUM(IF(`key` = 'event_limit', value, 0)),"
                              " SUM(IF(`key` = 'next_row', value, 0)) FROM meta",
                              meta, 3, err);
    if (!rv)
        rv = mu_mysql_run(
            db, err, "INSERT IGNORE INTO meta (`key`, value) VALUES ('fleet', %" PRId64 ")", drawn);
    if (!rv)
        rv = mu_mysql_numbers(db, "SELECT value FROM meta WHERE `key` = 'fleet'", &fleet, 1, err);
    if (!rv)
        rv = write_holder(db, err);
    if (!rv)
        rv = mu_schema_boot(&(struct mu_schema_meta){.epoch = (int64_t)meta[0],
                                                     .event_limit = (int64_t)meta[1],
                                                     .next_row = (int64_t)meta[2],
                                                     .fleet = (int64_t)fleet},
                            boot, err);
    rv = mu_mysql_end(db, rv, err);
    if (rv)
        return rv;
    db->epoch = boot->epoch;
    db->granted = boot->seq_end;
    db->next_row = boot->row;
    return 0;
}

/* What another server at the same address may not know: a copy can be older than our last commit.
 */
static int remind(struct mu_mysql *db, struct mu_err *err)
{
    const struct {
        const char *key;
        uint64_t value;
    } ours[] = {{"epoch", db->epoch}, {"event_limit", db->granted}, {"next_row", db->next_row}};
    int rv = 0;

    for (size_t i = 0; i < MU_ARRAY_LEN(ours) && !rv; i++)
        rv = mu_mysql_run(
            db, err, "UPDATE meta SET value = %llu WHERE `key` = '%s' AND value < %llu",
            (unsigned long long)ours[i].value, ours[i].key, (unsigned long long)ours[i].value);
    return rv;
}

/* ---- the driver's calls ---- */

static int open_again(struct mu_mysql *db, struct mu_err *err)
{
    uint32_t schema = 0, epoch = 0;

    disconnect(db);
    int rv = connect_server(db, err);
    if (!rv)
        rv = look(db, &schema, err);
    if (!rv && schema != mu_mysql_nsteps)
        rv = mu_err_set(err, MU_EAGAIN, "database `%s` has schema %u in place of ours, %u",
                        db->url.database, schema, mu_mysql_nsteps);
    if (!rv)
        rv = read_epoch(db, &epoch, err);
    if (!rv && epoch > db->epoch)
        return fenced(db, epoch, err);
    if (!rv)
        rv = take_lock(db, err);
    if (!rv)
        rv = mu_mysql_run(db, err, MU_MYSQL_TOLD);
    if (!rv)
        rv = remind(db, err);
    if (!rv)
        rv = write_holder(db, err);
    return rv;
}

int mu_mysql_open(void *st, const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
                  struct mu_err *err)
{
    struct mu_mysql *db = st;
    uint32_t schema = 0;
    int rv;

    db->opening = boot != NULL;
    if (!boot)
        return open_again(db, err);
    rv = mu_mysql_url_parse(&db->url, addr, err);
    if (!rv)
        rv = connect_server(db, err);
    if (!rv)
        rv = take_lock(db, err);
    if (!rv)
        rv = look(db, &schema, err);
    if (!rv)
        rv = mu_schema_check(schema, mu_mysql_nsteps, may_migrate, addr->text, err);
    if (!rv)
        rv = migrate(db, schema, err);
    if (!rv)
        rv = mu_mysql_run(db, err, MU_MYSQL_TOLD);
    if (!rv)
        rv = begin_life(db, boot, err);
    db->opening = false;
    return rv;
}

/* The lock goes with the connection. */
void mu_mysql_close(void *st)
{
    disconnect(st);
}

/* ---- without a life: status, upgrade, backup ---- */

/* A driver's state is too large for the stack. */
static int connect_new(struct mu_mysql **out, const struct mu_addr *addr, uint32_t *schema,
                       struct mu_err *err)
{
    struct mu_mysql *db = mu_alloc(sizeof(*db));

    *out = db;
    if (!db)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    db->opening = true;
    int rv = mu_mysql_url_parse(&db->url, addr, err);
    if (!rv)
        rv = connect_server(db, err);
    return rv ? rv : look(db, schema, err);
}

static void free_new(struct mu_mysql *db)
{
    if (db)
        disconnect(db);
    mu_free(db);
}

static int count_all(struct mu_mysql *db, struct mu_store_status *out, struct mu_err *err)
{
    uint64_t n[5] = {0};
    int rv = mu_mysql_numbers(db,
                              "SELECT (SELECT value FROM meta WHERE `key` = 'epoch'),"
                              " (SELECT COUNT(*) FROM agents),"
                              " (SELECT value FROM meta WHERE `key` = 'event_count'),"
                              " (SELECT MIN(seq) FROM events), (SELECT MAX(seq) FROM events)",
                              n, 5, err);

    if (rv)
        return rv;
    out->counted = true;
    out->epoch = (uint32_t)n[0];
    out->agents = n[1];
    out->events = n[2];
    out->span = (struct mu_event_span){.oldest = n[3], .newest = n[4]};
    return 0;
}

/* What another schema's tables do not tell is unknown, and no failure. */
int mu_mysql_status(const struct mu_addr *addr, struct mu_store_status *out, struct mu_err *err)
{
    struct mu_store_status status = {.writes = mu_mysql_nsteps};
    struct mu_mysql *db;
    uint64_t connection;
    int rv = connect_new(&db, addr, &status.schema, err);

    status.counted = !status.schema;
    if (!rv && status.schema)
        rv = count_all(db, &status, err);
    if (rv && status.schema && status.schema != status.writes)
        rv = 0;
    if (!rv && status.schema)
        rv = find_holder(db, &connection, status.holder, err);
    if (!rv)
        rv = mu_mysql_numbers(db,
                              "SELECT SUM(data_length + index_length) FROM"
                              " information_schema.tables WHERE table_schema = DATABASE()",
                              &status.bytes, 1, err);
    free_new(db);
    if (!rv)
        *out = status;
    return rv;
}

int mu_mysql_upgrade(const struct mu_addr *addr, uint32_t *from, uint32_t *to, struct mu_err *err)
{
    struct mu_mysql *db;
    uint32_t schema = 0;
    int rv = connect_new(&db, addr, &schema, err);

    if (!rv)
        rv = take_lock(db, err);
    if (!rv)
        rv = look(db, &schema, err); /* whoever had the lock may have changed it */
    if (!rv)
        rv = mu_schema_check(schema, mu_mysql_nsteps, true, addr->text, err);
    if (!rv)
        rv = migrate(db, schema, err);
    free_new(db);
    if (rv)
        return rv;
    *from = schema;
    *to = mu_mysql_nsteps;
    return 0;
}

int mu_mysql_backup(const struct mu_addr *addr, const char *path, struct mu_err *err)
{
    return mu_err_set(err, MU_ENOTSUP,
                      "a MariaDB is copied by its own tools: mariadb-dump --single-transaction"
                      " --result-file=%s %s; after restoring raise epoch by 1000 and event_limit by"
                      " 1000000000 in meta",
                      path, addr->path + (*addr->path == '/'));
}
