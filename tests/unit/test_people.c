#include "cli/people.h"

#include "base/mem.h"
#include "lib/test.h"

static void span_is_cut_to_what_it_shows(void **state)
{
    static const struct {
        double seconds;
        const char *says;
    } cases[] = {{-1, "0.0 s"},        {0, "0.0 s"},        {0.437, "437 ms"},
                 {0.999, "999 ms"},    {1, "1.0 s"},        {3.2, "3.2 s"},
                 {3.299, "3.2 s"},     {9.999, "9.9 s"},    {10, "10 s"},
                 {119.999, "119 s"},   {310, "5 min 10 s"}, {12000, "3 h 20 min"},
                 {1051200, "12 d 4 h"}};
    char out[MU_PEOPLE_TIME];

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++)
        assert_string_equal(mu_people_span(cases[i].seconds, out), cases[i].says);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(span_is_cut_to_what_it_shows),
    };

    return cmocka_run_group_tests_name("people", tests, NULL, NULL);
}
