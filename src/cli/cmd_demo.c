/* A fleet to look at: a conductor on a scratch database and 200 simulated agents, three of which
 * die while a rack becomes slow, told as it happens. Both are this program, run as children; when
 * we end, by whichever way, they do, and the scratch folder goes. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/agents.h"
#include "cli/child.h"
#include "cli/commands.h"
#include "cli/feed.h"
#include "cli/own.h"
#include "cli/people.h"

#define AGENTS      200
#define PATIENCE    (30 * MU_SEC) /* for what should take one or two */
#define STORY       (22 * MU_SEC) /* from the moment that all are up */
#define TOLD_SINGLY 3             /* events of one kind at once; of more, the number */

/* Times are a tenth of the built-in ones, so that a death is seen in seconds. The rack's beats come
 * 3.5 s late for a while: late enough to be suspect, not to be down. */
static const char config_text[] = "[DEFAULT]\nreport_interval = 1s\nsuspect_time = 2500ms\n"
                                  "service_down_time = 6s\n";
static const char scenario[] = "at 2s kill 3; at 12s delay 3500ms rack=r7 for 4s";

struct demo {
    const struct mu_args *args;
    struct mu_feed feed;
    struct mu_own own;
    pid_t sim;
    char url[64];
    char victim[512]; /* the first that was said to be down */
    bool color, explained;
};

static volatile sig_atomic_t stopped;

static void stop(int signum)
{
    stopped = signum;
}

static void clean(struct demo *d)
{
    mu_child_stop(d->sim, 5 * MU_SEC);
    mu_own_clean(&d->own);
    mu_ask_free(d->feed.ask);
}

/* Whether the usual port is free, so that `muster list` finds the demo without being told. */
static bool port_free(int port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    bool is_free = fd >= 0 && bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0;
    if (fd >= 0)
        close(fd);
    return is_free;
}

static int start_conductor(struct demo *d, struct mu_err *err)
{
    bool usual = port_free(4680) && port_free(MU_ASK_PORT);

    d->own.stopped = &stopped;
    snprintf(d->own.listen, sizeof(d->own.listen), "127.0.0.1:%d", usual ? 4680 : 0);
    snprintf(d->own.http, sizeof(d->own.http), "127.0.0.1:%d", usual ? MU_ASK_PORT : 0);
    return mu_own_start(&d->own, err);
}

static int start_sim(struct demo *d, struct mu_err *err)
{
    bool keep = mu_args_has(d->args, "keep");
    char where[128], log[MU_OWN_PATH];

    snprintf(where, sizeof(where), "muster://127.0.0.1:%d,%s", d->own.agents_port, d->url);
    mu_own_path(&d->own, "sim", log);
    const char *argv[] = {"muster", "sim",    "--agents",          "200",    "--interval",
                          "1s",     "--for",  keep ? "30d" : "1h", "--seed", "17",
                          "--run",  scenario, "--conductor",       where,    NULL};
    d->sim = mu_child_start((char *const *)argv, log, err);
    return d->sim < 0 ? d->sim : 0;
}

static int count_up(struct demo *d, int *up, struct mu_err *err)
{
    json_t *answer = NULL;
    int rv = mu_ask(d->feed.ask, "GET", "/v1/summary", NULL, 0, &answer, err);

    if (rv == 0)
        *up = (int)json_integer_value(json_object_get(json_object_get(answer, "states"), "up"));
    json_decref(answer);
    return rv;
}

static int await_fleet(struct demo *d, struct mu_err *err)
{
    mu_time until = mu_clock_now() + PATIENCE;
    int up = 0, status;

    while (!stopped) {
        int rv = count_up(d, &up, err);
        if (rv != 0 || up >= AGENTS)
            return rv;
        if (mu_child_ended(d->sim, &status)) {
            d->sim = 0;
            return mu_own_told(&d->own, "sim", err);
        }
        if (mu_clock_now() > until)
            return mu_err_set(err, MU_ETIMEDOUT, "only %d of %d agents are up", up, AGENTS);
        poll(NULL, 0, 50);
    }
    return 0;
}

/* The story. */

static bool same_move(const json_t *a, const json_t *b)
{
    return strcmp(mu_ask_text(a, "from"), mu_ask_text(b, "from")) == 0 &&
           strcmp(mu_ask_text(a, "to"), mu_ask_text(b, "to")) == 0;
}

static void print_event(const struct demo *d, const json_t *event)
{
    struct mu_buf line;

    mu_buf_init(&line, 0);
    mu_event_line(&line, event, false, d->color);
    printf("%s\n", mu_buf_text(&line));
    mu_buf_fini(&line);
}

/* Of many that go the same way at once, the first few and how many more. */
static void print_events(struct demo *d, const json_t *events)
{
    size_t n = json_array_size(events), same;

    for (size_t i = 0; i < n; i += same) {
        const json_t *event = json_array_get(events, i);
        for (same = 1; i + same < n && same_move(event, json_array_get(events, i + same));)
            same++;
        for (size_t k = 0; k < same && k < TOLD_SINGLY; k++)
            print_event(d, json_array_get(events, i + k));
        if (same > TOLD_SINGLY)
            printf("          ... and %zu more went from %s to %s\n", same - TOLD_SINGLY,
                   mu_ask_text(event, "from"), mu_ask_text(event, "to"));
        if (!*d->victim && strcmp(mu_ask_text(event, "to"), "down") == 0)
            snprintf(d->victim, sizeof(d->victim), "%s", mu_ask_text(event, "agent"));
    }
    fflush(stdout);
}

static int explain_victim(struct demo *d, struct mu_err *err)
{
    int status;

    if (d->explained || !*d->victim)
        return 0;
    d->explained = true;
    printf("\n$ muster explain %s\n", d->victim);
    fflush(stdout);
    const char *argv[] = {"muster",
                          "explain",
                          d->victim,
                          "--conductor",
                          d->url,
                          "--color",
                          d->color ? "always" : "never",
                          NULL};
    pid_t pid = mu_child_start((char *const *)argv, NULL, err);
    if (pid < 0)
        return pid;
    while (!mu_child_ended(pid, &status))
        poll(NULL, 0, 10);
    printf("\n");
    return 0;
}

/* Tells what happens until @until, or until interrupted. */
static int tell_until(struct demo *d, mu_time until, struct mu_err *err)
{
    json_t *events;

    while (!stopped && mu_clock_now() < until && !ferror(stdout)) {
        poll(NULL, 0, 400); /* what belongs together comes together */
        int rv = mu_feed_next(&d->feed, MU_SEC / 2, &events, err);
        if (rv != 0)
            return rv;
        print_events(d, events);
        bool quiet = json_array_size(events) == 0;
        json_decref(events);
        if (quiet && (rv = explain_victim(d, err)) != 0)
            return rv;
    }
    return 0;
}

static void print_facts(const struct demo *d, double ms)
{
    bool usual = d->own.http_port == MU_ASK_PORT;

    printf("muster %s demo\n"
           "  store    sqlite:%s/muster.db (goes when this ends)\n"
           "  agents   127.0.0.1:%d, TCP and UDP\n"
           "  API      %s\n"
           "  access   any local user: it listens on loopback only\n"
           "Ready in %.0f ms. In a second terminal:\n  %s list%s%s\n\n",
           MUSTER_VERSION, d->own.folder, d->own.agents_port, d->url, ms, program_invocation_name,
           usual ? "" : " --conductor ", usual ? "" : d->url);
    fflush(stdout);
}

static void print_next(void)
{
    const char *me = program_invocation_name;

    printf("\nNext, with a fleet of your own:\n"
           "  %s conductor --store sqlite:fleet.db   # takes the reports\n"
           "  %s agent --name db -- COMMAND          # an agent: a command that is watched\n"
           "  %s watch                               # each change, and why\n",
           me, me, me);
    fflush(stdout);
}

static int play(struct demo *d, struct mu_err *err)
{
    mu_time began = mu_clock_now();
    int rv;

    if ((rv = mu_own_make(&d->own, "demo", config_text, err)) != 0 ||
        (rv = start_conductor(d, err)) != 0 || stopped)
        return rv;
    snprintf(d->url, sizeof(d->url), "http://127.0.0.1:%d", d->own.http_port);
    print_facts(d, (double)(mu_clock_now() - began) / (double)MU_MS);
    if ((rv = mu_ask_open_at(&d->feed.ask, d->args, d->url, 10 * MU_SEC, err)) != 0 ||
        (rv = start_sim(d, err)) != 0 || (rv = await_fleet(d, err)) != 0 || stopped)
        return rv;
    printf(
        "%d agents in 3 zones are up. Three of them will be killed, then rack r7 becomes slow.\n\n",
        AGENTS);
    fflush(stdout);
    if ((rv = mu_feed_from_now(&d->feed, err)) != 0)
        return rv;
    if ((rv = tell_until(d, mu_clock_now() + STORY, err)) != 0 || stopped)
        return rv;
    print_next();
    if (mu_args_has(d->args, "keep")) {
        puts("\nThe fleet goes on until Ctrl-C.\n");
        rv = tell_until(d, MU_NEVER, err);
    }
    return rv;
}

static int run(const struct mu_args *args)
{
    struct demo d = {.args = args};
    struct sigaction action = {.sa_handler = stop};
    struct mu_err err = {0};

    int code = mu_people_color(args, stdout, &d.color);
    if (code != MU_EXIT_OK)
        return code;
    d.feed.args = args;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGPIPE, &action, NULL); /* there is something to clean up first */
    int rv = play(&d, &err);
    clean(&d);
    if (stopped == SIGPIPE) {
        signal(SIGPIPE, SIG_DFL);
        raise(SIGPIPE);
    }
    if (stopped)
        return 128 + stopped;
    return rv ? mu_cli_fail_err(args, &err) : MU_EXIT_OK;
}

static const struct mu_option options[] = {
    {"verbose", 'v', NULL, "Tell on standard error what is asked, and how it goes"},
    {"keep", 0, NULL, "Go on when the story is told, until Ctrl-C"},
    {NULL},
};

static const struct mu_example examples[] = {
    {"muster demo", "half a minute"},
    {"muster demo --keep", "a fleet to try the other commands on"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_demo = {
    .name = "demo",
    .summary = "show a simulated fleet in which agents die",
    .operands = "",
    .opts = MU_OPTS_COLOR,
    .options = options,
    .examples = examples,
    .run = run,
};
