#include "outlet/diary.h"

#include "base/log.h"

struct page {
    struct mu_kv kvs[16];
    size_t n;
};

static void put_text(struct page *page, const char *key, const char *text)
{
    if (*text)
        page->kvs[page->n++] = MU_KVS(key, text);
}

static void put_number(struct page *page, const char *key, int64_t value)
{
    if (value >= 0)
        page->kvs[page->n++] = MU_KVI(key, value);
}

static void put_evidence(struct page *page, const struct mu_evidence *e)
{
    put_number(page, "silence_ms", e->silence_ms);
    put_number(page, "threshold_ms", e->threshold_ms);
    put_number(page, "stall_ms", e->stall_ms);
    put_number(page, "count", e->count);
    put_number(page, "exit_status", e->exit_status);
    put_number(page, "signal", e->signal);
}

/* What is told elsewhere: the start and the end by `ready` and `stopped`, a loss by the journal. */
static bool is_told(const struct mu_event *event)
{
    return event->reason == MU_WHY_STARTED || event->reason == MU_WHY_STOPPED ||
           event->reason == MU_WHY_EVENTS_LOST;
}

static enum mu_log_level level_of(const struct mu_event *event)
{
    bool bad = event->reason == MU_WHY_CONTESTED;

    if (event->kind == MU_KIND_STATE)
        bad = event->to == MU_DOWN;
    else if (event->kind == MU_KIND_CONDUCTOR)
        bad = event->reason != MU_WHY_HEARS_AGAIN;
    return bad ? MU_LOG_WARN : MU_LOG_INFO;
}

static const char *headline(const struct mu_event *event)
{
    switch (event->kind) {
    case MU_KIND_JOINED:
    case MU_KIND_CONDUCTOR:
        return mu_reason_text((enum mu_reason)event->reason);
    case MU_KIND_DELETED:
        return mu_kind_text(MU_KIND_DELETED);
    default:
        return mu_event_word(event, event->to);
    }
}

static void write_down(void *ctx, const struct mu_event *event)
{
    enum mu_log_level level = level_of(event);
    struct mu_event_scratch scratch;
    struct mu_event_row row;
    struct page page = {.n = 0};

    if (is_told(event) || !mu_log_change_due(level, "fleet", headline(event)))
        return;
    mu_event_words(event, &scratch, &row);
    put_text(&page, "agent", row.agent);
    put_text(&page, "from", row.from);
    put_text(&page, "to", row.to);
    put_text(&page, "reason", row.reason);
    put_evidence(&page, &event->evidence);
    page.kvs[page.n++] = MU_KVU("event", row.seq);
    mu_log_change(level, "fleet", headline(event), page.kvs, page.n);
}

int mu_diary_attach(struct mu_bus *bus)
{
    return mu_bus_attach(bus, write_down, NULL);
}
