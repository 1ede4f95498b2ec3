#include "base/map.h"

#include "base/rng.h"
#include "lib/faults.h"

#define SLOTS 512

/* Keys are kept here; slot i holds keys[i]. @bits narrows the hash, to make collisions. */
struct world {
    struct mu_map map;
    uint64_t keys[SLOTS];
    bool there[SLOTS];
    unsigned bits;
    size_t hashed; /* calls of hash() */
};

static uint64_t hash_of(const struct world *w, uint64_t key)
{
    return (key * 0x9E3779B97F4A7C15) >> (64 - w->bits);
}

static bool eq(const void *ctx, uint32_t value, const void *key)
{
    const struct world *w = ctx;

    assert_in_range(value, 0, SLOTS - 1);
    return w->keys[value] == *(const uint64_t *)key;
}

static uint64_t hash(const void *ctx, uint32_t value)
{
    struct world *w = (struct world *)ctx;

    w->hashed++;
    return hash_of(w, w->keys[value]);
}

static void init(struct world *w, unsigned bits)
{
    *w = (struct world){.bits = bits};
    for (size_t i = 0; i < SLOTS; i++)
        w->keys[i] = 1000 + i * 7;
    mu_map_init(&w->map, eq, hash, w);
}

static uint32_t find(const struct world *w, uint64_t key)
{
    return mu_map_find(&w->map, hash_of(w, key), &key);
}

static void agrees(const struct world *w)
{
    size_t n = 0;

    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_int_equal(find(w, w->keys[i]), w->there[i] ? i : MU_MAP_NONE);
        n += w->there[i];
    }
    assert_int_equal(w->map.len, n);
    assert_true(w->map.len * 4 <= w->map.cap * 3);
}

/* Random puts and deletes against a plain array, with good hashes, and with such that share
 * few homes, so that runs are long and wrap around the end of the table. */
static void map_agrees_with_a_plain_array(void **state)
{
    static const unsigned bits[] = {63, 8, 4, 1};

    for (size_t b = 0; b < MU_ARRAY_LEN(bits); b++) {
        struct world w;
        struct mu_rng rng;
        init(&w, bits[b]);
        mu_rng_seed(&rng, b);
        for (int i = 0; i < 4000; i++) {
            uint32_t slot = (uint32_t)mu_rng_below(&rng, bits[b] < 8 ? 48 : SLOTS);
            uint64_t h = hash(&w, slot);
            if (w.there[slot])
                assert_true(mu_map_del(&w.map, h, slot));
            else
                assert_int_equal(mu_map_put(&w.map, h, slot), 0);
            w.there[slot] = !w.there[slot];
            if (i % 50 == 0)
                agrees(&w);
        }
        agrees(&w);
        mu_map_fini(&w.map);
    }
}

static void map_closes_a_gap_across_its_end(void **state)
{
    struct world w;

    init(&w, 63);
    for (uint32_t i = 0; i < 6; i++) {
        w.keys[i] = i;
        w.there[i] = true;
    }
    for (uint32_t i = 6; i < SLOTS; i++)
        w.keys[i] = 1000 + i;
    w.bits = 1; /* all of these hash to 0 or 1 */
    for (uint32_t i = 0; i < 6; i++)
        assert_int_equal(mu_map_put(&w.map, hash(&w, i), i), 0);
    agrees(&w);
    for (uint32_t i = 0; i < 6; i++) {
        assert_true(mu_map_del(&w.map, hash(&w, i), i));
        w.there[i] = false;
        agrees(&w);
    }
    mu_map_fini(&w.map);
}

/* What a put costs is bounded, since it may be that of an agent who joins with a million others. */
static void map_grows_by_a_few_a_put(void **state)
{
    struct world w;
    size_t grown = 0;

    init(&w, 63);
    for (uint32_t i = 0; i < SLOTS; i++) {
        uint64_t h = hash_of(&w, w.keys[i]);
        size_t cap = w.map.cap;
        w.hashed = 0;
        assert_int_equal(mu_map_put(&w.map, h, i), 0);
        grown += w.map.cap > cap;
        assert_in_range(w.hashed, 0, 16);
        w.there[i] = true;
        agrees(&w);
    }
    assert_true(grown > 5);
    mu_map_fini(&w.map);
}

static void map_that_is_empty_finds_nothing(void **state)
{
    struct world w;

    init(&w, 63);
    assert_int_equal(find(&w, 1), MU_MAP_NONE);
    assert_false(mu_map_del(&w.map, 1, 1));
    mu_map_fini(&w.map);
}

static void map_deletes_the_value_and_not_its_neighbour(void **state)
{
    struct world w;

    init(&w, 1);
    assert_int_equal(mu_map_put(&w.map, hash(&w, 1), 1), 0);
    assert_int_equal(mu_map_put(&w.map, hash(&w, 1), 2), 0);
    assert_false(mu_map_del(&w.map, hash(&w, 1), 3));
    assert_true(mu_map_del(&w.map, hash(&w, 1), 2));
    assert_int_equal(find(&w, w.keys[1]), 1);
    mu_map_fini(&w.map);
}

static void map_reserve_makes_the_next_put_safe(void **state)
{
    struct world w;

    init(&w, 63);
    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_int_equal(mu_map_reserve(&w.map), 0);
        mu_mem_fault_at(1);
        assert_int_equal(mu_map_put(&w.map, hash(&w, i), i), 0);
        assert_false(mu_mem_fault_fired());
        mu_mem_fault_at(0);
        w.there[i] = true;
    }
    agrees(&w);
    mu_map_fini(&w.map);
}

static void map_with_room_for_all_is_not_made_anew(void **state)
{
    for (uint32_t n = 1; n < SLOTS; n++) {
        struct world w;

        init(&w, 63);
        assert_int_equal(mu_map_reserve_all(&w.map, n), 0);
        mu_mem_fault_at(1);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(mu_map_put(&w.map, hash(&w, i), i), 0);
        assert_false(mu_mem_fault_fired());
        mu_mem_fault_at(0);
        mu_map_fini(&w.map);
    }
}

static void map_without_memory_keeps_what_it_has(void **state)
{
    FOR_EACH_FAULT (n) {
        struct world w;
        init(&w, 63);
        for (uint32_t i = 0; i < SLOTS; i++) {
            int rv = mu_map_put(&w.map, hash(&w, i), i);
            FAULT_CHECK(rv);
            w.there[i] = rv == 0;
        }
        agrees(&w);
        mu_map_fini(&w.map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(map_agrees_with_a_plain_array),
        cmocka_unit_test(map_closes_a_gap_across_its_end),
        cmocka_unit_test(map_grows_by_a_few_a_put),
        cmocka_unit_test(map_that_is_empty_finds_nothing),
        cmocka_unit_test(map_deletes_the_value_and_not_its_neighbour),
        cmocka_unit_test(map_reserve_makes_the_next_put_safe),
        cmocka_unit_test(map_with_room_for_all_is_not_made_anew),
        cmocka_unit_test(map_without_memory_keeps_what_it_has),
    };

    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
