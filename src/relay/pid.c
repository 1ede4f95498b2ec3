#include "relay/pid.h"

#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"

struct mu_pid {
    uv_poll_t poll;
    int fd;
    void (*gone)(void *ctx);
    void *ctx;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct mu_pid *watch = poll->data;

    (void)status;
    (void)events;
    uv_poll_stop(poll);
    watch->gone(watch->ctx);
}

int mu_pid_watch(struct mu_pid **out, struct uv_loop_s *loop, pid_t pid, void (*gone)(void *ctx),
                 void *ctx, struct mu_err *err)
{
    struct mu_pid *watch = mu_alloc(sizeof(*watch));
    int rv;

    if (!watch)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    watch->fd = pidfd_open(pid, 0);
    if (watch->fd < 0) {
        rv = errno == ESRCH    ? mu_err_set(err, MU_ENOENT, "process %ld: there is none", (long)pid)
             : errno == EINVAL ? mu_err_set(err, MU_EINVAL,
                                            "process %ld: not a process but a thread,"
                                            " or no number of one",
                                            (long)pid)
             : errno == EPERM
                 ? mu_err_set(err, MU_EPERM, "process %ld: may not be watched", (long)pid)
                 : mu_err_set(err, MU_EFULL, "process %ld: %s", (long)pid, strerror(errno));
        mu_free(watch);
        return rv;
    }
    rv = uv_poll_init(loop, &watch->poll, watch->fd);
    if (rv) {
        close(watch->fd);
        mu_free(watch);
        return mu_err_set(err, MU_EFULL, "process %ld: %s", (long)pid, uv_strerror(rv));
    }
    watch->gone = gone;
    watch->ctx = ctx;
    watch->poll.data = watch;
    uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    *out = watch;
    return 0;
}

int mu_pid_fd(const struct mu_pid *watch)
{
    return watch->fd;
}

static void on_gone(uv_handle_t *handle)
{
    mu_free(handle->data);
}

void mu_pid_stop(struct mu_pid *watch)
{
    if (!watch)
        return;
    uv_poll_stop(&watch->poll);
    close(watch->fd);
    uv_close((uv_handle_t *)&watch->poll, on_gone);
}
