#include "http/request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/stat.h"
#include "http/server.h"

#define OUT_MAX ((size_t)8 << 20) /* 1,000 agents with the longest of everything are below it */

static const struct {
    unsigned status;
    const char *name, *title;
} problems[] = {
#define PROBLEM(id, status, name, title) {status, name, title},
    MU_PROBLEMS(PROBLEM)
#undef PROBLEM
};

struct mu_req *mu_req_new(struct mu_http *http, const char *raw)
{
    struct mu_req *req = mu_alloc(sizeof(*req));

    if (!req)
        return NULL;
    mu_list_init(&req->link);
    req->http = http;
    req->raw = mu_strdup(raw);
    mu_buf_init(&req->body, MU_BODY_MAX);
    mu_buf_init(&req->out, OUT_MAX);
    mu_buf_init(&req->link_header, 3 * MU_URL_MAX);
    mu_buf_init(&req->location, 3 * MU_URL_MAX);
    if (!req->raw) {
        mu_req_free(req);
        return NULL;
    }
    return req;
}

void mu_req_free(struct mu_req *req)
{
    if (!req)
        return;
    mu_list_remove(&req->link);
    mu_free(req->raw);
    mu_buf_fini(&req->body);
    mu_buf_fini(&req->out);
    mu_buf_fini(&req->link_header);
    mu_buf_fini(&req->location);
    mu_free(req);
}

const char *mu_req_header(const struct mu_req *req, const char *name)
{
    return MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name);
}

void mu_req_json(struct mu_req *req, struct mu_json *json)
{
    mu_buf_reset(&req->out);
    req->type = "application/json";
    mu_json_init(json, &req->out);
}

void mu_req_send(struct mu_req *req, unsigned status)
{
    assert(req->state == MU_REQ_READING || req->state == MU_REQ_WAITING);
    if (status)
        req->status = status;
    if (req->out.failed && req->status < 500) { /* a problem is small enough for any bound */
        mu_req_problem(req, req->out.failed == MU_ENOMEM ? MU_OUT_OF_MEMORY : MU_INTERNAL,
                       "the answer could not be made: %s", muster_strerror(req->out.failed));
        return;
    }
    req->state = MU_REQ_ANSWERED;
    req->gone = NULL;
    req->job = NULL;
    mu_server_answered(req); /* last: may run others */
}

void mu_req_text(struct mu_req *req, unsigned status, const char *text)
{
    mu_buf_reset(&req->out);
    req->type = "text/plain; charset=utf-8";
    mu_buf_puts(&req->out, text);
    mu_req_send(req, status);
}

static void open_problem(struct mu_req *req, struct mu_json *json, enum mu_problem problem,
                         const char *detail)
{
    char type[96];

    snprintf(type, sizeof(type), MU_PROBLEM_URN "%s", problems[problem].name);
    mu_req_json(req, json);
    req->type = "application/problem+json";
    req->status = problems[problem].status;
    if (req->status == 503 && !req->retry_after[0])
        strcpy(req->retry_after, "1");
    mu_stat_add(MU_STAT_HTTP_ERRORS, 1);
    mu_json_object(json, NULL);
    mu_json_text(json, "type", type);
    mu_json_text(json, "title", problems[problem].title);
    mu_json_uint(json, "status", req->status);
    mu_json_text(json, "detail", detail);
}

void mu_req_problem_open(struct mu_req *req, struct mu_json *json, enum mu_problem problem,
                         const char *fmt, ...)
{
    char detail[MU_ERR_TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    open_problem(req, json, problem, detail);
}

void mu_req_problem(struct mu_req *req, enum mu_problem problem, const char *fmt, ...)
{
    char detail[MU_ERR_TEXT_MAX];
    struct mu_json json;
    va_list args;

    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    open_problem(req, &json, problem, detail);
    mu_json_end(&json);
    mu_req_send(req, 0);
}

void mu_req_wait(struct mu_req *req, void (*gone)(struct mu_req *req), void *job)
{
    req->state = MU_REQ_WAITING;
    req->gone = gone;
    req->job = job;
}
