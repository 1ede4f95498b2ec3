/* What a conductor bears, in figures. Without --conductor it is one of our own: a child on free
 * ports and a scratch database, gone when we end. $MUSTER_CONDUCTOR is not looked at, so that
 * nobody loads the one at work by mistake. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#define DOWN_INTERVALS 6 /* the down time of our own conductor: 60 s at 10 s */
#define CORES_MAX      1023

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
    char number[32], *end = number;
    const char *at = strchr(text, '@');
    double value = -1;

    if (at && (size_t)(at - text) < sizeof(number)) {
        snprintf(number, sizeof(number), "%.*s", (int)(at - text), text);
        value = strtod(number, &end);
    }
    *out = (struct mu_bench_kill){0};
    if (end != number && strcmp(end, "%") == 0 && value > 0 && value <= 100)
        out->part = value / 100;
    else if (end != number && *end == '\0' && value >= 1 && value <= MU_BENCH_AGENTS_MAX)
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
        code = mu_args_dur(args, "interval", &beats->interval);
    if (code == MU_EXIT_OK)
        code = mu_args_dur(args, "for", &beats->length);
    if (code == MU_EXIT_OK)
        code = mu_args_dur(args, "warm", &beats->warm);
    beats->rate = rate;
    beats->seed = seed;
    beats->saturate = mu_args_has(args, "saturate");
    beats->no_acks = mu_args_has(args, "no-acks");
    beats->streams = mu_args_has(args, "streams");
    beats->gso = mu_args_has(args, "one-flow");
    beats->made_up = mu_args_has(args, "made-up");
    beats->killed_file = mu_args_value(args, "killed-file");
    if (code == MU_EXIT_OK && beats->interval < 100 * MU_MS)
        code = mu_cli_fail(args, MU_EXIT_USAGE, "--interval is shorter than 100ms");
    return code;
}

/* Options that contradict one another: both are named. */
static int check_beats(const struct mu_args *args, const struct mu_bench_beats *beats)
{
    static const char *const pairs[][2] = {
        {"streams", "no-acks"},  {"streams", "one-flow"}, {"streams", "made-up"},
        {"rate", "saturate"},    {"json", "csv"},         {"conductor", "store"},
        {"sources", "one-flow"},
    };

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (mu_args_has(args, pairs[i][0]) && mu_args_has(args, pairs[i][1]))
            return mu_cli_fail(args, MU_EXIT_USAGE, "--%s and --%s do not go together", pairs[i][0],
                               pairs[i][1]);
    if (beats->made_up && !mu_args_has(args, "conductor"))
        return mu_cli_fail(args, MU_EXIT_USAGE, "--made-up needs --conductor: who is to answer");
    return MU_EXIT_OK;
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
    long pid = 0;
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
    if (rv == 0 && mu_args_int(b->args, "pid", 1, INT32_MAX, &pid) != MU_EXIT_OK)
        return mu_err_set(err, MU_EINVAL, "--pid is no process");
    if (rv == 0 && pid == 0)
        pid = mu_cost_listener((const struct sockaddr *)&b->to.agents, b->to.agents_len);
    b->to.pid = (pid_t)pid;
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
    int rv;

    if (mu_args_has(b->args, "conductor"))
        return mu_err_set(err, MU_EINVAL,
                          "storm kills the conductor: it starts one of its own, leave out "
                          "--conductor");
    if (b->beats.streams || b->beats.no_acks)
        return mu_err_set(err, MU_EINVAL,
                          "storm awaits the acks of datagrams: leave out --streams and --no-acks");
    rv = find_conductor(b, err);
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
    bool url;
} kinds[] = {
    {"beats", beats, false}, {"storm", storm, false}, {"api", api, false},
    {"table", table, false}, {"store", store, true},
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
    long server = -1, load = -1;
    size_t kind = 0;
    int code = read_beats(args, &b.beats);

    b.to.ctx = &b;
    while (kind < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[kind].name, what) != 0)
        kind++;
    if (kind == sizeof(kinds) / sizeof(kinds[0]))
        return mu_cli_fail(args, MU_EXIT_USAGE,
                           "\"%s\" is none of beats, storm, api, table, store URL", what);
    if (kinds[kind].url != (mu_args_count(args) == 2))
        return mu_cli_fail(
            args, MU_EXIT_USAGE,
            kinds[kind].url ? "%s needs the URL of an empty database" : "%s takes no URL", what);
    if (code == MU_EXIT_OK)
        code = check_beats(args, &b.beats);
    if (code == MU_EXIT_OK)
        code = read_int(args, "clients", 1, 256, &b.api.clients);
    if (code == MU_EXIT_OK)
        code = read_int(args, "limit", 1, 1000, &b.api.limit);
    if (code == MU_EXIT_OK)
        code = read_int(args, "rows", 1, MU_BENCH_AGENTS_MAX, &b.api.rows);
    if (code == MU_EXIT_OK)
        code = mu_args_int(args, "server-cpu", 0, CORES_MAX, &server);
    if (code == MU_EXIT_OK)
        code = mu_args_int(args, "load-cpu", 0, CORES_MAX, &load);
    b.to.server_cpu = (int)server;
    b.to.load_cpu = (int)load;
    return code ? code : measure(&b, kind);
}

static const struct mu_option options[] = {
    {"agents", 'n', "NUMBER", "How many agents, or rows; rounded up to whole bundles [10000]"},
    {"bundle", 'b', "NUMBER", "Agents that one sender speaks for, in one beat: 1 to 280 [1]"},
    {"interval", 'i', "TIME", "How often each agent reports [10s]"},
    {"for", 0, "TIME", "How long is measured, once all have joined [10s]"},
    {"warm", 0, "TIME", "How long they beat before that [1s]"},
    {"rate", 0, "NUMBER", "Beats a second of all, evenly, whatever the interval"},
    {"saturate", 0, NULL, "Beat as fast as acks come back; with --no-acks, as fast as can be sent"},
    {"outstanding", 0, "NUMBER", "Beats without an ack at once, with --saturate [1024]"},
    {"no-acks", 0, NULL, "Beats that want no ack"},
    {"streams", 0, NULL, "Beat over a stream for each sender, not by datagrams"},
    {"one-flow", 0, NULL,
     "Send all datagrams from one address, handed over together as UDP_SEGMENT allows"},
    {"sources", 0, "NUMBER",
     "Addresses that senders have where the conductor is on 127.0.0.1, that one and on [1000]"},
    {"kill", 0, "WHOM@TIME",
     "So many agents, or such a share, fall silent for good at that time after all have joined: "
     "1000@60s, 50%@2m; repeatable, in order"},
    {"killed-file", 0, "FILE", "Write who fell silent there, and the moment of the last beat (ms)",
     MU_WORDS_FILE},
    {"made-up", 0, NULL, "Let nobody join: for a server that answers any datagram"},
    {"clients", 0, "NUMBER", "Readers at once, for api [1]"},
    {"limit", 0, "NUMBER", "Agents a page, for api [1000]"},
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
    {"store", 0, "URL", "The database of its own conductor [SQLite in a scratch folder]"},
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
