/* What a crew needs before its first turn, and gives back after its last. */
#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "load/bench_int.h"

#define RECEIVE_BUFFER (64 << 20)
#define FILES_KEPT     64 /* for all but senders and joiners */

/* So that acks to any of the addresses come, and nothing from elsewhere does. */
static int take_loopback(struct mu_crew *crew, struct mu_err *err)
{
    struct sockaddr_in any = {.sin_family = AF_INET};

    if (setsockopt(crew->fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")) ||
        bind(crew->fd, (const struct sockaddr *)&any, sizeof(any)))
        return mu_err_set(err, MU_EIO, "no socket for all of loopback: %s", strerror(errno));
    for (size_t i = 0; i < CREW_BATCH; i++) {
        struct msghdr *msg = &crew->out[i].msg_hdr;
        struct cmsghdr *c = (struct cmsghdr *)crew->from[i].control;

        msg->msg_name = (void *)&crew->to->agents;
        msg->msg_namelen = crew->to->agents_len;
        msg->msg_control = crew->from[i].control;
        msg->msg_controllen = sizeof(crew->from[i].control);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    }
    return 0;
}

static int open_socket(struct mu_crew *crew, struct mu_err *err)
{
    const struct sockaddr *sa = (const struct sockaddr *)&crew->to->agents;
    struct sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &drop_all};
    int size = RECEIVE_BUFFER, stride = (int)crew->stride;

    crew->fd = socket(sa->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (crew->fd < 0)
        return mu_err_set(err, MU_EIO, "no datagram socket: %s", strerror(errno));
    if (setsockopt(crew->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
        (void)setsockopt(crew->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (crew->want->no_acks &&
        setsockopt(crew->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
        return mu_err_set(err, MU_EIO, "acks cannot be dropped: %s", strerror(errno));
    if (crew->sources > 1)
        return take_loopback(crew, err);
    if (connect(crew->fd, sa, crew->to->agents_len))
        return mu_err_set(err, MU_EIO, "no way to the conductor: %s", strerror(errno));
    if (crew->want->gso && setsockopt(crew->fd, IPPROTO_UDP, UDP_SEGMENT, &stride, sizeof(stride)))
        return mu_err_set(err, MU_EIO, "this kernel has no UDP_SEGMENT: %s", strerror(errno));
    return 0;
}

/* How many streams may be used to join on. A storm is the truer the more are asked for at once. */
static int count_files(const struct mu_crew *crew, uint32_t *joiners, struct mu_err *err)
{
    uint64_t need = FILES_KEPT + (crew->streams ? crew->total : 0), left;
    struct rlimit limit = {0};

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur <= need)
        return mu_err_set(err, MU_EFULL,
                          "%" PRIu64 " files would be open, and %" PRIu64 " may be: raise it with "
                          "ulimit -n",
                          need + 1, (uint64_t)limit.rlim_cur);
    left = (uint64_t)limit.rlim_cur - need;
    *joiners = left < CREW_JOINERS ? (uint32_t)left : CREW_JOINERS;
    return 0;
}

static void prepare(struct mu_crew *crew)
{
    crew->stride = MU_BEAT_LEN(crew->want->bundle);
    crew->beat.n = (uint16_t)crew->want->bundle;
    crew->beat.path = crew->streams != NULL;
    for (uint32_t i = 0; i < crew->want->bundle; i++)
        crew->beat.indexes[i] = i;
    for (size_t i = 0; i < CREW_BATCH; i++) {
        crew->out_iov[i] = (struct iovec){crew->out_data + i * crew->stride, crew->stride};
        crew->in_iov[i] = (struct iovec){crew->in_data[i], sizeof(crew->in_data[i])};
        crew->out[i].msg_hdr.msg_iov = &crew->out_iov[i];
        crew->in[i].msg_hdr.msg_iov = &crew->in_iov[i];
        crew->out[i].msg_hdr.msg_iovlen = crew->in[i].msg_hdr.msg_iovlen = 1;
    }
}

/* Sessions that nobody gave: what answers them looks at no key. */
static void make_up(struct mu_crew *crew)
{
    for (uint32_t i = 0; i < crew->total && !crew->rv; i++) {
        struct crew_sender sender = {
            .id = (uint64_t)1 << 32 | (i + 1), .epoch = 1, .agent = i * crew->want->bundle};

        for (size_t k = 0; k < sizeof(sender.key); k++)
            sender.key[k] = (uint8_t)mu_rng_next(&crew->rng);
        crew_add(crew, &sender, -1);
    }
}

static int begin(struct mu_crew *crew, struct mu_err *err)
{
    uint32_t joiners = 0;
    int rv;

    if (crew->want->killed_file) { /* now: its fault should not end a run of hours */
        crew->killed = fopen(crew->want->killed_file, "we");
        if (!crew->killed)
            return mu_err_set(err, MU_EPERM, "--killed-file %s: %s", crew->want->killed_file,
                              strerror(errno));
    }
    crew->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (crew->epoll < 0)
        return mu_err_set(err, MU_EIO, "no epoll descriptor: %s", strerror(errno));
    crew->senders = mu_calloc(crew->total, sizeof(*crew->senders));
    if (crew->want->streams)
        crew->streams = mu_calloc(crew->total, sizeof(*crew->streams));
    if (!crew->senders || (crew->want->streams && !crew->streams))
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    prepare(crew);
    if ((rv = count_files(crew, &joiners, err)) != 0 || (rv = open_socket(crew, err)) != 0)
        return rv;
    if (!crew->want->made_up)
        return crew_join_begin(crew, joiners, err);
    make_up(crew);
    return crew->rv ? mu_err_set(err, crew->rv, "%s", crew->err.text) : 0;
}

static uint32_t sources_of(const struct mu_bench_target *to, const struct mu_bench_beats *want)
{
    const struct sockaddr_in *sin = (const struct sockaddr_in *)&to->agents;
    bool loopback =
        sin->sin_family == AF_INET && ntohl(sin->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;

    return loopback && !want->gso ? want->sources : 1;
}

int mu_crew_new(struct mu_crew **out, const struct mu_bench_target *to,
                const struct mu_bench_beats *want, struct mu_err *err)
{
    struct mu_crew *crew = mu_alloc(sizeof(*crew));
    mu_time now = mu_clock_now();
    int rv;

    if (!crew)
        return mu_err_set(err, MU_ENOMEM, "out of memory");
    crew->to = to;
    crew->want = want;
    crew->epoll = -1;
    crew->total = (want->agents + want->bundle - 1) / want->bundle;
    crew->interval = want->interval;
    crew->joined_at = now;
    crew->fd = -1;
    crew->sources = sources_of(to, want);
    mu_rng_seed(&crew->rng, want->seed);
    crew_index(crew);
    mu_pace_init(&crew->pace, 0, now);
    rv = mu_rng_secret(&crew->start_ids, sizeof(crew->start_ids));
    crew->start_ids |= 1; /* even the first is not 0 */
    if (rv == 0)
        rv = begin(crew, err);
    if (rv != 0) {
        mu_crew_free(crew);
        return rv;
    }
    *out = crew;
    return 0;
}

void mu_crew_free(struct mu_crew *crew)
{
    if (!crew)
        return;
    crew_join_end(crew);
    for (uint32_t i = 0; crew->streams && i < crew->n; i++) {
        if (crew->streams[i].fd >= 0)
            close(crew->streams[i].fd);
        mu_frames_fini(&crew->streams[i].in);
    }
    if (crew->fd >= 0)
        close(crew->fd);
    if (crew->epoll >= 0)
        close(crew->epoll);
    if (crew->killed)
        fclose(crew->killed);
    mu_map_fini(&crew->by_id);
    mu_free(crew->streams);
    mu_free(crew->senders);
    mu_free(crew);
}
