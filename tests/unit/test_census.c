#include "base/stat.h"
#include "fleet/census.h"
#include "lib/faults.h"
#include "outlet/metrics.h"

#include <stdio.h>
#include <string.h>

struct fixture {
    struct mu_policies policies;
    struct mu_roster *roster;
    uint32_t rows;
};

static int setup(void **state)
{
    static struct fixture f;
    struct mu_roster_config config = {.policies = &f.policies};

    memset(&f, 0, sizeof(f));
    mu_policies_init(&f.policies);
    assert_int_equal(mu_roster_new(&f.roster, &config), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

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

static const struct mu_census_line *line_of(const struct fixture *f, const char *zone,
                                            const char *binary)
{
    const struct mu_census *census = mu_roster_census(f->roster);

    for (uint32_t i = 0; i < census->n; i++)
        if (census->lines[i].zone && strcmp(census->lines[i].zone, zone) == 0 &&
            strcmp(census->lines[i].binary, binary) == 0)
            return &census->lines[i];
    return NULL;
}

static uint32_t sum_of(const struct mu_census *census)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < census->n; i++)
        sum += mu_census_sum(&census->lines[i]);
    return sum;
}

static void census_follows_who_comes_and_goes(void **state)
{
    struct fixture *f = *state;
    const struct mu_census *census = mu_roster_census(f->roster);
    uint32_t gone = add(f, "gone", "z2"), slot = 0;

    for (int i = 0; i < 10; i++)
        slot = add(f, i % 2 ? "a" : "b", "z1");
    assert_int_equal(census->total, 11);
    assert_int_equal(line_of(f, "z1", "a")->state[MU_DOWN], 5);
    assert_int_equal(line_of(f, "z2", "gone")->state[MU_DOWN], 1);
    mu_roster_remove(f->roster, gone);
    assert_null(line_of(f, "z2", "gone"));
    mu_roster_heard(f->roster, slot, MU_SEC, MU_SEC);
    mu_roster_move(f->roster, slot, MU_UP, MU_WHY_HEARD, 1);
    assert_int_equal(line_of(f, "z1", "a")->state[MU_DOWN], 4);
    assert_int_equal(line_of(f, "z1", "a")->state[MU_UP], 1);
    assert_int_equal(census->state[MU_UP], 1);
    assert_int_equal(census->state[MU_DOWN], 9);
    add(f, "new", "z3"); /* in the line that was left */
    assert_int_equal(census->n, 3);
    assert_int_equal(sum_of(census), census->total);
}

static void census_follows_an_agent_to_another_zone(void **state)
{
    struct fixture *f = *state;
    uint32_t slot = add(f, "a", "z1");
    struct mu_row row;

    assert_true(mu_roster_row(f->roster, slot, &row));
    row.zone = "z2";
    assert_int_equal(mu_roster_rejoin(f->roster, slot, &row), 0);
    assert_null(line_of(f, "z1", "a"));
    assert_int_equal(mu_census_sum(line_of(f, "z2", "a")), 1);
}

static void census_counts_what_operators_want(void **state)
{
    struct fixture *f = *state;
    const struct mu_census *census = mu_roster_census(f->roster);
    uint32_t slot = add(f, "a", "z1");
    struct mu_row row;

    assert_true(mu_roster_row(f->roster, slot, &row));
    row.disabled = row.forced_down = true;
    assert_int_equal(mu_roster_pend(f->roster, slot, &row, false), 0);
    assert_int_equal(census->disabled + census->forced, 0);
    mu_roster_settle(f->roster, slot, true);
    assert_int_equal(census->disabled, 1);
    assert_int_equal(census->forced, 1);
    mu_roster_remove(f->roster, slot);
    assert_int_equal(census->disabled + census->forced + census->total, 0);
}

static void census_is_bounded(void **state)
{
    struct fixture *f = *state;
    const struct mu_census *census = mu_roster_census(f->roster);
    char name[32];

    for (int i = 0; i < 3 * MU_CENSUS_MAX; i++) {
        snprintf(name, sizeof(name), "z%d", i);
        add(f, "a", name);
    }
    /* Too many zones do not hide what binaries there are ... */
    assert_int_equal(census->n, MU_CENSUS_MAX + 1);
    assert_int_equal(line_of(f, MU_CENSUS_OTHER, "a")->state[MU_DOWN], 2 * MU_CENSUS_MAX);
    /* ... until there are too many of those as well. */
    for (int i = 0; i < MU_CENSUS_LINES; i++) {
        snprintf(name, sizeof(name), "b%d", i);
        add(f, name, "z0");
    }
    add(f, MU_CENSUS_OTHER, "one who has this very name");
    assert_int_equal(census->n, MU_CENSUS_LINES);
    assert_non_null(line_of(f, MU_CENSUS_OTHER, MU_CENSUS_OTHER));
    assert_int_equal(sum_of(census), 3 * MU_CENSUS_MAX + MU_CENSUS_LINES + 1);
}

static void without_memory_totals_are_right(void **state)
{
    FOR_EACH_FAULT (n) {
        struct mu_census census;
        uint32_t lines[40];

        mu_census_init(&census);
        for (uint32_t i = 0; i < MU_ARRAY_LEN(lines); i++) {
            char zone[32];

            snprintf(zone, sizeof(zone), "z%u", i);
            lines[i] = mu_census_enter(&census, zone, "a");
            mu_census_count(&census, lines[i], MU_UP, false, false, 1);
        }
        assert_int_equal(census.total, MU_ARRAY_LEN(lines));
        assert_int_equal(sum_of(&census), MU_ARRAY_LEN(lines) - mu_mem_fault_fired());
        for (uint32_t i = 0; i < MU_ARRAY_LEN(lines); i++) {
            mu_census_count(&census, lines[i], MU_UP, false, false, -1);
            mu_census_leave(&census, lines[i]);
        }
        assert_int_equal(census.total + census.used, 0);
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
    mu_metrics_expose(metrics, mu_roster_census(f->roster), &store, NULL, &out);
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
        CASE(census_follows_who_comes_and_goes),
        CASE(census_follows_an_agent_to_another_zone),
        CASE(census_counts_what_operators_want),
        CASE(census_is_bounded),
        CASE(without_memory_totals_are_right),
        CASE(metrics_count_transitions_by_target_and_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
