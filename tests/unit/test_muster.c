/* libmuster's parts that need no conductor; tests/daemon/test_lib.py has the rest. */
#include "muster.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"
#include "lib/faults.h"
#include "lib/peers.h"

/* The addresses of @list, one behind the other with a space after each. */
static const char *find(const char *list, bool resolve)
{
    static char text[1024];
    char one[256];
    struct mu_peers peers;
    size_t n = 0;

    text[0] = '\0';
    if (mu_peers_find(&peers, list, resolve, NULL))
        return "error";
    for (size_t i = 0; i < peers.n; i++) {
        mu_addr_text_of((const struct sockaddr *)&peers.at[i].sa, peers.at[i].len, one,
                        sizeof(one));
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s ", one);
    }
    return text;
}

static void peers_come_in_the_order_given(void **state)
{
    assert_string_equal(find("muster://127.0.0.1:1,10.0.0.1:2,[::1]:3,/run/x.sock", false),
                        "127.0.0.1:1 10.0.0.1:2 [::1]:3 /run/x.sock ");
    assert_string_equal(find("muster://127.0.0.1,muster:///run/m.sock", false),
                        "127.0.0.1:4680 /run/m.sock ");
}

static void peers_of_http_count_only_where_there_is_no_other(void **state)
{
    assert_string_equal(find("http://127.0.0.1:4681/v1,https://10.0.0.1", false),
                        "127.0.0.1:4680 10.0.0.1:4680 ");
    assert_string_equal(find("", false), "127.0.0.1:4680 ");
    assert_string_equal(find("http://127.0.0.1:4681,muster://10.0.0.1:7", false), "10.0.0.1:7 ");
}

static void peers_that_are_names_are_passed_over_unless_resolved(void **state)
{
    assert_string_equal(find("localhost:5,127.0.0.1:6", false), "127.0.0.1:6 ");
    assert_string_equal(find("localhost:5", false), "error");
    assert_non_null(strstr(find("localhost:5", true), "127.0.0.1:5 "));
}

static void peers_say_what_is_no_address(void **state)
{
    struct mu_peers peers;
    struct mu_err err;

    assert_int_equal(mu_peers_find(&peers, "ftp://h:1", false, &err), MU_EINVAL);
    assert_non_null(strstr(err.text, "conductor ftp://h:1: scheme 'ftp' is not known"));
    assert_int_equal(mu_peers_find(&peers, "localhost:1", false, &err), MU_EAGAIN);
}

static void peers_tell_whether_there_are_datagrams(void **state)
{
    assert_true(mu_peers_datagrams("127.0.0.1:1"));
    assert_true(mu_peers_datagrams("/run/x,http://h,muster://name:1"));
    assert_true(mu_peers_datagrams("http://name"));
    assert_false(mu_peers_datagrams("/run/x,muster:///run/y"));
    assert_false(mu_peers_datagrams("/run/x,http://name"));
}

static struct muster_agent_options options_of(void)
{
    static const struct muster_label labels[] = {{"rack", "r1"}, {"switch", "s1"}};
    struct muster_agent_options o;

    muster_agent_options_init(&o);
    o.conductor = "127.0.0.1:1";
    o.binary = "b";
    o.labels = labels;
    o.nlabels = 2;
    o.payload = "{}";
    o.token = "t";
    return o;
}

static void lib_opens_or_says_that_memory_is_out(void **state)
{
    struct muster_agent_options o = options_of();

    FOR_EACH_FAULT (n) {
        struct muster_agent *agent = NULL;
        int rv = muster_agent_open(&agent, &o);

        FAULT_CHECK(rv);
        assert_int_equal(agent != NULL, rv == 0);
        muster_agent_close(agent);
    }
}

static void lib_agent_does_nothing_before_it_begins(void **state)
{
    struct muster_agent_options o = options_of();
    struct muster_agent *agent;
    struct muster_lease lease;

    assert_int_equal(muster_agent_open(&agent, &o), 0);
    assert_int_equal(muster_agent_timeout_ms(agent), -1);
    assert_int_equal(muster_agent_step(agent), 0);
    assert_int_equal(muster_agent_report(agent, "{}", 2), MU_ECLOSED);
    assert_int_equal(muster_agent_beat(agent), MU_ECLOSED);
    assert_int_equal(muster_agent_leave(agent, 1000), 0);
    assert_int_equal(muster_agent_lease(agent, &lease), 0);
    assert_int_equal(lease.state, MUSTER_LEASE_NONE);
    muster_agent_close(agent);
    muster_agent_close(NULL);
}

static void lib_takes_options_of_an_older_program(void **state)
{
    struct muster_agent_options o = options_of();
    struct muster_agent *agent;

    o.size = offsetof(struct muster_agent_options, log_ctx); /* what is behind is not looked at */
    memset(&o.log_ctx, 0xff, sizeof(o) - o.size);
    assert_int_equal(muster_agent_open(&agent, &o), 0);
    muster_agent_close(agent);
    o.size = 8;
    assert_int_equal(muster_agent_open(&agent, &o), MU_EINVAL);
}

static void lib_finds_the_conductor_in_the_environment(void **state)
{
    struct muster_agent_options o = options_of();
    struct muster_agent *agent;

    o.conductor = NULL;
    assert_int_equal(setenv("MUSTER_CONDUCTOR", "ftp://h", 1), 0);
    assert_int_equal(muster_agent_open(&agent, &o), MU_EINVAL);
    assert_int_equal(setenv("MUSTER_CONDUCTOR", "127.0.0.1:1", 1), 0);
    assert_int_equal(muster_agent_open(&agent, &o), 0);
    muster_agent_close(agent);
    assert_int_equal(unsetenv("MUSTER_CONDUCTOR"), 0);
    assert_int_equal(muster_agent_open(&agent, &o), 0);
    muster_agent_close(agent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_come_in_the_order_given),
        cmocka_unit_test(peers_of_http_count_only_where_there_is_no_other),
        cmocka_unit_test(peers_that_are_names_are_passed_over_unless_resolved),
        cmocka_unit_test(peers_say_what_is_no_address),
        cmocka_unit_test(peers_tell_whether_there_are_datagrams),
        cmocka_unit_test(lib_opens_or_says_that_memory_is_out),
        cmocka_unit_test(lib_agent_does_nothing_before_it_begins),
        cmocka_unit_test(lib_takes_options_of_an_older_program),
        cmocka_unit_test(lib_finds_the_conductor_in_the_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
