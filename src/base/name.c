#include "base/name.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

/* What may stand in no name and no text: it is invisible, or changes how its neighbours look. */
static const struct range {
    uint32_t first, last;
} forbidden[] = {
    {0x0000, 0x001F},   /* C0 controls */
    {0x007F, 0x009F},   /* DEL, C1 controls */
    {0x00AD, 0x00AD},   /* soft hyphen: zero width */
    {0x034F, 0x034F},   /* combining grapheme joiner: zero width */
    {0x061C, 0x061C},   /* Arabic letter mark: bidi */
    {0x180E, 0x180E},   /* Mongolian vowel separator: zero width */
    {0x200B, 0x200F},   /* zero width space, joiners; left-to-right and right-to-left marks */
    {0x2028, 0x202E},   /* line and paragraph separators; bidi embeddings and overrides */
    {0x2060, 0x206F},   /* word joiner, invisible operators; bidi isolates; format controls */
    {0xFEFF, 0xFEFF},   /* zero width no-break space */
    {0xE0000, 0xE007F}, /* tags: zero width */
};

/* The length of a character that begins with @byte; 0 when none does. */
static int length_from(uint8_t byte)
{
    if (byte < 0x80)
        return 1;
    if (byte < 0xC0 || byte >= 0xF8)
        return 0;
    return byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

int mu_utf8_next(const char *text, size_t n, uint32_t *out)
{
    const uint8_t *p = (const uint8_t *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* below it: overlong */
    uint32_t cp;
    int len;

    if (n == 0)
        return 0;
    len = length_from(p[0]);
    if (len == 0 || (size_t)len > n)
        return 0;
    cp = len == 1 ? p[0] : p[0] & (0x7FU >> len);
    for (int i = 1; i < len; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        cp = cp << 6 | (p[i] & 0x3F);
    }
    if (cp < least[len] || cp > 0x10FFFF || (cp >= 0xD800 && cp <= 0xDFFF))
        return 0;
    *out = cp;
    return len;
}

int mu_utf8_valid(const char *text, size_t n)
{
    uint32_t cp;
    int len;

    for (; n > 0; text += len, n -= (size_t)len)
        if (!(len = mu_utf8_next(text, n, &cp)))
            return 0;
    return 1;
}

int mu_text_visible(uint32_t cp)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(forbidden); i++)
        if (cp >= forbidden[i].first && cp <= forbidden[i].last)
            return 0;
    return 1;
}

#define SHOWN 160 /* bytes of a wrong text in an error, at least: 40 characters as they are */

/* @text for an error: what may not be shown as \uXXXX or \xXX, cut when long. */
static const char *shown(const char *text, size_t n, char out[SHOWN])
{
    size_t at = 0;

    out[0] = '\0';
    while (n > 0 && at < SHOWN - 16) {
        uint32_t cp;
        int len = mu_utf8_next(text, n, &cp);
        if (len == 0)
            at += (size_t)snprintf(out + at, SHOWN - at, "\\x%02X", (unsigned char)*text);
        else if (!mu_text_visible(cp))
            at += (size_t)snprintf(out + at, SHOWN - at, "\\u%04X", (unsigned)cp);
        else
            at += (size_t)snprintf(out + at, SHOWN - at, "%.*s", len, text);
        text += len ? len : 1;
        n -= (size_t)(len ? len : 1);
    }
    if (n > 0)
        strcpy(out + at, "...");
    return out;
}

int mu_text_check(const char *text, size_t n, size_t max, const char *what, struct mu_err *err)
{
    char buf[SHOWN];

    if (n > max)
        return mu_err_set(err, MU_EINVAL, "%s \"%s\": %zu bytes; at most %zu are allowed", what,
                          shown(text, n, buf), n, max);
    for (size_t at = 0; at < n;) {
        uint32_t cp;
        int len = mu_utf8_next(text + at, n - at, &cp);
        if (len == 0)
            return mu_err_set(err, MU_EINVAL, "%s \"%s\": byte %zu is not valid UTF-8", what,
                              shown(text, n, buf), at + 1);
        if (!mu_text_visible(cp))
            return mu_err_set(err, MU_EINVAL,
                              "%s \"%s\": U+%04X is not allowed: control, bidi or zero-width "
                              "character; leave it out",
                              what, shown(text, n, buf), (unsigned)cp);
        at += (size_t)len;
    }
    return 0;
}

int mu_name_check(const char *part, size_t n, int is_binary, struct mu_err *err)
{
    const char *what = is_binary ? "binary" : "host";
    char buf[SHOWN];
    int rv;

    if (n == 0)
        return mu_err_set(err, MU_EINVAL, "%s is empty: a name is BINARY@HOST", what);
    rv = mu_text_check(part, n, MU_NAME_PART_MAX, what, err);
    if (rv)
        return rv;
    if (memchr(part, '/', n))
        return mu_err_set(err, MU_EINVAL, "%s \"%s\": '/' is not allowed", what,
                          shown(part, n, buf));
    if (is_binary && memchr(part, '@', n))
        return mu_err_set(err, MU_EINVAL, "%s \"%s\": '@' is not allowed", what,
                          shown(part, n, buf));
    return 0;
}

int mu_name_parse(const char *text, char *binary, char *host, struct mu_err *err)
{
    const char *at = strchr(text, '@');
    char buf[SHOWN];
    size_t nbinary, nhost;
    int rv;

    if (!at)
        return mu_err_set(err, MU_EINVAL, "name \"%s\" has no '@': write BINARY@HOST",
                          shown(text, strlen(text), buf));
    nbinary = (size_t)(at - text);
    nhost = strlen(at + 1);
    rv = mu_name_check(text, nbinary, 1, err);
    if (!rv)
        rv = mu_name_check(at + 1, nhost, 0, err);
    if (rv)
        return rv;
    memcpy(binary, text, nbinary);
    binary[nbinary] = '\0';
    memcpy(host, at + 1, nhost + 1);
    return 0;
}
