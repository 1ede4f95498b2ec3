/* Happy path: a page whose numbers the ring covers is answered at once; otherwise the store is read
 * first, and the ring takes up where it ends. With `wait` and nothing found it is put on the list,
 * and looks again whenever the watch has told of something, until its deadline. Each look is a
 * slice: when much happens and many wait, they have their answers over several turns of the loop.
 * Ways to fail: the store is away (503), or has trimmed what is asked for (410); the journal lags
 * so far behind that some events are neither in the ring nor in the store yet: then the page
 * ends before them, and the next one finds them. */
#include "http/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/stat.h"
#include "http/guard.h"
#include "http/handlers.h"
#include "http/view.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000
#define WAIT_MAX      (60 * MU_SEC)

struct page {
    struct mu_slice slice; /* while it is about to look */
    struct mu_list link;   /* in feed->pages while it waits for an event */
    struct mu_feed *feed;
    struct mu_req *req;
    struct mu_events events;
    struct mu_json json;
    struct mu_fetch *fetch; /* under way; NULL = none */
    bool newest;            /* the last ones, rather than those after .since */
    uint32_t found, skip;
    mu_time deadline; /* 0 = does not wait */
};

/* ---- pages and long polls ---- */

static void watchers_changed(struct mu_feed *feed)
{
    mu_stat_set(MU_STAT_HTTP_WATCHERS, feed->watchers);
}

static void unwait(struct page *page)
{
    if (mu_list_empty(&page->link))
        return;
    mu_list_remove(&page->link);
    page->feed->watchers--;
    watchers_changed(page->feed);
}

static void page_free(struct page *page)
{
    unwait(page);
    mu_server_unslice(page->feed->http, &page->slice);
    mu_fetch_cancel(page->fetch);
    mu_free(page);
}

static void page_gone(struct mu_req *req)
{
    page_free(req->job);
}

static void page_answer(struct page *page)
{
    struct mu_feed *feed = page->feed;
    struct mu_req *req = page->req;

    mu_json_end(&page->json);
    mu_json_uint(&page->json, "next", page->events.since);
    mu_json_uint(&page->json, "oldest", feed->oldest ? feed->oldest : mu_watch_first(feed->watch));
    mu_json_end(&page->json);
    page_free(page);
    mu_req_send(req, 200);
}

static void put_event(struct page *page, const struct mu_event *event)
{
    struct mu_event_scratch scratch;
    struct mu_event_row row;

    mu_event_words(event, &scratch, &row);
    mu_view_event(&page->json, &row);
    page->found++;
}

static int take_event(void *ctx, const struct mu_event *event)
{
    struct page *page = ctx;

    if (!mu_events_match(&page->events, event))
        return 0;
    if (page->skip) {
        page->skip--;
        return 0;
    }
    put_event(page, event);
    return page->found == page->events.limit;
}

static int count_event(void *ctx, const struct mu_event *event)
{
    struct page *page = ctx;

    page->skip += mu_events_match(&page->events, event);
    return 0;
}

static void arm(struct mu_feed *feed);

static void page_wait(struct page *page)
{
    struct mu_feed *feed = page->feed;

    if (!mu_list_empty(&page->link))
        return; /* still waiting */
    if (feed->watchers >= feed->http->config.max_watchers) {
        struct mu_req *req = page->req;

        page_free(page);
        mu_req_problem(req, MU_TOO_MANY, "there are max_watchers watchers; repeat it later");
        return;
    }
    mu_list_append(&feed->pages, &page->link);
    feed->watchers++;
    watchers_changed(feed);
    page->req->watches = true;
    arm(feed);
}

static void page_failed(struct page *page, int rv)
{
    struct mu_req *req = page->req;

    page_free(page);
    mu_feed_away(req, rv);
}

static void page_fetched(void *owner, int rv, const struct mu_event_row *rows, size_t n,
                         const struct mu_event_span *span);

static void page_fetch(struct page *page)
{
    int rv = mu_fetch_start(&page->fetch, page->feed, &page->events,
                            page->events.limit - page->found, page->newest, page_fetched, page);

    if (rv)
        page_failed(page, rv);
}

/* After all that can be found was looked at. */
static void page_end(struct page *page)
{
    if (page->found || !page->deadline || page->feed->closing || page->req->head ||
        mu_clock_now() >= page->deadline)
        page_answer(page);
    else
        page_wait(page);
}

/* From the ring, or from the store where it has forgotten. */
static void page_run(struct page *page)
{
    if (page->fetch)
        return;
    if (!mu_watch_covers(page->feed->watch, page->events.since)) {
        page_fetch(page);
        return;
    }
    page->events.since = mu_watch_read(page->feed->watch, page->events.since, take_event, page);
    page_end(page);
}

/* The last `limit`: @rows from the store, and what the ring has after them. */
static void show_newest(struct page *page, const struct mu_event_row *rows, size_t n,
                        uint64_t reached)
{
    uint32_t limit = page->events.limit;
    size_t first;

    page->skip = 0;
    mu_watch_read(page->feed->watch, reached, count_event, page);
    first = n + page->skip > limit ? n + page->skip - limit : 0;
    page->skip = page->skip > limit ? page->skip - limit : 0;
    for (size_t i = first; i < n; i++, page->found++)
        mu_view_event(&page->json, &rows[i]);
    page->events.since = mu_watch_read(page->feed->watch, reached, take_event, page);
    page_answer(page);
}

static void page_fetched(void *owner, int rv, const struct mu_event_row *rows, size_t n,
                         const struct mu_event_span *span)
{
    struct page *page = owner;
    uint32_t limit = page->events.limit - page->found;

    if (rv) {
        page_failed(page, rv);
        return;
    }
    if (page->newest) {
        show_newest(page, rows, n, span->newest);
        return;
    }
    if (mu_feed_trimmed(page->req, page->events.since, span)) {
        page_free(page);
        return;
    }
    for (size_t i = 0; i < n; i++, page->found++)
        mu_view_event(&page->json, &rows[i]);
    page->events.since = mu_fetch_reached(page->feed, rows, n, limit, span, page->events.since);
    if (page->found < page->events.limit && mu_watch_covers(page->feed->watch, page->events.since))
        page_run(page);
    else
        page_end(page);
}

/* Without `since`. The ring alone suffices when it has enough of them. */
static void page_newest(struct page *page)
{
    uint64_t from = mu_watch_evicted(page->feed->watch), before = mu_watch_first(page->feed->watch);

    if (from < before - 1)
        from = before - 1;
    mu_watch_read(page->feed->watch, from, count_event, page);
    if (page->skip >= page->events.limit)
        show_newest(page, NULL, 0, from);
    else
        page_fetch(page);
}

static bool page_step(struct mu_slice *slice)
{
    struct page *page = MU_CONTAINER_OF(slice, struct page, slice);

    if (page->newest)
        page_newest(page);
    else
        page_run(page);
    return false;
}

static void page_look(struct page *page)
{
    if (mu_list_empty(&page->slice.link))
        mu_server_slice(page->feed->http, &page->slice);
}

/* ---- requests ---- */

static bool read_number(struct mu_req *req, const char *what, const char *text, uint64_t *out)
{
    uint64_t last = mu_bus_last(mu_conductor_bus(req->http->config.conductor));
    uint64_t shown = mu_watch_last(req->http->config.watch);
    size_t n = strlen(text);

    if (!n || n > 19 || strspn(text, "0123456789") != n) {
        mu_req_problem(req, MU_BAD_PARAMETER, "%s \"%.40s\" is not an event's number", what, text);
        return false;
    }
    *out = strtoull(text, NULL, 10);
    if (*out <= last || *out <= shown)
        return true;
    mu_req_problem(req, MU_BAD_PARAMETER,
                   "%s %s is beyond the newest number, %llu: it is another conductor's", what, text,
                   (unsigned long long)(last > shown ? last : shown));
    return false;
}

static bool read_events(struct mu_req *req, const char *agent, struct mu_events *events)
{
    const char *kind = mu_url_param(&req->url, "kind");
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];
    uint64_t limit = LIMIT_DEFAULT;
    struct mu_err err = {0};

    if (*agent && mu_name_parse(agent, binary, host, &err)) {
        mu_req_problem(req, MU_BAD_PARAMETER, "agent=%.520s is not BINARY@HOST: %s", agent,
                       err.text);
        return false;
    }
    strcpy(events->agent, agent);
    events->kind = kind ? mu_kind_parse(kind) : -1;
    if (kind && events->kind < 0) {
        mu_req_problem(req, MU_BAD_PARAMETER,
                       "kind=%.40s: it is state, status, forced, joined, deleted or conductor",
                       kind);
        return false;
    }
    if (!mu_param_number(req, "limit", 1, LIMIT_MAX, &limit))
        return false;
    events->limit = (uint32_t)limit;
    return true;
}

static void open_stream(struct mu_feed *feed, struct mu_req *req, struct mu_events *events)
{
    const char *last = mu_req_header(req, "Last-Event-ID");
    const char *since = mu_url_param(&req->url, "since");

    if (mu_url_param(&req->url, "limit") || mu_url_param(&req->url, "wait")) {
        mu_req_problem(req, MU_BAD_PARAMETER, "a stream has neither limit nor wait");
        return;
    }
    events->since = mu_watch_last(feed->watch);
    if (last) {
        if (!read_number(req, "Last-Event-ID", last, &events->since))
            return;
    } else if (since && !read_number(req, "since", since, &events->since)) {
        return;
    }
    mu_stream_open(feed, req, events);
}

static bool read_wait(struct mu_req *req, mu_time *deadline)
{
    const char *wait = mu_url_param(&req->url, "wait");
    mu_dur dur;

    *deadline = 0;
    if (!wait)
        return true;
    if (!mu_url_param(&req->url, "since")) {
        mu_req_problem(req, MU_BAD_PARAMETER, "wait goes with since only");
        return false;
    }
    if (mu_dur_parse(wait, &dur) || dur > WAIT_MAX) {
        mu_req_problem(req, MU_BAD_PARAMETER, "wait=%.40s is not a time up to 60s", wait);
        return false;
    }
    *deadline = dur ? mu_clock_now() + dur : 0;
    return true;
}

static void open_page(struct mu_feed *feed, struct mu_req *req, struct mu_events *events)
{
    const char *since = mu_url_param(&req->url, "since");
    struct page *page;
    mu_time deadline;

    if ((since && !read_number(req, "since", since, &events->since)) || !read_wait(req, &deadline))
        return;
    page = mu_alloc(sizeof(*page));
    if (!page) {
        mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory for the events");
        return;
    }
    mu_list_init(&page->link);
    mu_list_init(&page->slice.link);
    page->slice.step = page_step;
    page->slice.light = true; /* a look is one piece */
    page->feed = feed;
    page->req = req;
    page->events = *events;
    page->deadline = deadline;
    page->newest = !since;
    mu_req_json(req, &page->json);
    mu_json_object(&page->json, NULL);
    mu_json_array(&page->json, "events");
    mu_req_wait(req, page_gone, page);
    page_look(page);
}

void mu_feed_events(struct mu_req *req, const char *agent)
{
    const char *accept = mu_req_header(req, "Accept");
    struct mu_events events = {0};

    if (!read_events(req, agent, &events))
        return;
    if (accept && strstr(accept, "text/event-stream") &&
        mu_guard_accepts(accept, "text/event-stream"))
        open_stream(req->http->feed, req, &events);
    else if (mu_guard_accepts(accept, "application/json"))
        open_page(req->http->feed, req, &events);
    else
        mu_req_problem(req, MU_NOT_ACCEPTABLE,
                       "only application/json and text/event-stream can be had here");
}

/* ---- waking ---- */

static void on_wake(uv_timer_t *timer)
{
    struct mu_feed *feed = timer->data;
    struct mu_list *next;

    for (struct mu_list *at = feed->pages.next; at != &feed->pages; at = next) {
        next = at->next;
        page_look(MU_CONTAINER_OF(at, struct page, link));
    }
    mu_stream_wake_all(feed);
}

static void wake(struct mu_feed *feed)
{
    if (!feed->closing && !uv_is_active((uv_handle_t *)&feed->wake))
        uv_timer_start(&feed->wake, on_wake, 0, 0);
}

static void on_alarm(uv_timer_t *timer)
{
    struct mu_feed *feed = timer->data;
    mu_time now = mu_clock_now();
    struct mu_list *next;

    if (now >= feed->held_until) {
        feed->held_until = MU_NEVER;
        if (mu_watch_release(feed->watch))
            wake(feed);
    }
    for (struct mu_list *at = feed->pages.next; at != &feed->pages; at = next) {
        struct page *page = MU_CONTAINER_OF(at, struct page, link);

        next = at->next;
        if (now >= page->deadline)
            page_answer(page);
    }
    arm(feed);
}

/* Sets the alarm for what is due first. */
static void arm(struct mu_feed *feed)
{
    mu_time first = feed->held_until, now = mu_clock_now();
    uint64_t ms, old = (uint64_t)(now / MU_MS) - uv_now(feed->http->config.loop);

    for (struct mu_list *at = feed->pages.next; at != &feed->pages; at = at->next) {
        const struct page *page = MU_CONTAINER_OF(at, struct page, link);
        if (page->deadline < first)
            first = page->deadline;
    }
    if (first == MU_NEVER || feed->closing) {
        uv_timer_stop(&feed->alarm);
        return;
    }
    ms = first > now ? (uint64_t)((first - now + MU_MS - 1) / MU_MS) : 0;
    uv_timer_start(&feed->alarm, on_alarm, ms + old, 0); /* the loop's clock may be old */
}

/* Pages that are past its number and wait get it alone; their `next` stays. */
static void late_to_pages(struct mu_feed *feed, const struct mu_event *event)
{
    struct mu_list *next;

    for (struct mu_list *at = feed->pages.next; at != &feed->pages; at = next) {
        struct page *page = MU_CONTAINER_OF(at, struct page, link);

        next = at->next;
        if (page->fetch || page->events.since < event->seq ||
            !mu_events_match(&page->events, event))
            continue;
        put_event(page, event);
        page_answer(page);
    }
}

/* Told from within the bus: only notes, and answers for later. */
static void on_watch(void *ctx, bool held, const struct mu_event *late)
{
    struct mu_feed *feed = ctx;

    if (feed->closing)
        return;
    if (late) {
        late_to_pages(feed, late);
        mu_stream_late(feed, late);
    }
    if (held && feed->held_until == MU_NEVER) {
        feed->held_until = mu_clock_now() + MU_WATCH_HOLD;
        arm(feed);
    }
    wake(feed);
}

void mu_feed_tick(struct mu_feed *feed, mu_time now)
{
    mu_stream_tick(feed, now);
}

/* ---- begin and end ---- */

int mu_feed_new(struct mu_feed **out, struct mu_http *http)
{
    struct mu_feed *feed = mu_alloc(sizeof(*feed));

    if (!feed)
        return MU_ENOMEM;
    feed->http = http;
    feed->watch = http->config.watch;
    feed->held_until = MU_NEVER;
    mu_list_init(&feed->pages);
    mu_list_init(&feed->streams);
    *out = feed;
    return 0;
}

void mu_feed_start(struct mu_feed *feed)
{
    uv_timer_init(feed->http->config.loop, &feed->wake);
    uv_timer_init(feed->http->config.loop, &feed->alarm);
    feed->wake.data = feed->alarm.data = feed;
    feed->http->handles += 2;
    mu_watch_listen(feed->watch, on_watch, feed);
}

void mu_feed_close(struct mu_feed *feed)
{
    feed->closing = true;
    mu_watch_listen(feed->watch, NULL, NULL);
    uv_timer_stop(&feed->wake);
    uv_timer_stop(&feed->alarm);
    mu_stream_end_all(feed);
}

static void on_closed(uv_handle_t *handle)
{
    struct mu_feed *feed = handle->data;

    mu_server_handle_closed(feed->http);
}

void mu_feed_close_handles(struct mu_feed *feed)
{
    uv_close((uv_handle_t *)&feed->wake, on_closed);
    uv_close((uv_handle_t *)&feed->alarm, on_closed);
}

void mu_feed_free(struct mu_feed *feed)
{
    mu_free(feed);
}
