/* clock.h - the only reader of clocks, and the units of time.
 *
 * mu_time and mu_dur are monotonic ns and decide; mu_wall is for people and databases. Everything
 * but the outermost rooms is handed the time and reads none.
 */
#ifndef MU_BASE_CLOCK_H
#define MU_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef int64_t mu_time; /* ns on CLOCK_MONOTONIC, or on CLOCK_BOOTTIME where a comment says so */
typedef int64_t mu_dur;  /* ns */
typedef int64_t mu_wall; /* ms since 1970-01-01T00:00:00Z; 0 = never */

#define MU_US    ((mu_dur)1000)
#define MU_MS    ((mu_dur)1000000)
#define MU_SEC   ((mu_dur)1000000000)
#define MU_NEVER INT64_MAX

mu_time mu_clock_now(void);  /* CLOCK_MONOTONIC */
mu_time mu_clock_boot(void); /* CLOCK_BOOTTIME: goes on while the machine is suspended */
mu_wall mu_clock_wall(void); /* CLOCK_REALTIME */

/* "2026-11-22T18:48:18.123Z". @out has MU_WALL_TEXT bytes. 0 gives "". Returns @out. */
#define MU_WALL_TEXT 32
char *mu_wall_text(mu_wall wall, char out[MU_WALL_TEXT]);

/* Reads an RFC 3339 time. Returns 0 or MU_EINVAL, *@out untouched. */
int mu_wall_parse(const char *text, mu_wall *out);

/* Reads a length of time as people write it: "500ms", "10s", "5m", "2h", "30d", also "1.5s"; a bare
 * number is seconds, as in nova.conf. Returns 0; MU_EINVAL for what is none, negative included;
 * MU_ERANGE above 10,000 days. *@out is untouched on error. */
int mu_dur_parse(const char *text, mu_dur *out);

/* The shortest text that mu_dur_parse() reads back as the same: "500ms", "10s", "1.5s", "5m". */
#define MU_DUR_TEXT 32
char *mu_dur_text(mu_dur dur, char out[MU_DUR_TEXT]);

#endif
