#include "cli/settings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/mem.h"

static const struct {
    const char *option, *section, *key, *flag;
} settings_of[] = {
    {"listen", "conductor", "listen", "--listen"},   {"http", "conductor", "http", "--http"},
    {"store", "conductor", "store", "--store"},      {"log-level", "log", "level", "--log-level"},
    {"log-format", "log", "format", "--log-format"},
};

static bool takes(const struct mu_command *command, const char *option)
{
    for (const struct mu_option *o = command->options; o && o->name; o++)
        if (!strcmp(o->name, option))
            return true;
    return false;
}

const char *mu_cli_take_url(const char *value, char out[MU_CLI_URL])
{
    if (snprintf(out, MU_CLI_URL, "%s", value) >= MU_CLI_URL)
        return value; /* too long for a URL, as will be told */
    char *there = (char *)value;
    mu_addr_mask(there);
    size_t n = strlen(there);
    explicit_bzero(there + n, strlen(out) - n); /* the mask is shorter than what it stands for */
    return out;
}

int mu_cli_settings(const struct mu_args *args, struct mu_cli_settings *settings)
{
    const struct mu_command *command = mu_args_command(args);
    size_t n = 0;

    for (size_t i = 0; i < MU_ARRAY_LEN(settings_of); i++) {
        const char *value;

        if (!takes(command, settings_of[i].option))
            continue;
        for (size_t nth = 0; (value = mu_args_nth(args, settings_of[i].option, nth)); nth++) {
            if (n == MU_CLI_SETTINGS_MAX)
                return mu_cli_fail(args, MU_EXIT_USAGE, "too many options; write a --config FILE");
            if (!strcmp(settings_of[i].key, "store"))
                value = mu_cli_take_url(value, settings->store);
            settings->flags[n++] = (struct mu_config_flag){
                settings_of[i].section, settings_of[i].key, value, settings_of[i].flag};
        }
    }
    if (takes(command, "insecure") && mu_args_has(args, "insecure") && n < MU_CLI_SETTINGS_MAX)
        settings->flags[n++] =
            (struct mu_config_flag){"conductor", "insecure", "true", "--insecure"};
    settings->source = (struct mu_config_source){.file = mu_args_value(args, "config"),
                                                 .env = environ,
                                                 .flags = settings->flags,
                                                 .nflags = n};
    return MU_EXIT_OK;
}
