/* A store that keeps nothing beyond its process, for tests and tries: the contract in the fewest
 * words.
 *
 * A commit copies all it needs first and changes the tables afterwards, where nothing can fail:
 * that makes it a transaction. */
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "store/drivers.h"

struct payload {
    uint32_t len;
    char json[];
};

/* An agent, its strings behind it. */
struct agent {
    struct mu_row row;
    struct mu_who who;
    struct payload *payload; /* NULL = none */
    char text[];
};

struct event {
    struct mu_event_row row;
    char text[];
};

/* Pointers, ascending by id or number. */
struct table {
    void **at;
    size_t n, cap;
    uint64_t (*key)(const void *item);
};

struct memory {
    struct table agents, events;
    uint64_t event_limit;
    uint32_t next_row;
};

/* ---- tables ---- */

static uint64_t agent_key(const void *item)
{
    return ((const struct agent *)item)->row.id;
}

static uint64_t event_key(const void *item)
{
    return ((const struct event *)item)->row.seq;
}

/* The place of the first item whose key is at least @key. */
static size_t find(const struct table *table, uint64_t key)
{
    size_t low = 0, high = table->n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (table->key(table->at[mid]) < key)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void *get(const struct table *table, uint64_t key)
{
    size_t i = find(table, key);

    return i < table->n && table->key(table->at[i]) == key ? table->at[i] : NULL;
}

static int reserve(struct table *table, size_t more)
{
    size_t cap = table->cap ? table->cap : 64;

    while (cap < table->n + more)
        cap *= 2;
    if (cap == table->cap)
        return 0;
    void *at = mu_realloc(table->at, cap, sizeof(*table->at));
    if (!at)
        return MU_ENOMEM;
    table->at = at;
    table->cap = cap;
    return 0;
}

/* Room was reserved, and the key is not there. */
static void put(struct table *table, void *item)
{
    size_t i = find(table, table->key(item));

    memmove(table->at + i + 1, table->at + i, (table->n - i) * sizeof(*table->at));
    table->at[i] = item;
    table->n++;
}

static void drop(struct table *table, size_t i, size_t n)
{
    memmove(table->at + i, table->at + i + n, (table->n - i - n) * sizeof(*table->at));
    table->n -= n;
}

/* ---- copies ---- */

static const char *keep(char **p, const char *text)
{
    size_t n = strlen(text) + 1;
    char *at = memcpy(*p, text, n);

    *p += n;
    return at;
}

static struct agent *copy_row(const struct mu_row *row)
{
    const struct mu_ident *who = row->ident;
    struct agent *agent = mu_alloc(sizeof(*agent) + strlen(who->binary) + strlen(who->host) +
                                   strlen(row->zone) + strlen(row->labels) + strlen(row->version) +
                                   strlen(row->disabled_reason) + strlen(row->forced_reason) + 7);

    if (!agent)
        return NULL;
    char *p = agent->text;
    agent->row = *row;
    agent->who = (struct mu_who){.binary = keep(&p, who->binary), .host = keep(&p, who->host)};
    memcpy(agent->who.uuid, who->uuid, sizeof(who->uuid));
    agent->row.ident = NULL;
    agent->row.zone = keep(&p, row->zone);
    agent->row.labels = keep(&p, row->labels);
    agent->row.version = keep(&p, row->version);
    agent->row.disabled_reason = keep(&p, row->disabled_reason);
    agent->row.forced_reason = keep(&p, row->forced_reason);
    return agent;
}

static struct event *copy_event(const struct mu_event *from)
{
    struct mu_event_scratch scratch;
    struct mu_event_row words;

    mu_event_words(from, &scratch, &words);
    struct event *event = mu_alloc(sizeof(*event) + strlen(words.kind) + strlen(words.from) +
                                   strlen(words.to) + strlen(words.reason) + strlen(words.agent) +
                                   strlen(words.uuid) + strlen(words.detail) + 7);
    if (!event)
        return NULL;
    char *p = event->text;
    event->row = (struct mu_event_row){.seq = words.seq,
                                       .at = words.at,
                                       .kind = keep(&p, words.kind),
                                       .from = keep(&p, words.from),
                                       .to = keep(&p, words.to),
                                       .reason = keep(&p, words.reason),
                                       .agent = keep(&p, words.agent),
                                       .uuid = keep(&p, words.uuid),
                                       .detail = keep(&p, words.detail)};
    return event;
}

static struct payload *copy_payload(const struct mu_payload *from)
{
    struct payload *payload = mu_alloc(sizeof(*payload) + from->len + 1);

    if (payload) {
        payload->len = from->len;
        memcpy(payload->json, from->json, from->len);
    }
    return payload;
}

/* What a commit is about to change, copied. */
struct copies {
    struct agent **agents;
    struct event **events;
    struct payload **payloads;
};

static void copies_free(struct copies *copies, const struct mu_batch *batch)
{
    for (size_t i = 0; copies->agents && i < batch->nrows; i++)
        mu_free(copies->agents[i]);
    for (size_t i = 0; copies->events && i < batch->nevents; i++)
        mu_free(copies->events[i]);
    for (size_t i = 0; copies->payloads && i < batch->npayloads; i++)
        mu_free(copies->payloads[i]);
    mu_free(copies->agents);
    mu_free(copies->events);
    mu_free(copies->payloads);
}

/* One more each, since a batch may have none. */
static int copies_make(struct copies *copies, const struct mu_batch *batch)
{
    copies->agents = mu_calloc(batch->nrows + 1, sizeof(*copies->agents));
    copies->events = mu_calloc(batch->nevents + 1, sizeof(*copies->events));
    copies->payloads = mu_calloc(batch->npayloads + 1, sizeof(*copies->payloads));
    if (!copies->agents || !copies->events || !copies->payloads)
        return MU_ENOMEM;
    for (size_t i = 0; i < batch->nrows; i++)
        if (!(copies->agents[i] = copy_row(&batch->rows[i])))
            return MU_ENOMEM;
    for (size_t i = 0; i < batch->nevents; i++)
        if (!(copies->events[i] = copy_event(&batch->events[i])))
            return MU_ENOMEM;
    for (size_t i = 0; i < batch->npayloads; i++)
        if (!(copies->payloads[i] = copy_payload(&batch->payloads[i])))
            return MU_ENOMEM;
    return 0;
}

/* ---- the driver ---- */

static int open_(void *st, const struct mu_addr *addr, bool may_migrate, struct mu_boot *boot,
                 struct mu_err *err)
{
    struct memory *memory = st;

    if (*addr->path)
        return mu_err_set(err, MU_EINVAL, "'%s' follows memory:, and nothing may", addr->path);
    if (!boot)
        return 0; /* the same life: all is still here */
    memory->agents.key = agent_key;
    memory->events.key = event_key;
    memory->event_limit = 1 + MU_STORE_GRANT;
    memory->next_row = 1;
    *boot = (struct mu_boot){.epoch = 1, .seq = 1, .seq_end = memory->event_limit, .row = 1};
    return mu_rng_secret(&boot->fleet, sizeof(boot->fleet)) ? MU_EIO : 0;
}

static void agent_free(struct agent *agent)
{
    if (agent)
        mu_free(agent->payload);
    mu_free(agent);
}

static void close_(void *st)
{
    struct memory *memory = st;

    for (size_t i = 0; i < memory->agents.n; i++)
        agent_free(memory->agents.at[i]);
    for (size_t i = 0; i < memory->events.n; i++)
        mu_free(memory->events.at[i]);
    mu_free(memory->agents.at);
    mu_free(memory->events.at);
}

static int load(void *st, mu_store_row_fn each, void *ctx, struct mu_err *err)
{
    struct memory *memory = st;
    int rv = 0;

    for (size_t i = 0; i < memory->agents.n && !rv; i++) {
        struct agent *agent = memory->agents.at[i];
        struct mu_payload payload = {.row = agent->row.id};
        if (agent->payload)
            payload.len = agent->payload->len;
        rv = each(ctx, &agent->who, &agent->row, &payload);
    }
    return rv;
}

static void delete_row(struct memory *memory, uint32_t id)
{
    size_t i = find(&memory->agents, id);

    if (i < memory->agents.n && agent_key(memory->agents.at[i]) == id) {
        agent_free(memory->agents.at[i]);
        drop(&memory->agents, i, 1);
    }
}

static void put_agent(struct memory *memory, struct agent *agent)
{
    uint32_t id = agent->row.id;
    size_t i = find(&memory->agents, id);

    if (i < memory->agents.n && agent_key(memory->agents.at[i]) == id) {
        struct agent *old = memory->agents.at[i];
        agent->payload = old->payload;
        mu_free(old);
        memory->agents.at[i] = agent;
        return;
    }
    put(&memory->agents, agent);
    if (id >= memory->next_row)
        memory->next_row = id + 1;
}

static void judge(struct memory *memory, const struct mu_verdict *verdict)
{
    struct agent *agent = get(&memory->agents, verdict->row);

    if (!agent)
        return;
    agent->row.state = verdict->state;
    agent->row.state_reason = verdict->reason;
    agent->row.state_since = verdict->since;
    agent->row.last_seen = verdict->last_seen;
    agent->row.report_count = verdict->report_count;
}

/* Takes over every copy that is used; what is left in @copies is freed with it. */
static void apply(struct memory *memory, const struct mu_batch *batch, struct copies *copies)
{
    for (size_t i = 0; i < batch->ndeletes; i++)
        delete_row(memory, batch->deletes[i]);
    for (size_t i = 0; i < batch->nrows; i++) {
        put_agent(memory, copies->agents[i]);
        copies->agents[i] = NULL;
    }
    for (size_t i = 0; i < batch->nverdicts; i++)
        judge(memory, &batch->verdicts[i]);
    for (size_t i = 0; i < batch->nevents; i++) {
        if (get(&memory->events, batch->events[i].seq))
            continue;
        put(&memory->events, copies->events[i]);
        copies->events[i] = NULL;
    }
    for (size_t i = 0; i < batch->npayloads; i++) {
        struct agent *agent = get(&memory->agents, batch->payloads[i].row);
        if (!agent)
            continue;
        mu_free(agent->payload);
        agent->payload = copies->payloads[i];
        copies->payloads[i] = NULL;
    }
    if (batch->grant > memory->event_limit)
        memory->event_limit = batch->grant;
}

static int commit(void *st, const struct mu_batch *batch, struct mu_err *err)
{
    struct memory *memory = st;
    struct copies copies = {0};
    int rv = copies_make(&copies, batch);

    if (!rv)
        rv = reserve(&memory->agents, batch->nrows);
    if (!rv)
        rv = reserve(&memory->events, batch->nevents);
    if (!rv)
        apply(memory, batch, &copies);
    copies_free(&copies, batch);
    return rv ? mu_err_set(err, rv, "out of memory") : 0;
}

static int checkpoint(void *st, const struct mu_beat_row *beats, size_t n, struct mu_err *err)
{
    struct memory *memory = st;

    for (size_t i = 0; i < n; i++) {
        struct agent *agent = get(&memory->agents, beats[i].row);
        if (agent) {
            agent->row.last_seen = beats[i].last_seen;
            agent->row.report_count = beats[i].report_count;
        }
    }
    return 0;
}

static bool wanted(const struct mu_event_query *query, const struct mu_event_row *event)
{
    return (!*query->agent || strcmp(query->agent, event->agent) == 0) &&
           (!*query->kind || strcmp(query->kind, event->kind) == 0);
}

/* The place of the first event of the newest @limit. */
static size_t newest_from(const struct table *events, const struct mu_event_query *query,
                          size_t from)
{
    uint32_t left = query->limit;
    size_t i = events->n;

    while (i > from && left > 0)
        left -= wanted(query, &((struct event *)events->at[--i])->row);
    return i;
}

static int events(void *st, const struct mu_event_query *query, struct mu_event_span *span,
                  mu_store_event_fn each, void *ctx, struct mu_err *err)
{
    const struct table *table = &((struct memory *)st)->events;
    size_t i = query->since == UINT64_MAX ? table->n : find(table, query->since + 1);
    uint32_t left = query->limit;
    int rv = 0;

    span->oldest = table->n ? event_key(table->at[0]) : 0;
    span->newest = table->n ? event_key(table->at[table->n - 1]) : 0;
    if (query->newest)
        i = newest_from(table, query, i);
    for (; i < table->n && left > 0 && !rv; i++) {
        struct event *event = table->at[i];
        if (wanted(query, &event->row)) {
            left--;
            rv = each(ctx, &event->row);
        }
    }
    return rv;
}

static int payload(void *st, uint32_t row, struct mu_buf *json, struct mu_err *err)
{
    const struct agent *agent = get(&((struct memory *)st)->agents, row);

    if (agent && agent->payload)
        mu_buf_put(json, agent->payload->json, agent->payload->len);
    return json->failed ? mu_err_set(err, json->failed, "out of memory") : 0;
}

static int trim(void *st, const struct mu_trim *which, bool *more, struct mu_err *err)
{
    struct table *table = &((struct memory *)st)->events;
    size_t excess = which->keep && table->n > which->keep ? table->n - (size_t)which->keep : 0,
           n = 0;

    while (n < table->n && n < which->slice &&
           (n < excess || ((struct event *)table->at[n])->row.at < which->before))
        mu_free(table->at[n++]);
    drop(table, 0, n);
    *more = n == which->slice;
    return 0;
}

static int nothing_kept(struct mu_err *err)
{
    return mu_err_set(err, MU_ENOTSUP, "it keeps nothing outside its conductor");
}

static int status(const struct mu_addr *addr, struct mu_store_status *out, struct mu_err *err)
{
    return nothing_kept(err);
}

static int upgrade(const struct mu_addr *addr, uint32_t *from, uint32_t *to, struct mu_err *err)
{
    return nothing_kept(err);
}

static int backup(const struct mu_addr *addr, const char *path, struct mu_err *err)
{
    return nothing_kept(err);
}

const struct mu_store_driver mu_store_memory = {
    .scheme = "memory",
    .size = sizeof(struct memory),
    .open = open_,
    .close = close_,
    .load = load,
    .commit = commit,
    .checkpoint = checkpoint,
    .events = events,
    .payload = payload,
    .trim = trim,
    .status = status,
    .upgrade = upgrade,
    .backup = backup,
};
