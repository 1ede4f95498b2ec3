#include <stdio.h>

#include "cli/commands.h"
#include "cli/options.h"

static int run(const struct mu_args *args)
{
    const struct mu_command *command = NULL;

    if (mu_args_count(args) > 0) {
        const char *name = mu_args_operands(args)[0];
        command = mu_command_find(name);
        if (!command)
            return mu_help_unknown(name);
    }
    mu_help_print(command, stdout);
    return MU_EXIT_OK;
}

static const struct mu_example examples[] = {
    {"muster help", "the commands"},
    {"muster help agent", "the same as muster agent --help"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_help = {
    .name = "help",
    .summary = "tell what the commands are, or what one does",
    .operands = "[COMMAND]",
    .words = MU_WORDS_COMMAND,
    .max = 1,
    .examples = examples,
    .run = run,
};
