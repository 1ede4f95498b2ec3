#include "base/addr.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/mem.h"
#include "lib/test.h"

static void addr_reads_listeners_and_urls(void **state)
{
    static const struct {
        const char *text, *scheme, *host, *path, *query;
        int port;
    } cases[] = {
        {"127.0.0.1:4680", "", "127.0.0.1", "", "", 4680},
        {"localhost:0", "", "localhost", "", "", 0},
        {"[::1]:65535", "", "::1", "", "", 65535},
        {"cmp-017.example.org:1", "", "cmp-017.example.org", "", "", 1},
        {"/run/muster.sock", "", "", "/run/muster.sock", "", -1},
        {"/run/a b:c?d", "", "", "/run/a b:c?d", "", -1},
        {"memory:", "memory", "", "", "", -1},
        {"sqlite:/var/lib/x.db", "sqlite", "", "/var/lib/x.db", "", -1},
        {"sqlite:x.db?mode=ro", "sqlite", "", "x.db", "mode=ro", -1},
        {"SQLite:x.db", "sqlite", "", "x.db", "", -1},
        {"muster://h", "muster", "h", "", "", -1},
        {"muster://h:4680", "muster", "h", "", "", 4680},
        {"muster:///run/x.sock", "muster", "", "/run/x.sock", "", -1},
        {"http://[fe80::1%eth0]:80/v1?a=b&c", "http", "fe80::1%eth0", "/v1", "a=b&c", 80},
        {"http://h?a", "http", "h", "", "a", -1},
        {"http://h:81?a", "http", "h", "", "a", 81},
        {"x+y-z.1://h/", "x+y-z.1", "h", "/", "", -1},
        {"postgresql://u:p@db:5432/fleet", "postgresql", "db", "/fleet", "", 5432},
        {"postgresql://u:p@a:1,b:2/fleet?x=y", "postgresql", "", "/fleet", "x=y", -1},
        {"postgresql://%2Frun%2Fpg/fleet", "postgresql", "", "/fleet", "", -1},
        {"mysql://u:se/cret@db/fleet", "mysql", "", "/cret@db/fleet", "", -1},
        {"http://h/p@q", "http", "h", "/p@q", "", -1},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_addr addr;
        struct mu_err err = {0};
        if (mu_addr_parse(&addr, cases[i].text, &err))
            fail_msg("%s", err.text);
        assert_string_equal(addr.given, cases[i].text);
        assert_string_equal(addr.scheme, cases[i].scheme);
        assert_string_equal(addr.host, cases[i].host);
        assert_string_equal(addr.path, cases[i].path);
        assert_string_equal(addr.query, cases[i].query);
        assert_int_equal(addr.port, cases[i].port);
    }
}

static void addr_refuses_and_says_why(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "address \"\": \"\" is not a host"},
        {"localhost", "no port: write HOST:PORT"},
        {":80", "is not a host"},
        {"h:65536", "port \"65536\" is not a number from 0 to 65535"},
        {"127.0.0.1:", "port \"\" is not"},
        {"127.0.0.1:-1", "port \"-1\" is not"},
        {"127.0.0.1:99999999999999999999", "is not a number"},
        {"127.0.0.1:80x", "port \"80x\""},
        {"::1", "IPv6 needs brackets"},
        {"[::1", "']' is missing"},
        {"[::1]80", "':' is missing"},
        {"[]:80", "is not a host"},
        {"*:80", "is not a host"},
        {"a b:80", "is not a host"},
        {"http://h:1:2/", "IPv6 needs brackets"},
        {"http://h\n:1/", "U+000A"},
        {"averyveryverylongscheme://h", "scheme is longer"},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_addr addr = {.port = 77};
        struct mu_err err = {0};
        assert_int_equal(mu_addr_parse(&addr, cases[i].text, &err), MU_EINVAL);
        if (!strstr(err.text, cases[i].why))
            fail_msg("\"%s\" gave: %s", cases[i].text, err.text);
        assert_int_equal(addr.port, 77);
    }
}

static void addr_refuses_what_is_too_long(void **state)
{
    static const struct {
        const char *head;
        size_t longest;
    } cases[] = {{"/", 1023}, {"sqlite:", 1023}, {"http://", 7 + 255}, {"http://h?", 9 + 511}};
    struct mu_addr addr;
    char text[2000];

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        memset(text, 'x', sizeof(text));
        memcpy(text, cases[i].head, strlen(cases[i].head));
        text[cases[i].longest] = '\0';
        assert_int_equal(mu_addr_parse(&addr, text, NULL), 0);
        text[cases[i].longest] = 'x';
        text[cases[i].longest + 1] = '\0';
        assert_int_equal(mu_addr_parse(&addr, text, NULL), MU_EINVAL);
    }
}

static void addr_masks_passwords(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"postgresql://muster:secret@db/x", "postgresql://muster:***@db/x"},
        {"postgresql://muster:s@cret@db/x", "postgresql://muster:***@db/x"},
        {"postgresql://muster:@db/x", "postgresql://muster:@db/x"},
        {"postgresql://muster:ab@db/x", "postgresql://muster:**@db/x"},
        {"postgresql://muster@db/x", "postgresql://muster@db/x"},
        {"postgresql://muster:se/c?ret@db/x", "postgresql://muster:***@db/x"},
        {"MySQL://muster:1/secret@db/x", "MySQL://muster:***@db/x"},
        {"mysql://db/x?a=1&password=secret&b=2", "mysql://db/x?a=1&password=***&b=2"},
        {"mysql://db/x?sslpassword=se&password=cret", "mysql://db/x?sslpassword=**&password=***"},
        {"postgresql://db:5432/x?user=u&password=se@cret&b=2", "postgresql://db:***&b=2"},
        {"postgresql://u:a?password=se@cret@db/x", "postgresql://u:***"},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_addr addr;
        assert_int_equal(mu_addr_parse(&addr, cases[i].text, NULL), 0);
        assert_string_equal(addr.text, cases[i].shown);
    }
}

static void addr_error_shows_no_password(void **state)
{
    static const char *const cases[] = {
        "http://u:secret@db:99999/x",  "\"mysql://u:secret@db/x\"",   "\"mysql://u:s/secret@db/x\"",
        "mysql//u:secret@db/x",        "mysql://u:secret@db/x\001",   "mysql://u:secret\001@db/x",
        "postgres://u:secret@db/\xff", "postgres://u:secret\xff@db/x"};
    char text[2048];

    for (size_t i = 0; i <= MU_ARRAY_LEN(cases); i++) {
        struct mu_err err = {0};
        struct mu_addr addr;
        if (i < MU_ARRAY_LEN(cases))
            strcpy(text, cases[i]);
        else
            snprintf(text, sizeof(text), "mysql://u:secret@db/%01100d", 0);
        assert_int_equal(mu_addr_parse(&addr, text, &err), MU_EINVAL);
        assert_null(strstr(err.text, "secret"));
        assert_non_null(strstr(err.text, "address"));
    }
}

static void addr_becomes_a_sockaddr_and_back(void **state)
{
    static const char *const cases[] = {"127.0.0.1:4680", "[::1]:0", "[fe80::1]:65535",
                                        "/run/muster.sock"};

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct sockaddr_storage sa;
        struct mu_addr addr;
        socklen_t len;
        char text[128];
        assert_int_equal(mu_addr_parse(&addr, cases[i], NULL), 0);
        assert_int_equal(mu_addr_sockaddr(&addr, &sa, &len, NULL), 0);
        mu_addr_text_of((struct sockaddr *)&sa, len, text, sizeof(text));
        assert_string_equal(text, cases[i]);
    }
}

static void addr_sockaddr_resolves_no_names(void **state)
{
    static const char *const cases[] = {"localhost:80", "http://127.0.0.1/",
                                        "memory:", "[fe80::1%eth0]:80"};

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct sockaddr_storage sa;
        struct mu_addr addr;
        socklen_t len;
        assert_int_equal(mu_addr_parse(&addr, cases[i], NULL), 0);
        assert_int_equal(mu_addr_sockaddr(&addr, &sa, &len, NULL), MU_EINVAL);
    }
}

static void addr_sockaddr_knows_how_long_a_unix_path_may_be(void **state)
{
    struct sockaddr_storage sa;
    struct mu_err err = {0};
    struct mu_addr addr;
    char text[200];
    socklen_t len;

    memset(text, 'x', sizeof(text));
    text[0] = '/';
    text[107] = '\0';
    assert_int_equal(mu_addr_parse(&addr, text, NULL), 0);
    assert_int_equal(mu_addr_sockaddr(&addr, &sa, &len, NULL), 0);
    text[107] = 'x';
    text[108] = '\0';
    assert_int_equal(mu_addr_parse(&addr, text, NULL), 0);
    assert_int_equal(mu_addr_sockaddr(&addr, &sa, &len, &err), MU_EINVAL);
    assert_non_null(strstr(err.text, "at most 107 bytes"));
}

static void addr_text_of_odd_sockets(void **state)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0abc"};
    struct sockaddr_storage none = {.ss_family = AF_UNSPEC};
    const socklen_t head = offsetof(struct sockaddr_un, sun_path);
    char text[16];

    assert_string_equal(mu_addr_text_of((struct sockaddr *)&un, head, text, sizeof(text)), "unix");
    assert_string_equal(mu_addr_text_of((struct sockaddr *)&un, head + 4, text, sizeof(text)),
                        "@abc");
    assert_string_equal(mu_addr_text_of((struct sockaddr *)&none, sizeof(none), text, sizeof(text)),
                        "?");
}

static void addr_knows_what_is_loopback(void **state)
{
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:1", true},
        {"127.255.0.9:1", true},
        {"[::1]:1", true},
        {"localhost:1", true},
        {"LOCALHOST:1", true},
        {"/run/x", true},
        {"http://localhost", true},
        {"[::ffff:127.0.0.1]:1", true},
        {"0.0.0.0:1", false},
        {"[::]:1", false},
        {"126.0.0.1:1", false},
        {"10.127.0.1:1", false},
        {"localhost.evil.example:1", false},
        {"127.0.0.1.evil:1", false},
        {"[::ffff:10.0.0.1]:1", false},
        {"memory:", false},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_addr addr;
        assert_int_equal(mu_addr_parse(&addr, cases[i].text, NULL), 0);
        if (mu_addr_is_loopback(&addr) != cases[i].loopback)
            fail_msg("%s", cases[i].text);
    }
}

static void addr_knows_which_two_cannot_be_listened_on(void **state)
{
    static const struct {
        const char *a, *b;
        bool collide;
    } cases[] = {
        {"127.0.0.1:1", "127.0.0.1:1", true},
        {"127.0.0.1:1", "127.0.0.1:2", false},
        {"127.0.0.1:1", "127.0.0.2:1", false},
        {"127.0.0.1:0", "127.0.0.1:0", false}, /* each is given one of its own */
        {"127.0.0.1:1", "0.0.0.0:1", true},
        {"[::1]:1", "[0:0::1]:1", true},
        {"[::]:1", "[::1]:1", true},
        {"[::]:1", "0.0.0.0:1", false}, /* IPv6 alone */
        {"/run/x", "/run/x", true},
        {"/run/x", "/run/y", false},
        {"/run/x", "127.0.0.1:1", false},
        {"localhost:1", "localhost:1", false},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        struct mu_addr a, b;
        assert_int_equal(mu_addr_parse(&a, cases[i].a, NULL), 0);
        assert_int_equal(mu_addr_parse(&b, cases[i].b, NULL), 0);
        if (mu_addr_collide(&a, &b) != cases[i].collide ||
            mu_addr_collide(&b, &a) != cases[i].collide)
            fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addr_reads_listeners_and_urls),
        cmocka_unit_test(addr_refuses_and_says_why),
        cmocka_unit_test(addr_refuses_what_is_too_long),
        cmocka_unit_test(addr_masks_passwords),
        cmocka_unit_test(addr_error_shows_no_password),
        cmocka_unit_test(addr_becomes_a_sockaddr_and_back),
        cmocka_unit_test(addr_sockaddr_resolves_no_names),
        cmocka_unit_test(addr_sockaddr_knows_how_long_a_unix_path_may_be),
        cmocka_unit_test(addr_text_of_odd_sockets),
        cmocka_unit_test(addr_knows_what_is_loopback),
        cmocka_unit_test(addr_knows_which_two_cannot_be_listened_on),
    };

    return cmocka_run_group_tests_name("addr", tests, NULL, NULL);
}
