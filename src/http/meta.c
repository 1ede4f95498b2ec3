#include <string.h>

#include "base/mem.h"
#include "http/handlers.h"
#include "http/openapi.h"
#include "outlet/census.h"

#define SLOTS_A_SLICE 8192

/* A count of the whole fleet for one request, in slices. */
struct count {
    struct mu_slice slice;
    struct mu_census census;
    struct mu_req *req;
    void (*show)(struct mu_req *req, const struct mu_census *census);
};

static void count_free(struct count *count)
{
    mu_census_fini(&count->census);
    mu_free(count);
}

static void count_gone(struct mu_req *req)
{
    struct count *count = req->job;

    mu_server_unslice(&count->slice);
    count_free(count);
}

static bool count_step(struct mu_slice *slice)
{
    struct count *count = MU_CONTAINER_OF(slice, struct count, slice);
    int rv = mu_census_step(&count->census, SLOTS_A_SLICE, mu_clock_now());

    if (rv > 0) {
        if (count->req->state == MU_REQ_READING)
            mu_req_wait(count->req, count_gone, count);
        return true;
    }
    if (rv)
        mu_req_problem(count->req, MU_OUT_OF_MEMORY, "no memory to count the agents");
    else
        count->show(count->req, &count->census);
    count_free(count);
    return false;
}

static void count_agents(struct mu_req *req,
                         void (*show)(struct mu_req *req, const struct mu_census *census))
{
    struct count *count = mu_alloc(sizeof(*count));

    if (!count) {
        mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory to count the agents");
        return;
    }
    count->req = req;
    count->show = show;
    mu_census_init(&count->census, mu_conductor_roster(req->http->config.conductor));
    count->slice.step = count_step;
    mu_server_slice(req->http, &count->slice);
}

/* ---- summary ---- */

static void put_states(struct mu_json *json, const char *key, const uint32_t counts[MU_STATES])
{
    mu_json_object(json, key);
    for (int state = 0; state < MU_STATES; state++)
        mu_json_uint(json, mu_state_text((enum mu_state)state), counts[state]);
    mu_json_end(json);
}

static const char *key_of(const struct mu_census_line *line, bool by_zone)
{
    return by_zone ? line->zone : line->binary;
}

/* One object with the states of each zone, or binary. At most MU_CENSUS_MAX lines: to look for each
 * name among those before it is cheap enough. */
static void put_groups(struct mu_json *json, const char *key, const struct mu_census *census,
                       bool by_zone)
{
    mu_json_object(json, key);
    for (uint32_t i = 0; i < census->n; i++) {
        const char *name = key_of(&census->lines[i], by_zone);
        uint32_t sum[MU_STATES] = {0};
        bool first = true;

        for (uint32_t k = 0; k < census->n && first; k++) {
            if (strcmp(key_of(&census->lines[k], by_zone), name) != 0)
                continue;
            first = k >= i;
            for (int state = 0; state < MU_STATES; state++)
                sum[state] += census->lines[k].state[state];
        }
        if (first)
            put_states(json, name, sum);
    }
    mu_json_end(json);
}

static void show_summary(struct mu_req *req, const struct mu_census *census)
{
    struct mu_json json;

    mu_req_json(req, &json);
    mu_json_object(&json, NULL);
    mu_json_uint(&json, "agents", census->total);
    put_states(&json, "states", census->state);
    mu_json_object(&json, "status");
    mu_json_uint(&json, "enabled", census->total - census->disabled);
    mu_json_uint(&json, "disabled", census->disabled);
    mu_json_end(&json);
    mu_json_uint(&json, "forced_down", census->forced);
    put_groups(&json, "zones", census, true);
    put_groups(&json, "binaries", census, false);
    mu_json_end(&json);
    mu_req_send(req, 200);
}

void mu_get_summary(struct mu_req *req)
{
    count_agents(req, show_summary);
}

/* ---- metrics ---- */

static void show_metrics(struct mu_req *req, const struct mu_census *census)
{
    const struct mu_http_config *config = &req->http->config;
    struct mu_journal_health journal;
    struct mu_store_health store;

    mu_store_health(config->store, mu_clock_now(), &store);
    if (config->journal)
        mu_journal_health(config->journal, &journal);
    mu_buf_reset(&req->out);
    req->type = "text/plain; version=0.0.4; charset=utf-8";
    mu_metrics_expose(config->metrics, census, &store, config->journal ? &journal : NULL,
                      &req->out);
    mu_req_send(req, 200);
}

void mu_get_metrics(struct mu_req *req)
{
    count_agents(req, show_metrics);
}

/* ---- health ---- */

struct checks {
    struct mu_buf lines, failed;
};

static void on_check(void *ctx, const char *name, bool ok, const char *text)
{
    struct checks *checks = ctx;

    mu_buf_printf(&checks->lines, "[%c]%s %s\n", ok ? '+' : '-', name, ok ? "ok" : text);
    if (!ok)
        mu_buf_printf(&checks->failed, "%s%s", checks->failed.len ? ", " : "", name);
}

void mu_get_readyz(struct mu_req *req)
{
    const struct mu_http_config *config = &req->http->config;
    struct checks checks;
    bool ready;

    mu_buf_init(&checks.lines, MU_BODY_MAX);
    mu_buf_init(&checks.failed, MU_BODY_MAX);
    config->checks(config->checks_ctx, on_check, &checks);
    ready = !checks.failed.len && !checks.failed.failed && !checks.lines.failed;
    mu_buf_reset(&req->out);
    req->type = "text/plain; charset=utf-8";
    if (mu_url_param(&req->url, "verbose"))
        mu_buf_puts(&req->out, mu_buf_text(&checks.lines));
    if (ready)
        mu_buf_puts(&req->out, "ok\n");
    else
        mu_buf_printf(&req->out, "not ready: %s\n", mu_buf_text(&checks.failed));
    mu_buf_fini(&checks.lines);
    mu_buf_fini(&checks.failed);
    mu_req_send(req, ready ? 200 : 503);
}

void mu_get_livez(struct mu_req *req)
{
    mu_req_text(req, 200, "ok\n");
}

void mu_get_version(struct mu_req *req)
{
    const struct mu_http_config *config = &req->http->config;
    struct mu_json json;

    mu_req_json(req, &json);
    mu_json_object(&json, NULL);
    mu_json_text(&json, "version", config->version);
    mu_json_text(&json, "api", "v1");
    mu_json_uint(&json, "epoch", config->epoch);
    mu_json_wall(&json, "started_at", config->started);
    mu_json_end(&json);
    mu_req_send(req, 200);
}

void mu_get_openapi(struct mu_req *req)
{
    struct mu_json json;

    mu_req_json(req, &json);
    mu_json_raw(&json, NULL, mu_openapi);
    mu_req_send(req, 200);
}
