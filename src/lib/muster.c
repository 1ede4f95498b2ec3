/* A handle is a session, a link, and a lock around both. The session's notices are kept while the
 * lock is held and told after it, so that the hook may call back in. With run_thread() a thread of
 * ours waits on the link's descriptor and steps; else the program does. A child of fork() shares
 * sockets with its parent and must touch none of them: each call looks whose process this is. */
#include "muster.h"

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/session.h"
#include "base/mem.h"
#include "base/rng.h"
#include "lib/link.h"

#define TOLD_MAX  8
#define TOLD_TEXT 256

struct told {
    enum muster_notice what;
    char text[TOLD_TEXT];
};

struct muster_agent {
    pid_t pid; /* whose it is */
    pthread_mutex_t lock;
    pthread_cond_t stepped;
    pthread_t thread;
    bool begun; /* before, the session's first dial waits in .dial_wanted */
    bool dial_wanted, threaded, stop, resolve_later;
    struct mu_link *link;
    struct mu_session *session;
    uint32_t id;
    char *conductor;
    muster_log_fn log;
    void *log_ctx;
    struct told told[TOLD_MAX];
    size_t ntold;
};

static bool forked(const struct muster_agent *a)
{
    return getpid() != a->pid;
}

/* ---- session and link ---- */

static void port_datagram(void *ctx, const uint8_t *data, size_t n)
{
    mu_link_datagram(((struct muster_agent *)ctx)->link, data, n);
}

static void port_stream(void *ctx, const uint8_t *data, size_t n)
{
    mu_link_stream(((struct muster_agent *)ctx)->link, data, n);
}

static void port_dial(void *ctx)
{
    struct muster_agent *a = ctx;

    if (a->begun)
        mu_link_dial(a->link, mu_clock_boot());
    else
        a->dial_wanted = true;
}

static void port_hangup(void *ctx)
{
    mu_link_hangup(((struct muster_agent *)ctx)->link);
}

static void port_notice(void *ctx, enum mu_notice what, uint32_t id, int rv, const char *text)
{
    static const int names[] = {
        [MU_NOTICE_JOINED] = MUSTER_NOTICE_JOINED,
        [MU_NOTICE_LOST] = MUSTER_NOTICE_LOST,
        [MU_NOTICE_RECOVERED] = MUSTER_NOTICE_RECOVERED,
        [MU_NOTICE_REFUSED] = MUSTER_NOTICE_REFUSED,
        [MU_NOTICE_SUPERSEDED] = MUSTER_NOTICE_SUPERSEDED,
        [MU_NOTICE_FENCED] = MUSTER_NOTICE_FENCED,
        [MU_NOTICE_DONE] = MUSTER_NOTICE_FAILED,
        [MU_NOTICE_SLOWER] = MUSTER_NOTICE_SLOWER,
    };
    struct muster_agent *a = ctx;
    struct told *told;

    if (!a->log || (what == MU_NOTICE_DONE && rv == 0) || a->ntold == TOLD_MAX)
        return;
    told = &a->told[a->ntold++];
    told->what = (enum muster_notice)names[what];
    snprintf(told->text, sizeof(told->text), "%s", text);
}

static void on_dialled(void *ctx, int rv, mu_time now)
{
    mu_session_dialled(((struct muster_agent *)ctx)->session, rv, now);
}

static void on_stream(void *ctx, const uint8_t *data, size_t n, mu_time now)
{
    mu_session_stream(((struct muster_agent *)ctx)->session, data, n, now);
}

static void on_hungup(void *ctx, mu_time now)
{
    mu_session_hungup(((struct muster_agent *)ctx)->session, now);
}

static void on_datagram(void *ctx, const uint8_t *data, size_t n, mu_time now)
{
    mu_session_datagram(((struct muster_agent *)ctx)->session, data, n, now);
}

/* ---- lock and notices ---- */

static void lock(struct muster_agent *a)
{
    pthread_mutex_lock(&a->lock);
}

/* Lets go and tells what came up meanwhile. */
static void unlock(struct muster_agent *a)
{
    struct told told[TOLD_MAX];
    size_t n = a->ntold;

    memcpy(told, a->told, n * sizeof(told[0]));
    a->ntold = 0;
    pthread_mutex_unlock(&a->lock);
    for (size_t i = 0; i < n; i++)
        a->log(a->log_ctx, told[i].what, told[i].text);
}

/* Locks for a call that asks the session for something. @rv: why not, or 0; unlock either way but
 * after MU_EFORKED. */
static int enter(struct muster_agent *a)
{
    if (forked(a))
        return MU_EFORKED;
    lock(a);
    return a->begun ? 0 : MU_ECLOSED;
}

static void step_locked(struct muster_agent *a)
{
    mu_time now = mu_clock_boot();

    mu_link_step(a->link, now);
    if (mu_session_due(a->session) <= now)
        mu_session_tick(a->session, now);
    pthread_cond_broadcast(&a->stepped);
}

static int timeout_locked(const struct muster_agent *a)
{
    mu_time due = mu_session_due(a->session), link = mu_link_due(a->link), wait;

    due = link < due ? link : due;
    if (due == MU_NEVER)
        return -1;
    wait = due - mu_clock_boot();
    if (wait <= 0)
        return 0;
    return wait / MU_MS >= INT_MAX ? INT_MAX : (int)((wait + MU_MS - 1) / MU_MS);
}

/* ---- open ---- */

/* The options as this library knows them: a program built against an older one has fewer. */
static int take_options(struct muster_agent_options *to, const struct muster_agent_options *from)
{
    if (!from || from->size < offsetof(struct muster_agent_options, log) || !from->binary)
        return MU_EINVAL;
    memset(to, 0, sizeof(*to));
    memcpy(to, from, from->size < sizeof(*to) ? from->size : sizeof(*to));
    return 0;
}

static int open_session(struct muster_agent *a, const char *token)
{
    const struct mu_session_ports ports = {a,         port_datagram, port_stream,
                                           port_dial, port_hangup,   port_notice};
    struct mu_session_config config = {.token = token ? token : "",
                                       .datagrams = mu_peers_datagrams(a->conductor)};
    uint64_t random[2];
    int rv = mu_rng_secret(random, sizeof(random));

    if (rv)
        return rv;
    config.start_id = random[0];
    config.seed = random[1];
    return mu_session_new(&a->session, &config, &ports, mu_clock_boot());
}

static int open_link(struct muster_agent *a)
{
    const struct mu_link_events events = {a, on_dialled, on_stream, on_hungup, on_datagram};
    struct mu_peers peers;
    int rv = mu_peers_find(&peers, a->conductor, !a->resolve_later, NULL);

    if (rv && !(rv == MU_EAGAIN && a->resolve_later))
        return rv;
    rv = mu_link_open(&a->link, &events);
    if (!rv)
        mu_link_peers(a->link, &peers);
    return rv;
}

static int add_self(struct muster_agent *a, const struct muster_agent_options *o)
{
    struct mu_session_label labels[MU_LABELS_MAX];
    char host[HOST_NAME_MAX + 1] = "";
    struct mu_session_agent self = {.binary = o->binary,
                                    .host = o->host ? o->host : host,
                                    .zone = o->zone,
                                    .version = o->version,
                                    .labels = labels,
                                    .nlabels = o->nlabels,
                                    .interval = o->interval_ms * MU_MS,
                                    .payload = o->payload,
                                    .manual = o->manual != 0};

    if (o->nlabels > MU_LABELS_MAX || (o->nlabels && !o->labels))
        return MU_EINVAL;
    for (size_t i = 0; i < o->nlabels; i++) {
        labels[i] = (struct mu_session_label){o->labels[i].key, o->labels[i].value};
        if (!labels[i].key || !labels[i].value)
            return MU_EINVAL;
    }
    if (!o->host && gethostname(host, sizeof(host) - 1))
        return MU_EIO;
    return mu_session_add(a->session, &self, &a->id, mu_clock_boot());
}

static void free_agent(struct muster_agent *a)
{
    mu_session_free(a->session);
    mu_link_close(a->link);
    mu_free(a->conductor);
    pthread_cond_destroy(&a->stepped);
    pthread_mutex_destroy(&a->lock);
    mu_free(a);
}

static int init(struct muster_agent *a, const struct muster_agent_options *o)
{
    const char *conductor = o->conductor ? o->conductor : getenv("MUSTER_CONDUCTOR");
    pthread_condattr_t attr;
    int rv;

    a->pid = getpid();
    a->log = o->log;
    a->log_ctx = o->log_ctx;
    a->resolve_later = o->resolve_later != 0;
    pthread_mutex_init(&a->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&a->stepped, &attr);
    pthread_condattr_destroy(&attr);
    a->conductor = mu_strdup(conductor ? conductor : "");
    if (!a->conductor)
        return MU_ENOMEM;
    rv = open_link(a);
    if (!rv)
        rv = open_session(a, o->token);
    return rv ? rv : add_self(a, o);
}

int muster_agent_open(struct muster_agent **out, const struct muster_agent_options *options)
{
    struct muster_agent_options o;
    struct muster_agent *a;
    int rv = take_options(&o, options);

    if (rv)
        return rv;
    a = mu_alloc(sizeof(*a));
    if (!a)
        return MU_ENOMEM;
    rv = init(a, &o);
    if (rv) {
        free_agent(a);
        return rv;
    }
    *out = a;
    return 0;
}

/* ---- who drives it ---- */

static int begin(struct muster_agent *a, bool threaded)
{
    if (a->begun)
        return MU_EEXIST;
    a->begun = true;
    a->threaded = threaded;
    if (a->dial_wanted)
        mu_link_dial(a->link, mu_clock_boot());
    mu_link_wake(a->link);
    return 0;
}

int muster_agent_join(struct muster_agent *a)
{
    int rv;

    if (forked(a))
        return MU_EFORKED;
    lock(a);
    rv = begin(a, false);
    unlock(a);
    return rv;
}

/* Looks the names up without the lock: it may take as long as it likes. What does not come out
 * changes nothing. */
static void find_peers(struct muster_agent *a)
{
    struct mu_peers peers;

    if (mu_peers_find(&peers, a->conductor, true, NULL))
        return;
    lock(a);
    mu_link_peers(a->link, &peers);
    unlock(a);
}

static void *run(void *arg)
{
    struct muster_agent *a = arg;
    struct pollfd ready = {.fd = mu_link_fd(a->link), .events = POLLIN};
    bool stop = false, astray;
    int timeout;

    while (!stop) {
        lock(a);
        step_locked(a);
        timeout = timeout_locked(a);
        astray = mu_link_astray(a->link);
        stop = a->stop;
        unlock(a);
        if (astray && !stop)
            find_peers(a);
        else if (!stop)
            poll(&ready, 1, timeout);
    }
    return NULL;
}

/* The thread inherits the mask: a signal of the program's must never run on it. */
static int start_thread(struct muster_agent *a)
{
    sigset_t all, before;
    int rv;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rv = pthread_create(&a->thread, NULL, run, a);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rv ? MU_EAGAIN : 0;
}

int muster_agent_run_thread(struct muster_agent *a)
{
    int rv;

    if (forked(a))
        return MU_EFORKED;
    lock(a);
    rv = a->begun ? MU_EEXIST : start_thread(a);
    if (!rv)
        rv = begin(a, true);
    unlock(a);
    return rv;
}

int muster_agent_fd(const struct muster_agent *a)
{
    return forked(a) ? MU_EFORKED : mu_link_fd(a->link);
}

int muster_agent_timeout_ms(struct muster_agent *a)
{
    int timeout;

    if (forked(a))
        return MU_EFORKED;
    lock(a);
    timeout = a->begun && !a->threaded ? timeout_locked(a) : -1;
    unlock(a);
    return timeout;
}

int muster_agent_step(struct muster_agent *a)
{
    int rv = 0;

    if (forked(a))
        return MU_EFORKED;
    lock(a);
    if (a->threaded)
        rv = MU_EBUSY;
    else if (a->begun)
        step_locked(a);
    unlock(a);
    return rv;
}

/* ---- what a program says ---- */

int muster_agent_beat(struct muster_agent *a)
{
    int rv = enter(a);

    if (rv == MU_EFORKED)
        return rv;
    if (!rv) {
        rv = mu_session_beat(a->session, a->id, mu_clock_boot());
        mu_link_wake(a->link);
    }
    unlock(a);
    return rv;
}

int muster_agent_report(struct muster_agent *a, const char *json, size_t n)
{
    int rv = enter(a);

    if (rv == MU_EFORKED)
        return rv;
    if (!rv) {
        rv = mu_session_report(a->session, a->id, json, n, mu_clock_boot());
        mu_link_wake(a->link);
    }
    unlock(a);
    return rv;
}

static enum mu_lease lease_locked(struct muster_agent *a, struct mu_session_status *st)
{
    mu_session_status(a->session, a->id, mu_clock_boot(), st);
    return st->lease;
}

static bool gone(struct muster_agent *a)
{
    struct mu_session_status st;
    enum mu_lease lease = lease_locked(a, &st);

    return lease == MU_LEASE_LEFT || lease == MU_LEASE_SUPERSEDED || lease == MU_LEASE_REFUSED;
}

/* Waits for a step of whoever drives it; where that is us, makes one. */
static void wait_step(struct muster_agent *a, mu_time until)
{
    struct pollfd ready = {.fd = mu_link_fd(a->link), .events = POLLIN};
    mu_dur left = until - mu_clock_now();
    struct timespec at = {until / MU_SEC, until % MU_SEC};
    int timeout;

    if (a->threaded) {
        pthread_cond_timedwait(&a->stepped, &a->lock, &at);
        return;
    }
    timeout = timeout_locked(a);
    left = left > 0 ? (left + MU_MS - 1) / MU_MS : 0;
    unlock(a);
    poll(&ready, 1, timeout >= 0 && timeout < left ? timeout : (int)left);
    lock(a);
    step_locked(a);
}

int muster_agent_leave(struct muster_agent *a, int timeout_ms)
{
    mu_time until = mu_clock_now() + (timeout_ms > 0 ? timeout_ms : 0) * MU_MS;
    int rv = enter(a);

    if (rv == MU_EFORKED)
        return rv;
    if (rv) {
        unlock(a);
        return 0; /* never began */
    }
    mu_session_leave(a->session, a->id, mu_clock_boot());
    mu_link_wake(a->link);
    if (a->threaded && pthread_equal(pthread_self(), a->thread))
        until = 0; /* from the log hook: it would wait for itself */
    while (!gone(a) && mu_clock_now() < until)
        wait_step(a, until);
    rv = gone(a) ? 0 : MU_ETIMEDOUT;
    unlock(a);
    return rv;
}

int muster_agent_lease(struct muster_agent *a, struct muster_lease *out)
{
    struct mu_session_status st;

    if (forked(a))
        return MU_EFORKED;
    memset(out, 0, sizeof(*out));
    lock(a);
    out->state = (enum muster_lease_state)lease_locked(a, &st);
    unlock(a);
    out->on_stream = st.on_stream;
    out->fenced = st.fenced;
    out->left_ms = st.lease_left / MU_MS;
    out->interval_ms = st.interval / MU_MS;
    out->incarnation = st.incarnation;
    out->beats = st.beats;
    if (st.incarnation)
        mu_uuid_text(st.uuid, out->uuid);
    return 0;
}

void muster_agent_close(struct muster_agent *a)
{
    if (!a)
        return;
    if (forked(a)) {
        mu_link_abandon(a->link); /* what the thread was changing may be half changed for ever */
        return;
    }
    if (a->threaded) {
        lock(a);
        a->stop = true;
        mu_link_wake(a->link);
        unlock(a);
        pthread_join(a->thread, NULL);
    }
    free_agent(a);
}

const char *muster_version(void)
{
    return MUSTER_VERSION;
}
