#include "base/clock.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * MU_SEC + ts.tv_nsec;
}

mu_time mu_clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

mu_time mu_clock_boot(void)
{
    return read_clock(CLOCK_BOOTTIME);
}

mu_wall mu_clock_wall(void)
{
    return read_clock(CLOCK_REALTIME) / MU_MS;
}

char *mu_wall_text(mu_wall wall, char out[MU_WALL_TEXT])
{
    int64_t ms = wall % 1000;
    time_t sec = (time_t)(wall / 1000);
    struct tm tm;
    size_t n;

    out[0] = '\0';
    if (wall == 0)
        return out;
    if (ms < 0) { /* before 1970: the division cuts towards zero */
        ms += 1000;
        sec -= 1;
    }
    gmtime_r(&sec, &tm);
    n = strftime(out, MU_WALL_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, MU_WALL_TEXT - n, ".%03uZ", (unsigned)ms % 1000);
    return out;
}

/* Reads exactly @n digits at *@p, and moves on. */
static bool read_digits(const char **p, int n, int *out)
{
    int v = 0;

    for (int i = 0; i < n; i++) {
        if (!isdigit((unsigned char)**p))
            return false;
        v = v * 10 + (*(*p)++ - '0');
    }
    *out = v;
    return true;
}

static bool read_char(const char **p, const char *any_of)
{
    if (**p == '\0' || !strchr(any_of, **p))
        return false;
    (*p)++;
    return true;
}

static int days_of(int year, int month)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool read_date(const char **p, struct tm *tm)
{
    int year, month, day;

    if (!read_digits(p, 4, &year) || !read_char(p, "-") || !read_digits(p, 2, &month) ||
        !read_char(p, "-") || !read_digits(p, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_of(year, month))
        return false;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    tm->tm_mday = day;
    return true;
}

static bool read_time(const char **p, struct tm *tm, int *ms)
{
    if (!read_digits(p, 2, &tm->tm_hour) || !read_char(p, ":") || !read_digits(p, 2, &tm->tm_min) ||
        !read_char(p, ":") || !read_digits(p, 2, &tm->tm_sec))
        return false;
    if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 60) /* 60: a leap second */
        return false;
    *ms = 0;
    if (!read_char(p, "."))
        return true;
    if (!isdigit((unsigned char)**p))
        return false;
    for (int scale = 100; isdigit((unsigned char)**p); scale /= 10, (*p)++)
        *ms += (**p - '0') * scale;
    return true;
}

static bool read_offset(const char **p, int *minutes)
{
    int hour, min, sign = **p == '-' ? -1 : 1;

    *minutes = 0;
    if (read_char(p, "Zz"))
        return true;
    if (!read_char(p, "+-") || !read_digits(p, 2, &hour) || !read_char(p, ":") ||
        !read_digits(p, 2, &min) || hour > 23 || min > 59)
        return false;
    *minutes = sign * (hour * 60 + min);
    return true;
}

int mu_wall_parse(const char *text, mu_wall *out)
{
    struct tm tm = {0};
    int ms, offset;

    if (!read_date(&text, &tm) || !read_char(&text, "Tt ") || !read_time(&text, &tm, &ms) ||
        !read_offset(&text, &offset) || *text != '\0')
        return MU_EINVAL;
    *out = ((mu_wall)timegm(&tm) - offset * 60) * 1000 + ms;
    return 0;
}

/* Units of time, the largest last. */
static const struct unit {
    const char *name;
    int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

#define UNITS      (sizeof(units) / sizeof(units[0]))
#define DUR_MAX_MS (10000 * (int64_t)86400000)
#define NANO       1000000000 /* nine decimals are read and written */

static const struct unit *unit_of(const char *name)
{
    if (*name == '\0')
        name = "s";
    for (size_t i = 0; i < UNITS; i++)
        if (strcmp(name, units[i].name) == 0)
            return &units[i];
    return NULL;
}

int mu_dur_parse(const char *text, mu_dur *out)
{
    int64_t whole = 0, fraction = 0;
    const struct unit *unit;
    mu_dur dur;

    if (!isdigit((unsigned char)*text))
        return MU_EINVAL;
    for (; isdigit((unsigned char)*text); text++)
        if (whole <= DUR_MAX_MS) /* beyond it the digits only need to be passed over */
            whole = whole * 10 + (*text - '0');
    if (*text == '.') {
        int64_t scale = NANO / 10;
        if (!isdigit((unsigned char)*++text))
            return MU_EINVAL;
        for (; isdigit((unsigned char)*text); text++, scale /= 10)
            fraction += (*text - '0') * scale;
    }
    unit = unit_of(text);
    if (!unit)
        return MU_EINVAL;
    if (whole > DUR_MAX_MS / unit->ms)
        return MU_ERANGE;
    dur = whole * unit->ms * MU_MS + fraction * unit->ms / (NANO / MU_MS);
    if (dur > DUR_MAX_MS * MU_MS)
        return MU_ERANGE;
    *out = dur;
    return 0;
}

/* @ns in @unit; "" where nine decimals don't hold it. */
static void text_in_unit(uint64_t ns, const struct unit *unit, char out[MU_DUR_TEXT])
{
    uint64_t len = (uint64_t)unit->ms * MU_MS;
    uint64_t rest = ns % len * (NANO / MU_MS);
    int n;

    out[0] = '\0';
    if (rest % (uint64_t)unit->ms != 0)
        return;
    n = snprintf(out, MU_DUR_TEXT, "%" PRIu64, ns / len);
    if (rest != 0) {
        n += snprintf(out + n, MU_DUR_TEXT - (size_t)n, ".%09" PRIu64, rest / (uint64_t)unit->ms);
        while (out[n - 1] == '0')
            n--;
    }
    snprintf(out + n, MU_DUR_TEXT - (size_t)n, "%s", unit->name);
}

char *mu_dur_text(mu_dur dur, char out[MU_DUR_TEXT])
{
    uint64_t ns = dur < 0 ? 0 : (uint64_t)dur;
    char text[MU_DUR_TEXT];

    strcpy(out, "0s");
    if (ns == 0)
        return out;
    text_in_unit(ns, &units[0], out);
    for (size_t i = 1; i < UNITS && ns >= (uint64_t)units[i].ms * MU_MS; i++) {
        text_in_unit(ns, &units[i], text);
        if (text[0] && strlen(text) <= strlen(out))
            strcpy(out, text);
    }
    return out;
}
