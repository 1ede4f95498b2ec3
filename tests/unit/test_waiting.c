/* What the journal keeps while it waits: backlog, slotset, payloads. */
#include "fleet/roster.h"
#include "lib/faults.h"
#include "lib/rows.h"
#include "outlet/backlog.h"
#include "outlet/payloads.h"
#include "outlet/slotset.h"

/* ---- backlog ---- */

static void push(struct mu_backlog *backlog, uint64_t seq, struct mu_ident *who)
{
    struct mu_event event = an_event(seq, who);

    assert_int_equal(mu_backlog_push(backlog, &event), 0);
}

static void a_backlog_keeps_the_order_round_its_end(void **state)
{
    struct mu_ident *ident = an_ident(1);
    struct mu_backlog backlog;
    uint64_t next = 1, first = 1;

    mu_backlog_init(&backlog, 2500);
    for (int round = 0; round < 4; round++) { /* two in, one out: it is full in the end */
        for (int i = 0; i < 1000; i++)
            push(&backlog, next++, ident);
        for (int i = 0; i < 500; i++, first++) {
            struct mu_event event = *mu_backlog_first(&backlog);
            assert_int_equal(event.seq, first);
            mu_backlog_pop(&backlog);
            mu_event_unref(&event);
        }
    }
    assert_int_equal(backlog.n, 2000);
    assert_int_equal(ident->refs, 2001);
    mu_backlog_fini(&backlog);
    assert_int_equal(ident->refs, 1);
    mu_ident_unref(ident);
}

static void a_backlog_has_a_bound(void **state)
{
    struct mu_event event = an_event(1, NULL);
    struct mu_backlog backlog;

    mu_backlog_init(&backlog, 3);
    for (uint64_t seq = 1; seq <= 3; seq++)
        push(&backlog, seq, NULL);
    assert_int_equal(mu_backlog_push(&backlog, &event), MU_EFULL);
    mu_backlog_pop(&backlog);
    push(&backlog, 4, NULL);
    assert_int_equal(mu_backlog_first(&backlog)->seq, 2);
    mu_backlog_fini(&backlog);
    assert_null(mu_backlog_first(&backlog));
}

static void a_flood_is_forgotten_when_it_has_passed(void **state)
{
    struct mu_backlog backlog;

    mu_backlog_init(&backlog, 100000);
    for (uint64_t seq = 1; seq <= 100000; seq++) { /* one by one they all have one place */
        push(&backlog, seq, NULL);
        mu_backlog_pop(&backlog);
    }
    assert_non_null(backlog.at);
    for (uint64_t seq = 1; seq <= 100000; seq++)
        push(&backlog, seq, NULL);
    while (backlog.n)
        mu_backlog_pop(&backlog);
    assert_null(backlog.at);
    push(&backlog, 1, NULL);
    mu_backlog_fini(&backlog);
}

static void without_memory_a_backlog_takes_nothing(void **state)
{
    struct mu_event event = an_event(1, NULL);
    struct mu_backlog backlog;

    mu_backlog_init(&backlog, 10);
    mu_mem_fault_at(1);
    assert_int_equal(mu_backlog_push(&backlog, &event), MU_ENOMEM);
    mu_mem_fault_at(0);
    assert_null(mu_backlog_first(&backlog));
    push(&backlog, 2, NULL);
    assert_int_equal(mu_backlog_first(&backlog)->seq, 2);
    mu_backlog_fini(&backlog);
}

/* ---- slotset ---- */

static void a_slot_is_in_once_and_out_once(void **state)
{
    struct mu_slotset set = {0};
    uint32_t slot;

    assert_false(mu_slotset_take_any(&set, &slot));
    assert_false(mu_slotset_take(&set, 5));
    mu_slotset_put(&set, 5);
    mu_slotset_put(&set, 5);
    mu_slotset_put(&set, 999999);
    assert_int_equal(set.n, 2);
    assert_true(mu_slotset_has(&set, 5));
    assert_false(mu_slotset_has(&set, 6));
    assert_true(mu_slotset_take(&set, 5));
    assert_false(mu_slotset_take(&set, 5));
    assert_true(mu_slotset_take_any(&set, &slot));
    assert_int_equal(slot, 999999);
    assert_int_equal(set.n, 0);
    mu_slotset_fini(&set);
}

static void every_slot_has_its_turn(void **state)
{
    struct mu_slotset set = {0};
    uint32_t slot, seen = 0;

    mu_slotset_put(&set, 700);
    assert_true(mu_slotset_take_any(&set, &slot));
    mu_slotset_put(&set, 3); /* behind where the walk is */
    mu_slotset_put(&set, 900);
    while (mu_slotset_take_any(&set, &slot)) {
        mu_slotset_put(&set, slot); /* comes back at once, as a row without memory does */
        seen |= slot == 3 ? 1 : 2;
        if (seen == 3)
            break;
        mu_slotset_take(&set, slot);
    }
    assert_int_equal(seen, 3);
    mu_slotset_fini(&set);
}

static void without_memory_all_slots_are_meant(void **state)
{
    struct mu_slotset set = {0};

    mu_mem_fault_at(1);
    mu_slotset_put(&set, 7);
    assert_true(set.all);
    assert_true(mu_slotset_has(&set, 9));
    mu_mem_fault_at(1);
    mu_slotset_settle(&set, 10);
    assert_true(set.all);
    mu_mem_fault_at(0);
    mu_slotset_settle(&set, 10);
    assert_false(set.all);
    assert_int_equal(set.n, 10);
    mu_slotset_fini(&set);
}

/* ---- payloads ---- */

static int put(struct mu_payloads *payloads, uint32_t row, const char *json)
{
    const struct mu_reported from = {.row = row, .id = (uint32_t)strlen(json)};

    return mu_payloads_put(payloads, &from, json, strlen(json));
}

static void payloads_leave_in_their_order_latest_first_place(void **state)
{
    struct mu_payloads payloads;
    struct mu_payload got;
    struct mu_reported from;
    static const uint32_t order[] = {1, 2, 3};

    mu_payloads_init(&payloads, 1000);
    assert_int_equal(put(&payloads, 1, "old"), 0);
    assert_int_equal(put(&payloads, 2, "two"), 0);
    assert_int_equal(put(&payloads, 1, "newest"), 0); /* keeps its place */
    assert_int_equal(put(&payloads, 3, ""), 0);
    assert_int_equal(payloads.bytes, 9 + 3 * MU_PAYLOAD_COST);
    for (size_t i = 0; i < 3; i++) {
        assert_true(mu_payloads_take(&payloads, &got, &from));
        assert_int_equal(got.row, order[i]);
        assert_int_equal(from.row, order[i]);
        assert_int_equal(from.id, got.len); /* who reported the latest */
        if (i == 0)
            assert_string_equal(got.json, "newest");
        mu_payloads_give_back(&payloads, &got);
    }
    assert_false(mu_payloads_take(&payloads, &got, &from));
    assert_int_equal(payloads.bytes, 0);
    mu_payloads_fini(&payloads);
}

static void one_payload_leaves_out_of_turn(void **state)
{
    static const uint32_t first[] = {2, 3, 1, 0}; /* from within, the last, the first; 0 = none */

    for (size_t i = 0; i < MU_ARRAY_LEN(first); i++) {
        struct mu_payloads payloads;
        struct mu_payload got;
        struct mu_reported from;
        uint32_t left = 0;

        mu_payloads_init(&payloads, 1000);
        for (uint32_t row = 1; row <= 3; row++)
            assert_int_equal(put(&payloads, row, "{}"), 0);
        assert_int_equal(mu_payloads_take_of(&payloads, first[i], &got, &from), first[i] != 0);
        if (first[i])
            mu_payloads_give_back(&payloads, &got);
        assert_int_equal(mu_payloads_len(&payloads, first[i]), 0);
        assert_int_equal(put(&payloads, 4, "4"), 0);
        assert_int_equal(mu_payloads_len(&payloads, 4), 1);
        for (uint32_t row = 1; row <= 4; row++) {
            if (row == first[i])
                continue;
            assert_true(mu_payloads_take(&payloads, &got, &from));
            assert_int_equal(got.row, row);
            mu_payloads_give_back(&payloads, &got);
            left++;
        }
        assert_int_equal(left, first[i] ? 3 : 4);
        assert_true(mu_payloads_empty(&payloads));
        mu_payloads_fini(&payloads);
    }
}

static void payloads_under_way_count(void **state)
{
    struct mu_payloads payloads;
    struct mu_payload got, copy;
    struct mu_reported from;

    mu_payloads_init(&payloads, 4 + MU_PAYLOAD_COST);
    assert_int_equal(put(&payloads, 1, "five!"), MU_EFULL);
    assert_int_equal(put(&payloads, 1, "1234"), 0);
    assert_int_equal(put(&payloads, 2, "1"), MU_EFULL);
    assert_int_equal(put(&payloads, 1, "4321"), 0);
    assert_true(mu_payloads_take(&payloads, &got, &from));
    assert_int_equal(put(&payloads, 1, "1"), MU_EFULL);
    assert_int_equal(mu_payloads_copy(&payloads, 2, "1", 1, &copy), MU_EFULL);
    mu_payloads_give_back(&payloads, &got);
    assert_int_equal(mu_payloads_copy(&payloads, 2, "1", 1, &copy), 0);
    assert_int_equal(put(&payloads, 1, "1"), MU_EFULL);
    mu_payloads_give_back(&payloads, &copy);
    assert_int_equal(put(&payloads, 1, "1"), 0);
    mu_payloads_fini(&payloads);
}

static void many_payloads_find_their_agents(void **state)
{
    struct mu_payloads payloads;
    struct mu_payload got;
    struct mu_reported from;

    mu_payloads_init(&payloads, SIZE_MAX);
    for (int round = 0; round < 2; round++)
        for (uint32_t row = 1; row <= 1000; row++)
            assert_int_equal(put(&payloads, row, round ? "yes" : "no"), 0);
    for (uint32_t row = 1; row <= 1000; row++) {
        assert_true(mu_payloads_take(&payloads, &got, &from));
        assert_int_equal(got.row, row);
        assert_string_equal(got.json, "yes");
        mu_payloads_give_back(&payloads, &got);
    }
    assert_true(mu_payloads_empty(&payloads));
    mu_payloads_fini(&payloads);
}

static void without_memory_a_payload_changes_nothing(void **state)
{
    struct mu_payloads payloads;
    struct mu_payload got;
    struct mu_reported from;

    mu_payloads_init(&payloads, 1000);
    FOR_EACH_FAULT (n) {
        int rv = put(&payloads, 1, "x");
        FAULT_CHECK(rv);
        assert_int_equal(payloads.bytes, rv ? 0 : 1 + MU_PAYLOAD_COST);
    }
    mu_mem_fault_at(0);
    assert_true(mu_payloads_take(&payloads, &got, &from));
    assert_false(mu_payloads_take(&payloads, &(struct mu_payload){0}, &from));
    mu_payloads_give_back(&payloads, &got);
    mu_payloads_fini(&payloads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backlog_keeps_the_order_round_its_end),
        cmocka_unit_test(a_backlog_has_a_bound),
        cmocka_unit_test(a_flood_is_forgotten_when_it_has_passed),
        cmocka_unit_test(without_memory_a_backlog_takes_nothing),
        cmocka_unit_test(a_slot_is_in_once_and_out_once),
        cmocka_unit_test(every_slot_has_its_turn),
        cmocka_unit_test(without_memory_all_slots_are_meant),
        cmocka_unit_test(payloads_leave_in_their_order_latest_first_place),
        cmocka_unit_test(one_payload_leaves_out_of_turn),
        cmocka_unit_test(payloads_under_way_count),
        cmocka_unit_test(many_payloads_find_their_agents),
        cmocka_unit_test(without_memory_a_payload_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
