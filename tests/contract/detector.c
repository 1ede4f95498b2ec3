/* What every driver of detect/driver.h must do, over random histories: one list of cases, run
 * against each. A failure prints the seed. */
#include "lib/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "detect/detect.h"
#include "detect/drivers.h"

#define HISTORIES 200
#define BEATS     400
#define GUARD     0xa5

/* An agent as its detector knows it. */
struct life {
    const struct mu_detector_driver *driver;
    struct mu_times times;
    mu_time now;          /* of the last beat */
    mu_dur suspect, down; /* what is due of the silence since then */
    union {
        uint8_t bytes[2 * MU_DETECT_STATE_MAX];
        max_align_t aligned;
    } state; /* the second half guards what is behind the first */
};

static void begin(struct life *l, const struct mu_detector_driver *driver, struct mu_times times)
{
    memset(l, 0, sizeof(*l));
    memset(l->state.bytes + driver->size, GUARD, sizeof(l->state) - driver->size);
    l->driver = driver;
    l->times = times;
    l->now = 1000 * MU_SEC;
}

/* Asks what is due, which must be within what is promised, and change nothing. */
static void ask(struct life *l)
{
    const struct mu_times *t = &l->times;
    uint8_t before[sizeof(l->state)];
    mu_time suspect_at, down_at, later_suspect_at, later_down_at;

    memcpy(before, l->state.bytes, sizeof(before));
    l->driver->due(l->state.bytes, t, l->now, &suspect_at, &down_at);
    l->driver->due(l->state.bytes, t, l->now + MU_SEC, &later_suspect_at, &later_down_at);
    assert_memory_equal(before, l->state.bytes, sizeof(before));
    assert_true(later_suspect_at == suspect_at + MU_SEC && later_down_at == down_at + MU_SEC);
    l->suspect = suspect_at - l->now;
    l->down = down_at - l->now;
    assert_true(l->suspect > t->interval && l->suspect <= t->suspect);
    assert_true(l->suspect <= l->down);
    assert_true(l->down >= t->floor && l->down <= t->down);
}

static void beat(struct life *l, mu_dur gap)
{
    l->now += gap;
    l->driver->heard(l->state.bytes, &l->times, l->now);
    for (size_t i = l->driver->size; i < sizeof(l->state); i++)
        assert_int_equal(l->state.bytes[i], GUARD);
    ask(l);
}

static void beats(struct life *l, unsigned n, mu_dur gap)
{
    while (n-- > 0)
        beat(l, gap);
}

/* The same interval, as a policy may have it. */
static struct mu_times times_of(const struct mu_detector_driver *driver, mu_dur interval)
{
    return (struct mu_times){.interval = interval,
                             .suspect = interval / 2 * 5,
                             .down = 30 * interval,
                             .floor =
                                 driver == &mu_detect_deadline ? 30 * interval : interval / 2 * 7,
                             .phi = 8};
}

static mu_dur between(struct mu_rng *rng, mu_dur low, mu_dur high)
{
    return low + (mu_dur)mu_rng_below(rng, (uint64_t)(high - low) + 1);
}

/* Any that a policy allows. */
static struct mu_times some_times(const struct mu_detector_driver *driver, struct mu_rng *rng)
{
    struct mu_times t;

    t.interval = (mu_dur)(100 * pow(36000, mu_rng_unit(rng))) * MU_MS;
    t.down = between(rng, t.interval + 2 * MU_MS, 50 * t.interval);
    t.suspect = between(rng, t.interval + MU_MS, t.down - MU_MS);
    t.floor = driver == &mu_detect_deadline ? t.down : between(rng, t.interval + MU_MS, t.down);
    t.phi = between(rng, 1, 100);
    return t;
}

/* Beats on time, said twice, early, late, lost, cut off for days. */
static mu_dur some_gap(const struct mu_times *t, struct mu_rng *rng)
{
    switch (mu_rng_below(rng, 8)) {
    case 0:
        return 0;
    case 1:
        return between(rng, 1, t->interval);
    case 2:
        return between(rng, 2, 6) * t->interval;
    case 3:
        return between(rng, t->interval, 100 * t->down);
    default:
        return mu_rng_jitter(rng, t->interval, 0.2);
    }
}

/* Runs @visit after each beat of many random histories. */
static void over_histories(const struct mu_detector_driver *driver,
                           void (*visit)(struct life *l, struct mu_rng *rng))
{
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct mu_rng rng;
        struct life l;

        print_message("# %s, seed %llu\n", driver->name, (unsigned long long)seed);
        mu_rng_seed(&rng, seed);
        begin(&l, driver, some_times(driver, &rng));
        ask(&l); /* before the first beat too */
        for (unsigned i = 0; i < BEATS; i++) {
            if (mu_rng_below(&rng, 100) == 0)
                l.times = some_times(driver, &rng);
            beat(&l, some_gap(&l.times, &rng));
            if (visit)
                visit(&l, &rng);
        }
    }
}

static void moments_are_within_the_promise_whatever_happened(void **state)
{
    over_histories(*state, NULL); /* beat() has the checks */
}

static void check_level(struct life *l, struct mu_rng *rng)
{
    const void *st = l->state.bytes;
    mu_dur earlier = between(rng, 1, l->down), later = between(rng, earlier, 2 * l->down);
    double at_earlier, at_later;

    assert_true(mu_detect_level(l->driver, st, &l->times, l->now, l->now) == 0);
    assert_true(fabs(mu_detect_level(l->driver, st, &l->times, l->now, l->now + l->down) - 1) <
                1e-9);
    at_earlier = mu_detect_level(l->driver, st, &l->times, l->now, l->now + earlier);
    at_later = mu_detect_level(l->driver, st, &l->times, l->now, l->now + later);
    assert_true(at_earlier > 0 && (later == earlier || at_later > at_earlier));
}

static void level_grows_with_silence_to_death(void **state)
{
    over_histories(*state, check_level);
}

static void check_numbers(struct life *l, struct mu_rng *rng)
{
    struct mu_detect_number out[MU_DETECT_NUMBERS];
    size_t n = l->driver->numbers(l->state.bytes, &l->times, l->now,
                                  l->now + between(rng, 0, 2 * l->times.down), out);

    assert_in_range(n, 0, MU_DETECT_NUMBERS);
    for (size_t i = 0; i < n; i++) {
        assert_in_range(strlen(out[i].name), 1, 16); /* a column of `muster explain` */
        assert_non_null(out[i].unit);
        assert_true(isfinite(out[i].value) && out[i].value >= 0);
    }
}

static void numbers_are_numbers(void **state)
{
    over_histories(*state, check_numbers);
}

static void state_is_small(void **state)
{
    const struct mu_detector_driver *driver = *state;

    assert_in_range(driver->size, 0, MU_DETECT_STATE_MAX);
}

static void nothing_is_sooner_before_it_has_learned(void **state)
{
    struct life l;

    begin(&l, *state, times_of(*state, MU_SEC));
    ask(&l);
    assert_true(l.suspect == l.times.suspect && l.down == l.times.down);
    for (int i = 0; i < MU_DETECT_LEARNED; i++) { /* the first beat ends no gap */
        beat(&l, MU_SEC);
        assert_true(l.suspect == l.times.suspect && l.down == l.times.down);
    }
}

static void another_interval_is_learned_anew(void **state)
{
    struct life l;

    begin(&l, *state, times_of(*state, MU_SEC));
    beats(&l, 100, MU_SEC);
    l.times = times_of(*state, 10 * MU_SEC);
    beat(&l, MU_SEC);
    assert_true(l.suspect == 25 * MU_SEC && l.down == 300 * MU_SEC);
}

/* Beats of @gap; returns how many of them found their agent suspect. */
static unsigned suspected(struct life *l, unsigned n, mu_dur gap)
{
    unsigned count = 0;

    while (n-- > 0) {
        count += gap >= l->suspect;
        assert_true(gap < l->down);
        beat(l, gap);
    }
    return count;
}

/* A delay that jumps is one long gap; then beats come as before. */
static void a_longer_way_is_one_suspicion_and_no_death(void **state)
{
    for (mu_dur jump = 100 * MU_MS; jump < 2500 * MU_MS; jump += 100 * MU_MS) {
        struct life l;

        begin(&l, *state, times_of(*state, MU_SEC));
        beats(&l, 2000, MU_SEC);
        assert_in_range(suspected(&l, 1, MU_SEC + jump), 0, 1);
        assert_int_equal(suspected(&l, 100, MU_SEC), 0);
        beats(&l, 1, MU_SEC > jump ? MU_SEC - jump : 0); /* and back */
        assert_int_equal(suspected(&l, 100, MU_SEC), 0);
    }
}

/* A sender that is slower than it was told to be is got used to within some beats. */
static void a_slower_pace_is_learned_within_some_beats(void **state)
{
    for (mu_dur gap = 1100 * MU_MS; gap < 2500 * MU_MS; gap += 100 * MU_MS) {
        struct life l;

        begin(&l, *state, times_of(*state, MU_SEC));
        beats(&l, 2000, MU_SEC);
        assert_in_range(suspected(&l, 10, gap), 0, 8);
        assert_int_equal(suspected(&l, 1000, gap), 0);
    }
}

/* Whatever there was, steady beats make it as if it had not been. */
static void what_was_is_forgotten(void **state)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct mu_rng rng;
        struct life calm, wild;

        print_message("# seed %llu\n", (unsigned long long)seed);
        mu_rng_seed(&rng, seed);
        begin(&calm, *state, times_of(*state, MU_SEC));
        begin(&wild, *state, calm.times);
        for (int i = 0; i < 2000; i++)
            beat(&wild, some_gap(&wild.times, &rng));
        beats(&calm, 100000, MU_SEC);
        beats(&wild, 100000, MU_SEC);
        assert_true(llabs(calm.suspect - wild.suspect) < 50 * MU_MS);
        assert_true(llabs(calm.down - wild.down) < 50 * MU_MS);
    }
}

#define CASES(X)                                                                                   \
    X(moments_are_within_the_promise_whatever_happened)                                            \
    X(level_grows_with_silence_to_death)                                                           \
    X(numbers_are_numbers)                                                                         \
    X(state_is_small)                                                                              \
    X(nothing_is_sooner_before_it_has_learned)                                                     \
    X(another_interval_is_learned_anew)                                                            \
    X(a_longer_way_is_one_suspicion_and_no_death)                                                  \
    X(a_slower_pace_is_learned_within_some_beats)                                                  \
    X(what_was_is_forgotten)

#define DEADLINE(test)   {"deadline_" #test, test, NULL, NULL, (void *)&mu_detect_deadline},
#define TWO_WINDOW(test) {"two_window_" #test, test, NULL, NULL, (void *)&mu_detect_two_window},
#define PHI(test)        {"phi_" #test, test, NULL, NULL, (void *)&mu_detect_phi},

int main(void)
{
    const struct CMUnitTest tests[] = {CASES(DEADLINE) CASES(TWO_WINDOW) CASES(PHI)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
