#include "store/words.h"

#include "base/mem.h"
#include "base/rng.h"
#include "lib/test.h"

#define MEND " is damaged; restore a backup, or mend it while no conductor runs: "
#define UUID "0b5f60ae-4b52-4c7e-9a0c-3f6d6d6a8f10"

static int read_back(struct mu_words words, struct mu_row *row, struct mu_who *who,
                     struct mu_err *err)
{
    *row = (struct mu_row){.zone = "az1",
                           .labels = "{\"rack\":\"r1\"}",
                           .version = "",
                           .disabled_reason = "",
                           .forced_reason = ""};
    *who = (struct mu_who){.binary = "nova", .host = "c1"};
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

static void words_that_are_none_name_table_row_and_value(void **state)
{
    static const struct {
        struct mu_words words;
        const char *says;
    } cases[] = {
        {{0, UUID, "enabled", "up", "heard"},
         "row 0 of agents" MEND "its id is not one of 1 to 4294967294"},
        {{-1, UUID, "enabled", "up", "heard"},
         "row -1 of agents" MEND "its id is not one of 1 to 4294967294"},
        {{UINT32_MAX, UUID, "enabled", "up", "heard"},
         "row 4294967295 of agents" MEND "its id is not one of 1 to 4294967294"},
        {{7, "7", "enabled", "up", "heard"}, "row 7 of agents" MEND "uuid '7' is none"},
        {{7, UUID, "", "up", "heard"}, "row 7 of agents" MEND "status '' is none"},
        {{7, UUID, "Enabled", "up", "heard"}, "row 7 of agents" MEND "status 'Enabled' is none"},
        {{7, UUID, "enabled", "dead", "heard"}, "row 7 of beats" MEND "state 'dead' is none"},
        {{7, UUID, "enabled", "unknown", "heard"}, "row 7 of beats" MEND "state 'unknown' is none"},
        {{7, UUID, "enabled", "up", "why"}, "row 7 of beats" MEND "state_reason 'why' is none"},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_row row;
        struct mu_who who;
        struct mu_err err;

        assert_int_equal(read_back(cases[i].words, &row, &who, &err), MU_ECORRUPT);
        assert_string_equal(err.text, cases[i].says);
    }
}

static void texts_that_may_not_be_name_table_row_and_what_is_wrong(void **state)
{
    static const struct mu_words words = {7, UUID, "enabled", "up", "heard"};
    static const struct {
        const char *binary, *host, *zone, *labels, *says;
    } cases[] = {
        {"nova", "c\xff", "", "", "host \"c\\xFF\": byte 2 is not valid UTF-8"},
        {"no@va", "c1", "", "", "binary \"no@va\": '@' is not allowed"},
        {"nova", "", "", "", "host is empty: a name is BINARY@HOST"},
        {"nova", "c1", "\xff", "", "zone \"\\xFF\": byte 1 is not valid UTF-8"},
        {"nova", "c1", "", "{\"rack\":", "labels are no JSON object of texts"},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_row row = {.zone = cases[i].zone,
                             .labels = cases[i].labels,
                             .version = "",
                             .disabled_reason = "",
                             .forced_reason = ""};
        struct mu_who who = {.binary = cases[i].binary, .host = cases[i].host};
        struct mu_err err;

        assert_int_equal(mu_words_read(&words, &row, &who, &err), MU_ECORRUPT);
        assert_ptr_equal(strstr(err.text, "row 7 of agents" MEND), err.text);
        assert_string_equal(err.text + strlen("row 7 of agents" MEND), cases[i].says);
    }
}

static void an_object_is_one_as_we_write_it(void **state)
{
    static const char *const good[] = {"{}", "{\"\":\"\"}",
                                       "{\"a\":\"\\\"\\\\\",\"b\":\"\xc3\xa9\"}"};
    static const char *const bad[] = {"",
                                      "null",
                                      "[]",
                                      "{",
                                      "{}}",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":\"b}",
                                      "{\"a\":\"b\\",
                                      "{\"a\":\"\\x\"}",
                                      "{\"a\":\"b\",}",
                                      "{\"a\":\"\n\"}",
                                      "{\"a\":\"\xff\"}",
                                      "{\"a\":1}",
                                      "{a:\"b\"}"};

    for (size_t i = 0; i < MU_ARRAY_LEN(good); i++)
        assert_true(mu_words_object(good[i], false));
    for (size_t i = 0; i < MU_ARRAY_LEN(bad); i++)
        assert_false(mu_words_object(bad[i], false));
}

static void an_object_of_numbers_has_whole_ones(void **state)
{
    static const char *const bad[] = {"{\"a\":\"b\"}", "{\"a\":-}", "{\"a\":01}", "{\"a\":1.5}",
                                      "{\"a\":1"};

    assert_true(mu_words_object("{\"a\":-10,\"b\":0}", true));
    for (size_t i = 0; i < MU_ARRAY_LEN(bad); i++)
        assert_false(mu_words_object(bad[i], true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_become_what_they_stand_for),
        cmocka_unit_test(words_that_are_none_name_table_row_and_value),
        cmocka_unit_test(texts_that_may_not_be_name_table_row_and_what_is_wrong),
        cmocka_unit_test(an_object_is_one_as_we_write_it),
        cmocka_unit_test(an_object_of_numbers_has_whole_ones),
    };

    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
