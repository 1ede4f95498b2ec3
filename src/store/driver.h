/* driver.h - what a store back end must do.
 *
 * The front makes one call at a time, on the store's own worker thread: a driver may block, needs
 * no lock, and sees no event loop. @st is .size zeroed bytes, given by the front to open(). Any
 * call may return MU_ENOMEM, MU_EAGAIN (not reached, or no room: the front opens it anew and tries
 * again), MU_EPERM (before a life: denied), MU_ELOCKED, MU_EVERSION, MU_ECORRUPT or MU_EIO (final),
 * and says why in @err. What fails changed nothing. What is not there to be changed (a row deleted
 * meanwhile) is passed over. */
#ifndef MU_STORE_DRIVER_H
#define MU_STORE_DRIVER_H

#include "base/addr.h"
#include "event/event.h"

/* Raised with each change of this page, or of a struct that it hands over: a plugin that was built
 * against another number is refused. */
#define MU_STORE_ABI 3

/* The agent's last report: JSON, at most 64 KiB. */
struct mu_payload {
    uint32_t row;
    uint32_t len;
    const char *json;
};

/* What silence or a beat changes of a row that is stored: its State, and when it was last heard.
 * When half of a fleet dies, this is nearly all that is written: a driver keeps it narrow. */
struct mu_verdict {
    uint32_t row;
    enum mu_state state; /* never MU_UNKNOWN */
    enum mu_reason reason;
    mu_wall since;
    mu_wall last_seen;
    uint64_t report_count;
};

/* One transaction, in this order; no id is in two of deletes, rows and verdicts. All pointers are
 * borrowed. */
struct mu_batch {
    const uint32_t *deletes; /* ids: the row, its beats and its payload go */
    size_t ndeletes;
    const struct mu_row *rows; /* inserted or updated, by .id */
    size_t nrows;
    struct mu_verdict *verdicts; /* ascending by .row, none twice: the front sorts them */
    size_t nverdicts;
    const struct mu_event *events; /* ascending by .seq */
    size_t nevents;
    const struct mu_payload *payloads;
    size_t npayloads;
    uint64_t grant; /* numbers below it are ours from this commit on; 0 = no change */
};

struct mu_beat_row {
    uint32_t row;
    mu_wall last_seen;
    uint64_t report_count;
};

#define MU_STORE_GRANT 2000000 /* event numbers that a life begins with */

/* What a conductor must know to begin its life. open() has raised them durably: no other life sees
 * the same epoch, nor a number below @seq_end again. */
struct mu_boot {
    uint32_t epoch;   /* 1 in the first life */
    uint64_t seq;     /* the first event number that may be used */
    uint64_t seq_end; /* one past the last */
    uint32_t row;     /* the next row id */
    uint64_t fleet;   /* drawn when the database was made, and its copies': no other one has it */
};

/* Which events: seq > since, oldest first, at most limit; the others are "" or 0 = any. With
 * .newest the last @limit ones are meant (still oldest first). */
struct mu_event_query {
    uint64_t since;
    uint32_t limit;
    bool newest;
    char agent[512]; /* BINARY@HOST */
    char kind[16];
};

struct mu_event_span {
    uint64_t oldest, newest; /* numbers that are kept; 0 = none */
};

/* What `muster db status` tells. */
struct mu_store_status {
    uint32_t schema; /* of the database */
    uint32_t writes; /* the one this program writes */
    bool counted;    /* false: another schema's tables, in which these could not be read */
    uint32_t epoch;  /* lives of conductors so far */
    uint64_t agents, events;
    struct mu_event_span span;
    uint64_t bytes;   /* on disk */
    char holder[300]; /* "PID HOST" of the conductor that has it open; "" = none */
};

/* Called for each row in turn until it returns non-zero; all is borrowed for the call. @row has no
 * ident: @who is whose it is. */
typedef int (*mu_store_row_fn)(void *ctx, const struct mu_who *who, const struct mu_row *row,
                               const struct mu_payload *payload);
typedef int (*mu_store_event_fn)(void *ctx, const struct mu_event_row *event);

/* Which events may go: those that are too old, and those beyond the newest .keep (0 = no bound). */
struct mu_trim {
    mu_wall before; /* an event that seems to be later stays, and so do those after it: the clock
                       may be behind now, as well as it may have been ahead then */
    uint64_t keep;
    uint32_t slice;
};

struct mu_store_driver {
    const char *scheme; /* "sqlite", as in sqlite:/var/lib/muster/muster.db */
    size_t size;

    /* Connects, takes the database for this conductor, brings the schema up to date when
     * @may_migrate (else MU_EVERSION), and begins a new life: fills @boot. @boot is NULL when a
     * connection that was lost is made anew: called on the same @st, same life, what is left of the
     * old one is let go. close() follows once, even where open() failed. */
    int (*open)(void *st, const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
                struct mu_err *err);
    void (*close)(void *st);

    /* Hands every agent's row to @each, in row order. Of the payload only .len and its hash matter
     * here; @payload->json may be NULL. */
    int (*load)(void *st, mu_store_row_fn each, void *ctx, struct mu_err *err);

    /* Writes the batch durably in one transaction: all or none. Events that are stored already (by
     * their number) are passed over, since the front sends a batch again when it cannot know
     * whether the last one arrived. */
    int (*commit)(void *st, const struct mu_batch *batch, struct mu_err *err);

    /* Updates `beats` with @n rows, sorted by row. May be relaxed about durability: a lost
     * checkpoint costs nobody his life. */
    int (*checkpoint)(void *st, const struct mu_beat_row *beats, size_t n, struct mu_err *err);

    int (*events)(void *st, const struct mu_event_query *query, struct mu_event_span *span,
                  mu_store_event_fn each, void *ctx, struct mu_err *err);
    int (*payload)(void *st, uint32_t row, struct mu_buf *json, struct mu_err *err);

    /* Deletes at most .slice of the events that may go, from the oldest on, up to the first that
     * may stay. *@more says whether there are others still. */
    int (*trim)(void *st, const struct mu_trim *trim, bool *more, struct mu_err *err);

    /* Asks a server for a sign of life, after .idle without another call: so a session that has
     * nothing to do is not taken for dead, and one that is lost is made anew before it is needed.
     * For drivers that have no server .idle is 0. */
    int (*ping)(void *st, struct mu_err *err);
    mu_dur idle;

    /* The three of store/admin.h: each on a connection of its own, without @st. */
    int (*status)(const struct mu_addr *addr, struct mu_store_status *out, struct mu_err *err);
    int (*upgrade)(const struct mu_addr *addr, uint32_t *from, uint32_t *to, struct mu_err *err);
    int (*backup)(const struct mu_addr *addr, const char *path, struct mu_err *err);
};

#endif
