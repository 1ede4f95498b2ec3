/* A stream in pieces: the first byte of each piece says how long it is. Whatever it is cut into,
 * the same bodies must come out. */
#include <stdlib.h>

#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t n, bytes;
    uint32_t sum;
};

static int see(void *ctx, const uint8_t *body, size_t n)
{
    struct seen *seen = ctx;

    seen->n++;
    seen->bytes += n;
    for (size_t i = 0; i < n; i++)
        seen->sum = seen->sum * 31 + body[i];
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen cut = {0}, whole = {0};
    struct mu_frames f;
    struct mu_buf all;
    int rv = 0, rv_whole;

    mu_buf_init(&all, 0);
    mu_frames_init(&f);
    while (size > 0 && !rv) {
        size_t n = data[0] < size - 1 ? data[0] : size - 1;
        rv = mu_frames_feed(&f, data + 1, n, see, &cut);
        mu_buf_put(&all, data + 1, n);
        data += 1 + n;
        size -= 1 + n;
    }
    mu_frames_fini(&f);
    mu_frames_init(&f);
    rv_whole = mu_frames_feed(&f, all.data, all.len, see, &whole);
    mu_frames_fini(&f);
    mu_buf_fini(&all);
    if (rv != rv_whole || cut.n != whole.n || cut.bytes != whole.bytes || cut.sum != whole.sum)
        abort();
    return 0;
}
