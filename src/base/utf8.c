#include "base/utf8.h"

#include "base/mem.h"

/* What may stand in no name and no text: it is invisible, or changes how its neighbours look; in
 * order. */
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

int mu_utf8_visible(uint32_t cp)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(forbidden); i++)
        if (cp <= forbidden[i].last)
            return cp < forbidden[i].first;
    return 1;
}
