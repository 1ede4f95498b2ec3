#include "daemon/config.h"

#include <errno.h>
#include <inttypes.h>
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

/* A setting's value is read into its member as soon as it is met, so that every error can name its
 * place, also of a value that a stronger place overrides. What depends on several values is checked
 * by finish(), last. */

enum type { DUR, COUNT, BYTES, BOOL, WORD, TEXT, PATH, PATTERN, ADDRS, URL };
static const char *const type_names[] = {
    [DUR] = "duration",  [COUNT] = "number", [BYTES] = "size", [BOOL] = "boolean",
    [WORD] = "word",     [TEXT] = "text",    [PATH] = "path",  [PATTERN] = "pattern",
    [ADDRS] = "address", [URL] = "url",
};

enum { WORD_MAX = 32 };

struct setting {
    const char *section, *key;
    enum type type;
    size_t offset; /* in struct mu_policy for DEFAULT and policy, else in struct mu_config */
    const char *standard;
    int64_t min, max;
    const char *words; /* for WORD: those allowed; else the unit */
    bool live;
    const char *help;
};

static const struct setting settings[] = {
#define ROW_(section, key, type, of, member, standard, min, max, words, live, help)                \
    {section, #key, type, offsetof(struct mu_##of, member), standard, min, max, words, live, help},
    MU_SETTINGS(ROW_)
#undef ROW_
};

struct mu_config_origin {
    const struct setting *setting;
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

static const struct setting *find_setting(const char *section, const char *key)
{
    const char *family = policy_of(section) ? "policy" : section;

    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++)
        if (!strcmp(settings[i].section, family) && !strcmp(settings[i].key, key))
            return &settings[i];
    return NULL;
}

static void *member_of(struct mu_config *config, const struct setting *s, const char *policy)
{
    if (!strcmp(s->section, "DEFAULT"))
        policy = "DEFAULT";
    if (*policy)
        return (char *)find_policy(&config->policies, policy) + s->offset;
    return (char *)config + s->offset;
}

static struct mu_config_origin *find_origin(const struct mu_config *config, const struct setting *s,
                                            const char *policy)
{
    for (size_t i = 0; i < config->norigins; i++)
        if (config->origins[i].setting == s && !strcmp(config->origins[i].policy, policy))
            return &config->origins[i];
    return NULL;
}

static const char *origin_text(const struct mu_config *config, const struct setting *s,
                               const char *policy)
{
    const struct mu_config_origin *origin = find_origin(config, s, policy);

    return origin ? origin->text : "default";
}

/* ---- one value, by its type ---- */

static int read_dur(const struct setting *s, const char *value, mu_dur *out, struct mu_err *err)
{
    char low[MU_DUR_TEXT], high[MU_DUR_TEXT];
    mu_dur dur;
    int rv = mu_dur_parse(value, &dur);

    if (rv == MU_EINVAL)
        return mu_err_set(err, rv,
                          "is no length of time; write for example 500ms, 10s, 5m, 2h, 30d");
    if (rv || dur < s->min || dur > s->max)
        return mu_err_set(err, MU_EINVAL, "is out of range; allowed is %s to %s",
                          mu_dur_text(s->min, low), mu_dur_text(s->max, high));
    *out = dur;
    return 0;
}

/* The factor that a size's suffix means; 0 for what is none. */
static int64_t factor_of(const char *suffix)
{
    static const struct {
        const char *text;
        int64_t factor;
    } suffixes[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

    for (size_t i = 0; i < MU_ARRAY_LEN(suffixes); i++)
        if (!strcmp(suffix, suffixes[i].text))
            return suffixes[i].factor;
    return 0;
}

static int read_number(const struct setting *s, const char *value, int64_t *out, struct mu_err *err)
{
    char *end;
    intmax_t n;
    int64_t factor;

    errno = 0;
    n = strtoimax(value, &end, 10);
    factor = s->type == BYTES ? factor_of(end) : !*end;
    if (end == value || !factor)
        return mu_err_set(err, MU_EINVAL, "is no %s",
                          s->type == BYTES ? "size; write for example 4096, 64KiB, 128MiB"
                                           : "whole number");
    if (errno || n < s->min / factor || n > s->max / factor || n * factor < s->min)
        return mu_err_set(err, MU_EINVAL,
                          "is out of range; allowed is %" PRId64 " to %" PRId64 "%s%s", s->min,
                          s->max, *s->words ? " " : "", s->words);
    *out = n * factor;
    return 0;
}

static int read_bool(const char *value, bool *out, struct mu_err *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < MU_ARRAY_LEN(words); i++) {
        if (!strcasecmp(value, words[i])) {
            *out = i % 2;
            return 0;
        }
    }
    return mu_err_set(err, MU_EINVAL, "is neither true nor false");
}

/* The @i-th of the words in @list, written to @word; NULL when there are no more. */
static const char *word_at(const char *list, int i, char word[WORD_MAX])
{
    for (; i > 0; i--) {
        list = strchr(list, ' ');
        if (!list)
            return NULL;
        list++;
    }
    snprintf(word, WORD_MAX, "%.*s", (int)strcspn(list, " "), list);
    return word;
}

static int read_word(const struct setting *s, const char *value, int *out, struct mu_err *err)
{
    char word[WORD_MAX];

    for (int i = 0; word_at(s->words, i, word); i++) {
        if (!strcmp(word, value)) {
            *out = i;
            return 0;
        }
    }
    return mu_err_set(err, MU_EINVAL, "is none of: %s", s->words);
}

static int read_text(const char *value, char *out, size_t size, struct mu_err *err)
{
    if (strlen(value) >= size)
        return mu_err_set(err, MU_EINVAL, "is longer than %zu bytes", size - 1);
    strcpy(out, value);
    return 0;
}

static int check_listener(const char *text, struct mu_err *err)
{
    struct mu_addr addr;
    struct sockaddr_storage sa;
    socklen_t len;
    int rv = mu_addr_parse(&addr, text, err);

    if (rv)
        return rv;
    if (*addr.scheme)
        return mu_err_set(err, MU_EINVAL, "is a URL; write A.B.C.D:PORT, [V6]:PORT or /PATH");
    return mu_addr_sockaddr(&addr, &sa, &len, err);
}

/* Appends the addresses of @value, which commas divide. */
static int read_addrs(const char *value, struct mu_config_list *out, struct mu_err *err)
{
    for (const char *p = value;; p++) {
        size_t n = strcspn(p, ",");
        char one[sizeof(out->at[0])];
        int rv;

        while (n && *p == ' ')
            p++, n--;
        if (n >= sizeof(one))
            return mu_err_set(err, MU_EINVAL, "is longer than %zu bytes", sizeof(one) - 1);
        if (out->n == MU_LISTENERS_MAX)
            return mu_err_set(err, MU_EINVAL, "is one too many; %d are allowed", MU_LISTENERS_MAX);
        snprintf(one, sizeof(one), "%.*s", (int)n, p);
        rv = check_listener(one, err);
        if (rv)
            return rv;
        strcpy(out->at[out->n++], one);
        p += n;
        if (!*p)
            return 0;
    }
}

static int read_url(const char *value, char *out, size_t size, struct mu_err *err)
{
    struct mu_addr addr;
    int rv = mu_addr_parse(&addr, value, err);

    if (rv)
        return rv;
    if (!*addr.scheme)
        return mu_err_set(err, MU_EINVAL, "is no store; write for example sqlite:%s",
                          *value == '/' ? value : "/var/lib/muster/muster.db");
    return read_text(value, out, size, err);
}

static int read_value(const struct setting *s, const char *value, void *member, struct mu_err *err)
{
    if (!*value)
        return mu_err_set(err, MU_EINVAL, "is empty; leave the line out to have what is built in");
    switch (s->type) {
    case DUR:
        return read_dur(s, value, member, err);
    case COUNT:
    case BYTES:
        return read_number(s, value, member, err);
    case BOOL:
        return read_bool(value, member, err);
    case WORD:
        return read_word(s, value, member, err);
    case TEXT:
    case PATH:
        return read_text(value, member, sizeof(((struct mu_config *)0)->secret_file), err);
    case PATTERN:
        return read_text(value, member, sizeof(((struct mu_policy *)0)->binary), err);
    case ADDRS:
        return read_addrs(value, member, err);
    case URL:
        return read_url(value, member, sizeof(((struct mu_config *)0)->store), err);
    }
    return MU_EINVAL; /* not reached: every type is above */
}

static void write_addrs(const struct mu_config_list *list, struct mu_buf *out)
{
    for (size_t i = 0; i < list->n; i++)
        mu_buf_printf(out, "%s%s", i ? ", " : "", list->at[i]);
}

static void write_bytes(int64_t n, struct mu_buf *out)
{
    if (n % (1 << 20) == 0)
        mu_buf_printf(out, "%" PRId64 "MiB", n >> 20);
    else
        mu_buf_printf(out, "%" PRId64, n);
}

/* The value as it could be written in a file; a store's password is masked. */
static void write_value(const struct setting *s, const void *member, struct mu_buf *out)
{
    char dur[MU_DUR_TEXT], word[WORD_MAX];
    struct mu_addr addr;

    switch (s->type) {
    case DUR:
        mu_buf_puts(out, mu_dur_text(*(const mu_dur *)member, dur));
        break;
    case COUNT:
        mu_buf_printf(out, "%" PRId64, *(const int64_t *)member);
        break;
    case BYTES:
        write_bytes(*(const int64_t *)member, out);
        break;
    case BOOL:
        mu_buf_puts(out, *(const bool *)member ? "true" : "false");
        break;
    case WORD:
        mu_buf_puts(out, word_at(s->words, *(const int *)member, word));
        break;
    case TEXT:
    case PATH:
    case PATTERN:
        mu_buf_puts(out, member);
        break;
    case ADDRS:
        write_addrs(member, out);
        break;
    case URL:
        mu_buf_puts(out, mu_addr_parse(&addr, member, NULL) ? "" : addr.text);
        break;
    }
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
        else if (!strcmp(settings[i].key, key))
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
    *policy = (struct mu_policy){.binary = "*", .zone = "*"};
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
static int note_origin(struct mu_config_place *place, const struct setting *s, const char *policy,
                       struct mu_err *err)
{
    struct mu_config *config = place->config;
    struct mu_config_origin *origin = find_origin(config, s, policy);
    char *text;

    if (origin && origin->layer == place->layer && s->type != ADDRS)
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
    if (s->type == ADDRS && origin->layer != place->layer)
        ((struct mu_config_list *)member_of(config, s, policy))->n = 0;
    mu_free(origin->text);
    origin->text = text;
    origin->layer = place->layer;
    return 0;
}

int mu_config_set(struct mu_config_place *place, const char *section, const char *key,
                  const char *value, struct mu_err *err)
{
    const struct setting *s;
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
    rv = read_value(s, value, member_of(place->config, s, policy ? policy : ""), err);
    return rv ? mu_err_wrap(err, rv, "%s: [%s] %s = %s", place->text, section, key, value) : 0;
}

/* ---- the whole ---- */

static int set_standards(struct mu_config *config, struct mu_err *err)
{
    struct mu_policy *standard = &config->policies.at[0];

    mu_policies_init(&config->policies);
    standard->times = (struct mu_times){0}; /* suspect is worked out from what is set, at the end */
    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++) {
        const struct setting *s = &settings[i];
        int rv;

        if (!*s->standard || !strcmp(s->section, "policy"))
            continue;
        rv = read_value(s, s->standard, member_of(config, s, ""), err);
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

static int find_store(struct mu_config *config, struct mu_err *err)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;

    if (*config->store)
        return 0;
    config->own_store = true;
    if (geteuid() == 0)
        n = snprintf(config->store, sizeof(config->store), "sqlite:/var/lib/muster/muster.db");
    else if (state && *state == '/')
        n = snprintf(config->store, sizeof(config->store), "sqlite:%s/muster/muster.db", state);
    else if (home && *home == '/')
        n = snprintf(config->store, sizeof(config->store),
                     "sqlite:%s/.local/state/muster/muster.db", home);
    else
        return mu_err_set(err, MU_EINVAL,
                          "no place for the database: $HOME is not set; give --store sqlite:PATH");
    return n < (int)sizeof(config->store)
               ? 0
               : mu_err_set(err, MU_EINVAL, "the path of the home directory is too long");
}

static int find_secret(struct mu_config *config, struct mu_err *err)
{
    const char *path = config->store + strlen("sqlite:");

    if (*config->secret_file || strncmp(config->store, "sqlite:", strlen("sqlite:")))
        return 0;
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

static int finish(struct mu_config *config, const struct mu_config_source *source,
                  struct mu_err *err)
{
    int rv = mu_policies_finish(&config->policies, source->warn, source->ctx, err);

    if (!rv)
        rv = check_reach(config, "listen", &config->listen, err);
    if (!rv)
        rv = check_reach(config, "http", &config->http, err);
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

static void show_value(const struct mu_config *config, const struct setting *s, const char *policy,
                       bool origin, struct mu_buf *out)
{
    size_t start = out->len;
    const void *member = member_of((struct mu_config *)config, s, policy);

    if ((s->type == PATH || s->type == TEXT) && !*(const char *)member)
        return; /* nothing built in, and nothing given */
    mu_buf_printf(out, "%s = ", s->key);
    write_value(s, member, out);
    if (origin) {
        size_t n = out->len - start;
        mu_buf_printf(out, "%*s ; %s", n < 40 ? (int)(40 - n) : 0, "",
                      origin_text(config, s, policy));
    }
    mu_buf_puts(out, "\n");
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
        const struct setting *s = &settings[i];

        if (s->live)
            continue;
        mu_buf_reset(&a);
        mu_buf_reset(&b);
        write_value(s, member_of((struct mu_config *)old, s, ""), &a);
        write_value(s, member_of((struct mu_config *)fresh, s, ""), &b);
        if (strcmp(mu_buf_text(&a), mu_buf_text(&b)))
            mu_buf_printf(out, "%s%s", out->len ? ", " : "", s->key);
    }
    mu_buf_fini(&a);
    mu_buf_fini(&b);
}

void mu_config_each(int (*each)(void *ctx, const struct mu_setting_info *info), void *ctx)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(settings); i++) {
        const struct setting *s = &settings[i];
        struct mu_setting_info info = {.section = s->section,
                                       .key = s->key,
                                       .type = type_names[s->type],
                                       .standard = s->standard,
                                       .words = s->words,
                                       .help = s->help,
                                       .live = s->live};

        if (each(ctx, &info))
            return;
    }
}
