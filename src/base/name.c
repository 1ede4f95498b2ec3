#include "base/name.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

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
        else if (!mu_utf8_visible(cp))
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
        int len;

        if (text[at] >= ' ' && text[at] <= '~') { /* at a start, a million rows of it */
            at++;
            continue;
        }
        len = mu_utf8_next(text + at, n - at, &cp);
        if (len == 0)
            return mu_err_set(err, MU_EINVAL, "%s \"%s\": byte %zu is not valid UTF-8", what,
                              shown(text, n, buf), at + 1);
        if (!mu_utf8_visible(cp))
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
