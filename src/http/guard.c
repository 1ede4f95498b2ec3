#include "http/guard.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Splits off the port and the brackets. Returns false for what is no host. */
static bool host_name(const char *host, char *out, size_t size)
{
    const char *end;
    size_t n;

    if (*host == '[') {
        host++;
        end = strchr(host, ']');
        if (!end || (end[1] && end[1] != ':'))
            return false;
    } else {
        end = host + strcspn(host, ":");
    }
    n = (size_t)(end - host);
    if (!n || n >= size)
        return false;
    memcpy(out, host, n);
    out[n] = '\0';
    return true;
}

static bool same_address(const char *a, const char *b)
{
    unsigned char x[16], y[16];

    if (inet_pton(AF_INET, a, x) == 1)
        return inet_pton(AF_INET, b, y) == 1 && memcmp(x, y, 4) == 0;
    return inet_pton(AF_INET6, a, x) == 1 && inet_pton(AF_INET6, b, y) == 1 &&
           memcmp(x, y, 16) == 0;
}

static bool is_loopback(const char *name)
{
    unsigned char v4[4];

    if (inet_pton(AF_INET, name, v4) == 1)
        return v4[0] == 127;
    return strcasecmp(name, "localhost") == 0 || strcasecmp(name, "localhost.") == 0 ||
           same_address(name, "::1");
}

static bool in_list(const char *names, const char *name)
{
    size_t len = strlen(name);

    while (*names) {
        names += strspn(names, ", ");
        if (strcspn(names, ", ") == len && strncasecmp(names, name, len) == 0)
            return true;
        names += strcspn(names, ", ");
    }
    return false;
}

bool mu_guard_host(const char *host, const char *local, const char *names)
{
    char name[256];

    if (!host_name(host, name, sizeof(name)))
        return false;
    return is_loopback(name) || same_address(name, local) || (names && in_list(names, name));
}

bool mu_guard_origin(const char *origin, const char *host)
{
    if (strncasecmp(origin, "http://", 7) == 0)
        origin += 7;
    else if (strncasecmp(origin, "https://", 8) == 0)
        origin += 8;
    else
        return false;
    return strcasecmp(origin, host) == 0;
}

/* The bytes of a media range that @type must begin with, or be: "*" of "*" "/" "*" is none. */
static bool range_matches(const char *range, size_t n, const char *type)
{
    if (n == 3 && strncmp(range, "*/*", 3) == 0)
        return true;
    if (n > 2 && range[n - 1] == '*' && range[n - 2] == '/')
        return strncasecmp(range, type, n - 1) == 0;
    return n == strlen(type) && strncasecmp(range, type, n) == 0;
}

/* Whether the parameters at @p, up to a comma, say q=0: "not this one". */
static bool is_refused(const char *p)
{
    size_t n = strcspn(p, ",");

    for (const char *at = p; at < p + n; at++)
        if (*at == ';') {
            const char *q = at + 1 + strspn(at + 1, " \t");
            if ((*q == 'q' || *q == 'Q') && q[1] == '=')
                return strtod(q + 2, NULL) <= 0;
        }
    return false;
}

bool mu_guard_accepts(const char *accept, const char *type)
{
    if (!accept || !accept[strspn(accept, " \t")])
        return true;
    while (*accept) {
        size_t n;

        accept += strspn(accept, ", \t");
        n = strcspn(accept, ";, \t");
        if (n && range_matches(accept, n, type) && !is_refused(accept))
            return true;
        accept += strcspn(accept, ",");
    }
    return false;
}

bool mu_guard_is_type(const char *header, const char *type)
{
    return header && strcspn(header, "; \t") == strlen(type) &&
           strncasecmp(header, type, strlen(type)) == 0;
}
