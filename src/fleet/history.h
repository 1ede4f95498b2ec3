/* history.h - the gaps between an agent's last beats, 16 bits each, newest first.
 *
 * A gap is kept as a floating number of ms: exact below 2048 ms, within 0.1 % above, up to 24 days.
 */
#ifndef MU_FLEET_HISTORY_H
#define MU_FLEET_HISTORY_H

#include <stddef.h>
#include <stdint.h>

#define MU_GAPS 16

/* Puts @ms before the @n gaps that there are; the oldest of MU_GAPS goes. Returns how many. */
unsigned mu_gaps_add(uint16_t gaps[MU_GAPS], unsigned n, uint64_t ms);
/* Writes the @n gaps in ms, newest first; returns @n. */
size_t mu_gaps_ms(const uint16_t gaps[MU_GAPS], unsigned n, uint32_t out[MU_GAPS]);

#endif
