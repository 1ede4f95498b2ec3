/* One agent. Happy path of a write: the conductor takes it, the request waits, op_done answers it
 * after the commit. Ways to fail: at once, by the conductor's word; by op_done after 2 s; and a
 * client that goes away, whom op_gone has forgotten while the write goes on. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "base/rng.h"
#include "conductor/payload.h"
#include "http/body.h"
#include "http/feed.h"
#include "http/handlers.h"
#include "http/view.h"

#define REASON_MAX   255
#define INTERVAL_MIN (100 * MU_MS)

static struct mu_conductor *conductor_of(struct mu_req *req)
{
    return req->http->config.conductor;
}

/* The slot of the agent that the path names; MU_NO_SLOT when there is none, or the path names none,
 * which has been answered. */
static uint32_t find(struct mu_req *req)
{
    const struct mu_roster *roster = mu_conductor_roster(conductor_of(req));
    const char *text = req->url.segment[2];
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];
    uint32_t slot = MU_NO_SLOT;
    struct mu_err err = {0};
    uint8_t uuid[16];

    if (!strchr(text, '@') && mu_uuid_parse(text, uuid) == 0) {
        slot = mu_roster_find_uuid(roster, uuid);
    } else if (mu_name_parse(text, binary, host, &err)) {
        mu_req_problem(req, MU_BAD_PATH,
                       "path segment 3, \"%.520s\", is neither BINARY@HOST nor a UUID: %s", text,
                       err.text);
        return MU_NO_SLOT;
    } else {
        slot = mu_roster_find(roster, binary, host);
    }
    if (slot == MU_NO_SLOT)
        mu_req_problem(req, MU_NO_SUCH_AGENT, "no agent \"%.520s\" is known", text);
    return slot;
}

static void view_of(struct mu_req *req, uint32_t slot, struct mu_view *view)
{
    mu_roster_view(mu_conductor_roster(conductor_of(req)), slot, mu_clock_now(), view);
}

static void answer_agent(struct mu_req *req, uint32_t slot, unsigned status)
{
    struct mu_view view;
    struct mu_json json;

    view_of(req, slot, &view);
    mu_view_etag(&view, req->etag);
    mu_req_json(req, &json);
    mu_view_agent(&json, NULL, &view, mu_clock_wall());
    mu_req_send(req, status);
}

void mu_get_agent(struct mu_req *req)
{
    uint32_t slot = find(req);

    if (slot != MU_NO_SLOT)
        answer_agent(req, slot, 200);
}

void mu_get_explain(struct mu_req *req)
{
    uint32_t slot = find(req);
    struct mu_explanation *why;
    struct mu_json json;
    mu_wall wall = mu_clock_wall();

    if (slot == MU_NO_SLOT)
        return;
    why = mu_alloc(sizeof(*why));
    if (!why) {
        mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory for the explanation");
        return;
    }
    mu_explain(conductor_of(req), slot, mu_clock_now(), wall, why);
    mu_req_json(req, &json);
    mu_view_explanation(&json, why, wall);
    mu_free(why);
    mu_req_send(req, 200);
}

void mu_get_agent_events(struct mu_req *req)
{
    uint32_t slot = find(req);
    char name[MU_NAME_TEXT];
    struct mu_view view;

    if (slot == MU_NO_SLOT)
        return;
    view_of(req, slot, &view);
    snprintf(name, sizeof(name), "%s@%s", view.row.ident->binary, view.row.ident->host);
    mu_feed_events(req, name);
}

/* ---- payload ---- */

/* A read of the store; .req is NULL when its client is gone. */
struct read {
    struct mu_req *req;
};

static void read_gone(struct mu_req *req)
{
    ((struct read *)req->job)->req = NULL;
}

/* It was JSON when it was stored. */
static int check(const char *json)
{
    int rv = mu_payload_check(json, strlen(json));

    return rv == MU_EINVAL ? MU_ECORRUPT : rv;
}

static void read_done(void *ctx, int rv, const char *json, const struct mu_err *err)
{
    struct read *read = ctx;
    struct mu_req *req = read->req;
    struct mu_json out;

    mu_free(read);
    if (!req)
        return;
    if (!rv && json && *json)
        rv = check(json);
    if (rv == MU_EAGAIN) {
        mu_req_problem(req, MU_STORE_AWAY, "the store does not answer: %s; repeat it later",
                       err ? err->text : "");
    } else if (rv) {
        mu_req_problem(req, MU_INTERNAL, "the payload could not be read: %s",
                       err ? err->text : muster_strerror(rv));
    } else if (!json || !*json) {
        mu_req_problem(req, MU_NO_PAYLOAD, "\"%.520s\" has reported no payload",
                       req->url.segment[2]);
    } else {
        mu_req_json(req, &out);
        mu_json_raw(&out, NULL, json);
        mu_req_send(req, 200);
    }
}

void mu_get_payload(struct mu_req *req)
{
    uint32_t slot = find(req);
    struct read *read;
    struct mu_view view;
    int rv;

    if (slot == MU_NO_SLOT)
        return;
    view_of(req, slot, &view);
    if (!view.payload_len) {
        mu_req_problem(req, MU_NO_PAYLOAD, "\"%.520s\" has reported no payload",
                       req->url.segment[2]);
        return;
    }
    read = mu_alloc(sizeof(*read));
    if (!read) {
        mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory to read the payload");
        return;
    }
    read->req = req;
    rv = mu_store_payload(req->http->config.store, view.row.id, read_done, read);
    if (!rv) {
        mu_req_wait(req, read_gone, read);
        return;
    }
    mu_free(read);
    mu_req_problem(req, rv == MU_ENOMEM ? MU_OUT_OF_MEMORY : MU_STORE_AWAY,
                   "the payload cannot be read now: %s; repeat it later", muster_strerror(rv));
}

/* ---- writes ---- */

static void op_failed(struct mu_req *req, int rv)
{
    const char *name = req->url.segment[2];

    switch (rv) {
    case MU_ENOENT:
        mu_req_problem(req, MU_NO_SUCH_AGENT, "no agent \"%.520s\" is known", name);
        break;
    case MU_EBUSY:
        strcpy(req->retry_after, "1");
        mu_req_problem(req, MU_WRITE_PENDING,
                       "another write of \"%.520s\" waits for the store; repeat it in a moment",
                       name);
        break;
    case MU_ECONFLICT:
        mu_req_problem(req, MU_CHANGED, "\"%.520s\" was changed meanwhile; read it again", name);
        break;
    case MU_EAGAIN:
        mu_req_problem(req, MU_STORE_AWAY,
                       "the store does not answer, so nothing about \"%.520s\" "
                       "can be changed; repeat it later",
                       name);
        break;
    case MU_ETIMEDOUT:
        mu_req_problem(req, MU_UNKNOWN_OUTCOME,
                       "the store has not answered in time: whether "
                       "\"%.520s\" is changed is unknown; it is safe to repeat this",
                       name);
        break;
    case MU_EFULL:
        strcpy(req->retry_after, "60");
        mu_req_problem(req, MU_FULL, "\"%.520s\" cannot be taken in: max_agents is reached", name);
        break;
    case MU_EINVAL:
    case MU_ERANGE:
        mu_req_problem(req, MU_BAD_PARAMETER, "\"%.520s\": %s", name, muster_strerror(rv));
        break;
    case MU_ENOMEM:
        mu_req_problem(req, MU_OUT_OF_MEMORY, "no memory to change \"%.520s\"", name);
        break;
    default:
        mu_req_problem(req, MU_INTERNAL, "\"%.520s\": %s", name, muster_strerror(rv));
    }
}

static void op_done(void *ctx, int rv, uint32_t slot)
{
    struct mu_req *req = ctx;

    if (rv)
        op_failed(req, rv);
    else if (slot == MU_NO_SLOT)
        mu_req_send(req, 204);
    else
        answer_agent(req, slot, req->creates ? 201 : 200);
}

static void op_gone(struct mu_req *req)
{
    mu_conductor_forget_op(conductor_of(req), op_done, req);
}

/* After the conductor took the write, or did not: @rv. */
static void op_begun(struct mu_req *req, int rv)
{
    if (rv) {
        op_failed(req, rv);
    } else if (req->state == MU_REQ_READING) { /* op_done has not run yet */
        req->writes = true;
        mu_req_wait(req, op_gone, NULL);
    }
}

/* Whether If-Match allows a write of @view; *@revision is what the conductor shall insist on. Where
 * not, the request has its answer. */
static bool if_match(struct mu_req *req, const struct mu_view *view, uint32_t *revision)
{
    const char *tags = mu_req_header(req, "If-Match");
    char etag[MU_ETAG_TEXT];
    struct mu_json json;

    *revision = MU_ANY_REVISION;
    if (!tags || strcmp(tags, "*") == 0)
        return true;
    *revision = view->row.revision;
    mu_view_etag(view, etag);
    if (!strchr(tags, '"')) {
        mu_req_problem(req, MU_BAD_HEADER,
                       "If-Match \"%.100s\" is not an ETag; send one with its quotes, as in %s",
                       tags, etag);
        return false;
    }
    for (const char *at = strstr(tags, etag); at; at = strstr(at + 1, etag))
        if (at < tags + 2 || strncmp(at - 2, "W/", 2) != 0) /* a weak tag never matches */
            return true;
    strcpy(req->etag, etag);
    mu_req_problem_open(req, &json, MU_CHANGED, "\"%.520s\" is %s now, not %.200s; read it again",
                        req->url.segment[2], etag, tags);
    mu_json_text(&json, "etag", etag);
    mu_json_end(&json);
    mu_req_send(req, 0);
    return false;
}

static void write_op(struct mu_req *req, enum mu_op op, const char *reason)
{
    uint32_t slot = find(req), revision;
    struct mu_view view;

    if (slot == MU_NO_SLOT)
        return;
    view_of(req, slot, &view);
    if (if_match(req, &view, &revision))
        op_begun(req, mu_conductor_write(conductor_of(req), slot, op, reason, revision,
                                         mu_clock_now(), op_done, req));
}

/* Reads the body, and its "reason" into @reason. NULL = it has been answered. */
static json_t *read_body(struct mu_req *req, const char *keys, char reason[REASON_MAX + 1])
{
    struct mu_err err = {0};
    json_t *body, *text;

    *reason = '\0';
    if (mu_body_parse(req->body.data, req->body.len, keys, &body, &err)) {
        mu_req_problem(req, MU_BAD_BODY, "%s", err.text);
        return NULL;
    }
    text = json_object_get(body, "reason");
    if (!text || json_is_null(text))
        return body;
    if (!json_is_string(text))
        mu_req_problem(req, MU_BAD_BODY, "\"reason\" is not a string");
    else if (mu_text_check(json_string_value(text), json_string_length(text), REASON_MAX, "reason",
                           &err))
        mu_req_problem(req, MU_BAD_BODY, "%s", err.text);
    else {
        memcpy(reason, json_string_value(text), json_string_length(text) + 1);
        return body;
    }
    json_decref(body);
    return NULL;
}

void mu_put_status(struct mu_req *req)
{
    char reason[REASON_MAX + 1];
    json_t *body = read_body(req, "status,reason", reason);
    const char *status = body ? json_string_value(json_object_get(body, "status")) : NULL;

    if (!body)
        return;
    if (status && strcmp(status, "disabled") == 0)
        write_op(req, MU_OP_DISABLE, reason);
    else if (!status || strcmp(status, "enabled") != 0)
        mu_req_problem(req, MU_BAD_BODY, "\"status\" must be \"enabled\" or \"disabled\"");
    else if (*reason)
        mu_req_problem(req, MU_BAD_BODY, "\"reason\" goes with \"disabled\" only");
    else
        write_op(req, MU_OP_ENABLE, "");
    json_decref(body);
}

void mu_put_forced_down(struct mu_req *req)
{
    char reason[REASON_MAX + 1];
    json_t *body = read_body(req, "forced_down,reason", reason), *forced;

    if (!body)
        return;
    forced = json_object_get(body, "forced_down");
    if (json_is_true(forced))
        write_op(req, MU_OP_FORCE_DOWN, reason);
    else if (!json_is_false(forced))
        mu_req_problem(req, MU_BAD_BODY, "\"forced_down\" must be true or false");
    else if (*reason)
        mu_req_problem(req, MU_BAD_BODY, "\"reason\" goes with true only");
    else
        write_op(req, MU_OP_UNFORCE, "");
    json_decref(body);
}

void mu_delete_agent(struct mu_req *req)
{
    write_op(req, MU_OP_DELETE, "");
}

/* ---- beats ---- */

/* The name to beat for: from the path, or of the agent with the UUID there. */
static bool beat_name(struct mu_req *req, char *binary, char *host)
{
    const char *text = req->url.segment[2];
    struct mu_err err = {0};
    struct mu_view view;
    uint32_t slot;

    if (strchr(text, '@')) {
        if (mu_name_parse(text, binary, host, &err) == 0)
            return true;
        mu_req_problem(req, MU_BAD_PATH, "path segment 3, \"%.520s\", is not BINARY@HOST: %s", text,
                       err.text);
        return false;
    }
    slot = find(req);
    if (slot == MU_NO_SLOT)
        return false;
    view_of(req, slot, &view);
    strcpy(binary, view.row.ident->binary);
    strcpy(host, view.row.ident->host);
    return true;
}

static bool beat_interval(struct mu_req *req, mu_dur *interval)
{
    const char *text = mu_url_param(&req->url, "interval");

    *interval = 0;
    if (!text)
        return true;
    if (mu_dur_parse(text, interval) == 0 && *interval >= INTERVAL_MIN &&
        *interval <= MU_HTTP_INTERVAL_MAX)
        return true;
    mu_req_problem(req, MU_BAD_PARAMETER,
                   "interval=%.40s is not a time from 100ms to 7d, as in 60s or 5m", text);
    return false;
}

void mu_put_beat(struct mu_req *req)
{
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1], reason[REASON_MAX + 1];
    struct mu_conductor *conductor = conductor_of(req);
    mu_dur interval;
    json_t *body;

    if (req->body.len) {
        body = read_body(req, "", reason);
        if (!body)
            return;
        json_decref(body);
    }
    if (!beat_name(req, binary, host) || !beat_interval(req, &interval))
        return;
    req->creates = mu_roster_find(mu_conductor_roster(conductor), binary, host) == MU_NO_SLOT;
    op_begun(req, mu_conductor_http_beat(conductor, binary, host, interval, mu_clock_now(), op_done,
                                         req));
}
