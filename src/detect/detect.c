#include "detect/detect.h"

#include <assert.h>

#include "detect/drivers.h"

const struct mu_detector_driver *mu_detect_at(enum mu_detector detector)
{
    static const struct mu_detector_driver *const drivers[MU_DETECTORS] = {
        [MU_DETECT_DEADLINE] = &mu_detect_deadline,
        [MU_DETECT_TWO_WINDOW] = &mu_detect_two_window,
        [MU_DETECT_PHI] = &mu_detect_phi,
    };

    assert(detector < MU_DETECTORS);
    return drivers[detector];
}

static mu_dur clamp(mu_dur value, mu_dur least, mu_dur most)
{
    if (value < least)
        value = least;
    return value < most ? value : most;
}

void mu_detect_bound(const struct mu_times *times, mu_time since, mu_dur suspect, mu_dur down,
                     mu_time *suspect_at, mu_time *down_at)
{
    down = clamp(down, times->floor, times->down);
    suspect = clamp(suspect, times->interval / 2 * 3, times->suspect);
    *suspect_at = since + (suspect < down ? suspect : down);
    *down_at = since + down;
}

double mu_detect_level(const struct mu_detector_driver *driver, const void *st,
                       const struct mu_times *times, mu_time since, mu_time now)
{
    mu_time suspect_at, down_at;

    driver->due(st, times, since, &suspect_at, &down_at);
    return now <= since ? 0 : (double)(now - since) / (double)(down_at - since);
}
