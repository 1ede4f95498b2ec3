/* The happy path of an open: the path made absolute, PATH.lock taken, the file made
 * with mode 0600, looked at (ours? which schema?), and only then changed: WAL, migration, a new
 * life.
 *
 * Nothing may be written before the look: the file may be somebody else's. A lost connection takes
 * the same way without lock and life. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/place.h"
#include "store/schema.h"
#include "store/sqlite.h"

#define BUSY_MS  1000       /* for another program's write: sqlite3 in somebody's shell */
#define WAL_LEFT "67108864" /* bytes a WAL may keep once it is copied back */

/* ---- trouble in words ---- */

int mu_sqlite_fail(struct mu_sqlite *db, int rc, struct mu_err *err)
{
    int passing = db->opening ? MU_EIO : MU_EAGAIN;
    int no = db->db ? sqlite3_system_errno(db->db) : 0;
    const char *text =
        db->db && sqlite3_errcode(db->db) == rc ? sqlite3_errmsg(db->db) : sqlite3_errstr(rc);

    if ((rc & 0xff) == SQLITE_FULL || ((rc & 0xff) == SQLITE_IOERR && no == ENOSPC))
        return mu_err_set(err, passing, "no room for %s; make room on that disk", db->path);
    if (rc == SQLITE_READONLY_DBMOVED)
        return mu_err_set(err, passing,
                          "%s was deleted, moved or replaced while in use; move it back, or restart"
                          " the conductor with what is there now",
                          db->path);
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return mu_err_set(err, MU_ENOMEM, "%s: out of memory", db->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return mu_err_set(err, db->opening ? MU_ELOCKED : MU_EAGAIN,
                          "%s is locked by another program; end its transaction", db->path);
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return mu_err_set(err, passing,
                          "cannot write %s: %s; this user must be able to write the file and its"
                          " folder",
                          db->path, no ? strerror(no) : text);
    case SQLITE_IOERR:
        return mu_err_set(err, passing, "%s: %s%s%s", db->path, text, no ? ": " : "",
                          no ? strerror(no) : "");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return mu_err_set(err, MU_ECORRUPT, "%s: %s; restore a backup, or move it out of the way",
                          db->path, text);
    default:
        return mu_err_set(err, MU_EIO, "%s: %s", db->path, text);
    }
}

/* ---- statements ---- */

static const char *const sql_of[MU_SQL_N] = {
#define SQL_OF(name, sql) [MU_SQL_##name] = (sql),
    MU_SQLITE_STATEMENTS(SQL_OF)
#undef SQL_OF
};

sqlite3_stmt *mu_sqlite_stmt(struct mu_sqlite *db, enum mu_sqlite_statement which)
{
    if (!db->kept[which])
        sqlite3_prepare_v3(db->db, sql_of[which], -1, SQLITE_PREPARE_PERSISTENT, &db->kept[which],
                           NULL);
    return db->kept[which];
}

int mu_sqlite_step(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);

    sqlite3_reset(stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : rc;
}

static int run(struct mu_sqlite *db, enum mu_sqlite_statement which)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, which);

    return stmt ? mu_sqlite_step(stmt) : sqlite3_extended_errcode(db->db);
}

/* What cannot be looked at for another reason, SQLite will tell of. */
static bool has_moved(const struct mu_sqlite *db)
{
    struct stat st;

    if (stat(db->path, &st))
        return errno == ENOENT;
    return st.st_dev != db->dev || st.st_ino != db->ino;
}

/* In WAL mode FULL syncs the log at each commit, and with it what was relaxed before. */
int mu_sqlite_begin(struct mu_sqlite *db, bool relaxed)
{
    if (has_moved(db))
        return SQLITE_READONLY_DBMOVED;
    if (db->relaxed != relaxed) {
        int rc =
            sqlite3_exec(db->db, relaxed ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL",
                         NULL, NULL, NULL);
        if (rc)
            return rc;
        db->relaxed = relaxed;
    }
    return run(db, MU_SQL_BEGIN);
}

int mu_sqlite_end(struct mu_sqlite *db, int rc, struct mu_err *err)
{
    if (!rc)
        rc = run(db, MU_SQL_COMMIT);
    if (!rc)
        return 0;
    int rv = mu_sqlite_fail(db, rc, err); /* first: the rollback has trouble of its own */
    if (db->db && !sqlite3_get_autocommit(db->db))
        run(db, MU_SQL_ROLLBACK);
    return rv;
}

int mu_sqlite_meta(struct mu_sqlite *db, const char *key, int64_t *value)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, MU_SQL_META_GET);

    if (!stmt)
        return sqlite3_extended_errcode(db->db);
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_INTEGER)
        rc = SQLITE_DONE;
    if (rc == SQLITE_ROW)
        *value = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

int mu_sqlite_meta_set(struct mu_sqlite *db, enum mu_sqlite_statement which, const char *key,
                       int64_t value)
{
    sqlite3_stmt *stmt = mu_sqlite_stmt(db, which);

    if (!stmt)
        return sqlite3_extended_errcode(db->db);
    sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, value);
    return mu_sqlite_step(stmt);
}

/* ---- the connection ---- */

static int read_number(struct mu_sqlite *db, const char *sql, int64_t *out)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);

    if (rc)
        return rc;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

static void disconnect(struct mu_sqlite *db)
{
    for (size_t i = 0; i < MU_SQL_N; i++) {
        sqlite3_finalize(db->kept[i]);
        db->kept[i] = NULL;
    }
    sqlite3_close(db->db);
    db->db = NULL;
    db->relaxed = false;
}

static int connect_file(struct mu_sqlite *db, int flags, struct mu_err *err)
{
    int rc = sqlite3_open_v2(db->path, &db->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    struct stat st;

    if (rc)
        return mu_sqlite_fail(db, rc, err);
    if (!db->ino && stat(db->path, &st) == 0) {
        db->dev = st.st_dev;
        db->ino = st.st_ino;
    }
    sqlite3_extended_result_codes(db->db, 1);
    sqlite3_busy_timeout(db->db, BUSY_MS);
    return 0;
}

/* Looks without touching. *@schema is 0 for an empty database. */
static int look(struct mu_sqlite *db, uint32_t *schema, struct mu_err *err)
{
    int64_t id = 0, version = 0, tables = 0;
    int rc = read_number(db, "PRAGMA application_id", &id);

    if (!rc)
        rc = read_number(db, "PRAGMA user_version", &version);
    if (!rc)
        rc = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc)
        return mu_sqlite_fail(db, rc, err);
    if (id != MU_SCHEMA_APPLICATION && (id || version || tables))
        return mu_err_set(err, MU_ECORRUPT,
                          "%s is an SQLite database, but none of muster's; name another file",
                          db->path);
    *schema = (uint32_t)version;
    return 0;
}

static int set_modes(struct mu_sqlite *db, struct mu_err *err)
{
    sqlite3_stmt *stmt;
    bool wal = false;
    int rc = sqlite3_prepare_v2(db->db, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);

    if (!rc) {
        rc = sqlite3_step(stmt);
        wal = rc == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
        rc = rc == SQLITE_ROW ? 0 : rc;
        sqlite3_finalize(stmt);
    }
    if (!rc && !wal)
        return mu_err_set(err, MU_EIO, "%s: this file system allows no write-ahead log", db->path);
    if (!rc)
        rc = sqlite3_exec(db->db,
                          "PRAGMA synchronous=FULL;"
                          "PRAGMA journal_size_limit=" WAL_LEFT,
                          NULL, NULL, NULL);
    return rc ? mu_sqlite_fail(db, rc, err) : 0;
}

static int migrate(struct mu_sqlite *db, uint32_t from, struct mu_err *err)
{
    char sql[128];
    int rc;

    if (from == mu_schema_sqlite_n)
        return 0;
    rc = mu_sqlite_begin(db, false);
    for (uint32_t i = from; i < mu_schema_sqlite_n && !rc; i++)
        rc = sqlite3_exec(db->db, mu_schema_sqlite[i], NULL, NULL, NULL);
    snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%u",
             MU_SCHEMA_APPLICATION, mu_schema_sqlite_n);
    if (!rc)
        rc = sqlite3_exec(db->db, sql, NULL, NULL, NULL);
    return mu_sqlite_end(db, rc, err);
}

/* As it will be, @more higher; 0 where it is gone, or no number. */
static int raised(struct mu_sqlite *db, const char *key, int64_t more, int64_t *out)
{
    int rc = mu_sqlite_meta(db, key, out);

    if (rc == SQLITE_CORRUPT || *out < 0)
        *out = rc = 0;
    else if (!rc && *out <= INT64_MAX - more)
        *out += more;
    return rc;
}

/* Looked at before anything is written. A number that no event can have had is behind none that
 * will come. */
static int begin_numbers(struct mu_sqlite *db, struct mu_boot *boot, struct mu_err *err)
{
    struct mu_schema_meta meta = {0};
    int64_t last = 0, drawn;
    int rv = mu_schema_draw_fleet(&drawn, err);

    if (rv)
        return rv;
    int rc = mu_sqlite_meta_set(db, MU_SQL_META_NEW, "fleet", drawn);

    if (!rc)
        rc = raised(db, "epoch", 1, &meta.epoch);
    if (!rc)
        rc = raised(db, "event_limit", MU_STORE_GRANT, &meta.event_limit);
    if (!rc)
        rc = raised(db, "next_row", 0, &meta.next_row);
    if (!rc)
        rc = raised(db, "fleet", 0, &meta.fleet);
    if (!rc)
        rc = read_number(db, "SELECT coalesce(max(seq), 0) FROM events", &last);
    if (rc)
        return mu_sqlite_fail(db, rc, err);
    rv = mu_schema_boot(&meta, boot, err);
    if (!rv && (last < 0 || (uint64_t)last >= boot->seq))
        rv = mu_err_set(err, MU_ECORRUPT,
                        "row %" PRId64 " of events is damaged: no event has had that number; delete"
                        " it, or restore a backup",
                        last);
    if (rv)
        return rv;
    rc = mu_sqlite_meta_set(db, MU_SQL_META_ADD, "epoch", 1);
    if (!rc)
        rc = mu_sqlite_meta_set(db, MU_SQL_META_ADD, "event_limit", MU_STORE_GRANT);
    return rc ? mu_sqlite_fail(db, rc, err) : 0;
}

/* The new life is durable before anybody hears of it. */
static int begin_life(struct mu_sqlite *db, struct mu_boot *boot, struct mu_err *err)
{
    int rc = mu_sqlite_begin(db, false), rv = rc ? mu_sqlite_fail(db, rc, err) : 0;
    struct mu_err undone;

    if (!rv)
        rv = begin_numbers(db, boot, err);
    if (rv)
        (void)mu_sqlite_end(db, SQLITE_ABORT, &undone);
    return rv ? rv : mu_sqlite_end(db, 0, err);
}

static int take_lock(struct mu_sqlite *db, struct mu_err *err)
{
    int fd, rv = mu_place_lock(db->path, &fd, err);

    if (!rv)
        db->lock = fd + 1;
    return rv;
}

static int open_file(struct mu_sqlite *db, const struct mu_addr *addr, bool may_migrate,
                     struct mu_err *err)
{
    uint32_t schema = 0;
    int rv = connect_file(db, SQLITE_OPEN_READWRITE, err);

    if (!rv)
        rv = look(db, &schema, err);
    if (!rv)
        rv = mu_schema_check(schema, mu_schema_sqlite_n, may_migrate, addr->text, err);
    if (!rv)
        rv = set_modes(db, err);
    return rv ? rv : migrate(db, schema, err);
}

static int find_path(struct mu_sqlite *db, const struct mu_addr *addr, struct mu_err *err)
{
    if (*addr->host || *addr->query)
        return mu_err_set(err, MU_EINVAL, "write sqlite:PATH, without %s",
                          *addr->host ? "a host" : "'?' in it");
    return mu_place_find(addr->path, db->path, err);
}

/* After a lost connection. Another file in the place of ours is not even opened: what waits in
 * memory belongs behind what is stored in ours, and so does the write-ahead log that lies beside
 * it. */
static int open_again(struct mu_sqlite *db, const struct mu_addr *addr, struct mu_err *err)
{
    disconnect(db);
    if (has_moved(db))
        return mu_sqlite_fail(db, SQLITE_READONLY_DBMOVED, err);
    return open_file(db, addr, false, err);
}

int mu_sqlite_open(void *st, const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
                   struct mu_err *err)
{
    struct mu_sqlite *db = st;
    int rv;

    db->opening = boot != NULL;
    if (!boot)
        return open_again(db, addr, err);
    rv = find_path(db, addr, err);
    if (!rv)
        rv = take_lock(db, err);
    if (!rv)
        rv = mu_place_make(db->path, false, err); /* SQLite would make it with mode 0644 */
    if (!rv)
        rv = open_file(db, addr, may_migrate, err);
    if (!rv)
        rv = mu_place_sync_folder(db->path, err);
    if (!rv)
        rv = begin_life(db, boot, err);
    db->opening = false;
    return rv;
}

/* The lock goes last, when nothing of ours can write any more. */
void mu_sqlite_close(void *st)
{
    struct mu_sqlite *db = st;

    disconnect(db);
    if (db->lock)
        close(db->lock - 1);
    db->lock = 0;
}

/* ---- without a life: status, upgrade, backup ---- */

static int find_file(struct mu_sqlite *db, const struct mu_addr *addr, struct mu_err *err)
{
    struct stat st;
    int rv = find_path(db, addr, err);

    if (rv)
        return rv;
    db->opening = true;
    if (stat(db->path, &st) && errno == ENOENT)
        return mu_err_set(err, MU_ENOENT,
                          "there is no %s; a conductor with this --store makes it at its start, or"
                          " name another place",
                          db->path);
    if (stat(db->path, &st))
        return mu_place_fail(err, MU_EIO, "find", db->path, errno);
    return 0;
}

static uint64_t size_of(const struct mu_sqlite *db, const char *suffix)
{
    char path[MU_PLACE_PATH + 8];
    struct stat st;

    snprintf(path, sizeof(path), "%s%s", db->path, suffix);
    return stat(path, &st) ? 0 : (uint64_t)st.st_size;
}

static int count_all(struct mu_sqlite *db, struct mu_store_status *out, struct mu_err *err)
{
    int64_t epoch = 0, agents = 0, events = 0, oldest = 0, newest = 0;
    int rc = mu_sqlite_meta(db, "epoch", &epoch);

    if (!rc)
        rc = read_number(db, "SELECT count(*) FROM agents", &agents);
    if (!rc)
        rc = mu_sqlite_meta(db, "event_count", &events);
    if (!rc)
        rc = read_number(db, "SELECT ifnull(min(seq), 0) FROM events", &oldest);
    if (!rc)
        rc = read_number(db, "SELECT ifnull(max(seq), 0) FROM events", &newest);
    if (rc)
        return mu_sqlite_fail(db, rc, err);
    out->counted = true;
    out->epoch = (uint32_t)epoch;
    out->agents = (uint64_t)agents;
    out->events = (uint64_t)events;
    out->span = (struct mu_event_span){.oldest = (uint64_t)oldest, .newest = (uint64_t)newest};
    return 0;
}

/* What another schema's tables do not tell is unknown, and no failure. */
int mu_sqlite_status(const struct mu_addr *addr, struct mu_store_status *out, struct mu_err *err)
{
    struct mu_sqlite db = {0};
    struct mu_store_status status = {.writes = mu_schema_sqlite_n};
    int rv = find_file(&db, addr, err);

    if (!rv)
        rv = connect_file(&db, SQLITE_OPEN_READWRITE, err);
    if (!rv)
        rv = look(&db, &status.schema, err);
    status.counted = !status.schema;
    if (!rv && status.schema)
        rv = count_all(&db, &status, err);
    if (rv && status.schema && status.schema != status.writes)
        rv = 0;
    mu_sqlite_close(&db);
    if (rv)
        return rv;
    status.bytes = size_of(&db, "") + size_of(&db, "-wal");
    mu_place_holder(db.path, status.holder, sizeof(status.holder));
    *out = status;
    return 0;
}

int mu_sqlite_upgrade(const struct mu_addr *addr, uint32_t *from, uint32_t *to, struct mu_err *err)
{
    struct mu_sqlite db = {0};
    uint32_t schema = 0;
    int rv = find_file(&db, addr, err);

    if (!rv)
        rv = take_lock(&db, err);
    if (!rv)
        rv = connect_file(&db, SQLITE_OPEN_READWRITE, err);
    if (!rv)
        rv = look(&db, &schema, err);
    if (!rv)
        rv = mu_schema_check(schema, mu_schema_sqlite_n, true, addr->text, err);
    if (!rv)
        rv = set_modes(&db, err);
    if (!rv)
        rv = migrate(&db, schema, err);
    mu_sqlite_close(&db);
    if (rv)
        return rv;
    *from = schema;
    *to = mu_schema_sqlite_n;
    return 0;
}

/* Whoever restores a copy comes from a past that others remember: numbers given out since then must
 * not be given out again. */
static const char leap[] = "UPDATE meta SET value = value + 1000 WHERE key = 'epoch';"
                           "UPDATE meta SET value = value + 1000000000 WHERE key = 'event_limit';";

/* One read transaction over all of it: a conductor may go on writing to its log meanwhile. */
static int copy(struct mu_sqlite *from, struct mu_sqlite *to, uint32_t schema, struct mu_err *err)
{
    int rv = connect_file(to, SQLITE_OPEN_READWRITE, err);

    if (rv)
        return rv;
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!backup)
        return mu_sqlite_fail(to, sqlite3_extended_errcode(to->db), err);
    int rc = sqlite3_backup_step(backup, -1);
    sqlite3_backup_finish(backup);
    /* The trouble is the reader's or the writer's; what it says names the file. */
    if (rc != SQLITE_DONE)
        return mu_sqlite_fail((sqlite3_errcode(to->db) & 0xff) == (rc & 0xff) ? to : from, rc, err);
    rc = schema ? sqlite3_exec(to->db, leap, NULL, NULL, NULL) : 0;
    return rc ? mu_sqlite_fail(to, rc, err) : 0;
}

int mu_sqlite_backup(const struct mu_addr *addr, const char *path, struct mu_err *err)
{
    struct mu_sqlite from = {0}, to = {.opening = true};
    uint32_t schema = 0;
    int rv = find_file(&from, addr, err);

    if (!rv)
        rv = connect_file(&from, SQLITE_OPEN_READWRITE, err);
    if (!rv)
        rv = look(&from, &schema, err);
    if (!rv)
        rv = mu_place_find(path, to.path, err);
    if (rv) {
        mu_sqlite_close(&from);
        return rv;
    }
    rv = mu_place_make(to.path, true, err);
    if (!rv) {
        rv = copy(&from, &to, schema, err);
        disconnect(&to);
        if (!rv)
            rv = mu_place_sync_folder(to.path, err);
        if (rv)
            unlink(to.path);
    }
    mu_sqlite_close(&from);
    return rv;
}
