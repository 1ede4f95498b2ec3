#include <string.h>

#include "agent/inner.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/utf8.h"

static int check(const struct mu_session_agent *agent)
{
    size_t payload = agent->payload ? strlen(agent->payload) : 0;
    int rv;

    if (!agent->binary || !agent->host || agent->nlabels > MU_LABELS_MAX)
        return MU_EINVAL;
    rv = mu_name_check(agent->binary, strlen(agent->binary), 1, NULL);
    if (!rv)
        rv = mu_name_check(agent->host, strlen(agent->host), 0, NULL);
    if (!rv && agent->zone)
        rv = mu_text_check(agent->zone, strlen(agent->zone), MU_TEXT_MAX, "zone", NULL);
    if (!rv && agent->version)
        rv = mu_text_check(agent->version, strlen(agent->version), MU_TEXT_MAX, "version", NULL);
    for (size_t i = 0; !rv && i < agent->nlabels; i++) {
        const struct mu_session_label *l = &agent->labels[i];
        rv = mu_text_check(l->key, strlen(l->key), MU_TEXT_MAX, "label", NULL);
        if (!rv)
            rv = mu_text_check(l->value, strlen(l->value), MU_TEXT_MAX, "label", NULL);
        for (size_t j = 0; !rv && j < i; j++)
            if (strcmp(l->key, agent->labels[j].key) == 0)
                rv = MU_EINVAL; /* the codec would be right to refuse it */
    }
    if (rv)
        return rv;
    if (payload > MU_PAYLOAD_MAX || (payload && !mu_utf8_valid(agent->payload, payload)))
        return MU_EINVAL;
    return agent->interval < 0 || agent->interval > MU_SESSION_INTERVAL_MAX ? MU_ERANGE : 0;
}

/* Appends @text at @at, or only counts where @at is NULL. */
static size_t pack(char *at, size_t n, const char *text)
{
    size_t len = text ? strlen(text) : 0;

    if (at && len)
        memcpy(at + n, text, len);
    return n + len + 1; /* the block is zeroed */
}

static size_t pack_all(char *at, const struct mu_session_agent *agent)
{
    size_t n = 0;

    n = pack(at, n, agent->binary);
    n = pack(at, n, agent->host);
    n = pack(at, n, agent->zone);
    n = pack(at, n, agent->version);
    for (size_t i = 0; i < agent->nlabels; i++) {
        n = pack(at, n, agent->labels[i].key);
        n = pack(at, n, agent->labels[i].value);
    }
    return n;
}

int member_init(struct member *m, const struct mu_session_agent *agent)
{
    int rv = check(agent);

    if (rv)
        return rv;
    memset(m, 0, sizeof(*m));
    m->texts = mu_alloc(pack_all(NULL, agent));
    if (!m->texts)
        return MU_ENOMEM;
    if (agent->payload && *agent->payload) {
        m->payload_n = (uint32_t)strlen(agent->payload);
        m->payload = mu_strdup(agent->payload);
        if (!m->payload) {
            mu_free(m->texts);
            return MU_ENOMEM;
        }
    }
    pack_all(m->texts, agent);
    m->nlabels = (uint8_t)agent->nlabels;
    m->wanted = agent->interval;
    m->manual = agent->manual;
    m->bundle = m->next = MU_NONE;
    return 0;
}

void member_fini(struct member *m)
{
    mu_free(m->texts);
    mu_free(m->payload);
    m->texts = m->payload = NULL;
}

static const char *unpack(const char *at, struct mu_bytes *out)
{
    out->p = at;
    out->n = strlen(at);
    return at + out->n + 1;
}

void member_describe(const struct member *m, struct mu_join_agent *out)
{
    const char *at = m->texts;

    memset(out, 0, sizeof(*out));
    at = unpack(at, &out->binary);
    at = unpack(at, &out->host);
    at = unpack(at, &out->zone);
    at = unpack(at, &out->version);
    for (out->nlabels = 0; out->nlabels < m->nlabels; out->nlabels++) {
        at = unpack(at, &out->labels[out->nlabels].key);
        at = unpack(at, &out->labels[out->nlabels].value);
    }
    out->has_uuid = m->has_uuid;
    memcpy(out->uuid, m->uuid, sizeof(out->uuid));
    out->interval_ms = (uint32_t)((m->wanted + MU_MS - 1) / MU_MS);
    out->payload = (struct mu_bytes){m->payload, m->payload_n};
}

/* All changes of a member's state, so that the counters are right. */
void member_set_state(struct mu_session *s, struct member *m, enum member_state state)
{
    s->nwants += (state == MEMBER_WANTS) - (m->state == MEMBER_WANTS);
    s->njoining += (state == MEMBER_JOINING) - (m->state == MEMBER_JOINING);
    s->nlive += (state == MEMBER_LIVE) - (m->state == MEMBER_LIVE);
    m->state = (uint8_t)state;
}

void member_set_ask(struct mu_session *s, struct ask *ask, enum ask_state state)
{
    s->nasks += (state != ASK_NONE) - (ask->state != ASK_NONE);
    ask->state = (uint8_t)state;
}

void member_stop(struct mu_session *s, uint32_t id, enum member_state state)
{
    struct member *m = &s->members[id];

    beats_leave(s, id);
    member_set_ask(s, &m->report, ASK_NONE);
    member_set_ask(s, &m->end, ASK_NONE);
    member_set_state(s, m, state);
}

void member_want_join(struct mu_session *s, struct member *m, mu_time at)
{
    beats_leave(s, (uint32_t)(m - s->members));
    member_set_state(s, m, MEMBER_WANTS);
    m->retry_at = at;
    if (m->report.state == ASK_SENT)
        m->report.state = ASK_WAITS;
    if (m->end.state == ASK_SENT)
        m->end.state = ASK_WAITS;
}
