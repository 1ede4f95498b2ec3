#include "http/json.h"

#include <assert.h>
#include <string.h>

#include "base/utf8.h"

void mu_json_init(struct mu_json *json, struct mu_buf *out)
{
    *json = (struct mu_json){.out = out};
}

static void put_escape(struct mu_buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        mu_buf_puts(out, "\\\"");
        break;
    case '\\':
        mu_buf_puts(out, "\\\\");
        break;
    case '\n':
        mu_buf_puts(out, "\\n");
        break;
    case '\r':
        mu_buf_puts(out, "\\r");
        break;
    case '\t':
        mu_buf_puts(out, "\\t");
        break;
    default:
        mu_buf_printf(out, "\\u%04x", c);
    }
}

/* How many bytes at @p are one character of valid UTF-8; 0 = none. */
static size_t char_len(const char *p)
{
    size_t most = strnlen(p, 4);

    for (size_t n = 1; n <= most; n++)
        if (mu_utf8_valid(p, n))
            return n;
    return 0;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_string(struct mu_buf *out, const char *text)
{
    mu_buf_u8(out, '"');
    while (*text) {
        unsigned char c = (unsigned char)*text;
        size_t run = 0, n;

        while (is_plain((unsigned char)text[run]))
            run++;
        if (run) {
            mu_buf_put(out, text, run);
            text += run;
        } else if (c < 0x80) {
            put_escape(out, c);
            text++;
        } else if ((n = char_len(text)) > 0) {
            mu_buf_put(out, text, n);
            text += n;
        } else {
            mu_buf_puts(out, "\xef\xbf\xbd");
            text++;
        }
    }
    mu_buf_u8(out, '"');
}

static void begin(struct mu_json *json, const char *key)
{
    bool array = json->depth && (json->arrays >> (json->depth - 1) & 1);

    assert(!json->depth || (key != NULL) == !array);
    if (json->comma)
        mu_buf_u8(json->out, ',');
    if (key) {
        put_string(json->out, key);
        mu_buf_u8(json->out, ':');
    }
    json->comma = true;
}

static void open_level(struct mu_json *json, const char *key, bool array)
{
    begin(json, key);
    assert(json->depth < MU_JSON_DEPTH);
    json->arrays &= ~(1U << json->depth);
    json->arrays |= (uint32_t)array << json->depth;
    json->depth++;
    json->comma = false;
    mu_buf_u8(json->out, array ? '[' : '{');
}

void mu_json_object(struct mu_json *json, const char *key)
{
    open_level(json, key, false);
}

void mu_json_array(struct mu_json *json, const char *key)
{
    open_level(json, key, true);
}

void mu_json_end(struct mu_json *json)
{
    assert(json->depth);
    json->depth--;
    mu_buf_u8(json->out, json->arrays >> json->depth & 1 ? ']' : '}');
    json->comma = true;
}

void mu_json_text(struct mu_json *json, const char *key, const char *text)
{
    if (!text) {
        mu_json_null(json, key);
        return;
    }
    begin(json, key);
    put_string(json->out, text);
}

void mu_json_some(struct mu_json *json, const char *key, const char *text)
{
    mu_json_text(json, key, text && *text ? text : NULL);
}

void mu_json_uint(struct mu_json *json, const char *key, uint64_t value)
{
    begin(json, key);
    mu_buf_dec(json->out, value);
}

void mu_json_number(struct mu_json *json, const char *key, double value)
{
    begin(json, key);
    mu_buf_printf(json->out, "%.3f", value);
}

void mu_json_bool(struct mu_json *json, const char *key, bool value)
{
    mu_json_raw(json, key, value ? "true" : "false");
}

void mu_json_null(struct mu_json *json, const char *key)
{
    mu_json_raw(json, key, "null");
}

static char digit(uint64_t n)
{
    return (char)('0' + n % 10);
}

void mu_json_dur(struct mu_json *json, const char *key, mu_dur dur)
{
    uint64_t ms;

    if (dur == MU_NEVER) {
        mu_json_null(json, key);
        return;
    }
    ms = (uint64_t)(dur < 0 ? -(dur / MU_MS) : dur / MU_MS);
    begin(json, key);
    if (dur < 0 && ms)
        mu_buf_u8(json->out, '-');
    mu_buf_dec(json->out, ms / 1000);
    mu_buf_put(json->out, (char[]){'.', digit(ms / 100), digit(ms / 10), digit(ms)}, 4);
}

void mu_json_wall(struct mu_json *json, const char *key, mu_wall wall)
{
    char text[MU_WALL_TEXT];

    mu_json_some(json, key, mu_wall_text(wall, text));
}

void mu_json_raw(struct mu_json *json, const char *key, const char *value)
{
    begin(json, key);
    mu_buf_puts(json->out, value);
}
