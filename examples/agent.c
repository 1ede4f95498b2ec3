/* agent.c - a program that tells a muster conductor that it is alive.
 *
 *     cc agent.c $(pkg-config --cflags --libs muster) -o agent
 *     MUSTER_CONDUCTOR=muster://127.0.0.1:4680 ./agent my-service
 */
#include <muster.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t stop;

static void on_signal(int signum)
{
    stop = signum;
}

static void on_notice(void *ctx, enum muster_notice what, const char *text)
{
    (void)ctx;
    (void)what;
    fprintf(stderr, "muster: %s\n", text);
}

int main(int argc, char **argv)
{
    struct muster_agent_options options;
    struct muster_agent *agent;
    int rv;

    muster_agent_options_init(&options);
    options.binary = argc > 1 ? argv[1] : "example";
    options.interval_ms = 1000;
    options.log = on_notice;
    rv = muster_agent_open(&agent, &options);
    if (rv == 0)
        rv = muster_agent_run_thread(agent);
    if (rv != 0) {
        fprintf(stderr, "muster: %s\n", muster_strerror(rv));
        return 1;
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    while (!stop)
        usleep(100000);              /* the program's own work */
    muster_agent_leave(agent, 2000); /* `left`, instead of an alarm */
    muster_agent_close(agent);
    return 0;
}
