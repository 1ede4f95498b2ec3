/* Beats: who counts, who is answered, and what is dropped. */
#include "lib/rig.h"

#include "base/mem.h"
#include "base/stat.h"

static void every_beat_counts_once(void **state)
{
    struct rig r;
    struct rig_sender s;
    uint8_t data[MU_DATAGRAM_MAX];
    struct mu_ack ack;
    struct mu_beat beat;
    size_t n;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_run(&r, MU_SEC);
    beat = rig_make_beat(&s, 0);
    beat.n = 3;
    beat.indexes[1] = beat.indexes[2] = 0; /* and an index given thrice is one beat */
    n = mu_seal_beat(s.key, &beat, data);
    assert_int_equal(rig_datagram(&r, &s, data, n, 1, &ack), MU_ACK_OK);
    assert_int_equal(ack.lease_ms, 3000);
    assert_int_equal(ack.seq, beat.seq);
    assert_int_equal(rig_datagram(&r, &s, data, n, 1, &ack), -1);
    assert_int_equal(rig_view(&r, "h").row.report_count, 2); /* and the join */
    rig_free(&r);
}

/* Design rule 4. What a beat logs would be an event, what it stores a change: there is none. */
static void beat_costs_no_allocation_and_no_event(void **state)
{
    struct rig r;
    struct rig_sender s;
    size_t events;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_run(&r, MU_SEC);
    events = r.nevents;
    mu_mem_fault_at(1);
    for (int i = 0; i < 50; i++) {
        r.now += 100 * MU_MS;
        assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_OK);
    }
    assert_false(mu_mem_fault_fired());
    mu_mem_fault_at(0);
    assert_int_equal(r.nevents, events);
    rig_free(&r);
}

static void stream_and_datagrams_share_the_numbers(void **state)
{
    struct rig r;
    struct rig_sender s;
    uint8_t data[MU_DATAGRAM_MAX];
    struct mu_ack ack;
    struct mu_beat beat;
    struct mu_msg msg = {.type = MU_MSG_BEAT};

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    beat = rig_make_beat(&s, 0);
    msg.sealed.n = mu_seal_beat(s.key, &beat, data);
    msg.sealed.p = (const char *)data;
    assert_int_equal(rig_frame(&r, &s, &msg), 0);
    assert_int_equal(r.msg.type, MU_MSG_ACK);
    assert_int_equal(rig_datagram(&r, &s, data, msg.sealed.n, 1, &ack), -1);
    r.msg.type = (enum mu_msg_type)0;
    assert_int_equal(rig_frame(&r, &s, &msg), 0);
    assert_int_equal(r.msg.type, 0);
    rig_free(&r);
}

static void what_is_not_authentic_gets_no_answer(void **state)
{
    struct rig r;
    struct rig_sender s, wrong;
    uint8_t data[MU_DATAGRAM_MAX];
    struct mu_ack ack;
    struct mu_beat beat;
    size_t n;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    beat = rig_make_beat(&s, 0);
    n = mu_seal_beat(s.key, &beat, data);
    for (size_t i = 0; i < n; i++) { /* any byte changed */
        data[i] ^= 1;
        assert_int_equal(rig_datagram(&r, &s, data, n, 1, &ack), -1);
        data[i] ^= 1;
    }
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(rig_datagram(&r, &s, data, cut, 1, &ack), -1);
    wrong = s;
    wrong.id++;
    mu_seal_key(r.config.secret, wrong.id, wrong.key);
    assert_int_equal(rig_beat(&r, &wrong, 0), -1); /* unknown session, right tag */
    assert_int_equal(rig_datagram(&r, &s, data, n, 1, &ack), MU_ACK_OK);
    rig_free(&r);
}

static void unknown_index_is_told_to_join(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_beat(&r, &s, 1), MU_ACK_REJOIN);
    assert_int_equal(rig_beat(&r, &s, UINT32_MAX), MU_ACK_REJOIN);
    rig_free(&r);
}

/* One ack names one index: the gravest matter first, and all in turn. */
static void trouble_of_one_agent_does_not_hide_that_of_others(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_join_agent agents[2] = {rig_agent("i"), rig_agent("k")};
    uint8_t data[MU_DATAGRAM_MAX];
    bool told[8] = {false};

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_ask(&r, &s, agents, 2), 0);
    rig_commit(&r, 0);
    assert_int_equal(rig_write(&r, "i", MU_OP_FORCE_DOWN, ""), 0);
    rig_commit(&r, 0);
    for (int i = 0; i < 6; i++) {
        struct mu_beat beat = rig_make_beat(&s, 0);
        struct mu_ack ack;

        beat.n = 5;
        for (uint32_t k = 0; k < 5; k++)
            beat.indexes[k] = k; /* 3 and 4 are unknown */
        assert_int_equal(rig_datagram(&r, &s, data, mu_seal_beat(s.key, &beat, data), 1, &ack),
                         MU_ACK_REJOIN);
        assert_int_equal(ack.lease_ms, 3000);
        told[ack.index] = true;
    }
    assert_true(told[3] && told[4] && !told[0] && !told[1] && !told[2]);
    rig_free(&r);
}

static void restart_needs_no_join(void **state)
{
    struct rig r;
    struct rig_rows rows;
    struct rig_sender s, stranger;
    struct mu_ack ack;
    uint8_t data[MU_DATAGRAM_MAX];
    struct mu_beat beat;
    size_t n;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    beat = rig_make_beat(&s, 0);
    n = mu_seal_beat(s.key, &beat, data);
    rig_save(&r, &rows);
    rig_restart(&r, &rows);
    for (int i = 0; i < 3; i++) /* recorded, and played back: revives nobody */
        assert_int_equal(rig_datagram(&r, &s, data, n, 1, &ack), MU_ACK_RESYNC);
    assert_int_equal(ack.epoch, 2);
    assert_int_equal(rig_state(&r, "h"), MU_UNKNOWN);
    rig_open(&r, &s);
    assert_int_equal(rig_attach(&r, &s, &ack), 0);
    assert_int_equal(ack.status, MU_ACK_RESYNC);
    s.epoch = 2;
    assert_int_equal(rig_attach(&r, &s, &ack), 0);
    assert_int_equal(ack.status, MU_ACK_OK);
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_OK);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    assert_true(rig_view(&r, "h").row.incarnation == (UINT64_C(1) << 32 | 1));
    stranger = s; /* one whose agent was not stored */
    stranger.id += 100;
    mu_seal_key(r.config.secret, stranger.id, stranger.key);
    rig_open(&r, &stranger);
    assert_int_equal(rig_attach(&r, &stranger, &ack), 0);
    assert_int_equal(ack.status, MU_ACK_REJOIN);
    assert_int_equal(ack.index, MU_INDEX_ALL);
    rig_join(&r, &stranger, "new", 9);
    assert_true(r.joined[0].incarnation == (UINT64_C(2) << 32 | 1));
    assert_true(stranger.id >> 32 == 2);
    rig_free(&r);
}

static void recorded_attach_is_refused(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_ack ack;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_open(&r, &s);
    assert_int_equal(rig_attach(&r, &s, &ack), 0);
    s.seq--;
    rig_open(&r, &s);
    assert_int_equal(rig_attach(&r, &s, &ack), MU_EPROTO);
    rig_free(&r);
}

static void beat_on_a_stream_needs_its_session_attached(void **state)
{
    struct rig r;
    struct rig_sender s;
    uint8_t data[MU_DATAGRAM_MAX];
    struct mu_beat beat;
    struct mu_msg msg = {.type = MU_MSG_BEAT};

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_open(&r, &s);
    beat = rig_make_beat(&s, 0);
    msg.sealed.n = mu_seal_beat(s.key, &beat, data);
    msg.sealed.p = (const char *)data;
    assert_int_equal(rig_frame(&r, &s, &msg), MU_EPROTO);
    assert_int_equal(r.msg.type, MU_MSG_ERROR);
    msg.type = MU_MSG_JOINED;
    assert_int_equal(rig_frame(&r, &s, &(struct mu_msg){.type = MU_MSG_DONE}), MU_EPROTO);
    assert_int_equal(mu_intake_frame(r.c, s.conn, (const uint8_t *)"\x01rubbish", 8, r.now),
                     MU_EPROTO);
    r.msg.type = MU_MSG_DONE;
    assert_int_equal(mu_intake_frame(r.c, s.conn, (const uint8_t *)"", 0, r.now), MU_EPROTO);
    assert_int_equal(r.msg.type, MU_MSG_ERROR);
    rig_open(&r, &s); /* who has not joined has no agent to speak of, and keeps no place */
    assert_int_equal(
        rig_frame(&r, &s, &(struct mu_msg){.type = MU_MSG_LEAVE, .leave = {.id = 1, .index = 0}}),
        MU_ECLOSED);
    assert_int_equal(r.msg.type, MU_MSG_DONE);
    assert_int_equal(r.msg.done.rv, MU_ENOENT);
    assert_int_equal(mu_intake_frame(r.c, 999, (const uint8_t *)"x", 1, r.now), MU_ECLOSED);
    rig_free(&r);
}

static void address_may_change_but_not_all_the_time(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;
    uint64_t from = 1;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    for (int i = 0; i < 300; i++) {
        struct mu_beat beat = rig_make_beat(&s, 0);
        uint8_t data[MU_DATAGRAM_MAX];
        struct mu_ack ack;

        if (i == 10 || i == 80 || i >= 200) /* after 70 s once more is fine; then every second */
            from++;
        rig_run(&r, MU_SEC);
        assert_int_equal(rig_datagram(&r, &s, data, mu_seal_beat(s.key, &beat, data), from, &ack),
                         MU_ACK_OK);
        if (i == 199)
            assert_int_equal(rig_count(&r, MU_KIND_CONDUCTOR, MU_WHY_ROAMS, NULL), 0);
    }
    assert_int_equal(rig_count(&r, MU_KIND_CONDUCTOR, MU_WHY_ROAMS, &e), 2);
    assert_string_equal(e.agent, "b@h");
    rig_free(&r);
}

static void who_wants_no_ack_hears_only_of_trouble(void **state)
{
    struct rig r;
    struct rig_sender s;
    uint8_t data[MU_DATAGRAM_MAX];
    struct mu_beat beat;
    struct mu_ack ack;
    uint64_t count;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    count = rig_view(&r, "h").row.report_count;
    rig_run(&r, MU_SEC);
    beat = rig_make_beat(&s, 0);
    beat.health = MU_HEALTH_QUIET;
    assert_int_equal(rig_datagram(&r, &s, data, mu_seal_beat(s.key, &beat, data), 1, &ack), -1);
    assert_int_equal(rig_view(&r, "h").row.report_count, count + 1);
    beat = rig_make_beat(&s, 7); /* an index that he does not have */
    beat.health = MU_HEALTH_QUIET;
    assert_int_equal(rig_datagram(&r, &s, data, mu_seal_beat(s.key, &beat, data), 1, &ack),
                     MU_ACK_REJOIN);
    beat = rig_make_beat(&s, 0);
    beat.health = MU_HEALTH_QUIET;
    beat.epoch--;
    assert_int_equal(rig_datagram(&r, &s, data, mu_seal_beat(s.key, &beat, data), 1, &ack),
                     MU_ACK_RESYNC);
    rig_free(&r);
}

static void full_of_streams_sends_others_to_datagrams(void **state)
{
    struct rig r;
    struct rig_sender a, b;

    rig_init(&r);
    r.config.max_streams = 2;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &a, "a", 1);
    rig_join(&r, &b, "b", 2);
    assert_int_equal(rig_beat(&r, &a, 0), MU_ACK_OK);
    mu_intake_closed(r.c, a.conn, false, r.now);
    assert_int_equal(rig_beat(&r, &a, 0), MU_ACK_OK);
    rig_open(&r, &a);
    assert_int_equal(rig_beat(&r, &a, 0), MU_ACK_DATAGRAMS);
    assert_int_equal(rig_beat(&r, &b, 0), MU_ACK_OK);
    rig_free(&r);
}

static void full_of_streams_keeps_no_place_from_newcomers(void **state)
{
    struct rig r;
    struct rig_sender a, b;
    struct mu_ack ack;

    rig_init(&r);
    r.config.max_streams = 1;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &a, "a", 1);
    assert_int_equal(r.closed, 0);
    rig_join(&r, &b, "b", 2); /* he is answered, and then makes room */
    assert_int_equal(r.closed, b.conn);
    mu_intake_closed(r.c, b.conn, false, r.now);
    assert_int_equal(rig_beat(&r, &b, 0), MU_ACK_DATAGRAMS);
    r.closed = 0;
    rig_open(&r, &b);
    assert_int_equal(rig_attach(&r, &b, &ack), 0);
    assert_int_equal(ack.status, MU_ACK_DATAGRAMS);
    rig_run(&r, 300 * MU_MS);
    assert_int_equal(r.closed, 0);
    assert_int_equal(rig_beat(&r, &b, 0), MU_ACK_DATAGRAMS); /* it is not to stay */
    rig_run(&r, 300 * MU_MS);
    assert_int_equal(r.closed, b.conn);
    assert_int_equal(rig_beat(&r, &b, 0), MU_ACK_DATAGRAMS);
    mu_intake_closed(r.c, b.conn, false, r.now);
    assert_int_equal(rig_beat(&r, &b, 0), MU_ACK_DATAGRAMS);
    assert_int_equal(rig_state(&r, "b"), MU_UP);
    rig_open(&r, &b);
    assert_int_equal(rig_attach(&r, &b, &ack), 0);
    mu_intake_closed(r.c, b.conn, true, r.now); /* he has said what he came for */
    rig_run(&r, 200 * MU_MS);
    assert_int_equal(rig_state(&r, "b"), MU_UP);
    rig_free(&r);
}

static void full_of_streams_hears_a_last_word(void **state)
{
    struct rig r;
    struct rig_sender a, b;
    struct mu_ack ack;

    rig_init(&r);
    r.config.max_streams = 1;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &a, "a", 1);
    rig_join(&r, &b, "b", 2);
    mu_intake_closed(r.c, b.conn, false, r.now);
    r.closed = 0;
    rig_open(&r, &b);
    assert_int_equal(rig_attach(&r, &b, &ack), 0);
    assert_int_equal(ack.status, MU_ACK_DATAGRAMS);
    assert_int_equal(rig_frame(&r, &b, &(struct mu_msg){.type = MU_MSG_LEAVE, .leave = {.id = 7}}),
                     0);
    assert_int_equal(r.msg.type, MU_MSG_DONE);
    assert_int_equal(r.msg.done.rv, 0);
    assert_int_equal(rig_state(&r, "b"), MU_LEFT);
    rig_run(&r, 600 * MU_MS);
    assert_int_equal(r.closed, b.conn);
    mu_intake_closed(r.c, a.conn, true, r.now); /* a's own may stay, and its end means something */
    rig_run(&r, 200 * MU_MS);
    assert_int_equal(rig_state(&r, "a"), MU_SUSPECT);
    rig_free(&r);
}

/* What came while the last tick's sweep waited: what came before it has not been read. */
static void end_of_a_stream_is_judged_by_a_tick_that_begins_after_it(void **state)
{
    struct rig r;
    struct rig_sender s;
    mu_time tick;

    rig_setup(&r);
    rig_join(&r, &s, "h", 1);
    tick = r.now;
    mu_intake_closed(r.c, s.conn, true, tick + 30 * MU_MS);
    mu_conductor_tick(r.c, tick, tick, r.wall, 0);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_SUSPECT);
    rig_free(&r);
}

/* The second guest would have to go at the next tick. */
static void full_of_streams_waits_for_a_report_to_be_stored(void **state)
{
    struct rig r;
    struct rig_sender a, guests[2];
    struct mu_msg report = {.type = MU_MSG_REPORT, .report = {.id = 3, .payload = rig_bytes("{}")}};
    struct mu_ack ack;
    size_t before;

    rig_init(&r);
    r.config.max_streams = 1;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &a, "a", 1);
    for (size_t i = 0; i < 2; i++) {
        rig_join(&r, &guests[i], i ? "c" : "b", 2 + i);
        mu_intake_closed(r.c, guests[i].conn, false, r.now);
    }
    for (size_t i = 0; i < 2; i++) {
        rig_open(&r, &guests[i]);
        assert_int_equal(rig_attach(&r, &guests[i], &ack), 0);
    }
    r.closed = 0;
    r.store_away = true;
    assert_int_equal(rig_frame(&r, &guests[1], &report), 0);
    before = r.nframes;
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(r.closed, 0);
    rig_commit(&r, 0);
    assert_int_equal(r.nframes, before + 1);
    assert_int_equal(r.msg.done.rv, 0);
    rig_run(&r, 200 * MU_MS);
    assert_int_equal(r.closed, guests[1].conn);
    rig_free(&r);
}

static void sessions_without_agents_go(void **state)
{
    struct rig r;
    struct rig_sender a, b;

    rig_setup(&r);
    rig_join(&r, &a, "h", 1);
    rig_join(&r, &b, "h", 2);
    rig_hangup(&r, &a);
    assert_int_equal(rig_beat(&r, &a, 0), MU_ACK_SUPERSEDED);
    rig_run(&r, 660 * MU_SEC);
    assert_int_equal(rig_beat(&r, &a, 0), -1);
    assert_int_equal(rig_beat(&r, &b, 0), MU_ACK_OK);
    rig_free(&r);
}

/* Whoever joins over and over, with names that are none, leaves nothing behind. */
static void sessions_that_nobody_needs_are_gone_at_once(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5}, probe;
    struct mu_join_agent wrong = rig_agent("a/b");
    struct mu_ack ack;

    rig_setup(&r);
    rig_open(&r, &s);
    assert_int_equal(rig_ask(&r, &s, &wrong, 1), 0);
    probe = s;
    rig_joined(&r, &probe);
    assert_int_equal(rig_ask(&r, &s, &wrong, 1), 0);
    assert_true(r.msg.joined.session != probe.id);
    rig_open(&r, &probe);
    assert_int_equal(rig_attach(&r, &probe, &ack), 0);
    assert_int_equal(ack.status, MU_ACK_REJOIN);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_beat_counts_once),
        cmocka_unit_test(beat_costs_no_allocation_and_no_event),
        cmocka_unit_test(stream_and_datagrams_share_the_numbers),
        cmocka_unit_test(what_is_not_authentic_gets_no_answer),
        cmocka_unit_test(unknown_index_is_told_to_join),
        cmocka_unit_test(trouble_of_one_agent_does_not_hide_that_of_others),
        cmocka_unit_test(restart_needs_no_join),
        cmocka_unit_test(recorded_attach_is_refused),
        cmocka_unit_test(beat_on_a_stream_needs_its_session_attached),
        cmocka_unit_test(address_may_change_but_not_all_the_time),
        cmocka_unit_test(full_of_streams_sends_others_to_datagrams),
        cmocka_unit_test(who_wants_no_ack_hears_only_of_trouble),
        cmocka_unit_test(full_of_streams_keeps_no_place_from_newcomers),
        cmocka_unit_test(full_of_streams_hears_a_last_word),
        cmocka_unit_test(end_of_a_stream_is_judged_by_a_tick_that_begins_after_it),
        cmocka_unit_test(full_of_streams_waits_for_a_report_to_be_stored),
        cmocka_unit_test(sessions_without_agents_go),
        cmocka_unit_test(sessions_that_nobody_needs_are_gone_at_once),
    };
    return cmocka_run_group_tests_name("conductor_beat", tests, NULL, NULL);
}
