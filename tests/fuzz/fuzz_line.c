/* Lines that local programs write to a relay. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "relay/line.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    struct mu_err err = {0};
    struct mu_line line;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (mu_line_parse(&line, text, &err) == 0) {
        assert(line.binary[0] && line.nlabels <= MU_LABELS_MAX && line.interval >= 0);
        for (size_t i = 0; i < line.nlabels; i++)
            assert(line.labels[i][0][0] && line.labels[i][1]);
        assert(line.verb != MU_LINE_REPORT || line.json);
    } else {
        assert(err.text[0] && mu_utf8_valid(err.text, strlen(err.text)));
    }
    free(text);
    return 0;
}
