/* figures.h - what a benchmark measured: one list for machines, one line for people. */
#ifndef MU_LOAD_FIGURES_H
#define MU_LOAD_FIGURES_H

#include <stddef.h>

#include "load/hist.h"

#define MU_FIGURES_MAX 96

struct mu_figure {
    char key[40]; /* "cpu_per_beat_us": ends with its unit where it has one */
    double value;
    int digits; /* behind the point */
};

struct mu_figures {
    struct mu_figure at[MU_FIGURES_MAX];
    size_t n;
    char line[1024]; /* "100,000 agents, 312,000 beats/s, ..." */
};

/* Adds @value. @says tells people: "%s beats/s", in which %s is the number; NULL = machines alone.
 * What is no number, as a price of nothing, is left out. More than MU_FIGURES_MAX are a bug. */
void mu_figures_add(struct mu_figures *f, const char *key, double value, int digits,
                    const char *says);

/* Adds KEY_n and, in us, KEY_p50_us, p90, p99, p999 and max of @hist, whose values are ns;
 * of an empty one only KEY_n. */
void mu_figures_spread(struct mu_figures *f, const char *key, const struct mu_hist *hist,
                       const char *says);

/* Appends words to the line alone. */
void mu_figures_say(struct mu_figures *f, const char *text);

#endif
