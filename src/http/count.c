#include "http/count.h"

#include "base/mem.h"
#include "http/pick.h"
#include "http/server.h"

#define AT_A_TIME     256 /* slots between two looks at the clock */
#define OUT_OF_MEMORY "no memory to count the agents"

/* A walk over all agents, for a request with a filter. */
struct count {
    struct mu_slice slice;
    struct mu_req *req;
    struct mu_pick pick;
    struct mu_census census;
    uint32_t next; /* slot */
    mu_wall as_of;
    mu_count_fn show;
};

static void count_free(struct count *count)
{
    mu_census_fini(&count->census);
    mu_pick_fini(&count->pick);
    mu_free(count);
}

static bool look_at(struct count *count, const struct mu_roster *roster, uint32_t slot)
{
    struct mu_glance agent;
    uint32_t line;

    mu_roster_glance(roster, slot, &agent);
    if (!mu_pick_wants(&count->pick, &agent))
        return true;
    line = mu_census_enter(&count->census, agent.zone, agent.ident->binary);
    mu_census_count(&count->census, line, agent.shown, agent.disabled, agent.forced_down, 1);
    return line != MU_CENSUS_NONE;
}

/* Counts until the turn is over. Returns 1 while there are others, 0 when all were counted,
 * MU_ENOMEM. */
static int walk(struct count *count)
{
    const struct mu_roster *roster = mu_conductor_roster(count->req->http->config.conductor);

    while (count->next < mu_roster_slots(roster)) {
        uint32_t slot = count->next++;

        if (mu_roster_used(roster, slot) && !look_at(count, roster, slot))
            return MU_ENOMEM;
        if (count->next % AT_A_TIME == 0 && mu_server_turn_over(count->req->http))
            return 1;
    }
    return 0;
}

static bool step(struct mu_slice *slice)
{
    struct count *count = MU_CONTAINER_OF(slice, struct count, slice);
    struct mu_req *req = count->req;
    int rv = walk(count);

    if (rv > 0)
        return true;
    if (rv == 0)
        count->show(req, &count->census, count->as_of);
    count_free(count);
    if (rv < 0)
        mu_req_problem(req, MU_OUT_OF_MEMORY, OUT_OF_MEMORY);
    return false;
}

static void count_gone(struct mu_req *req)
{
    struct count *count = req->job;

    mu_server_unslice(req->http, &count->slice);
    count_free(count);
}

void mu_count_agents(struct mu_req *req, mu_count_fn show)
{
    struct count *count = mu_alloc(sizeof(*count));

    if (!count) {
        mu_req_problem(req, MU_OUT_OF_MEMORY, OUT_OF_MEMORY);
        return;
    }
    mu_census_init(&count->census);
    if (!mu_pick_read(&count->pick, req)) {
        count_free(count);
        return;
    }
    if (mu_pick_all(&count->pick)) {
        count_free(count);
        show(req, mu_roster_census(mu_conductor_roster(req->http->config.conductor)),
             mu_clock_wall());
        return;
    }
    count->req = req;
    count->as_of = mu_clock_wall();
    count->show = show;
    count->slice.step = step;
    mu_req_wait(req, count_gone, count);
    mu_server_slice(req->http, &count->slice);
}
