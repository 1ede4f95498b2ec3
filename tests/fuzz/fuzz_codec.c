/* A frame's body. What is understood must, written and read again, be written as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "wire/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mu_join_agent join[MU_JOIN_AGENTS_MAX];
static struct mu_joined_agent joined[MU_JOIN_AGENTS_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct mu_codec_room room = {join, joined, MU_JOIN_AGENTS_MAX};
    struct mu_buf first, second;
    struct mu_msg msg;
    struct mu_err err;

    if (mu_codec_get(data, size, &room, &msg, &err)) {
        if (err.code != MU_EPROTO || err.text[0] == '\0')
            abort();
        return 0;
    }
    mu_buf_init(&first, 0);
    mu_buf_init(&second, 0);
    if (mu_codec_put(&first, &msg) || mu_codec_get(first.data, first.len, &room, &msg, NULL) ||
        mu_codec_put(&second, &msg))
        abort();
    if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
        abort();
    mu_buf_fini(&first);
    mu_buf_fini(&second);
    return 0;
}
