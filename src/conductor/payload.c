#include "conductor/payload.h"

#include <jansson.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "wire/msg.h"

int mu_payload_check(const char *json, size_t n)
{
    unsigned long failed = mu_mem_failures();
    json_t *value;

    if (n == 0 || n > MU_PAYLOAD_MAX)
        return MU_EINVAL;
    /* Nothing is made of it here, so integers of any size and \u0000 are as good as others. */
    value = json_loadb(json, n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    json_decref(value);
    if (value)
        return 0;
    return mu_mem_failures() == failed ? MU_EINVAL : MU_ENOMEM;
}

uint64_t mu_payload_hash(const char *json, size_t n)
{
    static const uint8_t unkeyed[16];

    return mu_siphash64(unkeyed, json, n);
}
