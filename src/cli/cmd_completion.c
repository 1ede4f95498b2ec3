/* Completion for three shells, from the same tables as everything else. What needs no table is
 * written out in the language of the shell; agents' names are asked of the conductor. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"

/* Prints @text for the inside of '...' in a shell; fish wants \' and \\, the others '\''. */
static void quoted(const char *text, bool fish)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs(fish ? "\\'" : "'\\''", stdout);
        else if (fish && *text == '\\')
            fputs("\\\\", stdout);
        else
            putchar(*text);
    }
}

static bool is_word(const char *words, const char *special)
{
    return words && strcmp(words, special) == 0;
}

static void names_of_commands(const char *between)
{
    for (const struct mu_command *const *c = mu_commands; *c; c++) {
        printf("%s%s", c == mu_commands ? "" : between, (*c)->name);
        if ((*c)->alias)
            printf("%s%s", between, (*c)->alias);
    }
}

/* bash: for each command its options, which of them take a value, and what that may be. */

static const char bash_head[] =
    "# bash completion for muster; made by: muster completion bash\n"
    "\n"
    "# Puts those of the given words that begin with $cur into COMPREPLY, quoted, and without "
    "what\n"
    "# readline takes for words of their own (it splits at @, = and :).\n"
    "_muster_offer() {\n"
    "    local word breaks=${COMP_WORDBREAKS//[^@=:]/} cut=\n"
    "    [[ $breaks ]] && cut=${cur%\"${cur##*[$breaks]}\"}\n"
    "    for word; do\n"
    "        [[ $word == \"$cur\"* ]] && COMPREPLY+=(\"$(printf %q \"${word#\"$cut\"}\")\")\n"
    "    done\n"
    "}\n"
    "\n"
    "_muster_agents() {\n"
    "    local -a names\n"
    "    mapfile -t names < <(\"${words[0]}\" list -q --timeout 1s 2>/dev/null)\n"
    "    _muster_offer \"${names[@]}\"\n"
    "}\n"
    "\n"
    "_muster_files() {\n"
    "    mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "    compopt -o filenames\n"
    "}\n"
    "\n"
    "# The value of option $2 of command $1; false where it takes none.\n"
    "_muster_value() {\n"
    "    case $1,$2 in\n";

static const char bash_tail[] =
    "_muster() {\n"
    "    local cur= prev= command= operands=0 i\n"
    "    local -a words\n"
    "    COMPREPLY=()\n"
    "    read -ra words <<< \"${COMP_LINE:0:COMP_POINT}\"\n"
    "    [[ ${COMP_LINE:COMP_POINT-1:1} == [[:space:]] ]] && words+=('')\n"
    "    for ((i = 1; i < ${#words[@]} - 1; i++)); do\n"
    "        if [[ ${words[i]} == -* ]]; then\n"
    "            [[ ${words[i]} == *=* ]] || ! cur= _muster_value \"$command\" \"${words[i]}\" "
    "test || ((i++))\n"
    "        elif [[ ! $command ]]; then\n"
    "            command=${words[i]}\n"
    "        fi\n"
    "    done\n"
    "    COMPREPLY=()\n"
    "    cur=${words[-1]} prev=${words[-2]}\n"
    "    if [[ $cur == --*=* ]]; then\n"
    "        prev=${cur%%=*} cur=${cur#*=}\n"
    "        _muster_value \"$command\" \"$prev\"\n"
    "    elif [[ $prev == -* ]] && _muster_value \"$command\" \"$prev\"; then\n"
    "        :\n"
    "    elif [[ $cur == -* ]]; then\n"
    "        _muster_options \"$command\"\n"
    "    else\n"
    "        _muster_operands \"$command\"\n"
    "    fi\n"
    "}\n"
    "\n"
    "complete -F _muster muster\n";

static void bash_words(const char *words)
{
    if (is_word(words, MU_WORDS_AGENT))
        fputs("[[ $3 ]] || _muster_agents", stdout);
    else if (is_word(words, MU_WORDS_FILE))
        fputs("[[ $3 ]] || _muster_files", stdout);
    else if (is_word(words, MU_WORDS_COMMAND))
        fputs("_muster_operands ''", stdout);
    else
        printf("_muster_offer %s", words ? words : "");
}

static void bash_pattern(const struct mu_command *command)
{
    printf("    %s", command ? command->name : "''");
    if (command && command->alias)
        printf("|%s", command->alias);
}

static void bash_values(const struct mu_command *command)
{
    const struct mu_option *o;
    const char *name = command ? command->name : "";
    const char *alias = command ? command->alias : NULL;

    for (size_t i = 0; (o = mu_option_at(command, i)); i++) {
        if (!o->value)
            continue;
        printf("    %s,--%s", name, o->name);
        if (o->letter)
            printf("|%s,-%c", name, o->letter);
        if (alias)
            printf("|%s,--%s", alias, o->name);
        if (alias && o->letter)
            printf("|%s,-%c", alias, o->letter);
        fputs(") ", stdout);
        bash_words(o->words);
        fputs(" ;;\n", stdout);
    }
}

static void bash_options(const struct mu_command *command)
{
    const struct mu_option *o;

    bash_pattern(command);
    fputs(") _muster_offer", stdout);
    for (size_t i = 0; (o = mu_option_at(command, i)); i++)
        printf(" --%s", o->name);
    fputs(" ;;\n", stdout);
}

static void bash(void)
{
    fputs(bash_head, stdout);
    bash_values(NULL);
    for (const struct mu_command *const *c = mu_commands; *c; c++)
        bash_values(*c);
    fputs("    *) return 1 ;;\n    esac\n    return 0\n}\n\n_muster_options() {\n    case $1 in\n",
          stdout);
    bash_options(NULL);
    for (const struct mu_command *const *c = mu_commands; *c; c++)
        bash_options(*c);
    fputs("    esac\n}\n\n_muster_operands() {\n    case $1 in\n    '') _muster_offer ", stdout);
    names_of_commands(" ");
    fputs(" ;;\n", stdout);
    for (const struct mu_command *const *c = mu_commands; *c; c++) {
        if (!(*c)->words)
            continue;
        bash_pattern(*c);
        fputs(") ", stdout);
        bash_words((*c)->words);
        fputs(" ;;\n", stdout);
    }
    fputs("    esac\n}\n\n", stdout);
    fputs(bash_tail, stdout);
}

/* zsh: _arguments knows how; it wants a specification an option. */

/* Within [...] of a specification a bracket or a colon would end it. */
static void zsh_text(const char *text)
{
    for (; *text; text++) {
        char one[2] = {*text, 0};
        if (strchr("[]:\\", *text))
            putchar('\\');
        quoted(one, false);
    }
}

static void zsh_action(const char *what, const char *words)
{
    printf(":%s:", what);
    if (is_word(words, MU_WORDS_AGENT))
        fputs("_muster_agents", stdout);
    else if (is_word(words, MU_WORDS_FILE))
        fputs("_files", stdout);
    else if (is_word(words, MU_WORDS_COMMAND))
        fputs("_muster_commands", stdout);
    else if (words)
        printf("(%s)", words);
    else
        fputs(" ", stdout);
}

static void zsh_option(const char *indent, const struct mu_option *o)
{
    const char *repeat = o->value ? "\\*" : "";

    if (o->letter)
        printf("%s%s{-%c,--%s}'[", indent, repeat, o->letter, o->name);
    else
        printf("%s'%s--%s[", indent, o->value ? "*" : "", o->name);
    zsh_text(o->help);
    putchar(']');
    if (o->value)
        zsh_action(o->value, o->words);
    fputs("' \\\n", stdout);
}

static void zsh_command(const struct mu_command *command)
{
    const struct mu_option *o;

    printf("    %s", command->name);
    if (command->alias)
        printf("|%s", command->alias);
    fputs(")\n        _arguments \\\n", stdout);
    for (size_t i = 0; (o = mu_option_at(command, i)); i++)
        zsh_option("            ", o);
    if (command->words) {
        fputs("            '*", stdout);
        zsh_action(" ", command->words);
        fputs("'\n        ;;\n", stdout);
    } else {
        fputs("            '*: :'\n        ;;\n", stdout);
    }
}

static void zsh(void)
{
    const struct mu_option *o;

    fputs("#compdef muster\n# zsh completion for muster; made by: muster completion zsh\n\n"
          "_muster_agents() {\n    local -a names\n"
          "    names=(${(f)\"$(muster list -q --timeout 1s 2>/dev/null)\"})\n"
          "    compadd -a names\n}\n\n"
          "_muster_commands() {\n    local -a commands\n    commands=(\n",
          stdout);
    for (const struct mu_command *const *c = mu_commands; *c; c++) {
        printf("        '%s:", (*c)->name);
        zsh_text((*c)->summary);
        fputs("'\n", stdout);
    }
    fputs("    )\n    _describe command commands\n}\n\n_muster() {\n"
          "    local curcontext=$curcontext state line\n    _arguments -C \\\n",
          stdout);
    for (size_t i = 0; (o = mu_option_at(NULL, i)); i++)
        zsh_option("        ", o);
    fputs("        '1: :_muster_commands' '*:: :->command'\n    [[ $state == command ]] || return\n"
          "    case $words[1] in\n",
          stdout);
    for (const struct mu_command *const *c = mu_commands; *c; c++)
        zsh_command(*c);
    fputs("    esac\n}\n\n_muster \"$@\"\n", stdout);
}

/* fish: a line an option. */

static void fish_words(const char *words)
{
    if (is_word(words, MU_WORDS_AGENT)) {
        fputs(" -x -a '(muster list -q --timeout 1s 2>/dev/null)'", stdout);
    } else if (is_word(words, MU_WORDS_FILE)) {
        fputs(" -r -F", stdout);
    } else if (is_word(words, MU_WORDS_COMMAND)) {
        fputs(" -x -a '", stdout);
        names_of_commands(" ");
        putchar('\'');
    } else if (words) {
        printf(" -x -a '%s'", words);
    } else {
        fputs(" -x", stdout);
    }
}

static void fish_option(const struct mu_command *command, const struct mu_option *o)
{
    fputs("complete -c muster -n '", stdout);
    if (command)
        printf("__fish_seen_subcommand_from %s%s%s", command->name, command->alias ? " " : "",
               command->alias ? command->alias : "");
    else
        fputs("__fish_use_subcommand", stdout);
    printf("' -l %s", o->name);
    if (o->letter)
        printf(" -s %c", o->letter);
    if (o->value)
        fish_words(o->words);
    fputs(" -d '", stdout);
    quoted(o->help, true);
    fputs("'\n", stdout);
}

static void fish_command(const struct mu_command *command)
{
    const struct mu_option *o;

    printf("complete -c muster -n __fish_use_subcommand -a %s -d '", command->name);
    quoted(command->summary, true);
    fputs("'\n", stdout);
    for (size_t i = 0; (o = mu_option_at(command, i)); i++)
        fish_option(command, o);
    if (command->words) {
        printf("complete -c muster -n '__fish_seen_subcommand_from %s%s%s'", command->name,
               command->alias ? " " : "", command->alias ? command->alias : "");
        fish_words(command->words);
        putchar('\n');
    }
}

static void fish(void)
{
    const struct mu_option *o;

    fputs("# fish completion for muster; made by: muster completion fish\n"
          "complete -c muster -f\n",
          stdout);
    for (size_t i = 0; (o = mu_option_at(NULL, i)); i++)
        fish_option(NULL, o);
    for (const struct mu_command *const *c = mu_commands; *c; c++)
        fish_command(*c);
}

static int run(const struct mu_args *args)
{
    const char *shell = mu_args_operands(args)[0];

    if (strcmp(shell, "bash") == 0)
        bash();
    else if (strcmp(shell, "zsh") == 0)
        zsh();
    else if (strcmp(shell, "fish") == 0)
        fish();
    else
        return mu_cli_fail(args, MU_EXIT_USAGE, "unknown shell \"%s\": write bash, zsh or fish",
                           shell);
    return MU_EXIT_OK;
}

static const struct mu_example examples[] = {
    {". <(muster completion bash)", "in ~/.bashrc, where no package has installed it"},
    {"muster completion fish > ~/.config/fish/completions/muster.fish", "for fish"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_completion = {
    .name = "completion",
    .summary = "print the completion script of a shell",
    .operands = "SHELL",
    .words = "bash zsh fish",
    .min = 1,
    .max = 1,
    .examples = examples,
    .run = run,
};
