#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/count.h"
#include "http/handlers.h"
#include "http/openapi.h"

/* ---- summary ---- */

static void put_states(struct mu_json *json, const char *key, const uint32_t counts[MU_STATES])
{
    mu_json_object(json, key);
    for (int state = 0; state < MU_STATES; state++)
        mu_json_uint(json, mu_state_text((enum mu_state)state), counts[state]);
    mu_json_end(json);
}

static int by_zone(const void *a, const void *b)
{
    return strcmp((*(struct mu_census_line *const *)a)->zone,
                  (*(struct mu_census_line *const *)b)->zone);
}

static int by_binary(const void *a, const void *b)
{
    return strcmp((*(struct mu_census_line *const *)a)->binary,
                  (*(struct mu_census_line *const *)b)->binary);
}

/* One object with the states of each zone, or binary, in order of name. */
static void put_groups(struct mu_json *json, const char *key, const struct mu_census *census,
                       int (*compare)(const void *a, const void *b))
{
    const struct mu_census_line *lines[MU_CENSUS_LINES];
    size_t n = 0;

    for (uint32_t i = 0; i < census->n; i++)
        if (mu_census_sum(&census->lines[i]) > 0)
            lines[n++] = &census->lines[i];
    qsort(lines, n, sizeof(struct mu_census_line *), compare);
    mu_json_object(json, key);
    for (size_t i = 0; i < n;) {
        const struct mu_census_line *first = lines[i];
        uint32_t sum[MU_STATES] = {0};

        for (; i < n && compare(&first, &lines[i]) == 0; i++)
            for (int state = 0; state < MU_STATES; state++)
                sum[state] += lines[i]->state[state];
        put_states(json, compare == by_zone ? first->zone : first->binary, sum);
    }
    mu_json_end(json);
}

static void show_summary(struct mu_req *req, const struct mu_census *census, mu_wall as_of)
{
    struct mu_json json;

    mu_req_json(req, &json);
    mu_json_object(&json, NULL);
    mu_json_wall(&json, "as_of", as_of);
    mu_json_uint(&json, "agents", census->total);
    put_states(&json, "states", census->state);
    mu_json_object(&json, "status");
    mu_json_uint(&json, "enabled", census->total - census->disabled);
    mu_json_uint(&json, "disabled", census->disabled);
    mu_json_end(&json);
    mu_json_uint(&json, "forced_down", census->forced);
    put_groups(&json, "zones", census, by_zone);
    put_groups(&json, "binaries", census, by_binary);
    mu_json_end(&json);
    mu_req_send(req, 200);
}

void mu_get_summary(struct mu_req *req)
{
    mu_count_agents(req, show_summary);
}

/* ---- metrics ---- */

static void show_metrics(struct mu_req *req, const struct mu_census *census, mu_wall as_of)
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
    mu_count_agents(req, show_metrics);
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
