#include "fleet/policy.h"

#include <assert.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#define INTERVAL_MIN (100 * MU_MS)
#define INTERVAL_MAX (3600 * MU_SEC)
#define DOWN_MAX     (30 * 24 * 3600 * MU_SEC)

void mu_policies_init(struct mu_policies *policies)
{
    memset(policies, 0, sizeof(*policies));
    policies->n = 1;
    policies->at[0] = (struct mu_policy){
        .name = "DEFAULT",
        .binary = "*",
        .zone = "*",
        .times = {.interval = 10 * MU_SEC, .suspect = 25 * MU_SEC, .down = 60 * MU_SEC},
    };
}

/* 2.5 intervals, so that one lost beat is nothing, and well before death. */
static mu_dur default_suspect(mu_dur interval, mu_dur down)
{
    mu_dur wanted = interval / 2 * 5, most = down / 5 * 4;

    return wanted < most ? wanted : most;
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

static int finish_one(struct mu_policy *p, const struct mu_times *defaults,
                      void (*warn)(void *ctx, const char *line), void *ctx, struct mu_err *err)
{
    struct mu_times *t = &p->times;
    char line[256], down[MU_DUR_TEXT], interval[MU_DUR_TEXT];
    int rv;

    if (!p->binary[0])
        strcpy(p->binary, "*");
    if (!p->zone[0])
        strcpy(p->zone, "*");
    if (!t->interval)
        t->interval = defaults->interval;
    if (!t->down)
        t->down = defaults->down;
    if (!t->suspect)
        t->suspect = default_suspect(t->interval, t->down);
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
    if (rv != 0)
        return rv;
    if (warn && t->down < 3 * t->interval) {
        snprintf(
            line, sizeof(line),
            "policy %s: service_down_time %s is less than 3 x report_interval %s: a lost beat or "
            "two may count as a death",
            p->name, mu_dur_text(t->down, down), mu_dur_text(t->interval, interval));
        warn(ctx, line);
    }
    return 0;
}

int mu_policies_finish(struct mu_policies *policies, void (*warn)(void *ctx, const char *line),
                       void *ctx, struct mu_err *err)
{
    struct mu_times defaults;

    assert(policies->n >= 1 && policies->n <= MU_POLICIES_MAX);
    defaults = policies->at[policies->n - 1].times;
    if (!defaults.interval)
        defaults.interval = 10 * MU_SEC;
    if (!defaults.down)
        defaults.down = 60 * MU_SEC;
    for (size_t i = policies->n; i-- > 0;) {
        int rv = finish_one(&policies->at[i], &defaults, warn, ctx, err);

        if (rv != 0)
            return rv;
    }
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
    return t;
}
