#include "sim/play.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

struct taken { /* by a step that lasts */
    const struct mu_step *step;
    mu_time until;
    uint32_t n;
    uint32_t *agents;
};

struct mu_play {
    const struct mu_scenario *sc;
    const struct mu_stage *stage;
    struct mu_rng rng;
    mu_time start;
    size_t next;         /* the step that begins next */
    struct taken *taken; /* room for each step */
    size_t ntaken;
    uint32_t *picks; /* room for each agent */
};

int mu_play_new(struct mu_play **out, const struct mu_scenario *sc, const struct mu_stage *stage,
                uint64_t seed, mu_time now)
{
    struct mu_play *play = mu_alloc(sizeof(*play));

    if (!play)
        return MU_ENOMEM;
    play->sc = sc;
    play->stage = stage;
    play->start = now;
    mu_rng_seed(&play->rng, seed);
    play->taken = mu_calloc(sc->n ? sc->n : 1, sizeof(*play->taken));
    play->picks = mu_calloc(stage->count ? stage->count : 1, sizeof(*play->picks));
    if (!play->taken || !play->picks) {
        mu_play_free(play);
        return MU_ENOMEM;
    }
    *out = play;
    return 0;
}

void mu_play_free(struct mu_play *play)
{
    if (!play)
        return;
    for (size_t i = 0; play->taken && i < play->ntaken; i++)
        mu_free(play->taken[i].agents);
    mu_free(play->taken);
    mu_free(play->picks);
    mu_free(play);
}

static bool matches(const struct mu_play *play, const struct mu_whom *whom, uint32_t agent)
{
    const struct mu_stage *stage = play->stage;

    if (!stage->may_take(stage->ctx, agent))
        return false;
    for (size_t i = 0; i < whom->nterms; i++) {
        const char *value = stage->label(stage->ctx, agent, whom->terms[i].key);
        if (!value || strcmp(value, whom->terms[i].value) != 0)
            return false;
    }
    return true;
}

/* Draws @whom into .picks; returns how many. A share takes one at least, if there is one. */
static uint32_t pick(struct mu_play *play, const struct mu_whom *whom)
{
    uint32_t n = 0, want;

    for (uint32_t i = 0; i < play->stage->count; i++)
        if (matches(play, whom, i))
            play->picks[n++] = i;
    want = whom->count ? whom->count : (uint32_t)(n * whom->percent / 100 + 0.5);
    if (want == 0)
        want = 1;
    if (want >= n)
        return n;
    for (uint32_t i = 0; i < want; i++) {
        uint32_t k = i + (uint32_t)mu_rng_below(&play->rng, n - i);
        uint32_t agent = play->picks[k];

        play->picks[k] = play->picks[i];
        play->picks[i] = agent;
    }
    return want;
}

static void begin(struct mu_play *play, const struct mu_step *step, mu_time now)
{
    const struct mu_stage *stage = play->stage;
    uint32_t n = pick(play, &step->whom);

    if (n == 0 && stage->nobody)
        stage->nobody(stage->ctx, step);
    if (step->length != MU_NEVER) {
        struct taken taken = {step, play->start + step->at + step->length, n, NULL};

        /* Without memory to remember them nobody is taken: better than for ever. */
        taken.agents = mu_calloc(n ? n : 1, sizeof(*taken.agents));
        if (!taken.agents)
            return;
        memcpy(taken.agents, play->picks, n * sizeof(*taken.agents));
        play->taken[play->ntaken++] = taken;
    }
    for (uint32_t i = 0; i < n; i++)
        stage->begin(stage->ctx, step, play->picks[i], now);
}

static void end(struct mu_play *play, size_t i, mu_time now)
{
    const struct mu_stage *stage = play->stage;
    struct taken taken = play->taken[i];

    play->taken[i] = play->taken[--play->ntaken];
    for (uint32_t k = 0; k < taken.n; k++)
        stage->end(stage->ctx, taken.step, taken.agents[k], now);
    mu_free(taken.agents);
}

/* The one that ends first; .ntaken = none. */
static size_t first_end(const struct mu_play *play)
{
    size_t first = 0;

    for (size_t i = 1; i < play->ntaken; i++)
        if (play->taken[i].until < play->taken[first].until)
            first = i;
    return first;
}

static mu_time next_begin(const struct mu_play *play)
{
    return play->next < play->sc->n ? play->start + play->sc->steps[play->next].at : MU_NEVER;
}

static mu_time next_end(const struct mu_play *play)
{
    return play->ntaken ? play->taken[first_end(play)].until : MU_NEVER;
}

mu_time mu_play_due(const struct mu_play *play)
{
    mu_time b = next_begin(play), e = next_end(play);

    return b < e ? b : e;
}

void mu_play_advance(struct mu_play *play, mu_time now)
{
    while (mu_play_due(play) <= now) {
        if (next_end(play) <= next_begin(play))
            end(play, first_end(play), now);
        else
            begin(play, &play->sc->steps[play->next++], now);
    }
}
