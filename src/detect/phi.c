/* Accrual: N. Hayashibara, X. Defago, R. Yared, T. Katayama: "The phi Accrual Failure Detector",
 * IEEE SRDS 2004. phi = -log10 of the chance that a beat comes later than the silence so far; each
 * user of it acts at his own threshold. The paper fits a normal law to the gaps; this is the
 * exponential one of Apache Cassandra (gms/FailureDetector), which needs the mean gap alone:
 * chance = exp(-silence / mean), so phi = silence / (mean * ln 10).
 *
 * The chance is fiction: beats come by the clock, and an exponential law would have them come at
 * random. A phi of 8 does not mean one mistake in 10^8 beats; it means 18.4 mean gaps of silence.
 * What is left of it is a timeout that follows the pace at which an agent is really heard, losses
 * included.
 *
 * Cassandra averages 1,000 gaps. 100 follow a change of pace ten times sooner, and the mean of what
 * comes by the clock needs no more. */
#include "detect/drivers.h"
#include "detect/rhythm.h"

#define WINDOW      100
#define LN10        2.302585092994046
#define PHI_SUSPECT 1

struct state {
    struct mu_rhythm rhythm;
    uint16_t n; /* gaps learned from, to WINDOW */
};

_Static_assert(sizeof(struct state) <= MU_DETECT_STATE_MAX, "state of phi");

static void heard(void *st, const struct mu_times *times, mu_time now)
{
    struct state *p = st;
    double gap = mu_rhythm_gap(p, sizeof(*p), times, now);

    if (gap < 0.5) /* nothing to learn from, or a beat that was said again */
        return;
    if (p->n < WINDOW)
        p->n++;
    mu_rhythm_mean(&p->rhythm, gap, p->n);
}

/* The silence that makes phi 1, in ns. */
static double unit(const struct state *p, const struct mu_times *times)
{
    return p->rhythm.mean * LN10 * (double)times->interval;
}

static void due(const void *st, const struct mu_times *times, mu_time since, mu_time *suspect_at,
                mu_time *down_at)
{
    const struct state *p = st;
    double one = unit(p, times);

    if (p->n < MU_DETECT_LEARNED)
        mu_detect_bound(times, since, times->suspect, times->down, suspect_at, down_at);
    else
        mu_detect_bound(times, since, (mu_dur)(PHI_SUSPECT * one),
                        (mu_dur)((double)times->phi * one), suspect_at, down_at);
}

static size_t numbers(const void *st, const struct mu_times *times, mu_time since, mu_time now,
                      struct mu_detect_number out[MU_DETECT_NUMBERS])
{
    const struct state *p = st;
    double silence = now > since ? (double)(now - since) : 0;
    size_t n = 0;

    out[n++] = (struct mu_detect_number){"learned from", "beats", p->n};
    if (p->n < MU_DETECT_LEARNED)
        out[n++] = (struct mu_detect_number){"judges from", "beats", MU_DETECT_LEARNED};
    if (p->n == 0)
        return n;
    out[n++] = (struct mu_detect_number){"mean gap", "s", unit(p, times) / LN10 / (double)MU_SEC};
    out[n++] = (struct mu_detect_number){"phi", "", silence / unit(p, times)};
    out[n++] = (struct mu_detect_number){"suspect at phi", "", PHI_SUSPECT};
    out[n++] = (struct mu_detect_number){"down at phi", "", (double)times->phi};
    return n;
}

const struct mu_detector_driver mu_detect_phi = {
    .name = "phi",
    .size = sizeof(struct state),
    .heard = heard,
    .due = due,
    .numbers = numbers,
};
