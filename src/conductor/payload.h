/* payload.h - what an agent reports of itself: is it JSON, and has it changed? */
#ifndef MU_CONDUCTOR_PAYLOAD_H
#define MU_CONDUCTOR_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

/* Whether @n bytes are one JSON value (RFC 8259) of at most MU_PAYLOAD_MAX bytes, with no number
 * beyond a double's range and at most 2,048 objects and arrays in one another. Returns 0,
 * MU_EINVAL; or MU_ENOMEM, where jansson allocates by mu_alloc(). */
int mu_payload_check(const char *json, size_t n);

/* What the roster keeps of it. Not keyed: a collision costs only who makes it. */
uint64_t mu_payload_hash(const char *json, size_t n);

#endif
