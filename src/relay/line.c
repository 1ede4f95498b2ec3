/* Words are parted by spaces; one in double quotes may have spaces in it, and \" and \\. */
#include "relay/line.h"

#include <stdbool.h>
#include <string.h>

#include "base/near.h"

/* Takes the next word off *@rest, in place; NULL at the end, or where a quote is not closed. */
static char *next_word(char **rest, bool *unclosed)
{
    char *in = *rest + strspn(*rest, " \t"), *out = in, *word = in;
    bool quoted = false;

    if (*in == '\0')
        return NULL;
    for (; *in && (quoted || (*in != ' ' && *in != '\t')); in++) {
        if (*in == '"')
            quoted = !quoted;
        else if (quoted && *in == '\\' && (in[1] == '"' || in[1] == '\\'))
            *out++ = *++in;
        else
            *out++ = *in;
    }
    *unclosed |= quoted;
    *rest = *in ? in + 1 : in;
    *out = '\0';
    return quoted ? NULL : word;
}

static int read_verb(struct mu_line *line, const char *word, struct mu_err *err)
{
    static const char *const verbs[] = {"beat", "report", "bye"};
    struct mu_near near;

    mu_near_init(&near, word);
    for (int i = 0; i < 3; i++) {
        if (strcmp(word, verbs[i]) == 0) {
            line->verb = (enum mu_line_verb)i;
            return 0;
        }
        mu_near_try(&near, verbs[i]);
    }
    if (near.best)
        return mu_err_set(err, MU_EINVAL, "'%.64s' is not known: did you mean '%s'?", word,
                          near.best);
    return mu_err_set(err, MU_EINVAL, "'%.64s' is not known: beat, report and bye are", word);
}

static int read_name(struct mu_line *line, const char *word, struct mu_err *err)
{
    size_t n = strlen(word);

    if (strchr(word, '@'))
        return mu_name_parse(word, line->binary, line->host, err);
    if (mu_name_check(word, n, 1, err))
        return err ? err->code : MU_EINVAL;
    memcpy(line->binary, word, n + 1);
    return 0;
}

static int read_label(struct mu_line *line, const char *key, const char *value, struct mu_err *err)
{
    if (key[0] == '\0')
        return mu_err_set(err, MU_EINVAL, "a label without a name: write label.KEY=VALUE");
    if (line->nlabels == MU_LABELS_MAX)
        return mu_err_set(err, MU_EINVAL, "more than %d labels", MU_LABELS_MAX);
    line->labels[line->nlabels][0] = key;
    line->labels[line->nlabels][1] = value;
    line->nlabels++;
    return 0;
}

static int read_setting(struct mu_line *line, char *word, struct mu_err *err)
{
    char *value = strchr(word, '=');

    if (!value)
        return mu_err_set(err, MU_EINVAL,
                          "'%.64s': write interval=TIME, zone=NAME or label.KEY=VALUE", word);
    *value++ = '\0';
    if (strcmp(word, "interval") == 0) {
        if (mu_dur_parse(value, &line->interval) || line->interval <= 0)
            return mu_err_set(err, MU_EINVAL, "interval '%.64s' is no time: write 10s or 500ms",
                              value);
        return 0;
    }
    if (strcmp(word, "zone") == 0) {
        line->zone = value;
        return 0;
    }
    if (strncmp(word, "label.", 6) == 0)
        return read_label(line, word + 6, value, err);
    return mu_err_set(err, MU_EINVAL, "'%.64s' is not known: interval, zone and label.KEY are",
                      word);
}

int mu_line_parse(struct mu_line *out, char *text, struct mu_err *err)
{
    struct mu_line line = {.zone = ""};
    bool unclosed = false;
    char *word = next_word(&text, &unclosed);
    int rv;

    if (!word)
        return mu_err_set(err, MU_EINVAL, "%s", unclosed ? "a quote is not closed" : "empty line");
    rv = read_verb(&line, word, err);
    if (rv)
        return rv;
    word = next_word(&text, &unclosed);
    if (!word)
        return mu_err_set(err, MU_EINVAL, "%s",
                          unclosed ? "a quote is not closed"
                                   : "no name: write BINARY or BINARY@HOST");
    rv = read_name(&line, word, err);
    if (rv)
        return rv;
    if (line.verb == MU_LINE_REPORT) {
        line.json = text + strspn(text, " \t");
        if (*line.json == '\0')
            return mu_err_set(err, MU_EINVAL, "a report needs its JSON after the name");
        if (strlen(line.json) > MU_PAYLOAD_MAX)
            return mu_err_set(err, MU_ERANGE, "a report of %zu bytes: at most %d are possible",
                              strlen(line.json), MU_PAYLOAD_MAX);
    } else {
        while ((word = next_word(&text, &unclosed)) != NULL) {
            if (line.verb == MU_LINE_BYE)
                return mu_err_set(err, MU_EINVAL, "nothing may follow the name: '%.64s'", word);
            rv = read_setting(&line, word, err);
            if (rv)
                return rv;
        }
        if (unclosed)
            return mu_err_set(err, MU_EINVAL, "a quote is not closed");
    }
    *out = line;
    return 0;
}
