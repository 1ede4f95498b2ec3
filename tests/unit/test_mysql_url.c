/* mysql:// URLs: taken apart, and refused without a word of the password. */
#include "lib/rows.h"
#include "store/mysql_url.h"

static int parse(struct mu_mysql_url *url, const char *text, struct mu_err *err)
{
    struct mu_addr addr;
    int rv = mu_addr_parse(&addr, text, err);

    return rv ? rv : mu_mysql_url_parse(url, &addr, err);
}

static void a_url_is_taken_apart(void **state)
{
    struct mu_mysql_url url;

    assert_int_equal(
        parse(&url, "mysql://m%40ster:a%3ab%2fc%3f%25%41@db.example:3307/fl%20eet", NULL), 0);
    assert_string_equal(url.user, "m@ster");
    assert_string_equal(url.password, "a:b/c?%A");
    assert_string_equal(url.host, "db.example");
    assert_int_equal(url.port, 3307);
    assert_string_equal(url.database, "fl eet");
    assert_string_equal(url.unix_socket, "");

    assert_int_equal(parse(&url, "mysql://u@[::1]/d?ssl_ca=/ca.pem&ssl_cert=/c&ssl_key=/k", NULL),
                     0);
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 3306);
    assert_string_equal(url.password, "");
    assert_string_equal(url.ssl_ca, "/ca.pem");
    assert_string_equal(url.ssl_cert, "/c");
    assert_string_equal(url.ssl_key, "/k");

    assert_int_equal(parse(&url, "mariadb://u@/d?unix_socket=/run/a%26b&password_file=/p", NULL),
                     0);
    assert_string_equal(url.host, "");
    assert_string_equal(url.unix_socket, "/run/a&b");
    assert_string_equal(url.password_file, "/p");
}

static void what_is_wrong_is_named(void **state)
{
    static const char *const wrong[][2] = {
        {"mysql:fleet", "mysql://USER@HOST/DATABASE"},
        {"mysql://u:secret@/d", "unix_socket=PATH"},
        {"mysql://u:secret@h/d?unix_socket=/s", "either a host"},
        {"mysql://h/d", "the user"},
        {"mysql://u:secret@h", "one database"},
        {"mysql://u:secret@h/", "one database"},
        {"mysql://u:secret@h/a/b", "one database"},
        {"mysql://u:secret@h:0/d", "port \"0\""},
        {"mysql://u:secret@h:65536/d", "65536"},
        {"mysql://u:secret@h:x/d", "port \"x\""},
        {"mysql://u:secret@h:1:2/d", "h:1:2"},
        {"mysql://u:secret@[::1/d", "[::1"},
        {"mysql://u:secret@[::1]x/d", "[V6]:PORT"},
        {"mysql://u:sec%ret@h/d", "password has a %"},
        {"mysql://u:secret%0@h/d", "password has a %"},
        {"mysql://u:secret%00@h/d", "password has a %"},
        {"mysql://u%zz:secret@h/d", "user has a %"},
        {"mysql://u:sec/ret@h/d", "%2F"},
        {"mysql://u:sec?ret@h/d", "%3F"},
        {"mysql://u:secret@h/d?unix-socket=/s",
         "\"unix-socket\"; there are unix_socket, password_file,"},
        {"mysql://u:secret@h/d?ssl_ca", "ssl_ca has no value"},
        {"mysql://u:secret@h/d?password_file=/f", "not both"},
        {"mysql://u:secret@h/d?ssl_ca=/a&ssl_key=/k", "together"},
        {"mysql://u:secret@h/d?ssl_cert=/c&ssl_key=/k", "needs ssl_ca"},
    };
    struct mu_mysql_url url;
    struct mu_err err;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(parse(&url, wrong[i][0], &err), MU_EINVAL);
        if (!strstr(err.text, wrong[i][1]))
            fail_msg("%s: %s", wrong[i][0], err.text);
        assert_null(strstr(err.text, "sec"));
    }
}

static void put_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void a_password_file_is_read_when_it_is_needed(void **state)
{
    struct mu_mysql_url url = {.password = "", .password_file = ""};
    char dir[256], path[300], password[MU_MYSQL_PASSWORD];
    struct mu_err err;

    make_scratch(dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/password", dir);
    url.password_file = path;
    assert_int_equal(mu_mysql_password(&url, password, &err), MU_EINVAL);
    assert_non_null(strstr(err.text, path));
    put_file(path, "first\r\nsecond\n", 0600);
    assert_int_equal(mu_mysql_password(&url, password, &err), 0);
    assert_string_equal(password, "first");
    put_file(path, "no newline", 0640);
    assert_int_equal(mu_mysql_password(&url, password, &err), 0);
    assert_string_equal(password, "no newline");
    put_file(path, "secret", 0644);
    assert_int_equal(mu_mysql_password(&url, password, &err), MU_EPERM);
    assert_non_null(strstr(err.text, "chmod 600"));
    char *line = malloc(2000);
    memset(line, 'x', 1999);
    line[1999] = '\0';
    put_file(path, line, 0600);
    free(line);
    assert_int_equal(mu_mysql_password(&url, password, &err), MU_EINVAL);
    assert_non_null(strstr(err.text, "1022"));
    remove_scratch(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_taken_apart),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_password_file_is_read_when_it_is_needed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
