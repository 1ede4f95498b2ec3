/* In the order of a start, so that the first error is the same. */
#include "daemon/check.h"

#include "daemon/rooms.h"
#include "daemon/secret.h"

static int check_store(const char *text, struct mu_err *err)
{
    const struct mu_store_driver *driver;
    struct mu_addr addr;
    int rv = mu_addr_parse(&addr, text, err);

    return rv ? rv : mu_store_driver_for(&addr, &driver, err);
}

int mu_check_start(const struct mu_config *config, struct mu_err *err)
{
    int rv = check_store(config->store, err);

    if (!rv)
        rv = mu_secret_check(config->secret_file, err);
    if (!rv && *config->token_file)
        rv = mu_secret_check_token(config->token_file,
                                   sizeof(((struct mu_conductor_config *)0)->token), err);
    return rv ? rv : mu_rooms_check_paths(config, err);
}
