#include "conductor/payload.h"

#include <ctype.h>
#include <string.h>

#include "base/name.h"
#include "base/siphash.h"
#include "wire/msg.h"

struct scan {
    const char *p, *end;
};

static bool take(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool take_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && memchr(" \t\n\r", *s->p, 4))
        s->p++;
}

static bool digits(struct scan *s)
{
    const char *first = s->p;

    while (s->p < s->end && isdigit((unsigned char)*s->p))
        s->p++;
    return s->p > first;
}

static bool number(struct scan *s)
{
    (void)take(s, '-');
    if (!take(s, '0') && !digits(s))
        return false;
    if (take(s, '.') && !digits(s))
        return false;
    if (!take(s, 'e') && !take(s, 'E'))
        return true;
    if (!take(s, '-'))
        (void)take(s, '+');
    return digits(s);
}

/* The four digits of a \uXXXX; -1 where they are none. */
static int hex4(struct scan *s)
{
    int code = 0;

    for (int i = 0; i < 4; i++, s->p++) {
        if (s->p == s->end || !isxdigit((unsigned char)*s->p))
            return -1;
        code = code * 16 + (isdigit((unsigned char)*s->p) ? *s->p - '0' : (*s->p | 32) - 'a' + 10);
    }
    return code;
}

/* What follows a backslash. Half of a surrogate pair is no character. */
static bool escape(struct scan *s)
{
    int code;

    if (!take(s, 'u'))
        return s->p < s->end && memchr("\"\\/bfnrt", *s->p++, 8);
    code = hex4(s);
    if (code < 0xd800 || code > 0xdfff)
        return code >= 0;
    if (code > 0xdbff || !take_word(s, "\\u"))
        return false;
    code = hex4(s);
    return code >= 0xdc00 && code <= 0xdfff;
}

/* The inside of a text, and its end. */
static bool text(struct scan *s)
{
    while (s->p < s->end) {
        unsigned char c = (unsigned char)*s->p++;

        if (c == '"')
            return true;
        if (c < 0x20 || (c == '\\' && !escape(s)))
            return false;
    }
    return false;
}

static bool value(struct scan *s, int depth);

static bool key(struct scan *s)
{
    skip_space(s);
    if (!take(s, '"') || !text(s))
        return false;
    skip_space(s);
    return take(s, ':');
}

/* The inside of an object or array, and its end. */
static bool items(struct scan *s, char end, int depth)
{
    if (depth > MU_PAYLOAD_DEPTH)
        return false;
    skip_space(s);
    if (take(s, end))
        return true;
    do {
        if ((end == '}' && !key(s)) || !value(s, depth))
            return false;
    } while (take(s, ','));
    return take(s, end);
}

/* With the space around it, in @depth objects and arrays. */
static bool value(struct scan *s, int depth)
{
    bool ok;

    skip_space(s);
    if (take(s, '{'))
        ok = items(s, '}', depth + 1);
    else if (take(s, '['))
        ok = items(s, ']', depth + 1);
    else if (take(s, '"'))
        ok = text(s);
    else
        ok = take_word(s, "true") || take_word(s, "false") || take_word(s, "null") || number(s);
    skip_space(s);
    return ok;
}

bool mu_payload_ok(const char *json, size_t n)
{
    struct scan s;

    if (n == 0 || n > MU_PAYLOAD_MAX || !mu_utf8_valid(json, n))
        return false;
    s = (struct scan){json, json + n};
    return value(&s, 0) && s.p == s.end;
}

uint64_t mu_payload_hash(const char *json, size_t n)
{
    static const uint8_t unkeyed[16];

    return mu_siphash64(unkeyed, json, n);
}
