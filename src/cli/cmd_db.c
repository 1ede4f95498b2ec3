#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "cli/commands.h"
#include "cli/settings.h"
#include "store/admin.h"

static void print_counts(const struct mu_store_status *status)
{
    if (!status->counted) {
        printf("agents   unknown\nevents   unknown\nstarts   unknown\n");
        return;
    }
    printf("agents   %" PRIu64 "\n", status->agents);
    printf("events   %" PRIu64, status->events);
    if (status->events)
        printf(" (%" PRIu64 " to %" PRIu64 ")", status->span.oldest, status->span.newest);
    printf("\nstarts   %" PRIu32 "\n", status->epoch);
}

static int print_status(const struct mu_args *args, const char *url)
{
    struct mu_store_status status;
    struct mu_addr addr;
    struct mu_err err = {0};

    if (mu_store_status(url, &status, &err))
        return mu_cli_fail_here(args, &err);
    printf("store    %s\n", mu_addr_parse(&addr, url, NULL) ? "" : addr.text);
    printf("schema   %" PRIu32 "%s\n", status.schema,
           status.schema == 0              ? " (empty: a conductor makes the tables at its start)"
           : status.schema < status.writes ? " (old: run muster db upgrade)"
           : status.schema > status.writes ? " (of a newer muster)"
                                           : "");
    printf("wants    %" PRIu32 "\n", status.writes);
    print_counts(&status);
    printf("bytes    %" PRIu64 "\n", status.bytes);
    printf("open by  %s\n", *status.holder ? status.holder : "nobody");
    return MU_EXIT_OK;
}

static int upgrade(const struct mu_args *args, const char *url)
{
    uint32_t from, to;
    struct mu_err err = {0};

    if (mu_store_upgrade(url, &from, &to, &err))
        return mu_cli_fail_here(args, &err);
    if (from == to)
        printf("schema %" PRIu32 " is up to date\n", to);
    else
        printf("schema upgraded from %" PRIu32 " to %" PRIu32 "\n", from, to);
    return MU_EXIT_OK;
}

static int backup(const struct mu_args *args, const char *url, const char *path)
{
    struct mu_err err = {0};

    if (!path)
        return mu_cli_fail(args, MU_EXIT_USAGE, "backup needs a file to write: db backup FILE");
    return mu_store_backup(url, path, &err) ? mu_cli_fail_here(args, &err) : MU_EXIT_OK;
}

static int act(const struct mu_args *args, const char *url)
{
    const char *what = mu_args_operands(args)[0], *path = mu_args_operands(args)[1];

    if (!strcmp(what, "backup"))
        return backup(args, url, path);
    if (strcmp(what, "status") != 0 && strcmp(what, "upgrade") != 0)
        return mu_cli_fail(args, MU_EXIT_USAGE, "\"%s\" is none of status, upgrade, backup", what);
    if (path)
        return mu_cli_fail(args, MU_EXIT_USAGE, "%s takes nothing more, but got \"%s\"", what,
                           path);
    return *what == 's' ? print_status(args, url) : upgrade(args, url);
}

static int run(const struct mu_args *args)
{
    struct mu_cli_settings settings;
    struct mu_config *config;
    struct mu_err err = {0};
    int code = mu_cli_settings(args, &settings);

    if (code)
        return code;
    if (mu_config_load(&config, &settings.source, &err))
        return mu_cli_fail_here(args, &err);
    code = act(args, config->store);
    mu_config_free(config);
    return code;
}

static const struct mu_option options[] = {
    MU_OPTION_CONFIG,
    MU_OPTION_STORE,
    {0},
};

static const struct mu_example examples[] = {
    {"muster db status", "the database that the configuration names"},
    {"muster db upgrade", "bring its schema up to date; no conductor may have it open"},
    {"muster db backup /backup/muster.db", "a copy, also while a conductor writes"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_db = {
    .name = "db",
    .summary = "look at the database, upgrade it, copy it",
    .operands = "status|upgrade|backup [FILE]",
    .words = "status upgrade backup",
    .min = 1,
    .max = 2,
    .options = options,
    .examples = examples,
    .run = run,
};
