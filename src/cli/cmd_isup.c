#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/commands.h"

static int run(const struct mu_args *args)
{
    struct mu_ask *ask;
    struct mu_err err;
    json_t *agent;

    if (mu_ask_open(&ask, args, 0, &err) != 0)
        return mu_cli_fail_err(args, &err);
    int rv = mu_ask_agent(ask, mu_args_operands(args)[0], &agent, &err);
    mu_ask_free(ask);
    if (rv != 0)
        return mu_cli_fail_err(args, &err);
    const char *state = mu_ask_text(agent, "state");
    bool up = strcmp(state, "up") == 0;
    if (!mu_args_has(args, "quiet"))
        printf("%s\n", state);
    json_decref(agent);
    return up ? MU_EXIT_OK : MU_EXIT_FALSE;
}

static const struct mu_option options[] = {
    {"quiet", 'q', NULL, "Print errors only: the exit code tells"},
    {NULL},
};

static const struct mu_example examples[] = {
    {"muster is-up nova-compute@cmp-017",
     "prints its State; 0 = up, 3 = not up, 4 = no such agent"},
    {"if muster is-up -q db@web-1; then ...", "in a script"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_is_up = {
    .name = "is-up",
    .summary = "tell by the exit code whether an agent is up",
    .operands = "NAME",
    .words = MU_WORDS_AGENT,
    .min = 1,
    .max = 1,
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK,
    .options = options,
    .examples = examples,
    .run = run,
};
