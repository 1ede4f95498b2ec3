/* Joins. A known name is taken in at once: by the same life that has lost its session, by a new
 * process of that name, or by two that fight for it. A first-ever name is proposed to the store,
 * and its place in the roster kept, hidden; it is answered when it is stored. The JOIN is answered
 * when all of its agents are settled, or after two seconds: those still open are to come again. */
#include "conductor/heart.h"
#include "conductor/payload.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/stat.h"

#define OPEN       MU_EBUSY /* of a struct mu_joined_agent: not settled */
#define TEXT_MAX   256      /* of an agent's answer, so that all of them fit into a frame */
#define RETRY      (500 * MU_MS)
#define RETRY_FULL (30 * MU_SEC)

/* One agent of a JOIN, checked and NUL-terminated. */
struct wish {
    const struct mu_join_agent *asked;
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];
    char zone[MU_TEXT_MAX + 1], version[MU_TEXT_MAX + 1];
    char labels[MU_LABELS_BYTES];
};

/* ---- the answer ---- */

static void settle(struct mu_batch_join *join, size_t i, int rv, uint32_t retry_ms,
                   const char *text)
{
    struct mu_joined_agent *a = &join->agents[i];

    a->rv = rv;
    a->retry_ms = retry_ms;
    a->text.n = text ? strnlen(text, TEXT_MAX) : 0;
    while (a->text.n >= TEXT_MAX - 3 && ((unsigned char)text[a->text.n] & 0xc0) == 0x80)
        a->text.n--; /* at a character's end */
    a->text.p = a->text.n ? mu_strndup(text, a->text.n) : NULL;
    if (!a->text.p)
        a->text.n = 0;
    join->open--;
    if (rv == 0)
        mu_stat_add(MU_STAT_JOINS, 1);
    else if (rv == MU_EAGAIN)
        mu_stat_add(MU_STAT_JOINS_RETRY, 1);
}

/* Not now. Being told to wait counts as heard, for whom @slot knows (MU_NO_SLOT = nobody). */
static void settle_retry(struct mu_conductor *c, struct mu_batch_join *join, size_t i,
                         uint32_t slot, mu_dur after, int rv, const char *text)
{
    if (slot != MU_NO_SLOT)
        mu_roster_spare(c->roster, slot, mu_heart_time(c));
    settle(join, i, rv, mu_admit_later(after, &c->rng), text);
}

/* @slot is in: tells what is in force. */
static void settle_joined(struct mu_conductor *c, struct mu_batch_join *join, size_t i,
                          uint32_t slot)
{
    struct mu_joined_agent *a = &join->agents[i];
    struct mu_view view;

    mu_roster_view(c->roster, slot, c->now, &view);
    a->index = view.row.index;
    memcpy(a->uuid, view.row.ident->uuid, sizeof(a->uuid));
    a->incarnation = view.row.incarnation;
    a->interval_ms = view.row.interval_ms;
    a->down_ms = (uint32_t)(view.times.down / MU_MS);
    a->lease_ms = (uint32_t)(view.times.floor / MU_MS);
    settle(join, i, 0, 0, NULL);
}

static void join_free(struct mu_batch_join *join)
{
    mu_list_remove(&join->link);
    for (size_t i = 0; i < join->n; i++)
        mu_free((char *)join->agents[i].text.p);
    mu_free(join->agents);
    mu_free(join);
}

static void answer(struct mu_conductor *c, struct mu_batch_join *join)
{
    struct mu_stream *st = mu_stream_find(c, join->conn);
    struct mu_msg msg = {.type = MU_MSG_JOINED};

    msg.joined.session = join->session;
    mu_seal_key(c->config.secret, join->session, msg.joined.key);
    msg.joined.epoch = c->config.epoch;
    msg.joined.n = join->n;
    msg.joined.agents = join->agents;
    st->join = NULL;
    mu_stream_send(c, join->conn, &msg);
    if (mu_stream_crowded(c, 0))
        c->ports.close(c->ports.ctx, join->conn); /* he lives by datagrams; others must join too */
    join_free(join);
}

void mu_join_drop(struct mu_stream *st)
{
    if (st->join)
        join_free(st->join);
    st->join = NULL;
}

void mu_join_tick(struct mu_conductor *c)
{
    while (!mu_list_empty(&c->joins)) {
        struct mu_batch_join *join = MU_CONTAINER_OF(c->joins.next, struct mu_batch_join, link);

        if (c->now < join->deadline)
            return;
        for (size_t i = 0; i < join->n; i++)
            if (join->agents[i].rv == OPEN)
                settle_retry(c, join, i, MU_NO_SLOT, 2 * MU_SEC, MU_EAGAIN, "the store is away");
        answer(c, join);
    }
}

/* ---- what is asked ---- */

static void copy(char *out, size_t size, struct mu_bytes bytes)
{
    size_t n = bytes.n < size - 1 ? bytes.n : size - 1;

    if (n)
        memcpy(out, bytes.p, n);
    out[n] = '\0';
}

static int cmp_bytes(struct mu_bytes a, struct mu_bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int cmp = n ? memcmp(a.p, b.p, n) : 0;

    return cmp ? cmp : (a.n > b.n) - (a.n < b.n);
}

/* Only quotes and backslashes need it: control characters have been refused. */
static void put_json_text(struct mu_buf *buf, struct mu_bytes text)
{
    mu_buf_u8(buf, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            mu_buf_u8(buf, '\\');
        mu_buf_u8(buf, (uint8_t)text.p[i]);
    }
    mu_buf_u8(buf, '"');
}

/* The labels as a JSON object with its keys sorted. That none comes twice is the codec's. */
static int put_labels(struct wish *w, struct mu_err *err)
{
    const struct mu_label *sorted[MU_LABELS_MAX];
    size_t n = w->asked->nlabels;
    struct mu_buf buf;
    int rv = 0;

    for (size_t i = 0; i < n; i++) {
        const struct mu_label *label = &w->asked->labels[i];
        size_t at = i;

        if (label->key.n == 0)
            return mu_err_set(err, MU_EINVAL, "a label has no key");
        if (mu_text_check(label->key.p, label->key.n, MU_TEXT_MAX, "label key", err) != 0 ||
            mu_text_check(label->value.p, label->value.n, MU_TEXT_MAX, "label value", err) != 0)
            return MU_EINVAL;
        for (; at > 0 && cmp_bytes(sorted[at - 1]->key, label->key) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = label;
    }
    mu_buf_init(&buf, MU_LABELS_BYTES - 1);
    mu_buf_u8(&buf, '{');
    for (size_t i = 0; i < n; i++) {
        mu_buf_puts(&buf, i ? "," : "");
        put_json_text(&buf, sorted[i]->key);
        mu_buf_u8(&buf, ':');
        put_json_text(&buf, sorted[i]->value);
    }
    mu_buf_u8(&buf, '}');
    if (buf.failed == MU_EFULL)
        rv = mu_err_set(err, MU_EINVAL, "labels take more than %d bytes", MU_LABELS_BYTES - 1);
    else if (buf.failed)
        rv = buf.failed;
    else
        copy(w->labels, sizeof(w->labels), (struct mu_bytes){(const char *)buf.data, buf.len});
    mu_buf_fini(&buf);
    return rv;
}

static int check_agent(struct wish *w, const struct mu_join_agent *a, struct mu_err *err)
{
    w->asked = a;
    if (mu_name_check(a->binary.p, a->binary.n, 1, err) != 0 ||
        mu_name_check(a->host.p, a->host.n, 0, err) != 0 ||
        mu_text_check(a->zone.p, a->zone.n, MU_TEXT_MAX, "zone", err) != 0 ||
        mu_text_check(a->version.p, a->version.n, MU_TEXT_MAX, "version", err) != 0)
        return MU_EINVAL;
    copy(w->binary, sizeof(w->binary), a->binary);
    copy(w->host, sizeof(w->host), a->host);
    copy(w->zone, sizeof(w->zone), a->zone);
    copy(w->version, sizeof(w->version), a->version);
    return put_labels(w, err);
}

static bool named_before(const struct mu_join *join, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (cmp_bytes(join->agents[k].host, join->agents[i].host) == 0 &&
            cmp_bytes(join->agents[k].binary, join->agents[i].binary) == 0)
            return true;
    return false;
}

/* Of a known agent. It is stored with the row, or before it. */
static int take_payload(struct mu_conductor *c, uint32_t slot, struct mu_bytes json)
{
    return json.n == 0 || mu_heart_reported(c, slot, json) ? 0
                                                           : mu_heart_report(c, slot, json, 0, 0);
}

/* ---- a first-ever name ---- */

int mu_join_propose(struct mu_conductor *c, struct mu_row *row, const char *binary,
                    const char *host, struct mu_bytes payload, struct mu_pending *p, uint32_t *slot)
{
    uint8_t uuid[16];
    struct mu_row whole;
    int rv;

    if (c->draining)
        return MU_EAGAIN;
    if (mu_roster_taken(c->roster) >= c->config.max_agents || c->next_row == 0)
        return MU_EFULL; /* 0: each number that there is has been given once */
    mu_rng_uuid(&c->rng, uuid);
    row->ident = mu_ident_new(uuid, binary, host);
    if (!row->ident)
        return MU_ENOMEM;
    row->id = c->next_row;
    row->disabled_reason = row->forced_reason = "";
    row->state = MU_UP;
    row->state_reason = MU_WHY_JOINED;
    row->state_since = row->joined_at = row->last_seen = mu_heart_wall(c);
    row->incarnation = mu_heart_new_life(c);
    rv = mu_roster_add(c->roster, row, true, slot);
    mu_ident_unref(row->ident);
    if (rv != 0)
        return rv;
    p->slot = *slot;
    p->event = (struct mu_event){
        .at = row->joined_at,
        .who = mu_roster_ident(c->roster, *slot),
        .kind = MU_KIND_JOINED,
        .reason = MU_WHY_JOINED,
        .from = MU_WORD_NONE,
        .to = MU_WORD_PRESENT,
        .slot = *slot,
        .evidence = mu_no_evidence,
    };
    (void)mu_roster_row(c->roster, *slot, &whole);
    rv = mu_write_propose(c, p, &whole, payload);
    if (rv != 0) {
        mu_roster_remove(c->roster, *slot);
        return rv;
    }
    if (payload.n) {
        uint64_t hash = mu_payload_hash(payload.p, payload.n);

        mu_roster_payload(c->roster, *slot, hash, (uint32_t)payload.n, c->now);
        mu_roster_kept(c->roster, *slot, hash); /* with the row, or neither */
    }
    c->next_row++; /* not before: who asks again and again uses up no numbers */
    return 0;
}

static struct mu_row row_of(const struct wish *w, const struct mu_join *join)
{
    return (struct mu_row){
        .zone = w->zone,
        .labels = w->labels,
        .version = w->version,
        .start_id = join->start_id,
        .interval_ms = w->asked->interval_ms,
    };
}

static void join_new(struct mu_conductor *c, struct mu_batch_join *batch, size_t i,
                     const struct mu_join *join, const struct wish *w)
{
    struct mu_sender *s = mu_sessions_find(&c->sessions, batch->session);
    struct mu_pending p = {
        .kind = MU_PENDING_JOIN, .conn = batch->conn, .join = batch->id, .agent = i};
    struct mu_row row = row_of(w, join);
    uint32_t slot;
    int rv;

    /* The slot is not known yet: the index is kept for it. */
    rv = mu_sender_bind(&c->sessions, s, 0, &row.index);
    if (rv == 0) {
        row.session = mu_sender_id(&c->sessions, s);
        rv = mu_join_propose(c, &row, w->binary, w->host, w->asked->payload, &p, &slot);
        if (rv == 0)
            (void)mu_sender_set(&c->sessions, s, row.index, slot);
        else
            mu_sender_unbind(&c->sessions, s, row.index);
    }
    if (rv == MU_EFULL)
        settle_retry(c, batch, i, MU_NO_SLOT, RETRY_FULL, MU_EFULL,
                     "max_agents is reached; raise it there and restart, or delete who is gone");
    else if (rv != 0)
        settle_retry(c, batch, i, MU_NO_SLOT, RETRY, MU_EAGAIN,
                     "the store is away, or has too much to do");
}

void mu_join_settled(struct mu_conductor *c, const struct mu_pending *p, int rv)
{
    struct mu_stream *st = mu_stream_find(c, p->conn);
    struct mu_batch_join *batch = st ? st->join : NULL;

    if (!batch || batch->id != p->join)
        return; /* too late */
    if (rv != 0)
        settle_retry(c, batch, p->agent, MU_NO_SLOT, RETRY, MU_EAGAIN, muster_strerror(rv));
    else
        settle_joined(c, batch, p->agent, p->slot);
    if (batch->open == 0)
        answer(c, batch);
}

/* ---- a known name ---- */

/* Said by itself or its relay that it is over: the same start id begins a new life then. */
static bool has_ended(const struct mu_row *row)
{
    return row->state == MU_LEFT || (row->state == MU_DOWN && (row->state_reason == MU_WHY_EXITED ||
                                                               row->state_reason == MU_WHY_KILLED ||
                                                               row->state_reason == MU_WHY_ENDED));
}

static void refuse_contested(struct mu_conductor *c, struct mu_batch_join *batch, size_t i,
                             uint32_t slot, uint64_t holder, bool tell)
{
    struct mu_stream *st = mu_stream_find(c, batch->conn);
    const char *peer = mu_stream_peer(c, holder);
    char text[256];

    snprintf(text, sizeof(text), "name contested: held by %s, wanted by %s",
             *peer ? peer : "a sender without a stream", st->peer);
    if (tell) {
        struct mu_event event = {
            .who = mu_roster_ident(c->roster, slot),
            .kind = MU_KIND_JOINED,
            .reason = MU_WHY_CONTESTED,
            .from = MU_WORD_PRESENT,
            .to = MU_WORD_PRESENT,
            .evidence = mu_no_evidence,
        };

        event.text = mu_text_new(text);
        mu_heart_publish(c, &event);
        mu_text_unref(event.text);
    }
    settle(batch, i, MU_EEXIST, 0, text);
}

/* The index by which @s speaks for @slot: the one it has, or a new one. */
static int bind(struct mu_sessions *ss, struct mu_sender *s, uint32_t slot,
                const struct mu_row *row, uint32_t *index)
{
    uint32_t value =
        row->session == mu_sender_id(ss, s) ? mu_sender_get(ss, s, row->index) : MU_INDEX_NOBODY;

    if (!MU_INDEX_IS_SLOT(value) || (value & MU_INDEX_SLOT) != slot)
        return mu_sender_bind(ss, s, slot, index);
    *index = row->index;
    return mu_sender_set(ss, s, *index, slot);
}

static void tell_new_life(struct mu_conductor *c, uint32_t slot, bool taken)
{
    struct mu_event event = {
        .who = mu_roster_ident(c->roster, slot),
        .kind = MU_KIND_JOINED,
        .reason = taken ? MU_WHY_TAKEN_OVER : MU_WHY_JOINED,
        .from = MU_WORD_PRESENT,
        .to = MU_WORD_PRESENT,
        .slot = slot,
        .evidence = mu_no_evidence,
    };

    mu_heart_publish(c, &event);
}

/* The roster's row becomes what @join says. @was is what it was. */
static int take_over(struct mu_conductor *c, struct mu_sender *s, uint32_t slot,
                     const struct mu_join *join, const struct wish *w, const struct mu_row *was)
{
    bool new_life = was->start_id != join->start_id || has_ended(was);
    bool taken = was->start_id != join->start_id && was->session &&
                 was->session != mu_sender_id(&c->sessions, s);
    uint64_t loser = was->session;
    uint32_t lost = was->index, index;
    struct mu_row row = row_of(w, join);
    int rv = bind(&c->sessions, s, slot, was, &index);

    if (rv != 0)
        return rv;
    row.session = mu_sender_id(&c->sessions, s);
    row.index = index;
    row.incarnation = new_life ? mu_heart_new_life(c) : was->incarnation;
    row.joined_at = new_life ? mu_heart_wall(c) : was->joined_at;
    rv = mu_roster_rejoin(c->roster, slot, &row);
    if (rv != 0) {
        if (loser != mu_sender_id(&c->sessions, s) || lost != index)
            mu_sender_unbind(&c->sessions, s, index);
        return rv;
    }
    if (loser != mu_sender_id(&c->sessions, s))
        mu_heart_lose(c, slot, loser, lost, taken ? MU_INDEX_TAKEN : MU_INDEX_NOBODY);
    if (taken) {
        mu_contest_taken(c, slot, loser, lost);
        mu_stream_tell(c, loser, MU_ACK_SUPERSEDED, lost);
    }
    c->ports.changed(c->ports.ctx, slot);
    if (!mu_heart_heard(c, slot, new_life ? MU_WHY_JOINED : MU_WHY_HEARD) && new_life)
        tell_new_life(c, slot, taken);
    return 0;
}

static void join_known(struct mu_conductor *c, struct mu_batch_join *batch, size_t i, uint32_t slot,
                       const struct mu_join *join, const struct wish *w)
{
    struct mu_sender *s = mu_sessions_find(&c->sessions, batch->session);
    struct mu_row was;
    bool tell;

    if (mu_roster_hidden(c->roster, slot) || !mu_roster_row(c->roster, slot, &was)) {
        settle_retry(c, batch, i, slot, RETRY, MU_EAGAIN, "a write for this name is pending");
        return;
    }
    if (was.start_id != join->start_id && was.session &&
        was.session != mu_sender_id(&c->sessions, s) && mu_contest_refuses(c, slot, &tell)) {
        refuse_contested(c, batch, i, slot, was.session, tell);
        return;
    }
    if (take_payload(c, slot, w->asked->payload) != 0)
        settle_retry(c, batch, i, slot, RETRY, MU_EAGAIN, "no room for the payload");
    else if (take_over(c, s, slot, join, w, &was) != 0)
        settle_retry(c, batch, i, slot, RETRY, MU_EAGAIN, "out of memory");
    else
        settle_joined(c, batch, i, slot);
}

/* ---- the message ---- */

/* Whether agent @i may come in now; else he is told when, and that counts as heard. */
static bool admit(struct mu_conductor *c, struct mu_batch_join *batch, size_t i, uint32_t slot)
{
    bool known = slot != MU_NO_SLOT && !mu_roster_hidden(c->roster, slot);
    mu_dur longest = known ? mu_roster_down_time(c->roster, slot) / 4 : RETRY_FULL;
    uint32_t wait = mu_admit_ask(&c->admit, c->now, longest, known, &c->rng);

    if (wait == 0)
        return true;
    if (known)
        mu_roster_spare(c->roster, slot, mu_heart_time(c));
    settle(batch, i, MU_EAGAIN, wait, "many joins at once");
    return false;
}

static void join_one(struct mu_conductor *c, struct mu_batch_join *batch, size_t i,
                     const struct mu_join *join)
{
    struct wish w;
    struct mu_err err;
    uint32_t slot;
    int rv = check_agent(&w, &join->agents[i], &err);

    if (rv == MU_ENOMEM) {
        settle_retry(c, batch, i, MU_NO_SLOT, RETRY, MU_EAGAIN, "out of memory");
        return;
    }
    if (rv != 0) {
        settle(batch, i, rv, 0, err.text);
        return;
    }
    slot = mu_roster_find_any(c->roster, w.binary, w.host);
    if (!admit(c, batch, i, slot))
        return;
    /* Not before: in a storm nobody is looked through at length to be sent away. */
    if (named_before(join, i)) {
        (void)mu_err_set(&err, MU_EINVAL, "%s@%s is named twice in one join", w.binary, w.host);
        settle(batch, i, MU_EINVAL, 0, err.text);
        return;
    }
    if (w.asked->payload.n)
        rv = mu_payload_check(w.asked->payload.p, w.asked->payload.n);
    if (rv == MU_ENOMEM)
        settle_retry(c, batch, i, slot, RETRY, MU_EAGAIN, "out of memory");
    else if (rv != 0)
        settle(batch, i, rv, 0, "payload is not JSON");
    else if (slot == MU_NO_SLOT)
        join_new(c, batch, i, join, &w);
    else
        join_known(c, batch, i, slot, join, &w);
}

/* As long for every token: the time it takes tells nothing. */
static bool token_right(const struct mu_conductor *c, struct mu_bytes token)
{
    size_t n = strlen(c->config.token);
    unsigned char differs = token.n != n;

    for (size_t i = 0; i < n; i++)
        differs |=
            (unsigned char)c->config.token[i] ^ (unsigned char)(i < token.n ? token.p[i] : 0);
    return n == 0 || !differs;
}

static int check_join(struct mu_conductor *c, struct mu_stream *st, const struct mu_join *join)
{
    const struct mu_sender *s;

    if (join->version != MU_WIRE_VERSION)
        return mu_stream_refuse(c, st->conn, MU_EVERSION, 0, "this conductor speaks version 1");
    if (!token_right(c, join->token))
        return mu_stream_refuse(c, st->conn, MU_EPERM, 0, "the token is not the fleet's");
    if (c->draining)
        return mu_stream_refuse(c, st->conn, MU_EAGAIN, 1000, "the conductor is stopping");
    if (st->join)
        return mu_stream_refuse(c, st->conn, MU_EPROTO, 0, "a join is pending on this stream");
    if (join->n == 0 || join->start_id == 0)
        return mu_stream_refuse(c, st->conn, MU_EPROTO, 0, "a join without agents or start id");
    if (join->session == 0)
        return 0;
    s = join->session == st->session ? mu_sessions_find(&c->sessions, join->session) : NULL;
    if (!s)
        return mu_stream_refuse(c, st->conn, MU_ENOENT, 0, "the session is not attached");
    /* Each agent that came and went has used one up: he goes on in a new session. */
    if (join->n > MU_SENDER_MAX - mu_sender_n(&c->sessions, s))
        return mu_stream_refuse(c, st->conn, MU_ENOENT, 0, "the session has no indexes left");
    return 0;
}

/* The session that the joiners will speak by. */
static int open_session(struct mu_conductor *c, struct mu_stream *st, const struct mu_join *join)
{
    struct mu_sender *s;

    if (join->session)
        return 0;
    s = mu_sessions_add(&c->sessions);
    if (!s)
        return MU_ENOMEM;
    s->by_stream = 1;
    mu_stream_bind(c, st, s);
    return 0;
}

int mu_join_take(struct mu_conductor *c, struct mu_stream *st, const struct mu_join *join)
{
    int rv = check_join(c, st, join);
    struct mu_batch_join *batch;

    if (rv != 0)
        return rv;
    batch = mu_alloc(sizeof(*batch));
    if (batch)
        batch->agents = mu_calloc(join->n, sizeof(*batch->agents));
    if (!batch || !batch->agents || open_session(c, st, join) != 0) {
        if (batch)
            mu_free(batch->agents);
        mu_free(batch);
        return mu_stream_refuse(c, st->conn, MU_ENOMEM, 1000, "out of memory");
    }
    batch->conn = st->conn;
    batch->session = st->session;
    batch->deadline = c->now + MU_PATIENCE;
    batch->n = batch->open = join->n;
    batch->id = ++c->join_counter;
    mu_list_append(&c->joins, &batch->link);
    st->join = batch;
    for (size_t i = 0; i < join->n; i++)
        batch->agents[i].rv = OPEN;
    for (size_t i = 0; i < join->n; i++)
        join_one(c, batch, i, join);
    if (batch->open == 0)
        answer(c, batch);
    return 0;
}
