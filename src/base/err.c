#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

const char *muster_strerror(int code)
{
    switch (code) {
    case MU_OK:
        return "no error";
#define CASE(name, value, text)                                                                    \
    case name:                                                                                     \
        return text;
        MUSTER_ERRORS(CASE)
#undef CASE
    default:
        return "unknown error";
    }
}

/* Stores @text, cut where it is too long, but no character of UTF-8 in half. What others wrote may
 * be quoted in it: all that is no text for one line of a terminal becomes '?'. */
static void store(struct mu_err *err, int code, char *text)
{
    size_t n = strlen(text);

    if (n >= MU_ERR_TEXT_MAX) {
        n = MU_ERR_TEXT_MAX - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
        text[n] = '\0';
    }
    for (size_t at = 0; at < n;) {
        uint32_t cp = 0;
        int len = mu_utf8_next(text + at, n - at, &cp);

        if (!mu_utf8_visible(cp))
            memset(text + at, '?', len ? (size_t)len : 1);
        at += len ? (size_t)len : 1;
    }
    err->code = code;
    memcpy(err->text, text, n + 1);
}

int mu_err_set(struct mu_err *err, int code, const char *fmt, ...)
{
    char text[MU_ERR_TEXT_MAX + 1]; /* a byte more, to see where the cut character began */
    va_list args;

    if (!err)
        return code;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args); /* apart from err->text, which may be an argument */
    va_end(args);
    store(err, code, text);
    return code;
}

int mu_err_wrap(struct mu_err *err, int code, const char *fmt, ...)
{
    char text[2 * MU_ERR_TEXT_MAX + 1];
    va_list args;
    size_t n;

    if (!err)
        return code;
    va_start(args, fmt);
    vsnprintf(text, MU_ERR_TEXT_MAX, fmt, args);
    va_end(args);
    n = strlen(text);
    snprintf(text + n, sizeof(text) - n, ": %s", err->text[0] ? err->text : muster_strerror(code));
    store(err, code, text);
    return code;
}
