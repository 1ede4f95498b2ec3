/* Each client is a thread with a connection of its own that pages through the agents; the agents
 * beat on the thread that called. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "load/bench_http.h"
#include "load/bench_run.h"

#define TOKEN_MAX 900

struct client {
    pthread_t thread;
    bool running;
    const struct mu_bench_target *to;
    const struct mu_bench_api *api;
    atomic_bool *over;
    struct mu_hist pages, lists; /* ns */
    uint64_t bytes;
    int rv;
    struct mu_err err;
};

/* The token of the page after @body's, "" on the last one. It is base64: nothing is escaped. */
static void next_token(const char *body, char token[TOKEN_MAX])
{
    static const char key[] = "\"next_page_token\":\"";
    const char *at = NULL;

    for (const char *p = strstr(body, key); p; p = strstr(p + 1, key))
        at = p + sizeof(key) - 1;
    *token = '\0';
    if (at && strcspn(at, "\"") < TOKEN_MAX)
        snprintf(token, TOKEN_MAX, "%.*s", (int)strcspn(at, "\""), at);
}

/* One list from its beginning: all pages, or as many agents as were asked for. */
static int read_list(struct client *c, struct mu_bench_http *http)
{
    mu_time began = mu_clock_now(), asked;
    char path[TOKEN_MAX + 64], token[TOKEN_MAX] = "";
    uint32_t rows = 0;
    const char *body;

    do {
        snprintf(path, sizeof(path), "/v1/agents?limit=%u%s%s", (unsigned)c->api->limit,
                 *token ? "&page_token=" : "", token);
        asked = mu_clock_now();
        c->rv = mu_bench_http_get(http, path, &body, &c->err);
        if (c->rv)
            return c->rv;
        mu_hist_add(&c->pages, (uint64_t)(mu_clock_now() - asked));
        c->bytes += strlen(body);
        rows += c->api->limit;
        next_token(body, token);
        if (atomic_load(c->over) || *c->to->stop)
            return 0; /* a list cut short is none */
    } while (*token && (c->api->rows == 0 || rows < c->api->rows));
    mu_hist_add(&c->lists, (uint64_t)(mu_clock_now() - began));
    return 0;
}

static void *read_lists(void *ctx)
{
    struct client *c = ctx;
    struct mu_bench_http http;

    mu_bench_http_init(&http, (const struct sockaddr *)&c->to->http, c->to->http_len);
    while (!atomic_load(c->over) && !*c->to->stop && read_list(c, &http) == 0)
        ;
    mu_bench_http_fini(&http);
    return NULL;
}

static int begin_clients(struct client *clients, const struct mu_bench_target *to,
                         const struct mu_bench_api *api, atomic_bool *over, struct mu_err *err)
{
    for (uint32_t i = 0; i < api->clients; i++) {
        struct client *c = &clients[i];

        c->to = to;
        c->api = api;
        c->over = over;
        if (pthread_create(&c->thread, NULL, read_lists, c))
            return mu_err_set(err, MU_ENOMEM, "no thread for client %u", (unsigned)i + 1);
        c->running = true;
    }
    return 0;
}

/* Waits for all and puts their figures together in the first. */
static int end_clients(struct client *clients, const struct mu_bench_api *api, atomic_bool *over,
                       struct mu_err *err)
{
    int rv = 0;

    atomic_store(over, true);
    for (uint32_t i = 0; i < api->clients && clients[i].running; i++) {
        pthread_join(clients[i].thread, NULL);
        if (clients[i].rv && rv == 0)
            rv = mu_err_set(err, clients[i].rv, "%s", clients[i].err.text);
        if (i == 0)
            continue;
        mu_hist_merge(&clients[0].pages, &clients[i].pages);
        mu_hist_merge(&clients[0].lists, &clients[i].lists);
        clients[0].bytes += clients[i].bytes;
    }
    return rv;
}

static void put_figures(const struct client *sum, const struct mu_bench_api *api, double time,
                        struct mu_figures *out)
{
    mu_figures_add(out, "clients", api->clients, 0, "clients: %s");
    mu_figures_add(out, "limit", api->limit, 0, "pages of %s");
    mu_figures_add(out, "rows", api->rows, 0, NULL);
    mu_figures_add(out, "pages_per_s", (double)sum->pages.n / time, 1, "%s pages/s");
    mu_figures_add(out, "bytes_per_page", (double)sum->bytes / (double)sum->pages.n, 0, NULL);
    mu_figures_spread(out, "page", &sum->pages, "page p50 / p90 / p99 / p99.9 / max %s us");
    mu_figures_spread(out, "list", &sum->lists, "list %s us");
}

static int measure(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                   const struct mu_bench_api *api, struct mu_crew *crew, struct client *clients,
                   struct mu_figures *out, struct mu_err *err)
{
    struct mu_bench_look before, after;
    atomic_bool over = false;
    mu_dur took;
    int rv = mu_bench_join(to, crew, &took, err), ended;

    if (rv || (rv = mu_crew_run(crew, MU_CREW_PACED, mu_clock_now() + beats->warm, err)) != 0 ||
        (rv = mu_bench_look(to, &before, err)) != 0)
        return rv;
    mu_bench_joined_figures(crew, took, out);
    mu_crew_reset(crew);
    rv = begin_clients(clients, to, api, &over, err);
    if (rv == 0)
        rv = mu_crew_run(crew, MU_CREW_PACED, mu_clock_now() + beats->length, err);
    if (rv == 0)
        rv = mu_bench_look(to, &after, err);
    ended = end_clients(clients, api, &over, rv ? NULL : err);
    if (rv || (rv = ended) != 0)
        return rv;
    mu_crew_settle(crew);
    put_figures(&clients[0], api, (double)(after.at - before.at) / (double)MU_SEC, out);
    mu_bench_beats_figures(to, beats, crew, &before, &after, out);
    return 0;
}

int mu_bench_api(struct mu_bench_target *to, const struct mu_bench_beats *beats,
                 const struct mu_bench_api *api, struct mu_figures *out, struct mu_err *err)
{
    struct client *clients = mu_calloc(api->clients, sizeof(*clients));
    struct mu_crew *crew = NULL;
    int rv;

    if (!clients)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    rv = mu_bench_pin(to, err);
    if (rv == 0)
        rv = mu_crew_new(&crew, to, beats, err);
    if (rv == 0)
        rv = measure(to, beats, api, crew, clients, out, err);
    mu_crew_free(crew);
    mu_free(clients);
    return rv;
}
