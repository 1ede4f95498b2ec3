#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Only calls that are safe after fork(). */
static void become(char *const argv[], const char *log, pid_t parent)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int out = log ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before prctl() */
    signal(SIGPIPE, SIG_DFL);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (out >= 0) {
        dup2(out, STDOUT_FILENO);
        dup2(out, STDERR_FILENO);
    }
    execv("/proc/self/exe", argv);
    _exit(127);
}

pid_t mu_child_start(char *const argv[], const char *log, struct mu_err *err)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0)
        become(argv, log, parent);
    if (pid < 0)
        return mu_err_set(err, MU_EIO, "cannot start muster %s: %s", argv[1], strerror(errno));
    return pid;
}

int mu_child_ended(pid_t pid, int *status)
{
    return waitpid(pid, status, WNOHANG) != 0;
}

void mu_child_stop(pid_t pid, mu_dur patience)
{
    mu_time until = mu_clock_now() + patience;
    int status;

    if (pid <= 0 || mu_child_ended(pid, &status))
        return;
    kill(pid, SIGTERM);
    while (!mu_child_ended(pid, &status)) {
        if (mu_clock_now() >= until)
            kill(pid, SIGKILL);
        poll(NULL, 0, 10);
    }
}
