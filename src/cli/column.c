#include "cli/column.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/near.h"
#include "cli/print.h"

#define LABEL "label."

/* "Updated At", "updated-at" and "updated_at" are one. */
static bool same_name(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, " _-");
        b += strspn(b, " _-");
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return false;
        if (!*a)
            return true;
    }
}

const struct mu_column *mu_column_find(const struct mu_column *columns, const char *name)
{
    static const struct mu_column label = {LABEL, "Label", MU_COL_CUT, 12};

    if (strncmp(name, LABEL, strlen(LABEL)) == 0 && name[strlen(LABEL)])
        return &label;
    for (const struct mu_column *c = columns; c->key; c++)
        if (same_name(name, c->key) || same_name(name, c->title))
            return c;
    return NULL;
}

char *mu_column_key(const struct mu_column *found, const char *name)
{
    return mu_strdup(strcmp(found->key, LABEL) == 0 ? name : found->key);
}

int mu_column_unknown(const struct mu_args *args, const struct mu_column *columns,
                      const char *option, const char *name)
{
    struct mu_near near;
    struct mu_buf all;
    int code;

    mu_near_init(&near, name);
    mu_buf_init(&all, 0);
    for (const struct mu_column *c = columns; c->key; c++) {
        mu_near_try(&near, c->key);
        mu_buf_printf(&all, " %s", c->key);
    }
    if (near.best)
        code = mu_cli_fail(args, MU_EXIT_USAGE, "--%s: unknown column \"%s\": did you mean %s?",
                           option, name, near.best);
    else
        code = mu_cli_fail(args, MU_EXIT_USAGE, "--%s: unknown column \"%s\": there are%s", option,
                           name, mu_buf_text(&all));
    mu_buf_fini(&all);
    return code;
}

static json_t *name_of(const json_t *row)
{
    const char *binary = json_string_value(json_object_get(row, "binary"));
    const char *host = json_string_value(json_object_get(row, "host"));

    if (binary && host)
        return json_sprintf("%s@%s", binary, host);
    json_t *agent = json_object_get(row, "agent");
    return agent ? json_incref(agent) : json_null();
}

json_t *mu_cell(const json_t *row, const char *key)
{
    json_t *value = json_object_get(row, key);

    if (!value && strcmp(key, "name") == 0)
        return name_of(row);
    if (!value && strncmp(key, LABEL, strlen(LABEL)) == 0)
        value = json_object_get(json_object_get(row, "labels"), key + strlen(LABEL));
    const char *dot = strchr(key, '.');
    if (!value && dot)
        value = json_object_get(json_object_getn(row, key, (size_t)(dot - key)), dot + 1);
    return value ? json_incref(value) : json_null();
}

void mu_cell_text(struct mu_buf *out, const json_t *value, const char *null, bool python)
{
    if (!value || json_is_null(value)) {
        mu_buf_puts(out, null);
    } else if (json_is_string(value)) {
        mu_buf_puts(out, json_string_value(value));
    } else if (json_is_boolean(value) && python) {
        mu_buf_puts(out, json_is_true(value) ? "True" : "False");
    } else {
        char *text = json_dumps(value, MU_JSON_FLAGS | JSON_COMPACT);
        if (text)
            mu_buf_puts(out, text);
        else
            out->failed = MU_ENOMEM;
        free(text);
    }
}
