/* Each detector on numbers that are worked out by hand. What holds for all of them is in
 * contract/detector.c. */
#include "lib/test.h"

#include <math.h>
#include <string.h>

#include "detect/detect.h"

struct life {
    const struct mu_detector_driver *driver;
    struct mu_times times;
    mu_time now;
    uint64_t state[MU_DETECT_STATE_MAX / sizeof(uint64_t)];
};

static struct life life_of(enum mu_detector detector, struct mu_times times)
{
    return (struct life){.driver = mu_detect_at(detector), .times = times};
}

/* @n beats, each @gap_ms after the one before. */
static void beats(struct life *l, unsigned n, mu_dur gap_ms)
{
    while (n-- > 0) {
        l->now += gap_ms * MU_MS;
        l->driver->heard(l->state, &l->times, l->now);
    }
}

/* The silences after which it is suspect and down, in ms. */
static void expect(const struct life *l, mu_dur suspect_ms, mu_dur down_ms)
{
    mu_time suspect_at, down_at;

    l->driver->due(l->state, &l->times, l->now, &suspect_at, &down_at);
    assert_int_equal((suspect_at - l->now + MU_MS / 2) / MU_MS, suspect_ms);
    assert_int_equal((down_at - l->now + MU_MS / 2) / MU_MS, down_ms);
}

static double number(const struct life *l, mu_dur silence, const char *name)
{
    struct mu_detect_number out[MU_DETECT_NUMBERS];
    size_t n = l->driver->numbers(l->state, &l->times, l->now, l->now + silence, out);

    for (size_t i = 0; i < n; i++)
        if (strcmp(out[i].name, name) == 0)
            return out[i].value;
    fail_msg("%s has no number \"%s\"", l->driver->name, name);
    return 0;
}

static void detectors_have_the_names_of_the_configuration(void **state)
{
    char words[64] = "";

    for (enum mu_detector d = 0; d < MU_DETECTORS; d++) {
        if (d)
            strcat(words, " ");
        strcat(words, mu_detect_at(d)->name);
    }
    assert_string_equal(words, MU_DETECT_WORDS);
}

static void bounds_are_the_policys(void **state)
{
    static const struct mu_times t = {
        .interval = 10, .suspect = 25, .down = 60, .floor = 35}; /* ns: the unit is nothing to it */
    static const struct {
        mu_dur suspect, down, suspect_is, down_is;
    } cases[] = {
        {20, 50, 20, 50}, {26, 61, 25, 60}, {14, 34, 15, 35}, {-5, 0, 15, 35}, {22, 20, 22, 35},
    };
    static const struct mu_times tight = {.interval = 10, .suspect = 14, .down = 15, .floor = 11};
    mu_time suspect_at, down_at;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        mu_detect_bound(&t, 100, cases[i].suspect, cases[i].down, &suspect_at, &down_at);
        assert_int_equal(suspect_at, 100 + cases[i].suspect_is);
        assert_int_equal(down_at, 100 + cases[i].down_is);
    }
    mu_detect_bound(&tight, 100, 0, 12, &suspect_at, &down_at);
    assert_int_equal(suspect_at, 112); /* not after death */
    assert_int_equal(down_at, 112);
    mu_detect_bound(&tight, 100, 0, 20, &suspect_at, &down_at);
    assert_int_equal(suspect_at, 114);
}

static void deadline_says_the_same_after_every_beat(void **state)
{
    struct life l = life_of(MU_DETECT_DEADLINE,
                            (struct mu_times){MU_SEC, 2 * MU_SEC, 3 * MU_SEC, 3 * MU_SEC, 8});

    expect(&l, 2000, 3000);
    beats(&l, 1000, 1000);
    expect(&l, 2000, 3000);
    beats(&l, 10, 2900);
    expect(&l, 2000, 3000);
}

static const struct mu_times slow = {
    .interval = 10 * MU_SEC, .suspect = 30 * MU_SEC, .down = 60 * MU_SEC, .floor = 35 * MU_SEC};

static void two_window_of_steady_beats_waits_half_an_interval_more(void **state)
{
    struct life l = life_of(MU_DETECT_TWO_WINDOW, slow);

    beats(&l, MU_DETECT_LEARNED, 10000);
    assert_true(number(&l, 0, "learned from") == MU_DETECT_LEARNED - 1);
    assert_true(number(&l, 0, "judges from") == MU_DETECT_LEARNED);
    beats(&l, 1, 10000);
    expect(&l, 15000, 35000); /* 10 + 5; 10 + 2 x 5 is below the floor */
    assert_true(number(&l, 0, "learned from") == MU_DETECT_LEARNED);
    assert_true(fabs(number(&l, 0, "mean gap") - 10) < 1e-6);
    assert_true(number(&l, 0, "late at most") == 0);
    assert_true(number(&l, 0, "margin") == 5);
}

static void two_window_takes_the_most_that_a_beat_was_late(void **state)
{
    struct life l = life_of(MU_DETECT_TWO_WINDOW, slow);

    /* 24 s are two beats of 12 s, the mean of all 31 is 10 + 2 / 31 s, and it was 14 s late. */
    beats(&l, MU_DETECT_LEARNED + 1, 10000);
    beats(&l, 1, 24000);
    assert_true(fabs(number(&l, 0, "mean gap") - (10 + 2 / 31.0)) < 1e-5);
    assert_true(fabs(number(&l, 0, "late at most") - 14) < 1e-5);
    expect(&l, 27565, 45065); /* 10.065 + 1.25 x 14, 10.065 + 2.5 x 14 */
    beats(&l, 1, 55000);
    expect(&l, 30000, 60000); /* the latest that is promised */
}

static void two_window_fades_the_margin_to_a_third_in_20000_beats(void **state)
{
    struct life l = life_of(MU_DETECT_TWO_WINDOW, slow);

    beats(&l, MU_DETECT_LEARNED + 1, 10000);
    beats(&l, 1, 24000);
    beats(&l, 20000, 10000);
    assert_true(fabs(number(&l, 0, "late at most") - 14 * exp(-1)) < 0.01);
    beats(&l, 1, 55000); /* half the down time is the most there is */
    assert_true(fabs(number(&l, 0, "late at most") - 30) < 1e-5);
}

/* The paper's second window: a beat that came early is no reason to expect the next one early. */
static void two_window_expects_by_the_later_of_two_windows(void **state)
{
    struct life l = life_of(MU_DETECT_TWO_WINDOW, slow);

    beats(&l, 1001, 10000);
    beats(&l, 1, 7000); /* 3 s before the long window's time: the next one is due in 13 s */
    assert_true(fabs(number(&l, 0, "expected after") - 13) < 0.02);
    beats(&l, 1, 13000);
    assert_true(fabs(number(&l, 0, "expected after") - 10) < 0.02);
    beats(&l, 1, 14000); /* 4 s after it: the short window's alone counts, 10 s */
    assert_true(fabs(number(&l, 0, "expected after") - 10) < 0.02);
}

static void two_window_follows_a_shorter_way_within_its_long_window(void **state)
{
    struct life l = life_of(MU_DETECT_TWO_WINDOW, slow);

    beats(&l, 1001, 10000);
    beats(&l, 1, 7000); /* the way became 3 s shorter for good */
    beats(&l, 500, 10000);
    /* Of which it forgets exp(-1/2), and the mean gap, which is a bit too short for the same
     * reason, makes up for half of the rest. */
    assert_true(fabs(number(&l, 0, "expected after") - (10 + 3 * exp(-0.5) / 2)) < 0.01);
}

static void two_window_expects_nothing_half_an_interval_late(void **state)
{
    struct life l = life_of(MU_DETECT_TWO_WINDOW, slow);

    beats(&l, 1001, 10000);
    beats(&l, 3, 6000); /* 12 s early in all; but that may be a beat more */
    assert_true(fabs(number(&l, 0, "expected after") - 15) < 0.02);
    beats(&l, 1, 61000); /* nothing is known of where it should have come */
    assert_true(fabs(number(&l, 0, "expected after") - 10) < 0.02);
}

static void two_window_learns_nothing_from_a_death(void **state)
{
    struct life l = life_of(MU_DETECT_TWO_WINDOW, slow);

    beats(&l, MU_DETECT_LEARNED + 1, 10000);
    beats(&l, 1, 60001);
    assert_true(number(&l, 0, "learned from") == MU_DETECT_LEARNED);
    expect(&l, 15000, 35000);
}

static void two_window_is_not_misled_by_a_beat_said_twice(void **state)
{
    struct life l = life_of(MU_DETECT_TWO_WINDOW, slow);

    for (int i = 0; i < 100; i++) {
        beats(&l, 1, 9800);
        beats(&l, 1, 200);
    }
    assert_true(fabs(number(&l, 0, "mean gap") - 9.8) < 0.01);
    assert_true(number(&l, 0, "late at most") < 0.5);
}

static const struct mu_times quick = {.interval = MU_SEC,
                                      .suspect = 10 * MU_SEC,
                                      .down = 60 * MU_SEC,
                                      .floor = 3500 * MU_MS,
                                      .phi = 8};

static void phi_is_a_multiple_of_the_mean_gap(void **state)
{
    struct life l = life_of(MU_DETECT_PHI, quick);

    beats(&l, MU_DETECT_LEARNED + 1, 1000);
    expect(&l, 2303, 18421); /* ln 10 and 8 ln 10 */
    beats(&l, MU_DETECT_LEARNED, 2000);
    expect(&l, 3454, 27631); /* the mean of both is 1.5 s */
    assert_true(fabs(number(&l, 3 * MU_SEC, "phi") - 3 / (1.5 * log(10))) < 1e-6);
    assert_true(number(&l, 0, "phi") == 0);
    assert_true(number(&l, 0, "down at phi") == 8);
}

static void phi_threshold_moves_death_between_floor_and_down_time(void **state)
{
    struct life l = life_of(MU_DETECT_PHI, quick);

    beats(&l, MU_DETECT_LEARNED + 1, 1000);
    l.times.phi = 1;
    expect(&l, 2303, 3500);
    l.times.phi = 100;
    expect(&l, 2303, 60000);
}

static void phi_counts_neither_echoes_nor_deaths(void **state)
{
    struct life l = life_of(MU_DETECT_PHI, quick);

    beats(&l, MU_DETECT_LEARNED + 1, 1000);
    beats(&l, 5, 0);
    beats(&l, 5, 499);
    beats(&l, 1, 61000);
    assert_true(number(&l, 0, "learned from") == MU_DETECT_LEARNED);
    expect(&l, 2303, 18421);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detectors_have_the_names_of_the_configuration),
        cmocka_unit_test(bounds_are_the_policys),
        cmocka_unit_test(deadline_says_the_same_after_every_beat),
        cmocka_unit_test(two_window_of_steady_beats_waits_half_an_interval_more),
        cmocka_unit_test(two_window_takes_the_most_that_a_beat_was_late),
        cmocka_unit_test(two_window_fades_the_margin_to_a_third_in_20000_beats),
        cmocka_unit_test(two_window_expects_by_the_later_of_two_windows),
        cmocka_unit_test(two_window_follows_a_shorter_way_within_its_long_window),
        cmocka_unit_test(two_window_expects_nothing_half_an_interval_late),
        cmocka_unit_test(two_window_learns_nothing_from_a_death),
        cmocka_unit_test(two_window_is_not_misled_by_a_beat_said_twice),
        cmocka_unit_test(phi_is_a_multiple_of_the_mean_gap),
        cmocka_unit_test(phi_threshold_moves_death_between_floor_and_down_time),
        cmocka_unit_test(phi_counts_neither_echoes_nor_deaths),
    };
    return cmocka_run_group_tests_name("detect", tests, NULL, NULL);
}
