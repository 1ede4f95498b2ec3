#include "lib/test.h"

#include "base/near.h"

static void near_counts_letters_added_dropped_changed_swapped(void **state)
{
    assert_int_equal(mu_near_distance("listen", "listen"), 0);
    assert_int_equal(mu_near_distance("listn", "listen"), 1);
    assert_int_equal(mu_near_distance("listenn", "listen"), 1);
    assert_int_equal(mu_near_distance("lister", "listen"), 1);
    assert_int_equal(mu_near_distance("litsen", "listen"), 1);
    assert_int_equal(mu_near_distance("", "abc"), 3);
    assert_int_equal(mu_near_distance("abc", ""), 3);
}

static void near_names_the_nearest(void **state)
{
    struct mu_near near;

    mu_near_init(&near, "max_agent");
    mu_near_try(&near, "max_streams");
    mu_near_try(&near, "max_agents");
    mu_near_try(&near, "listen");
    assert_string_equal(near.best, "max_agents");
}

static void near_names_nothing_that_is_far(void **state)
{
    struct mu_near near;

    mu_near_init(&near, "colour");
    mu_near_try(&near, "listen");
    mu_near_try(&near, "store");
    assert_null(near.best);
}

static void near_is_not_led_astray_by_long_words(void **state)
{
    char word[200];
    struct mu_near near;

    for (size_t i = 0; i < sizeof(word) - 1; i++)
        word[i] = 'a';
    word[sizeof(word) - 1] = 0;
    mu_near_init(&near, word);
    mu_near_try(&near, "a");
    assert_null(near.best);
    assert_true(mu_near_distance(word, "a") == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_counts_letters_added_dropped_changed_swapped),
        cmocka_unit_test(near_names_the_nearest),
        cmocka_unit_test(near_names_nothing_that_is_far),
        cmocka_unit_test(near_is_not_led_astray_by_long_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
