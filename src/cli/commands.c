/* Every command, in the order of --help: what one needs first stands first. */
#include "cli/commands.h"

const struct mu_command *const mu_commands[] = {
    &mu_cmd_completion,
    &mu_cmd_version,
    NULL,
};
