#include "cli/feed.h"

#include <poll.h>
#include <stdio.h>

#define LONG_POLL (30 * MU_SEC)

static int get(struct mu_feed *f, const char *query, mu_dur extra, json_t **out, struct mu_err *err)
{
    struct mu_buf path;

    mu_buf_init(&path, 0);
    mu_buf_printf(&path, "/v1/events?%s", query);
    if (f->agent) {
        mu_buf_puts(&path, "&agent=");
        mu_ask_escape(&path, f->agent);
    }
    if (f->kind) {
        mu_buf_puts(&path, "&kind=");
        mu_ask_escape(&path, f->kind);
    }
    int rv = mu_ask(f->ask, "GET", mu_buf_text(&path), NULL, extra, out, err);
    mu_buf_fini(&path);
    if (rv == 0 && (!json_is_array(json_object_get(*out, "events")) ||
                    !json_is_integer(json_object_get(*out, "next")))) {
        json_decref(*out);
        *out = NULL;
        return mu_err_set(err, MU_EPROTO, "the conductor answers with no list of events");
    }
    return rv;
}

static uint64_t number(const json_t *answer, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(answer, key));
    return n > 0 ? (uint64_t)n : 0;
}

int mu_feed_from_now(struct mu_feed *f, struct mu_err *err)
{
    struct mu_feed all = {.ask = f->ask};
    json_t *answer = NULL;
    int rv = get(&all, "limit=1", 0, &answer, err);

    if (rv == 0)
        f->since = number(answer, "next");
    json_decref(answer);
    return rv;
}

/* Passes over what is no longer kept. Returns whether that helps. */
static bool skip_trimmed(struct mu_feed *f, const json_t *problem)
{
    uint64_t oldest = number(problem, "oldest");

    if (oldest <= f->since + 1)
        return false;
    fprintf(stderr, "muster: events %llu to %llu are no longer kept\n",
            (unsigned long long)f->since + 1, (unsigned long long)oldest - 1);
    f->since = oldest - 1;
    return true;
}

int mu_feed_next(struct mu_feed *f, mu_dur wait, json_t **events, struct mu_err *err)
{
    char query[96];
    json_t *answer = NULL;
    int rv;

    *events = NULL;
    do {
        int n =
            snprintf(query, sizeof(query), "limit=1000&since=%llu", (unsigned long long)f->since);
        if (wait > 0)
            snprintf(query + n, sizeof(query) - (size_t)n, "&wait=%lldms",
                     (long long)(wait / MU_MS));
        json_decref(answer);
        rv = get(f, query, wait, &answer, err);
    } while (rv == MU_EGONE && skip_trimmed(f, answer));
    if (rv == 0) {
        f->since = number(answer, "next");
        *events = json_incref(json_object_get(answer, "events"));
    }
    json_decref(answer);
    return rv;
}

bool mu_feed_may_return(int code)
{
    return code == MU_EAGAIN || code == MU_ETIMEDOUT || code == MU_EIO;
}

void mu_feed_pause(unsigned n)
{
    poll(NULL, 0, n < 10 ? (int)n * 200 : 2000);
}

/* The conductor is back, perhaps with another database, whose numbers are lower than those seen:
 * then it refuses ours. Returns whether to go on by its own. */
static bool has_other_history(struct mu_feed *f)
{
    struct mu_feed now = *f;
    struct mu_err err;

    if (mu_feed_from_now(&now, &err) != 0 || now.since >= f->since)
        return false;
    fprintf(stderr,
            "muster: the conductor's events end at %llu, before %llu: it has another store\n",
            (unsigned long long)now.since, (unsigned long long)f->since);
    f->since = now.since;
    return true;
}

int mu_feed_follow(struct mu_feed *f, int (*each)(void *ctx, json_t *event), void *ctx)
{
    const char *name = mu_args_command(f->args)->name;
    json_t *events, *event;
    struct mu_err err;
    unsigned failed = 0;
    size_t i;

    mu_ask_while_read(f->ask);
    for (;;) {
        int rv = mu_feed_next(f, LONG_POLL, &events, &err), code = MU_EXIT_OK;
        if (rv == MU_EINVAL && failed > 0 && has_other_history(f))
            continue;
        if (rv != 0 && !mu_feed_may_return(rv))
            return mu_cli_fail_err(f->args, &err);
        if (rv != 0) {
            if (failed++ == 0)
                fprintf(stderr, "muster %s: %s: trying again\n", name, err.text);
            mu_feed_pause(failed);
            continue;
        }
        if (failed > 0) {
            fprintf(stderr, "muster %s: the conductor is back\n", name);
            failed = 0;
        }
        json_array_foreach(events, i, event) if (code == MU_EXIT_OK) code = each(ctx, event);
        json_decref(events);
        if (code != MU_EXIT_OK)
            return code;
    }
}
