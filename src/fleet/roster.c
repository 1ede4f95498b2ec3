#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "fleet/roster_own.h"

static const struct mu_ident *ident_of(const void *owner, uint32_t slot)
{
    return ((const struct mu_roster *)owner)->cold[slot].ident;
}

static uint32_t row_of(const void *owner, uint32_t slot)
{
    return ((const struct mu_roster *)owner)->cold[slot].row;
}

/* ---- life of the roster ---- */

int mu_roster_new(struct mu_roster **out, const struct mu_roster_config *config)
{
    struct mu_roster *r = mu_alloc(sizeof(*r));

    if (!r)
        return MU_ENOMEM;
    r->policies = config->policies;
    r->index.ident = ident_of;
    r->index.row = row_of;
    r->index.owner = r;
    memcpy(r->index.key, config->key, sizeof(r->index.key));
    mu_index_init(&r->index);
    mu_pool_init(&r->pool, config->key);
    *out = r;
    return 0;
}

void mu_roster_free(struct mu_roster *r)
{
    if (!r)
        return;
    for (uint32_t slot = 0; slot < r->slots; slot++)
        if (r->flags[slot] & USED)
            mu_ident_unref(r->cold[slot].ident);
    while (r->pends) {
        struct pend *next = r->pends->next;

        mu_free(r->pends);
        r->pends = next;
    }
    mu_pool_fini(&r->pool);
    mu_index_fini(&r->index);
    mu_free(r->due);
    mu_free(r->heard);
    mu_free(r->flags);
    mu_free(r->state);
    mu_free(r->cold);
    mu_free(r->learned);
    mu_free(r->free);
    mu_free(r);
}

void mu_roster_policies(struct mu_roster *r, const struct mu_policies *policies)
{
    r->policies = policies;
}

void mu_roster_clock(struct mu_roster *r, mu_time now, mu_wall wall)
{
    r->wall_offset = wall - now / MU_MS;
}

/* ---- adding and removing ---- */

#define GROW(array, cap)                                                                           \
    {                                                                                              \
        void *more_ = mu_realloc((array), (cap), sizeof(*(array)));                                \
        if (!more_)                                                                                \
            return MU_ENOMEM;                                                                      \
        (array) = more_;                                                                           \
    }

static int grow(struct mu_roster *r)
{
    uint32_t cap = r->cap ? r->cap * 2 : 64;
    uint8_t *learned;

    GROW(r->due, cap);
    GROW(r->heard, cap);
    GROW(r->flags, cap);
    GROW(r->state, cap);
    GROW(r->cold, cap);
    GROW(r->free, cap);
    learned = mu_realloc(r->learned, cap, MU_DETECT_STATE_MAX);
    if (!learned)
        return MU_ENOMEM;
    r->learned = learned;
    r->cap = cap;
    return 0;
}

static int pool_labels(struct mu_roster *r, const char *labels, uint32_t *id)
{
    return mu_pool_add(&r->pool, strcmp(labels, "{}") == 0 ? "" : labels, id);
}

/* Zone, labels and version of a join: all or none. */
static int pool_join(struct mu_roster *r, const struct mu_row *row, uint32_t ids[3])
{
    if (mu_pool_add(&r->pool, row->zone, &ids[0]) != 0)
        return MU_ENOMEM;
    if (pool_labels(r, row->labels, &ids[1]) == 0) {
        if (mu_pool_add(&r->pool, row->version, &ids[2]) == 0)
            return 0;
        mu_pool_drop(&r->pool, ids[1]);
    }
    mu_pool_drop(&r->pool, ids[0]);
    return MU_ENOMEM;
}

static int pool_reasons(struct mu_roster *r, const struct mu_row *row, uint32_t ids[2])
{
    if (mu_pool_add(&r->pool, row->disabled_reason, &ids[0]) != 0)
        return MU_ENOMEM;
    if (mu_pool_add(&r->pool, row->forced_reason, &ids[1]) == 0)
        return 0;
    mu_pool_drop(&r->pool, ids[0]);
    return MU_ENOMEM;
}

static void forget(struct mu_roster *r, uint32_t slot)
{
    memset(learned(r, slot), 0, MU_DETECT_STATE_MAX);
}

/* Which policy is in force. What one detector has learned is nothing to another. */
static void take_policy(struct mu_roster *r, uint32_t slot)
{
    struct cold *cold = &r->cold[slot];
    uint8_t detector;

    cold->policy = (uint16_t)mu_policies_match(r->policies, cold->ident->binary,
                                               mu_pool_text(&r->pool, cold->zone));
    detector = (uint8_t)r->policies->at[cold->policy].detector;
    if (detector != cold->detector)
        forget(r, slot);
    cold->detector = detector;
}

uint32_t mu_roster_interval_for(const struct mu_roster *r, uint32_t slot, uint32_t wanted_ms)
{
    const struct cold *cold = &r->cold[slot];
    struct mu_times times =
        mu_times_for(&r->policies->at[cold->policy], wanted_ms * MU_MS, cold->start_id == 0);

    return (uint32_t)(times.interval / MU_MS);
}

static void take_times(struct mu_roster *r, uint32_t slot)
{
    take_policy(r, slot);
    r->cold[slot].interval_ms = mu_roster_interval_for(r, slot, r->cold[slot].wanted_ms);
}

static void fill(struct mu_roster *r, uint32_t slot, const struct mu_row *row,
                 const uint32_t join[3], const uint32_t reasons[2])
{
    struct cold *cold = &r->cold[slot];
    uint32_t generation = cold->generation;

    *cold = (struct cold){
        .ident = mu_ident_ref(row->ident),
        .start_id = row->start_id,
        .incarnation = row->incarnation,
        .session = row->session,
        .report_count = row->report_count,
        .state_since = row->state_since,
        .joined_at = row->joined_at,
        .row = row->id,
        .index = row->index,
        .revision = row->revision,
        .generation = generation,
        .wanted_ms = row->interval_ms,
        .zone = join[0],
        .labels = join[1],
        .version = join[2],
        .disabled_reason = reasons[0],
        .forced_reason = reasons[1],
        .reason = (uint8_t)row->state_reason,
    };
    r->due[slot] = MU_NEVER;
    r->heard[slot] = row->last_seen;
    r->state[slot] = (uint8_t)row->state;
    r->flags[slot] =
        (uint8_t)(USED | HIDDEN | (row->disabled ? DISABLED : 0) | (row->forced_down ? FORCED : 0));
    forget(r, slot);
    take_times(r, slot);
}

static uint32_t take_slot(struct mu_roster *r)
{
    uint32_t slot;

    if (r->nfree)
        return r->free[--r->nfree];
    slot = r->slots++;
    r->cold[slot].generation = 0;
    return slot;
}

int mu_roster_add(struct mu_roster *r, const struct mu_row *row, bool hidden, uint32_t *out)
{
    uint32_t slot, join[3], reasons[2];

    if (mu_index_name(&r->index, row->ident->binary, row->ident->host) != MU_MAP_NONE ||
        mu_index_row(&r->index, row->id) != MU_MAP_NONE ||
        mu_index_uuid(&r->index, row->ident->uuid) != MU_MAP_NONE)
        return MU_EEXIST;
    if (!r->nfree && r->slots == r->cap && grow(r) != 0)
        return MU_ENOMEM;
    if (mu_index_reserve(&r->index, row->ident) != 0 || pool_join(r, row, join) != 0)
        return MU_ENOMEM;
    if (pool_reasons(r, row, reasons) != 0) {
        for (size_t i = 0; i < MU_ARRAY_LEN(join); i++)
            mu_pool_drop(&r->pool, join[i]);
        return MU_ENOMEM;
    }
    slot = take_slot(r);
    fill(r, slot, row, join, reasons);
    mu_index_put(&r->index, slot);
    if (!hidden)
        mu_roster_reveal(r, slot);
    *out = slot;
    return 0;
}

void mu_roster_reveal(struct mu_roster *r, uint32_t slot)
{
    assert(r->flags[slot] & HIDDEN);
    r->flags[slot] &= (uint8_t)~HIDDEN;
    r->shown[shown(r, slot)]++;
    r->count++;
}

static void drop_pend(struct mu_roster *r, uint32_t slot)
{
    struct pend **at = find_pend(r, slot), *pend = *at;

    mu_pool_drop(&r->pool, pend->disabled_reason);
    mu_pool_drop(&r->pool, pend->forced_reason);
    *at = pend->next;
    mu_free(pend);
    r->flags[slot] &= (uint8_t)~PENDING;
}

void mu_roster_remove(struct mu_roster *r, uint32_t slot)
{
    struct cold *cold = &r->cold[slot];

    if (r->flags[slot] & PENDING)
        drop_pend(r, slot);
    if (!(r->flags[slot] & HIDDEN)) {
        r->shown[shown(r, slot)]--;
        r->count--;
    }
    mu_index_del(&r->index, slot);
    mu_pool_drop(&r->pool, cold->zone);
    mu_pool_drop(&r->pool, cold->labels);
    mu_pool_drop(&r->pool, cold->version);
    mu_pool_drop(&r->pool, cold->disabled_reason);
    mu_pool_drop(&r->pool, cold->forced_reason);
    mu_ident_unref(cold->ident);
    cold->ident = NULL;
    cold->generation++;
    r->flags[slot] = 0;
    r->due[slot] = MU_NEVER;
    r->free[r->nfree++] = slot;
}

/* ---- changing ---- */

/* When silence matters next. */
static void arm(struct mu_roster *r, uint32_t slot)
{
    const struct cold *cold = &r->cold[slot];

    if (r->flags[slot] & HIDDEN) {
        r->due[slot] = MU_NEVER;
        return;
    }
    switch (derived(r, slot)) {
    case MU_UP:
        r->due[slot] = cold->since + cold->suspect_ms * MU_MS;
        break;
    case MU_SUSPECT:
    case MU_UNKNOWN:
        r->due[slot] = cold->since + cold->down_ms * MU_MS;
        break;
    default:
        r->due[slot] = MU_NEVER;
    }
}

/* Up to the next ms: a verdict may be late by one, never early. */
static uint32_t to_ms(mu_dur dur)
{
    mu_dur ms = (dur + MU_MS - 1) / MU_MS;

    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

int mu_roster_rejoin(struct mu_roster *r, uint32_t slot, const struct mu_row *row)
{
    struct cold *cold = &r->cold[slot];
    uint32_t join[3];

    if (pool_join(r, row, join) != 0)
        return MU_ENOMEM;
    mu_pool_drop(&r->pool, cold->zone);
    mu_pool_drop(&r->pool, cold->labels);
    mu_pool_drop(&r->pool, cold->version);
    cold->zone = join[0];
    cold->labels = join[1];
    cold->version = join[2];
    if (cold->start_id != row->start_id)
        forget(r, slot);
    cold->start_id = row->start_id;
    cold->incarnation = row->incarnation;
    cold->session = row->session;
    cold->index = row->index;
    cold->joined_at = row->joined_at;
    cold->wanted_ms = row->interval_ms;
    take_times(r, slot);
    return 0;
}

void mu_roster_bind(struct mu_roster *r, uint32_t slot, uint64_t session, uint32_t index)
{
    r->cold[slot].session = session;
    r->cold[slot].index = index;
}

void mu_roster_payload(struct mu_roster *r, uint32_t slot, uint64_t hash, uint32_t len, mu_time now)
{
    r->cold[slot].payload_hash = hash;
    r->cold[slot].payload_len = len;
    r->cold[slot].reported_ms = (uint32_t)(now / MU_MS) | 1; /* 0 is never */
}

bool mu_roster_reported(const struct mu_roster *r, uint32_t slot, uint64_t hash, uint32_t len)
{
    const struct cold *cold = &r->cold[slot];

    return cold->reported_ms && cold->payload_hash == hash && cold->payload_len == len;
}

mu_dur mu_roster_report_wait(const struct mu_roster *r, uint32_t slot, mu_time now)
{
    const struct cold *cold = &r->cold[slot];
    uint32_t since = ((uint32_t)(now / MU_MS) | 1) - cold->reported_ms; /* wraps, as both do */

    if (cold->reported_ms == 0 || since >= cold->interval_ms)
        return 0;
    return (cold->interval_ms - since) * MU_MS;
}

void mu_roster_stored(struct mu_roster *r, uint32_t slot, uint32_t payload_len)
{
    r->cold[slot].payload_len = payload_len;
}

int mu_roster_pend(struct mu_roster *r, uint32_t slot, const struct mu_row *wanted, bool deletes)
{
    struct pend *pend;
    uint32_t reasons[2];

    assert(!(r->flags[slot] & PENDING));
    pend = mu_alloc(sizeof(*pend));
    if (!pend)
        return MU_ENOMEM;
    if (pool_reasons(r, wanted, reasons) != 0) {
        mu_free(pend);
        return MU_ENOMEM;
    }
    *pend = (struct pend){
        .next = r->pends,
        .slot = slot,
        .disabled_reason = reasons[0],
        .forced_reason = reasons[1],
        .revision = wanted->revision,
        .disabled = wanted->disabled,
        .forced_down = wanted->forced_down,
        .deletes = deletes,
    };
    r->pends = pend;
    r->flags[slot] |= PENDING;
    return 0;
}

bool mu_roster_pending(const struct mu_roster *r, uint32_t slot)
{
    return r->flags[slot] & PENDING;
}

static void swap_ids(uint32_t *a, uint32_t *b)
{
    uint32_t a_was = *a;

    *a = *b;
    *b = a_was;
}

void mu_roster_settle(struct mu_roster *r, uint32_t slot, bool apply)
{
    struct cold *cold = &r->cold[slot];
    struct pend *pend = *find_pend(r, slot);

    assert(pend);
    if (apply) {
        r->shown[shown(r, slot)]--;
        swap_ids(&cold->disabled_reason, &pend->disabled_reason);
        swap_ids(&cold->forced_reason, &pend->forced_reason);
        cold->revision = pend->revision;
        r->flags[slot] &= (uint8_t) ~(DISABLED | FORCED);
        r->flags[slot] |=
            (uint8_t)((pend->disabled ? DISABLED : 0) | (pend->forced_down ? FORCED : 0));
        r->shown[shown(r, slot)]++;
    }
    drop_pend(r, slot);
}

/* Takes up what the detector says of the silence from .since on. */
static void take_due(struct mu_roster *r, uint32_t slot, const struct mu_times *times)
{
    struct cold *cold = &r->cold[slot];
    mu_time suspect_at, down_at;

    mu_detect_at(cold->detector)->due(learned(r, slot), times, cold->since, &suspect_at, &down_at);
    cold->suspect_ms = to_ms(suspect_at - cold->since);
    cold->down_ms = to_ms(down_at - cold->since);
}

static void set_heard_flag(struct mu_roster *r, uint32_t slot)
{
    if (r->flags[slot] & HEARD)
        return;
    r->shown[shown(r, slot)]--;
    r->flags[slot] |= HEARD;
    r->shown[shown(r, slot)]++;
}

void mu_roster_heard(struct mu_roster *r, uint32_t slot, mu_time now, mu_time h)
{
    struct cold *cold = &r->cold[slot];
    struct mu_times times = times_of(r, slot);
    bool before = r->flags[slot] & HEARD;

    /* Named twice in one datagram, or sent twice: one sign of life. Its times may be new ones. */
    if (!before || r->heard[slot] != now) {
        if (before)
            mu_history_add(&cold->history, now - r->heard[slot]);
        cold->report_count++;
    }
    set_heard_flag(r, slot);
    r->heard[slot] = now;
    mu_detect_at(cold->detector)->heard(learned(r, slot), &times, h);
    cold->since = h;
    take_due(r, slot, &times);
    arm(r, slot);
}

void mu_roster_spare(struct mu_roster *r, uint32_t slot, mu_time h)
{
    struct cold *cold = &r->cold[slot];

    cold->since = h;
    arm(r, slot);
}

uint32_t mu_roster_begin(struct mu_roster *r, mu_time h)
{
    uint32_t n = 0;

    for (uint32_t slot = 0; slot < r->slots; slot++) {
        struct mu_times times;

        if (!visible(r, slot))
            continue;
        times = times_of(r, slot);
        r->cold[slot].since = h;
        take_due(r, slot, &times);
        arm(r, slot);
        n += derived(r, slot) == MU_UNKNOWN;
    }
    return n;
}

void mu_roster_move(struct mu_roster *r, uint32_t slot, enum mu_state state, enum mu_reason why,
                    mu_wall at)
{
    assert(state < MU_UNKNOWN);
    r->shown[shown(r, slot)]--;
    r->state[slot] = (uint8_t)state;
    r->shown[shown(r, slot)]++;
    r->cold[slot].reason = (uint8_t)why;
    r->cold[slot].state_since = at;
    arm(r, slot);
}

bool mu_roster_retime(struct mu_roster *r, uint32_t slot, mu_time h)
{
    struct cold *cold = &r->cold[slot];
    uint32_t wanted, floor_ms;
    struct mu_times times;

    take_policy(r, slot);
    wanted = mu_roster_interval_for(r, slot, cold->wanted_ms);
    times = times_of(r, slot);
    floor_ms = to_ms((h > cold->since ? h - cold->since : 0) +
                     (wanted > cold->interval_ms ? wanted : cold->interval_ms) * MU_MS);
    take_due(r, slot, &times);
    if (cold->suspect_ms < floor_ms)
        cold->suspect_ms = floor_ms;
    if (cold->down_ms < floor_ms)
        cold->down_ms = floor_ms;
    arm(r, slot);
    return wanted != cold->interval_ms;
}

void mu_roster_put_off(struct mu_roster *r, uint32_t slot, mu_time due)
{
    r->due[slot] = due;
}
