/* problem.h - every way in which a request can fail: one table. docs/api.md lists it. */
#ifndef MU_HTTP_PROBLEM_H
#define MU_HTTP_PROBLEM_H

/* id, status, the end of `type`, title */
#define MU_PROBLEMS(X)                                                                             \
    X(MU_BAD_PATH, 400, "bad-path", "The path is malformed")                                       \
    X(MU_BAD_PARAMETER, 400, "bad-parameter", "A query parameter is wrong")                        \
    X(MU_BAD_BODY, 400, "bad-body", "The body is wrong")                                           \
    X(MU_BAD_HEADER, 400, "bad-header", "A header is wrong")                                       \
    X(MU_FOREIGN_HOST, 403, "foreign-host", "The Host header is not ours")                         \
    X(MU_FOREIGN_ORIGIN, 403, "foreign-origin", "Requests of other sites' pages are refused")      \
    X(MU_NO_SUCH_AGENT, 404, "no-such-agent", "No such agent")                                     \
    X(MU_NO_SUCH_PATH, 404, "no-such-path", "No such path")                                        \
    X(MU_NO_PAYLOAD, 404, "no-payload", "The agent has reported no payload")                       \
    X(MU_NOT_ALLOWED, 405, "method-not-allowed", "The path does not have this method")             \
    X(MU_NOT_ACCEPTABLE, 406, "not-acceptable", "None of the accepted types can be had here")      \
    X(MU_WRITE_PENDING, 409, "write-pending", "Another write of this agent is pending")            \
    X(MU_TRIMMED, 410, "events-trimmed", "These events are no longer kept")                        \
    X(MU_CHANGED, 412, "changed-meanwhile", "The agent was changed by another meanwhile")          \
    X(MU_BODY_TOO_LARGE, 413, "body-too-large", "The body is too large")                           \
    X(MU_URI_TOO_LONG, 414, "uri-too-long", "The path and query are too long")                     \
    X(MU_BAD_MEDIA, 415, "unsupported-media-type", "The body must be JSON")                        \
    X(MU_OUT_OF_MEMORY, 500, "out-of-memory", "Out of memory")                                     \
    X(MU_INTERNAL, 500, "internal", "Something that should not fail has failed")                   \
    X(MU_STORE_AWAY, 503, "store-away", "The store does not answer")                               \
    X(MU_UNKNOWN_OUTCOME, 503, "outcome-unknown", "Not stored in time: the outcome is unknown")    \
    X(MU_TOO_MANY, 503, "too-many-watchers", "Too many watchers")                                  \
    X(MU_FULL, 503, "full", "A bound was reached")                                                 \
    X(MU_DRAINING, 503, "draining", "The conductor is stopping")

enum mu_problem {
#define MU_PROBLEM_(id, status, name, title) id,
    MU_PROBLEMS(MU_PROBLEM_)
#undef MU_PROBLEM_
        MU_PROBLEMS_N
};

#define MU_PROBLEM_URN "urn:muster:problem:"

#endif
