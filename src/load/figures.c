#include "load/figures.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* 1234567.8 as "1,234,567.8". */
static const char *in_groups(double value, int digits, char out[64])
{
    char plain[48];
    size_t whole, n = 0;

    snprintf(plain, sizeof(plain), "%.*f", digits, value);
    whole = strcspn(plain, ".");
    for (size_t i = 0; i < whole; i++) {
        out[n++] = plain[i];
        if (plain[i] != '-' && i + 1 < whole && (whole - i - 1) % 3 == 0)
            out[n++] = ',';
    }
    strcpy(out + n, plain + whole);
    return out;
}

void mu_figures_say(struct mu_figures *f, const char *text)
{
    size_t n = strlen(f->line);

    snprintf(f->line + n, sizeof(f->line) - n, "%s%s", n ? ", " : "", text);
}

static void say_number(struct mu_figures *f, const char *says, const char *number)
{
    const char *place = strstr(says, "%s");
    char text[256];

    assert(place);
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(place - says), says, number, place + 2);
    mu_figures_say(f, text);
}

void mu_figures_add(struct mu_figures *f, const char *key, double value, int digits,
                    const char *says)
{
    struct mu_figure *figure = &f->at[f->n];
    char number[64];

    assert(f->n < MU_FIGURES_MAX && strlen(key) < sizeof(figure->key));
    if (!isfinite(value) || fabs(value) > 1e18)
        return; /* of nothing: 0 beats have no price */
    strcpy(figure->key, key);
    figure->value = value;
    figure->digits = digits;
    f->n++;
    if (says)
        say_number(f, says, in_groups(value, digits, number));
}

void mu_figures_spread(struct mu_figures *f, const char *key, const struct mu_hist *hist,
                       const char *says)
{
    static const struct {
        const char *name;
        double part;
    } marks[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    char name[40], number[64], all[256] = "";

    snprintf(name, sizeof(name), "%s_n", key);
    mu_figures_add(f, name, (double)hist->n, 0, NULL);
    if (hist->n == 0)
        return;
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        double us = (double)mu_hist_at(hist, marks[i].part) / 1000;
        size_t n = strlen(all);

        snprintf(name, sizeof(name), "%s_%s_us", key, marks[i].name);
        mu_figures_add(f, name, us, 1, NULL);
        snprintf(all + n, sizeof(all) - n, "%s%s", i ? " / " : "",
                 in_groups(us, us < 100 ? 1 : 0, number));
    }
    if (says)
        say_number(f, says, all);
}
