/* Streams: which session they speak for, what is said on them, and what their end means. */
#include "conductor/heart.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conductor/intake.h"

#define GUEST_STAY  (500 * MU_MS)
#define ANSWER_STAY (2 * MU_TICK) /* of a guest who waits for the store: a tick, and a commit */
#define GUESTS_MAX(c)                                                                              \
    ((c)->config.max_streams / 32 + 1) /* of half the spare places; see limits.c */

void mu_streams_fini(struct mu_conductor *c)
{
    for (uint32_t i = 0; i < c->streams.n; i++)
        mu_join_drop(mu_entries_at(&c->streams, i));
    mu_entries_fini(&c->streams);
    mu_free(c->closing);
}

struct mu_stream *mu_stream_find(const struct mu_conductor *c, uint64_t conn)
{
    return mu_entries_find(&c->streams, conn);
}

int mu_intake_opened(struct mu_conductor *c, uint64_t conn, const char *peer, mu_time now)
{
    struct mu_stream *st;

    mu_heart_enter(c, now);
    st = mu_entries_add(&c->streams, conn);
    if (!st)
        return MU_ENOMEM;
    snprintf(st->peer, sizeof(st->peer), "%s", peer);
    return 0;
}

/* A link's; NULL = none. */
static struct mu_stream *linked(const struct mu_conductor *c, uint32_t link)
{
    return link ? mu_entries_at(&c->streams, link - 1) : NULL;
}

static void link_to(struct mu_conductor *c, struct mu_stream *st, struct mu_sender *s)
{
    struct mu_stream *before = linked(c, s->stream);

    st->older = s->stream;
    s->stream = mu_entries_place(&c->streams, st) + 1;
    if (before)
        before->newer = s->stream;
}

static void unlink_from(struct mu_conductor *c, struct mu_stream *st, struct mu_sender *s)
{
    struct mu_stream *newer = linked(c, st->newer), *older = linked(c, st->older);

    *(newer ? &newer->older : &s->stream) = st->older;
    if (older)
        older->newer = st->newer;
    st->newer = st->older = 0;
}

/* Leaves its session, which goes when nobody needs it. Returns whether it was the last stream. */
static bool detach(struct mu_conductor *c, struct mu_stream *st)
{
    struct mu_sender *s = st->session ? mu_sessions_find(&c->sessions, st->session) : NULL;

    st->session = 0;
    if (!s)
        return false;
    unlink_from(c, st, s);
    if (s->stream)
        return false;
    s->by_stream = 0;
    mu_sessions_release(&c->sessions, s);
    return true;
}

bool mu_stream_crowded(const struct mu_conductor *c, uint32_t more)
{
    return c->config.max_streams && c->streams.count + more > c->config.max_streams;
}

void mu_stream_bind(struct mu_conductor *c, struct mu_stream *st, struct mu_sender *s)
{
    if (st->session == mu_sender_id(&c->sessions, s))
        return;
    detach(c, st);
    st->session = mu_sender_id(&c->sessions, s);
    link_to(c, st, s);
}

bool mu_stream_stays(const struct mu_conductor *c, const struct mu_sender *s)
{
    const struct mu_stream *st = linked(c, s->stream);

    return st && st->guest_until == 0;
}

void mu_stream_guest(struct mu_conductor *c, struct mu_stream *st)
{
    if (st->guest_until)
        return;
    st->guest_until = c->now + (c->guests < GUESTS_MAX(c) ? GUEST_STAY : 0);
    c->guests++;
}

void mu_stream_waits(const struct mu_conductor *c, struct mu_stream *st)
{
    if (st->guest_until && st->guest_until < c->now + ANSWER_STAY)
        st->guest_until = c->now + ANSWER_STAY;
}

void mu_stream_end_guests(struct mu_conductor *c)
{
    for (uint32_t i = 0; i < c->streams.n && c->guests > 0; i++) {
        struct mu_stream *st = mu_entries_at(&c->streams, i);

        if (st->guest_until == 0 || c->now < st->guest_until)
            continue;
        st->guest_until = MU_NEVER; /* a guest until it is gone */
        c->ports.close(c->ports.ctx, st->conn);
    }
}

static void note_closing(struct mu_conductor *c, uint64_t session)
{
    if (c->nclosing == c->closing_cap) {
        size_t cap = c->closing_cap ? c->closing_cap * 2 : 16;
        struct mu_closing *more = mu_realloc(c->closing, cap, sizeof(*more));

        if (!more)
            return; /* its silence will tell */
        c->closing = more;
        c->closing_cap = cap;
    }
    c->closing[c->nclosing++] = (struct mu_closing){session, c->now};
}

/* What the end of a stream says about its agents is said at the next tick that begins after it: by
 * then what waits in the sockets has been read, a goodbye that came before has been heard, and a
 * stream that took this one's place is attached. While we were away ourselves it says nothing:
 * whoever closed it may have given up on us. Nor does the end of a guest, whose agents live by
 * datagrams. */
void mu_intake_closed(struct mu_conductor *c, uint64_t conn, bool by_peer, mu_time now)
{
    struct mu_stream *st;
    uint64_t session;

    mu_heart_enter(c, now);
    st = mu_stream_find(c, conn);
    if (!st)
        return;
    mu_join_drop(st);
    session = st->session;
    if (detach(c, st) && by_peer && !st->guest_until && !c->stalled)
        note_closing(c, session);
    c->guests -= st->guest_until != 0;
    mu_entries_remove(&c->streams, st);
}

void mu_stream_close_pending(struct mu_conductor *c, mu_time now)
{
    size_t i;

    for (i = 0; i < c->nclosing && c->closing[i].at <= now; i++) {
        struct mu_sender *s = mu_sessions_find(&c->sessions, c->closing[i].session);

        if (!s || s->stream || c->stalled)
            continue;
        for (uint32_t index = 0; index < mu_sender_n(&c->sessions, s); index++) {
            uint32_t value = mu_sender_get(&c->sessions, s, index), slot = value & MU_INDEX_SLOT;

            if (MU_INDEX_IS_SLOT(value) && mu_roster_used(c->roster, slot) &&
                mu_roster_state(c->roster, slot) == MU_UP)
                mu_heart_move(c, slot, MU_SUSPECT, MU_WHY_STREAM_CLOSED, &mu_no_evidence);
        }
    }
    c->nclosing -= i;
    if (i && c->nclosing)
        memmove(c->closing, c->closing + i, c->nclosing * sizeof(*c->closing));
}

static const struct mu_stream *of_session(const struct mu_conductor *c, uint64_t session)
{
    const struct mu_sender *s = session ? mu_sessions_find(&c->sessions, session) : NULL;

    return s ? linked(c, s->stream) : NULL;
}

bool mu_stream_unread(const struct mu_conductor *c, uint64_t session)
{
    const struct mu_stream *st = of_session(c, session);

    return st && c->ports.unread && c->ports.unread(c->ports.ctx, st->conn);
}

const char *mu_stream_peer(const struct mu_conductor *c, uint64_t session)
{
    const struct mu_stream *st = of_session(c, session);

    return st ? st->peer : "";
}

void mu_stream_send(struct mu_conductor *c, uint64_t conn, const struct mu_msg *msg)
{
    struct mu_buf buf;

    mu_buf_init(&buf, MU_FRAME_MAX);
    if (mu_codec_put(&buf, msg) == 0)
        c->ports.send(c->ports.ctx, conn, buf.data, buf.len);
    else
        c->ports.close(c->ports.ctx, conn); /* no memory for an answer: he asks again */
    mu_buf_fini(&buf);
}

int mu_stream_refuse(struct mu_conductor *c, uint64_t conn, int rv, uint32_t retry_ms,
                     const char *text)
{
    struct mu_msg msg = {
        .type = MU_MSG_ERROR,
        .error = {.rv = rv, .retry_ms = retry_ms, .text = {text, strnlen(text, MU_WHY_TEXT_MAX)}}};

    mu_stream_send(c, conn, &msg);
    return rv;
}

void mu_stream_ack(struct mu_conductor *c, uint64_t conn, const uint8_t key[16],
                   const struct mu_ack *ack)
{
    uint8_t body[1 + MU_ACK_LEN];

    body[0] = MU_MSG_ACK; /* as the codec writes it, but without memory */
    mu_seal_ack(key, ack, body + 1);
    c->ports.send(c->ports.ctx, conn, body, sizeof(body));
}

void mu_stream_tell(struct mu_conductor *c, uint64_t session, enum mu_ack_status status,
                    uint32_t index)
{
    const struct mu_stream *st = of_session(c, session);
    struct mu_ack ack = {
        .session = session, .epoch = c->config.epoch, .status = (uint8_t)status, .index = index};
    uint8_t key[16];

    if (!st)
        return;
    mu_seal_key(c->config.secret, session, key);
    mu_stream_ack(c, st->conn, key, &ack);
}
