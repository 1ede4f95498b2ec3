#include "lib/test.h"

#include "conductor/admit.h"

static void storm_comes_in_at_the_rate_and_once_each(void **state)
{
    enum { N = 20000, RATE = 1000 };
    static mu_time come[N]; /* when each asks again; MU_NEVER = in */
    struct mu_admit a;
    struct mu_rng rng;
    mu_time now = 5 * MU_SEC, start = now;
    size_t in = 0, asked = 0;

    mu_rng_seed(&rng, 3);
    mu_admit_init(&a, RATE, now);
    assert_true(mu_admit_empty(&a, now));
    for (; in < N && now < start + 60 * MU_SEC; now += 10 * MU_MS) {
        for (size_t i = 0; i < N; i++) {
            uint32_t wait;

            if (come[i] > now)
                continue;
            asked++;
            wait = mu_admit_ask(&a, now, 60 * MU_SEC, true, &rng);
            come[i] = wait ? now + wait * MU_MS : MU_NEVER;
            in += wait == 0;
        }
        assert_true(in <= (size_t)((now - start) / MU_MS) + RATE / 4 + 10);
        if (in < N)
            assert_false(mu_admit_empty(&a, now));
    }
    assert_int_equal(in, N);
    assert_true(now - start < 30 * MU_SEC); /* 20 s at the rate, and what jitter leaves unused */
    assert_true(asked < 3 * N);
    assert_false(mu_admit_empty(&a, now));
    assert_true(mu_admit_empty(&a, now + 100 * MU_SEC));
}

static void nobody_waits_longer_than_he_may(void **state)
{
    struct mu_admit a;
    struct mu_rng rng;

    mu_rng_seed(&rng, 3);
    mu_admit_init(&a, 1, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(mu_admit_ask(&a, 0, MU_SEC, true, &rng) <= 1250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(storm_comes_in_at_the_rate_and_once_each),
        cmocka_unit_test(nobody_waits_longer_than_he_may),
    };
    return cmocka_run_group_tests_name("admit", tests, NULL, NULL);
}
