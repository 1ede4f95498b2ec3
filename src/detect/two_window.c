/* 2W-FD: A. Tomsic, P. Sens, J. Garcia, L. Arantes, J. Sopena: "2W-FD: A Failure Detector Algorithm
 * with QoS", IEEE IPDPS 2015. A beat is expected where the later of two estimates puts it, one from
 * a long window of arrivals, one from a short window. The long one is that of W. Chen, S. Toueg,
 * M. K. Aguilera: "On the Quality of Service of Failure Detectors", IEEE Trans. Computers 51(5),
 * 2002, section 6 (NFD-E): what the network does on the whole. The short one, of a single sample
 * here, follows a sudden delay at once, where the long one would take every beat for late.
 *
 * The paper adds a constant margin, which somebody must choose. Ours is a quarter more than the
 * most that a beat was later than expected: whatever the law of lateness, the next beat of a steady
 * stream exceeds the most of n before it with a chance of 1/(n+1). Beyond the margin an agent is
 * suspect, beyond twice of it down. The most fades by 1/20,000 with each beat, so slowly because
 * outages come without a memory: what is learned from the last 1,000 beats is a large margin just
 * after an outage, and a small one when the next one comes. bench/detectors.sh has the figures.
 *
 * Arrivals are not kept, nor are beats numbered here: the long window is where it stands against
 * the last arrival, which an exponential mean of gain 1/n, from n = 1 to 1,000, moves; a gap is of
 * as many beats as intervals fit in it. */
#include "detect/drivers.h"
#include "detect/rhythm.h"

#define WINDOW     1000
#define FADING     20000
#define MARGIN     1.25 /* so that a beat as late as the latest is none to suspect */
#define MARGIN_MIN 0.5  /* intervals: a lost beat is sent anew, by datagram and then by stream */

/* In intervals, but for .n. */
struct state {
    struct mu_rhythm rhythm;
    float late; /* from where the long window had expected the last beat to where it came; below
                   0 = it came early */
    float most; /* that a beat was late, faded */
    uint16_t n; /* gaps learned from, to WINDOW */
};

_Static_assert(sizeof(struct state) <= MU_DETECT_STATE_MAX, "state of two-window");

/* From the last beat to the next one, in intervals. */
static double expected(const struct state *w)
{
    double gap = w->n ? w->rhythm.mean : 1;

    return w->late < 0 ? gap - w->late : gap;
}

/* What makes death due at its latest is enough: more would only take longer to fade. */
static void note_lateness(struct state *w, double late, const struct mu_times *times)
{
    double enough = (double)times->down / (double)times->interval / 2;

    w->most -= w->most / FADING;
    if (late > enough)
        late = enough;
    if (late > w->most)
        w->most = (float)late;
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
    double gap = mu_rhythm_gap(w, sizeof(*w), times, now);
    unsigned beats = gap < 0 ? 0 : (unsigned)(gap + 0.5);

    if (gap < 0) {
        w->late = 0; /* the last beat is all that is known */
        return;
    }
    if (beats == 0) { /* said again, or caught up with the one before it */
        shift(w, gap);
        return;
    }
    note_lateness(w, gap - expected(w), times);
    if (w->n < WINDOW)
        w->n++;
    mu_rhythm_mean(&w->rhythm, gap / beats, w->n);
    shift(w, gap - beats * (double)w->rhythm.mean);
    w->late -= w->late / (float)w->n; /* the long window moves towards it */
}

static double margin_of(const struct state *w)
{
    double margin = MARGIN * w->most;

    return margin > MARGIN_MIN ? margin : MARGIN_MIN;
}

static void due(const void *st, const struct mu_times *times, mu_time since, mu_time *suspect_at,
                mu_time *down_at)
{
    const struct state *w = st;
    double interval = (double)times->interval, next = expected(w), margin = margin_of(w);

    if (w->n < MU_DETECT_LEARNED)
        mu_detect_bound(times, since, times->suspect, times->down, suspect_at, down_at);
    else
        mu_detect_bound(times, since, (mu_dur)((next + margin) * interval),
                        (mu_dur)((next + 2 * margin) * interval), suspect_at, down_at);
}

static size_t numbers(const void *st, const struct mu_times *times, mu_time since, mu_time now,
                      struct mu_detect_number out[MU_DETECT_NUMBERS])
{
    const struct state *w = st;
    double interval = (double)times->interval / (double)MU_SEC;
    size_t n = 0;

    out[n++] = (struct mu_detect_number){"learned from", "beats", w->n};
    if (w->n < MU_DETECT_LEARNED)
        out[n++] = (struct mu_detect_number){"judges from", "beats", MU_DETECT_LEARNED};
    out[n++] = (struct mu_detect_number){"mean gap", "s", w->rhythm.mean * interval};
    out[n++] = (struct mu_detect_number){"expected after", "s", expected(w) * interval};
    out[n++] = (struct mu_detect_number){"late at most", "s", w->most * interval};
    out[n++] = (struct mu_detect_number){"margin", "s", margin_of(w) * interval};
    return n;
}

const struct mu_detector_driver mu_detect_two_window = {
    .name = "two-window",
    .size = sizeof(struct state),
    .heard = heard,
    .due = due,
    .numbers = numbers,
};
