#include "http/api.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/body.h"
#include "http/feed.h"
#include "http/guard.h"
#include "http/handlers.h"
#include "http/pick.h"

#define JSON   "application/json"
#define STREAM "text/event-stream"
#define EVENTS "since,limit,kind,wait"

static void get_events(struct mu_req *req)
{
    const char *agent = mu_url_param(&req->url, "agent");

    if (agent && !*agent)
        mu_req_problem(req, MU_BAD_PARAMETER, "agent= is not BINARY@HOST");
    else
        mu_feed_events(req, agent ? agent : "");
}

const struct mu_route mu_routes[] = {
    {"/v1/agents", MU_GET, mu_get_agents, MU_PICK_PARAMS ",limit,page_token,sort", MU_BODY_NONE,
     JSON},
    {"/v1/agents/{agent}", MU_GET, mu_get_agent, "", MU_BODY_NONE, JSON},
    {"/v1/agents/{agent}", MU_DELETE, mu_delete_agent, "", MU_BODY_NONE, ""},
    {"/v1/agents/{agent}/explain", MU_GET, mu_get_explain, "", MU_BODY_NONE, JSON},
    {"/v1/agents/{agent}/events", MU_GET, mu_get_agent_events, EVENTS, MU_BODY_NONE, ""},
    {"/v1/agents/{agent}/payload", MU_GET, mu_get_payload, "", MU_BODY_NONE, JSON},
    {"/v1/agents/{agent}/beat", MU_PUT, mu_put_beat, "interval", MU_BODY_OPTIONAL, JSON},
    {"/v1/agents/{agent}/status", MU_PUT, mu_put_status, "", MU_BODY_JSON, JSON},
    {"/v1/agents/{agent}/forced-down", MU_PUT, mu_put_forced_down, "", MU_BODY_JSON, JSON},
    {"/v1/summary", MU_GET, mu_get_summary, MU_PICK_PARAMS, MU_BODY_NONE, JSON},
    {"/v1/events", MU_GET, get_events, "agent," EVENTS, MU_BODY_NONE, ""},
    {"/v1/openapi.json", MU_GET, mu_get_openapi, "", MU_BODY_NONE, JSON},
    {"/metrics", MU_GET, mu_get_metrics, "", MU_BODY_NONE, ""},
    {"/livez", MU_GET, mu_get_livez, "verbose", MU_BODY_NONE, ""},
    {"/healthz", MU_GET, mu_get_livez, "verbose", MU_BODY_NONE, ""},
    {"/readyz", MU_GET, mu_get_readyz, "verbose", MU_BODY_NONE, ""},
    {"/version", MU_GET, mu_get_version, "", MU_BODY_NONE, JSON},
};
const size_t mu_nroutes = MU_ARRAY_LEN(mu_routes);

static bool path_matches(const char *path, const struct mu_url *url)
{
    for (size_t i = 0; i < url->nsegments; i++) {
        size_t n = *path ? strcspn(path + 1, "/") : 0;

        if (!*path)
            return false;
        if (path[1] != '{' &&
            (strlen(url->segment[i]) != n || strncmp(path + 1, url->segment[i], n) != 0))
            return false;
        path += 1 + n;
    }
    return !*path;
}

/* Sets .route by path and @method, and .allow by the path alone. */
static void find_route(struct mu_req *req, enum mu_method method)
{
    static const char *const names[] = {
        [MU_GET] = "GET, HEAD, ", [MU_PUT] = "PUT, ", [MU_DELETE] = "DELETE, "};

    for (size_t i = 0; i < mu_nroutes; i++) {
        if (!path_matches(mu_routes[i].path, &req->url))
            continue;
        strcat(req->allow, names[mu_routes[i].method]);
        if (mu_routes[i].method == method)
            req->route = &mu_routes[i];
    }
    if (req->allow[0])
        strcat(req->allow, "OPTIONS");
}

static enum mu_method method_of(struct mu_req *req, const char *name)
{
    req->head = strcmp(name, "HEAD") == 0;
    if (req->head || strcmp(name, "GET") == 0)
        return MU_GET;
    if (strcmp(name, "PUT") == 0)
        return MU_PUT;
    if (strcmp(name, "DELETE") == 0)
        return MU_DELETE;
    return strcmp(name, "OPTIONS") == 0 ? MU_OPTIONS : (enum mu_method)0;
}

static enum MHD_Result count_host(void *ctx, enum MHD_ValueKind kind, const char *key,
                                  const char *value)
{
    *(int *)ctx += strcasecmp(key, "Host") == 0;
    return MHD_YES;
}

/* Each of these answers, and returns false, when the request may not go on. */

static bool check_who(struct mu_req *req, const char *version)
{
    const char *host = mu_req_header(req, "Host"), *origin = mu_req_header(req, "Origin");
    char local[64];
    int hosts = 0;

    MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, count_host, &hosts);
    if (hosts > 1 || (hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_1) == 0)) {
        mu_req_problem(req, MU_BAD_HEADER, "there are %d Host headers; send one", hosts);
        return false;
    }
    mu_server_local_address(req, local, sizeof(local));
    if (host && !req->peer->is_unix && !mu_guard_host(host, local, req->http->config.hosts)) {
        mu_req_problem(req, MU_FOREIGN_HOST,
                       "Host \"%.200s\" is not this conductor; use its address, or add the name to "
                       "http_hosts",
                       host);
        return false;
    }
    if (origin && !mu_guard_origin(origin, host ? host : "")) {
        mu_req_problem(req, MU_FOREIGN_ORIGIN, "Origin \"%.200s\" is another site", origin);
        return false;
    }
    return true;
}

static bool check_url(struct mu_req *req)
{
    struct mu_err err = {0};

    switch (mu_url_parse(&req->url, req->raw, &err)) {
    case 0:
        return true;
    case MU_EINVAL:
        mu_req_problem(req, MU_BAD_PATH, "%s", err.text);
        return false;
    case MU_EFULL:
        mu_req_problem(req, MU_URI_TOO_LONG, "%s", err.text);
        return false;
    default:
        mu_req_problem(req, MU_BAD_PARAMETER, "%s", err.text);
        return false;
    }
}

static bool check_route(struct mu_req *req, const char *method)
{
    req->method = method_of(req, method);
    find_route(req, req->method);
    if (req->route) {
        req->allow[0] = '\0';
        return true;
    }
    if (!req->allow[0])
        mu_req_problem(req, MU_NO_SUCH_PATH,
                       "path \"%.200s\" does not exist; see /v1/openapi.json, or docs/api.md",
                       req->raw);
    else if (req->method == MU_OPTIONS)
        mu_req_send(req, 204);
    else
        mu_req_problem(req, MU_NOT_ALLOWED, "%.32s is not a method of this path; %s are", method,
                       req->allow);
    return false;
}

static bool check_params(struct mu_req *req)
{
    for (size_t i = 0; i < req->url.nparams; i++)
        if (!mu_names_have(req->route->params, req->url.param[i].key)) {
            mu_req_problem(
                req, MU_BAD_PARAMETER, "query parameter \"%.100s\" is unknown here; known are: %s",
                req->url.param[i].key, *req->route->params ? req->route->params : "none");
            return false;
        }
    return true;
}

static bool check_type(struct mu_req *req)
{
    if (mu_guard_is_type(mu_req_header(req, "Content-Type"), JSON))
        return true;
    mu_req_problem(req, MU_BAD_MEDIA, "send the body as Content-Type: " JSON);
    return false;
}

static bool check_body(struct mu_req *req)
{
    const char *length = mu_req_header(req, "Content-Length");
    unsigned long long n = length ? strtoull(length, NULL, 10) : 0;
    bool has = n || mu_req_header(req, "Transfer-Encoding");

    if (n > MU_BODY_MAX) {
        mu_req_problem(req, MU_BODY_TOO_LARGE, "body has %llu bytes, at most %d are allowed", n,
                       MU_BODY_MAX);
        return false;
    }
    if (has && req->route->takes == MU_BODY_NONE) {
        mu_req_problem(req, MU_BAD_BODY, "this request takes no body");
        return false;
    }
    if (req->route->takes == MU_BODY_OPTIONAL && n == 0)
        return true; /* whether a chunked one is empty, mu_api_handle() sees */
    return req->route->takes == MU_BODY_NONE || check_type(req);
}

static bool check_accept(struct mu_req *req)
{
    if (!*req->route->type || mu_guard_accepts(mu_req_header(req, "Accept"), req->route->type))
        return true;
    mu_req_problem(req, MU_NOT_ACCEPTABLE, "only %s can be had here", req->route->type);
    return false;
}

void mu_api_admit(struct mu_req *req, const char *method, const char *version)
{
    if (!check_who(req, version))
        return;
    if (strcmp(req->raw, "*") == 0 && strcmp(method, "OPTIONS") == 0) {
        strcpy(req->allow, "GET, HEAD, PUT, DELETE, OPTIONS");
        mu_req_send(req, 204);
        return;
    }
    if (!check_url(req) || !check_route(req, method) || !check_params(req) || !check_accept(req) ||
        !check_body(req))
        return;
    if (req->http->closing)
        mu_req_problem(req, MU_DRAINING, "the conductor is stopping; repeat it in a moment");
}

void mu_api_handle(struct mu_req *req)
{
    if (req->body_seen > MU_BODY_MAX)
        mu_req_problem(req, MU_BODY_TOO_LARGE, "body has %zu bytes or more, at most %d are allowed",
                       req->body_seen, MU_BODY_MAX);
    else if (req->body.failed)
        mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory for the body");
    else if (!req->body_seen || check_type(req))
        req->route->handle(req);
}

bool mu_param_number(struct mu_req *req, const char *key, uint64_t min, uint64_t max, uint64_t *out)
{
    const char *text = mu_url_param(&req->url, key);
    size_t n = text ? strlen(text) : 0;
    unsigned long long value;

    if (!text)
        return true;
    value = strtoull(text, NULL, 10);
    if (!n || n > 19 || strspn(text, "0123456789") != n || value < min || value > max) {
        mu_req_problem(req, MU_BAD_PARAMETER, "%s=%.40s is not a whole number from %llu to %llu",
                       key, text, (unsigned long long)min, (unsigned long long)max);
        return false;
    }
    *out = value;
    return true;
}
