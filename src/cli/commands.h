/* commands.h - the commands there are: one line each, and one in commands.c. */
#ifndef MU_CLI_COMMANDS_H
#define MU_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct mu_command mu_cmd_agent;
extern const struct mu_command mu_cmd_bench;
extern const struct mu_command mu_cmd_completion;
extern const struct mu_command mu_cmd_conductor;
extern const struct mu_command mu_cmd_config;
extern const struct mu_command mu_cmd_db;
extern const struct mu_command mu_cmd_delete;
extern const struct mu_command mu_cmd_demo;
extern const struct mu_command mu_cmd_disable;
extern const struct mu_command mu_cmd_enable;
extern const struct mu_command mu_cmd_events;
extern const struct mu_command mu_cmd_explain;
extern const struct mu_command mu_cmd_force_down;
extern const struct mu_command mu_cmd_help;
extern const struct mu_command mu_cmd_is_up;
extern const struct mu_command mu_cmd_list;
extern const struct mu_command mu_cmd_show;
extern const struct mu_command mu_cmd_sim;
extern const struct mu_command mu_cmd_summary;
extern const struct mu_command mu_cmd_version;
extern const struct mu_command mu_cmd_wait;
extern const struct mu_command mu_cmd_watch;

#endif
