/* The way of a session: dial, JOIN, JOINED; beats go by datagram (beats.c) while the stream stays
 * open for what only it carries. When it breaks: dial, ATTACH, and all that waited goes again. The
 * conductor may have forgotten a member (REJOIN) or the session (ERROR with MU_ENOENT): then the
 * members join anew, with the UUIDs they had. */
#include "agent/session.h"

#include <stdio.h>
#include <string.h>

#include "agent/inner.h"
#include "base/mem.h"
#include "base/utf8.h"

#define INTERVAL_DEFAULT (10 * MU_SEC)
#define BACKOFF_FIRST    (100 * MU_MS)
#define HEARD_GRACE      3 /* intervals until a session that never heard a word is lost */

/* ---- what members and beats ask for ---- */

void session_notice(struct mu_session *s, enum mu_notice what, uint32_t member, int rv,
                    const char *text)
{
    s->ports.notice(s->ports.ctx, what, member, rv, text);
}

void session_heard(struct mu_session *s, mu_time until)
{
    s->heard_until = until > s->heard_until ? until : s->heard_until;
    if (!s->lost)
        return;
    s->lost = false;
    session_notice(s, MU_NOTICE_RECOVERED, MU_INDEX_ALL, 0, "the conductor answers again");
}

/* ---- the stream: dialled, up, attached, gone ---- */

/* How soon to dial again: doubled from try to try, at most the interval, and spread, since whoever
 * lost his stream lost it together with many others. */
static mu_dur backoff(struct mu_session *s)
{
    mu_dur wait = s->shortest;

    if (s->tries < 16 && BACKOFF_FIRST << s->tries < wait)
        wait = BACKOFF_FIRST << s->tries;
    return wait / 2 + (mu_dur)mu_rng_below(&s->rng, (uint64_t)(wait / 2) + 1);
}

static void stream_gone(struct mu_session *s, mu_time now)
{
    bool settled = s->stream == STREAM_ATTACHED && s->nasks == 0 && s->datagrams;

    s->stream = STREAM_DOWN;
    s->attach_seq = 0;
    mu_frames_fini(&s->frames);
    mu_frames_init(&s->frames);
    if (settled) /* nothing is urgent, beats go on by datagram */
        s->dial_at = now + (mu_dur)mu_rng_below(&s->rng, (uint64_t)s->shortest);
    else
        s->dial_at = now + backoff(s);
    s->tries += s->tries < 32;
    for (uint32_t id = 0; id < s->nmembers; id++) {
        struct member *m = &s->members[id];
        if (m->state == MEMBER_JOINING)
            member_set_state(s, m, MEMBER_WANTS);
        if (m->report.state == ASK_SENT)
            m->report.state = ASK_WAITS;
        if (m->end.state == ASK_SENT)
            m->end.state = ASK_WAITS;
    }
    beats_unattached(s, now);
}

static void hang_up(struct mu_session *s, mu_time now)
{
    s->ports.hangup(s->ports.ctx);
    stream_gone(s, now);
}

void stream_attach(struct mu_session *s, mu_time now)
{
    uint8_t out[MU_FRAME_HEAD + 1 + MU_ATTACH_LEN];
    struct mu_beat beat;

    s->attach_seq = ++s->seq;
    beat.session = s->id;
    beat.epoch = s->epoch;
    beat.seq = s->attach_seq;
    beat.sent_ms = (uint64_t)(now / MU_MS);
    beat.path = 1;
    beat.health = 0;
    beat.n = 0;
    mu_frame_head(out, 1 + MU_ATTACH_LEN);
    out[MU_FRAME_HEAD] = MU_MSG_ATTACH;
    mu_seal_attach(s->key, &beat, out + MU_FRAME_HEAD + 1);
    s->stream = STREAM_ATTACHING;
    s->ports.stream(s->ports.ctx, out, sizeof(out));
}

void stream_attached(struct mu_session *s, mu_time now)
{
    s->stream = STREAM_ATTACHED;
    s->tries = 0;
    beats_attached(s, now);
}

/* ---- what is due ---- */

static bool has_agents(const struct mu_session *s)
{
    return s->nlive + s->nwants + s->njoining > 0;
}

/* When a stream is wanted for what waits of the members: a join, a report, a last word. */
static mu_time members_due(const struct mu_session *s)
{
    mu_time due = MU_NEVER;

    if (s->nwants == 0 && s->nasks == 0)
        return MU_NEVER;
    for (uint32_t id = 0; id < s->nmembers; id++) {
        const struct member *m = &s->members[id];
        bool waits = m->report.state == ASK_WAITS || m->end.state == ASK_WAITS;
        if ((m->state == MEMBER_WANTS || (m->state == MEMBER_LIVE && waits)) && m->retry_at < due)
            due = m->retry_at;
    }
    return due;
}

static bool wants_stream(const struct mu_session *s, mu_time now)
{
    return (s->nlive > 0 && !s->no_stream) || beats_want_stream(s) || members_due(s) <= now;
}

/* Does whatever can be done now on the stream, or dials one. */
static void pump(struct mu_session *s, mu_time now)
{
    if (s->stream == STREAM_DOWN && now >= s->dial_at && wants_stream(s, now)) {
        s->stream = STREAM_DIALLING;
        s->ports.dial(s->ports.ctx);
    }
    if (s->stream == STREAM_UP && s->id)
        stream_attach(s, now);
    if (s->nwants > 0 && s->njoining == 0 &&
        (s->stream == STREAM_ATTACHED || (s->stream == STREAM_UP && !s->id)))
        talk_join(s, now);
    if (s->nasks > 0 && s->stream == STREAM_ATTACHED)
        talk_asks(s, now);
}

static void check_lost(struct mu_session *s, mu_time now)
{
    bool full = s->full && s->nlive == 0; /* it is a person's turn, and time will not help */
    char text[128], gap[MU_DUR_TEXT];

    if (s->lost || (now < s->heard_until && !full) || !has_agents(s))
        return;
    s->lost = true;
    if (s->put_off[0] && s->nlive == 0)
        snprintf(text, sizeof(text), "not taken yet: %s", s->put_off);
    else
        snprintf(text, sizeof(text), "no answer from the conductor, the lease ended; interval %s",
                 mu_dur_text(s->shortest, gap));
    session_notice(s, MU_NOTICE_LOST, MU_INDEX_ALL, full ? MU_EFULL : MU_ETIMEDOUT, text);
}

static mu_time earlier(mu_time a, mu_time b)
{
    return a < b ? a : b;
}

static mu_time next_due(const struct mu_session *s, mu_time now)
{
    mu_time due = beats_due(s), members = members_due(s);

    if (!s->lost && has_agents(s))
        due = earlier(due, s->heard_until);
    switch (s->stream) {
    case STREAM_DOWN:
        if (wants_stream(s, now))
            return earlier(due, s->dial_at);
        return earlier(due, members > s->dial_at ? members : s->dial_at);
    case STREAM_UP:
    case STREAM_ATTACHED:
        return s->njoining > 0 ? due : earlier(due, members); /* JOINED wakes us */
    default:
        return due;
    }
}

/* The end of each call from outside: no call leaves something undone that could be done. */
static void settle(struct mu_session *s, mu_time now)
{
    pump(s, now);
    check_lost(s, now);
    s->due = next_due(s, now);
}

void mu_session_tick(struct mu_session *s, mu_time now)
{
    beats_tick(s, now);
    settle(s, now);
}

mu_time mu_session_due(const struct mu_session *s)
{
    return s->due;
}

void mu_session_dialled(struct mu_session *s, int rv, mu_time now)
{
    if (s->stream != STREAM_DIALLING)
        return;
    if (rv)
        stream_gone(s, now);
    else
        s->stream = STREAM_UP;
    settle(s, now);
}

void mu_session_stream(struct mu_session *s, const uint8_t *data, size_t n, mu_time now)
{
    struct talk f = {s, now};

    if (s->stream < STREAM_UP)
        return;
    if (mu_frames_feed(&s->frames, data, n, talk_frame, &f))
        hang_up(s, now);
    settle(s, now);
}

void mu_session_hungup(struct mu_session *s, mu_time now)
{
    if (s->stream == STREAM_DOWN)
        return;
    stream_gone(s, now);
    settle(s, now);
}

void mu_session_datagram(struct mu_session *s, const uint8_t *data, size_t n, mu_time now)
{
    talk_ack(s, data, n, false, now);
    settle(s, now);
}

/* ---- the owner's calls ---- */

int mu_session_new(struct mu_session **out, const struct mu_session_config *config,
                   const struct mu_session_ports *ports, mu_time now)
{
    struct mu_session *s;

    if (strlen(config->token) > MU_TEXT_MAX)
        return MU_ERANGE;
    s = mu_alloc(sizeof(*s));
    if (!s)
        return MU_ENOMEM;
    s->token = mu_strdup(config->token);
    if (!s->token) {
        mu_free(s);
        return MU_ENOMEM;
    }
    s->ports = *ports;
    s->start_id = config->start_id;
    s->datagrams = config->datagrams;
    mu_rng_seed(&s->rng, config->seed);
    mu_frames_init(&s->frames);
    s->shortest = INTERVAL_DEFAULT;
    s->dial_at = now;
    s->due = MU_NEVER;
    *out = s;
    return 0;
}

void mu_session_free(struct mu_session *s)
{
    if (!s)
        return;
    for (uint32_t id = 0; id < s->nmembers; id++)
        member_fini(&s->members[id]);
    mu_free(s->members);
    mu_free(s->bundles);
    mu_frames_fini(&s->frames);
    mu_free(s->token);
    mu_free(s);
}

static struct member *new_member(struct mu_session *s, uint32_t *id)
{
    struct member *grown;
    uint32_t n;

    for (*id = 0; *id < s->nmembers; ++*id)
        if (s->members[*id].state == MEMBER_FREE)
            return &s->members[*id];
    n = s->nmembers ? 2 * s->nmembers : 1;
    grown = mu_realloc(s->members, n, sizeof(*grown));
    if (!grown)
        return NULL;
    memset(grown + s->nmembers, 0, (n - s->nmembers) * sizeof(*grown));
    s->members = grown;
    s->nmembers = n;
    return &grown[*id];
}

int mu_session_add(struct mu_session *s, const struct mu_session_agent *agent, uint32_t *id,
                   mu_time now)
{
    struct member fresh, *m;
    mu_dur interval;
    uint32_t place;
    int rv = member_init(&fresh, agent);

    if (rv)
        return rv;
    m = new_member(s, &place);
    if (!m) {
        member_fini(&fresh);
        return MU_ENOMEM;
    }
    *m = fresh;
    interval = m->wanted ? m->wanted : INTERVAL_DEFAULT;
    s->shortest = interval < s->shortest ? interval : s->shortest;
    if (!has_agents(s) && !s->lost)
        s->heard_until = now + HEARD_GRACE * interval;
    member_set_state(s, m, MEMBER_WANTS);
    m->retry_at = now;
    *id = place;
    settle(s, now);
    return 0;
}

/* The member of number @id if it can still be asked for something. */
static int find(struct mu_session *s, uint32_t id, struct member **out)
{
    if (id >= s->nmembers || s->members[id].state == MEMBER_FREE)
        return MU_ENOENT;
    *out = &s->members[id];
    switch ((*out)->state) {
    case MEMBER_LEFT:
        return MU_ECLOSED;
    case MEMBER_SUPERSEDED:
        return MU_ESUPERSEDED;
    case MEMBER_REFUSED:
        return MU_EPERM;
    default:
        return (*out)->end.state == ASK_NONE ? 0 : MU_ECLOSED;
    }
}

int mu_session_remove(struct mu_session *s, uint32_t id, mu_time now)
{
    struct member *m;
    int rv = find(s, id, &m);

    if (rv == MU_ENOENT)
        return rv;
    if (m->state == MEMBER_LIVE || m->state == MEMBER_JOINING)
        return MU_EBUSY;
    member_stop(s, id, MEMBER_FREE);
    member_fini(m);
    settle(s, now);
    return 0;
}

int mu_session_beat(struct mu_session *s, uint32_t id, mu_time now)
{
    struct member *m;
    int rv = find(s, id, &m);

    if (rv)
        return rv;
    if (!m->manual)
        return MU_EINVAL;
    if (m->state == MEMBER_LIVE)
        beats_manual(s, id, now);
    else
        m->beat_wanted = true;
    settle(s, now);
    return 0;
}

int mu_session_report(struct mu_session *s, uint32_t id, const char *json, size_t n, mu_time now)
{
    struct member *m;
    char *copy;
    int rv = find(s, id, &m);

    if (rv)
        return rv;
    if (n == 0 || n > MU_PAYLOAD_MAX)
        return MU_ERANGE;
    if (memchr(json, '\0', n) || !mu_utf8_valid(json, n))
        return MU_EINVAL; /* the conductor would hang up on it, again and again */
    copy = mu_strndup(json, n);
    if (!copy)
        return MU_ENOMEM;
    mu_free(m->payload);
    m->payload = copy;
    m->payload_n = (uint32_t)n;
    member_set_ask(s, &m->report, ASK_WAITS);
    settle(s, now);
    return 0;
}

/* The last word of a member. To leave, one that never joined needs none; an end is told after a
 * join that comes for its sake: the name may be known from another life. */
static int end(struct mu_session *s, uint32_t id, enum mu_msg_type type, enum mu_ended_how how,
               int status, mu_time now)
{
    struct member *m;
    int rv = find(s, id, &m);

    if (rv)
        return rv;
    m->end_type = (uint8_t)type;
    m->end_how = (uint8_t)how;
    m->end_status = status;
    member_set_ask(s, &m->end, ASK_WAITS);
    if (m->state == MEMBER_LIVE)
        m->retry_at = now; /* a report that was put off does not put off the end */
    if (type == MU_MSG_LEAVE && m->state == MEMBER_WANTS && !m->has_uuid) {
        member_stop(s, id, MEMBER_LEFT);
        session_notice(s, MU_NOTICE_DONE, id, 0, "never joined");
    }
    settle(s, now);
    return 0;
}

int mu_session_leave(struct mu_session *s, uint32_t id, mu_time now)
{
    return end(s, id, MU_MSG_LEAVE, MU_ENDED_UNKNOWN, 0, now);
}

int mu_session_ended(struct mu_session *s, uint32_t id, enum mu_ended_how how, int status,
                     mu_time now)
{
    return end(s, id, MU_MSG_ENDED, how, status, now);
}

static enum mu_lease lease_of(const struct member *m, mu_time now)
{
    switch (m->state) {
    case MEMBER_LEFT:
        return MU_LEASE_LEFT;
    case MEMBER_SUPERSEDED:
        return MU_LEASE_SUPERSEDED;
    case MEMBER_REFUSED:
        return MU_LEASE_REFUSED;
    default:
        if (!m->has_uuid)
            return MU_LEASE_NONE;
        return now < m->lease_until ? MU_LEASE_HELD : MU_LEASE_EXPIRED;
    }
}

int mu_session_status(const struct mu_session *s, uint32_t id, mu_time now,
                      struct mu_session_status *out)
{
    const struct member *m;

    if (id >= s->nmembers || s->members[id].state == MEMBER_FREE)
        return MU_ENOENT;
    m = &s->members[id];
    memset(out, 0, sizeof(*out));
    out->lease = lease_of(m, now);
    out->lease_left = out->lease == MU_LEASE_HELD ? m->lease_until - now : 0;
    memcpy(out->uuid, m->uuid, sizeof(out->uuid));
    out->incarnation = m->incarnation;
    out->interval = m->interval;
    out->beats = m->beats;
    out->on_stream = s->on_stream || !s->datagrams;
    out->fenced = m->fenced;
    return 0;
}

bool mu_session_idle(const struct mu_session *s)
{
    return s->nasks == 0 && s->njoining == 0 && s->nwants == 0;
}

bool mu_session_answered(const struct mu_session *s)
{
    return s->answered;
}
