#include "base/jsonck.h"

#include <string.h>

#include "base/name.h"

struct scan {
    const char *p, *end;
    int depth;
};

static bool value(struct scan *s);

static void blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool eat(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool literal(struct scan *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool digits(struct scan *s)
{
    const char *from = s->p;

    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static bool number(struct scan *s)
{
    eat(s, '-');
    if (!eat(s, '0') && !digits(s))
        return false;
    if (eat(s, '.') && !digits(s))
        return false;
    if (eat(s, 'e') || eat(s, 'E')) {
        if (!eat(s, '+'))
            eat(s, '-');
        return digits(s);
    }
    return true;
}

/* The four digits of a \u escape; -1 = none. */
static int hex4(struct scan *s)
{
    int v = 0;

    if (s->end - s->p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const char *all = "0123456789abcdef0123456789ABCDEF";
        const char *at = memchr(all, *s->p++, 32);

        if (!at)
            return -1;
        v = v << 4 | (int)((at - all) & 15);
    }
    return v;
}

static bool escape(struct scan *s)
{
    int low, high;

    if (s->p == s->end)
        return false;
    if (*s->p != 'u')
        return memchr("\"\\/bfnrt", *s->p++, 8) != NULL;
    s->p++;
    high = hex4(s);
    if (high < 0xd800 || high > 0xdfff)
        return high >= 0;
    if (high > 0xdbff || !eat(s, '\\') || !eat(s, 'u'))
        return false;
    low = hex4(s);
    return low >= 0xdc00 && low <= 0xdfff;
}

static bool string(struct scan *s)
{
    if (!eat(s, '"'))
        return false;
    while (s->p < s->end) {
        unsigned char c = (unsigned char)*s->p++;

        if (c == '"')
            return true;
        if (c < 0x20 || (c == '\\' && !escape(s)))
            return false;
    }
    return false;
}

static bool members(struct scan *s, char close, bool named)
{
    bool ok = false;

    if (++s->depth > MU_JSON_DEPTH)
        return false;
    blanks(s);
    if (eat(s, close))
        ok = true;
    while (!ok) {
        blanks(s);
        if (named) {
            if (!string(s))
                return false;
            blanks(s);
            if (!eat(s, ':'))
                return false;
        }
        if (!value(s))
            return false;
        blanks(s);
        ok = eat(s, close);
        if (!ok && !eat(s, ','))
            return false;
    }
    s->depth--;
    return true;
}

static bool value(struct scan *s)
{
    blanks(s);
    if (s->p == s->end)
        return false;
    switch (*s->p) {
    case '{':
        s->p++;
        return members(s, '}', true);
    case '[':
        s->p++;
        return members(s, ']', false);
    case '"':
        return string(s);
    case 't':
        return literal(s, "true");
    case 'f':
        return literal(s, "false");
    case 'n':
        return literal(s, "null");
    default:
        return number(s);
    }
}

bool mu_json_ok(const char *text, size_t n)
{
    struct scan s = {.p = text, .end = text + n};

    if (!mu_utf8_valid(text, n) || !value(&s))
        return false;
    blanks(&s);
    return s.p == s.end;
}
