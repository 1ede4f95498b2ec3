/* The fixed detector: every silence has the same two ends. It learns nothing, so its promise is
 * exact and an operator can work it out on paper. */
#include "detect/detect.h"

static void heard(void *st, const struct mu_times *times, mu_time now)
{
}

static void due(const void *st, const struct mu_times *times, mu_time since, mu_time *suspect_at,
                mu_time *down_at)
{
    *suspect_at = since + times->suspect;
    *down_at = since + times->down;
}

static double level(const void *st, const struct mu_times *times, mu_time since, mu_time now)
{
    return now <= since ? 0 : (double)(now - since) / (double)times->down;
}

const struct mu_detector_driver mu_detect_deadline = {
    .name = "deadline",
    .heard = heard,
    .due = due,
    .level = level,
};
