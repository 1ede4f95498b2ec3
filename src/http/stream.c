/* Happy path: microhttpd asks mu_stream_read() whenever the socket takes more; it copies what is
 * ready, makes ready what the ring has after the cursor, and suspends the connection when there is
 * nothing; the feed wakes it.
 * Ways to fail: the cursor falls out of the ring, or what it has not read yet is trimmed, since the
 * client reads too slowly: it is told and dropped; the store is away while old events are replayed:
 * tried again each second; the client goes away: noticed once a second, by the descriptor while the
 * connection is suspended. */
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/stat.h"
#include "http/feed.h"
#include "http/view.h"

#define COMMENT_EVERY (15 * MU_SEC)
#define FETCH_AT_ONCE 200
#define READY_MAX     ((size_t)1 << 20) /* bytes made ready for one client */
#define READY_ENOUGH  (16 * 1024)

struct mu_stream {
    struct mu_list link;
    struct mu_feed *feed;
    struct mu_req *req; /* only until it is answered */
    struct MHD_Connection *mhd;
    int fd;
    struct mu_events events; /* .since is the cursor */
    struct mu_fetch *fetch;
    struct mu_buf ready;
    size_t sent;  /* of .ready */
    mu_time last; /* when something was made ready */
    bool suspended;
    bool live;                        /* has caught up with the ring */
    bool retry;                       /* the store was away */
    enum { GOES_ON, ENDS, GONE } end; /* ENDS: after what is ready */
};

void mu_stream_free(void *ctx)
{
    struct mu_stream *stream = ctx;

    stream->feed->watchers--;
    mu_stat_set(MU_STAT_HTTP_WATCHERS, stream->feed->watchers);
    mu_list_remove(&stream->link);
    mu_fetch_cancel(stream->fetch);
    mu_buf_fini(&stream->ready);
    mu_free(stream);
}

/* ---- making ready ---- */

/* An id is where a client comes back to: none while a write with a lower number may still come. */
static void put_event(struct mu_stream *stream, const struct mu_event_row *row, bool with_id)
{
    struct mu_json json;

    if (with_id)
        mu_buf_printf(&stream->ready, "id: %llu\n", (unsigned long long)row->seq);
    mu_buf_printf(&stream->ready, "event: %s\ndata: ", row->kind);
    mu_json_init(&json, &stream->ready);
    mu_view_event(&json, row);
    mu_buf_puts(&stream->ready, "\n\n");
    stream->last = mu_clock_now();
}

static uint64_t floor_of(const struct mu_stream *stream)
{
    return mu_bus_floor(mu_conductor_bus(stream->feed->http->config.conductor));
}

static int take_event(void *ctx, const struct mu_event *event)
{
    struct mu_stream *stream = ctx;
    struct mu_event_scratch scratch;
    struct mu_event_row row;

    if (!mu_events_match(&stream->events, event))
        return 0;
    mu_event_words(event, &scratch, &row);
    put_event(stream, &row, event->seq < floor_of(stream));
    return stream->ready.len - stream->sent >= READY_ENOUGH;
}

static void end_with(struct mu_stream *stream, const char *event)
{
    mu_buf_printf(&stream->ready, "event: %s\ndata: {\"next\":%llu}\n\n", event,
                  (unsigned long long)stream->events.since);
    stream->end = ENDS;
}

static void on_fetched(void *owner, int rv, const struct mu_event_row *rows, size_t n,
                       const struct mu_event_span *span);

static int fetch(struct mu_stream *stream)
{
    return mu_fetch_start(&stream->fetch, stream->feed, &stream->events, FETCH_AT_ONCE, false,
                          on_fetched, stream);
}

static void make_ready(struct mu_stream *stream)
{
    struct mu_watch *watch = stream->feed->watch;

    if (stream->end || stream->fetch || stream->retry)
        return;
    if (mu_watch_covers(watch, stream->events.since)) {
        stream->live = true;
        stream->events.since = mu_watch_read(watch, stream->events.since, take_event, stream);
    } else if (stream->live) {
        end_with(stream, "dropped");
    } else if (fetch(stream)) {
        stream->retry = true;
    }
}

ssize_t mu_stream_read(void *ctx, uint64_t pos, char *buf, size_t max)
{
    struct mu_stream *stream = ctx;
    size_t n;

    if (stream->sent == stream->ready.len && !stream->ready.failed) {
        mu_buf_reset(&stream->ready);
        stream->sent = 0;
        make_ready(stream);
    }
    if (stream->ready.failed || stream->end == GONE)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    n = stream->ready.len - stream->sent;
    if (!n && stream->end == ENDS)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (!n) {
        stream->suspended = true;
        MHD_suspend_connection(stream->mhd);
        return 0;
    }
    if (n > max)
        n = max;
    memcpy(buf, stream->ready.data + stream->sent, n);
    stream->sent += n;
    return (ssize_t)n;
}

/* ---- waking ---- */

static void wake(struct mu_stream *stream)
{
    if (!stream->suspended)
        return;
    stream->suspended = false;
    mu_server_resume(stream->feed->http, stream->mhd);
}

static struct mu_stream *stream_of(struct mu_list *link)
{
    return MU_CONTAINER_OF(link, struct mu_stream, link);
}

void mu_stream_wake_all(struct mu_feed *feed)
{
    for (struct mu_list *at = feed->streams.next; at != &feed->streams; at = at->next)
        wake(stream_of(at));
}

void mu_stream_late(struct mu_feed *feed, const struct mu_event *event)
{
    struct mu_event_scratch scratch;
    struct mu_event_row row;

    mu_event_words(event, &scratch, &row);
    for (struct mu_list *at = feed->streams.next; at != &feed->streams; at = at->next) {
        struct mu_stream *stream = stream_of(at);

        if (stream->events.since < event->seq || stream->end ||
            !mu_events_match(&stream->events, event))
            continue;
        put_event(stream, &row, false);
        wake(stream);
    }
}

static bool client_is_gone(const struct mu_stream *stream)
{
    char byte;

    return stream->suspended && recv(stream->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void mu_stream_tick(struct mu_feed *feed, mu_time now)
{
    for (struct mu_list *at = feed->streams.next; at != &feed->streams; at = at->next) {
        struct mu_stream *stream = stream_of(at);

        if (stream->req)
            continue; /* not answered yet */
        if (client_is_gone(stream))
            stream->end = GONE;
        else if (now - stream->last >= COMMENT_EVERY && stream->sent == stream->ready.len) {
            mu_buf_puts(&stream->ready, ":\n\n");
            stream->last = now;
        } else if (!stream->retry) {
            continue;
        }
        stream->retry = false;
        wake(stream);
    }
}

void mu_stream_end_all(struct mu_feed *feed)
{
    for (struct mu_list *at = feed->streams.next; at != &feed->streams; at = at->next) {
        struct mu_stream *stream = stream_of(at);

        if (stream->req || stream->end)
            continue;
        end_with(stream, "end");
        wake(stream);
    }
}

/* ---- beginning ---- */

static void answer(struct mu_stream *stream)
{
    struct mu_req *req = stream->req;

    stream->req = NULL;
    req->stream = stream;
    req->type = "text/event-stream";
    mu_req_send(req, 200);
}

static void not_answered(struct mu_req *req)
{
    mu_stream_free(req->job);
}

static void on_fetched(void *owner, int rv, const struct mu_event_row *rows, size_t n,
                       const struct mu_event_span *span)
{
    struct mu_stream *stream = owner;
    struct mu_req *req = stream->req;

    if (rv && req) {
        mu_stream_free(stream);
        mu_feed_away(req, rv);
        return;
    }
    if (rv) {
        stream->retry = true;
        return;
    }
    if (req && mu_feed_trimmed(req, stream->events.since, span)) {
        mu_stream_free(stream);
        return;
    }
    if (mu_feed_lacks(stream->feed, stream->events.since, span)) { /* trimmed while it read */
        end_with(stream, "dropped");
        wake(stream);
        return;
    }
    for (size_t i = 0; i < n; i++)
        put_event(stream, &rows[i], rows[i].seq < floor_of(stream));
    stream->events.since =
        mu_fetch_reached(stream->feed, rows, n, FETCH_AT_ONCE, span, stream->events.since);
    /* neither in the store nor in the ring yet: the journal lags */
    stream->retry =
        n < FETCH_AT_ONCE && !mu_watch_covers(stream->feed->watch, stream->events.since);
    if (req)
        answer(stream);
    else
        wake(stream);
}

void mu_stream_open(struct mu_feed *feed, struct mu_req *req, const struct mu_events *events)
{
    struct mu_stream *stream;
    int rv;

    if (feed->watchers >= feed->http->config.max_watchers) {
        mu_req_problem(req, MU_TOO_MANY, "there are max_watchers watchers; repeat it later");
        return;
    }
    stream = mu_alloc(sizeof(*stream));
    if (!stream) {
        mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory for the stream");
        return;
    }
    stream->feed = feed;
    stream->req = req;
    stream->mhd = req->mhd;
    stream->fd = req->peer->fd;
    stream->events = *events;
    stream->last = mu_clock_now();
    mu_buf_init(&stream->ready, READY_MAX);
    mu_buf_puts(&stream->ready, "retry: 1000\n\n");
    mu_list_append(&feed->streams, &stream->link);
    mu_stat_set(MU_STAT_HTTP_WATCHERS, ++feed->watchers);
    if (mu_watch_covers(feed->watch, events->since) || req->head) {
        answer(stream);
        return;
    }
    rv = fetch(stream);
    if (!rv) {
        req->watches = true;
        mu_req_wait(req, not_answered, stream);
        return;
    }
    mu_stream_free(stream);
    mu_feed_away(req, rv);
}
