/* Waits by the feed of events: its end is marked first, then the State is looked at, and again
 * after each event of this agent. So no change is missed, and none is polled for. One thing tells
 * of itself by no event: `unknown` after a conductor's start, which is looked at each second. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/feed.h"

#define LOOK_AGAIN   (30 * MU_SEC)
#define PATIENCE     (10 * MU_SEC) /* with an answer, at most */
#define PATIENCE_MIN (MU_SEC / 2)  /* at the very end, which is looked at too */

enum wanted { WANT_UP, WANT_DOWN, WANT_GONE, WANTS };
static const char *const words[WANTS] = {"up", "down", "gone"};

struct waiting {
    const struct mu_args *args;
    const char *name;
    enum wanted want;
    mu_time until;
    char state[32]; /* as last seen; "gone" when there is no such agent */
    struct mu_feed feed;
};

static mu_dur left(const struct waiting *w)
{
    mu_time now = mu_clock_now();
    return w->until > now ? w->until - now : 0;
}

/* A conductor that is mute does not hold us for longer than we have, once @used is spent. */
static void set_patience(struct waiting *w, mu_dur used)
{
    mu_dur rest = left(w) - used;

    rest = rest < PATIENCE ? rest : PATIENCE;
    mu_ask_patience(w->feed.ask, rest > PATIENCE_MIN ? rest : PATIENCE_MIN);
}

static int look(struct waiting *w, struct mu_err *err)
{
    json_t *agent;

    set_patience(w, 0);
    int rv = mu_ask_agent(w->feed.ask, w->name, &agent, err);

    if (rv != 0 && rv != MU_ENOENT)
        return rv;
    snprintf(w->state, sizeof(w->state), "%s", rv ? "gone" : mu_ask_text(agent, "state"));
    json_decref(agent);
    return 0;
}

static bool holds(const struct waiting *w)
{
    return strcmp(w->state, words[w->want]) == 0 ||
           (w->want == WANT_GONE && strcmp(w->state, "left") == 0);
}

/* Until something happens to the agent, or it is time to look. */
static int wait_for_event(struct waiting *w, struct mu_err *err)
{
    json_t *events;
    mu_dur most = strcmp(w->state, "unknown") == 0 ? MU_SEC : LOOK_AGAIN;
    mu_dur wait = left(w) < most ? left(w) : most;

    set_patience(w, wait);
    int rv = mu_feed_next(&w->feed, wait > MU_MS ? wait : MU_MS, &events, err);

    json_decref(events);
    return rv;
}

static int out_of_time(struct waiting *w)
{
    const char *timeout = mu_args_value(w->args, "timeout");

    if (!*w->state)
        return mu_cli_fail(w->args, MU_EXIT_TIMEOUT,
                           "the conductor said nothing of %s within %s: repeat, or give it longer "
                           "with --timeout",
                           w->name, timeout);
    return mu_cli_fail(w->args, MU_EXIT_TIMEOUT, "%s is %s, not %s, after %s", w->name, w->state,
                       words[w->want], timeout);
}

static int wait_until(struct waiting *w)
{
    struct mu_err err;
    unsigned failed = 0;
    int rv;

    do { /* one who is mute for now is given the time there is */
        set_patience(w, 0);
        rv = mu_feed_from_now(&w->feed, &err);
        if (rv == 0)
            rv = look(w, &err);
    } while (rv == MU_ETIMEDOUT && w->until != MU_NEVER && left(w) > 0);
    if (rv == MU_ETIMEDOUT && left(w) == 0)
        return out_of_time(w);
    if (rv != 0)
        return mu_cli_fail_err(w->args, &err);
    while (!holds(w)) {
        if (left(w) == 0)
            return out_of_time(w);
        rv = wait_for_event(w, &err);
        if (rv == 0)
            rv = look(w, &err);
        if (rv == 0) {
            failed = 0;
        } else if (mu_feed_may_return(rv)) {
            failed = left(w) < 2 * MU_SEC ? 1 : failed + 1; /* no long pause at the end */
            mu_feed_pause(failed);
        } else {
            return mu_cli_fail_err(w->args, &err);
        }
    }
    return MU_EXIT_OK;
}

static int read_want(struct waiting *w)
{
    const char *text = mu_args_value(w->args, "for");

    for (w->want = 0; text && w->want < WANTS; w->want++)
        if (strcmp(words[w->want], text) == 0)
            return MU_EXIT_OK;
    return mu_cli_fail(w->args, MU_EXIT_USAGE, "--for %s: write up, down or gone",
                       text ? text : "is missing");
}

static int run(const struct mu_args *args)
{
    struct waiting w = {.args = args, .name = mu_args_operands(args)[0], .until = MU_NEVER};
    struct mu_err err;
    mu_dur timeout = -1;

    int code = read_want(&w);
    if (code == MU_EXIT_OK)
        code = mu_args_dur(args, "timeout", &timeout);
    if (code != MU_EXIT_OK)
        return code;
    if (timeout >= 0)
        w.until = mu_clock_now() + timeout;
    if (mu_ask_open(&w.feed.ask, args, PATIENCE, &err) != 0)
        return mu_cli_fail_err(args, &err);
    w.feed.args = args;
    w.feed.agent = strchr(w.name, '@') ? w.name : NULL; /* of a UUID: look at every event */
    code = wait_until(&w);
    mu_ask_free(w.feed.ask);
    return code;
}

static const struct mu_option options[] = {
    {"for", 0, "STATE", "up, down, or gone: has left, or was deleted", "up down gone"},
    {"timeout", 0, "TIME", "How long at most; exit code 7 after that [for ever]"},
    {NULL},
};

static const struct mu_example examples[] = {
    {"muster wait --for up nova-compute@cmp-017 --timeout 5m", "after a reboot, in a script"},
    {"muster wait --for down db@web-1 && fence web-1", "act on a death"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_wait = {
    .name = "wait",
    .summary = "wait until an agent is up, down or gone",
    .operands = "NAME",
    .words = MU_WORDS_AGENT,
    .min = 1,
    .max = 1,
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK,
    .options = options,
    .examples = examples,
    .run = run,
};
