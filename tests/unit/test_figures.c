#include "load/figures.h"

#include <math.h>

#include "lib/test.h"

static void figures_are_said_in_one_line(void **state)
{
    struct mu_figures f = {0};

    mu_figures_add(&f, "agents", 1234567, 0, "%s agents");
    mu_figures_add(&f, "hidden", 1, 0, NULL);
    mu_figures_say(&f, "over streams");
    mu_figures_add(&f, "cpu_us", 1234.5678, 2, "CPU %s us a beat");
    mu_figures_add(&f, "less_than_none", -1234, 0, "%s");
    assert_string_equal(f.line, "1,234,567 agents, over streams, CPU 1,234.57 us a beat, -1,234");
    assert_int_equal(f.n, 4);
    assert_string_equal(f.at[2].key, "cpu_us");
    assert_true(f.at[2].value == 1234.5678 && f.at[2].digits == 2);
}

static void figures_of_nothing_are_left_out(void **state)
{
    struct mu_figures f = {0};

    mu_figures_add(&f, "none", 0.0 / 0.0, 1, "%s none");
    mu_figures_add(&f, "too_much", INFINITY, 1, NULL);
    assert_int_equal(f.n, 0);
    assert_string_equal(f.line, "");
}

static void figures_tell_a_spread_in_us(void **state)
{
    static struct mu_hist hist;
    struct mu_figures f = {0};

    mu_figures_spread(&f, "ack", &hist, "ack %s us");
    assert_string_equal(f.line, ""); /* of nothing, nothing is said */
    assert_int_equal(f.n, 1);        /* but that it is nothing */
    f = (struct mu_figures){0};
    for (int i = 0; i < 10; i++)
        mu_hist_add(&hist, 2000);
    mu_hist_add(&hist, 4096000);
    mu_figures_spread(&f, "ack", &hist, "ack %s us");
    assert_string_equal(f.line, "ack 2.0 / 2.0 / 4,096 / 4,096 / 4,096 us");
    assert_string_equal(f.at[0].key, "ack_n");
    assert_true(f.at[0].value == 11);
    assert_string_equal(f.at[5].key, "ack_max_us");
    assert_true(f.at[5].value == 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_said_in_one_line),
        cmocka_unit_test(figures_of_nothing_are_left_out),
        cmocka_unit_test(figures_tell_a_spread_in_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
