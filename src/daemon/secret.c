#include "daemon/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"

enum { DIGITS = 32 };

/* Who looks: a conductor that is to use the file; or somebody who asks whether one could. Root may
 * ask for a conductor that is another user, whose file it then is. */
enum reader { USES, ASKS };

static int sys_err(struct mu_err *err, const char *path, const char *what)
{
    return mu_err_set(err, errno == EACCES || errno == EPERM ? MU_EPERM : MU_EIO, "%s: %s: %s",
                      path, what, strerror(errno));
}

/* Its group may read it (root:muster 0640 is common); nobody else may do anything. */
static int check_mode(const char *path, const struct stat *st, enum reader reader,
                      struct mu_err *err)
{
    if (!S_ISREG(st->st_mode))
        return mu_err_set(err, MU_EPERM, "%s: not a file; name another", path);
    if (st->st_mode & (S_IRWXO | S_IWGRP | S_IXGRP))
        return mu_err_set(err, MU_EPERM,
                          "%s: others than its owner can get at it (mode %03o); chmod 600 %s", path,
                          (unsigned)st->st_mode & 0777, path);
    if (reader == ASKS && geteuid() == 0)
        return 0;
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return mu_err_set(err, MU_EPERM, "%s: belongs to user %u; chown %u %s", path,
                          (unsigned)st->st_uid, (unsigned)geteuid(), path);
    return 0;
}

/* Reads up to @size - 1 bytes and ends them with a NUL. Returns their number, an error, or
 * MU_ENOENT without a word in @err. */
static int read_small(const char *path, char *out, size_t size, enum reader reader,
                      struct mu_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    ssize_t n = 0;
    int rv;

    if (fd < 0 && errno == EACCES)
        return mu_err_set(err, MU_EPERM, "%s: cannot be opened: user %u must be able to read it",
                          path, (unsigned)geteuid());
    if (fd < 0)
        return errno == ENOENT ? MU_ENOENT : sys_err(err, path, "cannot be opened");
    rv = fstat(fd, &st) ? sys_err(err, path, "cannot be looked at")
                        : check_mode(path, &st, reader, err);
    if (!rv) {
        n = read(fd, out, size - 1);
        if (n < 0)
            rv = sys_err(err, path, "cannot be read");
        else
            out[n] = 0;
    }
    close(fd);
    return rv ? rv : (int)n;
}

static int parse_secret(const char *path, const char *text, size_t n, uint8_t out[16],
                        struct mu_err *err)
{
    static const char digits[] = "0123456789abcdef";

    if (n && text[n - 1] == '\n')
        n--;
    if (n != DIGITS || strspn(text, digits) != DIGITS)
        return mu_err_set(err, MU_ECORRUPT,
                          "%s: holds no fleet secret (%d hexadecimal digits); take it back from a "
                          "backup, or remove it: then all agents join anew",
                          path, DIGITS);
    for (size_t i = 0; i < 16; i++)
        out[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
                           (strchr(digits, text[2 * i + 1]) - digits));
    return 0;
}

static int write_whole(const char *path, const char *text, size_t n, struct mu_err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rv = 0;

    if (fd < 0)
        return sys_err(err, path, "cannot be made");
    errno = ENOSPC; /* what a short write means */
    if (write(fd, text, n) != (ssize_t)n || fsync(fd))
        rv = sys_err(err, path, "cannot be written");
    close(fd);
    if (rv)
        unlink(path);
    return rv;
}

static void sync_dir_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char dir[1024];
    int fd;

    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return; /* then it may be made again after a power cut, and agents join anew */
    fsync(fd);
    close(fd);
}

/* The file gets its name by link(), which fails where there is one already: so nobody ever reads
 * half a secret, and of two makers one wins and both read his. */
static int make_secret(const char *path, struct mu_err *err)
{
    uint8_t bytes[16];
    char text[DIGITS + 2], temp[1100];
    int rv;

    if (mu_rng_secret(bytes, sizeof(bytes)))
        return mu_err_set(err, MU_EIO, "the kernel gives no random bytes");
    for (size_t i = 0; i < 16; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    text[DIGITS] = '\n';
    snprintf(temp, sizeof(temp), "%s.%ld", path, (long)getpid());
    unlink(temp); /* of a process that had our pid and was killed here */
    rv = write_whole(temp, text, DIGITS + 1, err);
    if (rv)
        return rv;
    if (link(temp, path) && errno != EEXIST)
        rv = sys_err(err, path, "cannot be made");
    unlink(temp);
    sync_dir_of(path);
    return rv;
}

/* MU_ENOENT comes without a word in @err. */
static int read_secret(const char *path, uint8_t out[16], enum reader reader, struct mu_err *err)
{
    char text[DIGITS + 8] = "";
    int n = read_small(path, text, sizeof(text), reader, err);

    if (n >= 0)
        n = parse_secret(path, text, (size_t)n, out, err);
    return n && n != MU_ENOENT ? mu_err_wrap(err, n, "secret_file") : n;
}

int mu_secret_load(const char *path, uint8_t out[16], struct mu_err *err)
{
    int rv;

    if (!*path)
        return mu_rng_secret(out, 16) ? mu_err_set(err, MU_EIO, "the kernel gives no random bytes")
                                      : 0;
    rv = read_secret(path, out, USES, err);
    if (rv != MU_ENOENT)
        return rv;
    rv = make_secret(path, err);
    if (rv)
        return mu_err_wrap(err, rv, "secret_file");
    rv = read_secret(path, out, USES, err);
    return rv == MU_ENOENT ? mu_err_set(err, MU_EIO, "secret_file %s: removed as it was made", path)
                           : rv;
}

int mu_secret_check(const char *path, struct mu_err *err)
{
    uint8_t out[16];
    int rv = *path ? read_secret(path, out, ASKS, err) : 0;

    return rv == MU_ENOENT ? 0 : rv;
}

static int read_token(const char *path, char *out, size_t size, enum reader reader,
                      struct mu_err *err)
{
    char text[1024] = "";
    int n = read_small(path, text, sizeof(text), reader, err);

    if (n == MU_ENOENT)
        return mu_err_set(err, MU_EINVAL,
                          "token_file %s: there is no such file; make it, or name another", path);
    if (n < 0)
        return mu_err_wrap(err, n, "token_file");
    if (n && text[n - 1] == '\n')
        text[--n] = 0;
    for (int i = 0; i < n; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return mu_err_set(err, MU_ECORRUPT, "token_file %s: byte %d is no printable character",
                              path, i + 1);
    if (!n || (size_t)n >= size)
        return mu_err_set(err, MU_ECORRUPT, "token_file %s: %d bytes; 1 to %zu are allowed", path,
                          n, size - 1);
    memcpy(out, text, (size_t)n + 1);
    return 0;
}

int mu_secret_token(const char *path, char *out, size_t size, struct mu_err *err)
{
    return read_token(path, out, size, USES, err);
}

int mu_secret_check_token(const char *path, size_t size, struct mu_err *err)
{
    char out[1024];

    return read_token(path, out, size < sizeof(out) ? size : sizeof(out), ASKS, err);
}
