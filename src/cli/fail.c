/* How a command fails: one line, one code. */
#include <stdarg.h>
#include <stdio.h>

#include "cli/cli.h"

/* What a conductor says may be anything, and one line is one line. */
static void disarm(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        if (*p < 0x20 || *p == 0x7f || c1)
            *p = '?';
        if (c1)
            *++p = '?';
    }
}

int mu_cli_fail(const struct mu_args *args, int code, const char *fmt, ...)
{
    char text[MU_ERR_TEXT_MAX];
    const struct mu_command *command = args ? mu_args_command(args) : NULL;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    disarm(text);
    fflush(stdout); /* what was said before comes before, where both go to one place */
    fprintf(stderr, "muster%s%s: %s\n", command ? " " : "", command ? command->name : "", text);
    return code;
}

/* The exit code of a MU_E... */
static int exit_of(int code)
{
    switch (code) {
    case MU_OK:
        return MU_EXIT_OK;
    case MU_EINVAL:
    case MU_ERANGE:
        return MU_EXIT_USAGE;
    case MU_ENOENT:
        return MU_EXIT_NO_AGENT;
    case MU_EAGAIN:
    case MU_ETIMEDOUT:
        return MU_EXIT_NOT_REACHED;
    case MU_EPERM:
        return MU_EXIT_DENIED;
    case MU_EBUSY:
    case MU_ECONFLICT:
        return MU_EXIT_CONFLICT;
    default:
        return MU_EXIT_FAILED;
    }
}

int mu_cli_fail_err(const struct mu_args *args, const struct mu_err *err)
{
    return mu_cli_fail(args, exit_of(err->code), "%s", err->text);
}

int mu_cli_fail_here(const struct mu_args *args, const struct mu_err *err)
{
    int code = err->code == MU_ENOENT ? MU_EXIT_FAILED : exit_of(err->code);

    return mu_cli_fail(args, code, "%s", err->text);
}
