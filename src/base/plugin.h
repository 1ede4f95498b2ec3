/* plugin.h - one loader for drivers that are modules of their own, so that nobody has to install
 * the libraries of a database that he does not use.
 *
 * A plugin is the file muster-KIND-NAME.so with one public symbol. It is linked with its own copy
 * of the rooms that it needs, and needs no symbol of the program. What crosses are the driver's
 * calls and the structs in them; memory that crosses is malloc()'s on both sides.
 *
 * It is looked for in $MUSTER_PLUGIN_DIR alone where that is set, else beside the program (a build
 * tree), else in muster's folder of the system's libraries. Nothing relative to where a program
 * happens to be started is ever loaded, and a program with more rights than its user does not
 * listen to his environment. */
#ifndef MU_BASE_PLUGIN_H
#define MU_BASE_PLUGIN_H

#include <stdint.h>

#include "base/err.h"

struct mu_plugin {
    uint32_t abi; /* of that kind's driver.h */
    const char *kind;
    const void *driver;
};

/* Ends a plugin's file: MU_PLUGIN("store", MU_STORE_ABI, mu_store_postgresql). */
#define MU_PLUGIN(kind_, abi_, driver_)                                                            \
    __attribute__((visibility("default"))) extern const struct mu_plugin muster_plugin;            \
    const struct mu_plugin muster_plugin = {.abi = (abi_), .kind = (kind_), .driver = &(driver_)}

/* Loads muster-@kind-@name.so; it stays until the end of the process. @name is a constant of the
 * caller, never from outside. MU_ENOENT when there is none, MU_EVERSION when it belongs to another
 * muster, MU_EINVAL or MU_EIO. */
int mu_plugin_load(const char *kind, const char *name, uint32_t abi, const void **driver,
                   struct mu_err *err);

#endif
