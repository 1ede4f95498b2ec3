/* RFC 4648, section 5, without padding. */
#include "http/token.h"

#include <string.h>

#include "base/name.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void mu_token_write(struct mu_buf *out, const char *name)
{
    uint32_t bits = 0;
    unsigned n = 0;

    for (; *name; name++) {
        bits = bits << 8 | (unsigned char)*name;
        for (n += 8; n >= 6; n -= 6)
            mu_buf_u8(out, (uint8_t)alphabet[bits >> (n - 6) & 63]);
    }
    if (n)
        mu_buf_u8(out, (uint8_t)alphabet[bits << (6 - n) & 63]);
}

int mu_token_read(const char *token, char *binary, char *host)
{
    char name[MU_NAME_TEXT];
    size_t len = 0;
    uint32_t bits = 0;
    unsigned n = 0;

    for (; *token; token++) {
        const char *at = strchr(alphabet, *token);

        if (!at || len + 1 >= sizeof(name))
            return MU_EINVAL;
        bits = bits << 6 | (uint32_t)(at - alphabet);
        n += 6;
        if (n >= 8) {
            n -= 8;
            name[len] = (char)(bits >> n & 255);
            if (name[len++] == '\0')
                return MU_EINVAL;
        }
    }
    name[len] = '\0';
    return mu_name_parse(name, binary, host, NULL);
}
