#include "base/state.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lib/test.h"

/* Every allowed move. What is not here must be refused. */
static const char *const allowed[] = {
    "up -> suspect: silence",
    "up -> suspect: stream closed",
    "up -> down: silence",
    "up -> down: exited",
    "up -> down: killed",
    "up -> down: ended, status unknown",
    "up -> left: left",
    "suspect -> up: joined",
    "suspect -> up: heard",
    "suspect -> down: silence",
    "suspect -> down: exited",
    "suspect -> down: killed",
    "suspect -> down: ended, status unknown",
    "suspect -> left: left",
    "down -> up: joined",
    "down -> up: heard",
    "down -> left: left",
    "left -> up: joined",
    "left -> up: heard",
    "unknown -> up: joined",
    "unknown -> up: heard",
    "unknown -> down: not heard since the conductor started",
    "unknown -> down: exited",
    "unknown -> down: killed",
    "unknown -> down: ended, status unknown",
    "unknown -> left: left",
};

static bool in_list(const char *move)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(allowed); i++)
        if (strcmp(allowed[i], move) == 0)
            return true;
    return false;
}

static void state_allows_the_listed_moves_and_no_other(void **state)
{
    size_t n = 0;

    for (int from = 0; from < MU_STATES; from++)
        for (int to = 0; to < MU_STATES; to++)
            for (int why = 0; why < MU_REASONS_N; why++) {
                char move[128];
                bool may =
                    mu_state_may_move((enum mu_state)from, (enum mu_state)to, (enum mu_reason)why);
                snprintf(move, sizeof(move), "%s -> %s: %s", mu_state_text((enum mu_state)from),
                         mu_state_text((enum mu_state)to), mu_reason_text((enum mu_reason)why));
                if (may != in_list(move))
                    fail_msg("%s is %s", move, may ? "allowed" : "refused");
                n += may;
            }
    assert_int_equal(n, MU_ARRAY_LEN(allowed));
}

static void state_refuses_values_that_are_none(void **state)
{
    assert_false(mu_state_may_move(MU_STATES, MU_UP, MU_WHY_HEARD));
    assert_false(mu_state_may_move(MU_DOWN, MU_STATES, MU_WHY_HEARD));
    assert_false(mu_state_may_move(MU_DOWN, MU_UP, MU_REASONS_N));
    assert_string_equal(mu_state_text(MU_STATES), "?");
    assert_string_equal(mu_kind_text(MU_KINDS), "?");
    assert_string_equal(mu_reason_text(MU_REASONS_N), "?");
}

static void words_are_read_as_they_are_printed(void **state)
{
    for (int i = 0; i < MU_STATES; i++)
        assert_int_equal(mu_state_parse(mu_state_text((enum mu_state)i)), i);
    for (int i = 0; i < MU_KINDS; i++)
        assert_int_equal(mu_kind_parse(mu_kind_text((enum mu_kind)i)), i);
    for (int i = 0; i < MU_REASONS_N; i++)
        assert_int_equal(mu_reason_parse(mu_reason_text((enum mu_reason)i)), i);
    assert_int_equal(mu_state_parse("UP"), -1);
    assert_int_equal(mu_kind_parse(""), -1);
    assert_int_equal(mu_reason_parse("boredom"), -1);
}

static void words_are_the_documented_ones(void **state)
{
    static const char *const states[] = {"up", "suspect", "down", "left", "unknown"};
    static const char *const kinds[] = {"state",  "status",  "forced",
                                        "joined", "deleted", "conductor"};

    assert_int_equal(MU_ARRAY_LEN(states), MU_STATES);
    assert_int_equal(MU_ARRAY_LEN(kinds), MU_KINDS);
    for (int i = 0; i < MU_STATES; i++)
        assert_string_equal(mu_state_text((enum mu_state)i), states[i]);
    for (int i = 0; i < MU_KINDS; i++)
        assert_string_equal(mu_kind_text((enum mu_kind)i), kinds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_allows_the_listed_moves_and_no_other),
        cmocka_unit_test(state_refuses_values_that_are_none),
        cmocka_unit_test(words_are_read_as_they_are_printed),
        cmocka_unit_test(words_are_the_documented_ones),
    };

    return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
