#include <assert.h>
#include <string.h>

#include "fleet/roster_own.h"

uint32_t mu_roster_count(const struct mu_roster *r)
{
    return r->count;
}

uint32_t mu_roster_taken(const struct mu_roster *r)
{
    return r->slots - r->nfree;
}

uint32_t mu_roster_slots(const struct mu_roster *r)
{
    return r->slots;
}

bool mu_roster_used(const struct mu_roster *r, uint32_t slot)
{
    return visible(r, slot);
}

bool mu_roster_hidden(const struct mu_roster *r, uint32_t slot)
{
    return r->flags[slot] & HIDDEN;
}

uint32_t mu_roster_generation(const struct mu_roster *r, uint32_t slot)
{
    return r->cold[slot].generation;
}

uint32_t mu_roster_find_any(const struct mu_roster *r, const char *binary, const char *host)
{
    return mu_index_name(&r->index, binary, host);
}

static uint32_t if_visible(const struct mu_roster *r, uint32_t slot)
{
    return visible(r, slot) ? slot : MU_NO_SLOT;
}

uint32_t mu_roster_find(const struct mu_roster *r, const char *binary, const char *host)
{
    return if_visible(r, mu_roster_find_any(r, binary, host));
}

uint32_t mu_roster_find_uuid(const struct mu_roster *r, const uint8_t uuid[16])
{
    return if_visible(r, mu_index_uuid(&r->index, uuid));
}

uint32_t mu_roster_find_row(const struct mu_roster *r, uint32_t row)
{
    return if_visible(r, mu_index_row(&r->index, row));
}

void mu_roster_beat(const struct mu_roster *r, uint32_t slot, mu_wall *last_seen, uint64_t *count)
{
    *last_seen = r->flags[slot] & HEARD ? r->heard[slot] / MU_MS + r->wall_offset : r->heard[slot];
    *count = r->cold[slot].report_count;
}

static const char *labels_of(const struct mu_roster *r, uint32_t slot)
{
    uint32_t labels = r->cold[slot].labels;

    return labels ? mu_pool_text(&r->pool, labels) : "{}";
}

void mu_roster_glance(const struct mu_roster *r, uint32_t slot, struct mu_glance *out)
{
    *out = (struct mu_glance){
        .ident = r->cold[slot].ident,
        .zone = mu_pool_text(&r->pool, r->cold[slot].zone),
        .labels = labels_of(r, slot),
        .shown = shown(r, slot),
        .disabled = r->flags[slot] & DISABLED,
        .forced_down = r->flags[slot] & FORCED,
    };
}

static void current_row(const struct mu_roster *r, uint32_t slot, struct mu_row *out)
{
    const struct cold *cold = &r->cold[slot];

    *out = (struct mu_row){
        .id = cold->row,
        .ident = cold->ident,
        .zone = mu_pool_text(&r->pool, cold->zone),
        .labels = labels_of(r, slot),
        .version = mu_pool_text(&r->pool, cold->version),
        .disabled = r->flags[slot] & DISABLED,
        .disabled_reason = mu_pool_text(&r->pool, cold->disabled_reason),
        .forced_down = r->flags[slot] & FORCED,
        .forced_reason = mu_pool_text(&r->pool, cold->forced_reason),
        .revision = cold->revision,
        .state = r->state[slot],
        .state_reason = cold->reason,
        .state_since = cold->state_since,
        .start_id = cold->start_id,
        .incarnation = cold->incarnation,
        .session = cold->session,
        .index = cold->index,
        .interval_ms = cold->interval_ms,
        .joined_at = cold->joined_at,
    };
    mu_roster_beat(r, slot, &out->last_seen, &out->report_count);
}

bool mu_roster_row(const struct mu_roster *r, uint32_t slot, struct mu_row *out)
{
    const struct pend *pend;

    current_row(r, slot, out);
    if (!(r->flags[slot] & PENDING))
        return true;
    pend = *find_pend(r, slot);
    assert(pend); /* PENDING says so */
    if (pend->deletes)
        return false;
    out->disabled = pend->disabled;
    out->disabled_reason = mu_pool_text(&r->pool, pend->disabled_reason);
    out->forced_down = pend->forced_down;
    out->forced_reason = mu_pool_text(&r->pool, pend->forced_reason);
    out->revision = pend->revision;
    return true;
}

void mu_roster_view(const struct mu_roster *r, uint32_t slot, mu_time now, struct mu_view *out)
{
    const struct cold *cold = &r->cold[slot];

    memset(out, 0, sizeof(*out));
    current_row(r, slot, &out->row);
    out->slot = slot;
    out->shown = shown(r, slot);
    out->shown_reason = cold->reason;
    if (r->flags[slot] & FORCED)
        out->shown_reason = MU_WHY_OPERATOR;
    else if (out->shown == MU_UNKNOWN)
        out->shown_reason = MU_WHY_NOT_HEARD;
    out->heard = r->flags[slot] & HEARD;
    out->silence = MU_NEVER;
    if (out->heard)
        out->silence = now > r->heard[slot] ? now - r->heard[slot] : 0;
    out->times = times_of(r, slot);
    out->policy = r->policies->at[cold->policy].name;
    out->payload_len = cold->payload_len;
}

size_t mu_roster_by_name(struct mu_roster *r, const char *after_binary, const char *after_host,
                         uint32_t *out, size_t n)
{
    size_t got = 0;

    /* Hidden ones are passed over, so that a page is short only at the end. */
    while (got < n) {
        size_t end = got + mu_index_after(&r->index, after_binary, after_host, out + got, n - got);

        if (end == got)
            break;
        after_binary = r->cold[out[end - 1]].ident->binary;
        after_host = r->cold[out[end - 1]].ident->host;
        for (size_t i = got; i < end; i++)
            if (visible(r, out[i]))
                out[got++] = out[i];
    }
    return got;
}

uint32_t mu_roster_shown(const struct mu_roster *r, enum mu_state state)
{
    return r->shown[state];
}

void mu_roster_pulse(const struct mu_roster *r, uint32_t slot, struct mu_pulse *out)
{
    const struct cold *cold = &r->cold[slot];

    out->state = derived(r, slot);
    out->since = cold->since;
    out->suspect_at = cold->since + cold->suspect_ms * MU_MS;
    out->down_at = cold->since + cold->down_ms * MU_MS;
    out->heard = r->flags[slot] & HEARD ? r->heard[slot] : MU_NEVER;
    out->times = times_of(r, slot);
}

const mu_time *mu_roster_due(const struct mu_roster *r)
{
    return r->due;
}

enum mu_state mu_roster_state(const struct mu_roster *r, uint32_t slot)
{
    return derived(r, slot);
}

bool mu_roster_forced(const struct mu_roster *r, uint32_t slot)
{
    return r->flags[slot] & FORCED;
}

mu_dur mu_roster_down_time(const struct mu_roster *r, uint32_t slot)
{
    return times_of(r, slot).down;
}

struct mu_ident *mu_roster_ident(const struct mu_roster *r, uint32_t slot)
{
    return r->cold[slot].ident;
}

size_t mu_roster_history(const struct mu_roster *r, uint32_t slot, uint32_t gaps_ms[MU_GAPS])
{
    return mu_history_ms(&r->cold[slot].history, gaps_ms);
}

mu_dur mu_roster_shortest(const struct mu_roster *r)
{
    uint32_t shortest = UINT32_MAX;

    for (uint32_t slot = 0; slot < r->slots; slot++)
        if (visible(r, slot) && r->cold[slot].interval_ms < shortest)
            shortest = r->cold[slot].interval_ms;
    return shortest == UINT32_MAX ? MU_NEVER : shortest * MU_MS;
}
