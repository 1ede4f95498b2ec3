#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "fleet/row.h"

struct mu_ident *mu_ident_new(const uint8_t uuid[16], const char *binary, const char *host)
{
    size_t nbinary = strlen(binary) + 1, nhost = strlen(host) + 1;
    struct mu_ident *ident = mu_alloc(sizeof(*ident) + nbinary + nhost);
    char *text;

    if (!ident)
        return NULL;
    text = (char *)(ident + 1);
    memcpy(text, binary, nbinary);
    memcpy(text + nbinary, host, nhost);
    ident->refs = 1;
    memcpy(ident->uuid, uuid, sizeof(ident->uuid));
    ident->binary = text;
    ident->host = text + nbinary;
    return ident;
}

struct mu_ident *mu_ident_ref(struct mu_ident *ident)
{
    ident->refs++;
    return ident;
}

void mu_ident_unref(struct mu_ident *ident)
{
    if (!ident)
        return;
    assert(ident->refs > 0);
    if (--ident->refs == 0)
        mu_free(ident);
}
