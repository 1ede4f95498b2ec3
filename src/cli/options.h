/* options.h - from a command's tables to what was given, to --help, and to whoever lists them. */
#ifndef MU_CLI_OPTIONS_H
#define MU_CLI_OPTIONS_H

#include <stdio.h>

#include "cli/cli.h"

struct mu_args {
    const struct mu_command *command; /* NULL: before it is known, and for completion's sake */
    struct mu_given {
        const struct mu_option *option;
        const char *value;
    } * given;
    size_t ngiven;
    char **operands; /* NULL-terminated */
    size_t noperands;
};

/* The @i-th option that @command takes: its own, then those shared, --help last; NULL past the
 * end. @command NULL: those that may stand before the command. */
const struct mu_option *mu_option_at(const struct mu_command *command, size_t i);

/* The command of this name or alias, or NULL. */
const struct mu_command *mu_command_find(const char *name);

/* Reads @argv (argv[0] is passed over) by @command's tables and adds it to @args. Values and
 * operands stay borrowed from @argv, which is reordered. @command NULL reads up to the first
 * operand. Returns 0, or MU_EINVAL with one line for the user, or MU_ENOMEM. */
int mu_args_read(struct mu_args *args, const struct mu_command *command, int argc, char **argv,
                 struct mu_err *err);
void mu_args_fini(struct mu_args *args);

/* Checks that the number of operands is right. Returns 0 or MU_EINVAL. */
int mu_args_check(const struct mu_args *args, struct mu_err *err);

/* Prints the help of @command; of the program for NULL. */
void mu_help_print(const struct mu_command *command, FILE *out);

/* Tells that there is no command @name, and which one may be meant. Returns MU_EXIT_USAGE. */
int mu_help_unknown(const char *name);

#endif
