/* Two living processes of one name. A takeover alone proves nothing: the old process is mostly
 * dead. It was alive when it had beaten within its interval and its stream stood still open, or
 * when a beat of its session comes after the takeover; three of those within a minute, and it is no
 * restart but a fight, which goes on while somebody is refused at least once a minute. */
#include "conductor/heart.h"

#define WINDOW (60 * MU_SEC)
#define PROVEN 2 /* takeovers of a living one; the next is refused */

static struct mu_contest *find(struct mu_conductor *c, uint32_t slot)
{
    for (size_t i = 0; i < MU_CONTESTS; i++) {
        struct mu_contest *k = &c->contests[i];

        if (k->at && k->slot == slot && k->generation == mu_roster_generation(c->roster, slot) &&
            c->now - k->at < WINDOW)
            return k;
    }
    return NULL;
}

static bool heard_lately(const struct mu_conductor *c, uint32_t slot)
{
    struct mu_pulse pulse;

    mu_roster_pulse(c->roster, slot, &pulse);
    return pulse.state == MU_UP && mu_heart_time(c) - pulse.since <= pulse.times.interval;
}

static struct mu_contest *oldest(struct mu_conductor *c)
{
    struct mu_contest *k = &c->contests[0];

    for (size_t i = 1; i < MU_CONTESTS; i++)
        if (c->contests[i].at < k->at)
            k = &c->contests[i];
    return k;
}

void mu_contest_taken(struct mu_conductor *c, uint32_t slot, uint64_t loser, uint32_t index)
{
    struct mu_contest *k = find(c, slot);

    if (!k) {
        k = oldest(c);
        *k = (struct mu_contest){
            .slot = slot, .generation = mu_roster_generation(c->roster, slot), .at = c->now};
    }
    k->loser = loser;
    k->index = index;
    if (*mu_stream_peer(c, loser) && heard_lately(c, slot))
        mu_contest_alive(c, loser, index);
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

    *tell = false;
    if (!k || k->proven < PROVEN || !heard_lately(c, slot))
        return false;
    *tell = !k->told;
    k->told = true;
    k->at = c->now;
    return true;
}
