/* mysql_url.h - mysql://USER:PASSWORD@HOST:PORT/DATABASE?KEY=VALUE, taken apart.
 *
 * What is not a letter or digit may be written as %XX anywhere, and must be where it would end the
 * part that it stands in. No error shows a password. */
#ifndef MU_STORE_MYSQL_URL_H
#define MU_STORE_MYSQL_URL_H

#include "base/addr.h"

#define MU_MYSQL_PASSWORD 1024 /* bytes of a password, with its NUL */

/* What may follow the '?'. */
#define MU_MYSQL_KEYS(X)                                                                           \
    X(unix_socket)   /* path of the server's socket, in place of HOST */                           \
    X(password_file) /* its first line is the password */                                          \
    X(ssl_ca)        /* TLS is wanted, and the server's certificate is of this authority */        \
    X(ssl_cert)      /* ours, for a server that asks for one */                                    \
    X(ssl_key)

/* Texts are decoded, "" where none was given, and point into .text: such a value is not copied. */
struct mu_mysql_url {
    char text[sizeof(((struct mu_addr *)0)->given)];
    const char *user, *password, *host, *database;
#define MU_MYSQL_KEY_(name) const char *name;
    MU_MYSQL_KEYS(MU_MYSQL_KEY_)
#undef MU_MYSQL_KEY_
    unsigned port;
};

/* Takes @addr apart. Returns 0, or MU_EINVAL and what to write. */
int mu_mysql_url_parse(struct mu_mysql_url *url, const struct mu_addr *addr, struct mu_err *err);

/* The password in force: the URL's, or what its file says now. MU_EINVAL (there is
 * none), MU_EIO or MU_EPERM name the file. */
int mu_mysql_password(const struct mu_mysql_url *url, char out[MU_MYSQL_PASSWORD],
                      struct mu_err *err);

#endif
