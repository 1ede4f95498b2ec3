#include "daemon/owner.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INODES = 32 };

/* Lines of /proc/self/net/tcp: "sl local:PORT remote:PORT state tx:rx tr:when retrnsmt uid timeout
 * inode". */
static size_t inodes_of(const char *table, int port, int listening, unsigned long *out, size_t room)
{
    FILE *file = fopen(table, "re");
    char line[512];
    size_t n = 0;

    if (!file)
        return 0;
    while (n < room && fgets(line, sizeof(line), file)) {
        unsigned local, state;
        unsigned long inode;

        if (sscanf(line, "%*s %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*s %*s %lu", &local,
                   &state, &inode) == 3 &&
            (int)local == port && (!listening || state == 0x0a))
            out[n++] = inode;
    }
    fclose(file);
    return n;
}

static int has_one(const char *pid, const unsigned long *inodes, size_t n)
{
    char path[320], target[64];
    struct dirent *entry;
    int found = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    dir = opendir(path);
    if (!dir)
        return 0;
    while (!found && (entry = readdir(dir))) {
        unsigned long inode;
        ssize_t len = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1);

        if (len <= 0)
            continue;
        target[len] = 0;
        if (sscanf(target, "socket:[%lu]", &inode) == 1)
            for (size_t i = 0; i < n; i++)
                found |= inodes[i] == inode;
    }
    closedir(dir);
    return found;
}

static void name_of(const char *pid, char name[64])
{
    char path[320];
    FILE *file;

    strcpy(name, "?");
    snprintf(path, sizeof(path), "/proc/%s/comm", pid);
    file = fopen(path, "re");
    if (!file)
        return;
    if (fgets(name, 64, file))
        name[strcspn(name, "\n")] = 0;
    fclose(file);
}

pid_t mu_port_owner(int port, char name[64])
{
    unsigned long inodes[INODES];
    size_t n = 0;
    pid_t pid = 0;
    struct dirent *entry;
    DIR *proc;

    n += inodes_of("/proc/self/net/tcp", port, 1, inodes + n, INODES - n);
    n += inodes_of("/proc/self/net/tcp6", port, 1, inodes + n, INODES - n);
    n += inodes_of("/proc/self/net/udp", port, 0, inodes + n, INODES - n);
    n += inodes_of("/proc/self/net/udp6", port, 0, inodes + n, INODES - n);
    proc = n ? opendir("/proc") : NULL;
    if (!proc)
        return 0;
    while (!pid && (entry = readdir(proc))) {
        if (!isdigit((unsigned char)entry->d_name[0]) || !has_one(entry->d_name, inodes, n))
            continue;
        pid = (pid_t)strtol(entry->d_name, NULL, 10);
        name_of(entry->d_name, name);
    }
    closedir(proc);
    return pid;
}
