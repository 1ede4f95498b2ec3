#include "store/words.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/rng.h"
#include "base/utf8.h"

/* ---- objects ---- */

/* What comes behind the JSON text at @p; NULL where there is none. */
static const char *pass_text(const char *p)
{
    if (*p++ != '"')
        return NULL;
    for (; *p != '"'; p++) {
        if (*p == '\\' && (*++p == '\0' || !strchr("\"\\/bfnrt", *p)))
            return NULL;
        if ((unsigned char)*p < ' ')
            return NULL;
    }
    return p + 1;
}

static const char *pass_number(const char *p)
{
    size_t n;

    p += *p == '-';
    n = strspn(p, "0123456789");
    return n == 0 || (n > 1 && *p == '0') ? NULL : p + n;
}

bool mu_words_object(const char *text, bool numbers)
{
    const char *p = text;

    if (!mu_utf8_valid(text, strlen(text)) || *p++ != '{')
        return false;
    if (*p == '}')
        return p[1] == '\0';
    for (;;) {
        p = pass_text(p);
        if (!p || *p++ != ':')
            return false;
        p = numbers ? pass_number(p) : pass_text(p);
        if (!p)
            return false;
        if (*p == '}')
            return p[1] == '\0';
        if (*p++ != ',')
            return false;
    }
}

/* ---- rows ---- */

static int damaged(const struct mu_words *words, const char *table, struct mu_err *err)
{
    return mu_err_wrap(err, MU_ECORRUPT,
                       "row %" PRId64 " of %s is damaged; restore a backup, or mend it while no"
                       " conductor runs",
                       words->id, table);
}

static int bad(const struct mu_words *words, const char *table, const char *column,
               const char *value, struct mu_err *err)
{
    mu_err_set(err, MU_ECORRUPT, "%s '%.40s' is none", column, value);
    return damaged(words, table, err);
}

static int check_texts(const struct mu_words *words, const struct mu_row *row,
                       const struct mu_who *who, struct mu_err *err)
{
    const char *const texts[][2] = {{"zone", row->zone},
                                    {"version", row->version},
                                    {"disabled_reason", row->disabled_reason},
                                    {"forced_reason", row->forced_reason}};
    int rv = mu_name_check(who->binary, strlen(who->binary), 1, err);

    if (!rv)
        rv = mu_name_check(who->host, strlen(who->host), 0, err);
    for (size_t i = 0; i < MU_ARRAY_LEN(texts) && !rv; i++)
        rv = mu_text_check(texts[i][1], strlen(texts[i][1]), MU_NAME_PART_MAX, texts[i][0], err);
    if (!rv && *row->labels && !mu_words_object(row->labels, false))
        rv = mu_err_set(err, MU_ECORRUPT, "labels are no JSON object of texts");
    return rv ? damaged(words, "agents", err) : 0;
}

int mu_words_read(const struct mu_words *words, struct mu_row *row, struct mu_who *who,
                  struct mu_err *err)
{
    int state = mu_state_parse(words->state), reason = mu_reason_parse(words->reason);

    if (words->id < 1 || words->id >= UINT32_MAX) {
        mu_err_set(err, MU_ECORRUPT, "its id is not one of 1 to 4294967294");
        return damaged(words, "agents", err);
    }
    if (mu_uuid_parse(words->uuid, who->uuid))
        return bad(words, "agents", "uuid", words->uuid, err);
    if (strcmp(words->status, "enabled") != 0 && strcmp(words->status, "disabled") != 0)
        return bad(words, "agents", "status", words->status, err);
    if (state < 0 || state == MU_UNKNOWN)
        return bad(words, "beats", "state", words->state, err);
    if (reason < 0)
        return bad(words, "beats", "state_reason", words->reason, err);
    row->id = (uint32_t)words->id;
    row->disabled = *words->status == 'd';
    row->state = (enum mu_state)state;
    row->state_reason = (enum mu_reason)reason;
    return check_texts(words, row, who, err);
}
