/* payload.h - what an agent reports of itself: is it JSON, and has it changed? */
#ifndef MU_CONDUCTOR_PAYLOAD_H
#define MU_CONDUCTOR_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MU_PAYLOAD_DEPTH 2048 /* of objects and arrays in one another */

/* Whether @n bytes are one JSON value (RFC 8259) of at most MU_PAYLOAD_MAX bytes, and nothing else.
 * Nothing is made of it, so that it takes no memory, and numbers of any size and \u0000 are as good
 * as others. */
bool mu_payload_ok(const char *json, size_t n);

/* What the roster keeps of it. Not keyed: a collision costs only who makes it. */
uint64_t mu_payload_hash(const char *json, size_t n);

#endif
