#include "fleet/census.h"

#include <string.h>

#include "base/err.h"
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

void mu_census_init(struct mu_census *census)
{
    *census = (struct mu_census){.total = 0};
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
    mu_census_init(census);
}

/* A line that is nobody's, made where there is none; MU_CENSUS_NONE = out of memory. */
static uint32_t free_line(struct mu_census *census)
{
    uint32_t cap = census->cap ? census->cap * 2 : 16;
    struct mu_census_line *lines;

    if (census->used < census->n)
        for (uint32_t i = 0; i < census->n; i++)
            if (!census->lines[i].zone)
                return i;
    if (census->n == census->cap) {
        lines = mu_realloc(census->lines, cap, sizeof(*lines));
        if (!lines)
            return MU_CENSUS_NONE;
        census->lines = lines;
        census->cap = cap;
    }
    census->lines[census->n] = (struct mu_census_line){.zone = NULL};
    return census->n++;
}

static uint32_t find_line(struct mu_census *census, const char *zone, const char *binary)
{
    struct pair pair = {zone, binary};
    uint64_t hash = hash_pair(zone, binary);
    uint32_t i = mu_map_find(&census->map, hash, &pair);
    struct mu_census_line *line;

    if (i != MU_MAP_NONE)
        return i;
    if (census->used >= MU_CENSUS_MAX && zone != other)
        return find_line(census, other, binary);
    if (census->used >= MU_CENSUS_LINES - 1 && binary != other)
        return find_line(census, other, other);
    if (mu_map_reserve(&census->map))
        return MU_CENSUS_NONE;
    i = free_line(census);
    if (i == MU_CENSUS_NONE)
        return i;
    line = &census->lines[i];
    *line = (struct mu_census_line){.zone = mu_strdup(zone), .binary = mu_strdup(binary)};
    if (!line->zone || !line->binary) {
        mu_free(line->zone);
        mu_free(line->binary);
        line->zone = line->binary = NULL;
        return MU_CENSUS_NONE;
    }
    mu_map_put(&census->map, hash, i);
    census->used++;
    return i;
}

/* Finds most lines without a hash of all of their texts: zones differ in their last letters, and
 * binaries in length. Where they do not, it only takes longer. */
uint32_t mu_census_enter(struct mu_census *census, const char *zone, const char *binary)
{
    size_t n = strlen(zone);
    uint64_t hash = hash_text(strlen(binary), zone + (n > 4 ? n - 4 : 0));
    uint16_t *near = &census->near[hash % MU_ARRAY_LEN(census->near)];
    const struct pair pair = {zone, binary};
    uint32_t line = *near;

    if (line >= census->n || !census->lines[line].zone || !line_is(census, line, &pair))
        line = find_line(census, zone, binary);
    if (line == MU_CENSUS_NONE)
        return line;
    *near = (uint16_t)line;
    census->lines[line].agents++;
    return line;
}

void mu_census_leave(struct mu_census *census, uint32_t i)
{
    struct mu_census_line *line;

    if (i == MU_CENSUS_NONE)
        return;
    line = &census->lines[i];
    if (--line->agents > 0)
        return;
    mu_map_del(&census->map, line_hash(census, i), i);
    mu_free(line->zone);
    mu_free(line->binary);
    line->zone = line->binary = NULL;
    census->used--;
}

uint32_t mu_census_sum(const struct mu_census_line *line)
{
    uint32_t sum = 0;

    for (int state = 0; state < MU_STATES; state++)
        sum += line->state[state];
    return sum;
}

void mu_census_count(struct mu_census *census, uint32_t line, enum mu_state shown, bool disabled,
                     bool forced, int by)
{
    uint32_t one = (uint32_t)by; /* wraps back */

    if (line != MU_CENSUS_NONE)
        census->lines[line].state[shown] += one;
    census->state[shown] += one;
    census->total += one;
    census->disabled += disabled ? one : 0;
    census->forced += forced ? one : 0;
}
