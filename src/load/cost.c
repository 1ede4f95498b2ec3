#include "load/cost.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC 1000000000u

/* Reads at most @size - 1 bytes of a file of /proc. Returns whether there were any. */
static bool slurp(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    size_t n = file ? fread(out, 1, size - 1, file) : 0;

    out[n] = '\0';
    if (file)
        fclose(file);
    return n > 0;
}

static uint64_t ticks_to_ns(uint64_t ticks)
{
    return ticks * (NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t memory_line(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    uint64_t kib = 0;

    return at && sscanf(at + strlen(name), " %" SCNu64, &kib) == 1 ? kib * 1024 : 0;
}

int mu_cost_read(pid_t pid, struct mu_cost *out, struct mu_err *err)
{
    struct mu_cost cost = {0};
    char path[64], status[4096];
    struct timespec used;
    clockid_t clock;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (!slurp(path, status, sizeof(status)))
        return mu_err_set(err, MU_ENOENT, "process %d is not to be seen: %s", (int)pid, path);
    cost.memory = memory_line(status, "VmRSS:");
    cost.peak = memory_line(status, "VmHWM:");
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used))
        return mu_err_set(err, MU_ENOENT, "process %d has no clock to be read", (int)pid);
    cost.cpu = (uint64_t)used.tv_sec * NS_PER_SEC + (uint64_t)used.tv_nsec;
    *out = cost;
    return 0;
}

int mu_cost_core(int cpu, uint64_t *ns, struct mu_err *err)
{
    char text[16384], name[32];
    uint64_t user, nice, system, idle, wait, irq, softirq;
    const char *line;

    snprintf(name, sizeof(name), "\ncpu%d ", cpu);
    if (!slurp("/proc/stat", text, sizeof(text)) || !(line = strstr(text, name)) ||
        sscanf(line + strlen(name),
               "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
               &user, &nice, &system, &idle, &wait, &irq, &softirq) != 7)
        return mu_err_set(err, MU_ENOENT, "there is no core %d", cpu);
    *ns = ticks_to_ns(user + nice + system + irq + softirq);
    return 0;
}

/* The inode of the socket that listens on @port, from a table of /proc/net; 0 = none. */
static unsigned long listening_inode(const char *table, int port)
{
    FILE *file = fopen(table, "re");
    char line[512];
    unsigned long inode, found = 0;
    unsigned local, state;

    while (file && !found && fgets(line, sizeof(line), file))
        if (sscanf(line, " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*d %*d %lu", &local,
                   &state, &inode) == 3 &&
            local == (unsigned)port && state == 0x0a) /* TCP_LISTEN */
            found = inode;
    if (file)
        fclose(file);
    return found;
}

static bool has_socket(const char *pid, unsigned long inode)
{
    char path[320], link[64], want[64];
    struct dirent *entry;
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    snprintf(want, sizeof(want), "socket:[%lu]", inode);
    dir = opendir(path);
    while (dir && !found && (entry = readdir(dir)) != NULL) {
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);

        link[n > 0 ? n : 0] = '\0';
        found = strcmp(link, want) == 0;
    }
    if (dir)
        closedir(dir);
    return found;
}

/* Whether @sa is an address of this machine: one can be bound to it. */
static bool is_here(const struct sockaddr *sa, socklen_t len)
{
    struct sockaddr_storage any_port;
    int fd = socket(sa->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool here;

    memcpy(&any_port, sa, len);
    ((struct sockaddr_in *)&any_port)->sin_port = 0; /* at the same place for IPv6 */
    here = bind(fd, (struct sockaddr *)&any_port, len) == 0;
    close(fd);
    return here;
}

pid_t mu_cost_listener(const struct sockaddr *sa, socklen_t len)
{
    int port = ntohs(((const struct sockaddr_in *)sa)->sin_port);
    unsigned long inode = 0;
    struct dirent *entry;
    pid_t pid = 0;
    DIR *dir;

    if (is_here(sa, len) && !(inode = listening_inode("/proc/net/tcp", port)))
        inode = listening_inode("/proc/net/tcp6", port);
    dir = inode ? opendir("/proc") : NULL;
    while (dir && !pid && (entry = readdir(dir)) != NULL)
        if (strspn(entry->d_name, "0123456789") == strlen(entry->d_name) &&
            has_socket(entry->d_name, inode))
            pid = (pid_t)atoi(entry->d_name);
    if (dir)
        closedir(dir);
    return pid;
}

static uint64_t drops_in(const char *table, int port)
{
    FILE *file = fopen(table, "re");
    uint64_t drops, sum = 0;
    char line[512];
    unsigned local;

    while (file && fgets(line, sizeof(line), file))
        if (sscanf(line, " %*d: %*[0-9A-F]:%x %*s %*x %*s %*s %*s %*d %*d %*u %*d %*s %" SCNu64,
                   &local, &drops) == 2 &&
            local == (unsigned)port)
            sum += drops;
    if (file)
        fclose(file);
    return sum;
}

uint64_t mu_cost_drops(int port)
{
    return drops_in("/proc/net/udp", port) + drops_in("/proc/net/udp6", port);
}

int mu_cost_pin(pid_t pid, int cpu, struct mu_err *err)
{
    struct dirent *entry;
    char path[64];
    cpu_set_t set;
    int failed = 0;
    DIR *dir;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (pid == 0)
        pid = getpid();
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    dir = opendir(path);
    if (!dir)
        return mu_err_set(err, MU_ENOENT, "process %d is not to be seen: %s", (int)pid, path);
    while ((entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' && sched_setaffinity(atoi(entry->d_name), sizeof(set), &set))
            failed = errno;
    closedir(dir);
    if (failed)
        return mu_err_set(err, MU_EPERM, "process %d cannot be kept on core %d: %s", (int)pid, cpu,
                          strerror(failed));
    return 0;
}
