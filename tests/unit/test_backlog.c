/* Events that wait: in order, wherever the ring's end is. */
#include "lib/faults.h"
#include "lib/test.h"
#include "outlet/backlog.h"

#define MAX 1000

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

static void backlog_keeps_order_round_its_end(void **state)
{
    static const uint64_t heads[] = {0, 1, MAX / 2, MAX - 1};
    struct mu_backlog backlog;

    mu_backlog_init(&backlog, MAX);
    for (size_t i = 0; i < MU_ARRAY_LEN(heads); i++) {
        fill(&backlog, 1, MAX);
        take(&backlog, 1, heads[i]);
        fill(&backlog, MAX + 1, MAX + heads[i]);
        take(&backlog, heads[i] + 1, MAX + heads[i]);
        assert_null(mu_backlog_first(&backlog));
    }
    mu_backlog_fini(&backlog);
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
    for (uint64_t seq = 1; seq <= 100000; seq++) { /* one by one they use one place */
        fill(&backlog, seq, seq);
        take(&backlog, seq, seq);
    }
    assert_non_null(backlog.at);
    fill(&backlog, 1, 100000);
    take(&backlog, 1, 99999);
    assert_non_null(backlog.at);
    take(&backlog, 100000, 100000);
    assert_null(backlog.at);
    fill(&backlog, 1, 1);
    take(&backlog, 1, 1);
    mu_backlog_fini(&backlog);
}

static void backlog_holds_its_events(void **state)
{
    const uint8_t uuid[16] = {1};
    struct mu_ident *who = mu_ident_new(uuid, "a", "b");
    struct mu_backlog backlog;

    mu_backlog_init(&backlog, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mu_backlog_push(&backlog, &(struct mu_event){.who = who}), 0);
    mu_event_unref(mu_backlog_first(&backlog));
    mu_backlog_pop(&backlog);
    assert_int_equal(mu_backlog_push(&backlog, &(struct mu_event){.who = who}), 0);
    assert_int_equal(who->refs, 4);
    mu_backlog_fini(&backlog);
    assert_int_equal(who->refs, 1);
    mu_ident_unref(who);
}

static void without_memory_backlog_takes_nothing(void **state)
{
    struct mu_backlog backlog;

    mu_backlog_init(&backlog, MAX);
    mu_mem_fault_at(1);
    assert_int_equal(push(&backlog, 1), MU_ENOMEM);
    mu_mem_fault_at(0);
    assert_null(mu_backlog_first(&backlog));
    fill(&backlog, 2, 2);
    take(&backlog, 2, 2);
    mu_backlog_fini(&backlog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backlog_keeps_order_round_its_end),
        cmocka_unit_test(backlog_has_a_bound),
        cmocka_unit_test(backlog_gives_back_what_a_flood_needed),
        cmocka_unit_test(backlog_holds_its_events),
        cmocka_unit_test(without_memory_backlog_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
