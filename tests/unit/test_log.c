/* The log is looked at through a file that stands in for standard error, and through a socket
 * that stands in for journald's. The clock is the test's own (meson.build wraps it). */
#include "base/log.h"

#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "lib/test.h"

mu_time __wrap_mu_clock_now(void);

static mu_time now;

mu_time __wrap_mu_clock_now(void)
{
    return now;
}

struct fixture {
    FILE *file;
    int saved; /* the true standard error */
    char text[1 << 20];
};

static struct fixture fixture;

static int setup(void **state)
{
    fixture.file = tmpfile();
    fixture.saved = dup(STDERR_FILENO);
    dup2(fileno(fixture.file), STDERR_FILENO);
    unsetenv("JOURNAL_STREAM");
    mu_log_setup(MU_LOG_INFO, MU_LOG_AUTO);
    return !fixture.file;
}

static int teardown(void **state)
{
    mu_log_flush();
    dup2(fixture.saved, STDERR_FILENO);
    close(fixture.saved);
    fclose(fixture.file);
    now += 3600 * MU_SEC;
    return 0;
}

/* What was written since the last call. */
static const char *written(void)
{
    ssize_t n = pread(fileno(fixture.file), fixture.text, sizeof(fixture.text) - 1, 0);

    assert_true(n >= 0);
    fixture.text[n] = '\0';
    assert_int_equal(ftruncate(fileno(fixture.file), 0), 0);
    assert_int_equal(lseek(fileno(fixture.file), 0, SEEK_SET), 0);
    return fixture.text;
}

static unsigned count_lines(const char *text)
{
    unsigned n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static void log_text_is_level_room_what_key_value(void **state)
{
    mu_info("store", "migrated", MU_KVU("from", 1), MU_KVI("to", -2), MU_KVS("path", "/x/y.db"));
    assert_string_equal(written(), "info store: migrated from=1 to=-2 path=/x/y.db\n");
    mu_warn("store", "slow", MU_KVS("why", "disk is full"), MU_KVS("none", NULL));
    assert_string_equal(written(), "warn store: slow why=\"disk is full\" none=\"\"\n");
}

static void log_values_end_no_line_and_no_string(void **state)
{
    mu_info("api", "request", MU_KVS("path", "a\"b\\c\nerror api: forged\x1B[2J\xE2\x80\xAE\xFF"));
    assert_string_equal(written(), "info api: request path=\"a\\\"b\\\\c\\nerror api: "
                                   "forged\\u001b[2J\\u202e\\ufffd\"\n");
}

static void log_writes_what_the_level_allows(void **state)
{
    mu_debug("a", "beat", MU_KVI("n", 1));
    assert_string_equal(written(), "");
    assert_false(mu_log_on(MU_LOG_DEBUG));
    mu_log_setup(MU_LOG_DEBUG, MU_LOG_TEXT);
    mu_debug("a", "beat", MU_KVI("n", 1));
    assert_string_equal(written(), "debug a: beat n=1\n");
    mu_log_setup(MU_LOG_ERROR, MU_LOG_TEXT);
    mu_warn("a", "odd", MU_KVI("n", 1));
    mu_error("a", "broken", MU_KVI("n", 1));
    assert_string_equal(written(), "error a: broken n=1\n");
}

static void log_json_is_one_object_a_line(void **state)
{
    json_t *line;
    mu_wall at;

    mu_log_setup(MU_LOG_INFO, MU_LOG_JSON);
    mu_warn("api", "re\"quest", MU_KVS("path", "a\"b\\\n\t\x01\xE2\x80\xAE\xFFz"),
            MU_KVI("low", INT64_MIN), MU_KVU("n", 7));
    line = json_loads(written(), 0, NULL);
    assert_non_null(line);
    assert_int_equal(mu_wall_parse(json_string_value(json_object_get(line, "at")), &at), 0);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
    assert_string_equal(json_string_value(json_object_get(line, "room")), "api");
    assert_string_equal(json_string_value(json_object_get(line, "message")), "re\"quest");
    assert_string_equal(json_string_value(json_object_get(line, "path")),
                        "a\"b\\\n\t\x01\xE2\x80\xAE\xEF\xBF\xBDz");
    assert_true(json_integer_value(json_object_get(line, "low")) == INT64_MIN);
    assert_int_equal(json_integer_value(json_object_get(line, "n")), 7);
    assert_int_equal(count_lines(fixture.text), 1);
    json_decref(line);
}

/* A value that does not fit is left out, and what follows is still there. */
static void log_line_has_a_bound(void **state)
{
    static const enum mu_log_format formats[] = {MU_LOG_TEXT, MU_LOG_JSON};
    char *huge = mu_calloc(1, 70000);

    memset(huge, 'x', 69999);
    for (size_t i = 0; i < MU_ARRAY_LEN(formats); i++) {
        mu_log_setup(MU_LOG_INFO, formats[i]);
        for (size_t n = 7000; n < 9000; n += 13) {
            huge[n] = '\0';
            mu_error("a", "long", MU_KVS("huge", huge), MU_KVI("after", 1));
            huge[n] = 'x';
            assert_true(strlen(written()) < 8300);
            assert_int_equal(count_lines(fixture.text), 1);
            if (formats[i] == MU_LOG_JSON) {
                json_t *line = json_loads(fixture.text, 0, NULL);
                assert_non_null(line);
                json_decref(line);
            }
        }
        mu_error("a", "long", MU_KVS("huge", huge), MU_KVI("after", 1));
        assert_null(strstr(written(), "xxx"));
        assert_non_null(strstr(fixture.text, "after"));
    }
    mu_free(huge);
}

static void log_holds_repeated_lines_back_and_says_so(void **state)
{
    for (int i = 0; i < 1000; i++)
        mu_warn("udp", "bad tag", MU_KVI("i", i));
    assert_int_equal(count_lines(written()), 10);
    assert_non_null(strstr(fixture.text, "i=9\n"));
    mu_warn("udp", "other", MU_KVI("i", 1)); /* another kind is not held back */
    mu_warn("tcp", "bad tag", MU_KVI("i", 1));
    assert_int_equal(count_lines(written()), 2);

    now += 10 * MU_SEC;
    mu_warn("udp", "bad tag", MU_KVI("i", 1000));
    assert_string_equal(written(), "warn udp: bad tag held_back=990\nwarn udp: bad tag i=1000\n");
}

static void log_tells_what_was_held_back_at_the_end(void **state)
{
    for (int i = 0; i < 11; i++)
        mu_info("a", "again", MU_KVI("i", i));
    written();
    mu_log_flush();
    assert_string_equal(written(), "info a: again held_back=1\n");
    mu_log_flush();
    assert_string_equal(written(), "");
}

static void log_tells_what_was_held_back_when_nothing_follows(void **state)
{
    for (int i = 0; i < 12; i++)
        mu_info("a", "again", MU_KVI("i", i));
    written();
    now += 9 * MU_SEC;
    mu_log_tick();
    assert_string_equal(written(), "");
    now += MU_SEC;
    mu_log_tick();
    assert_string_equal(written(), "info a: again held_back=2\n");
}

static void log_holds_changes_back_later(void **state)
{
    struct mu_kv kv = MU_KVI("n", 1);
    unsigned lines = 0;

    for (int i = 0; i < 1001; i++)
        if (mu_log_change_due(MU_LOG_INFO, "fleet", "up"))
            mu_log_change(MU_LOG_INFO, "fleet", "up", &kv, 1);
    for (const char *p = written(); (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, 1000);
    mu_log_flush();
    assert_string_equal(written(), "info fleet: up held_back=1\n");
}

static void log_waits_for_no_reader(void **state)
{
    char out[64 << 10];
    int ends[2], lines = 0;
    ssize_t n;

    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    fcntl(ends[1], F_SETFL, 0); /* only the reading end */
    dup2(ends[1], STDERR_FILENO);
    for (int i = 0; i < 5000; i++) /* more than a pipe holds */
        mu_error("a", "b", MU_KVI("n", i));
    while (read(ends[0], out, sizeof(out)) > 0)
        ;
    mu_error("a", "c", MU_KVI("n", 1));
    n = read(ends[0], out, sizeof(out) - 1);
    assert_true(n > 0);
    out[n] = '\0';
    assert_int_equal(
        sscanf(out, "warn log: lines left out, since nobody read them lines=%d", &lines), 1);
    assert_true(lines > 0 && lines < 5000);
    assert_non_null(strstr(out, "\nerror a: c n=1\n"));
    close(ends[0]);
    close(ends[1]);
}

static void log_holds_no_error_back(void **state)
{
    for (int i = 0; i < 100; i++)
        mu_error("a", "broken", MU_KVI("i", i));
    assert_int_equal(count_lines(written()), 100);
}

/* More kinds of lines than are counted: none is lost. */
static void log_writes_what_it_cannot_count(void **state)
{
    char what[32];

    for (int i = 0; i < 1000; i++) {
        snprintf(what, sizeof(what), "kind %d", i);
        mu_info("a", what, MU_KVI("i", i));
    }
    assert_int_equal(count_lines(written()), 1000);
}

static void *write_lines(void *ctx)
{
    for (int i = 0; i < 200; i++)
        mu_error("thread", "line", MU_KVS("who", ctx), MU_KVI("i", i));
    return NULL;
}

static void log_lines_of_threads_are_whole(void **state)
{
    pthread_t threads[4];

    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, write_lines, (void *)"somebody");
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    written();
    for (char *save, *line = strtok_r(fixture.text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save))
        assert_int_equal(strncmp(line, "error thread: line who=somebody i=", 34), 0);
}

/* Makes standard error look like a stream of journald. */
static void pretend_journal_stream(void)
{
    struct stat st;
    char text[64];

    fstat(STDERR_FILENO, &st);
    snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
}

static void log_prefixes_priorities_on_a_journal_stream(void **state)
{
    pretend_journal_stream();
    mu_log_setup(MU_LOG_DEBUG, MU_LOG_TEXT);
    mu_error("a", "b", MU_KVI("n", 1));
    mu_warn("a", "c", MU_KVI("n", 1));
    mu_info("a", "d", MU_KVI("n", 1));
    mu_debug("a", "e", MU_KVI("n", 1));
    assert_string_equal(written(), "<3>error a: b n=1\n<4>warn a: c n=1\n"
                                   "<6>info a: d n=1\n<7>debug a: e n=1\n");
    setenv("JOURNAL_STREAM", "1:1", 1); /* inherited, but standard error goes elsewhere */
    mu_log_setup(MU_LOG_INFO, MU_LOG_TEXT);
    mu_warn("a", "c", MU_KVI("n", 2));
    assert_string_equal(written(), "warn a: c n=2\n");
}

/* Finds NAME of journald's native protocol in a datagram of @n bytes; its length in @len. */
static const char *field(const char *gram, size_t n, const char *name, size_t *len)
{
    const char *p = gram, *end = gram + n;

    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        bool found = (size_t)(eol - p) == strlen(name) && memcmp(p, name, strlen(name)) == 0;
        *len = 0;
        for (int i = 8; i > 0; i--)
            *len = *len << 8 | (uint8_t)eol[i];
        assert_true(eol + 9 + *len < end);
        assert_int_equal(eol[9 + *len], '\n');
        if (found)
            return eol + 9;
        p = eol + 9 + *len + 1;
    }
    return NULL;
}

static void field_is(const char *gram, size_t n, const char *name, const char *want)
{
    size_t len = 0;
    const char *value = field(gram, n, name, &len);

    assert_non_null(value);
    assert_int_equal(len, strlen(want));
    assert_memory_equal(value, want, len);
}

static void log_speaks_journalds_own_protocol(void **state)
{
    char dir[] = "/tmp/muster-test-XXXXXX", gram[8192];
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ssize_t n;

    assert_non_null(mkdtemp(dir));
    snprintf(un.sun_path, sizeof(un.sun_path), "%s/socket", dir);
    assert_int_equal(bind(sock, (struct sockaddr *)&un, sizeof(un)), 0);
    mu_log_journal_at(un.sun_path);
    pretend_journal_stream();
    mu_log_setup(MU_LOG_INFO, MU_LOG_AUTO);
    mu_warn("store", "slow", MU_KVS("why", "a\nPRIORITY=0"), MU_KVI("took_ms", -5));
    n = recv(sock, gram, sizeof(gram), MSG_DONTWAIT);
    assert_true(n > 0);
    field_is(gram, (size_t)n, "PRIORITY", "4");
    field_is(gram, (size_t)n, "SYSLOG_IDENTIFIER", "muster");
    field_is(gram, (size_t)n, "MUSTER_ROOM", "store");
    field_is(gram, (size_t)n, "MUSTER_WHY", "a\nPRIORITY=0");
    field_is(gram, (size_t)n, "MUSTER_TOOK_MS", "-5");
    field_is(gram, (size_t)n, "MESSAGE", "store: slow why=\"a\\nPRIORITY=0\" took_ms=-5");
    assert_string_equal(written(), "");

    close(sock); /* journald is gone: the stream is left */
    mu_warn("store", "slow", MU_KVI("took_ms", 6));
    assert_string_equal(written(), "<4>warn store: slow took_ms=6\n");
    unlink(un.sun_path);
    rmdir(dir);
    mu_log_journal_at("/nowhere/socket");
    mu_log_setup(MU_LOG_INFO, MU_LOG_JOURNALD);
    mu_warn("store", "slow", MU_KVI("took_ms", 7));
    assert_string_equal(written(), "<4>warn store: slow took_ms=7\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(log_text_is_level_room_what_key_value),
        TEST(log_values_end_no_line_and_no_string),
        TEST(log_writes_what_the_level_allows),
        TEST(log_json_is_one_object_a_line),
        TEST(log_line_has_a_bound),
        TEST(log_holds_repeated_lines_back_and_says_so),
        TEST(log_tells_what_was_held_back_at_the_end),
        TEST(log_tells_what_was_held_back_when_nothing_follows),
        TEST(log_holds_changes_back_later),
        TEST(log_waits_for_no_reader),
        TEST(log_holds_no_error_back),
        TEST(log_writes_what_it_cannot_count),
        TEST(log_lines_of_threads_are_whole),
        TEST(log_prefixes_priorities_on_a_journal_stream),
        TEST(log_speaks_journalds_own_protocol),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
