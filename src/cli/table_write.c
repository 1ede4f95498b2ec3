/* Cells and rows as text. */
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/print.h"
#include "cli/table_int.h"

/* The State in @row by which @column is painted; "" = none. */
static const char *state_of(const json_t *row, const struct mu_column *column)
{
    const char *state = json_string_value(json_object_get(row, column->key));

    return column->flags & MU_COL_STATE && state ? state : "";
}

/* {"rack":"r1","tor":"s4"} as rack=r1 tor=s4 */
static void put_pairs(struct mu_buf *out, const json_t *object)
{
    const char *key;
    json_t *value;
    size_t n = 0;

    json_object_foreach((json_t *)object, key, value)
    {
        mu_buf_printf(out, "%s%s=", n++ ? " " : "", key);
        mu_cell_text(out, value, "", false);
    }
    if (n == 0)
        mu_buf_puts(out, "-");
}

/* Seconds, as the API has them under keys that end in _s. */
static bool is_span(const char *key, const json_t *value)
{
    size_t n = strlen(key);
    return n > 2 && strcmp(key + n - 2, "_s") == 0 && json_is_number(value);
}

static void put_people(struct mu_buf *out, const struct mu_table *t, const json_t *row,
                       const struct mu_column *column)
{
    json_t *value = mu_cell(row, column->key);
    const char *text = json_string_value(value);
    char time[MU_PEOPLE_TIME];

    if (text && column->flags & MU_COL_TIME)
        mu_buf_puts(out, mu_people_time(text, t->times, t->now, time));
    else if (text && *text && column->flags & MU_COL_STATE)
        mu_buf_printf(out, "%s%s%s", mu_people_sign(text), *mu_people_sign(text) ? " " : "", text);
    else if (json_is_object(value))
        put_pairs(out, value);
    else if (is_span(column->key, value))
        mu_buf_puts(out, mu_people_span(json_number_value(value), time));
    else if (json_is_boolean(value))
        mu_buf_puts(out, json_is_true(value) ? "yes" : "no");
    else
        mu_cell_text(out, text && !*text ? NULL : value, "-", false);
    json_decref(value);
}

/* Appends a cell for people: with signs, spans of time and "-" for nothing. */
static void put_cell(struct mu_buf *out, const struct mu_table *t, const json_t *row,
                     const struct mu_column *column)
{
    struct mu_buf raw;

    mu_buf_init(&raw, 0);
    put_people(&raw, t, row, column);
    mu_people_clean(out, mu_buf_text(&raw));
    if (raw.failed)
        out->failed = raw.failed;
    mu_buf_fini(&raw);
}

static json_t *epoch_of(json_t *value)
{
    const char *text = json_string_value(value);
    mu_wall at;

    if (!text || mu_wall_parse(text, &at) != 0)
        return json_incref(value);
    return json_real((double)at / 1e3);
}

/* @row with its chosen columns only, times as asked; a new reference, NULL = no memory. */
static json_t *shape(const struct mu_table *t, json_t *row)
{
    if (!t->chosen && t->times != MU_TIMES_EPOCH)
        return json_incref(row);
    json_t *shaped = t->chosen ? json_object() : json_copy(row);
    const struct mu_column *columns = t->chosen ? t->columns : t->known;
    for (const struct mu_column *c = columns; shaped && c->key; c++) {
        if (!t->chosen && !json_object_get(row, c->key))
            continue;
        json_t *value = mu_cell(row, c->key);
        if (c->flags & MU_COL_TIME && t->times == MU_TIMES_EPOCH) {
            json_t *number = value ? epoch_of(value) : NULL;
            json_decref(value);
            value = number;
        }
        if (json_object_set_new(shaped, c->key, value) != 0) {
            json_decref(shaped);
            return NULL;
        }
    }
    return shaped;
}

/* For people: libsmartcols, which knows the terminal. */

static struct libscols_table *new_table(const struct mu_table *t)
{
    struct libscols_table *tb = scols_new_table();

    if (!tb)
        return NULL;
    scols_table_set_stream(tb, t->to);
    scols_table_set_column_separator(tb, "  ");
    scols_table_enable_colors(tb, t->color);
    scols_table_enable_noheadings(tb, !t->header);
    if (!isatty(fileno(t->to)))
        scols_table_set_termforce(tb, SCOLS_TERMFORCE_NEVER);
    return tb;
}

static int add_heading(struct libscols_table *tb, const char *title, unsigned flags)
{
    int how =
        (flags & MU_COL_CUT ? SCOLS_FL_TRUNC : 0) | (flags & MU_COL_RIGHT ? SCOLS_FL_RIGHT : 0);

    return scols_table_new_column(tb, title, 0, how) ? 0 : MU_ENOMEM;
}

static int set_cell(struct libscols_line *line, size_t i, const struct mu_table *t,
                    const json_t *row, const struct mu_column *column)
{
    struct mu_buf text;
    const char *paint = mu_people_paint(state_of(row, column), t->color);

    mu_buf_init(&text, 0);
    put_cell(&text, t, row, column);
    int rv = text.failed;
    if (rv == 0 && scols_line_set_data(line, i, mu_buf_text(&text)) != 0)
        rv = MU_ENOMEM;
    if (rv == 0 && *paint && scols_cell_set_color(scols_line_get_cell(line, i), paint) != 0)
        rv = MU_ENOMEM;
    mu_buf_fini(&text);
    return rv;
}

static int fill_rows(struct libscols_table *tb, const struct mu_table *t, size_t limit)
{
    int rv = 0;

    for (size_t i = 0; rv == 0 && i < t->ncolumns; i++)
        rv = add_heading(tb, t->columns[i].title, t->columns[i].flags);
    for (size_t r = 0; rv == 0 && r < json_array_size(t->kept) && r < limit; r++) {
        struct libscols_line *line = scols_table_new_line(tb, NULL);
        rv = line ? 0 : MU_ENOMEM;
        for (size_t i = 0; rv == 0 && i < t->ncolumns; i++)
            rv = set_cell(line, i, t, json_array_get(t->kept, r), &t->columns[i]);
    }
    return rv;
}

static int fill_fields(struct libscols_table *tb, const struct mu_table *t)
{
    int rv = add_heading(tb, "Field", 0);

    if (rv == 0)
        rv = add_heading(tb, "Value", MU_COL_CUT);
    for (size_t i = 0; rv == 0 && i < t->ncolumns; i++) {
        struct libscols_line *line = scols_table_new_line(tb, NULL);
        if (!line || scols_line_set_data(line, 0, t->columns[i].title) != 0)
            return MU_ENOMEM;
        rv = set_cell(line, 1, t, json_array_get(t->kept, 0), &t->columns[i]);
    }
    return rv;
}

int mu_write_people(struct mu_table *t, size_t limit)
{
    struct libscols_table *tb = new_table(t);

    if (!tb)
        return MU_ENOMEM;
    int rv = t->shape == MU_SHAPE_ONE ? fill_fields(tb, t) : fill_rows(tb, t, limit);
    if (rv == 0 && scols_print_table(tb) != 0)
        rv = MU_EIO;
    scols_unref_table(tb);
    return rv;
}

/* For people, as it happens: columns as wide as they mostly are. */

static void put_padded(struct mu_buf *line, const char *text, int width, bool last)
{
    size_t w = mu_people_width(text);

    mu_buf_puts(line, text);
    if (!last)
        mu_buf_printf(line, "%*s", (w < (size_t)width ? width - (int)w : 0) + 2, "");
}

static void put_heading(struct mu_buf *line, const struct mu_table *t)
{
    for (size_t i = 0; i < t->ncolumns; i++)
        put_padded(line, t->columns[i].title, t->columns[i].width, i + 1 == t->ncolumns);
    mu_buf_puts(line, "\n");
}

static int finish_line(struct mu_table *t, struct mu_buf *line)
{
    int rv = line->failed;

    if (rv == 0 && fwrite(line->data, 1, line->len, t->to) != line->len)
        rv = MU_EIO;
    mu_buf_fini(line);
    t->began = true;
    return rv;
}

int mu_write_line(struct mu_table *t, json_t *row)
{
    struct mu_buf line, cell;

    mu_buf_init(&line, 0);
    mu_buf_init(&cell, 0);
    t->now = mu_clock_wall();
    if (!t->began && t->header)
        put_heading(&line, t);
    for (size_t i = 0; i < t->ncolumns; i++) {
        const char *paint = mu_people_paint(state_of(row, &t->columns[i]), t->color);
        mu_buf_reset(&cell);
        put_cell(&cell, t, row, &t->columns[i]);
        mu_buf_puts(&line, paint);
        put_padded(&line, mu_buf_text(&cell), t->columns[i].width, i + 1 == t->ncolumns);
        mu_buf_puts(&line, mu_people_plain(*paint));
        if (cell.failed)
            line.failed = cell.failed;
    }
    mu_buf_puts(&line, "\n");
    mu_buf_fini(&cell);
    return finish_line(t, &line);
}

/* For programs. */

static int write_json(struct mu_table *t, const json_t *row)
{
    if (t->shape == MU_SHAPE_ONE)
        return mu_print_json(t->to, row);
    char *text = json_dumps(row, MU_JSON_FLAGS | (t->shape == MU_SHAPE_LIST ? 0 : JSON_COMPACT));
    if (!text)
        return MU_ENOMEM;
    const char *before = t->shape == MU_SHAPE_STREAM ? "" : t->began ? ",\n  " : "[\n  ";
    int n = fprintf(t->to, "%s%s%s", before, text, t->shape == MU_SHAPE_STREAM ? "\n" : "");
    free(text);
    t->began = true;
    return n < 0 ? MU_EIO : 0;
}

static int write_yaml(struct mu_table *t, json_t *row)
{
    int rv;

    if (t->shape == MU_SHAPE_LIST) { /* a list of one after the other is one list */
        json_t *list = json_pack("[O]", row);
        rv = list ? mu_print_yaml(t->to, list, false) : MU_ENOMEM;
        json_decref(list);
    } else {
        rv = mu_print_yaml(t->to, row, t->shape == MU_SHAPE_STREAM);
    }
    t->began = true;
    return rv;
}

static void put_csv(struct mu_buf *line, const struct mu_table *t, const json_t *row)
{
    struct mu_buf cell;

    mu_buf_init(&cell, 0);
    for (size_t i = 0; !t->began && t->header && i < t->ncolumns; i++) {
        mu_buf_puts(line, i ? "," : "");
        mu_print_csv(line, t->columns[i].key);
        mu_buf_puts(line, i + 1 == t->ncolumns ? "\r\n" : "");
    }
    for (size_t i = 0; row && i < t->ncolumns; i++) {
        json_t *value = mu_cell(row, t->columns[i].key);
        mu_buf_reset(&cell);
        mu_cell_text(&cell, value, "", false);
        mu_buf_puts(line, i ? "," : "");
        mu_print_csv(line, mu_buf_text(&cell));
        mu_buf_puts(line, i + 1 == t->ncolumns ? "\r\n" : "");
        json_decref(value);
    }
    mu_buf_fini(&cell);
}

static void put_value(struct mu_buf *line, const struct mu_table *t, const json_t *row)
{
    struct mu_buf cell;

    mu_buf_init(&cell, 0);
    for (size_t i = 0; i < t->ncolumns; i++) {
        json_t *value = mu_cell(row, t->columns[i].key);
        mu_buf_reset(&cell);
        mu_cell_text(&cell, value, "None", true);
        mu_people_clean(line, mu_buf_text(&cell));
        bool ends = t->shape == MU_SHAPE_ONE || i + 1 == t->ncolumns;
        mu_buf_puts(line, ends ? "\n" : " ");
        json_decref(value);
    }
    mu_buf_fini(&cell);
}

static void put_name(struct mu_buf *line, const json_t *row)
{
    json_t *value = mu_cell(row, "name");

    if (json_is_string(value)) { /* an event of the conductor is nobody's */
        mu_people_clean(line, json_string_value(value));
        mu_buf_puts(line, "\n");
    }
    json_decref(value);
}

int mu_write_row(struct mu_table *t, json_t *row)
{
    struct mu_buf line;
    json_t *shaped = shape(t, row);
    int rv;

    if (!shaped)
        return MU_ENOMEM;
    mu_buf_init(&line, 0);
    switch (t->format) {
    case MU_FORMAT_JSON:
        rv = write_json(t, shaped);
        break;
    case MU_FORMAT_YAML:
        rv = write_yaml(t, shaped);
        break;
    case MU_FORMAT_CSV:
        put_csv(&line, t, shaped);
        rv = finish_line(t, &line);
        break;
    case MU_FORMAT_VALUE:
        put_value(&line, t, shaped);
        rv = finish_line(t, &line);
        break;
    default:
        put_name(&line, row);
        rv = finish_line(t, &line);
        break;
    }
    json_decref(shaped);
    return rv;
}

int mu_write_end(struct mu_table *t)
{
    struct mu_buf line;

    if (t->shape != MU_SHAPE_LIST)
        return 0;
    if (t->format == MU_FORMAT_JSON)
        return fputs(t->began ? "\n]\n" : "[]\n", t->to) < 0 ? MU_EIO : 0;
    if (t->format == MU_FORMAT_YAML)
        return !t->began && fputs("[]\n", t->to) < 0 ? MU_EIO : 0;
    if (t->format != MU_FORMAT_CSV || t->began)
        return 0;
    mu_buf_init(&line, 0);
    put_csv(&line, t, NULL);
    return finish_line(t, &line);
}
