/* The ring of events that wait: in order whatever part of it runs round the end when it grows. */
#include "lib/faults.h"
#include "lib/test.h"
#include "outlet/backlog.h"

#define FIRST 1024 /* what it begins with */

static int push(struct mu_backlog *backlog, uint64_t seq)
{
    return mu_backlog_push(backlog, &(struct mu_event){.seq = seq});
}

static void fill(struct mu_backlog *backlog, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++)
        assert_int_equal(push(backlog, seq), 0);
}

static void take(struct mu_backlog *backlog, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++) {
        assert_int_equal(mu_backlog_first(backlog)->seq, seq);
        mu_backlog_pop(backlog);
    }
}

static void backlog_keeps_order_when_it_grows(void **state)
{
    static const uint64_t heads[] = {0, 1, FIRST / 2, FIRST / 2 + 1, FIRST - 1};

    for (size_t i = 0; i < MU_ARRAY_LEN(heads); i++) {
        struct mu_backlog backlog;
        mu_backlog_init(&backlog, 10 * FIRST);
        fill(&backlog, 1, FIRST);
        take(&backlog, 1, heads[i]);
        fill(&backlog, FIRST + 1, 5 * FIRST);
        take(&backlog, heads[i] + 1, 5 * FIRST);
        assert_null(mu_backlog_first(&backlog));
        mu_backlog_fini(&backlog);
    }
}

static void backlog_has_a_bound(void **state)
{
    struct mu_backlog backlog;

    mu_backlog_init(&backlog, 3);
    fill(&backlog, 1, 3);
    assert_int_equal(push(&backlog, 4), MU_EFULL);
    take(&backlog, 1, 1);
    fill(&backlog, 5, 5);
    take(&backlog, 2, 3);
    take(&backlog, 5, 5);
    mu_backlog_fini(&backlog);
}

static void backlog_gives_back_what_a_flood_needed(void **state)
{
    struct mu_backlog backlog;

    mu_backlog_init(&backlog, 1000000);
    fill(&backlog, 1, 100000);
    take(&backlog, 1, 99999);
    assert_true(backlog.cap > 100000);
    take(&backlog, 100000, 100000);
    assert_int_equal(backlog.cap, 0);
    fill(&backlog, 1, 1);
    take(&backlog, 1, 1);
    mu_backlog_fini(&backlog);
}

static void without_memory_backlog_keeps_what_it_has(void **state)
{
    struct mu_backlog backlog;

    mu_backlog_init(&backlog, 10 * FIRST);
    fill(&backlog, 1, FIRST);
    take(&backlog, 1, 10);
    fill(&backlog, FIRST + 1, FIRST + 10);
    mu_mem_fault_at(1);
    assert_int_equal(push(&backlog, FIRST + 11), MU_ENOMEM);
    mu_mem_fault_at(0);
    fill(&backlog, FIRST + 11, FIRST + 11);
    take(&backlog, 11, FIRST + 11);
    mu_backlog_fini(&backlog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backlog_keeps_order_when_it_grows),
        cmocka_unit_test(backlog_has_a_bound),
        cmocka_unit_test(backlog_gives_back_what_a_flood_needed),
        cmocka_unit_test(without_memory_backlog_keeps_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
