/* events, and watch, which is the same for people: a line per change, as it happens. */
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "base/name.h"
#include "cli/agents.h"
#include "cli/commands.h"
#include "cli/feed.h"
#include "cli/filter.h"
#include "cli/people.h"

#define DEFAULT_LIMIT 100
#define PAGE_MAX      1000

struct reading {
    const struct mu_args *args;
    struct mu_ask *ask;
    struct mu_table *table; /* NULL for watch */
    struct mu_filters filters;
    struct mu_feed feed;
    size_t limit, printed;
    bool since, ours; /* --since was given; some filter is not the API's */
    bool utc, color;  /* of watch */
};

/* Hands filters on to the API that it knows; all of them are looked at here too. */
static void read_filters(struct reading *r)
{
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];

    for (size_t i = 0; i < r->filters.n; i++) {
        const struct mu_filter *f = &r->filters.each[i];
        bool agent =
            strcmp(f->key, "agent") == 0 && mu_name_parse(f->value, binary, host, NULL) == 0;
        if (f->exact && agent && !r->feed.agent)
            r->feed.agent = f->value;
        else if (f->exact && strcmp(f->key, "kind") == 0 && !r->feed.kind)
            r->feed.kind = f->value;
        else
            r->ours = true;
    }
}

static int read_since(struct reading *r)
{
    long since = 0;
    int code = mu_args_int(r->args, "since", 0, LONG_MAX, &since);

    r->since = mu_args_has(r->args, "since");
    r->feed.since = (uint64_t)since;
    return code;
}

static int add_wanted(struct reading *r, json_t *event)
{
    if (!mu_filters_want(&r->filters, event))
        return MU_EXIT_OK;
    if (r->printed >= r->limit && !mu_table_sorts(r->table))
        return MU_EXIT_OK;
    r->printed++;
    return mu_table_fail(r->args, mu_table_add(r->table, event));
}

/* The newest, when the API can tell which these are. */
static int read_newest(struct reading *r, json_t **events, struct mu_err *err)
{
    struct mu_buf path;
    json_t *answer = NULL;

    mu_buf_init(&path, 0);
    mu_buf_printf(&path, "/v1/events?limit=%zu", r->limit);
    if (r->feed.agent) {
        mu_buf_puts(&path, "&agent=");
        mu_ask_escape(&path, r->feed.agent);
    }
    if (r->feed.kind) {
        mu_buf_puts(&path, "&kind=");
        mu_ask_escape(&path, r->feed.kind);
    }
    int rv = mu_ask(r->ask, "GET", mu_buf_text(&path), NULL, 0, &answer, err);
    mu_buf_fini(&path);
    *events = rv == 0 ? json_incref(json_object_get(answer, "events")) : NULL;
    json_decref(answer);
    if (rv == 0 && !json_is_array(*events))
        return mu_err_set(err, MU_EPROTO, "the conductor answers with no list of events");
    return rv;
}

/* All from .since on that are wanted; without --since only the newest of them are kept. */
static int read_all(struct reading *r, json_t *wanted, struct mu_err *err)
{
    json_t *events, *event;
    size_t i, n;

    do {
        int rv = mu_feed_next(&r->feed, 0, &events, err);
        if (rv != 0)
            return rv;
        json_array_foreach(events, i, event)
        {
            if (!mu_filters_want(&r->filters, event))
                continue;
            if (r->since && json_array_size(wanted) >= r->limit && !mu_table_sorts(r->table))
                break;
            if (json_array_append(wanted, event) != 0)
                rv = mu_err_set(err, MU_ENOMEM, "out of memory");
            if (!r->since && !mu_table_sorts(r->table) && json_array_size(wanted) > r->limit)
                json_array_remove(wanted, 0);
        }
        n = json_array_size(events);
        json_decref(events);
        if (rv != 0)
            return rv;
    } while (n > 0 && !(r->since && json_array_size(wanted) >= r->limit));
    return 0;
}

static int print_past(struct reading *r)
{
    json_t *events = NULL, *event;
    struct mu_err err;
    int rv, code = MU_EXIT_OK;
    size_t i;

    if (!r->since && !r->ours && r->limit <= PAGE_MAX && !mu_table_sorts(r->table))
        rv = read_newest(r, &events, &err);
    else if (!(events = json_array()))
        rv = mu_err_set(&err, MU_ENOMEM, "out of memory");
    else
        rv = read_all(r, events, &err);
    if (rv != 0)
        code = mu_cli_fail_err(r->args, &err);
    for (i = 0; code == MU_EXIT_OK && i < json_array_size(events); i++) {
        event = json_array_get(events, i);
        code = add_wanted(r, event);
    }
    json_decref(events);
    if (code == MU_EXIT_OK)
        code = mu_table_fail(r->args, mu_table_end(r->table, r->limit));
    return code;
}

/* Told when all that were asked for have come. */
#define ENOUGH 1000

static int print_now(void *ctx, json_t *event)
{
    struct reading *r = ctx;
    int code = add_wanted(r, event);

    return code == MU_EXIT_OK && r->printed >= r->limit ? ENOUGH : code;
}

static int print_line(void *ctx, json_t *event)
{
    struct reading *r = ctx;
    struct mu_buf line;

    if (!mu_filters_want(&r->filters, event))
        return MU_EXIT_OK;
    mu_buf_init(&line, 0);
    mu_event_line(&line, event, r->utc, r->color);
    mu_buf_puts(&line, "\n");
    int rv = line.failed;
    if (rv == 0 && (fputs(mu_buf_text(&line), stdout) < 0 || fflush(stdout) != 0))
        rv = MU_EIO;
    mu_buf_fini(&line);
    int code = mu_table_fail(r->args, rv);
    return code == MU_EXIT_OK && ++r->printed >= r->limit ? ENOUGH : code;
}

static int follow(struct reading *r, int (*each)(void *ctx, json_t *event))
{
    struct mu_err err;

    if (!r->since && mu_feed_from_now(&r->feed, &err) != 0)
        return mu_cli_fail_err(r->args, &err);
    if (r->since) { /* a conductor that is not there is an error now, and waited for later */
        struct mu_feed probe = r->feed;
        if (mu_feed_from_now(&probe, &err) != 0)
            return mu_cli_fail_err(r->args, &err);
    }
    int code = mu_feed_follow(&r->feed, each, r);
    return code == ENOUGH ? MU_EXIT_OK : code;
}

static int open_reading(struct reading *r, size_t limit)
{
    struct mu_err err;
    long n = 0;

    int code = mu_args_int(r->args, "limit", 1, 1000000000, &n);
    r->limit = n ? (size_t)n : limit;
    if (code == MU_EXIT_OK)
        code = read_since(r);
    if (code == MU_EXIT_OK)
        code = mu_filters_read(&r->filters, r->args, mu_event_columns);
    if (code == MU_EXIT_OK && mu_ask_open(&r->ask, r->args, 0, &err) != 0)
        code = mu_cli_fail_err(r->args, &err);
    if (code != MU_EXIT_OK)
        return code;
    r->feed.ask = r->ask;
    r->feed.args = r->args;
    read_filters(r);
    return MU_EXIT_OK;
}

static int close_reading(struct reading *r, int code)
{
    mu_ask_free(r->ask);
    mu_table_free(r->table);
    mu_filters_fini(&r->filters);
    return code;
}

static int run_events(const struct mu_args *args)
{
    struct reading r = {.args = args};
    bool watch = mu_args_has(args, "watch");

    if (watch && mu_args_has(args, "sort-column"))
        return mu_cli_fail(args, MU_EXIT_USAGE,
                           "--sort-column and --watch contradict each other: what happens comes "
                           "in the order of its numbers");
    int code = mu_table_open(&r.table, args, mu_event_columns,
                             watch ? MU_SHAPE_STREAM : MU_SHAPE_LIST, stdout);
    if (code == MU_EXIT_OK)
        code = open_reading(&r, watch || mu_args_has(args, "since") ? SIZE_MAX : DEFAULT_LIMIT);
    if (code == MU_EXIT_OK)
        code = watch ? follow(&r, print_now) : print_past(&r);
    return close_reading(&r, code);
}

static const struct mu_option events_options[] = {
    {"watch", 'w', NULL, "Print what happens from now on, until interrupted"},
    {"since", 0, "NUMBER", "Events with a greater number; 0 = from the oldest kept"},
    {NULL},
};

static const struct mu_example events_examples[] = {
    {"muster events", "the last 100 changes"},
    {"muster events --filter agent=nova-compute@cmp-017 --limit 20", "of one agent"},
    {"muster events --filter to=down --since 0", "each death that is on record"},
    {"muster events -w -f json", "what happens from now on, an object a line"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_events = {
    .name = "events",
    .summary = "list what happened, or what happens",
    .operands = "",
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK | MU_OPTS_COLOR | MU_OPTS_FORMAT | MU_OPTS_ROWS,
    .options = events_options,
    .examples = events_examples,
    .run = run_events,
};

static int run_watch(const struct mu_args *args)
{
    struct reading r = {.args = args, .utc = mu_args_has(args, "utc")};

    int code = mu_people_color(args, stdout, &r.color);
    if (code == MU_EXIT_OK)
        code = open_reading(&r, SIZE_MAX);
    if (code == MU_EXIT_OK)
        code = follow(&r, print_line);
    return close_reading(&r, code);
}

static const struct mu_option watch_options[] = {
    {"since", 0, "NUMBER", "Begin with the first event of a greater number; 0 = the oldest kept"},
    {"filter", 0, "KEY=VALUE",
     "Only events whose KEY is VALUE, which may be a pattern with * and "
     "?; repeatable: all must hold"},
    {"limit", 0, "N", "End after N events"},
    {"utc", 0, NULL, "Dates and times in UTC rather than the local time of day"},
    {NULL},
};

static const struct mu_example watch_examples[] = {
    {"muster watch", "a line for each change, until interrupted"},
    {"muster watch --filter 'agent=*@cmp-017' --since 0", "one host, from the beginning"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_watch = {
    .name = "watch",
    .summary = "tell of each change as it happens",
    .operands = "",
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK | MU_OPTS_COLOR,
    .options = watch_options,
    .examples = watch_examples,
    .run = run_watch,
};
