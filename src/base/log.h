/* log.h - one line per change: `level room: what key=value`.
 *
 * error wants a person, warn may, info is a change of the fleet or of us, debug is the rest; a
 * heartbeat is debug. Who handles an error logs it, once. Any thread may log; a line is written
 * whole, by one write(2) of at most PIPE_BUF bytes, to standard error, or to journald's socket with
 * fields. Where nobody reads and the pipe is full, lines are left out and counted: a log must hold
 * nobody up.
 */
#ifndef MU_BASE_LOG_H
#define MU_BASE_LOG_H

#include <stdbool.h>

#include "base/err.h"

enum mu_log_level { MU_LOG_ERROR, MU_LOG_WARN, MU_LOG_INFO, MU_LOG_DEBUG };
enum mu_log_format { MU_LOG_AUTO, MU_LOG_TEXT, MU_LOG_JOURNALD, MU_LOG_JSON };

/* One key=value of a line. Made by MU_KV_* below; @key is a literal in snake_case. */
struct mu_kv {
    const char *key;
    enum { MU_KV_TEXT, MU_KV_INT, MU_KV_UINT } type;
    union {
        const char *text; /* borrowed for the call; escaped as the format asks; NULL is "" */
        int64_t i;
        uint64_t u;
    } v;
};

#define MU_KVS(k, s) ((struct mu_kv){.key = (k), .type = MU_KV_TEXT, .v.text = (s)})
#define MU_KVI(k, n) ((struct mu_kv){.key = (k), .type = MU_KV_INT, .v.i = (n)})
#define MU_KVU(k, n) ((struct mu_kv){.key = (k), .type = MU_KV_UINT, .v.u = (n)})

/* Chooses level and format; MU_LOG_AUTO is journald where $JOURNAL_STREAM names our standard error,
 * text otherwise. May be called again at any time. Before the first call: info, text. */
void mu_log_setup(enum mu_log_level level, enum mu_log_format format);

/* Whether a line of @level would be written: to save making its values. */
int mu_log_on(enum mu_log_level level);

/* Writes a line. Use the macros. More than 10 lines of one (room, what) in 10 s are counted and
 * told in one line afterwards; errors are never held back. */
void mu_log_write(enum mu_log_level level, const char *room, const char *what,
                  const struct mu_kv *kvs, size_t n);

/* The same for changes of the fleet, which are no repeats: held back only above 1,000 of one kind.
 * Of many at once most are not written, so that their words should not be made either: says first
 * whether the line is due, and counts it. */
bool mu_log_change_due(enum mu_log_level level, const char *room, const char *what);
void mu_log_change(enum mu_log_level level, const char *room, const char *what,
                   const struct mu_kv *kvs, size_t n);

/* Tells what was held back more than 10 s ago. The next line of any kind does so too: this is for
 * whom nothing happens to for long. */
void mu_log_tick(void);
void mu_log_flush(void); /* all of it, at the end */

/* For tests: where journald's socket is. Before the next mu_log_setup(). */
void mu_log_journal_at(const char *path);

#define MU_LOG_(level, room, what, ...)                                                            \
    mu_log_write((level), (room), (what), (const struct mu_kv[]){__VA_ARGS__},                     \
                 sizeof((const struct mu_kv[]){__VA_ARGS__}) / sizeof(struct mu_kv))
/* mu_info("store", "migrated", MU_KVU("from", 1), MU_KVU("to", 2)); at least one pair */
#define mu_error(room, ...) MU_LOG_(MU_LOG_ERROR, room, __VA_ARGS__)
#define mu_warn(room, ...)  MU_LOG_(MU_LOG_WARN, room, __VA_ARGS__)
#define mu_info(room, ...)  MU_LOG_(MU_LOG_INFO, room, __VA_ARGS__)
#define mu_debug(room, ...) MU_LOG_(MU_LOG_DEBUG, room, __VA_ARGS__)

#endif
