#include "base/mem.h"

#include <string.h>

#include "lib/faults.h"

static void mem_is_zeroed(void **state)
{
    char *a = mu_alloc(100), *b = mu_calloc(10, 10);
    static const char zeros[100];

    assert_memory_equal(a, zeros, 100);
    assert_memory_equal(b, zeros, 100);
    mu_free(a);
    mu_free(b);
}

static void mem_of_no_bytes_is_not_null(void **state)
{
    void *a = mu_alloc(0), *b = mu_calloc(0, 8), *c = mu_realloc(NULL, 0, 8);

    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    mu_free(a);
    mu_free(b);
    mu_free(c);
    mu_free(NULL);
}

static void mem_overflow_is_out_of_memory(void **state)
{
    char *old = mu_strdup("kept");
    volatile size_t huge = SIZE_MAX / 2 + 2; /* twice this is 2 */

    assert_null(mu_calloc(huge, 2));
    assert_null(mu_realloc(old, huge, 2));
    assert_string_equal(old, "kept");
    mu_free(old);
}

static void realloc_keeps_what_was_there(void **state)
{
    int *a = mu_calloc(4, sizeof(*a));

    a[3] = 42;
    a = mu_realloc(a, 4000, sizeof(*a));
    assert_int_equal(a[3], 42);
    mu_free(a);
}

static void strndup_stops_at_the_length_or_the_end(void **state)
{
    char *a = mu_strndup("abcdef", 3), *b = mu_strndup("ab", 10), *c = mu_strdup("");

    assert_string_equal(a, "abc");
    assert_string_equal(b, "ab");
    assert_string_equal(c, "");
    mu_free(a);
    mu_free(b);
    mu_free(c);
}

static void fault_hits_the_nth_allocation_once(void **state)
{
    void *p[4];

    mu_mem_fault_at(3);
    p[0] = mu_alloc(1);
    p[1] = mu_strdup("x");
    assert_false(mu_mem_fault_fired());
    p[2] = mu_realloc(NULL, 1, 1);
    p[3] = mu_calloc(1, 1);
    assert_true(mu_mem_fault_fired());
    assert_non_null(p[0]);
    assert_non_null(p[1]);
    assert_null(p[2]);
    assert_non_null(p[3]);
    mu_mem_fault_at(0);
    assert_false(mu_mem_fault_fired());
    for (int i = 0; i < 4; i++)
        mu_free(p[i]);
}

static void for_each_fault_ends_with_a_round_without_fault(void **state)
{
    unsigned rounds = 0, whole = 0;

    FOR_EACH_FAULT (n) {
        void *a = mu_alloc(1), *b = a ? mu_alloc(1) : NULL;
        rounds++;
        whole += a && b;
        mu_free(a);
        mu_free(b);
    }
    assert_int_equal(rounds, 3);
    assert_int_equal(whole, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mem_is_zeroed),
        cmocka_unit_test(mem_of_no_bytes_is_not_null),
        cmocka_unit_test(mem_overflow_is_out_of_memory),
        cmocka_unit_test(realloc_keeps_what_was_there),
        cmocka_unit_test(strndup_stops_at_the_length_or_the_end),
        cmocka_unit_test(fault_hits_the_nth_allocation_once),
        cmocka_unit_test(for_each_fault_ends_with_a_round_without_fault),
    };

    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
