/* cli.h - what a subcommand is.
 *
 * A command is one constant: its table of options is read by the parser, by --help, by the
 * completions and by the man pages alike. To add one: a file cmd_NAME.c that ends with
 * `const struct mu_command mu_cmd_NAME`, a line in commands.c, one in meson.build and one in
 * man/meson.build.
 *
 * What a command prints goes to standard output, all else to standard error. */
#ifndef MU_CLI_CLI_H
#define MU_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"

/* How the program ends: name, number, meaning. The man page's table is this one. */
#define MU_EXITS(X)                                                                                \
    X(MU_EXIT_OK, 0, "Done, or the condition is true.")                                            \
    X(MU_EXIT_FAILED, 1, "Failed.")                                                                \
    X(MU_EXIT_USAGE, 2, "Wrong usage, or wrong configuration.")                                    \
    X(MU_EXIT_FALSE, 3, "The condition is false: *muster is-up* says that it is not up.")          \
    X(MU_EXIT_NO_AGENT, 4, "No such agent, or nothing matches.")                                   \
    X(MU_EXIT_NOT_REACHED, 5, "The conductor, or what it needs, was not reached.")                 \
    X(MU_EXIT_DENIED, 6, "Denied.")                                                                \
    X(MU_EXIT_TIMEOUT, 7, "*muster wait* ran out of time.")                                        \
    X(MU_EXIT_CONFLICT, 8, "Another write was faster: look again, then repeat.")

enum mu_exit {
#define MU_EXIT_(name, number, text) name = (number),
    MU_EXITS(MU_EXIT_)
#undef MU_EXIT_
};

/* An option, as users write it. */
struct mu_option {
    const char *name;  /* long, without its dashes; NULL ends a table */
    char letter;       /* 0 = none */
    const char *value; /* what it takes, in capitals: "ADDR"; NULL = a flag */
    const char *help;  /* a sentence without its full stop */
    const char *words; /* what completion offers as its value: "up down gone", MU_WORDS_FILE,
                          MU_WORDS_AGENT, MU_WORDS_COMMAND; NULL = nothing */
};

#define MU_WORDS_FILE    "@file"
#define MU_WORDS_AGENT   "@agent"
#define MU_WORDS_COMMAND "@command"

/* Options that several commands share. A command's own option of the same name hides one. */
enum mu_opts {
    MU_OPTS_CONDUCTOR = 1, /* --conductor */
    MU_OPTS_ASK = 2,       /* --timeout, -v; commands that use cli/ask */
    MU_OPTS_COLOR = 4,     /* --color */
    MU_OPTS_FORMAT = 8, /* -f, -o, -c, --no-header, --utc, --epoch; commands that use cli/table */
    MU_OPTS_ROWS = 16,  /* --sort-*, --filter, --limit, -q: those that print many rows */
};

struct mu_example {
    const char *line; /* "muster list -f json"; NULL ends a table */
    const char *says; /* what it does: "everything, for a program" */
};

struct mu_args; /* what the user wrote, read by the calls below */

struct mu_command {
    const char *name;
    const char *alias;    /* NULL = none */
    const char *summary;  /* "list the agents of the fleet": a line, no capital, no full stop */
    const char *operands; /* "NAME..."; "" = none */
    const char *words;    /* what completion offers for operands, as in struct mu_option */
    int min, max;         /* how many operands; max -1 = any number */
    unsigned opts;        /* enum mu_opts */
    const struct mu_option *options; /* NULL = no own ones */
    const struct mu_example *examples;

    /* Does it. Returns an exit code; the reason was printed by mu_cli_fail(). Standard output is
     * flushed and checked by main. */
    int (*run)(const struct mu_args *args);
};

/* What was given. @name is an option of the command's tables; another is a bug. */
const char *mu_args_value(const struct mu_args *args, const char *name); /* the last; NULL = none */
const char *mu_args_nth(const struct mu_args *args, const char *name, size_t n); /* or NULL */
bool mu_args_has(const struct mu_args *args, const char *name);
size_t mu_args_count(const struct mu_args *args);          /* of operands */
char *const *mu_args_operands(const struct mu_args *args); /* NULL-terminated: fit for execvp() */
const struct mu_command *mu_args_command(const struct mu_args *args);

/* Those of --conductor, else of $MUSTER_CONDUCTOR, which an error then names, else the usual one.
 * Returns 0 or MU_EINVAL. */
struct mu_conductors;
int mu_args_conductors(const struct mu_args *args, struct mu_conductors *out, struct mu_err *err);

/* The last value of @name as a length of time, a whole number in [@min, @max], 0 <= @min. Return
 * MU_EXIT_OK, *@out untouched where the option was not given; or MU_EXIT_USAGE after telling the
 * user. */
int mu_args_dur(const struct mu_args *args, const char *name, mu_dur *out);
int mu_args_int(const struct mu_args *args, const char *name, long min, long max, long *out);

/* Prints "muster COMMAND: what" to standard error, one line: what failed, with which value, what
 * to do next. Returns @code. */
int mu_cli_fail(const struct mu_args *args, int code, const char *fmt, ...) MU_PRINTF(3, 4);

/* Prints what @err says in the same way. Returns the exit code that fits its code. */
int mu_cli_fail_err(const struct mu_args *args, const struct mu_err *err);

/* The same for a command that works on this machine: what is not there is a file or a process, and
 * the exit code of agents that there are none of would mislead. */
int mu_cli_fail_here(const struct mu_args *args, const struct mu_err *err);

/* Every command, in the order of `muster --help`; ends with NULL. */
extern const struct mu_command *const mu_commands[];

#endif
