#include "base/entries.h"

#include "base/err.h"
#include "base/rng.h"
#include "lib/faults.h"

struct thing {
    uint64_t id;
    uint32_t twice;
};

#define IDS 300

/* @there says which of 1 to IDS - 1 are in. */
static void agrees(const struct mu_entries *es, const bool *there)
{
    uint32_t n = 0, used = 0;

    for (uint64_t id = 1; id < IDS; id++) {
        const struct thing *thing = mu_entries_find(es, id);

        assert_int_equal(thing != NULL, there[id]);
        if (!thing)
            continue;
        n++;
        assert_int_equal(thing->twice, 2 * id);
        assert_ptr_equal(mu_entries_at(es, mu_entries_place(es, thing)), thing);
    }
    for (uint32_t place = 0; place < es->n; place++)
        used += ((struct thing *)mu_entries_at(es, place))->id != 0;
    assert_int_equal(es->count, n);
    assert_int_equal(used, n);
}

static void entries_are_found_whatever_came_and_went(void **state)
{
    struct mu_entries es;
    bool there[IDS] = {false};
    struct mu_rng rng;

    (void)state;
    mu_rng_seed(&rng, 7);
    mu_entries_init(&es, sizeof(struct thing));
    assert_null(mu_entries_find(&es, 1));
    for (int i = 0; i < 5000; i++) {
        uint64_t id = 1 + mu_rng_below(&rng, IDS - 1);
        struct thing *thing = mu_entries_find(&es, id);

        if (thing) {
            mu_entries_remove(&es, thing);
        } else {
            thing = mu_entries_add(&es, id);
            assert_int_equal(thing->id, id);
            assert_int_equal(thing->twice, 0);
            thing->twice = (uint32_t)(2 * id);
        }
        there[id] = !there[id];
        if (i % 50 == 0)
            agrees(&es, there);
    }
    agrees(&es, there);
    assert_true(es.n < IDS); /* places are used again */
    mu_entries_fini(&es);
}

static void an_entry_keeps_its_place(void **state)
{
    struct mu_entries es;
    uint32_t place;

    (void)state;
    mu_entries_init(&es, sizeof(struct thing));
    for (uint64_t id = 1; id <= 3; id++)
        assert_non_null(mu_entries_add(&es, id));
    place = mu_entries_place(&es, mu_entries_find(&es, 3));
    mu_entries_remove(&es, mu_entries_find(&es, 1));
    for (uint64_t id = 4; id < 1000; id++)
        assert_non_null(mu_entries_add(&es, id));
    assert_int_equal(mu_entries_place(&es, mu_entries_find(&es, 3)), place);
    mu_entries_fini(&es);
}

static void entries_without_memory_are_as_before(void **state)
{
    FOR_EACH_FAULT (n) {
        struct mu_entries es;
        uint64_t id = 1;

        mu_entries_init(&es, sizeof(struct thing));
        while (id < 100 && mu_entries_add(&es, id))
            id++;
        assert_int_equal(es.count, id - 1);
        assert_int_equal(mu_entries_find(&es, id - 1) != NULL, id > 1);
        if (id < 100)
            assert_non_null(mu_entries_add(&es, id));
        assert_int_equal(mu_entries_reserve(&es), 0);
        mu_entries_fini(&es);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_found_whatever_came_and_went),
        cmocka_unit_test(an_entry_keeps_its_place),
        cmocka_unit_test(entries_without_memory_are_as_before),
    };

    return cmocka_run_group_tests_name("entries", tests, NULL, NULL);
}
