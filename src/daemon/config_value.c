#include "daemon/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/addr.h"
#include "base/mem.h"

enum { WORD_SIZE = 32, BOUND_TEXT = 32 };

_Static_assert(BOUND_TEXT >= MU_DUR_TEXT, "a bound is a size or a length of time");

static char *bytes_text(int64_t n, char out[BOUND_TEXT])
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t unit = 0;

    while (n && n % 1024 == 0 && unit + 1 < MU_ARRAY_LEN(units)) {
        n /= 1024;
        unit++;
    }
    snprintf(out, BOUND_TEXT, "%" PRId64 "%s", n, units[unit]);
    return out;
}

const char *mu_setting_bounds(const struct mu_setting *s, char out[MU_SETTING_BOUNDS])
{
    char low[BOUND_TEXT], high[BOUND_TEXT];

    *out = '\0';
    if (s->type == MU_SET_DUR)
        snprintf(out, MU_SETTING_BOUNDS, "%s to %s", mu_dur_text(s->min, low),
                 mu_dur_text(s->max, high));
    else if (s->type == MU_SET_BYTES)
        snprintf(out, MU_SETTING_BOUNDS, "%s to %s", bytes_text(s->min, low),
                 bytes_text(s->max, high));
    else if (s->type == MU_SET_COUNT)
        snprintf(out, MU_SETTING_BOUNDS, "%" PRId64 " to %" PRId64 "%s%s", s->min, s->max,
                 *s->words ? " " : "", s->words);
    return out;
}

static int out_of_range(const struct mu_setting *s, struct mu_err *err)
{
    char bounds[MU_SETTING_BOUNDS];

    return mu_err_set(err, MU_EINVAL, "is out of range; allowed is %s",
                      mu_setting_bounds(s, bounds));
}

static int read_dur(const struct mu_setting *s, const char *value, mu_dur *out, struct mu_err *err)
{
    mu_dur dur;
    int rv = mu_dur_parse(value, &dur);

    if (rv == MU_EINVAL)
        return mu_err_set(err, rv,
                          "is no length of time; write for example 500ms, 10s, 5m, 2h, 30d");
    if (rv || dur < s->min || dur > s->max)
        return out_of_range(s, err);
    *out = dur;
    return 0;
}

/* The factor that a size's suffix means; 0 for what is none. */
static int64_t factor_of(const char *suffix)
{
    static const struct {
        const char *text;
        int64_t factor;
    } suffixes[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

    for (size_t i = 0; i < MU_ARRAY_LEN(suffixes); i++)
        if (!strcmp(suffix, suffixes[i].text))
            return suffixes[i].factor;
    return 0;
}

static int read_number(const struct mu_setting *s, const char *value, int64_t *out,
                       struct mu_err *err)
{
    char *end;
    intmax_t n;
    int64_t factor;

    errno = 0;
    n = strtoimax(value, &end, 10);
    factor = s->type == MU_SET_BYTES ? factor_of(end) : !*end;
    if (!isdigit((unsigned char)*value) || !factor)
        return mu_err_set(err, MU_EINVAL, "is no %s",
                          s->type == MU_SET_BYTES ? "size; write for example 4096, 64KiB, 128MiB"
                                                  : "whole number");
    if (errno || n < s->min / factor || n > s->max / factor || n * factor < s->min)
        return out_of_range(s, err);
    *out = n * factor;
    return 0;
}

static int read_bool(const char *value, bool *out, struct mu_err *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < MU_ARRAY_LEN(words); i++) {
        if (!strcasecmp(value, words[i])) {
            *out = i % 2;
            return 0;
        }
    }
    return mu_err_set(err, MU_EINVAL, "is neither true nor false");
}

/* The @i-th of the words in @list, written to @word; NULL when there are no more. */
static const char *word_at(const char *list, int i, char word[WORD_SIZE])
{
    for (; i > 0; i--) {
        list = strchr(list, ' ');
        if (!list)
            return NULL;
        list++;
    }
    snprintf(word, WORD_SIZE, "%.*s", (int)strcspn(list, " "), list);
    return word;
}

static int read_word(const struct mu_setting *s, const char *value, int *out, struct mu_err *err)
{
    char word[WORD_SIZE];

    for (int i = 0; word_at(s->words, i, word); i++) {
        if (!strcmp(word, value)) {
            *out = i;
            return 0;
        }
    }
    return mu_err_set(err, MU_EINVAL, "is none of: %s", s->words);
}

static int read_text(const char *value, char *out, size_t size, struct mu_err *err)
{
    if (strlen(value) >= size)
        return mu_err_set(err, MU_EINVAL, "is longer than %zu bytes", size - 1);
    strcpy(out, value);
    return 0;
}

static int check_listener(const char *text, struct mu_err *err)
{
    struct mu_addr addr;
    struct sockaddr_storage sa;
    socklen_t len;
    int rv = mu_addr_parse(&addr, text, err);

    if (rv)
        return rv;
    if (*addr.scheme)
        return mu_err_set(err, MU_EINVAL, "is a URL; write A.B.C.D:PORT, [V6]:PORT or /PATH");
    rv = mu_addr_sockaddr(&addr, &sa, &len, err);
    if (!rv && sa.ss_family == AF_INET6 &&
        IN6_IS_ADDR_V4MAPPED(&((struct sockaddr_in6 *)&sa)->sin6_addr))
        return mu_err_set(err, MU_EINVAL, "is IPv4 written as IPv6; write A.B.C.D:PORT");
    return rv;
}

/* Appends the addresses of @value, which commas divide. */
static int read_addrs(const char *value, struct mu_config_list *out, struct mu_err *err)
{
    for (const char *p = value;; p++) {
        size_t n = strcspn(p, ",");
        const char *end = p + n;
        char one[sizeof(out->at[0])];
        int rv;

        while (n && *p == ' ')
            p++, n--;
        while (n && p[n - 1] == ' ')
            n--;
        if (n >= sizeof(one))
            return mu_err_set(err, MU_EINVAL, "is longer than %zu bytes", sizeof(one) - 1);
        if (out->n == MU_LISTENERS_MAX)
            return mu_err_set(err, MU_EINVAL, "is one too many; %d are allowed", MU_LISTENERS_MAX);
        snprintf(one, sizeof(one), "%.*s", (int)n, p);
        rv = check_listener(one, err);
        if (rv)
            return rv;
        strcpy(out->at[out->n++], one);
        p = end;
        if (!*p)
            return 0;
    }
}

/* fnmatch() takes a [ that is never closed for a letter, which nobody can have meant. */
static int read_pattern(const char *value, char *out, size_t size, struct mu_err *err)
{
    for (const char *p = value; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (*p == '[') {
            p += 1 + (p[1] == '!');
            p = *p ? strchr(p + 1, ']') : NULL; /* a ] that comes first is one of the letters */
            if (!p)
                return mu_err_set(err, MU_EINVAL, "has a [ without its ]; a letter [ is \\[");
        }
    }
    return read_text(value, out, size, err);
}

/* What has no scheme would be told as an address without a port, of which nobody thought. */
static int read_url(const char *value, char *out, size_t size, struct mu_err *err)
{
    struct mu_addr addr = {0};
    bool url = value[strcspn(value, ":/")] == ':';
    bool file = strpbrk(value, "./") && !strpbrk(value, ":@"); /* with these, perhaps a password */
    int rv = url ? mu_addr_parse(&addr, value, err) : 0;

    if (rv)
        return rv;
    if (!*addr.scheme)
        return mu_err_set(err, MU_EINVAL,
                          "is no store; write sqlite:%s, postgresql://HOST/DATABASE,"
                          " mysql://HOST/DATABASE or memory:",
                          file ? value : "PATH");
    return read_text(value, out, size, err);
}

int mu_setting_read(const struct mu_setting *s, const char *value, void *member, struct mu_err *err)
{
    if (!*value)
        return mu_err_set(err, MU_EINVAL, "is empty; leave the line out to have what is built in");
    switch (s->type) {
    case MU_SET_DUR:
        return read_dur(s, value, member, err);
    case MU_SET_COUNT:
    case MU_SET_BYTES:
        return read_number(s, value, member, err);
    case MU_SET_BOOL:
        return read_bool(value, member, err);
    case MU_SET_WORD:
        return read_word(s, value, member, err);
    case MU_SET_TEXT:
    case MU_SET_PATH:
        return read_text(value, member, sizeof(((struct mu_config *)0)->secret_file), err);
    case MU_SET_PATTERN:
        return read_pattern(value, member, sizeof(((struct mu_policy *)0)->binary), err);
    case MU_SET_ADDRS:
        return read_addrs(value, member, err);
    case MU_SET_URL:
        return read_url(value, member, sizeof(((struct mu_config *)0)->store), err);
    }
    return MU_EINVAL; /* not reached: every type is above */
}

static void write_addrs(const struct mu_config_list *list, struct mu_buf *out)
{
    for (size_t i = 0; i < list->n; i++)
        mu_buf_printf(out, "%s%s", i ? ", " : "", list->at[i]);
}

void mu_setting_write(const struct mu_setting *s, const void *member, struct mu_buf *out)
{
    char dur[MU_DUR_TEXT], bytes[BOUND_TEXT], word[WORD_SIZE];
    struct mu_addr addr;

    switch (s->type) {
    case MU_SET_DUR:
        mu_buf_puts(out, mu_dur_text(*(const mu_dur *)member, dur));
        break;
    case MU_SET_COUNT:
        mu_buf_printf(out, "%" PRId64, *(const int64_t *)member);
        break;
    case MU_SET_BYTES:
        mu_buf_puts(out, bytes_text(*(const int64_t *)member, bytes));
        break;
    case MU_SET_BOOL:
        mu_buf_puts(out, *(const bool *)member ? "true" : "false");
        break;
    case MU_SET_WORD:
        mu_buf_puts(out, word_at(s->words, *(const int *)member, word));
        break;
    case MU_SET_TEXT:
    case MU_SET_PATH:
    case MU_SET_PATTERN:
        mu_buf_puts(out, member);
        break;
    case MU_SET_ADDRS:
        write_addrs(member, out);
        break;
    case MU_SET_URL:
        mu_buf_puts(out, mu_addr_parse(&addr, member, NULL) ? "" : addr.text);
        break;
    }
}
