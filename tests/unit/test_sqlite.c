/* What only the SQLite driver has: a file, a lock, a schema, and all that can be wrong with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "lib/rows.h"
#include "store/admin.h"
#include "store/drivers.h"
#include "store/schema.h"
#include "store/sqlite.h"

struct fixture {
    char dir[256], path[300], url[320];
    struct mu_addr addr;
    struct mu_sqlite *st;
    struct mu_boot boot;
    struct mu_err err;
};

static void name_file(struct fixture *f, const char *name)
{
    snprintf(f->path, sizeof(f->path), "%s/%s", f->dir, name);
    snprintf(f->url, sizeof(f->url), "sqlite:%s", f->path);
    assert_int_equal(mu_addr_parse(&f->addr, f->url, &f->err), 0);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    make_scratch(f->dir, sizeof(f->dir));
    name_file(f, "muster.db");
    *state = f;
    return 0;
}

static void close_store(struct fixture *f)
{
    mu_store_sqlite.close(f->st);
    mu_free(f->st);
    f->st = NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->st)
        close_store(f);
    remove_scratch(f->dir);
    free(f);
    return 0;
}

/* Returns open()'s code; what failed is closed. */
static int try_open(struct fixture *f)
{
    f->st = mu_alloc(sizeof(*f->st));
    int rv = mu_store_sqlite.open(f->st, &f->addr, true, &f->boot, &f->err);
    if (rv)
        close_store(f);
    return rv;
}

static void open_store(struct fixture *f)
{
    if (try_open(f))
        fail_msg("open: %s", f->err.text);
}

static void expect_text(struct fixture *f, const char *part)
{
    if (!strstr(f->err.text, part))
        fail_msg("'%s' is not in: %s", part, f->err.text);
}

static int commit_row(struct fixture *f, uint32_t id)
{
    struct mu_ident *ident = an_ident(id);
    struct mu_row row = a_row(id, ident);
    struct mu_event event = an_event(id, ident);
    int rv = mu_store_sqlite.commit(
        f->st, &(struct mu_batch){.rows = &row, .nrows = 1, .events = &event, .nevents = 1},
        &f->err);

    mu_ident_unref(ident);
    return rv;
}

static int count_one(void *ctx, const struct mu_who *who, const struct mu_row *row,
                     const struct mu_payload *payload)
{
    ++*(int *)ctx;
    return 0;
}

static int rows_in(struct fixture *f)
{
    int n = 0;

    assert_int_equal(mu_store_sqlite.load(f->st, count_one, &n, &f->err), 0);
    return n;
}

/* Runs @sql on the file by another connection. */
static void by_hand(struct fixture *f, const char *sql)
{
    sqlite3 *db;
    char *why = NULL;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why))
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, n, file), n);
    fclose(file);
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 0777;
}

/* ---- the file ---- */

static void files_are_the_users_alone(void **state)
{
    struct fixture *f = *state;
    char path[320];

    mode_t old = umask(0);
    open_store(f);
    umask(old);
    assert_int_equal(commit_row(f, 1), 0);
    assert_int_equal(mode_of(f->path), 0600);
    snprintf(path, sizeof(path), "%s-wal", f->path);
    assert_int_equal(mode_of(path), 0600);
    snprintf(path, sizeof(path), "%s.lock", f->path);
    assert_int_equal(mode_of(path), 0600);
}

/* A folder that is not there is likely a slip. */
static void a_folder_that_is_missing_is_not_made(void **state)
{
    struct fixture *f = *state;

    name_file(f, "none/muster.db");
    assert_int_equal(try_open(f), MU_ENOENT);
    expect_text(f, "/none");
    expect_text(f, "make the folder first");
}

static void a_path_is_only_a_path(void **state)
{
    struct fixture *f = *state;

    name_file(f, "file:x");
    open_store(f);
    assert_int_equal(access(f->path, F_OK), 0);
    close_store(f);
    name_file(f, "x.db?mode=memory");
    assert_int_equal(try_open(f), MU_EINVAL);
    expect_text(f, "'?'");
    assert_int_equal(mu_addr_parse(&f->addr, "sqlite://host/x.db", &f->err), 0);
    assert_int_equal(try_open(f), MU_EINVAL);
    assert_int_equal(mu_addr_parse(&f->addr, "sqlite:", &f->err), 0);
    assert_int_equal(try_open(f), MU_EINVAL);
    expect_text(f, "sqlite:PATH");
    name_file(f, "");
    assert_int_equal(try_open(f), MU_EINVAL);
}

static void commits_are_synced_and_checkpoints_relaxed(void **state)
{
    struct fixture *f = *state;
    const struct mu_beat_row beat = {.row = 1, .last_seen = 1, .report_count = 1};
    sqlite3_stmt *stmt;

    open_store(f);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(commit_row(f, 1), 0);
        for (int want = 2; want >= 1; want--) { /* FULL, NORMAL */
            assert_int_equal(sqlite3_prepare_v2(f->st->db, "PRAGMA synchronous", -1, &stmt, NULL),
                             0);
            assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
            assert_int_equal(sqlite3_column_int(stmt, 0), want);
            sqlite3_finalize(stmt);
            assert_int_equal(mu_store_sqlite.checkpoint(f->st, &beat, 1, &f->err), 0);
        }
    }
}

static void the_log_of_a_calm_store_stays_small(void **state)
{
    static char json[60000];
    const struct mu_payload payload = {.row = 1, .len = sizeof(json), .json = json};
    const struct mu_batch batch = {.payloads = &payload, .npayloads = 1};
    struct fixture *f = *state;
    char log[320];
    struct stat st;

    memset(json, ' ', sizeof(json));
    open_store(f);
    assert_int_equal(commit_row(f, 1), 0);
    for (int i = 0; i < 300; i++) /* 18 MB */
        assert_int_equal(mu_store_sqlite.commit(f->st, &batch, &f->err), 0);
    snprintf(log, sizeof(log), "%s-wal", f->path);
    assert_int_equal(stat(log, &st), 0);
    assert_in_range(st.st_size, 1, 8 << 20);
}

static void readers_do_not_stop_commits(void **state)
{
    struct fixture *f = *state;
    sqlite3_stmt *stmt;
    sqlite3 *reader;

    open_store(f);
    assert_int_equal(commit_row(f, 1), 0);
    assert_int_equal(sqlite3_open(f->path, &reader), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(reader, "SELECT * FROM agents", -1, &stmt, NULL), 0);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW); /* and stays in the middle of it */
    assert_int_equal(commit_row(f, 2), 0);
    sqlite3_finalize(stmt);
    sqlite3_close(reader);
}

static void a_writer_in_the_way_is_waited_for(void **state)
{
    struct fixture *f = *state;
    sqlite3 *writer;

    open_store(f);
    assert_int_equal(sqlite3_open(f->path, &writer), SQLITE_OK);
    assert_int_equal(sqlite3_exec(writer, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(commit_row(f, 1), MU_EAGAIN);
    expect_text(f, "another program");
    assert_int_equal(sqlite3_exec(writer, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(commit_row(f, 1), 0);
    sqlite3_close(writer);
}

/* ---- whose it is ---- */

static void a_second_conductor_is_told_who_the_first_is(void **state)
{
    struct fixture *f = *state;
    struct fixture second = *f;
    char pid[32];

    open_store(f);
    assert_int_equal(try_open(&second), MU_ELOCKED);
    snprintf(pid, sizeof(pid), "pid %ld on ", (long)getpid());
    expect_text(&second, pid);
    expect_text(&second, f->path);
    close_store(f);
    open_store(&second);
    close_store(&second);
}

static void a_lock_is_the_files_under_any_name(void **state)
{
    struct fixture *f = *state;
    struct fixture second = *f;

    open_store(f);
    name_file(&second, "other.db");
    assert_int_equal(symlink(f->path, second.path), 0);
    assert_int_equal(try_open(&second), MU_ELOCKED);
}

/* What a kill leaves: the lock's text, and nobody behind it. */
static void a_dead_conductors_lock_is_free(void **state)
{
    struct fixture *f = *state;
    int ready[2];
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        open_store(f);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(try_open(f), MU_ELOCKED);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ready[0]);
    close(ready[1]);
    open_store(f);
    assert_int_equal(f->boot.epoch, 2);
}

/* ---- what it is ---- */

static void rubbish_is_refused_and_left_alone(void **state)
{
    static const char *const rubbish[] = {"xy",
                                          "not a database, at least none of SQLite's making, "
                                          "and longer than a header of a hundred bytes, which "
                                          "this text is by now, one would say"};
    struct fixture *f = *state;

    for (size_t i = 0; i < MU_ARRAY_LEN(rubbish); i++) {
        char back[300] = "";
        write_file(f->path, rubbish[i], strlen(rubbish[i]));
        assert_int_equal(try_open(f), MU_ECORRUPT);
        expect_text(f, f->path);
        expect_text(f, "restore a backup");
        FILE *file = fopen(f->path, "r");
        assert_int_equal(fread(back, 1, sizeof(back) - 1, file), strlen(rubbish[i]));
        fclose(file);
        assert_string_equal(back, rubbish[i]);
    }
}

static void somebody_elses_database_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char wal[320];

    by_hand(f, "CREATE TABLE recipes (name TEXT)");
    assert_int_equal(try_open(f), MU_ECORRUPT);
    expect_text(f, "none of muster's");
    by_hand(f, "INSERT INTO recipes VALUES ('soup')");
    snprintf(wal, sizeof(wal), "%s-wal", f->path);
    assert_int_not_equal(access(wal, F_OK), 0);
    by_hand(f, "DROP TABLE recipes; PRAGMA application_id=4711");
    assert_int_equal(try_open(f), MU_ECORRUPT);
}

static void a_newer_schema_is_refused_with_both_numbers(void **state)
{
    struct fixture *f = *state;
    uint32_t from, to;
    char number[32];

    open_store(f);
    close_store(f);
    by_hand(f, "PRAGMA user_version=4711");
    snprintf(number, sizeof(number), "number %u", mu_schema_sqlite_n);
    assert_int_equal(try_open(f), MU_EVERSION);
    expect_text(f, "number 4711");
    expect_text(f, number);
    assert_int_equal(mu_store_upgrade(f->url, &from, &to, &f->err), MU_EVERSION);
}

static void what_is_damaged_is_refused_by_row(void **state)
{
    static const char *const spoilt[][2] = {
        {"agents SET uuid = 'x' WHERE id", "uuid 'x' is none"},
        {"agents SET uuid = '11223344-5566-4788-9900-000000000002', status = 'on' WHERE id",
         "status 'on' is none"},
        {"agents SET status = 'enabled', host = CAST(x'ff' AS TEXT) WHERE id", "not valid UTF-8"},
        {"agents SET host = 'c2', labels = '[]' WHERE id", "labels are no JSON object"},
        {"beats SET state = 'tired' WHERE agent", "state 'tired' is none"},
        {"beats SET state = 'up', state_reason = 'mood' WHERE agent",
         "state_reason 'mood' is none"},
        {"agents SET id = 4294967295 WHERE id", "row 4294967295 of agents is damaged"},
    };
    struct fixture *f = *state;
    char sql[256];
    int n = 0;

    open_store(f);
    assert_int_equal(commit_row(f, 1), 0);
    assert_int_equal(commit_row(f, 2), 0);
    for (size_t i = 0; i < MU_ARRAY_LEN(spoilt); i++) {
        snprintf(sql, sizeof(sql), "UPDATE %s = 2", spoilt[i][0]);
        by_hand(f, sql);
        assert_int_equal(mu_store_sqlite.load(f->st, count_one, &n, &f->err), MU_ECORRUPT);
        expect_text(f, spoilt[i][1]);
    }
}

/* Numbers that a life would begin with, and go on to give out. */
static void numbers_that_cannot_be_end_a_start(void **state)
{
    static const char *const keys[] = {"epoch", "event_limit", "next_row", "fleet"};
    static const char *const spoilt[][2] = {
        {"epoch", "-1"},        {"epoch", "4294967295"},
        {"epoch", "'abc'"},     {"epoch", "9223372036854775807"},
        {"event_limit", "-1"},  {"event_limit", "0"},
        {"next_row", "-1"},     {"event_limit", "9223372036854775807"},
        {"next_row", "0"},      {"next_row", "4294967296"},
        {"fleet", "'a fleet'"},
    };
    struct fixture *f = *state;
    char sql[256];

    open_store(f);
    close_store(f);
    by_hand(f, "CREATE TABLE good AS SELECT * FROM meta");
    for (size_t i = 0; i < MU_ARRAY_LEN(spoilt); i++) {
        snprintf(sql, sizeof(sql), "UPDATE meta SET value = %s WHERE key = '%s'", spoilt[i][1],
                 spoilt[i][0]);
        by_hand(f, sql);
        assert_int_equal(try_open(f), MU_ECORRUPT);
        snprintf(sql, sizeof(sql), "the row '%s' of meta is gone or damaged", spoilt[i][0]);
        expect_text(f, sql);
        by_hand(f, "INSERT OR REPLACE INTO meta SELECT * FROM good");
    }
    for (size_t i = 0; i < 3; i++) {
        snprintf(sql, sizeof(sql), "DELETE FROM meta WHERE key = '%s'", keys[i]);
        by_hand(f, sql);
        assert_int_equal(try_open(f), MU_ECORRUPT);
        expect_text(f, keys[i]);
        by_hand(f, "INSERT OR REPLACE INTO meta SELECT * FROM good");
    }
    by_hand(f, "INSERT INTO events VALUES"
               " (9223372036854775807, 0, '', '', 'conductor', '', '', 'started', '{}')");
    assert_int_equal(try_open(f), MU_ECORRUPT);
    expect_text(f, "row 9223372036854775807 of events is damaged");
    by_hand(f, "DELETE FROM events; DROP TABLE good");
    open_store(f);
    assert_int_equal(f->boot.epoch, 2); /* what was refused was no life */
}

/* ---- a disk that will not ---- */

static void a_full_disk_is_waited_for(void **state)
{
    struct fixture *f = *state;
    uint32_t id = 1;
    int rv;

    open_store(f);
    assert_int_equal(sqlite3_exec(f->st->db, "PRAGMA max_page_count=1", NULL, NULL, NULL), 0);
    while ((rv = commit_row(f, id)) == 0)
        id++;
    assert_int_equal(rv, MU_EAGAIN);
    expect_text(f, "make room");
    expect_text(f, f->path);
    assert_int_equal(rows_in(f), id - 1);
    assert_int_equal(mu_store_sqlite.open(f->st, &f->addr, false, NULL, &f->err), 0);
    assert_int_equal(commit_row(f, id), 0); /* a new connection has no such bound */
    assert_int_equal(rows_in(f), id);
}

static void a_failing_write_is_waited_for(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, none;
    int rv;

    open_store(f);
    assert_int_equal(commit_row(f, 1), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    none = (struct rlimit){.rlim_cur = 16384, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    rv = commit_row(f, 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(rv, MU_EAGAIN);
    expect_text(f, f->path);
    assert_int_equal(mu_store_sqlite.open(f->st, &f->addr, false, NULL, &f->err), 0);
    assert_int_equal(commit_row(f, 2), 0);
    assert_int_equal(rows_in(f), 2);
}

/* Else it would be written on, and gone with the process. */
static void a_file_that_was_taken_away_is_waited_for(void **state)
{
    struct fixture *f = *state;
    char kept[320];

    open_store(f);
    assert_int_equal(commit_row(f, 1), 0);
    snprintf(kept, sizeof(kept), "%s.kept", f->path);
    assert_int_equal(rename(f->path, kept), 0);
    assert_int_equal(commit_row(f, 2), MU_EAGAIN);
    expect_text(f, "moved");
    expect_text(f, f->path);
    assert_int_equal(mu_store_sqlite.open(f->st, &f->addr, false, NULL, &f->err), MU_EAGAIN);
    assert_int_equal(rename(kept, f->path), 0);
    assert_int_equal(mu_store_sqlite.open(f->st, &f->addr, false, NULL, &f->err), 0);
    assert_int_equal(commit_row(f, 2), 0);
    assert_int_equal(rows_in(f), 2);
}

static void a_file_put_in_its_place_is_left_alone(void **state)
{
    static const char rubbish[] = "this is no database";
    struct fixture *f = *state;
    struct stat st;

    open_store(f);
    assert_int_equal(commit_row(f, 1), 0);
    assert_int_equal(unlink(f->path), 0);
    write_file(f->path, rubbish, sizeof(rubbish));
    assert_int_equal(commit_row(f, 2), MU_EAGAIN);
    expect_text(f, "replaced");
    assert_int_equal(mu_store_sqlite.open(f->st, &f->addr, false, NULL, &f->err), MU_EAGAIN);
    expect_text(f, "replaced");
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, sizeof(rubbish));
}

/* root may write anywhere: then a child that is nobody tries. */
static void a_folder_that_may_not_be_written_is_named(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(chmod(f->dir, 0555), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
            _exit(2);
        int rv = try_open(f);
        _exit(rv == MU_EIO && strstr(f->err.text, f->dir) &&
                      strstr(f->err.text, strerror(EACCES)) &&
                      strstr(f->err.text, "must be able to write")
                  ? 0
                  : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* ---- muster db ---- */

static void status_tells_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct mu_store_status status;
    char pid[32];

    assert_int_equal(mu_store_status(f->url, &status, &f->err), MU_ENOENT);
    expect_text(f, f->path);
    assert_int_not_equal(access(f->path, F_OK), 0);
    open_store(f);
    assert_int_equal(commit_row(f, 1), 0);
    assert_int_equal(commit_row(f, 2), 0);
    if (mu_store_status(f->url, &status, &f->err))
        fail_msg("status: %s", f->err.text);
    assert_int_equal(status.schema, mu_schema_sqlite_n);
    assert_int_equal(status.writes, mu_schema_sqlite_n);
    assert_int_equal(status.epoch, 1);
    assert_int_equal(status.agents, 2);
    assert_int_equal(status.events, 2);
    assert_int_equal(status.span.oldest, 1);
    assert_int_equal(status.span.newest, 2);
    assert_true(status.bytes > 4096);
    snprintf(pid, sizeof(pid), "%ld ", (long)getpid());
    assert_memory_equal(status.holder, pid, strlen(pid));
    close_store(f);
    assert_int_equal(mu_store_status(f->url, &status, &f->err), 0);
    assert_string_equal(status.holder, "");
    assert_int_equal(mu_store_status("memory:", &status, &f->err), MU_ENOTSUP);
    assert_int_equal(mu_store_status("cassandra:x", &status, &f->err), MU_EINVAL);
    expect_text(f, "sqlite:PATH");
}

static void upgrade_wants_the_conductor_stopped(void **state)
{
    struct fixture *f = *state;
    uint32_t from = 99, to = 99;

    assert_int_equal(mu_store_upgrade(f->url, &from, &to, &f->err), MU_ENOENT);
    open_store(f);
    assert_int_equal(mu_store_upgrade(f->url, &from, &to, &f->err), MU_ELOCKED);
    close_store(f);
    assert_int_equal(mu_store_upgrade(f->url, &from, &to, &f->err), 0);
    assert_int_equal(from, mu_schema_sqlite_n);
    assert_int_equal(to, mu_schema_sqlite_n);
}

static void upgrade_starts_from_nothing_too(void **state)
{
    struct fixture *f = *state;
    uint32_t from = 99, to = 99;

    write_file(f->path, "", 0);
    assert_int_equal(mu_store_upgrade(f->url, &from, &to, &f->err), 0);
    assert_int_equal(from, 0);
    assert_int_equal(to, mu_schema_sqlite_n);
    open_store(f);
    assert_int_equal(f->boot.epoch, 1);
}

/* A fleet that schema 1 has left behind. */
static void make_schema_1(struct fixture *f)
{
    by_hand(f, mu_schema_sqlite[0]);
    by_hand(f,
            "PRAGMA application_id = 1297437524; PRAGMA user_version = 1;"
            "UPDATE meta SET value = 5 WHERE key = 'epoch';"
            "UPDATE meta SET value = 200001 WHERE key = 'event_limit';"
            "UPDATE meta SET value = 3 WHERE key = 'next_row';"
            "INSERT INTO agents VALUES"
            " (1, '11223344-5566-4788-9900-000000000001', 'a', 'h1', 'z', '{}', '1', 'enabled', '',"
            "  0, '', 7, 'down', 'silence', 4000, 3000, 1, 2, 3, 4, 10000),"
            " (2, '11223344-5566-4788-9900-000000000002', 'a', 'h2', 'z', '{}', '1', 'disabled',"
            "  'why', 1, 'so', 8, 'up', 'joined', 5000, 3000, 1, 2, 3, 4, 10000);"
            "INSERT INTO beats VALUES (1, 3500, 70), (2, 5500, 80);"
            "INSERT INTO events VALUES"
            " (3, 4000, 'a@h1', '', 'state', 'suspect', 'down', 'silence', '{}'),"
            " (200000, 5000, 'a@h1', '', 'state', 'down', 'up', 'heard', '{}');");
}

static int tell_row(void *ctx, const struct mu_who *who, const struct mu_row *row,
                    const struct mu_payload *payload)
{
    char *out = ctx;

    snprintf(out + strlen(out), 300 - strlen(out), "%u %s %s %d %d %d;", row->id,
             mu_state_text(row->state), mu_reason_text(row->state_reason), (int)row->state_since,
             (int)row->last_seen, (int)row->report_count);
    return 0;
}

static int tell_event(void *ctx, const struct mu_event_row *event)
{
    char *out = ctx;

    snprintf(out + strlen(out), 300 - strlen(out), "%d %s;", (int)event->seq, event->to);
    return 0;
}

static void an_older_schema_is_brought_up_to_date(void **state)
{
    const struct mu_event_query query = {.limit = 10, .agent = "a@h1"};
    struct fixture *f = *state;
    struct mu_event_span span;
    char text[300] = "";

    make_schema_1(f);
    open_store(f);
    assert_int_equal(f->boot.epoch, 6);
    assert_int_equal(f->boot.row, 3);
    assert_int_equal(mu_store_sqlite.load(f->st, tell_row, text, &f->err), 0);
    assert_string_equal(text, "1 down silence 4000 3500 70;2 up joined 5000 5500 80;");
    *text = '\0';
    assert_int_equal(mu_store_sqlite.events(f->st, &query, &span, tell_event, text, &f->err), 0);
    assert_string_equal(text, "3 down;200000 up;");
    assert_int_equal(commit_row(f, 4), 0);
    assert_int_equal(rows_in(f), 3);
}

static void an_older_schema_is_refused_with_what_to_run(void **state)
{
    struct fixture *f = *state;
    uint32_t from = 99, to = 99;
    char cure[400];

    make_schema_1(f);
    f->st = mu_alloc(sizeof(*f->st));
    assert_int_equal(mu_store_sqlite.open(f->st, &f->addr, false, &f->boot, &f->err), MU_EVERSION);
    close_store(f);
    snprintf(cure, sizeof(cure), "back it up, then run `muster db upgrade --store '%s'`", f->url);
    expect_text(f, "number 1, older");
    expect_text(f, cure);
    assert_int_equal(mu_store_upgrade(f->url, &from, &to, &f->err), 0);
    assert_int_equal(from, 1);
    assert_int_equal(to, mu_schema_sqlite_n);
}

static void backup_wants_a_database_and_a_folder(void **state)
{
    struct fixture *f = *state;
    char copy[320];

    snprintf(copy, sizeof(copy), "%s/none/copy.db", f->dir);
    assert_int_equal(mu_store_backup(f->url, copy, &f->err), MU_ENOENT);
    expect_text(f, f->path);
    open_store(f);
    assert_int_equal(mu_store_backup(f->url, copy, &f->err), MU_ENOENT);
    expect_text(f, "/none");
}

/* ---- docs/store.md ---- */

/* Runs every ```sql of the page; returns how many there were. Each must find something, so that a
 * query that has gone stale shows. */
static int run_page(struct fixture *f, FILE *page)
{
    char line[512], sql[4096] = "";
    bool inside = false;
    sqlite3_stmt *stmt;
    int n = 0;

    while (fgets(line, sizeof(line), page)) {
        if (inside && strcmp(line, "```\n") == 0) {
            if (sqlite3_prepare_v2(f->st->db, sql, -1, &stmt, NULL))
                fail_msg("%s: %s", sql, sqlite3_errmsg(f->st->db));
            if (sqlite3_step(stmt) != SQLITE_ROW)
                fail_msg("finds nothing: %s", sql);
            sqlite3_finalize(stmt);
            inside = false;
            n++;
        } else if (inside) {
            strncat(sql, line, sizeof(sql) - strlen(sql) - 1);
        } else if (strcmp(line, "```sql\n") == 0) {
            inside = true;
            *sql = '\0';
        }
    }
    return n;
}

static void fill_for_page(struct fixture *f)
{
    struct mu_ident *ident = an_ident(1);
    struct mu_row row = a_row(1, ident);
    struct mu_event events[2] = {an_event(1, ident), an_event(2, ident)};
    struct mu_payload payload = {.row = 1, .len = 2, .json = "{}"};

    row.state = MU_DOWN;
    events[1].kind = MU_KIND_STATUS;
    events[1].from = MU_WORD_ENABLED;
    events[1].to = MU_WORD_DISABLED;
    assert_int_equal(mu_store_sqlite.commit(f->st,
                                            &(struct mu_batch){.rows = &row,
                                                               .nrows = 1,
                                                               .events = events,
                                                               .nevents = 2,
                                                               .payloads = &payload,
                                                               .npayloads = 1},
                                            &f->err),
                     0);
    mu_ident_unref(ident);
}

static void the_pages_queries_run(void **state)
{
    struct fixture *f = *state;
    const char *root = getenv("MUSTER_SOURCE");
    char path[1024];

    assert_non_null(root); /* set by meson */
    snprintf(path, sizeof(path), "%s/docs/store.md", root);
    FILE *page = fopen(path, "r");
    assert_non_null(page);
    open_store(f);
    fill_for_page(f);
    assert_in_range(run_page(f, page), 8, 100);
    fclose(page);
}

static void views_show_times_as_text(void **state)
{
    struct fixture *f = *state;
    sqlite3_stmt *stmt;
    char wall[MU_WALL_TEXT];

    open_store(f);
    assert_int_equal(commit_row(f, 1), 0);
    assert_int_equal(sqlite3_prepare_v2(f->st->db, "SELECT state_since, last_seen_at FROM fleet",
                                        -1, &stmt, NULL),
                     0);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(stmt, 0),
                        mu_wall_text(1763838498123, wall));
    assert_string_equal((const char *)sqlite3_column_text(stmt, 1),
                        mu_wall_text(1763838498456, wall));
    sqlite3_finalize(stmt);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_are_the_users_alone),
        TEST(a_folder_that_is_missing_is_not_made),
        TEST(a_path_is_only_a_path),
        TEST(commits_are_synced_and_checkpoints_relaxed),
        TEST(the_log_of_a_calm_store_stays_small),
        TEST(readers_do_not_stop_commits),
        TEST(a_writer_in_the_way_is_waited_for),
        TEST(a_second_conductor_is_told_who_the_first_is),
        TEST(a_lock_is_the_files_under_any_name),
        TEST(a_dead_conductors_lock_is_free),
        TEST(rubbish_is_refused_and_left_alone),
        TEST(somebody_elses_database_is_left_alone),
        TEST(a_newer_schema_is_refused_with_both_numbers),
        TEST(an_older_schema_is_refused_with_what_to_run),
        TEST(what_is_damaged_is_refused_by_row),
        TEST(numbers_that_cannot_be_end_a_start),
        TEST(a_full_disk_is_waited_for),
        TEST(a_failing_write_is_waited_for),
        TEST(a_file_that_was_taken_away_is_waited_for),
        TEST(a_file_put_in_its_place_is_left_alone),
        TEST(a_folder_that_may_not_be_written_is_named),
        TEST(status_tells_what_is_there),
        TEST(upgrade_wants_the_conductor_stopped),
        TEST(upgrade_starts_from_nothing_too),
        TEST(an_older_schema_is_brought_up_to_date),
        TEST(backup_wants_a_database_and_a_folder),
        TEST(the_pages_queries_run),
        TEST(views_show_times_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
