/* A life: join and beat -> told to stop, or what it watches has ended -> the last word goes out ->
 * over.
 *
 * The last word is waited for, but not for ever: the conductor may be away, and nobody likes a
 * service that does not stop. */
#include "relay/life.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/rng.h"
#include "relay/pid.h"
#include "relay/relay.h"
#include "relay/supervise.h"

#define LAST_WORD   (2 * MU_SEC)
#define MEANT       MU_SEC /* two signals nearer than this are one, as timeout(1) sends it twice */
#define LOOK_MS     10     /* how often it is looked whether the last word was answered */
#define NO_AGENT    UINT32_MAX
#define OUR_SIGNALS 2 /* of those below, that stop us; a command is passed all of them */

static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

struct life {
    const struct mu_life_config *config;
    uv_loop_t loop;
    uv_signal_t signals[MU_ARRAY_LEN(signals)];
    uv_timer_t look;
    mu_time last_word_at;
    mu_time told_at; /* by SIGTERM; 0 = not yet */
    struct mu_uplink *up;
    struct mu_relay *relay;
    struct mu_supervise *command;
    struct mu_pid *process;
    uint32_t agent; /* our own, or NO_AGENT */
    char name[MU_NAME_TEXT];
    bool stopping; /* told to */
    bool last_word;
    char lost[128]; /* why nobody holds us; "" = the conductor does, or none has answered yet */
    int status;     /* to exit with */
    int rv;         /* why it ended against its will, and .err */
    struct mu_err *err;
};

/* --- the end ------------------------------------------------------------------------------------
 */

static void tell_unheard(struct life *life)
{
    char excuse[MU_UPLINK_EXCUSE];

    mu_uplink_excuse(life->up, excuse);
    mu_warn("agent", "the conductor was not told of the end", MU_KVS("agent", life->name),
            MU_KVS("why", *life->lost ? life->lost : excuse));
}

static void on_look(uv_timer_t *timer)
{
    struct life *life = timer->data;

    if (mu_session_idle(mu_uplink_session(life->up)))
        uv_stop(&life->loop);
    else if (mu_clock_now() - life->last_word_at >= LAST_WORD) {
        tell_unheard(life);
        uv_stop(&life->loop);
    }
}

static void wait_for_answer(struct life *life, int exits)
{
    life->status = exits;
    life->last_word = true;
    life->last_word_at = mu_clock_now();
    uv_timer_start(&life->look, on_look, 0, LOOK_MS);
    mu_uplink_quiet(life->up);
    mu_uplink_stir(life->up);
}

static void leave(struct life *life, int exits)
{
    if (life->agent != NO_AGENT)
        (void)mu_session_leave(mu_uplink_session(life->up), life->agent, mu_clock_boot());
    if (life->relay)
        mu_relay_leave(life->relay);
    wait_for_answer(life, exits);
}

static void end(struct life *life, enum mu_ended_how how, int status, int exits)
{
    if (life->stopping) {
        leave(life, exits);
        return;
    }
    if (life->agent != NO_AGENT)
        (void)mu_session_ended(mu_uplink_session(life->up), life->agent, how, status,
                               mu_clock_boot());
    wait_for_answer(life, exits);
}

static void on_command_end(void *ctx, enum mu_ended_how how, int status)
{
    struct life *life = ctx;
    int exits = how == MU_ENDED_EXITED ? status : how == MU_ENDED_KILLED ? 128 + status : 1;

    mu_info("agent", how == MU_ENDED_KILLED ? "command killed" : "command ended",
            MU_KVS("agent", life->name), MU_KVI("status", status));
    mu_supervise_free(life->command);
    life->command = NULL;
    end(life, how, status, exits);
}

static void on_process_end(void *ctx)
{
    struct life *life = ctx;

    mu_info("agent", "process ended", MU_KVS("agent", life->name));
    mu_pid_stop(life->process);
    life->process = NULL;
    end(life, MU_ENDED_UNKNOWN, 0, 0);
}

static bool is_second_term(struct life *life)
{
    mu_time now = mu_clock_now();

    if (life->told_at)
        return now - life->told_at >= MEANT;
    life->told_at = now;
    return false;
}

static void on_signal(uv_signal_t *handle, int sig)
{
    struct life *life = handle->data;
    bool stop = sig == SIGTERM || sig == SIGINT || sig == SIGQUIT; /* SIGHUP mostly means: reload */

    if (life->last_word) {
        if (stop && mu_clock_now() - life->last_word_at >= MEANT) /* once more: at once */
            uv_stop(&life->loop);
        return;
    }
    life->stopping |= stop;
    if (life->command && sig == SIGTERM && is_second_term(life)) {
        mu_warn("agent", "command killed, since it did not end", MU_KVS("agent", life->name));
        sig = SIGKILL;
    }
    if (life->command)
        mu_supervise_signal(life->command, sig);
    else if (stop)
        leave(life, 0);
}

/* --- what the conductor says --------------------------------------------------------------------
 */

static void stop_for(struct life *life, const char *what, int rv, const char *text)
{
    life->agent = NO_AGENT;
    if (life->command || life->relay) { /* what they serve goes on without the name */
        mu_error("agent", what, MU_KVS("agent", life->name), MU_KVS("why", text));
        return;
    }
    life->rv = mu_err_set(life->err, rv, "%s: %s: %s", life->name, what, text);
    uv_stop(&life->loop);
}

static void tell_joined(struct life *life)
{
    struct mu_session_status status;
    char uuid[MU_UUID_TEXT], interval[MU_DUR_TEXT];

    if (mu_session_status(mu_uplink_session(life->up), life->agent, mu_clock_boot(), &status))
        return;
    mu_info("agent", "joined", MU_KVS("agent", life->name),
            MU_KVS("uuid", mu_uuid_text(status.uuid, uuid)),
            MU_KVS("interval", mu_dur_text(status.interval, interval)));
}

/* With the last word on its way nothing is tried on: why it was not heard is told once, at the end.
 */
static void tell_lost(struct life *life, int rv, const char *text)
{
    if (mu_session_answered(mu_uplink_session(life->up)))
        snprintf(life->lost, sizeof(life->lost), "%s", text);
    if (!life->last_word)
        mu_warn("agent", rv == MU_EFULL ? "refused for now, trying on" : "conductor lost",
                MU_KVS("why", text));
}

static void on_notice(void *ctx, enum mu_notice what, uint32_t agent, int rv, const char *text)
{
    struct life *life = ctx;

    if (what == MU_NOTICE_LOST) {
        tell_lost(life, rv, text);
        return;
    }
    if (what == MU_NOTICE_RECOVERED) {
        life->lost[0] = '\0';
        mu_info("agent", "conductor back", MU_KVS("why", text));
        return;
    }
    if (agent != life->agent) {
        if (life->relay)
            (void)mu_relay_notice(life->relay, what, agent, rv, text);
        return;
    }
    switch (what) {
    case MU_NOTICE_JOINED:
        tell_joined(life);
        break;
    case MU_NOTICE_REFUSED:
        stop_for(life, "refused", rv, text);
        break;
    case MU_NOTICE_SUPERSEDED:
        stop_for(life, "another process has the name", MU_ESUPERSEDED, text);
        break;
    case MU_NOTICE_FENCED:
        mu_warn("agent", "declared dead by an operator", MU_KVS("agent", life->name));
        break;
    case MU_NOTICE_SLOWER:
        mu_warn("agent", "another interval than wanted", MU_KVS("agent", life->name),
                MU_KVS("why", text));
        break;
    default:
        break;
    }
}

/* --- the beginning ------------------------------------------------------------------------------
 */

static int add_agent(struct life *life)
{
    const struct mu_life_config *config = life->config;
    struct mu_session_agent agent = {
        .binary = config->binary,
        .host = config->host,
        .zone = config->zone,
        .version = MUSTER_VERSION,
        .labels = config->labels,
        .nlabels = config->nlabels,
        .interval = config->interval,
    };
    int rv;

    if (!config->binary)
        return 0;
    snprintf(life->name, sizeof(life->name), "%s@%s", config->binary, config->host);
    rv = mu_session_add(mu_uplink_session(life->up), &agent, &life->agent, mu_clock_boot());
    return rv ? mu_err_set(life->err, rv, "%s: its zone, labels or interval cannot be sent: %s",
                           life->name, muster_strerror(rv))
              : 0;
}

static int add_relay(struct life *life)
{
    const struct mu_life_config *config = life->config;
    struct mu_relay_config relay = {config->relay, config->host, config->zone, config->interval};

    if (!config->relay)
        return 0;
    return mu_relay_new(&life->relay, &life->loop, life->up, &relay, life->err);
}

/* The command comes last: nothing can fail once it runs. */
static int begin(struct life *life)
{
    const struct mu_life_config *config = life->config;
    int rv =
        mu_uplink_new(&life->up, &life->loop, config->conductors, config->token, on_notice, life);

    if (rv)
        return mu_err_set(life->err, rv, "%s", muster_strerror(rv));
    rv = add_agent(life);
    if (rv == 0)
        rv = add_relay(life);
    if (rv == 0 && config->pid)
        rv =
            mu_pid_watch(&life->process, &life->loop, config->pid, on_process_end, life, life->err);
    if (rv == 0 && config->command)
        rv = mu_supervise_new(&life->command, &life->loop, config->command, on_command_end, life,
                              life->err);
    return rv;
}

static void open_handles(struct life *life)
{
    uv_timer_init(&life->loop, &life->look);
    life->look.data = life;
    for (size_t i = 0; i < MU_ARRAY_LEN(signals); i++) {
        uv_signal_init(&life->loop, &life->signals[i]);
        life->signals[i].data = life;
        /* Those that mean nothing to us are passed on to a command, or else left as they are. */
        if (i < OUR_SIGNALS || life->config->command)
            uv_signal_start(&life->signals[i], on_signal, signals[i]);
    }
}

/* Returns whether the loop could be closed: nobody waits half a minute for a resolver. */
static bool close_all(struct life *life)
{
    bool resolving;

    mu_relay_free(life->relay);
    mu_supervise_free(life->command);
    mu_pid_stop(life->process);
    resolving = mu_uplink_close(life->up);
    uv_close((uv_handle_t *)&life->look, NULL);
    for (size_t i = 0; i < MU_ARRAY_LEN(signals); i++)
        uv_close((uv_handle_t *)&life->signals[i], NULL);
    if (resolving && life->rv == 0)
        return false;
    uv_run(&life->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&life->loop);
    return true;
}

int mu_life_run(const struct mu_life_config *config, int *status, struct mu_err *err)
{
    struct life life = {.config = config, .agent = NO_AGENT, .err = err};

    if (uv_loop_init(&life.loop))
        return mu_err_set(err, MU_EFULL, "no event loop: too few descriptors, or no memory");
    (void)signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more is no reason to die */
    open_handles(&life);
    life.rv = begin(&life);
    if (life.rv == 0) {
        mu_uplink_stir(life.up);
        uv_run(&life.loop, UV_RUN_DEFAULT);
    }
    if (!close_all(&life)) {
        (void)fflush(NULL);
        _exit(life.status); /* exit() would wait for the resolver's thread */
    }
    *status = life.status;
    return life.rv;
}
