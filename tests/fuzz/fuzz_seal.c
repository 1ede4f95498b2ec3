/* A datagram. Forged, it must not open; with a right tag put behind it, what opens must seal to the
 * same bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "wire/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[16] = "the fuzzer's key";

static size_t again(int kind, const uint8_t *in, size_t n, uint8_t *out)
{
    struct mu_beat beat;
    struct mu_ack ack;

    switch (kind) {
    case MU_SEALED_BEAT:
        return mu_seal_open_beat(key, in, n, &beat) ? 0 : mu_seal_beat(key, &beat, out);
    case MU_SEALED_ATTACH:
        return mu_seal_open_attach(key, in, n, &beat) ? 0 : mu_seal_attach(key, &beat, out);
    default:
        return mu_seal_open_ack(key, in, n, &ack) ? 0 : mu_seal_ack(key, &ack, out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t tagged[MU_DATAGRAM_MAX], out[MU_DATAGRAM_MAX];
    uint64_t session;
    int kind = mu_seal_peek(data, size, &session);

    if (kind < 0)
        return 0;
    memcpy(tagged, data, size);
    mu_siphash128(key, tagged, size - MU_TAG_LEN, tagged + size - MU_TAG_LEN);
    if (again(kind, tagged, size, out) != size)
        abort();
    if (kind == MU_SEALED_ACK) { /* its three spare bytes are not looked at, and written as zero */
        memset(tagged + 25, 0, 3);
        mu_siphash128(key, tagged, size - MU_TAG_LEN, tagged + size - MU_TAG_LEN);
    }
    if (memcmp(tagged, out, size) != 0)
        abort();
    return 0;
}
