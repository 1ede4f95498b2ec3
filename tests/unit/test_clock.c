#include "base/clock.h"

#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "lib/test.h"

static void clocks_agree_with_the_system(void **state)
{
    mu_time a = mu_clock_now(), b = mu_clock_now();
    mu_wall wall = mu_clock_wall();

    assert_true(a > 0 && b >= a);
    assert_true(mu_clock_boot() >= b); /* boot time counts suspends on top */
    assert_in_range(wall / 1000, time(NULL) - 2, time(NULL) + 2);
}

static void wall_is_printed_in_utc_with_ms(void **state)
{
    static const struct {
        mu_wall wall;
        const char *text;
    } cases[] = {
        {0, ""},
        {1, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {1000000000123, "2001-09-09T01:46:40.123Z"},
        {1709164800000, "2024-02-29T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    char text[MU_WALL_TEXT];
    mu_wall back;

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        assert_string_equal(mu_wall_text(cases[i].wall, text), cases[i].text);
        if (!cases[i].wall)
            continue;
        assert_int_equal(mu_wall_parse(text, &back), 0);
        assert_true(back == cases[i].wall);
    }
    assert_true(strlen(mu_wall_text(INT64_MAX, text)) < MU_WALL_TEXT);
    assert_true(strlen(mu_wall_text(INT64_MIN, text)) < MU_WALL_TEXT);
}

static void wall_parse_reads_rfc_3339(void **state)
{
    static const struct {
        const char *text;
        mu_wall wall;
    } cases[] = {
        {"2001-09-09T01:46:40Z", 1000000000000},
        {"2001-09-09t01:46:40z", 1000000000000},
        {"2001-09-09 01:46:40.5Z", 1000000000500},
        {"2001-09-09T01:46:40.1239999Z", 1000000000123},
        {"2001-09-09T03:16:40+01:30", 1000000000000},
        {"2001-09-08T23:46:40-02:00", 1000000000000},
        {"2016-12-31T23:59:60Z", 1483228800000},
    };
    mu_wall wall;

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        assert_int_equal(mu_wall_parse(cases[i].text, &wall), 0);
        assert_true(wall == cases[i].wall);
    }
}

static void wall_parse_refuses_what_is_no_time(void **state)
{
    static const char *const cases[] = {
        "",
        "now",
        "2001-09-09",
        "2001-09-09T01:46:40",
        "2001-13-09T01:46:40Z",
        "2001-00-09T01:46:40Z",
        "2001-02-29T01:46:40Z",
        "1900-02-29T01:46:40Z",
        "2001-09-31T01:46:40Z",
        "2001-09-00T01:46:40Z",
        "2001-09-09T24:46:40Z",
        "2001-09-09T01:60:40Z",
        "2001-09-09T01:46:61Z",
        "2001-09-09T01:46:40.Z",
        "2001-09-09T01:46:40+1:00",
        "2001-09-09T01:46:40+24:00",
        "2001-09-09T01:46:40+01:60",
        "2001-09-09T01:46:40Zx",
        " 2001-09-09T01:46:40Z",
        "201-09-09T01:46:40Z",
        "2001_09-09T01:46:40Z",
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        mu_wall wall = 77;
        assert_int_equal(mu_wall_parse(cases[i], &wall), MU_EINVAL);
        assert_true(wall == 77);
    }
}

static void dur_is_read_as_people_write_it(void **state)
{
    static const struct {
        const char *text;
        mu_dur dur;
    } cases[] = {
        {"0", 0},
        {"10", 10 * MU_SEC},
        {"500ms", 500 * MU_MS},
        {"10s", 10 * MU_SEC},
        {"5m", 300 * MU_SEC},
        {"2h", 7200 * MU_SEC},
        {"30d", 30 * 86400 * MU_SEC},
        {"1.5s", 1500 * MU_MS},
        {"0.25", 250 * MU_MS},
        {"0.000001ms", 1},
        {"0.000000001s", 1},
        {"1.00000000099999s", MU_SEC},
        {"0.5d", 43200 * MU_SEC},
        {"007s", 7 * MU_SEC},
        {"10000d", 10000 * 86400 * MU_SEC},
        {"864000000s", 10000 * 86400 * MU_SEC},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        mu_dur dur;
        assert_int_equal(mu_dur_parse(cases[i].text, &dur), 0);
        assert_true(dur == cases[i].dur);
    }
}

static void dur_refuses_rubbish_and_what_is_too_long(void **state)
{
    static const struct {
        const char *text;
        int rv;
    } cases[] = {
        {"", MU_EINVAL},
        {"s", MU_EINVAL},
        {"-1", MU_EINVAL},
        {"-1s", MU_EINVAL},
        {"+1", MU_EINVAL},
        {" 1", MU_EINVAL},
        {"1 s", MU_EINVAL},
        {"1 ", MU_EINVAL},
        {".5s", MU_EINVAL},
        {"1.s", MU_EINVAL},
        {"1..5", MU_EINVAL},
        {"1e3", MU_EINVAL},
        {"10S", MU_EINVAL},
        {"1us", MU_EINVAL},
        {"1h30m", MU_EINVAL},
        {"0x10", MU_EINVAL},
        {"nan", MU_EINVAL},
        {"10000.000000001d", MU_ERANGE},
        {"864000001", MU_ERANGE},
        {"10001d", MU_ERANGE},
        {"99999999999999999999999999999999999999", MU_ERANGE},
        {"99999999999999999999999999999999999999x", MU_EINVAL},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        mu_dur dur = 77;
        assert_int_equal(mu_dur_parse(cases[i].text, &dur), cases[i].rv);
        assert_true(dur == 77);
    }
}

static void dur_is_printed_short(void **state)
{
    static const struct {
        mu_dur dur;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {500 * MU_MS, "500ms"},
        {MU_SEC, "1s"},
        {1500 * MU_MS, "1.5s"},
        {90 * MU_SEC, "90s"},
        {300 * MU_SEC, "5m"},
        {7200 * MU_SEC, "2h"},
        {86400 * MU_SEC, "1d"},
        {30 * 86400 * MU_SEC, "30d"},
        {1, "0.000001ms"},
        {100 * MU_US, "0.1ms"},
    };
    char text[MU_DUR_TEXT];

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++)
        assert_string_equal(mu_dur_text(cases[i].dur, text), cases[i].text);
}

static void dur_reads_back_what_it_printed(void **state)
{
    char text[MU_DUR_TEXT];
    struct mu_rng rng;
    mu_dur back;

    mu_rng_seed(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        mu_dur unit = (mu_dur[]){1, MU_US, MU_MS, MU_SEC, 60 * MU_SEC, 3600 * MU_SEC}[i % 6];
        mu_dur most = 10000 * 86400 * MU_SEC / unit;
        mu_dur dur = (mu_dur)mu_rng_below(&rng, (uint64_t)most >> mu_rng_below(&rng, 40)) * unit;
        assert_int_equal(mu_dur_parse(mu_dur_text(dur, text), &back), 0);
        assert_true(back == dur);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_agree_with_the_system),
        cmocka_unit_test(wall_is_printed_in_utc_with_ms),
        cmocka_unit_test(wall_parse_reads_rfc_3339),
        cmocka_unit_test(wall_parse_refuses_what_is_no_time),
        cmocka_unit_test(dur_is_read_as_people_write_it),
        cmocka_unit_test(dur_refuses_rubbish_and_what_is_too_long),
        cmocka_unit_test(dur_is_printed_short),
        cmocka_unit_test(dur_reads_back_what_it_printed),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
