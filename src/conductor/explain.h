/* explain.h - why an agent is what it is, as a value. Its words are made by who shows it. */
#ifndef MU_CONDUCTOR_EXPLAIN_H
#define MU_CONDUCTOR_EXPLAIN_H

#include "conductor/conductor.h"
#include "detect/detect.h"

#define MU_EXPLAIN_LINES 8

struct mu_explanation {
    struct mu_view view;
    char verdict[512]; /* one sentence: "up: heard 3.2 s ago, suspect after 25 s of silence" */
    char rule[256];    /* the rule that led to it */
    const char *detector;
    mu_dur silence, stalls;           /* hearing time since the last beat; deafness within it */
    double level;                     /* the detector's: 0 = just heard, 1 = down is due */
    mu_dur suspect_after, down_after; /* silence, as the detector has it now */
    mu_dur suspect_in, down_in; /* until silence changes what is shown; MU_NEVER = it will not */
    struct mu_detect_number numbers[MU_DETECT_NUMBERS]; /* the detector's own */
    size_t nnumbers;
    uint32_t gaps_ms[MU_GAPS]; /* between the last beats, newest first */
    size_t ngaps;
    mu_wall beats_at[MU_GAPS]; /* when those beats came, newest first */
    size_t nbeats;
    char path[64]; /* how the last beat came: "datagram", "stream 10.0.0.7:4680", "http" */
    uint64_t session;
    uint32_t index;
    /* our own hearing */
    bool deaf;         /* nobody goes down by silence now */
    char hearing[256]; /* one sentence */
    mu_dur stalled_total;
    mu_wall last_stall_at;
    mu_dur last_stall;
    uint64_t drops;
    char changes[MU_EXPLAIN_LINES][200]; /* what would change the verdict, a sentence each */
    size_t nchanges;
};

void mu_explain(struct mu_conductor *c, uint32_t slot, mu_time now, mu_wall wall,
                struct mu_explanation *out);

#endif
