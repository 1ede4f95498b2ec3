#include "conductor/sessions.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define KEPT_FOR      (10 * 60 * MU_SEC) /* so that who was taken over is told so */
#define KEPT_AT_LEAST (10 * MU_SEC)
#define OFTEN_S       60  /* a source may change so often and nobody is told */
#define SLICES        600 /* of a sweep: a minute of ticks, less than 8 bits of seconds */
#define NONE          UINT32_MAX

/* What the indexes of a sender mean. */
struct mu_crew {
    uint32_t *values;
    uint32_t n, cap;
    uint32_t live;   /* indexes that mean an agent */
    uint32_t taken;  /* indexes whose name was taken over */
    uint32_t next;   /* of a free crew: the next free one */
    mu_time touched; /* when the sender last showed that it has the key */
};

/* ---- places ---- */

void mu_sessions_init(struct mu_sessions *ss, uint32_t epoch, mu_time now)
{
    *ss = (struct mu_sessions){
        .free_first = NONE, .free_last = NONE, .crew_free = NONE, .epoch = epoch, .now = now};
}

void mu_sessions_fini(struct mu_sessions *ss)
{
    for (uint32_t i = 0; i < ss->ncrews; i++)
        mu_free(ss->crews[i].values);
    mu_free(ss->crews);
    mu_free(ss->at);
}

/* A free place remembers how often it was given in this epoch, and the next free one in .only. */
static void push_free(struct mu_sessions *ss, uint32_t place)
{
    struct mu_sender *s = &ss->at[place];
    bool now = s->epoch == ss->epoch;

    if (now && s->given == UINT8_MAX) { /* it has no more numbers in this epoch */
        *s = (struct mu_sender){.only = NONE};
        return;
    }
    *s = (struct mu_sender){.given = now ? (uint8_t)(s->given + 1) : 0, .only = NONE};
    if (ss->free_last == NONE)
        ss->free_first = place;
    else
        ss->at[ss->free_last].only = place;
    ss->free_last = place;
}

static uint32_t pop_free(struct mu_sessions *ss)
{
    uint32_t place = ss->free_first;

    if (place == NONE)
        return NONE;
    ss->free_first = ss->at[place].only;
    if (ss->free_first == NONE)
        ss->free_last = NONE;
    return place;
}

/* Room for places below @n, which are free but in no list. */
static int make_room(struct mu_sessions *ss, uint32_t n)
{
    uint32_t cap = ss->cap ? ss->cap : 64;
    struct mu_sender *at;

    if (n <= ss->n)
        return 0;
    while (cap < n)
        cap += cap / 2;
    if (cap != ss->cap) {
        at = mu_realloc(ss->at, cap, sizeof(*at));
        if (!at)
            return MU_ENOMEM;
        ss->at = at;
        ss->cap = cap;
    }
    memset(ss->at + ss->n, 0, (n - ss->n) * sizeof(*ss->at));
    ss->n = n;
    return 0;
}

static struct mu_sender *begin(struct mu_sessions *ss, uint32_t place, uint32_t epoch,
                               uint8_t given)
{
    ss->count++;
    ss->at[place] = (struct mu_sender){.epoch = epoch, .given = given, .only = MU_INDEX_NOBODY};
    return &ss->at[place];
}

struct mu_sender *mu_sessions_add(struct mu_sessions *ss)
{
    uint32_t place = pop_free(ss);

    if (place == NONE) {
        place = ss->n;
        if (place == MU_SESSION_PLACES || make_room(ss, place + 1) != 0)
            return NULL;
    }
    return begin(ss, place, ss->epoch, ss->at[place].given);
}

/* ---- crews ---- */

static struct mu_crew *crew_of(const struct mu_sessions *ss, const struct mu_sender *s)
{
    return s->crewed ? &ss->crews[s->only] : NULL;
}

/* Room for indexes below @n; new ones mean nobody. */
static int extend(struct mu_crew *crew, uint32_t n)
{
    uint32_t cap = crew->cap ? crew->cap : 4, *values;

    if (n <= crew->n)
        return 0;
    while (cap < n)
        cap *= 2;
    if (cap != crew->cap) {
        values = mu_realloc(crew->values, cap, sizeof(*values));
        if (!values)
            return MU_ENOMEM;
        crew->values = values;
        crew->cap = cap;
    }
    while (crew->n < n)
        crew->values[crew->n++] = MU_INDEX_NOBODY;
    return 0;
}

static uint32_t free_crew(struct mu_sessions *ss)
{
    uint32_t cap = ss->crew_cap ? ss->crew_cap * 2 : 16, i = ss->crew_free;
    struct mu_crew *crews;

    if (i != NONE) {
        ss->crew_free = ss->crews[i].next;
        return i;
    }
    if (ss->ncrews == ss->crew_cap) {
        crews = mu_realloc(ss->crews, cap, sizeof(*crews));
        if (!crews)
            return NONE;
        ss->crews = crews;
        ss->crew_cap = cap;
    }
    return ss->ncrews++;
}

static void end_crew(struct mu_sessions *ss, struct mu_sender *s)
{
    struct mu_crew *crew = crew_of(ss, s);

    if (!crew)
        return;
    mu_free(crew->values);
    *crew = (struct mu_crew){.next = ss->crew_free};
    ss->crew_free = s->only;
    s->crewed = 0;
}

/* The crew of @s with room for @n indexes, made where it had none; NULL = out of memory. */
static struct mu_crew *have_crew(struct mu_sessions *ss, struct mu_sender *s, uint32_t n)
{
    struct mu_crew crew = {.next = NONE, .touched = ss->now};
    uint32_t i;

    if (s->crewed)
        return extend(crew_of(ss, s), n) == 0 ? crew_of(ss, s) : NULL;
    if (extend(&crew, n) != 0)
        return NULL;
    i = free_crew(ss);
    if (i == NONE) {
        mu_free(crew.values);
        return NULL;
    }
    if (s->only != MU_INDEX_NOBODY) {
        crew.values[0] = s->only;
        crew.live = 1;
    }
    ss->crews[i] = crew;
    s->crewed = 1;
    s->only = i;
    return &ss->crews[i];
}

/* ---- from the store ---- */

int mu_sessions_restore(struct mu_sessions *ss, uint64_t id, struct mu_sender **out)
{
    uint32_t place = id & (MU_SESSION_PLACES - 1);

    if (make_room(ss, place + 1) != 0)
        return MU_ENOMEM;
    *out = NULL;
    if (id >> 32 == 0 || mu_sender_id(ss, &ss->at[place]) > id)
        return 0;
    if (ss->at[place].epoch) { /* the older one is over */
        end_crew(ss, &ss->at[place]);
        ss->count--;
    }
    *out = begin(ss, place, (uint32_t)(id >> 32), (uint8_t)(id >> 24));
    return 0;
}

void mu_sessions_restored(struct mu_sessions *ss)
{
    for (uint32_t place = 0; place < ss->n; place++)
        if (ss->at[place].epoch == 0)
            push_free(ss, place);
}

/* ---- what indexes mean ---- */

uint32_t mu_sender_n(const struct mu_sessions *ss, const struct mu_sender *s)
{
    return s->crewed ? crew_of(ss, s)->n : s->only != MU_INDEX_NOBODY;
}

uint32_t mu_sender_get(const struct mu_sessions *ss, const struct mu_sender *s, uint32_t index)
{
    const struct mu_crew *crew = crew_of(ss, s);

    if (!crew)
        return index == 0 ? s->only : MU_INDEX_NOBODY;
    return index < crew->n ? crew->values[index] : MU_INDEX_NOBODY;
}

int mu_sender_set(struct mu_sessions *ss, struct mu_sender *s, uint32_t index, uint32_t value)
{
    struct mu_crew *crew;
    uint32_t *at;

    if (index >= MU_SENDER_MAX)
        return MU_EFULL;
    if (!s->crewed && index == 0 && MU_INDEX_IS_SLOT(value)) {
        s->only = value;
        return 0;
    }
    crew = have_crew(ss, s, index + 1);
    if (!crew && !s->crewed && index == 0) {
        s->only = MU_INDEX_NOBODY; /* without memory it is forgotten why; never that it is over */
        return 0;
    }
    if (!crew)
        return MU_ENOMEM;
    at = &crew->values[index];
    crew->live -= MU_INDEX_IS_SLOT(*at);
    crew->taken -= *at == MU_INDEX_TAKEN;
    *at = value;
    crew->live += MU_INDEX_IS_SLOT(*at);
    crew->taken += *at == MU_INDEX_TAKEN;
    return 0;
}

int mu_sender_bind(struct mu_sessions *ss, struct mu_sender *s, uint32_t slot, uint32_t *index)
{
    uint32_t next = mu_sender_n(ss, s);
    int rv = mu_sender_set(ss, s, next, slot);

    if (rv == 0)
        *index = next;
    return rv;
}

void mu_sender_unbind(struct mu_sessions *ss, struct mu_sender *s, uint32_t index)
{
    struct mu_crew *crew = crew_of(ss, s);

    if (!crew) {
        s->only = MU_INDEX_NOBODY;
        return;
    }
    (void)mu_sender_set(ss, s, index, MU_INDEX_NOBODY); /* there is room: it was given */
    if (index + 1 == crew->n)
        crew->n--;
}

/* ---- what it sends, and where from ---- */

bool mu_sender_accept(struct mu_sender *s, uint64_t seq)
{
    struct mu_replay replay = {.top = s->top, .seen = s->seen};

    if (seq >> 48 || !mu_replay_accept(&replay, seq))
        return false;
    s->top = replay.top;
    s->seen = replay.seen;
    return true;
}

static bool lately(bool ever, uint8_t at_s, mu_time now)
{
    return ever && (uint8_t)((uint8_t)(now / MU_SEC) - at_s) < OFTEN_S;
}

bool mu_sender_roams(struct mu_sender *s, uint16_t from, mu_time now)
{
    bool often = lately(s->moved, s->moved_s, now) && !lately(s->told, s->told_s, now);

    if (s->from) {
        s->moved = 1;
        s->moved_s = (uint8_t)(now / MU_SEC);
    }
    s->from = from;
    return often;
}

void mu_sender_told(struct mu_sender *s, mu_time now)
{
    s->told = 1;
    s->told_s = (uint8_t)(now / MU_SEC);
}

/* ---- the end ---- */

void mu_sender_touch(struct mu_sessions *ss, struct mu_sender *s)
{
    if (s->crewed)
        crew_of(ss, s)->touched = ss->now;
}

static void remove_sender(struct mu_sessions *ss, struct mu_sender *s)
{
    end_crew(ss, s);
    ss->count--;
    push_free(ss, (uint32_t)(s - ss->at));
}

/* Whether nobody speaks by it, and by no stream. */
static bool is_idle(const struct mu_sessions *ss, const struct mu_sender *s)
{
    const struct mu_crew *crew = crew_of(ss, s);

    return s->stream == 0 && (crew ? crew->live == 0 : s->only == MU_INDEX_NOBODY);
}

void mu_sessions_release(struct mu_sessions *ss, struct mu_sender *s)
{
    if (is_idle(ss, s) && (!s->crewed || crew_of(ss, s)->taken == 0))
        remove_sender(ss, s);
}

void mu_sessions_sweep(struct mu_sessions *ss, mu_time now, uint32_t many)
{
    mu_dur kept = ss->count > many ? KEPT_AT_LEAST : KEPT_FOR;

    ss->now = now;
    for (uint32_t left = ss->n / SLICES + 1; left > 0 && ss->n > 0; left--) {
        struct mu_sender *s;

        ss->swept = (ss->swept + 1) % ss->n;
        s = &ss->at[ss->swept];
        s->moved = lately(s->moved, s->moved_s, now);
        s->told = lately(s->told, s->told_s, now);
        if (s->epoch && is_idle(ss, s) && (!s->crewed || now - crew_of(ss, s)->touched > kept))
            remove_sender(ss, s);
    }
}
