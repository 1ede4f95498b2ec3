#include "store/words.h"

#include <inttypes.h>
#include <string.h>

#include "base/rng.h"

static int bad(const struct mu_words *words, const char *column, const char *value,
               struct mu_err *err)
{
    return mu_err_set(err, MU_ECORRUPT, "row %" PRId64 " has %s '%.40s', which is none", words->id,
                      column, value);
}

int mu_words_read(const struct mu_words *words, struct mu_row *row, struct mu_who *who,
                  struct mu_err *err)
{
    int state = mu_state_parse(words->state), reason = mu_reason_parse(words->reason);

    if (words->id < 1 || words->id >= UINT32_MAX)
        return mu_err_set(err, MU_ECORRUPT, "a row has id %" PRId64 ", not one of 1 to 4294967294",
                          words->id);
    if (mu_uuid_parse(words->uuid, who->uuid))
        return bad(words, "uuid", words->uuid, err);
    if (strcmp(words->status, "enabled") != 0 && strcmp(words->status, "disabled") != 0)
        return bad(words, "status", words->status, err);
    if (state < 0 || state == MU_UNKNOWN)
        return bad(words, "state", words->state, err);
    if (reason < 0)
        return bad(words, "state_reason", words->reason, err);
    row->id = (uint32_t)words->id;
    row->disabled = *words->status == 'd';
    row->state = (enum mu_state)state;
    row->state_reason = (enum mu_reason)reason;
    return 0;
}
