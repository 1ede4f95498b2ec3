/* link.h - libmuster's sockets: one stream and one datagram socket to one conductor at a time.
 *
 * Everything hangs on one epoll descriptor, which a program can put into a loop of its own. Nothing
 * blocks. What happened is told by mu_link_step() alone, so that a session may call send and dial
 * from wherever it is. */
#ifndef MU_LIB_LINK_H
#define MU_LIB_LINK_H

#include "base/clock.h"
#include "lib/peers.h"

struct mu_link;

struct mu_link_events {
    void *ctx;
    void (*dialled)(void *ctx, int rv, mu_time now);
    void (*stream)(void *ctx, const uint8_t *data, size_t n, mu_time now);
    void (*hungup)(void *ctx, mu_time now);
    void (*datagram)(void *ctx, const uint8_t *data, size_t n, mu_time now);
};

/* Returns 0, MU_ENOMEM, or MU_EIO where the system gives no descriptor. */
int mu_link_open(struct mu_link **out, const struct mu_link_events *events);
void mu_link_close(struct mu_link *l);

/* Closes descriptors only: for a forked child, which shares the rest with its parent. */
void mu_link_abandon(struct mu_link *l);

/* Takes up addresses; what is open stays open. */
void mu_link_peers(struct mu_link *l, const struct mu_peers *peers);

/* Connects to the address whose turn it is; each failed dial is the next one's turn. */
void mu_link_dial(struct mu_link *l, mu_time now);
void mu_link_hangup(struct mu_link *l);
void mu_link_stream(struct mu_link *l, const uint8_t *data, size_t n);
void mu_link_datagram(struct mu_link *l, const uint8_t *data, size_t n);

/* Whether every address was tried in vain since this was last asked, or there is none: look the
 * names up again. */
bool mu_link_astray(struct mu_link *l);

int mu_link_fd(const struct mu_link *l);
void mu_link_wake(struct mu_link *l); /* makes the descriptor readable; from any thread */
mu_time mu_link_due(const struct mu_link *l);
void mu_link_step(struct mu_link *l, mu_time now);

#endif
