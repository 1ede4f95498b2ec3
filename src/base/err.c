#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

const char *mu_err_name(int code)
{
    switch (code) {
    case MU_OK:
        return "MU_OK";
#define CASE(name, value, text)                                                                    \
    case name:                                                                                     \
        return #name;
        MUSTER_ERRORS(CASE)
#undef CASE
    default:
        return "MU_E?";
    }
}

/* Cuts @text to @max bytes, and no character of UTF-8 in half. */
static void cut(char *text, size_t max)
{
    size_t n = strlen(text);

    if (n <= max)
        return;
    n = max;
    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    text[n] = '\0';
}

#define MAX (MU_ERR_TEXT_MAX - 1)

int mu_err_set(struct mu_err *err, int code, const char *fmt, ...)
{
    char text[MU_ERR_TEXT_MAX + 1]; /* a byte more, to see where the cut character began */
    va_list args;

    if (!err)
        return code;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args); /* apart from err->text, which may be an argument */
    va_end(args);
    cut(text, MAX);
    err->code = code;
    memcpy(err->text, text, strlen(text) + 1);
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
    vsnprintf(text, MU_ERR_TEXT_MAX + 1, fmt, args);
    va_end(args);
    cut(text, MAX);
    n = strlen(text);
    snprintf(text + n, sizeof(text) - n, ": %s", err->text[0] ? err->text : muster_strerror(code));
    cut(text, MAX);
    err->code = code;
    memcpy(err->text, text, strlen(text) + 1);
    return code;
}
