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

static int add(struct mu_roster *r, uint32_t id, const char *host, bool hidden, uint32_t *slot)
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
        rv = mu_roster_add(r, &row, hidden, slot);
    mu_ident_unref(row.ident);
    return rv;
}

static void roster_finds_by_name_uuid_and_row(void **state)
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
    assert_int_equal(mu_roster_find_row(r, 1), a);
    assert_int_equal(mu_roster_find_row(r, 3), MU_NO_SLOT);
    assert_int_equal(add(r, 3, "h1", false, &a), MU_EEXIST);
    assert_int_equal(add(r, 1, "h3", false, &a), MU_EEXIST);
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
    assert_true(mu_roster_due(r)[a] == MU_NEVER);
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
    assert_true(mu_roster_due(r)[a] == MU_NEVER);
    mu_roster_reveal(r, a);
    mu_roster_heard(r, a, MU_SEC, MU_SEC);
    assert_int_equal(mu_roster_shown(r, MU_UP), 1);
    assert_int_equal(mu_roster_by_name(r, NULL, NULL, out, 4), 1);
    assert_true(mu_roster_due(r)[a] == 26 * MU_SEC);
    mu_roster_free(r);
}

static void counts_follow_what_is_shown(void **state)
{
    struct mu_roster *r = roster_of();
    struct mu_row row;
    uint32_t a;

    assert_int_equal(add(r, 1, "h1", false, &a), 0);
    assert_int_equal(mu_roster_begin(r, 0), 1);
    assert_int_equal(mu_roster_shown(r, MU_UNKNOWN), 1);
    mu_roster_heard(r, a, 0, 0);
    assert_int_equal(mu_roster_shown(r, MU_UNKNOWN), 0);
    assert_int_equal(mu_roster_shown(r, MU_UP), 1);
    assert_true(mu_roster_row(r, a, &row));
    row.forced_down = true;
    row.forced_reason = "dead";
    assert_int_equal(mu_roster_pend(r, a, &row, false), 0);
    assert_int_equal(mu_roster_shown(r, MU_UP), 1);
    mu_roster_settle(r, a, true);
    assert_int_equal(mu_roster_shown(r, MU_DOWN), 1);
    mu_roster_move(r, a, MU_SUSPECT, MU_WHY_SILENCE, 5);
    assert_int_equal(mu_roster_shown(r, MU_DOWN), 1);
    mu_roster_remove(r, a);
    for (int s = 0; s < MU_STATES; s++)
        assert_int_equal(mu_roster_shown(r, (enum mu_state)s), 0);
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
    struct mu_history h = {.n = 0};
    uint32_t ms[MU_GAPS];

    for (int i = 1; i <= 20; i++)
        mu_history_add(&h, i * 100 * MU_MS);
    assert_int_equal(mu_history_ms(&h, ms), MU_GAPS);
    assert_int_equal(ms[0], 2000);
    assert_int_equal(ms[15], 500);
    mu_history_add(&h, 3600 * MU_SEC);
    mu_history_ms(&h, ms);
    assert_true(ms[0] <= 3600000 && ms[0] >= 3600000 - 3600);
    mu_history_add(&h, MU_NEVER);
    mu_history_add(&h, -5);
    mu_history_ms(&h, ms);
    assert_int_equal(ms[0], 0);
    assert_true(ms[1] > 2000000000);
}

static void pool_keeps_each_text_once(void **state)
{
    static const uint8_t key[16] = "k";
    struct mu_pool pool;
    uint32_t a, b, c, e;

    mu_pool_init(&pool, key);
    assert_int_equal(mu_pool_add(&pool, "", &e), 0);
    assert_int_equal(e, 0);
    assert_string_equal(mu_pool_text(&pool, e), "");
    assert_int_equal(mu_pool_add(&pool, "x", &a), 0);
    assert_int_equal(mu_pool_add(&pool, "x", &b), 0);
    assert_int_equal(a, b);
    mu_pool_drop(&pool, a);
    assert_string_equal(mu_pool_text(&pool, b), "x");
    mu_pool_drop(&pool, b);
    assert_int_equal(mu_pool_add(&pool, "y", &c), 0);
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
        cmocka_unit_test(roster_finds_by_name_uuid_and_row),
        cmocka_unit_test(roster_reuses_a_slot_under_another_generation),
        cmocka_unit_test(hidden_agent_is_seen_by_nobody),
        cmocka_unit_test(counts_follow_what_is_shown),
        cmocka_unit_test(last_seen_is_the_stored_one_until_heard),
        cmocka_unit_test(pages_are_in_order_whatever_happens_between_them),
        cmocka_unit_test(order_empties_and_fills_again),
        cmocka_unit_test(gaps_are_kept_newest_first),
        cmocka_unit_test(pool_keeps_each_text_once),
        cmocka_unit_test(roster_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
