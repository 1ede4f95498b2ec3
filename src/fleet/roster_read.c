#include <assert.h>
#include <string.h>

#include "fleet/roster_own.h"

uint32_t mu_roster_count(const struct mu_roster *r)
{
    return r->census.total;
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
    return hot_of(r, slot)->flags & HIDDEN;
}

uint32_t mu_roster_generation(const struct mu_roster *r, uint32_t slot)
{
    return cold_of(r, slot)->generation;
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

void mu_roster_beat(const struct mu_roster *r, uint32_t slot, mu_wall *last_seen, uint64_t *count)
{
    const struct hot *hot = hot_of(r, slot);

    *last_seen = (mu_wall)hot->heard + (hot->flags & HEARD ? r->wall_offset : 0);
    *count = hot->report_count;
}

void mu_roster_glance(const struct mu_roster *r, uint32_t slot, struct mu_glance *out)
{
    const struct hot *hot = hot_of(r, slot);
    const char *zone = mu_pool_text(&r->pool, hot->profile);

    *out = (struct mu_glance){
        .ident = cold_of(r, slot)->ident,
        .zone = zone,
        .labels = zone + strlen(zone) + 1,
        .shown = shown(hot),
        .disabled = hot->flags & DISABLED,
        .forced_down = hot->flags & FORCED,
    };
}

static void current_row(const struct mu_roster *r, uint32_t slot, struct mu_row *out)
{
    const struct hot *hot = hot_of(r, slot);
    const struct cold *cold = cold_of(r, slot);
    const struct more *more = more_of(r, slot);
    const char *zone = mu_pool_text(&r->pool, hot->profile);
    const char *labels = zone + strlen(zone) + 1;

    *out = (struct mu_row){
        .id = *row_of(r, slot),
        .ident = cold->ident,
        .zone = zone,
        .labels = labels,
        .version = labels + strlen(labels) + 1,
        .disabled = hot->flags & DISABLED,
        .disabled_reason = more ? mu_pool_text(&r->pool, more->disabled_reason) : "",
        .forced_down = hot->flags & FORCED,
        .forced_reason = more ? mu_pool_text(&r->pool, more->forced_reason) : "",
        .revision = more ? more->revision : 0,
        .state = (enum mu_state)hot->state,
        .state_reason = (enum mu_reason)cold->reason,
        .state_since = cold->state_since,
        .start_id = cold->start_id,
        .incarnation = cold->incarnation,
        .session = cold->session,
        .index = cold->index,
        .interval_ms = hot->interval_ms,
        .joined_at = cold->joined_at,
    };
    mu_roster_beat(r, slot, &out->last_seen, &out->report_count);
}

bool mu_roster_row(const struct mu_roster *r, uint32_t slot, struct mu_row *out)
{
    const struct pend *pend;

    current_row(r, slot, out);
    if (!mu_roster_pending(r, slot))
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
    const struct hot *hot = hot_of(r, slot);
    const struct more *more = more_of(r, slot);

    memset(out, 0, sizeof(*out));
    current_row(r, slot, &out->row);
    out->slot = slot;
    out->shown = shown(hot);
    out->shown_reason = out->row.state_reason;
    if (hot->flags & FORCED)
        out->shown_reason = MU_WHY_OPERATOR;
    else if (out->shown == MU_UNKNOWN)
        out->shown_reason = MU_WHY_NOT_HEARD;
    out->heard = hot->flags & HEARD;
    out->silence = MU_NEVER;
    if (out->heard)
        out->silence = now > (mu_time)hot->heard * MU_MS ? now - (mu_time)hot->heard * MU_MS : 0;
    out->times = times_of(r, hot);
    out->policy = r->policies->at[hot->policy].name;
    out->payload_len = more ? more->payload_len : 0;
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
        after_binary = cold_of(r, out[end - 1])->ident->binary;
        after_host = cold_of(r, out[end - 1])->ident->host;
        for (size_t i = got; i < end; i++)
            if (visible(r, out[i]))
                out[got++] = out[i];
    }
    return got;
}

const struct mu_census *mu_roster_census(const struct mu_roster *r)
{
    return &r->census;
}

void mu_roster_pulse(const struct mu_roster *r, uint32_t slot, struct mu_pulse *out)
{
    const struct hot *hot = hot_of(r, slot);

    out->state = derived(hot);
    out->since = (mu_time)hot->since * MU_MS;
    out->times = times_of(r, hot);
    out->detector = mu_detect_at((enum mu_detector)hot->detector);
    out->learned = learned(r, slot);
    out->detector->due(out->learned, &out->times, out->since, &out->suspect_at, &out->down_at);
    out->heard = hot->flags & HEARD ? (mu_time)hot->heard * MU_MS : MU_NEVER;
}

uint32_t mu_roster_due(const struct mu_roster *r, uint32_t from, mu_time h)
{
    uint32_t now = (uint32_t)(h / MU_MS);

    while (from < r->slots) {
        const struct block *block = r->blocks[from / BLOCK];
        uint32_t first = from / BLOCK * BLOCK, end = r->slots - first;

        if (end > BLOCK)
            end = BLOCK;
        for (uint32_t i = from - first; i < end; i++)
            if (block->due[i] != NOT_DUE && (int32_t)(now - block->due[i]) >= 0)
                return first + i;
        from = first + BLOCK;
    }
    return MU_NO_SLOT;
}

enum mu_state mu_roster_state(const struct mu_roster *r, uint32_t slot)
{
    return derived(hot_of(r, slot));
}

bool mu_roster_forced(const struct mu_roster *r, uint32_t slot)
{
    return hot_of(r, slot)->flags & FORCED;
}

mu_dur mu_roster_down_time(const struct mu_roster *r, uint32_t slot)
{
    return times_of(r, hot_of(r, slot)).floor;
}

struct mu_ident *mu_roster_ident(const struct mu_roster *r, uint32_t slot)
{
    return cold_of(r, slot)->ident;
}

size_t mu_roster_history(const struct mu_roster *r, uint32_t slot, uint32_t gaps_ms[MU_GAPS])
{
    const struct hot *hot = hot_of(r, slot);

    return mu_gaps_ms(hot->gaps, hot->ngaps, gaps_ms);
}

mu_dur mu_roster_shortest(const struct mu_roster *r)
{
    uint32_t shortest = UINT32_MAX;

    for (uint32_t slot = 0; slot < r->slots; slot++)
        if (visible(r, slot) && hot_of(r, slot)->interval_ms < shortest)
            shortest = hot_of(r, slot)->interval_ms;
    return shortest == UINT32_MAX ? MU_NEVER : shortest * MU_MS;
}
