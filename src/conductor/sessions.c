#include "conductor/sessions.h"

#include "base/err.h"
#include "base/mem.h"

#define KEPT_FOR      (10 * 60 * MU_SEC) /* so that who was taken over is told so */
#define KEPT_AT_LEAST (10 * MU_SEC)
#define LONG_AGO      (3600 * MU_SEC)
#define SLICES        600 /* of a sweep: a minute of ticks */

void mu_sessions_init(struct mu_sessions *ss)
{
    ss->swept = 0;
    mu_entries_init(&ss->all, sizeof(struct mu_sender));
}

static void free_indexes(struct mu_sender *s)
{
    if (s->cap)
        mu_free(s->u.many);
}

void mu_sessions_fini(struct mu_sessions *ss)
{
    for (uint32_t i = 0; i < ss->all.n; i++)
        free_indexes(mu_entries_at(&ss->all, i));
    mu_entries_fini(&ss->all);
}

struct mu_sender *mu_sessions_add(struct mu_sessions *ss, uint64_t id, mu_time now)
{
    struct mu_sender *s = mu_entries_add(&ss->all, id);

    if (s) {
        s->touched = now;
        s->moved_at = s->told_at = now - LONG_AGO;
    }
    return s;
}

static void remove_sender(struct mu_sessions *ss, struct mu_sender *s)
{
    free_indexes(s);
    mu_entries_remove(&ss->all, s);
}

void mu_sessions_release(struct mu_sessions *ss, struct mu_sender *s)
{
    if (s->live == 0 && s->streams == 0 && s->taken == 0)
        remove_sender(ss, s);
}

void mu_sessions_sweep(struct mu_sessions *ss, mu_time now, uint32_t many)
{
    mu_dur kept = ss->all.count > many ? KEPT_AT_LEAST : KEPT_FOR;

    for (uint32_t left = ss->all.n / SLICES + 1; left > 0 && ss->all.n > 0; left--) {
        struct mu_sender *s;

        ss->swept = (ss->swept + 1) % ss->all.n;
        s = mu_entries_at(&ss->all, ss->swept);
        if (s->id && s->live == 0 && s->streams == 0 && now - s->touched > kept)
            remove_sender(ss, s);
    }
}

uint32_t mu_sender_get(const struct mu_sender *s, uint32_t index)
{
    if (index >= s->n)
        return MU_INDEX_NOBODY;
    return s->cap ? s->u.many[index] : s->u.lone;
}

/* Room for indexes below @n; new ones mean nobody. */
static int make_room(struct mu_sender *s, uint32_t n)
{
    uint32_t cap = s->cap ? s->cap : 4, *many;

    if (n <= s->n)
        return 0;
    if (n == 1 && s->cap == 0) {
        s->u.lone = MU_INDEX_NOBODY;
        s->n = 1;
        return 0;
    }
    while (cap < n)
        cap *= 2;
    if (cap != s->cap) {
        many = mu_realloc(s->cap ? s->u.many : NULL, cap, sizeof(*many));
        if (!many)
            return MU_ENOMEM;
        if (!s->cap && s->n)
            many[0] = s->u.lone;
        s->u.many = many;
        s->cap = cap;
    }
    while (s->n < n)
        s->u.many[s->n++] = MU_INDEX_NOBODY;
    return 0;
}

int mu_sender_set(struct mu_sender *s, uint32_t index, uint32_t value)
{
    uint32_t *at;

    if (index >= MU_SENDER_MAX)
        return MU_EFULL;
    if (make_room(s, index + 1) != 0)
        return MU_ENOMEM;
    at = s->cap ? &s->u.many[index] : &s->u.lone;
    s->live -= MU_INDEX_IS_SLOT(*at);
    s->taken -= *at == MU_INDEX_TAKEN;
    *at = value;
    s->live += MU_INDEX_IS_SLOT(*at);
    s->taken += *at == MU_INDEX_TAKEN;
    return 0;
}

int mu_sender_bind(struct mu_sender *s, uint32_t slot, uint32_t *index)
{
    uint32_t next = s->n;
    int rv = mu_sender_set(s, next, slot);

    if (rv == 0)
        *index = next;
    return rv;
}

void mu_sender_unbind(struct mu_sender *s, uint32_t index)
{
    mu_sender_set(s, index, MU_INDEX_NOBODY);
    if (index + 1 == s->n)
        s->n--;
}
