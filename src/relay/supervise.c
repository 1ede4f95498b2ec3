/* fork -> the child arranges itself and execs; an error of that comes back by a pipe that a good
 * exec closes -> its pidfd becomes readable -> waitid() tells how it ended. */
#include "relay/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "relay/pid.h"

struct mu_supervise {
    struct mu_pid *watch;
    pid_t pid;
    bool group; /* it leads one */
    mu_supervise_fn ended;
    void *ctx;
};

static void on_end(void *ctx)
{
    struct mu_supervise *sup = ctx;
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)mu_pid_fd(sup->watch), &info, WEXITED | WNOHANG))
        sup->ended(sup->ctx, MU_ENDED_UNKNOWN, 0);
    else if (info.si_code == CLD_EXITED)
        sup->ended(sup->ctx, MU_ENDED_EXITED, info.si_status);
    else
        sup->ended(sup->ctx, MU_ENDED_KILLED, info.si_status);
}

/* In the child: only what is safe between fork and exec. */
static void become(char *const argv[], pid_t parent, bool group, int report)
{
    sigset_t none;
    int error;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (group)
        (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before the line above */
        _exit(1);
    execvp(argv[0], argv);
    error = errno;
    while (write(report, &error, sizeof(error)) < 0 && errno == EINTR)
        ;
    _exit(127);
}

/* Returns the errno of a failed exec, or 0. */
static int exec_result(int pipe_end)
{
    int error = 0;
    ssize_t n;

    do {
        n = read(pipe_end, &error, sizeof(error));
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(error) ? error : 0;
}

static int start(struct mu_supervise *sup, char *const argv[], struct mu_err *err)
{
    pid_t parent = getpid();
    int report[2], error;

    if (pipe2(report, O_CLOEXEC))
        return mu_err_set(err, MU_EFULL, "cannot run %s: %s", argv[0], strerror(errno));
    sup->pid = fork();
    if (sup->pid == 0)
        become(argv, parent, sup->group, report[1]);
    error = sup->pid < 0 ? errno : 0;
    close(report[1]);
    if (error == 0)
        error = exec_result(report[0]);
    close(report[0]);
    if (error == 0)
        return 0;
    if (sup->pid > 0)
        (void)waitpid(sup->pid, NULL, 0);
    return mu_err_set(err, error == ENOENT || error == ENOTDIR ? MU_ENOENT : MU_EPERM,
                      "cannot run %s: %s", argv[0], strerror(error));
}

int mu_supervise_new(struct mu_supervise **out, struct uv_loop_s *loop, char *const argv[],
                     mu_supervise_fn ended, void *ctx, struct mu_err *err)
{
    struct mu_supervise *sup = mu_alloc(sizeof(*sup));
    int rv;

    if (!sup)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    sup->group = !isatty(STDIN_FILENO);
    sup->ended = ended;
    sup->ctx = ctx;
    rv = start(sup, argv, err);
    if (rv == 0) {
        rv = mu_pid_watch(&sup->watch, loop, sup->pid, on_end, sup, err);
        if (rv)
            (void)kill(sup->pid, SIGTERM); /* nobody would see its end */
    }
    if (rv) {
        mu_free(sup);
        return rv;
    }
    *out = sup;
    return 0;
}

void mu_supervise_signal(struct mu_supervise *sup, int sig)
{
    if (sup->group)
        (void)kill(-sup->pid, sig);
    else if (sig != SIGINT && sig != SIGQUIT)
        (void)pidfd_send_signal(mu_pid_fd(sup->watch), sig, NULL, 0);
}

void mu_supervise_free(struct mu_supervise *sup)
{
    if (!sup)
        return;
    mu_pid_stop(sup->watch);
    mu_free(sup);
}
