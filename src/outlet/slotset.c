#include "outlet/slotset.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

void mu_slotset_fini(struct mu_slotset *set)
{
    mu_free(set->words);
    *set = (struct mu_slotset){0};
}

int mu_slotset_reserve(struct mu_slotset *set, uint32_t nslots)
{
    size_t want = ((size_t)nslots + 63) / 64, nwords = set->nwords ? set->nwords : 16;

    if (want <= set->nwords)
        return 0;
    while (nwords < want)
        nwords *= 2;
    uint64_t *words = mu_realloc(set->words, nwords, sizeof(*words));
    if (!words)
        return MU_ENOMEM;
    memset(words + set->nwords, 0, (nwords - set->nwords) * sizeof(*words));
    set->words = words;
    set->nwords = nwords;
    return 0;
}

void mu_slotset_put(struct mu_slotset *set, uint32_t slot)
{
    uint64_t bit = (uint64_t)1 << (slot % 64);

    if (mu_slotset_reserve(set, slot + 1)) {
        set->all = true;
        return;
    }
    if (!(set->words[slot / 64] & bit)) {
        set->words[slot / 64] |= bit;
        set->n++;
    }
}

static bool is_in(const struct mu_slotset *set, uint32_t slot)
{
    return slot / 64 < set->nwords && set->words[slot / 64] >> (slot % 64) & 1;
}

void mu_slotset_clear(struct mu_slotset *set)
{
    if (set->n)
        memset(set->words, 0, set->nwords * sizeof(*set->words));
    set->n = 0;
}

bool mu_slotset_has(const struct mu_slotset *set, uint32_t slot)
{
    return set->all || is_in(set, slot);
}

bool mu_slotset_take(struct mu_slotset *set, uint32_t slot)
{
    if (!is_in(set, slot))
        return false;
    set->words[slot / 64] &= ~((uint64_t)1 << (slot % 64));
    set->n--;
    return true;
}

bool mu_slotset_take_any(struct mu_slotset *set, uint32_t *slot)
{
    if (set->n == 0)
        return false;
    while (set->next >= set->nwords || !set->words[set->next])
        set->next = set->next + 1 < set->nwords ? set->next + 1 : 0;
    *slot = (uint32_t)(set->next * 64) + (uint32_t)__builtin_ctzll(set->words[set->next]);
    return mu_slotset_take(set, *slot);
}

void mu_slotset_settle(struct mu_slotset *set, uint32_t nslots)
{
    if (!set->all || mu_slotset_reserve(set, nslots))
        return;
    set->all = false;
    for (uint32_t slot = 0; slot < nslots; slot++)
        mu_slotset_put(set, slot);
}
