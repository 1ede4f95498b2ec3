/* enable, disable, force-down, delete: an operator's words. They take whole names and UUIDs only:
 * the beginning of a name that is gone could mean another that is there. */
#include "base/mem.h"
#include "cli/ask.h"
#include "cli/commands.h"

/* What to send for one agent. .body is NULL for DELETE. */
struct write {
    const char *method, *what; /* PUT .../status */
    json_t *body;
    const char *done; /* what to say afterwards */
};

static int write_one(const struct mu_args *args, struct mu_ask *ask, const struct write *w,
                     const char *name)
{
    struct mu_buf path;
    struct mu_err err;
    json_t *answer = NULL;

    mu_buf_init(&path, 0);
    int rv = mu_ask_agent_path(&path, name, w->what, &err);
    if (rv == 0)
        rv = mu_ask(ask, w->method, mu_buf_text(&path), w->body, 0, &answer, &err);
    int code = MU_EXIT_OK;
    if (rv != 0)
        code = mu_cli_fail_err(args, &err);
    else
        printf("%s: %s\n", name, w->done);
    json_decref(answer);
    mu_buf_fini(&path);
    return code;
}

/* Before the first write: a slip in one name must not leave half of them changed. */
static int check_names(const struct mu_args *args)
{
    char *const *names = mu_args_operands(args);
    struct mu_err err;
    int rv = 0;

    for (size_t i = 0; i < mu_args_count(args) && rv == 0; i++) {
        struct mu_buf path;
        mu_buf_init(&path, 0);
        rv = mu_ask_agent_path(&path, names[i], NULL, &err);
        mu_buf_fini(&path);
    }
    return rv ? mu_cli_fail_err(args, &err) : MU_EXIT_OK;
}

/* Does it for every operand, whatever becomes of the others; nothing where one is no name. Returns
 * the first failure. Takes w->body. */
static int write_all(const struct mu_args *args, const struct write *w, bool has_body)
{
    char *const *names = mu_args_operands(args);
    struct mu_ask *ask;
    struct mu_err err;

    if (has_body && !w->body)
        return mu_cli_fail(args, MU_EXIT_FAILED, "out of memory, or a reason that is not UTF-8");
    int code = check_names(args);
    if (code) {
        json_decref(w->body);
        return code;
    }
    if (mu_ask_open(&ask, args, 0, &err) != 0) {
        json_decref(w->body);
        return mu_cli_fail_err(args, &err);
    }
    for (size_t i = 0; i < mu_args_count(args); i++) {
        int one = write_one(args, ask, w, names[i]);
        code = code ? code : one;
        if (one == MU_EXIT_NOT_REACHED)
            break; /* nor will the next be */
    }
    mu_ask_free(ask);
    json_decref(w->body);
    return code;
}

static json_t *with_reason(json_t *body, const struct mu_args *args)
{
    const char *reason = mu_args_value(args, "reason");

    if (body && reason && json_object_set_new(body, "reason", json_string(reason)) != 0) {
        json_decref(body);
        return NULL;
    }
    return body;
}

static int enable(const struct mu_args *args)
{
    struct write w = {"PUT", "status", json_pack("{ss}", "status", "enabled"), "enabled"};

    return write_all(args, &w, true);
}

static int disable(const struct mu_args *args)
{
    struct write w = {"PUT", "status", json_pack("{ss}", "status", "disabled"), "disabled"};

    w.body = with_reason(w.body, args);
    return write_all(args, &w, true);
}

static int force_down(const struct mu_args *args)
{
    bool undo = mu_args_has(args, "undo");
    struct write w = {"PUT", "forced-down", NULL, undo ? "no longer forced down" : "forced down"};

    if (undo && mu_args_has(args, "reason"))
        return mu_cli_fail(args, MU_EXIT_USAGE, "--reason goes with forcing, not with --undo");
    w.body = with_reason(json_pack("{sb}", "forced_down", !undo), args);
    return write_all(args, &w, true);
}

static int delete (const struct mu_args *args)
{
    struct write w = {"DELETE", NULL, NULL, "deleted"};

    return write_all(args, &w, false);
}

static const struct mu_example enable_examples[] = {
    {"muster enable nova-compute@cmp-017", "its Status is enabled again"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_enable = {
    .name = "enable",
    .summary = "set the Status of agents to enabled",
    .operands = "NAME...",
    .words = MU_WORDS_AGENT,
    .min = 1,
    .max = -1,
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK,
    .examples = enable_examples,
    .run = enable,
};

static const struct mu_option disable_options[] = {
    {"reason", 0, "TEXT", "Why, for the others; at most 255 bytes"},
    {NULL},
};

static const struct mu_example disable_examples[] = {
    {"muster disable --reason 'disk swap' nova-compute@cmp-017", "it is still watched"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_disable = {
    .name = "disable",
    .summary = "set the Status of agents to disabled",
    .operands = "NAME...",
    .words = MU_WORDS_AGENT,
    .min = 1,
    .max = -1,
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK,
    .options = disable_options,
    .examples = disable_examples,
    .run = disable,
};

static const struct mu_option force_options[] = {
    {"undo", 0, NULL, "Show again what is seen"},
    {"reason", 0, "TEXT", "Why, for the others; at most 255 bytes"},
    {NULL},
};

static const struct mu_example force_examples[] = {
    {"muster force-down --reason 'fenced by hand' nova-compute@cmp-017",
     "State is down, whatever is heard"},
    {"muster force-down --undo nova-compute@cmp-017", "State is what is seen"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_force_down = {
    .name = "force-down",
    .summary = "show agents as down, whatever is heard of them",
    .operands = "NAME...",
    .words = MU_WORDS_AGENT,
    .min = 1,
    .max = -1,
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK,
    .options = force_options,
    .examples = force_examples,
    .run = force_down,
};

static const struct mu_example delete_examples[] = {
    {"muster delete nova-compute@cmp-017",
     "forget it; one that still reports joins again as a new agent"},
    {NULL, NULL},
};

const struct mu_command mu_cmd_delete = {
    .name = "delete",
    .summary = "forget agents",
    .operands = "NAME...",
    .words = MU_WORDS_AGENT,
    .min = 1,
    .max = -1,
    .opts = MU_OPTS_CONDUCTOR | MU_OPTS_ASK,
    .examples = delete_examples,
    .run = delete,
};
