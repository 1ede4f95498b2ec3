/* settings.h - options that are settings of the conductor: where its configuration comes from. */
#ifndef MU_CLI_SETTINGS_H
#define MU_CLI_SETTINGS_H

#include "cli/cli.h"
#include "daemon/config.h"

#define MU_CLI_SETTINGS_MAX 64

/* Rows for a command's table of options. */
#define MU_OPTION_CONFIG                                                                           \
    {                                                                                              \
        "config", 0, "FILE", "Read this configuration, and conf.d beside it [" MU_CONFIG_FILE "]", \
            MU_WORDS_FILE                                                                          \
    }
#define MU_OPTION_STORE                                                                            \
    {                                                                                              \
        "store", 0, "URL",                                                                         \
            "The database: sqlite:PATH, postgresql://HOST/DATABASE, mysql://HOST/DATABASE, or "    \
            "memory: which forgets"                                                                \
    }

#define MU_CLI_URL 1024

struct mu_cli_settings {
    struct mu_config_flag flags[MU_CLI_SETTINGS_MAX];
    char store[MU_CLI_URL]; /* the URL of --store, whose password is masked where it stood */
    struct mu_config_source source; /* points into this struct, and to the environment */
};

/* Takes --config, and those options of the command that are settings: --listen, --http, --store,
 * --insecure, --log-level, --log-format. @settings must stay where it is while its source is used.
 * Returns MU_EXIT_OK, or MU_EXIT_USAGE after telling the user. */
int mu_cli_settings(const struct mu_args *args, struct mu_cli_settings *settings);

/* Copies the URL @value, an argument of ours, to @out, and masks its password where it stood,
 * leaving nothing of it behind: everybody may read the arguments of a process. Returns @out; @value
 * where it is too long. */
const char *mu_cli_take_url(const char *value, char out[MU_CLI_URL]);

#endif
