/* --help: what it is for, examples, then everything. Lines are folded at 80 columns, whatever the
 * terminal is: help is read in pipes and in bug reports too. */
#include <string.h>

#include "base/mem.h"
#include "base/near.h"
#include "cli/options.h"

#define WIDTH  80
#define INDENT 28 /* where an option's sentence begins */

/* Prints @text from column @at on, folded at WIDTH; further lines begin at @indent. */
static void fold(FILE *out, const char *text, size_t at, size_t indent)
{
    for (bool first = true; *text; first = false) {
        size_t word = strcspn(text, " ");
        if (!first && at + 1 + word > WIDTH) {
            fprintf(out, "\n%*s", (int)indent, "");
            at = indent;
        } else if (!first) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", (int)word, text);
        at += word;
        text += word + (text[word] == ' ');
    }
    fputc('\n', out);
}

static void print_option(FILE *out, const struct mu_option *o)
{
    char left[80];
    int n = o->letter ? snprintf(left, sizeof(left), "  -%c, --%s", o->letter, o->name)
                      : snprintf(left, sizeof(left), "      --%s", o->name);

    if (o->value)
        n += snprintf(left + n, sizeof(left) - (size_t)n, " %s", o->value);
    if (n + 2 > INDENT)
        fprintf(out, "%s\n%*s", left, INDENT, "");
    else
        fprintf(out, "%-*s", INDENT, left);
    fold(out, o->help, INDENT, INDENT);
}

static void print_options(FILE *out, const struct mu_command *command)
{
    const struct mu_option *o;

    fputs("\nOptions:\n", out);
    for (size_t i = 0; (o = mu_option_at(command, i)); i++)
        print_option(out, o);
}

/* Beside each other where all fit, so that they can be read as a list; else one below the other. A
 * line can be taken into a shell as it stands. */
static void print_examples(FILE *out, const struct mu_example *examples)
{
    size_t line = 0, says = 0;

    for (const struct mu_example *e = examples; e->line; e++) {
        line = strlen(e->line) > line ? strlen(e->line) : line;
        says = strlen(e->says) > says ? strlen(e->says) : says;
    }
    fputs("\nExamples:\n", out);
    for (const struct mu_example *e = examples; e->line; e++) {
        if (line + says + 6 <= WIDTH)
            fprintf(out, "  %-*s  # %s\n", (int)line, e->line, e->says);
        else
            fprintf(out, "  %s\n      # %s\n", e->line, e->says);
    }
}

static const struct mu_example first_steps[] = {
    {"muster demo", "a fleet of 200 simulated agents, and what happens when some die"},
    {"muster conductor", "take the reports of a real one"},
    {"muster agent --name db@$(hostname)", "be one of its agents"},
    {"muster list", "who is up, who is not"},
    {"muster explain db@web-1", "why"},
    {NULL, NULL},
};

static void print_program(FILE *out)
{
    struct mu_example known[MU_ARRAY_LEN(first_steps)];
    size_t n = 0;

    for (const struct mu_example *e = first_steps; e->line; e++) {
        char name[32] = "";
        sscanf(e->line, "muster %31s", name);
        if (mu_command_find(name))
            known[n++] = *e;
    }
    known[n] = (struct mu_example){NULL, NULL};
    fputs("Usage: muster [OPTION]... COMMAND [ARGUMENT]...\n\n"
          "Knows which agents of a fleet are alive, and says why.\n",
          out);
    print_examples(out, known);
    fputs("\nCommands:\n", out);
    for (const struct mu_command *const *c = mu_commands; *c; c++)
        fprintf(out, "  %-12s %s%s%s%s\n", (*c)->name, (*c)->summary, (*c)->alias ? " (also: " : "",
                (*c)->alias ? (*c)->alias : "", (*c)->alias ? ")" : "");
    print_options(out, NULL);
    fputs("\nmuster COMMAND --help tells more; so does man muster-COMMAND.\n", out);
}

void mu_help_print(const struct mu_command *command, FILE *out)
{
    if (!command) {
        print_program(out);
        return;
    }
    fprintf(out, "Usage: muster %s [OPTION]...%s%s\n\n", command->name,
            *command->operands ? " " : "", command->operands);
    fprintf(out, "%c%s.\n", command->summary[0] - 'a' + 'A', command->summary + 1);
    print_examples(out, command->examples);
    print_options(out, command);
}

int mu_help_unknown(const char *name)
{
    struct mu_near near;

    mu_near_init(&near, name);
    for (const struct mu_command *const *c = mu_commands; *c; c++) {
        mu_near_try(&near, (*c)->name);
        if (strncmp((*c)->name, name, strlen(name)) == 0)
            near.best = (*c)->name, near.distance = 0;
    }
    if (!near.best)
        return mu_cli_fail(NULL, MU_EXIT_USAGE,
                           "unknown command \"%s\": muster --help lists the commands", name);
    return mu_cli_fail(NULL, MU_EXIT_USAGE, "unknown command \"%s\": did you mean \"%s\"?", name,
                       near.best);
}
