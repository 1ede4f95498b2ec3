/* people.h - words, signs, colours and times for people. */
#ifndef MU_CLI_PEOPLE_H
#define MU_CLI_PEOPLE_H

#include <stdio.h>

#include "base/buf.h"
#include "cli/cli.h"

/* How times are written. */
enum mu_times {
    MU_TIMES_AGO,   /* "12 s ago" */
    MU_TIMES_UTC,   /* 2026-11-22T18:48:18.123Z */
    MU_TIMES_EPOCH, /* 1795373298.123 */
};

/* Whether to colour what goes to @to: --color, then NO_COLOR and CLICOLOR_FORCE, then whether it is
 * a terminal that can. *@on is set. Returns MU_EXIT_OK, or MU_EXIT_USAGE after telling. */
int mu_people_color(const struct mu_args *args, FILE *to, bool *on);

/* The sign of a State, since it is never told by colour alone: "+" up, "~" suspect, "!" down,
 * "-" left, "?" unknown; "" of a word that is no State. */
const char *mu_people_sign(const char *state);

/* The escape sequence of a State's colour, and of the end of colours; "" when not @on. */
const char *mu_people_paint(const char *state, bool on);
const char *mu_people_plain(bool on);

/* Appends @text, with what a terminal would obey (C0, DEL, C1) as \xNN, so that a line stays a
 * line. */
void mu_people_clean(struct mu_buf *out, const char *text);

/* "3.2 s", "45 s", "5 min 10 s", "3 h 20 min", "12 d 4 h"; the nearest ms, cut as the conductor's
 * own texts are. Returns @out. */
#define MU_PEOPLE_TIME 32
char *mu_people_span(double seconds, char out[MU_PEOPLE_TIME]);

/* The RFC 3339 time @text as @how says, @now being the time of day; @text itself where it is none.
 * A time to come is "now" within a second (clocks differ), else "in 5 s". Returns @out. */
char *mu_people_time(const char *text, enum mu_times how, mu_wall now, char out[MU_PEOPLE_TIME]);

/* Columns that UTF-8 @text takes on a terminal. */
size_t mu_people_width(const char *text);

#endif
