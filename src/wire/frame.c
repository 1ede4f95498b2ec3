#include "wire/frame.h"

#include <assert.h>

void mu_frames_init(struct mu_frames *f)
{
    mu_buf_init(&f->rest, MU_FRAME_HEAD + MU_FRAME_MAX);
}

void mu_frames_fini(struct mu_frames *f)
{
    mu_buf_fini(&f->rest);
}

bool mu_frames_pending(const struct mu_frames *f)
{
    return f->rest.len > 0;
}

void mu_frame_head(uint8_t out[MU_FRAME_HEAD], size_t n)
{
    assert(n > 0 && n <= MU_FRAME_MAX);
    mu_put32(out, (uint32_t)n);
}

/* How many bytes the frame at @p has in all, as far as its @n first bytes tell. */
static int frame_len(const uint8_t *p, size_t n, size_t *len)
{
    *len = MU_FRAME_HEAD;
    if (n < MU_FRAME_HEAD)
        return 0;
    *len += mu_get32(p);
    if (*len == MU_FRAME_HEAD || *len > MU_FRAME_HEAD + MU_FRAME_MAX)
        return MU_EPROTO;
    return 0;
}

/* Adds to the rest until its frame is whole, and no byte of the next. Sets *@used; *@whole. */
static int complete(struct mu_frames *f, const uint8_t *data, size_t n, size_t *used, bool *whole)
{
    size_t len, take;
    int rv;

    *used = 0;
    *whole = false;
    for (;;) { /* twice at most: the length, then the body */
        rv = frame_len(f->rest.data, f->rest.len, &len);
        if (rv)
            return rv;
        if (f->rest.len == len && len > MU_FRAME_HEAD) {
            *whole = true;
            return 0;
        }
        take = len - f->rest.len < n - *used ? len - f->rest.len : n - *used;
        if (take == 0)
            return 0;
        mu_buf_put(&f->rest, data + *used, take);
        if (f->rest.failed)
            return f->rest.failed;
        *used += take;
    }
}

static int refuse(mu_frame_fn fn, void *ctx)
{
    int rv = fn(ctx, (const uint8_t *)"", 0);

    return rv ? rv : MU_EPROTO;
}

int mu_frames_feed(struct mu_frames *f, const uint8_t *data, size_t n, mu_frame_fn fn, void *ctx)
{
    size_t len, used;
    bool whole;
    int rv;

    if (f->rest.len > 0) {
        rv = complete(f, data, n, &used, &whole);
        if (rv == MU_EPROTO)
            return refuse(fn, ctx);
        if (rv || !whole)
            return rv;
        rv = fn(ctx, f->rest.data + MU_FRAME_HEAD, f->rest.len - MU_FRAME_HEAD);
        if (rv)
            return rv;
        mu_buf_fini(&f->rest);
        mu_frames_init(f);
        data += used;
        n -= used;
    }
    while (n > 0) {
        if (frame_len(data, n, &len))
            return refuse(fn, ctx);
        if (n < len) {
            mu_buf_put(&f->rest, data, n);
            return f->rest.failed;
        }
        rv = fn(ctx, data + MU_FRAME_HEAD, len - MU_FRAME_HEAD);
        if (rv)
            return rv;
        data += len;
        n -= len;
    }
    return 0;
}
