/* payloads.h - agents' payloads on their way to the store: the latest of each, bounded in bytes. */
#ifndef MU_OUTLET_PAYLOADS_H
#define MU_OUTLET_PAYLOADS_H

#include "base/map.h"
#include "store/driver.h"

struct mu_payloads {
    struct mu_waiting *items; /* in use, or in the list of free ones */
    uint32_t n, first, last, free;
    struct mu_map by_row;
    size_t bytes; /* waiting, or taken and not given back */
    size_t max;
};

void mu_payloads_init(struct mu_payloads *payloads, size_t max);
void mu_payloads_fini(struct mu_payloads *payloads);

/* Copies @json; takes the place of what waits for @row. Returns 0, MU_EFULL or MU_ENOMEM. */
int mu_payloads_put(struct mu_payloads *payloads, uint32_t row, const char *json, size_t n);

/* The one that has waited longest, if its row is before @end; false = none. Its text goes back by
 * mu_payloads_give_back(). */
bool mu_payloads_take(struct mu_payloads *payloads, uint32_t end, struct mu_payload *out);
void mu_payloads_give_back(struct mu_payloads *payloads, const struct mu_payload *payload);
bool mu_payloads_empty(const struct mu_payloads *payloads);

#endif
