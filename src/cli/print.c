#include "cli/print.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <yaml.h>

#include "base/mem.h"

int mu_print_json(FILE *to, const json_t *value)
{
    char *text = json_dumps(value, MU_JSON_FLAGS | JSON_INDENT(2));

    if (!text)
        return MU_ENOMEM;
    int rv = fputs(text, to) < 0 || fputc('\n', to) < 0 ? MU_EIO : 0;
    free(text);
    return rv;
}

/* Whether a reader of YAML 1.1 or 1.2 takes the bare word for a string. What begins with a letter
 * is no number and no time; libyaml itself knows what would break the syntax. */
static bool plain_string(const char *text)
{
    static const char *const words[] = {"y",  "n",   "yes",  "no",   "true",
                                        "on", "off", "null", "false"};

    if (!isalpha((unsigned char)*text))
        return false;
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20)
            return false;
    for (size_t i = 0; i < MU_ARRAY_LEN(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return false;
    return true;
}

static int yaml_scalar(yaml_emitter_t *e, const char *text, yaml_scalar_style_t style)
{
    yaml_event_t event;

    return yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text,
                                        (int)strlen(text), 1, 1, style) &&
           yaml_emitter_emit(e, &event);
}

static int yaml_string(yaml_emitter_t *e, const char *text)
{
    return yaml_scalar(
        e, text, plain_string(text) ? YAML_ANY_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

static int yaml_value(yaml_emitter_t *e, const json_t *value);

static int yaml_array(yaml_emitter_t *e, const json_t *array)
{
    yaml_event_t event;
    size_t i;
    json_t *item;

    if (!yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_SEQUENCE_STYLE) ||
        !yaml_emitter_emit(e, &event))
        return 0;
    json_array_foreach(array, i, item) if (!yaml_value(e, item)) return 0;
    return yaml_sequence_end_event_initialize(&event) && yaml_emitter_emit(e, &event);
}

static int yaml_object(yaml_emitter_t *e, const json_t *object)
{
    yaml_event_t event;
    const char *key;
    json_t *item;

    if (!yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, YAML_ANY_MAPPING_STYLE) ||
        !yaml_emitter_emit(e, &event))
        return 0;
    json_object_foreach((json_t *)object, key,
                        item) if (!yaml_string(e, key) || !yaml_value(e, item)) return 0;
    return yaml_mapping_end_event_initialize(&event) && yaml_emitter_emit(e, &event);
}

static int yaml_value(yaml_emitter_t *e, const json_t *value)
{
    if (json_is_array(value))
        return yaml_array(e, value);
    if (json_is_object(value))
        return yaml_object(e, value);
    if (json_is_string(value))
        return yaml_string(e, json_string_value(value));
    char *text = json_dumps(value, MU_JSON_FLAGS); /* numbers, true, false and null are YAML too */
    int ok = text && yaml_scalar(e, text, YAML_PLAIN_SCALAR_STYLE);
    free(text);
    return ok;
}

static int yaml_document(yaml_emitter_t *e, const json_t *value, bool marked)
{
    yaml_event_t event;

    return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
           yaml_emitter_emit(e, &event) &&
           yaml_document_start_event_initialize(&event, NULL, NULL, NULL, !marked) &&
           yaml_emitter_emit(e, &event) && yaml_value(e, value) &&
           yaml_document_end_event_initialize(&event, 1) && yaml_emitter_emit(e, &event) &&
           yaml_stream_end_event_initialize(&event) && yaml_emitter_emit(e, &event);
}

int mu_print_yaml(FILE *to, const json_t *value, bool marked)
{
    yaml_emitter_t e;

    if (!yaml_emitter_initialize(&e))
        return MU_ENOMEM;
    yaml_emitter_set_output_file(&e, to);
    yaml_emitter_set_unicode(&e, 1);
    yaml_emitter_set_width(&e, -1);
    int ok = yaml_document(&e, value, marked);
    int rv = ok ? 0 : e.error == YAML_MEMORY_ERROR ? MU_ENOMEM : MU_EIO;
    yaml_emitter_delete(&e);
    return rv;
}

void mu_print_csv(struct mu_buf *out, const char *text)
{
    if (!strpbrk(text, "\",\r\n")) {
        mu_buf_puts(out, text);
        return;
    }
    mu_buf_puts(out, "\"");
    for (; *text; text++)
        mu_buf_put(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    mu_buf_puts(out, "\"");
}
