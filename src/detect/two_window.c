/* 2W-FD: A. Tomsic, P. Sens, J. Garcia, L. Arantes, J. Sopena: "2W-FD: A Failure Detector Algorithm
 * with QoS", IEEE IPDPS 2015. A beat is expected where the later of two estimates puts it, one from
 * a long window of arrivals, one from a short window. The long one is that of W. Chen, S. Toueg,
 * M. K. Aguilera: "On the Quality of Service of Failure Detectors", IEEE Trans. Computers 51(5),
 * 2002, section 6 (NFD-E): what the network does on the whole. The short one, of a single sample
 * here, follows a sudden delay at once, where the long one would take every beat for late.
 *
 * The paper adds a constant margin. Ours is the most that any of the last beats was later than
 * expected: whatever the law of lateness, the next one of a steady stream exceeds the largest of n
 * with a chance of 1/(n+1). Beyond it an agent is suspect; beyond twice of it, down.
 *
 * Both windows are of about 1,000 beats. Arrivals are not kept, nor are beats numbered here: the
 * long window is where it stands against the last arrival, which an exponential mean of gain 1/n,
 * from n = 1 to 1,000, moves; a gap is of as many beats as intervals fit in it. */
#include "detect/drivers.h"
#include "detect/pace.h"

#define WINDOW     1000
#define BLOCKS     4
#define BLOCK      (WINDOW / BLOCKS)
#define UNIT       256 /* .worst counts interval / 256; it holds 256 intervals */
#define MARGIN_MIN 0.5 /* intervals: a lost beat is sent anew, by datagram and then by stream */

struct state {
    struct mu_pace pace;
    float late;             /* intervals from where the long window had expected the last beat to
                               where it came; below 0 = it came early */
    uint16_t worst[BLOCKS]; /* lateness, the most of each block of beats */
    uint16_t n;             /* gaps learned from, to WINDOW */
    uint8_t at, count;      /* the block in progress; beats in it */
};

_Static_assert(sizeof(struct state) <= MU_DETECT_STATE_MAX, "state of two-window");

/* From the last beat to the next one, in intervals. */
static double expected(const struct state *w)
{
    double gap = w->n ? w->pace.mean : 1;

    return w->late < 0 ? gap - w->late : gap;
}

static void note_lateness(struct state *w, double late)
{
    uint16_t units = 0;

    if (late >= (double)UINT16_MAX / UNIT)
        units = UINT16_MAX;
    else if (late > 0)
        units = (uint16_t)(late * UNIT + 1);
    if (units > w->worst[w->at])
        w->worst[w->at] = units;
    if (++w->count < BLOCK)
        return;
    w->count = 0;
    w->at = (uint8_t)((w->at + 1) % BLOCKS);
    w->worst[w->at] = 0;
}

/* The last beat is @by intervals later against the long window than the one before it was. More
 * than a half either way cannot be told from a beat more or less. */
static void shift(struct state *w, double by)
{
    double late = w->late + by;

    w->late = (float)(late > 0.5 ? 0.5 : late < -0.5 ? -0.5 : late);
}

static void heard(void *st, const struct mu_times *times, mu_time now)
{
    struct state *w = st;
    double gap = mu_pace_gap(w, sizeof(*w), times, now);
    unsigned beats = gap < 0 ? 0 : (unsigned)(gap + 0.5);

    if (gap < 0) {
        w->late = 0; /* the last beat is all that is known */
        return;
    }
    if (beats == 0) { /* said again, or caught up with the one before it */
        shift(w, gap);
        return;
    }
    note_lateness(w, gap - expected(w));
    if (w->n < WINDOW)
        w->n++;
    mu_pace_mean(&w->pace, gap / beats, w->n);
    shift(w, gap - beats * (double)w->pace.mean);
    w->late -= w->late / (float)w->n; /* the long window moves towards it */
}

static double margin(const struct state *w)
{
    unsigned most = 0;

    for (unsigned i = 0; i < BLOCKS; i++)
        if (w->worst[i] > most)
            most = w->worst[i];
    return (double)most / UNIT;
}

static double margin_used(const struct state *w)
{
    double most = margin(w);

    return most > MARGIN_MIN ? most : MARGIN_MIN;
}

static void due(const void *st, const struct mu_times *times, mu_time since, mu_time *suspect_at,
                mu_time *down_at)
{
    const struct state *w = st;
    double interval = (double)times->interval, next = expected(w), spare = margin_used(w);

    if (w->n < MU_DETECT_LEARNED)
        mu_detect_bound(times, since, times->suspect, times->down, suspect_at, down_at);
    else
        mu_detect_bound(times, since, (mu_dur)((next + spare) * interval),
                        (mu_dur)((next + 2 * spare) * interval), suspect_at, down_at);
}

static size_t numbers(const void *st, const struct mu_times *times, mu_time since, mu_time now,
                      struct mu_detect_number out[MU_DETECT_NUMBERS])
{
    const struct state *w = st;
    double interval = (double)times->interval / (double)MU_SEC;
    size_t n = 0;

    out[n++] = (struct mu_detect_number){"learned from", "beats", w->n};
    out[n++] = (struct mu_detect_number){"mean gap", "s", w->pace.mean * interval};
    out[n++] = (struct mu_detect_number){"expected after", "s", expected(w) * interval};
    out[n++] = (struct mu_detect_number){"latest was late", "s", margin(w) * interval};
    out[n++] = (struct mu_detect_number){"margin", "s", margin_used(w) * interval};
    return n;
}

const struct mu_detector_driver mu_detect_two_window = {
    .name = "two-window",
    .size = sizeof(struct state),
    .heard = heard,
    .due = due,
    .numbers = numbers,
};
