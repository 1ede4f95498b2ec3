#include "base/stat.h"
#include "lib/faults.h"
#include "outlet/census.h"
#include "outlet/metrics.h"

#include <stdio.h>
#include <string.h>

struct fixture {
    struct mu_policies policies;
    struct mu_roster *roster;
    struct mu_census census;
    uint32_t rows;
};

static int setup(void **state)
{
    static struct fixture f;
    struct mu_roster_config config = {.policies = &f.policies};

    memset(&f, 0, sizeof(f));
    mu_policies_init(&f.policies);
    assert_int_equal(mu_roster_new(&f.roster, &config), 0);
    mu_census_init(&f.census, f.roster, NULL, NULL);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    mu_census_fini(&f->census);
    mu_roster_free(f->roster);
    return 0;
}

static uint32_t add(struct fixture *f, const char *binary, const char *zone)
{
    uint32_t id = ++f->rows, slot;
    uint8_t uuid[16] = {1, 2, 3, 4, 5, 6, 0x40, 8, 0x80};
    struct mu_row row = {.id = id,
                         .zone = zone,
                         .labels = "{}",
                         .version = "",
                         .disabled_reason = "",
                         .forced_reason = "",
                         .state = MU_DOWN};
    char host[32];

    memcpy(uuid + 12, &id, 4);
    snprintf(host, sizeof(host), "host-%u", id);
    row.ident = mu_ident_new(uuid, binary, host);
    assert_int_equal(mu_roster_add(f->roster, &row, false, &slot), 0);
    mu_ident_unref(row.ident);
    return slot;
}

static void census_counts_each_once_however_it_is_cut(void **state)
{
    struct fixture *f = *state;
    int steps = 1;

    for (int i = 0; i < 10; i++)
        add(f, i % 2 ? "a" : "b", "z1");
    mu_roster_remove(f->roster, add(f, "gone", "z1"));
    while (mu_census_step(&f->census, 3) > 0)
        steps++;
    assert_int_equal(steps, 4);
    assert_int_equal(f->census.total, 10);
    assert_int_equal(f->census.state[MU_DOWN], 10);
    assert_int_equal(f->census.n, 2);
    assert_int_equal(f->census.lines[0].state[MU_DOWN], 5);
}

static uint32_t sum_of(const struct mu_census *census)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < census->n; i++)
        sum += census->lines[i].state[MU_DOWN];
    return sum;
}

static void census_is_bounded(void **state)
{
    struct fixture *f = *state;
    char name[32];

    for (int i = 0; i < 3 * MU_CENSUS_MAX; i++) {
        snprintf(name, sizeof(name), "z%d", i);
        add(f, "a", name);
    }
    while (mu_census_step(&f->census, 500) > 0)
        ;
    /* Too many zones do not hide what binaries there are ... */
    assert_int_equal(f->census.n, MU_CENSUS_MAX + 1);
    assert_string_equal(f->census.lines[MU_CENSUS_MAX].zone, MU_CENSUS_OTHER);
    assert_string_equal(f->census.lines[MU_CENSUS_MAX].binary, "a");
    assert_int_equal(f->census.lines[MU_CENSUS_MAX].state[MU_DOWN], 2 * MU_CENSUS_MAX);
    /* ... until there are too many of those as well. */
    for (int i = 0; i < MU_CENSUS_LINES; i++) {
        snprintf(name, sizeof(name), "b%d", i);
        add(f, name, "z0");
    }
    add(f, MU_CENSUS_OTHER, "one who has this very name");
    while (mu_census_step(&f->census, 500) > 0)
        ;
    assert_int_equal(f->census.n, MU_CENSUS_LINES);
    assert_string_equal(f->census.lines[MU_CENSUS_LINES - 1].binary, MU_CENSUS_OTHER);
    assert_int_equal(sum_of(&f->census), 3 * MU_CENSUS_MAX + MU_CENSUS_LINES + 1);
}

static bool is_a(const void *ctx, const struct mu_glance *agent)
{
    return strcmp(agent->ident->binary, ctx) == 0;
}

static void census_counts_those_who_are_wanted(void **state)
{
    struct fixture *f = *state;
    struct mu_census census;

    for (int i = 0; i < 10; i++)
        add(f, i < 3 ? "a" : "b", "z1");
    mu_census_init(&census, f->roster, is_a, "a");
    while (mu_census_step(&census, 4) > 0)
        ;
    assert_int_equal(census.total, 3);
    assert_int_equal(census.n, 1);
    mu_census_fini(&census);
}

static void census_without_memory_says_so(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 40; i++) {
        char zone[32];

        snprintf(zone, sizeof(zone), "z%d", i);
        add(f, "a", zone);
    }
    FOR_EACH_FAULT (n) {
        struct mu_census census;
        int rv;

        mu_census_init(&census, f->roster, NULL, NULL);
        while ((rv = mu_census_step(&census, 7)) > 0)
            ;
        FAULT_CHECK(rv);
        mu_census_fini(&census);
    }
}

static void metrics_count_transitions_by_target_and_reason(void **state)
{
    struct fixture *f = *state;
    struct mu_event event = {.kind = MU_KIND_STATE, .to = MU_DOWN, .reason = MU_WHY_KILLED};
    struct mu_store_health store = {.ok = true};
    struct mu_metrics *metrics;
    struct mu_bus *bus;
    struct mu_buf out;

    assert_int_equal(mu_bus_new(&bus), 0);
    assert_int_equal(mu_metrics_new(&metrics, bus, "1"), 0);
    for (int i = 0; i < 3; i++) {
        event.seq = 0;
        mu_bus_publish(bus, &event);
    }
    event.kind = MU_KIND_JOINED;
    mu_bus_publish(bus, &event);
    mu_buf_init(&out, 0);
    mu_metrics_expose(metrics, &f->census, &store, NULL, &out);
    assert_non_null(
        strstr(mu_buf_text(&out), "\nmuster_transitions_total{to=\"down\",reason=\"killed\"} 3\n"));
    assert_non_null(strstr(mu_buf_text(&out), "\nmuster_events_total{kind=\"joined\"} 1\n"));
    mu_buf_fini(&out);
    mu_metrics_free(metrics);
    mu_bus_free(bus);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(census_counts_each_once_however_it_is_cut),
        CASE(census_is_bounded),
        CASE(census_counts_those_who_are_wanted),
        CASE(census_without_memory_says_so),
        CASE(metrics_count_transitions_by_target_and_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
