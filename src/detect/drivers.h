/* drivers.h - the detectors that there are; detect.c alone names them in its table. */
#ifndef MU_DETECT_DRIVERS_H
#define MU_DETECT_DRIVERS_H

#include "detect/driver.h"

extern const struct mu_detector_driver mu_detect_deadline;
extern const struct mu_detector_driver mu_detect_two_window;
extern const struct mu_detector_driver mu_detect_phi;

#endif
