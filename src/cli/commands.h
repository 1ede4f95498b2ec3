/* commands.h - the commands there are: one line each, and one in commands.c. */
#ifndef MU_CLI_COMMANDS_H
#define MU_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct mu_command mu_cmd_completion;
extern const struct mu_command mu_cmd_version;

#endif
