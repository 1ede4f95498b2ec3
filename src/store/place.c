#include "store/place.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK_TRIES 10 /* mu_place_holder() holds the lock for a moment */
#define LOCK_PAUSE 20 /* ms */

int mu_place_fail(struct mu_err *err, int code, const char *what, const char *path, int no)
{
    const char *cure = "";

    if (no == EROFS || no == EACCES || no == EPERM)
        cure = "; this user must be able to write the file and its folder";
    else if (no == ENOSPC || no == EDQUOT)
        cure = "; make room on that disk";
    else if (no == ENOENT)
        cure = "; make the folder first, or name another place";
    else if (no == EEXIST)
        cure = "; name a new file, or move that one away";
    return mu_err_set(err, code, "cannot %s %s: %s%s", what, path, strerror(no), cure);
}

int mu_place_find(const char *text, char out[MU_PLACE_PATH], struct mu_err *err)
{
    char given[MU_PLACE_PATH];
    size_t n = strlen(text);

    if (n == 0 || text[n - 1] == '/')
        return mu_err_set(err, MU_EINVAL, "no file is named; write sqlite:PATH");
    if (n + sizeof("./") > sizeof(given))
        return mu_err_set(err, MU_EINVAL, "the path is longer than %zu bytes", sizeof(given));
    snprintf(given, sizeof(given), "%s%s", *text == '/' ? "" : "./", text);
    if (realpath(given, out))
        return 0;
    char *base = strrchr(given, '/');
    *base++ = '\0';
    if (!realpath(*given ? given : "/", out))
        return mu_place_fail(err, errno == ENOENT ? MU_ENOENT : MU_EIO, "find the folder", given,
                             errno);
    n = strlen(out);
    if (n + 1 + strlen(base) + sizeof("-journal") > MU_PLACE_PATH)
        return mu_err_set(err, MU_EINVAL, "the path is longer than %d bytes", MU_PLACE_PATH);
    snprintf(out + n, MU_PLACE_PATH - n, "%s%s", n > 1 ? "/" : "", base);
    return 0;
}

/* "PID HOST" as the holder wrote it; "" when it has not yet. */
static void read_holder(int fd, char *out, size_t size)
{
    ssize_t n = pread(fd, out, size - 1, 0);

    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
}

static int try_lock(int fd)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return 0;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return errno;
        poll(NULL, 0, LOCK_PAUSE);
    }
    return EWOULDBLOCK;
}

static int write_holder(int fd, const char *path, struct mu_err *err)
{
    char text[300], host[256] = "";

    gethostname(host, sizeof(host) - 1);
    int n = snprintf(text, sizeof(text), "%ld %s\n", (long)getpid(), host);
    if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
        return mu_place_fail(err, MU_EIO, "write", path, errno);
    return 0;
}

int mu_place_lock(const char *path, int *out, struct mu_err *err)
{
    char lock[MU_PLACE_PATH + 8], holder[300], pid[32];

    snprintf(lock, sizeof(lock), "%s.lock", path);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return mu_place_fail(err, MU_EIO, "open", lock, errno);
    int rv, no = try_lock(fd);
    if (no == EWOULDBLOCK) {
        read_holder(fd, holder, sizeof(holder));
        const char *host = strchr(holder, ' ');
        snprintf(pid, sizeof(pid), "%.*s", (int)strcspn(holder, " "), *holder ? holder : "unknown");
        rv = mu_err_set(err, MU_ELOCKED,
                        "%s is in use by the conductor with pid %s on %s; stop that one, or give"
                        " this one another --store",
                        path, pid, host ? host + 1 : "this host");
    } else if (no) {
        rv = mu_place_fail(err, MU_EIO, "lock", lock, no);
    } else {
        rv = write_holder(fd, lock, err);
    }
    if (rv)
        close(fd);
    else
        *out = fd;
    return rv;
}

void mu_place_holder(const char *path, char *out, size_t size)
{
    char lock[MU_PLACE_PATH + 8];

    *out = '\0';
    snprintf(lock, sizeof(lock), "%s.lock", path);
    int fd = open(lock, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK)
        read_holder(fd, out, size);
    close(fd);
}

int mu_place_make(const char *path, bool fresh, struct mu_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (fresh ? O_EXCL : 0), 0600);

    if (fd < 0)
        return mu_place_fail(err, errno == EEXIST ? MU_EEXIST : MU_EIO, fresh ? "make" : "open",
                             path, errno);
    close(fd);
    return 0;
}

int mu_place_sync_folder(const char *path, struct mu_err *err)
{
    char folder[MU_PLACE_PATH];

    snprintf(folder, sizeof(folder), "%s", path);
    *(strrchr(folder, '/') + 1) = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return mu_place_fail(err, MU_EIO, "open the folder", folder, errno);
    int no = fsync(fd) ? errno : 0;
    close(fd);
    return no && no != EINVAL ? mu_place_fail(err, MU_EIO, "sync the folder", folder, no) : 0;
}
