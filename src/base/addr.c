#include "base/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/mem.h"
#include "base/name.h"

enum { ADDR_MAX = sizeof(((struct mu_addr *)0)->text) - 1 };

/* Copies @n bytes as a string. Returns whether they fit. */
static bool put(char *out, size_t size, const char *text, size_t n)
{
    if (n >= size)
        return false;
    memcpy(out, text, n);
    out[n] = '\0';
    return true;
}

static bool all_digits(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    return n > 0;
}

/* The length of a scheme before a ':', 0 when there is none. Digits alone after the ':' are a
 * port, so that "localhost:4680" is a listener. */
static size_t scheme_len(const char *text)
{
    size_t n = 0;

    while (isalnum((unsigned char)text[n]) || (n > 0 && text[n] && strchr("+.-", text[n])))
        n++;
    if (n == 0 || text[n] != ':' || !isalpha((unsigned char)text[0]))
        return 0;
    return all_digits(text + n + 1, strlen(text + n + 1)) ? 0 : n;
}

static int read_port(struct mu_addr *addr, const char *text, size_t n, struct mu_err *err)
{
    long port = all_digits(text, n) && n <= 5 ? strtol(text, NULL, 10) : -1;

    if (port < 0 || port > 65535)
        return mu_err_set(err, MU_EINVAL, "port \"%.*s\" is not a number from 0 to 65535", (int)n,
                          text);
    addr->port = (int)port;
    return 0;
}

static bool host_valid(const char *host, size_t n, bool bracketed)
{
    const char *others = bracketed ? ":.%-_" : "-._";

    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)host[i]) && !strchr(others, host[i]))
            return false;
    return n > 0;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT of @n bytes. */
static int read_host_port(struct mu_addr *addr, const char *text, size_t n, struct mu_err *err)
{
    bool bracketed = n > 0 && text[0] == '[';
    const char *host = text + bracketed, *end = text + n;
    const char *stop = memchr(text, bracketed ? ']' : ':', n);
    size_t nhost = (size_t)((stop ? stop : end) - host);

    if (bracketed && !stop)
        return mu_err_set(err, MU_EINVAL, "']' is missing: write [V6]:PORT");
    if (stop && !bracketed && memchr(stop + 1, ':', (size_t)(end - stop) - 1))
        return mu_err_set(err, MU_EINVAL, "IPv6 needs brackets: write [V6]:PORT");
    if (!host_valid(host, nhost, bracketed))
        return mu_err_set(err, MU_EINVAL, "\"%.*s\" is not a host", (int)nhost, host);
    if (!put(addr->host, sizeof(addr->host), host, nhost))
        return mu_err_set(err, MU_EINVAL, "host is longer than %zu bytes", sizeof(addr->host) - 1);
    if (bracketed)
        stop++;
    if (!stop || stop == end)
        return 0;
    if (*stop != ':')
        return mu_err_set(err, MU_EINVAL, "':' is missing after ']': write [V6]:PORT");
    return read_port(addr, stop + 1, (size_t)(end - stop) - 1, err);
}

/* The path and the query of a URL. */
static int read_rest(struct mu_addr *addr, const char *text, struct mu_err *err)
{
    size_t npath = strcspn(text, "?");

    if (!put(addr->path, sizeof(addr->path), text, npath))
        return mu_err_set(err, MU_EINVAL, "path is longer than %zu bytes", sizeof(addr->path) - 1);
    text += npath + (text[npath] == '?');
    if (!put(addr->query, sizeof(addr->query), text, strlen(text)))
        return mu_err_set(err, MU_EINVAL, "what follows '?' is longer than %zu bytes",
                          sizeof(addr->query) - 1);
    return 0;
}

/* Whether a database server is meant: its driver reads the URL itself, with user and password. A
 * quote, or a colon that is missing, is a slip that makes its password no less secret. */
static bool is_server(const char *text)
{
    static const char *const schemes[] = {"postgres", "mysql", "mariadb"};

    text += *text == '"' || *text == '\'';

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strncasecmp(text, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

/* What follows "scheme:". */
static int read_url(struct mu_addr *addr, const char *text, struct mu_err *err)
{
    const char *user_end;
    size_t n;
    int rv;

    if (strncmp(text, "//", 2) != 0)
        return read_rest(addr, text, err);
    text += 2;
    n = strcspn(text, "/?");
    user_end = memrchr(text, '@', n);
    if (user_end) {
        n -= (size_t)(user_end + 1 - text);
        text = user_end + 1;
    }
    rv = n > 0 ? read_host_port(addr, text, n, err) : 0;
    if (rv &&
        is_server(addr->given)) { /* several hosts, a socket's folder as %2F: theirs to read */
        addr->host[0] = '\0';
        addr->port = -1;
        rv = 0;
    }
    return rv ? rv : read_rest(addr, text + n, err);
}

/* Replaces the @n bytes at @at in @text, which is no longer than before when @n >= 3. */
static void mask(char *at, size_t n)
{
    size_t stars = n < 3 ? n : 3;

    memset(at, '*', stars);
    memmove(at + stars, at + n, strlen(at + n) + 1);
}

/* user:PASSWORD@ before the host, and password=PASSWORD in the query. */
void mu_addr_mask(char *text)
{
    char *start = strstr(text, "://"), *p, *end;

    if (start || is_server(text)) {
        start = start ? start + 3 : text;
        /* A password with a / or ? that should have been %2F or %3F is secret all the same, and so
         * is what comes behind the @ of one in the query. */
        end = memrchr(start, '@', is_server(text) ? strlen(start) : strcspn(start, "/?"));
        p = end ? memchr(start, ':', (size_t)(end - start)) : NULL;
        if (p && memmem(p, (size_t)(end - p), "password=", strlen("password=")))
            end += strcspn(end, "&");
        if (p)
            mask(p + 1, (size_t)(end - p) - 1);
    }
    p = strchr(text, '?');
    while (p && (p = strstr(p, "password="))) {
        p += strlen("password="); /* may be the end */
        mask(p, strcspn(p, "&"));
    }
}

static int parse(struct mu_addr *addr, const char *text, struct mu_err *err)
{
    size_t n = scheme_len(text);
    int rv;

    addr->port = -1;
    if (n >= sizeof(addr->scheme))
        return mu_err_set(err, MU_EINVAL, "scheme is longer than %zu bytes",
                          sizeof(addr->scheme) - 1);
    for (size_t i = 0; i < n; i++)
        addr->scheme[i] = (char)tolower((unsigned char)text[i]);
    if (n > 0)
        return read_url(addr, text + n + 1, err);
    if (text[0] == '/')
        return put(addr->path, sizeof(addr->path), text, strlen(text))
                   ? 0
                   : mu_err_set(err, MU_EINVAL, "path is too long");
    rv = read_host_port(addr, text, strlen(text), err);
    if (!rv && addr->port < 0)
        rv = mu_err_set(err, MU_EINVAL, "no port: write HOST:PORT, or /PATH for a Unix socket");
    return rv;
}

/* What mu_text_check() has against @text, in which a password may be. */
static int bad_text(const char *text, struct mu_err *err)
{
    char *shown = mu_strdup(text);
    int rv = 0;

    if (shown) {
        mu_addr_mask(shown);
        rv = mu_text_check(shown, strlen(shown), ADDR_MAX, "address", err);
    }
    mu_free(shown);
    return rv ? rv
              : mu_err_set(err, MU_EINVAL,
                           "address: its password makes it longer than %d bytes, or has a "
                           "character that is not allowed: write its bytes as %%XX",
                           ADDR_MAX);
}

int mu_addr_parse(struct mu_addr *out, const char *text, struct mu_err *err)
{
    struct mu_addr addr = {0};
    int rv;

    if (mu_text_check(text, strlen(text), ADDR_MAX, "address", NULL))
        return bad_text(text, err);
    strcpy(addr.given, text);
    strcpy(addr.text, text);
    mu_addr_mask(addr.text);
    rv = parse(&addr, text, err);
    if (rv)
        return mu_err_wrap(err, rv, "address \"%s\"", addr.text);
    *out = addr;
    return 0;
}

static int unix_sockaddr(const struct mu_addr *addr, struct sockaddr_storage *out, socklen_t *len,
                         struct mu_err *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)out;

    if (!put(un->sun_path, sizeof(un->sun_path), addr->path, strlen(addr->path)))
        return mu_err_set(err, MU_EINVAL,
                          "address \"%s\": a Unix socket's path has at most %zu bytes", addr->text,
                          sizeof(un->sun_path) - 1);
    un->sun_family = AF_UNIX;
    *len = sizeof(*un);
    return 0;
}

int mu_addr_sockaddr(const struct mu_addr *addr, struct sockaddr_storage *out, socklen_t *len,
                     struct mu_err *err)
{
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (addr->host[0] == '\0' && addr->path[0] == '/')
        return unix_sockaddr(addr, out, len, err);
    if (addr->port < 0)
        return mu_err_set(err, MU_EINVAL, "address \"%s\" has no port", addr->text);
    if (inet_pton(AF_INET, addr->host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)addr->port);
        *len = sizeof(*in);
        return 0;
    }
    if (inet_pton(AF_INET6, addr->host, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)addr->port);
        *len = sizeof(*in6);
        return 0;
    }
    return mu_err_set(err, MU_EINVAL,
                      "address \"%s\": \"%s\" is a name; write its number, as 127.0.0.1 or [::1]",
                      addr->text, addr->host);
}

bool mu_addr_is_loopback(const struct mu_addr *addr)
{
    struct in6_addr in6;
    struct in_addr in;

    if (addr->host[0] == '\0')
        return addr->path[0] == '/';
    if (strcasecmp(addr->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, addr->host, &in) == 1)
        return ntohl(in.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, addr->host, &in6) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&in6) || (IN6_IS_ADDR_V4MAPPED(&in6) && in6.s6_addr[12] == 127);
}

static bool is_any(const char *host)
{
    struct in6_addr in6;
    struct in_addr in;

    return (inet_pton(AF_INET, host, &in) == 1 && in.s_addr == htonl(INADDR_ANY)) ||
           (inet_pton(AF_INET6, host, &in6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&in6));
}

bool mu_addr_collide(const struct mu_addr *a, const struct mu_addr *b)
{
    struct sockaddr_storage sa, sb;
    socklen_t na = 0, nb = 0;

    if (mu_addr_sockaddr(a, &sa, &na, NULL) || mu_addr_sockaddr(b, &sb, &nb, NULL) ||
        sa.ss_family != sb.ss_family)
        return false;
    if (sa.ss_family == AF_UNIX)
        return strcmp(a->path, b->path) == 0;
    if (a->port != b->port || a->port == 0)
        return false;
    return is_any(a->host) || is_any(b->host) || memcmp(&sa, &sb, na) == 0;
}

char *mu_addr_text_of(const struct sockaddr *sa, socklen_t len, char *out, size_t size)
{
    char host[INET6_ADDRSTRLEN];

    if (sa->sa_family == AF_INET && len >= (socklen_t)sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        snprintf(out, size, "%s:%u", host, ntohs(in->sin_port));
    } else if (sa->sa_family == AF_INET6 && len >= (socklen_t)sizeof(struct sockaddr_in6)) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
        snprintf(out, size, "[%s]:%u", host, ntohs(in6->sin6_port));
    } else if (sa->sa_family == AF_UNIX) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)sa;
        size_t n = len - (socklen_t)offsetof(struct sockaddr_un, sun_path);
        bool unnamed = len <= (socklen_t)offsetof(struct sockaddr_un, sun_path);
        bool abstract = !unnamed && un->sun_path[0] == '\0';
        snprintf(out, size, "%s%.*s",
                 unnamed    ? "unix"
                 : abstract ? "@"
                            : "",
                 unnamed ? 0 : (int)n - abstract, un->sun_path + abstract);
    } else {
        snprintf(out, size, "?");
    }
    return out;
}
