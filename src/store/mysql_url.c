#include "store/mysql_url.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define PORT 3306

static int digit(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10
                                        : -1;
}

/* Decodes @text in its place. What it was is not shown: it may be a password. */
static int decode(char *text, const char *what, struct mu_err *err)
{
    char *to = text;

    for (const char *p = text; *p; p++) {
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        int high = digit(p[1]), low = high < 0 ? -1 : digit(p[2]);
        if (low < 0 || high + low == 0)
            return mu_err_set(err, MU_EINVAL,
                              "the %s has a %% that is not followed by two hexadecimal digits of a"
                              " character; a %% itself is %%25",
                              what);
        *to++ = (char)(high << 4 | low);
        p += 2;
    }
    *to = '\0';
    return 0;
}

/* Ends @text at the first of @any; returns what follows it, or its end. */
static char *cut(char *text, const char *any)
{
    char *end = text + strcspn(text, any);

    if (*end)
        *end++ = '\0';
    return end;
}

static int read_user(struct mu_mysql_url *url, char *text, struct mu_err *err)
{
    char *password = cut(text, ":");
    int rv = decode(text, "user", err);

    if (!rv)
        rv = decode(password, "password", err);
    url->user = text;
    url->password = password;
    return rv;
}

static int read_port(struct mu_mysql_url *url, const char *text, struct mu_err *err)
{
    unsigned long port = strspn(text, "0123456789") == strlen(text) ? strtoul(text, NULL, 10) : 0;

    if (port == 0 || port > 65535)
        return mu_err_set(err, MU_EINVAL, "port \"%s\" is not a number from 1 to 65535", text);
    url->port = (unsigned)port;
    return 0;
}

/* HOST, HOST:PORT, [V6] or [V6]:PORT. */
static int read_host(struct mu_mysql_url *url, char *text, struct mu_err *err)
{
    bool bracketed = *text == '[';
    char *end = text + bracketed + strcspn(text + bracketed, bracketed ? "]" : ":");
    char *rest = end + (bracketed && *end);

    if ((bracketed && !*end) || (*rest && *rest != ':') || strchr(rest + (*rest == ':'), ':'))
        return mu_err_set(err, MU_EINVAL, "\"%s\" is not HOST, HOST:PORT or [V6]:PORT", text);
    url->host = text + bracketed;
    int rv = *rest ? read_port(url, rest + 1, err) : 0;
    *end = '\0';
    return rv;
}

static int read_key(struct mu_mysql_url *url, char *text, struct mu_err *err)
{
    const struct {
        const char *name, **value;
    } keys[] = {
#define KEY(name) {#name, &url->name},
        MU_MYSQL_KEYS(KEY)
#undef KEY
    };
    char *value = cut(text, "=");

    for (size_t i = 0; i < MU_ARRAY_LEN(keys); i++) {
        if (strcmp(text, keys[i].name) != 0)
            continue;
        if (!*value)
            return mu_err_set(err, MU_EINVAL, "%s has no value; write %s=...", text, text);
        *keys[i].value = value;
        return decode(value, text, err);
    }
#define NAME(name) ", " #name
    return mu_err_set(err, MU_EINVAL, "there is no key \"%s\"; there are%s", text,
                      &(MU_MYSQL_KEYS(NAME))[1]);
#undef NAME
}

/* What can be neither meant nor guessed. */
static int check(const struct mu_mysql_url *url, struct mu_err *err)
{
    if (!*url->host == !*url->unix_socket)
        return mu_err_set(err, MU_EINVAL, "name the server: either a host, or ?unix_socket=PATH");
    if (!*url->user)
        return mu_err_set(err, MU_EINVAL, "name the user: mysql://USER@HOST/DATABASE");
    if (!*url->database || strchr(url->database, '/'))
        return mu_err_set(err, MU_EINVAL, "name one database: mysql://USER@HOST/DATABASE");
    if (*url->password && *url->password_file)
        return mu_err_set(err, MU_EINVAL, "give a password or a password_file, not both");
    if (!*url->ssl_cert != !*url->ssl_key)
        return mu_err_set(err, MU_EINVAL, "ssl_cert and ssl_key are given together or not at all");
    if (*url->ssl_cert && !*url->ssl_ca)
        return mu_err_set(err, MU_EINVAL, "ssl_cert needs ssl_ca, which tells the right server");
    return 0;
}

int mu_mysql_url_parse(struct mu_mysql_url *url, const struct mu_addr *addr, struct mu_err *err)
{
    int rv = 0;

    strcpy(url->text, addr->given);
    char *text = strchr(url->text, ':') + 1;
    if (strncmp(text, "//", 2) != 0)
        return mu_err_set(err, MU_EINVAL, "write mysql://USER@HOST/DATABASE");
    text += 2;
    /* Else what we say of the host might be half a password. */
    const char *last = strrchr(text, '@');
    if (last && last > text + strcspn(text, "/?"))
        return mu_err_set(err, MU_EINVAL,
                          "an @ comes after a / or ?; in a user, a password and behind the host"
                          " write / as %%2F, ? as %%3F and @ as %%40");
    char *query = cut(text, "?"), *path = cut(text, "/"), *at = strrchr(text, '@');

    url->user = url->password = url->host = "";
    url->port = PORT;
#define CLEAR(name) url->name = "";
    MU_MYSQL_KEYS(CLEAR)
#undef CLEAR
    url->database = path;
    if (at) {
        *at = '\0';
        rv = read_user(url, text, err);
        text = at + 1;
    }
    if (!rv && *text)
        rv = read_host(url, text, err);
    if (!rv)
        rv = decode(path, "database", err);
    while (!rv && *query) {
        char *next = cut(query, "&");
        rv = read_key(url, query, err);
        query = next;
    }
    return rv ? rv : check(url, err);
}

/* Its group may read it (root:muster 0640 is common); nobody else may do anything. */
static int read_first_line(int fd, const char *path, char *out, size_t size, struct mu_err *err)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && st.st_mode & (S_IRWXO | S_IWGRP | S_IXGRP))
        return mu_err_set(err, MU_EPERM,
                          "password_file %s: others than its owner can get at it (mode %03o);"
                          " chmod 600 %s",
                          path, (unsigned)st.st_mode & 0777, path);
    ssize_t n = read(fd, out, size - 1);
    if (n < 0)
        return mu_err_set(err, MU_EIO, "password_file %s: %s", path, strerror(errno));
    out[n] = '\0';
    if (!strchr(out, '\n') && (size_t)n == size - 1)
        return mu_err_set(err, MU_EINVAL, "password_file %s: a password has at most %zu bytes",
                          path, size - 2);
    out[strcspn(out, "\r\n")] = '\0';
    return 0;
}

int mu_mysql_password(const struct mu_mysql_url *url, char out[MU_MYSQL_PASSWORD],
                      struct mu_err *err)
{
    if (!*url->password_file) {
        snprintf(out, MU_MYSQL_PASSWORD, "%s", url->password);
        return 0;
    }
    int fd = open(url->password_file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return mu_err_set(err, errno == ENOENT ? MU_EINVAL : MU_EIO, "password_file %s: %s",
                          url->password_file, strerror(errno));
    int rv = read_first_line(fd, url->password_file, out, MU_MYSQL_PASSWORD, err);
    close(fd);
    return rv;
}
