#include "event/event.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

const struct mu_evidence mu_no_evidence = {
    .silence_ms = -1,
    .threshold_ms = -1,
    .stall_ms = -1,
    .count = -1,
    .exit_status = -1,
    .signal = -1,
};

struct mu_text *mu_text_new(const char *text)
{
    size_t n = strlen(text) + 1;
    struct mu_text *out = mu_alloc(sizeof(*out) + n);

    if (!out)
        return NULL;
    out->refs = 1;
    memcpy(out->text, text, n);
    return out;
}

void mu_text_unref(struct mu_text *text)
{
    if (!text)
        return;
    assert(text->refs > 0);
    if (--text->refs == 0)
        mu_free(text);
}

void mu_event_ref(const struct mu_event *event)
{
    if (event->who)
        mu_ident_ref(event->who);
    if (event->text)
        event->text->refs++;
}

void mu_event_unref(const struct mu_event *event)
{
    mu_ident_unref(event->who);
    mu_text_unref(event->text);
}

const char *mu_event_word(const struct mu_event *event, uint8_t word)
{
    switch (word) {
    case MU_WORD_NONE:
        return "";
    case MU_WORD_ENABLED:
        return "enabled";
    case MU_WORD_DISABLED:
        return "disabled";
    case MU_WORD_FORCED:
        return "forced";
    case MU_WORD_NOT_FORCED:
        return "not forced";
    case MU_WORD_PRESENT:
        return "present";
    case MU_WORD_DELETED:
        return "deleted";
    default:
        return event->kind == MU_KIND_STATE ? mu_state_text((enum mu_state)word) : "";
    }
}

/* Appends `"key":value` to the object in @out, when it applies. */
static void put_number(char *out, size_t size, const char *key, int64_t value, int64_t none)
{
    size_t n = strlen(out);

    if (value == none)
        return;
    snprintf(out + n, size - n, "%s\"%s\":%" PRId64, n > 1 ? "," : "", key, value);
}

static void put_detail(const struct mu_evidence *e, char *out, size_t size)
{
    strcpy(out, "{");
    put_number(out, size, "silence_ms", e->silence_ms, -1);
    put_number(out, size, "threshold_ms", e->threshold_ms, -1);
    put_number(out, size, "stall_ms", e->stall_ms, -1);
    put_number(out, size, "count", e->count, -1);
    put_number(out, size, "first", (int64_t)e->first, 0);
    put_number(out, size, "last", (int64_t)e->last, 0);
    put_number(out, size, "exit_status", e->exit_status, -1);
    put_number(out, size, "signal", e->signal, -1);
    strcat(out, "}");
}

void mu_event_words(const struct mu_event *event, struct mu_event_scratch *scratch,
                    struct mu_event_row *out)
{
    scratch->agent[0] = scratch->uuid[0] = '\0';
    if (event->who) {
        snprintf(scratch->agent, sizeof(scratch->agent), "%s@%s", event->who->binary,
                 event->who->host);
        mu_uuid_text(event->who->uuid, scratch->uuid);
    }
    put_detail(&event->evidence, scratch->detail, sizeof(scratch->detail) - 2);
    *out = (struct mu_event_row){
        .seq = event->seq,
        .at = event->at,
        .kind = mu_kind_text((enum mu_kind)event->kind),
        .from = mu_event_word(event, event->from),
        .to = mu_event_word(event, event->to),
        .reason = event->text ? event->text->text : mu_reason_text((enum mu_reason)event->reason),
        .agent = scratch->agent,
        .uuid = scratch->uuid,
        .detail = scratch->detail,
    };
}
