#include "load/fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "load/fleet_int.h"

#define BINARY      "nova-compute"
#define TICK_MS     5
#define START_SLICE 25 /* agents started a tick: a listening socket holds only so many callers */
#define ZONES       3
#define RACK        20 /* agents */
#define SPARE_FILES 64 /* descriptors for everything but the agents' streams */

char *mu_fleet_name(const struct mu_fleet *fleet, uint32_t agent, char out[MU_NAME_TEXT])
{
    (void)fleet;
    snprintf(out, MU_NAME_TEXT, BINARY "@cmp-%04u", agent);
    return out;
}

uint32_t mu_fleet_find(const struct mu_fleet *fleet, const char *name)
{
    char text[MU_NAME_TEXT];
    const char *number = strrchr(name, '-');
    unsigned long i = number ? strtoul(number + 1, NULL, 10) : ULONG_MAX;

    if (i >= fleet->config.agents || strcmp(mu_fleet_name(fleet, (uint32_t)i, text), name) != 0)
        return UINT32_MAX;
    return (uint32_t)i;
}

/* --- an agent -----------------------------------------------------------------------------------
 */

static void end(struct fleet_agent *a)
{
    if (!a->session)
        return;
    fleet_edge_forget(a);
    mu_dial_close(a->dial);
    a->dial = NULL;
    mu_session_free(a->session);
    a->session = NULL;
    a->life++; /* what it has under way is void */
    a->dial_wanted = a->hangup_wanted = false;
    a->stream_free = 0;
    a->held_n = 0;
    a->fleet->due[fleet_number(a)] = MU_NEVER;
    a->fleet->living--;
}

static void on_dialled(void *ctx, int rv)
{
    struct fleet_agent *a = ctx;

    if (rv) {
        mu_dial_close(a->dial);
        a->dial = NULL;
    }
    mu_session_dialled(a->session, rv, mu_clock_boot());
    fleet_stir(a);
    fleet_edge_flush(a->fleet);
}

static void on_data(void *ctx, const uint8_t *data, size_t n)
{
    struct fleet_agent *a = ctx;

    mu_session_stream(a->session, data, n, mu_clock_boot());
    fleet_stir(a);
    fleet_edge_flush(a->fleet);
}

static void on_hungup(void *ctx)
{
    struct fleet_agent *a = ctx;

    mu_dial_close(a->dial);
    a->dial = NULL;
    mu_session_hungup(a->session, mu_clock_boot());
    fleet_stir(a);
}

static void port_dial(void *ctx)
{
    ((struct fleet_agent *)ctx)->dial_wanted = true;
}

static void port_hangup(void *ctx)
{
    struct fleet_agent *a = ctx;

    a->hangup_wanted = true;
    a->dial_wanted = false;
}

static void port_notice(void *ctx, enum mu_notice what, uint32_t agent, int rv, const char *text)
{
    struct fleet_agent *a = ctx;
    struct mu_fleet *fleet = a->fleet;

    (void)agent;
    (void)rv;
    if (what == MU_NOTICE_JOINED && !a->joined) {
        a->joined = true;
        fleet->joined++;
    } else if (what == MU_NOTICE_REFUSED && !fleet->refused[0]) {
        snprintf(fleet->refused, sizeof(fleet->refused), "%s",
                 text && *text ? text : "no reason given");
    }
}

static void dial(struct fleet_agent *a)
{
    const struct mu_fleet_config *config = &a->fleet->config;
    struct mu_dial_ports ports = {a, on_dialled, on_data, on_hungup};
    int rv;

    a->dial_wanted = false;
    a->stream_free = 0;
    rv = mu_dial_open(&a->dial, a->fleet->loop, (const struct sockaddr *)&config->conductor,
                      config->conductor_len, &ports);
    if (rv)
        mu_session_dialled(a->session, rv, mu_clock_boot());
    else if (fleet_hushed(a))
        mu_dial_hold(a->dial, true);
}

void fleet_stir(struct fleet_agent *a)
{
    if (a->hangup_wanted) {
        a->hangup_wanted = false;
        mu_dial_close(a->dial);
        a->dial = NULL;
    }
    if (a->dial_wanted && !a->dial)
        dial(a);
    if (a->leaving && mu_session_idle(a->session)) {
        end(a);
        return;
    }
    a->fleet->due[fleet_number(a)] = a->pauses ? MU_NEVER : mu_session_due(a->session);
}

static const char *zone_of(uint32_t agent)
{
    static const char *const zones[ZONES] = {"a", "b", "c"};

    return zones[agent % ZONES];
}

static int new_session(struct fleet_agent *a, mu_time now)
{
    struct mu_fleet *fleet = a->fleet;
    uint32_t i = fleet_number(a);
    char host[32], rack[16];
    struct mu_session_label label = {"rack", rack};
    struct mu_session_agent is = {.binary = BINARY,
                                  .host = host,
                                  .zone = zone_of(i),
                                  .version = MUSTER_VERSION,
                                  .labels = &label,
                                  .nlabels = 1,
                                  .interval = fleet->config.interval};
    struct mu_session_config config = {
        .seed = mu_rng_next(&fleet->rng), .token = fleet->config.token, .datagrams = true};
    struct mu_session_ports ports = {a,         fleet_edge_datagram, fleet_edge_stream,
                                     port_dial, port_hangup,         port_notice};
    int rv = mu_rng_secret(&config.start_id, sizeof(config.start_id));

    snprintf(host, sizeof(host), "cmp-%04u", i);
    snprintf(rack, sizeof(rack), "r%u", i / RACK);
    if (rv == 0)
        rv = mu_session_new(&a->session, &config, &ports, now);
    if (rv)
        return rv;
    rv = mu_session_add(a->session, &is, &a->id, now);
    if (rv) {
        mu_session_free(a->session);
        a->session = NULL;
    }
    return rv;
}

static void start(struct fleet_agent *a)
{
    if (new_session(a, mu_clock_boot()))
        return; /* no memory: it stays away, and is missed in the count of the joined */
    a->fleet->living++;
    fleet_stir(a);
}

/* --- faults -------------------------------------------------------------------------------------
 */

static bool may_take(void *ctx, uint32_t agent)
{
    const struct fleet_agent *a = &((struct mu_fleet *)ctx)->agents[agent];

    return a->session && !a->leaving;
}

static const char *label_of(void *ctx, uint32_t agent, const char *key)
{
    static char rack[16];

    (void)ctx;
    if (strcmp(key, "zone") == 0)
        return zone_of(agent);
    if (strcmp(key, "rack") != 0)
        return NULL;
    snprintf(rack, sizeof(rack), "r%u", agent / RACK);
    return rack;
}

/* Lets go on, or holds, what is on its way to and from the agent; then it finds what it missed. */
static void hush(struct fleet_agent *a)
{
    if (!a->session)
        return;
    if (a->dial)
        mu_dial_hold(a->dial, fleet_hushed(a));
    if (!a->pauses && a->held_n) {
        mu_session_datagram(a->session, a->held, a->held_n, mu_clock_boot());
        a->held_n = 0;
    }
    fleet_stir(a);
}

static void begin_fault(void *ctx, const struct mu_step *step, uint32_t agent, mu_time now)
{
    struct fleet_agent *a = &((struct mu_fleet *)ctx)->agents[agent];

    (void)now;
    switch (step->act) {
    case MU_ACT_KILL:
        end(a);
        break;
    case MU_ACT_RESTART:
        end(a);
        start(a);
        break;
    case MU_ACT_LEAVE:
        a->leaving = true;
        (void)mu_session_leave(a->session, a->id, mu_clock_boot());
        fleet_stir(a);
        break;
    case MU_ACT_PAUSE:
        a->pauses++;
        hush(a);
        break;
    case MU_ACT_PARTITION:
        a->cuts++;
        hush(a);
        break;
    case MU_ACT_LOSS:
        a->loss += step->loss;
        break;
    default:
        a->delay += step->delay;
        break;
    }
}

static void end_fault(void *ctx, const struct mu_step *step, uint32_t agent, mu_time now)
{
    struct fleet_agent *a = &((struct mu_fleet *)ctx)->agents[agent];

    (void)now;
    if (step->act == MU_ACT_PAUSE) {
        a->pauses--;
        hush(a);
    } else if (step->act == MU_ACT_PARTITION) {
        a->cuts--;
        hush(a);
    } else if (step->act == MU_ACT_LOSS) {
        a->loss -= step->loss;
    } else if (step->act == MU_ACT_DELAY) {
        a->delay -= step->delay;
    }
}

void mu_fleet_stage(struct mu_fleet *fleet, struct mu_stage *stage)
{
    *stage =
        (struct mu_stage){fleet, fleet->config.agents, may_take, label_of, begin_fault, end_fault};
}

/* --- the fleet ----------------------------------------------------------------------------------
 */

static void on_tick(uv_timer_t *timer)
{
    struct mu_fleet *fleet = timer->data;
    mu_time now = mu_clock_boot();

    for (int i = 0; i < START_SLICE && fleet->started < fleet->config.agents; i++)
        start(&fleet->agents[fleet->started++]);
    fleet_edge_late(fleet, now);
    for (uint32_t i = 0; i < fleet->started; i++) {
        if (fleet->due[i] > now)
            continue;
        mu_session_tick(fleet->agents[i].session, now);
        fleet_stir(&fleet->agents[i]);
    }
    fleet_edge_flush(fleet);
}

static int check_descriptors(uint32_t agents, struct mu_err *err)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files))
        return 0;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max != RLIM_INFINITY && (rlim_t)agents + SPARE_FILES > files.rlim_max)
        return mu_err_set(
            err, MU_EFULL,
            "%u agents want as many open files, but the limit is %lu: raise it (ulimit -n) "
            "or ask for at most %lu",
            agents, (unsigned long)files.rlim_max, (unsigned long)files.rlim_max - SPARE_FILES);
    return 0;
}

int mu_fleet_new(struct mu_fleet **out, struct uv_loop_s *loop,
                 const struct mu_fleet_config *config, struct mu_err *err)
{
    struct mu_fleet *fleet;
    int rv = check_descriptors(config->agents, err);

    if (rv)
        return rv;
    fleet = mu_alloc(sizeof(*fleet) + config->agents * sizeof(fleet->agents[0]));
    if (!fleet || !(fleet->due = mu_calloc(config->agents + 1, sizeof(mu_time)))) {
        mu_free(fleet);
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    }
    fleet->loop = loop;
    fleet->config = *config;
    mu_rng_seed(&fleet->rng, config->seed);
    for (uint32_t i = 0; i < config->agents; i++) {
        fleet->agents[i].fleet = fleet;
        fleet->due[i] = MU_NEVER;
    }
    rv = fleet_edge_open(fleet, err);
    if (rv) {
        mu_free(fleet->due);
        mu_free(fleet);
        return rv;
    }
    uv_timer_init(loop, &fleet->timer);
    fleet->timer.data = fleet;
    fleet->handles = 2;
    uv_timer_start(&fleet->timer, on_tick, 0, TICK_MS);
    *out = fleet;
    return 0;
}

uint32_t mu_fleet_joined(const struct mu_fleet *fleet)
{
    return fleet->joined;
}

uint32_t mu_fleet_living(const struct mu_fleet *fleet)
{
    return fleet->living;
}

uint64_t mu_fleet_beats(const struct mu_fleet *fleet)
{
    return fleet->beats;
}

const char *mu_fleet_refused(const struct mu_fleet *fleet)
{
    return fleet->refused[0] ? fleet->refused : NULL;
}

void mu_fleet_leave(struct mu_fleet *fleet)
{
    fleet->started = fleet->config.agents; /* who has not started never will */
    for (uint32_t i = 0; i < fleet->config.agents; i++) {
        struct fleet_agent *a = &fleet->agents[i];
        if (!a->session || a->leaving)
            continue;
        a->leaving = true;
        (void)mu_session_leave(a->session, a->id, mu_clock_boot());
        fleet_stir(a);
    }
    fleet_edge_flush(fleet);
}

static void handle_gone(uv_handle_t *handle)
{
    struct mu_fleet *fleet = handle->data;

    if (--fleet->handles > 0)
        return;
    mu_free(fleet->due);
    mu_free(fleet);
}

void mu_fleet_close(struct mu_fleet *fleet)
{
    if (!fleet)
        return;
    for (uint32_t i = 0; i < fleet->config.agents; i++)
        end(&fleet->agents[i]);
    fleet_edge_close(fleet);
    uv_close((uv_handle_t *)&fleet->datagrams, handle_gone);
    uv_close((uv_handle_t *)&fleet->timer, handle_gone);
}
