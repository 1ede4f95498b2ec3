/* detectors - what the detectors' verdicts are worth, on made-up weather.
 *
 *     detectors [AGENTS [DAYS [SEED]]]
 *
 * Each detector hears the same beats of the same agents, none of which ever dies: a `down` is
 * false. Any detector errs less when it waits longer, so each is held against a deadline of the
 * same patience: one whose down time is the silence at which this one said `down` on the mean.
 *
 * A beat a second, as a datagram that nobody sends anew; one that a later beat overtook is no
 * beat, as for the conductor. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "detect/detect.h"

#define DAY 86400

enum { TRIED = 4, WEATHERS = 6, MIXED = WEATHERS - 1 };

struct weather {
    const char *name;
    double loss;   /* part of the beats */
    double tail;   /* seconds: the scale of a Pareto delay of shape 1.5; 0 = none */
    double bursts; /* mean seconds between the beginnings of outages: all is lost */
    double pauses; /* the same of the sender: nothing is sent */
};

#define STORM .loss = 0.0005, .tail = 0.02, .bursts = 740, .pauses = 3600

static const struct weather weathers[WEATHERS] = {
    {"calm", .loss = 0.0005},
    {"heavy tail", .loss = 0.0005, .tail = 0.02},
    {"outages", .loss = 0.0005, .bursts = 740},
    {"pauses", .loss = 0.0005, .pauses = 3600},
    {"storm", STORM},
    {"half calm, half storm", STORM},
};

static const struct {
    enum mu_detector detector;
    int64_t phi;
} tried[TRIED] = {
    {MU_DETECT_TWO_WINDOW, 8}, {MU_DETECT_PHI, 2}, {MU_DETECT_PHI, 4}, {MU_DETECT_PHI, 8}};

/* One detector, one agent. */
struct judge {
    const struct mu_detector_driver *driver;
    struct mu_times times;
    uint64_t state[MU_DETECT_STATE_MAX / sizeof(uint64_t)];
    double patience; /* sum of the silences at which it would say down, in seconds */
    uint64_t beats, downs;
};

/* ---- weather ---- */

static double exponential(struct mu_rng *rng, double mean)
{
    return -mean * log(1 - mu_rng_unit(rng));
}

static double lognormal(struct mu_rng *rng, double median, double sigma, double most)
{
    double normal = sqrt(-2 * log(1 - mu_rng_unit(rng))) * cos(2 * M_PI * mu_rng_unit(rng));
    double value = median * exp(sigma * normal);

    return value < most ? value : most;
}

/* Something that comes at random and lasts; .until is the end of the last one that began by now. */
struct spell {
    double next, until;
};

static bool lasts(struct spell *s, struct mu_rng *rng, double now, double every, double median,
                  double sigma, double most)
{
    if (every == 0)
        return false;
    while (s->next <= now) {
        double end = s->next + lognormal(rng, median, sigma, most);

        s->until = end > s->until ? end : s->until;
        s->next += exponential(rng, every);
    }
    return now < s->until;
}

/* Writes when beats arrive; returns how many. INFINITY = lost. */
static size_t send_beats(const struct weather *w, struct mu_rng *rng, double end, double *arrivals)
{
    struct spell burst = {.next = exponential(rng, w->bursts)};
    struct spell pause = {.next = exponential(rng, w->pauses)};
    double now = 0;
    size_t n = 0;

    while (now < end) {
        double delay = 0.0002 + exponential(rng, 0.0001);

        if (lasts(&pause, rng, now, w->pauses, 1, 1.5, 120))
            now = pause.until;
        if (w->tail > 0)
            delay += w->tail * pow(1 - mu_rng_unit(rng), -1 / 1.5);
        arrivals[n] = now + delay;
        if (lasts(&burst, rng, now, w->bursts, 0.6, 1.5, 110) || mu_rng_unit(rng) < w->loss)
            arrivals[n] = INFINITY;
        n++;
        now += 1;
    }
    return n;
}

/* ---- verdicts ---- */

static void hear(struct judge *j, mu_time before, mu_time now)
{
    mu_time suspect_at, down_at;

    if (before > 0) {
        j->driver->due(j->state, &j->times, before, &suspect_at, &down_at);
        j->downs += now >= down_at;
        j->patience += (double)(down_at - before) / MU_SEC;
        j->beats++;
    }
    j->driver->heard(j->state, &j->times, now);
}

/* The beats that no later one overtook, in the order of their arrival. */
static void hear_all(struct judge *them, size_t nthem, double *arrivals, size_t n)
{
    double first = INFINITY;
    mu_time before = 0;

    for (size_t i = n; i-- > 0;) {
        if (arrivals[i] >= first)
            arrivals[i] = INFINITY;
        else
            first = arrivals[i];
    }
    for (size_t i = 0; i < n; i++) {
        mu_time now;

        if (isinf(arrivals[i]))
            continue;
        now = (mu_time)((arrivals[i] + 1) * MU_SEC);
        for (size_t k = 0; k < nthem; k++)
            hear(&them[k], before, now);
        before = now;
    }
}

static struct judge judge_of(enum mu_detector detector, int64_t phi, mu_dur down)
{
    struct mu_times times = {.interval = MU_SEC, .suspect = 2500 * MU_MS, .down = down, .phi = phi};

    if (times.suspect > down)
        times.suspect = down;
    times.floor = detector == MU_DETECT_DEADLINE ? down : 3500 * MU_MS;
    return (struct judge){.driver = mu_detect_at(detector), .times = times};
}

/* Lets @agents live under @w, each judged anew by copies of @of; adds up in @of. */
static void live(size_t which, unsigned agents, double days, uint64_t seed, struct judge *of,
                 size_t n, double *arrivals)
{
    for (unsigned agent = 0; agent < agents; agent++) {
        const struct weather *w = &weathers[which == MIXED && agent % 2 ? 0 : which];
        struct judge copies[2 * TRIED + 1];
        struct mu_rng rng;
        size_t beats;

        mu_rng_seed(&rng, seed * 1000003 + agent);
        beats = send_beats(w, &rng, days * DAY, arrivals);
        for (size_t k = 0; k < n; k++)
            copies[k] = of[k];
        hear_all(copies, n, arrivals, beats);
        for (size_t k = 0; k < n; k++) {
            of[k].patience = copies[k].patience;
            of[k].beats = copies[k].beats;
            of[k].downs = copies[k].downs;
        }
    }
}

static void run(size_t which, unsigned agents, double days, uint64_t seed, double *arrivals)
{
    double agent_days = agents * days;
    struct judge clever[TRIED], fixed[TRIED + 1];

    for (size_t k = 0; k < TRIED; k++)
        clever[k] = judge_of(tried[k].detector, tried[k].phi, 60 * MU_SEC);
    live(which, agents, days, seed, clever, TRIED, arrivals);
    for (size_t k = 0; k < TRIED; k++)
        fixed[k] = judge_of(MU_DETECT_DEADLINE, 0,
                            (mu_dur)(clever[k].patience / (double)clever[k].beats * MU_SEC));
    fixed[TRIED] = judge_of(MU_DETECT_DEADLINE, 0, 60 * MU_SEC);
    live(which, agents, days, seed, fixed, TRIED + 1, arrivals);
    for (size_t k = 0; k < TRIED; k++) {
        char name[32];

        snprintf(name, sizeof(name), tried[k].detector == MU_DETECT_PHI ? "%s %lld" : "%s",
                 clever[k].driver->name, (long long)tried[k].phi);
        printf("| %-21s | %-10s | %6.2f | %9.3f | %9.3f |\n", weathers[which].name, name,
               clever[k].patience / (double)clever[k].beats, (double)clever[k].downs / agent_days,
               (double)fixed[k].downs / agent_days);
    }
    printf("| %-21s | %-10s | %6.2f | %9.3f | %9s |\n", weathers[which].name, "deadline", 60.0,
           (double)fixed[TRIED].downs / agent_days, "");
}

int main(int argc, char **argv)
{
    unsigned agents = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 40;
    double days = argc > 2 ? strtod(argv[2], NULL) : 7;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : 1;
    double *arrivals;

    if (agents == 0 || !(days > 0 && days <= 365)) {
        fprintf(stderr, "usage: detectors [AGENTS [DAYS [SEED]]], at most 365 days\n");
        return 2;
    }
    arrivals = calloc((size_t)(days * DAY) + 1, sizeof(*arrivals));
    if (!arrivals) {
        perror("detectors");
        return 1;
    }
    printf("%u agents for %g days, a beat a second, seed %llu\n\n", agents, days,
           (unsigned long long)seed);
    printf("| weather               | detector   | down, s | false/day | deadline |\n"
           "|---|---|---|---|---|\n");
    for (size_t which = 0; which < WEATHERS; which++)
        run(which, agents, days, seed, arrivals);
    free(arrivals);
    return fflush(stdout) != 0;
}
