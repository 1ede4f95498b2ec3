#include "http/count.h"

#include "base/mem.h"
#include "http/pick.h"
#include "http/server.h"

#define AT_A_TIME     256 /* slots between two looks at the clock */
#define OUT_OF_MEMORY "no memory to count the agents"
#define KEPT          MU_SEC /* how long a count of many is good for */

struct mu_count {
    struct mu_slice slice;
    struct mu_census census;
    struct mu_http *http;
    struct mu_list waiting; /* who asked */
    struct mu_pick pick;
    bool shared; /* of all agents: http->counting until it is done, then perhaps http->counted */
    unsigned turns;
    mu_time begun;
    mu_wall as_of;
};

/* A request that waits for a count. */
struct asker {
    struct mu_list link;
    struct mu_count *count;
    struct mu_req *req;
    mu_count_fn show;
};

static void count_free(struct mu_count *count)
{
    if (!count)
        return;
    mu_census_fini(&count->census);
    mu_pick_fini(&count->pick);
    mu_free(count);
}

void mu_count_forget(struct mu_http *http)
{
    count_free(http->counted);
    http->counted = NULL;
}

/* ---- a walk ---- */

static bool wants(const void *ctx, const struct mu_glance *agent)
{
    return mu_pick_wants(ctx, agent);
}

static void answer_all(struct mu_count *count, bool whole)
{
    while (!mu_list_empty(&count->waiting)) {
        struct asker *asker = MU_CONTAINER_OF(count->waiting.next, struct asker, link);
        struct mu_req *req = asker->req;
        mu_count_fn show = asker->show;

        mu_list_remove(&asker->link);
        mu_free(asker);
        if (whole)
            show(req, &count->census, count->as_of);
        else
            mu_req_problem(req, MU_OUT_OF_MEMORY, OUT_OF_MEMORY);
    }
}

static void end_walk(struct mu_count *count, bool whole)
{
    struct mu_http *http = count->http;

    if (count->shared)
        http->counting = NULL;
    answer_all(count, whole);
    if (!whole || !count->shared || count->turns == 1) {
        count_free(count);
        return;
    }
    mu_count_forget(http);
    http->counted = count;
}

static bool step(struct mu_slice *slice)
{
    struct mu_count *count = MU_CONTAINER_OF(slice, struct mu_count, slice);
    int rv;

    count->turns++;
    do
        rv = mu_census_step(&count->census, AT_A_TIME);
    while (rv > 0 && !mu_server_turn_over(count->http));
    if (rv > 0)
        return true;
    end_walk(count, rv == 0);
    return false;
}

static void asker_gone(struct mu_req *req)
{
    struct asker *asker = req->job;
    struct mu_count *count = asker->count;

    mu_list_remove(&asker->link);
    mu_free(asker);
    if (!mu_list_empty(&count->waiting))
        return;
    mu_server_unslice(count->http, &count->slice);
    if (count->shared)
        count->http->counting = NULL;
    count_free(count);
}

/* ---- asking ---- */

static struct mu_count *count_new(struct mu_http *http)
{
    struct mu_count *count = mu_alloc(sizeof(*count));

    if (!count)
        return NULL;
    count->http = http;
    count->slice.step = step;
    count->begun = mu_clock_now();
    count->as_of = mu_clock_wall();
    mu_list_init(&count->waiting);
    mu_census_init(&count->census, mu_conductor_roster(http->config.conductor), NULL, NULL);
    return count;
}

/* Lets @req wait for @count. Returns whether there was memory for it. */
static bool join(struct mu_req *req, struct mu_count *count, mu_count_fn show)
{
    struct asker *asker = mu_alloc(sizeof(*asker));

    if (!asker) {
        mu_req_problem(req, MU_OUT_OF_MEMORY, OUT_OF_MEMORY);
        return false;
    }
    *asker = (struct asker){.count = count, .req = req, .show = show};
    mu_list_append(&count->waiting, &asker->link);
    mu_req_wait(req, asker_gone, asker);
    return true;
}

static void start(struct mu_req *req, struct mu_count *count, mu_count_fn show)
{
    if (!join(req, count, show)) {
        count_free(count);
        return;
    }
    if (count->shared)
        req->http->counting = count;
    mu_server_slice(req->http, &count->slice);
}

/* All of the fleet: what is kept will do, or the walk that is under way. Returns whether. */
static bool share(struct mu_req *req, mu_count_fn show)
{
    struct mu_http *http = req->http;
    const struct mu_count *kept = http->counted;

    if (kept && mu_clock_now() - kept->begun < KEPT)
        show(req, &kept->census, kept->as_of);
    else if (http->counting)
        join(req, http->counting, show);
    else
        return false;
    return true;
}

void mu_count_agents(struct mu_req *req, mu_count_fn show)
{
    struct mu_count *count = count_new(req->http);

    if (!count) {
        mu_req_problem(req, MU_OUT_OF_MEMORY, OUT_OF_MEMORY);
        return;
    }
    if (!mu_pick_read(&count->pick, req)) {
        count_free(count);
        return;
    }
    count->shared = mu_pick_all(&count->pick);
    if (count->shared && share(req, show)) {
        count_free(count);
        return;
    }
    if (!count->shared) {
        count->census.wants = wants;
        count->census.ctx = &count->pick;
    }
    start(req, count, show);
}
