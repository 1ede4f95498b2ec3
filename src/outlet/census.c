#include "outlet/census.h"

#include <string.h>

#include "base/mem.h"

static const char other[] = MU_CENSUS_OTHER;

struct pair {
    const char *zone, *binary;
};

/* FNV-1a. Zones and binaries have been joined already by whom the fleet trusts, and the table is
 * small: no secret is needed. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_pair(const char *zone, const char *binary)
{
    return mu_map_hash_id(hash_text(hash_text(UINT64_C(0xcbf29ce484222325), zone) + 1, binary));
}

static bool line_is(const void *ctx, uint32_t value, const void *key)
{
    const struct mu_census_line *line = &((const struct mu_census *)ctx)->lines[value];
    const struct pair *pair = key;

    return strcmp(line->zone, pair->zone) == 0 && strcmp(line->binary, pair->binary) == 0;
}

static uint64_t line_hash(const void *ctx, uint32_t value)
{
    const struct mu_census_line *line = &((const struct mu_census *)ctx)->lines[value];

    return hash_pair(line->zone, line->binary);
}

void mu_census_init(struct mu_census *census, const struct mu_roster *roster,
                    mu_census_wants_fn wants, const void *ctx)
{
    *census = (struct mu_census){.roster = roster, .wants = wants, .ctx = ctx};
    mu_map_init(&census->map, line_is, line_hash, census);
}

void mu_census_fini(struct mu_census *census)
{
    for (uint32_t i = 0; i < census->n; i++) {
        mu_free(census->lines[i].zone);
        mu_free(census->lines[i].binary);
    }
    mu_free(census->lines);
    mu_map_fini(&census->map);
    census->lines = NULL;
    census->n = 0;
}

static int grow(struct mu_census *census)
{
    uint32_t cap = census->cap ? census->cap * 2 : 16;
    struct mu_census_line *lines = mu_realloc(census->lines, cap, sizeof(*lines));

    if (!lines)
        return MU_ENOMEM;
    census->lines = lines;
    census->cap = cap;
    return 0;
}

/* The line of @zone and @binary, made where there is none; NULL = out of memory. */
static struct mu_census_line *line_of(struct mu_census *census, const char *zone,
                                      const char *binary)
{
    struct pair pair = {zone, binary};
    uint64_t hash = hash_pair(zone, binary);
    uint32_t i = mu_map_find(&census->map, hash, &pair);
    struct mu_census_line *line;

    if (i != MU_MAP_NONE)
        return &census->lines[i];
    if (census->n >= MU_CENSUS_MAX && zone != other)
        return line_of(census, other, binary);
    if (census->n >= MU_CENSUS_LINES - 1 && binary != other)
        return line_of(census, other, other);
    if ((census->n == census->cap && grow(census)) || mu_map_reserve(&census->map))
        return NULL;
    line = &census->lines[census->n];
    *line = (struct mu_census_line){.zone = mu_strdup(zone), .binary = mu_strdup(binary)};
    if (!line->zone || !line->binary) {
        mu_free(line->zone);
        mu_free(line->binary);
        return NULL;
    }
    mu_map_put(&census->map, hash, census->n++);
    return line;
}

/* Finds most lines without a hash of all of their texts: zones differ in their last letters, and
 * binaries in length. Where they do not, it only takes longer. */
static struct mu_census_line *line_near(struct mu_census *census, const char *zone,
                                        const char *binary)
{
    size_t n = strlen(zone);
    uint64_t hash = hash_text(strlen(binary), zone + (n > 4 ? n - 4 : 0));
    uint16_t *near = &census->near[hash % MU_ARRAY_LEN(census->near)];
    const struct pair pair = {zone, binary};
    struct mu_census_line *line;

    if (*near < census->n && line_is(census, *near, &pair))
        return &census->lines[*near];
    line = line_of(census, zone, binary);
    if (line)
        *near = (uint16_t)(line - census->lines);
    return line;
}

static int count(struct mu_census *census, uint32_t slot)
{
    struct mu_census_line *line;
    struct mu_glance agent;

    mu_roster_glance(census->roster, slot, &agent);
    if (census->wants && !census->wants(census->ctx, &agent))
        return 0;
    line = line_near(census, agent.zone, agent.ident->binary);
    if (!line)
        return MU_ENOMEM;
    line->state[agent.shown]++;
    census->state[agent.shown]++;
    census->total++;
    census->disabled += agent.disabled;
    census->forced += agent.forced_down;
    return 0;
}

int mu_census_step(struct mu_census *census, uint32_t slots)
{
    uint32_t end = mu_roster_slots(census->roster);

    for (; slots && census->next < end; slots--, census->next++)
        if (mu_roster_used(census->roster, census->next) && count(census, census->next))
            return MU_ENOMEM;
    return census->next < end;
}
