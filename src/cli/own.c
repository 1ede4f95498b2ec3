#include "cli/own.h"

#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/child.h"

#define PATIENCE (60 * MU_SEC) /* a million agents are read back meanwhile */

char *mu_own_path(const struct mu_own *own, const char *name, char out[MU_OWN_PATH])
{
    snprintf(out, MU_OWN_PATH, "%s/%s", own->folder, name);
    return out;
}

int mu_own_make(struct mu_own *own, const char *name, const char *text, struct mu_err *err)
{
    const char *tmp = getenv("TMPDIR");
    char path[MU_OWN_PATH];

    tmp = tmp && *tmp ? tmp : "/tmp";
    if (strlen(tmp) > sizeof(own->folder) - 32)
        return mu_err_set(err, MU_EINVAL, "TMPDIR \"%s\" is too long", tmp);
    snprintf(own->folder, sizeof(own->folder), "%s/muster-%s-XXXXXX", tmp, name);
    if (!mkdtemp(own->folder)) {
        *own->folder = '\0';
        return mu_err_set(err, MU_EIO, "no scratch folder in %s: %s", tmp, strerror(errno));
    }
    FILE *file = fopen(mu_own_path(own, "muster.conf", path), "we");
    int bad =
        !file || fprintf(file, "%s[conductor]\nsecret_file = %s/secret\n", text, own->folder) < 0;
    if ((file && fclose(file) != 0) || bad)
        return mu_err_set(err, MU_EIO, "cannot write %s: %s", path, strerror(errno));
    return 0;
}

int mu_own_told(const struct mu_own *own, const char *name, struct mu_err *err)
{
    char path[MU_OWN_PATH], line[600] = "", next[600];

    FILE *file = fopen(mu_own_path(own, name, path), "re");
    while (file && fgets(next, sizeof(next), file))
        memcpy(line, next, sizeof(line));
    if (file)
        fclose(file);
    line[strcspn(line, "\n")] = '\0';
    return mu_err_set(err, MU_EIO, "%s ended: %s", name, *line ? line : "it said nothing");
}

static int await_ports(struct mu_own *own, const char *ports, struct mu_err *err)
{
    int status;

    for (mu_time until = mu_clock_now() + PATIENCE; !*own->stopped; poll(NULL, 0, 10)) {
        FILE *file = fopen(ports, "re");
        int n = file ? fscanf(file, "agents=%d http=%d", &own->agents_port, &own->http_port) : 0;
        if (file)
            fclose(file);
        if (n == 2) {
            snprintf(own->listen, sizeof(own->listen), "127.0.0.1:%d", own->agents_port);
            snprintf(own->http, sizeof(own->http), "127.0.0.1:%d", own->http_port);
            return 0;
        }
        if (mu_child_ended(own->pid, &status)) {
            own->pid = 0;
            return mu_own_told(own, "conductor", err);
        }
        if (mu_clock_now() > until)
            return mu_err_set(err, MU_ETIMEDOUT, "the conductor does not begin to listen");
    }
    return 0;
}

int mu_own_start(struct mu_own *own, struct mu_err *err)
{
    char conf[MU_OWN_PATH], ports[MU_OWN_PATH], log[MU_OWN_PATH], db[MU_OWN_PATH];
    char store[MU_OWN_PATH + 16];

    mu_own_path(own, "muster.conf", conf);
    mu_own_path(own, "conductor", log);
    unlink(mu_own_path(own, "ports", ports));
    snprintf(store, sizeof(store), "sqlite:%s", mu_own_path(own, "muster.db", db));
    const char *argv[] = {"muster",
                          "conductor",
                          "--config",
                          conf,
                          "--store",
                          own->store ? own->store : store,
                          "--ports-file",
                          ports,
                          "--listen",
                          own->listen,
                          "--http",
                          own->http,
                          NULL};
    own->pid = mu_child_start((char *const *)argv, log, err);
    if (own->pid < 0) {
        int rv = own->pid;
        own->pid = 0;
        return rv;
    }
    return await_ports(own, ports, err);
}

void mu_own_kill(struct mu_own *own)
{
    if (own->pid <= 0)
        return;
    kill(own->pid, SIGKILL);
    (void)waitpid(own->pid, NULL, 0);
    own->pid = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

void mu_own_clean(struct mu_own *own)
{
    mu_child_stop(own->pid, 5 * MU_SEC);
    own->pid = 0;
    if (*own->folder)
        nftw(own->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    *own->folder = '\0';
}
