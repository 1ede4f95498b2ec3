/* Events of the past, from the store, for pages and streams. A read cannot be taken back: one whose
 * owner has gone ends in nothing. */
#include <string.h>

#include "base/mem.h"
#include "http/feed.h"

bool mu_events_match(const struct mu_events *events, const struct mu_event *event)
{
    const char *at;
    size_t n;

    if (events->kind >= 0 && event->kind != events->kind)
        return false;
    if (!events->agent[0])
        return true;
    at = strchr(events->agent, '@');
    n = (size_t)(at - events->agent);
    return event->who && strncmp(event->who->binary, events->agent, n) == 0 &&
           !event->who->binary[n] && strcmp(event->who->host, at + 1) == 0;
}

struct mu_fetch {
    mu_fetched_fn done;
    void *owner; /* NULL = cancelled */
    struct mu_feed *feed;
    struct mu_fetch **self; /* where the owner keeps it */
};

static void on_fetched(void *ctx, int rv, const struct mu_event_row *rows, size_t n,
                       const struct mu_event_span *span, const struct mu_err *err)
{
    struct mu_fetch *fetch = ctx;
    mu_fetched_fn done = fetch->done;
    void *owner = fetch->owner;

    if (!owner) {
        mu_free(fetch);
        return;
    }
    *fetch->self = NULL;
    if (!rv)
        fetch->feed->oldest = span->oldest;
    mu_free(fetch);
    done(owner, rv, rows, n, span);
}

int mu_fetch_start(struct mu_fetch **out, struct mu_feed *feed, const struct mu_events *events,
                   uint32_t limit, bool newest, mu_fetched_fn done, void *owner)
{
    struct mu_event_query query = {
        .since = newest ? 0 : events->since, .limit = limit, .newest = newest};
    struct mu_fetch *fetch = mu_alloc(sizeof(*fetch));
    int rv;

    if (!fetch)
        return MU_ENOMEM;
    *fetch = (struct mu_fetch){done, owner, feed, out};
    strcpy(query.agent, events->agent);
    if (events->kind >= 0)
        strcpy(query.kind, mu_kind_text((enum mu_kind)events->kind));
    rv = mu_store_events(feed->http->config.store, &query, on_fetched, fetch);
    if (rv)
        mu_free(fetch);
    else
        *out = fetch;
    return rv;
}

void mu_fetch_cancel(struct mu_fetch *fetch)
{
    if (fetch)
        fetch->owner = NULL;
}

uint64_t mu_fetch_reached(const struct mu_feed *feed, const struct mu_event_row *rows, size_t n,
                          uint32_t limit, const struct mu_event_span *span, uint64_t since)
{
    uint64_t reached;

    if (n == limit)
        return rows[n - 1].seq;
    reached = mu_watch_first(feed->watch) - 1; /* of earlier lives nothing comes any more */
    if (span->newest > reached)
        reached = span->newest;
    return reached > since ? reached : since;
}

uint64_t mu_feed_lacks(const struct mu_feed *feed, uint64_t since, const struct mu_event_span *span)
{
    /* where the store has none any more, this life's own begin with its first number */
    uint64_t oldest = span->oldest ? span->oldest : mu_watch_first(feed->watch);

    return since && since + 1 < oldest ? oldest : 0;
}

bool mu_feed_trimmed(struct mu_req *req, uint64_t since, const struct mu_event_span *span)
{
    uint64_t oldest = mu_feed_lacks(req->http->feed, since, span);
    struct mu_json json;

    if (!oldest)
        return false;
    mu_req_problem_open(
        req, &json, MU_TRIMMED,
        "events after %llu are no longer kept; the oldest is %llu: ask with since=0",
        (unsigned long long)since, (unsigned long long)oldest);
    mu_json_uint(&json, "oldest", oldest);
    mu_json_end(&json);
    mu_req_send(req, 0);
    return true;
}

void mu_feed_away(struct mu_req *req, int rv)
{
    const struct mu_watch *watch = req->http->config.watch;
    uint64_t here = mu_watch_evicted(watch) + 1;

    if (here < mu_watch_first(watch))
        here = mu_watch_first(watch);
    if (rv == MU_ENOMEM)
        mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory to read events");
    else
        mu_req_problem(req, MU_STORE_AWAY,
                       "events from before number %llu are in the store, which cannot be read now: "
                       "%s; repeat it later",
                       (unsigned long long)here, muster_strerror(rv));
}
