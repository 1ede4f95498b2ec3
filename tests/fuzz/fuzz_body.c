/* JSON bodies in, and our own emitter's text of any bytes, which must be JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/body.h"
#include "http/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void emit(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct mu_json json;
    struct mu_buf buf;
    json_t *read;

    if (!text)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    mu_buf_init(&buf, 0);
    mu_json_init(&json, &buf);
    mu_json_object(&json, NULL);
    mu_json_text(&json, text, text);
    mu_json_end(&json);
    read = json_loadb((const char *)buf.data, buf.len, JSON_REJECT_DUPLICATES, NULL);
    if (!read || json_object_size(read) != 1)
        abort();
    json_decref(read);
    mu_buf_fini(&buf);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mu_err err = {0};
    json_t *body;

    if (mu_body_parse(data, size, "status,reason,forced_down", &body, &err) == 0) {
        if (!json_is_object(body) || json_object_size(body) > 3)
            abort();
        json_decref(body);
    } else if (!err.text[0]) {
        abort();
    }
    emit(data, size);
    return 0;
}
