/* entries.h - entries found by a number of ours, each in a place that stays its own.
 *
 * An entry is any struct that begins with a uint64_t, its id; 0 marks a free place. Ids are given
 * out by us: who could choose them could make them collide. A pointer to an entry is good until the
 * next mu_entries_add() or mu_entries_reserve(). */
#ifndef MU_BASE_ENTRIES_H
#define MU_BASE_ENTRIES_H

#include "base/map.h"

struct mu_entries {
    unsigned char *at;
    size_t size;    /* of an entry, in bytes */
    uint32_t n;     /* places, free ones too */
    uint32_t count; /* entries */
    uint32_t cap;
    uint32_t *free; /* .n - .count places */
    struct mu_map map;
};

void mu_entries_init(struct mu_entries *es, size_t size);
void mu_entries_fini(struct mu_entries *es); /* what an entry owns is the caller's */
void *mu_entries_find(const struct mu_entries *es, uint64_t id); /* NULL = none */
/* Makes room for one more, so that the next mu_entries_add() cannot fail. Returns 0 or MU_ENOMEM.
 */
int mu_entries_reserve(struct mu_entries *es);
/* A new entry, zero but for its id, which must not be there. NULL = out of memory. */
void *mu_entries_add(struct mu_entries *es, uint64_t id);
void mu_entries_remove(struct mu_entries *es, void *entry);

/* Place by place, 0 to .n - 1. */
static inline void *mu_entries_at(const struct mu_entries *es, uint32_t place)
{
    return es->at + place * es->size;
}

static inline uint32_t mu_entries_place(const struct mu_entries *es, const void *entry)
{
    return (uint32_t)((size_t)((const unsigned char *)entry - es->at) / es->size);
}

#endif
