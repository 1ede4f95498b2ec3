#include "base/conductors.h"

#include <string.h>

static bool is_http(const struct mu_addr *addr)
{
    return strcmp(addr->scheme, "http") == 0 || strcmp(addr->scheme, "https") == 0;
}

/* Reads one entry; *@foreign says that it is HTTP's. */
static int read_entry(struct mu_addr *addr, const char *p, size_t n, bool *foreign,
                      struct mu_err *err)
{
    char text[sizeof(addr->text)];
    int rv;

    if (n >= sizeof(text))
        return mu_err_set(err, MU_EINVAL, "conductor address of %zu bytes: too long", n);
    memcpy(text, p, n);
    text[n] = '\0';
    rv = mu_addr_parse(addr, text, err);
    if (rv)
        return rv;
    *foreign = is_http(addr);
    if (addr->scheme[0] && !*foreign && strcmp(addr->scheme, "muster") != 0)
        return mu_err_set(
            err, MU_EINVAL,
            "conductor %s: scheme '%s' is not known; write muster://HOST:PORT or a path", text,
            addr->scheme);
    if (addr->host[0] == '\0' && (addr->path[0] != '/' || *foreign))
        return mu_err_set(err, MU_EINVAL,
                          "conductor %s: no host; write muster://HOST:PORT or a path", text);
    if (addr->port < 0 || *foreign)
        addr->port = MU_AGENTS_PORT;
    return 0;
}

/* Hands those of HTTP or the others to @fn, where there is one. @n counts both kinds. */
static int walk(const char *p, bool http, mu_conductor_fn fn, void *ctx, size_t n[2],
                struct mu_err *err)
{
    struct mu_addr addr;
    size_t len;

    for (;; p += len + 1) {
        bool foreign = false;
        int rv;

        len = strcspn(p, ",");
        rv = read_entry(&addr, p, len, &foreign, err);
        if (rv)
            return rv;
        if (n[foreign]++ == MU_CONDUCTORS_MAX)
            return mu_err_set(err, MU_EINVAL, "more than %d conductors", MU_CONDUCTORS_MAX);
        if (fn && foreign == http)
            fn(ctx, &addr);
        if (p[len] == '\0')
            return 0;
    }
}

int mu_conductors_each(const char *text, mu_conductor_fn fn, void *ctx, struct mu_err *err)
{
    const char *list = text && *text ? text : "127.0.0.1:4680";
    size_t n[2] = {0}, again[2] = {0};
    int rv = walk(list, false, NULL, NULL, n, err);

    return rv ? rv : walk(list, n[false] == 0, fn, ctx, again, err);
}

static void put(void *ctx, const struct mu_addr *addr)
{
    struct mu_conductors *list = ctx;

    list->addrs[list->n++] = *addr;
}

int mu_conductors_parse(struct mu_conductors *out, const char *text, struct mu_err *err)
{
    struct mu_conductors list = {0};
    int rv = mu_conductors_each(text, put, &list, err);

    if (rv == 0)
        *out = list;
    return rv;
}
