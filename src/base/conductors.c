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

int mu_conductors_parse(struct mu_conductors *out, const char *text, struct mu_err *err)
{
    struct mu_conductors ours = {0}, foreign = {0};
    const char *p = text && *text ? text : "127.0.0.1:4680";

    for (;;) {
        size_t n = strcspn(p, ",");
        struct mu_addr addr;
        bool is_foreign = false;
        struct mu_conductors *list;
        int rv = read_entry(&addr, p, n, &is_foreign, err);

        if (rv)
            return rv;
        list = is_foreign ? &foreign : &ours;
        if (list->n == MU_CONDUCTORS_MAX)
            return mu_err_set(err, MU_EINVAL, "more than %d conductors", MU_CONDUCTORS_MAX);
        list->addrs[list->n++] = addr;
        p += n;
        if (*p++ == '\0')
            break;
    }
    *out = ours.n ? ours : foreign;
    return 0;
}
