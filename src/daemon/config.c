#include "daemon/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/mem.h"
#include "base/near.h"
#include "daemon/config_int.h"
#include "daemon/config_table.h"
#include "daemon/config_value.h"

/* A setting's value is read into its member as soon as it is met, so that every error can name its
 * place, also of a value that a stronger place overrides. What depends on several values is checked
 * by finish(), last. */

static const char *const type_names[] = {
    [MU_SET_DUR] = "duration", [MU_SET_COUNT] = "number",    [MU_SET_BYTES] = "size",
    [MU_SET_BOOL] = "boolean", [MU_SET_WORD] = "word",       [MU_SET_TEXT] = "text",
    [MU_SET_PATH] = "path",    [MU_SET_PATTERN] = "pattern", [MU_SET_ADDRS] = "address",
    [MU_SET_URL] = "url",
};

static const struct mu_setting settings[] = {
#define ROW_(section, key, type, of, member, standard, min, max, words, live, help)                \
    {section, #key, MU_SET_##type, offsetof(struct mu_##of, member), standard, min, max,           \
     words,   live, help},
    MU_SETTINGS(ROW_)
#undef ROW_
};

struct mu_config_origin {
    const struct mu_setting *setting;
    char policy[64]; /* "" where it is none's */
    unsigned layer;
    char *text;
};

/* ---- which setting, and where its value is ---- */

static const char policy_prefix[] = "policy ";

/* The name of [policy NAME], or NULL where @section is none. */
static const char *policy_of(const char *section)
{
    size_t n = sizeof(policy_prefix) - 1;

    return strncmp(section, policy_prefix, n) ? NULL : section + n;
}

static struct mu_policy *find_policy(struct mu_policies *policies, const char *name)
{
    for (size_t i = 0; i < policies->n; i++)
        if (!strcmp(policies->at[i].name, name))
            return &policies->at[i];
    return NULL;
}

static const struct mu_setting *find_setting(const char *section, const char *key)
{
    const char *family = policy_of(section) ? "policy" : section;

    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++)
        if (!strcmp(settings[i].section, family) && !strcmp(settings[i].key, key))
            return &settings[i];
    return NULL;
}

static void *member_of(struct mu_config *config, const struct mu_setting *s, const char *policy)
{
    if (!strcmp(s->section, "DEFAULT"))
        policy = "DEFAULT";
    if (*policy)
        return (char *)find_policy(&config->policies, policy) + s->offset;
    return (char *)config + s->offset;
}

static struct mu_config_origin *find_origin(const struct mu_config *config,
                                            const struct mu_setting *s, const char *policy)
{
    for (size_t i = 0; i < config->norigins; i++)
        if (config->origins[i].setting == s && !strcmp(config->origins[i].policy, policy))
            return &config->origins[i];
    return NULL;
}

static const char *origin_text(const struct mu_config *config, const struct mu_setting *s,
                               const char *policy)
{
    const struct mu_config_origin *origin = find_origin(config, s, policy);
    const struct mu_setting *inherited = find_setting("DEFAULT", s->key);

    if (!origin && inherited && !*inherited->standard)
        return "worked out from the section's other times";
    if (!origin && inherited)
        origin = find_origin(config, inherited, "");
    return origin ? origin->text : "default";
}

/* ---- sections and settings, from a place ---- */

static int unknown_section(const struct mu_config_place *place, const char *section,
                           struct mu_err *err)
{
    struct mu_near near;

    mu_near_init(&near, section);
    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++)
        mu_near_try(&near, settings[i].section);
    if (near.best)
        return mu_err_set(err, MU_EINVAL, "%s: unknown section [%s]; did you mean [%s%s]?",
                          place->text, section, near.best,
                          strcmp(near.best, "policy") ? "" : " NAME");
    return mu_err_set(err, MU_EINVAL,
                      "%s: unknown section [%s]; there are [DEFAULT], [policy NAME], [conductor] "
                      "and [log]",
                      place->text, section);
}

static int unknown_key(const struct mu_config_place *place, const char *section, const char *key,
                       struct mu_err *err)
{
    const char *family = policy_of(section) ? "policy" : section;
    const char *elsewhere = NULL;
    struct mu_near near;

    mu_near_init(&near, key);
    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++) {
        if (!strcmp(settings[i].section, family))
            mu_near_try(&near, settings[i].key);
        else if (!elsewhere && !strcmp(settings[i].key, key))
            elsewhere = settings[i].section;
    }
    if (elsewhere)
        return mu_err_set(err, MU_EINVAL, "%s: unknown setting %s in [%s]; it belongs in [%s%s]",
                          place->text, key, section, elsewhere,
                          strcmp(elsewhere, "policy") ? "" : " NAME");
    if (near.best)
        return mu_err_set(err, MU_EINVAL, "%s: unknown setting %s in [%s]; did you mean %s?",
                          place->text, key, section, near.best);
    return mu_err_set(err, MU_EINVAL,
                      "%s: unknown setting %s in [%s]; muster config show lists all there are",
                      place->text, key, section);
}

static int make_policy(const struct mu_config_place *place, const char *name, struct mu_err *err)
{
    struct mu_policies *policies = &place->config->policies;
    struct mu_policy *policy;

    if (find_policy(policies, name) && strcmp(name, "DEFAULT"))
        return 0;
    if (!*name || strlen(name) >= sizeof(policy->name) || !strcmp(name, "DEFAULT"))
        return mu_err_set(err, MU_EINVAL, "%s: [policy %s]: a policy's name has 1 to %zu bytes%s",
                          place->text, name, sizeof(policy->name) - 1,
                          *name ? " and is not DEFAULT" : "");
    if (policies->n == MU_POLICIES_MAX)
        return mu_err_set(err, MU_EINVAL, "%s: [policy %s] is one too many; %d are allowed",
                          place->text, name, MU_POLICIES_MAX - 1);
    policies->at[policies->n] = policies->at[policies->n - 1]; /* DEFAULT stays the last */
    policy = &policies->at[policies->n++ - 1];
    *policy = (struct mu_policy){.binary = "*", .zone = "*", .detector = -1};
    strcpy(policy->name, name);
    return 0;
}

int mu_config_section(struct mu_config_place *place, const char *section, struct mu_err *err)
{
    const char *policy = policy_of(section);

    if (policy)
        return make_policy(place, policy, err);
    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++)
        if (!strcmp(settings[i].section, section) && strcmp(section, "policy"))
            return 0;
    return unknown_section(place, section, err);
}

/* Remembers where a value came from. A repeatable setting from a stronger place starts anew. */
static int note_origin(struct mu_config_place *place, const struct mu_setting *s,
                       const char *policy, struct mu_err *err)
{
    struct mu_config *config = place->config;
    struct mu_config_origin *origin = find_origin(config, s, policy);
    char *text;

    if (origin && origin->layer == place->layer && s->type != MU_SET_ADDRS)
        return mu_err_set(err, MU_EINVAL, "%s: %s is given twice; the first is at %s", place->text,
                          s->key, origin->text);
    text = mu_strdup(place->text);
    if (!text)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (!origin) {
        struct mu_config_origin *grown =
            mu_realloc(config->origins, config->norigins + 1, sizeof(*grown));
        if (!grown) {
            mu_free(text);
            return mu_err_set(err, MU_ENOMEM, "out of memory");
        }
        config->origins = grown;
        origin = &grown[config->norigins++];
        *origin = (struct mu_config_origin){.setting = s};
        strcpy(origin->policy, policy);
    }
    if (s->type == MU_SET_ADDRS && origin->layer != place->layer)
        ((struct mu_config_list *)member_of(config, s, policy))->n = 0;
    mu_free(origin->text);
    origin->text = text;
    origin->layer = place->layer;
    return 0;
}

/* Names the setting and its value, in which a password may be. */
static int bad_value(const struct mu_config_place *place, const char *section, const char *key,
                     const char *value, int rv, struct mu_err *err)
{
    char *shown = mu_strdup(value);

    if (shown)
        mu_addr_mask(shown);
    rv = mu_err_wrap(err, rv, "%s: [%s] %s = %s", place->text, section, key, shown ? shown : "?");
    mu_free(shown);
    return rv;
}

int mu_config_set(struct mu_config_place *place, const char *section, const char *key,
                  const char *value, struct mu_err *err)
{
    const struct mu_setting *s;
    const char *policy = policy_of(section);
    int rv = mu_config_section(place, section, err);

    if (rv)
        return rv;
    s = find_setting(section, key);
    if (!s)
        return unknown_key(place, section, key, err);
    rv = note_origin(place, s, policy ? policy : "", err);
    if (rv)
        return rv;
    rv = mu_setting_read(s, value, member_of(place->config, s, policy ? policy : ""), err);
    return rv ? bad_value(place, section, key, value, rv, err) : 0;
}

/* ---- the whole ---- */

static int set_standards(struct mu_config *config, struct mu_err *err)
{
    struct mu_policy *standard = &config->policies.at[0];

    mu_policies_init(&config->policies);
    standard->times = (struct mu_times){0}; /* suspect is worked out from what is set, at the end */
    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++) {
        const struct mu_setting *s = &settings[i];
        int rv;

        if (!*s->standard || !strcmp(s->section, "policy"))
            continue;
        rv = mu_setting_read(s, s->standard, member_of(config, s, ""), err);
        if (rv)
            return mu_err_wrap(err, rv, "built-in %s", s->key);
    }
    return 0;
}

/* MUSTER_CONDUCTOR_MAX_AGENTS=5 is max_agents = 5 in [conductor]. Variables of other sections are
 * somebody else's; so is MUSTER_CONDUCTOR alone. */
static int read_variable(struct mu_config_place *place, const char *variable, struct mu_err *err)
{
    static const char *const sections[] = {"DEFAULT", "conductor", "log"};
    const char *equals = strchr(variable, '=');
    const char *rest = variable + strlen("MUSTER_");

    if (strncmp(variable, "MUSTER_", strlen("MUSTER_")) || !equals)
        return 0;
    for (size_t i = 0; i < MU_ARRAY_LEN(sections); i++) {
        size_t n = strlen(sections[i]);
        char key[64];

        if (strncasecmp(rest, sections[i], n) || rest[n] != '_')
            continue;
        snprintf(key, sizeof(key), "%.*s", (int)(equals - rest - n - 1), rest + n + 1);
        for (char *p = key; *p; p++)
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
        snprintf(place->text, sizeof(place->text), "%.*s", (int)(equals - variable), variable);
        return mu_config_set(place, sections[i], key, equals + 1, err);
    }
    return 0;
}

static int read_env(struct mu_config *config, unsigned layer, char **env, struct mu_err *err)
{
    struct mu_config_place place = {.config = config, .layer = layer};

    for (; env && *env; env++) {
        int rv = read_variable(&place, *env, err);

        if (rv)
            return rv;
    }
    return 0;
}

static int read_flags(struct mu_config *config, unsigned layer,
                      const struct mu_config_source *source, struct mu_err *err)
{
    struct mu_config_place place = {.config = config, .layer = layer};

    for (size_t i = 0; i < source->nflags; i++) {
        const struct mu_config_flag *flag = &source->flags[i];
        int rv;

        snprintf(place.text, sizeof(place.text), "%s", flag->flag);
        rv = mu_config_set(&place, flag->section, flag->key, flag->value, err);
        if (rv)
            return rv;
    }
    return 0;
}

static int find_folder(struct mu_config *config, struct mu_err *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    size_t size = sizeof(config->own_folder);
    int n;

    if (geteuid() == 0)
        n = snprintf(config->own_folder, size, "/var/lib/muster");
    else if (state && *state == '/')
        n = snprintf(config->own_folder, size, "%s/muster", state);
    else if (home && *home == '/')
        n = snprintf(config->own_folder, size, "%s/.local/state/muster", home);
    else
        return mu_err_set(err, MU_EINVAL,
                          "no place for the state: $HOME is not set; give --store sqlite:PATH, or"
                          " [conductor] secret_file for a database on a server");
    return n < (int)size ? 0
                         : mu_err_set(err, MU_EINVAL, "the path of the home directory is too long");
}

static int find_store(struct mu_config *config, struct mu_err *err)
{
    if (*config->store)
        return 0;
    int rv = find_folder(config, err);
    if (!rv)
        snprintf(config->store, sizeof(config->store), "sqlite:%s/muster.db", config->own_folder);
    return rv;
}

/* Beside a database that is a file. One on a server has no such place, and memory needs none. */
static int find_secret(struct mu_config *config, struct mu_err *err)
{
    const char *path = config->store + strlen("sqlite:");

    if (*config->secret_file || strncmp(config->store, "memory:", strlen("memory:")) == 0)
        return 0;
    if (strncmp(config->store, "sqlite:", strlen("sqlite:")) != 0) {
        int rv = find_folder(config, err);
        if (!rv)
            snprintf(config->secret_file, sizeof(config->secret_file), "%s/muster.secret",
                     config->own_folder);
        return rv;
    }
    if (snprintf(config->secret_file, sizeof(config->secret_file), "%s.secret", path) >=
        (int)sizeof(config->secret_file))
        return mu_err_set(err, MU_EINVAL, "store: the path of the database is too long");
    return 0;
}

static int check_reach(const struct mu_config *config, const char *key,
                       const struct mu_config_list *list, struct mu_err *err)
{
    for (size_t i = 0; i < list->n; i++) {
        struct mu_addr addr;

        if (config->insecure ||
            (!mu_addr_parse(&addr, list->at[i], NULL) && mu_addr_is_loopback(&addr)))
            continue;
        return mu_err_set(err, MU_EINVAL,
                          "%s: [conductor] %s = %s: other machines could reach it, and nothing "
                          "there is encrypted; listen on 127.0.0.1, or set insecure = true "
                          "(--insecure) where the network can be trusted",
                          origin_text(config, find_setting("conductor", key), ""), key,
                          list->at[i]);
    }
    return 0;
}

/* Else the second of two would find its port taken, by ourselves. Both lists may be the same. */
static int check_apart(const struct mu_config *config, const char *key,
                       const struct mu_config_list *list, const char *other_key,
                       const struct mu_config_list *others, struct mu_err *err)
{
    for (size_t i = 0; i < list->n; i++) {
        for (size_t j = list == others ? i + 1 : 0; j < others->n; j++) {
            struct mu_addr a, b;

            if (mu_addr_parse(&a, list->at[i], NULL) || mu_addr_parse(&b, others->at[j], NULL) ||
                !mu_addr_collide(&a, &b))
                continue;
            if (list == others)
                return mu_err_set(err, MU_EINVAL,
                                  "%s: [conductor] %s = %s: takes the same %s as %s = %s before"
                                  " it; give one of them another",
                                  origin_text(config, find_setting("conductor", key), ""), key,
                                  others->at[j], *a.host ? "port" : "path", key, list->at[i]);
            return mu_err_set(err, MU_EINVAL,
                              "%s: [conductor] %s = %s: takes the same %s as %s = %s (%s); give "
                              "one of them another",
                              origin_text(config, find_setting("conductor", key), ""), key,
                              list->at[i], *a.host ? "port" : "path", other_key, others->at[j],
                              origin_text(config, find_setting("conductor", other_key), ""));
        }
    }
    return 0;
}

static int check_listeners(const struct mu_config *config, struct mu_err *err)
{
    const struct mu_config_list *listen = &config->listen, *http = &config->http;
    int rv = check_reach(config, "listen", listen, err);

    if (!rv)
        rv = check_reach(config, "http", http, err);
    if (!rv)
        rv = check_apart(config, "listen", listen, "listen", listen, err);
    if (!rv)
        rv = check_apart(config, "http", http, "http", http, err);
    /* The place named first is one where somebody wrote something. */
    if (!rv && find_origin(config, find_setting("conductor", "http"), ""))
        rv = check_apart(config, "http", http, "listen", listen, err);
    else if (!rv)
        rv = check_apart(config, "listen", listen, "http", http, err);
    return rv;
}

static int finish(struct mu_config *config, const struct mu_config_source *source,
                  struct mu_err *err)
{
    int rv = mu_policies_finish(&config->policies, source->warn, source->ctx, err);

    if (!rv)
        rv = check_listeners(config, err);
    if (!rv)
        rv = find_store(config, err);
    return rv ? rv : find_secret(config, err);
}

int mu_config_load(struct mu_config **out, const struct mu_config_source *source,
                   struct mu_err *err)
{
    struct mu_config *config = mu_alloc(sizeof(*config));
    const char *file = source->file ? source->file : MU_CONFIG_FILE;
    unsigned layer = 1;
    int rv;

    if (!config)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    rv = set_standards(config, err);
    if (!rv && (source->file || !access(file, F_OK)))
        rv = mu_config_read_file(config, &layer, file, err);
    if (!rv)
        rv = mu_config_read_dir(config, &layer, file, err);
    if (!rv)
        rv = read_env(config, layer++, source->env, err);
    if (!rv)
        rv = read_flags(config, layer++, source, err);
    if (!rv)
        rv = finish(config, source, err);
    if (rv) {
        mu_config_free(config);
        return rv;
    }
    *out = config;
    return 0;
}

void mu_config_free(struct mu_config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->norigins; i++)
        mu_free(config->origins[i].text);
    mu_free(config->origins);
    mu_free(config);
}

/* ---- told ---- */

/* @origin NULL = not told. */
static void show_line(const char *key, const char *value, const char *origin, struct mu_buf *out)
{
    size_t start = out->len, n;

    mu_buf_printf(out, "%s = %s", key, value);
    n = out->len - start;
    if (origin)
        mu_buf_printf(out, "%*s ; %s", n < 40 ? (int)(40 - n) : 0, "", origin);
    mu_buf_puts(out, "\n");
}

static void show_value(const struct mu_config *config, const struct mu_setting *s,
                       const char *policy, bool origin, struct mu_buf *out)
{
    const void *member = member_of((struct mu_config *)config, s, policy);
    const struct mu_config_list *list = s->type == MU_SET_ADDRS ? member : NULL;
    const char *from = origin ? origin_text(config, s, policy) : NULL;
    struct mu_buf value;

    if ((s->type == MU_SET_PATH || s->type == MU_SET_TEXT) && !*(const char *)member)
        return; /* nothing built in, and nothing given */
    /* One a line: a line in a file is short. */
    for (size_t i = 0; list && i < list->n; i++)
        show_line(s->key, list->at[i], from, out);
    if (list)
        return;
    mu_buf_init(&value, 0);
    mu_setting_write(s, member, &value);
    show_line(s->key, mu_buf_text(&value), from, out);
    mu_buf_fini(&value);
}

static void show_section(const struct mu_config *config, const char *section, const char *policy,
                         bool origin, struct mu_buf *out)
{
    mu_buf_printf(out, "%s[%s%s%s]\n", out->len ? "\n" : "", section, *policy ? " " : "", policy);
    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++)
        if (!strcmp(settings[i].section, section))
            show_value(config, &settings[i], policy, origin, out);
}

void mu_config_show(const struct mu_config *config, bool origin, struct mu_buf *out)
{
    show_section(config, "DEFAULT", "", origin, out);
    for (size_t i = 0; i + 1 < config->policies.n; i++)
        show_section(config, "policy", config->policies.at[i].name, origin, out);
    show_section(config, "conductor", "", origin, out);
    show_section(config, "log", "", origin, out);
}

void mu_config_restarts(const struct mu_config *old, const struct mu_config *fresh,
                        struct mu_buf *out)
{
    struct mu_buf a, b;

    mu_buf_init(&a, 0);
    mu_buf_init(&b, 0);
    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++) {
        const struct mu_setting *s = &settings[i];

        if (s->live)
            continue;
        mu_buf_reset(&a);
        mu_buf_reset(&b);
        mu_setting_write(s, member_of((struct mu_config *)old, s, ""), &a);
        mu_setting_write(s, member_of((struct mu_config *)fresh, s, ""), &b);
        if (strcmp(mu_buf_text(&a), mu_buf_text(&b)))
            mu_buf_printf(out, "%s%s", out->len ? ", " : "", s->key);
    }
    mu_buf_fini(&a);
    mu_buf_fini(&b);
}

void mu_config_each(int (*each)(void *ctx, const struct mu_setting_info *info), void *ctx)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++) {
        const struct mu_setting *s = &settings[i];
        char bounds[MU_SETTING_BOUNDS];
        struct mu_setting_info info = {.section = s->section,
                                       .key = s->key,
                                       .type = type_names[s->type],
                                       .standard = s->standard,
                                       .words = s->words,
                                       .help = s->help,
                                       .bounds = mu_setting_bounds(s, bounds),
                                       .live = s->live};

        if (each(ctx, &info))
            return;
    }
}
