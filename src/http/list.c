/* GET /v1/agents. Happy path of a page: agents are walked in order of name, some at a time, and
 * those that pass the filter are written at once; when the page is full the walk goes on to the
 * next one that passes, so that the token tells whether there is one. Of a sorted list the best
 * `limit` are kept in a heap while all slots are walked, and written at the end. Either way the
 * request waits where one slice of the loop's time is not enough. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "http/handlers.h"
#include "http/token.h"
#include "http/view.h"

#define ROWS_A_SLICE 4096
#define NAMES_A_TIME 256
#define LIMIT_MAX    1000
#define LABELS_MAX   8

struct filter {
    const char *binary, *host, *zone, *prefix; /* NULL = any */
    unsigned states;                           /* bit a state; 0 = any */
    int disabled, forced;                      /* -1 = any */
    size_t nlabels;
    struct mu_buf labels[LABELS_MAX]; /* "key":"value", as it stands in a row's JSON */
};

/* A candidate of a sorted list. */
struct best {
    int64_t key;
    uint32_t slot, generation;
};

struct walk {
    struct mu_slice slice;
    struct mu_req *req;
    struct filter filter;
    uint32_t limit, found;
    struct mu_json json;                                           /* of the page, being written */
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1]; /* the last one looked at */
    char last[MU_NAME_TEXT];                                       /* the last one written */
    bool started;

    const struct sort_key *sort; /* NULL = by name */
    bool descending;
    uint32_t slot;     /* the next to look at */
    struct best *best; /* a heap of .found, the worst on top */
};

/* ---- sort keys: smaller is earlier; INT64_MAX is "not known", and last either way ---- */

static int64_t by_age(const struct mu_view *view)
{
    return mu_view_age(view, mu_clock_wall());
}

static int64_t by_seen(const struct mu_view *view)
{
    return view->row.last_seen ? view->row.last_seen : INT64_MAX;
}

static int64_t by_since(const struct mu_view *view)
{
    return view->row.state_since ? view->row.state_since : INT64_MAX;
}

static int64_t by_state(const struct mu_view *view)
{
    return view->shown;
}

static int64_t by_reports(const struct mu_view *view)
{
    return (int64_t)view->row.report_count;
}

static int64_t by_incarnation(const struct mu_view *view)
{
    return (int64_t)view->row.incarnation;
}

static int64_t by_interval(const struct mu_view *view)
{
    return view->times.interval;
}

static int64_t by_down_time(const struct mu_view *view)
{
    return view->times.down;
}

static const struct sort_key {
    const char *name;
    int64_t (*key)(const struct mu_view *view);
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

/* ---- filter ---- */

static bool has_label(const char *labels, const char *wanted)
{
    size_t n = strlen(wanted);

    /* A quote inside a JSON string has a backslash before it, so what begins and ends with a bare
     * quote and a comma or brace is a whole pair. */
    for (const char *at = strstr(labels, wanted); at; at = strstr(at + 1, wanted))
        if (at > labels && (at[-1] == '{' || at[-1] == ',') && (at[n] == '}' || at[n] == ','))
            return true;
    return false;
}

static bool has_prefix(const struct mu_ident *ident, const char *prefix)
{
    size_t n = strlen(prefix), nbinary = strlen(ident->binary);

    if (n <= nbinary)
        return strncmp(ident->binary, prefix, n) == 0;
    return strncmp(ident->binary, prefix, nbinary) == 0 && prefix[nbinary] == '@' &&
           strncmp(ident->host, prefix + nbinary + 1, n - nbinary - 1) == 0;
}

static bool passes(const struct walk *walk, const struct mu_view *view)
{
    const struct filter *filter = &walk->filter;
    const struct mu_row *row = &view->row;

    if ((filter->states && !(filter->states >> view->shown & 1)) ||
        (filter->disabled >= 0 && row->disabled != filter->disabled) ||
        (filter->forced >= 0 && row->forced_down != filter->forced) ||
        (filter->binary && strcmp(row->ident->binary, filter->binary) != 0) ||
        (filter->host && strcmp(row->ident->host, filter->host) != 0) ||
        (filter->zone && strcmp(row->zone, filter->zone) != 0) ||
        (filter->prefix && !has_prefix(row->ident, filter->prefix)))
        return false;
    for (size_t i = 0; i < filter->nlabels; i++)
        if (!has_label(row->labels, (const char *)filter->labels[i].data))
            return false;
    return true;
}

static void walk_free(struct walk *walk)
{
    for (size_t i = 0; i < walk->filter.nlabels; i++)
        mu_buf_fini(&walk->filter.labels[i]);
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

/* Returns whether @view was one too many for the page. */
static bool take(struct walk *walk, const struct mu_view *view)
{
    const struct mu_ident *ident = view->row.ident;

    strcpy(walk->binary, ident->binary);
    strcpy(walk->host, ident->host);
    if (!passes(walk, view))
        return false;
    if (walk->found == walk->limit)
        return true;
    mu_view_agent(&walk->json, NULL, view, mu_clock_wall());
    walk->found++;
    if (walk->found == walk->limit) {
        size_t n = strlen(ident->binary);

        memcpy(walk->last, ident->binary, n);
        walk->last[n] = '@';
        strcpy(walk->last + n + 1, ident->host);
    }
    return false;
}

/* Returns whether there is more to look at; else the request has its answer, and @walk is gone. */
static bool step_by_name(struct walk *walk)
{
    struct mu_roster *roster = mu_conductor_roster(walk->req->http->config.conductor);
    mu_time now = mu_clock_now();
    uint32_t slots[NAMES_A_TIME];
    struct mu_view view;

    for (size_t seen = 0; seen < ROWS_A_SLICE;) {
        size_t n = mu_roster_by_name(roster, walk->started ? walk->binary : NULL,
                                     walk->started ? walk->host : NULL, slots, NAMES_A_TIME);

        for (size_t i = 0; i < n; i++) {
            mu_roster_view(roster, slots[i], now, &view);
            if (take(walk, &view)) {
                finish(walk, true);
                return false;
            }
        }
        walk->started = true;
        seen += n;
        if (n < NAMES_A_TIME) {
            finish(walk, false);
            return false;
        }
    }
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
    int64_t key = walk->sort->key(view);

    return walk->descending && key != INT64_MAX ? -key : key;
}

static int compare_best(const void *a, const void *b)
{
    return worse(a, b) ? 1 : -1;
}

static void finish_sorted(struct walk *walk, struct mu_roster *roster, mu_time now)
{
    struct mu_view view;

    qsort(walk->best, walk->found, sizeof(walk->best[0]), compare_best);
    for (uint32_t i = 0; i < walk->found; i++) {
        const struct best *one = &walk->best[i];

        if (!mu_roster_used(roster, one->slot) ||
            mu_roster_generation(roster, one->slot) != one->generation)
            continue; /* deleted while we walked */
        mu_roster_view(roster, one->slot, now, &view);
        mu_view_agent(&walk->json, NULL, &view, mu_clock_wall());
    }
    finish(walk, false);
}

static bool step_sorted(struct walk *walk)
{
    struct mu_roster *roster = mu_conductor_roster(walk->req->http->config.conductor);
    uint32_t end = mu_roster_slots(roster), stop = walk->slot + ROWS_A_SLICE;
    mu_time now = mu_clock_now();
    struct mu_view view;

    for (; walk->slot < end && walk->slot < stop; walk->slot++) {
        if (!mu_roster_used(roster, walk->slot))
            continue;
        mu_roster_view(roster, walk->slot, now, &view);
        if (passes(walk, &view))
            offer(walk, &(struct best){key_of(walk, &view), walk->slot,
                                       mu_roster_generation(roster, walk->slot)});
    }
    if (walk->slot < end)
        return true;
    finish_sorted(walk, roster, now);
    return false;
}

/* ---- the request ---- */

static void walk_gone(struct mu_req *req)
{
    struct walk *walk = req->job;

    mu_server_unslice(&walk->slice);
    walk_free(walk);
}

static bool step(struct mu_slice *slice)
{
    struct walk *walk = MU_CONTAINER_OF(slice, struct walk, slice);

    if (!(walk->sort ? step_sorted(walk) : step_by_name(walk)))
        return false;
    if (walk->req->state == MU_REQ_READING)
        mu_req_wait(walk->req, walk_gone, walk);
    return true;
}

/* The read_ functions return false when the request has its answer: an error. */

static bool read_states(struct walk *walk)
{
    const char *text = mu_url_param(&walk->req->url, "state");
    char word[16];

    while (text) {
        size_t n = strcspn(text, ",");
        int state = -1;

        if (n < sizeof(word)) {
            memcpy(word, text, n);
            word[n] = '\0';
            state = mu_state_parse(word);
        }
        if (state < 0) {
            mu_req_problem(walk->req, MU_BAD_PARAMETER,
                           "state=%.60s: a state is up, suspect, down, left or unknown", text);
            return false;
        }
        walk->filter.states |= 1U << state;
        text = text[n] ? text + n + 1 : NULL;
    }
    return true;
}

/* One of two words; *@out is 0 for the first, 1 for the second, -1 without the parameter. */
static bool read_choice(struct walk *walk, const char *key, const char *no, const char *yes,
                        int *out)
{
    const char *text = mu_url_param(&walk->req->url, key);

    *out = !text ? -1 : strcmp(text, yes) == 0 ? 1 : 0;
    if (*out || strcmp(text, no) == 0)
        return true;
    mu_req_problem(walk->req, MU_BAD_PARAMETER, "%s=%.60s: it is %s or %s", key, text, no, yes);
    return false;
}

static bool read_labels(struct walk *walk)
{
    const struct mu_url *url = &walk->req->url;

    for (size_t i = 0; i < url->nparams; i++) {
        struct mu_buf *label = &walk->filter.labels[walk->filter.nlabels], pair;
        struct mu_json json;

        if (strncmp(url->param[i].key, "label.", 6) != 0)
            continue;
        if (walk->filter.nlabels == LABELS_MAX) {
            mu_req_problem(walk->req, MU_BAD_PARAMETER, "more than %d labels are asked for",
                           LABELS_MAX);
            return false;
        }
        mu_buf_init(&pair, 8 * MU_URL_MAX);
        mu_json_init(&json, &pair);
        mu_json_object(&json, NULL);
        mu_json_text(&json, url->param[i].key + 6, url->param[i].value);
        mu_buf_init(label, 8 * MU_URL_MAX);
        mu_buf_puts(label, mu_buf_text(&pair) + (pair.len > 0)); /* without the brace */
        mu_buf_u8(label, '\0');
        walk->filter.nlabels++;
        mu_buf_fini(&pair);
        if (label->failed || label->len < 2) {
            mu_req_problem(walk->req, MU_OUT_OF_MEMORY, "no memory for the filter");
            return false;
        }
    }
    return true;
}

static bool read_filter(struct walk *walk)
{
    const struct mu_url *url = &walk->req->url;
    struct filter *filter = &walk->filter;

    filter->binary = mu_url_param(url, "binary");
    filter->host = mu_url_param(url, "host");
    filter->zone = mu_url_param(url, "zone");
    filter->prefix = mu_url_param(url, "name_prefix");
    return read_states(walk) &&
           read_choice(walk, "status", "enabled", "disabled", &filter->disabled) &&
           read_choice(walk, "forced_down", "false", "true", &filter->forced) && read_labels(walk);
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
    if (!read_filter(walk) || !read_page(walk)) {
        walk_free(walk);
        return;
    }
    mu_req_json(req, &walk->json);
    mu_json_object(&walk->json, NULL);
    mu_json_array(&walk->json, "agents");
    walk->slice.step = step;
    mu_server_slice(req->http, &walk->slice);
}
