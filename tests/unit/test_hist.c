#include "load/hist.h"

#include "base/rng.h"
#include "lib/test.h"

static void hist_of_nothing_is_zero(void **state)
{
    static struct mu_hist hist;

    assert_int_equal(mu_hist_at(&hist, 0.5), 0);
    assert_int_equal(mu_hist_at(&hist, 1), 0);
}

static void hist_keeps_small_values_exactly(void **state)
{
    static struct mu_hist hist;

    for (uint64_t v = 1; v <= 50; v++)
        mu_hist_add(&hist, v);
    assert_int_equal(mu_hist_at(&hist, 0), 1);
    assert_int_equal(mu_hist_at(&hist, 0.5), 25);
    assert_int_equal(mu_hist_at(&hist, 0.98), 49);
    assert_int_equal(mu_hist_at(&hist, 1), 50);
}

static void hist_is_never_too_low_and_at_most_a_64th_too_high(void **state)
{
    struct mu_rng rng;

    mu_rng_seed(&rng, 1);
    for (int i = 0; i < 5000; i++) {
        static struct mu_hist hist;
        uint64_t value = mu_rng_next(&rng) >> mu_rng_below(&rng, 64), got;

        hist = (struct mu_hist){0};
        mu_hist_add(&hist, value);
        hist.max = UINT64_MAX; /* what it says of the bucket alone */
        got = mu_hist_at(&hist, 1);
        assert_true(got >= value);
        assert_true(got - value <= value / 64);
    }
}

static void hist_ends_with_the_highest_value(void **state)
{
    static struct mu_hist hist;

    mu_hist_add(&hist, 1000001);
    mu_hist_add(&hist, UINT64_MAX);
    assert_true(mu_hist_at(&hist, 1) == UINT64_MAX);
    assert_in_range(mu_hist_at(&hist, 0.5), 1000001, 1000001 + 1000001 / 64);
}

static void hist_merged_is_as_if_counted_together(void **state)
{
    static struct mu_hist one, other, both;
    struct mu_rng rng;

    mu_rng_seed(&rng, 2);
    for (int i = 0; i < 10000; i++) {
        uint64_t value = mu_rng_below(&rng, 1000000);

        mu_hist_add(i % 3 ? &one : &other, value);
        mu_hist_add(&both, value);
    }
    mu_hist_merge(&one, &other);
    assert_memory_equal(&one, &both, sizeof(one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hist_of_nothing_is_zero),
        cmocka_unit_test(hist_keeps_small_values_exactly),
        cmocka_unit_test(hist_is_never_too_low_and_at_most_a_64th_too_high),
        cmocka_unit_test(hist_ends_with_the_highest_value),
        cmocka_unit_test(hist_merged_is_as_if_counted_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
