#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "fleet/roster_own.h"

#define CACHE_LINE 64 /* bytes */

static const struct mu_ident *ident_of(const void *owner, uint32_t slot)
{
    return cold_of(owner, slot)->ident;
}

static bool is_more_of(const void *ctx, uint32_t i, const void *slot)
{
    return ((const struct mu_roster *)ctx)->more[i].slot == *(const uint32_t *)slot;
}

static uint64_t hash_more(const void *ctx, uint32_t i)
{
    return mu_map_hash_id(((const struct mu_roster *)ctx)->more[i].slot);
}

/* ---- life of the roster ---- */

int mu_roster_new(struct mu_roster **out, const struct mu_roster_config *config)
{
    struct mu_roster *r = mu_alloc(sizeof(*r));

    if (!r)
        return MU_ENOMEM;
    r->policies = config->policies;
    r->more_free = MU_MAP_NONE;
    mu_map_init(&r->more_of, is_more_of, hash_more, r);
    r->index.ident = ident_of;
    r->index.owner = r;
    memcpy(r->index.key, config->key, sizeof(r->index.key));
    mu_index_init(&r->index);
    mu_pool_init(&r->pool, config->key);
    mu_census_init(&r->census);
    *out = r;
    return 0;
}

void mu_roster_free(struct mu_roster *r)
{
    if (!r)
        return;
    for (uint32_t slot = 0; slot < r->slots; slot++)
        if (hot_of(r, slot)->flags & USED)
            mu_ident_unref(cold_of(r, slot)->ident);
    while (r->pends) {
        struct pend *next = r->pends->next;

        mu_free(r->pends);
        r->pends = next;
    }
    mu_pool_fini(&r->pool);
    mu_census_fini(&r->census);
    mu_index_fini(&r->index);
    mu_map_fini(&r->more_of);
    mu_free(r->more);
    for (uint32_t i = 0; i < r->cap / BLOCK; i++) {
        mu_free(r->blocks[i]->learned);
        mu_free(r->blocks[i]);
    }
    mu_free(r->blocks);
    mu_free(r);
}

void mu_roster_policies(struct mu_roster *r, const struct mu_policies *policies)
{
    r->policies = policies;
}

/* Both clocks are cut to whole ms, so that between two ticks they seem to move by one against each
 * other: that is no step. */
void mu_roster_clock(struct mu_roster *r, mu_time now, mu_wall wall)
{
    mu_dur offset = wall - now / MU_MS, moved = offset - r->wall_offset;

    if (moved < -1 || moved > 1)
        r->wall_offset = offset;
}

/* ---- adding and removing ---- */

static int grow(struct mu_roster *r)
{
    uint32_t n = r->cap / BLOCK;

    if ((n & (n - 1)) == 0) { /* the array of blocks is full at 0, 1, 2, 4, ... */
        struct block **more = mu_realloc(r->blocks, n ? (size_t)n * 2 : 1, sizeof(*more));

        if (!more)
            return MU_ENOMEM;
        r->blocks = more;
    }
    r->blocks[n] = mu_alloc_aligned(CACHE_LINE, sizeof(struct block));
    if (!r->blocks[n])
        return MU_ENOMEM;
    r->cap += BLOCK;
    return 0;
}

/* What a join tells of the agent, as one text: most agents share it with many. */
static int pool_profile(struct mu_roster *r, const struct mu_row *row, uint32_t *id)
{
    const char *const parts[] = {row->zone, row->labels, row->version};
    struct mu_buf buf;
    int rv;

    mu_buf_init(&buf, 0);
    for (size_t i = 0; i < MU_ARRAY_LEN(parts); i++)
        mu_buf_put(&buf, parts[i], strlen(parts[i]) + 1);
    rv = buf.failed ? buf.failed : mu_pool_add(&r->pool, (const char *)buf.data, buf.len, id);
    mu_buf_fini(&buf);
    return rv;
}

static int pool_text(struct mu_roster *r, const char *text, uint32_t *id)
{
    return mu_pool_add(&r->pool, text, strlen(text), id);
}

static int pool_reasons(struct mu_roster *r, const struct mu_row *row, uint32_t ids[2])
{
    if (pool_text(r, row->disabled_reason, &ids[0]) != 0)
        return MU_ENOMEM;
    if (pool_text(r, row->forced_reason, &ids[1]) == 0)
        return 0;
    mu_pool_drop(&r->pool, ids[0]);
    return MU_ENOMEM;
}

/* ---- what only some agents have ---- */

/* The slot's, made where there is none; NULL = out of memory. */
static struct more *have_more(struct mu_roster *r, uint32_t slot)
{
    struct more *more = more_of(r, slot);
    uint32_t i = r->more_free;

    if (more)
        return more;
    if (mu_map_reserve(&r->more_of) != 0)
        return NULL;
    if (i != MU_MAP_NONE) {
        r->more_free = r->more[i].slot;
    } else {
        if (r->nmore == r->more_cap) {
            uint32_t cap = r->more_cap ? r->more_cap + r->more_cap / 2 : 16;

            more = mu_realloc(r->more, cap, sizeof(*more));
            if (!more)
                return NULL;
            r->more = more;
            r->more_cap = cap;
        }
        i = r->nmore++;
    }
    r->more[i] = (struct more){.slot = slot};
    mu_map_put(&r->more_of, mu_map_hash_id(slot), i);
    hot_of(r, slot)->flags |= MORE;
    return &r->more[i];
}

static void drop_more(struct mu_roster *r, uint32_t slot)
{
    struct more *more = more_of(r, slot);

    if (!more)
        return;
    mu_pool_drop(&r->pool, more->disabled_reason);
    mu_pool_drop(&r->pool, more->forced_reason);
    mu_map_del(&r->more_of, mu_map_hash_id(slot), (uint32_t)(more - r->more));
    more->slot = r->more_free;
    r->more_free = (uint32_t)(more - r->more);
    hot_of(r, slot)->flags &= (uint8_t)~MORE;
}

/* What operators have made of a stored agent. */
static int add_reasons(struct mu_roster *r, uint32_t slot, const struct mu_row *row)
{
    uint32_t reasons[2];
    struct more *more;

    if (row->revision == 0 && !*row->disabled_reason && !*row->forced_reason)
        return 0;
    more = have_more(r, slot);
    if (!more || pool_reasons(r, row, reasons) != 0)
        return MU_ENOMEM;
    more->revision = row->revision;
    more->disabled_reason = reasons[0];
    more->forced_reason = reasons[1];
    return 0;
}

static void forget(struct mu_roster *r, uint32_t slot)
{
    if (learned(r, slot))
        memset(learned(r, slot), 0, MU_DETECT_STATE_MAX);
}

/* What one detector has learned is nothing to another. Where there is no memory for it, `deadline`
 * judges, which learns nothing. */
static void take_detector(struct mu_roster *r, uint32_t slot, enum mu_detector detector)
{
    struct block *block = r->blocks[slot / BLOCK];
    struct hot *hot = hot_of(r, slot);

    if (mu_detect_at(detector)->size && !block->learned)
        block->learned = mu_calloc(BLOCK, MU_DETECT_STATE_MAX);
    if (mu_detect_at(detector)->size && !block->learned)
        detector = MU_DETECT_DEADLINE;
    if (hot->detector != detector)
        forget(r, slot);
    hot->detector = detector;
}

/* Which policy is in force. */
static void take_policy(struct mu_roster *r, uint32_t slot)
{
    struct hot *hot = hot_of(r, slot);

    hot->policy = (uint8_t)mu_policies_match(r->policies, cold_of(r, slot)->ident->binary,
                                             mu_pool_text(&r->pool, hot->profile));
    take_detector(r, slot, (enum mu_detector)r->policies->at[hot->policy].detector);
}

uint32_t mu_roster_interval_for(const struct mu_roster *r, uint32_t slot, uint32_t wanted_ms)
{
    struct mu_times times = mu_times_for(&r->policies->at[hot_of(r, slot)->policy],
                                         wanted_ms * MU_MS, cold_of(r, slot)->start_id == 0);

    return (uint32_t)(times.interval / MU_MS);
}

static void take_times(struct mu_roster *r, uint32_t slot)
{
    take_policy(r, slot);
    hot_of(r, slot)->interval_ms = mu_roster_interval_for(r, slot, hot_of(r, slot)->wanted_ms);
}

/* A time of day as it is kept. */
static uint64_t day(mu_wall at)
{
    const mu_wall last = ((mu_wall)1 << MOMENT_BITS) - 1;

    return (uint64_t)(at < 0 ? 0 : at > last ? last : at);
}

static void fill(struct mu_roster *r, uint32_t slot, const struct mu_row *row, uint32_t profile)
{
    struct cold *cold = cold_of(r, slot);
    uint64_t most = ((uint64_t)1 << 40) - 1;

    *hot_of(r, slot) = (struct hot){
        .heard = day(row->last_seen),
        .flags = (uint8_t)(USED | HIDDEN | (row->disabled ? DISABLED : 0) |
                           (row->forced_down ? FORCED : 0)),
        .state = row->state,
        .report_count = row->report_count < most ? row->report_count : most,
        .profile = profile,
        .wanted_ms = row->interval_ms,
        .line = mu_census_enter(&r->census, row->zone, row->ident->binary),
    };
    *cold = (struct cold){
        .ident = mu_ident_ref(row->ident),
        .start_id = row->start_id,
        .incarnation = row->incarnation,
        .session = row->session,
        .joined_at = day(row->joined_at),
        .index = row->index,
        .state_since = day(row->state_since),
        .reason = row->state_reason,
        .generation = cold->generation,
    };
    *due_of(r, slot) = NOT_DUE;
    *row_of(r, slot) = row->id;
    forget(r, slot);
    take_times(r, slot);
}

static uint32_t take_slot(struct mu_roster *r)
{
    uint32_t slot = r->free;

    if (!r->nfree)
        return r->slots++;
    r->free = *row_of(r, slot);
    r->nfree--;
    return slot;
}

static void give_slot(struct mu_roster *r, uint32_t slot)
{
    struct cold *cold = cold_of(r, slot);

    mu_census_leave(&r->census, hot_of(r, slot)->line);
    mu_pool_drop(&r->pool, hot_of(r, slot)->profile);
    drop_more(r, slot);
    mu_ident_unref(cold->ident);
    cold->ident = NULL;
    cold->generation++;
    hot_of(r, slot)->flags = 0;
    *due_of(r, slot) = NOT_DUE;
    *row_of(r, slot) = r->free;
    r->free = slot;
    r->nfree++;
}

/* In a slot, and in no index yet. */
static int place(struct mu_roster *r, const struct mu_row *row, uint32_t *slot)
{
    uint32_t profile;

    if (!r->nfree && r->slots == r->cap && grow(r) != 0)
        return MU_ENOMEM;
    if (pool_profile(r, row, &profile) != 0)
        return MU_ENOMEM;
    *slot = take_slot(r);
    fill(r, *slot, row, profile);
    if (add_reasons(r, *slot, row) == 0)
        return 0;
    give_slot(r, *slot);
    return MU_ENOMEM;
}

int mu_roster_add(struct mu_roster *r, const struct mu_row *row, bool hidden, uint32_t *out)
{
    struct mu_place at;
    uint32_t slot;
    int rv;

    rv = place(r, row, &slot);
    if (rv != 0)
        return rv;
    rv = mu_index_reserve(&r->index, row->ident, &at);
    if (rv != 0) {
        give_slot(r, slot);
        return rv;
    }
    mu_index_put(&r->index, at, slot);
    if (!hidden)
        mu_roster_reveal(r, slot);
    *out = slot;
    return 0;
}

int mu_roster_load(struct mu_roster *r, const struct mu_row *row, uint32_t *out)
{
    int rv = place(r, row, out);

    if (rv == 0)
        mu_roster_reveal(r, *out);
    return rv;
}

int mu_roster_loaded(struct mu_roster *r)
{
    uint32_t *slots = mu_realloc(NULL, r->slots, sizeof(*slots)), n = 0;
    int rv;

    if (!slots)
        return MU_ENOMEM;
    for (uint32_t slot = 0; slot < r->slots; slot++)
        if (hot_of(r, slot)->flags & USED)
            slots[n++] = slot;
    rv = mu_index_load(&r->index, slots, n);
    mu_free(slots);
    return rv;
}

/* The census of what @hot is, before and after it becomes something else. */
static void count(struct mu_roster *r, const struct hot *hot, int by)
{
    mu_census_count(&r->census, hot->line, shown(hot), hot->flags & DISABLED, hot->flags & FORCED,
                    by);
}

void mu_roster_reveal(struct mu_roster *r, uint32_t slot)
{
    struct hot *hot = hot_of(r, slot);

    assert(hot->flags & HIDDEN);
    hot->flags &= (uint8_t)~HIDDEN;
    count(r, hot, 1);
}

static void drop_pend(struct mu_roster *r, uint32_t slot)
{
    struct pend **at = find_pend(r, slot), *pend = *at;

    assert(pend);
    mu_pool_drop(&r->pool, pend->disabled_reason);
    mu_pool_drop(&r->pool, pend->forced_reason);
    *at = pend->next;
    mu_free(pend);
    hot_of(r, slot)->flags &= (uint8_t)~PENDING;
}

void mu_roster_remove(struct mu_roster *r, uint32_t slot)
{
    const struct hot *hot = hot_of(r, slot);

    if (hot->flags & PENDING)
        drop_pend(r, slot);
    if (!(hot->flags & HIDDEN))
        count(r, hot, -1);
    mu_index_del(&r->index, slot);
    give_slot(r, slot);
}

/* ---- changing ---- */

static void set_due(struct mu_roster *r, uint32_t slot, mu_time due, uint64_t now_ms)
{
    uint64_t ms = moment(due), most = now_ms + DUE_AT_MOST;
    uint32_t at = (uint32_t)(ms < most ? ms : most);

    *due_of(r, slot) = at == NOT_DUE ? at + 1 : at;
}

/* When silence matters next. */
static void arm(struct mu_roster *r, uint32_t slot)
{
    const struct hot *hot = hot_of(r, slot);
    enum mu_state state = derived(hot);
    mu_time suspect_at, down_at;
    struct mu_times times;

    if (hot->flags & HIDDEN || state == MU_DOWN || state == MU_LEFT) {
        *due_of(r, slot) = NOT_DUE;
        return;
    }
    times = times_of(r, hot);
    mu_detect_at((enum mu_detector)hot->detector)
        ->due(learned(r, slot), &times, (mu_time)hot->since * MU_MS, &suspect_at, &down_at);
    set_due(r, slot, state == MU_UP ? suspect_at : down_at, hot->since);
}

int mu_roster_rejoin(struct mu_roster *r, uint32_t slot, const struct mu_row *row)
{
    struct hot *hot = hot_of(r, slot);
    struct cold *cold = cold_of(r, slot);
    uint32_t profile;

    if (pool_profile(r, row, &profile) != 0)
        return MU_ENOMEM;
    count(r, hot, -1);
    mu_census_leave(&r->census, hot->line);
    hot->line = mu_census_enter(&r->census, row->zone, cold->ident->binary);
    count(r, hot, 1);
    mu_pool_drop(&r->pool, hot->profile);
    hot->profile = profile;
    hot->wanted_ms = row->interval_ms;
    if (cold->start_id != row->start_id)
        forget(r, slot);
    cold->start_id = row->start_id;
    cold->incarnation = row->incarnation;
    cold->session = row->session;
    cold->index = row->index;
    cold->joined_at = day(row->joined_at);
    take_times(r, slot);
    return 0;
}

void mu_roster_bind(struct mu_roster *r, uint32_t slot, uint64_t session, uint32_t index)
{
    cold_of(r, slot)->session = session;
    cold_of(r, slot)->index = index;
}

void mu_roster_payload(struct mu_roster *r, uint32_t slot, uint64_t hash, uint32_t len, mu_time now)
{
    struct more *more = have_more(r, slot);

    if (!more)
        return;
    more->payload_hash = hash;
    more->payload_len = len;
    more->payload_kept = false;
    more->reported_ms = (uint32_t)(now / MU_MS) | 1; /* 0 is never */
}

void mu_roster_kept(struct mu_roster *r, uint32_t slot, uint64_t hash)
{
    struct more *more = more_of(r, slot);

    if (more && more->reported_ms && more->payload_hash == hash)
        more->payload_kept = true;
}

bool mu_roster_reported(const struct mu_roster *r, uint32_t slot, uint64_t hash, uint32_t len)
{
    const struct more *more = more_of(r, slot);

    return more && more->payload_kept && more->payload_hash == hash && more->payload_len == len;
}

mu_dur mu_roster_report_wait(const struct mu_roster *r, uint32_t slot, mu_time now)
{
    const struct more *more = more_of(r, slot);
    uint32_t since, interval = hot_of(r, slot)->interval_ms;

    if (!more || more->reported_ms == 0)
        return 0;
    since = ((uint32_t)(now / MU_MS) | 1) - more->reported_ms; /* wraps, as both do */
    return since >= interval ? 0 : (interval - since) * MU_MS;
}

void mu_roster_stored(struct mu_roster *r, uint32_t slot, uint32_t payload_len)
{
    struct more *more = payload_len ? have_more(r, slot) : NULL;

    if (more)
        more->payload_len = payload_len;
}

int mu_roster_pend(struct mu_roster *r, uint32_t slot, const struct mu_row *wanted, bool deletes)
{
    struct pend *pend;
    uint32_t reasons[2];

    assert(!(hot_of(r, slot)->flags & PENDING));
    if (!have_more(r, slot)) /* so that settling needs no memory */
        return MU_ENOMEM;
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
    hot_of(r, slot)->flags |= PENDING;
    return 0;
}

bool mu_roster_pending(const struct mu_roster *r, uint32_t slot)
{
    return hot_of(r, slot)->flags & PENDING;
}

static void swap_ids(uint32_t *a, uint32_t *b)
{
    uint32_t a_was = *a;

    *a = *b;
    *b = a_was;
}

void mu_roster_settle(struct mu_roster *r, uint32_t slot, bool apply)
{
    struct hot *hot = hot_of(r, slot);
    struct more *more = more_of(r, slot);
    struct pend *pend = *find_pend(r, slot);

    assert(pend && more);
    if (apply) {
        count(r, hot, -1);
        swap_ids(&more->disabled_reason, &pend->disabled_reason);
        swap_ids(&more->forced_reason, &pend->forced_reason);
        more->revision = pend->revision;
        hot->flags &= (uint8_t) ~(DISABLED | FORCED);
        hot->flags |= (uint8_t)((pend->disabled ? DISABLED : 0) | (pend->forced_down ? FORCED : 0));
        count(r, hot, 1);
    }
    drop_pend(r, slot);
}

static void set_heard_flag(struct mu_roster *r, struct hot *hot)
{
    count(r, hot, -1);
    hot->flags |= HEARD;
    count(r, hot, 1);
}

void mu_roster_soon(const struct mu_roster *r, uint32_t slot)
{
    if (slot >= r->slots)
        return;
    __builtin_prefetch(hot_of(r, slot), 1);
    __builtin_prefetch(due_of(r, slot), 1);
}

void mu_roster_heard(struct mu_roster *r, uint32_t slot, mu_time now, mu_time h)
{
    struct hot *hot = hot_of(r, slot);
    const struct mu_detector_driver *driver = mu_detect_at((enum mu_detector)hot->detector);
    uint64_t ms = (uint64_t)now / MU_MS;

    /* Named twice in one datagram, or sent twice: one sign of life. Its times may be new ones. */
    if (!(hot->flags & HEARD)) {
        hot->report_count++;
        set_heard_flag(r, hot);
    } else if (hot->heard != ms) {
        hot->report_count++;
        hot->ngaps = mu_gaps_add(hot->gaps, hot->ngaps, ms > hot->heard ? ms - hot->heard : 0);
    }
    hot->heard = ms;
    hot->since = moment(h);
    if (driver->size) {
        struct mu_times times = times_of(r, hot);

        driver->heard(learned(r, slot), &times, h);
    }
    arm(r, slot);
}

void mu_roster_spare(struct mu_roster *r, uint32_t slot, mu_time h)
{
    hot_of(r, slot)->since = moment(h);
    arm(r, slot);
}

uint32_t mu_roster_begin(struct mu_roster *r, mu_time h)
{
    uint32_t n = 0;

    for (uint32_t slot = 0; slot < r->slots; slot++) {
        if (!visible(r, slot))
            continue;
        mu_roster_spare(r, slot, h);
        n += derived(hot_of(r, slot)) == MU_UNKNOWN;
    }
    return n;
}

void mu_roster_move(struct mu_roster *r, uint32_t slot, enum mu_state state, enum mu_reason why,
                    mu_wall at)
{
    struct hot *hot = hot_of(r, slot);
    struct cold *cold = cold_of(r, slot);

    assert(state < MU_UNKNOWN);
    count(r, hot, -1);
    hot->state = state;
    count(r, hot, 1);
    cold->reason = why;
    cold->state_since = day(at);
    arm(r, slot);
}

bool mu_roster_retime(struct mu_roster *r, uint32_t slot, mu_time h)
{
    struct hot *hot = hot_of(r, slot);
    uint32_t wanted, longer;
    mu_time floor;

    take_policy(r, slot);
    wanted = mu_roster_interval_for(r, slot, hot->wanted_ms);
    longer = wanted > hot->interval_ms ? wanted : hot->interval_ms;
    floor = h + longer * MU_MS;
    arm(r, slot);
    if (*due_of(r, slot) != NOT_DUE && (int32_t)((uint32_t)moment(floor) - *due_of(r, slot)) > 0)
        set_due(r, slot, floor, moment(h));
    return wanted != hot->interval_ms;
}

void mu_roster_put_off(struct mu_roster *r, uint32_t slot, mu_time due, mu_time h)
{
    set_due(r, slot, due, moment(h));
}
