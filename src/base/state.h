/* state.h - the words of State, Status, events and reasons, and the moves allowed: one table. */
#ifndef MU_BASE_STATE_H
#define MU_BASE_STATE_H

#include <stdbool.h>

/* What we see. MU_UNKNOWN is derived, never stored: was up or suspect in the database, not heard
 * since this conductor started. */
enum mu_state { MU_UP, MU_SUSPECT, MU_DOWN, MU_LEFT, MU_UNKNOWN, MU_STATES };

/* Kinds of events. */
enum mu_kind {
    MU_KIND_STATE,
    MU_KIND_STATUS,
    MU_KIND_FORCED,
    MU_KIND_JOINED,
    MU_KIND_DELETED,
    MU_KIND_CONDUCTOR,
    MU_KINDS
};

/* Why something is as it is. The text is what `state_reason` and an event's `reason` print. */
#define MU_REASONS(X)                                                                              \
    X(MU_WHY_NONE, "")                                                                             \
    X(MU_WHY_JOINED, "joined")               /* first-ever or new life */                          \
    X(MU_WHY_HEARD, "heard")                 /* a beat after silence */                            \
    X(MU_WHY_SILENCE, "silence")             /* no beat for suspect or down time */                \
    X(MU_WHY_STREAM_CLOSED, "stream closed") /* the peer's FIN or RST */                           \
    X(MU_WHY_EXITED, "exited")               /* a supervised command ended by itself */            \
    X(MU_WHY_KILLED, "killed")               /* a supervised command ended by a signal */          \
    X(MU_WHY_ENDED, "ended, status unknown") /* a watched process is gone */                       \
    X(MU_WHY_LEFT, "left")                   /* told to stop */                                    \
    X(MU_WHY_NOT_HEARD, "not heard since the conductor started")                                   \
    X(MU_WHY_OPERATOR, "operator")          /* enable, disable, force-down, delete */              \
    X(MU_WHY_FORGOTTEN, "forgotten")        /* forget_after has passed */                          \
    X(MU_WHY_TAKEN_OVER, "name taken over") /* another start id has the name */                    \
    X(MU_WHY_CONTESTED, "name contested")   /* two living processes of one name */                 \
    X(MU_WHY_STARTED, "conductor started")                                                         \
    X(MU_WHY_STOPPED, "conductor stopped")                                                         \
    X(MU_WHY_STALLED, "conductor stalled")                                                         \
    X(MU_WHY_DEAF, "datagrams dropped by the kernel")                                              \
    X(MU_WHY_HEARS_AGAIN, "datagrams no longer dropped")                                           \
    X(MU_WHY_EVENTS_LOST, "events lost")                                                           \
    X(MU_WHY_ROAMS, "source address changes often")

enum mu_reason {
#define MU_REASON_(name, text) name,
    MU_REASONS(MU_REASON_)
#undef MU_REASON_
        MU_REASONS_N
};

const char *mu_state_text(enum mu_state state); /* "up", ... */
const char *mu_kind_text(enum mu_kind kind);    /* "state", ... */
const char *mu_reason_text(enum mu_reason reason);
int mu_state_parse(const char *text);  /* enum mu_state, or -1 */
int mu_kind_parse(const char *text);   /* enum mu_kind, or -1 */
int mu_reason_parse(const char *text); /* enum mu_reason, or -1 */

/* Whether an agent may go from @from to @to for @why. MU_UNKNOWN is allowed as @from. */
bool mu_state_may_move(enum mu_state from, enum mu_state to, enum mu_reason why);

#endif
