/* dial.h - the calling side: one stream to an address, TCP or Unix.
 *
 * Bytes in, bytes out; who calls knows what they mean. */
#ifndef MU_TRANSPORT_DIAL_H
#define MU_TRANSPORT_DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

struct mu_dial;
struct uv_loop_s;

/* All run on the loop, never from within a call below, and none after mu_dial_close(). Each may
 * close the dial. */
struct mu_dial_ports {
    void *ctx;
    void (*dialled)(void *ctx, int rv); /* 0, or MU_EAGAIN: nobody answers there. Once */
    void (*data)(void *ctx, const uint8_t *data, size_t n);
    void (*hungup)(void *ctx); /* the stream is gone; once, only after dialled(0) */
};

/* Calls @sa. Returns 0; MU_ENOMEM; MU_EFULL without a descriptor; MU_EAGAIN when it is plain at
 * once that nobody is there. */
int mu_dial_open(struct mu_dial **out, struct uv_loop_s *loop, const struct sockaddr *sa,
                 socklen_t len, const struct mu_dial_ports *ports);

/* Sends, or queues what does not go out now: at most 1 MiB, beyond which the stream counts as gone.
 */
void mu_dial_send(struct mu_dial *dial, const uint8_t *data, size_t n);

/* While held nothing is read, sent or told: as if the process were stopped or the cable cut. */
void mu_dial_hold(struct mu_dial *dial, bool held);

/* Closes it as the end of a process would: FIN, or RST when unread bytes wait. NULL is allowed; the
 * memory goes when the loop lets go of it. */
void mu_dial_close(struct mu_dial *dial);

#endif
