#include "outlet/watch.h"

#include "base/mem.h"

struct mu_watch {
    const struct mu_bus *bus;
    mu_watch_fn fn;
    void *ctx;
    uint64_t first;      /* of this life */
    uint64_t shown;      /* events up to this number may be read */
    uint64_t evicted;    /* newest number that had to make room */
    size_t cap, head, n; /* a ring in order of numbers; head is the oldest */
    struct mu_event ring[];
};

static struct mu_event *at(const struct mu_watch *watch, size_t i)
{
    return (struct mu_event *)&watch->ring[(watch->head + i) % watch->cap];
}

/* How many of the events here have numbers up to @seq. */
static size_t rank(const struct mu_watch *watch, uint64_t seq)
{
    size_t lo = 0, hi = watch->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (at(watch, mid)->seq <= seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void evict(struct mu_watch *watch)
{
    struct mu_event *oldest = at(watch, 0);

    watch->evicted = oldest->seq;
    mu_event_unref(oldest);
    watch->head = (watch->head + 1) % watch->cap;
    watch->n--;
}

/* Returns whether @event is kept: one older than all that a full ring has is not. */
static bool insert(struct mu_watch *watch, const struct mu_event *event)
{
    size_t place;

    if (event->seq <= watch->evicted)
        return false;
    if (watch->n == watch->cap) {
        if (event->seq < at(watch, 0)->seq) {
            watch->evicted = event->seq;
            return false;
        }
        evict(watch);
    }
    place = rank(watch, event->seq);
    watch->n++;
    for (size_t i = watch->n - 1; i > place; i--)
        *at(watch, i) = *at(watch, i - 1);
    *at(watch, place) = *event;
    mu_event_ref(event);
    return true;
}

/* Moves .shown on to the newest event below @below. Returns whether it moved. */
static bool show_below(struct mu_watch *watch, uint64_t below)
{
    size_t n = rank(watch, below - 1);

    if (!n || at(watch, n - 1)->seq <= watch->shown)
        return false;
    watch->shown = at(watch, n - 1)->seq;
    return true;
}

static void sink(void *ctx, const struct mu_event *event)
{
    struct mu_watch *watch = ctx;
    bool late = event->seq < watch->shown, moved, held;

    if (event->seq == 0)
        return; /* no number was left: only the journal knows what to make of it */
    insert(watch, event);
    moved = show_below(watch, mu_bus_floor(watch->bus));
    held = watch->n && at(watch, watch->n - 1)->seq > watch->shown;
    if (!watch->fn)
        return;
    if (late)
        watch->fn(watch->ctx, held, event);
    else if (moved || held)
        watch->fn(watch->ctx, held, NULL);
}

int mu_watch_new(struct mu_watch **out, struct mu_bus *bus, uint64_t first, size_t capacity)
{
    struct mu_watch *watch = mu_alloc(sizeof(*watch) + capacity * sizeof(watch->ring[0]));

    if (!watch)
        return MU_ENOMEM;
    watch->bus = bus;
    watch->first = first;
    watch->shown = first - 1;
    watch->cap = capacity;
    if (mu_bus_attach(bus, sink, watch)) {
        mu_free(watch);
        return MU_ENOMEM;
    }
    *out = watch;
    return 0;
}

void mu_watch_free(struct mu_watch *watch)
{
    if (!watch)
        return;
    while (watch->n)
        evict(watch);
    mu_free(watch);
}

void mu_watch_listen(struct mu_watch *watch, mu_watch_fn fn, void *ctx)
{
    watch->fn = fn;
    watch->ctx = ctx;
}

bool mu_watch_release(struct mu_watch *watch)
{
    return show_below(watch, UINT64_MAX);
}

bool mu_watch_covers(const struct mu_watch *watch, uint64_t since)
{
    return since + 1 >= watch->first && since >= watch->evicted;
}

uint64_t mu_watch_first(const struct mu_watch *watch)
{
    return watch->first;
}

uint64_t mu_watch_last(const struct mu_watch *watch)
{
    return watch->shown;
}

uint64_t mu_watch_evicted(const struct mu_watch *watch)
{
    return watch->evicted;
}

uint64_t mu_watch_read(const struct mu_watch *watch, uint64_t since, mu_watch_each_fn each,
                       void *ctx)
{
    for (size_t i = rank(watch, since); i < watch->n; i++) {
        const struct mu_event *event = at(watch, i);

        if (event->seq > watch->shown)
            break;
        if (each(ctx, event))
            return event->seq;
    }
    return watch->shown > since ? watch->shown : since;
}
