/* idle -> dialling -> asked -> (resting -> asked)... -> the next sender. A joiner keeps its stream
 * and opens one session after the other on it; where beats go over streams the sender takes it, and
 * the joiner dials anew. A stream that breaks, or an ERROR for now, begins the sender again. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "load/bench_int.h"

#define RETRY      (200 * MU_MS)
#define JOIN_BYTES 32 /* upper bound of one host's text */

static void fail(struct mu_crew *crew, int rv, const char *text)
{
    if (crew->rv == 0)
        crew->rv = mu_err_set(&crew->err, rv, "%s", text);
}

void crew_name(uint32_t agent, char out[32])
{
    snprintf(out, 32, "h%07u", (unsigned)agent);
}

/* --- a joiner's stream --------------------------------------------------------------------------
 */

static void hang_up(struct crew_joiner *j, mu_time again)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
    mu_frames_fini(&j->in);
    mu_frames_init(&j->in);
    j->phase = JOINER_IDLE;
    j->at = again;
}

static void dial(struct crew_joiner *j, mu_time now)
{
    struct mu_crew *crew = j->crew;
    const struct sockaddr *sa = (const struct sockaddr *)&crew->to->agents;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};

    j->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (j->fd < 0) {
        fail(crew, MU_EFULL, "no descriptor for another stream; raise the limit with ulimit -n");
        return;
    }
    event.data.u64 = (uint64_t)(j - crew->joiners);
    if ((connect(j->fd, sa, crew->to->agents_len) && errno != EINPROGRESS) ||
        epoll_ctl(crew->epoll, EPOLL_CTL_ADD, j->fd, &event)) {
        hang_up(j, now + RETRY);
        return;
    }
    j->phase = JOINER_DIALLING;
}

/* From now on only answers matter. */
static void listen_only(const struct crew_joiner *j)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)(j - j->crew->joiners)};

    (void)epoll_ctl(j->crew->epoll, EPOLL_CTL_MOD, j->fd, &event);
}

/* --- what is asked ------------------------------------------------------------------------------
 */

static void begin_sender(struct crew_joiner *j)
{
    j->session = 0;
    j->ntodo = (uint16_t)j->crew->want->bundle;
    for (uint16_t i = 0; i < j->ntodo; i++)
        j->todo[i] = i;
}

static void ask(struct crew_joiner *j, mu_time now)
{
    struct mu_crew *crew = j->crew;
    static const char binary[] = "bench";
    char hosts[MU_JOIN_AGENTS_MAX][JOIN_BYTES];
    struct mu_msg msg = {.type = MU_MSG_JOIN};
    struct mu_buf buf;

    for (uint16_t i = 0; i < j->ntodo; i++) {
        struct mu_join_agent *agent = &crew->ask_room[i];

        crew_name(j->sender * crew->want->bundle + j->todo[i], hosts[i]);
        *agent = (struct mu_join_agent){.binary = {binary, sizeof(binary) - 1},
                                        .host = {hosts[i], strlen(hosts[i])},
                                        .interval_ms = (uint32_t)(crew->want->interval / MU_MS)};
    }
    msg.join = (struct mu_join){.version = MU_WIRE_VERSION,
                                .token = {crew->to->token, strlen(crew->to->token)},
                                .start_id = crew->start_ids + j->sender,
                                .session = j->session,
                                .n = j->ntodo,
                                .agents = crew->ask_room};
    mu_buf_init(&buf, MU_FRAME_HEAD + MU_FRAME_MAX);
    (void)mu_buf_grow(&buf, MU_FRAME_HEAD);
    if (mu_codec_put(&buf, &msg) != 0) {
        fail(crew, buf.failed, "no memory to join");
    } else {
        mu_frame_head(buf.data, buf.len - MU_FRAME_HEAD);
        if (send(j->fd, buf.data, buf.len, MSG_NOSIGNAL) == (ssize_t)buf.len)
            j->phase = JOINER_ASKED;
        else /* an empty socket takes 128 KiB, or it is gone */
            hang_up(j, now + RETRY);
    }
    mu_buf_fini(&buf);
}

/* --- what is answered ---------------------------------------------------------------------------
 */

static bool means_later(int rv)
{
    return rv == MU_EAGAIN || rv == MU_EFULL || rv == MU_EIO || rv == MU_ETIMEDOUT;
}

/* With the conductor's words, where it has some. */
static void refused(struct mu_crew *crew, const char *what, int rv, const struct mu_bytes *why)
{
    const char *known = muster_strerror(rv);
    struct mu_bytes words = why->n ? *why : (struct mu_bytes){known, strlen(known)};
    char text[512];

    snprintf(text, sizeof(text), "%s was refused: %.*s", what, (int)words.n, words.p);
    fail(crew, rv, text);
}

static void sender_in(struct crew_joiner *j, const struct mu_joined *joined)
{
    struct mu_crew *crew = j->crew;
    struct crew_sender sender = {
        .id = joined->session, .epoch = joined->epoch, .agent = j->sender * crew->want->bundle};

    memcpy(sender.key, joined->key, sizeof(sender.key));
    crew_add(crew, &sender, crew->want->streams ? j->fd : -1);
    if (crew->want->streams) {
        j->fd = -1; /* the sender's now */
        hang_up(j, 0);
    }
    if (crew->next == crew->total) {
        j->phase = JOINER_DONE;
        return;
    }
    j->sender = crew->next++;
    begin_sender(j);
    if (!crew->want->streams) {
        j->phase = JOINER_RESTING;
        j->at = 0;
    }
}

static int on_joined(struct crew_joiner *j, const struct mu_joined *joined, mu_time now)
{
    struct mu_crew *crew = j->crew;
    uint32_t retry_ms = 0;
    uint16_t left = 0;

    if (joined->n != j->ntodo) {
        fail(crew, MU_EPROTO, "the conductor answered for other agents than were asked for");
        return MU_EPROTO;
    }
    j->session = joined->session;
    for (uint16_t i = 0; i < j->ntodo; i++) {
        const struct mu_joined_agent *a = &joined->agents[i];

        if (a->rv == 0 && a->index < crew->want->bundle) {
            if (a->interval_ms * MU_MS > crew->interval)
                crew->interval = a->interval_ms * MU_MS;
        } else if (means_later(a->rv)) {
            if (a->rv == MU_EFULL) {
                fail(crew, MU_EFULL, "the conductor is full: raise its max_agents");
                return MU_EFULL;
            }
            crew->counts.deferred++;
            retry_ms = a->retry_ms > retry_ms ? a->retry_ms : retry_ms;
            j->todo[left++] = j->todo[i];
        } else {
            refused(crew, "an agent", a->rv ? a->rv : MU_EPROTO, &a->text);
            return MU_EPROTO;
        }
    }
    j->ntodo = left;
    if (left == 0) {
        sender_in(j, joined);
        return j->fd < 0; /* not 0: the frames are gone with the stream */
    }
    j->phase = JOINER_RESTING;
    j->at = now + retry_ms * MU_MS;
    return 0;
}

struct reading {
    struct crew_joiner *j;
    mu_time now;
};

static int on_frame(void *ctx, const uint8_t *body, size_t n)
{
    struct reading *reading = ctx;
    struct crew_joiner *j = reading->j;
    struct mu_crew *crew = j->crew;
    struct mu_codec_room room = {.joined = crew->answer_room, .max = MU_JOIN_AGENTS_MAX};
    struct mu_msg msg;

    if (mu_codec_get(body, n, &room, &msg, NULL) != 0) {
        fail(crew, MU_EPROTO, "the conductor's answer to a join cannot be read");
        return MU_EPROTO;
    }
    if (msg.type == MU_MSG_JOINED)
        return on_joined(j, &msg.joined, reading->now);
    if (msg.type != MU_MSG_ERROR)
        return 0; /* a word for a session that was joined before on this stream */
    if (!means_later(msg.error.rv))
        refused(crew, "a join", msg.error.rv, &msg.error.text);
    crew->counts.deferred++;
    begin_sender(j);
    hang_up(j, reading->now + (msg.error.retry_ms ? msg.error.retry_ms * MU_MS : RETRY));
    return MU_EAGAIN;
}

void crew_join_event(struct mu_crew *crew, uint32_t i, mu_time now)
{
    struct reading reading = {.j = &crew->joiners[i], .now = now};
    struct crew_joiner *j = reading.j;
    uint8_t data[16384];
    ssize_t n;

    if (j->fd < 0)
        return;
    if (j->phase == JOINER_DIALLING) {
        int error = 0;
        socklen_t len = sizeof(error);

        (void)getsockopt(j->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error) {
            hang_up(j, now + RETRY);
            return;
        }
        listen_only(j);
        ask(j, now);
        return;
    }
    n = recv(j->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n > 0) {
        int fd = j->fd;

        if (mu_frames_feed(&j->in, data, (size_t)n, on_frame, &reading) != 0 && j->fd == fd)
            hang_up(j, now + RETRY);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        bool done = j->phase == JOINER_DONE;

        if (!done)
            begin_sender(j);
        hang_up(j, now + RETRY);
        if (done)
            j->phase = JOINER_DONE;
    }
}

/* --- all of them --------------------------------------------------------------------------------
 */

void crew_join_turn(struct mu_crew *crew, mu_time now)
{
    for (uint32_t i = 0; i < crew->njoiners && crew->n < crew->total; i++) {
        struct crew_joiner *j = &crew->joiners[i];

        if (now < j->at)
            continue;
        if (j->phase == JOINER_IDLE)
            dial(j, now);
        else if (j->phase == JOINER_RESTING)
            ask(j, now);
    }
}

mu_time crew_join_next(const struct mu_crew *crew)
{
    mu_time next = MU_NEVER;

    for (uint32_t i = 0; i < crew->njoiners && crew->n < crew->total; i++) {
        const struct crew_joiner *j = &crew->joiners[i];

        if ((j->phase == JOINER_IDLE || j->phase == JOINER_RESTING) && j->at < next)
            next = j->at;
    }
    return next;
}

int crew_join_begin(struct mu_crew *crew, uint32_t joiners, struct mu_err *err)
{
    crew->njoiners = crew->total < joiners ? crew->total : joiners;
    crew->joiners = mu_calloc(crew->njoiners, sizeof(*crew->joiners));
    crew->ask_room = mu_calloc(crew->want->bundle, sizeof(*crew->ask_room));
    crew->answer_room = mu_calloc(MU_JOIN_AGENTS_MAX, sizeof(*crew->answer_room));
    if (!crew->joiners || !crew->ask_room || !crew->answer_room) {
        crew->njoiners = 0;
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    for (uint32_t i = 0; i < crew->njoiners; i++) {
        crew->joiners[i] = (struct crew_joiner){.crew = crew, .fd = -1, .sender = i};
        mu_frames_init(&crew->joiners[i].in);
        begin_sender(&crew->joiners[i]);
    }
    crew->next = crew->njoiners;
    return 0;
}

void crew_join_end(struct mu_crew *crew)
{
    for (uint32_t i = 0; i < crew->njoiners; i++)
        hang_up(&crew->joiners[i], 0);
    mu_free(crew->joiners);
    mu_free(crew->ask_room);
    mu_free(crew->answer_room);
}
