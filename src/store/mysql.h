/* mysql.h - what the two halves of the MariaDB driver share: mysql_open.c connects, locks, checks
 * and migrates; mysql.c reads and writes the tables.
 *
 * Calls return 0 or a MU_E code with the reason in @err. After one that failed the connection may
 * be of no use: the front opens it anew. */
#ifndef MU_STORE_MYSQL_H
#define MU_STORE_MYSQL_H

#include <mysql.h>

#include "store/driver.h"
#include "store/mysql_url.h"

/* A quarter of the time after which the server lets go of us. */
#define MU_MYSQL_IDLE (30 * MU_SEC)

#define MU_MYSQL_CHUNK   500 /* rows that go to the server in one message */
#define MU_MYSQL_COLUMNS 18  /* of the widest table */

/* Statements that are kept prepared: what their parameters are, and their SQL. u and i are whole
 * numbers without and with sign, t is a text. All are given arrays of values, so that many rows
 * cost one message. `x = x` counts no row that is there already, and unlike IGNORE hides no error.
 */
#define MU_MYSQL_STATEMENTS(X)                                                                     \
    X(ROW, "uttttttttutuiuuuuu",                                                                   \
      "INSERT INTO agents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"           \
      " ON DUPLICATE KEY UPDATE zone = VALUES(zone), labels = VALUES(labels),"                     \
      " version = VALUES(version), status = VALUES(status),"                                       \
      " disabled_reason = VALUES(disabled_reason), forced_down = VALUES(forced_down),"             \
      " forced_reason = VALUES(forced_reason), revision = VALUES(revision),"                       \
      " joined_at = VALUES(joined_at),"                                                            \
      " start_id = VALUES(start_id), incarnation = VALUES(incarnation),"                           \
      " session = VALUES(session), session_index = VALUES(session_index),"                         \
      " report_interval_ms = VALUES(report_interval_ms)")                                          \
    X(ROW_BEAT, "uiutti",                                                                          \
      "INSERT INTO beats VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE"                        \
      " last_seen_at = VALUES(last_seen_at), report_count = VALUES(report_count),"                 \
      " state = VALUES(state), state_reason = VALUES(state_reason),"                               \
      " state_since = VALUES(state_since)")                                                        \
    X(TOLD_ROW, "uiutti", "INSERT INTO told VALUES (?, ?, ?, ?, ?, ?)")                            \
    X(DELETE_ROW, "u", "DELETE FROM agents WHERE id = ?")                                          \
    X(DELETE_BEAT, "u", "DELETE FROM beats WHERE agent = ?")                                       \
    X(DELETE_PAYLOAD, "u", "DELETE FROM payloads WHERE agent = ?")                                 \
    X(EVENT, "uittttttt",                                                                          \
      "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE seq = seq")   \
    X(PAYLOAD, "uut",                                                                              \
      "INSERT INTO payloads VALUES (?, ?, ?)"                                                      \
      " ON DUPLICATE KEY UPDATE bytes = VALUES(bytes), json = VALUES(json)")                       \
    X(ORPHAN, "u", "DELETE FROM payloads WHERE agent = ? AND agent NOT IN (SELECT id FROM agents)")

enum mu_mysql_statement {
#define MU_MYSQL_STATEMENT_(name, kinds, sql) MU_MYSQL_##name,
    MU_MYSQL_STATEMENTS(MU_MYSQL_STATEMENT_)
#undef MU_MYSQL_STATEMENT_
        MU_MYSQL_N
};

/* One column of the rows that are on their way. */
struct mu_mysql_column {
    union {
        uint64_t number[MU_MYSQL_CHUNK];
        const char *text[MU_MYSQL_CHUNK];
    } of;
    unsigned long length[MU_MYSQL_CHUNK]; /* of a text */
};

struct mu_mysql {
    struct mu_mysql_url url;
    MYSQL *my; /* NULL = not connected */
    MYSQL_STMT *kept[MU_MYSQL_N];
    size_t packet;        /* bytes that the server takes in one message */
    bool opening;         /* there is no life yet: trouble is final */
    unsigned long thread; /* the server's number of the last connection that held the lock */
    uint32_t epoch;       /* of our life; 0 = there is none */
    uint64_t granted;     /* event numbers below it are ours */
    uint32_t next_row;
    /* The rows that are on their way, and what their texts are made in. */
    struct mu_mysql_column column[MU_MYSQL_COLUMNS];
    struct mu_event_scratch scratch[MU_MYSQL_CHUNK];
};

/* The driver's calls. */
int mu_mysql_open(void *st, const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
                  struct mu_err *err);
void mu_mysql_close(void *st);
int mu_mysql_status(const struct mu_addr *addr, struct mu_store_status *out, struct mu_err *err);
int mu_mysql_upgrade(const struct mu_addr *addr, uint32_t *from, uint32_t *to, struct mu_err *err);
int mu_mysql_backup(const struct mu_addr *addr, const char *path, struct mu_err *err);

/* Puts what the connection or @stmt (NULL = the connection) complains of into words. */
int mu_mysql_fail(struct mu_mysql *db, MYSQL_STMT *stmt, struct mu_err *err);

/* A table of the connection's own, in memory: what is to be changed of `beats` that are there. To
 * join it with them takes two thirds of the time that as many UPDATEs in one message take. */
#define MU_MYSQL_TOLD                                                                              \
    "CREATE TEMPORARY TABLE told (agent INT UNSIGNED NOT NULL, last_seen_at BIGINT NOT NULL,"      \
    " report_count BIGINT UNSIGNED NOT NULL, state VARCHAR(16) NOT NULL, state_reason VARCHAR(64)" \
    " NOT NULL, state_since BIGINT NOT NULL) ENGINE=MEMORY"                                        \
    " CHARACTER SET ascii COLLATE ascii_nopad_bin"

/* Runs a statement without rows. */
int mu_mysql_run(struct mu_mysql *db, struct mu_err *err, const char *fmt, ...) MU_PRINTF(3, 4);

/* Reads one row of at most @n numbers; NULL is 0, and so is what is not there. */
int mu_mysql_numbers(struct mu_mysql *db, const char *sql, uint64_t *out, size_t n,
                     struct mu_err *err);

/* Begins a transaction that only this life may commit: MU_ELOCKED when a later one has begun. */
int mu_mysql_begin(struct mu_mysql *db, struct mu_err *err);

/* COMMIT when @rv is 0 and that succeeds, else ROLLBACK. */
int mu_mysql_end(struct mu_mysql *db, int rv, struct mu_err *err);

/* Step i brings schema i to i + 1; schema 0 is the empty database. Ends with NULL. */
extern const char *const *const mu_mysql_steps[];
extern const uint32_t mu_mysql_nsteps;

#endif
