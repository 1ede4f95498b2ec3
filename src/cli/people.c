#include "cli/people.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/mem.h"

static const struct {
    const char *state, *sign, *paint;
} looks[] = {
    {"up", "+", "\033[32m"},  {"suspect", "~", "\033[33m"}, {"down", "!", "\033[1;31m"},
    {"left", "-", "\033[2m"}, {"unknown", "?", "\033[36m"},
};

static bool set_env(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

int mu_people_color(const struct mu_args *args, FILE *to, bool *on)
{
    const char *when = mu_args_value(args, "color");
    const char *term = getenv("TERM"), *force = getenv("CLICOLOR_FORCE");

    if (when && strcmp(when, "always") == 0)
        *on = true;
    else if (when && strcmp(when, "never") == 0)
        *on = false;
    else if (when && strcmp(when, "auto") != 0)
        return mu_cli_fail(args, MU_EXIT_USAGE, "--color \"%s\" is none of auto, always and never",
                           when);
    else if (set_env("NO_COLOR"))
        *on = false;
    else if (force && *force && strcmp(force, "0") != 0)
        *on = true;
    else
        *on = isatty(fileno(to)) && term && *term && strcmp(term, "dumb") != 0;
    return MU_EXIT_OK;
}

const char *mu_people_sign(const char *state)
{
    for (size_t i = 0; i < MU_ARRAY_LEN(looks); i++)
        if (strcmp(looks[i].state, state) == 0)
            return looks[i].sign;
    return "";
}

const char *mu_people_paint(const char *state, bool on)
{
    for (size_t i = 0; on && i < MU_ARRAY_LEN(looks); i++)
        if (strcmp(looks[i].state, state) == 0)
            return looks[i].paint;
    return "";
}

const char *mu_people_plain(bool on)
{
    return on ? "\033[0m" : "";
}

void mu_people_clean(struct mu_buf *out, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            mu_buf_printf(out, "\\x%02x", *p);
        } else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) {
            mu_buf_printf(out, "\\x%02x", p[1]);
            p++;
        } else {
            mu_buf_put(out, p, 1);
        }
    }
}

char *mu_people_span(double seconds, char out[MU_PEOPLE_TIME])
{
    unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;
    unsigned long ms = seconds > 0 && seconds < 10 ? (unsigned long)(1e3 * seconds + 0.5) : 0;

    if (ms > 0 && ms < 1000)
        snprintf(out, MU_PEOPLE_TIME, "%lu ms", ms);
    else if (seconds < 10)
        snprintf(out, MU_PEOPLE_TIME, "%lu.%lu s", ms / 1000, ms / 100 % 10);
    else if (s < 120)
        snprintf(out, MU_PEOPLE_TIME, "%lu s", s);
    else if (s < 3600)
        snprintf(out, MU_PEOPLE_TIME, "%lu min %lu s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, MU_PEOPLE_TIME, "%lu h %lu min", s / 3600, s / 60 % 60);
    else
        snprintf(out, MU_PEOPLE_TIME, "%lu d %lu h", s / 86400, s / 3600 % 24);
    return out;
}

char *mu_people_time(const char *text, enum mu_times how, mu_wall now, char out[MU_PEOPLE_TIME])
{
    char span[MU_PEOPLE_TIME];
    mu_wall at;

    if (how == MU_TIMES_UTC || mu_wall_parse(text, &at) != 0)
        snprintf(out, MU_PEOPLE_TIME, "%s", text);
    else if (how == MU_TIMES_EPOCH)
        snprintf(out, MU_PEOPLE_TIME, "%.3f", (double)at / 1e3);
    else if (at > now + 1000)
        snprintf(out, MU_PEOPLE_TIME, "in %.20s", mu_people_span((double)(at - now) / 1e3, span));
    else if (at >= now)
        snprintf(out, MU_PEOPLE_TIME, "now");
    else
        snprintf(out, MU_PEOPLE_TIME, "%.20s ago", mu_people_span((double)(now - at) / 1e3, span));
    return out;
}

size_t mu_people_width(const char *text)
{
    size_t width = 0;
    mbstate_t state = {0};
    wchar_t c;

    while (*text) {
        size_t n = mbrtowc(&c, text, 6, &state);
        if (n == (size_t)-1 || n == (size_t)-2) { /* not in this locale: a byte, a column */
            memset(&state, 0, sizeof(state));
            n = 1;
            width++;
        } else {
            int w = wcwidth(c);
            width += w > 0 ? (size_t)w : 0;
        }
        text += n;
    }
    return width;
}
