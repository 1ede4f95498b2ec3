#include "conductor/explain.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conductor/heart.h"

/* What the sentences are made from. */
struct sight {
    struct mu_conductor *c;
    struct mu_pulse pulse;
    mu_time now, h, since; /* monotonic; hearing time: now, and from where silence counts */
};

/* A length for people: to 0.1 s, or exactly where it is shorter. */
static const char *dur(mu_dur d, char out[MU_DUR_TEXT])
{
    if (d < 0)
        d = 0;
    return mu_dur_text(d >= MU_SEC ? d / (100 * MU_MS) * (100 * MU_MS) : d / MU_MS * MU_MS, out);
}

static void change(struct mu_explanation *e, const char *fmt, ...) MU_PRINTF(2, 3);
static void change(struct mu_explanation *e, const char *fmt, ...)
{
    va_list args;

    if (e->nchanges == MU_EXPLAIN_LINES)
        return;
    va_start(args, fmt);
    vsnprintf(e->changes[e->nchanges++], sizeof(e->changes[0]), fmt, args);
    va_end(args);
}

static void numbers(const struct sight *s, struct mu_explanation *e)
{
    mu_dur forgiven = s->since - s->pulse.since, all;
    bool forced = e->view.row.forced_down;

    e->silence = s->h - s->since;
    all = s->now - (s->pulse.heard == MU_NEVER ? s->c->began : s->pulse.heard);
    e->stalls = mu_sweep_rest(all - e->silence);
    if (e->stalls == 0) /* both are one silence, but for parts of a ms */
        e->silence = all;
    e->suspect_in = e->down_in = MU_NEVER;
    if (s->pulse.state == MU_UP && !forced)
        e->suspect_in = s->pulse.suspect_at + forgiven - s->h;
    if (!forced &&
        (s->pulse.state == MU_UP || s->pulse.state == MU_SUSPECT || s->pulse.state == MU_UNKNOWN))
        e->down_in = s->pulse.down_at + forgiven - s->h;
    if (e->suspect_in < 0)
        e->suspect_in = 0;
    if (e->down_in < 0)
        e->down_in = 0;
    e->suspect_after = s->pulse.suspect_at - s->pulse.since;
    e->down_after = s->pulse.down_at - s->pulse.since;
    e->level =
        mu_detect_level(s->pulse.detector, s->pulse.learned, &s->pulse.times, s->since, s->h);
    e->nnumbers =
        s->pulse.detector->numbers(s->pulse.learned, &s->pulse.times, s->since, s->h, e->numbers);
}

static void history(const struct sight *s, struct mu_explanation *e)
{
    mu_wall at = e->view.row.last_seen;

    if (!e->view.heard)
        return;
    e->ngaps = mu_roster_history(s->c->roster, e->view.slot, e->gaps_ms);
    for (e->nbeats = 0; e->nbeats < MU_GAPS && e->nbeats <= e->ngaps; e->nbeats++) {
        e->beats_at[e->nbeats] = at;
        if (e->nbeats < e->ngaps)
            at -= e->gaps_ms[e->nbeats];
    }
}

static void path(const struct sight *s, struct mu_explanation *e)
{
    const struct mu_sender *sender;
    const char *peer;

    e->session = e->view.row.session;
    e->index = e->view.row.index;
    sender = e->session ? mu_sessions_find(&s->c->sessions, e->session) : NULL;
    peer = sender && sender->by_stream ? mu_stream_peer(s->c, e->session) : "";
    if (!e->view.heard)
        return;
    if (*peer)
        snprintf(e->path, sizeof(e->path), "stream %.50s", peer);
    else if (sender)
        snprintf(e->path, sizeof(e->path), "datagram");
    else if (e->view.row.start_id == 0)
        snprintf(e->path, sizeof(e->path), "http");
}

static void verdict(struct mu_explanation *e)
{
    const struct mu_view *v = &e->view;
    char a[MU_DUR_TEXT], b[MU_DUR_TEXT], since[MU_WALL_TEXT];
    const char *state = mu_state_text(v->row.state);

    mu_wall_text(v->row.state_since, since);
    if (v->row.forced_down)
        snprintf(e->verdict, sizeof(e->verdict),
                 "down: forced by an operator%s%s; what is seen beneath is %s",
                 *v->row.forced_reason ? ": " : "", v->row.forced_reason,
                 v->heard || v->row.state > MU_SUSPECT ? state : "unknown");
    else if (v->shown == MU_UP)
        snprintf(e->verdict, sizeof(e->verdict), "up: heard %s ago, suspect after %s of silence",
                 dur(v->silence, a), dur(e->suspect_after, b));
    else if (v->shown == MU_UNKNOWN)
        snprintf(e->verdict, sizeof(e->verdict),
                 "unknown: not heard since the conductor started %s ago, down in %s unless heard",
                 dur(e->silence + e->stalls, a), dur(e->down_in, b));
    else if (v->shown == MU_SUSPECT)
        snprintf(e->verdict, sizeof(e->verdict), "suspect since %s: %s; down in %s unless heard",
                 since, mu_reason_text(v->row.state_reason), dur(e->down_in, b));
    else
        snprintf(e->verdict, sizeof(e->verdict), "%s since %s: %s", state, since,
                 mu_reason_text(v->row.state_reason));
}

static void rule(struct mu_explanation *e)
{
    const struct mu_view *v = &e->view;
    char suspect[MU_DUR_TEXT], down[MU_DUR_TEXT];

    dur(e->suspect_after, suspect);
    dur(e->down_after, down);
    if (v->row.forced_down)
        snprintf(e->rule, sizeof(e->rule),
                 "forced down shows down whatever is heard; events of kind forced tell since when");
    else if (v->shown == MU_UNKNOWN)
        snprintf(e->rule, sizeof(e->rule),
                 "a start knows nothing: down after %s since the start, and when no join waits",
                 down);
    else if (v->shown_reason == MU_WHY_STREAM_CLOSED)
        snprintf(e->rule, sizeof(e->rule),
                 "the end of a session's last stream, by the peer, makes its agents suspect");
    else if (v->shown_reason == MU_WHY_EXITED || v->shown_reason == MU_WHY_KILLED ||
             v->shown_reason == MU_WHY_ENDED)
        snprintf(e->rule, sizeof(e->rule),
                 "the word of who watched the process makes it down at once");
    else if (v->shown == MU_LEFT)
        snprintf(e->rule, sizeof(e->rule), "who says goodbye is not judged by silence");
    else
        snprintf(e->rule, sizeof(e->rule),
                 "policy %s: suspect after %s, down after %s of silence that we could hear",
                 v->policy, suspect, down);
}

static void hearing(const struct sight *s, struct mu_explanation *e)
{
    const struct mu_hearing *h = &s->c->hearing;

    e->deaf = h->deaf;
    mu_hearing_ready(h, s->now, e->hearing, sizeof(e->hearing));
    e->stalled_total = h->stall_total;
    e->last_stall = h->stall_last;
    e->drops = h->drops;
}

static void changes(const struct sight *s, struct mu_explanation *e)
{
    const struct mu_view *v = &e->view;
    char a[MU_DUR_TEXT];

    if (v->row.forced_down) {
        change(e, "undoing force-down shows what is seen at once");
        return;
    }
    if (s->pulse.state == MU_SUSPECT || s->pulse.state == MU_DOWN || s->pulse.state == MU_UNKNOWN) {
        if (v->row.session || v->row.start_id == 0)
            change(e, "a beat makes it up");
        else
            change(e, "a new join makes it up");
    }
    if (s->pulse.state == MU_LEFT)
        change(e, "a new join makes it up");
    if (e->suspect_in != MU_NEVER)
        change(e, "suspect in %s if nothing is heard", dur(e->suspect_in, a));
    if (e->down_in != MU_NEVER)
        change(e, "down in %s if nothing is heard", dur(e->down_in, a));
    if (s->pulse.state == MU_UNKNOWN && !mu_admit_empty(&s->c->admit, s->now))
        change(e, "not before those are back who were told to join later");
    if (s->c->hearing.deaf && e->down_in != MU_NEVER)
        change(e, "not by silence while datagrams are dropped");
    if (e->stalls > 0 && e->down_in != MU_NEVER)
        change(e, "%s of its silence do not count: we could not hear, or a stall forgave them",
               dur(e->stalls, a));
}

void mu_explain(struct mu_conductor *c, uint32_t slot, mu_time now, mu_wall wall,
                struct mu_explanation *out)
{
    struct sight s = {.c = c, .now = now};

    memset(out, 0, sizeof(*out));
    mu_roster_view(c->roster, slot, now, &out->view);
    mu_roster_pulse(c->roster, slot, &s.pulse);
    s.h = mu_hearing_at(&c->hearing, now);
    s.since = mu_sweep_since(c, &s.pulse);
    if (s.since > s.h)
        s.since = s.h;
    out->detector = s.pulse.detector->name;
    numbers(&s, out);
    history(&s, out);
    path(&s, out);
    verdict(out);
    rule(out);
    hearing(&s, out);
    if (c->hearing.stall_at != MU_NEVER)
        out->last_stall_at = wall - (now - c->hearing.stall_at) / MU_MS;
    changes(&s, out);
}
