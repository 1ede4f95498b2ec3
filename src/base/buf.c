#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define CAP_MIN 64

void mu_buf_init(struct mu_buf *buf, size_t max)
{
    *buf = (struct mu_buf){.max = max};
}

void mu_buf_fini(struct mu_buf *buf)
{
    mu_free(buf->data);
    *buf = (struct mu_buf){.max = buf->max};
}

void mu_buf_reset(struct mu_buf *buf)
{
    buf->len = 0;
    buf->failed = 0;
}

/* Room for @n more bytes and the NUL of mu_buf_text(). */
static int reserve(struct mu_buf *buf, size_t n)
{
    size_t need, cap;
    uint8_t *data;

    if (buf->failed)
        return buf->failed;
    if (n > SIZE_MAX / 2 - buf->len - 1)
        return buf->failed = buf->max ? MU_EFULL : MU_ENOMEM;
    if (buf->max && buf->len + n > buf->max)
        return buf->failed = MU_EFULL;
    need = buf->len + n + 1;
    if (need <= buf->cap)
        return 0;
    cap = buf->cap ? buf->cap : CAP_MIN;
    while (cap < need)
        cap *= 2;
    data = mu_realloc(buf->data, cap, 1);
    if (!data)
        return buf->failed = MU_ENOMEM;
    buf->data = data;
    buf->cap = cap;
    return 0;
}

uint8_t *mu_buf_grow(struct mu_buf *buf, size_t n)
{
    if (reserve(buf, n))
        return NULL;
    buf->len += n;
    return buf->data + buf->len - n;
}

void mu_buf_drop(struct mu_buf *buf, size_t n)
{
    assert(n <= buf->len);
    if (n == 0)
        return;
    memmove(buf->data, buf->data + n, buf->len - n);
    buf->len -= n;
}

void mu_buf_put(struct mu_buf *buf, const void *data, size_t n)
{
    uint8_t *p = mu_buf_grow(buf, n);

    if (p && n > 0)
        memcpy(p, data, n);
}

void mu_buf_puts(struct mu_buf *buf, const char *text)
{
    mu_buf_put(buf, text, strlen(text));
}

void mu_buf_printf(struct mu_buf *buf, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    assert(n >= 0);
    if (reserve(buf, (size_t)n))
        return;
    va_start(args, fmt);
    vsnprintf((char *)buf->data + buf->len, (size_t)n + 1, fmt, args);
    va_end(args);
    buf->len += (size_t)n;
}

void mu_buf_dec(struct mu_buf *buf, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);

    do
        digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    mu_buf_put(buf, digits + at, sizeof(digits) - at);
}

void mu_buf_u8(struct mu_buf *buf, uint8_t v)
{
    mu_buf_put(buf, &v, 1);
}

void mu_buf_u32(struct mu_buf *buf, uint32_t v)
{
    uint8_t *p = mu_buf_grow(buf, 4);

    if (p)
        mu_put32(p, v);
}

const char *mu_buf_text(struct mu_buf *buf)
{
    if (buf->failed || !buf->data)
        return "";
    buf->data[buf->len] = '\0'; /* reserve() kept a byte for it */
    return (const char *)buf->data;
}

void mu_cur_init(struct mu_cur *cur, const void *data, size_t n)
{
    const uint8_t *p = data;

    *cur = (struct mu_cur){.p = p, .end = n ? p + n : p};
}

size_t mu_cur_left(const struct mu_cur *cur)
{
    return cur->bad ? 0 : (size_t)(cur->end - cur->p);
}

const uint8_t *mu_cur_take(struct mu_cur *cur, size_t n)
{
    static const uint8_t nothing[1];
    const uint8_t *p = cur->p;

    if (cur->bad || n > (size_t)(cur->end - cur->p)) {
        cur->bad = true;
        return NULL;
    }
    if (n == 0) /* the cursor may be over NULL, and NULL means failure */
        return p ? p : nothing;
    cur->p += n;
    return p;
}

uint8_t mu_cur_u8(struct mu_cur *cur)
{
    const uint8_t *p = mu_cur_take(cur, 1);

    return p ? *p : 0;
}

uint16_t mu_cur_u16(struct mu_cur *cur)
{
    const uint8_t *p = mu_cur_take(cur, 2);

    return p ? mu_get16(p) : 0;
}
