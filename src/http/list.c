/* GET /v1/agents. Happy path of a page: agents are walked in order of name, some at a time, and
 * those that pass the filter are written at once; when the page is full the walk goes on to the
 * next one that passes, so that the token tells whether there is one. Of a sorted list the best
 * `limit` are kept in a heap while all slots are walked, and written at the end. Either way the
 * request waits where one turn of the loop is not enough. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "http/handlers.h"
#include "http/pick.h"
#include "http/token.h"
#include "http/view.h"

#define AT_A_TIME 128 /* agents between two looks at the clock */
#define LIMIT_MAX 1000

/* A candidate of a sorted list. */
struct best {
    int64_t key;
    uint32_t slot, generation;
};

struct walk {
    struct mu_slice slice;
    struct mu_req *req;
    struct mu_pick pick;
    uint32_t limit, found;
    struct mu_json json;                                           /* of the page, being written */
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1]; /* the last one looked at */
    char last[MU_NAME_TEXT];                                       /* the last one written */
    bool started;

    const struct sort_key *sort; /* NULL = by name */
    bool descending;
    mu_time now; /* when it began: keys that change with time are compared as of then */
    mu_wall wall;
    uint32_t slot;     /* the next to look at */
    struct best *best; /* a heap of .found, the worst on top; when all were looked at, in order */
    bool ordered;
    uint32_t written;
};

/* ---- sort keys: smaller is earlier; INT64_MAX is "not known", and last either way ---- */

static int64_t by_age(const struct mu_view *view, mu_wall wall)
{
    return mu_view_age(view, wall);
}

static int64_t by_seen(const struct mu_view *view, mu_wall wall)
{
    return view->row.last_seen ? view->row.last_seen : INT64_MAX;
}

static int64_t by_since(const struct mu_view *view, mu_wall wall)
{
    return view->row.state_since ? view->row.state_since : INT64_MAX;
}

static int64_t by_state(const struct mu_view *view, mu_wall wall)
{
    return view->shown;
}

static int64_t by_reports(const struct mu_view *view, mu_wall wall)
{
    return (int64_t)view->row.report_count;
}

static int64_t by_incarnation(const struct mu_view *view, mu_wall wall)
{
    return (int64_t)view->row.incarnation;
}

static int64_t by_interval(const struct mu_view *view, mu_wall wall)
{
    return view->times.interval;
}

static int64_t by_down_time(const struct mu_view *view, mu_wall wall)
{
    return view->times.down;
}

static const struct sort_key {
    const char *name;
    int64_t (*key)(const struct mu_view *view, mu_wall wall);
} sort_keys[] = {
    {"age_s", by_age},
    {"last_seen_at", by_seen},
    {"state_since", by_since},
    {"state", by_state},
    {"report_count", by_reports},
    {"incarnation", by_incarnation},
    {"report_interval_s", by_interval},
    {"down_time_s", by_down_time},
};

static void walk_free(struct walk *walk)
{
    mu_pick_fini(&walk->pick);
    mu_free(walk->best);
    mu_free(walk);
}

/* ---- the answer ---- */

static void put_link(struct mu_req *req, const char *token)
{
    const char *query = strchr(req->raw, '?');
    char between = '?';

    mu_buf_puts(&req->link_header, "</v1/agents");
    while (query && *query) {
        size_t n = strcspn(++query, "&");

        if (n && strncmp(query, "page_token=", 11) != 0) {
            mu_buf_u8(&req->link_header, (uint8_t)between);
            mu_buf_put(&req->link_header, query, n);
            between = '&';
        }
        query += n;
    }
    mu_buf_printf(&req->link_header, "%cpage_token=%s>; rel=\"next\"", between, token);
}

static void finish(struct walk *walk, bool more)
{
    struct mu_req *req = walk->req;
    struct mu_buf token;

    mu_buf_init(&token, MU_URL_MAX);
    if (more)
        mu_token_write(&token, walk->last);
    mu_json_end(&walk->json);
    mu_json_some(&walk->json, "next_page_token", mu_buf_text(&token));
    mu_json_end(&walk->json);
    if (more)
        put_link(req, mu_buf_text(&token));
    mu_buf_fini(&token);
    walk_free(walk);
    mu_req_send(req, 200);
}

/* ---- by name ---- */

static void note_last(struct walk *walk, const struct mu_ident *ident)
{
    size_t n = strlen(ident->binary);

    memcpy(walk->last, ident->binary, n);
    walk->last[n] = '@';
    strcpy(walk->last + n + 1, ident->host);
}

/* Returns whether @slot was one too many for the page. */
static bool take(struct walk *walk, const struct mu_roster *roster, uint32_t slot, mu_time now,
                 mu_wall wall)
{
    struct mu_glance agent;
    struct mu_view view;

    mu_roster_glance(roster, slot, &agent);
    if (!mu_pick_wants(&walk->pick, &agent))
        return false;
    if (walk->found == walk->limit)
        return true;
    mu_roster_view(roster, slot, now, &view);
    mu_view_agent(&walk->json, NULL, &view, wall);
    walk->found++;
    if (walk->found == walk->limit)
        note_last(walk, agent.ident);
    return false;
}

/* Returns whether there is more to look at; else the request has its answer, and @walk is gone. */
static bool step_by_name(struct walk *walk)
{
    struct mu_roster *roster = mu_conductor_roster(walk->req->http->config.conductor);
    mu_time now = mu_clock_now();
    mu_wall wall = mu_clock_wall();
    uint32_t slots[AT_A_TIME];

    do {
        const struct mu_ident *ident;
        size_t n = mu_roster_by_name(roster, walk->started ? walk->binary : NULL,
                                     walk->started ? walk->host : NULL, slots, AT_A_TIME);

        for (size_t i = 0; i < n; i++)
            if (take(walk, roster, slots[i], now, wall)) {
                finish(walk, true);
                return false;
            }
        if (n < AT_A_TIME) {
            finish(walk, false);
            return false;
        }
        ident = mu_roster_ident(roster, slots[n - 1]);
        strcpy(walk->binary, ident->binary);
        strcpy(walk->host, ident->host);
        walk->started = true;
    } while (!mu_server_turn_over(walk->req->http));
    return true;
}

/* ---- sorted ---- */

static bool worse(const struct best *a, const struct best *b)
{
    return a->key != b->key ? a->key > b->key : a->slot > b->slot;
}

static void sift_down(struct best *heap, size_t n, size_t i)
{
    for (;;) {
        size_t top = i, left = 2 * i + 1, right = left + 1;
        struct best swap;

        if (left < n && worse(&heap[left], &heap[top]))
            top = left;
        if (right < n && worse(&heap[right], &heap[top]))
            top = right;
        if (top == i)
            return;
        swap = heap[i];
        heap[i] = heap[top];
        heap[top] = swap;
        i = top;
    }
}

static void sift_up(struct best *heap, size_t i)
{
    while (i && worse(&heap[i], &heap[(i - 1) / 2])) {
        struct best swap = heap[i];

        heap[i] = heap[(i - 1) / 2];
        heap[(i - 1) / 2] = swap;
        i = (i - 1) / 2;
    }
}

static void offer(struct walk *walk, const struct best *one)
{
    if (walk->found < walk->limit) {
        walk->best[walk->found] = *one;
        sift_up(walk->best, walk->found++);
    } else if (worse(&walk->best[0], one)) {
        walk->best[0] = *one;
        sift_down(walk->best, walk->found, 0);
    }
}

static int64_t key_of(const struct walk *walk, const struct mu_view *view)
{
    int64_t key = walk->sort->key(view, walk->wall);

    return walk->descending && key != INT64_MAX ? -key : key;
}

static int compare_best(const void *a, const void *b)
{
    return worse(a, b) ? 1 : -1;
}

/* As step_by_name(). */
static bool write_sorted(struct walk *walk, const struct mu_roster *roster)
{
    while (walk->written < walk->found) {
        const struct best *one = &walk->best[walk->written++];
        struct mu_view view;

        if (mu_roster_used(roster, one->slot) &&
            mu_roster_generation(roster, one->slot) == one->generation) { /* not deleted since */
            mu_roster_view(roster, one->slot, walk->now, &view);
            mu_view_agent(&walk->json, NULL, &view, walk->wall);
        }
        if (walk->written % AT_A_TIME == 0 && mu_server_turn_over(walk->req->http))
            return true;
    }
    finish(walk, false);
    return false;
}

static void look_at(struct walk *walk, const struct mu_roster *roster, uint32_t slot)
{
    struct mu_glance agent;
    struct mu_view view;

    mu_roster_glance(roster, slot, &agent);
    if (!mu_pick_wants(&walk->pick, &agent))
        return;
    mu_roster_view(roster, slot, walk->now, &view);
    offer(walk, &(struct best){key_of(walk, &view), slot, mu_roster_generation(roster, slot)});
}

static bool step_sorted(struct walk *walk)
{
    const struct mu_roster *roster = mu_conductor_roster(walk->req->http->config.conductor);
    uint32_t end = mu_roster_slots(roster);

    if (walk->ordered)
        return write_sorted(walk, roster);
    while (walk->slot < end) {
        uint32_t slot = walk->slot++;

        if (mu_roster_used(roster, slot))
            look_at(walk, roster, slot);
        if (walk->slot % AT_A_TIME == 0 && mu_server_turn_over(walk->req->http))
            return true;
    }
    qsort(walk->best, walk->found, sizeof(walk->best[0]), compare_best);
    walk->ordered = true;
    return write_sorted(walk, roster);
}

/* ---- the request ---- */

static void walk_gone(struct mu_req *req)
{
    struct walk *walk = req->job;

    mu_server_unslice(req->http, &walk->slice);
    walk_free(walk);
}

static bool step(struct mu_slice *slice)
{
    struct walk *walk = MU_CONTAINER_OF(slice, struct walk, slice);

    return walk->sort ? step_sorted(walk) : step_by_name(walk);
}

static bool read_sort(struct walk *walk)
{
    const char *text = mu_url_param(&walk->req->url, "sort");

    if (!text || strcmp(text, "name") == 0)
        return true;
    walk->descending = *text == '-';
    for (size_t i = 0; i < MU_ARRAY_LEN(sort_keys); i++)
        if (strcmp(text + walk->descending, sort_keys[i].name) == 0)
            walk->sort = &sort_keys[i];
    if (!walk->sort) {
        mu_req_problem(
            walk->req, MU_BAD_PARAMETER,
            "sort=%.60s: it is name, age_s, last_seen_at, state_since, state, "
            "report_count, incarnation, report_interval_s or down_time_s; a minus before "
            "one of the latter turns it round",
            text);
        return false;
    }
    walk->best = mu_calloc(walk->limit, sizeof(walk->best[0]));
    if (!walk->best)
        mu_req_problem(walk->req, MU_OUT_OF_MEMORY, "no memory to sort");
    return walk->best != NULL;
}

static bool read_page(struct walk *walk)
{
    const char *token = mu_url_param(&walk->req->url, "page_token");
    uint64_t limit = LIMIT_MAX;

    if (!mu_param_number(walk->req, "limit", 1, LIMIT_MAX, &limit))
        return false;
    walk->limit = (uint32_t)limit;
    if (!read_sort(walk))
        return false;
    if (!token)
        return true;
    if (!walk->sort && mu_token_read(token, walk->binary, walk->host) == 0) {
        walk->started = true;
        return true;
    }
    mu_req_problem(walk->req, MU_BAD_PARAMETER, "page_token=%.60s: %s", token,
                   walk->sort ? "only a list in order of name has pages"
                              : "it is not one that this conductor gave");
    return false;
}

void mu_get_agents(struct mu_req *req)
{
    struct walk *walk = mu_alloc(sizeof(*walk));

    if (!walk) {
        mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory for the list");
        return;
    }
    walk->req = req;
    walk->now = mu_clock_now();
    walk->wall = mu_clock_wall();
    if (!mu_pick_read(&walk->pick, req) || !read_page(walk)) {
        walk_free(walk);
        return;
    }
    mu_req_json(req, &walk->json);
    mu_json_object(&walk->json, NULL);
    mu_json_array(&walk->json, "agents");
    walk->slice.step = step;
    mu_req_wait(req, walk_gone, walk);
    mu_server_slice(req->http, &walk->slice);
}
