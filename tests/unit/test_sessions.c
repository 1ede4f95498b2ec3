#include "conductor/sessions.h"

#include "base/err.h"
#include "base/rng.h"
#include "lib/faults.h"

#define EPOCH 9

static void no_number_is_given_twice(void **state)
{
    enum { N = 3000 };
    static uint64_t given[N];
    struct mu_sessions ss;
    size_t live = 0;
    struct mu_rng rng;

    mu_rng_seed(&rng, 3);
    mu_sessions_init(&ss, EPOCH, 0);
    for (size_t i = 0; i < N; i++) {
        struct mu_sender *s = mu_sessions_add(&ss);

        given[i] = mu_sender_id(&ss, s);
        assert_int_equal(given[i] >> 32, EPOCH);
        for (size_t k = 0; k < i; k++)
            assert_true(given[k] != given[i]);
        assert_ptr_equal(mu_sessions_find(&ss, given[i]), s);
        live++;
        if (mu_rng_below(&rng, 3) > 0) { /* its place serves others */
            mu_sessions_release(&ss, s);
            assert_null(mu_sessions_find(&ss, given[i]));
            live--;
        }
    }
    assert_int_equal(ss.count, live);
    assert_true(ss.n < N);
    mu_sessions_fini(&ss);
}

/* A place has 256 numbers in an epoch, then it rests. */
static void a_place_that_is_used_up_rests(void **state)
{
    struct mu_sessions ss;

    mu_sessions_init(&ss, EPOCH, 0);
    for (int i = 0; i < 256; i++) {
        struct mu_sender *s = mu_sessions_add(&ss);

        assert_int_equal(mu_sender_id(&ss, s), (uint64_t)EPOCH << 32 | (uint32_t)i << 24);
        mu_sessions_release(&ss, s);
    }
    assert_int_equal(mu_sender_id(&ss, mu_sessions_add(&ss)), (uint64_t)EPOCH << 32 | 1);
    mu_sessions_fini(&ss);
}

static void stored_sessions_keep_their_numbers(void **state)
{
    static const uint64_t stored[] = {UINT64_C(7) << 32 | 3, UINT64_C(8) << 32 | 1 << 24 | 5};
    struct mu_sessions ss;
    struct mu_sender *s;

    mu_sessions_init(&ss, EPOCH, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(mu_sessions_restore(&ss, stored[i], &s), 0);
        assert_int_equal(mu_sender_set(&ss, s, 0, (uint32_t)i), 0);
    }
    /* its place has a later one: it was over already */
    assert_int_equal(mu_sessions_restore(&ss, UINT64_C(7) << 32 | 5, &s), 0);
    assert_null(s);
    assert_int_equal(mu_sessions_restore(&ss, UINT64_C(8) << 32 | 3, &s), 0);
    assert_non_null(s);
    assert_null(mu_sessions_find(&ss, stored[0]));
    assert_non_null(mu_sessions_find(&ss, stored[1]));
    mu_sessions_restored(&ss);
    assert_int_equal(ss.count, 2);
    for (int i = 0; i < 10; i++)
        assert_int_equal(mu_sessions_add(&ss)->epoch, EPOCH);
    assert_int_equal(ss.count, 12);
    assert_int_equal(ss.n, 12); /* the holes came first */
    mu_sessions_fini(&ss);
}

static void indexes_mean_what_they_were_set_to(void **state)
{
    struct mu_sessions ss;
    struct mu_sender *s;
    uint32_t index;

    mu_sessions_init(&ss, EPOCH, 0);
    s = mu_sessions_add(&ss);
    assert_int_equal(mu_sender_n(&ss, s), 0);
    assert_int_equal(mu_sender_get(&ss, s, 0), MU_INDEX_NOBODY);
    assert_int_equal(mu_sender_bind(&ss, s, 70, &index), 0);
    assert_int_equal(index, 0);
    assert_false(s->crewed);
    assert_int_equal(mu_sender_get(&ss, s, 0), 70);
    assert_int_equal(mu_sender_set(&ss, s, 0, 70 | MU_INDEX_RENEW), 0);
    assert_false(s->crewed);
    assert_int_equal(mu_sender_bind(&ss, s, 80, &index), 0);
    assert_int_equal(index, 1);
    assert_int_equal(mu_sender_get(&ss, s, 0), 70 | MU_INDEX_RENEW);
    assert_int_equal(mu_sender_get(&ss, s, 1), 80);
    assert_int_equal(mu_sender_get(&ss, s, 2), MU_INDEX_NOBODY);
    mu_sender_unbind(&ss, s, 1);
    assert_int_equal(mu_sender_n(&ss, s), 1);
    assert_int_equal(mu_sender_set(&ss, s, MU_SENDER_MAX, 1), MU_EFULL);
    mu_sessions_fini(&ss);
}

/* One who was taken over is told so for ten minutes, and then forgotten. */
static void who_was_taken_over_is_remembered(void **state)
{
    struct mu_sessions ss;
    struct mu_sender *s;
    uint32_t index;
    uint64_t id;

    mu_sessions_init(&ss, EPOCH, 0);
    s = mu_sessions_add(&ss);
    id = mu_sender_id(&ss, s);
    assert_int_equal(mu_sender_bind(&ss, s, 5, &index), 0);
    assert_int_equal(mu_sender_set(&ss, s, 0, MU_INDEX_TAKEN), 0);
    mu_sessions_release(&ss, s);
    assert_int_equal(mu_sender_get(&ss, mu_sessions_find(&ss, id), 0), MU_INDEX_TAKEN);
    mu_sessions_sweep(&ss, 5 * 60 * MU_SEC, 100);
    assert_non_null(mu_sessions_find(&ss, id));
    mu_sender_touch(&ss, s); /* he still beats */
    mu_sessions_sweep(&ss, 14 * 60 * MU_SEC, 100);
    assert_non_null(mu_sessions_find(&ss, id));
    mu_sessions_sweep(&ss, 16 * 60 * MU_SEC, 100);
    assert_null(mu_sessions_find(&ss, id));
    mu_sessions_fini(&ss);
}

static void sessions_survive_each_failing_allocation(void **state)
{
    FOR_EACH_FAULT (n) {
        struct mu_sessions ss;

        mu_sessions_init(&ss, EPOCH, 0);
        for (uint32_t i = 0; i < 100; i++) {
            struct mu_sender *s = mu_sessions_add(&ss);
            uint32_t index = 0;

            if (!s || mu_sender_bind(&ss, s, i, &index) != 0)
                continue;
            if (mu_sender_bind(&ss, s, i + 1000, &index) == 0)
                assert_int_equal(mu_sender_get(&ss, s, 1), i + 1000);
            assert_int_equal(mu_sender_get(&ss, s, 0), i);
            /* that it is over is never lost */
            assert_int_equal(mu_sender_set(&ss, s, 0, MU_INDEX_TAKEN), 0);
            assert_false(MU_INDEX_IS_SLOT(mu_sender_get(&ss, s, 0)) &&
                         mu_sender_get(&ss, s, 0) == i);
        }
        mu_sessions_fini(&ss);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_number_is_given_twice),
        cmocka_unit_test(a_place_that_is_used_up_rests),
        cmocka_unit_test(stored_sessions_keep_their_numbers),
        cmocka_unit_test(indexes_mean_what_they_were_set_to),
        cmocka_unit_test(who_was_taken_over_is_remembered),
        cmocka_unit_test(sessions_survive_each_failing_allocation),
    };
    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
