#include "outlet/checkpoint.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/stat.h"

#define ROWS_A_SEC  5000
#define WALK_SLICES 4    /* slices looked at in one go when hardly anybody was heard */
#define SLACK_MS    1000 /* an arrival's time may be noted a little late */

struct mu_checkpoint {
    struct mu_store *store;
    const struct mu_roster *roster;
    struct mu_beat_row *beats;
    size_t nbeats; /* of the piece */
    mu_dur interval;
    uint32_t slice;
    bool running, in_flight;
    uint32_t cursor; /* the next slot to be looked at */
    mu_wall since;   /* who was heard from then on is written */
    mu_time begun;   /* the walk that runs, or the last one */
    mu_wall begun_wall;
    mu_time whole; /* begin of the last one that came through */
    mu_wall whole_wall;
    mu_wall last; /* the same, 0 until there is one */
};

int mu_checkpoint_new(struct mu_checkpoint **out, struct mu_store *store,
                      const struct mu_roster *roster, mu_dur interval, uint32_t slice, mu_time now,
                      mu_wall wall)
{
    struct mu_checkpoint *checkpoint = mu_alloc(sizeof(*checkpoint));

    if (!checkpoint)
        return MU_ENOMEM;
    checkpoint->beats = mu_calloc(slice, sizeof(*checkpoint->beats));
    if (!checkpoint->beats) {
        mu_free(checkpoint);
        return MU_ENOMEM;
    }
    checkpoint->store = store;
    checkpoint->roster = roster;
    checkpoint->interval = interval;
    checkpoint->slice = slice;
    checkpoint->begun = checkpoint->whole = now;
    checkpoint->begun_wall = checkpoint->whole_wall = wall;
    *out = checkpoint;
    return 0;
}

/* A piece that a hung store still reads: kept in sight, never given back. */
static struct mu_checkpoint *volatile left_behind;

void mu_checkpoint_free(struct mu_checkpoint *checkpoint)
{
    if (!checkpoint)
        return;
    if (checkpoint->in_flight) {
        left_behind = checkpoint;
        return;
    }
    mu_free(checkpoint->beats);
    mu_free(checkpoint);
}

mu_dur mu_checkpoint_interval(const struct mu_checkpoint *checkpoint)
{
    mu_dur interval = (mu_dur)mu_roster_count(checkpoint->roster) * (MU_SEC / ROWS_A_SEC);

    return interval < checkpoint->interval ? checkpoint->interval : interval;
}

static int by_row(const void *a, const void *b)
{
    uint32_t x = ((const struct mu_beat_row *)a)->row, y = ((const struct mu_beat_row *)b)->row;

    return (x > y) - (x < y);
}

/* The next piece, in row order. Slots are nearly in that order by themselves. */
static size_t gather(struct mu_checkpoint *checkpoint)
{
    uint32_t nslots = mu_roster_slots(checkpoint->roster);
    uint64_t end = (uint64_t)checkpoint->cursor + (uint64_t)WALK_SLICES * checkpoint->slice;
    bool sorted = true;
    size_t n = 0;

    for (; checkpoint->cursor < nslots && checkpoint->cursor < end && n < checkpoint->slice;
         checkpoint->cursor++) {
        struct mu_beat_row *beat = &checkpoint->beats[n];
        struct mu_row row;
        if (!mu_roster_used(checkpoint->roster, checkpoint->cursor))
            continue;
        mu_roster_beat(checkpoint->roster, checkpoint->cursor, &beat->last_seen,
                       &beat->report_count);
        if (beat->last_seen < checkpoint->since ||
            !mu_roster_row(checkpoint->roster, checkpoint->cursor, &row))
            continue;
        beat->row = row.id;
        sorted = sorted && (n == 0 || beat[-1].row < row.id);
        n++;
    }
    if (!sorted)
        qsort(checkpoint->beats, n, sizeof(*checkpoint->beats), by_row);
    return n;
}

static void finish(struct mu_checkpoint *checkpoint)
{
    checkpoint->running = false;
    checkpoint->whole = checkpoint->begun;
    checkpoint->whole_wall = checkpoint->last = checkpoint->begun_wall;
    mu_stat_add(MU_STAT_CHECKPOINTS, 1);
}

static void step(struct mu_checkpoint *checkpoint);

/* What failed for good is tried again with the next walk, which goes back as far as this one. */
static void on_piece(void *ctx, int rv, const struct mu_err *err)
{
    struct mu_checkpoint *checkpoint = ctx;

    checkpoint->in_flight = false;
    if (rv) {
        checkpoint->running = false;
        return;
    }
    mu_stat_add(MU_STAT_CHECKPOINT_ROWS, checkpoint->nbeats);
    step(checkpoint);
}

static void step(struct mu_checkpoint *checkpoint)
{
    size_t n = checkpoint->nbeats = gather(checkpoint);

    if (n == 0) {
        if (checkpoint->cursor >= mu_roster_slots(checkpoint->roster))
            finish(checkpoint);
        return; /* else the next tick goes on */
    }
    if (mu_store_checkpoint(checkpoint->store, checkpoint->beats, n, on_piece, checkpoint))
        checkpoint->running = false;
    else
        checkpoint->in_flight = true;
}

/* A wall clock that was set makes "heard since" mean nothing: then everybody is written. */
static mu_wall since(const struct mu_checkpoint *checkpoint, mu_time now, mu_wall wall)
{
    mu_wall moved = wall - checkpoint->whole_wall;
    mu_wall passed = (now - checkpoint->whole) / MU_MS;

    if (moved < passed - SLACK_MS || moved > passed + SLACK_MS)
        return INT64_MIN;
    return checkpoint->whole_wall - SLACK_MS;
}

bool mu_checkpoint_begin(struct mu_checkpoint *checkpoint, mu_time now, mu_wall wall)
{
    if (checkpoint->running || checkpoint->in_flight)
        return false;
    checkpoint->since = since(checkpoint, now, wall);
    checkpoint->running = true;
    checkpoint->cursor = 0;
    checkpoint->begun = now;
    checkpoint->begun_wall = wall;
    step(checkpoint);
    return true;
}

void mu_checkpoint_tick(struct mu_checkpoint *checkpoint, mu_time now, mu_wall wall)
{
    if (checkpoint->running && !checkpoint->in_flight)
        step(checkpoint);
    else if (now - checkpoint->begun >= mu_checkpoint_interval(checkpoint))
        mu_checkpoint_begin(checkpoint, now, wall);
}

bool mu_checkpoint_running(const struct mu_checkpoint *checkpoint)
{
    return checkpoint->running;
}

mu_wall mu_checkpoint_last(const struct mu_checkpoint *checkpoint)
{
    return checkpoint->last;
}
