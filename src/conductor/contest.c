/* Two living processes of one name. A takeover alone proves nothing: the old process is mostly
 * dead. It is alive when a beat of its session comes after the takeover; three of those within a
 * minute, and it is no restart but a fight. */
#include "conductor/heart.h"

#define WINDOW (60 * MU_SEC)
#define PROVEN 2 /* takeovers of a living one; the next is refused */

static struct mu_contest *find(struct mu_conductor *c, uint32_t slot)
{
    for (size_t i = 0; i < MU_CONTESTS; i++) {
        struct mu_contest *k = &c->contests[i];

        if (k->first && k->slot == slot && k->generation == mu_roster_generation(c->roster, slot) &&
            c->now - k->first < WINDOW)
            return k;
    }
    return NULL;
}

static struct mu_contest *oldest(struct mu_conductor *c)
{
    struct mu_contest *k = &c->contests[0];

    for (size_t i = 1; i < MU_CONTESTS; i++)
        if (c->contests[i].first < k->first)
            k = &c->contests[i];
    return k;
}

void mu_contest_taken(struct mu_conductor *c, uint32_t slot, uint64_t loser, uint32_t index)
{
    struct mu_contest *k = find(c, slot);

    if (!k) {
        k = oldest(c);
        *k = (struct mu_contest){
            .slot = slot, .generation = mu_roster_generation(c->roster, slot), .first = c->now};
    }
    k->loser = loser;
    k->index = index;
}

void mu_contest_alive(struct mu_conductor *c, uint64_t session, uint32_t index)
{
    for (size_t i = 0; i < MU_CONTESTS; i++) {
        struct mu_contest *k = &c->contests[i];

        if (k->loser != session || k->index != index)
            continue;
        k->loser = 0;
        k->proven++;
    }
}

bool mu_contest_refuses(struct mu_conductor *c, uint32_t slot, bool *tell)
{
    struct mu_contest *k = find(c, slot);
    struct mu_pulse pulse;

    *tell = false;
    if (!k || k->proven < PROVEN)
        return false;
    mu_roster_pulse(c->roster, slot, &pulse);
    if (pulse.state != MU_UP || mu_heart_time(c) - pulse.since > pulse.times.interval)
        return false;
    *tell = !k->told;
    k->told = true;
    return true;
}
