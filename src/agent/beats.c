/* A beat goes out by datagram and is acked: step SENT, then IDLE again. What can go wrong: no ack
 * in time, so it is REPEATED once; still none, and the same beat goes on the stream (STREAMED), or
 * waits for one (FALLEN) while datagrams go on at their interval. Two that only the stream could
 * carry, and beats stay on it; a datagram every 30 s tries the way back, and two help a beat that
 * the stream is slow with (HELPED). */
#include <string.h>

#include "agent/inner.h"
#include "base/mem.h"

#define ACK_WAIT_MIN   (200 * MU_MS)
#define PROBE_INTERVAL (30 * MU_SEC)
#define FALLBACKS_MAX  2

static bool attached(const struct mu_session *s)
{
    return s->stream == STREAM_ATTACHED;
}

/* One whose last word is on its way must not be brought back to life by a beat behind it. */
static bool beats(const struct member *m)
{
    return m->state == MEMBER_LIVE && m->end.state != ASK_SENT;
}

static bool any_beats(const struct mu_session *s, const struct bundle *b)
{
    for (uint32_t id = b->first; id != MU_NONE; id = s->members[id].next)
        if (beats(&s->members[id]))
            return true;
    return false;
}

static mu_dur ack_wait(const struct mu_session *s, const struct bundle *b)
{
    mu_dur wait = 4 * s->srtt > ACK_WAIT_MIN ? 4 * s->srtt : ACK_WAIT_MIN;

    return wait < b->interval / 4 ? wait : b->interval / 4;
}

/* Seals the bundle's beat with a number of its own, and remembers when it was sent and how. */
static size_t seal(struct mu_session *s, struct bundle *b, bool by_stream, mu_time now,
                   uint8_t *out)
{
    struct mu_beat beat;
    uint8_t bit = (uint8_t)(1u << b->at);

    beat.n = 0;
    for (uint32_t id = b->first; id != MU_NONE; id = s->members[id].next)
        if (beats(&s->members[id]))
            beat.indexes[beat.n++] = s->members[id].index;
    if (beat.n == 0)
        return 0;
    beat.session = s->id;
    beat.epoch = s->epoch;
    beat.seq = ++s->seq;
    beat.sent_ms = (uint64_t)(now / MU_MS);
    beat.path = by_stream;
    beat.health = b->late ? MU_HEALTH_LATE : 0;
    b->sends[b->at] = (struct send){beat.seq, now};
    b->by_stream = (uint8_t)(by_stream ? b->by_stream | bit : b->by_stream & ~bit);
    b->at = (uint8_t)((b->at + 1) % SENDS);
    return mu_seal_beat(s->key, &beat, out);
}

static void by_datagram(struct mu_session *s, struct bundle *b, mu_time now)
{
    uint8_t out[MU_DATAGRAM_MAX];
    size_t n = seal(s, b, false, now, out);

    if (n)
        s->ports.datagram(s->ports.ctx, out, n);
}

static void by_stream(struct mu_session *s, struct bundle *b, mu_time now)
{
    uint8_t out[MU_FRAME_HEAD + 1 + MU_DATAGRAM_MAX];
    size_t n = seal(s, b, true, now, out + MU_FRAME_HEAD + 1);

    if (!n)
        return;
    mu_frame_head(out, 1 + n);
    out[MU_FRAME_HEAD] = MU_MSG_BEAT;
    s->ports.stream(s->ports.ctx, out, MU_FRAME_HEAD + 1 + n);
}

/* Sends a new beat, by what is the way now. */
static void start(struct mu_session *s, struct bundle *b, mu_time now)
{
    b->first_seq = s->seq + 1;
    b->act_at = MU_NEVER;
    b->step = BEAT_IDLE;
    if (!any_beats(s, b))
        return;
    if (attached(s) && (s->on_stream || !s->datagrams)) {
        b->step = BEAT_STREAMED;
        by_stream(s, b, now);
        if (s->datagrams)
            b->act_at = now + ack_wait(s, b);
        if (s->datagrams && now >= s->probe_at) {
            s->probe_at = now + PROBE_INTERVAL;
            by_datagram(s, b, now);
        }
    } else if (s->datagrams) {
        b->step = BEAT_SENT;
        b->act_at = now + ack_wait(s, b);
        by_datagram(s, b, now);
    } else {
        b->step = BEAT_FALLEN;
    }
}

static void on_time(struct mu_session *s, struct bundle *b, mu_time now)
{
    b->late = now - b->next > b->interval / 2;
    b->last = now;
    b->next = b->manual ? MU_NEVER : now + b->interval - (now - b->next) % b->interval;
    for (uint32_t id = b->first; id != MU_NONE; id = s->members[id].next)
        s->members[id].beats += beats(&s->members[id]);
    start(s, b, now);
}

/* A stream can stand still for seconds while the kernel sends a lost segment again; two datagrams
 * help the beat that waits behind it. */
static void missed(struct mu_session *s, struct bundle *b, mu_time now)
{
    b->act_at = MU_NEVER;
    if (b->step == BEAT_HELPED) {
        by_datagram(s, b, now);
    } else if (b->step == BEAT_STREAMED) {
        b->step = BEAT_HELPED;
        b->act_at = now + ack_wait(s, b);
        by_datagram(s, b, now);
    } else if (b->step == BEAT_SENT) {
        b->step = BEAT_REPEATED;
        b->act_at = now + ack_wait(s, b);
        by_datagram(s, b, now);
    } else if (attached(s)) {
        b->step = BEAT_STREAMED;
        by_stream(s, b, now);
    } else {
        b->step = BEAT_FALLEN;
    }
}

void beats_tick(struct mu_session *s, mu_time now)
{
    for (uint32_t i = 0; i < s->nbundles; i++) {
        struct bundle *b = &s->bundles[i];
        if (b->n == 0)
            continue;
        if (now >= b->next)
            on_time(s, b, now);
        else if (now >= b->act_at)
            missed(s, b, now);
    }
}

mu_time beats_due(const struct mu_session *s)
{
    mu_time due = MU_NEVER;

    for (uint32_t i = 0; i < s->nbundles; i++) {
        const struct bundle *b = &s->bundles[i];
        if (b->n == 0)
            continue;
        due = b->next < due ? b->next : due;
        due = b->act_at < due ? b->act_at : due;
    }
    return due;
}

void beats_attached(struct mu_session *s, mu_time now)
{
    for (uint32_t i = 0; i < s->nbundles; i++) {
        struct bundle *b = &s->bundles[i];
        if (b->n > 0 && b->step == BEAT_FALLEN) {
            b->step = BEAT_STREAMED;
            by_stream(s, b, now);
        }
    }
}

/* What went by the stream may be lost: it goes again by the next. */
void beats_unattached(struct mu_session *s, mu_time now)
{
    s->on_stream = false;
    s->fallbacks = 0;
    for (uint32_t i = 0; i < s->nbundles; i++) {
        struct bundle *b = &s->bundles[i];
        if (b->n == 0 || b->step < BEAT_STREAMED)
            continue;
        b->step = BEAT_FALLEN;
        if (s->datagrams)
            start(s, b, now); /* a datagram is quicker than a dial */
    }
}

bool beats_want_stream(const struct mu_session *s)
{
    for (uint32_t i = 0; i < s->nbundles; i++)
        if (s->bundles[i].n > 0 && s->bundles[i].step == BEAT_FALLEN)
            return true;
    return false;
}

void beats_manual(struct mu_session *s, uint32_t id, mu_time now)
{
    struct bundle *b = &s->bundles[s->members[id].bundle];
    mu_time soonest = b->last + b->interval / 4;

    if (b->next != MU_NEVER)
        return; /* one waits already */
    b->next = now > soonest ? now : soonest;
    if (now >= b->next)
        on_time(s, b, now);
}

static struct bundle *find_send(struct mu_session *s, uint64_t seq, size_t *which)
{
    for (uint32_t i = 0; i < s->nbundles; i++)
        for (*which = 0; *which < SENDS; ++*which)
            if (s->bundles[i].n > 0 && s->bundles[i].sends[*which].seq == seq)
                return &s->bundles[i];
    return NULL;
}

/* What an ack tells of the way that its beat took. */
static void learn_way(struct mu_session *s, const struct bundle *b, bool streamed, bool current,
                      mu_time now)
{
    if (!streamed) {
        s->fallbacks = 0;
        s->on_stream = false;
        return;
    }
    if (!s->datagrams || s->on_stream || !current || b->step != BEAT_STREAMED)
        return;
    if (++s->fallbacks < FALLBACKS_MAX)
        return;
    s->on_stream = true;
    s->probe_at = now + PROBE_INTERVAL;
}

static void grant(struct mu_session *s, struct bundle *b, const struct mu_ack *ack, mu_time sent)
{
    mu_time until = sent + (mu_dur)ack->lease_ms * MU_MS;
    bool all = ack->status == MU_ACK_OK || ack->status == MU_ACK_DATAGRAMS;

    if (!all && (ack->lease_ms == 0 || ack->index == MU_INDEX_ALL))
        return;
    for (uint32_t id = b->first; id != MU_NONE; id = s->members[id].next) {
        struct member *m = &s->members[id];
        if (!beats(m) || (!all && m->index == ack->index))
            continue;
        m->fenced = all ? false : m->fenced;
        m->lease_until = until > m->lease_until ? until : m->lease_until;
    }
    session_heard(s, until);
}

/* The conductor has another epoch: only a beat that carries it counts. One sent before we knew goes
 * again at once; one that carried it already is not repeated, or two could talk for ever. */
static void resync(struct mu_session *s, struct bundle *b, uint32_t epoch, mu_time now)
{
    if (epoch != s->epoch) {
        s->epoch = epoch;
        s->epoch_seq = s->seq + 1;
    }
    if (b->first_seq < s->epoch_seq)
        start(s, b, now);
}

bool beats_ack(struct mu_session *s, const struct mu_ack *ack, mu_time now)
{
    size_t which;
    struct bundle *b = find_send(s, ack->seq, &which);
    mu_time sent;
    bool current;

    if (!b)
        return false; /* too old, or repeated */
    sent = b->sends[which].at;
    current = ack->seq >= b->first_seq;
    b->sends[which].seq = 0;
    s->srtt = s->srtt ? s->srtt + (now - sent - s->srtt) / 8 : now - sent;
    learn_way(s, b, b->by_stream >> which & 1, current, now);
    if (current) {
        b->step = BEAT_IDLE;
        b->act_at = MU_NEVER;
    }
    if (ack->status == MU_ACK_RESYNC) {
        resync(s, b, ack->epoch, now);
        return true;
    }
    if (ack->status == MU_ACK_OK || ack->status == MU_ACK_DATAGRAMS)
        s->no_stream = ack->status == MU_ACK_DATAGRAMS;
    grant(s, b, ack, sent);
    return true;
}

static uint32_t find_bundle(const struct mu_session *s, const struct member *m)
{
    for (uint32_t i = 0; !m->manual && i < s->nbundles; i++) {
        const struct bundle *b = &s->bundles[i];
        if (b->n > 0 && b->n < MU_INDEXES_MAX && !b->manual && b->interval == m->interval)
            return i;
    }
    return MU_NONE;
}

static uint32_t new_bundle(struct mu_session *s)
{
    struct bundle *grown;
    uint32_t i, n;

    for (i = 0; i < s->nbundles; i++)
        if (s->bundles[i].n == 0)
            return i;
    n = s->nbundles ? 2 * s->nbundles : 1; /* most sessions are of one agent */
    grown = mu_realloc(s->bundles, n, sizeof(*grown));
    if (!grown)
        return MU_NONE;
    memset(grown + s->nbundles, 0, (n - s->nbundles) * sizeof(*grown));
    s->bundles = grown;
    s->nbundles = n;
    return i;
}

int beats_enter(struct mu_session *s, uint32_t id, mu_time now)
{
    struct member *m = &s->members[id];
    uint32_t i = find_bundle(s, m);
    struct bundle *b;

    if (i == MU_NONE) {
        i = new_bundle(s);
        if (i == MU_NONE)
            return MU_ENOMEM;
        b = &s->bundles[i];
        memset(b, 0, sizeof(*b));
        b->interval = m->interval;
        b->manual = m->manual;
        b->first = MU_NONE;
        b->act_at = MU_NEVER;
        b->last = now - m->interval;
        b->next = MU_NEVER;
        if (!m->manual) /* anywhere in the interval, so that a fleet does not beat as one */
            b->next = now + (mu_dur)mu_rng_below(&s->rng, (uint64_t)m->interval);
    }
    b = &s->bundles[i];
    m->bundle = i;
    m->next = b->first;
    b->first = id;
    b->n++;
    return 0;
}

void beats_leave(struct mu_session *s, uint32_t id)
{
    struct member *m = &s->members[id];
    struct bundle *b;
    uint32_t *link;

    if (m->bundle == MU_NONE)
        return;
    b = &s->bundles[m->bundle];
    for (link = &b->first; *link != id; link = &s->members[*link].next)
        ;
    *link = m->next;
    b->n--;
    m->bundle = m->next = MU_NONE;
}
