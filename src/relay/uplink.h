/* uplink.h - one session on the loop: it finds a conductor, and is the session's sockets and timer.
 *
 * The conductor may be absent, die, or move: dialling goes on in the background, each time the next
 * of the list (a name may have several addresses, all are tried). Datagrams go to the conductor
 * that last took our stream. */
#ifndef MU_RELAY_UPLINK_H
#define MU_RELAY_UPLINK_H

#include "agent/session.h"
#include "base/conductors.h"

struct mu_uplink;
struct uv_loop_s;

/* As in struct mu_session_ports, but told when the session may be called again. */
typedef void (*mu_uplink_notice_fn)(void *ctx, enum mu_notice what, uint32_t agent, int rv,
                                    const char *text);

/* @conductors and @token are copied. Returns 0, MU_ENOMEM, or MU_EIO without random bytes. */
int mu_uplink_new(struct mu_uplink **out, struct uv_loop_s *loop,
                  const struct mu_conductors *conductors, const char *token,
                  mu_uplink_notice_fn notice, void *ctx);

/* The session, to be told what is wanted; then mu_uplink_stir(), which does what it asks for. A
 * notice may come from within that call; one that comes calls neither stir() nor close(). */
struct mu_session *mu_uplink_session(struct mu_uplink *up);
void mu_uplink_stir(struct mu_uplink *up);

/* For who waits for his last word to be answered: from now on nothing is logged of a conductor that
 * is tried in vain, and excuse() is why there was no answer. Returns @out. */
#define MU_UPLINK_EXCUSE 1152
void mu_uplink_quiet(struct mu_uplink *up);
const char *mu_uplink_excuse(const struct mu_uplink *up, char out[MU_UPLINK_EXCUSE]);

/* Frees the session and closes everything; the memory goes when the loop has let go of it. NULL is
 * allowed. Returns whether a resolver is still at work, which cannot be stopped: the loop, and
 * exit() too, would wait for it. */
bool mu_uplink_close(struct mu_uplink *up);

#endif
