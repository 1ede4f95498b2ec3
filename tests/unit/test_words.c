#include "store/words.h"

#include "base/mem.h"
#include "base/rng.h"
#include "lib/test.h"

#define UUID "0b5f60ae-4b52-4c7e-9a0c-3f6d6d6a8f10"

static int read_back(struct mu_words words, struct mu_row *row, struct mu_who *who,
                     struct mu_err *err)
{
    *row = (struct mu_row){.zone = "az1"};
    *who = (struct mu_who){.host = "c1"};
    return mu_words_read(&words, row, who, err);
}

static void words_become_what_they_stand_for(void **state)
{
    struct mu_row row;
    struct mu_who who;
    struct mu_err err;
    char uuid[MU_UUID_TEXT];

    assert_int_equal(
        read_back((struct mu_words){7, UUID, "disabled", "suspect", "silence"}, &row, &who, &err),
        0);
    assert_int_equal(row.id, 7);
    assert_true(row.disabled);
    assert_int_equal(row.state, MU_SUSPECT);
    assert_int_equal(row.state_reason, MU_WHY_SILENCE);
    assert_string_equal(mu_uuid_text(who.uuid, uuid), UUID);
    assert_string_equal(row.zone, "az1");
    assert_string_equal(who.host, "c1");
    assert_int_equal(read_back((struct mu_words){UINT32_MAX - 1, UUID, "enabled", "up", "heard"},
                               &row, &who, &err),
                     0);
    assert_false(row.disabled);
}

static void words_that_are_none_name_row_column_and_value(void **state)
{
    static const struct {
        struct mu_words words;
        const char *says;
    } cases[] = {
        {{0, UUID, "enabled", "up", "heard"}, "a row has id 0, not one of 1 to 4294967294"},
        {{-1, UUID, "enabled", "up", "heard"}, "a row has id -1, not one of 1 to 4294967294"},
        {{UINT32_MAX, UUID, "enabled", "up", "heard"},
         "a row has id 4294967295, not one of 1 to 4294967294"},
        {{7, "7", "enabled", "up", "heard"}, "row 7 has uuid '7', which is none"},
        {{7, UUID, "", "up", "heard"}, "row 7 has status '', which is none"},
        {{7, UUID, "Enabled", "up", "heard"}, "row 7 has status 'Enabled', which is none"},
        {{7, UUID, "enabled", "dead", "heard"}, "row 7 has state 'dead', which is none"},
        {{7, UUID, "enabled", "unknown", "heard"}, "row 7 has state 'unknown', which is none"},
        {{7, UUID, "enabled", "up", "why"}, "row 7 has state_reason 'why', which is none"},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_row row;
        struct mu_who who;
        struct mu_err err;

        assert_int_equal(read_back(cases[i].words, &row, &who, &err), MU_ECORRUPT);
        assert_string_equal(err.text, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_what_they_stand_for),
        cmocka_unit_test(words_that_are_none_name_row_column_and_value),
    };

    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
