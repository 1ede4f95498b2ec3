/* socket.h - makes sockets that are bound: non-blocking, close-on-exec, with the options they need.
 */
#ifndef MU_LOOP_SOCKET_H
#define MU_LOOP_SOCKET_H

#include "base/addr.h"

/* A stream socket that listens and a datagram socket on the same address and port. Port 0 takes a
 * port that both could have; *@port gets it. @receive_buffer: see mu_socket_receive_buffer(). The
 * descriptors are the caller's. */
int mu_socket_pair(const struct mu_addr *addr, int receive_buffer, int *stream, int *datagram,
                   int *port, struct mu_err *err);

/* A stream socket that listens. A Unix socket that is there already is replaced when nobody listens
 * on it, MU_ELOCKED when somebody does; another kind of file is MU_EEXIST. */
int mu_socket_listen(const struct mu_addr *addr, int *fd, struct mu_err *err);

/* What is at the path of a Unix socket: 0, a socket, of whomever; MU_ENOENT, nothing, without a
 * word in @err; MU_EEXIST, another kind of file; or why it cannot be looked at. */
int mu_socket_check_path(const struct mu_addr *addr, struct mu_err *err);

/* The port @fd is bound to; -1 for a Unix socket. */
int mu_socket_port(int fd);

/* Asks for @bytes of receive buffer, beyond the system's limit (net.core.rmem_max) where we may;
 * the kernel takes what it can. 0 leaves what is there. */
void mu_socket_receive_buffer(int fd, int bytes);
/* The same for a descriptor that was handed to us: what it has is never made less. */
void mu_socket_receive_buffer_least(int fd, int bytes);

/* How much there is, in the unit it is asked for in. The kernel books the memory of a datagram in
 * twice that much: 832 bytes for one of up to 100. */
int mu_socket_has_receive_buffer(int fd);

/* Has each datagram say which address it was sent to, when @fd is bound to all of them. */
int mu_socket_want_destination(int fd, struct mu_err *err);

/* Non-blocking and close-on-exec, for a descriptor that was handed to us. */
int mu_socket_ready(int fd, struct mu_err *err);

#endif
