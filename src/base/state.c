#include "base/state.h"

#include <stdint.h>
#include <string.h>

static const char *const states[] = {
    [MU_UP] = "up",     [MU_SUSPECT] = "suspect", [MU_DOWN] = "down",
    [MU_LEFT] = "left", [MU_UNKNOWN] = "unknown",
};

static const char *const kinds[] = {
    [MU_KIND_STATE] = "state",   [MU_KIND_STATUS] = "status",   [MU_KIND_FORCED] = "forced",
    [MU_KIND_JOINED] = "joined", [MU_KIND_DELETED] = "deleted", [MU_KIND_CONDUCTOR] = "conductor",
};

static const char *const reasons[] = {
#define TEXT(name, text) text,
    MU_REASONS(TEXT)
#undef TEXT
};

#define BIT(why) (UINT32_C(1) << (why))
#define ALIVE    (BIT(MU_WHY_JOINED) | BIT(MU_WHY_HEARD))
#define DEAD     (BIT(MU_WHY_EXITED) | BIT(MU_WHY_KILLED) | BIT(MU_WHY_ENDED))

/* moves[from][to]: the reasons that lead there. Nobody moves to unknown: that is what a start
 * makes of up and suspect. Unknown never goes to suspect, nor to down by silence: before the
 * start this conductor heard nothing, so it has no silence to count. What has left is not judged
 * any more. From up straight to down by silence when both times have passed between two sweeps. */
static const uint32_t moves[MU_STATES][MU_STATES] = {
    [MU_UP] =
        {
            [MU_SUSPECT] = BIT(MU_WHY_SILENCE) | BIT(MU_WHY_STREAM_CLOSED),
            [MU_DOWN] = BIT(MU_WHY_SILENCE) | DEAD,
            [MU_LEFT] = BIT(MU_WHY_LEFT),
        },
    [MU_SUSPECT] =
        {
            [MU_UP] = ALIVE,
            [MU_DOWN] = BIT(MU_WHY_SILENCE) | DEAD,
            [MU_LEFT] = BIT(MU_WHY_LEFT),
        },
    [MU_DOWN] =
        {
            [MU_UP] = ALIVE,
            [MU_LEFT] = BIT(MU_WHY_LEFT),
        },
    [MU_LEFT] = {[MU_UP] = ALIVE},
    [MU_UNKNOWN] =
        {
            [MU_UP] = ALIVE,
            [MU_DOWN] = BIT(MU_WHY_NOT_HEARD) | DEAD,
            [MU_LEFT] = BIT(MU_WHY_LEFT),
        },
};

static const char *word(const char *const *words, size_t n, size_t i)
{
    return i < n ? words[i] : "?";
}

static int find(const char *const *words, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(words[i], text) == 0)
            return (int)i;
    return -1;
}

const char *mu_state_text(enum mu_state state)
{
    return word(states, MU_STATES, (size_t)state);
}

const char *mu_kind_text(enum mu_kind kind)
{
    return word(kinds, MU_KINDS, (size_t)kind);
}

const char *mu_reason_text(enum mu_reason reason)
{
    return word(reasons, MU_REASONS_N, (size_t)reason);
}

int mu_state_parse(const char *text)
{
    return find(states, MU_STATES, text);
}

int mu_kind_parse(const char *text)
{
    return find(kinds, MU_KINDS, text);
}

int mu_reason_parse(const char *text)
{
    return find(reasons, MU_REASONS_N, text);
}

bool mu_state_may_move(enum mu_state from, enum mu_state to, enum mu_reason why)
{
    if ((size_t)from >= MU_STATES || (size_t)to >= MU_STATES || (size_t)why >= MU_REASONS_N)
        return false;
    return moves[from][to] & BIT(why);
}
