/* detect.h - the front of the detectors: which one there is, by name.
 *
 * The rest of the house talks to a detector through the table it gets here. */
#ifndef MU_DETECT_DETECT_H
#define MU_DETECT_DETECT_H

#include "detect/driver.h"

extern const struct mu_detector_driver mu_detect_deadline;

/* The detector in force where nothing else is asked for. */
const struct mu_detector_driver *mu_detect_default(void);

#endif
