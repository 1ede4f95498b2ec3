#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/name.h"
#include "cli/commands.h"
#include "daemon/secret.h"
#include "relay/life.h"

struct who { /* as the command line has it */
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];
    char *texts[MU_LABELS_MAX]; /* of the labels, split in place */
    struct mu_session_label labels[MU_LABELS_MAX];
    size_t nlabels;
};

static int read_name(const struct mu_args *args, struct who *who, struct mu_err *err)
{
    const char *name = mu_args_value(args, "name");
    int rv;

    if (gethostname(who->host, sizeof(who->host)) || who->host[MU_NAME_PART_MAX])
        return mu_err_set(err, MU_EINVAL, "this machine's name cannot be read: write BINARY@HOST");
    if (!name)
        return 0;
    if (strchr(name, '@'))
        rv = mu_name_parse(name, who->binary, who->host, err);
    else if ((rv = mu_name_check(name, strlen(name), 1, err)) == 0)
        strcpy(who->binary, name);
    return rv ? mu_err_wrap(err, rv, "--name \"%s\"", name) : 0;
}

/* The last label of @who, made of @text. */
static int check_label(const struct who *who, const char *text, struct mu_err *err)
{
    const struct mu_session_label *label = &who->labels[who->nlabels];
    int rv = mu_text_check(label->key, strlen(label->key), MU_TEXT_MAX, "key", err);

    if (rv == 0)
        rv = mu_text_check(label->value, strlen(label->value), MU_TEXT_MAX, "value", err);
    if (rv)
        return mu_err_wrap(err, rv, "--label \"%s\"", text);
    for (size_t i = 0; i < who->nlabels; i++)
        if (strcmp(who->labels[i].key, label->key) == 0)
            return mu_err_set(err, MU_EINVAL,
                              "--label \"%s\": it has the value \"%s\" already: give it once", text,
                              who->labels[i].value);
    return 0;
}

static int read_labels(const struct mu_args *args, struct who *who, struct mu_err *err)
{
    const char *text;

    for (; (text = mu_args_nth(args, "label", who->nlabels)) != NULL; who->nlabels++) {
        char *copy, *eq;

        if (who->nlabels == MU_LABELS_MAX)
            return mu_err_set(err, MU_EINVAL, "--label: more than %d", MU_LABELS_MAX);
        copy = mu_strdup(text);
        if (!copy)
            return mu_err_set(err, MU_ENOMEM, "out of memory");
        who->texts[who->nlabels] = copy;
        eq = strchr(copy, '=');
        if (!eq || eq == copy)
            return mu_err_set(err, MU_EINVAL, "--label \"%s\": write KEY=VALUE", text);
        *eq = '\0';
        who->labels[who->nlabels] = (struct mu_session_label){copy, eq + 1};
        if (check_label(who, text, err))
            return err->code;
    }
    return 0;
}

/* --relay SOCKET; an address is a path only where it is absolute. */
static int read_relay(const char *path, struct mu_addr *addr, struct mu_err *err)
{
    char full[PATH_MAX];
    struct rlimit files;

    if (path[0] != '/') {
        if (!getcwd(full, sizeof(full)) || strlen(full) + strlen(path) + 2 > sizeof(full))
            return mu_err_set(err, MU_EINVAL, "--relay \"%s\": write an absolute path", path);
        strcat(strcat(full, "/"), path);
        path = full;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* two descriptors a program */
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    return mu_addr_parse(addr, path, err);
}

static int check_usage(const struct mu_args *args)
{
    bool name = mu_args_has(args, "name"), relay = mu_args_has(args, "relay");
    bool pid = mu_args_has(args, "pid"), command = mu_args_count(args) > 0;

    if (!name && !relay)
        return mu_cli_fail(args, MU_EXIT_USAGE,
                           "nobody to report for: give --name BINARY, or --relay SOCKET");
    if (command + pid + relay > 1)
        return mu_cli_fail(args, MU_EXIT_USAGE,
                           "give only one of --pid, --relay and a command to run");
    if (!name && mu_args_has(args, "label"))
        return mu_cli_fail(args, MU_EXIT_USAGE,
                           "--label needs --name: local programs give labels of their own");
    return MU_EXIT_OK;
}

static int live(const struct mu_args *args, struct mu_life_config *config)
{
    struct mu_err err = {0};
    int status, rv = mu_life_run(config, &status, &err);

    if (rv == 0)
        return status;
    if (config->command && rv == MU_ENOENT) /* as a shell has it */
        return mu_cli_fail(args, 127, "%s", err.text);
    if (config->command && rv == MU_EPERM)
        return mu_cli_fail(args, 126, "%s", err.text);
    return mu_cli_fail_here(args, &err);
}

static int run(const struct mu_args *args)
{
    const char *zone = mu_args_value(args, "zone");
    const char *relay = mu_args_value(args, "relay");
    const char *token_file = mu_args_value(args, "token-file");
    struct mu_conductors conductors;
    char token[256] = "";
    struct who who = {0};
    struct mu_addr relay_addr;
    struct mu_life_config config = {.conductors = &conductors,
                                    .token = token,
                                    .host = who.host,
                                    .zone = zone ? zone : "",
                                    .labels = who.labels};
    struct mu_err err = {0};
    long pid = 0;
    int code = check_usage(args);

    if (code == MU_EXIT_OK)
        code = mu_args_dur(args, "interval", &config.interval);
    if (code == MU_EXIT_OK && config.interval > MU_SESSION_INTERVAL_MAX)
        code = mu_cli_fail(args, MU_EXIT_USAGE, "--interval \"%s\": at most 10d",
                           mu_args_value(args, "interval"));
    if (code == MU_EXIT_OK)
        code = mu_args_int(args, "pid", 1, INT_MAX, &pid);
    if (code)
        return code;
    if (mu_args_conductors(args, &conductors, &err) || read_name(args, &who, &err) ||
        read_labels(args, &who, &err) ||
        mu_text_check(config.zone, strlen(config.zone), MU_TEXT_MAX, "--zone", &err) ||
        (token_file && mu_secret_token(token_file, token, sizeof(token), &err)) ||
        (relay && read_relay(relay, &relay_addr, &err)))
        code = mu_cli_fail_err(args, &err);
    if (code == MU_EXIT_OK) {
        config.binary = who.binary[0] ? who.binary : NULL;
        config.nlabels = who.nlabels;
        config.pid = (pid_t)pid;
        config.relay = relay ? &relay_addr : NULL;
        config.command = mu_args_count(args) ? mu_args_operands(args) : NULL;
        code = live(args, &config);
    }
    for (size_t i = 0; i < MU_LABELS_MAX; i++)
        mu_free(who.texts[i]);
    return code;
}

static const struct mu_option options[] = {
    {"name", 0, "BINARY[@HOST]", "Who reports; without HOST this machine's name", NULL},
    {"interval", 'i', "TIME", "Report so often [the conductor's default]", NULL},
    {"zone", 'z', "ZONE", "Availability zone it stands in", NULL},
    {"label", 'l', "KEY=VALUE", "Label, such as rack=r12; repeatable", NULL},
    {"pid", 0, "PID", "Live as long as this process, which need not be ours", NULL},
    {"relay", 0, "SOCKET", "Report for local programs, which write lines to this Unix socket",
     MU_WORDS_FILE},
    {"token-file", 0, "FILE", "The token that the conductor asks for, readable by its owner alone",
     MU_WORDS_FILE},
    {"conductor", 0, "ADDR",
     "Conductor: muster://HOST:PORT, HOST:PORT or the path of a Unix socket; a list with commas "
     "[$MUSTER_CONDUCTOR, else 127.0.0.1:4680]",
     NULL},
    {0},
};

static const struct mu_example examples[] = {
    {"muster agent --name backup@db1 --interval 10s", "report until it is told to stop"},
    {"muster agent --name api -- gunicorn app", "run a program, report its end and exit with it"},
    {"muster agent --name rsyslogd --pid 812", "report for a process that runs already"},
    {"muster agent --relay /run/muster.sock", "report for all local programs"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_agent = {
    .name = "agent",
    .summary = "report to the conductor that this machine's programs are alive",
    .operands = "[-- COMMAND...]",
    .words = MU_WORDS_FILE,
    .max = -1,
    .options = options,
    .examples = examples,
    .run = run,
};
