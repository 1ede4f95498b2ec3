#include "base/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The folder of the program. Whoever can write there can replace the program itself. */
static bool own_folder(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);

    if (n <= 0)
        return false;
    out[n] = '\0';
    char *slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    return slash != NULL;
}

/* *@found says whether there is such a file in @folder; @path is its place. */
static int look(const char *folder, const char *kind, const char *name, char path[PATH_MAX],
                bool *found, struct mu_err *err)
{
    if (snprintf(path, PATH_MAX, "%s/muster-%s-%s.so", folder, kind, name) >= PATH_MAX)
        return mu_err_set(err, MU_EINVAL, "the path of plugins is longer than %d bytes", PATH_MAX);
    *found = access(path, F_OK) == 0;
    if (!*found && errno != ENOENT && errno != ENOTDIR)
        return mu_err_set(err, MU_EIO, "plugin %s: %s", path, strerror(errno));
    return 0;
}

static int find(const char *kind, const char *name, char path[PATH_MAX], struct mu_err *err)
{
    const char *told = secure_getenv("MUSTER_PLUGIN_DIR");
    char own[PATH_MAX];
    bool found = false;
    int rv = 0;

    if (told && *told != '/')
        return mu_err_set(err, MU_EINVAL,
                          "$MUSTER_PLUGIN_DIR is \"%s\"; write a folder that begins with /", told);
    if (told)
        rv = look(told, kind, name, path, &found, err);
    else if (own_folder(own))
        rv = look(own, kind, name, path, &found, err);
    if (!rv && !found && !told)
        rv = look(MUSTER_PLUGIN_DIR, kind, name, path, &found, err);
    if (rv || found)
        return rv;
    return mu_err_set(err, MU_ENOENT,
                      "the plugin muster-%s-%s.so is not in %s; install it, or name its folder in"
                      " $MUSTER_PLUGIN_DIR",
                      kind, name, told ? told : MUSTER_PLUGIN_DIR);
}

static int check(const struct mu_plugin *plugin, const char *kind, uint32_t abi, const char *path,
                 struct mu_err *err)
{
    if (plugin->abi != abi)
        return mu_err_set(err, MU_EVERSION,
                          "plugin %s belongs to another muster: its interface is number %u, this"
                          " program's is %u; install both from one version",
                          path, plugin->abi, abi);
    if (strcmp(plugin->kind, kind) != 0)
        return mu_err_set(err, MU_EVERSION, "plugin %s is of kind %s, not %s", path, plugin->kind,
                          kind);
    return 0;
}

/* dlerror() names the file, or the library that it lacks. */
int mu_plugin_load(const char *kind, const char *name, uint32_t abi, const void **driver,
                   struct mu_err *err)
{
    char path[PATH_MAX];
    int rv = find(kind, name, path, err);

    if (rv)
        return rv;
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module)
        return mu_err_set(err, MU_EIO, "plugin %s cannot be loaded: %s", path, dlerror());
    const struct mu_plugin *plugin = dlsym(module, "muster_plugin");
    if (!plugin)
        return mu_err_set(err, MU_EVERSION, "%s is no plugin of muster", path);
    rv = check(plugin, kind, abi, path, err);
    if (!rv)
        *driver = plugin->driver;
    return rv;
}
