/* rig.h - a conductor in virtual time with a store and senders that do what a test says.
 *
 * Time moves in rig_run(), which ticks every 100 ms as the loop would. What was proposed is
 * committed at the next tick unless .store_away. Events are kept; frames that were sent are
 * decoded. */
#ifndef TEST_LIB_RIG_H
#define TEST_LIB_RIG_H

#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conductor/conductor.h"
#include "conductor/explain.h"
#include "conductor/hearing.h"
#include "conductor/intake.h"
#include "wire/codec.h"
#include "wire/seal.h"

#define RIG_EVENTS  4096
#define RIG_TICKETS 512

struct rig_event {
    uint64_t seq;
    int kind, from, to, reason;
    struct mu_evidence evidence;
    char agent[64], text[256];
};

struct rig_sender { /* one session, as its agent knows it */
    uint64_t conn, id, start_id, seq;
    uint32_t epoch;
    uint8_t key[16];
};

struct rig {
    uint64_t closed; /* the stream that the conductor closed last */
    struct mu_conductor *c;
    struct mu_policies policies;
    struct mu_conductor_config config;
    mu_time now, boot_ahead;
    mu_wall wall;
    uint64_t drops;
    bool store_away, refuse, payload_full;
    uint64_t unread; /* the stream on which more has come than was handed in */
    uint64_t tickets[RIG_TICKETS];
    size_t ntickets;
    struct rig_event events[RIG_EVENTS];
    size_t nevents;
    uint64_t conns;
    /* the last frame that was sent */
    struct mu_msg msg;
    struct mu_joined_agent joined[MU_JOIN_AGENTS_MAX];
    uint8_t frame[MU_FRAME_MAX];
    size_t nframes;
    uint64_t frame_conn;
    size_t nchanged, npayloads;
    struct mu_reported report; /* that the store was given last; .row is 0 when it has answered */
    int done_rv;               /* of an operator's write; 1 = not yet */
    uint32_t done_slot;
};

static inline int rig_propose(void *ctx, const struct mu_change *change)
{
    struct rig *r = ctx;

    if (r->refuse || r->ntickets == RIG_TICKETS || (change->payload && r->payload_full))
        return MU_EAGAIN;
    r->tickets[r->ntickets++] = change->ticket;
    return 0;
}

static inline int rig_payload(void *ctx, const struct mu_reported *report, const char *json,
                              size_t n)
{
    struct rig *r = ctx;

    if (r->payload_full)
        return MU_EFULL;
    r->npayloads++;
    r->report = *report;
    return 0;
}

static inline bool rig_unread(void *ctx, uint64_t conn)
{
    return ((struct rig *)ctx)->unread == conn;
}

static inline void rig_changed(void *ctx, uint32_t slot)
{
    ((struct rig *)ctx)->nchanged++;
}

static inline void rig_send(void *ctx, uint64_t conn, const uint8_t *frame, size_t n)
{
    struct rig *r = ctx;
    struct mu_codec_room room = {.joined = r->joined, .max = MU_JOIN_AGENTS_MAX};

    memcpy(r->frame, frame, n);
    assert_int_equal(mu_codec_get(r->frame, n, &room, &r->msg, NULL), 0);
    r->frame_conn = conn;
    r->nframes++;
}

static inline void rig_close(void *ctx, uint64_t conn)
{
    ((struct rig *)ctx)->closed = conn;
}

static inline void rig_sink(void *ctx, const struct mu_event *event)
{
    struct rig *r = ctx;
    struct rig_event *e = &r->events[r->nevents++ % RIG_EVENTS];

    *e = (struct rig_event){.seq = event->seq,
                            .kind = event->kind,
                            .from = event->from,
                            .to = event->to,
                            .reason = event->reason,
                            .evidence = event->evidence};
    if (event->who)
        snprintf(e->agent, sizeof(e->agent), "%.20s@%.20s", event->who->binary, event->who->host);
    if (event->text)
        snprintf(e->text, sizeof(e->text), "%s", event->text->text);
}

/* A conductor of 1 s / 3 s, not begun. The caller may change .config and .policies before. */
static inline void rig_init(struct rig *r)
{
    memset(r, 0, sizeof(*r));
    r->now = 1000 * MU_SEC;
    r->wall = 1700000000000;
    mu_policies_init(&r->policies);
    r->policies.at[0].times =
        (struct mu_times){.interval = MU_SEC, .suspect = 2 * MU_SEC, .down = 3 * MU_SEC};
    r->config = (struct mu_conductor_config){.epoch = 1,
                                             .next_row = 1,
                                             .secret = "0123456789abcde",
                                             .seed = 7,
                                             .max_agents = 1000,
                                             .join_rate = 20000};
}

static inline int rig_new(struct rig *r)
{
    struct mu_conductor_ports ports = {.ctx = r,
                                       .propose = rig_propose,
                                       .payload = rig_payload,
                                       .changed = rig_changed,
                                       .send = rig_send,
                                       .close = rig_close,
                                       .unread = rig_unread};
    int rv;

    r->config.policies = &r->policies;
    rv = mu_conductor_new(&r->c, &r->config, &ports, r->now, r->wall);
    if (rv != 0)
        return rv;
    r->ntickets = 0;
    assert_int_equal(mu_bus_attach(mu_conductor_bus(r->c), rig_sink, r), 0);
    mu_bus_grant(mu_conductor_bus(r->c), r->config.epoch * UINT64_C(100000) + 1,
                 (r->config.epoch + 1) * UINT64_C(100000));
    return 0;
}

static inline void rig_begin(struct rig *r)
{
    mu_conductor_begin(r->c, r->now, r->wall);
}

/* The usual: made and begun. */
static inline void rig_setup(struct rig *r)
{
    rig_init(r);
    assert_int_equal(rig_new(r), 0);
    rig_begin(r);
}

static inline void rig_free(struct rig *r)
{
    mu_conductor_free(r->c);
    r->c = NULL;
}

static inline void rig_commit(struct rig *r, int rv)
{
    size_t n = r->ntickets;

    r->ntickets = 0;
    for (size_t i = 0; i < n; i++)
        mu_conductor_committed(r->c, r->tickets[i], rv, r->now);
    if (r->report.row)
        mu_conductor_reported(r->c, &r->report, rv, r->now);
    r->report.row = 0;
}

static inline void rig_tick(struct rig *r)
{
    if (!r->store_away)
        rig_commit(r, 0);
    mu_conductor_tick(r->c, r->now, r->now + r->boot_ahead, r->wall, r->drops);
}

/* The clocks go on, and nobody is called. */
static inline void rig_sleep(struct rig *r, mu_dur dur)
{
    r->now += dur;
    r->wall += dur / MU_MS;
}

static inline void rig_run(struct rig *r, mu_dur dur)
{
    for (; dur > 0; dur -= 100 * MU_MS) {
        rig_sleep(r, dur < 100 * MU_MS ? dur : 100 * MU_MS);
        rig_tick(r);
    }
}

/* ---- senders ---- */

static inline struct mu_bytes rig_bytes(const char *text)
{
    return (struct mu_bytes){text, strlen(text)};
}

static inline void rig_open(struct rig *r, struct rig_sender *s)
{
    char peer[32];

    s->conn = ++r->conns;
    snprintf(peer, sizeof(peer), "10.0.0.%u:1", (unsigned)s->conn);
    assert_int_equal(mu_intake_opened(r->c, s->conn, peer, r->now), 0);
}

static inline int rig_frame(struct rig *r, struct rig_sender *s, const struct mu_msg *msg)
{
    struct mu_buf buf;
    int rv;

    mu_buf_init(&buf, 0);
    assert_int_equal(mu_codec_put(&buf, msg), 0);
    r->msg.type = (enum mu_msg_type)0;
    rv = mu_intake_frame(r->c, s->conn, buf.data, buf.len, r->now);
    mu_buf_fini(&buf);
    return rv;
}

static inline struct mu_join_agent rig_agent(const char *host)
{
    return (struct mu_join_agent){.binary = rig_bytes("b"), .host = rig_bytes(host)};
}

/* Sends a JOIN; the answer, if one came at once, is in r->msg. */
static inline int rig_ask(struct rig *r, struct rig_sender *s, struct mu_join_agent *agents,
                          size_t n)
{
    struct mu_msg msg = {.type = MU_MSG_JOIN,
                         .join = {.version = MU_WIRE_VERSION,
                                  .token = rig_bytes("right"),
                                  .start_id = s->start_id,
                                  .session = s->id,
                                  .n = n,
                                  .agents = agents}};

    return rig_frame(r, s, &msg);
}

/* Takes the session from a JOINED that has come. */
static inline void rig_joined(struct rig *r, struct rig_sender *s)
{
    assert_int_equal(r->msg.type, MU_MSG_JOINED);
    s->id = r->msg.joined.session;
    s->epoch = r->msg.joined.epoch;
    memcpy(s->key, r->msg.joined.key, sizeof(s->key));
}

/* A new stream, and a join of b@HOST that succeeds: waits for the commit where needed. */
static inline uint32_t rig_join(struct rig *r, struct rig_sender *s, const char *host,
                                uint64_t start_id)
{
    struct mu_join_agent agent = rig_agent(host);

    memset(s, 0, sizeof(*s));
    s->start_id = start_id;
    rig_open(r, s);
    assert_int_equal(rig_ask(r, s, &agent, 1), 0);
    if (r->msg.type != MU_MSG_JOINED)
        rig_commit(r, 0);
    rig_joined(r, s);
    assert_int_equal(r->joined[0].rv, 0);
    return mu_roster_find(mu_conductor_roster(r->c), "b", host);
}

static inline struct mu_beat rig_make_beat(struct rig_sender *s, uint32_t index)
{
    return (struct mu_beat){
        .session = s->id, .epoch = s->epoch, .seq = ++s->seq, .n = 1, .indexes = {index}};
}

/* Gives a sealed datagram in. Returns the ack's status, or -1 for no answer. */
static inline int rig_datagram(struct rig *r, const struct rig_sender *s, const uint8_t *data,
                               size_t n, uint64_t from, struct mu_ack *ack)
{
    uint8_t out[MU_DATAGRAM_MAX];
    size_t len = mu_intake_datagram(r->c, data, n, from, r->now, out);

    if (len == 0)
        return -1;
    assert_true(len <= n);
    assert_int_equal(mu_seal_open_ack(s->key, out, len, ack), 0);
    return ack->status;
}

static inline int rig_beat(struct rig *r, struct rig_sender *s, uint32_t index)
{
    struct mu_beat beat = rig_make_beat(s, index);
    uint8_t data[MU_DATAGRAM_MAX];
    struct mu_ack ack;

    return rig_datagram(r, s, data, mu_seal_beat(s->key, &beat, data), 1, &ack);
}

/* Beats by the interval for @dur. */
static inline void rig_live(struct rig *r, struct rig_sender *s, mu_dur dur)
{
    for (; dur > 0; dur -= MU_SEC) {
        rig_run(r, MU_SEC);
        assert_int_equal(rig_beat(r, s, 0), MU_ACK_OK);
    }
}

/* Sends ATTACH. Returns what the frame's reading returned; the ack is in @ack. */
static inline int rig_attach(struct rig *r, struct rig_sender *s, struct mu_ack *ack)
{
    struct mu_beat beat = {.session = s->id, .epoch = s->epoch, .seq = ++s->seq};
    struct mu_msg msg = {.type = MU_MSG_ATTACH};
    uint8_t data[MU_ATTACH_LEN];
    int rv;

    msg.sealed.n = mu_seal_attach(s->key, &beat, data);
    msg.sealed.p = (const char *)data;
    rv = rig_frame(r, s, &msg);
    if (r->msg.type == MU_MSG_ACK)
        assert_int_equal(
            mu_seal_open_ack(s->key, (const uint8_t *)r->msg.sealed.p, r->msg.sealed.n, ack), 0);
    return rv;
}

static inline void rig_hangup(struct rig *r, struct rig_sender *s)
{
    mu_intake_closed(r->c, s->conn, true, r->now);
}

/* ---- looking ---- */

static inline struct mu_view rig_view(struct rig *r, const char *host)
{
    uint32_t slot = mu_roster_find(mu_conductor_roster(r->c), "b", host);
    struct mu_view view;

    assert_int_not_equal(slot, MU_NO_SLOT);
    mu_roster_view(mu_conductor_roster(r->c), slot, r->now, &view);
    return view;
}

static inline enum mu_state rig_state(struct rig *r, const char *host)
{
    return rig_view(r, host).shown;
}

/* How many events of @kind there were with @reason (-1 = any); the last of them in *@out. */
static inline size_t rig_count(const struct rig *r, int kind, int reason, struct rig_event *out)
{
    size_t n = 0;

    assert_true(r->nevents <= RIG_EVENTS);
    for (size_t i = 0; i < r->nevents; i++) {
        if (r->events[i].kind != kind || (reason >= 0 && r->events[i].reason != reason))
            continue;
        n++;
        if (out)
            *out = r->events[i];
    }
    return n;
}

static inline size_t rig_moves(const struct rig *r, int to, struct rig_event *out)
{
    size_t n = 0;

    for (size_t i = 0; i < r->nevents; i++) {
        if (r->events[i].kind != MU_KIND_STATE || r->events[i].to != to)
            continue;
        n++;
        if (out)
            *out = r->events[i];
    }
    return n;
}

static inline void rig_done(void *ctx, int rv, uint32_t slot)
{
    struct rig *r = ctx;

    r->done_rv = rv;
    r->done_slot = slot;
}

static inline int rig_write(struct rig *r, const char *host, enum mu_op op, const char *reason)
{
    uint32_t slot = mu_roster_find(mu_conductor_roster(r->c), "b", host);

    r->done_rv = 1;
    return mu_conductor_write(r->c, slot, op, reason, MU_ANY_REVISION, r->now, rig_done, r);
}

/* ---- lives of the conductor ---- */

struct rig_rows {
    struct mu_row row[16];
    char text[16][4][64];
    size_t n;
};

/* What a store would hold now. */
static inline void rig_save(struct rig *r, struct rig_rows *rows)
{
    struct mu_roster *roster = mu_conductor_roster(r->c);

    rows->n = 0;
    for (uint32_t slot = 0; slot < mu_roster_slots(roster); slot++) {
        struct mu_row *row = &rows->row[rows->n];
        char(*text)[64] = rows->text[rows->n];

        if (!mu_roster_used(roster, slot) || !mu_roster_row(roster, slot, row))
            continue;
        assert_true(rows->n < 16);
        mu_ident_ref(row->ident);
        snprintf(text[0], 64, "%s", row->zone);
        snprintf(text[1], 64, "%s", row->labels);
        snprintf(text[2], 64, "%s", row->version);
        snprintf(text[3], 64, "%s", row->disabled_reason);
        row->zone = text[0];
        row->labels = text[1];
        row->version = text[2];
        row->disabled_reason = text[3];
        row->forced_reason = "";
        rows->n++;
    }
}

static inline int rig_restore(struct rig *r, const struct mu_row *row)
{
    struct mu_who who = {.binary = row->ident->binary, .host = row->ident->host};

    memcpy(who.uuid, row->ident->uuid, sizeof(who.uuid));
    return mu_conductor_restore(r->c, &who, row, 0);
}

/* A new life on what was saved: next epoch, nothing else kept. */
static inline void rig_restart(struct rig *r, struct rig_rows *rows)
{
    rig_free(r);
    r->config.epoch++;
    r->config.seed++; /* or the same UUIDs would be drawn again */
    assert_int_equal(rig_new(r), 0);
    for (size_t i = 0; i < rows->n; i++) {
        assert_int_equal(rig_restore(r, &rows->row[i]), 0);
        mu_ident_unref(rows->row[i].ident);
    }
    assert_int_equal(mu_conductor_restored(r->c), 0);
    rig_begin(r);
}

#endif
