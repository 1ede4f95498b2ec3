#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "daemon/config_int.h"

/* inih takes the lines apart. It is handed them one by one, since Debian's build neither numbers
 * them nor tells of a section without settings, and would cut a long line in two without a word.
 * It gets them without what they are indented by, which it takes for more of the value before. */

struct reading {
    struct mu_config_place place;
    const char *file;
    FILE *stream;
    char *line; /* getline's */
    size_t size;
    unsigned number;
    int rv; /* the first error; no line is looked at after it */
    struct mu_err *err;
};

static void fail(struct reading *r, const char *why)
{
    r->rv = mu_err_set(r->err, MU_EINVAL, "%s: %s", r->place.text, why);
}

/* A section is checked when it opens: one without settings would be missed otherwise. */
static void open_section(struct reading *r, const char *bracket)
{
    const char *end = strchr(bracket, ']');
    char name[64];

    if (!end) {
        fail(r, "] is missing behind the name of the section");
        return;
    }
    if (end - bracket - 1 >= 50) {
        fail(r, "the name of a section has at most 49 bytes");
        return;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(end - bracket - 1), bracket + 1);
    r->rv = mu_config_section(&r->place, name, r->err);
}

static char *next_line(char *out, int size, void *stream)
{
    struct reading *r = stream;
    ssize_t n;
    const char *p;

    if (r->rv || (n = getline(&r->line, &r->size, r->stream)) < 0)
        return NULL;
    r->number++;
    snprintf(r->place.text, sizeof(r->place.text), "%s:%u", r->file, r->number);
    if (memchr(r->line, 0, (size_t)n)) {
        fail(r, "a NUL byte: this is no text file");
        return NULL;
    }
    if (n >= size) {
        char why[64];
        snprintf(why, sizeof(why), "the line is longer than %d bytes", size - 2);
        fail(r, why);
        return NULL;
    }
    p = r->line + strspn(r->line, " \t");
    if (*p == '[')
        open_section(r, p);
    if (r->rv)
        return NULL;
    memcpy(out, p, (size_t)(r->line + n + 1 - p));
    return out;
}

static int take_value(void *ctx, const char *section, const char *key, const char *value)
{
    struct reading *r = ctx;

    if (!r->rv && !*section)
        fail(r, "a setting before any section; begin with [conductor] or [DEFAULT]");
    if (!r->rv)
        r->rv = mu_config_set(&r->place, section, key, value, r->err);
    return !r->rv;
}

/* What is no file, a FIFO above all, could keep a reload waiting for ever. */
static int open_file(const char *file, FILE **out, struct mu_err *err)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0 || (*out = fdopen(fd, "r")) == NULL) {
        int why = errno;
        if (fd >= 0)
            close(fd);
        return mu_err_set(err, why == ENOENT ? MU_EINVAL : MU_EIO, "%s: %s", file, strerror(why));
    }
    if (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode)) /* /dev/null */
        return 0;
    fclose(*out);
    return mu_err_set(err, MU_EINVAL, "%s: not a file", file);
}

int mu_config_read_file(struct mu_config *config, unsigned *layer, const char *file,
                        struct mu_err *err)
{
    struct reading r = {.place = {.config = config, .layer = (*layer)++}, .file = file, .err = err};
    int bad = open_file(file, &r.stream, err);

    if (bad)
        return bad;
    bad = ini_parse_stream(next_line, &r, take_value, &r);
    if (!r.rv && bad) {
        snprintf(r.place.text, sizeof(r.place.text), "%s:%d", file, bad);
        fail(&r, "neither [SECTION] nor KEY = VALUE");
    }
    if (!r.rv && ferror(r.stream))
        r.rv = mu_err_set(err, MU_EIO, "%s: %s", file, strerror(errno));
    free(r.line);
    fclose(r.stream);
    return r.rv;
}

static int is_conf(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);

    return entry->d_name[0] != '.' && n > 5 && !strcmp(entry->d_name + n - 5, ".conf");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* bytewise, whatever the locale */
}

int mu_config_read_dir(struct mu_config *config, unsigned *layer, const char *file,
                       struct mu_err *err)
{
    const char *slash = strrchr(file, '/');
    char dir[1024], path[1300];
    struct dirent **entries;
    int n, rv = 0;

    snprintf(dir, sizeof(dir), "%.*sconf.d", slash ? (int)(slash - file + 1) : 0, file);
    n = scandir(dir, &entries, is_conf, by_name);
    if (n < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : mu_err_set(err, MU_EIO, "%s: %s", dir, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (!rv) {
            snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
            rv = mu_config_read_file(config, layer, path, err);
        }
        free(entries[i]);
    }
    free(entries);
    return rv;
}
