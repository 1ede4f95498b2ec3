#include "base/stat.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

enum kind { COUNTER, GAUGE, SECONDS };

static const struct row {
    const char *name;
    enum kind kind;
    const char *help;
} rows[] = {
#define ROW(id, name, kind, help) {name, kind, help},
    MU_STAT_TABLE(ROW)
#undef ROW
};

/* Upper bounds of the buckets in s; one more has no bound. */
static const double bounds[] = {
    1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2,
    5e-2, 0.1,  0.2,  0.5,  1,    2,    5,    10,   20,   50,   100,  200,  500,  1000,
};

#define BOUNDS MU_ARRAY_LEN(bounds)

static struct value {
    uint64_t count;
    double value; /* a gauge, or a histogram's sum */
    uint64_t buckets[BOUNDS + 1];
} values[MU_STATS];

void mu_stat_add(enum mu_stat id, uint64_t n)
{
    assert(rows[id].kind == COUNTER);
    values[id].count += n;
}

void mu_stat_set(enum mu_stat id, double value)
{
    assert(rows[id].kind == GAUGE);
    values[id].value = value;
}

void mu_stat_observe(enum mu_stat id, double value)
{
    size_t i = 0;

    assert(rows[id].kind == SECONDS);
    while (i < BOUNDS && value > bounds[i])
        i++;
    values[id].buckets[i]++;
    values[id].count++;
    values[id].value += value;
}

uint64_t mu_stat_count(enum mu_stat id)
{
    return values[id].count;
}

void mu_stat_reset(void)
{
    memset(values, 0, sizeof(values));
}

static void expose_histogram(struct mu_buf *out, const char *name, const struct value *v)
{
    uint64_t below = 0;

    for (size_t i = 0; i < BOUNDS; i++) {
        below += v->buckets[i];
        mu_buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name, bounds[i],
                      (unsigned long long)below);
    }
    mu_buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.16g\n%s_count %llu\n", name,
                  (unsigned long long)v->count, name, v->value, name, (unsigned long long)v->count);
}

void mu_stat_expose(struct mu_buf *out)
{
    static const char *const types[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [SECONDS] = "histogram"};

    for (size_t id = 0; id < MU_STATS; id++) {
        const struct row *row = &rows[id];
        mu_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
                      types[row->kind]);
        if (row->kind == COUNTER)
            mu_buf_printf(out, "%s %llu\n", row->name, (unsigned long long)values[id].count);
        else if (row->kind == GAUGE)
            mu_buf_printf(out, "%s %.16g\n", row->name, values[id].value);
        else
            expose_histogram(out, row->name, &values[id]);
    }
}
