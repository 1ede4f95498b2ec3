#include "http/view.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/rng.h"

mu_dur mu_view_age(const struct mu_view *view, mu_wall wall)
{
    if (view->heard)
        return view->silence;
    if (!view->row.last_seen)
        return MU_NEVER;
    /* heard by an earlier conductor: only the wall clock spans both lives */
    return wall > view->row.last_seen ? (wall - view->row.last_seen) * MU_MS : 0;
}

char *mu_view_etag(const struct mu_view *view, char out[MU_ETAG_TEXT])
{
    char uuid[MU_UUID_TEXT];

    snprintf(out, MU_ETAG_TEXT, "\"%s-%" PRIu32 "\"", mu_uuid_text(view->row.ident->uuid, uuid),
             view->row.revision);
    return out;
}

static const char *state_reason(const struct mu_view *view)
{
    if (view->row.forced_down && view->row.forced_reason && *view->row.forced_reason)
        return view->row.forced_reason;
    return mu_reason_text(view->row.forced_down ? MU_WHY_OPERATOR : view->shown_reason);
}

void mu_view_agent(struct mu_json *json, const char *key, const struct mu_view *view, mu_wall wall)
{
    const struct mu_row *row = &view->row;
    char uuid[MU_UUID_TEXT];

    mu_json_object(json, key);
    mu_json_text(json, "uuid", mu_uuid_text(row->ident->uuid, uuid));
    mu_json_text(json, "binary", row->ident->binary);
    mu_json_text(json, "host", row->ident->host);
    mu_json_some(json, "zone", row->zone);
    mu_json_raw(json, "labels", row->labels && *row->labels ? row->labels : "{}");
    mu_json_some(json, "version", row->version);
    mu_json_text(json, "status", row->disabled ? "disabled" : "enabled");
    mu_json_some(json, "disabled_reason", row->disabled ? row->disabled_reason : NULL);
    mu_json_bool(json, "forced_down", row->forced_down);
    mu_json_text(json, "state", mu_state_text(view->shown));
    mu_json_some(json, "state_reason", state_reason(view));
    mu_json_wall(json, "state_since", row->state_since);
    mu_json_wall(json, "last_seen_at", row->last_seen);
    mu_json_dur(json, "age_s", mu_view_age(view, wall));
    mu_json_uint(json, "report_count", row->report_count);
    mu_json_uint(json, "incarnation", row->incarnation);
    mu_json_dur(json, "report_interval_s", view->times.interval);
    mu_json_dur(json, "down_time_s", view->times.down);
    mu_json_end(json);
}

void mu_view_event(struct mu_json *json, const struct mu_event_row *row)
{
    mu_json_object(json, NULL);
    mu_json_uint(json, "seq", row->seq);
    mu_json_wall(json, "at", row->at);
    mu_json_some(json, "agent", row->agent);
    mu_json_some(json, "uuid", row->uuid);
    mu_json_text(json, "kind", row->kind);
    mu_json_some(json, "from", row->from);
    mu_json_some(json, "to", row->to);
    mu_json_some(json, "reason", row->reason);
    mu_json_raw(json, "detail", row->detail && *row->detail ? row->detail : "{}");
    mu_json_end(json);
}

static void put_beats(struct mu_json *json, const struct mu_explanation *why)
{
    mu_json_array(json, "beats");
    for (size_t i = 0; i < why->nbeats; i++) {
        mu_json_object(json, NULL);
        mu_json_wall(json, "at", why->beats_at[i]);
        mu_json_dur(json, "gap_s", i < why->ngaps ? why->gaps_ms[i] * MU_MS : MU_NEVER);
        mu_json_end(json);
    }
    mu_json_end(json);
}

static void put_numbers(struct mu_json *json, const struct mu_explanation *why)
{
    mu_json_array(json, "numbers");
    for (size_t i = 0; i < why->nnumbers; i++) {
        mu_json_object(json, NULL);
        mu_json_text(json, "name", why->numbers[i].name);
        mu_json_number(json, "value", why->numbers[i].value);
        mu_json_some(json, "unit", why->numbers[i].unit);
        mu_json_end(json);
    }
    mu_json_end(json);
}

static void put_hearing(struct mu_json *json, const struct mu_explanation *why)
{
    mu_json_object(json, "hearing");
    mu_json_bool(json, "deaf", why->deaf);
    mu_json_text(json, "summary", why->hearing);
    mu_json_dur(json, "stalled_total_s", why->stalled_total);
    mu_json_wall(json, "last_stall_at", why->last_stall_at);
    mu_json_dur(json, "last_stall_s", why->last_stall);
    mu_json_uint(json, "drops", why->drops);
    mu_json_end(json);
}

void mu_view_explanation(struct mu_json *json, const struct mu_explanation *why, mu_wall wall)
{
    char session[24] = "";

    if (why->session)
        snprintf(session, sizeof(session), "%016" PRIx64, why->session);
    mu_json_object(json, NULL);
    mu_view_agent(json, "agent", &why->view, wall);
    mu_json_text(json, "verdict", why->verdict);
    mu_json_text(json, "rule", why->rule);
    mu_json_text(json, "detector", why->detector);
    mu_json_text(json, "policy", why->view.policy);
    mu_json_dur(json, "suspect_time_s", why->view.times.suspect);
    mu_json_dur(json, "earliest_down_time_s", why->view.times.floor);
    mu_json_dur(json, "suspect_after_s", why->suspect_after);
    mu_json_dur(json, "down_after_s", why->down_after);
    mu_json_number(json, "level", why->level);
    put_numbers(json, why);
    mu_json_dur(json, "silence_s", why->view.heard ? why->silence : MU_NEVER);
    mu_json_dur(json, "stalls_s", why->stalls);
    mu_json_dur(json, "suspect_in_s", why->suspect_in);
    mu_json_dur(json, "down_in_s", why->down_in);
    put_beats(json, why);
    mu_json_some(json, "path", why->path);
    mu_json_some(json, "session", session);
    mu_json_uint(json, "index", why->index);
    put_hearing(json, why);
    mu_json_array(json, "changes");
    for (size_t i = 0; i < why->nchanges; i++)
        mu_json_text(json, NULL, why->changes[i]);
    mu_json_end(json);
    mu_json_end(json);
}
