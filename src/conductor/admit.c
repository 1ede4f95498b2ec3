#include "conductor/admit.h"

#define BURST      (250 * MU_MS) /* of joins at the rate, at once */
#define FIRST_WAIT (100 * MU_MS)
#define JITTER     0.25
#define GRACE      (2 * MU_SEC) /* an agent comes back a little after the moment he was given */

void mu_admit_init(struct mu_admit *a, uint32_t rate, mu_time now)
{
    *a = (struct mu_admit){
        .rate = rate, .credit = BURST, .filled = now, .queue = now, .expected = now};
}

uint32_t mu_admit_later(mu_dur after, struct mu_rng *rng)
{
    mu_dur wait = mu_rng_jitter(rng, after, JITTER);

    return wait < MU_MS ? 1 : (uint32_t)(wait / MU_MS);
}

uint32_t mu_admit_ask(struct mu_admit *a, mu_time now, mu_dur longest, bool known,
                      struct mu_rng *rng)
{
    mu_dur cost = MU_SEC / a->rate, wait;
    uint32_t ms;

    if (now > a->filled) {
        a->credit += now - a->filled;
        a->filled = now;
    }
    if (a->credit > BURST)
        a->credit = BURST;
    if (a->credit >= cost) {
        a->credit -= cost;
        return 0;
    }
    if (a->queue < now + FIRST_WAIT)
        a->queue = now + FIRST_WAIT;
    a->queue += cost;
    wait = a->queue - now;
    /* Who would die of waiting is better asked again too early. */
    if (wait > longest)
        wait = longest;
    ms = mu_admit_later(wait, rng);
    wait = ms * MU_MS;
    /* First-ever names are in no table yet: waiting for them would only put off the others' end. */
    if (known && a->expected < now + wait + wait / 4 + GRACE)
        a->expected = now + wait + wait / 4 + GRACE;
    return ms;
}

bool mu_admit_empty(const struct mu_admit *a, mu_time now)
{
    return now >= a->expected;
}
