/* conductor.h - the heart: messages and silence in, verdicts and answers out.
 *
 * Owns the roster, the sessions and the bus. Has no socket, thread or clock: it is handed `now`
 * (monotonic), and speaks through its ports. What must be stored first is proposed and becomes true
 * in mu_conductor_committed(). */
#ifndef MU_CONDUCTOR_CONDUCTOR_H
#define MU_CONDUCTOR_CONDUCTOR_H

#include "event/bus.h"
#include "event/change.h"
#include "fleet/roster.h"

struct mu_conductor;

struct mu_conductor_ports {
    void *ctx;
    mu_propose_fn propose; /* to the journal */
    /* A changed payload of a stored agent, to the journal: mu_conductor_reported() will be called
     * once, later, never from within, but not for one whose place a later one of the same agent
     * took. MU_EFULL = tell the reporter to retry. Borrowed. */
    int (*payload)(void *ctx, const struct mu_reported *report, const char *json, size_t n);
    /* The row in @slot differs from what is stored in more than its State, and no event but one of
     * kind `state` tells of it (a new session, zone, version of a known agent): to the journal. */
    void (*changed)(void *ctx, uint32_t slot);
    /* A frame to stream @conn (an id that transport gave). Borrowed. */
    void (*send)(void *ctx, uint64_t conn, const uint8_t *frame, size_t n);
    void (*close)(void *ctx, uint64_t conn); /* by us: means nothing to its agents */
    /* Whether more has come on @conn than has been handed in: its agents are not judged.
     * NULL = never. */
    bool (*unread)(void *ctx, uint64_t conn);
};

struct mu_conductor_config {
    uint32_t epoch;
    uint32_t next_row;
    uint8_t secret[16];                 /* of this fleet: session keys are derived from it */
    uint64_t seed;                      /* of UUIDs, jitter, hash keys */
    uint32_t max_agents;                /* default 1,000,000 */
    uint32_t join_rate;                 /* joins a second; default 20,000 */
    uint32_t max_streams;               /* with so many, who has none lives by datagrams; 0 = any */
    mu_dur forget_after;                /* `left` and `down` for so long are deleted; 0 = never */
    const struct mu_policies *policies; /* borrowed; mu_conductor_policies() changes them */
    char token[256];                    /* what a join must present; "" = none asked */
};

int mu_conductor_new(struct mu_conductor **out, const struct mu_conductor_config *config,
                     const struct mu_conductor_ports *ports, mu_time now, mu_wall wall);
void mu_conductor_free(struct mu_conductor *c);

/* At the start, before anything else: each stored row; restored() when that were all, which returns
 * MU_EEXIST when two have one name or UUID, or MU_ENOMEM; then begin(), which publishes `conductor
 * started, n unknown` and starts the times that protect a start (design rule 3). */
int mu_conductor_restore(struct mu_conductor *c, const struct mu_who *who, const struct mu_row *row,
                         uint32_t payload_len);
int mu_conductor_restored(struct mu_conductor *c);
void mu_conductor_begin(struct mu_conductor *c, mu_time now, mu_wall wall);

/* The parts that others read, or attach to. */
struct mu_roster *mu_conductor_roster(struct mu_conductor *c);
struct mu_bus *mu_conductor_bus(struct mu_conductor *c);
const struct mu_hearing *mu_conductor_hearing(const struct mu_conductor *c);

/* Every 100 ms, after the sockets were drained: accounts for stalls, judges silence, admits joins,
 * forgets. @boot is CLOCK_BOOTTIME, @drops the datagrams the kernel dropped so far. */
void mu_conductor_tick(struct mu_conductor *c, mu_time now, mu_time boot, mu_wall wall,
                       uint64_t drops);

/* The journal's answer to a proposal: 0, or why it can never be stored. */
void mu_conductor_committed(struct mu_conductor *c, uint64_t ticket, int rv, mu_time now);

/* The same for a payload. */
void mu_conductor_reported(struct mu_conductor *c, const struct mu_reported *report, int rv,
                           mu_time now);

/* An operator's write. Fails at once with MU_ENOENT, MU_EBUSY (another is pending for this agent),
 * MU_ECONFLICT (@revision is not the agent's; MU_ANY_REVISION skips the check), MU_EAGAIN (store
 * away); else @done runs once: 0 with the agent's slot (MU_NO_SLOT after a delete), or the error;
 * MU_ETIMEDOUT after 2 s without a commit, which may still come true. */
enum mu_op { MU_OP_ENABLE, MU_OP_DISABLE, MU_OP_FORCE_DOWN, MU_OP_UNFORCE, MU_OP_DELETE };
#define MU_ANY_REVISION UINT32_MAX
typedef void (*mu_op_fn)(void *ctx, int rv, uint32_t slot);
int mu_conductor_write(struct mu_conductor *c, uint32_t slot, enum mu_op op, const char *reason,
                       uint32_t revision, mu_time now, mu_op_fn done, void *ctx);

/* The caller of a pending write is gone: @done will not run; the write goes on. */
void mu_conductor_forget_op(struct mu_conductor *c, mu_op_fn done, void *ctx);

/* A beat by HTTP, which is a join too where the name is new. Known names are answered at once
 * (@done runs before this returns), new ones after their commit. @interval 0 = the policy's. Fails
 * at once with MU_EINVAL (name), MU_ERANGE (interval), MU_EBUSY (the name's first join, or its
 * delete, is pending), MU_EFULL, MU_EAGAIN. */
#define MU_HTTP_INTERVAL_MAX (7 * 24 * 3600 * MU_SEC)
int mu_conductor_http_beat(struct mu_conductor *c, const char *binary, const char *host,
                           mu_dur interval, mu_time now, mu_op_fn done, void *ctx);

/* Takes up new policies (SIGHUP): every agent's times are worked out anew; nobody is judged by the
 * change itself before one of his new intervals has passed. @policies is borrowed for good. */
void mu_conductor_policies(struct mu_conductor *c, const struct mu_policies *policies, mu_time now);

/* Says no to new joins, for a drain, and publishes `conductor stopped`. */
void mu_conductor_drain(struct mu_conductor *c);

#endif
