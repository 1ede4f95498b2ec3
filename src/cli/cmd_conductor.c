#include <unistd.h>

#include "cli/commands.h"
#include "cli/settings.h"
#include "daemon/serve.h"

static int run(const struct mu_args *args)
{
    struct mu_cli_settings settings;
    struct mu_serve_options options = {.ports_file = mu_args_value(args, "ports-file"),
                                       .facts = isatty(STDOUT_FILENO)};
    struct mu_err err = {0};
    int code = mu_cli_settings(args, &settings);

    if (code)
        return code;
    options.source = settings.source;
    return mu_serve(&options, &err) ? mu_cli_fail_here(args, &err) : MU_EXIT_OK;
}

static const struct mu_option options[] = {
    MU_OPTION_CONFIG,
    {"listen", 0, "ADDR",
     "Hear agents here, TCP and UDP: A.B.C.D:PORT, [V6]:PORT, or the path of a Unix socket; port 0 "
     "is any free one; repeatable [127.0.0.1:4680]"},
    {"http", 0, "ADDR", "Answer the HTTP API here; repeatable [127.0.0.1:4681]"},
    MU_OPTION_STORE,
    {"ports-file", 0, "FILE",
     "Write the ports taken, lines agents=PORT and http=PORT, once listening", MU_WORDS_FILE},
    {"insecure", 0, NULL,
     "Allow addresses that other machines can reach, without encryption or passwords"},
    {"log-level", 0, "LEVEL",
     "The least important lines that are written: error, warn, info or debug [info]",
     "error warn info debug"},
    {"log-format", 0, "FORMAT", "auto, text, journald or json [auto]", "auto text journald json"},
    {0},
};

static const struct mu_example examples[] = {
    {"muster conductor", "with what is built in, or /etc/muster/muster.conf"},
    {"muster conductor --store memory:", "to try it: nothing is kept"},
    {"muster conductor --listen 127.0.0.1:0 --http 127.0.0.1:0 --ports-file ports",
     "on any free ports, for a test"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_conductor = {
    .name = "conductor",
    .alias = "serve",
    .summary = "take the agents' reports and say who is alive",
    .operands = "",
    .options = options,
    .examples = examples,
    .run = run,
};
