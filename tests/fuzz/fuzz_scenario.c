/* Scenarios: a step that was read is one that can be played, and all are in order of time. */
#include <assert.h>
#include <string.h>

#include "base/utf8.h"
#include "sim/scenario.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mu_scenario sc;
    struct mu_err err = {0};

    mu_scenario_init(&sc);
    if (mu_scenario_parse(&sc, "file", (const char *)data, size, &err) != 0)
        assert(sc.n == 0 && err.text[0] && mu_utf8_valid(err.text, strlen(err.text)));
    for (size_t i = 0; i < sc.n; i++) {
        const struct mu_step *step = &sc.steps[i];

        assert(step->at >= 0 && (i == 0 || sc.steps[i - 1].at <= step->at));
        assert(step->length > 0 && step->delay >= 0 && step->act < MU_ACTS);
        assert(step->loss >= 0 && step->loss <= 100);
        assert(step->whom.percent >= 0 && step->whom.percent <= 100);
        assert(step->whom.nterms <= MU_WHOM_TERMS);
    }
    mu_scenario_fini(&sc);
    return 0;
}
