#include "daemon/serve.h"

#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/rng.h"
#include "base/siphash.h"
#include "base/stat.h"
#include "conductor/intake.h"
#include "daemon/rooms.h"
#include "daemon/secret.h"
#include "outlet/diary.h"

/* The happy path: build() from the store upwards, uv_run(), a signal, drain(), the journal is
 * empty, leave() goes from the doors inwards, the loop has no handle left, free_rooms(). What fails
 * while building leaves the same way, past the rooms that are not there yet. */

enum { TICK_MS = 100 };

#define FLUSH_PATIENCE (2500 * MU_MS) /* so that an end takes less than 5 s in all */
#define STORE_PATIENCE (1000 * MU_MS)
/* timeout(1) and some supervisors signal the process, and then its group: that is one wish. */
#define ONE_WISH (50 * MU_MS)

/* ---- from room to room ---- */

static size_t on_datagram(void *ctx, const uint8_t *in, size_t n, uint64_t from, mu_time now,
                          uint8_t *out)
{
    return mu_intake_datagram(((struct mu_rooms *)ctx)->conductor, in, n, from, now, out);
}

static void on_soon(void *ctx, const uint8_t *in, size_t n)
{
    mu_intake_soon(((struct mu_rooms *)ctx)->conductor, in, n);
}

static int on_opened(void *ctx, uint64_t conn, const char *peer, mu_time now)
{
    return mu_intake_opened(((struct mu_rooms *)ctx)->conductor, conn, peer, now);
}

static int on_frame(void *ctx, uint64_t conn, const uint8_t *frame, size_t n, mu_time now)
{
    return mu_intake_frame(((struct mu_rooms *)ctx)->conductor, conn, frame, n, now);
}

static void on_closed(void *ctx, uint64_t conn, bool by_peer, mu_time now)
{
    mu_intake_closed(((struct mu_rooms *)ctx)->conductor, conn, by_peer, now);
}

static void send_frame(void *ctx, uint64_t conn, const uint8_t *frame, size_t n)
{
    struct mu_rooms *rooms = ctx;

    if (rooms->transport) /* gone, where the store answers only when the doors are closed */
        mu_transport_send(rooms->transport, conn, frame, n);
}

static void close_stream(void *ctx, uint64_t conn)
{
    struct mu_rooms *rooms = ctx;

    if (rooms->transport)
        mu_transport_close_stream(rooms->transport, conn);
}

static bool unread(void *ctx, uint64_t conn)
{
    const struct mu_rooms *rooms = ctx;

    return rooms->transport && mu_transport_unread(rooms->transport, conn);
}

static int propose(void *ctx, const struct mu_change *change)
{
    return mu_journal_propose(((struct mu_rooms *)ctx)->journal, change);
}

static int keep_payload(void *ctx, const struct mu_reported *report, const char *json, size_t n)
{
    return mu_journal_payload(((struct mu_rooms *)ctx)->journal, report, json, n);
}

static void row_changed(void *ctx, uint32_t slot)
{
    mu_journal_changed(((struct mu_rooms *)ctx)->journal, slot);
}

static void on_committed(void *ctx, uint64_t ticket, int rv)
{
    mu_conductor_committed(((struct mu_rooms *)ctx)->conductor, ticket, rv, mu_clock_now());
}

static void on_reported(void *ctx, const struct mu_reported *report, int rv)
{
    mu_conductor_reported(((struct mu_rooms *)ctx)->conductor, report, rv, mu_clock_now());
}

static int restore_row(void *ctx, const struct mu_who *who, const struct mu_row *row,
                       const struct mu_payload *payload)
{
    return mu_conductor_restore(((struct mu_rooms *)ctx)->conductor, who, row,
                                payload ? payload->len : 0);
}

/* ---- the tick ---- */

static void give_way(struct mu_rooms *rooms);

/* A tick has two halves, since silence may only be judged by a `now` up to which everything that
 * came has been heard: the clocks are read first; then the loop reads the streams (its poll comes
 * between timers and checks) and the datagrams that had come by then, and the sweep judges. However
 * long we are stopped in between, nobody is taken for silent. Where a flood has filled the sockets
 * that takes many turns of the loop, so that whoever else wants something gets it. */
static void on_idle(uv_idle_t *idle)
{
    /* being active is all it does: poll returns at once */
}

/* What judges nobody goes on while a sweep waits for what came before it. */
static void keep_on(struct mu_rooms *rooms)
{
    mu_journal_tick(rooms->journal, mu_clock_now(), mu_clock_wall());
    mu_notify_alive(&rooms->notify, mu_clock_now());
}

static void on_sweep(uv_check_t *check)
{
    struct mu_rooms *rooms = check->data;
    struct mu_transport_stats stats;
    mu_time began;

    if (!uv_is_active((uv_handle_t *)&rooms->idle))
        return;
    if (!mu_transport_passed(rooms->transport, rooms->mark))
        return;
    uv_idle_stop(&rooms->idle);
    mu_transport_stats(rooms->transport, &stats);
    began = mu_clock_now();
    mu_conductor_tick(rooms->conductor, rooms->now, rooms->boot_now, rooms->wall, stats.drops);
    mu_stat_observe(MU_STAT_SWEEP, (double)(mu_clock_now() - began) / MU_SEC);
    keep_on(rooms);
    mu_rooms_tell_status(rooms, rooms->now);
    mu_rooms_tell_store(rooms, rooms->now);
    give_way(rooms);
    mu_log_tick();
}

static void on_tick(uv_timer_t *timer)
{
    struct mu_rooms *rooms = timer->data;

    if (uv_is_active((uv_handle_t *)&rooms->idle)) { /* the last one's sweep is still to come */
        keep_on(rooms);
        return;
    }
    rooms->now = mu_clock_now();
    rooms->boot_now = mu_clock_boot();
    rooms->wall = mu_clock_wall();
    rooms->mark = mu_transport_mark(rooms->transport);
    uv_idle_start(&rooms->idle, on_idle);
}

static void stop_ticks(struct mu_rooms *rooms)
{
    uv_close((uv_handle_t *)&rooms->tick, NULL);
    uv_close((uv_handle_t *)&rooms->idle, NULL);
    uv_close((uv_handle_t *)&rooms->sweep, NULL);
}

/* ---- the end ---- */

static void leave(void *ctx);

static void on_transport_closed(void *ctx)
{
    struct mu_rooms *rooms = ctx;

    mu_transport_free(rooms->transport);
    rooms->transport = NULL;
    leave(rooms);
}

static void on_store_closed(void *ctx, size_t lost)
{
    ((struct mu_rooms *)ctx)->lost += lost;
    leave(ctx);
}

/* Takes down one room after the other; each calls back when it is empty. */
static void leave(void *ctx)
{
    struct mu_rooms *rooms = ctx;
    struct mu_http *http = rooms->http;
    struct mu_store *store = rooms->store;

    rooms->http = NULL;
    if (http) {
        mu_http_close(http, leave, rooms);
    } else if (rooms->transport) {
        mu_transport_close(rooms->transport, on_transport_closed, rooms);
    } else if (store) {
        rooms->store = NULL;
        mu_store_close(store, STORE_PATIENCE, on_store_closed, rooms);
    } else {
        mu_lag_stop(&rooms->lag);
        for (int i = 0; i < MU_SIGNALS; i++)
            uv_close((uv_handle_t *)&rooms->signals[i], NULL);
    }
}

static void on_flushed(void *ctx, size_t lost)
{
    struct mu_rooms *rooms = ctx;

    rooms->lost += lost;
    stop_ticks(rooms);
    leave(rooms);
}

/* Ticks go on until the journal is empty: agents that are known are heard, nobody is judged
 * wrongly. */
static void drain(struct mu_rooms *rooms)
{
    rooms->draining = true;
    rooms->draining_since = mu_clock_now();
    mu_notify_send(&rooms->notify, "STOPPING=1\nSTATUS=Storing what waits");
    mu_transport_stop_accepting(rooms->transport);
    mu_conductor_drain(rooms->conductor);
    mu_journal_finish(rooms->journal, FLUSH_PATIENCE, on_flushed, rooms);
}

static void on_wish(struct mu_rooms *rooms, const char *signal)
{
    if (rooms->draining && mu_clock_now() - rooms->draining_since < ONE_WISH)
        return;
    if (rooms->draining) {
        mu_warn("daemon", "ends at once", MU_KVS("signal", signal));
        _exit(1);
    }
    mu_info("daemon", "draining", MU_KVS("signal", signal));
    drain(rooms);
}

/* Two must not judge one fleet: who has lost the database to another one ends. */
static void give_way(struct mu_rooms *rooms)
{
    struct mu_store_health health;

    if (rooms->draining)
        return;
    mu_store_health(rooms->store, rooms->now, &health);
    if (!health.taken)
        return;
    mu_err_set(&rooms->taken, MU_ELOCKED, "%s", health.error);
    mu_info("daemon", "draining", MU_KVS("why", "another conductor has the database"));
    drain(rooms);
}

/* ---- the other signals ---- */

static void warn_line(void *ctx, const char *line)
{
    mu_warn("config", "doubtful", MU_KVS("why", line));
}

/* What takes a restart stays as it is, and is named. */
static void take_up(struct mu_rooms *rooms, const struct mu_config *fresh)
{
    struct mu_buf restarts;

    mu_buf_init(&restarts, 0);
    mu_config_restarts(rooms->config, fresh, &restarts);
    if (restarts.len)
        mu_warn("config", "changes that take a restart",
                MU_KVS("settings", mu_buf_text(&restarts)));
    mu_buf_fini(&restarts);
    rooms->config->policies = fresh->policies;
    rooms->config->log_level = fresh->log_level;
    rooms->config->log_format = fresh->log_format;
    mu_log_setup((enum mu_log_level)fresh->log_level, (enum mu_log_format)fresh->log_format);
    mu_conductor_policies(rooms->conductor, &rooms->config->policies, mu_clock_now());
    mu_info("config", "reloaded", MU_KVU("policies", fresh->policies.n));
}

static void reload(struct mu_rooms *rooms)
{
    struct mu_config *fresh;
    struct mu_err err = {0};

    mu_notify_reloading(&rooms->notify, mu_clock_now());
    if (mu_config_load(&fresh, &rooms->source, &err)) {
        mu_error("config", "not reloaded, the old one stays in force", MU_KVS("why", err.text));
    } else {
        take_up(rooms, fresh);
        mu_config_free(fresh);
    }
    mu_notify_send(&rooms->notify, "READY=1");
}

static void on_signal(uv_signal_t *handle, int signum)
{
    struct mu_rooms *rooms = handle->data;

    switch (signum) {
    case SIGHUP:
        if (!rooms->draining)
            reload(rooms);
        break;
    case SIGUSR1:
        mu_rooms_dump(rooms);
        break;
    default:
        on_wish(rooms, signum == SIGINT ? "SIGINT" : "SIGTERM");
    }
}

/* ---- the beginning ---- */

/* Where no place was given, its folder is ours to make; otherwise a missing one is likely a slip.
 */
static int make_state_dir(const struct mu_config *config, struct mu_err *err)
{
    char path[sizeof(config->own_folder)];
    int error = 0; /* the first that is more than a folder that is there */

    if (!*config->own_folder)
        return 0;
    strcpy(path, config->own_folder);
    for (char *p = path + 1; (p = strchr(p, '/')); p++) {
        *p = 0;
        if (mkdir(path, 0755) && errno != EEXIST && !error)
            error = errno;
        *p = '/';
    }
    if (mkdir(path, 0700) && errno != EEXIST)
        return mu_err_set(err, MU_EIO,
                          "cannot make the folder %s for the state: %s; name other places with "
                          "--store and secret_file",
                          path, strerror(error ? error : errno));
    return 0;
}

static int begin_loop(struct mu_rooms *rooms, struct mu_err *err)
{
    static const int signals[MU_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    int rv = uv_loop_init(&rooms->loop);

    if (rv)
        return mu_err_set(err, MU_EIO, "event loop: %s", uv_strerror(rv));
    signal(SIGPIPE, SIG_IGN);
    uv_timer_init(&rooms->loop, &rooms->tick);
    uv_idle_init(&rooms->loop, &rooms->idle);
    uv_check_init(&rooms->loop, &rooms->sweep);
    mu_lag_start(&rooms->lag, &rooms->loop);
    rooms->tick.data = rooms->sweep.data = rooms;
    for (int i = 0; i < MU_SIGNALS; i++) {
        uv_signal_init(&rooms->loop, &rooms->signals[i]);
        rooms->signals[i].data = rooms;
        uv_signal_start(&rooms->signals[i], on_signal, signals[i]);
    }
    return 0;
}

/* A new database counts its epochs, and so the sessions, from the beginning. Senders of another
 * one would be taken for those who get their numbers now, and be answered, and never join: under
 * what is made of the file's secret and the database's own number they are strangers. */
static int load_secret(const struct mu_rooms *rooms, uint8_t secret[16], struct mu_err *err)
{
    const char *path = rooms->config->secret_file;
    bool lost = rooms->boot.epoch > 1 && *path && access(path, F_OK) && errno == ENOENT;
    uint64_t fleet = htobe64(rooms->boot.fleet);
    uint8_t file[16];
    int rv = mu_secret_load(path, file, err);

    if (rv)
        return rv;
    mu_siphash128(file, &fleet, sizeof(fleet), secret);
    if (lost)
        mu_warn("daemon", "made a new secret: all agents join anew", MU_KVS("secret_file", path));
    return 0;
}

static int build_conductor(struct mu_rooms *rooms, struct mu_err *err)
{
    const struct mu_config *config = rooms->config;
    const struct mu_conductor_ports ports = {.ctx = rooms,
                                             .propose = propose,
                                             .payload = keep_payload,
                                             .changed = row_changed,
                                             .send = send_frame,
                                             .close = close_stream,
                                             .unread = unread};
    struct mu_conductor_config cc = {.epoch = rooms->boot.epoch,
                                     .next_row = rooms->boot.row,
                                     .max_agents = (uint32_t)config->max_agents,
                                     .join_rate = (uint32_t)config->join_rate,
                                     .forget_after = config->forget_after,
                                     .max_streams = rooms->limits.sessions,
                                     .policies = &config->policies};
    int rv = load_secret(rooms, cc.secret, err);

    if (!rv && *config->token_file)
        rv = mu_secret_token(config->token_file, cc.token, sizeof(cc.token), err);
    if (!rv && mu_rng_secret(&cc.seed, sizeof(cc.seed)))
        rv = mu_err_set(err, MU_EIO, "the kernel gives no random bytes");
    if (rv)
        return rv;
    rv = mu_conductor_new(&rooms->conductor, &cc, &ports, mu_clock_now(), mu_clock_wall());
    if (rv)
        return mu_err_wrap(err, rv, "conductor");
    rv = mu_store_load(rooms->store, restore_row, rooms, err);
    if (rv)
        return rv;
    rv = mu_conductor_restored(rooms->conductor);
    if (rv == MU_EEXIST)
        return mu_err_set(err, rv, "store %s: two of its agents have one name or one UUID",
                          config->store);
    return rv ? mu_err_set(err, rv, "conductor: out of memory") : 0;
}

static int build_outlets(struct mu_rooms *rooms, struct mu_err *err)
{
    struct mu_bus *bus = mu_conductor_bus(rooms->conductor);
    const struct mu_journal_config jc = {.store = rooms->store,
                                         .roster = mu_conductor_roster(rooms->conductor),
                                         .bus = bus,
                                         .committed = on_committed,
                                         .reported = on_reported,
                                         .ctx = rooms,
                                         .checkpoint_interval = rooms->config->checkpoint_interval,
                                         .retention = rooms->config->event_retention,
                                         .keep = (uint64_t)rooms->config->event_max};
    int rv = mu_metrics_new(&rooms->metrics, bus, MUSTER_VERSION);

    /* An event is counted, journalled, told, logged, in this order. */
    if (!rv)
        rv = mu_journal_new(&rooms->journal, &jc, &rooms->boot, mu_clock_now(), mu_clock_wall());
    if (!rv)
        rv = mu_watch_new(&rooms->watch, bus, rooms->boot.seq, MU_WATCH_EVENTS);
    if (!rv)
        rv = mu_diary_attach(bus);
    return rv ? mu_err_wrap(err, rv, "outlets") : 0;
}

static int build_doors(struct mu_rooms *rooms, struct mu_err *err)
{
    const struct mu_transport_config tc = {.max_streams = rooms->limits.streams,
                                           .max_per_peer = (uint32_t)rooms->config->max_per_peer,
                                           .silent_for = rooms->config->silent_for,
                                           .send_queue_max = 1 << 20,
                                           .receive_buffer = (int)rooms->config->receive_buffer};
    const struct mu_http_config hc = {
        .loop = &rooms->loop,
        .conductor = rooms->conductor,
        .store = rooms->store,
        .watch = rooms->watch,
        .metrics = rooms->metrics,
        .journal = rooms->journal,
        .version = MUSTER_VERSION,
        .started = rooms->started,
        .epoch = rooms->boot.epoch,
        .checks = mu_rooms_checks,
        .checks_ctx = rooms,
        .hosts = *rooms->config->http_hosts ? rooms->config->http_hosts : NULL,
        .max_conns = rooms->limits.http,
        .max_per_ip = (uint32_t)rooms->config->max_http_per_peer,
    };
    int rv;

    rooms->sink = (struct mu_transport_sink){.ctx = rooms,
                                             .datagram = on_datagram,
                                             .soon = on_soon,
                                             .opened = on_opened,
                                             .frame = on_frame,
                                             .closed = on_closed};
    rv = mu_transport_new(&rooms->transport, &rooms->loop, &tc, &rooms->sink);
    if (rv)
        return mu_err_wrap(err, rv, "transport");
    rv = mu_http_new(&rooms->http, &hc, err);
    return rv ? rv : mu_rooms_listen(rooms, err);
}

static int build(struct mu_rooms *rooms, struct mu_err *err)
{
    const struct mu_config *config = rooms->config;
    int rv = mu_limits_share(mu_limits_raise(), config->max_http, config->max_streams,
                             &rooms->limits, err);

    if (rv)
        return rv;
    rv = make_state_dir(config, err);
    if (!rv)
        rv = mu_store_open(&rooms->store, &rooms->loop, config->store, false, &rooms->boot, err);
    if (!rv)
        rv = build_conductor(rooms, err);
    if (!rv)
        rv = build_outlets(rooms, err);
    if (!rv)
        rv = build_doors(rooms, err);
    if (rv)
        return rv;
    mu_conductor_begin(rooms->conductor, mu_clock_now(), mu_clock_wall());
    uv_timer_start(&rooms->tick, on_tick, TICK_MS, TICK_MS);
    uv_check_start(&rooms->sweep, on_sweep);
    if (rooms->options->ports_file)
        rv = mu_rooms_ports_file(rooms, rooms->options->ports_file, err);
    return rv;
}

static void free_rooms(struct mu_rooms *rooms)
{
    mu_journal_free(rooms->journal);
    mu_watch_free(rooms->watch);
    mu_metrics_free(rooms->metrics);
    mu_conductor_free(rooms->conductor);
    mu_notify_close(&rooms->notify);
    mu_config_free(rooms->config);
}

/* Builds and runs; @err is set when it could not begin. */
static int live(struct mu_rooms *rooms, struct mu_err *err)
{
    int rv = begin_loop(rooms, err);

    if (rv)
        return rv;
    rv = build(rooms, err);
    if (rv) {
        for (int i = 0; i < MU_SIGNALS; i++) /* what they would look at may not be there */
            uv_signal_stop(&rooms->signals[i]);
        stop_ticks(rooms);
        leave(rooms);
    } else {
        mu_rooms_tell_ready(rooms);
        mu_rooms_tell_status(rooms, mu_clock_now());
    }
    uv_run(&rooms->loop, UV_RUN_DEFAULT);
    uv_loop_close(&rooms->loop);
    return rv;
}

int mu_serve(const struct mu_serve_options *options, struct mu_err *err)
{
    struct mu_rooms rooms = {
        .options = options, .source = options->source, .begun = mu_clock_now()};
    int rv;

    mu_log_setup(MU_LOG_INFO, MU_LOG_AUTO);
    rooms.started = mu_clock_wall();
    rooms.source.warn = warn_line;
    rv = mu_config_load(&rooms.config, &rooms.source, err);
    if (rv)
        return rv;
    mu_log_setup((enum mu_log_level)rooms.config->log_level,
                 (enum mu_log_format)rooms.config->log_format);
    rv = mu_notify_open(&rooms.notify, err);
    if (!rv)
        rv = mu_activation_take(&rooms.activated, err);
    if (!rv)
        rv = live(&rooms, err);
    if (!rv && rooms.taken.code)
        rv = mu_err_set(err, MU_ELOCKED, "%s", rooms.taken.text);
    if (!rv && rooms.lost)
        rv = mu_err_set(err, MU_EIO, "%zu changes could not be stored", rooms.lost);
    if (!rv)
        mu_info("daemon", "stopped", MU_KVU("epoch", rooms.boot.epoch));
    free_rooms(&rooms);
    return rv;
}
