#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "cli/agents.h"
#include "cli/commands.h"
#include "cli/filter.h"

#define PAGE_MAX 1000

static void put_query(struct mu_buf *path, const struct mu_filters *filters, size_t page)
{
    mu_buf_printf(path, "/v1/agents?limit=%zu", page);
    mu_filters_query(path, '&', filters);
}

/* What a listing is at. */
struct listing {
    const struct mu_args *args;
    struct mu_ask *ask;
    struct mu_table *table;
    struct mu_filters filters;
    size_t limit, found;
    bool patterns; /* some filter is only ours: a page may hold rows that we don't want */
};

static int take_page(struct listing *l, const json_t *answer)
{
    const json_t *agents = json_object_get(answer, "agents");
    json_t *agent;
    size_t i;

    if (!json_is_array(agents))
        return mu_cli_fail(l->args, MU_EXIT_FAILED, "the conductor answers with no list of agents");
    json_array_foreach(agents, i, agent)
    {
        if (!mu_filters_want(&l->filters, agent))
            continue;
        if (l->found >= l->limit && !mu_table_sorts(l->table))
            break;
        l->found++;
        int rv = mu_table_add(l->table, agent);
        if (rv != 0)
            return mu_table_fail(l->args, rv);
    }
    return MU_EXIT_OK;
}

static size_t page_size(const struct listing *l)
{
    size_t left = l->limit - l->found;

    return mu_table_sorts(l->table) || l->patterns || left > PAGE_MAX ? PAGE_MAX : left;
}

/* Reads page after page. */
static int read_pages(struct listing *l)
{
    struct mu_buf path;
    struct mu_err err;
    json_t *answer = NULL;
    int code = MU_EXIT_OK;
    bool more = true;

    mu_buf_init(&path, 0);
    while (more && code == MU_EXIT_OK && (l->found < l->limit || mu_table_sorts(l->table))) {
        mu_buf_reset(&path);
        put_query(&path, &l->filters, page_size(l));
        const char *token = answer ? mu_ask_text(answer, "next_page_token") : "";
        if (*token) {
            mu_buf_puts(&path, "&page_token=");
            mu_ask_escape(&path, token);
        }
        json_decref(answer);
        if (mu_ask(l->ask, "GET", mu_buf_text(&path), NULL, 0, &answer, &err) != 0)
            code = mu_cli_fail_err(l->args, &err);
        else
            code = take_page(l, answer);
        more = *mu_ask_text(answer, "next_page_token");
    }
    json_decref(answer);
    mu_buf_fini(&path);
    return code;
}

static int list(struct listing *l)
{
    struct mu_err err;

    for (size_t i = 0; i < l->filters.n; i++)
        l->patterns |= !mu_filters_asked(&l->filters, i);
    if (mu_ask_open(&l->ask, l->args, 0, &err) != 0)
        return mu_cli_fail_err(l->args, &err);
    int code = read_pages(l);
    if (code == MU_EXIT_OK)
        code = mu_table_fail(l->args, mu_table_end(l->table, l->limit));
    if (code != MU_EXIT_OK || l->found > 0)
        return code;
    if (l->filters.n > 0)
        return mu_cli_fail(l->args, MU_EXIT_NO_AGENT, "no agent matches");
    if (mu_table_for_people(l->table))
        fputs("No agents yet. To be one: muster agent --name NAME -- COMMAND\n", stderr);
    return code;
}

static int run(const struct mu_args *args)
{
    struct listing l = {.args = args};
    long limit = 0;

    int code = mu_args_int(args, "limit", 1, 1000000000, &limit);
    l.limit = limit ? (size_t)limit : SIZE_MAX;
    if (code == MU_EXIT_OK)
        code = mu_filters_read(&l.filters, args, mu_agent_columns);
    if (code == MU_EXIT_OK)
        code = mu_table_open(&l.table, args, mu_agent_columns, MU_SHAPE_LIST, stdout);
    if (code == MU_EXIT_OK)
        code = list(&l);
    mu_ask_free(l.ask);
    mu_table_free(l.table);
    mu_filters_fini(&l.filters);
    return code;
}

static const struct mu_example examples[] = {
    {"muster list", "who there is, and who is up"},
    {"muster list --filter state=down", "who is down; exit code 4 if nobody is"},
    {"muster list --filter 'host=cmp-*' --filter label.rack=r7", "a part of the fleet"},
    {"muster list --sort-column age_s --sort-descending --limit 10", "the longest silent"},
    {"muster list -f value -c host -c state", "for a shell's loop"},
    {"muster list -f json", "everything, for a program"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_list = {
    .name = "list",
    .summary = "list the agents of the fleet",
    .operands = "",
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK | MU_OPTS_COLOR | MU_OPTS_FORMAT | MU_OPTS_ROWS,
    .examples = examples,
    .run = run,
};
