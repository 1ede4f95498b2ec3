#include "cli/filter.h"

#include <fnmatch.h>
#include <string.h>

#include "base/mem.h"
#include "cli/ask.h"

static int read_one(struct mu_filter *out, const struct mu_args *args,
                    const struct mu_column *columns, const char *text)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return mu_cli_fail(args, MU_EXIT_USAGE,
                           "--filter \"%s\" has no KEY=VALUE: for example state=down", text);
    char *name = mu_strndup(text, (size_t)(equals - text));
    const struct mu_column *c = name ? mu_column_find(columns, name) : NULL;
    int code = MU_EXIT_OK;
    if (name && !c)
        code = mu_column_unknown(args, columns, "filter", name);
    else if (!name || !(out->key = mu_column_key(c, name)))
        code = mu_cli_fail(args, MU_EXIT_FAILED, "out of memory");
    mu_free(name);
    out->value = equals + 1;
    out->exact = !strpbrk(out->value, "*?[\\");
    return code;
}

int mu_filters_read(struct mu_filters *out, const struct mu_args *args,
                    const struct mu_column *columns)
{
    size_t n = 0;
    int code = MU_EXIT_OK;

    while (mu_args_nth(args, "filter", n))
        n++;
    *out = (struct mu_filters){.each = mu_calloc(n + 1, sizeof(struct mu_filter))};
    if (!out->each)
        return mu_cli_fail(args, MU_EXIT_FAILED, "out of memory");
    while (out->n < n && code == MU_EXIT_OK) {
        const char *text = mu_args_nth(args, "filter", out->n);
        code = read_one(&out->each[out->n++], args, columns, text);
    }
    if (code != MU_EXIT_OK)
        mu_filters_fini(out);
    return code;
}

void mu_filters_fini(struct mu_filters *filters)
{
    for (size_t i = 0; i < filters->n; i++)
        mu_free(filters->each[i].key);
    mu_free(filters->each);
    memset(filters, 0, sizeof(*filters));
}

/* A pattern the API cannot, nor the same key twice. */
bool mu_filters_asked(const struct mu_filters *filters, size_t i)
{
    static const char *const keys[] = {"binary", "host", "zone", "state", "status", "forced_down"};
    const struct mu_filter *f = &filters->each[i];
    bool known = strncmp(f->key, "label.", 6) == 0;

    for (size_t k = 0; k < MU_ARRAY_LEN(keys); k++)
        known |= strcmp(keys[k], f->key) == 0;
    for (size_t k = 0; k < i; k++)
        known &= strcmp(filters->each[k].key, f->key) != 0;
    return known && f->exact;
}

void mu_filters_query(struct mu_buf *path, char between, const struct mu_filters *filters)
{
    for (size_t i = 0; i < filters->n; i++) {
        if (!mu_filters_asked(filters, i))
            continue;
        mu_buf_u8(path, (uint8_t)between);
        mu_ask_escape(path, filters->each[i].key);
        mu_buf_puts(path, "=");
        mu_ask_escape(path, filters->each[i].value);
        between = '&';
    }
}

static bool one_of(const char *patterns, const char *text)
{
    bool found = false;

    while (!found && *patterns) {
        size_t n = strcspn(patterns, ",");
        char pattern[64];
        if (n < sizeof(pattern)) {
            memcpy(pattern, patterns, n);
            pattern[n] = '\0';
            found = fnmatch(pattern, text, 0) == 0;
        }
        patterns += n + (patterns[n] == ',');
    }
    return found;
}

static bool wants(const struct mu_filter *f, const json_t *row)
{
    struct mu_buf text;
    json_t *cell = mu_cell(row, f->key);

    mu_buf_init(&text, 0);
    mu_cell_text(&text, cell, "", false);
    const char *value = mu_buf_text(&text);
    bool several = strcmp(f->key, "state") == 0 && strchr(f->value, ',');
    bool yes = several    ? one_of(f->value, value)
               : f->exact ? strcmp(f->value, value) == 0
                          : fnmatch(f->value, value, 0) == 0;
    mu_buf_fini(&text);
    json_decref(cell);
    return yes;
}

bool mu_filters_want(const struct mu_filters *filters, const json_t *row)
{
    for (size_t i = 0; i < filters->n; i++)
        if (!wants(&filters->each[i], row))
            return false;
    return true;
}
