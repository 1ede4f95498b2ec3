#include "sim/scenario.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lib/faults.h"
#include "lib/test.h"
#include "sim/play.h"
#include "sim/tally.h"

static int parse(struct mu_scenario *sc, const char *text, struct mu_err *err)
{
    mu_scenario_init(sc);
    return mu_scenario_parse(sc, "x.scn", text, strlen(text), err);
}

static void every_act_is_read(void **state)
{
    struct mu_scenario sc;
    struct mu_err err = {0};

    (void)state;
    if (parse(&sc,
              "# a comment\n\n"
              "at 10s kill 3\r\n"
              "at 500ms pause 5 for 10s # another\n"
              "\tpartition zone=b for 20s\n"
              "at 11s loss 20% for 30s; delay 200ms rack=r3\n"
              "at 12s restart 10% zone=a tier=web\n"
              "at 1m leave all",
              &err))
        fail_msg("%s", err.text);
    assert_int_equal(sc.n, 7);
    assert_int_equal(sc.steps[0].act, MU_ACT_PAUSE);
    assert_int_equal(sc.steps[0].at, 500 * MU_MS);
    assert_int_equal(sc.steps[0].whom.count, 5);
    assert_int_equal(sc.steps[0].length, 10 * MU_SEC);
    assert_int_equal(sc.steps[1].act, MU_ACT_PARTITION);
    assert_int_equal(sc.steps[1].at, 500 * MU_MS); /* as the line before */
    assert_string_equal(sc.steps[1].whom.terms[0].key, "zone");
    assert_string_equal(sc.steps[1].whom.terms[0].value, "b");
    assert_int_equal(sc.steps[2].act, MU_ACT_KILL);
    assert_int_equal(sc.steps[2].whom.count, 3);
    assert_int_equal(sc.steps[3].act, MU_ACT_LOSS);
    assert_true(sc.steps[3].loss == 20);
    assert_int_equal(sc.steps[3].length, 30 * MU_SEC);
    assert_int_equal(sc.steps[4].act, MU_ACT_DELAY);
    assert_int_equal(sc.steps[4].delay, 200 * MU_MS);
    assert_true(sc.steps[4].length == MU_NEVER);
    assert_int_equal(sc.steps[5].act, MU_ACT_RESTART);
    assert_true(sc.steps[5].whom.percent == 10);
    assert_int_equal(sc.steps[5].whom.nterms, 2);
    assert_int_equal(sc.steps[6].act, MU_ACT_LEAVE);
    assert_int_equal(sc.steps[6].at, 60 * MU_SEC);
    mu_scenario_fini(&sc);
}

static void error_names_file_line_word_and_cure(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"at 1s\n",
         "x.scn:1: expected kill, restart, leave, pause, partition, loss or delay, but the "
         "line ends"},
        {"\nat soon kill 1", "x.scn:2: expected a time such as 10s or 500ms, not 'soon'"},
        {"at 1s kil 1", "x.scn:1: nothing is called 'kil'; did you mean 'kill'?"},
        {"explode 1",
         "x.scn:1: expected kill, restart, leave, pause, partition, loss or delay, not "
         "'explode'"},
        {"kill",
         "x.scn:1: expected whom: a number, a share such as 5%, 'all', or zone=NAME, but the "
         "line ends"},
        {"kill 0", "x.scn:1: expected whom: a number, a share such as 5%, 'all', or zone=NAME, not "
                   "'0'"},
        {"kill 3 for 10s", "x.scn:1: expected the end of the line, not 'for'"},
        {"kill +5%",
         "x.scn:1: expected whom: a number, a share such as 5%, 'all', or zone=NAME, not "
         "'+5%'"},
        {"kill 101%",
         "x.scn:1: expected whom: a number, a share such as 5%, 'all', or zone=NAME, not "
         "'101%'"},
        {"pause 3 10s", "x.scn:1: expected 'for TIME' or the end of the line, not '10s'"},
        {"pause 3 for", "x.scn:1: expected a time such as 10s or 500ms, but the line ends"},
        {"pause 3 for -1s", "x.scn:1: expected a time such as 10s or 500ms, not '-1s'"},
        {"pause 3 for 0s", "x.scn:1: 'for' takes a time above 0"},
        {"loss 20", "x.scn:1: expected a share such as 20%, not '20'"},
        {"delay rack=r1", "x.scn:1: expected a time such as 10s or 500ms, not 'rack=r1'"},
        {"kill =b", "x.scn:1: expected zone=NAME or LABEL=VALUE, each at most 63 bytes, not '=b'"},
    };

    (void)state;
    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_scenario sc;
        struct mu_err err = {0};

        assert_int_equal(parse(&sc, cases[i].text, &err), MU_EINVAL);
        assert_string_equal(err.text, cases[i].says);
        assert_int_equal(sc.n, 0);
        mu_scenario_fini(&sc);
    }
}

static void scripts_are_merged_in_order_of_time(void **state)
{
    struct mu_scenario sc;

    (void)state;
    assert_int_equal(parse(&sc, "at 10s kill 1\nat 30s kill 3", NULL), 0);
    assert_int_equal(mu_scenario_parse(&sc, "run", "at 20s kill 2", 13, NULL), 0);
    assert_int_equal(mu_scenario_parse(&sc, "run", "kill 9", 6, NULL), 0);
    assert_int_equal(sc.n, 4);
    assert_int_equal(sc.steps[0].whom.count, 9);
    for (unsigned i = 1; i < 4; i++)
        assert_int_equal(sc.steps[i].whom.count, i);
    mu_scenario_fini(&sc);
}

/* --- play ---------------------------------------------------------------------------------------
 */

#define N 100

struct scene {
    int on[N]; /* how often something began, less how often it ended */
    int begun[N];
    bool gone[N];
    mu_time at[N]; /* of the last beginning or end */
    struct mu_stage stage;
};

static bool may_take(void *ctx, uint32_t agent)
{
    return !((struct scene *)ctx)->gone[agent];
}

static const char *label(void *ctx, uint32_t agent, const char *key)
{
    (void)ctx;
    if (strcmp(key, "zone") == 0)
        return agent % 2 ? "b" : "a";
    return strcmp(key, "rack") == 0 ? (agent < 10 ? "r0" : "r1") : NULL;
}

static void on_begin(void *ctx, const struct mu_step *step, uint32_t agent, mu_time now)
{
    struct scene *scene = ctx;

    scene->on[agent]++;
    scene->begun[agent]++;
    scene->at[agent] = now;
    if (step->act == MU_ACT_KILL)
        scene->gone[agent] = true;
}

static void on_end(void *ctx, const struct mu_step *step, uint32_t agent, mu_time now)
{
    struct scene *scene = ctx;

    (void)step;
    scene->on[agent]--;
    scene->at[agent] = now;
}

static void set_scene(struct scene *scene)
{
    *scene = (struct scene){.stage = {scene, N, may_take, label, on_begin, on_end}};
}

static int sum(const int *v)
{
    int n = 0;

    for (int i = 0; i < N; i++)
        n += v[i];
    return n;
}

static void step_takes_as_many_as_it_says_each_once(void **state)
{
    struct scene scene;
    struct mu_scenario sc;
    struct mu_play *play;

    (void)state;
    set_scene(&scene);
    assert_int_equal(
        parse(&sc, "at 1s kill 30\nat 2s kill 30\nat 3s kill 50%\nat 4s kill 1000", NULL), 0);
    assert_int_equal(mu_play_new(&play, &sc, &scene.stage, 7, 0), 0);
    mu_play_advance(play, MU_SEC - 1);
    assert_int_equal(sum(scene.begun), 0);
    assert_int_equal(mu_play_due(play), MU_SEC);
    mu_play_advance(play, MU_SEC);
    assert_int_equal(sum(scene.begun), 30);
    mu_play_advance(play, 2 * MU_SEC);
    assert_int_equal(sum(scene.begun), 60);
    mu_play_advance(play, 3 * MU_SEC);
    assert_int_equal(sum(scene.begun), 80);
    mu_play_advance(play, 9 * MU_SEC);
    for (int i = 0; i < N; i++)
        assert_int_equal(scene.begun[i], 1); /* nobody dies twice */
    assert_true(mu_play_due(play) == MU_NEVER);
    mu_play_free(play);
    mu_scenario_fini(&sc);
}

static void what_lasts_ends_for_those_whom_it_took(void **state)
{
    struct scene scene;
    struct mu_scenario sc;
    struct mu_play *play;

    (void)state;
    set_scene(&scene);
    assert_int_equal(parse(&sc,
                           "at 1s partition zone=b for 10s\nat 2s pause 5 rack=r0 for 3s\n"
                           "at 3s delay 1s rack=r0",
                           NULL),
                     0);
    assert_int_equal(mu_play_new(&play, &sc, &scene.stage, 7, 100 * MU_SEC), 0);
    mu_play_advance(play, 101 * MU_SEC);
    for (int i = 0; i < N; i++)
        assert_int_equal(scene.on[i], i % 2);
    mu_play_advance(play, 102 * MU_SEC);
    assert_int_equal(sum(scene.on), 55);
    mu_play_advance(play, 103 * MU_SEC);
    assert_int_equal(sum(scene.on), 65);
    mu_play_advance(play, 105 * MU_SEC);
    assert_int_equal(sum(scene.on), 60);
    mu_play_advance(play, 111 * MU_SEC);
    for (int i = 0; i < N; i++)
        assert_int_equal(scene.on[i], i < 10); /* the delay lasts to the end */
    assert_true(mu_play_due(play) == MU_NEVER);
    mu_play_free(play);
    mu_scenario_fini(&sc);
}

static void seed_decides_who_is_taken(void **state)
{
    struct scene a, b, c;
    struct scene *scenes[] = {&a, &b, &c};
    struct mu_scenario sc;

    (void)state;
    assert_int_equal(parse(&sc, "kill 20", NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        struct mu_play *play;
        set_scene(scenes[i]);
        assert_int_equal(mu_play_new(&play, &sc, &scenes[i]->stage, i == 2 ? 8 : 7, 0), 0);
        mu_play_advance(play, 0);
        mu_play_free(play);
    }
    assert_memory_equal(a.begun, b.begun, sizeof(a.begun));
    assert_memory_not_equal(a.begun, c.begun, sizeof(a.begun));
    mu_scenario_fini(&sc);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    FOR_EACH_FAULT (n) {
        struct scene scene;
        struct mu_scenario sc;
        struct mu_play *play;
        struct mu_tally *tally;
        int rv = parse(&sc, "kill 1\npause 2 for 1s", NULL);

        FAULT_CHECK(rv);
        set_scene(&scene);
        if (rv == 0) {
            rv = mu_play_new(&play, &sc, &scene.stage, 1, 0);
            FAULT_CHECK(rv);
            if (rv == 0) {
                mu_play_advance(play, 5 * MU_SEC);
                assert_true(mu_play_due(play) == MU_NEVER);
                mu_play_free(play);
            }
        }
        rv = mu_tally_new(&tally, N);
        FAULT_CHECK(rv);
        if (rv == 0)
            mu_tally_free(tally);
        mu_scenario_fini(&sc);
    }
}

/* --- tally --------------------------------------------------------------------------------------
 */

static void deaths_are_found_late_or_missed(void **state)
{
    struct mu_tally *tally;
    struct mu_report r;

    (void)state;
    assert_int_equal(mu_tally_new(&tally, N), 0);
    for (uint32_t i = 0; i < 100; i++)
        mu_tally_begin(tally, MU_ACT_KILL, i, 10 * MU_SEC);
    for (uint32_t i = 0; i < 99; i++) {
        mu_tally_heard(tally, i, MU_SUSPECT, -1, 10 * MU_SEC + 20 * MU_MS);
        mu_tally_heard(tally, i, MU_DOWN, (3000 + i) * MU_MS, 13 * MU_SEC + i * MU_MS);
        mu_tally_heard(tally, i, MU_DOWN, 0, 50 * MU_SEC); /* said again: counts once */
    }
    assert_int_equal(mu_tally_open(tally), 1);
    mu_tally_report(tally, &r);
    assert_int_equal(r.deaths, 100);
    assert_int_equal(r.found, 99);
    assert_int_equal(r.missed, 1);
    assert_int_equal(mu_tally_missed(tally, 0), 99);
    assert_int_equal(mu_tally_missed(tally, 1), UINT32_MAX);
    assert_int_equal(r.false_downs, 0);
    assert_int_equal(r.down.n, 99);
    assert_int_equal(r.down.p50, 3049 * MU_MS);
    assert_int_equal(r.down.p99, 3098 * MU_MS);
    assert_int_equal(r.down.max, 3098 * MU_MS);
    assert_int_equal(r.silence.max, 3098 * MU_MS);
    assert_int_equal(r.suspect.max, 20 * MU_MS);
    assert_int_equal(r.heard[MU_DOWN], 198);
    mu_tally_free(tally);
}

static void down_is_false_of_who_was_neither_dead_nor_silent(void **state)
{
    struct mu_tally *tally;
    struct mu_report r;

    (void)state;
    assert_int_equal(mu_tally_new(&tally, N), 0);
    mu_tally_begin(tally, MU_ACT_PAUSE, 1, 0);
    mu_tally_begin(tally, MU_ACT_PARTITION, 1, 0);
    mu_tally_end(tally, MU_ACT_PAUSE, 1, 10 * MU_SEC);
    mu_tally_heard(tally, 1, MU_DOWN, 0, 20 * MU_SEC); /* still cut off */
    mu_tally_end(tally, MU_ACT_PARTITION, 1, 30 * MU_SEC);
    mu_tally_heard(tally, 1, MU_DOWN, 0, 30 * MU_SEC + 900 * MU_MS); /* was on its way */
    mu_tally_report(tally, &r);
    assert_int_equal(r.excused_downs, 2);
    assert_int_equal(r.false_downs, 0);
    mu_tally_heard(tally, 1, MU_DOWN, 0, 40 * MU_SEC);
    mu_tally_begin(tally, MU_ACT_LOSS, 2, 0);
    mu_tally_heard(tally, 2, MU_DOWN, 0, 40 * MU_SEC); /* loss is to be borne */
    mu_tally_heard(tally, 3, MU_SUSPECT, 0, 40 * MU_SEC);
    mu_tally_heard(tally, 2, MU_SUSPECT, 0, 40 * MU_SEC);
    mu_tally_report(tally, &r);
    assert_int_equal(r.false_downs, 2);
    assert_int_equal(mu_tally_false(tally, 0), 1);
    assert_int_equal(mu_tally_false(tally, 1), 2);
    assert_int_equal(mu_tally_false(tally, 2), UINT32_MAX);
    assert_int_equal(r.false_suspects, 1);
    mu_tally_free(tally);
}

static void who_leaves_is_counted_when_told(void **state)
{
    struct mu_tally *tally;
    struct mu_report r;

    (void)state;
    assert_int_equal(mu_tally_new(&tally, N), 0);
    mu_tally_begin(tally, MU_ACT_LEAVE, 1, 0);
    mu_tally_begin(tally, MU_ACT_LEAVE, 2, 0);
    mu_tally_heard(tally, 1, MU_LEFT, -1, MU_SEC);
    mu_tally_heard(tally, 3, MU_LEFT, -1, MU_SEC);
    mu_tally_report(tally, &r);
    assert_int_equal(r.leaves, 2);
    assert_int_equal(r.left, 1);
    mu_tally_free(tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_act_is_read),
        cmocka_unit_test(error_names_file_line_word_and_cure),
        cmocka_unit_test(scripts_are_merged_in_order_of_time),
        cmocka_unit_test(step_takes_as_many_as_it_says_each_once),
        cmocka_unit_test(what_lasts_ends_for_those_whom_it_took),
        cmocka_unit_test(seed_decides_who_is_taken),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(deaths_are_found_late_or_missed),
        cmocka_unit_test(down_is_false_of_who_was_neither_dead_nor_silent),
        cmocka_unit_test(who_leaves_is_counted_when_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
