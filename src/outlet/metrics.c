#include "outlet/metrics.h"

#include <inttypes.h>

#include "base/mem.h"
#include "base/stat.h"

struct mu_metrics {
    uint64_t transitions[MU_STATES][MU_REASONS_N];
    uint64_t others[MU_KINDS]; /* events of the other kinds */
    char version[64];
};

static void sink(void *ctx, const struct mu_event *event)
{
    struct mu_metrics *metrics = ctx;

    if (event->kind == MU_KIND_STATE && event->to < MU_STATES && event->reason < MU_REASONS_N)
        metrics->transitions[event->to][event->reason]++;
    else if (event->kind < MU_KINDS)
        metrics->others[event->kind]++;
}

int mu_metrics_new(struct mu_metrics **out, struct mu_bus *bus, const char *version)
{
    struct mu_metrics *metrics = mu_alloc(sizeof(*metrics));

    if (!metrics)
        return MU_ENOMEM;
    for (size_t i = 0; version[i] && i + 1 < sizeof(metrics->version); i++)
        metrics->version[i] = version[i];
    if (mu_bus_attach(bus, sink, metrics)) {
        mu_free(metrics);
        return MU_ENOMEM;
    }
    *out = metrics;
    return 0;
}

void mu_metrics_free(struct mu_metrics *metrics)
{
    mu_free(metrics);
}

static void family(struct mu_buf *out, const char *name, const char *type, const char *help)
{
    mu_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void label(struct mu_buf *out, char before, const char *name, const char *value)
{
    mu_buf_printf(out, "%c%s=\"", before, name);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            mu_buf_u8(out, '\\');
        if (*value == '\n')
            mu_buf_puts(out, "\\n");
        else
            mu_buf_u8(out, (uint8_t)*value);
    }
    mu_buf_u8(out, '"');
}

static void gauge(struct mu_buf *out, const char *name, double value, const char *help)
{
    family(out, name, "gauge", help);
    mu_buf_printf(out, "%s %.9g\n", name, value);
}

static void counter(struct mu_buf *out, const char *name, uint64_t value, const char *help)
{
    family(out, name, "counter", help);
    mu_buf_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void expose_agents(const struct mu_census *census, struct mu_buf *out)
{
    family(out, "muster_agents", "gauge", "Agents by zone, binary and the State shown.");
    for (uint32_t i = 0; i < census->n; i++) {
        const struct mu_census_line *line = &census->lines[i];

        for (int state = 0; state < MU_STATES && mu_census_sum(line) > 0; state++) {
            mu_buf_puts(out, "muster_agents");
            label(out, '{', "zone", line->zone);
            label(out, ',', "binary", line->binary);
            label(out, ',', "state", mu_state_text((enum mu_state)state));
            mu_buf_printf(out, "} %" PRIu32 "\n", line->state[state]);
        }
    }
    gauge(out, "muster_agents_disabled", census->disabled, "Agents whose Status is disabled.");
    gauge(out, "muster_agents_forced_down", census->forced, "Agents forced down.");
}

static void expose_events(const struct mu_metrics *metrics, struct mu_buf *out)
{
    family(out, "muster_transitions_total", "counter",
           "Changes of State by what it became and why.");
    for (int to = 0; to < MU_STATES; to++)
        for (int why = 0; why < MU_REASONS_N; why++) {
            if (!metrics->transitions[to][why])
                continue;
            mu_buf_puts(out, "muster_transitions_total");
            label(out, '{', "to", mu_state_text((enum mu_state)to));
            label(out, ',', "reason", mu_reason_text((enum mu_reason)why));
            mu_buf_printf(out, "} %" PRIu64 "\n", metrics->transitions[to][why]);
        }
    family(out, "muster_events_total", "counter", "Events of other kinds than state.");
    for (int kind = 0; kind < MU_KINDS; kind++)
        if (kind != MU_KIND_STATE) {
            mu_buf_puts(out, "muster_events_total");
            label(out, '{', "kind", mu_kind_text((enum mu_kind)kind));
            mu_buf_printf(out, "} %" PRIu64 "\n", metrics->others[kind]);
        }
}

static void expose_store(const struct mu_store_health *store, struct mu_buf *out)
{
    gauge(out, "muster_store_up", store->ok, "1 while the store answers.");
    gauge(out, "muster_store_away_seconds", (double)store->away / (double)MU_SEC,
          "How long the store has not answered.");
    gauge(out, "muster_store_jobs", (double)store->jobs, "Jobs of the store waiting or running.");
    counter(out, "muster_store_writes_total", store->writes, "Transactions written.");
    counter(out, "muster_store_errors_total", store->errors, "Jobs of the store that failed.");
    gauge(out, "muster_store_last_write_seconds", store->write_seconds,
          "Time that the last transaction took.");
}

static void expose_journal(const struct mu_journal_health *journal, struct mu_buf *out)
{
    gauge(out, "muster_journal_events", (double)journal->events, "Events waiting for the store.");
    gauge(out, "muster_journal_proposals", (double)journal->proposals,
          "Writes waiting for the store.");
    gauge(out, "muster_journal_payload_bytes", (double)journal->payload_bytes,
          "Bytes of payloads waiting for the store.");
    gauge(out, "muster_journal_wait_seconds", (double)journal->oldest / (double)MU_SEC,
          "How long the oldest of what waits for the store has waited.");
}

void mu_metrics_expose(const struct mu_metrics *metrics, const struct mu_census *census,
                       const struct mu_store_health *store, const struct mu_journal_health *journal,
                       struct mu_buf *out)
{
    family(out, "muster_build_info", "gauge", "Always 1; the version is a label.");
    mu_buf_puts(out, "muster_build_info");
    label(out, '{', "version", metrics->version);
    mu_buf_puts(out, "} 1\n");
    mu_stat_expose(out);
    expose_agents(census, out);
    expose_events(metrics, out);
    expose_store(store, out);
    if (journal)
        expose_journal(journal, out);
}
