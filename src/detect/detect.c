#include "detect/detect.h"

const struct mu_detector_driver *mu_detect_default(void)
{
    return &mu_detect_deadline;
}
