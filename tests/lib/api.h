/* api.h - the HTTP API on a loop, over a real roster, bus, watch and store, and a conductor whose
 * answers the test chooses. The client is a plain socket of the same thread: the loop turns only
 * while an answer is awaited. */
#ifndef TEST_LIB_API_H
#define TEST_LIB_API_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <jansson.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/stat.h"
#include "conductor/explain.h"
#include "http/http.h"
#include "lib/test.h"

#define PATIENCE (30 * MU_SEC)

struct mu_conductor {
    struct mu_roster *roster;
    struct mu_bus *bus;
    struct mu_policies policies;
    uint32_t rows;

    int refuse; /* what a write is answered at once */
    bool hold;  /* it waits for settle() */
    bool keep;  /* answers without doing anything */
    mu_op_fn done;
    void *ctx;
    enum mu_op op;
    bool is_beat;
    char reason[300];
    uint32_t slot, revision;
    mu_dur interval;
    unsigned writes, forgotten;
};

struct world {
    uv_loop_t loop;
    uv_timer_t tick; /* so that a turn of the loop ends while nothing happens */
    struct mu_conductor conductor;
    struct mu_watch *watch;
    struct mu_metrics *metrics;
    struct mu_store *store;
    struct mu_http *http;
    struct mu_http_config config;
    bool not_ready, closed;
    int port;
};

/* An answer, taken apart. */
struct answer {
    int status;
    char *text; /* all of it */
    char *body;
    json_t *json; /* NULL = the body is none */
};

/* ---- the conductor ---- */

static inline struct mu_ident *new_ident(struct mu_conductor *c, const char *binary,
                                         const char *host)
{
    uint8_t uuid[16] = {0xab, 0, 0, 0, 0, 0, 0x40, 0, 0x80};

    mu_put32(uuid + 12, c->rows);
    return mu_ident_new(uuid, binary, host);
}

static inline uint32_t add_agent(struct mu_conductor *c, const char *binary, const char *host,
                                 const char *zone, const char *labels)
{
    struct mu_row row = {.id = ++c->rows,
                         .ident = new_ident(c, binary, host),
                         .zone = zone,
                         .labels = labels,
                         .version = "1.0",
                         .disabled_reason = "",
                         .forced_reason = "",
                         .state = MU_UP,
                         .state_reason = MU_WHY_JOINED,
                         .state_since = 1000,
                         .report_count = c->rows - 1,
                         .incarnation = (1ULL << 32) + 1};
    uint32_t slot;

    assert_int_equal(mu_roster_add(c->roster, &row, false, &slot), 0);
    mu_ident_unref(row.ident);
    mu_roster_clock(c->roster, mu_clock_now(), 2000);
    mu_roster_heard(c->roster, slot, mu_clock_now(), 0); /* else it is unknown */
    return slot;
}

struct mu_roster *mu_conductor_roster(struct mu_conductor *c)
{
    return c->roster;
}

struct mu_bus *mu_conductor_bus(struct mu_conductor *c)
{
    return c->bus;
}

static inline void apply(struct mu_conductor *c)
{
    struct mu_row row;

    if (c->is_beat || c->keep)
        return;
    if (c->op == MU_OP_DELETE) {
        mu_roster_remove(c->roster, c->slot);
        c->slot = MU_NO_SLOT;
        return;
    }
    mu_roster_row(c->roster, c->slot, &row);
    row.revision++;
    if (c->op == MU_OP_ENABLE || c->op == MU_OP_DISABLE) {
        row.disabled = c->op == MU_OP_DISABLE;
        row.disabled_reason = c->reason;
    } else {
        row.forced_down = c->op == MU_OP_FORCE_DOWN;
        row.forced_reason = c->reason;
    }
    assert_int_equal(mu_roster_pend(c->roster, c->slot, &row, false), 0);
    mu_roster_settle(c->roster, c->slot, true);
}

/* The commit, or what became of it. */
static inline void settle(struct mu_conductor *c, int rv)
{
    mu_op_fn done = c->done;

    if (!rv)
        apply(c);
    c->done = NULL;
    if (done)
        done(c->ctx, rv, rv ? MU_NO_SLOT : c->slot);
}

static inline int take_write(struct mu_conductor *c, mu_op_fn done, void *ctx)
{
    c->writes++;
    c->done = done;
    c->ctx = ctx;
    if (!c->hold)
        settle(c, 0);
    return 0;
}

int mu_conductor_write(struct mu_conductor *c, uint32_t slot, enum mu_op op, const char *reason,
                       uint32_t revision, mu_time now, mu_op_fn done, void *ctx)
{
    (void)now;
    if (c->refuse)
        return c->refuse;
    c->slot = slot;
    c->op = op;
    c->is_beat = false;
    c->revision = revision;
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
    return take_write(c, done, ctx);
}

int mu_conductor_http_beat(struct mu_conductor *c, const char *binary, const char *host,
                           mu_dur interval, mu_time now, mu_op_fn done, void *ctx)
{
    (void)now;
    if (c->refuse)
        return c->refuse;
    c->slot = mu_roster_find(c->roster, binary, host);
    c->interval = interval;
    if (c->slot == MU_NO_SLOT)
        c->slot = add_agent(c, binary, host, "", "{}");
    c->is_beat = true;
    return take_write(c, done, ctx);
}

void mu_conductor_forget_op(struct mu_conductor *c, mu_op_fn done, void *ctx)
{
    if (c->done == done && c->ctx == ctx) {
        c->done = NULL;
        c->forgotten++;
    }
}

void mu_explain(struct mu_conductor *c, uint32_t slot, mu_time now, mu_wall wall,
                struct mu_explanation *out)
{
    (void)wall;
    memset(out, 0, sizeof(*out));
    mu_roster_view(c->roster, slot, now, &out->view);
    strcpy(out->verdict, "up: \"heard\" just now");
    out->detector = "two-window";
    out->suspect_after = 1500 * MU_MS;
    out->level = 0.25;
    out->numbers[0] = (struct mu_detect_number){"learned from", "beats", 20};
    out->numbers[1] = (struct mu_detect_number){"phi", "", 0.4343};
    out->nnumbers = 2;
    out->suspect_in = 5 * MU_SEC;
    out->down_in = MU_NEVER;
    out->ngaps = 1;
    out->gaps_ms[0] = 1234;
    out->nbeats = 2;
    out->beats_at[0] = 5000;
    out->beats_at[1] = 3766;
    out->session = 0x1a2b;
    strcpy(out->changes[0], "a beat");
    out->nchanges = 1;
}

/* ---- the world ---- */

static inline void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static inline void turn(struct world *w)
{
    uv_run(&w->loop, UV_RUN_ONCE);
}

static inline void some_checks(void *ctx, mu_check_fn each, void *each_ctx)
{
    struct world *w = ctx;

    each(each_ctx, "loop", true, "ok");
    each(each_ctx, "store", !w->not_ready, "the disk is full");
}

static inline void listen_on(struct world *w, const char *text)
{
    struct mu_addr addr;
    struct mu_err err = {0};

    assert_int_equal(mu_addr_parse(&addr, text, &err), 0);
    assert_int_equal(mu_http_listen(w->http, &addr, &err), 0);
}

/* @watched is how many events the watch keeps. */
static inline void world_new_with(struct world *w, size_t watched, uint64_t first)
{
    struct mu_roster_config roster = {.policies = &w->conductor.policies};
    struct mu_boot boot;
    struct mu_err err = {0};

    mu_stat_reset();
    assert_int_equal(uv_loop_init(&w->loop), 0);
    uv_timer_init(&w->loop, &w->tick);
    uv_timer_start(&w->tick, on_tick, 5, 5);
    mu_policies_init(&w->conductor.policies);
    assert_int_equal(mu_roster_new(&w->conductor.roster, &roster), 0);
    assert_int_equal(mu_bus_new(&w->conductor.bus), 0);
    mu_bus_grant(w->conductor.bus, first, 1000000);
    assert_int_equal(mu_watch_new(&w->watch, w->conductor.bus, first, watched), 0);
    assert_int_equal(mu_metrics_new(&w->metrics, w->conductor.bus, "1.2.3"), 0);
    assert_int_equal(mu_store_open(&w->store, &w->loop, "memory:", true, &boot, &err), 0);
    w->config.loop = &w->loop;
    w->config.conductor = &w->conductor;
    w->config.store = w->store;
    w->config.watch = w->watch;
    w->config.metrics = w->metrics;
    w->config.version = "1.2.3";
    w->config.started = 1000;
    w->config.epoch = 7;
    w->config.checks = some_checks;
    w->config.checks_ctx = w;
    assert_int_equal(mu_http_new(&w->http, &w->config, &err), 0);
    listen_on(w, "127.0.0.1:0");
    w->port = mu_http_port(w->http);
}

static inline void on_closed(void *ctx)
{
    ((struct world *)ctx)->closed = true;
}

static inline void on_store_closed(void *ctx, size_t lost)
{
    (void)lost;
    ((struct world *)ctx)->closed = true;
}

static inline void close_http(struct world *w)
{
    mu_time until = mu_clock_now() + PATIENCE;

    w->closed = false;
    mu_http_close(w->http, on_closed, w);
    while (!w->closed && mu_clock_now() < until)
        turn(w);
    assert_true(w->closed);
    w->http = NULL;
}

static inline void world_end(struct world *w)
{
    if (w->http)
        close_http(w);
    w->closed = false;
    mu_store_close(w->store, PATIENCE, on_store_closed, w);
    while (!w->closed)
        turn(w);
    mu_metrics_free(w->metrics);
    mu_watch_free(w->watch);
    mu_bus_free(w->conductor.bus);
    mu_roster_free(w->conductor.roster);
    uv_close((uv_handle_t *)&w->tick, NULL);
    while (uv_run(&w->loop, UV_RUN_ONCE))
        ;
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

/* ---- the client ---- */

static inline int dial(struct world *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)w->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static inline void say(int fd, const char *text)
{
    size_t n = strlen(text);

    assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

/* Whether all of a response is in @text: so that a connection can be kept. */
static inline bool is_whole(const char *text, bool head)
{
    const char *body = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");

    if (!body)
        return false;
    if (head || strncmp(text + 9, "204", 3) == 0)
        return true;
    return length && length < body && strlen(body + 4) >= strtoul(length + 16, NULL, 10);
}

/* Reads on until @until is in what came, or with NULL until the answer is whole, or the peer has
 * closed. The caller frees it. */
static inline char *hear(struct world *w, int fd, const char *until, bool head)
{
    mu_time patience = mu_clock_now() + PATIENCE;
    size_t len = 0, cap = 1 << 16;
    char *text = calloc(1, cap); /* not ours: faults are for the server */

    for (;;) {
        ssize_t n = recv(fd, text + len, cap - len - 1, MSG_DONTWAIT);

        if (n == 0 || (n < 0 && errno != EAGAIN))
            return text;
        if (n > 0)
            len += (size_t)n;
        text[len] = '\0';
        if (until ? strstr(text, until) != NULL : is_whole(text, head))
            return text;
        if (cap - len < 4096) {
            cap *= 2;
            text = realloc(text, cap);
        }
        if (n < 0)
            turn(w);
        if (mu_clock_now() > patience)
            fail_msg("no answer in time, only: %s", text);
    }
}

static inline void answer_fini(struct answer *a)
{
    json_decref(a->json);
    free(a->text);
}

static inline void take_apart(struct answer *a, char *text)
{
    char *body = strstr(text, "\r\n\r\n");

    a->text = text;
    a->status = strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : 0;
    a->body = body ? body + 4 : text + strlen(text);
    a->json = json_loads(a->body, JSON_REJECT_DUPLICATES, NULL);
}

/* @request is what goes before the empty line, e.g. "GET / HTTP/1.1\r\nHost: localhost". */
static inline struct answer ask_raw(struct world *w, const char *request, const char *body)
{
    struct answer a;
    int fd = dial(w);

    say(fd, request);
    say(fd, "\r\n\r\n");
    if (*body)
        send(fd, body, strlen(body), MSG_NOSIGNAL); /* may be refused half-way */
    take_apart(&a, hear(w, fd, NULL, strncmp(request, "HEAD", 4) == 0));
    close(fd);
    return a;
}

static inline struct answer ask(struct world *w, const char *method, const char *path,
                                const char *headers, const char *body)
{
    static char request[16384];

    snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: localhost%s%s", method, path,
             *headers ? "\r\n" : "", headers);
    if (*body)
        snprintf(request + strlen(request), sizeof(request) - strlen(request),
                 "\r\nContent-Length: %zu", strlen(body));
    return ask_raw(w, request, body);
}

static inline struct answer get(struct world *w, const char *path)
{
    return ask(w, "GET", path, "", "");
}

#define JSON_TYPE "Content-Type: application/json"

static inline struct answer put(struct world *w, const char *path, const char *body)
{
    return ask(w, "PUT", path, *body ? JSON_TYPE : "", body);
}

/* Status of a GET; and the end of a problem's type. */
static inline int status_of(struct world *w, const char *path)
{
    struct answer a = get(w, path);
    int status = a.status;

    answer_fini(&a);
    return status;
}

static inline void expect_problem(struct answer a, int status, const char *name)
{
    const char *type = json_string_value(json_object_get(a.json, "type"));
    char wanted[96];

    snprintf(wanted, sizeof(wanted), "urn:muster:problem:%s", name);
    if (a.status != status || !type || strcmp(type, wanted) != 0)
        fail_msg("wanted %d %s, got: %s", status, name, a.text);
    assert_non_null(strstr(a.text, "Content-Type: application/problem+json"));
    assert_int_equal(json_integer_value(json_object_get(a.json, "status")), status);
    assert_true(json_string_length(json_object_get(a.json, "title")) > 0);
    assert_true(json_string_length(json_object_get(a.json, "detail")) > 0);
    answer_fini(&a);
}

#endif
