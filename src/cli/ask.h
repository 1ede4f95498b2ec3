/* ask.h - questions to a conductor's HTTP API. A call blocks until there is an answer.
 *
 * Where the conductor is comes from --conductor, $MUSTER_CONDUCTOR or the default, in this order: a
 * list, of which the first that answers is kept. Of a list with http:// addresses or paths of Unix
 * sockets only these are tried; else each muster:// host at the API's default port. Proxies are
 * never used, redirections never followed. */
#ifndef MU_CLI_ASK_H
#define MU_CLI_ASK_H

#include <jansson.h>

#include "base/buf.h"
#include "cli/cli.h"

#define MU_ASK_PORT       4681
#define MU_ASK_ANSWER_MAX (64u << 20) /* bytes of an answer */

struct mu_ask;

/* Reads --conductor, --timeout (unless @timeout, which then holds, is not 0) and -v of @args.
 * Returns 0, or MU_EINVAL for an address that is none. Nothing is asked yet. */
int mu_ask_open(struct mu_ask **out, const struct mu_args *args, mu_dur timeout,
                struct mu_err *err);
/* The same with @list in place of --conductor; NULL = none given. */
int mu_ask_open_at(struct mu_ask **out, const struct mu_args *args, const char *list,
                   mu_dur timeout, struct mu_err *err);
void mu_ask_free(struct mu_ask *ask); /* NULL is allowed */

/* From now on, while an answer is waited for, the program ends by SIGPIPE once nobody reads its
 * standard output any more: `muster watch | head -1` when nothing happens after the first line. */
void mu_ask_while_read(struct mu_ask *ask);

/* From now on an answer is waited for this long. */
void mu_ask_patience(struct mu_ask *ask, mu_dur timeout);

/* Sends @method @path with @body (or NULL), and waits @extra longer than the timeout: for long
 * polls. *@out is the answer, to be json_decref()ed; NULL when it has no body. Returns
 *   0             2xx
 *   MU_EAGAIN     no conductor reached, or its store is away
 *   MU_ETIMEDOUT  reached, but no answer in time; a write may have been done
 *   MU_EINVAL, MU_EPERM, MU_ENOENT, MU_EBUSY, MU_ECONFLICT, MU_EGONE   as the status says
 *   MU_EPROTO     what answered does not speak our API
 *   MU_EIO        it failed by itself (5xx)
 * and one sentence in @err. With a problem, *@out is the problem, where there is one. */
int mu_ask(struct mu_ask *ask, const char *method, const char *path, const json_t *body,
           mu_dur extra, json_t **out, struct mu_err *err);

/* Appends @text percent-encoded, fit for a path segment or a query's value. */
void mu_ask_escape(struct mu_buf *path, const char *text);

/* The path of an agent, with "/@what" behind where @what is not NULL. @name is BINARY@HOST or a
 * UUID. Returns 0, MU_EINVAL when it is neither, or MU_ENOMEM. */
int mu_ask_agent_path(struct mu_buf *path, const char *name, const char *what, struct mu_err *err);

/* Gets the agent of exactly this name or UUID. Errors as mu_ask(). */
int mu_ask_agent(struct mu_ask *ask, const char *name, json_t **agent, struct mu_err *err);

/* Finds the one agent that @text means: its name, its UUID, how its name begins, or its host, tried
 * in this order. MU_ENOENT with the candidates when there are several. */
int mu_ask_find(struct mu_ask *ask, const char *text, json_t **agent, struct mu_err *err);

/* A string of a JSON object; "" where it is none. */
const char *mu_ask_text(const json_t *object, const char *key);

#endif
