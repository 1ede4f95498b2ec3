#include "cli/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conductors.h"
#include "base/mem.h"
#include "base/near.h"

#define MAX_OPTIONS   64     /* of one command, the shared ones included; checked by a test */
#define MU_OPTS_START 0x8000 /* --version, which may stand before the command only */
#define MU_OPTS_EVERY 0x4000 /* --help */

static const struct {
    unsigned opts;
    struct mu_option option;
} shared[] = {
    {MU_OPTS_CONDUCTOR,
     {"conductor", 0, "ADDR",
      "Conductors to try in this order, separated by commas: http://HOST:PORT, muster://HOST:PORT "
      "or the path of a Unix socket [$MUSTER_CONDUCTOR, else http://127.0.0.1:4681]"}},
    {MU_OPTS_ASK, {"timeout", 0, "TIME", "How long to wait for an answer [10s]"}},
    {MU_OPTS_ASK, {"verbose", 'v', NULL, "Tell on standard error what is asked, and how it goes"}},
    {MU_OPTS_COLOR,
     {"color", 0, "WHEN", "Colours: auto (on a terminal, unless NO_COLOR is set), always or never",
      "auto always never"}},
    {MU_OPTS_FORMAT,
     {"format", 'f', "FORMAT", "table, wide, json, yaml, csv, value or name [table]",
      "table wide json yaml csv value name"}},
    {MU_OPTS_FORMAT,
     {"output", 'o', "FORMAT", "The same as --format", "table wide json yaml csv value name"}},
    {MU_OPTS_FORMAT,
     {"column", 'c', "COLUMN", "Show this column only; repeatable, or separated by commas"}},
    {MU_OPTS_FORMAT, {"no-header", 0, NULL, "No line of headings (table, wide, csv)"}},
    {MU_OPTS_FORMAT, {"utc", 0, NULL, "Times for people as UTC rather than \"12 s ago\""}},
    {MU_OPTS_FORMAT, {"epoch", 0, NULL, "Times as seconds since 1970, in every format"}},
    {MU_OPTS_ROWS,
     {"filter", 0, "KEY=VALUE",
      "Only rows whose KEY is VALUE, which may be a pattern with * and "
      "?; repeatable: all must hold"}},
    {MU_OPTS_ROWS, {"sort-column", 0, "COLUMN", "Sort by this column; repeatable"}},
    {MU_OPTS_ROWS, {"sort-ascending", 0, NULL, "Smallest first (as it is by default)"}},
    {MU_OPTS_ROWS, {"sort-descending", 0, NULL, "Largest first"}},
    {MU_OPTS_ROWS, {"limit", 0, "N", "At most N rows"}},
    {MU_OPTS_ROWS, {"quiet", 'q', NULL, "Names only, as --format name"}},
    {MU_OPTS_EVERY, {"help", 'h', NULL, "Show this help"}},
    {MU_OPTS_START, {"version", 0, NULL, "Show the version of this program"}},
};

static const unsigned before_command =
    MU_OPTS_CONDUCTOR | MU_OPTS_ASK | MU_OPTS_COLOR | MU_OPTS_START;

static bool own_option(const struct mu_command *command, const char *name)
{
    for (const struct mu_option *o = command ? command->options : NULL; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return true;
    return false;
}

const struct mu_option *mu_option_at(const struct mu_command *command, size_t i)
{
    unsigned opts = (command ? command->opts : before_command) | MU_OPTS_EVERY;

    for (const struct mu_option *o = command ? command->options : NULL; o && o->name; o++)
        if (i-- == 0)
            return o;
    for (size_t k = 0; k < MU_ARRAY_LEN(shared); k++)
        if (shared[k].opts & opts && !own_option(command, shared[k].option.name) && i-- == 0)
            return &shared[k].option;
    return NULL;
}

const struct mu_command *mu_command_find(const char *name)
{
    for (const struct mu_command *const *c = mu_commands; *c; c++)
        if (strcmp((*c)->name, name) == 0 || ((*c)->alias && strcmp((*c)->alias, name) == 0))
            return *c;
    return NULL;
}

/* getopt_long()'s view of the tables. A long option's val is its number from FIRST_LONG on. */
#define FIRST_LONG 256
struct tables {
    const struct mu_option *options[MAX_OPTIONS];
    struct option longs[MAX_OPTIONS + 1];
    char letters[2 * MAX_OPTIONS + 3];
    size_t n;
};

static void make_tables(struct tables *t, const struct mu_command *command)
{
    char *letter = t->letters;
    const struct mu_option *o;

    memset(t, 0, sizeof(*t));
    if (!command)
        *letter++ = '+'; /* up to the first operand */
    *letter++ = ':';
    for (; (o = mu_option_at(command, t->n)); t->n++) {
        assert(t->n < MAX_OPTIONS);
        t->options[t->n] = o;
        t->longs[t->n] = (struct option){
            .name = o->name, .has_arg = o->value ? 1 : 0, .val = FIRST_LONG + (int)t->n};
        if (!o->letter)
            continue;
        *letter++ = o->letter;
        if (o->value)
            *letter++ = ':';
    }
}

static const struct mu_option *option_of(const struct tables *t, int val)
{
    if (val >= FIRST_LONG)
        return t->options[val - FIRST_LONG];
    for (size_t i = 0; i < t->n; i++)
        if (val > 0 && t->options[i]->letter == val)
            return t->options[i];
    return NULL;
}

/* @word is --what it is, or --what=VALUE, as it was typed. */
static int unknown_long(const struct tables *t, const char *word, struct mu_err *err)
{
    struct mu_near near;
    char name[80] = "", meant[160] = "";
    size_t len = strcspn(word + 2, "="), begins = 0, at = 0;

    memcpy(name, word + 2, len < sizeof(name) ? len : sizeof(name) - 1);
    mu_near_init(&near, name);
    for (size_t i = 0; i < t->n; i++) {
        const char *known = t->options[i]->name;

        mu_near_try(&near, known);
        if (strncmp(known, name, len) != 0)
            continue;
        if (at < sizeof(meant))
            at += (size_t)snprintf(meant + at, sizeof(meant) - at, "%s--%s", at ? ", " : "", known);
        begins++;
    }
    if (begins > 1)
        return mu_err_set(err, MU_EINVAL, "--%s may mean %s", name, meant);
    if (!near.best)
        return mu_err_set(err, MU_EINVAL, "unknown option --%s: --help lists the options", name);
    return mu_err_set(err, MU_EINVAL, "unknown option --%s: did you mean --%s?", name, near.best);
}

static int complain(const struct tables *t, int what, const char *word, struct mu_err *err)
{
    const struct mu_option *o = option_of(t, optopt);

    if (what == ':' && o)
        return mu_err_set(err, MU_EINVAL, "--%s wants a value: --%s %s", o->name, o->name,
                          o->value);
    if (o)
        return mu_err_set(err, MU_EINVAL, "--%s takes no value: write --%s alone", o->name,
                          o->name);
    if (optopt == 0) /* a long one, and @word is it */
        return unknown_long(t, word, err);
    if (!isprint(optopt))
        return mu_err_set(err, MU_EINVAL, "unknown option -\\x%02x: --help lists the options",
                          (unsigned)optopt & 0xff);
    return mu_err_set(err, MU_EINVAL, "unknown option -%c: --help lists the options", optopt);
}

int mu_args_read(struct mu_args *args, const struct mu_command *command, int argc, char **argv,
                 struct mu_err *err)
{
    struct tables t;
    int c;

    /* Each word gives one option at most, but "-qv" gives one a letter. */
    size_t room = args->ngiven;
    for (int i = 0; i < argc; i++)
        room += 1 + strlen(argv[i]);
    struct mu_given *given = mu_realloc(args->given, room, sizeof(*given));
    if (!given)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    args->given = given;
    args->command = command;

    make_tables(&t, command);
    opterr = 0;
    optind = 0; /* glibc: start anew */
    while ((c = getopt_long(argc, argv, t.letters, t.longs, NULL)) != -1) {
        if (c == '?' || c == ':')
            return complain(&t, c, argv[optind - 1], err);
        args->given[args->ngiven++] = (struct mu_given){option_of(&t, c), optarg};
    }
    args->operands = argv + optind;
    args->noperands = (size_t)(argc - optind);
    return 0;
}

void mu_args_fini(struct mu_args *args)
{
    mu_free(args->given);
    memset(args, 0, sizeof(*args));
}

int mu_args_check(const struct mu_args *args, struct mu_err *err)
{
    const struct mu_command *command = args->command;

    for (size_t i = 0; i < args->ngiven; i++) {
        const struct mu_option *o;
        for (size_t k = 0; (o = mu_option_at(command, k)); k++)
            if (strcmp(o->name, args->given[i].option->name) == 0)
                break;
        if (!o) /* it stood before the command */
            return mu_err_set(err, MU_EINVAL, "takes no --%s", args->given[i].option->name);
    }
    if (command->max == 0 && args->noperands > 0)
        return mu_err_set(err, MU_EINVAL, "takes no operand, but there is \"%s\"",
                          args->operands[0]);
    if (args->noperands < (size_t)command->min)
        return mu_err_set(err, MU_EINVAL, "wants %s: muster %s --help shows how", command->operands,
                          command->name);
    if (command->max >= 0 && args->noperands > (size_t)command->max)
        return mu_err_set(err, MU_EINVAL, "too many operands, from \"%s\" on: it takes %s",
                          args->operands[command->max], command->operands);
    return 0;
}

static void assert_known(const struct mu_args *args, const char *name)
{
    const struct mu_option *o;

    for (size_t i = 0; (o = mu_option_at(args->command, i)); i++)
        if (strcmp(o->name, name) == 0)
            return;
    assert(!"no such option in the command's tables");
}

const char *mu_args_nth(const struct mu_args *args, const char *name, size_t n)
{
    assert_known(args, name);
    for (size_t i = 0; i < args->ngiven; i++)
        if (strcmp(args->given[i].option->name, name) == 0 && n-- == 0)
            return args->given[i].value;
    return NULL;
}

const char *mu_args_value(const struct mu_args *args, const char *name)
{
    const char *last = NULL, *value;

    for (size_t i = 0; (value = mu_args_nth(args, name, i)); i++)
        last = value;
    return last;
}

bool mu_args_has(const struct mu_args *args, const char *name)
{
    assert_known(args, name);
    for (size_t i = 0; i < args->ngiven; i++)
        if (strcmp(args->given[i].option->name, name) == 0)
            return true;
    return false;
}

size_t mu_args_count(const struct mu_args *args)
{
    return args->noperands;
}

char *const *mu_args_operands(const struct mu_args *args)
{
    return args->operands;
}

const struct mu_command *mu_args_command(const struct mu_args *args)
{
    return args->command;
}

int mu_args_dur(const struct mu_args *args, const char *name, mu_dur *out)
{
    const char *text = mu_args_value(args, name);

    if (!text || mu_dur_parse(text, out) == 0)
        return MU_EXIT_OK;
    return mu_cli_fail(args, MU_EXIT_USAGE,
                       "--%s \"%s\" is no length of time: write 500ms, 10s, 5m or 2h", name, text);
}

int mu_args_conductors(const struct mu_args *args, struct mu_conductors *out, struct mu_err *err)
{
    const char *given = mu_args_value(args, "conductor");
    int rv = mu_conductors_parse(out, given ? given : getenv("MUSTER_CONDUCTOR"), err);

    return rv && !given ? mu_err_wrap(err, rv, "MUSTER_CONDUCTOR") : rv;
}

int mu_args_int(const struct mu_args *args, const char *name, long min, long max, long *out)
{
    const char *text = mu_args_value(args, name);
    char *end;

    assert(min >= 0); /* a number begins with a digit: strtol() would take a space and a sign */
    if (!text)
        return MU_EXIT_OK;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end || errno || value < min || value > max)
        return mu_cli_fail(args, MU_EXIT_USAGE, "--%s \"%s\" is no whole number from %ld to %ld",
                           name, text, min, max);
    *out = value;
    return MU_EXIT_OK;
}
