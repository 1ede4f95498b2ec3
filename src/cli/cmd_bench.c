/* What a conductor bears, in figures. Without --conductor it is one of our own: a child on free
 * ports and a scratch database, gone when we end. $MUSTER_CONDUCTOR is not looked at, so that
 * nobody loads the one at work by mistake. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "cli/ask.h"
#include "cli/child.h"
#include "cli/commands.h"
#include "cli/own.h"
#include "cli/print.h"
#include "cli/settings.h"
#include "daemon/secret.h"
#include "load/bench.h"
#include "load/cost.h"
#include "store/admin.h"

#define DOWN_INTERVALS 6 /* the down time of our own conductor: 60 s at 10 s */
#define HOUR           (3600 * MU_SEC)

struct bench {
    const struct mu_args *args;
    struct mu_bench_target to;
    struct mu_bench_beats beats;
    struct mu_bench_api api;
    struct mu_own own;
    char token[256], store[MU_CLI_URL];
    struct mu_figures figures;
};

static volatile sig_atomic_t stopped;

static void stop(int signum)
{
    stopped = signum;
}

static void tell(void *ctx, const char *line)
{
    (void)ctx;
    fprintf(stderr, "%s\n", line);
}

/* --- what is wanted -----------------------------------------------------------------------------
 */

/* One --kill: NUMBER@TIME or SHARE%@TIME. */
static int read_kill(const struct mu_args *args, const char *text, struct mu_bench_kill *out)
{
    char number[32] = "", *end = number;
    const char *at = strchr(text, '@');
    double value = -1;

    if (at && (size_t)(at - text) < sizeof(number)) {
        snprintf(number, sizeof(number), "%.*s", (int)(at - text), text);
        value = strtod(number, &end);
    }
    bool digit = isdigit((unsigned char)*number);
    *out = (struct mu_bench_kill){0};
    if (digit && strcmp(end, "%") == 0 && value > 0 && value <= 100)
        out->part = value / 100;
    else if (digit && *end == '\0' && value >= 1 && value <= MU_BENCH_AGENTS_MAX)
        out->agents = (uint32_t)value;
    else
        at = NULL;
    if (!at || mu_dur_parse(at + 1, &out->at))
        return mu_cli_fail(args, MU_EXIT_USAGE,
                           "--kill \"%s\" is neither NUMBER@TIME nor SHARE%%@TIME, as in 1000@60s "
                           "or 50%%@2m",
                           text);
    return MU_EXIT_OK;
}

static int read_kills(const struct mu_args *args, struct mu_bench_beats *beats)
{
    const char *text;
    int code = MU_EXIT_OK;

    while (code == MU_EXIT_OK && (text = mu_args_nth(args, "kill", beats->nkills)) != NULL) {
        if (beats->nkills == MU_BENCH_KILLS_MAX)
            return mu_cli_fail(args, MU_EXIT_USAGE, "--kill is given more than %d times",
                               MU_BENCH_KILLS_MAX);
        code = read_kill(args, text, &beats->kills[beats->nkills]);
        if (code == MU_EXIT_OK && beats->nkills > 0 &&
            beats->kills[beats->nkills].at < beats->kills[beats->nkills - 1].at)
            return mu_cli_fail(args, MU_EXIT_USAGE, "--kill \"%s\" comes before the one before it",
                               text);
        beats->nkills++;
    }
    return code;
}

static int read_int(const struct mu_args *args, const char *name, long min, long max,
                    uint32_t *value)
{
    long number = (long)*value;
    int code = mu_args_int(args, name, min, max, &number);

    *value = (uint32_t)number;
    return code;
}

static int read_dur(const struct mu_args *args, const char *name, mu_dur min, mu_dur max,
                    mu_dur *value)
{
    char least[MU_DUR_TEXT], most[MU_DUR_TEXT];
    int code = mu_args_dur(args, name, value);

    if (code == MU_EXIT_OK && (*value < min || *value > max))
        return mu_cli_fail(args, MU_EXIT_USAGE, "--%s \"%s\" is not from %s to %s", name,
                           mu_args_value(args, name), mu_dur_text(min, least),
                           mu_dur_text(max, most));
    return code;
}

static int read_beats(const struct mu_args *args, struct mu_bench_beats *beats)
{
    uint32_t rate = 0, seed = 1;
    int code = read_kills(args, beats);

    if (code == MU_EXIT_OK)
        code = read_int(args, "agents", 1, MU_BENCH_AGENTS_MAX, &beats->agents);
    if (code == MU_EXIT_OK)
        code = read_int(args, "bundle", 1, MU_BENCH_BUNDLE_MAX, &beats->bundle);
    if (code == MU_EXIT_OK)
        code = read_int(args, "sources", 1, MU_BENCH_SOURCES_MAX, &beats->sources);
    if (code == MU_EXIT_OK)
        code = read_int(args, "outstanding", 1, 1000000, &beats->outstanding);
    if (code == MU_EXIT_OK)
        code = read_int(args, "rate", 1, 100000000, &rate);
    if (code == MU_EXIT_OK)
        code = read_int(args, "seed", 0, INT32_MAX, &seed);
    if (code == MU_EXIT_OK)
        code = read_dur(args, "interval", 100 * MU_MS, HOUR, &beats->interval);
    if (code == MU_EXIT_OK)
        code = read_dur(args, "for", 100 * MU_MS, 24 * HOUR, &beats->length);
    if (code == MU_EXIT_OK)
        code = read_dur(args, "warm", 0, 24 * HOUR, &beats->warm);
    beats->rate = rate;
    beats->seed = seed;
    beats->saturate = mu_args_has(args, "saturate");
    beats->no_acks = mu_args_has(args, "no-acks");
    beats->streams = mu_args_has(args, "streams");
    beats->gso = mu_args_has(args, "one-flow");
    beats->made_up = mu_args_has(args, "made-up");
    beats->killed_file = mu_args_value(args, "killed-file");
    return code;
}

static int read_api(const struct mu_args *args, struct mu_bench_api *api)
{
    int code = read_int(args, "clients", 1, 256, &api->clients);

    if (code == MU_EXIT_OK)
        code = read_int(args, "limit", 1, 1000, &api->limit);
    if (code == MU_EXIT_OK)
        code = read_int(args, "rows", 1, MU_BENCH_AGENTS_MAX, &api->rows);
    return code;
}

static int read_target(const struct mu_args *args, struct mu_bench_target *to)
{
    long last = sysconf(_SC_NPROCESSORS_CONF) - 1, server = -1, load = -1, pid = 0;
    int code = mu_args_int(args, "server-cpu", 0, last, &server);

    if (code == MU_EXIT_OK)
        code = mu_args_int(args, "load-cpu", 0, last, &load);
    if (code == MU_EXIT_OK)
        code = mu_args_int(args, "pid", 1, INT32_MAX, &pid);
    to->pid = (pid_t)pid;
    to->server_cpu = (int)server;
    to->load_cpu = (int)load;
    return code;
}

enum { BEATS = 1, STORM = 2, API = 4, TABLE = 8, STORE = 16 };

/* What does not measure by an option refuses it. --agents, --json and --csv are everybody's. */
static int check_kind(const struct mu_args *args, const char *what, unsigned kind)
{
    static const struct {
        const char *option;
        unsigned kinds;
    } table[] = {
        {"bundle", BEATS | STORM | API},
        {"interval", BEATS | STORM | API},
        {"for", BEATS | API},
        {"warm", BEATS | API},
        {"rate", BEATS | API},
        {"saturate", BEATS},
        {"outstanding", BEATS},
        {"no-acks", BEATS | API},
        {"streams", BEATS | API},
        {"one-flow", BEATS | STORM | API},
        {"sources", BEATS | STORM | API},
        {"kill", BEATS},
        {"killed-file", BEATS},
        {"made-up", BEATS},
        {"clients", API},
        {"limit", API},
        {"rows", API},
        {"seed", BEATS | STORM | API | TABLE},
        {"server-cpu", BEATS | STORM | API},
        {"load-cpu", BEATS | STORM | API},
        {"pid", BEATS | API},
        {"conductor", BEATS | API},
        {"http", BEATS | API},
        {"token-file", BEATS | API},
        {"store", BEATS | STORM | API},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (mu_args_has(args, table[i].option) && !(table[i].kinds & kind))
            return mu_cli_fail(args, MU_EXIT_USAGE, "--%s is not for %s: leave it out",
                               table[i].option, what);
    return MU_EXIT_OK;
}

/* Options that contradict one another, or do nothing by themselves: both are named. */
static int check_pairs(const struct mu_args *args)
{
    static const char *const apart[][2] = {
        {"streams", "no-acks"}, {"streams", "one-flow"}, {"streams", "made-up"},
        {"streams", "sources"}, {"rate", "saturate"},    {"json", "csv"},
        {"conductor", "store"}, {"sources", "one-flow"}, {"outstanding", "no-acks"},
    };
    static const char *const needs[][2] = {
        {"outstanding", "saturate"}, {"killed-file", "kill"}, {"made-up", "conductor"},
        {"http", "conductor"},       {"pid", "conductor"},    {"token-file", "conductor"},
    };

    for (size_t i = 0; i < sizeof(apart) / sizeof(apart[0]); i++)
        if (mu_args_has(args, apart[i][0]) && mu_args_has(args, apart[i][1]))
            return mu_cli_fail(args, MU_EXIT_USAGE, "--%s and --%s do not go together", apart[i][0],
                               apart[i][1]);
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++)
        if (mu_args_has(args, needs[i][0]) && !mu_args_has(args, needs[i][1]))
            return mu_cli_fail(args, MU_EXIT_USAGE, "--%s does nothing without --%s", needs[i][0],
                               needs[i][1]);
    return MU_EXIT_OK;
}

/* The last of those who fall silent do so while it is measured. */
static int check_kills(const struct mu_args *args, const struct mu_bench_beats *beats)
{
    char warm[MU_DUR_TEXT], length[MU_DUR_TEXT];

    if (beats->nkills == 0 || beats->kills[beats->nkills - 1].at < beats->warm + beats->length)
        return MU_EXIT_OK;
    return mu_cli_fail(args, MU_EXIT_USAGE,
                       "--kill \"%s\" comes too late: --warm %s and --for %s are over by then",
                       mu_args_nth(args, "kill", beats->nkills - 1), mu_dur_text(beats->warm, warm),
                       mu_dur_text(beats->length, length));
}

/* --- which conductor ----------------------------------------------------------------------------
 */

static int resolve(const char *what, const char *text, int port, struct sockaddr_storage *out,
                   socklen_t *len, struct mu_err *err)
{
    struct mu_addr addr;
    int rv = mu_addr_parse(&addr, text, err);

    if (rv == 0 && addr.port < 0)
        addr.port = port;
    if (rv == 0)
        rv = mu_addr_sockaddr(&addr, out, len, err);
    if (rv == 0 && out->ss_family == AF_UNIX)
        return mu_err_set(err, MU_EINVAL, "%s %s: beats need TCP and UDP", what, text);
    return rv ? mu_err_wrap(err, rv, "%s %s", what, text) : 0;
}

/* One that runs: its API is where --http says, else at its own address. */
static int use_theirs(struct bench *b, struct mu_err *err)
{
    const char *agents = mu_args_value(b->args, "conductor"),
               *http = mu_args_value(b->args, "http");
    int rv = resolve("--conductor", agents, 4680, &b->to.agents, &b->to.agents_len, err);
    struct mu_addr addr;
    char text[300];

    if (rv)
        return rv;
    if (!http && !b->beats.made_up) {
        (void)mu_addr_parse(&addr, agents, NULL);
        snprintf(text, sizeof(text), strchr(addr.host, ':') ? "[%s]:%d" : "%s:%d", addr.host,
                 MU_ASK_PORT);
        http = text;
    }
    if (http)
        rv = resolve("--http", http, MU_ASK_PORT, &b->to.http, &b->to.http_len, err);
    if (rv == 0 && b->to.pid == 0)
        b->to.pid = mu_cost_listener((const struct sockaddr *)&b->to.agents, b->to.agents_len);
    return rv;
}

static int take_own(struct bench *b, struct mu_err *err)
{
    char text[64];
    int rv;

    b->to.pid = b->own.pid;
    snprintf(text, sizeof(text), "127.0.0.1:%d", b->own.agents_port);
    rv = resolve("", text, 0, &b->to.agents, &b->to.agents_len, err);
    snprintf(text, sizeof(text), "127.0.0.1:%d", b->own.http_port);
    return rv ? rv : resolve("", text, 0, &b->to.http, &b->to.http_len, err);
}

static int restart(void *ctx, pid_t *pid, struct mu_err *err)
{
    struct bench *b = ctx;
    int rv;

    mu_own_kill(&b->own);
    rv = mu_own_start(&b->own, err);
    *pid = b->own.pid;
    return rv;
}

/* The agents of a bench stay in the table, beside whoever is there. What else may be wrong with the
 * database its conductor says. */
static int check_empty(const char *url, struct mu_err *err)
{
    struct mu_store_status status;
    struct mu_addr addr;
    struct mu_err ignored;

    if (mu_addr_parse(&addr, url, &ignored) || mu_store_status(url, &status, &ignored) ||
        status.agents == 0)
        return 0;
    return mu_err_set(err, MU_EINVAL, "--store %s has agents: give a database that has none",
                      addr.text);
}

static int start_own(struct bench *b, struct mu_err *err)
{
    const mu_dur interval = b->beats.interval;
    char conf[512], report[MU_DUR_TEXT], down[MU_DUR_TEXT];
    int rv;

    snprintf(conf, sizeof(conf),
             "[DEFAULT]\nreport_interval = %s\nservice_down_time = %s\n"
             "[conductor]\nmax_agents = %" PRIu32 "\n[log]\nlevel = warn\n",
             mu_dur_text(interval, report), mu_dur_text(DOWN_INTERVALS * interval, down),
             b->beats.agents + MU_BENCH_BUNDLE_MAX);
    if (mu_args_has(b->args, "store"))
        b->own.store = mu_cli_take_url(mu_args_value(b->args, "store"), b->store);
    b->own.stopped = &stopped;
    snprintf(b->own.listen, sizeof(b->own.listen), "127.0.0.1:0");
    snprintf(b->own.http, sizeof(b->own.http), "127.0.0.1:0");
    rv = b->own.store ? check_empty(b->own.store, err) : 0;
    if (rv == 0)
        rv = mu_own_make(&b->own, "bench", conf, err);
    if (rv == 0)
        rv = mu_own_start(&b->own, err);
    if (rv || stopped)
        return rv;
    b->to.restart = restart;
    return take_own(b, err);
}

static int find_conductor(struct bench *b, struct mu_err *err)
{
    const char *token_file = mu_args_value(b->args, "token-file");
    int rv = 0;

    if (token_file)
        rv = mu_secret_token(token_file, b->token, sizeof(b->token), err);
    if (rv == 0)
        rv = mu_args_has(b->args, "conductor") ? use_theirs(b, err) : start_own(b, err);
    return rv;
}

/* --- what is printed ----------------------------------------------------------------------------
 */

static int print_json(const char *what, const struct mu_figures *f)
{
    json_t *o = json_object();
    int rv;

    json_object_set_new(o, "what", json_string(what));
    for (size_t i = 0; i < f->n; i++) {
        double unit = pow(10, f->at[i].digits);

        json_object_set_new(o, f->at[i].key,
                            f->at[i].digits ? json_real(round(f->at[i].value * unit) / unit)
                                            : json_integer((json_int_t)llround(f->at[i].value)));
    }
    rv = mu_print_json(stdout, o);
    json_decref(o);
    return rv == 0 ? MU_EXIT_OK : MU_EXIT_FAILED;
}

static void print_csv(const char *what, const struct mu_figures *f)
{
    printf("what");
    for (size_t i = 0; i < f->n; i++)
        printf(",%s", f->at[i].key);
    printf("\n%s", what);
    for (size_t i = 0; i < f->n; i++)
        printf(",%.*f", f->at[i].digits, f->at[i].value);
    printf("\n");
}

static int print(const struct mu_args *args, const char *what, const struct mu_figures *f)
{
    if (mu_args_has(args, "json"))
        return print_json(what, f);
    if (mu_args_has(args, "csv"))
        print_csv(what, f);
    else
        printf("%s: %s\n", what, f->line);
    return MU_EXIT_OK;
}

/* --- what there is to measure -------------------------------------------------------------------
 */

static int beats(struct bench *b, const char *url, struct mu_err *err)
{
    int rv = find_conductor(b, err);

    return rv || stopped ? rv : mu_bench_beats(&b->to, &b->beats, &b->figures, err);
}

static int storm(struct bench *b, const char *url, struct mu_err *err)
{
    int rv = find_conductor(b, err);

    return rv || stopped ? rv : mu_bench_storm(&b->to, &b->beats, &b->figures, err);
}

static int api(struct bench *b, const char *url, struct mu_err *err)
{
    int rv = find_conductor(b, err);

    return rv || stopped ? rv : mu_bench_api(&b->to, &b->beats, &b->api, &b->figures, err);
}

static int table(struct bench *b, const char *url, struct mu_err *err)
{
    return mu_bench_table(b->beats.agents, b->beats.seed, &stopped, &b->figures, err);
}

static int store(struct bench *b, const char *url, struct mu_err *err)
{
    url = mu_cli_take_url(url, b->store);
    return mu_bench_store(url, b->beats.agents, &stopped, &b->figures, err);
}

static const struct {
    const char *name;
    int (*run)(struct bench *b, const char *url, struct mu_err *err);
    unsigned kind;
} kinds[] = {
    {"beats", beats, BEATS}, {"storm", storm, STORM}, {"api", api, API},
    {"table", table, TABLE}, {"store", store, STORE},
};

static int measure(struct bench *b, size_t kind)
{
    struct sigaction action = {.sa_handler = stop};
    struct mu_err err = {0};
    int rv, code, status;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN); /* there is something to clean up first */
    rv = kinds[kind].run(b, mu_args_operands(b->args)[1], &err);
    if (rv && b->own.pid > 0 && mu_child_ended(b->own.pid, &status)) {
        b->own.pid = 0;
        rv = mu_own_told(&b->own, "conductor", &err);
    }
    mu_own_clean(&b->own);
    code = MU_EXIT_OK;
    if (b->figures.n > 0 && (rv == 0 || rv == MU_ETIMEDOUT || stopped))
        code = print(b->args, kinds[kind].name, &b->figures);
    if (code == MU_EXIT_OK && stopped)
        code = 128 + stopped;
    else if (code == MU_EXIT_OK && rv)
        code = mu_cli_fail_here(b->args, &err);
    return code;
}

static int run(const struct mu_args *args)
{
    struct bench b = {
        .args = args,
        .to = {.token = b.token, .server_cpu = -1, .load_cpu = -1, .stop = &stopped, .tell = tell},
        .beats = {.agents = 10000,
                  .bundle = 1,
                  .sources = 1000,
                  .outstanding = 1024,
                  .interval = 10 * MU_SEC,
                  .length = 10 * MU_SEC,
                  .warm = MU_SEC},
        .api = {.clients = 1, .limit = 1000}};
    const char *what = mu_args_operands(args)[0];
    size_t kind = 0;
    int code;

    b.to.ctx = &b;
    while (kind < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[kind].name, what) != 0)
        kind++;
    if (kind == sizeof(kinds) / sizeof(kinds[0]))
        return mu_cli_fail(args, MU_EXIT_USAGE,
                           "\"%s\" is none of beats, storm, api, table, store URL", what);
    if ((kinds[kind].kind == STORE) != (mu_args_count(args) == 2))
        return mu_cli_fail(args, MU_EXIT_USAGE,
                           kinds[kind].kind == STORE ? "%s needs the URL of an empty database"
                                                     : "%s takes no URL",
                           what);
    code = check_kind(args, what, kinds[kind].kind);
    if (code == MU_EXIT_OK)
        code = check_pairs(args);
    if (code == MU_EXIT_OK)
        code = read_beats(args, &b.beats);
    if (code == MU_EXIT_OK)
        code = check_kills(args, &b.beats);
    if (code == MU_EXIT_OK)
        code = read_api(args, &b.api);
    if (code == MU_EXIT_OK)
        code = read_target(args, &b.to);
    return code ? code : measure(&b, kind);
}

static const struct mu_option options[] = {
    {"agents", 'n', "NUMBER",
     "How many agents, or rows, to 4000000; rounded up to whole bundles [10000]"},
    {"bundle", 'b', "NUMBER", "Agents that one sender speaks for, in one beat: 1 to 280 [1]"},
    {"interval", 'i', "TIME", "How often each agent reports: 100ms to 1h [10s]"},
    {"for", 0, "TIME", "How long is measured, once all have joined: 100ms to 1d [10s]"},
    {"warm", 0, "TIME", "How long they beat before that, to 1d [1s]"},
    {"rate", 0, "NUMBER", "Beats a second of all, evenly, whatever the interval; to 100000000"},
    {"saturate", 0, NULL, "Beat as fast as acks come back; with --no-acks, as fast as can be sent"},
    {"outstanding", 0, "NUMBER",
     "Beats without an ack at once, with --saturate, to 1000000 [1024]"},
    {"no-acks", 0, NULL, "Beats that want no ack"},
    {"streams", 0, NULL, "Beat over a stream for each sender, not by datagrams"},
    {"one-flow", 0, NULL,
     "Send all datagrams from one address, handed over together as UDP_SEGMENT allows"},
    {"sources", 0, "NUMBER",
     "Addresses that senders have where the conductor is on 127.0.0.1, that one and "
     "on: to 60000 [1000]"},
    {"kill", 0, "WHOM@TIME",
     "So many agents, or such a share, fall silent for good at that time after all have joined: "
     "1000@60s, 50%@2m; repeatable, in order"},
    {"killed-file", 0, "FILE", "Write who fell silent there, and the moment of the last beat (ms)",
     MU_WORDS_FILE},
    {"made-up", 0, NULL, "Let nobody join: for a server that answers any datagram"},
    {"clients", 0, "NUMBER", "Readers at once, for api: to 256 [1]"},
    {"limit", 0, "NUMBER", "Agents a page, for api: to 1000 [1000]"},
    {"rows", 0, "NUMBER", "Agents after which a reader begins anew, for api [all]"},
    {"seed", 0, "NUMBER", "Decides the order of turns, and who falls silent [1]"},
    {"server-cpu", 0, "CORE", "Keep the conductor on this core, and tell how busy that is"},
    {"load-cpu", 0, "CORE", "Keep the load on this core"},
    {"pid", 0, "PID", "The conductor's process [found by its port]"},
    {"json", 0, NULL, "Print all figures as JSON"},
    {"csv", 0, NULL, "Print all figures as CSV"},
    {"conductor", 0, "ADDR",
     "Load this one, which runs: IP:PORT. Its agents stay in its table [one of its own]"},
    {"http", 0, "ADDR", "Where that one's API is [port 4681 there]"},
    {"store", 0, "URL",
     "The database of its own conductor, which has no agents [SQLite in a scratch folder]"},
    {"token-file", 0, "FILE", "The token that the conductor asks for, readable by its owner alone",
     MU_WORDS_FILE},
    {0},
};

static const struct mu_example examples[] = {
    {"muster bench beats", "10,000 agents at 10 s: CPU a beat, round trips"},
    {"muster bench beats -n 100000 --saturate --server-cpu 0 --load-cpu 1 --json",
     "as many beats as the conductor takes"},
    {"muster bench storm -n 100000", "all join, the conductor is killed, all come back"},
    {"muster bench store sqlite:/tmp/try.db -n 1000000", "what a database takes"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_bench = {
    .name = "bench",
    .summary = "measure what a conductor, its table or its store bears",
    .operands = "beats|storm|api|table|store [URL]",
    .words = "beats storm api table store",
    .min = 1,
    .max = 2,
    .options = options,
    .examples = examples,
    .run = run,
};
