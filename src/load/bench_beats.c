/* joining (beating as they come in) -> the order of turns is drawn -> warm -> measured -> what is
 * on its way comes back. */
#include <inttypes.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "load/bench_crew.h"
#include "load/bench_http.h"
#include "load/bench_run.h"
#include "load/cost.h"

#define GRACE (500 * MU_MS) /* for acks that are on their way at the end */

static double seconds(mu_dur dur)
{
    return (double)dur / (double)MU_SEC;
}

void mu_bench_tell(const struct mu_bench_target *to, const char *line)
{
    if (to->tell)
        to->tell(to->ctx, line);
}

/* --- what is looked at before and after ---------------------------------------------------------
 */

static int port_of(const struct sockaddr_storage *ss)
{
    return ss->ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)ss)->sin6_port)
                                     : ntohs(((const struct sockaddr_in *)ss)->sin_port);
}

int mu_bench_look(const struct mu_bench_target *to, struct mu_bench_look *out, struct mu_err *err)
{
    const struct sockaddr *http_sa = (const struct sockaddr *)&to->http;
    struct mu_bench_http http;
    const char *metrics;
    int rv = 0;

    memset(out, 0, sizeof(*out));
    if (to->http_len) { /* first: answering it costs the conductor CPU */
        mu_bench_http_init(&http, http_sa, to->http_len);
        rv = mu_bench_http_get(&http, "/metrics", &metrics, err);
        if (rv == 0)
            out->beats = mu_bench_metric(metrics, "muster_beats_total");
        mu_bench_http_fini(&http);
    }
    out->drops = mu_cost_drops(port_of(&to->agents));
    if (rv == 0 && to->pid)
        rv = mu_cost_read(to->pid, &out->server, err);
    if (rv == 0)
        rv = mu_cost_read(getpid(), &out->load, err);
    if (rv == 0 && to->server_cpu >= 0)
        rv = mu_cost_core(to->server_cpu, &out->core, err);
    out->at = mu_clock_now();
    return rv;
}

/* --- the way there ------------------------------------------------------------------------------
 */

/* Has all join, beating as they come in, and draws their order. *@took is how long it was. */
int mu_bench_join(const struct mu_bench_target *to, struct mu_crew *crew, mu_dur *took,
                  struct mu_err *err)
{
    mu_time began = mu_clock_now(), told = began;
    struct mu_bench_look look;
    int rv = mu_bench_look(to, &look, err); /* who is not there is found out at once */

    while (rv == 0 && !mu_crew_all_joined(crew) && !*to->stop) {
        char line[96];

        rv = mu_crew_run(crew, MU_CREW_PACED, told + 5 * MU_SEC, err);
        if (rv || mu_crew_all_joined(crew))
            break;
        told = mu_clock_now();
        snprintf(line, sizeof(line), "%" PRIu32 " of %" PRIu32 " agents have joined",
                 mu_crew_joined(crew), mu_crew_agents(crew));
        mu_bench_tell(to, line);
    }
    *took = mu_clock_now() - began;
    if (rv == 0 && mu_crew_shuffle(crew))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (rv == 0 && mu_crew_all_joined(crew))
        mu_bench_tell(to, "all agents have joined");
    return rv;
}

static enum mu_crew_mode mode_of(const struct mu_bench_beats *beats)
{
    if (!beats->saturate)
        return MU_CREW_PACED;
    return beats->no_acks ? MU_CREW_BLIND : MU_CREW_SATURATE;
}

/* The measured time, with the deaths that fall into it. */
static int measured(const struct mu_bench_target *to, const struct mu_bench_beats *beats,
                    struct mu_crew *crew, mu_time joined, struct mu_err *err)
{
    mu_time end = mu_clock_now() + beats->length;
    size_t kill = 0;
    int rv = 0;

    while (rv == 0 && !*to->stop && mu_clock_now() < end) {
        mu_time until = end;

        if (kill < beats->nkills && joined + beats->kills[kill].at < end)
            until = joined + beats->kills[kill].at;
        rv = mu_crew_run(crew, mode_of(beats), until, err);
        if (rv == 0 && until < end && mu_clock_now() >= until) {
            uint32_t living = mu_crew_living(crew);
            char line[96];

            rv = mu_crew_kill(crew, &beats->kills[kill++], err);
            snprintf(line, sizeof(line), "%" PRIu32 " agents fell silent",
                     living - mu_crew_living(crew));
            mu_bench_tell(to, line);
        }
    }
    return rv;
}

/* --- the figures --------------------------------------------------------------------------------
 */

static void share_figures(const struct mu_bench_target *to, const struct mu_bench_look *before,
                          const struct mu_bench_look *after, struct mu_figures *out)
{
    if (!to->pid)
        return;
    mu_figures_add(out, "server_cpu_share",
                   (double)(after->server.cpu - before->server.cpu) /
                       (double)(after->at - before->at),
                   4, "server %s of a core");
    mu_figures_add(out, "server_memory_bytes", (double)after->server.memory, 0, NULL);
    mu_figures_add(out, "server_memory_peak_bytes", (double)after->server.peak, 0, NULL);
}

/* Beats taken in, as well as can be said. */
static double taken_in(const struct mu_bench_target *to, const struct mu_bench_beats *beats,
                       const struct mu_crew_counts *n, const struct mu_bench_look *before,
                       const struct mu_bench_look *after)
{
    if (to->http_len)
        return after->beats - before->beats;
    if (beats->no_acks) /* nobody counted: what was not dropped */
        return (double)(n->sent - (after->drops - before->drops)) * beats->bundle;
    return (double)n->acked * beats->bundle;
}

void mu_bench_beats_figures(const struct mu_bench_target *to, const struct mu_bench_beats *beats,
                            const struct mu_crew *crew, const struct mu_bench_look *before,
                            const struct mu_bench_look *after, struct mu_figures *out)
{
    const struct mu_crew_counts *n = mu_crew_counts(crew);
    double taken = taken_in(to, beats, n, before, after), time = seconds(after->at - before->at);
    double drops = (double)(after->drops - before->drops);

    mu_figures_add(out, "seconds", time, 3, NULL);
    mu_figures_add(out, "beats_per_s", taken / time, 0, "%s beats/s taken in");
    mu_figures_add(out, "beats_taken", taken, 0, NULL);
    mu_figures_add(out, "sent", (double)n->sent, 0, NULL);
    mu_figures_add(out, "not_sent", (double)n->not_sent, 0, NULL);
    mu_figures_add(out, "skipped", (double)mu_crew_skipped(crew), 0, NULL);
    mu_figures_add(out, "drops", drops, 0, drops > 0 ? "%s datagrams dropped by the kernel" : NULL);
    mu_figures_add(out, "acked", (double)n->acked, 0, NULL);
    mu_figures_add(out, "unanswered", (double)n->unanswered, 0,
                   beats->no_acks ? NULL : "%s unanswered");
    mu_figures_add(out, "resyncs", (double)n->resyncs, 0, NULL);
    mu_figures_add(out, "gone", (double)n->gone, 0, n->gone ? "%s told to join anew" : NULL);
    mu_figures_spread(out, "ack", mu_crew_trips(crew), "ack p50 / p90 / p99 / p99.9 / max %s us");
    share_figures(to, before, after, out);
}

void mu_bench_cost_figures(const struct mu_bench_target *to, const struct mu_bench_beats *beats,
                           const struct mu_crew *crew, const struct mu_bench_look *before,
                           const struct mu_bench_look *after, struct mu_figures *out)
{
    double beats_in = taken_in(to, beats, mu_crew_counts(crew), before, after);
    double datagrams = beats_in / beats->bundle, time = (double)(after->at - before->at);

    if (to->pid) {
        double cpu = (double)(after->server.cpu - before->server.cpu);

        mu_figures_add(out, "server_cpu_us_per_beat", cpu / beats_in / 1000, 3,
                       "server CPU %s us a beat");
        mu_figures_add(out, "server_cpu_us_per_datagram", cpu / datagrams / 1000, 3, NULL);
    }
    if (to->server_cpu >= 0) {
        double core = (double)(after->core - before->core);

        mu_figures_add(out, "server_core_us_per_beat", core / beats_in / 1000, 3,
                       "its core with all kernel work %s us a beat");
        mu_figures_add(out, "server_core_us_per_datagram", core / datagrams / 1000, 3, NULL);
        mu_figures_add(out, "server_core_share", core / time, 4, NULL);
    }
    mu_figures_add(out, "load_cpu_us_per_beat",
                   (double)(after->load.cpu - before->load.cpu) / beats_in / 1000, 3, NULL);
    mu_figures_add(out, "load_cpu_share", (double)(after->load.cpu - before->load.cpu) / time, 4,
                   NULL);
}

void mu_bench_joined_figures(const struct mu_crew *crew, mu_dur took, struct mu_figures *out)
{
    mu_figures_add(out, "agents", mu_crew_joined(crew), 0, "%s agents");
    mu_figures_add(out, "join_s", seconds(took), 3, "joined in %s s");
    mu_figures_add(out, "joins_per_s", mu_crew_joined(crew) / seconds(took), 0, NULL);
    mu_figures_add(out, "joins_deferred", (double)mu_crew_counts(crew)->deferred, 0, NULL);
}

static void put_ways(const struct mu_bench_beats *beats, struct mu_figures *out)
{
    mu_figures_add(out, "bundle", beats->bundle, 0, beats->bundle > 1 ? "%s a beat" : NULL);
    mu_figures_say(out, beats->streams ? "over streams"
                        : beats->gso   ? "datagrams in one flow"
                                       : "datagrams");
    if (beats->no_acks)
        mu_figures_say(out, "no acks wanted");
}

static int measure(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                   struct mu_crew *crew, struct mu_figures *out, struct mu_err *err)
{
    struct mu_bench_look before, after;
    mu_time joined;
    mu_dur took;
    int rv = mu_bench_join(to, crew, &took, err);

    if (rv)
        return rv;
    mu_bench_joined_figures(crew, took, out);
    put_ways(beats, out);
    joined = mu_clock_now();
    rv = mu_crew_run(crew, mode_of(beats), joined + beats->warm, err);
    if (rv || (rv = mu_bench_look(to, &before, err)) != 0)
        return rv;
    mu_crew_reset(crew);
    rv = measured(to, beats, crew, joined, err);
    if (rv || (rv = mu_bench_look(to, &after, err)) != 0)
        return rv;
    if (!beats->no_acks)
        rv = mu_crew_run(crew, MU_CREW_QUIET, mu_clock_now() + GRACE, err);
    mu_crew_settle(crew);
    mu_bench_beats_figures(to, beats, crew, &before, &after, out);
    mu_bench_cost_figures(to, beats, crew, &before, &after, out);
    return rv;
}

int mu_bench_pin(const struct mu_bench_target *to, struct mu_err *err)
{
    int rv = 0;

    if (to->server_cpu >= 0 && to->pid)
        rv = mu_cost_pin(to->pid, to->server_cpu, err);
    if (rv == 0 && to->load_cpu >= 0)
        rv = mu_cost_pin(0, to->load_cpu, err);
    return rv;
}

/* What is done with a crew that has not joined yet. */
typedef int (*crew_fn)(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                       struct mu_crew *crew, struct mu_figures *out, struct mu_err *err);

static int with_crew(struct mu_bench_target *to, const struct mu_bench_beats *beats, crew_fn run,
                     struct mu_figures *out, struct mu_err *err)
{
    struct mu_crew *crew;
    int rv = mu_bench_pin(to, err);

    if (rv == 0)
        rv = mu_crew_new(&crew, to, beats, err);
    if (rv)
        return rv;
    rv = run(to, beats, crew, out, err);
    mu_crew_free(crew);
    return rv;
}

int mu_bench_beats(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                   struct mu_figures *out, struct mu_err *err)
{
    return with_crew(to, beats, measure, out, err);
}

/* --- storm --------------------------------------------------------------------------------------
 */

/* How often the conductor has said down in its events; each was false, since none has died. Whoever
 * is heard again is up by now, so that to ask for states would not tell. */
static int count_down(const struct mu_bench_target *to, double *down, struct mu_err *err)
{
    struct mu_bench_http http;
    unsigned long long since = 0, last;
    int rv;

    *down = 0;
    mu_bench_http_init(&http, (const struct sockaddr *)&to->http, to->http_len);
    do {
        const char *body, *next;
        char path[96];

        last = since;
        snprintf(path, sizeof(path), "/v1/events?kind=state&limit=1000&since=%llu", last);
        rv = mu_bench_http_get(&http, path, &body, err);
        if (rv)
            break;
        for (const char *at = body; (at = strstr(at, "\"to\":\"down\"")) != NULL; at++)
            ++*down;
        next = strstr(body, "\"next\":");
        since = next ? strtoull(next + strlen("\"next\":"), NULL, 10) : last;
    } while (since != last);
    mu_bench_http_fini(&http);
    return rv;
}

/* How long until each that lives was heard anew; -1 = not all were. */
static int await_all(const struct mu_bench_target *to, struct mu_crew *crew, mu_time since,
                     mu_dur patience, mu_dur *took, struct mu_err *err)
{
    mu_time end = since + patience, when;
    int rv = 0;

    while (rv == 0 && !*to->stop && !mu_crew_all_back(crew, &when) && mu_clock_now() < end)
        rv = mu_crew_run(crew, MU_CREW_PACED, mu_clock_now() + 10 * MU_MS, err);
    *took = mu_crew_all_back(crew, &when) ? when - since : -1;
    return rv;
}

static int strike(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                  struct mu_crew *crew, struct mu_figures *out, struct mu_err *err)
{
    mu_time killed, ready;
    struct mu_cost cost;
    double down;
    mu_dur took, back;
    int rv = mu_bench_join(to, crew, &took, err);

    if (rv)
        return rv;
    mu_bench_joined_figures(crew, took, out);
    rv = mu_crew_run(crew, MU_CREW_PACED, mu_clock_now() + 2 * beats->interval, err);
    if (rv || *to->stop)
        return rv;
    mu_bench_tell(to, "the conductor is killed, and started again");
    killed = mu_clock_now();
    if ((rv = to->restart(to->ctx, &to->pid, err)) != 0 || (rv = mu_bench_pin(to, err)) != 0)
        return rv;
    ready = mu_clock_now();
    mu_crew_reset(crew);
    rv = await_all(to, crew, ready, 6 * beats->interval + 60 * MU_SEC, &back, err);
    if (rv || (rv = mu_cost_read(to->pid, &cost, err)) != 0 ||
        (rv = count_down(to, &down, err)) != 0)
        return rv;
    mu_figures_add(out, "ready_s", seconds(ready - killed), 3, "ready %s s after SIGKILL");
    if (mu_crew_back(crew) == mu_crew_agents(crew))
        mu_figures_add(out, "back_s", seconds(back), 3, "all heard again %s s later");
    mu_figures_add(out, "back", mu_crew_back(crew), 0, NULL);
    mu_figures_add(out, "resyncs", (double)mu_crew_counts(crew)->resyncs, 0, "%s resyncs");
    mu_figures_add(out, "gone", (double)mu_crew_counts(crew)->gone, 0, "%s told to join anew");
    mu_figures_add(out, "down", down, 0, "%s times falsely down");
    mu_figures_add(out, "server_cpu_s", (double)cost.cpu / 1e9, 3, "server CPU %s s since");
    mu_figures_add(out, "server_memory_bytes", (double)cost.memory, 0, NULL);
    if (mu_crew_back(crew) < mu_crew_agents(crew) && !*to->stop)
        return mu_err_set(err, MU_ETIMEDOUT,
                          "only %" PRIu32 " of %" PRIu32 " agents were heard again after the kill",
                          mu_crew_back(crew), mu_crew_agents(crew));
    return 0;
}

int mu_bench_storm(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                   struct mu_figures *out, struct mu_err *err)
{
    return with_crew(to, beats, strike, out, err);
}
