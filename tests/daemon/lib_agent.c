/* An agent by libmuster that does what its standard input says, line by line, and answers each line
 * with one: for test_lib.py.
 *
 *     lib_agent CONDUCTOR BINARY thread|loop|manual [later]
 */
#include <dirent.h>
#include <fcntl.h>
#include <muster.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const lease_names[] = {"none",       "held",    "expired",
                                          "superseded", "refused", "left"};
static const char *const notice_names[] = {"joined",     "lost",   "recovered", "refused",
                                           "superseded", "fenced", "slower",    "failed"};
static struct muster_agent *agent;

/* May run in the library's thread: one write, so that lines stay whole. */
static void on_notice(void *ctx, enum muster_notice what, const char *text)
{
    struct muster_lease lease;

    muster_agent_lease(agent, &lease); /* the hook may call back in */
    dprintf(1, "notice %s %s\n", notice_names[what], text);
}

/* "1 of 3": how many descriptors but the first three would be inherited by a program it starts. */
static void say_descriptors(void)
{
    int open = 0, inherited = 0;

    for (int fd = 3; fd < 64; fd++) {
        int flags = fcntl(fd, F_GETFD);
        open += flags >= 0;
        inherited += flags >= 0 && !(flags & FD_CLOEXEC);
    }
    dprintf(1, "%d of %d\n", inherited, open);
}

/* The signals that the other threads block, as the kernel tells them. */
static void say_masks(void)
{
    char path[300], line[256], self[32], all[256] = "";
    DIR *dir = opendir("/proc/self/task");

    snprintf(self, sizeof(self), "%d", (int)getpid());
    for (struct dirent *e; dir && (e = readdir(dir));) {
        FILE *file;
        if (e->d_name[0] == '.' || strcmp(e->d_name, self) == 0)
            continue;
        snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
        file = fopen(path, "r");
        while (file && fgets(line, sizeof(line), file))
            if (strncmp(line, "SigBlk:", 7) == 0)
                strncat(all, strtok(line + 7, " \t\n"), sizeof(all) - strlen(all) - 1);
        if (file)
            fclose(file);
    }
    if (dir)
        closedir(dir);
    dprintf(1, "masks %s\n", all);
}

/* In a child: every call, and what it says. */
static void fork_child(void)
{
    struct muster_lease lease;
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        int all =
            muster_agent_beat(agent) == MU_EFORKED &&
            muster_agent_report(agent, "{}", 2) == MU_EFORKED &&
            muster_agent_leave(agent, 1000) == MU_EFORKED &&
            muster_agent_lease(agent, &lease) == MU_EFORKED &&
            muster_agent_join(agent) == MU_EFORKED &&
            muster_agent_run_thread(agent) == MU_EFORKED && muster_agent_fd(agent) == MU_EFORKED &&
            muster_agent_timeout_ms(agent) == MU_EFORKED && muster_agent_step(agent) == MU_EFORKED;
        muster_agent_close(agent);
        _exit(all ? 0 : 1);
    }
    waitpid(child, &status, 0);
    dprintf(1, "%s\n", child > 0 && status == 0 ? "all refused" : "not all refused");
}

static void say_lease(void)
{
    struct muster_lease lease;
    int rv = muster_agent_lease(agent, &lease);

    dprintf(1, "%d %s left_ms=%lld interval_ms=%lld beats=%llu uuid=%s\n", rv,
            lease_names[lease.state], (long long)lease.left_ms, (long long)lease.interval_ms,
            (unsigned long long)lease.beats, lease.uuid);
}

/* Returns whether to go on. */
static int obey(char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "lease") == 0)
        say_lease();
    else if (strcmp(line, "beat") == 0)
        dprintf(1, "%d\n", muster_agent_beat(agent));
    else if (strncmp(line, "report ", 7) == 0)
        dprintf(1, "%d\n", muster_agent_report(agent, line + 7, strlen(line + 7)));
    else if (strncmp(line, "leave ", 6) == 0)
        dprintf(1, "%d\n", muster_agent_leave(agent, atoi(line + 6)));
    else if (strcmp(line, "again") == 0)
        dprintf(1, "%d %d\n", muster_agent_join(agent), muster_agent_run_thread(agent));
    else if (strcmp(line, "step") == 0)
        dprintf(1, "%d\n", muster_agent_step(agent));
    else if (strcmp(line, "fork") == 0)
        fork_child();
    else if (strcmp(line, "masks") == 0)
        say_masks();
    else if (strcmp(line, "descriptors") == 0)
        say_descriptors();
    else
        return 0;
    return 1;
}

/* Lines are short and come one at a time, after the answer to the one before. */
static int read_line(void)
{
    char line[1024];
    ssize_t n = read(0, line, sizeof(line) - 1);

    if (n <= 0)
        return 0;
    line[n] = '\0';
    return obey(line);
}

static void live(int threaded)
{
    struct pollfd ready[2] = {{.fd = 0, .events = POLLIN},
                              {.fd = muster_agent_fd(agent), .events = POLLIN}};

    for (;;) {
        poll(ready, threaded ? 1 : 2, threaded ? -1 : muster_agent_timeout_ms(agent));
        if (!threaded)
            muster_agent_step(agent);
        if (ready[0].revents && !read_line())
            return;
    }
}

/* What open() says to options that are not as they must be. */
static int refuse(void)
{
    static const struct muster_label twice[] = {{"k", "1"}, {"k", "2"}}, half[] = {{"k", NULL}};
    static char long_token[300];
    struct muster_agent_options o;

    memset(long_token, 't', sizeof(long_token) - 1);
#define TRY(...)                                                                                   \
    do {                                                                                           \
        muster_agent_options_init(&o);                                                             \
        o.binary = "b";                                                                            \
        o.conductor = "127.0.0.1:1";                                                               \
        __VA_ARGS__;                                                                               \
        dprintf(1, "%d ", muster_agent_open(&agent, &o));                                          \
    } while (0)
    TRY(o.binary = NULL);
    TRY(o.binary = "a@b");
    TRY(o.host = "a/b");
    TRY(o.zone = "\n");
    TRY(o.conductor = "ftp://host");
    TRY(o.conductor = "127.0.0.1:x");
    TRY(o.size = 8);
    TRY(o.labels = twice; o.nlabels = 2);
    TRY(o.labels = half; o.nlabels = 1);
    TRY(o.nlabels = 33);
    TRY(o.token = long_token);
    TRY(o.interval_ms = 864000001);
    TRY(o.conductor = "no-such-host.invalid:4680");
    dprintf(1, "%d\n", muster_agent_open(&agent, NULL));
    return agent != NULL;
}

int main(int argc, char **argv)
{
    struct muster_agent_options options;
    int threaded, rv;

    if (argc < 4)
        return refuse();
    threaded = strcmp(argv[3], "thread") == 0;
    muster_agent_options_init(&options);
    options.conductor = argv[1];
    options.binary = argv[2];
    options.host = "h";
    options.interval_ms = 1000;
    options.manual = strcmp(argv[3], "manual") == 0;
    options.resolve_later = argc > 4;
    options.log = on_notice;
    rv = muster_agent_open(&agent, &options);
    if (!rv)
        rv = threaded ? muster_agent_run_thread(agent) : muster_agent_join(agent);
    if (rv) {
        fprintf(stderr, "%s\n", muster_strerror(rv));
        return 1;
    }
    live(threaded);
    muster_agent_close(agent);
    return 0;
}
