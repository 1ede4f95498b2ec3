#include "base/conductors.h"

#include <string.h>

#include "base/mem.h"
#include "lib/test.h"

static void without_a_list_it_is_here(void **state)
{
    struct mu_conductors list;

    (void)state;
    assert_int_equal(mu_conductors_parse(&list, NULL, NULL), 0);
    assert_int_equal(list.n, 1);
    assert_string_equal(list.addrs[0].host, "127.0.0.1");
    assert_int_equal(list.addrs[0].port, MU_AGENTS_PORT);
    assert_int_equal(mu_conductors_parse(&list, "", NULL), 0);
    assert_int_equal(list.n, 1);
}

static void own_addresses_win_over_those_of_http(void **state)
{
    struct mu_conductors list;

    (void)state;
    assert_int_equal(mu_conductors_parse(
                         &list, "http://a:80,muster://b,[::1]:99,/run/m.sock,muster://c:1", NULL),
                     0);
    assert_int_equal(list.n, 4);
    assert_string_equal(list.addrs[0].host, "b");
    assert_int_equal(list.addrs[0].port, MU_AGENTS_PORT);
    assert_string_equal(list.addrs[1].host, "::1");
    assert_int_equal(list.addrs[1].port, 99);
    assert_string_equal(list.addrs[2].path, "/run/m.sock");
    assert_int_equal(list.addrs[3].port, 1);
}

static void hosts_of_http_serve_where_there_is_no_other(void **state)
{
    struct mu_conductors list;

    (void)state;
    assert_int_equal(mu_conductors_parse(&list, "http://a:8080,http://b", NULL), 0);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.addrs[0].host, "a");
    assert_int_equal(list.addrs[0].port, MU_AGENTS_PORT);
    assert_string_equal(list.addrs[1].host, "b");
}

static void wrong_address_is_named(void **state)
{
    static const char *const bad[] = {"ftp://a:1", "muster://", "a:99999",
                                      "a:1,,b:2",  "a:1,",      "memory:"};

    (void)state;
    for (size_t i = 0; i < MU_ARRAY_LEN(bad); i++) {
        struct mu_conductors list = {.n = 77};
        struct mu_err err = {0};

        assert_int_equal(mu_conductors_parse(&list, bad[i], &err), MU_EINVAL);
        assert_true(err.text[0] != '\0');
        assert_int_equal(list.n, 77);
    }
}

static void list_is_bounded(void **state)
{
    char text[256] = "a:1";
    struct mu_conductors list;
    struct mu_err err = {0};

    (void)state;
    for (int i = 1; i < MU_CONDUCTORS_MAX; i++)
        strcat(text, ",a:1");
    assert_int_equal(mu_conductors_parse(&list, text, &err), 0);
    assert_int_equal(list.n, MU_CONDUCTORS_MAX);
    strcat(text, ",a:1");
    assert_int_equal(mu_conductors_parse(&list, text, &err), MU_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_list_it_is_here),
        cmocka_unit_test(own_addresses_win_over_those_of_http),
        cmocka_unit_test(hosts_of_http_serve_where_there_is_no_other),
        cmocka_unit_test(wrong_address_is_named),
        cmocka_unit_test(list_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
