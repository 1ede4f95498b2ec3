/* policy.h - report interval, suspect time, down time and the detector that judges within them, by
 * patterns of binary and zone.
 *
 * The first policy in the order of the configuration whose patterns match is in force; the last one
 * is [DEFAULT] and matches all. Patterns are those of fnmatch(3): `*`, `?`, `[a-z]`. */
#ifndef MU_FLEET_POLICY_H
#define MU_FLEET_POLICY_H

#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "detect/detect.h"

#define MU_POLICIES_MAX 256

struct mu_policy {
    char name[64];    /* "DEFAULT", or NAME of [policy NAME] */
    char binary[256]; /* "*" = any */
    char zone[256];
    struct mu_times times; /* 0 = not set: from [DEFAULT]; suspect and floor from the others */
    int detector;          /* enum mu_detector; below 0 = not set: from [DEFAULT] */
};

struct mu_policies {
    struct mu_policy at[MU_POLICIES_MAX];
    size_t n; /* at least 1; the last is DEFAULT */
};

/* One policy, DEFAULT: 10 s, 25 s, 60 s, by deadline. */
void mu_policies_init(struct mu_policies *policies);

/* Fills in what is not set and checks: interval < suspect < down, interval < floor <= down, in
 * bounds. MU_EINVAL names the policy and both numbers. @warn (may be NULL) is called with a line
 * where down < 3 x interval, where a floor is set that `deadline` does not have, where suspect or
 * floor are set in [DEFAULT] and worked out otherwise in a policy, or where an earlier policy
 * certainly takes all that a later one would. */
int mu_policies_finish(struct mu_policies *policies, void (*warn)(void *ctx, const char *line),
                       void *ctx, struct mu_err *err);

/* The index of the policy in force; never fails. */
size_t mu_policies_match(const struct mu_policies *policies, const char *binary, const char *zone);

/* The times of an agent that asked for @wanted (0 = the policy's): the interval is clamped to
 * down / 2.5, or, with @stretch (beats by HTTP), down becomes max(down, 2.5 x interval). */
struct mu_times mu_times_for(const struct mu_policy *policy, mu_dur wanted, int stretch);

#endif
