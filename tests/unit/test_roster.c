#include "lib/faults.h"

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "fleet/order.h"
#include "fleet/pool.h"
#include "fleet/roster.h"

static struct mu_policies policies;

static struct mu_roster *roster_of(void)
{
    struct mu_roster_config config = {.key = "secret", .policies = &policies};
    struct mu_roster *r = NULL;

    mu_policies_init(&policies);
    assert_int_equal(mu_roster_new(&r, &config), 0);
    return r;
}

enum how { SHOWN, HIDES, LOADED };

static int put(struct mu_roster *r, uint32_t id, const char *host, enum how how, uint32_t *slot)
{
    uint8_t uuid[16] = {0};
    struct mu_row row = {.id = id,
                         .zone = "z",
                         .labels = "{}",
                         .version = "1",
                         .disabled_reason = "",
                         .forced_reason = "",
                         .state = MU_UP,
                         .start_id = 1,
                         .last_seen = 1234};
    int rv = MU_ENOMEM;

    memcpy(uuid, &id, sizeof(id));
    row.ident = mu_ident_new(uuid, "b", host);
    if (row.ident)
        rv = how == LOADED ? mu_roster_load(r, &row, slot)
                           : mu_roster_add(r, &row, how == HIDES, slot);
    mu_ident_unref(row.ident);
    return rv;
}

static int add(struct mu_roster *r, uint32_t id, const char *host, bool hidden, uint32_t *slot)
{
    return put(r, id, host, hidden ? HIDES : SHOWN, slot);
}

static int load(struct mu_roster *r, uint32_t id, const char *host, uint32_t *slot)
{
    return put(r, id, host, LOADED, slot);
}

static void roster_finds_by_name_and_uuid(void **state)
{
    struct mu_roster *r = roster_of();
    uint8_t uuid[16] = {2};
    uint32_t a, b;

    assert_int_equal(add(r, 1, "h1", false, &a), 0);
    assert_int_equal(add(r, 2, "h2", false, &b), 0);
    assert_int_equal(mu_roster_find(r, "b", "h2"), b);
    assert_int_equal(mu_roster_find(r, "b", "h"), MU_NO_SLOT);
    assert_int_equal(mu_roster_find(r, "bh", "1"), MU_NO_SLOT);
    assert_int_equal(mu_roster_find_uuid(r, uuid), b);
    assert_int_equal(add(r, 3, "h1", false, &a), MU_EEXIST);
    assert_int_equal(add(r, 1, "h3", false, &a), MU_EEXIST);
    assert_int_equal(mu_roster_taken(r), 2);
    assert_int_equal(mu_roster_count(r), 2);
    mu_roster_free(r);
}

static void roster_reuses_a_slot_under_another_generation(void **state)
{
    struct mu_roster *r = roster_of();
    uint32_t a, b, generation;

    assert_int_equal(add(r, 1, "h1", false, &a), 0);
    generation = mu_roster_generation(r, a);
    mu_roster_remove(r, a);
    assert_false(mu_roster_used(r, a));
    assert_int_equal(mu_roster_find(r, "b", "h1"), MU_NO_SLOT);
    assert_int_equal(mu_roster_due(r, 0, 3600 * MU_SEC), MU_NO_SLOT);
    assert_int_equal(add(r, 2, "h2", false, &b), 0);
    assert_int_equal(a, b);
    assert_int_not_equal(mu_roster_generation(r, b), generation);
    mu_roster_free(r);
}

static void hidden_agent_is_seen_by_nobody(void **state)
{
    struct mu_roster *r = roster_of();
    uint32_t a, out[4];

    assert_int_equal(add(r, 1, "h1", true, &a), 0);
    assert_false(mu_roster_used(r, a));
    assert_int_equal(mu_roster_count(r), 0);
    assert_int_equal(mu_roster_find(r, "b", "h1"), MU_NO_SLOT);
    assert_int_equal(mu_roster_find_any(r, "b", "h1"), a);
    assert_int_equal(mu_roster_by_name(r, NULL, NULL, out, 4), 0);
    assert_int_equal(mu_roster_begin(r, 0), 0);
    assert_int_equal(mu_roster_due(r, 0, 3600 * MU_SEC), MU_NO_SLOT);
    mu_roster_reveal(r, a);
    mu_roster_heard(r, a, MU_SEC, MU_SEC);
    assert_int_equal(mu_roster_census(r)->state[MU_UP], 1);
    assert_int_equal(mu_roster_by_name(r, NULL, NULL, out, 4), 1);
    assert_int_equal(mu_roster_due(r, 0, 26 * MU_SEC - MU_MS), MU_NO_SLOT);
    assert_int_equal(mu_roster_due(r, 0, 26 * MU_SEC), a);
    assert_int_equal(mu_roster_due(r, a + 1, 26 * MU_SEC), MU_NO_SLOT);
    mu_roster_free(r);
}

static void counts_follow_what_is_shown(void **state)
{
    struct mu_roster *r = roster_of();
    struct mu_row row;
    uint32_t a;

    assert_int_equal(add(r, 1, "h1", false, &a), 0);
    assert_int_equal(mu_roster_begin(r, 0), 1);
    assert_int_equal(mu_roster_census(r)->state[MU_UNKNOWN], 1);
    mu_roster_heard(r, a, 0, 0);
    assert_int_equal(mu_roster_census(r)->state[MU_UNKNOWN], 0);
    assert_int_equal(mu_roster_census(r)->state[MU_UP], 1);
    assert_true(mu_roster_row(r, a, &row));
    row.forced_down = true;
    row.forced_reason = "dead";
    assert_int_equal(mu_roster_pend(r, a, &row, false), 0);
    assert_int_equal(mu_roster_census(r)->state[MU_UP], 1);
    mu_roster_settle(r, a, true);
    assert_int_equal(mu_roster_census(r)->state[MU_DOWN], 1);
    mu_roster_move(r, a, MU_SUSPECT, MU_WHY_SILENCE, 5);
    assert_int_equal(mu_roster_census(r)->state[MU_DOWN], 1);
    mu_roster_remove(r, a);
    for (int s = 0; s < MU_STATES; s++)
        assert_int_equal(mu_roster_census(r)->state[(enum mu_state)s], 0);
    mu_roster_free(r);
}

static void last_seen_is_the_stored_one_until_heard(void **state)
{
    struct mu_roster *r = roster_of();
    struct mu_view view;
    mu_wall seen;
    uint64_t count;
    uint32_t a;

    mu_roster_clock(r, 100 * MU_SEC, 1000000);
    assert_int_equal(add(r, 1, "h1", false, &a), 0);
    mu_roster_beat(r, a, &seen, &count);
    assert_int_equal(seen, 1234);
    mu_roster_view(r, a, 100 * MU_SEC, &view);
    assert_true(view.silence == MU_NEVER && !view.heard);
    mu_roster_heard(r, a, 102 * MU_SEC, 50 * MU_SEC);
    mu_roster_beat(r, a, &seen, &count);
    assert_int_equal(seen, 1002000);
    assert_int_equal(count, 1);
    mu_roster_view(r, a, 105 * MU_SEC, &view);
    assert_true(view.silence == 3 * MU_SEC && view.heard);
    mu_roster_free(r);
}

static void last_seen_moves_with_a_step_of_the_clock_only(void **state)
{
    static const struct {
        mu_wall wall, seen;
    } ticks[] = {{1000000, 1000000}, {1000001, 1000000}, {999999, 1000000},
                 {1000002, 1000002}, {1000001, 1000002}, {990000, 990000}};
    struct mu_roster *r = roster_of();
    mu_wall seen;
    uint64_t count;
    uint32_t a;

    assert_int_equal(add(r, 1, "h1", false, &a), 0);
    mu_roster_heard(r, a, 100 * MU_SEC, 100 * MU_SEC);
    for (size_t i = 0; i < MU_ARRAY_LEN(ticks); i++) {
        mu_roster_clock(r, 100 * MU_SEC, ticks[i].wall);
        mu_roster_beat(r, a, &seen, &count);
        assert_int_equal(seen, ticks[i].seen);
    }
    mu_roster_free(r);
}

/* The roster's order against a sort, with joins and deletes between the pages. */
static void pages_are_in_order_whatever_happens_between_them(void **state)
{
    enum { N = 5000 };
    static char hosts[N][16];
    static bool there[N];
    struct mu_roster *r = roster_of();
    struct mu_rng rng;
    char last[16] = "";
    size_t seen = 0, n;
    uint32_t out[100], slot;

    mu_rng_seed(&rng, 11);
    for (uint32_t i = 0; i < N; i++) {
        snprintf(hosts[i], sizeof(hosts[i]), "h%08x", (unsigned)mu_rng_next(&rng));
        there[i] = i % 2 == 0;
        if (there[i])
            assert_int_equal(add(r, i + 1, hosts[i], false, &slot), 0);
    }
    while ((n = mu_roster_by_name(r, last[0] ? "b" : NULL, last[0] ? last : NULL, out, 100)) > 0) {
        for (size_t i = 0; i < n; i++) {
            const char *host = mu_roster_ident(r, out[i])->host;

            assert_true(strcmp(last, host) < 0);
            snprintf(last, sizeof(last), "%s", host);
            seen++;
        }
        for (int k = 0; k < 20; k++) { /* odd ones come, some of them go */
            uint32_t i = (uint32_t)mu_rng_below(&rng, N) | 1;

            if (!there[i])
                assert_int_equal(add(r, i + 1, hosts[i], false, &slot), 0);
            else
                mu_roster_remove(r, mu_roster_find(r, "b", hosts[i]));
            there[i] = !there[i];
        }
    }
    assert_true(seen >= N / 2);
    seen = 0;
    for (uint32_t i = 0; i < N; i++)
        seen += there[i];
    assert_int_equal(mu_roster_count(r), seen);
    mu_roster_free(r);
}

/* As a conductor starts: in any order, and then sorted. */
static void loaded_agents_are_in_order_and_found(void **state)
{
    enum { N = 3 * MU_ORDER_LEAF + 7 };
    static uint32_t out[N];
    struct mu_roster *r = roster_of();
    char host[32], last[32] = "";
    uint32_t slot;

    for (uint32_t i = 0; i < N; i++) {
        snprintf(host, sizeof(host), "compute-rack-%u", i * 7919 % N);
        assert_int_equal(load(r, i + 1, host, &slot), 0);
        assert_int_equal(mu_roster_find(r, "b", host), MU_NO_SLOT);
    }
    assert_int_equal(mu_roster_loaded(r), 0);
    assert_int_equal(mu_roster_by_name(r, NULL, NULL, out, N), N);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(strcmp(last, mu_roster_ident(r, out[i])->host) < 0);
        snprintf(last, sizeof(last), "%s", mu_roster_ident(r, out[i])->host);
        assert_int_equal(mu_roster_find(r, "b", last), out[i]);
    }
    assert_int_equal(add(r, N + 1, "compute-rack-5", false, &slot), MU_EEXIST);
    mu_roster_free(r);
}

static void loaded_agents_of_one_name_are_seen(void **state)
{
    struct mu_roster *r = roster_of();
    uint32_t slot;

    assert_int_equal(load(r, 1, "h1", &slot), 0);
    assert_int_equal(load(r, 2, "h2", &slot), 0);
    assert_int_equal(load(r, 3, "h1", &slot), 0);
    assert_int_equal(mu_roster_loaded(r), MU_EEXIST);
    mu_roster_free(r);
}

/* Due times are kept in 32 bits of ms: they are right at any age, and for the longest down time. */
static void due_times_hold_over_years_and_for_a_month(void **state)
{
    static const mu_time ages[] = {0, 1, 24, 25, 49, 50, 400, 4000};
    const mu_dur day = 24 * 3600 * MU_SEC;

    for (size_t i = 0; i < MU_ARRAY_LEN(ages); i++) {
        struct mu_roster *r = roster_of();
        mu_time now = ages[i] * day + MU_SEC;
        struct mu_pulse pulse;
        uint32_t a;

        policies.at[0].times = (struct mu_times){10 * MU_SEC, 29 * day, 30 * day};
        assert_int_equal(add(r, 1, "h1", false, &a), 0);
        mu_roster_heard(r, a, now, now);
        mu_roster_pulse(r, a, &pulse);
        assert_true(pulse.suspect_at == now + 29 * day && pulse.down_at == now + 30 * day);
        for (mu_time h = now; h < pulse.suspect_at; h += day / 2)
            while (mu_roster_due(r, 0, h) == a) /* looked at in between, and put off */
                mu_roster_put_off(r, a, pulse.suspect_at, h);
        assert_int_equal(mu_roster_due(r, 0, pulse.suspect_at - MU_MS), MU_NO_SLOT);
        assert_int_equal(mu_roster_due(r, 0, pulse.suspect_at), a);
        mu_roster_free(r);
    }
}

static void order_empties_and_fills_again(void **state)
{
    struct mu_roster *r = roster_of();
    char host[16];
    uint32_t slot, out[2];

    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 3 * MU_ORDER_LEAF; i++) {
            snprintf(host, sizeof(host), "h%05u", i);
            assert_int_equal(add(r, i + 1, host, false, &slot), 0);
        }
        for (uint32_t i = 0; i < 3 * MU_ORDER_LEAF; i++) {
            snprintf(host, sizeof(host), "h%05u", i);
            assert_int_equal(mu_roster_by_name(r, NULL, NULL, out, 2),
                             i + 1 < 3 * MU_ORDER_LEAF ? 2 : 1);
            assert_string_equal(mu_roster_ident(r, out[0])->host, host);
            mu_roster_remove(r, out[0]);
        }
    }
    mu_roster_free(r);
}

static void gaps_are_kept_newest_first(void **state)
{
    uint16_t gaps[MU_GAPS];
    uint32_t ms[MU_GAPS];
    unsigned n = 0;

    for (unsigned i = 1; i <= 20; i++)
        n = mu_gaps_add(gaps, n, i * 100);
    assert_int_equal(mu_gaps_ms(gaps, n, ms), MU_GAPS);
    assert_int_equal(ms[0], 2000);
    assert_int_equal(ms[15], 500);
    for (uint64_t gap = 2040; gap < 5000000; gap += gap / 7 + 1) {
        n = mu_gaps_add(gaps, n, gap);
        mu_gaps_ms(gaps, n, ms);
        assert_true(ms[0] <= gap && ms[0] >= gap - gap / 1000);
    }
    n = mu_gaps_add(gaps, n, UINT64_MAX);
    n = mu_gaps_add(gaps, n, 0);
    mu_gaps_ms(gaps, n, ms);
    assert_int_equal(ms[0], 0);
    assert_true(ms[1] > 2000000000);
}

static void pool_keeps_each_text_once(void **state)
{
    static const uint8_t key[16] = "k";
    struct mu_pool pool;
    uint32_t a, b, c, e;

    mu_pool_init(&pool, key);
    assert_int_equal(mu_pool_add(&pool, "", 0, &e), 0);
    assert_int_equal(e, 0);
    assert_string_equal(mu_pool_text(&pool, e), "");
    assert_int_equal(mu_pool_add(&pool, "x", 1, &a), 0);
    assert_int_equal(mu_pool_add(&pool, "x", 1, &b), 0);
    assert_int_equal(a, b);
    assert_int_equal(mu_pool_add(&pool, "x\0y", 3, &c), 0);
    assert_int_not_equal(a, c);
    assert_string_equal(mu_pool_text(&pool, c) + 2, "y");
    assert_int_equal(mu_pool_id(mu_pool_text(&pool, c)), c);
    mu_pool_drop(&pool, a);
    assert_string_equal(mu_pool_text(&pool, b), "x");
    mu_pool_drop(&pool, b);
    assert_int_equal(mu_pool_add(&pool, "y", 1, &c), 0);
    assert_int_equal(c, a); /* the number is free again */
    mu_pool_drop(&pool, 0);
    mu_pool_fini(&pool);
}

static void roster_survives_each_failing_allocation(void **state)
{
    FOR_EACH_FAULT (n) {
        struct mu_roster_config config = {.key = "secret", .policies = &policies};
        struct mu_roster *r = NULL;
        int rv = mu_roster_new(&r, &config);
        uint32_t slot;

        FAULT_CHECK(rv);
        for (uint32_t i = 1; rv == 0 && i <= 70; i++) {
            char host[16];

            snprintf(host, sizeof(host), "h%u", i);
            rv = add(r, i, host, false, &slot);
            FAULT_CHECK(rv);
            assert_int_equal(mu_roster_count(r), rv == 0 ? i : i - 1);
        }
        if (rv == 0) {
            struct mu_row row;

            assert_true(mu_roster_row(r, slot, &row));
            row.zone = "another";
            row.version = "2";
            row.interval_ms = 5000;
            rv = mu_roster_rejoin(r, slot, &row);
            FAULT_CHECK(rv);
            row.disabled_reason = "why";
            rv = mu_roster_pend(r, slot, &row, false);
            FAULT_CHECK(rv);
            assert_true(mu_roster_pending(r, slot) == (rv == 0));
        }
        mu_roster_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roster_finds_by_name_and_uuid),
        cmocka_unit_test(roster_reuses_a_slot_under_another_generation),
        cmocka_unit_test(hidden_agent_is_seen_by_nobody),
        cmocka_unit_test(counts_follow_what_is_shown),
        cmocka_unit_test(last_seen_is_the_stored_one_until_heard),
        cmocka_unit_test(last_seen_moves_with_a_step_of_the_clock_only),
        cmocka_unit_test(pages_are_in_order_whatever_happens_between_them),
        cmocka_unit_test(loaded_agents_are_in_order_and_found),
        cmocka_unit_test(loaded_agents_of_one_name_are_seen),
        cmocka_unit_test(due_times_hold_over_years_and_for_a_month),
        cmocka_unit_test(order_empties_and_fills_again),
        cmocka_unit_test(gaps_are_kept_newest_first),
        cmocka_unit_test(pool_keeps_each_text_once),
        cmocka_unit_test(roster_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
