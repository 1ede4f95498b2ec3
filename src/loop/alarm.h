/* alarm.h - a timer on the loop that fires once, for rooms that know no libuv. */
#ifndef MU_LOOP_ALARM_H
#define MU_LOOP_ALARM_H

#include "base/clock.h"

struct mu_alarm;
struct uv_loop_s;

/* An idle alarm; it does not keep uv_run() going. Returns 0 or MU_ENOMEM. */
int mu_alarm_new(struct mu_alarm **out, struct uv_loop_s *loop, void (*fire)(void *ctx), void *ctx);
void mu_alarm_set(struct mu_alarm *alarm, mu_dur after); /* from now; moves one that is set */
void mu_alarm_stop(struct mu_alarm *alarm);
/* NULL is allowed; never fires again. The loop must run once more. */
void mu_alarm_free(struct mu_alarm *alarm);

#endif
