/* The words of a step, one after another, each read by what may stand there. */
#include "sim/scenario.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/near.h"

#define WORD_MAX  128
#define STEPS_MAX 100000

/* What an act takes beside the agents. */
static const struct {
    const char *name;
    bool lasts; /* `for TIME` may follow */
    bool needs_whom;
} acts[MU_ACTS] = {
    [MU_ACT_KILL] = {"kill", false, true},          [MU_ACT_RESTART] = {"restart", false, true},
    [MU_ACT_LEAVE] = {"leave", false, true},        [MU_ACT_PAUSE] = {"pause", true, true},
    [MU_ACT_PARTITION] = {"partition", true, true}, [MU_ACT_LOSS] = {"loss", true, false},
    [MU_ACT_DELAY] = {"delay", true, false},
};

const char *mu_act_text(enum mu_act act)
{
    return acts[act].name;
}

struct reader {
    const char *p, *end; /* what is left of the step */
    char word[WORD_MAX]; /* the word that is looked at; "" = the step is at its end */
    const char *name;
    unsigned line;
    struct mu_err *err;
};

static void next_word(struct reader *r)
{
    size_t n = 0;

    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
    for (; r->p < r->end && *r->p != ' ' && *r->p != '\t' && *r->p != '\r'; r->p++)
        if (n + 1 < WORD_MAX)
            r->word[n++] = *r->p;
    r->word[n] = '\0';
}

static bool is_word(const struct reader *r, const char *word)
{
    return strcmp(r->word, word) == 0;
}

static int expected(const struct reader *r, const char *what)
{
    if (r->word[0] == '\0')
        return mu_err_set(r->err, MU_EINVAL, "%s:%u: expected %s, but the line ends", r->name,
                          r->line, what);
    return mu_err_set(r->err, MU_EINVAL, "%s:%u: expected %s, not '%s'", r->name, r->line, what,
                      r->word);
}

static int read_time(struct reader *r, mu_dur *out)
{
    if (r->word[0] == '\0' || mu_dur_parse(r->word, out))
        return expected(r, "a time such as 10s or 500ms");
    next_word(r);
    return 0;
}

/* "20%": a number in (0, 100]. Returns whether the word is one. */
static bool percent_of(const char *word, double *out)
{
    char *end;
    double v = strtod(word, &end);

    if (word[0] < '0' || word[0] > '9' || strcmp(end, "%") != 0 || !(v > 0 && v <= 100))
        return false;
    *out = v;
    return true;
}

static bool count_of(const char *word, uint32_t *out)
{
    char *end;
    unsigned long v;

    if (word[0] < '0' || word[0] > '9')
        return false;
    v = strtoul(word, &end, 10);
    if (*end || v == 0 || v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

static int read_term(struct reader *r, struct mu_whom *whom)
{
    char *eq = strchr(r->word, '=');
    size_t n = (size_t)(eq - r->word);

    if (n == 0 || n >= MU_WHOM_TEXT || strlen(eq + 1) >= MU_WHOM_TEXT)
        return expected(r, "zone=NAME or LABEL=VALUE, each at most 63 bytes");
    if (whom->nterms == MU_WHOM_TERMS)
        return expected(r, "at most 4 conditions of the form KEY=VALUE");
    memcpy(whom->terms[whom->nterms].key, r->word, n);
    whom->terms[whom->nterms].key[n] = '\0';
    strcpy(whom->terms[whom->nterms].value, eq + 1);
    whom->nterms++;
    next_word(r);
    return 0;
}

static int read_whom(struct reader *r, struct mu_whom *whom, bool needed)
{
    bool given = true;

    whom->percent = 100;
    if (count_of(r->word, &whom->count) || percent_of(r->word, &whom->percent) || is_word(r, "all"))
        next_word(r);
    else
        given = false;
    while (strchr(r->word, '=')) {
        int rv = read_term(r, whom);
        if (rv)
            return rv;
    }
    if (needed && !given && whom->nterms == 0)
        return expected(r, "whom: a number, a share such as 5%, 'all', or zone=NAME");
    return 0;
}

static int read_act(struct reader *r, enum mu_act *out)
{
    struct mu_near near;

    mu_near_init(&near, r->word);
    for (int i = 0; i < MU_ACTS; i++) {
        if (is_word(r, acts[i].name)) {
            *out = (enum mu_act)i;
            next_word(r);
            return 0;
        }
        mu_near_try(&near, acts[i].name);
    }
    if (near.best)
        return mu_err_set(r->err, MU_EINVAL, "%s:%u: nothing is called '%s'; did you mean '%s'?",
                          r->name, r->line, r->word, near.best);
    return expected(r, "kill, restart, leave, pause, partition, loss or delay");
}

static int read_step(struct reader *r, struct mu_step *step, mu_dur before)
{
    int rv;

    *step = (struct mu_step){.at = before, .length = MU_NEVER};
    if (is_word(r, "at")) {
        next_word(r);
        rv = read_time(r, &step->at);
        if (rv)
            return rv;
    }
    rv = read_act(r, &step->act);
    if (rv)
        return rv;
    if (step->act == MU_ACT_LOSS) {
        if (!percent_of(r->word, &step->loss))
            return expected(r, "a share such as 20%");
        next_word(r);
    }
    if (step->act == MU_ACT_DELAY && (rv = read_time(r, &step->delay)))
        return rv;
    rv = read_whom(r, &step->whom, acts[step->act].needs_whom);
    if (rv)
        return rv;
    if (acts[step->act].lasts && is_word(r, "for")) {
        next_word(r);
        rv = read_time(r, &step->length);
        if (rv)
            return rv;
        if (step->length == 0)
            return mu_err_set(r->err, MU_EINVAL, "%s:%u: 'for' takes a time above 0", r->name,
                              r->line);
    }
    if (r->word[0])
        return expected(r, acts[step->act].lasts ? "'for TIME' or the end of the line"
                                                 : "the end of the line");
    return 0;
}

static int add_step(struct mu_scenario *sc, const struct mu_step *step, struct reader *r)
{
    size_t cap = sc->cap ? 2 * sc->cap : 16;
    struct mu_step *steps;

    if (sc->n == STEPS_MAX)
        return mu_err_set(r->err, MU_EFULL, "%s:%u: more than %d steps", r->name, r->line,
                          STEPS_MAX);
    if (sc->n == sc->cap) {
        steps = mu_realloc(sc->steps, cap, sizeof(*steps));
        if (!steps)
            return mu_err_set(r->err, MU_ENOMEM, "out of memory");
        sc->steps = steps;
        sc->cap = cap;
    }
    sc->steps[sc->n++] = *step;
    return 0;
}

/* Reads one line, whose steps are parted by ';'. */
static int read_line(struct mu_scenario *sc, struct reader *r, const char *p, const char *end)
{
    const char *comment = memchr(p, '#', (size_t)(end - p));

    if (comment)
        end = comment;
    while (p < end) {
        const char *semi = memchr(p, ';', (size_t)(end - p));
        struct mu_step step;
        int rv;

        r->p = p;
        r->end = semi ? semi : end;
        p = semi ? semi + 1 : end;
        next_word(r);
        if (r->word[0] == '\0')
            continue;
        rv = read_step(r, &step, sc->last);
        if (rv == 0)
            rv = add_step(sc, &step, r);
        if (rv)
            return rv;
        sc->last = step.at;
    }
    return 0;
}

/* By insertion, which keeps the order of equals and costs nothing where it is in order already. */
static void sort_steps(struct mu_step *steps, size_t from, size_t n)
{
    for (size_t i = from ? from : 1; i < n; i++) {
        struct mu_step step = steps[i];
        size_t k = i;

        for (; k > 0 && steps[k - 1].at > step.at; k--)
            steps[k] = steps[k - 1];
        steps[k] = step;
    }
}

int mu_scenario_parse(struct mu_scenario *sc, const char *name, const char *text, size_t n,
                      struct mu_err *err)
{
    struct reader r = {.name = name, .err = err};
    const char *p = text, *end = text + n;
    size_t before = sc->n;
    int rv = 0;

    sc->last = 0;
    while (rv == 0 && p < end) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));

        r.line++;
        rv = read_line(sc, &r, p, newline ? newline : end);
        p = newline ? newline + 1 : end;
    }
    if (rv)
        sc->n = before;
    else
        sort_steps(sc->steps, before, sc->n);
    return rv;
}

void mu_scenario_init(struct mu_scenario *sc)
{
    *sc = (struct mu_scenario){0};
}

void mu_scenario_fini(struct mu_scenario *sc)
{
    mu_free(sc->steps);
}
