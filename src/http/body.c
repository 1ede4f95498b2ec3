#include "http/body.h"

#include <stdbool.h>
#include <string.h>

/* jansson recurses as deep as the input says: it is not asked before this has looked. */
static bool too_deep(const char *text, size_t n)
{
    unsigned depth = 0;
    bool in_text = false;

    for (size_t i = 0; i < n; i++) {
        if (in_text) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                in_text = false;
        } else if (text[i] == '"') {
            in_text = true;
        } else if (text[i] == '{' || text[i] == '[') {
            if (++depth > MU_BODY_DEPTH)
                return true;
        } else if ((text[i] == '}' || text[i] == ']') && depth) {
            depth--;
        }
    }
    return false;
}

int mu_names_have(const char *names, const char *name)
{
    while (*names) {
        size_t n = strcspn(names, ",");

        if (n > 1 && names[n - 1] == '*') {
            if (strncmp(names, name, n - 1) == 0 && name[n - 1])
                return 1;
        } else if (n == strlen(name) && strncmp(names, name, n) == 0) {
            return 1;
        }
        names += n + (names[n] == ',');
    }
    return 0;
}

int mu_body_parse(const void *data, size_t n, const char *keys, json_t **out, struct mu_err *err)
{
    json_error_t why;
    json_t *body;
    const char *key;
    json_t *value;

    if (n == 0)
        return mu_err_set(err, MU_EINVAL, "body is empty; send a JSON object");
    if (too_deep(data, n))
        return mu_err_set(err, MU_EINVAL, "body is nested deeper than %d levels", MU_BODY_DEPTH);
    body = json_loadb(data, n, JSON_REJECT_DUPLICATES, &why);
    if (!body)
        return mu_err_set(err, MU_EINVAL, "body is not JSON: line %d: %s", why.line, why.text);
    if (!json_is_object(body)) {
        json_decref(body);
        return mu_err_set(err, MU_EINVAL, "body is not a JSON object");
    }
    json_object_foreach(body, key, value)
    {
        if (!mu_names_have(keys, key)) {
            mu_err_set(err, MU_EINVAL, "body has the unknown key \"%.64s\"; known are: %s", key,
                       *keys ? keys : "none");
            json_decref(body);
            return MU_EINVAL;
        }
    }
    *out = body;
    return 0;
}
