/* history.h - the gaps between an agent's last beats, in 16 x 16 bits.
 *
 * A gap is kept as a floating number of ms: exact below 2048 ms, within 0.1 % above, up to 24 days.
 */
#ifndef MU_FLEET_HISTORY_H
#define MU_FLEET_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

#define MU_GAPS 16

struct mu_history {
    uint16_t gap[MU_GAPS]; /* newest first */
    uint8_t n;
};

void mu_history_add(struct mu_history *history, mu_dur gap);
/* Writes the gaps in ms, newest first; returns how many. */
size_t mu_history_ms(const struct mu_history *history, uint32_t out[MU_GAPS]);

#endif
