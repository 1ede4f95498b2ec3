#include "event/bus.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

#define SINKS_MAX 16

struct sink {
    mu_sink_fn fn;
    void *ctx;
};

struct mu_bus {
    struct sink sinks[SINKS_MAX];
    size_t nsinks;
    uint64_t next, end;
    uint64_t *reserved;          /* ascending from .head on: numbers are taken in order, */
    size_t head, nreserved, cap; /* and mostly come true in it */
    bool publishing;
};

int mu_bus_new(struct mu_bus **out)
{
    struct mu_bus *bus = mu_alloc(sizeof(*bus));

    if (!bus)
        return MU_ENOMEM;
    *out = bus;
    return 0;
}

void mu_bus_free(struct mu_bus *bus)
{
    if (!bus)
        return;
    mu_free(bus->reserved);
    mu_free(bus);
}

int mu_bus_attach(struct mu_bus *bus, mu_sink_fn fn, void *ctx)
{
    if (bus->nsinks == SINKS_MAX)
        return MU_EFULL;
    bus->sinks[bus->nsinks++] = (struct sink){fn, ctx};
    return 0;
}

void mu_bus_grant(struct mu_bus *bus, uint64_t next, uint64_t end)
{
    if (bus->next == 0)
        bus->next = next;
    if (end > bus->end)
        bus->end = end;
}

uint64_t mu_bus_left(const struct mu_bus *bus)
{
    return bus->end > bus->next ? bus->end - bus->next : 0;
}

uint64_t mu_bus_last(const struct mu_bus *bus)
{
    return bus->next ? bus->next - 1 : 0;
}

static uint64_t take(struct mu_bus *bus)
{
    return mu_bus_left(bus) ? bus->next++ : 0;
}

uint64_t mu_bus_reserve(struct mu_bus *bus)
{
    uint64_t seq;

    if (bus->head > bus->cap / 2 && bus->nreserved == bus->cap) {
        bus->nreserved -= bus->head;
        memmove(bus->reserved, bus->reserved + bus->head, bus->nreserved * sizeof(seq));
        bus->head = 0;
    }
    if (bus->nreserved == bus->cap) {
        size_t cap = bus->cap ? bus->cap * 2 : 16;
        uint64_t *more = mu_realloc(bus->reserved, cap, sizeof(*more));

        if (!more)
            return 0;
        bus->reserved = more;
        bus->cap = cap;
    }
    seq = take(bus);
    if (seq)
        bus->reserved[bus->nreserved++] = seq;
    return seq;
}

void mu_bus_release(struct mu_bus *bus, uint64_t seq)
{
    size_t i = bus->head;

    while (i < bus->nreserved && bus->reserved[i] != seq)
        i++;
    if (i == bus->nreserved)
        return;
    for (; i > bus->head; i--)
        bus->reserved[i] = bus->reserved[i - 1];
    bus->head++;
    if (bus->head == bus->nreserved)
        bus->head = bus->nreserved = 0;
}

uint64_t mu_bus_floor(const struct mu_bus *bus)
{
    return bus->nreserved > bus->head ? bus->reserved[bus->head] : UINT64_MAX;
}

void mu_bus_publish(struct mu_bus *bus, struct mu_event *event)
{
    assert(!bus->publishing);
    bus->publishing = true;
    if (event->seq == 0)
        event->seq = take(bus);
    else
        mu_bus_release(bus, event->seq);
    for (size_t i = 0; i < bus->nsinks; i++)
        bus->sinks[i].fn(bus->sinks[i].ctx, event);
    bus->publishing = false;
}
