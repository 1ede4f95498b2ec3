#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/settings.h"
#include "daemon/check.h"

static void print_warning(void *ctx, const char *line)
{
    fprintf(stderr, "muster config: warning: %s\n", line);
}

static int show(const struct mu_args *args, const struct mu_config *config)
{
    struct mu_buf out;
    int failed;

    mu_buf_init(&out, 0);
    mu_config_show(config, mu_args_has(args, "origin"), &out);
    failed = out.failed;
    fputs(mu_buf_text(&out), stdout);
    mu_buf_fini(&out);
    return failed ? mu_cli_fail(args, MU_EXIT_FAILED, "out of memory") : MU_EXIT_OK;
}

static int check(const struct mu_args *args, const struct mu_config *config)
{
    struct mu_err err = {0};

    return mu_check_start(config, &err) ? mu_cli_fail(args, MU_EXIT_USAGE, "%s", err.text)
                                        : MU_EXIT_OK;
}

static int run(const struct mu_args *args)
{
    const char *what = mu_args_operands(args)[0];
    struct mu_cli_settings settings;
    struct mu_config *config;
    struct mu_err err = {0};
    int code = mu_cli_settings(args, &settings);

    if (code)
        return code;
    if (strcmp(what, "check") && strcmp(what, "show"))
        return mu_cli_fail(args, MU_EXIT_USAGE, "\"%s\" is neither check nor show", what);
    settings.source.warn = print_warning;
    if (mu_config_load(&config, &settings.source, &err))
        return mu_cli_fail(args, MU_EXIT_USAGE, "%s", err.text);
    code = strcmp(what, "show") ? check(args, config) : show(args, config);
    mu_config_free(config);
    return code;
}

static const struct mu_option options[] = {
    MU_OPTION_CONFIG,
    {"origin", 0, NULL, "With show: where each value came from"},
    {0},
};

static const struct mu_example examples[] = {
    {"muster config check --config new.conf", "before it is taken into use"},
    {"muster config show --origin", "every setting, its value, and who says so"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_config = {
    .name = "config",
    .summary = "check the configuration, or show what is in force",
    .operands = "check|show",
    .words = "check show",
    .min = 1,
    .max = 1,
    .options = options,
    .examples = examples,
    .run = run,
};
