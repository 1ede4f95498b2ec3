/* Silence: thresholds, our own deafness, the start, what ends other than by silence. */
#include "lib/rig.h"

static void silence_is_suspect_then_down_on_time(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_live(&r, &s, 3 * MU_SEC);
    rig_run(&r, 1900 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_SUSPECT, &e), 1);
    assert_int_equal(e.evidence.silence_ms, 2000);
    assert_int_equal(e.evidence.threshold_ms, 2000);
    assert_int_equal(e.evidence.stall_ms, 0);
    rig_run(&r, 900 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_SUSPECT);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_DOWN, &e), 1);
    assert_int_equal(e.from, MU_SUSPECT);
    assert_int_equal(e.reason, MU_WHY_SILENCE);
    assert_int_equal(e.evidence.silence_ms, 3000);
    assert_int_equal(e.evidence.threshold_ms, 3000);
    assert_string_equal(e.agent, "b@h");
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_OK);
    assert_int_equal(rig_moves(&r, MU_UP, &e), 1);
    assert_int_equal(e.from, MU_DOWN);
    assert_int_equal(e.reason, MU_WHY_HEARD);
    rig_free(&r);
}

static void short_stall_counts_for_nobody(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_live(&r, &s, MU_SEC);
    rig_run(&r, 1500 * MU_MS);
    rig_sleep(&r, 900 * MU_MS); /* of which 100 ms are a tick */
    rig_tick(&r);
    assert_int_equal(rig_count(&r, MU_KIND_CONDUCTOR, MU_WHY_STALLED, &e), 1);
    assert_int_equal(e.evidence.stall_ms, 800);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    rig_run(&r, 400 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_SUSPECT, &e), 1);
    assert_int_equal(e.evidence.silence_ms, 2000);
    assert_int_equal(e.evidence.stall_ms, 800);
    rig_free(&r);
}

/* For stalls of 5, 30 and 90 s: who beats on is never down, who died is down a full down time
 * later. */
static void long_stall_forgives_all_silence_before_it(void **state)
{
    static const mu_dur stalls[] = {5 * MU_SEC, 30 * MU_SEC, 90 * MU_SEC};

    for (size_t i = 0; i < MU_ARRAY_LEN(stalls); i++) {
        struct rig r;
        struct rig_sender alive, dead;
        struct rig_event e;
        mu_time resumed;

        rig_setup(&r);
        rig_join(&r, &alive, "alive", 5);
        rig_join(&r, &dead, "dead", 6);
        rig_live(&r, &alive, 2 * MU_SEC); /* the dead one has 2 s of silence by now */
        rig_sleep(&r, stalls[i]);
        resumed = r.now;
        assert_int_equal(rig_beat(&r, &alive, 0), MU_ACK_OK); /* read before the next tick */
        assert_int_equal(rig_count(&r, MU_KIND_CONDUCTOR, MU_WHY_STALLED, &e), 1);
        assert_int_equal(e.evidence.stall_ms, (stalls[i] - 100 * MU_MS) / MU_MS);
        rig_live(&r, &alive, 2 * MU_SEC);
        assert_int_equal(rig_moves(&r, MU_DOWN, NULL), 0);
        rig_live(&r, &alive, 2 * MU_SEC);
        assert_int_equal(rig_moves(&r, MU_DOWN, &e), 1);
        assert_string_equal(e.agent, "b@dead");
        assert_int_equal(e.evidence.silence_ms, 3000);
        assert_int_equal(e.evidence.threshold_ms, 3000);
        assert_true(r.now - resumed <= 4 * MU_SEC);
        assert_int_equal(rig_state(&r, "alive"), MU_UP);
        rig_free(&r);
    }
}

static void suspend_of_the_machine_is_a_stall(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_run(&r, 2900 * MU_MS);
    r.boot_ahead = 60 * MU_SEC;
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_count(&r, MU_KIND_CONDUCTOR, MU_WHY_STALLED, &e), 1);
    assert_int_equal(e.evidence.stall_ms, 60000);
    rig_run(&r, 2900 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_DOWN, NULL), 0);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_DOWN, NULL), 1);
    rig_free(&r);
}

static void wall_clock_steps_change_nothing(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_init(&r);
    r.config.forget_after = 1800 * MU_SEC;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &s, "h", 5);
    rig_join(&r, &s, "dead", 6);
    rig_run(&r, 4 * MU_SEC);
    r.wall += 3600 * 1000;
    rig_run(&r, 120 * MU_SEC);
    r.wall -= 7200 * 1000;
    rig_run(&r, 120 * MU_SEC);
    assert_int_equal(rig_count(&r, MU_KIND_STATE, -1, NULL), 4);
    assert_int_equal(rig_count(&r, MU_KIND_DELETED, -1, NULL), 0);
    rig_free(&r);
}

static void drops_hold_every_verdict_by_silence(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;
    char text[256];

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_run(&r, MU_SEC);
    for (int i = 0; i < 620; i++) {
        r.drops += 3;
        rig_run(&r, 100 * MU_MS);
    }
    assert_int_equal(rig_count(&r, MU_KIND_CONDUCTOR, MU_WHY_DEAF, NULL), 1);
    assert_int_equal(rig_count(&r, MU_KIND_STATE, -1, NULL), 0);
    assert_false(mu_hearing_ready(mu_conductor_hearing(r.c), r.now, text, sizeof(text)));
    rig_run(&r, 1100 * MU_MS);
    assert_int_equal(rig_count(&r, MU_KIND_CONDUCTOR, MU_WHY_HEARS_AGAIN, &e), 1);
    assert_true(e.evidence.stall_ms >= 62000);
    assert_int_equal(e.evidence.count, 3 * 620);
    assert_true(mu_hearing_ready(mu_conductor_hearing(r.c), r.now, text, sizeof(text)));
    rig_run(&r, 2800 * MU_MS); /* a full down time is his since we hear again */
    assert_int_equal(rig_moves(&r, MU_DOWN, NULL), 0);
    rig_run(&r, 300 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_DOWN, &e), 1);
    assert_int_equal(e.evidence.silence_ms, 3000);
    rig_free(&r);
}

/* A drop every five seconds must not put off deaths for ever. */
static void trickle_of_drops_delays_a_verdict_by_no_more_than_it_held(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_init(&r);
    r.policies.at[0].times =
        (struct mu_times){.interval = 10 * MU_SEC, .suspect = 25 * MU_SEC, .down = 60 * MU_SEC};
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &s, "h", 5);
    for (int i = 0; i < 16; i++) {
        r.drops++;
        rig_run(&r, 5 * MU_SEC);
    }
    assert_int_equal(rig_moves(&r, MU_DOWN, NULL), 1);
    rig_free(&r);
}

static void start_knows_nothing_and_tells_once(void **state)
{
    struct rig r;
    struct rig_rows rows;
    struct rig_sender up, silent, down, left;
    struct rig_event e;

    rig_setup(&r);
    rig_join(&r, &down, "down", 1);
    rig_run(&r, 5 * MU_SEC);
    rig_join(&r, &up, "up", 2);
    rig_join(&r, &silent, "silent", 3);
    rig_join(&r, &left, "left", 4);
    assert_int_equal(
        rig_frame(&r, &left, &(struct mu_msg){.type = MU_MSG_LEAVE, .leave = {.id = 1}}), 0);
    rig_save(&r, &rows);
    r.nevents = 0;
    rig_restart(&r, &rows);
    assert_int_equal(r.nevents, 1);
    assert_int_equal(rig_count(&r, MU_KIND_CONDUCTOR, MU_WHY_STARTED, &e), 1);
    assert_int_equal(e.evidence.count, 2);
    assert_int_equal(rig_state(&r, "up"), MU_UNKNOWN);
    assert_int_equal(rig_state(&r, "down"), MU_DOWN);
    assert_int_equal(rig_state(&r, "left"), MU_LEFT);
    assert_int_equal(rig_beat(&r, &up, 0), MU_ACK_RESYNC);
    assert_int_equal(rig_state(&r, "up"), MU_UNKNOWN); /* it may have been recorded */
    up.epoch = 2;
    assert_int_equal(rig_beat(&r, &up, 0), MU_ACK_OK);
    assert_int_equal(rig_state(&r, "up"), MU_UP);
    assert_int_equal(r.nevents, 1);
    rig_live(&r, &up, 2 * MU_SEC);
    rig_run(&r, 900 * MU_MS);
    assert_int_equal(rig_state(&r, "silent"), MU_UNKNOWN);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_DOWN, &e), 1);
    assert_int_equal(e.from, MU_UNKNOWN);
    assert_int_equal(e.reason, MU_WHY_NOT_HEARD);
    assert_int_equal(e.evidence.silence_ms, 3000);
    rig_free(&r);
}

static void nobody_goes_from_unknown_to_down_while_joins_wait(void **state)
{
    struct rig r;
    struct rig_rows rows;
    struct rig_sender a, b, storm;
    struct mu_join_agent agents[3] = {rig_agent("n1"), rig_agent("n2"), rig_agent("n3")};

    rig_setup(&r);
    rig_join(&r, &a, "a", 1);
    rig_join(&r, &b, "b", 2);
    rig_save(&r, &rows);
    r.config.join_rate = 4; /* one at once, then one in 250 ms */
    rig_restart(&r, &rows);
    for (int i = 0; i < 80; i++) { /* the storm goes on for longer than a down time */
        memset(&storm, 0, sizeof(storm));
        storm.start_id = 9;
        rig_open(&r, &storm);
        rig_ask(&r, &storm, agents, 3);
        rig_run(&r, 100 * MU_MS);
    }
    assert_int_equal(rig_state(&r, "a"), MU_UNKNOWN);
    rig_run(&r, 120 * MU_SEC);
    assert_int_equal(rig_state(&r, "a"), MU_DOWN);
    rig_free(&r);
}

/* Who finds no room keeps asking; the fleet's silent ones go down all the same. */
static void newcomers_put_off_nobodys_end(void **state)
{
    struct rig r;
    struct rig_sender s, t = {.start_id = 6};
    struct rig_rows rows;
    struct mu_join_agent agent = rig_agent("new");

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_save(&r, &rows);
    r.config.max_agents = 1;
    rig_restart(&r, &rows);
    rig_open(&r, &t);
    assert_int_equal(rig_ask(&r, &t, &agent, 1), 0);
    rig_joined(&r, &t);
    assert_int_equal(r.joined[0].rv, MU_EFULL);
    rig_run(&r, 3100 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_DOWN);
    rig_free(&r);
}

static void end_of_the_last_stream_is_suspect_at_the_next_tick(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_live(&r, &s, MU_SEC);
    rig_hangup(&r, &s);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_SUSPECT, &e), 1);
    assert_int_equal(e.reason, MU_WHY_STREAM_CLOSED);
    rig_run(&r, 2900 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_DOWN, &e), 1);
    assert_int_equal(e.evidence.silence_ms, 3000);
    rig_free(&r);
}

static void streams_that_mean_nothing_make_nobody_suspect(void **state)
{
    struct rig r;
    struct rig_sender s, other;
    struct mu_ack ack;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    other = s;
    rig_open(&r, &other);
    assert_int_equal(rig_attach(&r, &other, &ack), 0);
    assert_int_equal(ack.status, MU_ACK_OK);
    rig_hangup(&r, &s); /* another one is attached */
    rig_run(&r, 200 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    mu_intake_closed(r.c, other.conn, false, r.now); /* ours */
    rig_run(&r, 200 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    s.seq = other.seq;
    rig_open(&r, &s);
    assert_int_equal(rig_attach(&r, &s, &ack), 0);
    rig_sleep(&r, 2 * MU_SEC);
    rig_hangup(&r, &s); /* he gave up on us while we were away */
    rig_tick(&r);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    rig_free(&r);
}

static void relays_word_is_down_at_once_even_while_deaf(void **state)
{
    static const struct {
        enum mu_ended_how how;
        int status, reason, exit_status, signal;
    } cases[] = {{MU_ENDED_EXITED, 0, MU_WHY_EXITED, 0, -1},
                 {MU_ENDED_EXITED, 3, MU_WHY_EXITED, 3, -1},
                 {MU_ENDED_KILLED, 9, MU_WHY_KILLED, -1, 9},
                 {MU_ENDED_UNKNOWN, 0, MU_WHY_ENDED, -1, -1}};

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct rig r;
        struct rig_sender s;
        struct rig_event e;
        struct mu_msg msg = {
            .type = MU_MSG_ENDED,
            .ended = {.id = 4, .how = (uint8_t)cases[i].how, .status = cases[i].status}};

        rig_setup(&r);
        rig_join(&r, &s, "h", 5);
        rig_run(&r, 100 * MU_MS);
        r.drops++;
        rig_run(&r, 100 * MU_MS);
        assert_int_equal(rig_frame(&r, &s, &msg), 0);
        assert_int_equal(r.msg.type, MU_MSG_DONE);
        assert_int_equal(r.msg.done.rv, 0);
        assert_int_equal(rig_moves(&r, MU_DOWN, &e), 1);
        assert_int_equal(e.reason, cases[i].reason);
        assert_int_equal(e.evidence.exit_status, cases[i].exit_status);
        assert_int_equal(e.evidence.signal, cases[i].signal);
        assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_REJOIN); /* one that was on its way */
        assert_int_equal(rig_state(&r, "h"), MU_DOWN);
        rig_free(&r);
    }
}

static void who_left_is_not_judged_and_not_revived(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_frame(&r, &s, &(struct mu_msg){.type = MU_MSG_LEAVE, .leave = {.id = 1}}),
                     0);
    assert_int_equal(r.msg.done.rv, 0);
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_REJOIN);
    rig_hangup(&r, &s);
    rig_run(&r, 10 * MU_SEC);
    assert_int_equal(rig_count(&r, MU_KIND_STATE, -1, &e), 1);
    assert_int_equal(e.to, MU_LEFT);
    assert_int_equal(rig_frame(&r, &s, &(struct mu_msg){.type = MU_MSG_LEAVE, .leave = {.id = 1}}),
                     MU_ECLOSED);
    rig_free(&r);
}

static void down_and_left_are_forgotten_in_time(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    rig_init(&r);
    r.config.forget_after = 100 * MU_SEC;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &s, "dead", 5);
    rig_run(&r, 100 * MU_SEC);
    assert_int_equal(rig_state(&r, "dead"), MU_DOWN);
    rig_run(&r, 10 * MU_SEC);
    assert_int_equal(rig_count(&r, MU_KIND_DELETED, MU_WHY_FORGOTTEN, &e), 1);
    assert_string_equal(e.agent, "b@dead");
    assert_int_equal(mu_roster_count(mu_conductor_roster(r.c)), 0);
    rig_free(&r);
}

/* He may have beaten on while nobody was there to hear it. */
static void nobody_is_forgotten_before_he_could_be_heard(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    rig_init(&r);
    r.config.forget_after = 1 * MU_SEC;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &s, "gone", 5);
    rig_frame(&r, &s, &(struct mu_msg){.type = MU_MSG_LEAVE, .leave = {.id = 1, .index = 0}});
    assert_int_equal(rig_state(&r, "gone"), MU_LEFT);
    rig_run(&r, 3 * MU_SEC);
    assert_int_equal(rig_count(&r, MU_KIND_DELETED, MU_WHY_FORGOTTEN, &e), 0);
    rig_run(&r, 60 * MU_SEC);
    assert_int_equal(rig_count(&r, MU_KIND_DELETED, MU_WHY_FORGOTTEN, &e), 1);
    rig_free(&r);
}

static void nobody_is_judged_while_draining(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_init(&r);
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &s, "silent", 5);
    mu_conductor_drain(r.c);
    rig_run(&r, 200 * MU_SEC);
    assert_int_equal(rig_state(&r, "silent"), MU_UP);
    rig_free(&r);
}

static void forgetting_leaves_the_store_room_for_others(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_init(&r);
    r.config.forget_after = 60 * MU_SEC;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    for (unsigned i = 0; i < 150; i++) {
        char host[16];

        snprintf(host, sizeof(host), "h%u", i);
        rig_join(&r, &s, host, 5 + i);
    }
    rig_run(&r, 63 * MU_SEC);
    r.store_away = true;
    rig_run(&r, 60 * MU_SEC);
    assert_int_equal(r.ntickets, 100);
    r.store_away = false;
    rig_run(&r, 60 * MU_SEC);
    assert_int_equal(mu_roster_count(mu_conductor_roster(r.c)), 0);
    rig_free(&r);
}

static void new_policies_judge_nobody_before_an_interval_has_passed(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_policies quick;

    rig_init(&r);
    r.policies.at[0].times =
        (struct mu_times){.interval = 10 * MU_SEC, .suspect = 25 * MU_SEC, .down = 60 * MU_SEC};
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &s, "h", 5);
    rig_run(&r, 9 * MU_SEC);
    quick = r.policies;
    quick.at[0].times =
        (struct mu_times){.interval = MU_SEC, .suspect = 2 * MU_SEC, .down = 3 * MU_SEC};
    mu_conductor_policies(r.c, &quick, r.now);
    rig_run(&r, 5 * MU_SEC);
    assert_int_equal(rig_state(&r, "h"), MU_UP); /* he was told 10 s */
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_REJOIN);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    assert_int_equal(rig_ask(&r, &s, (struct mu_join_agent[]){rig_agent("h")}, 1), 0);
    rig_joined(&r, &s);
    assert_int_equal(r.joined[0].index, 0);
    assert_int_equal(r.joined[0].interval_ms, 1000);
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_OK);
    rig_run(&r, 3 * MU_SEC);
    assert_int_equal(rig_state(&r, "h"), MU_DOWN);
    rig_free(&r);
}

static void who_may_have_spoken_is_not_judged(void **state)
{
    struct rig r;
    struct rig_sender a, b;

    rig_setup(&r);
    rig_join(&r, &a, "a", 1);
    rig_join(&r, &b, "b", 2);
    r.unread = a.conn; /* his beats have come, and wait to be read */
    rig_run(&r, 3100 * MU_MS);
    assert_int_equal(rig_state(&r, "a"), MU_UP);
    assert_int_equal(rig_state(&r, "b"), MU_DOWN);
    r.unread = 0; /* there was none among it */
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_state(&r, "a"), MU_DOWN);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_suspect_then_down_on_time),
        cmocka_unit_test(short_stall_counts_for_nobody),
        cmocka_unit_test(long_stall_forgives_all_silence_before_it),
        cmocka_unit_test(suspend_of_the_machine_is_a_stall),
        cmocka_unit_test(wall_clock_steps_change_nothing),
        cmocka_unit_test(drops_hold_every_verdict_by_silence),
        cmocka_unit_test(trickle_of_drops_delays_a_verdict_by_no_more_than_it_held),
        cmocka_unit_test(start_knows_nothing_and_tells_once),
        cmocka_unit_test(nobody_goes_from_unknown_to_down_while_joins_wait),
        cmocka_unit_test(newcomers_put_off_nobodys_end),
        cmocka_unit_test(end_of_the_last_stream_is_suspect_at_the_next_tick),
        cmocka_unit_test(streams_that_mean_nothing_make_nobody_suspect),
        cmocka_unit_test(relays_word_is_down_at_once_even_while_deaf),
        cmocka_unit_test(who_left_is_not_judged_and_not_revived),
        cmocka_unit_test(down_and_left_are_forgotten_in_time),
        cmocka_unit_test(nobody_is_forgotten_before_he_could_be_heard),
        cmocka_unit_test(nobody_is_judged_while_draining),
        cmocka_unit_test(forgetting_leaves_the_store_room_for_others),
        cmocka_unit_test(new_policies_judge_nobody_before_an_interval_has_passed),
        cmocka_unit_test(who_may_have_spoken_is_not_judged),
    };
    return cmocka_run_group_tests_name("conductor_silence", tests, NULL, NULL);
}
