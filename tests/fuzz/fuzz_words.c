/* Objects that stand in a database: what is taken for one is one for another reader, too. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    for (int numbers = 0; numbers < 2; numbers++) {
        json_error_t error;
        json_t *json;

        if (!mu_words_object(text, numbers))
            continue;
        json = json_loads(text, JSON_DECODE_INT_AS_REAL, &error);
        if (json ? !json_is_object(json) : json_error_code(&error) != json_error_numeric_overflow)
            abort();
        json_decref(json);
    }
    free(text);
    return 0;
}
