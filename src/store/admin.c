#include "store/admin.h"

#include "store/store.h"

static int find(const char *url, struct mu_addr *addr, const struct mu_store_driver **driver,
                struct mu_err *err)
{
    int rv = mu_addr_parse(addr, url, err);

    return rv ? rv : mu_store_driver_for(addr, driver, err);
}

static int told(int rv, const struct mu_addr *addr, struct mu_err *err)
{
    return rv ? mu_err_wrap(err, rv, "store %s", addr->text) : 0;
}

int mu_store_status(const char *url, struct mu_store_status *out, struct mu_err *err)
{
    const struct mu_store_driver *driver;
    struct mu_addr addr;
    int rv = find(url, &addr, &driver, err);

    return rv ? rv : told(driver->status(&addr, out, err), &addr, err);
}

int mu_store_upgrade(const char *url, uint32_t *from, uint32_t *to, struct mu_err *err)
{
    const struct mu_store_driver *driver;
    struct mu_addr addr;
    int rv = find(url, &addr, &driver, err);

    return rv ? rv : told(driver->upgrade(&addr, from, to, err), &addr, err);
}

int mu_store_backup(const char *url, const char *path, struct mu_err *err)
{
    const struct mu_store_driver *driver;
    struct mu_addr addr;
    int rv = find(url, &addr, &driver, err);

    return rv ? rv : told(driver->backup(&addr, path, err), &addr, err);
}
