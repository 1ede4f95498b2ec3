#include <string.h>

#include "base/mem.h"
#include "cli/agents.h"
#include "cli/commands.h"
#include "cli/filter.h"

static const struct mu_column fleet_columns[] = {
    {"agents", "Agents", MU_COL_RIGHT, 8},
    {"states.up", "Up", MU_COL_RIGHT, 8},
    {"states.suspect", "Suspect", MU_COL_RIGHT, 8},
    {"states.down", "Down", MU_COL_RIGHT, 8},
    {"states.left", "Left", MU_COL_RIGHT, 8},
    {"states.unknown", "Unknown", MU_COL_RIGHT, 8},
    {"status.enabled", "Enabled", MU_COL_RIGHT, 8},
    {"status.disabled", "Disabled", MU_COL_RIGHT, 8},
    {"forced_down", "Forced Down", MU_COL_RIGHT, 11},
    {"as_of", "As Of", MU_COL_TIME, 24},
    {NULL},
};

static const struct mu_column part_columns[] = {
    {"name", "Name", 0, 20},
    {"agents", "Agents", MU_COL_RIGHT, 8},
    {"up", "Up", MU_COL_RIGHT, 8},
    {"suspect", "Suspect", MU_COL_RIGHT, 8},
    {"down", "Down", MU_COL_RIGHT, 8},
    {"left", "Left", MU_COL_RIGHT, 8},
    {"unknown", "Unknown", MU_COL_RIGHT, 8},
    {NULL},
};

/* *@out is the object of the API's answer whose members are the rows; NULL = all of it is one. */
static int read_by(const struct mu_args *args, const char **out)
{
    const char *by = mu_args_value(args, "by");

    if (!by)
        *out = NULL;
    else if (strcmp(by, "zone") == 0)
        *out = "zones";
    else if (strcmp(by, "binary") == 0)
        *out = "binaries";
    else
        return mu_cli_fail(args, MU_EXIT_USAGE, "--by %s: it is zone or binary", by);
    return MU_EXIT_OK;
}

/* "az1": {"up": 3, ...} becomes {"name": "az1", "agents": 3, "up": 3, ...}. */
static int add_part(struct mu_table *table, const char *name, json_t *states)
{
    json_t *row = json_pack("{s:s, s:i}", "name", name, "agents", 0), *count;
    json_int_t sum = 0;
    const char *state;

    json_object_foreach(states, state, count)
    {
        sum += json_integer_value(count);
    }
    int rv = !row || json_integer_set(json_object_get(row, "agents"), sum) != 0 ||
                     json_object_update(row, states) != 0
                 ? MU_ENOMEM
                 : mu_table_add(table, row);
    json_decref(row);
    return rv;
}

static int print(const struct mu_args *args, struct mu_table *table, const char *parts,
                 json_t *answer, size_t limit)
{
    const char *name;
    json_t *part;
    size_t n = 0;
    int rv = 0;

    if (!json_is_object(json_object_get(answer, "zones")) ||
        !json_is_object(json_object_get(answer, "binaries")))
        return mu_cli_fail(args, MU_EXIT_FAILED, "the conductor answers with no summary");
    if (!parts)
        rv = mu_table_add(table, answer);
    else
        json_object_foreach(json_object_get(answer, parts), name, part)
        {
            if (rv == 0 && (n++ < limit || mu_table_sorts(table)))
                rv = add_part(table, name, part);
        }
    return mu_table_fail(args, rv ? rv : mu_table_end(table, limit));
}

static int ask(const struct mu_args *args, struct mu_table *table, const char *parts,
               const struct mu_filters *filters, size_t limit)
{
    struct mu_buf path;
    struct mu_ask *ask;
    struct mu_err err;
    json_t *answer = NULL;
    int code;

    if (mu_ask_open(&ask, args, 0, &err) != 0)
        return mu_cli_fail_err(args, &err);
    mu_buf_init(&path, 0);
    mu_buf_puts(&path, "/v1/summary");
    mu_filters_query(&path, '?', filters);
    if (mu_ask(ask, "GET", mu_buf_text(&path), NULL, 0, &answer, &err) != 0)
        code = mu_cli_fail_err(args, &err);
    else
        code = print(args, table, parts, answer, limit);
    json_decref(answer);
    mu_buf_fini(&path);
    mu_ask_free(ask);
    return code;
}

static int check_filters(const struct mu_args *args, const struct mu_filters *filters)
{
    for (size_t i = 0; i < filters->n; i++)
        if (!mu_filters_asked(filters, i))
            return mu_cli_fail(args, MU_EXIT_USAGE,
                               "--filter %s=%s: counted is by whole values of binary, host, zone, "
                               "state, status, forced_down and label.KEY, each once",
                               filters->each[i].key, filters->each[i].value);
    return MU_EXIT_OK;
}

static int run(const struct mu_args *args)
{
    const char *parts = NULL;
    struct mu_filters filters = {0};
    struct mu_table *table = NULL;
    long limit = 0;

    int code = mu_args_int(args, "limit", 1, 1000000000, &limit);
    if (code == MU_EXIT_OK)
        code = read_by(args, &parts);
    if (code == MU_EXIT_OK)
        code = mu_filters_read(&filters, args, mu_agent_columns);
    if (code == MU_EXIT_OK)
        code = check_filters(args, &filters);
    if (code == MU_EXIT_OK)
        code = mu_table_open(&table, args, parts ? part_columns : fleet_columns,
                             parts ? MU_SHAPE_LIST : MU_SHAPE_ONE, stdout);
    if (code == MU_EXIT_OK)
        code = ask(args, table, parts, &filters, limit ? (size_t)limit : SIZE_MAX);
    mu_table_free(table);
    mu_filters_fini(&filters);
    return code;
}

static const struct mu_option options[] = {
    {"by", 0, "PART", "A row for each zone, or for each binary", "zone binary"},
    {"filter", 0, "KEY=VALUE", "Count only agents whose KEY is VALUE; repeatable: all must hold"},
    {NULL},
};

static const struct mu_example examples[] = {
    {"muster summary", "how many agents there are, and how many are up"},
    {"muster summary --by zone --sort-column down --sort-descending --limit 5",
     "the zones with the most that are down"},
    {"muster summary --filter binary=nova-compute --filter state=down -f value -c agents",
     "one number, for a script"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_summary = {
    .name = "summary",
    .summary = "count the agents of the fleet, by State, zone or binary",
    .operands = "",
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK | MU_OPTS_COLOR | MU_OPTS_FORMAT | MU_OPTS_ROWS,
    .options = options,
    .examples = examples,
    .run = run,
};
