#include "base/slab.h"

#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "lib/faults.h"

struct held {
    unsigned char *at;
    size_t size;
    unsigned char mark;
};

static void blocks_keep_what_is_in_them(void **state)
{
    enum { N = 2000 };
    static struct held held[N];
    struct mu_slab slab = {.chunks = NULL};
    struct mu_rng rng;

    mu_rng_seed(&rng, 5);
    for (int i = 0; i < 40 * N; i++) {
        struct held *h = &held[mu_rng_below(&rng, N)];

        if (h->at) {
            for (size_t k = 0; k < h->size; k++)
                assert_int_equal(h->at[k], h->mark);
            mu_slab_free(&slab, h->at, h->size);
            h->at = NULL;
            continue;
        }
        h->size = 1 + mu_rng_below(&rng, MU_SLAB_MAX + 40);
        h->mark = (unsigned char)i;
        h->at = mu_slab_alloc(&slab, h->size);
        assert_non_null(h->at);
        assert_int_equal((uintptr_t)h->at % 8, 0);
        memset(h->at, h->mark, h->size);
    }
    for (int i = 0; i < N; i++)
        if (held[i].at)
            mu_slab_free(&slab, held[i].at, held[i].size);
    mu_slab_fini(&slab);
}

static void a_freed_block_serves_the_next_of_its_size(void **state)
{
    struct mu_slab slab = {.chunks = NULL};
    void *a = mu_slab_alloc(&slab, 33), *b;

    mu_slab_free(&slab, a, 33);
    b = mu_slab_alloc(&slab, 24);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(mu_slab_alloc(&slab, 40), a); /* both take 40 bytes */
    mu_slab_fini(&slab);
}

static void without_memory_there_is_no_block(void **state)
{
    FOR_EACH_FAULT (n) {
        struct mu_slab slab = {.chunks = NULL};
        bool none = false;

        for (int i = 0; i < 5000; i++)
            none |= mu_slab_alloc(&slab, 40) == NULL;
        assert_int_equal(none, mu_mem_fault_fired());
        mu_slab_fini(&slab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_keep_what_is_in_them),
        cmocka_unit_test(a_freed_block_serves_the_next_of_its_size),
        cmocka_unit_test(without_memory_there_is_no_block),
    };
    return cmocka_run_group_tests_name("slab", tests, NULL, NULL);
}
