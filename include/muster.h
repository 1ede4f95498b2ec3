/* muster.h - report to a muster conductor that a program is alive.
 *
 * This header is the whole public interface of libmuster. It may be included from C99 and C++11.
 *
 * An agent in five lines: muster_agent_options_init(), a name, muster_agent_open(), then
 * muster_agent_run_thread(), and at the end muster_agent_leave() and muster_agent_close(). A
 * program with a loop of its own calls muster_agent_join() instead of run_thread() and watches the
 * descriptor of muster_agent_fd().
 *
 * The library raises no signal, starts no thread but where asked, has no global state, and goes on
 * when the conductor dies: it tries until it is back. Any call may come from any thread, but
 * muster_agent_close() must be the last. After a fork() the child's calls return MU_EFORKED and
 * send nothing; closing the agent in the child does not disturb the parent.
 */
#ifndef MUSTER_H
#define MUSTER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__)
#define MUSTER_API __attribute__((visibility("default")))
#else
#define MUSTER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Every error of muster: name, value, text. Functions return 0 or one of these. */
#define MUSTER_ERRORS(X)                                                                           \
    X(MU_ENOMEM, -1, "out of memory")                                                              \
    X(MU_EINVAL, -2, "invalid argument")                                                           \
    X(MU_ERANGE, -3, "value out of range")                                                         \
    X(MU_ENOENT, -4, "no such agent")                                                              \
    X(MU_EEXIST, -5, "exists already")                                                             \
    X(MU_EAGAIN, -6, "not reached, or not ready: try again")                                       \
    X(MU_EBUSY, -7, "another write is pending")                                                    \
    X(MU_ECONFLICT, -8, "changed by another since it was read")                                    \
    X(MU_ETIMEDOUT, -9, "no answer in time: outcome unknown, safe to repeat")                      \
    X(MU_EFULL, -10, "a bound was reached")                                                        \
    X(MU_EPERM, -11, "denied")                                                                     \
    X(MU_EPROTO, -12, "malformed message")                                                         \
    X(MU_EVERSION, -13, "version not understood")                                                  \
    X(MU_ECORRUPT, -14, "damaged data")                                                            \
    X(MU_EIO, -15, "input or output failed")                                                       \
    X(MU_ELOCKED, -16, "in use by another process")                                                \
    X(MU_EGONE, -17, "no longer kept")                                                             \
    X(MU_ESUPERSEDED, -18, "the name was taken over by a newer process")                           \
    X(MU_EFENCED, -19, "fenced")                                                                   \
    X(MU_ECLOSED, -20, "closed")                                                                   \
    X(MU_EFORKED, -21, "opened by the parent process")                                             \
    X(MU_ENOTSUP, -22, "not supported")

enum muster_error {
#define MUSTER_ERROR_(name, value, text) name = (value),
    MUSTER_ERRORS(MUSTER_ERROR_)
#undef MUSTER_ERROR_
        MU_OK = 0
};

/* The text of error @code; "unknown error" for a value that is none. Never NULL. */
MUSTER_API const char *muster_strerror(int code);

/* The library's version, "0.1.0". */
MUSTER_API const char *muster_version(void);

struct muster_agent;

/* What the log hook is told. LOST and RECOVERED come once each per outage, however long it is and
 * however often is tried. */
enum muster_notice {
    MUSTER_NOTICE_JOINED,     /* the conductor knows the agent (again) */
    MUSTER_NOTICE_LOST,       /* no answer for so long that the lease ended, or no room there */
    MUSTER_NOTICE_RECOVERED,  /* answers again */
    MUSTER_NOTICE_REFUSED,    /* not taken, for good: the text says why */
    MUSTER_NOTICE_SUPERSEDED, /* a newer process has the name: this one has stopped beating */
    MUSTER_NOTICE_FENCED,     /* an operator declared the agent down; it goes on beating */
    MUSTER_NOTICE_SLOWER,     /* the interval in force is not the one wanted: the text has both */
    MUSTER_NOTICE_FAILED      /* a report or a leave was refused: the text says why */
};

/* Runs outside of the library's locks, in the thread whose call found it out (with
 * muster_agent_run_thread() mostly the library's own). It may call back in, but not close. @text is
 * one line, borrowed for the call. */
typedef void (*muster_log_fn)(void *ctx, enum muster_notice what, const char *text);

struct muster_label {
    const char *key, *value;
};

/* Made by muster_agent_options_init(), which sets every default; all texts are UTF-8 and copied. */
struct muster_agent_options {
    size_t size; /* of this struct, as the program knows it */
    /* Addresses, by commas: muster://HOST:PORT, HOST:PORT, /unix/path; tried in turn. An http://
     * address stands for its host and port 4680 where there is no other. NULL = $MUSTER_CONDUCTOR,
     * else muster://127.0.0.1:4680. */
    const char *conductor;
    const char *token;   /* what the conductor asks for; at most 255 bytes; NULL = none */
    const char *binary;  /* the name's first part: 1-255 bytes, no '/', no '@'; required */
    const char *host;    /* its second; NULL = gethostname() */
    const char *zone;    /* availability zone; NULL = none */
    const char *version; /* of the program; NULL = none */
    const struct muster_label *labels; /* at most 32, keys and values up to 255 bytes */
    size_t nlabels;
    uint32_t interval_ms; /* between beats; 1 to 864,000,000; 0 = the conductor's (10 s) */
    const char *payload;  /* the first report: JSON of at most 65,536 bytes; NULL = none */
    int manual;           /* non-zero: beats only when muster_agent_beat() says so */
    int resolve_later;    /* non-zero: open() resolves no name; the thread of run_thread() does, and
                             again whenever no address answers. Without such a thread no name is
                             ever resolved: addresses must be numeric then */
    muster_log_fn log;    /* NULL = none */
    void *log_ctx;
};

static inline void muster_agent_options_init(struct muster_agent_options *options)
{
    memset(options, 0, sizeof(*options));
    options->size = sizeof(*options);
}

/* Opens an agent; nothing is sent yet. Resolving a host's name may block for as long as the
 * system's resolver does (see .resolve_later); nothing else blocks. Where no name can be resolved
 * now, MU_EAGAIN.
 *
 * Returns 0, and the caller owns *@out until muster_agent_close(); or, *@out untouched, MU_EINVAL
 * for an option that is not as it must be, MU_ERANGE for an interval or a token that is too long,
 * MU_EAGAIN, MU_EIO where the system gives no descriptor, MU_ENOMEM. */
MUSTER_API int muster_agent_open(struct muster_agent **out,
                                 const struct muster_agent_options *options);

/* Begins: joins as soon as a conductor is reached and beats from then on, driven by
 * muster_agent_step(). Returns 0; MU_EEXIST when it has begun already; MU_EFORKED. */
MUSTER_API int muster_agent_join(struct muster_agent *agent);

/* The same, driven by a thread of the library's own with every signal blocked. Returns 0;
 * MU_EEXIST; MU_EFORKED; MU_EAGAIN where no thread is to be had. */
MUSTER_API int muster_agent_run_thread(struct muster_agent *agent);

/* "Still here" of a manual agent: sent now, or a quarter of an interval after the last. Returns 0;
 * MU_EINVAL where the agent is not manual; and as the next. Never blocks. */
MUSTER_API int muster_agent_beat(struct muster_agent *agent);

/* Sends @n bytes of JSON, 1 to 65,536, when it can, and again until the conductor has answered that
 * they are stored; a newer report replaces one that waits. Never blocks. Returns 0; MU_ERANGE;
 * MU_EINVAL for what is no text in UTF-8; MU_ENOMEM; MU_ECLOSED before the agent has begun or after
 * it left; MU_ESUPERSEDED; MU_EPERM when it was refused; MU_EFORKED. */
MUSTER_API int muster_agent_report(struct muster_agent *agent, const char *json, size_t n);

/* Leaves: the conductor shows `left` and raises no alarm. Waits up to @timeout_ms for its answer; 0
 * only asks, and muster_agent_lease() shows when it is done. Returns 0 when the agent has left (or
 * never was), MU_ETIMEDOUT when the answer has not come yet: call again to wait on; or MU_EFORKED.
 */
MUSTER_API int muster_agent_leave(struct muster_agent *agent, int timeout_ms);

/* Ends the thread, closes and frees; NULL is allowed. Waits for a resolver that the thread has
 * asked (see .resolve_later); nothing else blocks. An agent that has not left will be seen to have
 * died. In a forked child it only gives back what the child holds. */
MUSTER_API void muster_agent_close(struct muster_agent *agent);

enum muster_lease_state {
    MUSTER_LEASE_NONE,       /* never joined yet */
    MUSTER_LEASE_HELD,       /* the conductor counts the agent as alive */
    MUSTER_LEASE_EXPIRED,    /* may be counted as down: no answer for too long */
    MUSTER_LEASE_SUPERSEDED, /* a newer process has the name */
    MUSTER_LEASE_REFUSED,
    MUSTER_LEASE_LEFT
};

struct muster_lease {
    enum muster_lease_state state;
    int on_stream; /* beats go by the stream, since datagrams get lost */
    int fenced;    /* an operator declared it down */
    int64_t
        left_ms; /* until the lease ends, counted from before the beat was sent; 0 unless held */
    int64_t interval_ms;  /* in force; 0 before the join */
    uint64_t incarnation; /* number of this life; 0 before the join */
    uint64_t beats;       /* sent so far */
    char uuid[37];        /* "" before the join */
    uint64_t reserved[4]; /* 0 */
};

/* How the agent stands, by CLOCK_BOOTTIME: a suspended machine's lease ends too. Returns 0, or
 * MU_EFORKED. */
MUSTER_API int muster_agent_lease(struct muster_agent *agent, struct muster_lease *out);

/* For a loop of one's own: call step() when the descriptor is readable, or when the timeout is
 * over, whichever is first, and ask for the timeout anew after each step. A call that changes what
 * is due makes the descriptor readable.
 *
 * fd(): one descriptor (epoll) for as long as the agent is open; it belongs to the library: watch
 * it, don't read or close it. MU_EFORKED. timeout_ms(): from now; -1 = none, also where
 * run_thread() does the work; or MU_EFORKED (-21). step(): does what is due, never blocks. Returns
 * 0; MU_EBUSY where run_thread() does it; MU_EFORKED.
 */
MUSTER_API int muster_agent_fd(const struct muster_agent *agent);
MUSTER_API int muster_agent_timeout_ms(struct muster_agent *agent);
MUSTER_API int muster_agent_step(struct muster_agent *agent);

#ifdef __cplusplus
}
#endif

#endif
