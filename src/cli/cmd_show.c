#include "cli/agents.h"
#include "cli/commands.h"
#include "cli/people.h"

#define LAST_EVENTS 5

/* The last events of an agent, below its fields: what people look for next. */
static int print_events(const struct mu_args *args, struct mu_ask *ask, const json_t *agent)
{
    struct mu_buf path, line;
    struct mu_err err;
    json_t *answer, *event;
    size_t i;
    bool color, utc = mu_args_has(args, "utc");

    int code = mu_people_color(args, stdout, &color);
    if (code != MU_EXIT_OK)
        return code;
    mu_buf_init(&path, 0);
    mu_buf_init(&line, 0);
    mu_buf_printf(&path, "/v1/events?limit=%d&agent=", LAST_EVENTS);
    mu_ask_escape(&path, mu_ask_text(agent, "binary"));
    mu_buf_puts(&path, "@");
    mu_ask_escape(&path, mu_ask_text(agent, "host"));
    if (mu_ask(ask, "GET", mu_buf_text(&path), NULL, 0, &answer, &err) != 0)
        code = mu_cli_fail_err(args, &err);
    mu_buf_puts(&line, "\nLast events:\n");
    json_array_foreach(json_object_get(answer, "events"), i, event)
    {
        mu_buf_puts(&line, "  ");
        mu_event_line(&line, event, utc, color);
        mu_buf_puts(&line, "\n");
    }
    if (json_array_size(json_object_get(answer, "events")) > 0)
        fputs(mu_buf_text(&line), stdout);
    json_decref(answer);
    mu_buf_fini(&line);
    mu_buf_fini(&path);
    return code;
}

static int show(const struct mu_args *args, struct mu_ask *ask, struct mu_table *table)
{
    struct mu_err err;
    json_t *agent;

    if (mu_ask_find(ask, mu_args_operands(args)[0], &agent, &err) != 0)
        return mu_cli_fail_err(args, &err);
    int rv = mu_table_add(table, agent);
    if (rv == 0)
        rv = mu_table_end(table, 1);
    int code = mu_table_fail(args, rv);
    if (code == MU_EXIT_OK && mu_table_for_people(table) && !mu_args_has(args, "column"))
        code = print_events(args, ask, agent);
    json_decref(agent);
    return code;
}

static int run(const struct mu_args *args)
{
    struct mu_table *table;
    struct mu_ask *ask;
    struct mu_err err;

    int code = mu_table_open(&table, args, mu_agent_columns, MU_SHAPE_ONE, stdout);
    if (code != MU_EXIT_OK)
        return code;
    if (mu_ask_open(&ask, args, 0, &err) != 0) {
        code = mu_cli_fail_err(args, &err);
    } else {
        code = show(args, ask, table);
        mu_ask_free(ask);
    }
    mu_table_free(table);
    return code;
}

static const struct mu_example examples[] = {
    {"muster show nova-compute@cmp-017", "all about one agent, and its last events"},
    {"muster show cmp-017", "its host is enough where only one agent runs"},
    {"muster show nova-compute@cmp-017 -f value -c state", "one word, for a script"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_show = {
    .name = "show",
    .summary = "show all about one agent",
    .operands = "NAME",
    .words = MU_WORDS_AGENT,
    .min = 1,
    .max = 1,
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK | MU_OPTS_COLOR | MU_OPTS_FORMAT,
    .examples = examples,
    .run = run,
};
