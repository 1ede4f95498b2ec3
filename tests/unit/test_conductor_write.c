/* What waits for the store: operators' writes, and beats by HTTP. */
#include "lib/rig.h"

static void write_is_true_and_told_after_its_commit(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_write(&r, "h", MU_OP_DISABLE, "broken disk"), 0);
    assert_int_equal(r.done_rv, 1);
    assert_false(rig_view(&r, "h").row.disabled);
    assert_int_equal(rig_count(&r, MU_KIND_STATUS, -1, NULL), 0);
    assert_int_equal(rig_write(&r, "h", MU_OP_ENABLE, ""), MU_EBUSY);
    rig_commit(&r, 0);
    assert_int_equal(r.done_rv, 0);
    assert_true(rig_view(&r, "h").row.disabled);
    assert_string_equal(rig_view(&r, "h").row.disabled_reason, "broken disk");
    assert_int_equal(rig_view(&r, "h").row.revision, 1);
    assert_int_equal(rig_count(&r, MU_KIND_STATUS, MU_WHY_OPERATOR, &e), 1);
    assert_int_equal(e.from, MU_WORD_ENABLED);
    assert_int_equal(e.to, MU_WORD_DISABLED);
    assert_string_equal(e.text, "broken disk");
    assert_int_equal(mu_conductor_write(r.c, 0, MU_OP_ENABLE, "", 0, r.now, rig_done, &r),
                     MU_ECONFLICT);
    assert_int_equal(mu_conductor_write(r.c, 0, MU_OP_ENABLE, "", 1, r.now, rig_done, &r), 0);
    rig_commit(&r, 0);
    assert_false(rig_view(&r, "h").row.disabled);
    assert_string_equal(rig_view(&r, "h").row.disabled_reason, "");
    assert_int_equal(rig_write(&r, "h", MU_OP_DISABLE, "a\nb"), MU_EINVAL);
    assert_int_equal(mu_conductor_write(r.c, 7, MU_OP_ENABLE, "", 1, r.now, rig_done, &r),
                     MU_ENOENT);
    rig_free(&r);
}

static void write_without_a_commit_is_unknown_and_may_come_true(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    r.store_away = true;
    assert_int_equal(rig_write(&r, "h", MU_OP_DISABLE, ""), 0);
    rig_run(&r, 1900 * MU_MS);
    assert_int_equal(r.done_rv, 1);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(r.done_rv, MU_ETIMEDOUT);
    r.done_rv = 1;
    rig_commit(&r, 0);
    assert_int_equal(r.done_rv, 1);
    assert_true(rig_view(&r, "h").row.disabled);
    assert_int_equal(rig_count(&r, MU_KIND_STATUS, -1, NULL), 1);
    rig_free(&r);
}

static void write_that_fails_changes_nothing(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_row row;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_write(&r, "h", MU_OP_DISABLE, "why"), 0);
    rig_commit(&r, MU_EIO);
    assert_int_equal(r.done_rv, MU_EIO);
    assert_true(mu_roster_row(mu_conductor_roster(r.c), 0, &row));
    assert_false(row.disabled);
    assert_int_equal(row.revision, 0);
    r.refuse = true;
    assert_int_equal(rig_write(&r, "h", MU_OP_DELETE, ""), MU_EAGAIN);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    assert_true(mu_bus_floor(mu_conductor_bus(r.c)) == UINT64_MAX);
    rig_free(&r);
}

static void who_is_gone_is_not_answered(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_write(&r, "h", MU_OP_DISABLE, ""), 0);
    mu_conductor_forget_op(r.c, rig_done, &r);
    rig_commit(&r, 0);
    assert_int_equal(r.done_rv, 1);
    assert_true(rig_view(&r, "h").row.disabled);
    rig_free(&r);
}

/* A snapshot that is stored after a pending write must not take it back. */
static void snapshots_keep_a_write_that_waits(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_row row;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_write(&r, "h", MU_OP_DISABLE, "why"), 0);
    assert_true(mu_roster_row(mu_conductor_roster(r.c), 0, &row));
    assert_true(row.disabled);
    assert_string_equal(row.disabled_reason, "why");
    assert_int_equal(row.revision, 1);
    rig_commit(&r, 0);
    assert_int_equal(rig_write(&r, "h", MU_OP_DELETE, ""), 0);
    assert_false(mu_roster_row(mu_conductor_roster(r.c), 0, &row));
    rig_free(&r);
}

static void forced_down_shows_down_whatever_is_heard(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_write(&r, "h", MU_OP_FORCE_DOWN, "evacuated"), 0);
    rig_commit(&r, 0);
    assert_int_equal(r.msg.type, MU_MSG_ACK); /* the agent is told at once */
    assert_int_equal(rig_state(&r, "h"), MU_DOWN);
    assert_int_equal(rig_view(&r, "h").row.state, MU_UP);
    assert_int_equal(mu_roster_census(mu_conductor_roster(r.c))->state[MU_DOWN], 1);
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_FENCED);
    assert_int_equal(rig_state(&r, "h"), MU_DOWN);
    assert_int_equal(rig_write(&r, "h", MU_OP_UNFORCE, ""), 0);
    rig_commit(&r, 0);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    assert_int_equal(rig_count(&r, MU_KIND_FORCED, -1, &e), 2);
    assert_int_equal(e.to, MU_WORD_NOT_FORCED);
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_OK);
    assert_int_equal(rig_count(&r, MU_KIND_STATE, -1, NULL), 0);
    rig_free(&r);
}

static void explanation_of_a_force_tells_why_and_only_what_lifts_it(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_explanation e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_write(&r, "h", MU_OP_FORCE_DOWN, "fenced"), 0);
    rig_commit(&r, 0);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_string_equal(e.verdict,
                        "down: forced by an operator: fenced; what is seen beneath is up");
    assert_int_equal(e.nchanges, 1);
    assert_string_equal(e.changes[0], "undoing force-down shows what is seen at once");
    assert_true(e.suspect_in == MU_NEVER && e.down_in == MU_NEVER);
    assert_int_equal(rig_write(&r, "h", MU_OP_FORCE_DOWN, ""), 0);
    rig_commit(&r, 0);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_string_equal(e.verdict, "down: forced by an operator; what is seen beneath is up");
    assert_int_equal(rig_write(&r, "h", MU_OP_UNFORCE, ""), 0);
    rig_commit(&r, 0);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_true(e.nchanges >= 2 && e.suspect_in != MU_NEVER && e.down_in != MU_NEVER);
    rig_free(&r);
}

static void fence_is_told_by_the_stream_that_is_left(void **state)
{
    struct rig r;
    struct rig_sender s, other;
    uint64_t first;
    struct mu_ack ack;

    rig_setup(&r);
    rig_join(&r, &other, "other", 4);
    rig_join(&r, &s, "h", 5);
    first = s.conn;
    rig_open(&r, &s);
    assert_int_equal(rig_attach(&r, &s, &ack), 0);
    rig_hangup(&r, &s);
    assert_int_equal(rig_write(&r, "h", MU_OP_FORCE_DOWN, ""), 0);
    rig_commit(&r, 0);
    assert_int_equal(r.msg.type, MU_MSG_ACK);
    assert_true(r.frame_conn == first);
    rig_free(&r);
}

/* Fences "h", and expects that @s is told. */
static void expect_told(struct rig *r, const struct rig_sender *s)
{
    assert_int_equal(rig_write(r, "h", MU_OP_FORCE_DOWN, ""), 0);
    rig_commit(r, 0);
    assert_int_equal(r->msg.type, MU_MSG_ACK);
    assert_true(r->frame_conn == s->conn);
    assert_int_equal(rig_write(r, "h", MU_OP_UNFORCE, ""), 0);
    rig_commit(r, 0);
}

static void latest_stream_that_is_left_is_told(void **state)
{
    static const int attached[] = {3, 1, 4, 2}; /* after 0, on which it joined */
    static const struct {
        int closed, told;
    } cases[] = {{2, 4}, {1, 4}, {4, 3}, {0, 3}}; /* the newest, amid others, the oldest */
    struct rig r;
    struct rig_sender s[5];
    struct mu_ack ack;

    rig_setup(&r);
    rig_join(&r, &s[0], "h", 5);
    for (int i = 1; i < 5; i++) {
        s[i] = s[0];
        rig_open(&r, &s[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        s[attached[i]].seq = i;
        assert_int_equal(rig_attach(&r, &s[attached[i]], &ack), 0);
    }
    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        rig_hangup(&r, &s[cases[i].closed]);
        expect_told(&r, &s[cases[i].told]);
    }
    rig_hangup(&r, &s[3]);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_SUSPECT);
    rig_free(&r);
}

static void deleted_agent_that_lives_joins_anew(void **state)
{
    struct rig r;
    struct rig_sender s;
    uint8_t uuid[16];
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    memcpy(uuid, r.joined[0].uuid, 16);
    assert_int_equal(rig_write(&r, "h", MU_OP_DELETE, ""), 0);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0); /* while the delete is pending */
    assert_int_equal(r.joined[0].rv, MU_EAGAIN);
    rig_commit(&r, 0);
    assert_int_equal(r.done_rv, 0);
    assert_int_equal(r.done_slot, MU_NO_SLOT);
    assert_int_equal(mu_roster_count(mu_conductor_roster(r.c)), 0);
    assert_int_equal(rig_count(&r, MU_KIND_DELETED, MU_WHY_OPERATOR, NULL), 1);
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_REJOIN);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    rig_commit(&r, 0);
    rig_joined(&r, &s);
    assert_int_equal(r.joined[0].rv, 0);
    assert_memory_not_equal(r.joined[0].uuid, uuid, 16);
    assert_int_equal(rig_view(&r, "h").row.id, 2);
    /* The slot is used again, and the old index means nobody. */
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_REJOIN);
    assert_int_equal(rig_beat(&r, &s, r.joined[0].index), MU_ACK_OK);
    rig_free(&r);
}

static int http_beat(struct rig *r, const char *host, mu_dur interval)
{
    r->done_rv = 1;
    return mu_conductor_http_beat(r->c, "b", host, interval, r->now, rig_done, r);
}

static void one_curl_is_an_agent(void **state)
{
    struct rig r;
    struct rig_event e;

    rig_setup(&r);
    assert_int_equal(http_beat(&r, "cron", 60 * MU_SEC), 0);
    assert_int_equal(r.done_rv, 1);
    assert_int_equal(http_beat(&r, "cron", 60 * MU_SEC), MU_EBUSY);
    rig_commit(&r, 0);
    assert_int_equal(rig_view(&r, "cron").row.interval_ms, 60000);
    assert_true(rig_view(&r, "cron").times.down == 150 * MU_SEC);
    rig_run(&r, 149 * MU_SEC);
    assert_int_equal(rig_moves(&r, MU_DOWN, NULL), 0);
    assert_int_equal(http_beat(&r, "cron", 60 * MU_SEC), 0);
    assert_int_equal(r.done_rv, 0);
    assert_int_equal(rig_state(&r, "cron"), MU_UP);
    assert_int_equal(http_beat(&r, "cron", 30 * MU_SEC), 0); /* changed its mind */
    assert_true(rig_view(&r, "cron").times.down == 75 * MU_SEC);
    rig_run(&r, 75 * MU_SEC);
    assert_int_equal(rig_moves(&r, MU_DOWN, &e), 1);
    assert_int_equal(e.evidence.threshold_ms, 75000);
    assert_int_equal(http_beat(&r, "cron", 7 * 24 * 3600 * MU_SEC), 0); /* the most */
    assert_true(rig_view(&r, "cron").times.down == 35 * 12 * 3600 * MU_SEC);
    assert_int_equal(http_beat(&r, "cron", 7 * 24 * 3600 * MU_SEC + 1), MU_ERANGE);
    assert_int_equal(http_beat(&r, "a/b", 0), MU_EINVAL);
    assert_int_equal(http_beat(&r, "x", -1), MU_ERANGE);
    assert_int_equal(http_beat(&r, "x", MU_NEVER), MU_ERANGE);
    rig_free(&r);
}

/* Or a restart would judge it by the interval of before. */
static void interval_asked_for_by_http_is_stored(void **state)
{
    struct rig r;
    struct rig_rows rows;

    rig_setup(&r);
    assert_int_equal(mu_conductor_http_beat(r.c, "b", "cron", 2 * MU_SEC, r.now, rig_done, &r), 0);
    rig_commit(&r, 0);
    assert_int_equal(r.nchanged, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(mu_conductor_http_beat(r.c, "b", "cron", 60 * MU_SEC, r.now, rig_done, &r),
                         0);
    assert_int_equal(r.nchanged, 1);
    rig_save(&r, &rows);
    rig_restart(&r, &rows);
    rig_run(&r, 149 * MU_SEC);
    assert_int_equal(rig_state(&r, "cron"), MU_UNKNOWN);
    rig_run(&r, 2 * MU_SEC);
    assert_int_equal(rig_state(&r, "cron"), MU_DOWN);
    rig_free(&r);
}

static void beat_by_http_leaves_a_session_alone(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_run(&r, 2500 * MU_MS);
    assert_int_equal(http_beat(&r, "h", 60 * MU_SEC), 0);
    assert_int_equal(r.done_rv, 0);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    assert_int_equal(rig_view(&r, "h").row.interval_ms, 1000);
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_OK);
    rig_free(&r);
}

/* A daemon was replaced by a cron job of its name. */
static void beat_by_http_takes_the_name_of_a_silent_session(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_run(&r, 5 * MU_SEC);
    assert_int_equal(http_beat(&r, "h", 60 * MU_SEC), 0);
    assert_int_equal(rig_view(&r, "h").row.interval_ms, 60000);
    assert_int_equal(rig_view(&r, "h").row.incarnation & UINT32_MAX, 2);
    rig_run(&r, 100 * MU_SEC);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_REJOIN);
    rig_free(&r);
}

static void explanation_has_the_numbers_of_the_verdict(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_explanation e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_true(strncmp(e.path, "stream", 6) == 0); /* that the join came on */
    rig_live(&r, &s, 3 * MU_SEC);
    rig_run(&r, 1500 * MU_MS);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_string_equal(e.verdict, "up: heard 1.5s ago, suspect after 2s of silence");
    assert_string_equal(
        e.rule, "policy DEFAULT: suspect after 2s, down after 3s of silence that we could hear");
    assert_true(e.silence == 1500 * MU_MS);
    assert_true(e.suspect_in == 500 * MU_MS);
    assert_true(e.down_in == 1500 * MU_MS);
    assert_true(e.level > 0.49 && e.level < 0.51);
    assert_int_equal(e.ngaps, 3);
    assert_int_equal(e.gaps_ms[0], 1000);
    assert_int_equal(e.nbeats, 4);
    assert_int_equal(e.beats_at[0], r.wall - 1500);
    assert_int_equal(e.beats_at[3], r.wall - 4500);
    assert_string_equal(e.path, "datagram");
    rig_sleep(&r, 10 * MU_SEC);
    rig_tick(&r);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_true(e.silence == 0);
    assert_true(e.stalls == 11500 * MU_MS);
    assert_true(e.down_in == 3 * MU_SEC);
    assert_true(e.last_stall == 9900 * MU_MS);
    rig_run(&r, 3 * MU_SEC);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_non_null(strstr(e.verdict, "down since"));
    assert_non_null(strstr(e.changes[0], "a beat makes it up"));
    rig_free(&r);
}

static void explanation_has_one_silence_where_nothing_stalled(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_explanation e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_sleep(&r, 2 * MU_SEC + 300 * MU_US); /* an earlier stall, which is over */
    rig_tick(&r);
    rig_live(&r, &s, 3 * MU_SEC);
    rig_run(&r, 1500 * MU_MS);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_true(e.stalls == 0);
    assert_true(e.silence == e.view.silence);
    rig_free(&r);
}

static void explanation_has_the_latest_beat_when_it_was_last_seen(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_explanation e;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_live(&r, &s, MU_SEC);
    mu_explain(r.c, 0, r.now, r.wall + 1, &e); /* it was read a moment later than the clock */
    assert_int_equal(e.beats_at[0], e.view.row.last_seen);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_is_true_and_told_after_its_commit),
        cmocka_unit_test(write_without_a_commit_is_unknown_and_may_come_true),
        cmocka_unit_test(write_that_fails_changes_nothing),
        cmocka_unit_test(who_is_gone_is_not_answered),
        cmocka_unit_test(snapshots_keep_a_write_that_waits),
        cmocka_unit_test(forced_down_shows_down_whatever_is_heard),
        cmocka_unit_test(explanation_of_a_force_tells_why_and_only_what_lifts_it),
        cmocka_unit_test(fence_is_told_by_the_stream_that_is_left),
        cmocka_unit_test(latest_stream_that_is_left_is_told),
        cmocka_unit_test(deleted_agent_that_lives_joins_anew),
        cmocka_unit_test(one_curl_is_an_agent),
        cmocka_unit_test(interval_asked_for_by_http_is_stored),
        cmocka_unit_test(beat_by_http_leaves_a_session_alone),
        cmocka_unit_test(beat_by_http_takes_the_name_of_a_silent_session),
        cmocka_unit_test(explanation_has_the_numbers_of_the_verdict),
        cmocka_unit_test(explanation_has_one_silence_where_nothing_stalled),
        cmocka_unit_test(explanation_has_the_latest_beat_when_it_was_last_seen),
    };
    return cmocka_run_group_tests_name("conductor_write", tests, NULL, NULL);
}
