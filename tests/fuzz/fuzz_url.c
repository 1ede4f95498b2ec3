/* Paths and queries: whatever is taken apart has parts that are UTF-8 without a NUL, and in order.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "http/guard.h"
#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(const struct mu_url *url, const char *part)
{
    if (part < url->text || part >= url->text + sizeof(url->text) ||
        !mu_utf8_valid(part, strlen(part)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *raw = malloc(size + 1);
    struct mu_err err = {0};
    struct mu_url url;

    if (!raw)
        return 0;
    memcpy(raw, data, size);
    raw[size] = '\0';
    if (mu_url_parse(&url, raw, &err) == 0) {
        for (size_t i = 0; i < url.nsegments; i++) {
            check_part(&url, url.segment[i]);
            if (strchr(url.segment[i], '/'))
                abort();
        }
        for (size_t i = 0; i < url.nparams; i++) {
            check_part(&url, url.param[i].key);
            check_part(&url, url.param[i].value);
            if (mu_url_param(&url, url.param[i].key) != url.param[i].value)
                abort();
        }
    } else if (!err.text[0]) {
        abort();
    }
    mu_guard_host(raw, "10.0.0.1", raw);
    mu_guard_origin(raw, raw);
    mu_guard_accepts(raw, "application/json");
    free(raw);
    return 0;
}
