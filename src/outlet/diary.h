/* diary.h - a sink of the bus that writes each change of the fleet to the log, in the words of the
 * event: `warn fleet: down agent=a@h from=suspect to=down reason=silence ... event=7`. */
#ifndef MU_OUTLET_DIARY_H
#define MU_OUTLET_DIARY_H

#include "event/bus.h"

int mu_diary_attach(struct mu_bus *bus);

#endif
