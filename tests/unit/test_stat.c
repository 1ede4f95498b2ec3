#include "base/stat.h"

#include <stdio.h>
#include <string.h>

#include "lib/faults.h"

static int setup(void **state)
{
    mu_stat_reset();
    return 0;
}

static char *exposed(void)
{
    struct mu_buf buf;
    char *text;

    mu_buf_init(&buf, 0);
    mu_stat_expose(&buf);
    text = mu_strdup(mu_buf_text(&buf));
    mu_buf_fini(&buf);
    return text;
}

static void stat_counts(void **state)
{
    char *text;

    mu_stat_add(MU_STAT_BEATS, 2);
    mu_stat_add(MU_STAT_BEATS, 40);
    assert_int_equal(mu_stat_count(MU_STAT_BEATS), 42);
    text = exposed();
    assert_non_null(strstr(text, "# TYPE muster_beats_total counter\nmuster_beats_total 42\n"));
    mu_free(text);
    mu_stat_reset();
    assert_int_equal(mu_stat_count(MU_STAT_BEATS), 0);
}

static void stat_histogram_is_cumulative(void **state)
{
    static const double seen[] = {0, 1e-6, 1.5e-6, 0.003, 1, 1000, 1001};
    char *text;

    for (size_t i = 0; i < MU_ARRAY_LEN(seen); i++)
        mu_stat_observe(MU_STAT_SWEEP, seen[i]);
    assert_int_equal(mu_stat_count(MU_STAT_SWEEP), 7);
    text = exposed();
    assert_non_null(strstr(text, "# TYPE muster_sweep_seconds histogram\n"));
    assert_non_null(strstr(text, "muster_sweep_seconds_bucket{le=\"1e-06\"} 2\n"));
    assert_non_null(strstr(text, "muster_sweep_seconds_bucket{le=\"2e-06\"} 3\n"));
    assert_non_null(strstr(text, "muster_sweep_seconds_bucket{le=\"0.002\"} 3\n"));
    assert_non_null(strstr(text, "muster_sweep_seconds_bucket{le=\"0.005\"} 4\n"));
    assert_non_null(strstr(text, "muster_sweep_seconds_bucket{le=\"1\"} 5\n"));
    assert_non_null(strstr(text, "muster_sweep_seconds_bucket{le=\"1000\"} 6\n"));
    assert_non_null(strstr(text, "muster_sweep_seconds_bucket{le=\"+Inf\"} 7\n"));
    assert_non_null(strstr(text, "muster_sweep_seconds_count 7\n"));
    mu_free(text);
}

/* Three buckets a decade from 1 us to 1000 s, and one without bound. */
static void stat_histogram_has_its_buckets(void **state)
{
    char *text = exposed();
    unsigned n = 0;

    for (const char *p = text; (p = strstr(p, "muster_sweep_seconds_bucket")); p++)
        n++;
    assert_int_equal(n, 9 * 3 + 1 + 1);
    mu_free(text);
}

static void stat_passes_promtool(void **state)
{
    FILE *promtool = popen("promtool check metrics 2>&1", "w");
    char *text;

    assert_non_null(promtool);
    mu_stat_add(MU_STAT_BEATS, UINT64_MAX);
    mu_stat_observe(MU_STAT_STALL, 0.25);
    text = exposed();
    fputs(text, promtool);
    mu_free(text);
    assert_int_equal(pclose(promtool), 0);
}

static void stat_without_memory_leaves_a_failed_buffer(void **state)
{
    FOR_EACH_FAULT (n) {
        struct mu_buf buf;
        mu_buf_init(&buf, 0);
        mu_stat_expose(&buf);
        FAULT_CHECK(buf.failed);
        mu_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(stat_counts, setup),
        cmocka_unit_test_setup(stat_histogram_is_cumulative, setup),
        cmocka_unit_test_setup(stat_histogram_has_its_buckets, setup),
        cmocka_unit_test_setup(stat_passes_promtool, setup),
        cmocka_unit_test_setup(stat_without_memory_leaves_a_failed_buffer, setup),
    };

    return cmocka_run_group_tests_name("stat", tests, NULL, NULL);
}
