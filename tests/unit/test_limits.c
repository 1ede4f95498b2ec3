#include <string.h>
#include <sys/resource.h>

#include "lib/test.h"

#include "daemon/limits.h"

static void limits_leave_no_kind_without(void **state)
{
    struct mu_limits limits;

    assert_int_equal(mu_limits_share(1024, 0, 0, &limits, NULL), 0);
    assert_int_equal(limits.http, 256);
    assert_int_equal(limits.streams, 1024 - MU_FILES_KEPT - 256);
    assert_true(limits.sessions > 0 && limits.sessions < limits.streams);
}

static void limits_keep_to_what_is_configured(void **state)
{
    struct mu_limits limits;

    assert_int_equal(mu_limits_share(100000, 10, 20, &limits, NULL), 0);
    assert_int_equal(limits.http, 10);
    assert_int_equal(limits.streams, 20);
    assert_int_equal(limits.sessions, 18);
    assert_int_equal(mu_limits_share(1024, 100000, 100000, &limits, NULL), 0);
    assert_true(limits.http + limits.streams + MU_FILES_KEPT <= 1024);
}

static void limits_of_any_number_are_no_overflow(void **state)
{
    struct mu_limits limits;

    assert_int_equal(mu_limits_share(RLIM_INFINITY, 0, 0, &limits, NULL), 0);
    assert_true((uint64_t)limits.http + limits.streams <= INT32_MAX);
}

static void limits_that_are_too_low_name_the_cure(void **state)
{
    struct mu_limits limits;
    struct mu_err err;

    assert_int_equal(mu_limits_share(MU_FILES_LEAST - 1, 0, 0, &limits, &err), MU_ERANGE);
    assert_non_null(strstr(err.text, "LimitNOFILE="));
    assert_non_null(strstr(err.text, "255"));
}

static void limits_are_raised_to_the_hard_one(void **state)
{
    struct rlimit before, after;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    before.rlim_cur = before.rlim_max / 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(mu_limits_raise() == before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_true(after.rlim_cur == before.rlim_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_leave_no_kind_without),
        cmocka_unit_test(limits_keep_to_what_is_configured),
        cmocka_unit_test(limits_of_any_number_are_no_overflow),
        cmocka_unit_test(limits_that_are_too_low_name_the_cure),
        cmocka_unit_test(limits_are_raised_to_the_hard_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
