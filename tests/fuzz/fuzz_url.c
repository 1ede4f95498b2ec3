/* Paths, queries and page tokens: whatever is taken apart has parts that are UTF-8 without a NUL,
 * and in order; a name's token reads back as the name. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/utf8.h"
#include "http/guard.h"
#include "http/token.h"
#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(const struct mu_url *url, const char *part)
{
    if (part < url->text || part >= url->text + sizeof(url->text) ||
        !mu_utf8_valid(part, strlen(part)))
        abort();
}

static void check_token(const char *text)
{
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];
    char binary2[MU_NAME_PART_MAX + 1], host2[MU_NAME_PART_MAX + 1];
    struct mu_buf token;

    mu_token_read(text, binary, host); /* any rubbish */
    if (mu_name_parse(text, binary, host, NULL) != 0)
        return;
    mu_buf_init(&token, 0);
    mu_token_write(&token, text);
    if (mu_token_read(mu_buf_text(&token), binary2, host2) != 0 || strcmp(binary, binary2) ||
        strcmp(host, host2))
        abort();
    mu_buf_fini(&token);
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
    check_token(raw);
    mu_guard_host(raw, "10.0.0.1", raw);
    mu_guard_origin(raw, raw);
    mu_guard_accepts(raw, "application/json");
    free(raw);
    return 0;
}
