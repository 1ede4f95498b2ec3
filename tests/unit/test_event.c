/* Events as values and in words, and the bus that walks them past the sinks. */
#include "lib/faults.h"

#include <string.h>

#include "event/bus.h"

static void words_tell_all_that_applies_and_nothing_else(void **state)
{
    static const uint8_t uuid[16] = {0xf8, 0x1d};
    struct mu_ident *who = mu_ident_new(uuid, "nova-compute", "cmp-017");
    struct mu_event e = {.seq = 7,
                         .at = 1700000000000,
                         .who = who,
                         .kind = MU_KIND_STATE,
                         .reason = MU_WHY_SILENCE,
                         .from = MU_SUSPECT,
                         .to = MU_DOWN,
                         .evidence = mu_no_evidence};
    struct mu_event_scratch scratch;
    struct mu_event_row row;

    e.evidence.silence_ms = 60043;
    e.evidence.threshold_ms = 60000;
    e.evidence.stall_ms = 0;
    mu_event_words(&e, &scratch, &row);
    assert_string_equal(row.agent, "nova-compute@cmp-017");
    assert_string_equal(row.uuid, "f81d0000-0000-0000-0000-000000000000");
    assert_string_equal(row.kind, "state");
    assert_string_equal(row.from, "suspect");
    assert_string_equal(row.to, "down");
    assert_string_equal(row.reason, "silence");
    assert_string_equal(row.detail, "{\"silence_ms\":60043,\"threshold_ms\":60000,\"stall_ms\":0}");
    e.text = mu_text_new("disk \"a\" broken");
    e.kind = MU_KIND_STATUS;
    e.from = MU_WORD_ENABLED;
    e.to = MU_WORD_DISABLED;
    e.evidence = mu_no_evidence;
    mu_event_words(&e, &scratch, &row);
    assert_string_equal(row.from, "enabled");
    assert_string_equal(row.to, "disabled");
    assert_string_equal(row.reason, "disk \"a\" broken");
    assert_string_equal(row.detail, "{}");
    mu_event_unref(&e);
    e = (struct mu_event){.kind = MU_KIND_CONDUCTOR,
                          .reason = MU_WHY_EVENTS_LOST,
                          .from = MU_WORD_NONE,
                          .to = MU_WORD_NONE,
                          .evidence = mu_no_evidence};
    e.evidence.first = UINT64_C(1) << 60;
    e.evidence.last = (UINT64_C(1) << 60) + 9;
    mu_event_words(&e, &scratch, &row);
    assert_string_equal(row.agent, "");
    assert_string_equal(row.from, "");
    assert_string_equal(row.detail, "{\"first\":1152921504606846976,\"last\":1152921504606846985}");
}

/* Every number at its longest fits. */
static void detail_has_room_for_everything(void **state)
{
    struct mu_event e = {.kind = MU_KIND_CONDUCTOR, .from = MU_WORD_NONE, .to = MU_WORD_NONE};
    struct mu_event_scratch scratch;
    struct mu_event_row row;

    e.evidence = (struct mu_evidence){.silence_ms = INT64_MIN,
                                      .threshold_ms = INT64_MIN,
                                      .stall_ms = INT64_MIN,
                                      .count = INT64_MIN,
                                      .first = INT64_MAX,
                                      .last = INT64_MAX,
                                      .exit_status = INT32_MIN,
                                      .signal = INT32_MIN};
    mu_event_words(&e, &scratch, &row);
    assert_non_null(strstr(row.detail, "\"signal\":-2147483648}"));
}

struct log {
    uint64_t seqs[16];
    char who[17];
    size_t n;
};

static void sink_a(void *ctx, const struct mu_event *event)
{
    struct log *log = ctx;

    log->who[log->n] = 'a';
    log->seqs[log->n++] = event->seq;
}

static void sink_b(void *ctx, const struct mu_event *event)
{
    struct log *log = ctx;

    log->who[log->n] = 'b';
    log->seqs[log->n++] = event->seq;
}

static uint64_t publish(struct mu_bus *bus, uint64_t seq)
{
    struct mu_event e = {.seq = seq, .kind = MU_KIND_CONDUCTOR};

    mu_bus_publish(bus, &e);
    return e.seq;
}

static void sinks_hear_in_the_order_they_were_attached(void **state)
{
    struct log log = {.n = 0};
    struct mu_bus *bus;

    assert_int_equal(mu_bus_new(&bus), 0);
    assert_int_equal(mu_bus_attach(bus, sink_a, &log), 0);
    assert_int_equal(mu_bus_attach(bus, sink_b, &log), 0);
    mu_bus_grant(bus, 10, 12);
    assert_int_equal(publish(bus, 0), 10);
    assert_int_equal(publish(bus, 0), 11);
    assert_int_equal(publish(bus, 0), 0); /* none left: told all the same */
    assert_string_equal(log.who, "ababab");
    assert_int_equal(log.seqs[5], 0);
    mu_bus_grant(bus, 99, 14);
    assert_int_equal(publish(bus, 0), 12); /* later grants only raise the end */
    assert_int_equal(mu_bus_left(bus), 1);
    assert_int_equal(mu_bus_last(bus), 12);
    mu_bus_free(bus);
}

static void reserved_numbers_hold_the_floor(void **state)
{
    struct mu_bus *bus;
    uint64_t a, b, c;

    assert_int_equal(mu_bus_new(&bus), 0);
    assert_int_equal(mu_bus_reserve(bus), 0);
    mu_bus_grant(bus, 1, 1000);
    assert_true(mu_bus_floor(bus) == UINT64_MAX);
    a = mu_bus_reserve(bus);
    assert_int_equal(publish(bus, 0), 2);
    b = mu_bus_reserve(bus);
    c = mu_bus_reserve(bus);
    assert_int_equal(mu_bus_floor(bus), a);
    mu_bus_release(bus, b); /* out of order */
    assert_int_equal(mu_bus_floor(bus), a);
    assert_int_equal(publish(bus, a), a);
    assert_int_equal(mu_bus_floor(bus), c);
    assert_int_equal(publish(bus, c), c);
    assert_true(mu_bus_floor(bus) == UINT64_MAX);
    for (int i = 0; i < 200; i++) { /* many at a time, freed in order, use no more room */
        uint64_t first = mu_bus_reserve(bus), second = mu_bus_reserve(bus);

        assert_int_equal(mu_bus_floor(bus), first);
        mu_bus_release(bus, first);
        assert_int_equal(mu_bus_floor(bus), second);
        mu_bus_release(bus, second);
    }
    mu_bus_free(bus);
}

static void events_survive_each_failing_allocation(void **state)
{
    FOR_EACH_FAULT (n) {
        static const uint8_t uuid[16];
        struct mu_bus *bus = NULL;
        struct mu_ident *ident = mu_ident_new(uuid, "b", "h");
        struct mu_text *text = mu_text_new("t");
        int rv = mu_bus_new(&bus);

        FAULT_CHECK(rv);
        if (rv == 0) {
            mu_bus_grant(bus, 1, 1000);
            for (uint64_t i = 1; i <= 40; i++)
                if (mu_bus_reserve(bus) == 0)
                    assert_true(mu_mem_fault_fired());
        }
        mu_bus_free(bus);
        mu_ident_unref(ident);
        mu_text_unref(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_tell_all_that_applies_and_nothing_else),
        cmocka_unit_test(detail_has_room_for_everything),
        cmocka_unit_test(sinks_hear_in_the_order_they_were_attached),
        cmocka_unit_test(reserved_numbers_hold_the_floor),
        cmocka_unit_test(events_survive_each_failing_allocation),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
