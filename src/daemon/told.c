#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/stat.h"
#include "conductor/hearing.h"
#include "daemon/rooms.h"

#define STATUS_EVERY   (5 * MU_SEC)
#define STORE_PATIENCE (2 * MU_SEC)  /* a store away for longer makes us not ready */
#define QUEUE_PATIENCE (10 * MU_SEC) /* and so does an event that has waited so long */

static uint32_t shown(const struct mu_rooms *rooms, enum mu_state state)
{
    return mu_roster_census(mu_conductor_roster(rooms->conductor))->state[state];
}

static uint32_t agents(const struct mu_rooms *rooms)
{
    return mu_roster_count(mu_conductor_roster(rooms->conductor));
}

/* ---- ready ---- */

static void fact(const char *name, const char *text)
{
    printf("  %-9s %s\n", name, text);
}

/* The first listener as it came out, where any free port was asked for. */
static void address_facts(const char *name, const char *scheme, const struct mu_config_list *list,
                          bool activated, int first_port)
{
    char text[1100];
    bool told = false;

    if (activated) {
        snprintf(text, sizeof(text), "port %d, from the service manager", first_port);
        fact(name, text);
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        struct mu_addr addr;

        if (mu_addr_parse(&addr, list->at[i], NULL))
            continue;
        if (!*addr.host)
            snprintf(text, sizeof(text), "%s", addr.path);
        else
            snprintf(text, sizeof(text), strchr(addr.host, ':') ? "%s[%s]:%d" : "%s%s:%d", scheme,
                     addr.host, told || !first_port ? addr.port : first_port);
        told |= *addr.host != 0;
        fact(i ? "" : name, text);
    }
}

static void tell_facts(const struct mu_rooms *rooms)
{
    const struct mu_config *config = rooms->config;
    struct mu_addr store;
    char text[1100];

    fact("version", MUSTER_VERSION);
    fact("store", mu_addr_parse(&store, config->store, NULL) ? "" : store.text);
    address_facts("agents", "", &config->listen, rooms->activated.nagents, rooms->agents_port);
    address_facts("http", "http://", &config->http, rooms->activated.nhttp, rooms->http_port);
    fact("access", config->insecure
                       ? "open: whoever reaches these addresses may read and write"
                       : "loopback only: every user of this machine may read and write");
    snprintf(text, sizeof(text),
             "%" PRIu64 " open at most: %" PRIu32 " for agents, %" PRIu32 " for HTTP",
             rooms->limits.files, rooms->limits.streams, rooms->limits.http);
    fact("files", text);
    snprintf(text, sizeof(text), "%" PRIu32 " known", agents(rooms));
    fact("fleet", text);
    printf("Ready in %" PRId64 " ms\n", (mu_clock_now() - rooms->begun) / MU_MS);
    fflush(stdout);
}

/* A datagram of up to 100 bytes, most beats, is booked with 832 in twice what was asked for. */
static void tell_buffer(const struct mu_rooms *rooms, int got)
{
    int asked = (int)rooms->config->receive_buffer, beats = (int)(2 * (int64_t)got / 832);
    char cure[64];

    mu_stat_set(MU_STAT_RECEIVE_BUFFER, got);
    if (got == 0) /* Unix sockets alone */
        return;
    if (got >= asked) {
        mu_info("transport", "receive buffer", MU_KVI("bytes", got), MU_KVI("holds_beats", beats),
                MU_KVI("ms_of_100000_a_second", beats / 100));
        return;
    }
    snprintf(cure, sizeof(cure), "sysctl -w net.core.rmem_max=%d, then a restart", asked);
    mu_warn("transport", "receive buffer smaller than asked for", MU_KVI("bytes", got),
            MU_KVI("asked", asked), MU_KVI("holds_beats", beats),
            MU_KVI("ms_of_100000_a_second", beats / 100), MU_KVS("cure", cure));
}

void mu_rooms_tell_ready(const struct mu_rooms *rooms)
{
    struct mu_transport_stats stats;
    struct mu_addr store;

    mu_transport_stats(rooms->transport, &stats);
    tell_buffer(rooms, stats.receive_buffer);
    if (rooms->options->facts)
        tell_facts(rooms);
    mu_info("daemon", "ready", MU_KVS("version", MUSTER_VERSION),
            MU_KVU("epoch", rooms->boot.epoch),
            MU_KVS("store", mu_addr_parse(&store, rooms->config->store, NULL) ? "" : store.text),
            MU_KVI("agents_port", rooms->agents_port), MU_KVI("http_port", rooms->http_port),
            MU_KVU("known", agents(rooms)), MU_KVU("files", rooms->limits.files),
            MU_KVU("max_streams", rooms->limits.streams), MU_KVU("max_http", rooms->limits.http),
            MU_KVI("ms", (mu_clock_now() - rooms->begun) / MU_MS));
    mu_notify_send(&((struct mu_rooms *)rooms)->notify, "READY=1");
}

void mu_rooms_tell_status(struct mu_rooms *rooms, mu_time now)
{
    if (rooms->notify.fd < 0 || rooms->draining ||
        (rooms->status_at && now - rooms->status_at < STATUS_EVERY))
        return;
    rooms->status_at = now;
    mu_notify_send(&rooms->notify,
                   "STATUS=%" PRIu32 " agents: %" PRIu32 " up, %" PRIu32 " suspect, %" PRIu32
                   " down, %" PRIu32 " left, %" PRIu32 " unknown",
                   agents(rooms), shown(rooms, MU_UP), shown(rooms, MU_SUSPECT),
                   shown(rooms, MU_DOWN), shown(rooms, MU_LEFT), shown(rooms, MU_UNKNOWN));
}

/* ---- the store, to the log ---- */

void mu_rooms_tell_store(struct mu_rooms *rooms, mu_time now)
{
    struct mu_store_health health;
    bool away;

    mu_store_health(rooms->store, now, &health);
    away = !health.ok && health.away >= STORE_PATIENCE;
    if (away && !rooms->store_away) {
        rooms->store_away = now - health.away;
        mu_warn("store", "away, changes wait in memory", MU_KVS("why", health.error));
    } else if (health.ok && rooms->store_away) {
        mu_info("store", "back", MU_KVI("away_ms", (now - rooms->store_away) / MU_MS));
        rooms->store_away = 0;
    }
}

/* ---- the state, to the log ---- */

void mu_rooms_dump(const struct mu_rooms *rooms)
{
    struct mu_store_health store;
    struct mu_journal_health journal;
    struct mu_transport_stats streams;

    mu_info("daemon", "state of the fleet", MU_KVU("agents", agents(rooms)),
            MU_KVU("up", shown(rooms, MU_UP)), MU_KVU("suspect", shown(rooms, MU_SUSPECT)),
            MU_KVU("down", shown(rooms, MU_DOWN)), MU_KVU("left", shown(rooms, MU_LEFT)),
            MU_KVU("unknown", shown(rooms, MU_UNKNOWN)),
            MU_KVU("last_event", mu_bus_last(mu_conductor_bus(rooms->conductor))));
    if (rooms->store) {
        mu_store_health(rooms->store, mu_clock_now(), &store);
        mu_info("daemon", "state of the store", MU_KVS("ok", store.ok ? "yes" : "no"),
                MU_KVS("error", store.error), MU_KVI("away_ms", store.away / MU_MS),
                MU_KVU("jobs", store.jobs), MU_KVU("writes", store.writes),
                MU_KVU("errors", store.errors));
    }
    mu_journal_health(rooms->journal, &journal);
    mu_info("daemon", "state of the journal", MU_KVU("events", journal.events),
            MU_KVU("proposals", journal.proposals), MU_KVU("payload_bytes", journal.payload_bytes),
            MU_KVU("lost", journal.lost), MU_KVI("oldest_ms", journal.oldest / MU_MS));
    if (rooms->transport) {
        mu_transport_stats(rooms->transport, &streams);
        mu_info("daemon", "state of the transport", MU_KVU("streams", streams.streams),
                MU_KVU("accepted", streams.accepted), MU_KVU("refused", streams.refused),
                MU_KVU("silent", streams.silent), MU_KVU("overflowed", streams.overflowed),
                MU_KVU("drops", streams.drops), MU_KVI("receive_buffer", streams.receive_buffer));
    }
}

/* ---- /readyz ---- */

static void check_store(const struct mu_rooms *rooms, mu_check_fn each, void *ctx)
{
    struct mu_store_health health;
    char text[600];
    bool ok;

    mu_store_health(rooms->store, mu_clock_now(), &health);
    ok = health.ok || health.away < STORE_PATIENCE;
    snprintf(text, sizeof(text), "away for %" PRId64 " s: %s", health.away / MU_SEC,
             *health.error ? health.error : "no answer");
    each(ctx, "store", ok, ok ? "ok" : text);
}

static void check_journal(const struct mu_rooms *rooms, mu_check_fn each, void *ctx)
{
    struct mu_journal_health health;
    char text[128];
    bool ok;

    mu_journal_health(rooms->journal, &health);
    ok = health.oldest < QUEUE_PATIENCE;
    snprintf(text, sizeof(text), "%zu events wait, the oldest for %" PRId64 " s", health.events,
             health.oldest / MU_SEC);
    each(ctx, "journal", ok, ok ? "ok" : text);
}

static void check_hearing(const struct mu_rooms *rooms, mu_check_fn each, void *ctx)
{
    char text[256];
    bool ok = mu_hearing_ready(mu_conductor_hearing(rooms->conductor), mu_clock_now(), text,
                               sizeof(text));

    each(ctx, "hearing", ok, ok ? "ok" : text);
}

void mu_rooms_checks(void *ctx, mu_check_fn each, void *each_ctx)
{
    const struct mu_rooms *rooms = ctx;

    each(each_ctx, "draining", !rooms->draining, rooms->draining ? "stopping" : "ok");
    check_store(rooms, each, each_ctx);
    check_journal(rooms, each, each_ctx);
    check_hearing(rooms, each, each_ctx);
}
