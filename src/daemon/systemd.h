/* systemd.h - what a service manager wants to hear, and the sockets it hands over. Its protocol is
 * stable and small (sd_notify(3), sd_listen_fds(3)), so no library is needed. */
#ifndef MU_DAEMON_SYSTEMD_H
#define MU_DAEMON_SYSTEMD_H

#include "base/clock.h"
#include "base/err.h"

#define MU_ACTIVATED_MAX 64

struct mu_notify {
    int fd;          /* -1 = nobody listens */
    mu_dur watchdog; /* how often WATCHDOG=1 is due: half of what was asked; 0 = never */
    mu_time told;    /* when it was sent last */
};

/* Reads $NOTIFY_SOCKET (a path, or abstract with @) and $WATCHDOG_USEC, and takes them out of the
 * environment. Without them nothing is ever sent. */
int mu_notify_open(struct mu_notify *notify, struct mu_err *err);
void mu_notify_close(struct mu_notify *notify);

/* Sends lines such as "READY=1\nSTATUS=..."; never blocks, and what the manager does not take is
 * lost. */
void mu_notify_send(struct mu_notify *notify, const char *fmt, ...) MU_PRINTF(2, 3);

/* WATCHDOG=1 when it is due. To be called by what must not stand still. */
void mu_notify_alive(struct mu_notify *notify, mu_time now);

/* RELOADING=1 with the moment it began, which the manager compares with its own. */
void mu_notify_reloading(struct mu_notify *notify, mu_time now);

/* Sockets from the manager, already bound, by what FileDescriptorName= calls them. */
struct mu_activated {
    int agents[MU_ACTIVATED_MAX], http[MU_ACTIVATED_MAX];
    size_t nagents, nhttp;
};

/* Takes $LISTEN_FDS, if they are for this process, and makes them CLOEXEC. MU_EINVAL for a name
 * that is neither agents nor http. */
int mu_activation_take(struct mu_activated *out, struct mu_err *err);

#endif
