/* payloads.h - agents' payloads on their way to the store: the latest of each, bounded in bytes. */
#ifndef MU_OUTLET_PAYLOADS_H
#define MU_OUTLET_PAYLOADS_H

#include "base/map.h"
#include "event/change.h"
#include "store/driver.h"

/* Bytes of each beside its JSON, which count: its place, and its parts of what the places grow by,
 * of the map and of the heap. */
#define MU_PAYLOAD_COST 128

struct mu_payloads {
    struct mu_waiting *items; /* in use, or in the list of free ones */
    uint32_t n, first, last, free;
    struct mu_map by_row;
    size_t bytes; /* waiting, or taken and not given back, with what keeps them */
    size_t max;
};

void mu_payloads_init(struct mu_payloads *payloads, size_t max);
void mu_payloads_fini(struct mu_payloads *payloads);

/* Copies @json; takes the place of what waits for the same row, whose sender hears of this one
 * alone. Returns 0, MU_EFULL or MU_ENOMEM. */
int mu_payloads_put(struct mu_payloads *payloads, const struct mu_reported *from, const char *json,
                    size_t n);
/* Copies what waits elsewhere, and counts it. Returns as above. */
int mu_payloads_copy(struct mu_payloads *payloads, uint32_t row, const char *json, size_t n,
                     struct mu_payload *out);

/* The one that has waited longest, or that of @row; false = none. Its text goes back by
 * mu_payloads_give_back(), as that of a copy does. */
bool mu_payloads_take(struct mu_payloads *payloads, struct mu_payload *out,
                      struct mu_reported *from);
bool mu_payloads_take_of(struct mu_payloads *payloads, uint32_t row, struct mu_payload *out,
                         struct mu_reported *from);
size_t mu_payloads_len(const struct mu_payloads *payloads, uint32_t row); /* of what waits, or 0 */
void mu_payloads_give_back(struct mu_payloads *payloads, const struct mu_payload *payload);
bool mu_payloads_empty(const struct mu_payloads *payloads);

#endif
