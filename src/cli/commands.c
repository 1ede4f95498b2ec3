/* Every command, in the order of --help: what one needs first stands first. One a line, so that
 * branches meet without a quarrel. */
#include "cli/commands.h"

/* clang-format off */
const struct mu_command *const mu_commands[] = {
    &mu_cmd_conductor,
    &mu_cmd_agent,
    &mu_cmd_list,
    &mu_cmd_summary,
    &mu_cmd_show,
    &mu_cmd_explain,
    &mu_cmd_events,
    &mu_cmd_watch,
    &mu_cmd_wait,
    &mu_cmd_is_up,
    &mu_cmd_enable,
    &mu_cmd_disable,
    &mu_cmd_force_down,
    &mu_cmd_delete,
    &mu_cmd_sim,
    &mu_cmd_bench,
    &mu_cmd_demo,
    &mu_cmd_config,
    &mu_cmd_db,
    &mu_cmd_completion,
    &mu_cmd_help,
    &mu_cmd_version,
    NULL,
};
