/* Events by HTTP: pages, long polls, streams; from the watch and from the store. */
#include "lib/api.h"

#define RING 8

static struct world world;

static int setup(void **state)
{
    memset(&world, 0, sizeof(world));
    world_new_with(&world, RING, 1);
    add_agent(&world.conductor, "a", "h1", "", "{}");
    add_agent(&world.conductor, "b", "h2", "", "{}");
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    world_end(*state);
    return 0;
}

static struct mu_event event_of(struct world *w, uint32_t slot)
{
    return (struct mu_event){.at = 1000,
                             .kind = MU_KIND_STATE,
                             .from = MU_UP,
                             .to = MU_DOWN,
                             .reason = MU_WHY_SILENCE,
                             .who = mu_roster_ident(w->conductor.roster, slot),
                             .evidence = mu_no_evidence};
}

static void stored(void *ctx, int rv, const struct mu_err *err)
{
    (void)err;
    assert_int_equal(rv, 0);
    *(bool *)ctx = true;
}

static void store_event(struct world *w, const struct mu_event *event)
{
    struct mu_batch batch = {.events = event, .nevents = 1};
    bool done = false;

    assert_int_equal(mu_store_commit(w->store, &batch, stored, &done), 0);
    while (!done)
        turn(w);
}

/* @n state events, in turn of a@h1 and b@h2, told and, as the journal does, stored. */
static void publish(struct world *w, unsigned n, bool store)
{
    for (unsigned i = 0; i < n; i++) {
        struct mu_event event = event_of(w, i % 2);

        mu_bus_publish(w->conductor.bus, &event);
        if (store)
            store_event(w, &event);
    }
}

/* Gets @path and checks that its events have the numbers @first to @last, and its next is @next. */
static void expect_events(struct world *w, const char *path, unsigned first, unsigned last,
                          unsigned next)
{
    struct answer a = get(w, path);
    json_t *events = json_object_get(a.json, "events");

    if (a.status != 200 || json_array_size(events) != last + 1 - first)
        fail_msg("%s: %s", path, a.text);
    for (unsigned i = 0; first + i <= last; i++)
        assert_int_equal(json_integer_value(json_object_get(json_array_get(events, i), "seq")),
                         first + i);
    assert_int_equal(json_integer_value(json_object_get(a.json, "next")), next);
    answer_fini(&a);
}

static void an_event_has_exactly_the_promised_keys(void **state)
{
    static const char *const keys[] = {"seq",  "at", "agent",  "uuid",  "kind",
                                       "from", "to", "reason", "detail"};
    struct world *w = *state;
    struct answer a;
    json_t *event;

    publish(w, 1, false);
    a = get(w, "/v1/events?since=0");
    event = json_array_get(json_object_get(a.json, "events"), 0);
    assert_int_equal(json_object_size(event), MU_ARRAY_LEN(keys));
    for (size_t i = 0; i < MU_ARRAY_LEN(keys); i++)
        assert_non_null(json_object_get(event, keys[i]));
    assert_string_equal(json_string_value(json_object_get(event, "agent")), "a@h1");
    assert_string_equal(json_string_value(json_object_get(event, "to")), "down");
    assert_true(json_is_object(json_object_get(event, "detail")));
    answer_fini(&a);
}

static void pages_go_through_the_store_into_the_ring(void **state)
{
    struct world *w = *state;

    publish(w, 20, true); /* the ring has 13-20 */
    expect_events(w, "/v1/events?since=0", 1, 20, 20);
    expect_events(w, "/v1/events?since=0&limit=5", 1, 5, 5);
    expect_events(w, "/v1/events?since=5&limit=10", 6, 15, 15);
    expect_events(w, "/v1/events?since=15&limit=3", 16, 18, 18);
    expect_events(w, "/v1/events?since=20", 1, 0, 20);
    expect_events(w, "/v1/events", 1, 20, 20);
    expect_events(w, "/v1/events?limit=3", 18, 20, 20);
    expect_events(w, "/v1/events?limit=12", 9, 20, 20);
}

static void filters_hold_in_store_and_ring(void **state)
{
    struct world *w = *state;
    struct answer a;

    publish(w, 20, true);
    a = get(w, "/v1/events?since=0&agent=b@h2");
    assert_int_equal(json_array_size(json_object_get(a.json, "events")), 10);
    assert_null(strstr(a.body, "a@h1"));
    answer_fini(&a);
    a = get(w, "/v1/agents/b@h2/events?since=0&limit=7");
    assert_int_equal(json_array_size(json_object_get(a.json, "events")), 7);
    assert_int_equal(json_integer_value(json_object_get(a.json, "next")), 14);
    answer_fini(&a);
    expect_events(w, "/v1/events?since=0&kind=joined", 1, 0, 20);
    expect_events(w, "/v1/events?since=16&kind=state&agent=none@such", 1, 0, 20);
    expect_problem(get(w, "/v1/agents/none@such/events"), 404, "no-such-agent");
}

static void wrong_parameters_get_their_problem(void **state)
{
    static const char *const paths[] = {
        "/v1/events?since=x",          "/v1/events?since=-1",
        "/v1/events?since=1000",       "/v1/events?limit=0",
        "/v1/events?since=0&wait=61s", "/v1/events?wait=1s",
        "/v1/events?kind=birthday",    "/v1/events?agent=nobody",
        "/v1/events?since=0&wait=-1s", "/v1/events?since=18446744073709551616",
    };
    struct world *w = *state;

    for (size_t i = 0; i < MU_ARRAY_LEN(paths); i++)
        expect_problem(get(w, paths[i]), 400, "bad-parameter");
    expect_problem(ask(w, "GET", "/v1/events", "Accept: text/html", ""), 406, "not-acceptable");
    expect_problem(ask(w, "GET", "/v1/events?wait=1s", "Accept: text/event-stream", ""), 400,
                   "bad-parameter");
    expect_problem(ask(w, "GET", "/v1/events", "Accept: text/event-stream\r\nLast-Event-ID: x", ""),
                   400, "bad-parameter");
}

static void trim(struct world *w, mu_wall before, uint64_t keep)
{
    bool done = false;

    assert_int_equal(mu_store_trim(w->store, before, keep, stored, &done), 0);
    while (!done)
        turn(w);
}

#define STREAM "Accept: text/event-stream"

/* @text with @number for its %u. */
static void put_number(char *out, size_t size, const char *text, const char *number)
{
    const char *at = strstr(text, "%u");

    if (at)
        snprintf(out, size, "%.*s%s%s", (int)(at - text), text, number, at + 2);
    else
        snprintf(out, size, "%s", text);
}

/* Each way to ask for events after @since tells of @oldest. */
static void expect_trimmed(struct world *w, unsigned since, unsigned oldest)
{
    static const char *const ways[][2] = {
        {"/v1/events?since=%u", ""},
        {"/v1/events?since=%u&limit=1", ""},
        {"/v1/events?since=%u&wait=30s", ""},
        {"/v1/events?since=%u&agent=a@h1", ""},
        {"/v1/events?since=%u&kind=joined&wait=30s", ""},
        {"/v1/agents/a@h1/events?since=%u", ""},
        {"/v1/events?since=%u", STREAM},
        {"/v1/events?kind=state", STREAM "\r\nLast-Event-ID: %u"},
        {"/v1/agents/b@h2/events", STREAM "\r\nLast-Event-ID: %u"},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(ways); i++) {
        char path[128], headers[128], number[16];
        struct answer a;

        snprintf(number, sizeof(number), "%u", since);
        put_number(path, sizeof(path), ways[i][0], number);
        put_number(headers, sizeof(headers), ways[i][1], number);
        a = ask(w, "GET", path, headers, "");
        assert_int_equal(json_integer_value(json_object_get(a.json, "oldest")), oldest);
        expect_problem(a, 410, "events-trimmed");
    }
}

static void what_is_trimmed_is_gone_whichever_way_one_asks(void **state)
{
    struct world *w = *state;

    publish(w, 20, true);
    trim(w, 0, 10);
    expect_trimmed(w, 3, 11);
    expect_trimmed(w, 9, 11);
    expect_events(w, "/v1/events?since=10", 11, 20, 20);
    expect_events(w, "/v1/events?since=0", 11, 20, 20); /* from the oldest kept */
}

static void after_a_restart_with_all_trimmed_the_past_is_gone(void **state)
{
    struct world *w = *state;

    publish(w, 5, true);
    trim(w, 2000, 0);
    world_end(w);
    memset(w, 0, sizeof(*w));
    world_new_with(w, RING, 1001);
    add_agent(&w->conductor, "a", "h1", "", "{}");
    add_agent(&w->conductor, "b", "h2", "", "{}");
    publish(w, 1, false);
    expect_trimmed(w, 3, 1001);
    expect_events(w, "/v1/events?since=1000", 1001, 1001, 1001);
    expect_events(w, "/v1/events?since=0", 1001, 1001, 1001);
}

/* ---- long polls ---- */

static int begin(struct world *w, const char *path, const char *headers)
{
    uint64_t before = mu_stat_count(MU_STAT_HTTP_REQUESTS);
    char request[512];
    int fd = dial(w);

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost%s%s\r\n\r\n", path,
             *headers ? "\r\n" : "", headers);
    say(fd, request);
    while (mu_stat_count(MU_STAT_HTTP_REQUESTS) == before)
        turn(w);
    for (int i = 0; i < 3; i++)
        turn(w);
    return fd;
}

static struct answer end(struct world *w, int fd)
{
    struct answer a;

    take_apart(&a, hear(w, fd, NULL, false));
    close(fd);
    return a;
}

static void a_long_poll_waits_for_what_it_asked(void **state)
{
    struct world *w = *state;
    int any = begin(w, "/v1/events?since=0&wait=30s", "");
    int b = begin(w, "/v1/events?since=0&wait=30s&agent=b@h2", "");
    struct answer a;

    publish(w, 1, false);
    a = end(w, any);
    assert_int_equal(json_integer_value(json_object_get(a.json, "next")), 1);
    answer_fini(&a);
    for (int i = 0; i < 3; i++)
        turn(w);
    publish(w, 2, false);
    a = end(w, b);
    assert_int_equal(json_array_size(json_object_get(a.json, "events")), 1);
    assert_int_equal(json_integer_value(json_object_get(a.json, "next")), 3);
    answer_fini(&a);
}

static void a_long_poll_ends_empty_at_its_time(void **state)
{
    struct world *w = *state;
    mu_time began = mu_clock_now();

    publish(w, 2, false);
    expect_events(w, "/v1/events?since=2&wait=120ms", 1, 0, 2);
    assert_true(mu_clock_now() - began >= 120 * MU_MS);
}

static void a_poller_who_leaves_is_noticed(void **state)
{
    struct world *w = *state;
    int fd = begin(w, "/v1/events?since=0&wait=60s", "");
    mu_time until = mu_clock_now() + PATIENCE;
    struct answer a;
    bool gone = false;

    close(fd);
    while (!gone && mu_clock_now() < until) {
        a = get(w, "/metrics");
        gone = strstr(a.body, "\nmuster_http_watchers 0\n") != NULL;
        answer_fini(&a);
    }
    assert_true(gone);
}

static void watchers_are_bounded(void **state)
{
    struct world *w = *state;
    int fd[2];

    close_http(w);
    w->config.max_watchers = 2;
    assert_int_equal(mu_http_new(&w->http, &w->config, NULL), 0);
    listen_on(w, "127.0.0.1:0");
    w->port = mu_http_port(w->http);
    fd[0] = begin(w, "/v1/events?since=0&wait=60s", "");
    fd[1] = begin(w, "/v1/events", "Accept: text/event-stream");
    expect_problem(get(w, "/v1/events?since=0&wait=1s"), 503, "too-many-watchers");
    expect_problem(ask(w, "GET", "/v1/events", "Accept: text/event-stream", ""), 503,
                   "too-many-watchers");
    expect_events(w, "/v1/events?since=0", 1, 0, 0); /* who does not wait is no watcher */
    close(fd[0]);
    close(fd[1]);
}

/* ---- streams ---- */

static void a_stream_tells_what_happens(void **state)
{
    struct world *w = *state;
    int fd;
    char *text;

    publish(w, 3, true);
    fd = begin(w, "/v1/events", "Accept: text/event-stream");
    publish(w, 1, false);
    text = hear(w, fd, "\"seq\":4,", false);
    assert_non_null(strstr(text, "Content-Type: text/event-stream"));
    assert_non_null(strstr(text, "retry: 1000\n"));
    assert_non_null(strstr(text, "id: 4\nevent: state\ndata: {\"seq\":4,"));
    assert_null(strstr(text, "\"seq\":3,"));
    free(text);
    close(fd);
}

static void a_stream_replays_from_the_last_id(void **state)
{
    struct world *w = *state;
    char *text, *at;
    int fd;

    publish(w, 600, true); /* more than is fetched at once */
    fd = begin(w, "/v1/events?since=599", "Accept: text/event-stream\r\nLast-Event-ID: 2");
    text = hear(w, fd, "\"seq\":600,", false);
    at = text;
    for (unsigned i = 3; i <= 600; i++) {
        char id[32];

        snprintf(id, sizeof(id), "\nid: %u\n", i);
        at = strstr(at, id);
        if (!at) {
            fail_msg("number %u is not there, or not in order", i);
            return;
        }
    }
    assert_null(strstr(text, "id: 2\n"));
    free(text);
    publish(w, 1, false);
    text = hear(w, fd, "id: 601\n", false);
    free(text);
    close(fd);
}

static void a_stream_whose_events_are_trimmed_meanwhile_is_told(void **state)
{
    struct world *w = *state;
    bool done = false;
    uint64_t before;
    char *text;
    int fd;

    publish(w, 500, true);
    before = mu_stat_count(MU_STAT_HTTP_REQUESTS);
    fd = dial(w);
    say(fd, "GET /v1/events?since=0 HTTP/1.1\r\nHost: localhost\r\n" STREAM "\r\n\r\n");
    while (mu_stat_count(MU_STAT_HTTP_REQUESTS) == before)
        turn(w);
    /* Its first read of the store stands in line; the trim does before the second one can. */
    assert_int_equal(mu_store_trim(w->store, 0, 10, stored, &done), 0);
    text = hear(w, fd, "event: dropped", false);
    assert_non_null(strstr(text, "id: 1\n"));
    assert_non_null(strstr(text, "event: dropped\ndata: {\"next\":200}\n\n"));
    assert_true(done);
    free(text);
    close(fd);
    expect_trimmed(w, 200, 491);
}

static void a_slow_reader_is_told_and_dropped(void **state)
{
    struct world *w = *state;
    int fd = begin(w, "/v1/events", "Accept: text/event-stream");
    char *text;

    publish(w, RING * 3, false); /* within one turn of the loop: he cannot have read them */
    text = hear(w, fd, "\r\n0\r\n\r\n", false);
    assert_non_null(strstr(text, "event: dropped\ndata: {\"next\":0}\n\n"));
    free(text);
    close(fd);
}

static void a_stream_ends_with_the_conductor(void **state)
{
    struct world *w = *state;
    int fd;
    char *text;

    publish(w, 2, false);
    fd = begin(w, "/v1/events?since=0", "Accept: text/event-stream");
    text = hear(w, fd, "\"seq\":2,", false);
    free(text);
    close_http(w);
    text = hear(w, fd, "\r\n0\r\n\r\n", false);
    assert_non_null(strstr(text, "event: end\ndata: {\"next\":2}\n\n"));
    free(text);
    close(fd);
}

/* ---- many who wait ---- */

static bool has_answer(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void long_polls_are_answered_over_several_turns(void **state)
{
    struct world *w = *state;
    int fd[100];
    unsigned answered = 0;

    world_end(w);
    memset(w, 0, sizeof(*w));
    world_new_with(w, 1024, 1);
    add_agent(&w->conductor, "a", "h1", "", "{}");
    add_agent(&w->conductor, "b", "h2", "", "{}");
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++)
        fd[i] = begin(w, "/v1/events?since=0&limit=1000&wait=60s", "");
    publish(w, 1000, false);
    while (!has_answer(fd[0]))
        turn(w);
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++)
        answered += has_answer(fd[i]);
    assert_true(answered < MU_ARRAY_LEN(fd));
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++) {
        struct answer a = end(w, fd[i]);

        assert_int_equal(json_array_size(json_object_get(a.json, "events")), 1000);
        answer_fini(&a);
    }
}

/* ---- order ---- */

static void events_wait_for_a_write_with_a_lower_number(void **state)
{
    struct world *w = *state;
    int fd = begin(w, "/v1/events", "Accept: text/event-stream");
    uint64_t seq = mu_bus_reserve(w->conductor.bus);
    struct mu_event write = event_of(w, 0);
    char *text;

    publish(w, 1, false); /* number 2 */
    expect_events(w, "/v1/events?since=0", 1, 0, 0);
    write.seq = seq;
    mu_bus_publish(w->conductor.bus, &write);
    text = hear(w, fd, "\"seq\":2,", false);
    assert_true(strstr(text, "id: 1\n") < strstr(text, "id: 2\n"));
    free(text);
    expect_events(w, "/v1/events?since=0", 1, 2, 2);
    close(fd);
}

static void a_late_write_comes_without_an_id(void **state)
{
    struct world *w = *state;
    int fd = begin(w, "/v1/events", "Accept: text/event-stream"), poll;
    uint64_t seq = mu_bus_reserve(w->conductor.bus);
    struct mu_event write = event_of(w, 0);
    struct answer a;
    char *text;

    publish(w, 1, false);
    text = hear(w, fd, "\"seq\":2,", false); /* after 100 ms, though number 1 has not come */
    assert_null(strstr(text, "id: "));
    free(text);
    poll = begin(w, "/v1/events?since=2&wait=30s", "");
    write.seq = seq;
    mu_bus_publish(w->conductor.bus, &write);
    text = hear(w, fd, "\"seq\":1,", false);
    assert_null(strstr(text, "id: "));
    free(text);
    a = end(w, poll);
    assert_non_null(strstr(a.body, "\"seq\":1,"));
    assert_int_equal(json_integer_value(json_object_get(a.json, "next")), 2);
    answer_fini(&a);
    publish(w, 1, false);
    text = hear(w, fd, "id: 3\n", false);
    free(text);
    expect_events(w, "/v1/events?since=0", 1, 3, 3);
    close(fd);
}

static void after_a_restart_the_store_has_the_past(void **state)
{
    struct world *w = *state;
    struct mu_event old = event_of(w, 0);

    world_end(w);
    memset(w, 0, sizeof(*w));
    world_new_with(w, RING, 1000);
    add_agent(&w->conductor, "a", "h1", "", "{}");
    add_agent(&w->conductor, "b", "h2", "", "{}");
    old.who = mu_roster_ident(w->conductor.roster, 0);
    for (old.seq = 1; old.seq <= 3; old.seq++)
        store_event(w, &old);
    expect_events(w, "/v1/events?since=0", 1, 3, 999);
    expect_events(w, "/v1/events?since=2", 3, 3, 999);
    expect_events(w, "/v1/events", 1, 3, 999);
    publish(w, 1, true);
    expect_events(w, "/v1/events?since=3", 1000, 1000, 1000);
    expect_events(w, "/v1/events?since=999", 1000, 1000, 1000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_event_has_exactly_the_promised_keys),
        CASE(pages_go_through_the_store_into_the_ring),
        CASE(filters_hold_in_store_and_ring),
        CASE(wrong_parameters_get_their_problem),
        CASE(what_is_trimmed_is_gone_whichever_way_one_asks),
        CASE(after_a_restart_with_all_trimmed_the_past_is_gone),
        CASE(a_stream_whose_events_are_trimmed_meanwhile_is_told),
        CASE(a_long_poll_waits_for_what_it_asked),
        CASE(a_long_poll_ends_empty_at_its_time),
        CASE(a_poller_who_leaves_is_noticed),
        CASE(watchers_are_bounded),
        CASE(a_stream_tells_what_happens),
        CASE(a_stream_replays_from_the_last_id),
        CASE(a_slow_reader_is_told_and_dropped),
        CASE(a_stream_ends_with_the_conductor),
        CASE(long_polls_are_answered_over_several_turns),
        CASE(events_wait_for_a_write_with_a_lower_number),
        CASE(a_late_write_comes_without_an_id),
        CASE(after_a_restart_the_store_has_the_past),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
