#include "sim/tally.h"

#include <stdlib.h>

#include "base/mem.h"

#define AFTERMATH MU_SEC /* a verdict may be on its way while its cause ends */
#define NEVER_YET INT64_MIN

struct agent {
    mu_time died;         /* NEVER_YET while it lives */
    mu_time hushed_until; /* when it was last silent by our doing; MU_NEVER = it is */
    uint16_t hushes;      /* pauses and partitions that lie on it */
    bool suspect_found, down_found, left, left_found, falsely_down;
    bool hurt; /* something befell it once */
};

struct lengths {
    mu_dur *v; /* room for each agent: one death each */
    uint32_t n;
};

struct mu_tally {
    uint32_t n;
    struct mu_report report;
    struct lengths suspect, down, silence;
    struct agent agents[];
};

int mu_tally_new(struct mu_tally **out, uint32_t agents)
{
    size_t n = agents ? agents : 1;
    struct mu_tally *tally = mu_alloc(sizeof(*tally) + n * sizeof(tally->agents[0]));

    if (!tally)
        return MU_ENOMEM;
    tally->n = agents;
    tally->report.agents = agents;
    tally->suspect.v = mu_calloc(n, sizeof(mu_dur));
    tally->down.v = mu_calloc(n, sizeof(mu_dur));
    tally->silence.v = mu_calloc(n, sizeof(mu_dur));
    if (!tally->suspect.v || !tally->down.v || !tally->silence.v) {
        mu_tally_free(tally);
        return MU_ENOMEM;
    }
    for (uint32_t i = 0; i < agents; i++) {
        tally->agents[i].died = NEVER_YET;
        tally->agents[i].hushed_until = NEVER_YET;
    }
    *out = tally;
    return 0;
}

void mu_tally_free(struct mu_tally *tally)
{
    if (!tally)
        return;
    mu_free(tally->suspect.v);
    mu_free(tally->down.v);
    mu_free(tally->silence.v);
    mu_free(tally);
}

void mu_tally_begin(struct mu_tally *tally, enum mu_act act, uint32_t agent, mu_time now)
{
    struct agent *a = &tally->agents[agent];

    tally->report.injected[act]++;
    a->hurt = true;
    switch (act) {
    case MU_ACT_KILL:
        a->died = now;
        tally->report.deaths++;
        break;
    case MU_ACT_LEAVE:
        a->left = true;
        tally->report.leaves++;
        break;
    case MU_ACT_PAUSE:
    case MU_ACT_PARTITION:
        a->hushes++;
        a->hushed_until = MU_NEVER;
        break;
    default:
        break;
    }
}

void mu_tally_end(struct mu_tally *tally, enum mu_act act, uint32_t agent, mu_time now)
{
    struct agent *a = &tally->agents[agent];

    if ((act == MU_ACT_PAUSE || act == MU_ACT_PARTITION) && --a->hushes == 0)
        a->hushed_until = now;
}

static void note(struct lengths *lengths, mu_dur dur)
{
    lengths->v[lengths->n++] = dur;
}

static void heard_down(struct mu_tally *tally, struct agent *a, mu_dur silence, mu_time now)
{
    if (a->died != NEVER_YET) {
        if (a->down_found)
            return;
        a->down_found = true;
        tally->report.found++;
        note(&tally->down, now - a->died);
        if (silence >= 0)
            note(&tally->silence, silence);
    } else if (a->hushed_until != NEVER_YET &&
               (a->hushed_until == MU_NEVER || now - a->hushed_until <= AFTERMATH)) {
        tally->report.excused_downs++;
    } else {
        tally->report.false_downs++;
        a->falsely_down = true;
    }
}

void mu_tally_heard(struct mu_tally *tally, uint32_t agent, enum mu_state state, mu_dur silence,
                    mu_time now)
{
    struct agent *a = &tally->agents[agent];

    tally->report.heard[state]++;
    if (state == MU_DOWN) {
        heard_down(tally, a, silence, now);
    } else if (state == MU_SUSPECT && a->died != NEVER_YET && !a->suspect_found) {
        a->suspect_found = true;
        note(&tally->suspect, now - a->died);
    } else if (state == MU_SUSPECT && !a->hurt) {
        tally->report.false_suspects++;
    } else if (state == MU_LEFT && a->left && !a->left_found) {
        a->left_found = true;
        tally->report.left++;
    }
}

uint32_t mu_tally_open(const struct mu_tally *tally)
{
    return tally->report.deaths - tally->report.found;
}

static int by_length(const void *a, const void *b)
{
    mu_dur x = *(const mu_dur *)a, y = *(const mu_dur *)b;

    return (x > y) - (x < y);
}

/* The nearest-rank percentile: the least length that so many percent do not exceed. */
static mu_dur percentile(const struct lengths *lengths, uint32_t percent)
{
    uint64_t rank = ((uint64_t)lengths->n * percent + 99) / 100;

    return lengths->v[rank - 1];
}

static struct mu_spread spread_of(struct lengths *lengths)
{
    struct mu_spread spread = {.n = lengths->n};

    if (lengths->n == 0)
        return spread;
    qsort(lengths->v, lengths->n, sizeof(*lengths->v), by_length);
    spread.p50 = percentile(lengths, 50);
    spread.p99 = percentile(lengths, 99);
    spread.max = lengths->v[lengths->n - 1];
    return spread;
}

void mu_tally_report(struct mu_tally *tally, struct mu_report *out)
{
    *out = tally->report;
    out->missed = mu_tally_open(tally);
    out->suspect = spread_of(&tally->suspect);
    out->down = spread_of(&tally->down);
    out->silence = spread_of(&tally->silence);
}

static uint32_t nth(const struct mu_tally *tally, size_t i, bool (*is)(const struct agent *a))
{
    for (uint32_t k = 0; k < tally->n; k++)
        if (is(&tally->agents[k]) && i-- == 0)
            return k;
    return UINT32_MAX;
}

static bool is_false(const struct agent *a)
{
    return a->falsely_down;
}

static bool is_missed(const struct agent *a)
{
    return a->died != NEVER_YET && !a->down_found;
}

uint32_t mu_tally_false(const struct mu_tally *tally, size_t i)
{
    return nth(tally, i, is_false);
}

uint32_t mu_tally_missed(const struct mu_tally *tally, size_t i)
{
    return nth(tally, i, is_missed);
}
