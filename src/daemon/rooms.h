/* rooms.h - what a serving conductor consists of; between serve.c, ears.c, and told.c. */
#ifndef MU_DAEMON_ROOMS_H
#define MU_DAEMON_ROOMS_H

#include <uv.h>

#include "conductor/conductor.h"
#include "daemon/lag.h"
#include "daemon/limits.h"
#include "daemon/serve.h"
#include "daemon/systemd.h"
#include "http/http.h"
#include "outlet/journal.h"
#include "outlet/metrics.h"
#include "outlet/watch.h"
#include "store/store.h"
#include "transport/transport.h"

enum { MU_SIGNALS = 4 };

struct mu_rooms {
    const struct mu_serve_options *options;
    struct mu_config_source source; /* read again on SIGHUP */
    struct mu_config *config;       /* in force: what took a restart is as it was at the start */
    struct mu_limits limits;
    struct mu_notify notify;
    struct mu_activated activated;
    mu_time begun;      /* when the process began to build */
    mu_wall started;    /* the same, for people */
    mu_time status_at;  /* when STATUS= was sent last */
    mu_time store_away; /* since when, as the log says; 0 = it is there */

    uv_loop_t loop;
    struct mu_lag lag;
    uv_timer_t tick;       /* every 100 ms: reads the clocks, and wakes @idle */
    uv_idle_t idle;        /* keeps the loop from waiting between the tick and the sweep */
    uv_check_t sweep;      /* after the loop has read what waits in the streams */
    mu_time now, boot_now; /* read by the tick, for the sweep */
    mu_wall wall;
    uint64_t mark; /* the transport's, taken by the tick: passed before the sweep */
    uv_signal_t signals[MU_SIGNALS];

    struct mu_boot boot;
    struct mu_store *store; /* NULL = not built, or taken down: so are the others */
    struct mu_conductor *conductor;
    struct mu_metrics *metrics;
    struct mu_journal *journal;
    struct mu_watch *watch;
    struct mu_transport *transport;
    struct mu_transport_sink sink; /* the transport's */
    struct mu_http *http;

    int agents_port, http_port; /* of the first listeners; 0 = none */
    bool draining;
    mu_time draining_since;
    size_t lost;         /* what could not be stored at the end */
    struct mu_err taken; /* by whom the database was taken over; .code is 0 = by nobody */
};

/* ears.c: makes the listeners, or takes those of the service manager. The error names the address,
 * who has it, and the flag. */
int mu_rooms_listen(struct mu_rooms *rooms, struct mu_err *err);
/* Whether something stands where a Unix socket is to be; a socket may be a conductor's that runs.
 */
int mu_rooms_check_paths(const struct mu_config *config, struct mu_err *err);
int mu_rooms_ports_file(const struct mu_rooms *rooms, const char *path, struct mu_err *err);

/* told.c: what people and machines are told. */
void mu_rooms_tell_ready(const struct mu_rooms *rooms);
void mu_rooms_tell_status(struct mu_rooms *rooms, mu_time now); /* to the service manager */
void mu_rooms_tell_store(struct mu_rooms *rooms,
                         mu_time now);            /* to the log, when it goes or comes */
void mu_rooms_dump(const struct mu_rooms *rooms); /* to the log */
void mu_rooms_checks(void *rooms, mu_check_fn each, void *ctx); /* for /readyz */

#endif
