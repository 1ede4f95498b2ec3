/* The fixed detector: every silence has the same two ends. It learns nothing, so its promise is
 * exact and an operator can work it out on paper. */
#include "detect/drivers.h"

static void heard(void *st, const struct mu_times *times, mu_time now)
{
    /* every beat is like every other */
}

static void due(const void *st, const struct mu_times *times, mu_time since, mu_time *suspect_at,
                mu_time *down_at)
{
    *suspect_at = since + times->suspect;
    *down_at = since + times->down;
}

static size_t numbers(const void *st, const struct mu_times *times, mu_time since, mu_time now,
                      struct mu_detect_number out[MU_DETECT_NUMBERS])
{
    return 0;
}

const struct mu_detector_driver mu_detect_deadline = {
    .name = "deadline",
    .heard = heard,
    .due = due,
    .numbers = numbers,
};
