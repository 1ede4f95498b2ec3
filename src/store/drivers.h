/* drivers.h - the drivers that are built in; store.c alone names them in its table. */
#ifndef MU_STORE_DRIVERS_H
#define MU_STORE_DRIVERS_H

#include "store/driver.h"

extern const struct mu_store_driver mu_store_memory;
extern const struct mu_store_driver mu_store_sqlite;

#endif
