/* detect.h - the front of the detectors: which there are, by number and by name.
 *
 * The rest of the house talks to a detector through the table it gets here. docs/detectors.md says
 * what each does and when to choose it. */
#ifndef MU_DETECT_DETECT_H
#define MU_DETECT_DETECT_H

#include "detect/driver.h"

/* In the order of their names in the configuration. */
enum mu_detector { MU_DETECT_DEADLINE, MU_DETECT_TWO_WINDOW, MU_DETECT_PHI, MU_DETECTORS };
#define MU_DETECT_WORDS "deadline two-window phi"

const struct mu_detector_driver *mu_detect_at(enum mu_detector detector);

/* How near to death the silence since @since is at @now: 0 = just heard, 1 = down is due. Grows
 * with @now. For people. */
double mu_detect_level(const struct mu_detector_driver *driver, const void *st,
                       const struct mu_times *times, mu_time since, mu_time now);

#endif
