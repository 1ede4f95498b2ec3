/* Bytes to messages, and back. A datagram's happy path: known session, right tag, our epoch, a new
 * sequence number; then each index is a slot, and its beat is taken. What fails before the tag is
 * right gets no answer. */
#include "conductor/intake.h"

#include <string.h>

#include "base/stat.h"
#include "conductor/heart.h"
#include "conductor/payload.h"

/* ---- beats ---- */

/* Of a beat's indexes, those that cannot simply be acknowledged. */
struct trouble {
    uint8_t status; /* enum mu_ack_status: the gravest kind */
    uint32_t n;
    uint32_t indexes[MU_INDEXES_MAX]; /* not set beyond .n: zeroing costs as much as a beat */
};

static void trouble_add(struct trouble *t, enum mu_ack_status status, uint32_t index)
{
    static const uint8_t gravity[] = {
        [MU_ACK_FENCED] = 1, [MU_ACK_REJOIN] = 2, [MU_ACK_SUPERSEDED] = 3};

    if (t->n && gravity[status] < gravity[t->status])
        return;
    if (t->n && gravity[status] > gravity[t->status])
        t->n = 0;
    t->status = (uint8_t)status;
    t->indexes[t->n++] = index;
}

/* One agent's beat. *@lease_ms is lowered to what his silence may last. */
static void take_index(struct mu_conductor *c, struct mu_sender *s, uint32_t index,
                       struct trouble *t, uint32_t *lease_ms)
{
    uint32_t value = mu_sender_get(&c->sessions, s, index), slot = value & MU_INDEX_SLOT, down_ms;

    if (value == MU_INDEX_TAKEN) {
        mu_contest_alive(c, mu_sender_id(&c->sessions, s), index);
        trouble_add(t, MU_ACK_SUPERSEDED, index);
        return;
    }
    if (!MU_INDEX_IS_SLOT(value) || !mu_roster_used(c->roster, slot)) {
        trouble_add(t, MU_ACK_REJOIN, index);
        return;
    }
    mu_heart_heard(c, slot, MU_WHY_HEARD);
    if (mu_roster_forced(c->roster, slot))
        trouble_add(t, MU_ACK_FENCED, index);
    else if (value & MU_INDEX_RENEW)
        trouble_add(t, MU_ACK_REJOIN, index);
    down_ms = (uint32_t)(mu_roster_down_time(c->roster, slot) / MU_MS);
    if (*lease_ms == 0 || down_ms < *lease_ms)
        *lease_ms = down_ms;
}

/* An authentic beat or attach. Returns whether it is answered. */
static bool take_beat(struct mu_conductor *c, struct mu_sender *s, const struct mu_beat *beat,
                      uint64_t conn, struct mu_ack *ack)
{
    struct trouble t;

    t.n = 0;
    *ack = (struct mu_ack){.session = beat->session, .epoch = c->config.epoch, .seq = beat->seq};
    if (beat->epoch != c->config.epoch) {
        /* May have been recorded before we started: only what is sent from now on counts. */
        ack->status = MU_ACK_RESYNC;
        mu_stat_add(MU_STAT_RESYNCS, 1);
        return true;
    }
    if (!mu_sender_accept(s, beat->seq)) {
        mu_stat_add(MU_STAT_DATAGRAMS_OLD, 1);
        return false;
    }
    mu_sender_touch(&c->sessions, s);
    s->by_stream = conn != 0;
    for (uint16_t i = 0; i < beat->n; i++)
        take_index(c, s, beat->indexes[i], &t, &ack->lease_ms);
    if (t.n > 0) {
        /* An ack names one; who has several hears of each in turn. */
        ack->status = t.status;
        ack->index = t.indexes[beat->seq % t.n];
    } else if (!mu_stream_stays(c, s) && mu_stream_crowded(c, conn ? 0 : 1)) {
        ack->status = MU_ACK_DATAGRAMS;
    }
    return true;
}

static bool is_unwanted(const struct mu_beat *beat, const struct mu_ack *ack)
{
    return beat->health & MU_HEALTH_QUIET &&
           (ack->status == MU_ACK_OK || ack->status == MU_ACK_DATAGRAMS);
}

/* NAT may give a sender another address at any time; a sender that has two at once is odd. */
static void note_source(struct mu_conductor *c, struct mu_sender *s, uint64_t hash)
{
    uint16_t from = (uint16_t)(hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48);
    struct mu_ident *who = NULL;

    if (from == 0 || from == s->from || !mu_sender_roams(s, from, c->now) ||
        c->now - c->roam_told < MU_SEC)
        return;
    for (uint32_t i = 0; i < mu_sender_n(&c->sessions, s) && !who; i++) {
        uint32_t value = mu_sender_get(&c->sessions, s, i);

        if (MU_INDEX_IS_SLOT(value) && mu_roster_used(c->roster, value & MU_INDEX_SLOT))
            who = mu_roster_ident(c->roster, value & MU_INDEX_SLOT);
    }
    mu_sender_told(s, c->now);
    c->roam_told = c->now;
    mu_heart_tell(c, MU_WHY_ROAMS, &mu_no_evidence, who, NULL);
}

/* What a beat needs lies scattered over many MB: its session is fetched when the datagram is first
 * seen, the agent that the session names a few datagrams later. */
void mu_intake_soon(struct mu_conductor *c, const uint8_t *in, size_t n)
{
    uint64_t *soon = &c->soon[c->nsoon++ % MU_SOON];
    const struct mu_sender *s = mu_sessions_find(&c->sessions, *soon);

    if (s && !s->crewed && s->only != MU_INDEX_NOBODY)
        mu_roster_soon(c->roster, s->only & MU_INDEX_SLOT);
    *soon = 0;
    if (mu_seal_peek(in, n, soon) == MU_SEALED_BEAT)
        mu_sessions_soon(&c->sessions, *soon);
}

size_t mu_intake_datagram(struct mu_conductor *c, const uint8_t *in, size_t n, uint64_t from,
                          mu_time now, uint8_t *out)
{
    struct mu_sender *s = NULL;
    struct mu_beat beat;
    struct mu_ack ack;
    uint64_t session;
    uint8_t key[16];

    mu_heart_enter(c, now);
    mu_stat_add(MU_STAT_DATAGRAMS, 1);
    if (mu_seal_peek(in, n, &session) == MU_SEALED_BEAT)
        s = mu_sessions_find(&c->sessions, session);
    if (s)
        mu_seal_key(c->config.secret, session, key);
    if (!s || mu_seal_open_beat(key, in, n, &beat) != 0) {
        mu_stat_add(MU_STAT_DATAGRAMS_BAD, 1);
        return 0;
    }
    if (!take_beat(c, s, &beat, 0, &ack))
        return 0;
    if (ack.status != MU_ACK_RESYNC)
        note_source(c, s, from);
    if (is_unwanted(&beat, &ack))
        return 0;
    return n < MU_ACK_LEN ? 0 : mu_seal_ack(key, &ack, out);
}

/* ---- frames ---- */

/* An attach, or a beat by stream. Who has a valid tag of a session that we do not know is told so:
 * his key tells us that he was one of ours. */
static int on_sealed(struct mu_conductor *c, struct mu_stream *st, const struct mu_msg *msg)
{
    const uint8_t *data = (const uint8_t *)msg->sealed.p;
    bool attach = msg->type == MU_MSG_ATTACH;
    struct mu_sender *s;
    struct mu_beat beat;
    struct mu_ack ack;
    uint64_t session;
    uint8_t key[16];
    int rv = mu_seal_peek(data, msg->sealed.n, &session);

    if (rv < 0)
        return mu_stream_refuse(c, st->conn, rv, 0, "not a sealed message");
    mu_seal_key(c->config.secret, session, key);
    rv = attach ? mu_seal_open_attach(key, data, msg->sealed.n, &beat)
                : mu_seal_open_beat(key, data, msg->sealed.n, &beat);
    if (rv != 0)
        return mu_stream_refuse(c, st->conn, rv, 0, "the tag is not right");
    s = mu_sessions_find(&c->sessions, session);
    if (!s) {
        ack = (struct mu_ack){.session = session,
                              .epoch = c->config.epoch,
                              .seq = beat.seq,
                              .status = MU_ACK_REJOIN,
                              .index = MU_INDEX_ALL};
        mu_stream_ack(c, st->conn, key, &ack);
        return 0;
    }
    if (!attach && st->session != session)
        return mu_stream_refuse(c, st->conn, MU_EPROTO, 0, "a beat before its session is attached");
    if (!take_beat(c, s, &beat, st->conn, &ack))
        return attach ? mu_stream_refuse(c, st->conn, MU_EPROTO, 0, "an attach that came before")
                      : 0;
    if (attach && ack.status != MU_ACK_RESYNC)
        mu_stream_bind(c, st, s);
    if (attach && ack.status == MU_ACK_DATAGRAMS)
        mu_stream_guest(c, st); /* long enough for a report or a last word: others must join */
    if (attach || !is_unwanted(&beat, &ack))
        mu_stream_ack(c, st->conn, key, &ack);
    return 0;
}

/* The agent that @index means on this stream; MU_NO_SLOT = none. */
static uint32_t slot_of(const struct mu_conductor *c, const struct mu_stream *st, uint32_t index)
{
    const struct mu_sender *s = st->session ? mu_sessions_find(&c->sessions, st->session) : NULL;
    uint32_t value = s ? mu_sender_get(&c->sessions, s, index) : MU_INDEX_NOBODY;

    if (!MU_INDEX_IS_SLOT(value) || !mu_roster_used(c->roster, value & MU_INDEX_SLOT))
        return MU_NO_SLOT;
    return value & MU_INDEX_SLOT;
}

static void send_done(struct mu_conductor *c, struct mu_stream *st, uint32_t id, int rv,
                      mu_dur retry)
{
    struct mu_msg msg = {
        .type = MU_MSG_DONE,
        .done = {.id = id, .rv = rv, .retry_ms = (uint32_t)((retry + MU_MS - 1) / MU_MS)}};

    mu_stream_send(c, st->conn, &msg);
}

static void on_report(struct mu_conductor *c, struct mu_stream *st, const struct mu_report *report)
{
    uint32_t slot = slot_of(c, st, report->index);
    struct mu_row row;
    mu_dur wait;
    int rv;

    if (slot == MU_NO_SLOT) {
        send_done(c, st, report->id, MU_ENOENT, 0);
        return;
    }
    mu_heart_heard(c, slot, MU_WHY_HEARD);
    if (mu_heart_reported(c, slot, report->payload)) {
        send_done(c, st, report->id, 0, 0);
        return;
    }
    wait = mu_roster_report_wait(c->roster, slot, c->now);
    if (wait > 0 || !mu_roster_row(c->roster, slot, &row)) {
        send_done(c, st, report->id, MU_EAGAIN, wait > 0 ? wait : MU_SEC);
        return;
    }
    rv = mu_payload_check(report->payload.p, report->payload.n);
    if (rv == 0)
        rv = mu_heart_report(c, slot, report->payload, st->conn, report->id);
    if (rv == MU_EINVAL)
        send_done(c, st, report->id, rv, 0);
    else if (rv != 0)
        send_done(c, st, report->id, MU_EAGAIN, 5 * MU_SEC);
    else
        mu_stream_waits(c, st);
}

/* What the store refuses for good it may have refused for another's sake: it shall come again. */
void mu_conductor_reported(struct mu_conductor *c, const struct mu_reported *report, int rv,
                           mu_time now)
{
    struct mu_stream *st;
    struct mu_row row;
    bool there;

    mu_heart_enter(c, now);
    there = mu_roster_used(c->roster, report->slot) &&
            mu_roster_row(c->roster, report->slot, &row) && row.id == report->row;
    if (there && rv == 0)
        mu_roster_kept(c->roster, report->slot, report->hash);
    else if (there && report->conn == 0)
        mu_heart_ask_to_join(c, report->slot);
    st = report->conn ? mu_stream_find(c, report->conn) : NULL;
    if (st)
        send_done(c, st, report->id, rv ? MU_EAGAIN : 0, rv ? 30 * MU_SEC : 0);
}

static void on_leave(struct mu_conductor *c, struct mu_stream *st, const struct mu_leave *leave)
{
    uint32_t slot = slot_of(c, st, leave->index);

    if (slot == MU_NO_SLOT) {
        send_done(c, st, leave->id, MU_ENOENT, 0);
        return;
    }
    mu_heart_unbind(c, slot, MU_INDEX_NOBODY);
    if (mu_state_may_move(mu_roster_state(c->roster, slot), MU_LEFT, MU_WHY_LEFT))
        mu_heart_move(c, slot, MU_LEFT, MU_WHY_LEFT, &mu_no_evidence);
    else
        c->ports.changed(c->ports.ctx, slot);
    send_done(c, st, leave->id, 0, 0);
}

/* The word of who has seen it die: nothing that we may have missed can speak against it. */
static void on_ended(struct mu_conductor *c, struct mu_stream *st, const struct mu_ended *ended)
{
    uint32_t slot = slot_of(c, st, ended->index);
    struct mu_evidence evidence = mu_no_evidence;
    enum mu_reason why = MU_WHY_ENDED;

    if (slot == MU_NO_SLOT) {
        send_done(c, st, ended->id, MU_ENOENT, 0);
        return;
    }
    if (ended->how == MU_ENDED_EXITED) {
        why = MU_WHY_EXITED;
        evidence.exit_status = ended->status;
    } else if (ended->how == MU_ENDED_KILLED) {
        why = MU_WHY_KILLED;
        evidence.signal = ended->status;
    }
    mu_heart_unbind(c, slot, MU_INDEX_NOBODY);
    if (mu_state_may_move(mu_roster_state(c->roster, slot), MU_DOWN, why))
        mu_heart_move(c, slot, MU_DOWN, why, &evidence);
    else
        c->ports.changed(c->ports.ctx, slot);
    send_done(c, st, ended->id, 0, 0);
}

/* Who has neither joined nor attached has no agent to speak of, and shall not keep a place. */
static int on_word(struct mu_conductor *c, struct mu_stream *st, const struct mu_msg *msg)
{
    if (msg->type == MU_MSG_REPORT)
        on_report(c, st, &msg->report);
    else if (msg->type == MU_MSG_LEAVE)
        on_leave(c, st, &msg->leave);
    else
        on_ended(c, st, &msg->ended);
    return st->session ? 0 : MU_ECLOSED;
}

int mu_intake_frame(struct mu_conductor *c, uint64_t conn, const uint8_t *frame, size_t n,
                    mu_time now)
{
    struct mu_codec_room room = {.join = c->room, .max = MU_JOIN_AGENTS_MAX};
    struct mu_stream *st;
    struct mu_msg msg;
    struct mu_err err = {0};
    int rv;

    mu_heart_enter(c, now);
    mu_stat_add(MU_STAT_FRAMES, 1);
    st = mu_stream_find(c, conn);
    if (!st)
        return MU_ECLOSED;
    rv = mu_codec_get(frame, n, &room, &msg, &err);
    if (rv != 0) {
        rv = mu_stream_refuse(c, conn, rv, 0, err.text);
    } else {
        switch (msg.type) {
        case MU_MSG_REPORT:
        case MU_MSG_LEAVE:
        case MU_MSG_ENDED:
            rv = on_word(c, st, &msg);
            break;
        case MU_MSG_JOIN:
            rv = mu_join_take(c, st, &msg.join);
            break;
        case MU_MSG_ATTACH:
        case MU_MSG_BEAT:
            rv = on_sealed(c, st, &msg);
            break;
        default:
            rv = mu_stream_refuse(c, conn, MU_EPROTO, 0, "a message for agents");
        }
    }
    if (rv == MU_EPROTO)
        mu_stat_add(MU_STAT_FRAMES_BAD, 1);
    return rv;
}
