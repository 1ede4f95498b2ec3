/* The shipped agents against the shipped conductor, in virtual time: the rules that never bend,
 * over many seeds. A failure prints the seed. */
#include "lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "sim/world.h"

#define AGENTS 40

/* How many histories a property is tried on; ./dev soak asks for more. */
static uint64_t seeds(void)
{
    return getenv("MUSTER_SOAK") ? 300 : 12;
}

static const struct mu_times quick = {.interval = MU_SEC, .suspect = 0, .down = 3 * MU_SEC};

static struct mu_world *world_of(uint64_t seed, uint32_t agents, struct mu_link link)
{
    struct mu_world_config config = {.seed = seed, .agents = agents, .times = quick, .link = link};
    struct mu_world *w = NULL;

    print_message("# seed %llu\n", (unsigned long long)seed);
    assert_int_equal(mu_world_new(&w, &config), 0);
    return w;
}

static void run(struct mu_world *w, mu_dur dur)
{
    assert_int_equal(mu_world_run(w, dur), 0);
}

static const struct mu_link lan = {.delay = 300 * MU_US, .jitter = MU_MS};

static void all_are(struct mu_world *w, uint32_t agents, enum mu_state state)
{
    for (uint32_t i = 0; i < agents; i++)
        if (mu_world_shown(w, i) != state)
            fail_msg("agent %u is %s, not %s", i, mu_state_text(mu_world_shown(w, i)),
                     mu_state_text(state));
}

/* The first event that takes @agent to @to after @since; NULL = none. */
static const struct mu_seen *went(struct mu_world *w, uint32_t agent, enum mu_state to,
                                  mu_time since)
{
    size_t n;
    const struct mu_seen *seen = mu_world_seen(w, &n);

    for (size_t i = 0; i < n; i++)
        if (seen[i].agent == agent && seen[i].kind == MU_KIND_STATE && seen[i].to == to &&
            seen[i].at >= since)
            return &seen[i];
    return NULL;
}

static size_t moves_to(struct mu_world *w, enum mu_state to, mu_time since)
{
    size_t n, count = 0;
    const struct mu_seen *seen = mu_world_seen(w, &n);

    for (size_t i = 0; i < n; i++)
        count += seen[i].kind == MU_KIND_STATE && seen[i].to == to && seen[i].at >= since;
    return count;
}

static void world_healthy_fleet_moves_nothing(void **state)
{
    (void)state;
    struct mu_world *w = world_of(1, AGENTS, lan);
    run(w, 5 * MU_SEC);
    all_are(w, AGENTS, MU_UP);
    mu_time settled = mu_world_now(w);
    run(w, 600 * MU_SEC);
    all_are(w, AGENTS, MU_UP);
    for (enum mu_state to = MU_UP; to < MU_STATES; to++)
        assert_int_equal(moves_to(w, to, settled), 0);
    assert_int_equal(mu_world_joins(w), AGENTS);
    mu_world_free(w);
}

static void world_lost_host_is_suspect_and_down_on_time(void **state)
{
    (void)state;
    struct mu_world *w = world_of(2, AGENTS, lan);
    run(w, 7 * MU_SEC);
    for (uint32_t i = 0; i < 10; i++) {
        run(w, 137 * MU_MS);
        mu_time died = mu_world_now(w);
        mu_world_kill(w, i, true);
        run(w, 5 * MU_SEC);
        const struct mu_seen *suspect = went(w, i, MU_SUSPECT, died);
        const struct mu_seen *down = went(w, i, MU_DOWN, died);
        assert_non_null(suspect);
        assert_non_null(down);
        assert_true(down->at - died <= 3 * MU_SEC + 150 * MU_MS);
        assert_int_equal(down->reason, MU_WHY_SILENCE);
        assert_int_equal(down->evidence.threshold_ms, 3000);
        assert_in_range(down->evidence.silence_ms, 3000, 3150);
        assert_in_range(suspect->evidence.silence_ms, 2400, 2550);
    }
    assert_int_equal(moves_to(w, MU_DOWN, 0), 10);
    assert_int_equal(mu_world_false_downs(w), 0);
    mu_world_free(w);
}

static void world_killed_process_is_suspect_at_once(void **state)
{
    (void)state;
    struct mu_world *w = world_of(3, AGENTS, lan);
    run(w, 7 * MU_SEC);
    mu_time died = mu_world_now(w);
    mu_world_kill(w, 7, false);
    run(w, 6 * MU_SEC);
    const struct mu_seen *suspect = went(w, 7, MU_SUSPECT, died);
    assert_non_null(suspect);
    assert_true(suspect->at - died <= 110 * MU_MS);
    assert_int_equal(suspect->reason, MU_WHY_STREAM_CLOSED);
    const struct mu_seen *down = went(w, 7, MU_DOWN, died);
    assert_non_null(down);
    assert_true(down->at - died <= 3 * MU_SEC + 150 * MU_MS);
    assert_int_equal(moves_to(w, MU_SUSPECT, 0), 1);
    mu_world_free(w);
}

static void world_leaving_raises_no_alarm(void **state)
{
    (void)state;
    struct mu_world *w = world_of(4, AGENTS, lan);
    run(w, 7 * MU_SEC);
    assert_int_equal(mu_world_leave(w, 3), 0);
    run(w, 10 * MU_SEC);
    assert_int_equal(mu_world_shown(w, 3), MU_LEFT);
    assert_int_equal(moves_to(w, MU_DOWN, 0), 0);
    assert_int_equal(moves_to(w, MU_SUSPECT, 0), 0);
    mu_world_free(w);
}

static void world_loss_kills_nobody(void **state)
{
    (void)state;
    struct mu_link bad = {.loss = 0.2, .twice = 0.1, .delay = 20 * MU_MS, .jitter = 150 * MU_MS};
    for (uint64_t seed = 100; seed < 100 + seeds(); seed++) {
        struct mu_world *w = world_of(seed, AGENTS, lan);
        run(w, 5 * MU_SEC);
        for (uint32_t i = 0; i < AGENTS; i++)
            mu_world_link(w, i, &bad);
        run(w, 180 * MU_SEC);
        assert_int_equal(mu_world_false_downs(w), 0);
        mu_world_free(w);
    }
}

static void world_falls_back_before_death_and_returns(void **state)
{
    (void)state;
    struct mu_link deaf = lan;
    struct mu_world *w = world_of(5, AGENTS, lan);
    run(w, 5 * MU_SEC);
    deaf.no_udp = true;
    for (uint32_t i = 0; i < AGENTS; i++)
        mu_world_link(w, i, &deaf);
    mu_time since = mu_world_now(w);
    run(w, 60 * MU_SEC);
    assert_int_equal(moves_to(w, MU_DOWN, since), 0);
    assert_int_equal(moves_to(w, MU_SUSPECT, since), 0);
    for (uint32_t i = 0; i < AGENTS; i++)
        assert_true(mu_world_on_stream(w, i));
    for (uint32_t i = 0; i < AGENTS; i++)
        mu_world_link(w, i, &lan);
    run(w, 40 * MU_SEC);
    for (uint32_t i = 0; i < AGENTS; i++)
        assert_false(mu_world_on_stream(w, i));
    mu_world_free(w);
}

static void world_lost_answers_kill_nobody(void **state)
{
    (void)state;
    struct mu_link mute = lan;
    struct mu_world *w = world_of(6, AGENTS, lan);
    mute.cut_down = true;
    run(w, 5 * MU_SEC);
    for (uint32_t i = 0; i < AGENTS; i++)
        mu_world_link(w, i, &mute);
    run(w, 120 * MU_SEC);
    assert_int_equal(mu_world_false_downs(w), 0);
    mu_world_free(w);
}

static void world_partition_is_down_and_heals(void **state)
{
    (void)state;
    struct mu_link cut = {.cut_up = true, .cut_down = true};
    struct mu_world *w = world_of(7, AGENTS, lan);
    run(w, 5 * MU_SEC);
    for (uint32_t i = 0; i < 5; i++)
        mu_world_link(w, i, &cut);
    run(w, 20 * MU_SEC);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(mu_world_shown(w, i), MU_DOWN);
        mu_world_link(w, i, &lan);
    }
    run(w, 10 * MU_SEC);
    all_are(w, AGENTS, MU_UP);
    assert_int_equal(mu_world_false_downs(w), 5);
    mu_world_free(w);
}

/* Rule 2: a conductor that stood still for 5, 30, 90 s kills nobody, says that it stood still, and
 * finds the one that died meanwhile within his full down time. */
static void world_stall_kills_nobody(void **state)
{
    (void)state;
    const int lengths[] = {1, 5, 30, 90};
    for (size_t k = 0; k < 4; k++)
        for (uint64_t seed = 200; seed < 203; seed++) {
            struct mu_world *w = world_of(seed, AGENTS, lan);
            run(w, 7 * MU_SEC + (mu_dur)(seed % 10) * 77 * MU_MS);
            mu_dur length = lengths[k] * MU_SEC;
            mu_world_stall(w, length);
            run(w, length / 2);
            mu_world_kill(w, 11, true);
            run(w, length - length / 2);
            mu_time resumed = mu_world_now(w);
            run(w, 10 * MU_SEC);
            assert_int_equal(mu_world_false_downs(w), 0);
            const struct mu_seen *down = went(w, 11, MU_DOWN, 0);
            assert_non_null(down);
            assert_true(down->at <= resumed + 3 * MU_SEC + 150 * MU_MS);
            size_t n, told = 0;
            const struct mu_seen *seen = mu_world_seen(w, &n);
            for (size_t i = 0; i < n; i++)
                told += seen[i].kind == MU_KIND_CONDUCTOR && seen[i].reason == MU_WHY_STALLED;
            assert_int_equal(told, 1);
            mu_world_free(w);
        }
}

static void world_stall_with_a_small_socket_kills_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 300; seed < 300 + seeds(); seed++) {
        struct mu_world_config config = {
            .seed = seed, .agents = AGENTS, .times = quick, .link = lan, .socket_max = 10};
        struct mu_world *w = NULL;
        assert_int_equal(mu_world_new(&w, &config), 0);
        run(w, 7 * MU_SEC);
        mu_world_stall(w, 30 * MU_SEC);
        run(w, 60 * MU_SEC);
        assert_int_equal(mu_world_false_downs(w), 0);
        all_are(w, AGENTS, MU_UP);
        mu_world_free(w);
    }
}

static void world_suspend_kills_nobody(void **state)
{
    (void)state;
    struct mu_world *w = world_of(8, AGENTS, lan);
    run(w, 7 * MU_SEC);
    mu_world_suspend(w, 3600 * MU_SEC);
    run(w, 20 * MU_SEC);
    assert_int_equal(mu_world_false_downs(w), 0);
    assert_int_equal(moves_to(w, MU_DOWN, 0), 0);
    mu_world_free(w);
}

/* Rule 3 and 7: killed at any moment, again and again. */
static void world_crashes_keep_identities_and_kill_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 400; seed < 400 + seeds(); seed++) {
        struct mu_world *w = world_of(seed, AGENTS, lan);
        uint8_t uuid[AGENTS][16];
        uint64_t life[AGENTS];
        run(w, 5 * MU_SEC);
        for (uint32_t i = 0; i < AGENTS; i++)
            assert_true(mu_world_identity(w, i, uuid[i], &life[i]));
        uint64_t joins = mu_world_joins(w);
        for (int k = 0; k < 20; k++) {
            run(w, (mu_dur)mu_rng_below(mu_world_rng(w), 4000) * MU_MS);
            mu_world_crash(w);
            run(w, (mu_dur)mu_rng_below(mu_world_rng(w), 6000) * MU_MS);
            assert_int_equal(mu_world_revive(w), 0);
        }
        run(w, 10 * MU_SEC);
        all_are(w, AGENTS, MU_UP);
        assert_int_equal(mu_world_false_downs(w), 0);
        assert_int_equal(mu_world_joins(w), joins); /* all returned by resync or attach */
        for (uint32_t i = 0; i < AGENTS; i++) {
            uint8_t now_uuid[16];
            uint64_t now_life;
            assert_true(mu_world_identity(w, i, now_uuid, &now_life));
            assert_memory_equal(now_uuid, uuid[i], 16);
            assert_true(now_life == life[i]);
        }
        size_t n;
        const struct mu_seen *seen = mu_world_seen(w, &n);
        for (size_t i = 1; i < n; i++)
            assert_true(seen[i].seq > seen[i - 1].seq);
        mu_world_free(w);
    }
}

static void world_crash_amid_joins_gives_one_identity(void **state)
{
    (void)state;
    for (uint64_t seed = 500; seed < 500 + seeds(); seed++) {
        struct mu_world *w = world_of(seed, AGENTS, lan);
        for (int k = 0; k < 10; k++) {
            uint8_t uuid[AGENTS][16], again[16];
            bool had[AGENTS];
            uint64_t life;
            run(w, (mu_dur)mu_rng_below(mu_world_rng(w), 60) * MU_MS);
            for (uint32_t i = 0; i < AGENTS; i++)
                had[i] = mu_world_identity(w, i, uuid[i], &life);
            mu_world_crash(w);
            run(w, 500 * MU_MS);
            assert_int_equal(mu_world_revive(w), 0);
            run(w, 4 * MU_SEC);
            for (uint32_t i = 0; i < AGENTS; i++)
                if (had[i]) {
                    assert_true(mu_world_identity(w, i, again, &life));
                    assert_memory_equal(uuid[i], again, 16);
                }
            assert_int_equal(mu_world_restart(w, (uint32_t)k), 0);
        }
        run(w, 5 * MU_SEC);
        all_are(w, AGENTS, MU_UP);
        assert_int_equal(mu_world_false_downs(w), 0);
        mu_world_free(w);
    }
}

static void world_death_during_an_outage_is_found_after_a_full_down_time(void **state)
{
    (void)state;
    struct mu_world *w = world_of(9, AGENTS, lan);
    run(w, 7 * MU_SEC);
    mu_world_crash(w);
    mu_world_kill(w, 5, true);
    run(w, 20 * MU_SEC);
    mu_time started = mu_world_now(w);
    assert_int_equal(mu_world_revive(w), 0);
    assert_int_equal(mu_world_shown(w, 5), MU_UNKNOWN);
    run(w, 10 * MU_SEC);
    const struct mu_seen *down = went(w, 5, MU_DOWN, started);
    assert_non_null(down);
    assert_int_equal(down->reason, MU_WHY_NOT_HEARD);
    assert_in_range(down->at - started, 3 * MU_SEC, 3 * MU_SEC + 200 * MU_MS);
    assert_int_equal(mu_world_false_downs(w), 0);
    mu_world_free(w);
}

static void world_new_process_takes_the_name_over(void **state)
{
    (void)state;
    struct mu_world *w = world_of(10, AGENTS, lan);
    uint8_t uuid[16], after[16];
    uint64_t life, next;
    run(w, 7 * MU_SEC);
    assert_true(mu_world_identity(w, 2, uuid, &life));
    assert_int_equal(mu_world_restart(w, 2), 0);
    run(w, 5 * MU_SEC);
    assert_true(mu_world_identity(w, 2, after, &next));
    assert_memory_equal(uuid, after, 16);
    assert_true(next > life);
    assert_int_equal(mu_world_shown(w, 2), MU_UP);
    assert_int_equal(moves_to(w, MU_DOWN, 0), 0);
    mu_world_free(w);
}

/* Rule 6: the store may be gone; verdicts go on. */
static void world_frozen_store_stops_no_verdict(void **state)
{
    (void)state;
    struct mu_world *w = world_of(11, AGENTS, lan);
    run(w, 7 * MU_SEC);
    mu_world_freeze_store(w, true);
    run(w, MU_SEC);
    mu_time died = mu_world_now(w);
    mu_world_kill(w, 9, true);
    run(w, 20 * MU_SEC);
    const struct mu_seen *down = went(w, 9, MU_DOWN, died);
    assert_non_null(down);
    assert_true(down->at - died <= 3 * MU_SEC + 150 * MU_MS);
    assert_int_equal(mu_world_false_downs(w), 0);
    mu_world_freeze_store(w, false);
    run(w, 5 * MU_SEC);
    mu_world_crash(w);
    assert_int_equal(mu_world_revive(w), 0);
    assert_int_equal(mu_world_shown(w, 9), MU_DOWN); /* it was stored after all */
    mu_world_free(w);
}

static void world_paused_agent_returns_without_a_join(void **state)
{
    (void)state;
    struct mu_world *w = world_of(12, AGENTS, lan);
    run(w, 7 * MU_SEC);
    uint64_t joins = mu_world_joins(w);
    mu_world_pause(w, 4, 30 * MU_SEC);
    run(w, 20 * MU_SEC);
    assert_int_equal(mu_world_shown(w, 4), MU_DOWN);
    run(w, 20 * MU_SEC);
    assert_int_equal(mu_world_shown(w, 4), MU_UP);
    assert_int_equal(mu_world_joins(w), joins);
    mu_world_free(w);
}

/* A fleet of 1 s / 30 s. */
static struct mu_world *judged_by(enum mu_detector detector, uint64_t seed, struct mu_link link)
{
    struct mu_world_config config = {.seed = seed,
                                     .agents = AGENTS,
                                     .times = {.interval = MU_SEC, .down = 30 * MU_SEC},
                                     .detector = detector,
                                     .link = link};
    struct mu_world *w = NULL;

    print_message("# %s, seed %llu\n", mu_detect_at(detector)->name, (unsigned long long)seed);
    assert_int_equal(mu_world_new(&w, &config), 0);
    return w;
}

/* How long after a death of @agent's host the word `down` comes. */
static mu_dur found_after(struct mu_world *w, uint32_t agent)
{
    mu_time died = mu_world_now(w);
    const struct mu_seen *down;

    mu_world_kill(w, agent, true);
    run(w, 35 * MU_SEC);
    down = went(w, agent, MU_DOWN, died);
    assert_non_null(down);
    return down->at - died;
}

static void world_detectors_that_learn_find_a_death_sooner(void **state)
{
    (void)state;
    static const mu_dur silence[MU_DETECTORS] = {
        [MU_DETECT_DEADLINE] = 30 * MU_SEC,
        [MU_DETECT_TWO_WINDOW] = 3500 * MU_MS, /* the floor */
        [MU_DETECT_PHI] = 18421 * MU_MS,       /* 8 ln 10 */
    };
    for (enum mu_detector d = 0; d < MU_DETECTORS; d++) {
        struct mu_world *w = judged_by(d, 600, lan);
        run(w, 60 * MU_SEC);
        for (uint32_t i = 0; i < 5; i++) /* the last beat came up to an interval before the death */
            assert_in_range(found_after(w, i), silence[d] - MU_SEC - 20 * MU_MS,
                            silence[d] + 170 * MU_MS);
        assert_int_equal(mu_world_false_downs(w), 0);
        assert_int_equal(moves_to(w, MU_SUSPECT, 0), 5); /* and nobody else */
        mu_world_free(w);
    }
}

/* The way changes for better and worse, within what resends and the floor bear. */
static void world_weather_kills_nobody_whoever_judges(void **state)
{
    (void)state;
    const struct mu_link far = {.delay = 900 * MU_MS, .jitter = 100 * MU_MS};
    const struct mu_link bad = {
        .loss = 0.2, .twice = 0.1, .delay = 20 * MU_MS, .jitter = 150 * MU_MS};
    for (enum mu_detector d = 0; d < MU_DETECTORS; d++)
        for (uint64_t seed = 700; seed < 700 + seeds() / 3; seed++) {
            struct mu_world *w = judged_by(d, seed, lan);
            run(w, 60 * MU_SEC);
            for (int round = 0; round < 6; round++) {
                const struct mu_link *link = round % 2 ? &lan : round % 4 ? &far : &bad;
                for (uint32_t i = 0; i < AGENTS; i++)
                    mu_world_link(w, i, link);
                run(w, 120 * MU_SEC);
            }
            assert_int_equal(mu_world_false_downs(w), 0);
            all_are(w, AGENTS, MU_UP);
            mu_world_free(w);
        }
}

static void world_same_seed_same_history(void **state)
{
    (void)state;
    struct mu_link bad = {.loss = 0.3, .twice = 0.1, .delay = 20 * MU_MS, .jitter = 150 * MU_MS};
    struct mu_world *w[2];
    const struct mu_seen *seen[2];
    size_t n[2];
    for (int k = 0; k < 2; k++) {
        w[k] = world_of(42, AGENTS, bad);
        run(w[k], 30 * MU_SEC);
        mu_world_kill(w[k], 3, false);
        mu_world_crash(w[k]);
        assert_int_equal(mu_world_revive(w[k]), 0);
        run(w[k], 60 * MU_SEC);
        seen[k] = mu_world_seen(w[k], &n[k]);
    }
    assert_int_equal(n[0], n[1]);
    for (size_t i = 0; i < n[0]; i++) {
        assert_true(seen[0][i].at == seen[1][i].at);
        assert_true(seen[0][i].seq == seen[1][i].seq);
        assert_int_equal(seen[0][i].agent, seen[1][i].agent);
        assert_int_equal(seen[0][i].to, seen[1][i].to);
    }
    mu_world_free(w[0]);
    mu_world_free(w[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(world_healthy_fleet_moves_nothing),
        cmocka_unit_test(world_lost_host_is_suspect_and_down_on_time),
        cmocka_unit_test(world_killed_process_is_suspect_at_once),
        cmocka_unit_test(world_leaving_raises_no_alarm),
        cmocka_unit_test(world_loss_kills_nobody),
        cmocka_unit_test(world_falls_back_before_death_and_returns),
        cmocka_unit_test(world_lost_answers_kill_nobody),
        cmocka_unit_test(world_partition_is_down_and_heals),
        cmocka_unit_test(world_stall_kills_nobody),
        cmocka_unit_test(world_stall_with_a_small_socket_kills_nobody),
        cmocka_unit_test(world_suspend_kills_nobody),
        cmocka_unit_test(world_crashes_keep_identities_and_kill_nobody),
        cmocka_unit_test(world_crash_amid_joins_gives_one_identity),
        cmocka_unit_test(world_death_during_an_outage_is_found_after_a_full_down_time),
        cmocka_unit_test(world_new_process_takes_the_name_over),
        cmocka_unit_test(world_frozen_store_stops_no_verdict),
        cmocka_unit_test(world_paused_agent_returns_without_a_join),
        cmocka_unit_test(world_detectors_that_learn_find_a_death_sooner),
        cmocka_unit_test(world_weather_kills_nobody_whoever_judges),
        cmocka_unit_test(world_same_seed_same_history),
    };
    return cmocka_run_group_tests_name("world", tests, NULL, NULL);
}
