/* mkman - makes the source of a man page, for scdoc, from the tables of the program.
 *
 *     mkman page FILE           a whole page; lines @COMMANDS@, @OPTIONS@, @EXITS@ and @SETTINGS@
 *                               are replaced
 *     mkman command NAME FILE   the page of a command; FILE is its description
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/options.h"
#include "daemon/config.h"

/* What scdoc would take for markup; what stands in backticks is bold. */
static void text(const char *s)
{
    for (; *s; s++) {
        if (*s == '`') {
            putchar('*');
            continue;
        }
        if (strchr("*_\\#<>", *s))
            putchar('\\');
        putchar(*s);
    }
}

static void option(const struct mu_option *o)
{
    if (o->letter)
        printf("*-%c*, ", o->letter);
    printf("*--%s*", o->name);
    if (o->value)
        printf(" _%s_", o->value);
    printf("\n\t");
    text(o->help);
    printf(".\n\n");
}

static void options(const struct mu_command *command)
{
    const struct mu_option *o;

    for (size_t i = 0; (o = mu_option_at(command, i)); i++)
        option(o);
}

static void commands(void)
{
    for (const struct mu_command *const *c = mu_commands; *c; c++) {
        printf("*%s* ", (*c)->name);
        text((*c)->operands);
        printf("\n\t%c%s", toupper((unsigned char)(*c)->summary[0]), (*c)->summary + 1);
        if ((*c)->alias)
            printf("; *%s* is the same", (*c)->alias);
        printf(". See *muster-%s*(1).\n\n", (*c)->name);
    }
}

static void exits(void)
{
    static const struct {
        int number;
        const char *says; /* has its own markup */
    } table[] = {
#define ROW(name, number, says) {number, says},
        MU_EXITS(ROW)
#undef ROW
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        printf("*%d*\n\t%s\n\n", table[i].number, table[i].says);
}

static int setting(void *ctx, const struct mu_setting_info *info)
{
    const char **section = ctx;

    if (!*section || strcmp(*section, info->section) != 0)
        printf("## [%s%s]\n\n", info->section, strcmp(info->section, "policy") ? "" : " NAME");
    *section = info->section;
    printf("*");
    text(info->key);
    printf("* = _%s_", info->type);
    if (*info->standard) {
        printf(" (");
        text(info->standard);
        printf(")");
    }
    printf("\n\t");
    text(info->help);
    if (*info->bounds) {
        printf(" From ");
        text(info->bounds);
        printf(".");
    }
    if (!strcmp(info->type, "word")) {
        printf(" One of: ");
        text(info->words);
        printf(".");
    }
    printf("%s\n\n", info->live ? "" : " Takes a restart.");
    return 0;
}

static int include(FILE *in)
{
    char line[1024], *head;
    const char *section = NULL;

    while (fgets(line, sizeof(line), in)) {
        if (strcmp(line, "@COMMANDS@\n") == 0)
            commands();
        else if (strcmp(line, "@OPTIONS@\n") == 0)
            options(NULL);
        else if (strcmp(line, "@EXITS@\n") == 0)
            exits();
        else if (strcmp(line, "@SETTINGS@\n") == 0)
            mu_config_each(setting, &section);
        else if ((head = strstr(line, "@HEAD@")))
            printf("%.*s\"muster %s\" \"muster\"\n", (int)(head - line), line, MUSTER_VERSION);
        else
            fputs(line, stdout);
    }
    return ferror(in) || ferror(stdout);
}

static int command_page(const struct mu_command *c, FILE *in)
{
    printf("muster-%s(1) \"muster %s\" \"muster\"\n\n# NAME\n\nmuster-%s - %s\n\n", c->name,
           MUSTER_VERSION, c->name, c->summary);
    printf("# SYNOPSIS\n\n*muster %s* [_OPTION_]...%s", c->name, *c->operands ? " " : "");
    text(c->operands);
    printf("\n\n# DESCRIPTION\n\n");
    int rv = include(in);
    printf("\n# OPTIONS\n\n");
    options(c);
    printf("# EXAMPLES\n\n");
    for (const struct mu_example *e = c->examples; e->line; e++) {
        printf("*");
        text(e->line);
        printf("*\n\t%c", toupper((unsigned char)e->says[0]));
        text(e->says + 1);
        printf(".\n\n");
    }
    printf("# EXIT STATUS\n\nAs for every command: see *muster*(1).\n\n"
           "# SEE ALSO\n\n*muster*(1), *muster.conf*(5)\n");
    return rv;
}

int main(int argc, char **argv)
{
    bool whole = argc == 3 && strcmp(argv[1], "page") == 0;
    const struct mu_command *c = argc == 4 && !whole ? mu_command_find(argv[2]) : NULL;

    if (!whole && !c) {
        fprintf(stderr, "usage: mkman page FILE, or mkman command NAME FILE\n");
        return 2;
    }
    FILE *in = fopen(argv[argc - 1], "r");
    if (!in) {
        perror(argv[argc - 1]);
        return 1;
    }
    int rv = whole ? include(in) : command_page(c, in);
    fclose(in);
    return fflush(stdout) != 0 || rv;
}
