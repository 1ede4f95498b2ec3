/* The fixed detector: every silence has the same two ends. It learns nothing, so its promise is
 * exact and an operator can work it out on paper. */
#include "detect/detect.h"

static void heard(void *st, const struct mu_times *times, mu_time now, mu_time *suspect_at,
                  mu_time *down_at)
{
    *suspect_at = now + times->suspect;
    *down_at = now + times->down;
}

static double level(const void *st, const struct mu_times *times, mu_time heard_at, mu_time now)
{
    return now <= heard_at ? 0 : (double)(now - heard_at) / (double)times->down;
}

const struct mu_detector_driver mu_detect_deadline = {
    .name = "deadline",
    .heard = heard,
    .level = level,
};
