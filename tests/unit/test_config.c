/* The files of a case live in a folder of its own: muster.conf, and conf.d beside it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/test.h"

#include "base/log.h"
#include "base/mem.h"
#include "daemon/config.h"

struct fixture {
    char dir[64], file[96];
    struct mu_config_source source;
    struct mu_config *config;
    struct mu_err err;
    char warned[256];
};

static void note_warning(void *ctx, const char *line)
{
    struct fixture *f = ctx;

    snprintf(f->warned, sizeof(f->warned), "%s", line);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    strcpy(f->dir, "/tmp/muster-config-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->file, sizeof(f->file), "%s/muster.conf", f->dir);
    f->source = (struct mu_config_source){.file = f->file, .warn = note_warning, .ctx = f};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    int rv;

    mu_config_free(f->config);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    rv = system(command);
    free(f);
    return rv;
}

/* Writes @text to the file @name in the case's folder. */
static void put(struct fixture *f, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/conf.d", f->dir);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void load(struct fixture *f)
{
    mu_config_free(f->config);
    f->config = NULL;
    f->err.text[0] = 0;
    if (mu_config_load(&f->config, &f->source, &f->err))
        fail_msg("%s", f->err.text);
}

static void load_text(struct fixture *f, const char *text)
{
    put(f, "muster.conf", text);
    load(f);
}

/* Expects that @text is refused with each of the parts, a list that NULL ends, in the error. */
static void refuses_(struct fixture *f, const char *text, const char *const *parts)
{
    put(f, "muster.conf", text);
    assert_int_equal(mu_config_load(&f->config, &f->source, &f->err), MU_EINVAL);
    assert_null(f->config);
    for (; *parts; parts++)
        if (!strstr(f->err.text, *parts))
            fail_msg("\"%s\" does not say \"%s\"", f->err.text, *parts);
    assert_null(strchr(f->err.text, '\n'));
}
#define refuses(f, text, ...) refuses_(f, text, (const char *const[]){__VA_ARGS__, NULL})

static void config_is_whole_without_a_file(void **state)
{
    struct fixture *f = *state;

    load_text(f, "");
    assert_int_equal(f->config->policies.n, 1);
    assert_true(f->config->policies.at[0].times.interval == 10 * MU_SEC);
    assert_true(f->config->policies.at[0].times.suspect == 25 * MU_SEC);
    assert_true(f->config->policies.at[0].times.down == 60 * MU_SEC);
    assert_int_equal(f->config->listen.n, 1);
    assert_string_equal(f->config->listen.at[0], "127.0.0.1:4680");
    assert_string_equal(f->config->http.at[0], "127.0.0.1:4681");
    assert_int_equal(f->config->max_agents, 1000000);
    assert_int_equal(f->config->receive_buffer, 128 << 20);
    assert_int_equal(f->config->log_level, MU_LOG_INFO);
    assert_int_equal(f->config->log_format, MU_LOG_AUTO);
}

static void config_keeps_the_secret_beside_the_database(void **state)
{
    static const char *const cases[][2] = {
        {"sqlite:/x/fleet.db", "/x/fleet.db.secret"},
        {"memory:", ""},
        {"postgresql://h/fleet", "/state/muster/muster.secret"},
    };
    struct fixture *f = *state;
    char text[100];

    setenv("XDG_STATE_HOME", "/state", 1);
    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        bool server = i == 2;
        snprintf(text, sizeof(text), "[conductor]\nstore = %s\n", cases[i][0]);
        load_text(f, text);
        assert_string_equal(f->config->secret_file, server && geteuid() == 0
                                                        ? "/var/lib/muster/muster.secret"
                                                        : cases[i][1]);
        assert_int_equal(*f->config->own_folder != 0, server); /* the others' must be there */
    }
    unsetenv("XDG_STATE_HOME");
}

static void config_reads_every_type(void **state)
{
    struct fixture *f = *state;

    load_text(f, "[DEFAULT]\nreport_interval = 500ms\nservice_down_time = 5\n"
                 "[conductor]\nlisten = 127.0.0.1:1\nlisten = [::1]:2, /run/x.sock\n"
                 "insecure = yes\nstore = memory:\nmax_agents = 7\nreceive_buffer = 1MiB\n"
                 "secret_file = /x/y\n; a comment\n# another\n[log]\nlevel = debug ; why\n");
    assert_true(f->config->policies.at[0].times.interval == 500 * MU_MS);
    assert_true(f->config->policies.at[0].times.down == 5 * MU_SEC);
    assert_int_equal(f->config->listen.n, 3);
    assert_string_equal(f->config->listen.at[2], "/run/x.sock");
    assert_true(f->config->insecure);
    assert_string_equal(f->config->store, "memory:");
    assert_int_equal(f->config->max_agents, 7);
    assert_int_equal(f->config->receive_buffer, 1 << 20);
    assert_string_equal(f->config->secret_file, "/x/y");
    assert_int_equal(f->config->log_level, MU_LOG_DEBUG);
}

static void config_minds_no_blanks(void **state)
{
    struct fixture *f = *state;

    load_text(f, "  [conductor]\n  listen = 127.0.0.1:1 , [::1]:2\n\tmax_agents = 7\n"
                 "  [DEFAULT]\n    report_interval = 5\n    service_down_time = 50s  \n");
    assert_int_equal(f->config->listen.n, 2);
    assert_string_equal(f->config->listen.at[0], "127.0.0.1:1");
    assert_string_equal(f->config->listen.at[1], "[::1]:2");
    assert_int_equal(f->config->max_agents, 7);
    assert_true(f->config->policies.at[0].times.interval == 5 * MU_SEC);
    assert_true(f->config->policies.at[0].times.down == 50 * MU_SEC);
}

static void config_keeps_policies_in_the_order_of_the_file(void **state)
{
    struct fixture *f = *state;

    load_text(f, "[policy a]\nbinary = nova-*\nservice_down_time = 30s\n"
                 "[policy b]\nzone = z1\n[DEFAULT]\nreport_interval = 2s\n");
    assert_int_equal(f->config->policies.n, 3);
    assert_string_equal(f->config->policies.at[0].name, "a");
    assert_string_equal(f->config->policies.at[0].binary, "nova-*");
    assert_string_equal(f->config->policies.at[0].zone, "*");
    assert_true(f->config->policies.at[0].times.down == 30 * MU_SEC);
    assert_true(f->config->policies.at[0].times.interval == 2 * MU_SEC);
    assert_string_equal(f->config->policies.at[1].name, "b");
    assert_string_equal(f->config->policies.at[2].name, "DEFAULT");
}

static void config_chooses_a_detector_by_policy(void **state)
{
    struct fixture *f = *state;
    const struct mu_policy *p;

    load_text(f, "[DEFAULT]\ndetector = phi\nphi_threshold = 3\n[policy a]\ndetector = deadline\n"
                 "[policy b]\ndetector = two-window\nearliest_down_time = 20s\n[policy c]\n");
    p = f->config->policies.at;
    assert_int_equal(p[0].detector, MU_DETECT_DEADLINE);
    assert_true(p[0].times.floor == 60 * MU_SEC);
    assert_int_equal(p[1].detector, MU_DETECT_TWO_WINDOW);
    assert_true(p[1].times.floor == 20 * MU_SEC);
    assert_int_equal(p[2].detector, MU_DETECT_PHI);
    assert_true(p[2].times.phi == 3 && p[2].times.floor == 35 * MU_SEC);
}

static void config_refuses_what_no_detector_can_do(void **state)
{
    struct fixture *f = *state;

    refuses(f, "[policy a]\ndetector = two-windows\n", "muster.conf:2", "detector = two-windows",
            "deadline two-window phi");
    refuses(f, "[policy a]\nphi_threshold = 0\n", "phi_threshold = 0", "1 to 100");
    refuses(f, "[policy a]\ndetector = phi\nearliest_down_time = 2m\n", "policy a",
            "earliest_down_time is 2m", "service_down_time, which is 1m");
}

static void config_lets_the_stronger_place_win(void **state)
{
    struct fixture *f = *state;
    const char *const env[] = {"MUSTER_CONDUCTOR_MAX_AGENTS=4", "MUSTER_CONDUCTOR=http://x:1",
                               "PATH=/bin", "MUSTER_CONDUCTOR_JOIN_RATE=40", NULL};
    const struct mu_config_flag flags[] = {
        {"conductor", "max_agents", "5", "--max-agents"},
        {"conductor", "listen", "127.0.0.1:5", "--listen"},
        {"conductor", "listen", "127.0.0.1:6", "--listen"},
    };

    put(f, "conf.d/20-b.conf", "[conductor]\nmax_agents = 3\nevent_max = 300\n");
    put(f, "conf.d/10-a.conf", "[conductor]\nmax_agents = 2\nevent_max = 200\nmax_http = 20\n");
    put(f, "conf.d/.30-hidden.conf", "[conductor]\nmax_http = 99\n");
    put(f, "conf.d/40.conf~", "[conductor]\nmax_http = 99\n");
    f->source.env = (char **)env;
    f->source.flags = flags;
    f->source.nflags = 3;
    load_text(f, "[conductor]\nmax_agents = 1\nevent_max = 100\nmax_http = 10\njoin_rate = 10\n"
                 "max_streams = 100\nlisten = 127.0.0.1:1\n");
    assert_int_equal(f->config->max_agents, 5);
    assert_int_equal(f->config->join_rate, 40);
    assert_int_equal(f->config->event_max, 300);
    assert_int_equal(f->config->max_http, 20);
    assert_int_equal(f->config->max_streams, 100);
    assert_int_equal(f->config->listen.n, 2); /* replaced as a whole */
    assert_string_equal(f->config->listen.at[0], "127.0.0.1:5");
}

static void config_refuses_a_pattern_that_is_not_closed(void **state)
{
    struct fixture *f = *state;

    refuses(f, "[policy a]\nbinary = nova-[ab\n", ":2: ", "without its ]");
    refuses(f, "[policy a]\nzone = [!]\n", ":2: ", "without its ]");
    load_text(f, "[policy a]\nbinary = \\[x[]a][!]b]\n");
}

static void config_names_the_nearest_of_an_unknown_name(void **state)
{
    struct fixture *f = *state;

    refuses(f, "[conductor]\n\nmax_agent = 3\n", ":3: ", "max_agent ", "did you mean max_agents?");
    refuses(f, "[conducter]\n", ":1: ", "[conducter]", "did you mean [conductor]?");
    refuses(f, "[plicy a]\nbinary = x\n", ":1: ", "[plicy a]");
    refuses(f, "[log]\nlisten = 127.0.0.1:1\n", ":2: ", "belongs in [conductor]");
    refuses(f, "[policy a]\nlevel = info\n", ":2: ", "belongs in [log]");
    refuses(f, "[conductor]\nreport_interval = 5\n", ":2: ", "belongs in [DEFAULT]");
    refuses(f, "[conductor]\ncolour = red\n", ":2: ", "unknown setting colour");
}

static void config_names_the_value_and_what_is_allowed(void **state)
{
    struct fixture *f = *state;

    refuses(f, "[conductor]\nmax_agents = 0\n", ":2: ", "max_agents = 0", "1 to 16000000 agents");
    refuses(f, "[conductor]\nmax_agents = 12x\n", "12x", "whole number");
    refuses(f, "[conductor]\nmax_agents = 99999999999999999999\n", "out of range");
    refuses(f, "[conductor]\nmax_agents = -1\n", "whole number");
    refuses(f, "[conductor]\nmax_agents = +1\n", "whole number");
    refuses(f, "[conductor]\nmax_http_per_peer = -0\n", "whole number");
    refuses(f, "[conductor]\nreceive_buffer = +1MiB\n", "is no size");
    refuses(f, "[conductor]\nreceive_buffer = 9999999999GiB\n", "64KiB to 1GiB");
    refuses(f, "[conductor]\nreceive_buffer = 5 apples\n", "is no size");
    refuses(f, "[DEFAULT]\nreport_interval = soon\n", "soon", "10s");
    refuses(f, "[DEFAULT]\nreport_interval = -5s\n", "-5s");
    refuses(f, "[DEFAULT]\nreport_interval = 50ms\n", "50ms", "100ms");
    refuses(f, "[conductor]\ninsecure = perhaps\n", "perhaps", "true nor false");
    refuses(f, "[log]\nlevel = loud\n", "loud", "error warn info debug");
    refuses(f, "[conductor]\nlisten = 127.0.0.1\n", "127.0.0.1", "port");
    refuses(f, "[conductor]\nlisten = example.org:1\n", "example.org");
    refuses(f, "[conductor]\nlisten = [::ffff:127.0.0.1]:1\n", ":2: ", "A.B.C.D:PORT");
    refuses(f, "[conductor]\nlisten = http://127.0.0.1:1\n", "is a URL");
    refuses(f, "[conductor]\nstore = /var/lib/x.db\n", "sqlite:/var/lib/x.db");
    refuses(f, "[conductor]\nstore = ./x.db\n", "sqlite:./x.db", "postgresql://", "memory:");
    refuses(f, "[conductor]\nstore = fleet.db\n", "is no store; write sqlite:fleet.db");
    refuses(f, "[conductor]\nstore = sqlite\n", "is no store; write sqlite:PATH", "mysql://");
    refuses(f, "[conductor]\nstore = db:4680\n", "is no store; write sqlite:PATH", "mysql://");
    refuses(f, "[conductor]\nstore =\n", ":2: ", "empty");
    refuses(f, "[conductor]\nstore = mysql://u:s3cret@h/x\xe2\x80\x8b\n", "mysql://u:***@h");
    assert_null(strstr(f->err.text, "s3cret"));
}

static void config_refuses_what_is_no_setting(void **state)
{
    struct fixture *f = *state;
    char line[512];

    refuses(f, "max_agents = 3\n", ":1: ", "before any section");
    refuses(f, "[conductor]\nnonsense\n", ":2: ", "KEY = VALUE");
    refuses(f, "[conductor\nmax_agents = 3\n", ":1: ", "]");
    memset(line, 'x', sizeof(line) - 1);
    memcpy(line, "[log]\nlevel = ", 14);
    line[sizeof(line) - 1] = 0;
    refuses(f, line, ":2: ", "longer than");
}

static void config_refuses_a_setting_given_twice(void **state)
{
    struct fixture *f = *state;

    refuses(f, "[log]\nlevel = info\n[conductor]\n[log]\nlevel = warn\n", ":5: ", "twice", ":2");
    refuses(f, "[policy a]\nzone = x\nzone = y\n", ":3: ", "twice", ":2");
    load_text(f, "[policy a]\nzone = x\n[policy b]\nzone = x\n");
    assert_int_equal(f->config->policies.n, 3);
}

static void config_checks_times_against_each_other(void **state)
{
    struct fixture *f = *state;

    refuses(f, "[DEFAULT]\nreport_interval = 60s\nservice_down_time = 30s\n", "DEFAULT", "30s");
    refuses(f, "[policy p]\nsuspect_time = 90s\n", "p", "90s", "1m");
    load_text(f, "[DEFAULT]\nreport_interval = 10s\nservice_down_time = 25s\n");
    assert_non_null(strstr(f->warned, "25s"));
}

static void config_listens_for_others_only_when_told(void **state)
{
    struct fixture *f = *state;

    refuses(f, "[conductor]\nlisten = 0.0.0.0:1\n", ":2: ", "0.0.0.0:1", "insecure = true");
    refuses(f, "[conductor]\nhttp = [::]:1\n", "http = [::]:1", "insecure = true");
    load_text(f, "[conductor]\nlisten = 0.0.0.0:1\ninsecure = true\n");
    load_text(f, "[conductor]\nlisten = 127.9.9.9:1\nhttp = /tmp/x\n");
}

static void config_refuses_two_listeners_on_one_address(void **state)
{
    struct fixture *f = *state;

    refuses(
        f, "[conductor]\nlisten = 127.0.0.1:1, 127.0.0.1:2\nlisten = 127.0.0.1:1\n",
        ":3: [conductor] listen = 127.0.0.1:1: takes the same port as listen = 127.0.0.1:1 before"
        " it; give one of them another");
    refuses(f, "[conductor]\nlisten = 127.0.0.1:1\nhttp = 127.0.0.1:1\n",
            ":3: [conductor] http = 127.0.0.1:1", "listen = 127.0.0.1:1", "muster.conf:2)");
    refuses(f, "[conductor]\nlisten = 127.0.0.1:4681\n",
            ":2: [conductor] listen = 127.0.0.1:4681: takes the same port as http = 127.0.0.1:4681 "
            "(default)");
    refuses(f, "[conductor]\nhttp = /x/y, /x/z, /x/y\n", "http = /x/y", "same path");
    load_text(f, "[conductor]\nlisten = 127.0.0.1:0\nlisten = 127.0.0.1:0\nhttp = 127.0.0.1:0\n");
}

static void config_is_shown_as_it_can_be_read_back(void **state)
{
    struct fixture *f = *state;
    struct mu_buf first, second;

    mu_buf_init(&first, 0);
    mu_buf_init(&second, 0);
    load_text(f, "[DEFAULT]\nreport_interval = 1s\nservice_down_time = 3s\n[policy a]\nzone = q*\n"
                 "[conductor]\nlisten = /a/b, 127.0.0.1:4\n[log]\nformat = json\n");
    mu_config_show(f->config, false, &first);
    load_text(f, mu_buf_text(&first));
    mu_config_show(f->config, false, &second);
    assert_string_equal(mu_buf_text(&first), mu_buf_text(&second));
    assert_non_null(strstr(mu_buf_text(&first), "\nlisten = /a/b\nlisten = 127.0.0.1:4\n"));
    assert_non_null(strstr(mu_buf_text(&first), "[policy a]\n"));
    mu_buf_fini(&first);
    mu_buf_fini(&second);
}

static void config_shows_where_a_value_came_from(void **state)
{
    struct fixture *f = *state;
    const char *const env[] = {"MUSTER_LOG_LEVEL=debug", NULL};
    char place[128];
    struct mu_buf out;

    mu_buf_init(&out, 0);
    f->source.env = (char **)env;
    load_text(f, "[conductor]\nmax_agents = 9\n");
    mu_config_show(f->config, true, &out);
    snprintf(place, sizeof(place), "; %s:2\n", f->file);
    assert_non_null(strstr(mu_buf_text(&out), place));
    assert_non_null(strstr(mu_buf_text(&out), "; MUSTER_LOG_LEVEL\n"));
    assert_non_null(strstr(mu_buf_text(&out), "; default\n"));
    load_text(f, mu_buf_text(&out)); /* the origins are comments */
    assert_int_equal(f->config->max_agents, 9);
    mu_buf_fini(&out);
}

static void config_shows_no_password(void **state)
{
    struct fixture *f = *state;
    struct mu_buf out;

    mu_buf_init(&out, 0);
    load_text(f, "[conductor]\nstore = postgresql://muster:hunter2@db/muster\n");
    mu_config_show(f->config, true, &out);
    assert_null(strstr(mu_buf_text(&out), "hunter2"));
    assert_non_null(strstr(mu_buf_text(&out), "postgresql://muster:"));
    mu_buf_fini(&out);
}

static void config_error_shows_no_password(void **state)
{
    static const char *const cases[] = {"\"postgresql://muster:hunter2@db/muster\"",
                                        "postgresql//muster:hunter2@db/muster",
                                        "mysql://muster:hunter2@db/muster\001"};
    struct fixture *f = *state;

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        char text[128];
        snprintf(text, sizeof(text), "[conductor]\nstore = %s\n", cases[i]);
        refuses(f, text, "[conductor] store = ", "muster:***@db/muster");
        assert_null(strstr(f->err.text, "hunter2"));
    }
}

static void config_says_what_takes_a_restart(void **state)
{
    struct fixture *f = *state;
    struct mu_config *old;
    struct mu_buf out;

    mu_buf_init(&out, 0);
    load_text(f, "[conductor]\nmax_agents = 9\n");
    old = f->config;
    f->config = NULL;
    load_text(f, "[DEFAULT]\nreport_interval = 1s\n[conductor]\nmax_agents = 10\nstore = memory:\n"
                 "[log]\nlevel = debug\n");
    mu_config_restarts(old, f->config, &out);
    assert_non_null(strstr(mu_buf_text(&out), "max_agents"));
    assert_non_null(strstr(mu_buf_text(&out), "store"));
    assert_null(strstr(mu_buf_text(&out), "level"));
    assert_null(strstr(mu_buf_text(&out), "report_interval"));
    mu_buf_reset(&out);
    mu_config_restarts(old, old, &out);
    assert_int_equal(out.len, 0);
    mu_config_free(old);
    mu_buf_fini(&out);
}

static void config_survives_every_failed_allocation(void **state)
{
    struct fixture *f = *state;

    put(f, "muster.conf", "[policy a]\nzone = x\n[conductor]\nlisten = 127.0.0.1:1\n");
    put(f, "conf.d/a.conf", "[conductor]\nmax_agents = 2\n");
    for (unsigned long nth = 1;; nth++) {
        int rv;

        mu_mem_fault_at(nth);
        rv = mu_config_load(&f->config, &f->source, &f->err);
        if (!mu_mem_fault_fired()) {
            assert_int_equal(rv, 0);
            assert_true(nth > 4);
            break;
        }
        assert_int_equal(rv, MU_ENOMEM);
        assert_null(f->config);
    }
    mu_mem_fault_at(0);
}

static int count_setting(void *ctx, const struct mu_setting_info *info)
{
    ++*(int *)ctx;
    assert_true(*info->help >= 'A' && *info->help <= 'Z');
    assert_int_equal(info->help[strlen(info->help) - 1], '.');
    if (!strcmp(info->type, "duration") || !strcmp(info->type, "number") ||
        !strcmp(info->type, "size"))
        assert_non_null(strstr(info->bounds, " to "));
    else
        assert_string_equal(info->bounds, "");
    return 0;
}

static void config_has_a_sentence_for_every_setting(void **state)
{
    int n = 0;

    mu_config_each(count_setting, &n);
    assert_true(n > 20);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(config_is_whole_without_a_file),
        CASE(config_keeps_the_secret_beside_the_database),
        CASE(config_reads_every_type),
        CASE(config_minds_no_blanks),
        CASE(config_keeps_policies_in_the_order_of_the_file),
        CASE(config_chooses_a_detector_by_policy),
        CASE(config_refuses_what_no_detector_can_do),
        CASE(config_lets_the_stronger_place_win),
        CASE(config_refuses_a_pattern_that_is_not_closed),
        CASE(config_names_the_nearest_of_an_unknown_name),
        CASE(config_names_the_value_and_what_is_allowed),
        CASE(config_refuses_what_is_no_setting),
        CASE(config_refuses_a_setting_given_twice),
        CASE(config_checks_times_against_each_other),
        CASE(config_listens_for_others_only_when_told),
        CASE(config_refuses_two_listeners_on_one_address),
        CASE(config_is_shown_as_it_can_be_read_back),
        CASE(config_shows_where_a_value_came_from),
        CASE(config_shows_no_password),
        CASE(config_error_shows_no_password),
        CASE(config_says_what_takes_a_restart),
        CASE(config_survives_every_failed_allocation),
        CASE(config_has_a_sentence_for_every_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
