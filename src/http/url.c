#include "http/url.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decodes the @n bytes at @in to *@at, which moves behind their NUL. Returns why not, or NULL. */
static const char *decode(const char *in, size_t n, bool query, char **at)
{
    char *out = *at;

    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)in[i];

        if (c == '%') {
            int hi = i + 2 < n ? hex(in[i + 1]) : -1, lo = i + 2 < n ? hex(in[i + 2]) : -1;
            if (hi < 0 || lo < 0)
                return "has a % that is not followed by two hexadecimal digits";
            c = hi << 4 | lo;
            i += 2;
            if (c == 0)
                return "contains %00";
            if (c == '/' && !query)
                return "contains %2F; no name has a slash";
        } else if (c == '+' && query) {
            c = ' ';
        } else if (c <= 0x20 || c == 0x7f || c == '#') {
            return "contains a character that must be percent-encoded";
        }
        *out++ = (char)c;
    }
    *out = '\0';
    if (!mu_utf8_valid(*at, (size_t)(out - *at)))
        return "is not UTF-8";
    *at = out + 1;
    return NULL;
}

/* A part of a request in an error: shortened, and harmless on a terminal. */
static const char *quote(const char *in, size_t n, char out[64])
{
    size_t i;

    for (i = 0; i < n && i < 60; i++)
        out[i] = in[i] > 0x20 && in[i] < 0x7f ? in[i] : '?';
    strcpy(out + i, i < n ? "..." : "");
    return out;
}

static int parse_path(struct mu_url *url, const char *raw, size_t n, char **at, struct mu_err *err)
{
    const char *end = raw + n;
    char shown[64];

    if (*raw != '/')
        return mu_err_set(err, MU_EINVAL, "path \"%s\" does not begin with a slash",
                          quote(raw, n, shown));
    while (raw < end) {
        const char *start = raw + 1, *why, *slash = memchr(start, '/', (size_t)(end - start));
        size_t len = (size_t)((slash ? slash : end) - start);

        if (url->nsegments == MU_URL_SEGMENTS)
            return mu_err_set(err, MU_EINVAL, "path has more than %d segments", MU_URL_SEGMENTS);
        url->segment[url->nsegments++] = *at;
        why = decode(start, len, false, at);
        if (why)
            return mu_err_set(err, MU_EINVAL, "path segment %zu, \"%s\", %s", url->nsegments,
                              quote(start, len, shown), why);
        raw = start + len;
    }
    return 0;
}

static int parse_param(struct mu_url *url, const char *raw, size_t n, char **at, struct mu_err *err)
{
    const char *eq = memchr(raw, '=', n), *why;
    size_t klen = eq ? (size_t)(eq - raw) : n;
    struct mu_param *param = &url->param[url->nparams];
    char shown[64];

    if (url->nparams == MU_URL_PARAMS)
        return mu_err_set(err, MU_ERANGE, "query has more than %d parameters", MU_URL_PARAMS);
    param->key = *at;
    why = decode(raw, klen, true, at);
    if (!why) {
        param->value = *at;
        why = eq ? decode(eq + 1, n - klen - 1, true, at) : decode("", 0, true, at);
    }
    if (why)
        return mu_err_set(err, MU_ERANGE, "query parameter \"%s\" %s", quote(raw, n, shown), why);
    if (mu_url_param(url, param->key))
        return mu_err_set(err, MU_ERANGE, "query parameter \"%s\" is given twice",
                          quote(raw, klen, shown));
    url->nparams++;
    return 0;
}

int mu_url_parse(struct mu_url *url, const char *raw, struct mu_err *err)
{
    size_t n = strlen(raw), path = strcspn(raw, "?");
    char *at = url->text;
    int rv;

    url->nsegments = url->nparams = 0;
    if (n > MU_URL_MAX)
        return mu_err_set(err, MU_EFULL, "path and query have %zu bytes, at most %d are allowed", n,
                          MU_URL_MAX);
    rv = parse_path(url, raw, path, &at, err);
    for (const char *p = raw + path; !rv && *p; p += strcspn(p, "&")) {
        p++; /* the ? or & */
        if (*p && *p != '&')
            rv = parse_param(url, p, strcspn(p, "&"), &at, err);
    }
    return rv;
}

const char *mu_url_param(const struct mu_url *url, const char *key)
{
    for (size_t i = 0; i < url->nparams; i++)
        if (strcmp(url->param[i].key, key) == 0)
            return url->param[i].value;
    return NULL;
}
