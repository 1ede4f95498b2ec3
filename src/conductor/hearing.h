/* hearing.h - could we hear? Our own deafness is accounted for before anyone's silence.
 *
 * Hearing time is monotonic time less what we were deaf for: one variable, and no deadline has to
 * be walked over. It stands still
 * - while the loop was away: between two entries into the conductor lies more than a tick and 250
 * ms; noted at the first entry after it, before what came meanwhile is marked as heard;
 * - while the kernel drops datagrams: beats are lost then without a trace. Deafness ends when a
 *   whole second has passed without a drop, so that a trickle is one deafness and not ten a second.
 * A suspend of the machine does not pass in monotonic time at all; it is seen by what BOOTTIME has
 * grown over it.
 *
 * What was deaf for longer than the shortest interval in the fleet may have missed beats of all. It
 * forgives: silence counts from its end, so that everybody has his full time to be heard again. One
 * that was shorter cost nobody more than it held, and forgives nothing: else a drop now and then
 * would put off every death for ever. */
#ifndef MU_CONDUCTOR_HEARING_H
#define MU_CONDUCTOR_HEARING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"

#define MU_TICK       (100 * MU_MS)
#define MU_LAG_MAX    (250 * MU_MS)
#define MU_DEAF_CALM  MU_SEC        /* without a drop, until we hear again */
#define MU_DEAF_READY (60 * MU_SEC) /* deaf for longer: not ready */

struct mu_hearing {
    mu_time last;      /* monotonic, of the last entry */
    mu_dur stalled;    /* so much has not counted: hearing time is `last` - this */
    mu_time forgiven;  /* hearing time; silence counts from here at the earliest */
    mu_dur boot_ahead; /* BOOTTIME - MONOTONIC, at the last tick */
    uint64_t drops;    /* as counted by the kernel */
    bool ticked;       /* the two above are known */

    bool deaf;
    mu_time deaf_since, drop_at; /* monotonic: since when; the last drop that was seen */
    uint64_t drops_before;       /* this deafness */

    mu_dur stall_total, stall_last; /* loop lags and suspends, for people */
    mu_time stall_at;               /* monotonic, end of the last one; MU_NEVER = none yet */
    uint64_t stalls;
};

/* What a call found out. */
enum mu_heard { MU_HEARD_NOTHING, MU_HEARD_STALL, MU_HEARD_DEAF, MU_HEARD_AGAIN };

void mu_hearing_init(struct mu_hearing *hearing, mu_time now);

/* At each entry into the conductor. MU_HEARD_STALL: .stall_last is how long. A @now that is older
 * than the last one changes nothing. */
enum mu_heard mu_hearing_note(struct mu_hearing *hearing, mu_time now);

/* At each tick, after the note. MU_HEARD_STALL: a suspend of .stall_last; MU_HEARD_DEAF: datagrams
 * are being dropped; MU_HEARD_AGAIN: no longer. */
enum mu_heard mu_hearing_suspended(struct mu_hearing *hearing, mu_time now, mu_time boot);
enum mu_heard mu_hearing_drops(struct mu_hearing *hearing, mu_time now, uint64_t drops);

/* The hearing time that @now is. */
mu_time mu_hearing_at(const struct mu_hearing *hearing, mu_time now);

/* Silence counts from @now on at the earliest. */
void mu_hearing_forgive(struct mu_hearing *hearing, mu_time now);

/* Whether verdicts can be relied on: false after 60 s of deafness. Either way @text says how well
 * we hear, in one sentence. */
bool mu_hearing_ready(const struct mu_hearing *hearing, mu_time now, char *text, size_t size);

#endif
