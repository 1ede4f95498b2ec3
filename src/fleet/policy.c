#include "fleet/policy.h"

#include <assert.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define INTERVAL_MIN (100 * MU_MS)
#define INTERVAL_MAX (3600 * MU_SEC)
#define DOWN_MAX     (30 * 24 * 3600 * MU_SEC)
#define PHI          8

void mu_policies_init(struct mu_policies *policies)
{
    memset(policies, 0, sizeof(*policies));
    policies->n = 1;
    policies->at[0] = (struct mu_policy){
        .name = "DEFAULT",
        .binary = "*",
        .zone = "*",
        .times = {.interval = 10 * MU_SEC,
                  .suspect = 25 * MU_SEC,
                  .down = 60 * MU_SEC,
                  .floor = 60 * MU_SEC,
                  .phi = PHI},
    };
}

/* 2.5 intervals, so that one lost beat is nothing, and well before death. */
static mu_dur default_suspect(mu_dur interval, mu_dur down)
{
    mu_dur wanted = interval / 2 * 5, most = down / 5 * 4;

    return wanted < most ? wanted : most;
}

/* 3.5 intervals, so that two lost beats in a row are nothing, and nobody is down who would not have
 * been suspect. */
static mu_dur default_floor(const struct mu_times *t)
{
    mu_dur wanted = t->interval / 2 * 7;

    if (wanted < t->suspect)
        wanted = t->suspect;
    return wanted < t->down ? wanted : t->down;
}

static int check_bound(const struct mu_policy *p, const char *what, mu_dur value, mu_dur min,
                       mu_dur max, struct mu_err *err)
{
    char is[MU_DUR_TEXT], low[MU_DUR_TEXT], high[MU_DUR_TEXT];

    if (value >= min && value <= max)
        return 0;
    return mu_err_set(err, MU_EINVAL, "policy %s: %s is %s, must be between %s and %s", p->name,
                      what, mu_dur_text(value, is), mu_dur_text(min, low), mu_dur_text(max, high));
}

static int check_less(const struct mu_policy *p, const char *what, mu_dur value, const char *than,
                      mu_dur bound, struct mu_err *err)
{
    char is[MU_DUR_TEXT], must[MU_DUR_TEXT];

    if (value < bound)
        return 0;
    return mu_err_set(err, MU_EINVAL, "policy %s: %s is %s, must be less than %s, which is %s",
                      p->name, what, mu_dur_text(value, is), than, mu_dur_text(bound, must));
}

static int check_floor(const struct mu_policy *p, struct mu_err *err)
{
    char floor[MU_DUR_TEXT], down[MU_DUR_TEXT];

    if (p->times.floor > p->times.down)
        return mu_err_set(err, MU_EINVAL,
                          "policy %s: earliest_down_time is %s, must not be more than "
                          "service_down_time, which is %s",
                          p->name, mu_dur_text(p->times.floor, floor),
                          mu_dur_text(p->times.down, down));
    return check_less(p, "report_interval", p->times.interval, "earliest_down_time", p->times.floor,
                      err);
}

/* What makes phi its threshold where beats come as they should; see detect/phi.c. */
static double silence_of(const struct mu_times *t)
{
    return (double)t->phi * 2.302585 * (double)t->interval;
}

static void warn_of(const struct mu_policy *p, void (*warn)(void *ctx, const char *line), void *ctx)
{
    const struct mu_times *t = &p->times;
    char line[256], down[MU_DUR_TEXT], other[MU_DUR_TEXT];

    mu_dur_text(p->times.down, down);
    if (p->times.down < 3 * p->times.interval) {
        snprintf(
            line, sizeof(line),
            "policy %s: service_down_time %s is less than 3 x report_interval %s: a lost beat or "
            "two may count as a death",
            p->name, down, mu_dur_text(p->times.interval, other));
        warn(ctx, line);
    }
    if (p->detector == MU_DETECT_DEADLINE && p->times.floor != p->times.down) {
        snprintf(line, sizeof(line),
                 "policy %s: earliest_down_time %s does nothing: detector deadline is down after "
                 "service_down_time %s, and not before",
                 p->name, mu_dur_text(p->times.floor, other), down);
        warn(ctx, line);
    }
    if (p->detector == MU_DETECT_PHI && silence_of(t) >= (double)t->down) {
        snprintf(line, sizeof(line),
                 "policy %s: phi_threshold %" PRId64 " is a silence of %.1f s at report_interval "
                 "%s, not before service_down_time %s: nobody is down sooner than with deadline",
                 p->name, t->phi, silence_of(t) / (double)MU_SEC, mu_dur_text(t->interval, other),
                 down);
        warn(ctx, line);
    }
}

/* Whether the policy at @i, as it was written, has a threshold that no agent is judged by. */
static bool is_idle_phi(const struct mu_policies *policies, size_t i)
{
    const struct mu_policy *p = &policies->at[i], *standard = &policies->at[policies->n - 1];

    if (p->times.phi == 0 || (p->detector < 0 ? standard : p)->detector == MU_DETECT_PHI)
        return false;
    if (p != standard)
        return true;
    for (i = 0; i + 1 < policies->n; i++)
        if (policies->at[i].detector == MU_DETECT_PHI)
            return false; /* it may have its threshold from here */
    return p->times.phi != PHI;
}

static void warn_idle_phi(const struct mu_policy *p, void (*warn)(void *ctx, const char *line),
                          void *ctx)
{
    char line[256];

    snprintf(line, sizeof(line),
             "policy %s: phi_threshold %" PRId64
             " does nothing: it is for detector phi, not for %s",
             p->name, p->times.phi, mu_detect_at((enum mu_detector)p->detector)->name);
    warn(ctx, line);
}

/* A user may have expected [DEFAULT]'s, which every other setting has where it is not set. */
static void warn_worked_out(const struct mu_policy *p, const char *what, mu_dur value,
                            mu_dur of_default, void (*warn)(void *ctx, const char *line), void *ctx)
{
    char line[256], is[MU_DUR_TEXT], other[MU_DUR_TEXT];

    if (!of_default || value == of_default)
        return;
    snprintf(line, sizeof(line),
             "policy %s: %s is %s, worked out from its own times, not %s as in [DEFAULT]; set "
             "%s in the policy to the one that is meant",
             p->name, what, mu_dur_text(value, is), mu_dur_text(of_default, other), what);
    warn(ctx, line);
}

/* @written is @p as it was before what is not set was filled in. */
static void warn_not_inherited(const struct mu_policy *p, const struct mu_times *written,
                               const struct mu_times *defaults,
                               void (*warn)(void *ctx, const char *line), void *ctx)
{
    if (!written->suspect)
        warn_worked_out(p, "suspect_time", p->times.suspect, defaults->suspect, warn, ctx);
    if (!written->floor && p->detector != MU_DETECT_DEADLINE)
        warn_worked_out(p, "earliest_down_time", p->times.floor, defaults->floor, warn, ctx);
}

/* Whether @wide certainly matches all that @narrow does. Two patterns are not compared otherwise
 * than letter by letter: of what is doubtful nobody is warned. */
static bool covers(const char *wide, const char *narrow)
{
    return wide[strspn(wide, "*")] == '\0' || strcmp(wide, narrow) == 0 ||
           (!narrow[strcspn(narrow, "*?[\\")] && fnmatch(wide, narrow, 0) == 0);
}

static void warn_no_binary(const struct mu_policy *p, void (*warn)(void *ctx, const char *line),
                           void *ctx)
{
    char line[512];

    snprintf(line, sizeof(line),
             "policy %s never matches: binary is %.200s, and no binary has '@' or '/'; write it"
             " without the host",
             p->name, p->binary);
    warn(ctx, line);
}

static void warn_unreachable(const struct mu_policies *policies,
                             void (*warn)(void *ctx, const char *line), void *ctx)
{
    const struct mu_policy *at = policies->at;
    char line[256];

    for (size_t i = 1; i + 1 < policies->n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!covers(at[j].binary, at[i].binary) || !covers(at[j].zone, at[i].zone))
                continue;
            snprintf(line, sizeof(line),
                     "policy %s never matches: policy %s, before it, takes all that it would; put "
                     "it before that one, or remove it",
                     at[i].name, at[j].name);
            warn(ctx, line);
            break;
        }
    }
}

static int finish_one(struct mu_policy *p, const struct mu_policy *defaults,
                      void (*warn)(void *ctx, const char *line), void *ctx, struct mu_err *err)
{
    struct mu_times *t = &p->times;
    int rv;

    if (!p->binary[0])
        strcpy(p->binary, "*");
    if (!p->zone[0])
        strcpy(p->zone, "*");
    if (p->detector < 0)
        p->detector = defaults->detector;
    if (!t->interval)
        t->interval = defaults->times.interval;
    if (!t->down)
        t->down = defaults->times.down;
    if (!t->phi)
        t->phi = defaults->times.phi;
    if (!t->suspect)
        t->suspect = default_suspect(t->interval, t->down);
    if (!t->floor)
        t->floor = p->detector == MU_DETECT_DEADLINE ? t->down : default_floor(t);
    rv = check_bound(p, "report_interval", t->interval, INTERVAL_MIN, INTERVAL_MAX, err);
    if (rv == 0)
        rv = check_bound(p, "service_down_time", t->down, INTERVAL_MIN, DOWN_MAX, err);
    /* Not the derived suspect time, which nobody wrote. */
    if (rv == 0)
        rv = check_less(p, "report_interval", t->interval, "service_down_time", t->down, err);
    if (rv == 0)
        rv = check_less(p, "report_interval", t->interval, "suspect_time", t->suspect, err);
    if (rv == 0)
        rv = check_less(p, "suspect_time", t->suspect, "service_down_time", t->down, err);
    if (rv == 0)
        rv = check_floor(p, err);
    if (rv == 0 && warn)
        warn_of(p, warn, ctx);
    return rv;
}

int mu_policies_finish(struct mu_policies *policies, void (*warn)(void *ctx, const char *line),
                       void *ctx, struct mu_err *err)
{
    struct mu_policy defaults;

    assert(policies->n >= 1 && policies->n <= MU_POLICIES_MAX);
    defaults = policies->at[policies->n - 1];
    if (defaults.detector < 0)
        defaults.detector = MU_DETECT_DEADLINE;
    if (!defaults.times.interval)
        defaults.times.interval = 10 * MU_SEC;
    if (!defaults.times.down)
        defaults.times.down = 60 * MU_SEC;
    if (!defaults.times.phi)
        defaults.times.phi = PHI;
    for (size_t i = policies->n; i-- > 0;) {
        bool idle_phi = is_idle_phi(policies, i);
        struct mu_times written = policies->at[i].times;
        int rv = finish_one(&policies->at[i], &defaults, warn, ctx, err);

        if (rv != 0)
            return rv;
        if (warn && strpbrk(policies->at[i].binary, "@/"))
            warn_no_binary(&policies->at[i], warn, ctx);
        if (idle_phi && warn)
            warn_idle_phi(&policies->at[i], warn, ctx);
        if (warn)
            warn_not_inherited(&policies->at[i], &written, &defaults.times, warn, ctx);
    }
    if (warn)
        warn_unreachable(policies, warn, ctx);
    return 0;
}

size_t mu_policies_match(const struct mu_policies *policies, const char *binary, const char *zone)
{
    size_t i;

    for (i = 0; i + 1 < policies->n; i++) {
        const struct mu_policy *p = &policies->at[i];

        if (fnmatch(p->binary, binary, 0) == 0 && fnmatch(p->zone, zone, 0) == 0)
            break;
    }
    return i;
}

struct mu_times mu_times_for(const struct mu_policy *policy, mu_dur wanted, int stretch)
{
    struct mu_times t = policy->times;

    if (wanted == 0)
        wanted = t.interval;
    if (wanted < INTERVAL_MIN)
        wanted = INTERVAL_MIN;
    if (stretch) {
        if (wanted > DOWN_MAX / 5 * 2)
            wanted = DOWN_MAX / 5 * 2;
        if (t.down < wanted / 2 * 5)
            t.down = wanted / 2 * 5;
    } else if (wanted > t.down / 5 * 2) {
        wanted = t.down / 5 * 2;
    }
    t.interval = wanted;
    /* A slower agent than the policy thought of is not suspect between two of its beats. */
    if (wanted > policy->times.interval && t.suspect < default_suspect(wanted, t.down))
        t.suspect = default_suspect(wanted, t.down);
    if (policy->detector == MU_DETECT_DEADLINE)
        t.floor = t.down;
    else if (wanted > policy->times.interval && t.floor < default_floor(&t))
        t.floor = default_floor(&t);
    return t;
}
