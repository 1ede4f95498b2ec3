#include "lib/test.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fleet/policy.h"

static void count_warning(void *ctx, const char *line)
{
    assert_non_null(strstr(line, "service_down_time"));
    ++*(int *)ctx;
}

static struct mu_policies two(struct mu_times first)
{
    struct mu_policies p;

    mu_policies_init(&p);
    p.n = 2;
    p.at[1] = p.at[0];
    p.at[1].times.suspect = p.at[1].times.floor = 0;
    p.at[0] = (struct mu_policy){.name = "net", .binary = "neutron-*", .zone = "", .times = first};
    return p;
}

static void what_is_not_set_comes_from_default_and_interval(void **state)
{
    struct mu_policies p = two((struct mu_times){.interval = 20 * MU_SEC});
    int warnings = 0;

    assert_int_equal(mu_policies_finish(&p, count_warning, &warnings, NULL), 0);
    assert_true(p.at[0].times.down == 60 * MU_SEC);
    assert_true(p.at[0].times.suspect == 48 * MU_SEC); /* 0.8 x down, below 2.5 x interval */
    assert_true(p.at[1].times.suspect == 25 * MU_SEC);
    assert_int_equal(warnings, 0);
    p = two((struct mu_times){.interval = 25 * MU_SEC});
    assert_int_equal(mu_policies_finish(&p, count_warning, &warnings, NULL), 0);
    assert_int_equal(warnings, 1);
}

static void detector_and_phi_come_from_default_and_the_floor_is_worked_out(void **state)
{
    struct mu_policies p = two((struct mu_times){.interval = 5 * MU_SEC});
    int warnings = 0;

    p.at[0].detector = -1;
    p.at[1].detector = MU_DETECT_PHI;
    p.at[1].times.phi = 2;
    assert_int_equal(mu_policies_finish(&p, count_warning, &warnings, NULL), 0);
    assert_int_equal(p.at[0].detector, MU_DETECT_PHI);
    assert_true(p.at[0].times.phi == 2);
    assert_true(p.at[0].times.floor == 17500 * MU_MS); /* 3.5 x interval */
    assert_true(p.at[1].times.floor == 35 * MU_SEC);
    p = two((struct mu_times){.interval = 5 * MU_SEC, .suspect = 30 * MU_SEC});
    p.at[0].detector = MU_DETECT_TWO_WINDOW;
    assert_int_equal(mu_policies_finish(&p, count_warning, &warnings, NULL), 0);
    assert_true(p.at[0].times.floor == 30 * MU_SEC); /* not before suspect */
    assert_int_equal(p.at[1].detector, MU_DETECT_DEADLINE);
    assert_true(p.at[1].times.floor == 60 * MU_SEC); /* all of the down time */
    assert_int_equal(warnings, 0);
}

static void floor_that_deadline_does_not_have_is_warned_of(void **state)
{
    struct mu_policies p = two((struct mu_times){.floor = 30 * MU_SEC});
    int warnings = 0;

    assert_int_equal(mu_policies_finish(&p, count_warning, &warnings, NULL), 0);
    assert_int_equal(warnings, 1);
    assert_true(mu_times_for(&p.at[0], 0, false).floor == 60 * MU_SEC);
}

static void keep_warning(void *ctx, const char *line)
{
    char(*kept)[256] = ctx;

    assert_string_equal(*kept, ""); /* one at most */
    snprintf(*kept, sizeof(*kept), "%s", line);
}

static void phi_that_changes_no_verdict_is_warned_of(void **state)
{
    static const struct {
        int detector, of_default;
        int64_t phi, phi_of_default;
        const char *warned; /* NULL = not */
    } cases[] = {
        {MU_DETECT_TWO_WINDOW, MU_DETECT_DEADLINE, 5, 8,
         "policy net: phi_threshold 5 does nothing"},
        {-1, MU_DETECT_TWO_WINDOW, 8, 8, "not for two-window"},
        {-1, MU_DETECT_DEADLINE, 0, 5, "policy DEFAULT: phi_threshold 5 does nothing"},
        {MU_DETECT_PHI, MU_DETECT_DEADLINE, 0, 2, NULL},
        {MU_DETECT_DEADLINE, MU_DETECT_PHI, 0, 2, NULL},
        {-1, MU_DETECT_DEADLINE, 0, 8, NULL},
        {MU_DETECT_PHI, MU_DETECT_DEADLINE, 2, 8, NULL}, /* 46 s */
        {MU_DETECT_PHI, MU_DETECT_DEADLINE, 3, 8, "phi_threshold 3 is a silence of 69.1 s"},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_policies p = two((struct mu_times){.phi = cases[i].phi});
        char warned[256] = "";

        p.at[0].detector = cases[i].detector;
        p.at[1].detector = cases[i].of_default;
        p.at[1].times.phi = cases[i].phi_of_default;
        assert_int_equal(mu_policies_finish(&p, keep_warning, warned, NULL), 0);
        if (cases[i].warned)
            assert_non_null(strstr(warned, cases[i].warned));
        else
            assert_string_equal(warned, "");
    }
}

static void times_that_contradict_are_refused_by_name(void **state)
{
    static const struct {
        struct mu_times times;
        const char *a, *b;
    } cases[] = {
        {{.interval = 60 * MU_SEC}, "report_interval is 1m", "service_down_time, which is 1m"},
        {{.interval = 10 * MU_SEC, .suspect = 5 * MU_SEC},
         "report_interval is 10s",
         "suspect_time"},
        {{.suspect = 60 * MU_SEC}, "suspect_time is 1m", "service_down_time"},
        {{.interval = 50 * MU_MS}, "report_interval is 50ms", "100ms"},
        {{.interval = 3601 * MU_SEC, .down = 36000 * MU_SEC}, "report_interval is 3601s", "1h"},
        {{.down = 31 * 24 * 3600 * MU_SEC}, "service_down_time is 31d", "30d"},
        {{.down = -5}, "service_down_time", "100ms"},
        {{.floor = 10 * MU_SEC}, "report_interval is 10s", "earliest_down_time, which is 10s"},
        {{.floor = 61 * MU_SEC}, "earliest_down_time is 61s", "service_down_time, which is 1m"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mu_policies p = two(cases[i].times);
        struct mu_err err = {0};

        assert_int_equal(mu_policies_finish(&p, NULL, NULL, &err), MU_EINVAL);
        if (!strstr(err.text, "policy net") || !strstr(err.text, cases[i].a) ||
            !strstr(err.text, cases[i].b))
            fail_msg("case %zu: %s", i, err.text);
    }
}

static void first_that_matches_is_in_force(void **state)
{
    struct mu_policies p = two((struct mu_times){.interval = 5 * MU_SEC});

    strcpy(p.at[0].zone, "az[12]");
    assert_int_equal(mu_policies_finish(&p, NULL, NULL, NULL), 0);
    assert_int_equal(mu_policies_match(&p, "neutron-l3-agent", "az1"), 0);
    assert_int_equal(mu_policies_match(&p, "neutron-l3-agent", "az3"), 1);
    assert_int_equal(mu_policies_match(&p, "nova-compute", "az1"), 1);
}

static void what_default_sets_and_a_policy_works_out_is_warned_of(void **state)
{
    static const struct {
        struct mu_times of_default, times;
        int detector;
        const char *warned; /* NULL = not */
    } cases[] = {
        {{.suspect = 15 * MU_SEC}, {0}, 0, "policy net: suspect_time is 25s, worked out from its"},
        {{.suspect = 15 * MU_SEC}, {.interval = 6 * MU_SEC}, 0, NULL}, /* the same comes out */
        {{.suspect = 15 * MU_SEC}, {.suspect = 20 * MU_SEC}, 0, NULL},
        {{0}, {.interval = 6 * MU_SEC}, 0, NULL},
        {{.floor = 60 * MU_SEC},
         {0},
         MU_DETECT_TWO_WINDOW,
         "policy net: earliest_down_time is 35s, worked out from its own times, not 1m"},
        {{.floor = 60 * MU_SEC}, {.floor = 50 * MU_SEC}, MU_DETECT_TWO_WINDOW, NULL},
        {{.floor = 60 * MU_SEC}, {.down = 50 * MU_SEC}, MU_DETECT_DEADLINE, NULL}, /* it has none */
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_policies p = two(cases[i].times);
        char warned[256] = "";

        p.at[0].detector = cases[i].detector;
        p.at[1].times.suspect = cases[i].of_default.suspect;
        p.at[1].times.floor = cases[i].of_default.floor;
        assert_int_equal(mu_policies_finish(&p, keep_warning, warned, NULL), 0);
        if (!cases[i].warned)
            assert_string_equal(warned, "");
        else if (!strstr(warned, cases[i].warned))
            fail_msg("case %zu: \"%s\"", i, warned);
    }
}

static void policy_that_never_matches_is_warned_of(void **state)
{
    static const struct {
        const char *binary, *zone, *later_binary, *later_zone;
        bool warned;
    } cases[] = {
        {"neutron-*", "", "neutron-*", "*", true}, {"*", "", "nova-*", "az1", true},
        {"**", "az1", "nova-*", "az1", true},      {"nova-*", "", "nova-compute", "az?", true},
        {"nova-compute", "", "nova-*", "", false}, {"nova-*", "az1", "nova-*", "", false},
        {"nova-*", "", "nova-c*", "", false}, /* it never does, but that is more than letters tell
                                               */
        {"nova-*", "", "nova-[a]", "", false},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_policies p = two((struct mu_times){0});
        char warned[256] = "";

        p.n = 3;
        p.at[2] = p.at[1];
        p.at[1] = p.at[0];
        strcpy(p.at[1].name, "late");
        strcpy(p.at[0].binary, cases[i].binary);
        strcpy(p.at[0].zone, cases[i].zone);
        strcpy(p.at[1].binary, cases[i].later_binary);
        strcpy(p.at[1].zone, cases[i].later_zone);
        assert_int_equal(mu_policies_finish(&p, keep_warning, warned, NULL), 0);
        if (!cases[i].warned)
            assert_string_equal(warned, "");
        else if (!strstr(warned, "policy late never matches: policy net, before it"))
            fail_msg("case %zu: \"%s\"", i, warned);
    }
}

static void policy_for_a_whole_name_is_warned_of(void **state)
{
    static const char *const binaries[] = {"nova-compute@*", "x@host", "x/y"};

    for (size_t i = 0; i < MU_ARRAY_LEN(binaries); i++) {
        struct mu_policies p = two((struct mu_times){0});
        char warned[256] = "";

        strcpy(p.at[0].binary, binaries[i]);
        assert_int_equal(mu_policies_finish(&p, keep_warning, warned, NULL), 0);
        assert_non_null(strstr(warned, "policy net never matches"));
        assert_non_null(strstr(warned, binaries[i]));
    }
}

static void interval_wanted_is_clamped_or_stretches(void **state)
{
    struct mu_policies p;
    struct mu_times t;

    mu_policies_init(&p);
    t = mu_times_for(&p.at[0], 0, false);
    assert_true(t.interval == 10 * MU_SEC && t.suspect == 25 * MU_SEC && t.down == 60 * MU_SEC);
    t = mu_times_for(&p.at[0], MU_SEC, false);
    assert_true(t.interval == MU_SEC && t.suspect == 25 * MU_SEC && t.down == 60 * MU_SEC);
    t = mu_times_for(&p.at[0], 30 * MU_SEC, false);
    assert_true(t.interval == 24 * MU_SEC && t.suspect == 48 * MU_SEC && t.down == 60 * MU_SEC);
    t = mu_times_for(&p.at[0], 60 * MU_SEC, true);
    assert_true(t.interval == 60 * MU_SEC && t.suspect == 120 * MU_SEC && t.down == 150 * MU_SEC);
    t = mu_times_for(&p.at[0], MU_MS, false);
    assert_true(t.interval == 100 * MU_MS);
    t = mu_times_for(&p.at[0], MU_NEVER, true);
    assert_true(t.interval < t.suspect && t.suspect < t.down && t.floor == t.down);
    p.at[0].detector = MU_DETECT_TWO_WINDOW;
    p.at[0].times.floor = 20 * MU_SEC;
    assert_true(mu_times_for(&p.at[0], MU_SEC, false).floor == 20 * MU_SEC);
    assert_true(mu_times_for(&p.at[0], 12 * MU_SEC, false).floor == 42 * MU_SEC);
    assert_true(mu_times_for(&p.at[0], 24 * MU_SEC, false).floor == 60 * MU_SEC);
    assert_true(mu_times_for(&p.at[0], 100 * MU_SEC, true).floor == 250 * MU_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_set_comes_from_default_and_interval),
        cmocka_unit_test(detector_and_phi_come_from_default_and_the_floor_is_worked_out),
        cmocka_unit_test(floor_that_deadline_does_not_have_is_warned_of),
        cmocka_unit_test(phi_that_changes_no_verdict_is_warned_of),
        cmocka_unit_test(times_that_contradict_are_refused_by_name),
        cmocka_unit_test(first_that_matches_is_in_force),
        cmocka_unit_test(what_default_sets_and_a_policy_works_out_is_warned_of),
        cmocka_unit_test(policy_that_never_matches_is_warned_of),
        cmocka_unit_test(policy_for_a_whole_name_is_warned_of),
        cmocka_unit_test(interval_wanted_is_clamped_or_stretches),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
