/* Each message is a row of fields, and one reader and one writer walk the rows. A message gets a
 * new field by a new row with a higher key: older readers skip it. */
#include "wire/codec.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

enum type { U8, U32, U64, I32, TEXT, RAW16, LABELS, LIST };

struct shape;
struct field {
    const char *name;
    uint8_t key;
    enum type type;
    bool must;              /* is written even when zero, and missed when not there */
    uint32_t max;           /* bytes of a TEXT */
    uint16_t at;            /* where in the struct */
    uint16_t more;          /* LIST: where its length is; RAW16: where `there is one` is, or 0 */
    const struct shape *of; /* LIST: its elements */
};
struct shape {
    const char *name;
    const struct field *fields;
    size_t n, size;
};

#define AT(type, member)   .at = offsetof(struct type, member)
#define MORE(type, member) .more = offsetof(struct type, member)
#define SHAPE(text, rows, type)                                                                    \
    {                                                                                              \
        text, rows, MU_ARRAY_LEN(rows), sizeof(struct type)                                        \
    }

static const struct field join_agent_rows[] = {
    {"binary", 0, TEXT, true, MU_TEXT_MAX, AT(mu_join_agent, binary)},
    {"host", 1, TEXT, true, MU_TEXT_MAX, AT(mu_join_agent, host)},
    {"zone", 2, TEXT, false, MU_TEXT_MAX, AT(mu_join_agent, zone)},
    {"version", 3, TEXT, false, MU_TEXT_MAX, AT(mu_join_agent, version)},
    {"uuid", 4, RAW16, false, 0, AT(mu_join_agent, uuid), MORE(mu_join_agent, has_uuid)},
    {"interval_ms", 5, U32, false, 0, AT(mu_join_agent, interval_ms)},
    {"labels", 6, LABELS, false, MU_TEXT_MAX, AT(mu_join_agent, labels)},
    {"payload", 7, TEXT, false, MU_PAYLOAD_MAX, AT(mu_join_agent, payload)},
};
static const struct shape join_agent = SHAPE("agents", join_agent_rows, mu_join_agent);

static const struct field join_rows[] = {
    {"version", 0, U32, true, 0, AT(mu_join, version)},
    {"token", 1, TEXT, false, MU_TEXT_MAX, AT(mu_join, token)},
    {"start_id", 2, U64, true, 0, AT(mu_join, start_id)},
    {"session", 3, U64, false, 0, AT(mu_join, session)},
    {"agents", 4, LIST, true, 0, AT(mu_join, agents), MORE(mu_join, n), &join_agent},
};

static const struct field joined_agent_rows[] = {
    {"rv", 0, I32, false, 0, AT(mu_joined_agent, rv)},
    {"retry_ms", 1, U32, false, 0, AT(mu_joined_agent, retry_ms)},
    {"index", 2, U32, false, 0, AT(mu_joined_agent, index)},
    {"uuid", 3, RAW16, false, 0, AT(mu_joined_agent, uuid)},
    {"incarnation", 4, U64, false, 0, AT(mu_joined_agent, incarnation)},
    {"interval_ms", 5, U32, false, 0, AT(mu_joined_agent, interval_ms)},
    {"lease_ms", 6, U32, false, 0, AT(mu_joined_agent, lease_ms)},
    {"down_ms", 7, U32, false, 0, AT(mu_joined_agent, down_ms)},
    {"text", 8, TEXT, false, MU_WHY_TEXT_MAX, AT(mu_joined_agent, text)},
};
static const struct shape joined_agent = SHAPE("agents", joined_agent_rows, mu_joined_agent);

static const struct field joined_rows[] = {
    {"session", 0, U64, true, 0, AT(mu_joined, session)},
    {"key", 1, RAW16, true, 0, AT(mu_joined, key)},
    {"epoch", 2, U32, true, 0, AT(mu_joined, epoch)},
    {"agents", 3, LIST, true, 0, AT(mu_joined, agents), MORE(mu_joined, n), &joined_agent},
};

static const struct field report_rows[] = {
    {"id", 0, U32, true, 0, AT(mu_report, id)},
    {"index", 1, U32, true, 0, AT(mu_report, index)},
    {"payload", 2, TEXT, true, MU_PAYLOAD_MAX, AT(mu_report, payload)},
};

static const struct field leave_rows[] = {
    {"id", 0, U32, true, 0, AT(mu_leave, id)},
    {"index", 1, U32, true, 0, AT(mu_leave, index)},
};

static const struct field ended_rows[] = {
    {"id", 0, U32, true, 0, AT(mu_ended, id)},
    {"index", 1, U32, true, 0, AT(mu_ended, index)},
    {"how", 2, U8, true, 0, AT(mu_ended, how)},
    {"status", 3, I32, false, 0, AT(mu_ended, status)},
};

static const struct field done_rows[] = {
    {"id", 0, U32, true, 0, AT(mu_done, id)},
    {"rv", 1, I32, false, 0, AT(mu_done, rv)},
    {"retry_ms", 2, U32, false, 0, AT(mu_done, retry_ms)},
};

static const struct field error_rows[] = {
    {"rv", 0, I32, true, 0, AT(mu_error_msg, rv)},
    {"retry_ms", 1, U32, false, 0, AT(mu_error_msg, retry_ms)},
    {"text", 2, TEXT, false, MU_WHY_TEXT_MAX, AT(mu_error_msg, text)},
};

static const struct shape *shape_of(unsigned type)
{
    static const struct shape join = SHAPE("JOIN", join_rows, mu_join);
    static const struct shape joined = SHAPE("JOINED", joined_rows, mu_joined);
    static const struct shape report = SHAPE("REPORT", report_rows, mu_report);
    static const struct shape leave = SHAPE("LEAVE", leave_rows, mu_leave);
    static const struct shape ended = SHAPE("ENDED", ended_rows, mu_ended);
    static const struct shape done = SHAPE("DONE", done_rows, mu_done);
    static const struct shape error = SHAPE("ERROR", error_rows, mu_error_msg);

    switch (type) {
    case MU_MSG_JOIN:
        return &join;
    case MU_MSG_JOINED:
        return &joined;
    case MU_MSG_REPORT:
        return &report;
    case MU_MSG_LEAVE:
        return &leave;
    case MU_MSG_ENDED:
        return &ended;
    case MU_MSG_DONE:
        return &done;
    case MU_MSG_ERROR:
        return &error;
    default:
        return NULL;
    }
}

/* ---- reading ---- */

enum kind { BAD, SCALAR, UINT, NEGATIVE, STR, BIN, ARRAY, MAP };

static uint64_t take_be(struct mu_cur *cur, unsigned bytes)
{
    uint64_t v = 0;

    while (bytes-- > 0)
        v = v << 8 | mu_cur_u8(cur);
    return v;
}

/* The head of any value: what it is, and its number or length. A NEGATIVE's @v is two's complement.
 * Floats and extensions are not in the subset. */
static enum kind get_head(struct mu_cur *cur, uint64_t *v)
{
    uint8_t b = mu_cur_u8(cur);
    enum kind kind = BAD;

    *v = 0;
    if (cur->bad)
        return BAD;
    if (b <= 0x7f) {
        *v = b;
        return UINT;
    }
    if (b <= 0x8f) {
        *v = b & 0x0f;
        return MAP;
    }
    if (b <= 0x9f) {
        *v = b & 0x0f;
        return ARRAY;
    }
    if (b <= 0xbf) {
        *v = b & 0x1f;
        return STR;
    }
    if (b >= 0xe0) {
        *v = (uint64_t)(int64_t)(int8_t)b;
        return NEGATIVE;
    }
    if (b == 0xc0 || b == 0xc2 || b == 0xc3)
        return SCALAR;
    if (b >= 0xc4 && b <= 0xc6) {
        *v = take_be(cur, 1u << (b - 0xc4));
        kind = BIN;
    } else if (b >= 0xcc && b <= 0xcf) {
        *v = take_be(cur, 1u << (b - 0xcc));
        kind = UINT;
    } else if (b >= 0xd0 && b <= 0xd3) {
        unsigned bytes = 1u << (b - 0xd0);
        uint64_t sign = (uint64_t)1 << (8 * bytes - 1);
        *v = ((take_be(cur, bytes) ^ sign) - sign);
        kind = (int64_t)*v < 0 ? NEGATIVE : UINT;
    } else if (b >= 0xd9 && b <= 0xdb) {
        *v = take_be(cur, 1u << (b - 0xd9));
        kind = STR;
    } else if (b == 0xdc || b == 0xdd) {
        *v = take_be(cur, b == 0xdc ? 2 : 4);
        kind = ARRAY;
    } else if (b == 0xde || b == 0xdf) {
        *v = take_be(cur, b == 0xde ? 2 : 4);
        kind = MAP;
    }
    return cur->bad ? BAD : kind;
}

/* Passes over one value of whatever depth. Counts instead of nesting: what is yet to come can never
 * be more than the bytes that are left. */
static bool skip(struct mu_cur *cur)
{
    uint64_t values = 1, v;

    while (values > 0) {
        values--;
        switch (get_head(cur, &v)) {
        case BAD:
            return false;
        case STR:
        case BIN:
            if (v > mu_cur_left(cur))
                return false;
            mu_cur_take(cur, (size_t)v);
            break;
        case ARRAY:
            values += v;
            break;
        case MAP:
            values += 2 * v;
            break;
        default:
            break;
        }
        if (values > mu_cur_left(cur))
            return false;
    }
    return true;
}

static int wrong(struct mu_err *err, const char *what, const char *why)
{
    return mu_err_set(err, MU_EPROTO, "%s: %s", what, why);
}

static int get_uint(struct mu_cur *cur, const char *name, uint64_t max, uint64_t *out,
                    struct mu_err *err)
{
    if (get_head(cur, out) != UINT)
        return wrong(err, name, "not an unsigned integer");
    if (*out > max)
        return wrong(err, name, "too large");
    return 0;
}

static int get_int32(struct mu_cur *cur, const char *name, int32_t *out, struct mu_err *err)
{
    uint64_t v;
    enum kind kind = get_head(cur, &v);

    if (kind != UINT && kind != NEGATIVE)
        return wrong(err, name, "not an integer");
    if (kind == UINT ? v > INT32_MAX : (int64_t)v < INT32_MIN)
        return wrong(err, name, "too large");
    *out = (int32_t)(int64_t)v;
    return 0;
}

static int get_text(struct mu_cur *cur, const char *name, size_t max, struct mu_bytes *out,
                    struct mu_err *err)
{
    uint64_t n;

    if (get_head(cur, &n) != STR)
        return wrong(err, name, "not a text");
    if (n > max)
        return mu_err_set(err, MU_EPROTO, "%s: longer than %zu bytes", name, max);
    out->n = (size_t)n;
    out->p = (const char *)mu_cur_take(cur, out->n);
    if (cur->bad)
        return wrong(err, name, "cut short");
    if (!mu_utf8_valid(out->p, out->n))
        return wrong(err, name, "not valid UTF-8");
    return 0;
}

static int get_raw16(struct mu_cur *cur, const char *name, uint8_t out[16], struct mu_err *err)
{
    const uint8_t *p;
    uint64_t n;

    if (get_head(cur, &n) != BIN || n != 16)
        return wrong(err, name, "not 16 bytes");
    p = mu_cur_take(cur, 16);
    if (!p)
        return wrong(err, name, "cut short");
    memcpy(out, p, 16);
    return 0;
}

static int get_labels(struct mu_cur *cur, size_t max, struct mu_join_agent *agent,
                      struct mu_err *err)
{
    struct mu_label *label;
    uint64_t n;
    int rv;

    if (get_head(cur, &n) != MAP)
        return wrong(err, "labels", "not a map");
    if (n > MU_LABELS_MAX)
        return mu_err_set(err, MU_EPROTO, "labels: more than %d", MU_LABELS_MAX);
    for (agent->nlabels = 0; agent->nlabels < n; agent->nlabels++) {
        label = &agent->labels[agent->nlabels];
        rv = get_text(cur, "label's key", max, &label->key, err);
        if (!rv)
            rv = get_text(cur, "label's value", max, &label->value, err);
        if (rv)
            return rv;
        for (const struct mu_label *other = agent->labels; other < label; other++)
            if (other->key.n == label->key.n &&
                memcmp(other->key.p, label->key.p, label->key.n) == 0)
                return wrong(err, "labels", "a key comes twice");
    }
    return 0;
}

static int get_map(struct mu_cur *cur, const struct shape *shape, uint8_t *obj, struct mu_err *err);

static int get_list(struct mu_cur *cur, const struct field *f, uint8_t *obj, struct mu_err *err)
{
    size_t *n = (size_t *)(void *)(obj + f->more), room = *n;
    uint8_t *element = *(uint8_t **)(void *)(obj + f->at);
    uint64_t count;
    int rv;

    if (get_head(cur, &count) != ARRAY)
        return wrong(err, f->name, "not an array");
    if (count > room)
        return mu_err_set(err, MU_EPROTO, "%s: more than %zu", f->name, room);
    for (*n = 0; *n < count; (*n)++, element += f->of->size) {
        memset(element, 0, f->of->size);
        rv = get_map(cur, f->of, element, err);
        if (rv)
            return mu_err_wrap(err, rv, "%s[%zu]", f->name, *n);
    }
    return 0;
}

static int get_value(struct mu_cur *cur, const struct field *f, uint8_t *obj, struct mu_err *err)
{
    void *at = obj + f->at;
    uint64_t v;
    int rv;

    switch (f->type) {
    case U8:
        rv = get_uint(cur, f->name, UINT8_MAX, &v, err);
        if (!rv)
            *(uint8_t *)at = (uint8_t)v;
        return rv;
    case U32:
        rv = get_uint(cur, f->name, UINT32_MAX, &v, err);
        if (!rv)
            *(uint32_t *)at = (uint32_t)v;
        return rv;
    case U64:
        return get_uint(cur, f->name, UINT64_MAX, at, err);
    case I32:
        return get_int32(cur, f->name, at, err);
    case TEXT:
        return get_text(cur, f->name, f->max, at, err);
    case RAW16:
        if (f->more)
            *(bool *)(obj + f->more) = true;
        return get_raw16(cur, f->name, at, err);
    case LABELS:
        return get_labels(cur, f->max, (struct mu_join_agent *)(void *)obj, err);
    case LIST:
        return get_list(cur, f, obj, err);
    }
    return MU_EPROTO;
}

/* Reads a map into @obj, whose fields are zero. Keys ascend, and so do the rows: each row is passed
 * once, and one that is passed over must not be missed. */
static int get_map(struct mu_cur *cur, const struct shape *shape, uint8_t *obj, struct mu_err *err)
{
    const struct field *f = shape->fields, *end = f + shape->n;
    uint64_t count, key, next = 0;
    int rv;

    if (get_head(cur, &count) != MAP)
        return mu_err_set(err, MU_EPROTO, "not a map");
    for (; count > 0; count--) {
        rv = get_uint(cur, "key", UINT32_MAX, &key, err);
        if (rv)
            return rv;
        if (key < next)
            return mu_err_set(err, MU_EPROTO, "keys do not ascend");
        next = key + 1;
        for (; f < end && f->key < key; f++)
            if (f->must)
                return wrong(err, f->name, "missing");
        if (f == end || f->key > key) {
            if (!skip(cur))
                return mu_err_set(err, MU_EPROTO, "key %u: no value that can be skipped",
                                  (unsigned)key);
            continue;
        }
        rv = get_value(cur, f++, obj, err);
        if (rv)
            return rv;
    }
    for (; f < end; f++)
        if (f->must)
            return wrong(err, f->name, "missing");
    return 0;
}

static int get_body(struct mu_cur *cur, const struct shape *shape, const struct mu_codec_room *room,
                    struct mu_msg *out, struct mu_err *err)
{
    size_t max = room->max < MU_JOIN_AGENTS_MAX ? room->max : MU_JOIN_AGENTS_MAX;
    int rv;

    if (out->type == MU_MSG_JOIN) {
        out->join.agents = room->join;
        out->join.n = room->join ? max : 0;
    } else if (out->type == MU_MSG_JOINED) {
        out->joined.agents = room->joined;
        out->joined.n = room->joined ? max : 0;
    }
    rv = get_map(cur, shape, (uint8_t *)&out->join, err);
    if (rv)
        return mu_err_wrap(err, rv, "%s", shape->name);
    if (mu_cur_left(cur) > 0)
        return wrong(err, shape->name, "bytes behind its end");
    return 0;
}

int mu_codec_get(const uint8_t *body, size_t n, const struct mu_codec_room *room,
                 struct mu_msg *out, struct mu_err *err)
{
    const struct shape *shape;
    struct mu_cur cur;
    unsigned type;

    memset(out, 0, sizeof(*out));
    if (n == 0)
        return mu_err_set(err, MU_EPROTO, "a frame has 1 to %d bytes", MU_FRAME_MAX);
    mu_cur_init(&cur, body, n);
    type = mu_cur_u8(&cur);
    out->type = (enum mu_msg_type)type;
    switch (type) {
    case MU_MSG_ATTACH:
    case MU_MSG_BEAT:
    case MU_MSG_ACK:
        out->sealed.n = mu_cur_left(&cur);
        out->sealed.p = (const char *)mu_cur_take(&cur, out->sealed.n);
        return 0;
    default:
        break;
    }
    shape = shape_of(type);
    if (!shape)
        return mu_err_set(err, MU_EPROTO, "message type %u is not known", type);
    if ((type == MU_MSG_JOIN && !room->join) || (type == MU_MSG_JOINED && !room->joined))
        return wrong(err, shape->name, "not for this side");
    return get_body(&cur, shape, room, out, err);
}

/* ---- writing ---- */

/* A head with the shortest length or number that holds @v. @fix: first byte of the short form, of
 * @nfix values; @wide: first byte of the form with 1 << @least bytes. */
static void put_head(struct mu_buf *buf, uint64_t v, unsigned fix, unsigned nfix, unsigned wide,
                     unsigned least)
{
    unsigned log2 = least;

    if (v < nfix) {
        mu_buf_u8(buf, (uint8_t)(fix + v));
        return;
    }
    while (log2 < 3 && v >> (8u << log2))
        log2++;
    mu_buf_u8(buf, (uint8_t)(wide + log2 - least));
    for (unsigned shift = 8u << log2; shift > 0; shift -= 8)
        mu_buf_u8(buf, (uint8_t)(v >> (shift - 8)));
}

static void put_uint(struct mu_buf *buf, uint64_t v)
{
    put_head(buf, v, 0x00, 0x80, 0xcc, 0);
}

static void put_map_head(struct mu_buf *buf, size_t n)
{
    put_head(buf, n, 0x80, 16, 0xde, 1);
}

static void put_int32(struct mu_buf *buf, int32_t v)
{
    if (v >= 0) {
        put_uint(buf, (uint64_t)v);
    } else if (v >= -32) {
        mu_buf_u8(buf, (uint8_t)v);
    } else {
        mu_buf_u8(buf, 0xd2);
        mu_buf_u32(buf, (uint32_t)v);
    }
}

static void put_text(struct mu_buf *buf, const struct mu_bytes *text, size_t max)
{
    assert(text->n <= max);
    put_head(buf, text->n, 0xa0, 32, 0xd9, 0);
    mu_buf_put(buf, text->p, text->n);
}

static void put_labels(struct mu_buf *buf, const struct mu_join_agent *agent, size_t max)
{
    assert(agent->nlabels <= MU_LABELS_MAX);
    put_map_head(buf, agent->nlabels);
    for (size_t i = 0; i < agent->nlabels; i++) {
        put_text(buf, &agent->labels[i].key, max);
        put_text(buf, &agent->labels[i].value, max);
    }
}

static void put_map(struct mu_buf *buf, const struct shape *shape, const uint8_t *obj);

static void put_value(struct mu_buf *buf, const struct field *f, const uint8_t *obj)
{
    const void *at = obj + f->at;
    const uint8_t *element;
    size_t n;

    switch (f->type) {
    case U8:
        put_uint(buf, *(const uint8_t *)at);
        return;
    case U32:
        put_uint(buf, *(const uint32_t *)at);
        return;
    case U64:
        put_uint(buf, *(const uint64_t *)at);
        return;
    case I32:
        put_int32(buf, *(const int32_t *)at);
        return;
    case TEXT:
        put_text(buf, at, f->max);
        return;
    case RAW16:
        put_head(buf, 16, 0, 0, 0xc4, 0);
        mu_buf_put(buf, at, 16);
        return;
    case LABELS:
        put_labels(buf, (const struct mu_join_agent *)(const void *)obj, f->max);
        return;
    case LIST:
        n = *(const size_t *)(const void *)(obj + f->more);
        element = *(const uint8_t *const *)at;
        assert(n <= MU_JOIN_AGENTS_MAX);
        put_head(buf, n, 0x90, 16, 0xdc, 1);
        for (; n > 0; n--, element += f->of->size)
            put_map(buf, f->of, element);
        return;
    }
}

static bool present(const struct field *f, const uint8_t *obj)
{
    static const uint8_t zero[16];
    const void *at = obj + f->at;

    if (f->must)
        return true;
    switch (f->type) {
    case U8:
        return *(const uint8_t *)at != 0;
    case U32:
    case I32:
        return *(const uint32_t *)at != 0;
    case U64:
        return *(const uint64_t *)at != 0;
    case TEXT:
        return ((const struct mu_bytes *)at)->n != 0;
    case RAW16:
        return f->more ? *(const bool *)(obj + f->more) : memcmp(at, zero, 16) != 0;
    case LABELS:
        return ((const struct mu_join_agent *)(const void *)obj)->nlabels != 0;
    case LIST:
        return true;
    }
    return true;
}

static void put_map(struct mu_buf *buf, const struct shape *shape, const uint8_t *obj)
{
    size_t n = 0;

    for (size_t i = 0; i < shape->n; i++)
        n += present(&shape->fields[i], obj);
    put_map_head(buf, n);
    for (size_t i = 0; i < shape->n; i++) {
        if (!present(&shape->fields[i], obj))
            continue;
        put_uint(buf, shape->fields[i].key);
        put_value(buf, &shape->fields[i], obj);
    }
}

int mu_codec_put(struct mu_buf *buf, const struct mu_msg *msg)
{
    const struct shape *shape = shape_of(msg->type);

    mu_buf_u8(buf, (uint8_t)msg->type);
    if (shape)
        put_map(buf, shape, (const uint8_t *)&msg->join);
    else
        mu_buf_put(buf, msg->sealed.p, msg->sealed.n);
    return buf->failed;
}

size_t mu_codec_join_size(const struct mu_join_agent *agent)
{
    size_t n = 64; /* heads, keys, UUID, numbers */

    n += agent->binary.n + agent->host.n + agent->zone.n + agent->version.n + agent->payload.n;
    for (size_t i = 0; i < agent->nlabels; i++)
        n += agent->labels[i].key.n + agent->labels[i].value.n + 4;
    return n;
}
