/* What was asked for, and the way of a row: written at once, or kept to be sorted or measured. The
 * writers are in table_write.c. */
#include "cli/table.h"

#include <string.h>

#include "base/mem.h"
#include "cli/table_int.h"

static const char *const formats[MU_FORMATS] = {
    [MU_FORMAT_TABLE] = "table", [MU_FORMAT_WIDE] = "wide", [MU_FORMAT_JSON] = "json",
    [MU_FORMAT_YAML] = "yaml",   [MU_FORMAT_CSV] = "csv",   [MU_FORMAT_VALUE] = "value",
    [MU_FORMAT_NAME] = "name",
};

static bool has_rows(const struct mu_args *args)
{
    return mu_args_command(args)->opts & MU_OPTS_ROWS;
}

static int no_memory(const struct mu_args *args)
{
    return mu_cli_fail(args, MU_EXIT_FAILED, "out of memory");
}

/* Calls @add with each part of the option's values, which commas separate too. */
static int each_part(const struct mu_args *args, struct mu_table *t, const char *option,
                     int (*add)(const struct mu_args *, struct mu_table *, const char *))
{
    const char *value;

    for (size_t i = 0; (value = mu_args_nth(args, option, i)); i++) {
        char *list = mu_strdup(value), *rest = list, *part;
        int rv = list ? MU_EXIT_OK : no_memory(args);
        while (rv == MU_EXIT_OK && (part = strsep(&rest, ",")))
            rv = add(args, t, part);
        mu_free(list);
        if (rv != MU_EXIT_OK)
            return rv;
    }
    return MU_EXIT_OK;
}

static int push_column(struct mu_table *t, const struct mu_column *c, const char *name)
{
    struct mu_column *more = mu_realloc(t->columns, t->ncolumns + 2, sizeof(*more));
    char *key = mu_column_key(c, name);

    if (more)
        t->columns = more;
    if (!more || !key) {
        mu_free(key);
        return MU_ENOMEM;
    }
    more[t->ncolumns] = *c;
    more[t->ncolumns].key = key;
    if (strcmp(c->key, "label.") == 0)
        more[t->ncolumns].title = key;
    more[++t->ncolumns].key = NULL;
    return 0;
}

static int add_column(const struct mu_args *args, struct mu_table *t, const char *name)
{
    const struct mu_column *c = mu_column_find(t->known, name);

    if (!c)
        return mu_column_unknown(args, t->known, "column", name);
    t->chosen = true;
    return push_column(t, c, name) == 0 ? MU_EXIT_OK : no_memory(args);
}

static int push_text(char ***list, size_t *n, char *text)
{
    char **more = text ? mu_realloc(*list, *n + 1, sizeof(*more)) : NULL;

    if (!more) {
        mu_free(text);
        return MU_ENOMEM;
    }
    *list = more;
    more[(*n)++] = text;
    return 0;
}

static int add_sort(const struct mu_args *args, struct mu_table *t, const char *name)
{
    const struct mu_column *c = mu_column_find(t->known, name);

    if (!c)
        return mu_column_unknown(args, t->known, "sort-column", name);
    return push_text(&t->sorts, &t->nsorts, mu_column_key(c, name)) == 0 ? MU_EXIT_OK
                                                                         : no_memory(args);
}

static int read_format(const struct mu_args *args, struct mu_table *t)
{
    const char *f = mu_args_value(args, "format"), *o = mu_args_value(args, "output");
    const char *text = o ? o : f;

    if (f && o && strcmp(f, o) != 0)
        return mu_cli_fail(args, MU_EXIT_USAGE, "--format %s and --output %s contradict each other",
                           f, o);
    if (has_rows(args) && mu_args_has(args, "quiet"))
        text = "name";
    if (!text)
        return MU_EXIT_OK;
    for (t->format = 0; t->format < MU_FORMATS; t->format++)
        if (strcmp(formats[t->format], text) == 0)
            return MU_EXIT_OK;
    return mu_cli_fail(args, MU_EXIT_USAGE,
                       "unknown format \"%s\": write table, wide, json, yaml, csv, value or name",
                       text);
}

static int read_rest(const struct mu_args *args, struct mu_table *t)
{
    bool utc = mu_args_has(args, "utc"), epoch = mu_args_has(args, "epoch");
    int code;

    if (utc && epoch)
        return mu_cli_fail(args, MU_EXIT_USAGE, "--utc and --epoch contradict each other");
    t->times = epoch ? MU_TIMES_EPOCH : utc ? MU_TIMES_UTC : MU_TIMES_AGO;
    t->header = !mu_args_has(args, "no-header");
    if (has_rows(args)) {
        t->descending = mu_args_has(args, "sort-descending");
        if (t->descending && mu_args_has(args, "sort-ascending"))
            return mu_cli_fail(args, MU_EXIT_USAGE,
                               "--sort-ascending and --sort-descending contradict each other");
        if ((code = each_part(args, t, "sort-column", add_sort)) != MU_EXIT_OK)
            return code;
    }
    return each_part(args, t, "column", add_column);
}

int mu_table_open(struct mu_table **out, const struct mu_args *args,
                  const struct mu_column *columns, enum mu_shape shape, FILE *to)
{
    struct mu_table *t = mu_alloc(sizeof(*t));
    int code;

    if (!t)
        return no_memory(args);
    t->to = to;
    t->shape = shape;
    t->known = columns;
    t->now = mu_clock_wall();
    if ((code = read_format(args, t)) != MU_EXIT_OK ||
        (code = mu_people_color(args, to, &t->color)) != MU_EXIT_OK ||
        (code = read_rest(args, t)) != MU_EXIT_OK)
        goto fail;
    bool all = t->format == MU_FORMAT_WIDE || (shape == MU_SHAPE_ONE && mu_table_for_people(t));
    for (const struct mu_column *c = columns; c->key && !t->chosen; c++)
        if (!(c->flags & (all ? MU_COL_ASKED : MU_COL_ASKED | MU_COL_WIDE)) &&
            push_column(t, c, c->key) != 0) {
            code = no_memory(args);
            goto fail;
        }
    bool keeps = mu_table_for_people(t) || t->nsorts > 0;
    if (keeps && shape != MU_SHAPE_STREAM && !(t->kept = json_array())) {
        code = no_memory(args);
        goto fail;
    }
    *out = t;
    return MU_EXIT_OK;

fail:
    mu_table_free(t);
    return code;
}

void mu_table_free(struct mu_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->ncolumns; i++)
        mu_free((char *)t->columns[i].key);
    for (size_t i = 0; i < t->nsorts; i++)
        mu_free(t->sorts[i]);
    mu_free(t->columns);
    mu_free(t->sorts);
    json_decref(t->kept);
    mu_free(t);
}

bool mu_table_sorts(const struct mu_table *t)
{
    return t->nsorts > 0;
}

bool mu_table_for_people(const struct mu_table *t)
{
    return t->format == MU_FORMAT_TABLE || t->format == MU_FORMAT_WIDE;
}

int mu_table_add(struct mu_table *t, json_t *row)
{
    if (t->kept)
        return json_array_append(t->kept, row) == 0 ? 0 : MU_ENOMEM;
    int rv = mu_table_for_people(t) ? mu_write_line(t, row) : mu_write_row(t, row);
    if (t->shape == MU_SHAPE_STREAM && rv == 0 && fflush(t->to) != 0)
        rv = MU_EIO;
    return rv;
}

/* Sorting is by value: numbers as numbers, text bytewise, nothing last either way. */
static int compare_cells(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a), y = json_number_value(b);
        return (x > y) - (x < y);
    }
    if (json_is_string(a) && json_is_string(b))
        return strcmp(json_string_value(a), json_string_value(b));
    if (json_is_boolean(a) && json_is_boolean(b))
        return json_is_true(a) - json_is_true(b);
    return (int)json_typeof(a) - (int)json_typeof(b);
}

static int compare_rows(const void *x, const void *y, void *ctx)
{
    const struct mu_table *t = ctx;
    json_t *const *a = x, *const *b = y;
    int order = 0;

    for (size_t i = 0; i < t->nsorts && order == 0; i++) {
        json_t *ca = mu_cell(*a, t->sorts[i]), *cb = mu_cell(*b, t->sorts[i]);
        if (json_is_null(ca) || json_is_null(cb))
            order = json_is_null(ca) - json_is_null(cb);
        else if (ca && cb)
            order = t->descending ? compare_cells(cb, ca) : compare_cells(ca, cb);
        json_decref(ca);
        json_decref(cb);
    }
    return order;
}

static int sort_rows(struct mu_table *t)
{
    size_t n = json_array_size(t->kept);
    json_t **rows = mu_calloc(n + 1, sizeof(json_t *)), *sorted = json_array();

    if (!rows || !sorted) {
        mu_free(rows);
        json_decref(sorted);
        return MU_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        rows[i] = json_array_get(t->kept, i);
    qsort_r(rows, n, sizeof(json_t *), compare_rows, t);
    int rv = 0;
    for (size_t i = 0; i < n && rv == 0; i++)
        rv = json_array_append(sorted, rows[i]) == 0 ? 0 : MU_ENOMEM;
    mu_free(rows);
    json_decref(t->kept);
    t->kept = sorted;
    return rv;
}

int mu_table_end(struct mu_table *t, size_t limit)
{
    int rv = 0;

    if (t->kept && t->nsorts > 0)
        rv = sort_rows(t);
    if (rv == 0 && t->kept && mu_table_for_people(t))
        return mu_write_people(t, limit);
    for (size_t i = 0; rv == 0 && i < json_array_size(t->kept) && i < limit; i++)
        rv = mu_write_row(t, json_array_get(t->kept, i));
    return rv ? rv : mu_write_end(t);
}
