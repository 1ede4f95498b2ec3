/* The conductor's core by itself: what a beat, a sweep, a look-up cost without a socket, and what
 * memory an agent takes. Beats come in an order that was drawn, as they do from a fleet. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "conductor/intake.h"
#include "load/bench.h"
#include "load/cost.h"
#include "wire/seal.h"

#define EPOCH    2
#define INTERVAL (10 * MU_SEC)
#define CHUNK    1024 /* beats that are sealed before the clock runs */
#define AHEAD    16   /* datagrams that are announced before their turn, as transport does */
#define SWEEPS   50
#define FINDS    200000
#define PAGE     1000

struct table {
    struct mu_conductor *conductor;
    struct mu_policies policies;
    struct mu_conductor_config config;
    struct mu_rng rng;
    uint32_t n;
    uint32_t *order;
    mu_time now; /* the conductor's: simulated */
    const volatile sig_atomic_t *stop;
};

/* --- a conductor that nobody hears --------------------------------------------------------------
 */

static int no_propose(void *ctx, const struct mu_change *change)
{
    return MU_EAGAIN;
}

static int no_payload(void *ctx, const struct mu_reported *report, const char *json, size_t n)
{
    return MU_EFULL;
}

static void no_change(void *ctx, uint32_t slot)
{
}

static void no_send(void *ctx, uint64_t conn, const uint8_t *frame, size_t n)
{
}

static void no_close(void *ctx, uint64_t conn)
{
}

static int make_conductor(struct table *t)
{
    static const struct mu_conductor_ports ports = {.propose = no_propose,
                                                    .payload = no_payload,
                                                    .changed = no_change,
                                                    .send = no_send,
                                                    .close = no_close};
    int rv;

    mu_policies_init(&t->policies);
    rv = mu_policies_finish(&t->policies, NULL, NULL, NULL);
    t->config = (struct mu_conductor_config){.epoch = EPOCH,
                                             .next_row = 1,
                                             .seed = 1,
                                             .max_agents = 2 * t->n,
                                             .join_rate = 20000,
                                             .policies = &t->policies};
    return rv ? rv : mu_conductor_new(&t->conductor, &t->config, &ports, t->now, 0);
}

static uint64_t session_of(uint32_t agent)
{
    return (uint64_t)(EPOCH - 1) << 32 | (agent + 1);
}

static void host_of(uint32_t agent, char out[16])
{
    snprintf(out, 16, "h%07u", (unsigned)agent);
}

static int restore_all(struct table *t)
{
    int rv = 0;

    for (uint32_t i = 0; i < t->n && rv == 0 && !*t->stop; i++) {
        struct mu_row row = {.id = i + 1,
                             .zone = "a",
                             .labels = "{\"rack\":\"r1\"}",
                             .version = "1.0",
                             .disabled_reason = "",
                             .forced_reason = "",
                             .state = MU_UP,
                             .start_id = i + 1,
                             .incarnation = session_of(i),
                             .session = session_of(i),
                             .interval_ms = (uint32_t)(INTERVAL / MU_MS)};
        char host[16];
        struct mu_who who = {.binary = "bench", .host = host};

        host_of(i, host);
        mu_rng_uuid(&t->rng, who.uuid);
        rv = mu_conductor_restore(t->conductor, &who, &row, 0);
    }
    return rv ? rv : mu_conductor_restored(t->conductor);
}

/* --- what is timed ------------------------------------------------------------------------------
 */

/* Every agent beats once; the answers are made too. Returns ns a beat. */
static double beat_all(struct table *t, uint64_t seq)
{
    static uint8_t datagrams[CHUNK][MU_BEAT_LEN(1)];
    uint8_t answer[64], key[16];
    mu_dur spent = 0;

    for (uint32_t done = 0; done < t->n; done += CHUNK) {
        uint32_t n = t->n - done < CHUNK ? t->n - done : CHUNK;
        struct mu_beat beat = {.epoch = EPOCH, .seq = seq, .n = 1};
        mu_time began;

        for (uint32_t i = 0; i < n; i++) {
            beat.session = session_of(t->order[done + i]);
            mu_seal_key(t->config.secret, beat.session, key);
            mu_seal_beat(key, &beat, datagrams[i]);
        }
        began = mu_clock_now();
        for (uint32_t i = 0; i < n && i < AHEAD; i++)
            mu_intake_soon(t->conductor, datagrams[i], sizeof(datagrams[i]));
        for (uint32_t i = 0; i < n; i++) {
            if (i + AHEAD < n)
                mu_intake_soon(t->conductor, datagrams[i + AHEAD], sizeof(datagrams[i]));
            (void)mu_intake_datagram(t->conductor, datagrams[i], sizeof(datagrams[i]), 1, t->now,
                                     answer);
        }
        spent += mu_clock_now() - began;
        t->now += INTERVAL * n / t->n;
    }
    return (double)spent / t->n;
}

static void tick(struct table *t)
{
    t->now += 100 * MU_MS;
    mu_conductor_tick(t->conductor, t->now, t->now, t->now / MU_MS, 0);
}

/* ns a sweep of all, none of whom is due. */
static double sweep_all(struct table *t)
{
    mu_dur spent = 0;

    tick(t); /* has what was a stall for it behind it */
    for (int i = 0; i < SWEEPS; i++) {
        mu_time began = mu_clock_now();

        tick(t);
        spent += mu_clock_now() - began;
    }
    return (double)spent / SWEEPS;
}

static double find_some(struct table *t)
{
    const struct mu_roster *roster = mu_conductor_roster(t->conductor);
    uint32_t n = t->n < FINDS ? t->n : FINDS, found = 0;
    mu_time began = mu_clock_now();
    char host[16];

    for (uint32_t i = 0; i < n; i++) {
        host_of(t->order[i], host);
        found += mu_roster_find(roster, "bench", host) != MU_NO_SLOT;
    }
    return found == n ? (double)(mu_clock_now() - began) / n : NAN;
}

/* ns a row, over all pages in order of name. */
static double page_all(struct table *t)
{
    struct mu_roster *roster = mu_conductor_roster(t->conductor);
    uint32_t slots[PAGE], seen = 0;
    const struct mu_ident *last = NULL;
    mu_time began = mu_clock_now();
    size_t n;

    while ((n = mu_roster_by_name(roster, last ? last->binary : NULL, last ? last->host : NULL,
                                  slots, PAGE)) > 0) {
        last = mu_roster_ident(roster, slots[n - 1]);
        seen += (uint32_t)n;
    }
    return (double)(mu_clock_now() - began) / seen;
}

/* --- all of it ----------------------------------------------------------------------------------
 */

static int draw_order(struct table *t)
{
    t->order = mu_calloc(t->n, sizeof(*t->order));
    if (!t->order)
        return MU_ENOMEM;
    for (uint32_t i = 0; i < t->n; i++)
        t->order[i] = i;
    for (uint32_t i = t->n; i > 1; i--) {
        uint32_t k = (uint32_t)mu_rng_below(&t->rng, i), other = t->order[k];

        t->order[k] = t->order[i - 1];
        t->order[i - 1] = other;
    }
    return 0;
}

static double memory_between(const struct mu_cost *before, const struct mu_cost *after)
{
    return (double)after->memory - (double)before->memory; /* it may shrink */
}

static int measure(struct table *t, struct mu_figures *out, struct mu_err *err)
{
    struct mu_cost before, after;
    mu_time began;
    double ns;
    int rv = draw_order(t);

    if (rv || (rv = mu_cost_read(getpid(), &before, err)) != 0)
        return rv;
    began = mu_clock_now();
    if ((rv = make_conductor(t)) != 0 || (rv = restore_all(t)) != 0)
        return rv;
    ns = (double)(mu_clock_now() - began) / t->n;
    mu_conductor_begin(t->conductor, t->now, 0);
    if ((rv = mu_cost_read(getpid(), &after, err)) != 0)
        return rv;
    mu_figures_add(out, "agents", t->n, 0, "%s agents");
    mu_figures_add(out, "bytes_per_agent", memory_between(&before, &after) / t->n, 1,
                   "%s bytes each");
    mu_figures_add(out, "restore_ns", ns, 0, "restored in %s ns each");
    mu_figures_add(out, "first_beat_ns", *t->stop ? NAN : beat_all(t, 1), 0,
                   "first beat after a start %s ns");
    mu_figures_add(out, "beat_ns", *t->stop ? NAN : beat_all(t, 2), 0,
                   "a lone beat with its ack %s ns");
    mu_figures_add(out, "sweep_us", *t->stop ? NAN : sweep_all(t) / 1000, 1,
                   "a sweep of all %s us");
    mu_figures_add(out, "find_ns", *t->stop ? NAN : find_some(t), 0, "found by name in %s ns");
    mu_figures_add(out, "listed_ns", *t->stop ? NAN : page_all(t), 1,
                   "listed by name at %s ns each");
    if ((rv = mu_cost_read(getpid(), &after, err)) != 0)
        return rv;
    mu_figures_add(out, "bytes_per_agent_listed", memory_between(&before, &after) / t->n, 1, NULL);
    return 0;
}

int mu_bench_table(uint32_t agents, uint64_t seed, const volatile sig_atomic_t *stop,
                   struct mu_figures *out, struct mu_err *err)
{
    struct table *t = mu_alloc(sizeof(*t));
    int rv = MU_ENOMEM;

    if (t) {
        t->n = agents;
        t->stop = stop;
        t->now = MU_SEC;
        mu_rng_seed(&t->rng, seed);
        rv = measure(t, out, err);
        mu_conductor_free(t->conductor);
        mu_free(t->order);
        mu_free(t);
    }
    if (rv && err->code == 0)
        return mu_err_set(err, rv, "no table of %u agents: %s", (unsigned)agents,
                          muster_strerror(rv));
    return rv;
}
