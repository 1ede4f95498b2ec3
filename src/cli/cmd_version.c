#include <stdio.h>

#include "cli/commands.h"

static int run(const struct mu_args *args)
{
    printf("muster %s\n", MUSTER_VERSION);
    return MU_EXIT_OK;
}

static const struct mu_example examples[] = {
    {"muster version", "of this program"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_version = {
    .name = "version",
    .summary = "show the version of this program",
    .operands = "",
    .examples = examples,
    .run = run,
};
