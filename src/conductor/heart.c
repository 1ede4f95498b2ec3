#include "conductor/heart.h"

#include <assert.h>

#include "base/stat.h"
#include "conductor/payload.h"

mu_wall mu_heart_wall(const struct mu_conductor *c)
{
    return c->wall + (c->now - c->wall_at) / MU_MS;
}

mu_time mu_heart_time(const struct mu_conductor *c)
{
    return mu_hearing_at(&c->hearing, c->now);
}

void mu_heart_publish(struct mu_conductor *c, struct mu_event *event)
{
    if (event->at == 0)
        event->at = mu_heart_wall(c);
    mu_bus_publish(c->bus, event);
}

void mu_heart_tell(struct mu_conductor *c, enum mu_reason why, const struct mu_evidence *evidence,
                   struct mu_ident *who, const char *text)
{
    struct mu_event event = {
        .who = who,
        .kind = MU_KIND_CONDUCTOR,
        .reason = (uint8_t)why,
        .from = MU_WORD_NONE,
        .to = MU_WORD_NONE,
        .evidence = *evidence,
    };

    event.text = text ? mu_text_new(text) : NULL; /* without memory the bare reason must do */
    mu_heart_publish(c, &event);
    mu_text_unref(event.text);
}

void mu_heart_stalled(struct mu_conductor *c)
{
    struct mu_evidence evidence = mu_no_evidence;

    c->stalled = true;
    if (c->hearing.stall_last > mu_roster_shortest(c->roster))
        mu_hearing_forgive(&c->hearing, c->now);
    evidence.stall_ms = c->hearing.stall_last / MU_MS;
    mu_heart_tell(c, MU_WHY_STALLED, &evidence, NULL, NULL);
}

void mu_heart_enter(struct mu_conductor *c, mu_time now)
{
    enum mu_heard heard = mu_hearing_note(&c->hearing, now);

    if (now > c->now)
        c->now = now;
    if (heard == MU_HEARD_STALL)
        mu_heart_stalled(c);
}

void mu_heart_move(struct mu_conductor *c, uint32_t slot, enum mu_state to, enum mu_reason why,
                   const struct mu_evidence *evidence)
{
    enum mu_state from = mu_roster_state(c->roster, slot);
    struct mu_event event = {
        .at = mu_heart_wall(c),
        .who = mu_roster_ident(c->roster, slot),
        .kind = MU_KIND_STATE,
        .reason = (uint8_t)why,
        .from = (uint8_t)from,
        .to = (uint8_t)to,
        .slot = slot,
        .evidence = *evidence,
    };

    assert(mu_state_may_move(from, to, why));
    mu_roster_move(c->roster, slot, to, why, event.at);
    mu_heart_publish(c, &event);
}

bool mu_heart_heard(struct mu_conductor *c, uint32_t slot, enum mu_reason why)
{
    mu_stat_add(MU_STAT_BEATS, 1);
    mu_roster_heard(c->roster, slot, c->now, mu_heart_time(c));
    /* Who was up in the database and is heard again was never anything else: no event. */
    if (mu_roster_state(c->roster, slot) == MU_UP)
        return false;
    mu_heart_move(c, slot, MU_UP, why, &mu_no_evidence);
    return true;
}

bool mu_heart_reported(const struct mu_conductor *c, uint32_t slot, struct mu_bytes json)
{
    return mu_roster_reported(c->roster, slot, mu_payload_hash(json.p, json.n), (uint32_t)json.n);
}

int mu_heart_report(struct mu_conductor *c, uint32_t slot, struct mu_bytes json, uint64_t conn,
                    uint32_t id)
{
    struct mu_reported report = {
        .slot = slot, .id = id, .conn = conn, .hash = mu_payload_hash(json.p, json.n)};
    struct mu_row row;
    int rv;

    (void)mu_roster_row(c->roster, slot, &row);
    report.row = row.id;
    rv = c->ports.payload(c->ports.ctx, &report, json.p, json.n);
    if (rv == 0)
        mu_roster_payload(c->roster, slot, report.hash, (uint32_t)json.n, c->now);
    return rv;
}

void mu_heart_lose(struct mu_conductor *c, uint32_t slot, uint64_t session, uint32_t index,
                   uint32_t value)
{
    struct mu_sender *s = session ? mu_sessions_find(&c->sessions, session) : NULL;
    uint32_t was;

    if (!s)
        return;
    was = mu_sender_get(&c->sessions, s, index);
    /* Only what it still means: the session may have been told otherwise. */
    if (MU_INDEX_IS_SLOT(was) && (was & MU_INDEX_SLOT) == slot)
        (void)mu_sender_set(&c->sessions, s, index, value); /* it was given: there is room */
    mu_sessions_release(&c->sessions, s);
}

void mu_heart_unbind(struct mu_conductor *c, uint32_t slot, uint32_t value)
{
    struct mu_row row;

    (void)mu_roster_row(c->roster, slot, &row);
    mu_roster_bind(c->roster, slot, 0, 0);
    mu_heart_lose(c, slot, row.session, row.index, value);
}

void mu_heart_remove(struct mu_conductor *c, uint32_t slot)
{
    mu_heart_unbind(c, slot, MU_INDEX_NOBODY);
    mu_roster_remove(c->roster, slot);
}

void mu_heart_ask_to_join(struct mu_conductor *c, uint32_t slot)
{
    struct mu_sender *s;
    struct mu_row row;

    if (!mu_roster_row(c->roster, slot, &row) || row.session == 0)
        return;
    s = mu_sessions_find(&c->sessions, row.session);
    if (s && mu_sender_get(&c->sessions, s, row.index) == slot)
        (void)mu_sender_set(&c->sessions, s, row.index, slot | MU_INDEX_RENEW); /* was given */
}

uint64_t mu_heart_new_life(struct mu_conductor *c)
{
    return (uint64_t)c->config.epoch << 32 | ++c->life_counter;
}
