/* What must be stored before it is true: first-ever names, and operators' writes. Each waits under
 * a ticket until the store has answered; two seconds later whoever asked is told that the outcome
 * is unknown, and the write goes on by itself. */
#include "conductor/heart.h"

#include <string.h>

#include "base/name.h"

static struct mu_pending *pending_at(const struct mu_conductor *c, uint32_t place)
{
    return mu_entries_at(&c->waiting, place);
}

void mu_waiting_fini(struct mu_conductor *c)
{
    for (uint32_t i = 0; i < c->waiting.n; i++)
        if (pending_at(c, i)->ticket)
            mu_event_unref(&pending_at(c, i)->event);
    mu_entries_fini(&c->waiting);
}

struct mu_pending *mu_write_find(struct mu_conductor *c, uint64_t ticket)
{
    return mu_entries_find(&c->waiting, ticket);
}

int mu_write_propose(struct mu_conductor *c, struct mu_pending *p, const struct mu_row *row,
                     struct mu_bytes payload)
{
    struct mu_change change = {.row = *row,
                               .slot = p->slot,
                               .deletes = p->deletes,
                               .payload = payload.n ? payload.p : NULL,
                               .payload_len = (uint32_t)payload.n};
    struct mu_pending *entry;

    if (c->waiting.count >= MU_PENDING_MAX)
        return MU_EAGAIN;
    if (mu_entries_reserve(&c->waiting) != 0)
        return MU_ENOMEM;
    p->event.seq = mu_bus_reserve(c->bus);
    if (p->event.seq == 0)
        return MU_EAGAIN; /* the store has been away for so long that it has no numbers left */
    p->ticket = c->ticket_counter + 1;
    p->deadline = c->now + MU_PATIENCE;
    change.ticket = p->ticket;
    change.event = p->event;
    if (c->ports.propose(c->ports.ctx, &change) != 0) {
        mu_bus_release(c->bus, p->event.seq);
        return MU_EAGAIN;
    }
    mu_event_ref(&p->event);
    c->ticket_counter = p->ticket;
    entry = mu_entries_add(&c->waiting, p->ticket);
    *entry = *p;
    return 0;
}

static void join_committed(struct mu_conductor *c, const struct mu_pending *p, int rv)
{
    struct mu_event event = p->event;

    if (rv != 0) {
        mu_heart_remove(c, p->slot);
        return;
    }
    mu_roster_reveal(c->roster, p->slot);
    mu_heart_heard(c, p->slot, MU_WHY_JOINED);
    mu_heart_publish(c, &event);
}

static void op_committed(struct mu_conductor *c, const struct mu_pending *p, int rv)
{
    struct mu_event event = p->event;
    struct mu_row row;

    mu_roster_settle(c->roster, p->slot, rv == 0);
    if (rv != 0)
        return;
    (void)mu_roster_row(c->roster, p->slot, &row);
    if (event.to == MU_WORD_FORCED)
        mu_stream_tell(c, row.session, MU_ACK_FENCED, row.index);
    if (p->deletes)
        mu_heart_remove(c, p->slot); /* first, so that no sink finds it any more */
    mu_heart_publish(c, &event);
}

void mu_conductor_committed(struct mu_conductor *c, uint64_t ticket, int rv, mu_time now)
{
    struct mu_pending *entry, p;

    mu_heart_enter(c, now);
    entry = mu_write_find(c, ticket);
    if (!entry)
        return;
    p = *entry; /* with its references */
    mu_entries_remove(&c->waiting, entry);
    if (rv != 0)
        mu_bus_release(c->bus, p.event.seq);
    if (p.kind == MU_PENDING_OP)
        op_committed(c, &p, rv);
    else
        join_committed(c, &p, rv);
    if (p.kind == MU_PENDING_JOIN)
        mu_join_settled(c, &p, rv);
    mu_event_unref(&p.event);
    if (p.done)
        p.done(p.ctx, rv, rv != 0 || p.deletes ? MU_NO_SLOT : p.slot);
}

void mu_write_tick(struct mu_conductor *c)
{
    for (uint32_t i = 0; i < c->waiting.n; i++) {
        struct mu_pending *p = pending_at(c, i);
        mu_op_fn done = p->done;

        if (!p->ticket || !done || c->now < p->deadline)
            continue;
        p->done = NULL;
        done(p->ctx, MU_ETIMEDOUT, MU_NO_SLOT);
    }
}

void mu_conductor_forget_op(struct mu_conductor *c, mu_op_fn done, void *ctx)
{
    for (uint32_t i = 0; i < c->waiting.n; i++) {
        struct mu_pending *p = pending_at(c, i);

        if (p->ticket && p->done == done && p->ctx == ctx)
            p->done = NULL;
    }
}

/* ---- operators ---- */

/* What @op makes of @row, and how its event tells of it. */
static void apply(enum mu_op op, const char *reason, struct mu_row *row, struct mu_event *event)
{
    event->reason = MU_WHY_OPERATOR;
    switch (op) {
    case MU_OP_ENABLE:
    case MU_OP_DISABLE:
        event->kind = MU_KIND_STATUS;
        event->from = row->disabled ? MU_WORD_DISABLED : MU_WORD_ENABLED;
        row->disabled = op == MU_OP_DISABLE;
        event->to = row->disabled ? MU_WORD_DISABLED : MU_WORD_ENABLED;
        row->disabled_reason = row->disabled ? reason : "";
        break;
    case MU_OP_FORCE_DOWN:
    case MU_OP_UNFORCE:
        event->kind = MU_KIND_FORCED;
        event->from = row->forced_down ? MU_WORD_FORCED : MU_WORD_NOT_FORCED;
        row->forced_down = op == MU_OP_FORCE_DOWN;
        event->to = row->forced_down ? MU_WORD_FORCED : MU_WORD_NOT_FORCED;
        row->forced_reason = row->forced_down ? reason : "";
        break;
    case MU_OP_DELETE:
        event->kind = MU_KIND_DELETED;
        event->from = MU_WORD_PRESENT;
        event->to = MU_WORD_DELETED;
        break;
    }
    row->revision++;
}

/* Proposes @row, with the roster's snapshots showing it from now on. */
static int propose_op(struct mu_conductor *c, struct mu_pending *p, const struct mu_row *row,
                      const char *reason)
{
    struct mu_row whole;
    int rv;

    if (*reason) {
        p->event.text = mu_text_new(reason);
        if (!p->event.text)
            return MU_ENOMEM;
    }
    rv = mu_roster_pend(c->roster, p->slot, row, p->deletes);
    if (rv == 0) {
        if (!mu_roster_row(c->roster, p->slot, &whole))
            whole = *row;
        rv = mu_write_propose(c, p, &whole, (struct mu_bytes){0});
        if (rv != 0)
            mu_roster_settle(c->roster, p->slot, false);
    }
    mu_text_unref(p->event.text);
    return rv;
}

static struct mu_pending new_op(struct mu_conductor *c, uint32_t slot, mu_op_fn done, void *ctx)
{
    return (struct mu_pending){
        .kind = MU_PENDING_OP,
        .slot = slot,
        .event = {.at = mu_heart_wall(c),
                  .who = mu_roster_ident(c->roster, slot),
                  .slot = slot,
                  .evidence = mu_no_evidence},
        .done = done,
        .ctx = ctx,
    };
}

int mu_conductor_write(struct mu_conductor *c, uint32_t slot, enum mu_op op, const char *reason,
                       uint32_t revision, mu_time now, mu_op_fn done, void *ctx)
{
    struct mu_pending p;
    struct mu_row row;
    struct mu_err err;

    mu_heart_enter(c, now);
    if (!mu_roster_used(c->roster, slot))
        return MU_ENOENT;
    if (mu_text_check(reason, strlen(reason), MU_TEXT_MAX, "reason", &err) != 0)
        return MU_EINVAL;
    if (mu_roster_pending(c->roster, slot))
        return MU_EBUSY;
    (void)mu_roster_row(c->roster, slot, &row);
    if (revision != MU_ANY_REVISION && revision != row.revision)
        return MU_ECONFLICT;
    p = new_op(c, slot, done, ctx);
    p.deletes = op == MU_OP_DELETE;
    apply(op, reason, &row, &p.event);
    return propose_op(c, &p, &row, reason);
}

int mu_write_forget(struct mu_conductor *c, uint32_t slot)
{
    struct mu_pending p = new_op(c, slot, NULL, NULL);
    struct mu_row row;

    (void)mu_roster_row(c->roster, slot, &row);
    p.deletes = true;
    apply(MU_OP_DELETE, "", &row, &p.event);
    p.event.reason = MU_WHY_FORGOTTEN;
    return propose_op(c, &p, &row, "");
}

/* ---- beats by HTTP ---- */

static int http_new(struct mu_conductor *c, const char *binary, const char *host,
                    uint32_t wanted_ms, mu_op_fn done, void *ctx)
{
    struct mu_pending p = {.kind = MU_PENDING_HTTP, .done = done, .ctx = ctx};
    struct mu_row row = {.zone = "", .labels = "{}", .version = "", .interval_ms = wanted_ms};
    uint32_t slot;

    return mu_join_propose(c, &row, binary, host, (struct mu_bytes){0}, &p, &slot);
}

/* Of an agent that has no session: it is who it was, asked for another interval perhaps, or back
 * from where it had said goodbye. */
static int http_known(struct mu_conductor *c, uint32_t slot, const struct mu_row *was,
                      uint32_t wanted_ms)
{
    struct mu_row row = *was;
    bool back = was->state == MU_LEFT || was->start_id != 0;
    int rv;

    if (!back && mu_roster_interval_for(c->roster, slot, wanted_ms) == was->interval_ms)
        return 0;
    row.start_id = 0;
    row.interval_ms = wanted_ms;
    if (back) {
        row.incarnation = mu_heart_new_life(c);
        row.joined_at = mu_heart_wall(c);
    }
    rv = mu_roster_rejoin(c->roster, slot, &row);
    if (rv == 0)
        c->ports.changed(c->ports.ctx, slot);
    return rv;
}

int mu_conductor_http_beat(struct mu_conductor *c, const char *binary, const char *host,
                           mu_dur interval, mu_time now, mu_op_fn done, void *ctx)
{
    uint32_t wanted_ms = (uint32_t)(interval / MU_MS), slot;
    enum mu_reason why = MU_WHY_HEARD;
    struct mu_err err;
    struct mu_row was;
    int rv;

    mu_heart_enter(c, now);
    if (mu_name_check(binary, strlen(binary), 1, &err) != 0 ||
        mu_name_check(host, strlen(host), 0, &err) != 0)
        return MU_EINVAL;
    if (interval < 0 || interval > MU_HTTP_INTERVAL_MAX)
        return MU_ERANGE;
    slot = mu_roster_find_any(c->roster, binary, host);
    if (slot == MU_NO_SLOT)
        return http_new(c, binary, host, wanted_ms, done, ctx);
    if (mu_roster_hidden(c->roster, slot) || !mu_roster_row(c->roster, slot, &was))
        return MU_EBUSY;
    /* An agent with a session speaks for itself, and this is one beat more; unless he is silent. */
    if (was.session && was.state == MU_DOWN) {
        mu_heart_unbind(c, slot, MU_INDEX_NOBODY);
        c->ports.changed(c->ports.ctx, slot);
        was.session = 0;
    }
    if (was.session == 0) {
        why = was.state == MU_LEFT ? MU_WHY_JOINED : MU_WHY_HEARD;
        rv = http_known(c, slot, &was, wanted_ms);
        if (rv != 0)
            return rv;
    }
    mu_heart_heard(c, slot, why);
    done(ctx, 0, slot);
    return 0;
}
