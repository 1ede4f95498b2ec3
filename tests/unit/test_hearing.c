#include "lib/test.h"

#include <string.h>

#include "base/rng.h"
#include "conductor/hearing.h"

static void gaps_up_to_a_tick_and_the_lag_are_no_stall(void **state)
{
    struct mu_hearing h;

    mu_hearing_init(&h, 1000 * MU_SEC);
    assert_int_equal(mu_hearing_note(&h, 1000 * MU_SEC + 350 * MU_MS), MU_HEARD_NOTHING);
    assert_true(h.stalled == 0);
    assert_int_equal(mu_hearing_note(&h, 1000 * MU_SEC + 701 * MU_MS), MU_HEARD_STALL);
    assert_true(h.stalled == 251 * MU_MS && h.stall_last == 251 * MU_MS);
    assert_int_equal(mu_hearing_note(&h, 1000 * MU_SEC), MU_HEARD_NOTHING); /* an older now */
    assert_true(h.last == 1000 * MU_SEC + 701 * MU_MS);
}

static void first_tick_learns_what_was_before_the_start(void **state)
{
    struct mu_hearing h;

    mu_hearing_init(&h, 0);
    assert_int_equal(mu_hearing_suspended(&h, MU_SEC, 5000 * MU_SEC), MU_HEARD_NOTHING);
    assert_int_equal(mu_hearing_drops(&h, MU_SEC, 12345), MU_HEARD_NOTHING);
    assert_int_equal(mu_hearing_suspended(&h, 2 * MU_SEC, 5001 * MU_SEC + 250 * MU_MS),
                     MU_HEARD_NOTHING);
    assert_int_equal(mu_hearing_suspended(&h, 3 * MU_SEC, 5010 * MU_SEC), MU_HEARD_STALL);
    assert_true(h.stall_last == 7750 * MU_MS);
    assert_true(h.stalled == 0); /* it did not pass in monotonic time */
}

static void trickle_of_drops_is_one_deafness(void **state)
{
    struct mu_hearing h;
    mu_time now = 0;
    int begun = 0, ended = 0;
    char text[256];

    mu_hearing_init(&h, now);
    mu_hearing_drops(&h, now, 0);
    for (int i = 1; i <= 700; i++) { /* one in 900 ms, for 63 s */
        enum mu_heard heard;

        now += 100 * MU_MS;
        mu_hearing_note(&h, now);
        heard = mu_hearing_drops(&h, now, (uint64_t)(i < 630 ? i : 630) / 9);
        begun += heard == MU_HEARD_DEAF;
        ended += heard == MU_HEARD_AGAIN;
        if (i == 600)
            assert_true(mu_hearing_ready(&h, now, text, sizeof(text)));
        if (i == 620) {
            assert_false(mu_hearing_ready(&h, now, text, sizeof(text)));
            assert_non_null(strstr(text, "68 datagrams"));
        }
    }
    assert_int_equal(begun, 1);
    assert_int_equal(ended, 1);
    assert_true(h.stalled > 62 * MU_SEC && h.stalled < 64 * MU_SEC);
}

/* However entries, ticks, drops and stalls fall: it never runs backward, nor faster than time. */
static void hearing_time_only_goes_forward(void **state)
{
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct mu_hearing h;
        struct mu_rng rng;
        mu_time now = 0, before = 0;
        uint64_t drops = 0;

        mu_rng_seed(&rng, seed);
        mu_hearing_init(&h, now);
        for (int i = 0; i < 2000; i++) {
            mu_dur passed = (mu_dur)mu_rng_below(&rng, mu_rng_below(&rng, 20) ? 150 : 5000) * MU_MS;
            mu_time heard;

            now += passed;
            mu_hearing_note(&h, now);
            heard = mu_hearing_at(&h, now);
            if (heard < before || heard - before > passed)
                fail_msg("seed %llu, step %d", (unsigned long long)seed, i);
            before = heard;
            drops += mu_rng_below(&rng, 30) == 0;
            if (mu_rng_below(&rng, 2))
                mu_hearing_drops(&h, now, drops);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_up_to_a_tick_and_the_lag_are_no_stall),
        cmocka_unit_test(first_tick_learns_what_was_before_the_start),
        cmocka_unit_test(trickle_of_drops_is_one_deafness),
        cmocka_unit_test(hearing_time_only_goes_forward),
    };
    return cmocka_run_group_tests_name("hearing", tests, NULL, NULL);
}
