/* The happy path: a statement is sent while what comes back is read, its results are taken, the
 * first that failed is told of.
 *
 * The ways to fail. The server says no: in its words, with a cure of ours, and sorted into what
 * passes and what does not. The server says nothing: its own statement_timeout should have ended
 * the statement; a server that is frozen, or a proxy before one that is gone, cannot, so that a
 * connection without a byte for ANSWER_MAX is given up. */
#include "store/postgres.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define ANSWER_MAX (75 * MU_SEC) /* somewhat above SETTINGS' statement_timeout */
#define PIECE_ROWS 5000 /* in one statement: its arrays stay small, twice, here and there */
#define PIECE_MAX  ((size_t)2 << 20) /* bytes of one array */

/* ---- trouble in words ---- */

struct trouble {
    const char *state; /* SQLSTATE, or its first two letters */
    int code;          /* 0 = passes: MU_EAGAIN in a life, MU_EIO before there is one */
    const char *cure;
};

static const struct trouble troubles[] = {
    {"0A", MU_EIO, ""},
    {"22", MU_EIO, ""},
    {"23", MU_EIO, ""},
    {"25006", 0,
     "; this is a standby that only reads: name the primary, or add target_session_attrs=read-write"
     " to the URL"},
    {"28", 0, "; correct user and password in the URL, its passfile, or the server's pg_hba.conf"},
    {"3D", 0, "; create the database, or name another one in the URL"},
    {"3F", 0, "; create the schema, or name another one in search_path"},
    {"42501", 0, "; let that user own the database, or grant it CREATE on the schema"},
    {"42P01", 0, "; restore the tables, or name the database that has them"},
    {"53100", 0, "; make room on the server's disk"},
    {"53300", 0, "; raise max_connections on the server, or end other programs"},
    {"54", MU_EIO, ""},
    {"XX001", MU_ECORRUPT, "; restore a backup"},
    {"XX002", MU_ECORRUPT, "; REINDEX it, or restore a backup"},
};

static const struct trouble *find_trouble(const char *state)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(troubles); i++)
        if (strncmp(state, troubles[i].state, strlen(troubles[i].state)) == 0)
            return &troubles[i];
    return NULL;
}

/* What the library says is several lines, some with a tab or two blanks, and ends in one. Its own
 * question whether the server is running, one for each host, is asked once, by us. */
static void copy_line(char *out, size_t size, const char *text)
{
    static const char asked[] = "\n\tIs the server running";
    size_t n = 0;

    for (; *text && n + 3 < size; text++) {
        bool blank = *text == ' ' || *text == '\t';

        if (strncmp(text, asked, strlen(asked)) == 0) {
            text += strcspn(text + 1, "\n");
        } else if (*text == '\n' && text[1]) {
            out[n++] = ';';
            out[n++] = ' ';
        } else if (*text != '\n' && !(blank && n && out[n - 1] == ' ')) {
            out[n++] = blank ? ' ' : *text;
        }
    }
    out[n] = '\0';
}

/* Why @path gave no password: the library passes over such a file in silence. */
static const char *passfile_lacks(const char *path)
{
    struct stat st;

    if (stat(path, &st) || access(path, R_OK))
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "is no plain file";
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return "is not for its owner alone: chmod 600 it";
    return "has no line for this server, database and user";
}

static int no_password(PGconn *conn, const char *text, struct mu_err *err)
{
    PQconninfoOption *options = PQconninfo(conn);
    const char *path = NULL;

    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        if (strcmp(o->keyword, "passfile") == 0)
            path = o->val;
    mu_err_set(err, MU_EPERM,
               "%s; passfile %s: %s; write the password in a file of mode 0600 and passfile=FILE in"
               " the URL, or the password itself",
               text, path ? path : "", path ? passfile_lacks(path) : "none");
    PQconninfoFree(options);
    return MU_EPERM;
}

/* Of a connection that was not made at the start; the code says what it is to whoever started us.
 */
static int connect_fail(PGconn *conn, const char *text, struct mu_err *err)
{
    const char *database = PQdb(conn);

    if (strstr(text, "database \"") && strstr(text, "does not exist"))
        return mu_err_set(err, MU_EIO,
                          "%s; create it: createdb --encoding UTF8 --template template0 %s, or"
                          " correct the URL",
                          text, database ? database : "");
    if (strstr(text, "does not exist"))
        return mu_err_set(err, MU_EPERM, "%s; create it, or correct the URL", text);
    if (PQconnectionNeedsPassword(conn))
        return no_password(conn, text, err);
    if (PQconnectionUsedPassword(conn) || strstr(text, "pg_hba.conf"))
        return mu_err_set(err, MU_EPERM,
                          "%s; correct user and password in the URL, its passfile, or the server's"
                          " pg_hba.conf",
                          text);
    return mu_err_set(err, MU_EAGAIN, "%s; is the server running, and the URL right?", text);
}

int mu_pg_fail(struct mu_postgres *db, const PGresult *result, struct mu_err *err)
{
    int passing = db->opening ? MU_EIO : MU_EAGAIN;
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const struct trouble *trouble = state ? find_trouble(state) : NULL;
    char text[600];

    if (!db->conn)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (state) {
        copy_line(text, sizeof(text), PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
        return mu_err_set(err, trouble && trouble->code ? trouble->code : passing,
                          "%s (SQLSTATE %s)%s", text, state, trouble ? trouble->cure : "");
    }
    copy_line(text, sizeof(text), result ? PQresultErrorMessage(result) : PQerrorMessage(db->conn));
    if (!*text)
        return mu_err_set(err, MU_ENOMEM, "the client library is out of memory");
    if (db->opening && PQstatus(db->conn) == CONNECTION_BAD)
        return connect_fail(db->conn, text, err);
    return mu_err_set(err, passing, "%s", text);
}

/* ---- over and back ---- */

/* Waits for one of @events on the connection. */
static int wait_for(struct mu_postgres *db, short events, struct mu_err *err)
{
    mu_time end = mu_clock_now() + ANSWER_MAX;
    struct pollfd pfd = {.fd = PQsocket(db->conn), .events = events};

    for (;;) {
        mu_dur left = end - mu_clock_now();
        if (pfd.fd < 0 || PQstatus(db->conn) == CONNECTION_BAD)
            return mu_pg_fail(db, NULL, err);
        if (left <= 0)
            return mu_err_set(err, db->opening ? MU_EIO : MU_EAGAIN,
                              "the server has not said anything for %lld s; is it frozen?",
                              (long long)(ANSWER_MAX / MU_SEC));
        if (poll(&pfd, 1, (int)(left / MU_MS) + 1) > 0)
            return 0;
    }
}

int mu_pg_await(struct mu_postgres *db, struct mu_err *err)
{
    int rv = wait_for(db, POLLIN, err);

    if (!rv && !PQconsumeInput(db->conn))
        rv = mu_pg_fail(db, NULL, err);
    return rv;
}

/* Sends all there is to send, reading meanwhile: a server that waits for us to read reads nothing
 * itself. */
static int push(struct mu_postgres *db, struct mu_err *err)
{
    int more, rv = 0;

    while (!rv && (more = PQflush(db->conn)) != 0) {
        if (more < 0)
            return mu_pg_fail(db, NULL, err);
        rv = wait_for(db, POLLIN | POLLOUT, err);
        if (!rv && !PQconsumeInput(db->conn))
            rv = mu_pg_fail(db, NULL, err);
    }
    return rv;
}

/* Reads every result of what was sent, up to the end mark, without which nothing else could be
 * sent. The last result is handed out, unless one failed. */
static int take(struct mu_postgres *db, PGresult **out, struct mu_err *err)
{
    PGresult *last = NULL, *result;
    int rv = push(db, err), failed = 0;

    while (!rv) {
        if (PQisBusy(db->conn)) {
            rv = mu_pg_await(db, err);
            continue;
        }
        result = PQgetResult(db->conn);
        if (!result)
            break;
        PQclear(last);
        last = result;
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_COPY_OUT)
            break; /* its rows come next */
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && !failed)
            failed = mu_pg_fail(db, result, err);
    }
    if (!rv)
        rv = failed;
    if (!rv && out)
        *out = last;
    else
        PQclear(last);
    return rv;
}

int mu_pg_run(struct mu_postgres *db, const char *sql, PGresult **out, struct mu_err *err)
{
    return PQsendQuery(db->conn, sql) ? take(db, out, err) : mu_pg_fail(db, NULL, err);
}

int mu_pg_ask(struct mu_postgres *db, const char *sql, const char *const *values, int n,
              PGresult **out, struct mu_err *err)
{
    return PQsendQueryParams(db->conn, sql, n, NULL, values, NULL, NULL, 0)
               ? take(db, out, err)
               : mu_pg_fail(db, NULL, err);
}

int mu_pg_finish(struct mu_postgres *db, struct mu_err *err)
{
    return take(db, NULL, err);
}

static const char *const sql_of[MU_PG_N] = {
#define SQL_OF(name, sql) [MU_PG_##name] = (sql),
    MU_PG_STATEMENTS(SQL_OF)
#undef SQL_OF
};

static const char *const name_of[MU_PG_N] = {
#define NAME_OF(name, sql) [MU_PG_##name] = #name,
    MU_PG_STATEMENTS(NAME_OF)
#undef NAME_OF
};

static int prepare(struct mu_postgres *db, enum mu_pg_statement which, struct mu_err *err)
{
    if (db->prepared[which])
        return 0;
    int rv = PQsendPrepare(db->conn, name_of[which], sql_of[which], 0, NULL)
                 ? take(db, NULL, err)
                 : mu_pg_fail(db, NULL, err);
    db->prepared[which] = rv == 0;
    return rv;
}

static int send_kept(struct mu_postgres *db, enum mu_pg_statement which, const char *const *values,
                     const int *lengths, int n, PGresult **out, struct mu_err *err)
{
    static const int binary[MU_PG_ARRAYS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    int rv = prepare(db, which, err);

    if (rv)
        return rv;
    return PQsendQueryPrepared(db->conn, name_of[which], n, values, lengths, binary, 1)
               ? take(db, out, err)
               : mu_pg_fail(db, NULL, err);
}

int mu_pg_call(struct mu_postgres *db, enum mu_pg_statement which, const int64_t *numbers, int n,
               PGresult **out, struct mu_err *err)
{
    uint8_t bytes[4][8];
    const char *values[4];
    int lengths[4];

    for (int i = 0; i < n; i++) {
        mu_put64(bytes[i], (uint64_t)numbers[i]);
        values[i] = (const char *)bytes[i];
        lengths[i] = 8;
    }
    return send_kept(db, which, values, lengths, n, out, err);
}

int64_t mu_pg_int(const PGresult *result, int row, int column)
{
    return (int64_t)mu_get64((const uint8_t *)PQgetvalue(result, row, column));
}

/* ---- a transaction ---- */

int mu_pg_check_life(const struct mu_postgres *db, int64_t epoch, struct mu_err *err)
{
    if (epoch == db->epoch)
        return 0;
    return mu_err_set(
        err, MU_ELOCKED,
        "another conductor has taken this database over: its life is number %lld, ours"
        " was %u; end one of the two",
        (long long)epoch, db->epoch);
}

int mu_pg_begin(struct mu_postgres *db, bool relaxed, struct mu_err *err)
{
    PGresult *result = NULL;
    int rv = mu_pg_run(db,
                       relaxed ? "BEGIN; SET LOCAL synchronous_commit = off;"
                                 "SELECT value FROM meta WHERE key = 'epoch' FOR SHARE"
                               : "BEGIN; SELECT value FROM meta WHERE key = 'epoch' FOR SHARE",
                       &result, err);

    if (rv)
        return mu_pg_end(db, rv, err);
    rv = PQntuples(result) ? mu_pg_check_life(db, strtoll(PQgetvalue(result, 0, 0), NULL, 10), err)
                           : mu_err_set(err, MU_ECORRUPT, "meta: the row of the epoch is gone");
    PQclear(result);
    return rv ? mu_pg_end(db, rv, err) : 0;
}

int mu_pg_end(struct mu_postgres *db, int rv, struct mu_err *err)
{
    if (!rv)
        return mu_pg_run(db, "COMMIT", NULL, err);
    if (PQtransactionStatus(db->conn) != PQTRANS_IDLE)
        mu_pg_run(db, "ROLLBACK", NULL, NULL); /* or the connection is gone, and all with it */
    return rv;
}

/* ---- arrays ---- */

void mu_pg_reset(struct mu_postgres *db)
{
    for (int i = 0; i < MU_PG_ARRAYS; i++)
        mu_buf_reset(&db->arrays[i]);
    db->n = 0;
}

/* The header of a one-dimensional array comes before its first item; how many there are, last. */
static struct mu_buf *array(struct mu_postgres *db, int column, enum mu_pg_type type)
{
    struct mu_buf *buf = &db->arrays[column];

    if (buf->len == 0) {
        mu_buf_u32(buf, 1); /* dimensions */
        mu_buf_u32(buf, 0); /* no item is NULL */
        mu_buf_u32(buf, type);
        mu_buf_u32(buf, 0);
        mu_buf_u32(buf, 1); /* the first index */
    }
    return buf;
}

void mu_pg_put_int(struct mu_postgres *db, int column, int64_t value)
{
    uint8_t *p = mu_buf_grow(array(db, column, MU_PG_INT), 12);

    if (p) {
        mu_put32(p, 8);
        mu_put64(p + 4, (uint64_t)value);
    }
}

void mu_pg_put_bool(struct mu_postgres *db, int column, bool value)
{
    struct mu_buf *buf = array(db, column, MU_PG_BOOL);

    mu_buf_u32(buf, 1);
    mu_buf_u8(buf, value);
}

void mu_pg_put_text(struct mu_postgres *db, int column, const char *text, size_t n)
{
    struct mu_buf *buf = array(db, column, MU_PG_TEXT);

    mu_buf_u32(buf, (uint32_t)n);
    mu_buf_put(buf, text, n);
}

bool mu_pg_full(const struct mu_postgres *db)
{
    if (db->n >= PIECE_ROWS)
        return true;
    for (int i = 0; i < MU_PG_ARRAYS; i++)
        if (db->arrays[i].len >= PIECE_MAX)
            return true;
    return false;
}

int mu_pg_send(struct mu_postgres *db, enum mu_pg_statement which, int n, uint64_t *changed,
               struct mu_err *err)
{
    const char *values[MU_PG_ARRAYS];
    int lengths[MU_PG_ARRAYS];
    PGresult *result = NULL;

    for (int i = 0; i < n; i++) {
        struct mu_buf *buf = &db->arrays[i];
        if (buf->failed)
            return mu_err_set(err, MU_ENOMEM, "out of memory");
        mu_put32(buf->data + 12, (uint32_t)db->n);
        values[i] = (const char *)buf->data;
        lengths[i] = (int)buf->len;
    }
    int rv = send_kept(db, which, values, lengths, n, &result, err);
    if (rv)
        return rv;
    if (changed)
        *changed = strtoull(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return 0;
}
