/* feed.h - events to those who ask: a page, a long poll (feed.c), a stream (stream.c).
 *
 * The newest come from outlet/watch, older ones from the store. What waits is woken once a turn of
 * the loop, however many events came. */
#ifndef MU_HTTP_FEED_H
#define MU_HTTP_FEED_H

#include "base/name.h"
#include "http/server.h"

struct mu_feed {
    struct mu_http *http;
    struct mu_watch *watch;
    uv_timer_t wake;               /* with the next turn of the loop */
    uv_timer_t alarm;              /* the first deadline of a long poll, or the end of a hold */
    struct mu_list pages, streams; /* pages: long polls that wait for an event */
    uint32_t watchers;             /* long polls and streams */
    uint64_t oldest;               /* kept by the store, as far as is known; 0 = not known */
    mu_time held_until;            /* MU_NEVER = nothing is held */
    bool closing;
};

/* Which events, and where the asker stands. */
struct mu_events {
    uint64_t since; /* seen up to here */
    uint32_t limit;
    int kind;                 /* -1 = any */
    char agent[MU_NAME_TEXT]; /* "" = any */
};

int mu_feed_new(struct mu_feed **out, struct mu_http *http);
void mu_feed_start(struct mu_feed *feed);         /* its handles are in the loop from here on */
void mu_feed_close(struct mu_feed *feed);         /* long polls are answered, streams end */
void mu_feed_close_handles(struct mu_feed *feed); /* mu_server_handle_closed() for each */
void mu_feed_free(struct mu_feed *feed);          /* when those and all streams are closed */

/* GET /v1/events; @agent is "BINARY@HOST", "" = any, from the query or the path. */
void mu_feed_events(struct mu_req *req, const char *agent);

/* Once a second: comments that are due, streams whose client is gone, reads to be tried again. */
void mu_feed_tick(struct mu_feed *feed, mu_time now);

/* ---- fetch.c, for feed.c and stream.c ---- */

bool mu_events_match(const struct mu_events *events, const struct mu_event *event);

/* A read of the store after events->since for @owner; at most @limit. @done runs unless
 * mu_fetch_cancel() was called. Returns 0 and *@out, or an error. */
struct mu_fetch;
typedef void (*mu_fetched_fn)(void *owner, int rv, const struct mu_event_row *rows, size_t n,
                              const struct mu_event_span *span);
int mu_fetch_start(struct mu_fetch **out, struct mu_feed *feed, const struct mu_events *events,
                   uint32_t limit, bool newest, mu_fetched_fn done, void *owner);
void mu_fetch_cancel(struct mu_fetch *fetch); /* NULL is allowed */

/* Up to which number a fetch of at most @limit has looked, that found @n rows. */
uint64_t mu_fetch_reached(const struct mu_feed *feed, const struct mu_event_row *rows, size_t n,
                          uint32_t limit, const struct mu_event_span *span, uint64_t since);

/* The oldest number there is, where events between @since and it are no longer kept; else 0. */
uint64_t mu_feed_lacks(const struct mu_feed *feed, uint64_t since,
                       const struct mu_event_span *span);

/* The same for a request that has its answer then; returns whether. */
bool mu_feed_trimmed(struct mu_req *req, uint64_t since, const struct mu_event_span *span);
void mu_feed_away(struct mu_req *req, int rv); /* answers that the store cannot be read */

/* ---- stream.c, for feed.c ---- */

/* Begins a stream, and answers with it, at once or after a first read of the store. */
void mu_stream_open(struct mu_feed *feed, struct mu_req *req, const struct mu_events *events);
void mu_stream_late(struct mu_feed *feed, const struct mu_event *event);
void mu_stream_tick(struct mu_feed *feed, mu_time now);
void mu_stream_end_all(struct mu_feed *feed);
void mu_stream_wake_all(struct mu_feed *feed);

/* microhttpd's content reader, and what it calls when the connection is over. */
ssize_t mu_stream_read(void *stream, uint64_t pos, char *buf, size_t max);
void mu_stream_free(void *stream);

#endif
