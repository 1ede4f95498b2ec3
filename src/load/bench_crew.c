/* A turn: joins go on; who is due beats, in batches; acks are read; then it waits for whatever
 * comes first.
 *
 * One socket serves all senders, since an ack says whose it is. On loopback each datagram names the
 * address that it comes from: a real fleet's come from as many hosts, and a server that may treat
 * what comes from one of them as one flow would look better than it is. */
#include "load/bench_crew.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/mem.h"
#include "load/bench_int.h"

#define NEVER_ANSWERED (100 * MU_MS) /* with no ack for so long, what is on its way is lost */
#define JOIN_PATIENCE  (30 * MU_SEC)
#define LONGEST_WAIT   (50 * MU_MS)  /* so that a signal is seen */
#define SHORTEST_WAIT  (500 * MU_US) /* sends come in batches rather than one by one */
#define GSO_BYTES      65000         /* of one send: a datagram's length must fit 16 bits */

/* Where an ack has what; see docs/protocol.md. */
enum { AT_SESSION = 4, AT_EPOCH = 12, AT_SEQ = 16, AT_STATUS = 24 };

/* --- who there is -------------------------------------------------------------------------------
 */

static bool by_id_eq(const void *ctx, uint32_t place, const void *key)
{
    const struct mu_crew *crew = ctx;

    return crew->senders[place].id == *(const uint64_t *)key;
}

static uint64_t by_id_hash(const void *ctx, uint32_t place)
{
    const struct mu_crew *crew = ctx;

    return mu_map_hash_id(crew->senders[place].id);
}

void crew_index(struct mu_crew *crew)
{
    mu_map_init(&crew->by_id, by_id_eq, by_id_hash, crew);
}

static double rate_of(const struct mu_crew *crew)
{
    double rate = crew->want->rate / crew->want->bundle;

    if (rate > 0)
        return rate * crew->n / crew->total;
    return (double)crew->living * (double)MU_SEC / (double)crew->interval;
}

void crew_add(struct mu_crew *crew, const struct crew_sender *sender, int fd)
{
    uint32_t place = crew->n;

    crew->joined_at = mu_clock_now();
    crew->senders[place] = *sender;
    crew->senders[place].sent_at = crew->joined_at; /* to join is to be heard */
    if (mu_map_put(&crew->by_id, mu_map_hash_id(sender->id), place)) {
        crew->rv = mu_err_set(&crew->err, MU_ENOMEM, "out of memory");
        return;
    }
    if (crew->streams) {
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = CREW_EPOLL_STREAM | place};

        crew->streams[place].fd = fd;
        mu_frames_init(&crew->streams[place].in);
        (void)epoll_ctl(crew->epoll, EPOLL_CTL_MOD, fd, &event);
    }
    crew->n++;
    crew->living++;
    mu_pace_set(&crew->pace, rate_of(crew), crew->joined_at);
}

static void lose(struct mu_crew *crew, uint32_t place)
{
    struct crew_sender *s = &crew->senders[place];

    if (s->gone)
        return;
    s->gone = true;
    crew->nback -= s->back;
    crew->living--;
}

/* --- out ----------------------------------------------------------------------------------------
 */

static size_t seal(struct mu_crew *crew, struct crew_sender *s, mu_time now, uint8_t *out)
{
    crew->beat.session = s->id;
    crew->beat.epoch = s->epoch;
    crew->beat.seq = ++s->seq;
    crew->beat.health = crew->want->no_acks ? MU_HEALTH_QUIET : 0;
    crew->counts.unanswered += s->waiting;
    s->waiting = !crew->want->no_acks;
    s->sent_at = now;
    return mu_seal_beat(s->key, &crew->beat, out);
}

static void over_stream(struct mu_crew *crew, uint32_t place, mu_time now)
{
    uint8_t frame[MU_FRAME_HEAD + 1 + MU_DATAGRAM_MAX];
    size_t n = seal(crew, &crew->senders[place], now, frame + MU_FRAME_HEAD + 1) + 1;

    mu_frame_head(frame, n);
    frame[MU_FRAME_HEAD] = MU_MSG_BEAT;
    n += MU_FRAME_HEAD;
    if (send(crew->streams[place].fd, frame, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n)
        crew->counts.sent++;
    else
        crew->counts.not_sent++;
}

/* Datagrams that are handed over as one. Of those of a chunk that is refused none was sent. */
static void send_joined(struct mu_crew *crew, unsigned n)
{
    unsigned most = (unsigned)(GSO_BYTES / crew->stride), part;

    for (unsigned done = 0; done < n; done += part) {
        part = n - done < most ? n - done : most;
        if (send(crew->fd, crew->out_data + done * crew->stride, part * crew->stride,
                 MSG_DONTWAIT) > 0)
            crew->counts.sent += part;
        else
            crew->counts.not_sent += part;
    }
}

static void send_batch(struct mu_crew *crew, unsigned n)
{
    unsigned done = 0;

    if (crew->want->gso) {
        send_joined(crew, n);
        return;
    }
    while (done < n) {
        int rv = sendmmsg(crew->fd, crew->out + done, n - done, MSG_DONTWAIT);

        if (rv > 0) {
            done += (unsigned)rv;
            crew->counts.sent += (unsigned)rv;
        } else if (rv == 0 || errno != EINTR) {
            done++; /* nobody listens there now */
            crew->counts.not_sent++;
        }
    }
}

/* The address that sender @s has for good. */
static void set_source(struct mu_crew *crew, unsigned i, const struct crew_sender *s)
{
    struct cmsghdr *c = (struct cmsghdr *)crew->from[i].control;
    struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(c);
    uint32_t number = s->agent / crew->want->bundle;

    info->ipi_spec_dst.s_addr = htonl(INADDR_LOOPBACK + number % crew->sources);
}

/* Beats of the senders at @places, at most CREW_BATCH. */
static void beat(struct mu_crew *crew, const uint32_t *places, unsigned n)
{
    mu_time now = mu_clock_now();

    if (n == 0)
        return;
    crew->beat.sent_ms = (uint64_t)(now / MU_MS);
    if (crew->streams) {
        for (unsigned i = 0; i < n; i++)
            over_stream(crew, places[i], now);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        struct crew_sender *s = &crew->senders[places[i]];

        seal(crew, s, now, crew->out_data + i * crew->stride);
        if (crew->sources > 1)
            set_source(crew, i, s);
    }
    send_batch(crew, n);
}

/* Whether @s is passed over: with @patient, who waits for an ack that may still come is. */
static bool passes(struct mu_crew *crew, struct crew_sender *s, bool patient, mu_time now)
{
    if (s->gone)
        return true;
    if (!patient || !s->waiting)
        return false;
    if (now - s->sent_at < NEVER_ANSWERED)
        return true;
    crew->outstanding -= crew->outstanding > 0;
    return false;
}

/* The turns of up to @most senders, and of no more than are left of this round. */
static unsigned take_turns(struct mu_crew *crew, uint64_t most, bool patient)
{
    mu_time now = patient ? mu_clock_now() : 0;
    uint32_t places[CREW_BATCH];
    unsigned n = 0;

    if (most > CREW_BATCH)
        most = CREW_BATCH;
    if (crew->cursor >= crew->n)
        crew->cursor = 0;
    for (; crew->cursor < crew->n && n < most; crew->cursor++)
        if (!passes(crew, &crew->senders[crew->cursor], patient, now))
            places[n++] = crew->cursor;
    beat(crew, places, n);
    return n;
}

/* Nothing came for so long: what is on its way has been lost. */
static void give_up_acks(struct mu_crew *crew, mu_time now)
{
    for (uint32_t i = 0; i < crew->n; i++) {
        struct crew_sender *s = &crew->senders[i];

        if (!s->waiting || now - s->sent_at < NEVER_ANSWERED)
            continue;
        s->waiting = false;
        crew->counts.unanswered++;
        crew->outstanding -= crew->outstanding > 0;
    }
    crew->heard_at = now;
}

/* --- in -----------------------------------------------------------------------------------------
 */

/* Returns whether the beat is to be sent again at once. */
static bool take_ack(struct mu_crew *crew, const uint8_t *ack, mu_time now, uint32_t *place)
{
    uint64_t session = mu_get64(ack + AT_SESSION);
    uint8_t status = ack[AT_STATUS];
    struct crew_sender *s;

    *place = mu_map_find(&crew->by_id, mu_map_hash_id(session), &session);
    if (*place == MU_MAP_NONE)
        return false;
    s = &crew->senders[*place];
    if (!s->waiting || mu_get64(ack + AT_SEQ) != s->seq)
        return false; /* too late: it counts as unanswered already */
    s->waiting = false;
    crew->outstanding -= crew->outstanding > 0;
    crew->heard_at = now;
    if (status == MU_ACK_RESYNC) {
        crew->counts.resyncs++;
        if (mu_get32(ack + AT_EPOCH) == s->epoch)
            return false;
        s->epoch = mu_get32(ack + AT_EPOCH);
        return !s->gone;
    }
    if (status == MU_ACK_REJOIN || status == MU_ACK_SUPERSEDED) {
        crew->counts.gone += !s->gone;
        lose(crew, *place);
        return false;
    }
    crew->counts.acked++;
    mu_hist_add(&crew->trips, (uint64_t)(now - s->sent_at));
    if (!s->back && !s->gone && s->epoch != (uint32_t)(s->id >> 32)) {
        s->back = true;
        crew->nback++;
        crew->back_at = now;
    }
    return false;
}

static unsigned receive(struct mu_crew *crew)
{
    unsigned all = 0;
    int n = CREW_BATCH;

    while (n == CREW_BATCH) {
        uint32_t again[CREW_BATCH];
        unsigned nagain = 0;
        mu_time now;

        n = recvmmsg(crew->fd, crew->in, CREW_BATCH, MSG_DONTWAIT, NULL);
        now = mu_clock_now();
        for (int i = 0; i < n; i++)
            if (crew->in[i].msg_len == MU_ACK_LEN &&
                take_ack(crew, crew->in_data[i], now, &again[nagain]))
                nagain++;
        beat(crew, again, nagain);
        all += n > 0 ? (unsigned)n : 0;
    }
    return all;
}

struct hearing {
    struct mu_crew *crew;
    mu_time now;
};

static int on_frame(void *ctx, const uint8_t *body, size_t n)
{
    struct hearing *hearing = ctx;
    uint32_t place;

    if (n == 1 + MU_ACK_LEN && body[0] == MU_MSG_ACK &&
        take_ack(hearing->crew, body + 1, hearing->now, &place))
        over_stream(hearing->crew, place, hearing->now);
    return 0;
}

static void read_stream(struct mu_crew *crew, uint32_t place, mu_time now)
{
    struct hearing hearing = {.crew = crew, .now = now};
    struct crew_stream *stream = &crew->streams[place];
    uint8_t data[4096];
    ssize_t n = recv(stream->fd, data, sizeof(data), MSG_DONTWAIT);

    if (n > 0) {
        (void)mu_frames_feed(&stream->in, data, (size_t)n, on_frame, &hearing);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    close(stream->fd);
    stream->fd = -1;
    crew->counts.gone += !crew->senders[place].gone;
    lose(crew, place);
}

/* Joiners and streams. */
static unsigned read_streams(struct mu_crew *crew)
{
    struct epoll_event events[CREW_BATCH];
    int n = epoll_wait(crew->epoll, events, CREW_BATCH, 0);
    mu_time now = mu_clock_now();

    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 & CREW_EPOLL_STREAM)
            read_stream(crew, (uint32_t)events[i].data.u64, now);
        else
            crew_join_event(crew, (uint32_t)events[i].data.u64, now);
    }
    return n > 0 ? (unsigned)n : 0;
}

/* Once all are in, a joiner's stream is only kept open. */
static bool reads_streams(const struct mu_crew *crew)
{
    return crew->streams || crew->n < crew->total;
}

static unsigned read_all(struct mu_crew *crew)
{
    unsigned n = reads_streams(crew) ? read_streams(crew) : 0;

    if (!crew->want->no_acks && !crew->streams)
        n += receive(crew);
    return n;
}

/* --- the loop -----------------------------------------------------------------------------------
 */

/* Lets those whose turn it is beat. Returns whether there may be more at once. */
static bool send_due(struct mu_crew *crew, enum mu_crew_mode mode, mu_time now)
{
    uint32_t window =
        crew->want->outstanding < crew->living ? crew->want->outstanding : crew->living;
    unsigned sent;
    uint64_t due;

    if (crew->living == 0 || mode == MU_CREW_QUIET)
        return false;
    if (mode == MU_CREW_BLIND) {
        take_turns(crew, CREW_BATCH, false);
        return true;
    }
    if (mode == MU_CREW_PACED) {
        for (due = mu_pace_take(&crew->pace, now); due > 0 && crew->living > 0;)
            due -= take_turns(crew, due, false);
        return false;
    }
    if (now - crew->heard_at > NEVER_ANSWERED)
        give_up_acks(crew, now);
    if (crew->outstanding >= window || (crew->outstanding > 0 && window > CREW_BATCH &&
                                        crew->outstanding > window - CREW_BATCH / 2))
        return false; /* a batch that is worth its system call */
    sent = take_turns(crew, window - crew->outstanding, true);
    crew->outstanding += sent;
    return sent > 0 && crew->outstanding < window;
}

static void wait_for(struct mu_crew *crew, enum mu_crew_mode mode, mu_time until)
{
    struct pollfd fds[] = {
        {.fd = reads_streams(crew) ? crew->epoll : -1, .events = POLLIN},
        {.fd = crew->want->no_acks || crew->streams ? -1 : crew->fd, .events = POLLIN}};
    mu_time now = mu_clock_now(), at = until;
    struct timespec wait;

    if (mode == MU_CREW_PACED) {
        mu_dur due = mu_pace_wait(&crew->pace, now);

        if (due < LONGEST_WAIT)
            at = now + (due < SHORTEST_WAIT ? SHORTEST_WAIT : due);
    }
    if (crew->n < crew->total && crew_join_next(crew) < at)
        at = crew_join_next(crew);
    if (at > until)
        at = until;
    if (at > now + LONGEST_WAIT)
        at = now + LONGEST_WAIT;
    if (at <= now)
        return;
    wait = (struct timespec){(at - now) / MU_SEC, (at - now) % MU_SEC};
    (void)ppoll(fds, MU_ARRAY_LEN(fds), &wait, NULL);
}

static void owe_nothing(struct mu_crew *crew)
{
    crew->pace.at = mu_clock_now();
    crew->pace.due = 0;
}

int mu_crew_run(struct mu_crew *crew, enum mu_crew_mode mode, mu_time until, struct mu_err *err)
{
    mu_time now = mu_clock_now();

    crew->heard_at = now;
    if (mode != crew->mode)
        owe_nothing(crew);
    crew->mode = mode;
    mu_pace_set(&crew->pace, mode == MU_CREW_PACED ? rate_of(crew) : 0, now);
    for (; now < until && !*crew->to->stop; now = mu_clock_now()) {
        bool all_in = crew->n == crew->total;
        bool more;

        crew_join_turn(crew, now);
        more = send_due(crew, mode, now);
        if (read_all(crew) == 0 && !more)
            wait_for(crew, mode, until);
        if (crew->rv)
            return mu_err_set(err, crew->rv, "%s", crew->err.text);
        if (crew->n < crew->total && now - crew->joined_at > JOIN_PATIENCE)
            return mu_err_set(err, MU_ETIMEDOUT,
                              "only %" PRIu32 " of %" PRIu32 " sessions were let in, none for 30 s",
                              crew->n, crew->total);
        if (!all_in && crew->n == crew->total)
            return 0;
    }
    return 0;
}

int mu_crew_shuffle(struct mu_crew *crew)
{
    for (uint32_t i = crew->n; i > 1 && !crew->streams; i--) {
        uint32_t k = (uint32_t)mu_rng_below(&crew->rng, i);
        struct crew_sender s = crew->senders[k];

        crew->senders[k] = crew->senders[i - 1];
        crew->senders[i - 1] = s;
    }
    mu_map_fini(&crew->by_id);
    crew_index(crew);
    for (uint32_t i = 0; i < crew->n; i++)
        if (mu_map_put(&crew->by_id, mu_map_hash_id(crew->senders[i].id), i))
            return MU_ENOMEM;
    crew->cursor = 0;
    owe_nothing(crew);
    return 0;
}

/* --- kills --------------------------------------------------------------------------------------
 */

static void note_killed(struct mu_crew *crew, const struct crew_sender *s)
{
    mu_wall heard = mu_clock_wall() - (mu_clock_now() - s->sent_at) / MU_MS;
    char host[32];

    for (uint32_t i = 0; crew->killed && i < crew->want->bundle; i++) {
        crew_name(s->agent + i, host);
        fprintf(crew->killed, "bench@%s %" PRId64 "\n", host, heard);
    }
}

int mu_crew_kill(struct mu_crew *crew, const struct mu_bench_kill *kill, struct mu_err *err)
{
    uint32_t bundle = crew->want->bundle;
    uint64_t n = kill->part > 0 ? (uint64_t)(kill->part * crew->living)
                                : ((uint64_t)kill->agents + bundle - 1) / bundle;

    while (n > 0 && crew->living > 0) {
        uint32_t place = (uint32_t)mu_rng_below(&crew->rng, crew->n);

        if (crew->senders[place].gone)
            continue;
        note_killed(crew, &crew->senders[place]);
        lose(crew, place);
        n--;
    }
    if (crew->killed && fflush(crew->killed) != 0)
        return mu_err_set(err, MU_EIO, "--killed-file %s: %s", crew->want->killed_file,
                          strerror(errno));
    return 0;
}

/* --- what others see of it -----------------------------------------------------------------------
 */

uint32_t mu_crew_agents(const struct mu_crew *crew)
{
    return crew->total * crew->want->bundle;
}

bool mu_crew_all_joined(const struct mu_crew *crew)
{
    return crew->n == crew->total;
}

uint32_t mu_crew_joined(const struct mu_crew *crew)
{
    return crew->n * crew->want->bundle;
}

uint32_t mu_crew_living(const struct mu_crew *crew)
{
    return crew->living * crew->want->bundle;
}

bool mu_crew_all_back(const struct mu_crew *crew, mu_time *when)
{
    *when = crew->back_at;
    return crew->nback == crew->living;
}

uint32_t mu_crew_back(const struct mu_crew *crew)
{
    return crew->nback * crew->want->bundle;
}

uint64_t mu_crew_skipped(const struct mu_crew *crew)
{
    return crew->pace.skipped;
}

const struct mu_crew_counts *mu_crew_counts(const struct mu_crew *crew)
{
    return &crew->counts;
}

const struct mu_hist *mu_crew_trips(const struct mu_crew *crew)
{
    return &crew->trips;
}

/* Calls off the wait for those acks that are still out. Returns how many. */
static uint64_t stop_waiting(struct mu_crew *crew)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < crew->n; i++) {
        n += crew->senders[i].waiting;
        crew->senders[i].waiting = false;
    }
    crew->outstanding = 0;
    return n;
}

void mu_crew_settle(struct mu_crew *crew)
{
    crew->counts.unanswered += stop_waiting(crew);
}

void mu_crew_reset(struct mu_crew *crew)
{
    (void)stop_waiting(crew);
    memset(&crew->counts, 0, sizeof(crew->counts));
    memset(&crew->trips, 0, sizeof(crew->trips));
    crew->pace.skipped = 0;
    owe_nothing(crew);
}
