/* Silence. One number an agent says when it makes the next difference; only who is due is looked
 * at, and judged on exact numbers. */
#include "conductor/heart.h"

#define FORGET_SLICES  600 /* ticks in which all agents have been looked at */
#define FORGET_AT_ONCE 100 /* in the store's queue; its other places are for people and joins */

mu_time mu_sweep_since(const struct mu_conductor *c, const struct mu_pulse *pulse)
{
    return pulse->since > c->hearing.forgiven ? pulse->since : c->hearing.forgiven;
}

mu_dur mu_sweep_rest(mu_dur rest)
{
    return rest < 2 * MU_MS ? 0 : rest;
}

/* silence_ms is what counted, and threshold_ms what it passed; all that did not count - our stalls,
 * and what one of them forgave - is stall_ms, so that both together are the silence on the clock.
 */
static struct mu_evidence evidence_of(const struct mu_conductor *c, const struct mu_pulse *pulse,
                                      mu_time now, mu_dur threshold)
{
    struct mu_evidence e = mu_no_evidence;
    mu_dur counted = mu_hearing_at(&c->hearing, now) - mu_sweep_since(c, pulse);
    mu_dur all = now - (pulse->heard == MU_NEVER ? c->began : pulse->heard);

    e.silence_ms = counted / MU_MS;
    e.threshold_ms = threshold / MU_MS;
    e.stall_ms = mu_sweep_rest(all - counted) / MU_MS;
    return e;
}

/* Whether the moment @due has come for @slot's silence. If not, it is put off until then. */
static bool come(struct mu_conductor *c, uint32_t slot, mu_time due, mu_time h)
{
    if (h >= due)
        return true;
    mu_roster_put_off(c->roster, slot, due, h);
    return false;
}

/* Whether his beat may lie in his stream, which could not be read by now. */
static bool may_have_spoken(const struct mu_conductor *c, uint32_t slot)
{
    struct mu_row row;

    return mu_roster_row(c->roster, slot, &row) && mu_stream_unread(c, row.session);
}

static void judge(struct mu_conductor *c, uint32_t slot, mu_time now)
{
    mu_time h = mu_hearing_at(&c->hearing, now);
    struct mu_evidence evidence;
    struct mu_pulse pulse;
    mu_dur forgiven;

    mu_roster_pulse(c->roster, slot, &pulse);
    forgiven = mu_sweep_since(c, &pulse) - pulse.since;
    if (!come(c, slot, forgiven + (pulse.state == MU_UP ? pulse.suspect_at : pulse.down_at), h))
        return;
    if (may_have_spoken(c, slot)) {
        mu_roster_put_off(c->roster, slot, h + MU_TICK, h);
        return;
    }
    if (pulse.state == MU_UP) {
        evidence = evidence_of(c, &pulse, now, pulse.suspect_at - pulse.since);
        mu_heart_move(c, slot, MU_SUSPECT, MU_WHY_SILENCE, &evidence);
    }
    if (!come(c, slot, pulse.down_at + forgiven, h))
        return;
    evidence = evidence_of(c, &pulse, now, pulse.down_at - pulse.since);
    if (pulse.state != MU_UNKNOWN)
        mu_heart_move(c, slot, MU_DOWN, MU_WHY_SILENCE, &evidence);
    else if (mu_admit_empty(&c->admit, now))
        mu_heart_move(c, slot, MU_DOWN, MU_WHY_NOT_HEARD, &evidence);
    else
        mu_roster_put_off(c->roster, slot, h + MU_SEC, h); /* he may be among those told to wait */
}

void mu_sweep(struct mu_conductor *c, mu_time now)
{
    mu_time h = mu_hearing_at(&c->hearing, now);
    uint32_t slot;

    if (c->hearing.deaf)
        return;
    for (slot = mu_roster_due(c->roster, 0, h); slot != MU_NO_SLOT;
         slot = mu_roster_due(c->roster, slot + 1, h))
        judge(c, slot, now);
}

/* By a wall clock that nobody steps: that of the start, carried on. The store's times are all that
 * is left of lives before. */
void mu_sweep_forget(struct mu_conductor *c)
{
    mu_wall wall = c->began_wall + (c->now - c->began) / MU_MS;
    uint32_t n = mu_roster_slots(c->roster);

    if (c->config.forget_after == 0)
        return;
    for (uint32_t left = n / FORGET_SLICES + 1; left > 0 && n > 0; left--) {
        if (c->waiting.count >= FORGET_AT_ONCE)
            return;
        uint32_t slot = c->forgetting = (c->forgetting + 1) % n;
        struct mu_view view;

        if (!mu_roster_used(c->roster, slot) || mu_roster_pending(c->roster, slot))
            continue;
        mu_roster_view(c->roster, slot, c->now, &view);
        if ((view.row.state == MU_LEFT || view.row.state == MU_DOWN) &&
            c->now - c->began >= view.times.down && /* he may live: we were not there to hear it */
            wall - view.row.state_since >= c->config.forget_after / MU_MS &&
            mu_write_forget(c, slot) != 0)
            return; /* the store is away: later */
    }
}
