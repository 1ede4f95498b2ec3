#include "conductor/hearing.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/stat.h"

void mu_hearing_init(struct mu_hearing *h, mu_time now)
{
    *h = (struct mu_hearing){.last = now, .forgiven = now, .stall_at = MU_NEVER};
}

static void tell_stall(struct mu_hearing *h, mu_dur stall, mu_time now)
{
    h->stall_last = stall;
    h->stall_total += stall;
    h->stall_at = now;
    h->stalls++;
    mu_stat_observe(MU_STAT_STALL, (double)stall / MU_SEC);
}

enum mu_heard mu_hearing_note(struct mu_hearing *h, mu_time now)
{
    mu_dur gap = now - h->last;

    if (gap <= 0)
        return MU_HEARD_NOTHING;
    h->last = now;
    if (gap <= MU_TICK + MU_LAG_MAX) {
        if (h->deaf)
            h->stalled += gap;
        return MU_HEARD_NOTHING;
    }
    /* A tick's length would have passed between two entries anyway. */
    h->stalled += h->deaf ? gap : gap - MU_TICK;
    tell_stall(h, gap - MU_TICK, now);
    return MU_HEARD_STALL;
}

enum mu_heard mu_hearing_suspended(struct mu_hearing *h, mu_time now, mu_time boot)
{
    mu_dur ahead = boot - now, grown = ahead - h->boot_ahead;

    h->boot_ahead = ahead;
    if (!h->ticked || grown <= MU_LAG_MAX)
        return MU_HEARD_NOTHING;
    tell_stall(h, grown, now);
    return MU_HEARD_STALL;
}

enum mu_heard mu_hearing_drops(struct mu_hearing *h, mu_time now, uint64_t drops)
{
    bool grown = h->ticked && drops > h->drops;
    uint64_t before = h->drops;

    h->drops = drops;
    h->ticked = true;
    if (grown)
        h->drop_at = now;
    if (grown && !h->deaf) {
        h->deaf = true;
        h->deaf_since = now;
        h->drops_before = before;
        return MU_HEARD_DEAF;
    }
    if (h->deaf && now - h->drop_at >= MU_DEAF_CALM) {
        h->deaf = false;
        return MU_HEARD_AGAIN;
    }
    return MU_HEARD_NOTHING;
}

mu_time mu_hearing_at(const struct mu_hearing *h, mu_time now)
{
    return now - h->stalled;
}

void mu_hearing_forgive(struct mu_hearing *h, mu_time now)
{
    h->forgiven = mu_hearing_at(h, now);
}

bool mu_hearing_ready(const struct mu_hearing *h, mu_time now, char *text, size_t size)
{
    char dur[MU_DUR_TEXT];

    if (h->deaf) {
        mu_dur deaf = (now - h->deaf_since) / MU_SEC * MU_SEC;

        snprintf(text, size,
                 "deaf for %s: the kernel has dropped %" PRIu64
                 " datagrams since, nobody goes down by silence",
                 mu_dur_text(deaf, dur), h->drops - h->drops_before);
        return now - h->deaf_since <= MU_DEAF_READY;
    }
    if (h->stall_at == MU_NEVER) {
        snprintf(text, size, "good; no stall since the start");
    } else {
        char ago[MU_DUR_TEXT];

        snprintf(text, size,
                 "good; stalls of our own since the start: %" PRIu64 ", %s in all, the last %s ago",
                 h->stalls, mu_dur_text(h->stall_total / MU_MS * MU_MS, dur),
                 mu_dur_text((now - h->stall_at) / MU_SEC * MU_SEC, ago));
    }
    return true;
}
