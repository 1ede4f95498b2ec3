/* Joins: first ever, again, by another process, in storms, wrong ones. */
#include "lib/rig.h"

static void first_join_is_answered_after_its_commit(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct rig_event e;
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_open(&r, &s);
    agent.zone = rig_bytes("z1");
    agent.labels[0] = (struct mu_label){rig_bytes("switch"), rig_bytes("s\"1")};
    agent.labels[1] = (struct mu_label){rig_bytes("rack"), rig_bytes("r1")};
    agent.nlabels = 2;
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    assert_int_equal(r.nframes, 0);
    assert_int_equal(mu_roster_count(mu_conductor_roster(r.c)), 0);
    assert_int_equal(mu_roster_find(mu_conductor_roster(r.c), "b", "h"), MU_NO_SLOT);
    rig_commit(&r, 0);
    rig_joined(&r, &s);
    assert_int_equal(r.joined[0].rv, 0);
    assert_int_equal(r.joined[0].interval_ms, 1000);
    assert_int_equal(r.joined[0].down_ms, 3000);
    assert_int_equal(r.joined[0].lease_ms, 3000);
    assert_true(r.joined[0].incarnation == (UINT64_C(1) << 32 | 1));
    assert_int_equal(rig_count(&r, MU_KIND_JOINED, MU_WHY_JOINED, &e), 1);
    assert_string_equal(e.agent, "b@h");
    assert_string_equal(rig_view(&r, "h").row.labels, "{\"rack\":\"r1\",\"switch\":\"s\\\"1\"}");
    assert_string_equal(rig_view(&r, "h").row.zone, "z1");
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_OK);
    rig_free(&r);
}

static void join_waits_two_seconds_for_the_store_then_retries(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    r.store_away = true;
    rig_open(&r, &s);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    rig_run(&r, 1900 * MU_MS);
    assert_int_equal(r.nframes, 0);
    rig_run(&r, 100 * MU_MS);
    rig_joined(&r, &s);
    assert_int_equal(r.joined[0].rv, MU_EAGAIN);
    assert_true(r.joined[0].retry_ms > 0);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0); /* asked again: the first is still pending */
    assert_int_equal(r.joined[0].rv, MU_EAGAIN);
    rig_commit(&r, 0);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    assert_int_equal(r.joined[0].rv, 0);
    assert_int_equal(r.joined[0].incarnation & UINT32_MAX, 1);
    assert_int_equal(rig_count(&r, MU_KIND_JOINED, -1, NULL), 1);
    rig_free(&r);
}

static void join_that_cannot_be_stored_leaves_nothing(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_open(&r, &s);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    rig_commit(&r, MU_EIO);
    assert_int_equal(r.joined[0].rv, MU_EAGAIN);
    assert_int_equal(mu_roster_find_any(mu_conductor_roster(r.c), "b", "h"), MU_NO_SLOT);
    assert_true(mu_bus_floor(mu_conductor_bus(r.c)) == UINT64_MAX);
    r.refuse = true;
    rig_joined(&r, &s);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    assert_int_equal(r.joined[0].rv, MU_EAGAIN);
    assert_int_equal(mu_roster_find_any(mu_conductor_roster(r.c), "b", "h"), MU_NO_SLOT);
    rig_free(&r);
}

static void same_life_keeps_its_incarnation_and_another_begins_one(void **state)
{
    struct rig r;
    struct rig_sender a, b, c;
    uint8_t uuid[16];
    struct rig_event e;

    rig_setup(&r);
    rig_join(&r, &a, "h", 5);
    memcpy(uuid, r.joined[0].uuid, 16);
    rig_join(&r, &b, "h", 5);
    assert_memory_equal(r.joined[0].uuid, uuid, 16);
    assert_int_equal(r.joined[0].incarnation & UINT32_MAX, 1);
    assert_int_equal(r.nchanged, 1);
    assert_int_equal(rig_beat(&r, &a, 0), MU_ACK_REJOIN);
    rig_join(&r, &c, "h", 6);
    assert_memory_equal(r.joined[0].uuid, uuid, 16);
    assert_int_equal(r.joined[0].incarnation & UINT32_MAX, 2);
    assert_int_equal(rig_count(&r, MU_KIND_JOINED, MU_WHY_TAKEN_OVER, &e), 1);
    assert_int_equal(rig_beat(&r, &b, 0), MU_ACK_SUPERSEDED);
    assert_int_equal(rig_beat(&r, &c, 0), MU_ACK_OK);
    rig_free(&r);
}

static void ended_command_comes_back_as_a_new_life(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;
    struct mu_join_agent agent = rig_agent("h");
    struct mu_msg ended = {.type = MU_MSG_ENDED, .ended = {.id = 1, .how = MU_ENDED_EXITED}};

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_frame(&r, &s, &ended), 0);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    assert_int_equal(r.joined[0].rv, 0);
    assert_int_equal(r.joined[0].index, 1);
    assert_int_equal(r.joined[0].incarnation & UINT32_MAX, 2);
    assert_int_equal(rig_moves(&r, MU_UP, &e), 1);
    assert_int_equal(e.reason, MU_WHY_JOINED);
    assert_int_equal(rig_beat(&r, &s, 0), MU_ACK_REJOIN);
    assert_int_equal(rig_beat(&r, &s, 1), MU_ACK_OK);
    rig_free(&r);
}

static void restart_of_a_crashing_agent_is_no_contest(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_setup(&r);
    for (uint64_t life = 1; life <= 20; life++) {
        rig_join(&r, &s, "h", life);
        rig_run(&r, 500 * MU_MS);
        rig_beat(&r, &s, 0);
        mu_intake_closed(r.c, s.conn, true, r.now);
    }
    assert_int_equal(rig_count(&r, MU_KIND_JOINED, MU_WHY_CONTESTED, NULL), 0);
    rig_free(&r);
}

static void two_living_processes_of_one_name_are_told_apart(void **state)
{
    struct rig r;
    struct rig_sender a, b;
    struct rig_event e;
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_join(&r, &a, "h", 1);
    for (int i = 0; i < 2; i++) { /* each is restarted as soon as it hears that it was superseded */
        rig_join(&r, &b, "h", 10 + (uint64_t)i);
        assert_int_equal(rig_beat(&r, &a, 0), MU_ACK_SUPERSEDED);
        a = b;
        rig_run(&r, 500 * MU_MS);
        assert_int_equal(rig_beat(&r, &a, 0), MU_ACK_OK);
    }
    for (int i = 0; i < 3; i++) {
        memset(&b, 0, sizeof(b));
        b.start_id = 20 + (uint64_t)i;
        rig_open(&r, &b);
        assert_int_equal(rig_ask(&r, &b, &agent, 1), 0);
        assert_int_equal(r.joined[0].rv, MU_EEXIST);
    }
    assert_int_equal(rig_count(&r, MU_KIND_JOINED, MU_WHY_CONTESTED, &e), 1);
    assert_non_null(strstr(e.text, "10.0.0.3:1"));
    assert_non_null(strstr(e.text, "10.0.0.4:1"));
    assert_int_equal(rig_beat(&r, &a, 0), MU_ACK_OK);
    rig_run(&r, 5 * MU_SEC); /* the holder dies */
    rig_join(&r, &b, "h", 30);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    rig_free(&r);
}

/* None of them beats again: they are told on their streams. */
static void restarts_at_once_fight_no_longer_than_it_takes_to_see(void **state)
{
    struct rig r;
    struct rig_sender a, b;
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_join(&r, &a, "h", 1);
    for (uint64_t i = 0; i < 2; i++) {
        rig_join(&r, &b, "h", 10 + i);
        mu_intake_closed(r.c, a.conn, true, r.now);
        a = b;
        rig_run(&r, 100 * MU_MS);
    }
    b = (struct rig_sender){.start_id = 99};
    rig_open(&r, &b);
    for (int i = 0; i < 100; i++) { /* for as long as they like, the holder keeps the name */
        assert_int_equal(rig_beat(&r, &a, 0), MU_ACK_OK);
        assert_int_equal(rig_ask(&r, &b, &agent, 1), 0);
        assert_int_equal(r.joined[0].rv, MU_EEXIST);
        rig_run(&r, MU_SEC);
    }
    assert_int_equal(rig_count(&r, MU_KIND_JOINED, MU_WHY_CONTESTED, NULL), 1);
    rig_free(&r);
}

static void wrong_joins_get_one_clear_error(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct mu_join_agent agent = rig_agent("h");
    struct mu_msg msg = {.type = MU_MSG_JOIN,
                         .join = {.version = 2, .start_id = 5, .n = 1, .agents = &agent}};

    rig_init(&r);
    strcpy(r.config.token, "right");
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_open(&r, &s);
    assert_int_equal(rig_frame(&r, &s, &msg), MU_EVERSION);
    assert_int_equal(r.msg.type, MU_MSG_ERROR);
    msg.join.version = 1;
    msg.join.token = rig_bytes("wrong");
    assert_int_equal(rig_frame(&r, &s, &msg), MU_EPERM);
    assert_int_equal(r.msg.error.rv, MU_EPERM);
    msg.join.token = rig_bytes("righ");
    assert_int_equal(rig_frame(&r, &s, &msg), MU_EPERM);
    msg.join.token = rig_bytes("right");
    msg.join.session = 77;
    assert_int_equal(rig_frame(&r, &s, &msg), MU_ENOENT);
    msg.join.session = 0;
    msg.join.start_id = 0;
    assert_int_equal(rig_frame(&r, &s, &msg), MU_EPROTO);
    msg.join.start_id = 5;
    assert_int_equal(rig_frame(&r, &s, &msg), 0);
    assert_int_equal(rig_frame(&r, &s, &msg), MU_EPROTO); /* one is pending */
    mu_conductor_drain(r.c);
    assert_int_equal(rig_frame(&r, &s, &msg), MU_EAGAIN);
    assert_int_equal(rig_count(&r, MU_KIND_CONDUCTOR, MU_WHY_STOPPED, NULL), 1);
    rig_free(&r);
}

static void wrong_agents_are_refused_one_by_one(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct mu_join_agent agents[6];

    rig_setup(&r);
    rig_open(&r, &s);
    for (size_t i = 0; i < MU_ARRAY_LEN(agents); i++)
        agents[i] = rig_agent("h");
    agents[1].host = rig_bytes("a/b");
    agents[2].zone = rig_bytes("a\nb");
    agents[3].payload = rig_bytes("{\"a\":}");
    agents[3].host = rig_bytes("h3");
    agents[4].host = rig_bytes("h4");
    agents[4].labels[0] = (struct mu_label){rig_bytes("ra\nck"), rig_bytes("r1")};
    agents[4].nlabels = 1;
    /* and the last is the first once more */
    assert_int_equal(rig_ask(&r, &s, agents, MU_ARRAY_LEN(agents)), 0);
    rig_commit(&r, 0);
    rig_joined(&r, &s);
    assert_int_equal(r.joined[0].rv, 0);
    for (size_t i = 1; i < MU_ARRAY_LEN(agents); i++) {
        assert_int_equal(r.joined[i].rv, MU_EINVAL);
        assert_true(r.joined[i].text.n > 0);
    }
    assert_int_equal(mu_roster_count(mu_conductor_roster(r.c)), 1);
    rig_free(&r);
}

static void agents_are_added_to_an_attached_session(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_join_agent agents[3] = {rig_agent("h"), rig_agent("i"), rig_agent("k")};
    uint64_t id;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    id = s.id;
    assert_int_equal(rig_ask(&r, &s, agents + 1, 2), 0);
    rig_commit(&r, 0);
    rig_joined(&r, &s);
    assert_true(s.id == id);
    assert_int_equal(r.joined[0].index, 1);
    assert_int_equal(r.joined[1].index, 2);
    assert_int_equal(rig_ask(&r, &s, agents, 1), 0); /* it has one already: the same */
    assert_int_equal(r.joined[0].index, 0);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(rig_beat(&r, &s, i), MU_ACK_OK);
    rig_free(&r);
}

static void session_without_indexes_is_followed_by_another(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_rows rows;
    struct mu_join_agent agents[2] = {rig_agent("h"), rig_agent("i")};
    struct mu_ack ack;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_save(&r, &rows);
    rows.row[0].index = (1u << 20) - 2;
    rig_restart(&r, &rows);
    s.epoch++;
    rig_open(&r, &s);
    assert_int_equal(rig_attach(&r, &s, &ack), 0);
    assert_int_equal(rig_ask(&r, &s, agents, 2), MU_ENOENT);
    assert_int_equal(r.msg.type, MU_MSG_ERROR);
    assert_int_equal(r.msg.error.rv, MU_ENOENT);
    rig_hangup(&r, &s);
    rig_open(&r, &s);
    s.id = 0;
    assert_int_equal(rig_ask(&r, &s, agents, 2), 0);
    rig_commit(&r, 0);
    rig_joined(&r, &s);
    assert_int_equal(r.joined[0].rv, 0);
    assert_int_equal(r.joined[1].rv, 0);
    assert_int_equal(r.joined[1].index, 1);
    rig_free(&r);
}

static void fleet_has_a_bound(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_join_agent agents[2] = {rig_agent("i"), rig_agent("k")};

    rig_init(&r);
    r.config.max_agents = 2;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_ask(&r, &s, agents, 2), 0);
    rig_commit(&r, 0);
    assert_int_equal(r.joined[0].rv, 0);
    assert_int_equal(r.joined[1].rv, MU_EFULL);
    rig_free(&r);
}

static void write_that_waits_takes_nobodys_place(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_init(&r);
    r.config.max_agents = 2;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(rig_write(&r, "h", MU_OP_DISABLE, ""), 0);
    rig_join(&r, &s, "i", 6);
    rig_free(&r);
}

static void join_that_is_refused_uses_up_nothing(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_open(&r, &s);
    r.refuse = true;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
        rig_joined(&r, &s);
        assert_int_equal(r.joined[0].rv, MU_EAGAIN);
    }
    r.refuse = false;
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    rig_commit(&r, 0);
    assert_int_equal(r.joined[0].rv, 0);
    assert_int_equal(r.joined[0].index, 0);
    assert_int_equal(rig_view(&r, "h").row.id, 1);
    rig_free(&r);
}

static void storm_is_spread_and_waiting_counts_as_heard(void **state)
{
    struct rig r;
    struct rig_sender s, late = {.start_id = 9};
    struct mu_join_agent agents[3] = {rig_agent("n1"), rig_agent("n2"), rig_agent("h")};

    rig_init(&r);
    r.config.join_rate = 4;
    assert_int_equal(rig_new(&r), 0);
    rig_begin(&r);
    rig_join(&r, &s, "h", 5);
    rig_run(&r, 2900 * MU_MS);
    rig_open(&r, &late);
    assert_int_equal(rig_ask(&r, &late, agents, 3), 0);
    rig_commit(&r, 0);
    assert_int_equal(r.joined[0].rv, 0);
    assert_int_equal(r.joined[1].rv, MU_EAGAIN);
    assert_int_equal(r.joined[2].rv, MU_EAGAIN);
    assert_true(r.joined[1].retry_ms >= 75);
    assert_true(r.joined[2].retry_ms >= 75 && r.joined[2].retry_ms <= 1000);
    rig_run(&r, 2900 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_DOWN, NULL), 0);
    rig_free(&r);
}

static void interval_is_clamped_to_what_the_down_time_allows(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_open(&r, &s);
    agent.interval_ms = 60000;
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    rig_commit(&r, 0);
    assert_int_equal(r.joined[0].interval_ms, 1200);
    rig_free(&r);
}

static void payload_without_room_is_asked_for_again(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct mu_join_agent agent = rig_agent("h");
    struct mu_msg report = {.type = MU_MSG_REPORT,
                            .report = {.id = 3, .payload = rig_bytes("{\"load\":1}")}};

    rig_setup(&r);
    rig_open(&r, &s);
    agent.payload = rig_bytes("{}");
    r.payload_full = true;
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    assert_int_equal(r.joined[0].rv, MU_EAGAIN);
    r.payload_full = false;
    rig_joined(&r, &s);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    rig_commit(&r, 0);
    assert_int_equal(r.joined[0].rv, 0);
    assert_int_equal(rig_frame(&r, &s, &report), 0); /* at most one an interval */
    assert_int_equal(r.msg.done.rv, MU_EAGAIN);
    assert_true(r.msg.done.retry_ms > 900 && r.msg.done.retry_ms <= 1000);
    rig_run(&r, MU_SEC);
    r.payload_full = true;
    assert_int_equal(rig_frame(&r, &s, &report), 0);
    assert_int_equal(r.msg.done.rv, MU_EAGAIN);
    r.payload_full = false;
    assert_int_equal(rig_frame(&r, &s, &report), 0);
    rig_commit(&r, 0);
    assert_int_equal(r.msg.done.rv, 0);
    assert_int_equal(rig_view(&r, "h").payload_len, 10);
    report.report.payload = rig_bytes("{");
    rig_run(&r, MU_SEC);
    assert_int_equal(rig_frame(&r, &s, &report), 0);
    assert_int_equal(r.msg.done.rv, MU_EINVAL);
    report.report.index = 9;
    assert_int_equal(rig_frame(&r, &s, &report), 0);
    assert_int_equal(r.msg.done.rv, MU_ENOENT);
    rig_free(&r);
}

static struct mu_msg a_report(uint32_t id, const char *json)
{
    return (struct mu_msg){.type = MU_MSG_REPORT, .report = {.id = id, .payload = rig_bytes(json)}};
}

/* Sends it and returns how many frames came back; the last is in r->msg. */
static size_t answers(struct rig *r, struct rig_sender *s, struct mu_msg report)
{
    size_t before = r->nframes;

    assert_int_equal(rig_frame(r, s, &report), 0);
    return r->nframes - before;
}

/* It is alive, whatever the store has no room for. */
static void report_that_has_not_changed_is_not_stored_again(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct rig_rows rows;
    struct mu_join_agent agent = rig_agent("h");
    struct mu_ack ack;

    rig_setup(&r);
    rig_open(&r, &s);
    agent.payload = rig_bytes("{}");
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    rig_commit(&r, 0);
    rig_joined(&r, &s);
    assert_int_equal(answers(&r, &s, a_report(1, "{}")), 1); /* even within an interval */
    assert_int_equal(r.msg.done.rv, 0);
    assert_int_equal(r.npayloads, 0); /* it came with the row */
    rig_run(&r, MU_SEC);
    assert_int_equal(answers(&r, &s, a_report(2, "{\"load\":1}")), 0);
    rig_commit(&r, 0);
    assert_int_equal(answers(&r, &s, a_report(3, "{\"load\":1}")), 1);
    assert_int_equal(r.msg.done.rv, 0);
    assert_int_equal(r.npayloads, 1);
    rig_save(&r, &rows);
    rig_restart(&r, &rows); /* only its length is known now */
    s.epoch++;
    rig_open(&r, &s);
    assert_int_equal(rig_attach(&r, &s, &ack), 0);
    assert_int_equal(answers(&r, &s, a_report(4, "{\"load\":1}")), 0);
    assert_int_equal(r.npayloads, 2);
    rig_free(&r);
}

static void report_is_answered_when_it_is_stored(void **state)
{
    struct rig r;
    struct rig_sender s;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    r.store_away = true;
    rig_run(&r, MU_SEC);
    assert_int_equal(answers(&r, &s, a_report(6, "[6]")), 0);
    rig_run(&r, MU_SEC);
    assert_int_equal(answers(&r, &s, a_report(6, "[6]")), 0); /* a repeat waits, too */
    assert_int_equal(r.npayloads, 2);
    rig_commit(&r, 0);
    assert_int_equal(r.msg.type, MU_MSG_DONE);
    assert_int_equal(r.msg.done.id, 6);
    assert_int_equal(r.msg.done.rv, 0);
    rig_run(&r, MU_SEC);
    assert_int_equal(answers(&r, &s, a_report(7, "[7]")), 0);
    rig_commit(&r, MU_ECORRUPT);
    assert_int_equal(r.msg.done.id, 7);
    assert_int_equal(r.msg.done.rv, MU_EAGAIN);
    assert_int_equal(r.msg.done.retry_ms, 30000);
    rig_run(&r, MU_SEC);
    assert_int_equal(answers(&r, &s, a_report(8, "[7]")), 0); /* it is not there */
    rig_free(&r);
}

/* Places for millions of sessions would be made by it, or none be read for its index. */
static void session_that_never_was_is_passed_over_at_a_start(void **state)
{
    static const struct {
        uint64_t session;
        uint32_t index;
    } damaged[] = {{UINT32_MAX, 0}, {UINT64_MAX, 0}, {(uint64_t)3 << 32 | 1, 0}, {0, UINT32_MAX}};

    for (size_t i = 0; i < MU_ARRAY_LEN(damaged); i++) {
        struct rig r;
        struct rig_sender s;
        struct rig_rows rows;
        struct mu_row row;

        rig_setup(&r);
        rig_join(&r, &s, "h", 5);
        rig_save(&r, &rows);
        if (damaged[i].session)
            rows.row[0].session = damaged[i].session;
        rows.row[0].index = damaged[i].index;
        rig_restart(&r, &rows);
        assert_true(mu_roster_row(mu_conductor_roster(r.c), 0, &row));
        assert_int_equal(row.session, 0);
        s.epoch++;
        assert_int_equal(rig_beat(&r, &s, 0), -1);
        assert_int_equal(rig_state(&r, "h"), MU_UNKNOWN);
        rig_join(&r, &s, "h", 6);
        assert_int_equal(rig_state(&r, "h"), MU_UP);
        rig_free(&r);
    }
}

/* JOINED was said, and nobody waits for an answer who could send it again. */
static void report_of_a_join_that_is_refused_is_asked_for_again(void **state)
{
    struct rig r;
    struct rig_sender s, again = {.start_id = 6};
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    agent.payload = rig_bytes("[1]");
    rig_open(&r, &again);
    assert_int_equal(rig_ask(&r, &again, &agent, 1), 0);
    rig_joined(&r, &again);
    assert_int_equal(r.joined[0].rv, 0);
    assert_int_equal(rig_beat(&r, &again, 0), MU_ACK_OK);
    rig_commit(&r, MU_ECORRUPT);
    assert_int_equal(rig_beat(&r, &again, 0), MU_ACK_REJOIN);
    assert_int_equal(rig_ask(&r, &again, &agent, 1), 0);
    rig_joined(&r, &again);
    assert_int_equal(r.npayloads, 2);
    rig_commit(&r, 0);
    assert_int_equal(rig_beat(&r, &again, 0), MU_ACK_OK);
    rig_free(&r);
}

/* An answer finds no stream, or another agent in the place. */
static void late_answer_of_the_store_to_a_report_is_nobodys(void **state)
{
    struct rig r;
    struct rig_sender s, other;
    struct mu_reported late;
    size_t before;

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_run(&r, MU_SEC);
    assert_int_equal(answers(&r, &s, a_report(6, "[6]")), 0);
    late = r.report;
    r.report.row = 0;
    rig_hangup(&r, &s);
    assert_int_equal(rig_write(&r, "h", MU_OP_DELETE, ""), 0);
    rig_commit(&r, 0);
    rig_join(&r, &other, "other", 6);
    before = r.nframes;
    mu_conductor_reported(r.c, &late, 0, r.now);
    assert_int_equal(r.nframes, before);
    rig_run(&r, MU_SEC);
    assert_int_equal(answers(&r, &other, a_report(6, "[6]")), 0); /* not known as his */
    rig_free(&r);
}

static void waiting_for_room_counts_as_heard(void **state)
{
    struct rig r;
    struct rig_sender s, again = {.start_id = 6};
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_join(&r, &s, "h", 5);
    rig_hangup(&r, &s);
    agent.payload = rig_bytes("{}");
    r.payload_full = true;
    rig_open(&r, &again);
    for (int i = 0; i < 5; i++) {
        rig_run(&r, MU_SEC);
        assert_int_equal(rig_ask(&r, &again, &agent, 1), 0);
        rig_joined(&r, &again);
        assert_int_equal(r.joined[0].rv, MU_EAGAIN);
    }
    assert_int_equal(rig_moves(&r, MU_DOWN, NULL), 0);
    rig_run(&r, 3100 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_DOWN);
    rig_free(&r);
}

static void late_commit_answers_no_later_join(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct mu_join_agent first = rig_agent("h"), second = rig_agent("i");
    uint64_t ticket;

    rig_setup(&r);
    r.store_away = true;
    rig_open(&r, &s);
    assert_int_equal(rig_ask(&r, &s, &first, 1), 0);
    ticket = r.tickets[0];
    rig_run(&r, 2 * MU_SEC);
    rig_joined(&r, &s);
    assert_int_equal(r.joined[0].rv, MU_EAGAIN);
    assert_int_equal(rig_ask(&r, &s, &second, 1), 0);
    r.nframes = 0;
    mu_conductor_committed(r.c, ticket, 0, r.now);
    assert_int_equal(rig_state(&r, "h"), MU_UP);
    assert_int_equal(r.nframes, 0);
    mu_conductor_committed(r.c, r.tickets[1], 0, r.now);
    assert_int_equal(r.nframes, 1);
    assert_int_equal(r.joined[0].rv, 0);
    rig_free(&r);
}

static void stream_that_ends_before_its_answer_is_forgotten(void **state)
{
    struct rig r;
    struct rig_sender s = {.start_id = 5};
    struct mu_join_agent agent = rig_agent("h");

    rig_setup(&r);
    rig_open(&r, &s);
    assert_int_equal(rig_ask(&r, &s, &agent, 1), 0);
    rig_hangup(&r, &s);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(r.nframes, 0);
    assert_int_equal(rig_state(&r, "h"), MU_SUSPECT);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(r.joined[0].incarnation & UINT32_MAX, 1);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_join_is_answered_after_its_commit),
        cmocka_unit_test(join_waits_two_seconds_for_the_store_then_retries),
        cmocka_unit_test(join_that_cannot_be_stored_leaves_nothing),
        cmocka_unit_test(same_life_keeps_its_incarnation_and_another_begins_one),
        cmocka_unit_test(ended_command_comes_back_as_a_new_life),
        cmocka_unit_test(restart_of_a_crashing_agent_is_no_contest),
        cmocka_unit_test(two_living_processes_of_one_name_are_told_apart),
        cmocka_unit_test(restarts_at_once_fight_no_longer_than_it_takes_to_see),
        cmocka_unit_test(wrong_joins_get_one_clear_error),
        cmocka_unit_test(wrong_agents_are_refused_one_by_one),
        cmocka_unit_test(agents_are_added_to_an_attached_session),
        cmocka_unit_test(session_without_indexes_is_followed_by_another),
        cmocka_unit_test(fleet_has_a_bound),
        cmocka_unit_test(write_that_waits_takes_nobodys_place),
        cmocka_unit_test(join_that_is_refused_uses_up_nothing),
        cmocka_unit_test(storm_is_spread_and_waiting_counts_as_heard),
        cmocka_unit_test(interval_is_clamped_to_what_the_down_time_allows),
        cmocka_unit_test(payload_without_room_is_asked_for_again),
        cmocka_unit_test(report_that_has_not_changed_is_not_stored_again),
        cmocka_unit_test(report_is_answered_when_it_is_stored),
        cmocka_unit_test(session_that_never_was_is_passed_over_at_a_start),
        cmocka_unit_test(report_of_a_join_that_is_refused_is_asked_for_again),
        cmocka_unit_test(late_answer_of_the_store_to_a_report_is_nobodys),
        cmocka_unit_test(waiting_for_room_counts_as_heard),
        cmocka_unit_test(late_commit_answers_no_later_join),
        cmocka_unit_test(stream_that_ends_before_its_answer_is_forgotten),
    };
    return cmocka_run_group_tests_name("conductor_join", tests, NULL, NULL);
}
