/* A program connects -> its lines are read -> the first `beat NAME` adds an agent to the session,
 * the next ones are its beats -> `bye` leaves; the end of the connection or of the process is
 * ENDED.
 *
 * An agent that has left or ended is kept until the conductor has been told, which may be a while
 * when it is away. A line that wants the name anew meanwhile waits in the agent (.again), the last
 * one only. One that was refused or superseded is kept until its program goes: its next beat would
 * be another join, and take the name back.
 *
 * Who writes faster than he reads the answers is read no further until he has. Who reads none at
 * all for a while gets none from then on: his beats count, and he is not to die of answers. */
#include "relay/relay.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>
#include <uv.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "conductor/payload.h"
#include "loop/alarm.h"
#include "loop/socket.h"
#include "relay/line.h"
#include "relay/pid.h"

#define PROGRAMS_MAX 4096
#define AGENTS_MAX   100000
#define INPUT_MAX    ((size_t)2 * MU_LINE_MAX)
#define IDLE_MAX     4096               /* bytes of input's memory that an idle program keeps */
#define ANSWERS_FULL ((size_t)32 << 10) /* bytes unread: no further line is done */
#define PATIENCE     MU_SEC             /* with who reads none of them */
#define REST         MU_SEC             /* of the door, without a descriptor for who waits there */

struct agent {
    UT_hash_handle hh;
    char name[MU_NAME_TEXT];
    uint32_t id;               /* in the session */
    struct program *program;   /* whose it is; NULL once it is leaving */
    struct agent *prev, *next; /* of the same program */
    char *over;                /* why it beats no more; NULL = it does */
    char *again;               /* the line that wants it anew when it is gone */
    struct program *again_for;
};

struct program {
    uv_poll_t poll;
    struct mu_relay *relay;
    struct program *prev, *next;
    struct agent *agents;
    struct mu_pid *pid;
    struct mu_alarm *patience;
    struct mu_buf in, out;
    int fd;
    bool deaf; /* gets no answers */
};

struct mu_relay {
    uv_loop_t *loop;
    uv_poll_t *door;
    struct mu_alarm *rested; /* when descriptors had run out: the door opens again */
    struct mu_uplink *up;
    struct mu_addr path;
    char host[MU_NAME_PART_MAX + 1], zone[256];
    mu_dur interval;
    struct program *programs;
    unsigned nprograms;
    struct agent *agents; /* by name */
    struct agent **by_id; /* by number in the session */
    uint32_t nids;
    int fd;
};

static void on_program(uv_poll_t *poll, int status, int events);

/* --- agents -------------------------------------------------------------------------------------
 */

static struct agent *find(struct mu_relay *relay, const char *name)
{
    struct agent *agent;

    HASH_FIND_STR(relay->agents, name, agent);
    return agent;
}

static int remember_id(struct mu_relay *relay, uint32_t id, struct agent *agent)
{
    if (id >= relay->nids) {
        uint32_t n = id < 32 ? 64 : 2 * id;
        struct agent **by_id = mu_realloc(relay->by_id, n, sizeof(struct agent *));
        if (!by_id)
            return MU_ENOMEM;
        memset(by_id + relay->nids, 0, (n - relay->nids) * sizeof(struct agent *));
        relay->by_id = by_id;
        relay->nids = n;
    }
    relay->by_id[id] = agent;
    return 0;
}

static void forget(struct mu_relay *relay, struct agent *agent)
{
    HASH_DEL(relay->agents, agent);
    if (agent->program)
        DL_DELETE(agent->program->agents, agent);
    if (agent->id < relay->nids && relay->by_id[agent->id] == agent)
        relay->by_id[agent->id] = NULL;
    mu_free(agent->over);
    mu_free(agent->again);
    mu_free(agent);
}

static int add_to_session(struct mu_relay *relay, struct agent *agent, const struct mu_line *line,
                          struct mu_err *err)
{
    struct mu_session_label labels[MU_LABELS_MAX];
    struct mu_session_agent is = {
        .binary = line->binary,
        .host = line->host[0] ? line->host : relay->host,
        .zone = line->zone[0] ? line->zone : relay->zone,
        .version = "",
        .labels = labels,
        .nlabels = line->nlabels,
        .interval = line->interval ? line->interval : relay->interval,
        .manual = true,
    };
    mu_time now = mu_clock_boot();
    int rv;

    for (size_t i = 0; i < line->nlabels; i++)
        labels[i] = (struct mu_session_label){line->labels[i][0], line->labels[i][1]};
    rv = mu_session_add(mu_uplink_session(relay->up), &is, &agent->id, now);
    if (rv == 0)
        rv = remember_id(relay, agent->id, agent);
    if (rv == 0)
        rv = mu_session_beat(mu_uplink_session(relay->up), agent->id, now);
    return rv ? mu_err_set(err, rv, "%s: %s", agent->name, muster_strerror(rv)) : 0;
}

static int add(struct program *program, const char *name, const struct mu_line *line,
               struct mu_err *err)
{
    struct mu_relay *relay = program->relay;
    struct agent *agent;
    int rv;

    if (HASH_COUNT(relay->agents) >= AGENTS_MAX)
        return mu_err_set(err, MU_EFULL, "the relay has %d agents, and takes no more", AGENTS_MAX);
    agent = mu_alloc(sizeof(*agent));
    if (!agent)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    strcpy(agent->name, name);
    agent->id = UINT32_MAX;
    agent->program = program;
    HASH_ADD_STR(relay->agents, name, agent);
    DL_APPEND(program->agents, agent);
    rv = add_to_session(relay, agent, line, err);
    if (rv)
        forget(relay, agent);
    return rv;
}

/* The agent is no longer its program's; how it ended, or that it left, is on its way. */
static void let_go(struct agent *agent, bool bye)
{
    struct mu_relay *relay = agent->program->relay;
    struct mu_session *session = mu_uplink_session(relay->up);
    mu_time now = mu_clock_boot();
    int rv;

    if (agent->over) {
        forget(relay, agent);
        return;
    }
    DL_DELETE(agent->program->agents, agent);
    agent->program = NULL;
    rv = bye ? mu_session_leave(session, agent->id, now)
             : mu_session_ended(session, agent->id, MU_ENDED_UNKNOWN, 0, now);
    mu_info("relay", bye ? "left" : "ended", MU_KVS("agent", agent->name));
    /* One that never joined has left at once: nobody answers. */
    if (rv || mu_session_remove(session, agent->id, now) == 0)
        forget(relay, agent);
}

/* --- lines --------------------------------------------------------------------------------------
 */

static int same_owner(const struct program *program, const struct agent *agent, struct mu_err *err)
{
    if (!agent || agent->program != program)
        return mu_err_set(err, MU_ENOENT, "%s: this connection has sent no beat of it",
                          agent ? agent->name : "no such agent");
    return 0;
}

/* @text is the line as it came: kept where it must wait. */
static int do_beat(struct program *program, const char *name, const struct mu_line *line,
                   const char *text, struct mu_err *err)
{
    struct agent *agent = find(program->relay, name);
    char *again;
    int rv;

    if (!agent)
        return add(program, name, line, err);
    if (agent->program == program) {
        if (agent->over)
            return mu_err_set(err, MU_ECLOSED, "%s: %s", name, agent->over);
        rv = mu_session_beat(mu_uplink_session(program->relay->up), agent->id, mu_clock_boot());
        return rv ? mu_err_set(err, rv, "%s: %s", name, muster_strerror(rv)) : 0;
    }
    if (agent->program)
        return mu_err_set(err, MU_EBUSY, "%s: another local program has the name", name);
    again = mu_strdup(text);
    if (!again)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    mu_free(agent->again);
    agent->again = again;
    agent->again_for = program;
    return 0;
}

static int do_line(struct program *program, const char *text, struct mu_err *err)
{
    struct mu_relay *relay = program->relay;
    char copy[MU_LINE_MAX + 1], name[MU_NAME_TEXT];
    struct mu_line line;
    struct agent *agent;
    int rv;

    strcpy(copy, text);
    rv = mu_line_parse(&line, copy, err);
    if (rv)
        return rv;
    snprintf(name, sizeof(name), "%s@%s", line.binary, line.host[0] ? line.host : relay->host);
    if (line.verb == MU_LINE_BEAT)
        return do_beat(program, name, &line, text, err);
    agent = find(relay, name);
    rv = same_owner(program, agent, err);
    if (rv)
        return rv;
    if (line.verb == MU_LINE_BYE) {
        let_go(agent, true);
        return 0;
    }
    if (agent->over)
        return mu_err_set(err, MU_ECLOSED, "%s: %s", name, agent->over);
    if (mu_payload_check(line.json, strlen(line.json)) == MU_EINVAL)
        return mu_err_set(err, MU_EINVAL, "%s: what it reports is not JSON", name);
    rv = mu_session_report(mu_uplink_session(relay->up), agent->id, line.json, strlen(line.json),
                           mu_clock_boot());
    return rv ? mu_err_set(err, rv, "%s: %s", name, muster_strerror(rv)) : 0;
}

/* --- programs -----------------------------------------------------------------------------------
 */

static void program_gone(uv_handle_t *handle)
{
    mu_free(handle->data);
}

static void close_program(struct program *program)
{
    struct mu_relay *relay = program->relay;
    struct agent *agent, *next;

    for (agent = relay->agents; agent; agent = agent->hh.next)
        if (agent->again_for == program) {
            mu_free(agent->again);
            agent->again = NULL;
            agent->again_for = NULL;
        }
    DL_FOREACH_SAFE(program->agents, agent, next)
    let_go(agent, false);
    DL_DELETE(relay->programs, program);
    relay->nprograms--;
    mu_pid_stop(program->pid);
    mu_alarm_free(program->patience);
    mu_buf_fini(&program->in);
    mu_buf_fini(&program->out);
    uv_poll_stop(&program->poll);
    close(program->fd);
    uv_close((uv_handle_t *)&program->poll, program_gone);
}

static bool is_full(const struct program *program)
{
    return program->out.len >= ANSWERS_FULL;
}

static void flush(struct program *program)
{
    while (program->out.len > 0) {
        ssize_t n =
            send(program->fd, program->out.data, program->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0 && errno != EINTR)
            n = (ssize_t)program->out.len; /* reading will tell */
        mu_buf_drop(&program->out, n < 0 ? 0 : (size_t)n);
    }
    if (is_full(program))
        mu_alarm_set(program->patience, PATIENCE);
    else
        mu_alarm_stop(program->patience);
    uv_poll_start(&program->poll,
                  (is_full(program) ? 0 : UV_READABLE) | (program->out.len ? UV_WRITABLE : 0),
                  on_program);
}

static void answer(struct program *program, int rv, const struct mu_err *err)
{
    if (program->deaf)
        return;
    if (rv)
        mu_buf_printf(&program->out, "error: %s\n", err->text);
    else
        mu_buf_puts(&program->out, "ok\n");
}

/* Does the whole lines that have come, until answers wait. Returns whether the program may go on.
 */
static bool do_lines(struct program *program)
{
    struct mu_buf *in = &program->in;
    struct mu_err err = {0};
    size_t done = 0;
    uint8_t *end;

    while (!is_full(program) && done < in->len &&
           (end = memchr(in->data + done, '\n', in->len - done)) != NULL) {
        char *text = (char *)in->data + done;
        size_t n = (size_t)(end - in->data) - done;

        done += n + 1;
        if (n > 0 && text[n - 1] == '\r')
            n--;
        text[n] = '\0';
        if (n > MU_LINE_MAX || strlen(text) != n)
            answer(program,
                   mu_err_set(&err, MU_EINVAL, "a line of %zu bytes, or with a NUL in it", n),
                   &err);
        else
            answer(program, do_line(program, text, &err), &err);
    }
    mu_buf_drop(in, done);
    if (in->len == 0 && in->cap > IDLE_MAX) { /* of a report: not kept for beats */
        mu_buf_fini(in);
        mu_buf_init(in, INPUT_MAX);
    }
    return !in->failed && !program->out.failed && (is_full(program) || in->len <= MU_LINE_MAX);
}

/* Does lines and sends answers as far as that goes. Returns whether the program is still there. */
static bool serve(struct program *program)
{
    struct mu_err err;
    bool was_full;

    do {
        if (!do_lines(program)) {
            mu_warn("relay", "a local program was cut off",
                    MU_KVS("why", "a line too long, or out of memory"));
            answer(program,
                   mu_err_set(&err, MU_ERANGE, "a line of over %d bytes, or out of memory",
                              MU_LINE_MAX),
                   &err);
            flush(program);
            close_program(program);
            return false;
        }
        was_full = is_full(program);
        flush(program);
    } while (was_full && !is_full(program));
    return true;
}

/* It goes on without answers. */
static bool deafen(struct program *program)
{
    program->deaf = true;
    mu_buf_fini(&program->out);
    mu_buf_init(&program->out, 0);
    return serve(program);
}

static void on_patience_over(void *ctx)
{
    struct program *program = ctx;
    struct mu_relay *relay = program->relay;
    size_t waits = program->out.len;

    flush(program); /* we may have been away ourselves while it read */
    if (program->out.len < waits) {
        (void)serve(program);
        mu_uplink_stir(relay->up);
        return;
    }
    mu_warn("relay", "a local program does not read its answers, and gets no more",
            MU_KVS("agent", program->agents ? program->agents->name : ""));
    (void)deafen(program);
    mu_uplink_stir(relay->up);
}

/* Reads once and does what came. Returns whether there may be more; else the program is gone. */
static bool read_some(struct program *program)
{
    uint8_t bytes[16 * 1024];
    ssize_t n = recv(program->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n > 0) {
        mu_buf_put(&program->in, bytes, (size_t)n);
        return serve(program);
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    close_program(program);
    return false;
}

static void on_program(uv_poll_t *poll, int status, int events)
{
    struct program *program = poll->data;
    struct mu_relay *relay = program->relay;
    bool lives = !(events & UV_WRITABLE) || serve(program);

    if (lives && (status < 0 || (events & UV_READABLE)))
        (void)read_some(program);
    mu_uplink_stir(relay->up);
}

/* Its last lines may wait unread: a `bye` among them is no sudden end. */
static void on_process_end(void *ctx)
{
    struct program *program = ctx;
    struct mu_relay *relay = program->relay;
    bool lives;
    int waiting;

    mu_pid_stop(program->pid);
    program->pid = NULL;
    lives = deafen(program);
    while (lives && ioctl(program->fd, FIONREAD, &waiting) == 0 && waiting > 0)
        lives = read_some(program);
    if (lives)
        close_program(program);
    mu_uplink_stir(relay->up);
}

static void watch_process(struct program *program)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    if (getsockopt(program->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) || cred.pid <= 0)
        return; /* of another namespace: its connection alone tells */
    (void)mu_pid_watch(&program->pid, program->relay->loop, cred.pid, on_process_end, program,
                       NULL);
}

static void on_caller(uv_poll_t *poll, int status, int events);

/* He who waits at the door would keep the loop awake for nothing. */
static void rest(struct mu_relay *relay, int error)
{
    uv_poll_stop(relay->door);
    mu_alarm_set(relay->rested, REST);
    mu_warn("relay", "cannot accept, trying again in a second", MU_KVS("error", strerror(error)));
}

static void on_rested(void *ctx)
{
    struct mu_relay *relay = ctx;

    if (relay->door)
        uv_poll_start(relay->door, UV_READABLE, on_caller);
}

static void on_caller(uv_poll_t *poll, int status, int events)
{
    struct mu_relay *relay = poll->data;
    int fd = accept4(relay->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct program *program;

    (void)status;
    (void)events;
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            rest(relay, errno);
        return;
    }
    program = relay->nprograms < PROGRAMS_MAX ? mu_alloc(sizeof(*program)) : NULL;
    if (!program || mu_alarm_new(&program->patience, relay->loop, on_patience_over, program) != 0 ||
        uv_poll_init(relay->loop, &program->poll, fd)) {
        mu_warn("relay", "no room for a local program", MU_KVU("programs", relay->nprograms));
        if (program)
            mu_alarm_free(program->patience);
        mu_free(program);
        close(fd);
        return;
    }
    program->relay = relay;
    program->fd = fd;
    program->poll.data = program;
    mu_buf_init(&program->in, INPUT_MAX);
    mu_buf_init(&program->out, 0);
    DL_APPEND(relay->programs, program);
    relay->nprograms++;
    watch_process(program);
    uv_poll_start(&program->poll, UV_READABLE, on_program);
}

/* --- the relay ----------------------------------------------------------------------------------
 */

/* Its name is free: whoever wanted it meanwhile gets it. */
static void gone(struct mu_relay *relay, struct agent *agent)
{
    char *again = agent->again;
    struct program *program = agent->again_for;
    struct mu_err err = {0};

    agent->again = NULL;
    forget(relay, agent);
    if (again && do_line(program, again, &err)) {
        answer(program, err.code, &err);
        (void)serve(program);
    }
    mu_free(again);
}

/* Refused or superseded: it says so to its program. */
static void stop(struct mu_relay *relay, struct agent *agent, const char *why)
{
    (void)mu_session_remove(mu_uplink_session(relay->up), agent->id, mu_clock_boot());
    relay->by_id[agent->id] = NULL;
    agent->id = UINT32_MAX;
    agent->over = agent->program ? mu_strdup(why) : NULL;
    if (!agent->over)
        gone(relay, agent);
}

bool mu_relay_notice(struct mu_relay *relay, enum mu_notice what, uint32_t id, int rv,
                     const char *text)
{
    struct agent *agent = id < relay->nids ? relay->by_id[id] : NULL;
    struct mu_session *session = mu_uplink_session(relay->up);

    if (!agent)
        return false;
    switch (what) {
    case MU_NOTICE_JOINED:
        mu_info("relay", "joined", MU_KVS("agent", agent->name));
        break;
    case MU_NOTICE_SLOWER:
        mu_warn("relay", "slower than wanted", MU_KVS("agent", agent->name), MU_KVS("why", text));
        break;
    case MU_NOTICE_FENCED:
        mu_warn("relay", "declared dead by an operator", MU_KVS("agent", agent->name));
        break;
    case MU_NOTICE_REFUSED:
    case MU_NOTICE_SUPERSEDED:
        mu_error("relay", what == MU_NOTICE_REFUSED ? "refused" : "superseded",
                 MU_KVS("agent", agent->name), MU_KVS("why", text));
        stop(relay, agent, text);
        break;
    default: /* a report's answer, or the answer to a last word */
        if (rv)
            mu_warn("relay", "not taken", MU_KVS("agent", agent->name),
                    MU_KVS("why", muster_strerror(rv)));
        if (!agent->program && mu_session_remove(session, id, mu_clock_boot()) == 0)
            gone(relay, agent);
    }
    return true;
}

static void close_door(struct mu_relay *relay);

void mu_relay_leave(struct mu_relay *relay)
{
    struct agent *agent, *next;

    close_door(relay);
    HASH_ITER(hh, relay->agents, agent, next)
    {
        mu_free(agent->again);
        agent->again = NULL;
        agent->again_for = NULL;
        if (agent->program)
            let_go(agent, true);
    }
    while (relay->programs)
        close_program(relay->programs);
    mu_uplink_stir(relay->up);
}

static void door_gone(uv_handle_t *handle)
{
    mu_free(handle);
}

static void close_door(struct mu_relay *relay)
{
    if (!relay->door)
        return;
    unlink(relay->path.path);
    uv_poll_stop(relay->door);
    close(relay->fd);
    uv_close((uv_handle_t *)relay->door, door_gone);
    relay->door = NULL;
}

void mu_relay_free(struct mu_relay *relay)
{
    if (!relay)
        return;
    close_door(relay);
    while (relay->programs)
        close_program(relay->programs);
    while (relay->agents)
        forget(relay, relay->agents);
    mu_alarm_free(relay->rested);
    mu_free(relay->by_id);
    mu_free(relay);
}

int mu_relay_new(struct mu_relay **out, struct uv_loop_s *loop, struct mu_uplink *up,
                 const struct mu_relay_config *config, struct mu_err *err)
{
    struct mu_relay *relay = mu_alloc(sizeof(*relay));
    int rv;

    if (!relay)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    relay->loop = loop;
    relay->up = up;
    relay->path = *config->path;
    relay->interval = config->interval;
    snprintf(relay->host, sizeof(relay->host), "%s", config->host);
    snprintf(relay->zone, sizeof(relay->zone), "%s", config->zone);
    rv = mu_socket_listen(config->path, &relay->fd, err);
    if (rv)
        goto no_socket;
    if (chmod(config->path->path, 0666)) { /* the folder says who may connect, not our umask */
        rv = mu_err_set(err, MU_EIO, "relay %s: %s", config->path->path, strerror(errno));
        goto no_door;
    }
    relay->door = mu_alloc(sizeof(*relay->door));
    if (!relay->door || mu_alarm_new(&relay->rested, loop, on_rested, relay) ||
        uv_poll_init(loop, relay->door, relay->fd)) {
        rv =
            mu_err_set(err, MU_ENOMEM, "relay %s: no memory, or no descriptor", config->path->path);
        goto no_door;
    }
    relay->door->data = relay;
    uv_poll_start(relay->door, UV_READABLE, on_caller);
    *out = relay;
    return 0;

no_door:
    mu_alarm_free(relay->rested);
    mu_free(relay->door);
    close(relay->fd);
    unlink(config->path->path);
no_socket:
    mu_free(relay);
    return rv;
}
