/* A session in a world of one: a virtual clock, a conductor of a page's length, a network that can
 * be told what to lose. */
#include "agent/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "lib/faults.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/seal.h"

#define LEASE    (3 * MU_SEC)
#define BEATS    4096
#define MAIL     512
#define NOTICES  8
#define TEXT_MAX 256

/* What is under way: to the session with its time, or from it, at once. */
struct mail {
    enum { TO_DATAGRAM, TO_STREAM, TO_DIALLED, FROM_DATAGRAM, FROM_STREAM, FROM_DIAL } kind;
    mu_time at;
    int stream; /* of which stream, counted */
    size_t n;
    uint8_t *data;
};

struct heard_beat {
    mu_time at;
    uint64_t seq;
    uint32_t epoch;
    uint16_t n;
    uint8_t path, health;
    uint32_t first;
};

struct world {
    struct mu_session *s;
    mu_time now;
    struct mail mail[MAIL];
    size_t nmail;
    mu_dur latency; /* of an answer */
    int streams;    /* dialled so far */
    bool up;
    struct mu_frames frames;

    /* the conductor */
    uint64_t session;
    uint32_t epoch, next_index, interval_ms;
    uint8_t key[16];
    int join_rv, done_rv;      /* what it answers */
    uint8_t status, bad_index; /* of acks, and whom they mean; 255 = all */
    bool lose_datagrams, mute, unreachable, forgot;
    int forgot_rv; /* how it says so; 0 = MU_ENOENT */

    /* what it saw */
    struct heard_beat beats[BEATS];
    size_t nbeats;
    int dials, hangups, joins, attaches, reports, leaves, ended, joined_agents;
    mu_time last_dial;
    mu_dur longest_dial_gap;
    uint64_t start_id, joined_session;
    bool offered_uuid;
    char payload[TEXT_MAX];
    size_t offered_payload; /* of the last join */

    /* what the owner heard */
    int notices[NOTICES];
    int notice_rv;
    char notice_text[TEXT_MAX];
};

static void post(struct world *w, int kind, mu_time at, const void *data, size_t n)
{
    struct mail *m = &w->mail[w->nmail++];

    assert_true(w->nmail <= MAIL);
    m->kind = kind;
    m->at = at;
    m->stream = w->streams;
    m->n = n;
    m->data = malloc(n + 1);
    if (n)
        memcpy(m->data, data, n);
}

/* ---- the session's ports ---- */

static void port_datagram(void *ctx, const uint8_t *data, size_t n)
{
    struct world *w = ctx;

    post(w, FROM_DATAGRAM, w->now, data, n);
}

static void port_stream(void *ctx, const uint8_t *data, size_t n)
{
    struct world *w = ctx;

    assert_true(w->up);
    post(w, FROM_STREAM, w->now, data, n);
}

static void port_dial(void *ctx)
{
    struct world *w = ctx;

    assert_false(w->up);
    w->dials++;
    if (w->dials > 1 && w->now - w->last_dial > w->longest_dial_gap)
        w->longest_dial_gap = w->now - w->last_dial;
    w->last_dial = w->now;
    post(w, FROM_DIAL, w->now, NULL, 0);
}

static void port_hangup(void *ctx)
{
    struct world *w = ctx;

    w->hangups++;
    w->up = false;
}

static void port_notice(void *ctx, enum mu_notice what, uint32_t agent, int rv, const char *text)
{
    struct world *w = ctx;

    w->notices[what]++;
    w->notice_rv = rv;
    snprintf(w->notice_text, sizeof(w->notice_text), "%s", text);
}

/* ---- the conductor ---- */

static void say(struct world *w, const struct mu_msg *msg)
{
    struct mu_buf buf;

    mu_buf_init(&buf, 0);
    mu_buf_u32(&buf, 0);
    assert_int_equal(mu_codec_put(&buf, msg), 0);
    mu_frame_head(buf.data, buf.len - MU_FRAME_HEAD);
    post(w, TO_STREAM, w->now + w->latency, buf.data, buf.len);
    mu_buf_fini(&buf);
}

static size_t make_ack(struct world *w, const struct mu_beat *beat, uint8_t *out)
{
    struct mu_ack ack = {.session = w->session,
                         .epoch = w->epoch,
                         .seq = beat->seq,
                         .status = w->status,
                         .lease_ms = LEASE / MU_MS,
                         .index = w->bad_index == 255 ? MU_INDEX_ALL : w->bad_index};

    if (beat->epoch != w->epoch)
        ack.status = MU_ACK_RESYNC;
    return mu_seal_ack(w->key, &ack, out);
}

static void note_beat(struct world *w, const struct mu_beat *beat)
{
    assert_true(w->nbeats < BEATS);
    w->beats[w->nbeats++] = (struct heard_beat){w->now,     beat->seq,    beat->epoch,     beat->n,
                                                beat->path, beat->health, beat->indexes[0]};
}

static void on_datagram(struct world *w, const uint8_t *data, size_t n)
{
    uint8_t out[MU_ACK_LEN];
    struct mu_beat beat;

    assert_int_equal(mu_seal_open_beat(w->key, data, n, &beat), 0);
    assert_int_equal(beat.path, 0);
    note_beat(w, &beat);
    if (!w->lose_datagrams)
        post(w, TO_DATAGRAM, w->now + w->latency, out, make_ack(w, &beat, out));
}

static void on_join(struct world *w, const struct mu_join *join)
{
    static struct mu_joined_agent agents[MU_JOIN_AGENTS_MAX];
    struct mu_msg msg = {.type = MU_MSG_JOINED};

    w->joins++;
    w->start_id = join->start_id;
    w->joined_session = join->session;
    w->offered_uuid = join->agents[0].has_uuid;
    w->offered_payload = join->agents[0].payload.n;
    if (!join->session)
        w->session++;
    mu_seal_key((const uint8_t *)"0123456789abcdef", w->session, w->key);
    memset(agents, 0, sizeof(agents));
    for (size_t i = 0; i < join->n; i++) {
        agents[i].rv = w->join_rv;
        agents[i].retry_ms = 700;
        agents[i].index = w->next_index++;
        memset(agents[i].uuid, 7, 16);
        agents[i].incarnation = 1;
        agents[i].interval_ms = w->interval_ms ? w->interval_ms : join->agents[i].interval_ms;
        agents[i].lease_ms = agents[i].down_ms = LEASE / MU_MS;
    }
    w->joined_agents += (int)join->n;
    msg.joined.session = w->session;
    memcpy(msg.joined.key, w->key, 16);
    msg.joined.epoch = w->epoch;
    msg.joined.n = join->n;
    msg.joined.agents = agents;
    say(w, &msg);
}

static void done(struct world *w, uint32_t id)
{
    struct mu_msg msg = {.type = MU_MSG_DONE, .done = {id, w->done_rv, 700}};

    say(w, &msg);
}

static void on_sealed(struct world *w, const struct mu_msg *msg)
{
    const uint8_t *data = (const uint8_t *)msg->sealed.p;
    struct mu_msg error = {.type = MU_MSG_ERROR,
                           .error = {.rv = w->forgot_rv ? w->forgot_rv : MU_ENOENT}};
    uint8_t out[1 + MU_ACK_LEN];
    struct mu_msg ack = {.type = MU_MSG_ACK, .sealed = {(char *)out, MU_ACK_LEN}};
    struct mu_beat beat;

    if (msg->type == MU_MSG_ATTACH) {
        w->attaches++;
        assert_int_equal(mu_seal_open_attach(w->key, data, msg->sealed.n, &beat), 0);
    } else {
        assert_int_equal(mu_seal_open_beat(w->key, data, msg->sealed.n, &beat), 0);
        assert_int_equal(beat.path, 1);
        note_beat(w, &beat);
    }
    if (w->forgot) {
        w->forgot = false;
        say(w, &error);
        return;
    }
    make_ack(w, &beat, out);
    say(w, &ack);
}

static int on_frame(void *ctx, const uint8_t *body, size_t n)
{
    static struct mu_join_agent agents[MU_JOIN_AGENTS_MAX];
    const struct mu_codec_room room = {.join = agents, .max = MU_JOIN_AGENTS_MAX};
    struct world *w = ctx;
    struct mu_msg msg;

    assert_int_equal(mu_codec_get(body, n, &room, &msg, NULL), 0);
    if (w->mute)
        return 0;
    switch (msg.type) {
    case MU_MSG_JOIN:
        on_join(w, &msg.join);
        break;
    case MU_MSG_ATTACH:
    case MU_MSG_BEAT:
        on_sealed(w, &msg);
        break;
    case MU_MSG_REPORT:
        w->reports++;
        snprintf(w->payload, TEXT_MAX, "%.*s", (int)msg.report.payload.n, msg.report.payload.p);
        done(w, msg.report.id);
        break;
    case MU_MSG_LEAVE:
        w->leaves++;
        done(w, msg.leave.id);
        break;
    case MU_MSG_ENDED:
        w->ended++;
        assert_int_equal(msg.ended.how, MU_ENDED_EXITED);
        assert_int_equal(msg.ended.status, 3);
        done(w, msg.ended.id);
        break;
    default:
        fail();
    }
    return 0;
}

/* ---- the world goes on ---- */

static void deliver(struct world *w, struct mail *m)
{
    bool same = w->up && m->stream == w->streams;

    switch (m->kind) {
    case FROM_DATAGRAM:
        on_datagram(w, m->data, m->n);
        break;
    case FROM_STREAM:
        if (same)
            assert_int_equal(mu_frames_feed(&w->frames, m->data, m->n, on_frame, w), 0);
        break;
    case FROM_DIAL:
        post(w, TO_DIALLED, w->now + w->latency, NULL, 0);
        break;
    case TO_DIALLED:
        w->up = !w->unreachable;
        w->streams += w->up;
        mu_session_dialled(w->s, w->up ? 0 : MU_EAGAIN, w->now);
        break;
    case TO_DATAGRAM:
        mu_session_datagram(w->s, m->data, m->n, w->now);
        break;
    case TO_STREAM:
        if (same)
            mu_session_stream(w->s, m->data, m->n, w->now);
        break;
    }
}

/* Delivers the earliest mail that is due by @until. */
static bool deliver_next(struct world *w, mu_time until)
{
    size_t first = SIZE_MAX;
    struct mail m;

    for (size_t i = 0; i < w->nmail; i++)
        if (w->mail[i].at <= until && (first == SIZE_MAX || w->mail[i].at < w->mail[first].at))
            first = i;
    if (first == SIZE_MAX)
        return false;
    m = w->mail[first];
    memmove(&w->mail[first], &w->mail[first + 1], (--w->nmail - first) * sizeof(m));
    w->now = m.at > w->now ? m.at : w->now;
    deliver(w, &m);
    free(m.data);
    return true;
}

static void run(struct world *w, mu_dur how_long)
{
    mu_time until = w->now + how_long;

    for (int rounds = 0;; rounds++) {
        mu_time due = mu_session_due(w->s), next = due < until ? due : until;
        assert_true(rounds < 1000000); /* or the session asks to be called for ever */
        if (deliver_next(w, next > w->now ? next : w->now))
            continue;
        if (due > until)
            break;
        w->now = due > w->now ? due : w->now;
        mu_session_tick(w->s, w->now);
    }
    w->now = until;
}

static void lose_stream(struct world *w)
{
    w->up = false;
    mu_frames_fini(&w->frames);
    mu_frames_init(&w->frames);
    mu_session_hungup(w->s, w->now);
}

static void open_world(struct world *w, uint64_t seed, bool datagrams)
{
    const struct mu_session_ports ports = {w,         port_datagram, port_stream,
                                           port_dial, port_hangup,   port_notice};
    const struct mu_session_config config = {
        .start_id = 4711, .seed = seed, .token = "", .datagrams = datagrams};

    memset(w, 0, sizeof(*w));
    w->now = 1000 * MU_SEC;
    w->epoch = 1;
    w->next_index = 10;
    mu_frames_init(&w->frames);
    assert_int_equal(mu_session_new(&w->s, &config, &ports, w->now), 0);
}

static uint32_t add(struct world *w, mu_dur interval, bool manual)
{
    static unsigned serial;
    const struct mu_session_label rack = {"rack", "r1"};
    char host[32];
    struct mu_session_agent agent = {.binary = "test",
                                     .host = host,
                                     .zone = "z",
                                     .labels = &rack,
                                     .nlabels = 1,
                                     .interval = interval,
                                     .manual = manual};
    uint32_t id;

    snprintf(host, sizeof(host), "h%u", serial++);
    assert_int_equal(mu_session_add(w->s, &agent, &id, w->now), 0);
    return id;
}

static void close_world(struct world *w)
{
    mu_session_free(w->s);
    mu_frames_fini(&w->frames);
    for (size_t i = 0; i < w->nmail; i++)
        free(w->mail[i].data);
}

static struct world world;

static int setup(void **state)
{
    open_world(&world, 1, true);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    close_world(*state);
    return 0;
}

/* A world with one agent of a second, joined and past its first beat. */
static struct world *joined_world(void **state)
{
    struct world *w = *state;

    add(w, MU_SEC, false);
    run(w, 1500 * MU_MS);
    assert_int_equal(w->notices[MU_NOTICE_JOINED], 1);
    assert_true(w->nbeats > 0);
    w->nbeats = 0;
    return w;
}

static struct mu_session_status status_of(struct world *w, uint32_t id)
{
    struct mu_session_status st;

    assert_int_equal(mu_session_status(w->s, id, w->now, &st), 0);
    return st;
}

/* ---- the good days ---- */

static void session_joins_and_beats_at_its_interval(void **state)
{
    struct world *w = joined_world(state);
    struct mu_session_status st;

    run(w, 100 * MU_SEC);
    assert_int_equal(w->nbeats, 100);
    for (size_t i = 1; i < w->nbeats; i++)
        assert_int_equal(w->beats[i].at - w->beats[i - 1].at, MU_SEC);
    assert_int_equal(w->joins, 1);
    assert_int_equal(w->dials, 1);
    assert_int_equal(w->start_id, 4711);
    st = status_of(w, 0);
    assert_int_equal(st.lease, MU_LEASE_HELD);
    assert_int_equal(st.interval, MU_SEC);
    assert_int_equal(st.uuid[15], 7);
    assert_int_equal(st.incarnation, 1);
    assert_false(st.on_stream);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 0);
    assert_int_equal(w->beats[0].health, 0);
}

static void session_first_beats_are_spread_over_the_interval(void **state)
{
    static struct world other;
    int quarters[4] = {0};

    for (uint64_t seed = 1; seed <= 200; seed++) {
        open_world(&other, seed, true);
        add(&other, MU_SEC, false);
        run(&other, MU_SEC);
        assert_in_range(other.nbeats, 1, 2);
        quarters[(other.beats[0].at - 1000 * MU_SEC) * 4 / MU_SEC % 4]++;
        close_world(&other);
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(quarters[i], 30, 70);
}

static void session_lease_counts_from_before_the_send(void **state)
{
    struct world *w = *state;
    struct mu_session_status st;

    w->latency = 150 * MU_MS;
    add(w, MU_SEC, false);
    run(w, 150 * MU_MS); /* dialled: the join goes out */
    run(w, 150 * MU_MS); /* its answer */
    st = status_of(w, 0);
    assert_int_equal(st.lease_left, LEASE - 150 * MU_MS); /* and no beat was acked yet */
    while (w->nbeats == 0)
        run(w, 10 * MU_MS);
    run(w, w->beats[0].at + 150 * MU_MS - w->now);
    st = status_of(w, 0);
    assert_int_equal(st.lease_left, LEASE - 150 * MU_MS);
}

static void session_of_many_agents_bundles_their_beats(void **state)
{
    struct world *w = *state;
    size_t indexes = 0;

    for (int i = 0; i < 300; i++)
        add(w, MU_SEC, false);
    run(w, 2 * MU_SEC);
    assert_int_equal(w->joined_agents, 300);
    assert_in_range(w->joins, 2, 3);
    assert_int_equal(w->dials, 1);
    w->nbeats = 0;
    run(w, MU_SEC);
    assert_int_equal(w->nbeats, 2);
    for (size_t i = 0; i < w->nbeats; i++)
        indexes += w->beats[i].n;
    assert_int_equal(indexes, 300);
    add(w, 2 * MU_SEC, false); /* another interval is another beat */
    run(w, 2 * MU_SEC);
    w->nbeats = 0;
    run(w, 4 * MU_SEC);
    assert_int_equal(w->nbeats, 2 * 4 + 2);
}

static void session_sends_manual_beats_at_most_each_quarter_interval(void **state)
{
    struct world *w = *state;
    uint32_t id = add(w, MU_SEC, true);

    assert_int_equal(mu_session_beat(w->s, id, w->now), 0); /* before there is a session */
    run(w, 10 * MU_SEC);
    assert_int_equal(w->nbeats, 1);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(mu_session_beat(w->s, id, w->now), 0);
        run(w, 10 * MU_MS);
    }
    run(w, MU_SEC);
    assert_int_equal(w->nbeats, 1 + 5);
    for (size_t i = 2; i < w->nbeats; i++)
        assert_int_equal(w->beats[i].at - w->beats[i - 1].at, 250 * MU_MS);
    assert_int_equal(mu_session_beat(w->s, add(w, MU_SEC, false), w->now), MU_EINVAL);
}

static void session_without_datagrams_beats_on_the_stream(void **state)
{
    static struct world unix_world;
    struct world *w = &unix_world;

    open_world(w, 5, false);
    add(w, MU_SEC, false);
    run(w, 20 * MU_SEC);
    assert_in_range(w->nbeats, 19, 20);
    for (size_t i = 0; i < w->nbeats; i++)
        assert_int_equal(w->beats[i].path, 1);
    assert_true(status_of(w, 0).on_stream);
    lose_stream(w);
    w->nbeats = 0;
    run(w, 20 * MU_SEC);
    assert_in_range(w->nbeats, 19, 21);
    assert_int_equal(w->joins, 1);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 0);
    close_world(w);
}

static void session_tells_of_an_interval_that_is_not_the_one_wanted(void **state)
{
    struct world *w = *state;

    w->interval_ms = 2000;
    add(w, MU_SEC, false);
    run(w, 10 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_SLOWER], 1);
    assert_string_equal(w->notice_text, "interval 2s is in force, 1s was wanted");
    assert_in_range(w->nbeats, 4, 5);
}

static void session_says_when_it_was_late_itself(void **state)
{
    struct world *w = joined_world(state);

    run(w, MU_SEC);
    w->now += 10 * MU_SEC; /* a process that was stopped */
    w->nbeats = 0;
    run(w, 5 * MU_SEC);
    assert_int_equal(w->beats[0].health, MU_HEALTH_LATE);
    assert_int_equal(w->beats[1].health, 0);
    assert_in_range(w->nbeats, 5, 6); /* and the missed ones are not made up for */
}

/* ---- loss, fallback, return ---- */

static void session_repeats_a_beat_once_then_takes_the_stream(void **state)
{
    struct world *w = joined_world(state);

    w->lose_datagrams = true;
    while (w->nbeats < 3)
        run(w, 10 * MU_MS);
    assert_int_equal(w->beats[1].at - w->beats[0].at, 200 * MU_MS);
    assert_int_equal(w->beats[2].at - w->beats[1].at, 200 * MU_MS);
    assert_int_equal(w->beats[0].path, 0);
    assert_int_equal(w->beats[1].path, 0);
    assert_int_equal(w->beats[2].path, 1);
    assert_true(w->beats[0].seq < w->beats[1].seq && w->beats[1].seq < w->beats[2].seq);
    run(w, 100 * MU_MS);
    assert_int_equal(w->nbeats, 3);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_HELD);
}

static void session_waits_at_most_a_quarter_interval_for_an_ack(void **state)
{
    struct world *w = *state;

    add(w, 400 * MU_MS, false);
    run(w, MU_SEC);
    w->lose_datagrams = true;
    w->nbeats = 0;
    while (w->nbeats < 3)
        run(w, MU_MS);
    assert_int_equal(w->beats[1].at - w->beats[0].at, 100 * MU_MS);
    assert_int_equal(w->beats[2].at - w->beats[1].at, 100 * MU_MS);
}

static void session_waits_longer_where_the_way_is_long(void **state)
{
    struct world *w = *state;

    w->latency = 300 * MU_MS;
    add(w, 10 * MU_SEC, false);
    run(w, 100 * MU_SEC);
    w->nbeats = 0;
    w->lose_datagrams = true;
    while (w->nbeats < 2)
        run(w, MU_MS);
    assert_int_equal(w->beats[1].at - w->beats[0].at, 4 * 300 * MU_MS);
}

static void session_stays_on_the_stream_after_two_fallbacks_and_returns(void **state)
{
    struct world *w = joined_world(state);
    size_t datagrams = 0;

    w->lose_datagrams = true;
    run(w, 3 * MU_SEC);
    assert_true(status_of(w, 0).on_stream);
    w->nbeats = 0;
    run(w, 300 * MU_SEC);
    for (size_t i = 0; i < w->nbeats; i++)
        datagrams += w->beats[i].path == 0;
    assert_in_range(datagrams, 9, 11);                /* one each 30 s */
    assert_in_range(w->nbeats - datagrams, 299, 301); /* one a second */
    assert_int_equal(w->notices[MU_NOTICE_LOST], 0);
    w->lose_datagrams = false;
    run(w, 31 * MU_SEC);
    assert_false(status_of(w, 0).on_stream);
    w->nbeats = 0;
    run(w, 10 * MU_SEC);
    assert_int_equal(w->nbeats, 10);
    for (size_t i = 0; i < w->nbeats; i++)
        assert_int_equal(w->beats[i].path, 0);
}

static void session_lost_datagrams_now_and_then_keep_it_on_datagrams(void **state)
{
    struct world *w = joined_world(state);

    for (int i = 0; i < 20; i++) {
        w->lose_datagrams = i % 2 == 0;
        run(w, MU_SEC);
        assert_false(status_of(w, 0).on_stream);
    }
}

static void session_datagrams_never_stop_while_the_conductor_is_gone(void **state)
{
    struct world *w = joined_world(state);
    size_t firsts = 0;
    int dials;

    w->unreachable = w->lose_datagrams = true;
    lose_stream(w);
    w->nbeats = 0;
    w->dials = 0;
    run(w, 600 * MU_SEC);
    for (size_t i = 0; i < w->nbeats; i++)
        firsts += i == 0 || w->beats[i].at - w->beats[i - 1].at > 500 * MU_MS;
    assert_in_range(firsts, 599, 601);
    assert_true(w->nbeats <= 1202); /* each one repeated once */
    assert_int_equal(w->notices[MU_NOTICE_LOST], 1);
    assert_int_equal(w->notices[MU_NOTICE_RECOVERED], 0);
    assert_true(w->longest_dial_gap <= MU_SEC);
    assert_in_range(w->dials, 600, 1300); /* half to one interval between them */
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_EXPIRED);
    w->unreachable = w->lose_datagrams = false;
    dials = w->dials;
    run(w, 5 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 1);
    assert_int_equal(w->notices[MU_NOTICE_RECOVERED], 1);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_HELD);
    assert_int_equal(w->dials, dials + 1);
    assert_int_equal(w->joins, 1); /* an attach, no join */
    assert_int_equal(w->attaches, 1);
}

static void session_never_closes_a_stream_for_a_missing_ack(void **state)
{
    struct world *w = joined_world(state);

    w->mute = w->lose_datagrams = true; /* a conductor that was stopped */
    w->nbeats = 0;
    run(w, 90 * MU_SEC);
    assert_int_equal(w->hangups, 0);
    assert_int_equal(w->dials, 1);
    assert_true(w->nbeats >= 90);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 1);
    w->mute = w->lose_datagrams = false;
    run(w, 2 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_RECOVERED], 1);
    assert_int_equal(w->hangups, 0);
}

static void session_tells_once_of_a_conductor_it_never_reached(void **state)
{
    struct world *w = *state;

    w->unreachable = true;
    add(w, MU_SEC, false);
    run(w, 60 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 1);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_NONE);
    w->unreachable = false;
    run(w, 2 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_RECOVERED], 1);
    assert_int_equal(w->notices[MU_NOTICE_JOINED], 1);
}

/* ---- a conductor's restart, and what acks say ---- */

static void session_takes_a_new_epoch_and_beats_again_at_once(void **state)
{
    struct world *w = joined_world(state);

    w->epoch = 2;
    while (w->nbeats < 2)
        run(w, 10 * MU_MS);
    assert_int_equal(w->beats[0].epoch, 1);
    assert_int_equal(w->beats[1].epoch, 2);
    assert_int_equal(w->beats[0].at, w->beats[1].at);
    run(w, 10 * MU_SEC);
    assert_int_equal(w->beats[w->nbeats - 1].epoch, 2);
    assert_in_range(w->nbeats, 11, 12);
    assert_int_equal(w->joins, 1);
}

static void session_cannot_be_made_to_beat_for_ever(void **state)
{
    struct world *w = joined_world(state);

    w->status = MU_ACK_RESYNC; /* with the epoch that the beat carries */
    run(w, 10 * MU_SEC);
    assert_int_equal(w->nbeats, 10);
}

static void session_attaches_again_with_the_new_epoch(void **state)
{
    struct world *w = joined_world(state);

    w->epoch = 2;
    lose_stream(w);
    run(w, 2 * MU_SEC);
    assert_in_range(w->attaches, 1, 2);
    w->lose_datagrams = true; /* the stream carries beats: it is attached */
    run(w, 20 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 0);
    assert_int_equal(w->joins, 1);
}

static void session_joins_anew_where_it_is_not_known_any_more(void **state)
{
    struct world *w = joined_world(state);

    w->forgot = w->lose_datagrams = true; /* nothing answers an unknown session's datagrams */
    run(w, 3 * MU_SEC);
    assert_int_equal(w->joins, 2);
    assert_int_equal(w->joined_session, 0);
    assert_true(w->offered_uuid);
    assert_int_equal(w->start_id, 4711);
    w->lose_datagrams = false;
    run(w, 3 * MU_SEC);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_HELD);
}

static void session_joins_anew_where_its_attach_is_refused(void **state)
{
    struct world *w = joined_world(state);

    w->forgot = true;
    w->forgot_rv = MU_EAGAIN; /* for now: it attaches again */
    lose_stream(w);
    run(w, 5 * MU_SEC);
    assert_int_equal(w->attaches, 2);
    assert_int_equal(w->joins, 1);
    w->forgot = true;
    w->forgot_rv = MU_EPERM; /* another fleet's conductor, to which our seal means nothing */
    lose_stream(w);
    run(w, 5 * MU_SEC);
    assert_int_equal(w->joins, 2);
    assert_true(w->offered_uuid);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_HELD);
}

static void session_joins_again_to_report_what_the_conductor_cannot_place(void **state)
{
    struct world *w = joined_world(state);

    w->done_rv = MU_ENOENT;
    assert_int_equal(mu_session_report(w->s, 0, "{}", 2, w->now), 0);
    run(w, 0);
    w->done_rv = 0;
    run(w, 2 * MU_SEC);
    assert_int_equal(w->joins, 2);
    assert_int_equal(w->reports, 2);
    assert_int_equal(w->notices[MU_NOTICE_DONE], 1);
    assert_int_equal(w->notice_rv, 0);
}

static void session_joins_one_agent_again_when_told(void **state)
{
    struct world *w = *state;

    add(w, MU_SEC, false); /* index 10 */
    add(w, MU_SEC, false);
    run(w, 2 * MU_SEC);
    assert_int_equal(w->joined_agents, 2);
    w->status = MU_ACK_REJOIN;
    w->bad_index = 10;
    run(w, MU_SEC);
    w->status = MU_ACK_OK;
    run(w, 3 * MU_SEC);
    assert_int_equal(w->joined_agents, 3);
    assert_true(w->offered_uuid);
    assert_int_equal(w->joined_session, w->session);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_HELD);
    assert_int_equal(status_of(w, 1).lease, MU_LEASE_HELD);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 0);
}

static void session_stops_an_agent_that_was_superseded(void **state)
{
    struct world *w = *state;

    add(w, MU_SEC, false);
    add(w, MU_SEC, false);
    run(w, 2 * MU_SEC);
    w->status = MU_ACK_SUPERSEDED;
    w->bad_index = 10;
    run(w, 2 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_SUPERSEDED], 1);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_SUPERSEDED);
    assert_int_equal(status_of(w, 1).lease, MU_LEASE_HELD);
    w->nbeats = 0;
    run(w, 2 * MU_SEC);
    assert_int_equal(w->beats[0].n, 1);
    assert_int_equal(w->beats[0].first, 11);
    assert_int_equal(mu_session_beat(w->s, 0, w->now), MU_ESUPERSEDED);
    w->bad_index = 255;
    run(w, 2 * MU_SEC);
    w->nbeats = 0;
    run(w, 10 * MU_SEC);
    assert_int_equal(w->nbeats, 0);
    assert_int_equal(w->joins, 1);
}

static void session_fenced_agent_goes_on_beating(void **state)
{
    struct world *w = joined_world(state);

    w->status = MU_ACK_FENCED;
    w->bad_index = 10;
    run(w, 10 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_FENCED], 1);
    assert_true(status_of(w, 0).fenced);
    assert_int_equal(w->nbeats, 10);
    w->status = MU_ACK_OK;
    run(w, 2 * MU_SEC);
    assert_false(status_of(w, 0).fenced);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_HELD);
}

static void session_told_to_live_by_datagrams_dials_no_stream(void **state)
{
    struct world *w = joined_world(state);

    w->status = MU_ACK_DATAGRAMS;
    run(w, 2 * MU_SEC);
    lose_stream(w);
    run(w, 60 * MU_SEC);
    assert_int_equal(w->dials, 1);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_HELD);
    assert_int_equal(mu_session_report(w->s, 0, "{}", 2, w->now), 0); /* but this needs one */
    run(w, 2 * MU_SEC);
    assert_int_equal(w->dials, 2);
    assert_int_equal(w->reports, 1);
}

static void session_hears_no_forged_ack(void **state)
{
    struct world *w = joined_world(state);
    struct mu_ack ack = {
        .session = w->session, .seq = 1, .status = MU_ACK_SUPERSEDED, .index = MU_INDEX_ALL};
    uint8_t out[MU_ACK_LEN], wrong[16] = {1};

    for (ack.seq = 0; ack.seq < 10; ack.seq++) {
        mu_seal_ack(wrong, &ack, out); /* not its key */
        mu_session_datagram(w->s, out, sizeof(out), w->now);
    }
    ack.seq = 1; /* its key, but acked long ago: recorded */
    run(w, 10 * MU_SEC);
    mu_seal_ack(w->key, &ack, out);
    mu_session_datagram(w->s, out, sizeof(out), w->now);
    ack.seq = 0; /* unasked, and not on the stream */
    mu_seal_ack(w->key, &ack, out);
    mu_session_datagram(w->s, out, sizeof(out), w->now);
    mu_session_datagram(w->s, (const uint8_t *)"rubbish", 7, w->now);
    assert_int_equal(w->notices[MU_NOTICE_SUPERSEDED], 0);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_HELD);
}

static void session_hangs_up_on_rubbish_and_attaches_again(void **state)
{
    static const char *rubbish[] = {"\0\0\0\0", "\377\377\377\377", "\0\0\0\1\101",
                                    "\0\0\0\2\1\200"};
    struct world *w = joined_world(state);

    for (int i = 0; i < 4; i++) {
        mu_session_stream(w->s, (const uint8_t *)rubbish[i], i < 2 ? 4 : i == 2 ? 5 : 6, w->now);
        assert_int_equal(w->hangups, i + 1);
        run(w, 3 * MU_SEC);
        assert_int_equal(w->attaches, i + 1);
    }
    assert_int_equal(w->joins, 1);
}

/* ---- joins that fail, reports, last words ---- */

static void session_joins_again_after_the_time_it_was_told(void **state)
{
    struct world *w = *state;

    w->join_rv = MU_EAGAIN;
    add(w, MU_SEC, false);
    run(w, 7 * MU_SEC);
    assert_in_range(w->joins, 7, 14); /* 700 ms, a quarter more or less */
    assert_int_equal(w->dials, 1);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 1); /* it says why */
    assert_string_equal(w->notice_text, "not taken yet: not reached, or not ready: try again");
    w->join_rv = 0;
    run(w, 2 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_JOINED], 1);
}

static void session_says_at_once_that_the_conductor_is_full(void **state)
{
    struct world *w = *state;

    w->join_rv = MU_EFULL;
    add(w, 10 * MU_SEC, false);
    run(w, MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 1);
    assert_non_null(strstr(w->notice_text, "not taken yet: "));
    run(w, 60 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_LOST], 1);
    w->join_rv = 0;
    run(w, 2 * MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_JOINED], 1);
    assert_int_equal(w->notices[MU_NOTICE_RECOVERED], 1);
}

static void session_gives_up_an_agent_that_was_refused(void **state)
{
    struct world *w = *state;
    uint32_t id = add(w, MU_SEC, false), next;

    w->join_rv = MU_EPERM;
    run(w, 10 * MU_SEC);
    assert_int_equal(w->joins, 1);
    assert_int_equal(w->notices[MU_NOTICE_REFUSED], 1);
    assert_int_equal(w->notice_rv, MU_EPERM);
    assert_int_equal(status_of(w, id).lease, MU_LEASE_REFUSED);
    assert_int_equal(mu_session_report(w->s, id, "1", 1, w->now), MU_EPERM);
    assert_int_equal(mu_session_remove(w->s, id, w->now), 0);
    w->join_rv = 0;
    next = add(w, MU_SEC, false);
    assert_int_equal(next, id); /* its number is free again */
    run(w, 2 * MU_SEC);
    assert_int_equal(mu_session_remove(w->s, id, w->now), MU_EBUSY);
}

static void session_report_is_repeated_until_it_is_answered(void **state)
{
    struct world *w = joined_world(state);

    w->mute = true;
    assert_int_equal(mu_session_report(w->s, 0, "{\"a\":1}", 7, w->now), 0);
    run(w, MU_SEC);
    assert_false(mu_session_idle(w->s));
    assert_int_equal(mu_session_report(w->s, 0, "{\"a\":2}", 7, w->now), 0);
    w->mute = false;
    lose_stream(w);
    run(w, 2 * MU_SEC);
    assert_int_equal(w->reports, 1);
    assert_string_equal(w->payload, "{\"a\":2}");
    assert_int_equal(w->notices[MU_NOTICE_DONE], 1);
    w->done_rv = MU_EAGAIN;
    assert_int_equal(mu_session_report(w->s, 0, "3", 1, w->now), 0);
    run(w, 3 * MU_SEC);
    assert_in_range(w->reports, 4, 6);
    assert_int_equal(w->notices[MU_NOTICE_DONE], 1);
    w->done_rv = MU_EINVAL; /* for good */
    run(w, MU_SEC);
    assert_int_equal(w->notices[MU_NOTICE_DONE], 2);
    assert_int_equal(w->notice_rv, MU_EINVAL);
    assert_true(mu_session_idle(w->s));
}

static void session_last_word_waits_for_no_report_that_was_put_off(void **state)
{
    struct world *w = joined_world(state);

    w->done_rv = MU_EAGAIN;
    assert_int_equal(mu_session_report(w->s, 0, "3", 1, w->now), 0);
    run(w, 100 * MU_MS);
    assert_int_equal(w->reports, 1);
    w->done_rv = 0;
    assert_int_equal(mu_session_ended(w->s, 0, MU_ENDED_EXITED, 3, w->now), 0);
    run(w, 20 * MU_MS);
    assert_int_equal(w->ended, 1);
    assert_true(mu_session_idle(w->s));
}

static void session_takes_no_refused_report_to_its_next_join(void **state)
{
    struct world *w = joined_world(state);

    assert_int_equal(mu_session_report(w->s, 0, "{}", 2, w->now), 0);
    run(w, MU_SEC);
    w->done_rv = MU_EINVAL;
    assert_int_equal(mu_session_report(w->s, 0, "{", 1, w->now), 0);
    run(w, MU_SEC);
    assert_int_equal(w->notice_rv, MU_EINVAL);
    w->forgot = true;
    lose_stream(w);
    run(w, 5 * MU_SEC);
    assert_int_equal(w->joins, 2);
    assert_int_equal(w->offered_payload, 0);
}

static void session_leave_is_the_last_word(void **state)
{
    struct world *w = joined_world(state);

    w->latency = 100 * MU_MS;
    assert_int_equal(mu_session_leave(w->s, 0, w->now), 0);
    assert_int_equal(mu_session_leave(w->s, 0, w->now), MU_ECLOSED);
    run(w, 0);
    w->nbeats = 0;
    run(w, 10 * MU_SEC);
    assert_int_equal(w->leaves, 1);
    assert_int_equal(w->nbeats, 0);
    assert_int_equal(w->notices[MU_NOTICE_DONE], 1);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_LEFT);
    assert_true(mu_session_idle(w->s));
    assert_int_equal(w->notices[MU_NOTICE_LOST], 0);
    assert_int_equal(mu_session_due(w->s), MU_NEVER);
}

static void session_leave_before_any_join_is_done_at_once(void **state)
{
    struct world *w = *state;

    w->unreachable = true;
    add(w, MU_SEC, false);
    assert_int_equal(mu_session_leave(w->s, 0, w->now), 0);
    assert_int_equal(w->notices[MU_NOTICE_DONE], 1);
    assert_true(mu_session_idle(w->s));
}

static void session_leave_waits_for_a_stream_and_beats_meanwhile(void **state)
{
    struct world *w = joined_world(state);

    w->unreachable = true;
    lose_stream(w);
    assert_int_equal(mu_session_leave(w->s, 0, w->now), 0);
    w->nbeats = 0;
    run(w, 10 * MU_SEC);
    assert_in_range(w->nbeats, 9, 11);
    w->unreachable = false;
    run(w, 2 * MU_SEC);
    assert_int_equal(w->leaves, 1);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_LEFT);
}

static void session_tells_of_an_end_that_came_before_the_join(void **state)
{
    struct world *w = *state;

    w->unreachable = true;
    add(w, MU_SEC, false);
    assert_int_equal(mu_session_ended(w->s, 0, MU_ENDED_EXITED, 3, w->now), 0);
    run(w, MU_SEC);
    assert_false(mu_session_idle(w->s));
    w->unreachable = false;
    run(w, 2 * MU_SEC);
    assert_int_equal(w->joins, 1);
    assert_int_equal(w->ended, 1);
    assert_true(mu_session_idle(w->s));
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_LEFT);
}

static void session_tells_of_a_process_that_has_ended(void **state)
{
    struct world *w = joined_world(state);

    assert_int_equal(mu_session_ended(w->s, 0, MU_ENDED_EXITED, 3, w->now), 0);
    run(w, 0);
    assert_int_equal(w->ended, 1);
    assert_int_equal(status_of(w, 0).lease, MU_LEASE_LEFT);
}

static void session_refuses_what_the_wire_cannot_carry(void **state)
{
    struct world *w = *state;
    const struct mu_session_label twice[] = {{"k", "1"}, {"k", "2"}};
    const struct mu_session_agent bad[] = {
        {.binary = "a@b", .host = "h"},
        {.binary = "a", .host = "h/h"},
        {.binary = "a", .host = "\xff"},
        {.binary = "", .host = "h"},
        {.binary = "a"},
        {.binary = "a", .host = "h", .zone = "\n"},
        {.binary = "a", .host = "h", .labels = twice, .nlabels = 2},
        {.binary = "a", .host = "h", .payload = "\x80"},
    };
    uint32_t id;

    for (size_t i = 0; i < MU_ARRAY_LEN(bad); i++)
        assert_int_equal(mu_session_add(w->s, &bad[i], &id, w->now), MU_EINVAL);
    assert_int_equal(
        mu_session_add(w->s, &(struct mu_session_agent){.binary = "a", .host = "h", .interval = -1},
                       &id, w->now),
        MU_ERANGE);
    assert_int_equal(mu_session_leave(w->s, 0, w->now), MU_ENOENT);
    add(w, MU_SEC, false);
    assert_int_equal(mu_session_report(w->s, 0, "", 0, w->now), MU_ERANGE);
    assert_int_equal(mu_session_report(w->s, 0, "", MU_PAYLOAD_MAX + 1, w->now), MU_ERANGE);
    assert_int_equal(mu_session_report(w->s, 0, "1\0 2", 4, w->now), MU_EINVAL);
    assert_int_equal(mu_session_report(w->s, 0, "\"\x80\"", 3, w->now), MU_EINVAL);
}

static void session_lives_on_when_memory_is_out(void **state)
{
    static struct world other;
    const struct mu_session_agent agent = {.binary = "b", .host = "h", .interval = MU_SEC};
    const struct mu_session_config config = {.seed = 3, .token = "t", .datagrams = true};
    const struct mu_session_ports ports = {&other,    port_datagram, port_stream,
                                           port_dial, port_hangup,   port_notice};

    /* Any one allocation fails, in opening or later: later, it joins in the end all the same. The
     * conductor of the test allocates too; its failures are not counted. */
    for (unsigned long nth = 1; nth < 12; nth++) {
        uint32_t id = MU_INDEX_ALL;
        int rv;

        open_world(&other, 3, true);
        mu_session_free(other.s);
        mu_mem_fault_at(nth);
        rv = mu_session_new(&other.s, &config, &ports, other.now);
        FAULT_CHECK(rv);
        if (rv) {
            mu_frames_fini(&other.frames);
            continue;
        }
        rv = mu_session_add(other.s, &agent, &id, other.now);
        FAULT_CHECK(rv);
        while (!rv && other.nmail > 0 && other.mail[0].kind != FROM_STREAM)
            assert_true(deliver_next(&other, other.now));
        rv = rv ? rv : mu_session_report(other.s, id, "{}", 2, other.now);
        mu_mem_fault_at(0);
        run(&other, 5 * MU_SEC);
        assert_int_equal(other.notices[MU_NOTICE_JOINED], id != MU_INDEX_ALL);
        assert_int_equal(other.reports, rv == 0);
        close_world(&other);
    }
}

static void session_answers_that_meet_no_memory_are_asked_for_again(void **state)
{
    static struct world other;
    unsigned long nth = 0;

    do {
        open_world(&other, 3, true);
        add(&other, MU_SEC, false);
        while (other.nmail > 0 && other.mail[0].kind != TO_STREAM)
            assert_true(deliver_next(&other, other.now));
        mu_mem_fault_at(++nth);
        assert_true(deliver_next(&other, other.now)); /* JOINED */
        if (!mu_mem_fault_fired())
            nth = 0;
        mu_mem_fault_at(0);
        run(&other, 5 * MU_SEC);
        assert_int_equal(other.notices[MU_NOTICE_JOINED], 1);
        assert_int_equal(status_of(&other, 0).lease, MU_LEASE_HELD);
        close_world(&other);
    } while (nth > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(session_joins_and_beats_at_its_interval),
        TEST(session_first_beats_are_spread_over_the_interval),
        TEST(session_lease_counts_from_before_the_send),
        TEST(session_of_many_agents_bundles_their_beats),
        TEST(session_sends_manual_beats_at_most_each_quarter_interval),
        TEST(session_without_datagrams_beats_on_the_stream),
        TEST(session_tells_of_an_interval_that_is_not_the_one_wanted),
        TEST(session_says_when_it_was_late_itself),
        TEST(session_repeats_a_beat_once_then_takes_the_stream),
        TEST(session_waits_at_most_a_quarter_interval_for_an_ack),
        TEST(session_waits_longer_where_the_way_is_long),
        TEST(session_stays_on_the_stream_after_two_fallbacks_and_returns),
        TEST(session_lost_datagrams_now_and_then_keep_it_on_datagrams),
        TEST(session_datagrams_never_stop_while_the_conductor_is_gone),
        TEST(session_never_closes_a_stream_for_a_missing_ack),
        TEST(session_tells_once_of_a_conductor_it_never_reached),
        TEST(session_takes_a_new_epoch_and_beats_again_at_once),
        TEST(session_cannot_be_made_to_beat_for_ever),
        TEST(session_attaches_again_with_the_new_epoch),
        TEST(session_joins_anew_where_it_is_not_known_any_more),
        TEST(session_joins_anew_where_its_attach_is_refused),
        TEST(session_joins_again_to_report_what_the_conductor_cannot_place),
        TEST(session_joins_one_agent_again_when_told),
        TEST(session_stops_an_agent_that_was_superseded),
        TEST(session_fenced_agent_goes_on_beating),
        TEST(session_told_to_live_by_datagrams_dials_no_stream),
        TEST(session_hears_no_forged_ack),
        TEST(session_hangs_up_on_rubbish_and_attaches_again),
        TEST(session_joins_again_after_the_time_it_was_told),
        TEST(session_says_at_once_that_the_conductor_is_full),
        TEST(session_gives_up_an_agent_that_was_refused),
        TEST(session_report_is_repeated_until_it_is_answered),
        TEST(session_last_word_waits_for_no_report_that_was_put_off),
        TEST(session_takes_no_refused_report_to_its_next_join),
        TEST(session_leave_is_the_last_word),
        TEST(session_leave_before_any_join_is_done_at_once),
        TEST(session_leave_waits_for_a_stream_and_beats_meanwhile),
        TEST(session_tells_of_an_end_that_came_before_the_join),
        TEST(session_tells_of_a_process_that_has_ended),
        TEST(session_refuses_what_the_wire_cannot_carry),
        TEST(session_lives_on_when_memory_is_out),
        TEST(session_answers_that_meet_no_memory_are_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
