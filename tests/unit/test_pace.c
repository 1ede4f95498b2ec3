#include "load/pace.h"

#include "lib/test.h"

static void pace_gives_out_its_rate(void **state)
{
    struct mu_pace pace;
    uint64_t n = 0;

    mu_pace_init(&pace, 123456, 7);
    for (mu_time now = 7; now <= 7 + MU_SEC; now += 37 * MU_US)
        n += mu_pace_take(&pace, now);
    assert_in_range(n, 123450, 123456);
    assert_int_equal(pace.skipped, 0);
}

static void pace_waits_until_exactly_one_is_due(void **state)
{
    mu_time now = 0;
    struct mu_pace pace;

    mu_pace_init(&pace, 7, now);
    for (int i = 0; i < 100; i++) {
        mu_dur wait = mu_pace_wait(&pace, now);

        assert_in_range(wait, MU_SEC / 7 - 2, MU_SEC / 7 + 2);
        assert_int_equal(mu_pace_take(&pace, now + wait - 10), 0);
        now += wait;
        assert_int_equal(mu_pace_take(&pace, now), 1);
    }
}

static void pace_catches_up_but_not_for_ever(void **state)
{
    struct mu_pace pace;

    mu_pace_init(&pace, 1000, 0);
    assert_int_equal(mu_pace_take(&pace, MU_SEC / 2), 500); /* late: all at once */
    assert_int_equal(mu_pace_take(&pace, MU_SEC / 2 + 10 * MU_SEC), 1000);
    assert_in_range(pace.skipped, 8999, 9000);
}

static void pace_of_nothing_waits_for_ever(void **state)
{
    struct mu_pace pace;

    mu_pace_init(&pace, 0, 0);
    assert_true(mu_pace_wait(&pace, MU_SEC) == MU_NEVER);
    assert_int_equal(mu_pace_take(&pace, 100 * MU_SEC), 0);
}

static void pace_keeps_what_is_due_when_its_rate_changes(void **state)
{
    struct mu_pace pace;

    mu_pace_init(&pace, 100, 0);
    mu_pace_set(&pace, 200, MU_SEC / 2);
    assert_in_range(mu_pace_take(&pace, MU_SEC), 149, 150);
}

static void pace_takes_a_clock_that_stands_or_goes_back(void **state)
{
    struct mu_pace pace;

    mu_pace_init(&pace, 1000, MU_SEC);
    assert_int_equal(mu_pace_take(&pace, 0), 0);
    assert_int_equal(mu_pace_take(&pace, MU_SEC), 0);
    assert_int_equal(mu_pace_take(&pace, MU_SEC + MU_SEC / 2), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pace_gives_out_its_rate),
        cmocka_unit_test(pace_waits_until_exactly_one_is_due),
        cmocka_unit_test(pace_catches_up_but_not_for_ever),
        cmocka_unit_test(pace_of_nothing_waits_for_ever),
        cmocka_unit_test(pace_keeps_what_is_due_when_its_rate_changes),
        cmocka_unit_test(pace_takes_a_clock_that_stands_or_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
