/* What is said on the stream, and acks by whatever way: JOIN and JOINED, reports and last words
 * with their DONE, what an ack says of single members, and ERROR. */
#include <stdio.h>
#include <string.h>

#include "agent/inner.h"
#include "base/mem.h"

#define INTERVAL_MIN   (10 * MU_MS)
#define RETRY_DEFAULT  (30 * MU_SEC) /* of what was refused for now, without a time */
#define REJOIN_WAIT    (250 * MU_MS)
#define JOIN_BYTES_MAX (MU_FRAME_MAX - 1024)

/* Sends one message in its frame. Returns 0 or MU_ENOMEM, nothing sent. */
static int send_msg(struct mu_session *s, const struct mu_msg *msg)
{
    struct mu_buf buf;
    int rv;

    mu_buf_init(&buf, MU_FRAME_HEAD + MU_FRAME_MAX);
    mu_buf_u32(&buf, 0);
    rv = mu_codec_put(&buf, msg);
    if (!rv) {
        mu_frame_head(buf.data, buf.len - MU_FRAME_HEAD);
        s->ports.stream(s->ports.ctx, buf.data, buf.len);
    }
    mu_buf_fini(&buf);
    return rv;
}

/* ---- joining ---- */

static bool may_join(const struct member *m, mu_time now)
{
    return m->state == MEMBER_WANTS && now >= m->retry_at;
}

/* Describes the members that may join, in the order of their numbers, as many as a frame holds.
 * JOINED answers in that order, and by then the same are JOINING. */
static void describe(struct mu_session *s, struct mu_join *join, size_t max, mu_time now)
{
    size_t bytes = 0;

    for (uint32_t id = 0; id < s->nmembers && join->n < max; id++) {
        struct member *m = &s->members[id];
        if (!may_join(m, now))
            continue;
        member_describe(m, &join->agents[join->n]);
        bytes += mu_codec_join_size(&join->agents[join->n]);
        if (bytes > JOIN_BYTES_MAX)
            return; /* the next join has it */
        join->n++;
        member_set_state(s, m, MEMBER_JOINING);
    }
}

void talk_join(struct mu_session *s, mu_time now)
{
    struct mu_msg msg = {.type = MU_MSG_JOIN};
    size_t max = 0;
    int rv = MU_ENOMEM;

    for (uint32_t id = 0; id < s->nmembers && max < MU_JOIN_AGENTS_MAX; id++)
        max += may_join(&s->members[id], now);
    if (max == 0)
        return;
    msg.join.version = MU_WIRE_VERSION;
    msg.join.token = (struct mu_bytes){s->token, strlen(s->token)};
    msg.join.start_id = s->start_id;
    msg.join.session = s->id;
    msg.join.agents = mu_calloc(max, sizeof(*msg.join.agents));
    if (msg.join.agents) {
        describe(s, &msg.join, max, now);
        rv = send_msg(s, &msg);
        mu_free(msg.join.agents);
    }
    if (!rv) {
        s->join_sent = now;
        return;
    }
    for (uint32_t id = 0; id < s->nmembers; id++) /* no memory: in a while */
        if (s->members[id].state == MEMBER_JOINING || may_join(&s->members[id], now))
            member_want_join(s, &s->members[id], now + MU_SEC);
}

static bool is_temporary(int rv)
{
    return rv == MU_EAGAIN || rv == MU_EFULL || rv == MU_EBUSY || rv == MU_ETIMEDOUT ||
           rv == MU_ENOMEM || rv == MU_EIO;
}

static mu_time retry_time(struct mu_session *s, uint32_t retry_ms, mu_time now)
{
    return now + mu_rng_jitter(&s->rng, retry_ms ? retry_ms * MU_MS : RETRY_DEFAULT, 0.25);
}

static const char *text_of(struct mu_bytes text, int rv, char out[MU_ERR_TEXT_MAX])
{
    if (text.n == 0)
        return muster_strerror(rv);
    snprintf(out, MU_ERR_TEXT_MAX, "%.*s", (int)text.n, text.p);
    return out;
}

/* Member @id was not taken, now or for good. */
static void not_joined(struct mu_session *s, uint32_t id, int rv, uint32_t retry_ms,
                       struct mu_bytes text, mu_time now)
{
    char room[MU_ERR_TEXT_MAX];
    struct member *m = &s->members[id];

    if (is_temporary(rv)) {
        snprintf(s->put_off, sizeof(s->put_off), "%.95s", text_of(text, rv, room));
        s->full = rv == MU_EFULL;
        member_want_join(s, m, retry_time(s, retry_ms, now));
        return;
    }
    member_stop(s, id, MEMBER_REFUSED);
    session_notice(s, MU_NOTICE_REFUSED, id, rv, text_of(text, rv, room));
}

static void tell_interval(struct mu_session *s, uint32_t id)
{
    const struct member *m = &s->members[id];
    char text[128], wanted[MU_DUR_TEXT], got[MU_DUR_TEXT];

    snprintf(text, sizeof(text), "interval %s is in force, %s was wanted",
             mu_dur_text(m->interval, got), mu_dur_text(m->wanted, wanted));
    session_notice(s, MU_NOTICE_SLOWER, id, 0, text);
}

static void joined(struct mu_session *s, uint32_t id, const struct mu_joined_agent *a, mu_time now)
{
    struct member *m = &s->members[id];
    mu_dur before = m->interval;
    mu_time until = s->join_sent + (mu_dur)a->lease_ms * MU_MS;

    if (a->rv) {
        not_joined(s, id, a->rv, a->retry_ms, a->text, now);
        return;
    }
    m->interval = (mu_dur)a->interval_ms * MU_MS;
    m->interval = m->interval < INTERVAL_MIN ? INTERVAL_MIN : m->interval;
    if (beats_enter(s, id, now)) { /* no memory for its beats: join again later */
        member_want_join(s, m, now + MU_SEC);
        return;
    }
    member_set_state(s, m, MEMBER_LIVE);
    s->put_off[0] = '\0';
    s->full = false;
    m->index = a->index;
    m->incarnation = a->incarnation;
    memcpy(m->uuid, a->uuid, sizeof(m->uuid));
    m->has_uuid = true;
    m->retry_at = now;
    m->lease_until = until;
    s->shortest = m->interval < s->shortest ? m->interval : s->shortest;
    session_heard(s, until);
    session_notice(s, MU_NOTICE_JOINED, id, 0, "joined");
    if (m->wanted && m->interval != m->wanted && m->interval != before)
        tell_interval(s, id);
    if (m->beat_wanted) {
        m->beat_wanted = false;
        beats_manual(s, id, now);
    }
}

static int on_joined(struct mu_session *s, const struct mu_joined *msg, mu_time now)
{
    uint32_t id = 0;

    if (msg->n != s->njoining || s->njoining == 0 || (s->id && msg->session != s->id))
        return MU_EPROTO;
    if (!s->id && msg->session) {
        s->id = msg->session;
        memcpy(s->key, msg->key, sizeof(s->key));
        s->epoch = msg->epoch;
        s->epoch_seq = s->seq + 1;
    }
    for (size_t i = 0; i < msg->n; i++) {
        while (s->members[id].state != MEMBER_JOINING)
            id++;
        joined(s, id++, &msg->agents[i], now);
    }
    if (s->id)
        stream_attached(s, now);
    return 0;
}

/* ---- questions and last words ---- */

static void send_report(struct mu_session *s, struct member *m, mu_time now)
{
    struct mu_msg msg = {.type = MU_MSG_REPORT};

    m->report.id = msg.report.id = ++s->ask_id;
    msg.report.index = m->index;
    msg.report.payload = (struct mu_bytes){m->payload, m->payload_n};
    if (send_msg(s, &msg))
        m->retry_at = now + MU_SEC;
    else
        m->report.state = ASK_SENT;
}

static void send_end(struct mu_session *s, struct member *m, mu_time now)
{
    struct mu_msg msg = {.type = (enum mu_msg_type)m->end_type};

    m->end.id = ++s->ask_id;
    if (m->end_type == MU_MSG_LEAVE)
        msg.leave = (struct mu_leave){m->end.id, m->index};
    else
        msg.ended = (struct mu_ended){m->end.id, m->index, m->end_how, m->end_status};
    if (send_msg(s, &msg))
        m->retry_at = now + MU_SEC;
    else
        m->end.state = ASK_SENT;
}

void talk_asks(struct mu_session *s, mu_time now)
{
    for (uint32_t id = 0; id < s->nmembers; id++) {
        struct member *m = &s->members[id];
        if (m->state != MEMBER_LIVE || now < m->retry_at)
            continue;
        if (m->report.state == ASK_WAITS)
            send_report(s, m, now);
        if (m->end.state == ASK_WAITS && now >= m->retry_at)
            send_end(s, m, now);
    }
}

/* What was refused is forgotten: the next join would be refused for it. */
static void report_answered(struct mu_session *s, struct member *m, int rv)
{
    member_set_ask(s, &m->report, ASK_NONE);
    if (rv == 0)
        return;
    mu_free(m->payload);
    m->payload = NULL;
    m->payload_n = 0;
}

static const char *done_text(bool end, int rv)
{
    return !end && rv == MU_EINVAL ? "the report is no JSON" : muster_strerror(rv);
}

static void on_done(struct mu_session *s, const struct mu_done *done, mu_time now)
{
    for (uint32_t id = 0; id < s->nmembers; id++) {
        struct member *m = &s->members[id];
        bool end = m->end.state == ASK_SENT && m->end.id == done->id;
        if (!end && (m->report.state != ASK_SENT || m->report.id != done->id))
            continue;
        if (done->rv == MU_EAGAIN) {
            (end ? &m->end : &m->report)->state = ASK_WAITS;
            m->retry_at = retry_time(s, done->retry_ms ? done->retry_ms : 1000, now);
            return;
        }
        if (!end && done->rv == MU_ENOENT) { /* not known in this session: join, then report */
            member_want_join(s, m, now + REJOIN_WAIT);
            return;
        }
        if (end)
            member_stop(s, id, MEMBER_LEFT);
        else
            report_answered(s, m, done->rv);
        session_notice(s, MU_NOTICE_DONE, id, done->rv, done_text(end, done->rv));
        return;
    }
}

/* ---- what acks say of members, and the frames ---- */

/* The conductor does not know our session any more. */
static void lose_session(struct mu_session *s, mu_time now)
{
    for (uint32_t id = 0; id < s->nmembers; id++)
        if (s->members[id].state == MEMBER_LIVE)
            member_want_join(s, &s->members[id], now);
    s->id = 0;
    if (s->stream == STREAM_ATTACHED || s->stream == STREAM_ATTACHING)
        s->stream = STREAM_UP;
}

static void on_verdict(struct mu_session *s, const struct mu_ack *ack, mu_time now)
{
    if (ack->status == MU_ACK_REJOIN && ack->index == MU_INDEX_ALL) {
        lose_session(s, now);
        return;
    }
    for (uint32_t id = 0; id < s->nmembers; id++) {
        struct member *m = &s->members[id];
        if (m->state != MEMBER_LIVE || (ack->index != MU_INDEX_ALL && m->index != ack->index))
            continue;
        if (ack->status == MU_ACK_REJOIN) {
            member_want_join(s, m, now);
        } else if (ack->status == MU_ACK_SUPERSEDED) {
            member_stop(s, id, MEMBER_SUPERSEDED);
            session_notice(s, MU_NOTICE_SUPERSEDED, id, MU_ESUPERSEDED,
                           muster_strerror(MU_ESUPERSEDED));
        } else if (!m->fenced) {
            m->fenced = true;
            session_notice(s, MU_NOTICE_FENCED, id, MU_EFENCED, "an operator declared it down");
        }
    }
}

static void on_attach_ack(struct mu_session *s, const struct mu_ack *ack, mu_time now)
{
    bool again = ack->epoch != s->epoch || s->attach_seq < s->epoch_seq;

    s->attach_seq = 0;
    if (ack->status == MU_ACK_REJOIN && ack->index == MU_INDEX_ALL)
        return; /* the session is lost: see on_verdict() */
    if (ack->status != MU_ACK_RESYNC) {
        s->no_stream = ack->status == MU_ACK_DATAGRAMS;
        stream_attached(s, now);
        return;
    }
    if (ack->epoch != s->epoch) {
        s->epoch = ack->epoch;
        s->epoch_seq = s->seq + 1;
    }
    if (again)
        stream_attach(s, now);
}

void talk_ack(struct mu_session *s, const uint8_t *data, size_t n, bool by_stream, mu_time now)
{
    struct mu_ack ack;
    bool verdict, asked;

    if (s->id == 0 || mu_seal_open_ack(s->key, data, n, &ack) || ack.session != s->id)
        return;
    verdict = ack.status == MU_ACK_REJOIN || ack.status == MU_ACK_SUPERSEDED ||
              ack.status == MU_ACK_FENCED;
    asked = by_stream && ack.seq != 0 && ack.seq == s->attach_seq;
    if (asked)
        on_attach_ack(s, &ack, now);
    else if (ack.seq != 0)
        asked = beats_ack(s, &ack, now);
    else
        asked = by_stream && ack.status != MU_ACK_REJOIN;
    if (asked && verdict)
        on_verdict(s, &ack, now);
}

/* The conductor gives up on this stream, and says why. */
static int on_error(struct mu_session *s, const struct mu_error_msg *error, mu_time now)
{
    bool attaching = s->stream == STREAM_ATTACHING && !is_temporary(error->rv);

    if (error->rv == MU_ENOENT || attaching) /* another fleet's secret is no reason to give up */
        lose_session(s, now);
    for (uint32_t id = 0; id < s->nmembers; id++)
        if (s->members[id].state == MEMBER_JOINING && error->rv != MU_ENOENT)
            not_joined(s, id, error->rv, error->retry_ms, error->text, now);
    return MU_ECLOSED;
}

static int on_message(struct mu_session *s, const uint8_t *body, size_t n,
                      struct mu_joined_agent *agents, mu_time now)
{
    struct mu_codec_room room = {.joined = agents, .max = s->njoining};
    struct mu_msg msg;
    int rv = mu_codec_get(body, n, &room, &msg, NULL);

    if (rv)
        return rv;
    s->answered = true;
    switch (msg.type) {
    case MU_MSG_ACK:
        talk_ack(s, (const uint8_t *)msg.sealed.p, msg.sealed.n, true, now);
        return 0;
    case MU_MSG_JOINED:
        return on_joined(s, &msg.joined, now);
    case MU_MSG_DONE:
        on_done(s, &msg.done, now);
        return 0;
    case MU_MSG_ERROR:
        return on_error(s, &msg.error, now);
    default:
        return MU_EPROTO;
    }
}

int talk_frame(void *ctx, const uint8_t *body, size_t n)
{
    struct talk *f = ctx;
    struct mu_joined_agent *agents = NULL;
    int rv;

    if (n > 0 && body[0] == MU_MSG_JOINED && f->s->njoining > 0) {
        agents = mu_calloc(f->s->njoining, sizeof(*agents));
        if (!agents)
            return MU_ENOMEM;
    }
    rv = on_message(f->s, body, n, agents, f->now);
    mu_free(agents);
    return rv;
}
