#include "load/pace.h"

void mu_pace_init(struct mu_pace *pace, double rate, mu_time now)
{
    *pace = (struct mu_pace){.rate = rate, .at = now};
}

static void work_out(struct mu_pace *pace, mu_time now)
{
    if (now <= pace->at)
        return;
    pace->due += pace->rate * (double)(now - pace->at) / (double)MU_SEC;
    pace->at = now;
    if (pace->due > pace->rate + 1) {
        pace->skipped += (uint64_t)(pace->due - pace->rate);
        pace->due = pace->rate;
    }
}

void mu_pace_set(struct mu_pace *pace, double rate, mu_time now)
{
    work_out(pace, now);
    pace->rate = rate;
}

uint64_t mu_pace_take(struct mu_pace *pace, mu_time now)
{
    uint64_t n;

    work_out(pace, now);
    n = (uint64_t)pace->due;
    pace->due -= (double)n;
    return n;
}

mu_dur mu_pace_wait(const struct mu_pace *pace, mu_time now)
{
    mu_time next;

    if (pace->rate <= 0)
        return MU_NEVER;
    next = pace->at + (mu_dur)((1 - pace->due) / pace->rate * (double)MU_SEC) + 1;
    return next > now ? next - now : 0;
}
