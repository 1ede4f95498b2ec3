#include "conductor/payload.h"

#include <jansson.h>

#include "base/siphash.h"
#include "wire/msg.h"

bool mu_payload_ok(const char *json, size_t n)
{
    json_t *value;

    if (n == 0 || n > MU_PAYLOAD_MAX)
        return false;
    /* Nothing is made of it here, so numbers of any size and \u0000 are as good as others. */
    value = json_loadb(json, n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    json_decref(value);
    return value != NULL;
}

uint64_t mu_payload_hash(const char *json, size_t n)
{
    static const uint8_t key[16];

    return mu_siphash64(key, json, n);
}
