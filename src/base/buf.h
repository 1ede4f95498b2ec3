/* buf.h - growing bytes to write, and a cursor to read them.
 *
 * A buffer that ran out of memory or passed its limit remembers it (.failed) and ignores what
 * follows, so that a writer checks once, at the end. Integers are big-endian. */
#ifndef MU_BASE_BUF_H
#define MU_BASE_BUF_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct mu_buf {
    uint8_t *data;
    size_t len, cap;
    size_t max; /* bytes it may hold; 0 = no limit */
    int failed; /* 0, MU_ENOMEM or MU_EFULL */
};

void mu_buf_init(struct mu_buf *buf, size_t max);
void mu_buf_fini(struct mu_buf *buf);
void mu_buf_reset(struct mu_buf *buf); /* empty again, memory kept, failure forgotten */
uint8_t *mu_buf_grow(struct mu_buf *buf, size_t n); /* @n bytes more, not set; NULL = failed */
void mu_buf_drop(struct mu_buf *buf, size_t n);     /* takes @n bytes from the front */
void mu_buf_put(struct mu_buf *buf, const void *data, size_t n);
void mu_buf_puts(struct mu_buf *buf, const char *text);
void mu_buf_printf(struct mu_buf *buf, const char *fmt, ...) MU_PRINTF(2, 3);
void mu_buf_dec(struct mu_buf *buf, uint64_t v); /* its decimal digits */
void mu_buf_u8(struct mu_buf *buf, uint8_t v);
void mu_buf_u32(struct mu_buf *buf, uint32_t v);
const char *mu_buf_text(struct mu_buf *buf); /* NUL-terminated view; "" when failed */

/* A cursor: reading past the end sets .bad, and gives 0 from then on. */
struct mu_cur {
    const uint8_t *p, *end;
    bool bad;
};

void mu_cur_init(struct mu_cur *cur, const void *data, size_t n);
size_t mu_cur_left(const struct mu_cur *cur);
uint8_t mu_cur_u8(struct mu_cur *cur);
uint16_t mu_cur_u16(struct mu_cur *cur);
const uint8_t *mu_cur_take(struct mu_cur *cur, size_t n); /* NULL and .bad when short */

/* The same at a fixed place, for hot paths that have checked the length. */
static inline uint16_t mu_get16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return be16toh(v);
}

static inline uint32_t mu_get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return be32toh(v);
}

static inline uint64_t mu_get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return be64toh(v);
}

static inline void mu_put16(uint8_t *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof(v));
}

static inline void mu_put32(uint8_t *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof(v));
}

static inline void mu_put64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof(v));
}

#endif
