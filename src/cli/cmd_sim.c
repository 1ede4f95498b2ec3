#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conductors.h"
#include "base/rng.h"
#include "cli/commands.h"
#include "cli/feed.h"
#include "cli/print.h"
#include "daemon/secret.h"
#include "load/sim.h"

#define SCRIPT_MAX ((size_t)1 << 20) /* bytes of a scenario */
#define LISTEN_FOR MU_SEC

struct ears { /* used by the listening thread alone, once it runs */
    struct mu_feed feed;
};

/* --- what the conductor says --------------------------------------------------------------------
 */

static void read_word(const json_t *event, struct mu_sim_word words[MU_SIM_WORDS], size_t *n)
{
    int state = mu_state_parse(mu_ask_text(event, "to"));
    const json_t *silence = json_object_get(json_object_get(event, "detail"), "silence_ms");
    struct mu_sim_word *word = &words[*n];

    if (state < 0 || strcmp(mu_ask_text(event, "kind"), "state") != 0 || *n == MU_SIM_WORDS)
        return;
    snprintf(word->name, sizeof(word->name), "%s", mu_ask_text(event, "agent"));
    word->state = (enum mu_state)state;
    word->silence = json_is_integer(silence) ? json_integer_value(silence) * MU_MS : -1;
    ++*n;
}

/* A conductor that is away, or restarts, is waited for: it may be part of what is tried. */
static int listen_words(void *ctx, struct mu_sim_word words[MU_SIM_WORDS], size_t *n,
                        struct mu_err *err)
{
    struct ears *ears = ctx;
    json_t *events = NULL, *event;
    size_t i;
    int rv = mu_feed_next(&ears->feed, LISTEN_FOR, &events, err);

    if (rv) {
        json_decref(events);
        if (!mu_feed_may_return(rv))
            return rv;
        mu_feed_pause(1);
        return 0;
    }
    json_array_foreach(events, i, event)
    {
        read_word(event, words, n);
    }
    json_decref(events);
    return 0;
}

/* --- what is wanted -----------------------------------------------------------------------------
 */

static int read_file(struct mu_buf *out, const char *path, struct mu_err *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char chunk[4096];
    size_t n;

    if (!file)
        return mu_err_set(err, errno == ENOENT ? MU_EINVAL : MU_EPERM, "--scenario %s: %s", path,
                          strerror(errno));
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        mu_buf_put(out, chunk, n);
    n = (size_t)ferror(file);
    if (file != stdin)
        fclose(file);
    if (n)
        return mu_err_set(err, MU_EINVAL, "--scenario %s: cannot be read", path);
    if (out->failed)
        return mu_err_set(err, out->failed, "--scenario %s: longer than %zu bytes", path,
                          SCRIPT_MAX);
    return 0;
}

static int read_scenario(const struct mu_args *args, struct mu_scenario *sc, struct mu_err *err)
{
    const char *text;
    int rv = 0;

    for (size_t i = 0; rv == 0 && (text = mu_args_nth(args, "scenario", i)) != NULL; i++) {
        struct mu_buf buf;

        mu_buf_init(&buf, SCRIPT_MAX);
        rv = read_file(&buf, text, err);
        if (rv == 0)
            rv = mu_scenario_parse(sc, text, (const char *)buf.data, buf.len, err);
        mu_buf_fini(&buf);
    }
    for (size_t i = 0; rv == 0 && (text = mu_args_nth(args, "run", i)) != NULL; i++)
        rv = mu_scenario_parse(sc, "--run", text, strlen(text), err);
    return rv;
}

/* The first conductor of the list; a name is looked up. */
static int find_conductor(const struct mu_args *args, struct mu_fleet_config *fleet,
                          struct mu_err *err)
{
    struct mu_conductors list;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char port[16];
    int rv = mu_args_conductors(args, &list, err);

    if (rv)
        return rv;
    if (list.addrs[0].host[0] == '\0')
        return mu_err_set(err, MU_EINVAL, "conductor %s: a simulated fleet needs TCP and UDP",
                          list.addrs[0].text);
    snprintf(port, sizeof(port), "%d", list.addrs[0].port);
    rv = getaddrinfo(list.addrs[0].host, port, &hints, &found);
    if (rv)
        return mu_err_set(err, MU_EAGAIN, "conductor %s: %s", list.addrs[0].text, gai_strerror(rv));
    memcpy(&fleet->conductor, found->ai_addr, found->ai_addrlen);
    fleet->conductor_len = found->ai_addrlen;
    freeaddrinfo(found);
    return 0;
}

/* Where the API is: as --http says, as the list says, or at the agents' host and the API's port. A
 * bare HOST:PORT is the agents' here. */
static const char *find_api(const struct mu_args *args, char *out, size_t size)
{
    const char *http = mu_args_value(args, "http"), *list = mu_args_value(args, "conductor");
    struct mu_conductors parsed;

    if (!list)
        list = getenv("MUSTER_CONDUCTOR");
    if (http || !list || strstr(list, "http://") || mu_conductors_parse(&parsed, list, NULL))
        return http ? http : list;
    snprintf(out, size, strchr(parsed.addrs[0].host, ':') ? "muster://[%s]" : "muster://%s",
             parsed.addrs[0].host);
    return out;
}

static int read_numbers(const struct mu_args *args, struct mu_sim_config *config)
{
    long agents = 200, seed = 0;
    uint64_t any;
    int code = mu_args_int(args, "agents", 1, 1000000, &agents);

    if (code == MU_EXIT_OK)
        code = mu_args_int(args, "seed", 0, LONG_MAX, &seed);
    if (code == MU_EXIT_OK)
        code = mu_args_dur(args, "interval", &config->fleet.interval);
    if (code == MU_EXIT_OK)
        code = mu_args_dur(args, "for", &config->length);
    if (code == MU_EXIT_OK)
        code = mu_args_dur(args, "settle", &config->settle);
    if (!mu_args_has(args, "seed") && mu_rng_secret(&any, sizeof(any)) == 0)
        seed = (long)(any % 1000000);
    config->fleet.agents = (uint32_t)agents;
    config->fleet.seed = (uint64_t)seed;
    return code;
}

/* --- what is printed ----------------------------------------------------------------------------
 */

static void tell(void *ctx, mu_dur at, const char *line)
{
    (void)ctx;
    if (at < 0)
        fprintf(stderr, "%s\n", line);
    else
        fprintf(stderr, "%8.3f s  %s\n", (double)at / (double)MU_SEC, line);
}

static double seconds(mu_dur dur)
{
    return (double)dur / (double)MU_SEC;
}

static json_t *rounded(mu_dur dur)
{
    int64_t ms = dur / MU_MS;

    return json_real((double)ms / 1000);
}

static json_t *spread_json(const struct mu_spread *spread)
{
    json_t *o = json_object();

    json_object_set_new(o, "n", json_integer(spread->n));
    json_object_set_new(o, "p50_s", spread->n ? rounded(spread->p50) : json_null());
    json_object_set_new(o, "p99_s", spread->n ? rounded(spread->p99) : json_null());
    json_object_set_new(o, "max_s", spread->n ? rounded(spread->max) : json_null());
    return o;
}

static int print_json(const struct mu_sim_config *config, const struct mu_sim_result *result)
{
    const struct mu_report *r = &result->report;
    json_t *o = json_object(), *injected = json_object(), *heard = json_object();
    json_t *names = json_array();

    for (int i = 0; i < MU_ACTS; i++)
        json_object_set_new(injected, mu_act_text((enum mu_act)i), json_integer(r->injected[i]));
    for (int i = 0; i < MU_UNKNOWN; i++)
        json_object_set_new(heard, mu_state_text((enum mu_state)i), json_integer(r->heard[i]));
    for (uint32_t i = 0; i < result->named; i++)
        json_array_append_new(names, json_string(result->names[i]));
    json_object_set_new(o, "agents", json_integer(r->agents));
    json_object_set_new(o, "seed", json_integer((json_int_t)config->fleet.seed));
    json_object_set_new(o, "join_s", rounded(result->join_time));
    json_object_set_new(o, "beats", json_integer((json_int_t)result->beats));
    json_object_set_new(o, "injected", injected);
    json_object_set_new(o, "heard", heard);
    json_object_set_new(o, "deaths", json_integer(r->deaths));
    json_object_set_new(o, "found", json_integer(r->found));
    json_object_set_new(o, "missed", json_integer(r->missed));
    json_object_set_new(o, "false_downs", json_integer(r->false_downs));
    json_object_set_new(o, "excused_downs", json_integer(r->excused_downs));
    json_object_set_new(o, "false_suspects", json_integer(r->false_suspects));
    json_object_set_new(o, "leaves", json_integer(r->leaves));
    json_object_set_new(o, "left", json_integer(r->left));
    json_object_set_new(o, "suspect_after", spread_json(&r->suspect));
    json_object_set_new(o, "down_after", spread_json(&r->down));
    json_object_set_new(o, "silence", spread_json(&r->silence));
    json_object_set_new(o, "named", names);
    int rv = mu_print_json(stdout, o);
    json_decref(o);
    return rv == 0 ? MU_EXIT_OK : MU_EXIT_FAILED;
}

static void print_spread(const char *what, const struct mu_spread *spread)
{
    if (spread->n)
        printf("%-14s p50 %.3f s, p99 %.3f s, max %.3f s\n", what, seconds(spread->p50),
               seconds(spread->p99), seconds(spread->max));
}

static void print_text(const struct mu_sim_config *config, const struct mu_sim_result *result)
{
    const struct mu_report *r = &result->report;
    bool any = false;

    printf("%-14s %" PRIu32 ", joined in %.1f s, %" PRIu64 " datagrams sent, seed %" PRIu64 "\n",
           "agents", r->agents, seconds(result->join_time), result->beats, config->fleet.seed);
    printf("%-14s", "injected");
    for (int i = 0; i < MU_ACTS; i++) {
        any = any || r->injected[i];
        if (r->injected[i])
            printf(" %s %" PRIu32, mu_act_text((enum mu_act)i), r->injected[i]);
    }
    if (!any)
        printf(" nothing");
    printf("\n%-14s", "conductor said");
    for (int i = 0; i < MU_UNKNOWN; i++)
        printf(" %s %" PRIu32, mu_state_text((enum mu_state)i), r->heard[i]);
    printf("\n%-14s %" PRIu32 ": found %" PRIu32 ", missed %" PRIu32 "\n", "deaths", r->deaths,
           r->found, r->missed);
    print_spread("suspect after", &r->suspect);
    print_spread("down after", &r->down);
    print_spread("silence", &r->silence);
    printf("%-14s %" PRIu32 " (and %" PRIu32 " of agents that were paused or cut off)\n",
           "false downs", r->false_downs, r->excused_downs);
    if (r->false_suspects)
        printf("%-14s %" PRIu32 "\n", "false suspects", r->false_suspects);
    if (r->leaves)
        printf("%-14s %" PRIu32 ", told as left %" PRIu32 "\n", "leaves", r->leaves, r->left);
    for (uint32_t i = 0; i < result->named; i++)
        printf("%-14s %s\n", i < result->named_false ? "falsely down" : "missed", result->names[i]);
}

static void warn_of_late(const struct mu_sim_config *config)
{
    const struct mu_scenario *sc = config->scenario;
    char at[MU_DUR_TEXT], length[MU_DUR_TEXT];

    for (size_t i = 0; i < sc->n; i++)
        if (sc->steps[i].at > config->length)
            fprintf(stderr, "muster sim: %s at %s will not happen: --for %s ends before\n",
                    mu_act_text(sc->steps[i].act), mu_dur_text(sc->steps[i].at, at),
                    mu_dur_text(config->length, length));
}

/* --- the command --------------------------------------------------------------------------------
 */

static int simulate(const struct mu_args *args, struct mu_sim_config *config, struct ears *ears)
{
    struct mu_sim_result result;
    struct mu_err err = {0};
    char api[300];
    int code = MU_EXIT_OK;

    if (mu_ask_open_at(&ears->feed.ask, args, find_api(args, api, sizeof(api)), 0, &err) ||
        mu_feed_from_now(&ears->feed, &err) || mu_sim_run(config, &result, &err)) {
        code = mu_cli_fail_err(args, &err);
    } else {
        if (mu_args_has(args, "json"))
            code = print_json(config, &result);
        else
            print_text(config, &result);
        if (code == MU_EXIT_OK && result.report.false_downs + result.report.missed > 0)
            code = MU_EXIT_FAILED;
    }
    mu_ask_free(ears->feed.ask);
    return code;
}

static int run(const struct mu_args *args)
{
    struct ears ears = {.feed = {.args = args}};
    struct mu_scenario scenario;
    struct mu_sim_config config = {.scenario = &scenario,
                                   .length = 60 * MU_SEC,
                                   .settle = 90 * MU_SEC,
                                   .listen = listen_words,
                                   .tell = tell,
                                   .ctx = &ears};
    const char *token_file = mu_args_value(args, "token-file");
    char token[256] = "";
    struct mu_err err = {0};
    int code = read_numbers(args, &config);

    if (code)
        return code;
    mu_scenario_init(&scenario);
    config.fleet.token = token;
    if ((token_file && mu_secret_token(token_file, token, sizeof(token), &err)) ||
        read_scenario(args, &scenario, &err) || find_conductor(args, &config.fleet, &err)) {
        code = mu_cli_fail_err(args, &err);
    } else {
        warn_of_late(&config);
        code = simulate(args, &config, &ears);
    }
    mu_scenario_fini(&scenario);
    return code;
}

static const struct mu_option options[] = {
    {"agents", 'n', "NUMBER", "How many agents [200]", NULL},
    {"interval", 'i', "TIME", "How often each reports [the conductor's default]", NULL},
    {"for", 0, "TIME", "How long it lasts, once all have joined [60s]", NULL},
    {"scenario", 's', "FILE", "What befalls them; repeatable, - is standard input", MU_WORDS_FILE},
    {"run", 'r', "STEPS", "The same on the command line: \"at 10s kill 3\"; repeatable", NULL},
    {"seed", 0, "NUMBER", "Decides whom a step takes [drawn, and printed]", NULL},
    {"settle", 0, "TIME", "How long deaths that were not told of are waited for at the end [90s]",
     NULL},
    {"json", 0, NULL, "Print the report as JSON", NULL},
    {"token-file", 0, "FILE", "The token that the conductor asks for, readable by its owner alone",
     MU_WORDS_FILE},
    {"conductor", 0, "ADDR",
     "Conductor, as a list with commas: muster://HOST:PORT for the agents, http://HOST:PORT for "
     "what "
     "it says of them [$MUSTER_CONDUCTOR, else ports 4680 and 4681 of 127.0.0.1]",
     NULL},
    {"http", 0, "ADDR", "Where the conductor's API is, if not as above", NULL},
    {0},
};

static const struct mu_example examples[] = {
    {"muster sim --agents 200 --interval 1s --run \"at 10s kill 3\"", "200 agents, of which 3 die"},
    {"muster sim -n 10000 -i 1s --for 60s -s deaths.scn --seed 7 --json", "a run to be compared"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_sim = {
    .name = "sim",
    .summary = "try a conductor with a simulated fleet, and compare what it says",
    .operands = "",
    .opts = MU_OPTS_ASK,
    .options = options,
    .examples = examples,
    .run = run,
};
