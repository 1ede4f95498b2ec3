/* The HTTP API from outside, but for events: those are in test_feed.c. */
#include "http/api.h"
#include "http/openapi.h"
#include "lib/api.h"
#include "lib/faults.h"

static struct world world;

static int setup(void **state)
{
    memset(&world, 0, sizeof(world));
    world_new_with(&world, 1024, 1);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    world_end(*state);
    return 0;
}

static const char *text_of(const struct answer *a, const char *key)
{
    return json_string_value(json_object_get(a->json, key));
}

/* ---- an agent ---- */

static void an_agent_has_exactly_the_promised_keys(void **state)
{
    static const char *const keys[] = {"uuid",
                                       "binary",
                                       "host",
                                       "zone",
                                       "labels",
                                       "version",
                                       "status",
                                       "disabled_reason",
                                       "forced_down",
                                       "state",
                                       "state_reason",
                                       "state_since",
                                       "last_seen_at",
                                       "age_s",
                                       "report_count",
                                       "incarnation",
                                       "report_interval_s",
                                       "down_time_s"};
    struct world *w = *state;
    struct answer a;

    add_agent(&w->conductor, "nova-compute", "cmp-1", "az1", "{\"rack\":\"r1\"}");
    a = get(w, "/v1/agents/nova-compute@cmp-1");
    assert_int_equal(a.status, 200);
    assert_int_equal(json_object_size(a.json), MU_ARRAY_LEN(keys));
    for (size_t i = 0; i < MU_ARRAY_LEN(keys); i++)
        assert_non_null(json_object_get(a.json, keys[i]));
    assert_string_equal(text_of(&a, "zone"), "az1");
    assert_string_equal(text_of(&a, "last_seen_at"), "1970-01-01T00:00:02.000Z");
    assert_non_null(strstr(a.body, "\"report_interval_s\":10.000,\"down_time_s\":60.000"));
    assert_non_null(strstr(a.text, "ETag: \"ab000000-0000-4000-8000-000000000001-0\""));
    assert_non_null(strstr(a.text, "Cache-Control: no-store"));
    answer_fini(&a);
}

static void an_agent_is_found_by_uuid_and_by_an_escaped_name(void **state)
{
    struct world *w = *state;

    add_agent(&w->conductor, "Open vSwitch agent", "h\xc3\xa9", "", "{}");
    assert_int_equal(status_of(w, "/v1/agents/Open%20vSwitch%20agent@h%C3%A9"), 200);
    assert_int_equal(status_of(w, "/v1/agents/Open%20vSwitch%20agent%40h%c3%a9"), 200);
    assert_int_equal(status_of(w, "/v1/agents/ab000000-0000-4000-8000-000000000001"), 200);
    expect_problem(get(w, "/v1/agents/ab000000-0000-4000-8000-000000000002"), 404, "no-such-agent");
    expect_problem(get(w, "/v1/agents/other@host"), 404, "no-such-agent");
}

static void an_explanation_has_the_promised_keys(void **state)
{
    struct world *w = *state;
    struct answer a;

    add_agent(&w->conductor, "a", "b", "", "{}");
    a = get(w, "/v1/agents/a@b/explain");
    assert_int_equal(a.status, 200);
    assert_string_equal(text_of(&a, "verdict"), "up: \"heard\" just now");
    assert_string_equal(text_of(&a, "session"), "0000000000001a2b");
    assert_string_equal(text_of(&a, "policy"), "DEFAULT");
    assert_non_null(strstr(a.body,
                           "\"beats\":[{\"at\":\"1970-01-01T00:00:05.000Z\",\"gap_s\":1.234},"
                           "{\"at\":\"1970-01-01T00:00:03.766Z\",\"gap_s\":null}]"));
    assert_non_null(strstr(a.body,
                           "\"suspect_after_s\":1.500,\"down_after_s\":0.000,\"level\":0.250,"
                           "\"numbers\":[{\"name\":\"learned from\",\"value\":20.000,"
                           "\"unit\":\"beats\"},{\"name\":\"phi\",\"value\":0.434,"
                           "\"unit\":null}]"));
    assert_true(json_is_null(json_object_get(a.json, "down_in_s")));
    assert_non_null(json_object_get(json_object_get(a.json, "hearing"), "deaf"));
    answer_fini(&a);
}

static void forced_down_shows_what_the_operator_said(void **state)
{
    struct world *w = *state;
    struct answer a;

    add_agent(&w->conductor, "a", "b", "", "{}");
    a = put(w, "/v1/agents/a@b/forced-down", "{\"forced_down\":true,\"reason\":\"burnt\"}");
    assert_int_equal(a.status, 200);
    assert_string_equal(text_of(&a, "state"), "down");
    assert_string_equal(text_of(&a, "state_reason"), "burnt");
    answer_fini(&a);
    a = put(w, "/v1/agents/a@b/forced-down", "{\"forced_down\":false}");
    assert_false(json_is_true(json_object_get(a.json, "forced_down")));
    answer_fini(&a);
    a = put(w, "/v1/agents/a@b/status", "{\"status\":\"disabled\",\"reason\":\"disk\"}");
    assert_string_equal(text_of(&a, "status"), "disabled");
    assert_string_equal(text_of(&a, "disabled_reason"), "disk");
    answer_fini(&a);
}

/* ---- writes ---- */

static void a_write_is_answered_after_its_commit(void **state)
{
    struct world *w = *state;
    struct answer a;
    char buf[256];
    int fd;

    add_agent(&w->conductor, "a", "b", "", "{}");
    w->conductor.hold = true;
    fd = dial(w);
    say(fd, "DELETE /v1/agents/a@b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (!w->conductor.writes)
        turn(w);
    for (int i = 0; i < 5; i++)
        turn(w);
    assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
    settle(&w->conductor, 0);
    take_apart(&a, hear(w, fd, NULL, false));
    assert_int_equal(a.status, 204);
    close(fd);
    answer_fini(&a);
    expect_problem(get(w, "/v1/agents/a@b"), 404, "no-such-agent");
}

static void each_way_a_write_fails_has_its_problem(void **state)
{
    static const struct {
        int rv, status;
        const char *name;
    } ways[] = {
        {MU_ENOENT, 404, "no-such-agent"},
        {MU_EBUSY, 409, "write-pending"},
        {MU_ECONFLICT, 412, "changed-meanwhile"},
        {MU_EAGAIN, 503, "store-away"},
        {MU_EFULL, 503, "full"},
        {MU_ENOMEM, 500, "out-of-memory"},
        {MU_EIO, 500, "internal"},
    };
    struct world *w = *state;
    struct answer a;
    int fd;

    add_agent(&w->conductor, "a", "b", "", "{}");
    for (size_t i = 0; i < MU_ARRAY_LEN(ways); i++) {
        w->conductor.refuse = ways[i].rv;
        expect_problem(put(w, "/v1/agents/a@b/status", "{\"status\":\"enabled\"}"), ways[i].status,
                       ways[i].name);
    }
    w->conductor.refuse = 0;
    w->conductor.hold = true;
    fd = dial(w);
    say(fd, "PUT /v1/agents/a@b/beat HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (!w->conductor.writes)
        turn(w);
    settle(&w->conductor, MU_ETIMEDOUT);
    take_apart(&a, hear(w, fd, NULL, false));
    assert_non_null(strstr(a.text, "Retry-After: 1"));
    expect_problem(a, 503, "outcome-unknown");
    close(fd);
}

static void a_client_that_left_is_forgotten(void **state)
{
    struct world *w = *state;

    add_agent(&w->conductor, "a", "b", "", "{}");
    w->conductor.hold = true;
    for (int i = 0; i < 2; i++) { /* the first is noticed at its answer, the other at the close */
        int fd = dial(w);

        say(fd, "DELETE /v1/agents/a@b HTTP/1.1\r\nHost: localhost\r\n\r\n");
        while (w->conductor.writes != (unsigned)i + 1)
            turn(w);
        close(fd);
        if (i == 0)
            settle(&w->conductor, MU_EIO);
    }
    close_http(w);
    assert_int_equal(w->conductor.forgotten, 1);
}

static void if_match_guards_a_write(void **state)
{
    struct world *w = *state;
    const char *path = "/v1/agents/a@b/status", *body = "{\"status\":\"disabled\"}";
    struct answer a;

    add_agent(&w->conductor, "a", "b", "", "{}");
    a = ask(w, "PUT", path,
            JSON_TYPE "\r\nIf-Match: \"x\", \"ab000000-0000-4000-8000-000000000001-0\"", body);
    assert_int_equal(a.status, 200);
    assert_int_equal(w->conductor.revision, 0);
    assert_non_null(strstr(a.text, "ETag: \"ab000000-0000-4000-8000-000000000001-1\""));
    answer_fini(&a);
    a = ask(w, "PUT", path, JSON_TYPE "\r\nIf-Match: \"ab000000-0000-4000-8000-000000000001-0\"",
            body);
    assert_string_equal(text_of(&a, "etag"), "\"ab000000-0000-4000-8000-000000000001-1\"");
    expect_problem(a, 412, "changed-meanwhile");
    expect_problem(ask(w, "DELETE", "/v1/agents/a@b",
                       "If-Match: W/\"ab000000-0000-4000-8000-000000000001-1\"", ""),
                   412, "changed-meanwhile");
    expect_problem(ask(w, "PUT", path, JSON_TYPE "\r\nIf-Match: nonsense", body), 400,
                   "bad-header");
    a = ask(w, "PUT", path, JSON_TYPE "\r\nIf-Match: *", body);
    assert_int_equal(a.status, 200);
    assert_int_equal(w->conductor.revision, MU_ANY_REVISION);
    answer_fini(&a);
}

static void a_beat_makes_an_agent_once(void **state)
{
    struct world *w = *state;
    struct answer a = put(w, "/v1/agents/cron@db-1/beat?interval=90s", "");

    assert_int_equal(a.status, 201);
    assert_int_equal(w->conductor.interval, 90 * MU_SEC);
    answer_fini(&a);
    a = put(w, "/v1/agents/cron@db-1/beat", "{}");
    assert_int_equal(a.status, 200);
    assert_int_equal(w->conductor.interval, 0);
    answer_fini(&a);
}

/* Makes the agent a@b, stores @json as its report without a look at it, and asks for it. */
static struct answer stored_payload(struct world *w, const char *json)
{
    struct mu_payload payload = {.row = 1, .len = (uint32_t)strlen(json), .json = json};
    struct mu_batch batch = {.payloads = &payload, .npayloads = 1};
    uint32_t slot = add_agent(&w->conductor, "a", "b", "", "{}");
    struct mu_row row;

    expect_problem(get(w, "/v1/agents/a@b/payload"), 404, "no-payload");
    mu_roster_row(w->conductor.roster, slot, &row);
    batch.rows = &row;
    batch.nrows = 1;
    assert_int_equal(mu_store_commit(w->store, &batch, NULL, NULL), 0);
    mu_roster_payload(w->conductor.roster, slot, 1, payload.len, mu_clock_now());
    return get(w, "/v1/agents/a@b/payload");
}

static void a_payload_comes_from_the_store(void **state)
{
    struct answer a = stored_payload(*state, "{\"a\":1}");

    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "{\"a\":1}");
    answer_fini(&a);
}

static void a_payload_that_is_damaged_is_a_problem(void **state)
{
    expect_problem(stored_payload(*state, "{\"a\":"), 500, "internal");
}

/* ---- lists ---- */

static size_t count_list(struct world *w, const char *query)
{
    char path[512];
    struct answer a;
    size_t n;

    snprintf(path, sizeof(path), "/v1/agents?%s", query);
    a = get(w, path);
    if (a.status != 200)
        fail_msg("%s: %s", path, a.text);
    n = json_array_size(json_object_get(a.json, "agents"));
    answer_fini(&a);
    return n;
}

static void filters_pick(void **state)
{
    struct world *w = *state;
    struct mu_conductor *c = &w->conductor;
    uint32_t down;

    add_agent(c, "nova-compute", "cmp-1", "az1", "{\"rack\":\"r1\",\"x\":\"a\\\"b\"}");
    add_agent(c, "nova-compute", "cmp-2", "az2", "{\"rack\":\"r12\"}");
    down = add_agent(c, "l3", "net-1", "",
                     "{\"a,\":\":\",\",z\":\"c\",\"note\":\"rack\",\"rack\":\"r2\"}");
    mu_roster_move(c->roster, down, MU_DOWN, MU_WHY_SILENCE, 5000);
    assert_int_equal(count_list(w, ""), 3);
    assert_int_equal(count_list(w, "binary=nova-compute"), 2);
    assert_int_equal(count_list(w, "binary=nova"), 0);
    assert_int_equal(count_list(w, "host=cmp-2&binary=nova-compute"), 1);
    assert_int_equal(count_list(w, "zone=az1"), 1);
    assert_int_equal(count_list(w, "zone="), 1);
    assert_int_equal(count_list(w, "state=down"), 1);
    assert_int_equal(count_list(w, "state=down,up"), 3);
    assert_int_equal(count_list(w, "status=enabled"), 3);
    assert_int_equal(count_list(w, "status=disabled"), 0);
    assert_int_equal(count_list(w, "forced_down=true"), 0);
    assert_int_equal(count_list(w, "label.rack=r1"), 1);
    assert_int_equal(count_list(w, "label.rack=r12"), 1);
    assert_int_equal(count_list(w, "label.rack=r"), 0);
    assert_int_equal(count_list(w, "label.x=a%22b&label.rack=r1"), 1);
    assert_int_equal(count_list(w, "label.note=rack&label.rack=r2&label.%2cz=c"), 1);
    assert_int_equal(count_list(w, "label.:=,"), 0); /* looks like a pair between two */
    assert_int_equal(count_list(w, "name_prefix=nova-compute%40cmp-"), 2);
    assert_int_equal(count_list(w, "name_prefix=nova-compute@cmp-2"), 1);
    assert_int_equal(count_list(w, "name_prefix=l"), 1);
}

/* Walks all pages by the Link header; @seen counts, and names must ascend by host, then binary. */
static size_t walk_pages(struct world *w, const char *query, size_t *pages)
{
    char path[1024], last[600] = "";
    size_t seen = 0;

    snprintf(path, sizeof(path), "/v1/agents?%s", query);
    for (*pages = 1;; ++*pages) {
        struct answer a = get(w, path);
        const char *link = strstr(a.text, "Link: <"), *token = text_of(&a, "next_page_token");
        size_t i;
        json_t *agent;

        assert_int_equal(a.status, 200);
        json_array_foreach(json_object_get(a.json, "agents"), i, agent)
        {
            char name[600];

            snprintf(name, sizeof(name), "%s %s", json_string_value(json_object_get(agent, "host")),
                     json_string_value(json_object_get(agent, "binary")));
            assert_true(strcmp(last, name) < 0);
            strcpy(last, name);
            seen++;
        }
        assert_int_equal(link != NULL, token != NULL);
        if (link)
            snprintf(path, sizeof(path), "%.*s", (int)strcspn(link + 7, ">"), link + 7);
        answer_fini(&a);
        if (!link)
            return seen;
    }
}

static void pages_show_everybody_once_in_order_of_name(void **state)
{
    struct world *w = *state;
    size_t pages;

    for (unsigned i = 0; i < 10; i++) {
        char host[32];

        snprintf(host, sizeof(host), "h%u", i * 7 % 10);
        add_agent(&w->conductor, "a", host, "", "{}");
    }
    assert_int_equal(walk_pages(w, "limit=3", &pages), 10);
    assert_int_equal(pages, 4);
    assert_int_equal(walk_pages(w, "limit=5&state=up", &pages), 10);
    assert_int_equal(pages, 2); /* no empty page at the end */
}

static void a_large_fleet_is_walked_in_slices(void **state)
{
    struct world *w = *state;
    size_t pages;

    for (unsigned i = 0; i < 20000; i++) {
        char host[32];

        snprintf(host, sizeof(host), "h%05u", i);
        add_agent(&w->conductor, i % 5000 ? "a" : "b", host, i % 2 ? "z1" : "z2", "{}");
    }
    assert_int_equal(walk_pages(w, "binary=b&limit=2", &pages), 4);
    assert_int_equal(pages, 2);
    assert_int_equal(walk_pages(w, "", &pages), 20000);
    assert_int_equal(pages, 20);
    assert_int_equal(count_list(w, "sort=-report_count&limit=7"), 7);
    assert_int_equal(status_of(w, "/metrics"), 200);
}

static void a_sorted_list_is_the_top_of_it(void **state)
{
    struct world *w = *state;
    struct answer a;

    for (unsigned i = 0; i < 50; i++) {
        char host[32];

        snprintf(host, sizeof(host), "h%u", i * 7 % 50);
        add_agent(&w->conductor, "a", host, "", "{}"); /* report_count 1, 2, ... */
    }
    a = get(w, "/v1/agents?sort=-report_count&limit=3");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(json_integer_value(json_object_get(
                             json_array_get(json_object_get(a.json, "agents"), i), "report_count")),
                         50 - i);
    assert_true(json_is_null(json_object_get(a.json, "next_page_token")));
    answer_fini(&a);
    a = get(w, "/v1/agents?sort=report_count&limit=1");
    assert_non_null(strstr(a.body, "\"report_count\":1,"));
    answer_fini(&a);
}

static void a_client_that_leaves_a_long_walk_harms_nobody(void **state)
{
    struct world *w = *state;

    for (unsigned i = 0; i < 20000; i++) {
        char host[32];

        snprintf(host, sizeof(host), "h%05u", i);
        add_agent(&w->conductor, "a", host, "", "{}");
    }
    for (int i = 0; i < 3; i++) {
        int fd = dial(w);

        say(fd, "GET /v1/agents?host=nobody HTTP/1.1\r\nHost: localhost\r\n\r\n");
        turn(w);
        close(fd);
    }
    assert_int_equal(status_of(w, "/livez"), 200);
}

/* ---- the service itself ---- */

static void the_summary_counts(void **state)
{
    struct world *w = *state;
    struct answer a;
    json_t *zone;

    add_agent(&w->conductor, "a", "h1", "az1", "{}");
    add_agent(&w->conductor, "a", "h2", "", "{}");
    mu_roster_move(w->conductor.roster, add_agent(&w->conductor, "b", "h3", "az1", "{}"), MU_DOWN,
                   MU_WHY_SILENCE, 1);
    a = get(w, "/v1/summary");
    assert_int_equal(json_integer_value(json_object_get(a.json, "agents")), 3);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(a.json, "states"), "down")),
                     1);
    zone = json_object_get(json_object_get(a.json, "zones"), "az1");
    assert_int_equal(json_integer_value(json_object_get(zone, "up")), 1);
    assert_int_equal(json_integer_value(json_object_get(zone, "down")), 1);
    assert_int_equal(json_object_size(json_object_get(a.json, "zones")), 2);
    assert_int_equal(json_object_size(json_object_get(a.json, "binaries")), 2);
    answer_fini(&a);
}

static void the_summary_counts_those_who_are_picked(void **state)
{
    struct world *w = *state;
    struct answer a;

    add_agent(&w->conductor, "a", "h1", "z1", "{\"rack\":\"r1\"}");
    add_agent(&w->conductor, "a", "h2", "z2", "{\"rack\":\"r1\"}");
    add_agent(&w->conductor, "b", "h2", "z2", "{\"rack\":\"r2\"}");
    a = get(w, "/v1/summary?label.rack=r1&state=up,down");
    assert_non_null(strstr(a.body, "\"agents\":2,"));
    assert_non_null(strstr(a.body, "\"binaries\":{\"a\":{\"up\":2,"));
    assert_non_null(strstr(a.body, "\"zones\":{\"z1\":{\"up\":1,"));
    answer_fini(&a);
    a = get(w, "/v1/summary?zone=nowhere");
    assert_non_null(strstr(a.body, "\"agents\":0,"));
    assert_non_null(strstr(a.body, "\"zones\":{},"));
    answer_fini(&a);
    expect_problem(get(w, "/v1/summary?limit=1"), 400, "bad-parameter");
    expect_problem(get(w, "/v1/summary?state=dead"), 400, "bad-parameter");
}

/* ---- many agents, many clients: in turns of the loop ---- */

#define MANY 100000 /* more than one turn takes, whoever walks */

static void add_many(struct world *w)
{
    for (unsigned i = 0; i < MANY; i++) {
        char host[32];

        snprintf(host, sizeof(host), "h%06u", i);
        add_agent(&w->conductor, i % 2 ? "a" : "b", host, "z", "{}");
    }
}

static int start_get(struct world *w, const char *path)
{
    char request[256];
    int fd = dial(w);

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    say(fd, request);
    return fd;
}

static bool has_answer(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void a_short_list_does_not_wait_for_long_ones(void **state)
{
    struct world *w = *state;
    uint64_t before = mu_stat_count(MU_STAT_HTTP_REQUESTS);
    struct answer a;
    int fd[10];

    add_many(w);
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++)
        fd[i] = start_get(w, "/v1/agents?sort=age_s");
    while (mu_stat_count(MU_STAT_HTTP_REQUESTS) < before + MU_ARRAY_LEN(fd))
        turn(w);
    a = get(w, "/v1/agents?limit=1");
    assert_int_equal(a.status, 200);
    answer_fini(&a);
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++) {
        assert_false(has_answer(fd[i]));
        close(fd[i]);
    }
}

static void more_clients_than_take_turns_are_all_answered(void **state)
{
    struct world *w = *state;
    uint64_t before = mu_stat_count(MU_STAT_HTTP_REQUESTS);
    int fd[40];

    add_many(w);
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++)
        fd[i] = start_get(w, i % 2 ? "/v1/agents?sort=age_s&limit=1" : "/v1/summary?zone=z");
    while (mu_stat_count(MU_STAT_HTTP_REQUESTS) < before + MU_ARRAY_LEN(fd))
        turn(w);
    /* Some lose patience: such as were at work, and such as waited. */
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i += 3)
        close(fd[i]);
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++) {
        struct answer a;

        if (i % 3 == 0)
            continue;
        take_apart(&a, hear(w, fd[i], NULL, false));
        assert_int_equal(a.status, 200);
        if (i % 2 == 0)
            assert_int_equal(json_integer_value(json_object_get(a.json, "agents")), MANY);
        answer_fini(&a);
        close(fd[i]);
    }
}

static void a_count_of_all_is_of_now(void **state)
{
    struct world *w = *state;
    struct answer a;

    add_many(w);
    for (int more = 0; more < 3; more++) {
        char host[16];

        a = get(w, "/v1/summary");
        assert_int_equal(json_integer_value(json_object_get(a.json, "agents")), MANY + more);
        answer_fini(&a);
        snprintf(host, sizeof(host), "new-%d", more);
        add_agent(&w->conductor, "a", host, "z", "{}");
    }
}

static void a_count_whose_askers_left_ends(void **state)
{
    struct world *w = *state;
    uint64_t before = mu_stat_count(MU_STAT_HTTP_REQUESTS);
    int fd[3];

    add_many(w);
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++)
        fd[i] = start_get(w, "/v1/summary?zone=z");
    while (mu_stat_count(MU_STAT_HTTP_REQUESTS) == before)
        turn(w);
    close_http(w); /* takes what waits with it; a sanitizer sees what would be left */
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++)
        close(fd[i]);
}

static void health_tells_what_is_wrong(void **state)
{
    struct world *w = *state;
    struct answer a;

    assert_int_equal(status_of(w, "/livez"), 200);
    assert_int_equal(status_of(w, "/healthz"), 200);
    a = get(w, "/readyz");
    assert_string_equal(a.body, "ok\n");
    answer_fini(&a);
    w->not_ready = true;
    a = get(w, "/readyz?verbose");
    assert_int_equal(a.status, 503);
    assert_string_equal(a.body, "[+]loop ok\n[-]store the disk is full\nnot ready: store\n");
    answer_fini(&a);
    a = get(w, "/version");
    assert_string_equal(a.body, "{\"version\":\"1.2.3\",\"api\":\"v1\",\"epoch\":7,"
                                "\"started_at\":\"1970-01-01T00:00:01.000Z\"}");
    answer_fini(&a);
}

static void metrics_have_labels_but_no_host(void **state)
{
    struct world *w = *state;
    struct mu_event event = {
        .kind = MU_KIND_STATE, .to = MU_DOWN, .reason = MU_WHY_SILENCE, .evidence = mu_no_evidence};
    struct answer a;

    add_agent(&w->conductor, "a\"b", "host-7", "az1", "{}");
    event.who = mu_roster_ident(w->conductor.roster, 0);
    mu_bus_publish(w->conductor.bus, &event);
    a = get(w, "/metrics");
    assert_non_null(strstr(a.text, "Content-Type: text/plain; version=0.0.4"));
    assert_non_null(
        strstr(a.body, "\nmuster_agents{zone=\"az1\",binary=\"a\\\"b\",state=\"up\"} 1\n"));
    assert_non_null(
        strstr(a.body, "\nmuster_transitions_total{to=\"down\",reason=\"silence\"} 1\n"));
    assert_non_null(strstr(a.body, "\nmuster_store_up 1\n"));
    assert_non_null(strstr(a.body, "muster_build_info{version=\"1.2.3\"} 1\n"));
    assert_null(strstr(a.body, "host-7"));
    answer_fini(&a);
}

/* ---- what is refused ---- */

static void bad_requests_get_their_problem(void **state)
{
    static const struct {
        const char *method, *path, *headers, *body;
        int status;
        const char *name;
    } bad[] = {
        {"GET", "/v1/agents/a%2Fb@h", "", "", 400, "bad-path"},
        {"GET", "/v1/agents/a%00@h", "", "", 400, "bad-path"},
        {"GET", "/v1/agents/a%zz@h", "", "", 400, "bad-path"},
        {"GET", "/v1/agents/a@h%4", "", "", 400, "bad-path"},
        {"GET", "/v1/agents/a@%ff", "", "", 400, "bad-path"},
        {"GET", "/v1/agents/a@\xff", "", "", 400, "bad-path"},
        {"GET", "/v1/agents/a%0a@h", "", "", 400, "bad-path"},
        {"GET", "/v1/agents/a%E2%80%8B@h", "", "", 400, "bad-path"},
        {"GET", "/v1/agents/noname", "", "", 400, "bad-path"},
        {"GET", "/v1/agents/@h", "", "", 400, "bad-path"},
        {"GET", "http://localhost/livez", "", "", 400, "bad-path"},
        {"GET", "/v1/nothing", "", "", 404, "no-such-path"},
        {"GET", "/v1/agents/", "", "", 400, "bad-path"},
        {"GET", "//livez", "", "", 404, "no-such-path"},
        {"GET", "/", "", "", 404, "no-such-path"},
        {"GET", "/v1/agents?limit=0", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?limit=1001", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?limit=-1", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?limit=", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?limit=99999999999999999999", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?limit=1&limit=2", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?nonsense=1", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?label.=1", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?state=dead", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?state=", "", "", 400, "bad-parameter"},
        {"GET", "/v1/events?agent=", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?state=up,", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?status=yes", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?sort=colour", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?page_token=!!", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?page_token=AAAA", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?sort=age_s&page_token=YUBi", "", "", 400, "bad-parameter"},
        {"GET", "/v1/agents?host=%00", "", "", 400, "bad-parameter"},
        {"PUT", "/v1/agents/x@y/beat?interval=-1s", "", "", 400, "bad-parameter"},
        {"PUT", "/v1/agents/x@y/beat?interval=1ms", "", "", 400, "bad-parameter"},
        {"PUT", "/v1/agents/x@y/beat?interval=99999999999999h", "", "", 400, "bad-parameter"},
        {"POST", "/v1/agents", "", "", 405, "method-not-allowed"},
        {"BREW", "/v1/agents", "", "", 405, "method-not-allowed"},
        {"GET", "/v1/agents/a@b/beat", "", "", 405, "method-not-allowed"},
        {"GET", "/v1/summary", "Accept: text/html", "", 406, "not-acceptable"},
        {"GET", "/v1/summary", "Accept: application/json;q=0", "", 406, "not-acceptable"},
        {"PUT", "/v1/agents/a@b/status", "", "{\"status\":\"enabled\"}", 415,
         "unsupported-media-type"},
        {"PUT", "/v1/agents/a@b/status", "Content-Type: text/plain", "{}", 415,
         "unsupported-media-type"},
        {"PUT", "/v1/agents/a@b/beat", "Content-Type: text/plain", "{}", 415,
         "unsupported-media-type"},
        {"GET", "/v1/agents", JSON_TYPE, "{}", 400, "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "nonsense", 400, "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "[]", 400, "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "{}", 400, "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "{\"status\":true}", 400, "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "{\"status\":\"on\"}", 400, "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE,
         "{\"status\":\"enabled\",\"status\":\"disabled\"}", 400, "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "{\"status\":\"enabled\",\"x\":1}", 400,
         "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "{\"status\":\"enabled\",\"reason\":\"x\"}",
         400, "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE,
         "{\"status\":\"disabled\",\"reason\":\"\\u202e\"}", 400, "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "{\"status\":\"disabled\",\"reason\":[1]}", 400,
         "bad-body"},
        {"PUT", "/v1/agents/a@b/forced-down", JSON_TYPE, "{\"forced_down\":\"true\"}", 400,
         "bad-body"},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]", 400,
         "bad-body"},
    };
    struct world *w = *state;

    add_agent(&w->conductor, "a", "b", "", "{}");
    for (size_t i = 0; i < MU_ARRAY_LEN(bad); i++) {
        struct answer a = ask(w, bad[i].method, bad[i].path, bad[i].headers, bad[i].body);

        if (a.status != bad[i].status)
            fail_msg("%s %s %s: %s", bad[i].method, bad[i].path, bad[i].body, a.text);
        if (a.status == 405)
            assert_non_null(strstr(a.text, "\r\nAllow: "));
        expect_problem(a, bad[i].status, bad[i].name);
    }
    assert_int_equal(w->conductor.writes, 0);
}

static void other_sites_are_refused(void **state)
{
    static const struct {
        const char *headers;
        int status;
        const char *name;
    } cases[] = {
        {"Host: evil.example", 403, "foreign-host"},
        {"Host: evil.example:4681", 403, "foreign-host"},
        {"Host: 10.1.2.3", 403, "foreign-host"},
        {"Host: localhost.evil.example", 403, "foreign-host"},
        {"Host: localhost\r\nHost: localhost", 400, "bad-header"},
        {"Accept: */*", 400, "bad-header"},
        {"Host: localhost\r\nOrigin: http://evil.example", 403, "foreign-origin"},
        {"Host: localhost:4681\r\nOrigin: http://localhost:3000", 403, "foreign-origin"},
        {"Host: localhost\r\nOrigin: null", 403, "foreign-origin"},
        {"Host: localhost:4681\r\nOrigin: http://localhost:4681", 200, NULL},
        {"Host: [::1]:4681", 200, NULL},
        {"Host: 127.0.0.1", 200, NULL},
        {"Host: LOCALHOST:80", 200, NULL},
    };
    struct world *w = *state;

    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        char request[256];
        struct answer a;

        snprintf(request, sizeof(request), "GET /livez HTTP/1.1\r\n%s", cases[i].headers);
        a = ask_raw(w, request, "");
        if (a.status != cases[i].status)
            fail_msg("%s: %s", cases[i].headers, a.text);
        if (cases[i].name)
            expect_problem(a, cases[i].status, cases[i].name);
        else
            answer_fini(&a);
    }
}

static void a_body_is_bounded(void **state)
{
    struct world *w = *state;
    size_t n = 64 * 1024 + 1;
    char *body = mu_alloc(n + 1), request[200];
    struct answer a;

    memset(body, ' ', n);
    add_agent(&w->conductor, "a", "b", "", "{}");
    expect_problem(ask(w, "PUT", "/v1/agents/a@b/status", JSON_TYPE, body), 413, "body-too-large");
    body[n - 1] = '\0'; /* 64 KiB are read, and are no JSON */
    expect_problem(ask(w, "PUT", "/v1/agents/a@b/status", JSON_TYPE, body), 400, "bad-body");
    mu_free(body);

    body = mu_alloc(2 * n);
    sprintf(body, "%zx\r\n%*s\r\n0\r\n\r\n", n, (int)n, "");
    snprintf(request, sizeof(request),
             "PUT /v1/agents/a@b/status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: "
             "chunked\r\n" JSON_TYPE);
    a = ask_raw(w, request, body);
    expect_problem(a, 413, "body-too-large");
    mu_free(body);
}

/* As `curl -T -` sends one, of which the length is not known before. */
static void a_chunked_body_with_nothing_in_it_is_none(void **state)
{
    static const char beat[] = "PUT /v1/agents/a@b/beat HTTP/1.1\r\nHost: localhost\r\n"
                               "Transfer-Encoding: chunked";
    struct world *w = *state;
    struct answer a;

    add_agent(&w->conductor, "a", "b", "", "{}");
    a = ask_raw(w, beat, "0\r\n\r\n");
    assert_int_equal(a.status, 200);
    answer_fini(&a);
    expect_problem(ask_raw(w, beat, "2\r\n{}\r\n0\r\n\r\n"), 415, "unsupported-media-type");
}

static void a_long_path_is_refused(void **state)
{
    struct world *w = *state;
    char path[6000];

    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    path[0] = '/';
    expect_problem(get(w, path), 414, "uri-too-long");
}

static void head_and_options_are_answered(void **state)
{
    struct world *w = *state;
    struct answer a = ask(w, "HEAD", "/v1/summary", "", "");

    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "");
    assert_non_null(strstr(a.text, "Content-Length: "));
    answer_fini(&a);
    a = ask(w, "OPTIONS", "/v1/agents/a@b", "", "");
    assert_int_equal(a.status, 204);
    assert_non_null(strstr(a.text, "\r\nAllow: GET, HEAD, DELETE, OPTIONS\r\n"));
    assert_null(strstr(a.text, "Access-Control"));
    answer_fini(&a);
    a = ask(w, "OPTIONS", "*", "", "");
    assert_int_equal(a.status, 204);
    answer_fini(&a);
}

/* ---- connections ---- */

static void one_connection_carries_many_requests(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    for (int i = 0; i < 5; i++) {
        char *text;

        say(fd, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
        text = hear(w, fd, NULL, false);
        assert_non_null(strstr(text, "\r\n\r\nok\n"));
        free(text);
    }
    close(fd);
}

static void silent_connections_make_room(void **state)
{
    struct world *w = *state;
    int silent[40];

    close_http(w);
    w->config.max_conns = 8;
    assert_int_equal(mu_http_new(&w->http, &w->config, NULL), 0);
    listen_on(w, "127.0.0.1:0");
    w->port = mu_http_port(w->http);
    for (size_t i = 0; i < MU_ARRAY_LEN(silent); i++) {
        silent[i] = dial(w);
        if (i % 2)
            say(silent[i], "GET /livez HTTP/1.1\r\nHo");
        turn(w);
    }
    assert_int_equal(status_of(w, "/livez"), 200);
    assert_true(mu_stat_count(MU_STAT_HTTP_REFUSED) >= 33);
    for (size_t i = 0; i < MU_ARRAY_LEN(silent); i++)
        close(silent[i]);
}

static void connections_that_wait_keep_their_place(void **state)
{
    struct world *w = *state;
    int waiting[8], fd;
    char *text;

    close_http(w);
    w->config.max_conns = w->config.max_watchers = 8;
    assert_int_equal(mu_http_new(&w->http, &w->config, NULL), 0);
    listen_on(w, "127.0.0.1:0");
    w->port = mu_http_port(w->http);
    for (int i = 0; i < 8; i++) {
        waiting[i] = dial(w);
        say(waiting[i], "GET /v1/events?since=0&wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n");
        turn(w);
    }
    while (mu_stat_count(MU_STAT_HTTP_REQUESTS) < 8)
        turn(w);
    for (int i = 0; i < 5; i++)
        turn(w);
    fd = dial(w);
    text = hear(w, fd, "Retry-After: 1", false);
    assert_non_null(strstr(text, "HTTP/1.1 503"));
    free(text);
    close(fd);
    for (int i = 0; i < 8; i++)
        close(waiting[i]);
}

static void clients_that_do_not_read_are_bounded(void **state)
{
    struct world *w = *state;
    int fd[300], small = 2048;
    mu_time until =
        mu_clock_now() + 2 * PATIENCE; /* 300,000 agents are written, under sanitizers */
    uint64_t before;

    for (unsigned i = 0; i < 1000; i++) {
        char host[32];

        snprintf(host, sizeof(host), "h%05u", i);
        add_agent(&w->conductor, "a", host, "", "{}");
    }
    for (size_t i = 0; i < MU_ARRAY_LEN(fd);
         i++) { /* of some 400 KB each, less what sockets take */
        fd[i] = dial(w);
        setsockopt(fd[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        say(fd[i], "GET /v1/agents HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    before = mu_stat_count(MU_STAT_HTTP_REFUSED);
    while (mu_stat_count(MU_STAT_HTTP_REFUSED) == before && mu_clock_now() < until)
        turn(w);
    assert_true(mu_stat_count(MU_STAT_HTTP_REFUSED) > before);
    assert_int_equal(status_of(w, "/v1/agents"), 200);
    for (size_t i = 0; i < MU_ARRAY_LEN(fd); i++)
        close(fd[i]);
}

static void a_unix_socket_serves_and_is_removed(void **state)
{
    struct world *w = *state;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/muster-http-XXXXXX", *text;
    int fd;

    assert_non_null(mkdtemp(dir));
    snprintf(to.sun_path, sizeof(to.sun_path), "%s/s", dir);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* a stale one */
    assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    close(fd);
    listen_on(w, to.sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    say(fd, "GET /livez HTTP/1.1\r\nHost: whatever\r\n\r\n");
    text = hear(w, fd, NULL, false);
    assert_non_null(strstr(text, "HTTP/1.1 200"));
    free(text);
    close(fd);
    close_http(w);
    assert_int_equal(access(to.sun_path, F_OK), -1);
    rmdir(dir);
}

static void a_close_answers_those_who_wait(void **state)
{
    struct world *w = *state;
    struct answer a;
    int fd = dial(w);

    add_agent(&w->conductor, "a", "b", "", "{}");
    w->conductor.hold = true;
    say(fd, "DELETE /v1/agents/a@b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (!w->conductor.writes)
        turn(w);
    close_http(w);
    take_apart(&a, hear(w, fd, NULL, false));
    expect_problem(a, 503, "outcome-unknown");
    close(fd);
}

/* ---- memory ---- */

static void memory_that_runs_out_costs_one_request(void **state)
{
    static const struct {
        const char *method, *path, *headers, *body;
    } requests[] = {
        {"GET", "/v1/agents?label.rack=r1&limit=1", "", ""},
        {"GET", "/v1/agents?sort=-age_s", "", ""},
        {"GET", "/v1/agents/a@b", "", ""},
        {"GET", "/v1/agents/a@b/explain", "", ""},
        {"GET", "/v1/agents/a@b/payload", "", ""},
        {"GET", "/v1/events?since=0", "", ""},
        {"GET", "/v1/summary", "", ""},
        {"GET", "/metrics", "", ""},
        {"GET", "/readyz?verbose", "", ""},
        {"GET", "/v1/nothing", "", ""},
        {"PUT", "/v1/agents/a@b/status", JSON_TYPE, "{\"status\":\"enabled\"}"},
        {"PUT", "/v1/agents/a@b/beat", "", ""},
    };
    struct world *w = *state;
    uint32_t slot = add_agent(&w->conductor, "a", "b", "", "{\"rack\":\"r1\"}");

    add_agent(&w->conductor, "c", "d", "z", "{\"rack\":\"r1\"}");
    mu_roster_payload(w->conductor.roster, slot, 1, 7, mu_clock_now());
    w->conductor.keep = true;
    for (size_t i = 0; i < MU_ARRAY_LEN(requests); i++) {
        FOR_EACH_FAULT (n) {
            struct answer a =
                ask(w, requests[i].method, requests[i].path, requests[i].headers, requests[i].body);

            if (a.status != 0 && a.status != 500 && a.status != 503 && a.status >= 300 &&
                a.status != 404)
                fail_msg("%s: %s", requests[i].path, a.text);
            if (a.status == 500)
                assert_true(mu_mem_fault_fired());
            answer_fini(&a);
        }
    }
    assert_int_equal(status_of(w, "/livez"), 200);
}

/* ---- the document ---- */

static const char *const method_names[] = {
    [MU_GET] = "get", [MU_PUT] = "put", [MU_DELETE] = "delete"};

/* A parameter, where it is described for all who have it. */
static json_t *resolved(json_t *doc, json_t *param)
{
    const char *ref = json_string_value(json_object_get(param, "$ref"));
    json_t *components = json_object_get(doc, "components");

    if (!ref)
        return param;
    param = json_object_get(json_object_get(components, "parameters"), strrchr(ref, '/') + 1);
    if (!param)
        fail_msg("%s is not there", ref);
    return param;
}

static bool has_param(json_t *doc, json_t *list, const char *name, size_t n)
{
    json_t *param;
    size_t i;

    json_array_foreach(list, i, param)
    {
        const char *known = json_string_value(json_object_get(resolved(doc, param), "name"));
        if (known && strlen(known) == n && strncmp(known, name, n) == 0)
            return true;
    }
    return false;
}

static void the_document_has_each_route_and_no_other(void **state)
{
    json_t *doc = json_loads(mu_openapi, JSON_REJECT_DUPLICATES, NULL), *path, *op;
    size_t described = 0;
    const char *key, *method;

    (void)state;
    assert_non_null(doc);
    for (size_t i = 0; i < mu_nroutes; i++) {
        const struct mu_route *route = &mu_routes[i];
        size_t wanted = 0, n;

        path = json_object_get(json_object_get(doc, "paths"), route->path);
        op = json_object_get(path, method_names[route->method]);
        if (!op)
            fail_msg("%s %s is not described", method_names[route->method], route->path);
        for (const char *p = route->params; *p; p += n + (p[n] == ',')) {
            size_t len;

            n = strcspn(p, ",");
            len = p[n - 1] == '*' ? n - 2 : n; /* label.* is the object `label` */
            if (!has_param(doc, json_object_get(op, "parameters"), p, len))
                fail_msg("%s: parameter %.*s is not described", route->path, (int)n, p);
            wanted++;
        }
        for (size_t k = 0; k < json_array_size(json_object_get(op, "parameters")); k++) {
            json_t *param = resolved(doc, json_array_get(json_object_get(op, "parameters"), k));
            if (strcmp(json_string_value(json_object_get(param, "in")), "query") == 0)
                wanted--;
        }
        assert_int_equal(wanted, 0);
        if (*route->type && !json_object_get(json_object_get(op, "responses"), "406"))
            fail_msg("%s %s: 406 is not described", method_names[route->method], route->path);
        assert_int_equal(json_object_get(op, "requestBody") != NULL, route->takes != MU_BODY_NONE);
    }
    json_object_foreach(json_object_get(doc, "paths"), key, path)
    {
        json_object_foreach(path, method, op)
        {
            described += strcmp(method, "parameters") != 0;
        }
    }
    assert_int_equal(described, mu_nroutes);
    json_decref(doc);
}

/* Each schema that an answer is promised to have, against a real answer: the same keys. */
static void answers_have_the_keys_of_the_document(void **state)
{
    static const struct {
        const char *path, *schema;
    } cases[] = {
        {"/v1/agents", "AgentPage"},
        {"/v1/agents/a@b", "Agent"},
        {"/v1/agents/a@b/explain", "Explanation"},
        {"/v1/summary", "Summary"},
        {"/v1/events", "EventPage"},
        {"/version", "Version"},
    };
    struct world *w = *state;
    json_t *doc = json_loads(mu_openapi, 0, NULL);
    json_t *schemas = json_object_get(json_object_get(doc, "components"), "schemas");

    add_agent(&w->conductor, "a", "b", "", "{}");
    for (size_t i = 0; i < MU_ARRAY_LEN(cases); i++) {
        json_t *props = json_object_get(json_object_get(schemas, cases[i].schema), "properties");
        json_t *value, *member;
        struct answer a = get(w, cases[i].path);
        const char *key;

        assert_int_equal(a.status, 200);
        assert_int_equal(json_object_size(props), json_object_size(a.json));
        json_object_foreach(a.json, key, value)
        {
            json_t *type;

            member = json_object_get(props, key);
            if (!member)
                fail_msg("%s: %s is not described", cases[i].path, key);
            type = json_object_get(member, "type");
            if (json_is_null(value) && json_is_string(type))
                fail_msg("%s: %s may not be null", cases[i].path, key);
        }
        answer_fini(&a);
    }
    json_decref(doc);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_agent_has_exactly_the_promised_keys),
        CASE(an_agent_is_found_by_uuid_and_by_an_escaped_name),
        CASE(an_explanation_has_the_promised_keys),
        CASE(forced_down_shows_what_the_operator_said),
        CASE(a_write_is_answered_after_its_commit),
        CASE(each_way_a_write_fails_has_its_problem),
        CASE(a_client_that_left_is_forgotten),
        CASE(if_match_guards_a_write),
        CASE(a_beat_makes_an_agent_once),
        CASE(a_payload_comes_from_the_store),
        CASE(a_payload_that_is_damaged_is_a_problem),
        CASE(filters_pick),
        CASE(pages_show_everybody_once_in_order_of_name),
        CASE(a_large_fleet_is_walked_in_slices),
        CASE(a_sorted_list_is_the_top_of_it),
        CASE(a_client_that_leaves_a_long_walk_harms_nobody),
        CASE(the_summary_counts),
        CASE(the_summary_counts_those_who_are_picked),
        CASE(a_short_list_does_not_wait_for_long_ones),
        CASE(more_clients_than_take_turns_are_all_answered),
        CASE(a_count_of_all_is_of_now),
        CASE(a_count_whose_askers_left_ends),
        CASE(health_tells_what_is_wrong),
        CASE(metrics_have_labels_but_no_host),
        CASE(bad_requests_get_their_problem),
        CASE(other_sites_are_refused),
        CASE(a_body_is_bounded),
        CASE(a_chunked_body_with_nothing_in_it_is_none),
        CASE(a_long_path_is_refused),
        CASE(head_and_options_are_answered),
        CASE(one_connection_carries_many_requests),
        CASE(silent_connections_make_room),
        CASE(connections_that_wait_keep_their_place),
        CASE(clients_that_do_not_read_are_bounded),
        CASE(a_unix_socket_serves_and_is_removed),
        CASE(a_close_answers_those_who_wait),
        CASE(memory_that_runs_out_costs_one_request),
        CASE(the_document_has_each_route_and_no_other),
        CASE(answers_have_the_keys_of_the_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
