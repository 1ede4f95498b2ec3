/* The happy path: the address that answered last is asked, its JSON is handed on. On the way wrong:
 * nobody listens (the next address is tried), nobody answers in time, an answer that is too large,
 * not JSON or a problem. Each becomes one sentence and one code. */
#include "cli/ask.h"

#include <curl/curl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/mem.h"
#include "base/name.h"
#include "base/rng.h"

#define DEFAULT_CONDUCTOR "http://127.0.0.1:4681"
#define DEFAULT_TIMEOUT   (10 * MU_SEC)
#define MAX_PLACES        16
#define MAX_PATH          16384
#define MAX_CANDIDATES    10 /* agents named when a name is ambiguous */

struct place {
    char base[300];      /* http://127.0.0.1:4681 */
    char unix_path[108]; /* "" = none */
    bool fallback;       /* made of a muster:// address */
};

struct mu_ask {
    CURL *curl;
    struct place places[MAX_PLACES];
    size_t nplaces, at; /* .at = the one to try first */
    mu_dur timeout;
    bool verbose, while_read;
    struct mu_buf answer;
    char why[CURL_ERROR_SIZE];
};

static int read_place(struct mu_ask *ask, const char *text, struct mu_err *err)
{
    struct mu_addr addr;
    struct place *p = &ask->places[ask->nplaces];

    if (ask->nplaces == MAX_PLACES)
        return mu_err_set(err, MU_EINVAL, "more than %d conductors", MAX_PLACES);
    if (mu_addr_parse(&addr, text, err) != 0)
        return mu_err_wrap(err, MU_EINVAL, "conductor \"%s\"", text);
    memset(p, 0, sizeof(*p));
    p->fallback = strcmp(addr.scheme, "muster") == 0;
    if (!p->fallback && strcmp(addr.scheme, "http") != 0 && *addr.scheme)
        return mu_err_set(err, MU_EINVAL,
                          "conductor \"%s\": write http://HOST:PORT, muster://HOST:PORT or the "
                          "path of a Unix socket",
                          text);
    if (!*addr.host) {
        if (*addr.path != '/' || strlen(addr.path) >= sizeof(p->unix_path))
            return mu_err_set(err, MU_EINVAL, "conductor \"%s\" names no host", text);
        memcpy(p->unix_path, addr.path, strlen(addr.path) + 1);
        snprintf(p->base, sizeof(p->base), "http://localhost");
    } else {
        int port = p->fallback || addr.port < 0 ? MU_ASK_PORT : addr.port;
        const char *six = strchr(addr.host, ':') ? "[" : "";
        snprintf(p->base, sizeof(p->base), "http://%s%s%s:%d", six, addr.host, *six ? "]" : "",
                 port);
    }
    ask->nplaces++;
    return 0;
}

/* Own addresses win over those made up from an agent's address: another conductor may well listen
 * at the default port there. */
static void drop_fallbacks(struct mu_ask *ask)
{
    size_t own = 0;

    for (size_t i = 0; i < ask->nplaces; i++)
        if (!ask->places[i].fallback)
            ask->places[own++] = ask->places[i];
    if (own > 0)
        ask->nplaces = own;
}

static int read_places(struct mu_ask *ask, const char *given, struct mu_err *err)
{
    const char *list = given ? given : getenv("MUSTER_CONDUCTOR");
    char text[1024];
    int rv = 0;

    if (!list || !*list)
        list = DEFAULT_CONDUCTOR;
    while (*list && rv == 0) {
        size_t n = strcspn(list, ",");
        snprintf(text, sizeof(text), "%.*s", (int)n, list);
        if (n > 0)
            rv = read_place(ask, text, err);
        list += n + (list[n] == ',');
    }
    if (rv == 0 && ask->nplaces == 0)
        rv = mu_err_set(err, MU_EINVAL, "no conductor named: write http://HOST:PORT");
    if (rv != 0)
        return given ? rv : mu_err_wrap(err, rv, "MUSTER_CONDUCTOR");
    drop_fallbacks(ask);
    return 0;
}

static size_t take(char *data, size_t size, size_t n, void *ctx)
{
    struct mu_ask *ask = ctx;

    mu_buf_put(&ask->answer, data, size * n);
    return ask->answer.failed ? 0 : size * n;
}

int mu_ask_open(struct mu_ask **out, const struct mu_args *args, mu_dur timeout, struct mu_err *err)
{
    return mu_ask_open_at(out, args, mu_args_value(args, "conductor"), timeout, err);
}

int mu_ask_open_at(struct mu_ask **out, const struct mu_args *args, const char *list,
                   mu_dur timeout, struct mu_err *err)
{
    struct mu_ask *ask = mu_alloc(sizeof(*ask));
    const char *text;
    int rv;

    if (!ask)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    mu_buf_init(&ask->answer, MU_ASK_ANSWER_MAX);
    ask->verbose = mu_args_has(args, "verbose");
    ask->timeout = timeout ? timeout : DEFAULT_TIMEOUT;
    if (!timeout && (text = mu_args_value(args, "timeout")) &&
        mu_dur_parse(text, &ask->timeout) != 0) {
        rv = mu_err_set(err, MU_EINVAL,
                        "--timeout \"%s\" is no length of time: write 500ms, 10s or 5m", text);
        goto fail;
    }
    rv = read_places(ask, list, err);
    if (rv != 0)
        goto fail;
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK || !(ask->curl = curl_easy_init())) {
        rv = mu_err_set(err, MU_ENOMEM, "out of memory");
        goto fail;
    }
    *out = ask;
    return 0;

fail:
    mu_ask_free(ask);
    return rv;
}

void mu_ask_free(struct mu_ask *ask)
{
    if (!ask)
        return;
    curl_easy_cleanup(ask->curl);
    mu_buf_fini(&ask->answer);
    mu_free(ask);
}

void mu_ask_while_read(struct mu_ask *ask)
{
    ask->while_read = true;
}

void mu_ask_patience(struct mu_ask *ask, mu_dur timeout)
{
    ask->timeout = timeout;
}

static const char *place_text(const struct place *p)
{
    return *p->unix_path ? p->unix_path : p->base;
}

/* libcurl calls it once a second at least. */
static int end_unless_read(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    (void)ctx, (void)a, (void)b, (void)c, (void)d;
    if (poll(&out, 1, 0) == 1 && (out.revents & POLLERR))
        raise(SIGPIPE);
    return 0;
}

/* One try at one place. Returns libcurl's result. */
static CURLcode try_place(struct mu_ask *ask, const struct place *p, const char *method,
                          const char *path, const char *body, mu_dur extra)
{
    struct curl_slist *headers = NULL;
    CURL *curl = ask->curl;
    char url[MAX_PATH + sizeof(p->base)];

    snprintf(url, sizeof(url), "%s%s", p->base, path);
    if (body)
        headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_reset(curl); /* keeps the connection */
    mu_buf_reset(&ask->answer);
    *ask->why = 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "muster/" MUSTER_VERSION);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (*p->unix_path)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, p->unix_path);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)((ask->timeout + extra) / MU_MS) + 1);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(ask->timeout / MU_MS) + 1);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ask);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, ask->why);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, end_unless_read);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, ask->while_read ? 0L : 1L);
    CURLcode result = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    return result;
}

/* Whether the conductor was not even spoken to, so that the next one may be tried. */
static bool never_connected(struct mu_ask *ask, CURLcode result)
{
    curl_off_t connected = 0;

    if (result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST)
        return true;
    curl_easy_getinfo(ask->curl, CURLINFO_CONNECT_TIME_T, &connected);
    return result == CURLE_OPERATION_TIMEDOUT && connected == 0;
}

static int not_reached(struct mu_ask *ask, const struct place *p, CURLcode result,
                       struct mu_err *err)
{
    char text[MU_DUR_TEXT];
    long no = 0;

    if (result == CURLE_OPERATION_TIMEDOUT)
        return mu_err_set(err, MU_EAGAIN, "%s: no connection within %s", place_text(p),
                          mu_dur_text(ask->timeout, text));
    /* libcurl would tell of the host and port that a socket's URL must have */
    if (*p->unix_path && result == CURLE_COULDNT_CONNECT &&
        !curl_easy_getinfo(ask->curl, CURLINFO_OS_ERRNO, &no) && no)
        return mu_err_set(err, MU_EAGAIN,
                          "%s: %s; write http://HOST:PORT, or the path of the "
                          "socket where the API answers",
                          p->unix_path, strerror((int)no));
    return mu_err_set(err, MU_EAGAIN, "%s: %s", place_text(p),
                      *ask->why ? ask->why : curl_easy_strerror(result));
}

static int broken(struct mu_ask *ask, const struct place *p, CURLcode result, struct mu_err *err)
{
    char text[MU_DUR_TEXT];

    if (ask->answer.failed == MU_EFULL)
        return mu_err_set(err, MU_EPROTO, "%s answers with more than %u MiB: is it a conductor?",
                          place_text(p), MU_ASK_ANSWER_MAX >> 20);
    if (result == CURLE_OUT_OF_MEMORY || ask->answer.failed)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    if (result == CURLE_OPERATION_TIMEDOUT)
        return mu_err_set(err, MU_ETIMEDOUT,
                          "no answer from %s within %s: repeat, or give it longer with --timeout",
                          place_text(p), mu_dur_text(ask->timeout, text));
    if (result == CURLE_UNSUPPORTED_PROTOCOL || result == CURLE_WEIRD_SERVER_REPLY)
        return mu_err_set(err, MU_EPROTO, "%s does not speak HTTP: is it another port?",
                          place_text(p));
    return mu_err_set(err, MU_EAGAIN, "%s: the answer broke off: %s", place_text(p),
                      *ask->why ? ask->why : curl_easy_strerror(result));
}

static int code_of_status(long status, const char *type)
{
    if (strstr(type, "outcome-unknown"))
        return MU_ETIMEDOUT;
    switch (status) {
    case 401:
    case 403:
        return MU_EPERM;
    case 404:
        return MU_ENOENT;
    case 409:
        return MU_EBUSY;
    case 410:
        return MU_EGONE;
    case 412:
        return MU_ECONFLICT;
    case 503:
        return MU_EAGAIN;
    default:
        return status >= 400 && status < 500 ? MU_EINVAL : MU_EIO;
    }
}

static int read_answer(struct mu_ask *ask, const struct place *p, json_t **out, struct mu_err *err)
{
    long status = 0;
    json_error_t where;

    curl_easy_getinfo(ask->curl, CURLINFO_RESPONSE_CODE, &status);
    if (ask->answer.len > 0)
        *out = json_loadb((const char *)ask->answer.data, ask->answer.len, 0, &where);
    if (status >= 200 && status < 300) {
        if (*out || ask->answer.len == 0)
            return 0;
        return mu_err_set(err, MU_EPROTO, "%s answers no JSON (%s): is it a conductor's API?",
                          place_text(p), where.text);
    }
    const char *detail = mu_ask_text(*out, "detail");
    int code = code_of_status(status, mu_ask_text(*out, "type"));
    if (*detail)
        return mu_err_set(err, code, "%s", detail);
    if (code == MU_ENOENT || status < 400)
        code = MU_EPROTO; /* a conductor says which agent it has not */
    return mu_err_set(err, code, "%s answers %ld without a reason: is it a conductor's API?",
                      place_text(p), status);
}

static void tell(const struct mu_ask *ask, const struct place *p, const char *method,
                 const char *path, CURLcode result)
{
    long status = 0;
    double seconds = 0;

    if (!ask->verbose)
        return;
    curl_easy_getinfo(ask->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(ask->curl, CURLINFO_TOTAL_TIME, &seconds);
    if (result == CURLE_OK)
        fprintf(stderr, "%s %s %s: %ld, %zu bytes in %.1f ms\n", method, place_text(p), path,
                status, ask->answer.len, seconds * 1e3);
    else
        fprintf(stderr, "%s %s %s: %s after %.1f ms\n", method, place_text(p), path,
                *ask->why ? ask->why : curl_easy_strerror(result), seconds * 1e3);
}

int mu_ask(struct mu_ask *ask, const char *method, const char *path, const json_t *body,
           mu_dur extra, json_t **out, struct mu_err *err)
{
    char *text = NULL;
    int rv = 0;

    *out = NULL;
    if (strlen(path) >= MAX_PATH)
        return mu_err_set(err, MU_EINVAL, "what is asked for takes more than %d bytes", MAX_PATH);
    if (body && !(text = json_dumps(body, JSON_COMPACT)))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    for (size_t i = 0; i < ask->nplaces; i++) {
        const struct place *p = &ask->places[(ask->at + i) % ask->nplaces];
        CURLcode result = try_place(ask, p, method, path, text, extra);
        tell(ask, p, method, path, result);
        if (never_connected(ask, result)) {
            rv = not_reached(ask, p, result, err);
            continue;
        }
        ask->at = (ask->at + i) % ask->nplaces;
        free(text);
        return result == CURLE_OK ? read_answer(ask, p, out, err) : broken(ask, p, result, err);
    }
    free(text);
    if (ask->nplaces > 1)
        return mu_err_wrap(err, rv,
                           "none of %zu conductors reached (--conductor names others), "
                           "the last is",
                           ask->nplaces);
    return mu_err_wrap(err, rv,
                       "no conductor reached (muster conductor starts one, --conductor "
                       "names another)");
}

const char *mu_ask_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

void mu_ask_escape(struct mu_buf *path, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
            strchr("-._~@", *p))
            mu_buf_put(path, p, 1);
        else
            mu_buf_printf(path, "%%%02X", *p);
    }
}

int mu_ask_agent_path(struct mu_buf *path, const char *name, const char *what, struct mu_err *err)
{
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1];
    uint8_t uuid[16];

    if (mu_uuid_parse(name, uuid) != 0 && mu_name_parse(name, binary, host, err) != 0)
        return mu_err_wrap(err, MU_EINVAL, "a whole name is wanted");
    mu_buf_puts(path, "/v1/agents/");
    mu_ask_escape(path, name);
    if (what)
        mu_buf_printf(path, "/%s", what);
    return path->failed ? mu_err_set(err, path->failed, "out of memory") : 0;
}

static int expect_object(int rv, json_t **answer, struct mu_err *err)
{
    if (rv != 0 || json_is_object(*answer))
        return rv;
    json_decref(*answer);
    *answer = NULL;
    return mu_err_set(err, MU_EPROTO, "the conductor answers with no object: is its API newer?");
}

int mu_ask_agent(struct mu_ask *ask, const char *name, json_t **agent, struct mu_err *err)
{
    struct mu_buf path;

    *agent = NULL;
    mu_buf_init(&path, 0);
    int rv = mu_ask_agent_path(&path, name, NULL, err);
    if (rv == 0)
        rv = expect_object(mu_ask(ask, "GET", mu_buf_text(&path), NULL, 0, agent, err), agent, err);
    mu_buf_fini(&path);
    if (rv != 0) {
        json_decref(*agent);
        *agent = NULL;
    }
    return rv;
}

/* The agents for which @query holds; at most one more than we would name. */
static int search(struct mu_ask *ask, const char *key, const char *text, json_t **agents,
                  struct mu_err *err)
{
    struct mu_buf path;
    json_t *answer = NULL;

    *agents = NULL;
    mu_buf_init(&path, 0);
    mu_buf_printf(&path, "/v1/agents?limit=%d&%s=", MAX_CANDIDATES + 1, key);
    mu_ask_escape(&path, text);
    int rv = path.failed ? mu_err_set(err, path.failed, "out of memory")
                         : mu_ask(ask, "GET", mu_buf_text(&path), NULL, 0, &answer, err);
    mu_buf_fini(&path);
    if (rv == 0) {
        *agents = json_incref(json_object_get(answer, "agents"));
        if (!json_is_array(*agents))
            rv = mu_err_set(err, MU_EPROTO, "the conductor answers with no list of agents");
    }
    json_decref(answer);
    return rv;
}

static int ambiguous(const char *text, const json_t *agents, struct mu_err *err)
{
    struct mu_buf names;
    size_t n = json_array_size(agents);

    mu_buf_init(&names, 0);
    for (size_t i = 0; i < n && i < MAX_CANDIDATES; i++) {
        const json_t *agent = json_array_get(agents, i);
        mu_buf_printf(&names, "%s%s@%s", i ? ", " : "", mu_ask_text(agent, "binary"),
                      mu_ask_text(agent, "host"));
    }
    if (n > MAX_CANDIDATES)
        mu_buf_puts(&names, ", ...");
    int rv =
        mu_err_set(err, MU_ENOENT, "\"%s\" may mean several agents: %s", text, mu_buf_text(&names));
    mu_buf_fini(&names);
    return rv;
}

int mu_ask_find(struct mu_ask *ask, const char *text, json_t **agent, struct mu_err *err)
{
    static const char *const keys[] = {"name_prefix", "host"};
    struct mu_err ignored;
    struct mu_buf path;

    *agent = NULL;
    if (!*text)
        return mu_err_set(err, MU_EINVAL, "an empty name: write BINARY@HOST");
    mu_buf_init(&path, 0);
    bool whole = mu_ask_agent_path(&path, text, NULL, &ignored) == 0;
    mu_buf_fini(&path);
    if (whole) {
        int rv = mu_ask_agent(ask, text, agent, err);
        if (rv != MU_ENOENT)
            return rv;
    }
    for (size_t i = 0; i < MU_ARRAY_LEN(keys); i++) {
        json_t *agents;
        int rv = search(ask, keys[i], text, &agents, err);
        size_t n = json_array_size(agents);
        if (rv == 0 && n == 1)
            *agent = json_incref(json_array_get(agents, 0));
        else if (rv == 0 && n > 1)
            rv = ambiguous(text, agents, err);
        json_decref(agents);
        if (rv != 0 || n == 1)
            return rv;
    }
    return mu_err_set(err, MU_ENOENT, "no agent \"%s\": muster list shows those there are", text);
}
