#include "daemon/limits.h"

#include <inttypes.h>
#include <sys/resource.h>

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

uint64_t mu_limits_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit))
            return before;
    }
    return limit.rlim_cur;
}

int mu_limits_share(uint64_t files, int64_t http, int64_t streams, struct mu_limits *out,
                    struct mu_err *err)
{
    int64_t all = files > INT32_MAX ? INT32_MAX : (int64_t)files; /* "unlimited" is a lot */
    int64_t quarter = all / 4, rest;

    if (all < MU_FILES_LEAST)
        return mu_err_set(err, MU_ERANGE,
                          "only %" PRIu64 " files may be open, and at least %d are needed; raise "
                          "it with ulimit -n or LimitNOFILE=",
                          files, MU_FILES_LEAST);
    out->files = files;
    out->http = (uint32_t)(http ? least(http, quarter) : quarter);
    rest = all - MU_FILES_KEPT - out->http;
    out->streams = (uint32_t)(streams ? least(streams, rest) : rest);
    out->sessions = out->streams - out->streams / 16 - (out->streams > 1);
    return 0;
}
