#include "http/pick.h"

#include <string.h>

/* Past the JSON string at @at; never past the end, whatever somebody wrote into the database. */
static const char *skip_text(const char *at)
{
    at += *at != '\0';
    while (*at && *at != '"')
        at += *at == '\\' && at[1] ? 2 : 1;
    return at + (*at != '\0');
}

/* Pair by pair, since the end of one and the start of the next may look like a third. */
static bool has_label(const char *labels, const char *wanted)
{
    size_t n = strlen(wanted);
    const char *end;

    for (const char *at = labels + strcspn(labels, "\""); *at == '"'; at = end + (*end == ',')) {
        end = skip_text(at);
        end = skip_text(end + (*end == ':'));
        if ((size_t)(end - at) == n && memcmp(at, wanted, n) == 0)
            return true;
    }
    return false;
}

static bool has_prefix(const struct mu_ident *ident, const char *prefix)
{
    size_t n = strlen(prefix), nbinary = strlen(ident->binary);

    if (n <= nbinary)
        return strncmp(ident->binary, prefix, n) == 0;
    return strncmp(ident->binary, prefix, nbinary) == 0 && prefix[nbinary] == '@' &&
           strncmp(ident->host, prefix + nbinary + 1, n - nbinary - 1) == 0;
}

bool mu_pick_wants(const struct mu_pick *pick, const struct mu_glance *agent)
{
    if ((pick->states && !(pick->states >> agent->shown & 1)) ||
        (pick->disabled >= 0 && agent->disabled != pick->disabled) ||
        (pick->forced >= 0 && agent->forced_down != pick->forced) ||
        (pick->binary && strcmp(agent->ident->binary, pick->binary) != 0) ||
        (pick->host && strcmp(agent->ident->host, pick->host) != 0) ||
        (pick->zone && strcmp(agent->zone, pick->zone) != 0) ||
        (pick->prefix && !has_prefix(agent->ident, pick->prefix)))
        return false;
    for (size_t i = 0; i < pick->nlabels; i++)
        if (!has_label(agent->labels, (const char *)pick->labels[i].data))
            return false;
    return true;
}

bool mu_pick_all(const struct mu_pick *pick)
{
    return !pick->states && pick->disabled < 0 && pick->forced < 0 && !pick->binary &&
           !pick->host && !pick->zone && !pick->prefix && !pick->nlabels;
}

/* ---- from a request ---- */

/* The read_ functions return false when the request has its answer: an error. */

static bool read_states(struct mu_pick *pick, struct mu_req *req)
{
    const char *text = mu_url_param(&req->url, "state");
    char word[16];

    while (text) {
        size_t n = strcspn(text, ",");
        int state = -1;

        if (n < sizeof(word)) {
            memcpy(word, text, n);
            word[n] = '\0';
            state = mu_state_parse(word);
        }
        if (state < 0) {
            mu_req_problem(req, MU_BAD_PARAMETER,
                           "state=%.60s: a state is up, suspect, down, left or unknown", text);
            return false;
        }
        pick->states |= 1U << state;
        text = text[n] ? text + n + 1 : NULL;
    }
    return true;
}

/* One of two words; *@out is 0 for the first, 1 for the second, -1 without the parameter. */
static bool read_choice(struct mu_req *req, const char *key, const char *no, const char *yes,
                        int *out)
{
    const char *text = mu_url_param(&req->url, key);

    *out = !text ? -1 : strcmp(text, yes) == 0 ? 1 : 0;
    if (*out || strcmp(text, no) == 0)
        return true;
    mu_req_problem(req, MU_BAD_PARAMETER, "%s=%.60s: it is %s or %s", key, text, no, yes);
    return false;
}

static bool read_labels(struct mu_pick *pick, struct mu_req *req)
{
    for (size_t i = 0; i < req->url.nparams; i++) {
        struct mu_buf *label = &pick->labels[pick->nlabels], pair;
        struct mu_json json;

        if (strncmp(req->url.param[i].key, "label.", 6) != 0)
            continue;
        if (pick->nlabels == MU_PICK_LABELS) {
            mu_req_problem(req, MU_BAD_PARAMETER, "more than %d labels are asked for",
                           MU_PICK_LABELS);
            return false;
        }
        mu_buf_init(&pair, 8 * MU_URL_MAX);
        mu_json_init(&json, &pair);
        mu_json_object(&json, NULL);
        mu_json_text(&json, req->url.param[i].key + 6, req->url.param[i].value);
        mu_buf_init(label, 8 * MU_URL_MAX);
        mu_buf_puts(label, mu_buf_text(&pair) + (pair.len > 0)); /* without the brace */
        mu_buf_u8(label, '\0');
        pick->nlabels++;
        mu_buf_fini(&pair);
        if (label->failed || label->len < 2) {
            mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory for the filter");
            return false;
        }
    }
    return true;
}

bool mu_pick_read(struct mu_pick *pick, struct mu_req *req)
{
    *pick = (struct mu_pick){
        .binary = mu_url_param(&req->url, "binary"),
        .host = mu_url_param(&req->url, "host"),
        .zone = mu_url_param(&req->url, "zone"),
        .prefix = mu_url_param(&req->url, "name_prefix"),
    };
    return read_states(pick, req) &&
           read_choice(req, "status", "enabled", "disabled", &pick->disabled) &&
           read_choice(req, "forced_down", "false", "true", &pick->forced) &&
           read_labels(pick, req);
}

void mu_pick_fini(struct mu_pick *pick)
{
    for (size_t i = 0; i < pick->nlabels; i++)
        mu_buf_fini(&pick->labels[i]);
}
