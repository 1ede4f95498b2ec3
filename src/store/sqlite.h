/* sqlite.h - what the two halves of the SQLite driver share: sqlite_open.c finds, locks, checks and
 * migrates the file; sqlite.c reads and writes its tables. */
#ifndef MU_STORE_SQLITE_H
#define MU_STORE_SQLITE_H

#include <sqlite3.h>
#include <sys/types.h>

#include "store/driver.h"
#include "store/place.h"

/* Statements that are kept prepared, and their SQL. */
#define MU_SQLITE_STATEMENTS(X)                                                                    \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(META_GET, "SELECT value FROM meta WHERE key = ?1")                                           \
    X(META_RAISE, "UPDATE meta SET value = max(value, ?2) WHERE key = ?1")                         \
    X(META_NEW, "INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)")                         \
    X(META_ADD, "UPDATE meta SET value = value + ?2 WHERE key = ?1")                               \
    X(ROW, "INSERT INTO agents (id, uuid, binary, host, zone, labels, version, status,"            \
           " disabled_reason, forced_down, forced_reason, revision, joined_at, start_id,"          \
           " incarnation, session, session_index, report_interval_ms) VALUES (?1, ?2, ?3, ?4, ?5," \
           " ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) ON CONFLICT (id) DO"     \
           " UPDATE SET zone = ?5, labels = ?6, version = ?7, status = ?8, disabled_reason = ?9,"  \
           " forced_down = ?10, forced_reason = ?11, revision = ?12, joined_at = ?13,"             \
           " start_id = ?14, incarnation = ?15, session = ?16, session_index = ?17,"               \
           " report_interval_ms = ?18")                                                            \
    X(ROW_BEAT, "INSERT INTO beats VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (agent) DO UPDATE"  \
                " SET last_seen_at = ?2, report_count = ?3, state = ?4, state_reason = ?5,"        \
                " state_since = ?6")                                                               \
    X(VERDICT, "UPDATE beats SET last_seen_at = ?2, report_count = ?3, state = ?4,"                \
               " state_reason = ?5, state_since = ?6 WHERE agent = ?1")                            \
    X(DELETE_ROW, "DELETE FROM agents WHERE id = ?1")                                              \
    X(DELETE_BEAT, "DELETE FROM beats WHERE agent = ?1")                                           \
    X(DELETE_PAYLOAD, "DELETE FROM payloads WHERE agent = ?1")                                     \
    X(EVENT, "INSERT OR IGNORE INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")           \
    X(PAYLOAD, "INSERT OR REPLACE INTO payloads SELECT id, ?2, ?3 FROM agents WHERE id = ?1")      \
    X(BEAT, "UPDATE beats SET last_seen_at = ?2, report_count = ?3 WHERE agent = ?1")              \
    X(GET_PAYLOAD, "SELECT json FROM payloads WHERE agent = ?1")                                   \
    X(SPAN, "SELECT (SELECT min(seq) FROM events), (SELECT max(seq) FROM events)")                 \
    X(OLDEST, "SELECT seq, at FROM events ORDER BY seq LIMIT ?1")                                  \
    X(TRIM, "DELETE FROM events WHERE seq <= ?1")

enum mu_sqlite_statement {
#define MU_SQLITE_STATEMENT_(name, sql) MU_SQL_##name,
    MU_SQLITE_STATEMENTS(MU_SQLITE_STATEMENT_)
#undef MU_SQLITE_STATEMENT_
        MU_SQL_N
};

struct mu_sqlite {
    sqlite3 *db;
    sqlite3_stmt *kept[MU_SQL_N];
    bool relaxed; /* synchronous = NORMAL */
    bool opening; /* there is no life yet: trouble is final */
    dev_t dev;    /* the file of the first connection: another one of that name is not ours */
    ino_t ino;    /* 0 = there was no connection yet */
    int lock;     /* descriptor of PATH.lock, plus 1; 0 = none */
    char path[MU_PLACE_PATH];
};

/* The driver's calls. */
int mu_sqlite_open(void *st, const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
                   struct mu_err *err);
void mu_sqlite_close(void *st);
int mu_sqlite_status(const struct mu_addr *addr, struct mu_store_status *out, struct mu_err *err);
int mu_sqlite_upgrade(const struct mu_addr *addr, uint32_t *from, uint32_t *to, struct mu_err *err);
int mu_sqlite_backup(const struct mu_addr *addr, const char *path, struct mu_err *err);

/* Puts the database's last trouble, or what @rc stands for, into words. Returns a MU_E code. */
int mu_sqlite_fail(struct mu_sqlite *db, int rc, struct mu_err *err);

/* The statement, prepared and reset; NULL: mu_sqlite_fail() knows why. */
sqlite3_stmt *mu_sqlite_stmt(struct mu_sqlite *db, enum mu_sqlite_statement which);

/* Runs a statement without rows, whose parameters are bound; resets it. 0 or SQLite's code. */
int mu_sqlite_step(sqlite3_stmt *stmt);

/* BEGIN; with @relaxed the commit may be lost when power is. 0 or SQLite's code, which may say that
 * the file is no more where it was: a commit would go where nobody finds it. */
int mu_sqlite_begin(struct mu_sqlite *db, bool relaxed);

/* COMMIT when @rc is 0 and that succeeds, else ROLLBACK and why in @err. 0 or MU_E. */
int mu_sqlite_end(struct mu_sqlite *db, int rc, struct mu_err *err);

int mu_sqlite_meta(struct mu_sqlite *db, const char *key, int64_t *value);
/* @which is META_RAISE, META_NEW or META_ADD. */
int mu_sqlite_meta_set(struct mu_sqlite *db, enum mu_sqlite_statement which, const char *key,
                       int64_t value);

#endif
