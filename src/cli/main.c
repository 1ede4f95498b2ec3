/* muster: finds the command, reads its options, runs it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/options.h"

/* A command that printed to a full disk has failed, whatever it thinks. */
static int finish_output(const struct mu_args *args, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    return mu_cli_fail(args, code ? code : MU_EXIT_FAILED, "cannot write standard output: %s",
                       strerror(errno));
}

static int run(struct mu_args *args, int argc, char **argv)
{
    struct mu_err err;

    if (mu_args_read(args, NULL, argc, argv, &err) != 0)
        return mu_cli_fail_err(args, &err);
    if (mu_args_has(args, "help")) {
        mu_help_print(NULL, stdout);
        return MU_EXIT_OK;
    }
    if (mu_args_has(args, "version")) {
        printf("muster %s\n", MUSTER_VERSION);
        return MU_EXIT_OK;
    }
    if (args->noperands == 0) {
        mu_help_print(NULL, stderr);
        return MU_EXIT_USAGE;
    }

    const struct mu_command *command = mu_command_find(args->operands[0]);
    if (!command)
        return mu_help_unknown(args->operands[0]);
    if (mu_args_read(args, command, (int)args->noperands, args->operands, &err) != 0)
        return mu_cli_fail_err(args, &err);
    if (mu_args_has(args, "help")) {
        mu_help_print(command, stdout);
        return MU_EXIT_OK;
    }
    if (mu_args_check(args, &err) != 0)
        return mu_cli_fail_err(args, &err);
    return command->run(args);
}

/* Names are UTF-8 whatever the locale says; the locale has the widths of letters on the screen. */
static void use_utf8(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

/* A closed descriptor of the first three would be given to the next socket or database, and what we
 * print would go there. Of these only reading works, so that printing is an error that is told. */
static void fill_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDONLY) != fd)
            _exit(MU_EXIT_FAILED);
}

int main(int argc, char **argv)
{
    struct mu_args args = {0};

    fill_descriptors();
    use_utf8();
    json_set_alloc_funcs(mu_alloc, mu_free);
    signal(SIGPIPE, SIG_DFL); /* `muster list | head` ends quietly, whatever our parent ignores */
    int code = finish_output(&args, run(&args, argc, argv));
    mu_args_fini(&args);
    mu_log_flush();
    return code;
}
