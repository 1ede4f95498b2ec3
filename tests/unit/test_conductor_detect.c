/* Detectors that learn, in the conductor: what they learn from, when they forget, what a lease
 * promises. */
#include "lib/rig.h"

/* A conductor of 1 s / 30 s that judges by two-window, not before 4 s. */
static void set_up(struct rig *r)
{
    rig_init(r);
    r->policies.at[0].times = (struct mu_times){.interval = MU_SEC,
                                                .suspect = 2500 * MU_MS,
                                                .down = 30 * MU_SEC,
                                                .floor = 4 * MU_SEC,
                                                .phi = 8};
    r->policies.at[0].detector = MU_DETECT_TWO_WINDOW;
    assert_int_equal(rig_new(r), 0);
    rig_begin(r);
}

static struct mu_pulse pulse_of(struct rig *r, const char *host)
{
    const struct mu_roster *roster = mu_conductor_roster(r->c);
    struct mu_pulse pulse;

    mu_roster_pulse(roster, mu_roster_find(roster, "b", host), &pulse);
    return pulse;
}

static mu_dur down_after(struct rig *r, const char *host)
{
    struct mu_pulse pulse = pulse_of(r, host);

    return pulse.down_at - pulse.since;
}

static void steady_agent_is_down_after_the_floor(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct rig_event e;

    set_up(&r);
    rig_join(&r, &s, "h", 5);
    rig_live(&r, &s, (MU_DETECT_LEARNED - 1) * MU_SEC);
    assert_true(down_after(&r, "h") == 30 * MU_SEC); /* one gap too few */
    rig_live(&r, &s, MU_SEC);
    rig_run(&r, 1500 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_SUSPECT, &e), 1);
    assert_int_equal(e.evidence.threshold_ms, 1500);
    rig_run(&r, 2400 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_SUSPECT);
    rig_run(&r, 100 * MU_MS);
    assert_int_equal(rig_moves(&r, MU_DOWN, &e), 1);
    assert_int_equal(e.evidence.silence_ms, 4000);
    assert_int_equal(e.evidence.threshold_ms, 4000);
    rig_free(&r);
}

static void lease_promises_the_floor_alone(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_beat beat;
    struct mu_ack ack;
    uint8_t data[MU_DATAGRAM_MAX];

    set_up(&r);
    rig_join(&r, &s, "h", 5);
    assert_int_equal(r.joined[0].lease_ms, 4000);
    assert_int_equal(r.joined[0].down_ms, 30000);
    beat = rig_make_beat(&s, 0);
    assert_int_equal(rig_datagram(&r, &s, data, mu_seal_beat(s.key, &beat, data), 1, &ack),
                     MU_ACK_OK);
    assert_int_equal(ack.lease_ms, 4000);
    rig_free(&r);
}

static void new_life_is_learned_anew(void **state)
{
    struct rig r;
    struct rig_sender s, next;

    set_up(&r);
    rig_join(&r, &s, "h", 5);
    rig_live(&r, &s, 40 * MU_SEC);
    assert_true(down_after(&r, "h") == 4 * MU_SEC);
    rig_join(&r, &next, "h", 6);
    assert_true(down_after(&r, "h") == 30 * MU_SEC);
    rig_live(&r, &next, MU_DETECT_LEARNED * MU_SEC);
    assert_true(down_after(&r, "h") == 4 * MU_SEC);
    rig_free(&r);
}

static void another_detector_takes_nothing_over(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_policies other;
    const uint8_t nothing[MU_DETECT_STATE_MAX] = {0};

    set_up(&r);
    rig_join(&r, &s, "h", 5);
    rig_live(&r, &s, 40 * MU_SEC);
    other = r.policies;
    other.at[0].detector = MU_DETECT_PHI;
    other.at[0].times.phi = 2;
    mu_conductor_policies(r.c, &other, r.now);
    assert_string_equal(pulse_of(&r, "h").detector->name, "phi");
    assert_memory_equal(pulse_of(&r, "h").learned, nothing, sizeof(nothing));
    assert_true(down_after(&r, "h") == 30 * MU_SEC);
    rig_live(&r, &s, (MU_DETECT_LEARNED + 1) * MU_SEC);
    assert_int_equal(down_after(&r, "h") / MU_MS, 4605); /* 2 ln 10 s */
    rig_free(&r);
}

static void start_gives_a_full_down_time_whoever_judges(void **state)
{
    struct rig r;
    struct rig_rows rows;
    struct rig_sender s;

    set_up(&r);
    rig_join(&r, &s, "h", 5);
    rig_live(&r, &s, 40 * MU_SEC);
    rig_save(&r, &rows);
    rig_restart(&r, &rows);
    rig_run(&r, 29900 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_UNKNOWN);
    rig_run(&r, 200 * MU_MS);
    assert_int_equal(rig_state(&r, "h"), MU_DOWN);
    rig_free(&r);
}

static double number(const struct mu_explanation *e, const char *name)
{
    for (size_t i = 0; i < e->nnumbers; i++)
        if (strcmp(e->numbers[i].name, name) == 0)
            return e->numbers[i].value;
    fail_msg("no number \"%s\"", name);
    return 0;
}

static void explanation_has_the_numbers_of_the_detector(void **state)
{
    struct rig r;
    struct rig_sender s;
    struct mu_explanation e;

    set_up(&r);
    rig_join(&r, &s, "h", 5);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_string_equal(e.rule, "policy DEFAULT: suspect after 2.5s, down after 30s "
                                "of silence that we could hear");
    rig_live(&r, &s, 40 * MU_SEC);
    rig_run(&r, MU_SEC);
    mu_explain(r.c, 0, r.now, r.wall, &e);
    assert_string_equal(e.detector, "two-window");
    assert_string_equal(e.verdict, "up: heard 1s ago, suspect after 1.5s of silence");
    assert_string_equal(e.rule, "policy DEFAULT: suspect after 1.5s, down after 4s "
                                "of silence that we could hear");
    assert_true(e.suspect_after == 1500 * MU_MS && e.down_after == 4 * MU_SEC);
    assert_true(e.suspect_in == 500 * MU_MS && e.down_in == 3 * MU_SEC);
    assert_true(e.level == 0.25);
    assert_true(number(&e, "learned from") == 40);
    assert_true(number(&e, "mean gap") == 1);
    rig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady_agent_is_down_after_the_floor),
        cmocka_unit_test(lease_promises_the_floor_alone),
        cmocka_unit_test(new_life_is_learned_anew),
        cmocka_unit_test(another_detector_takes_nothing_over),
        cmocka_unit_test(start_gives_a_full_down_time_whoever_judges),
        cmocka_unit_test(explanation_has_the_numbers_of_the_detector),
    };
    return cmocka_run_group_tests_name("conductor_detect", tests, NULL, NULL);
}
