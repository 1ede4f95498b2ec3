/* The way of a batch: recvmmsg -> the sink, one by one -> sendmmsg. Answers are best effort: what
 * does not fit the socket's buffer is lost as any datagram may be. */
#include "transport/datagrams.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "base/rng.h"
#include "wire/msg.h"

#define CUT   (MU_DATAGRAM_MAX + 1) /* one more than allowed: what is too long is seen to be */
#define AHEAD 16                    /* datagrams between soon() and datagram() */

/* Room for the longest message; the pages that no message fills are never there. The line more
 * keeps the buffers' beginnings from sharing one set of the cache. */
#define IN_ROOM  (65536 + 64)
#define OUT_ROOM 32768 /* of all answers between two sendmmsg; less than a message may have */
#define RUN_MAX  64    /* answers in one message, as every kernel takes it */

union peer {
    struct sockaddr sa;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct control { /* room for an address and a length, aligned as the kernel wants it */
    _Alignas(struct cmsghdr)
        uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int))];
};

struct place { /* in a batch */
    unsigned message;
    size_t at;
};

struct mu_datagrams {
    const struct mu_transport_sink *sink;
    uint64_t key[2]; /* of source() */

    struct mmsghdr in[MU_BATCH];
    struct iovec in_iov[MU_BATCH];
    union peer peers[MU_BATCH];
    struct control in_controls[MU_BATCH];
    size_t each[MU_BATCH]; /* bytes of a message's datagrams, but of the last */

    /* Answers that have not left: messages, each of one answer or of a run of one length. */
    unsigned nout;
    struct mmsghdr out[MU_BATCH];
    struct iovec out_iov[MU_BATCH];
    struct control out_controls[MU_BATCH];
    size_t out_each[MU_BATCH];
    size_t out_len;                 /* of all */
    unsigned out_run;               /* how many the last message has */
    const struct msghdr *out_asker; /* and the message that it answers */
    bool out_runs_refused;          /* this kernel sends no runs */
    uint8_t out_data[OUT_ROOM];

    uint8_t data[MU_BATCH][IN_ROOM];
};

int mu_datagrams_new(struct mu_datagrams **out, const struct mu_transport_sink *sink)
{
    struct mu_datagrams *d = mu_alloc(sizeof(*d));

    if (!d)
        return MU_ENOMEM;
    if (mu_rng_secret(d->key, sizeof(d->key))) {
        mu_free(d);
        return MU_EIO;
    }
    d->sink = sink;
    for (size_t i = 0; i < MU_BATCH; i++) {
        d->in_iov[i] = (struct iovec){d->data[i], IN_ROOM};
        d->in[i].msg_hdr.msg_iov = &d->in_iov[i];
        d->in[i].msg_hdr.msg_iovlen = 1;
        d->in[i].msg_hdr.msg_name = &d->peers[i];
        d->in[i].msg_hdr.msg_control = &d->in_controls[i];
        d->out[i].msg_hdr.msg_iov = &d->out_iov[i];
        d->out[i].msg_hdr.msg_iovlen = 1;
        d->out[i].msg_hdr.msg_control = &d->out_controls[i];
    }
    *out = d;
    return 0;
}

void mu_datagrams_free(struct mu_datagrams *d)
{
    mu_free(d);
}

/* --- out ----------------------------------------------------------------------------------------
 */

static void put_control(struct msghdr *msg, int level, int type, const void *data, size_t n)
{
    struct cmsghdr *c = (struct cmsghdr *)((uint8_t *)msg->msg_control + msg->msg_controllen);

    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(n);
    memcpy(CMSG_DATA(c), data, n);
    msg->msg_controllen += CMSG_SPACE(n);
}

/* The control message that was received says which address was spoken to; sent along with the
 * answer, it says where to leave from. The interface is left to the routes, but for link-local
 * addresses, which mean nothing without one. */
static void answer_from(struct msghdr *out, struct msghdr *in)
{
    out->msg_controllen = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(in); c; c = CMSG_NXTHDR(in, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            info.ipi_ifindex = 0;
            put_control(out, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
                info.ipi6_ifindex = 0;
            put_control(out, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
        }
    }
}

/* Sends the answers of a run that was refused one by one. If they leave so, no run ever will. */
static void send_apart(struct mu_datagrams *d, int fd, unsigned message)
{
    struct msghdr one = d->out[message].msg_hdr;
    struct iovec iov = {one.msg_iov->iov_base, d->out_each[message]};
    uint8_t *end = (uint8_t *)iov.iov_base + one.msg_iov->iov_len;

    one.msg_iov = &iov;
    one.msg_controllen -= CMSG_SPACE(sizeof(uint16_t)); /* UDP_SEGMENT was put last */
    for (; (uint8_t *)iov.iov_base < end; iov.iov_base = (uint8_t *)iov.iov_base + iov.iov_len)
        if (sendmsg(fd, &one, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
            d->out_runs_refused = true;
}

static void send_answers(struct mu_datagrams *d, int fd)
{
    unsigned sent = 0;

    while (sent < d->nout) {
        int rv = sendmmsg(fd, d->out + sent, d->nout - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (rv > 0) {
            sent += (unsigned)rv;
        } else if (rv < 0 && (errno == EAGAIN || errno == ENOBUFS)) {
            break; /* no room: the senders ask again */
        } else if (rv == 0 || errno != EINTR) {
            if (d->out_iov[sent].iov_len > d->out_each[sent])
                send_apart(d, fd, sent);
            sent++; /* no way to this one; the others still get theirs */
        }
    }
    d->nout = 0;
    d->out_len = 0;
}

/* Whether the answers go to the same place, from the same. */
static bool same_way(const struct msghdr *a, const struct msghdr *b)
{
    return a == b || (a->msg_namelen == b->msg_namelen && a->msg_controllen == b->msg_controllen &&
                      memcmp(a->msg_name, b->msg_name, a->msg_namelen) == 0 &&
                      memcmp(a->msg_control, b->msg_control, a->msg_controllen) == 0);
}

/* Takes the answer of @n bytes that the sink has put at the end of the others. */
static void add_answer(struct mu_datagrams *d, struct msghdr *asker, size_t n)
{
    unsigned last = d->nout - 1;
    uint16_t each = (uint16_t)n;

    if (d->nout > 0 && same_way(d->out_asker, asker) && d->out_each[last] == n &&
        d->out_run < RUN_MAX && !d->out_runs_refused) {
        d->out_iov[last].iov_len += n;
        if (++d->out_run == 2)
            put_control(&d->out[last].msg_hdr, IPPROTO_UDP, UDP_SEGMENT, &each, sizeof(each));
    } else {
        last = d->nout++;
        d->out_iov[last] = (struct iovec){d->out_data + d->out_len, n};
        d->out_each[last] = n;
        d->out_run = 1;
        d->out_asker = asker;
        d->out[last].msg_hdr.msg_name = asker->msg_name;
        d->out[last].msg_hdr.msg_namelen = asker->msg_namelen;
        answer_from(&d->out[last].msg_hdr, asker);
    }
    d->out_len += n;
}

/* --- in -----------------------------------------------------------------------------------------
 */

/* The length of the datagrams that the kernel has joined in a message of @n bytes. */
static size_t joined(struct msghdr *msg, size_t n)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        int each;
        if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO)
            continue;
        memcpy(&each, CMSG_DATA(c), sizeof(each));
        if (each > 0)
            return (size_t)each;
    }
    return n;
}

/* The datagram at @place, which moves on to the next. *@n gets its length. */
static const uint8_t *step(const struct mu_datagrams *d, struct place *place, size_t *n)
{
    size_t each = d->each[place->message], left = d->in[place->message].msg_len - place->at;
    const uint8_t *in = d->data[place->message] + place->at;

    *n = left < each ? left : each;
    if (left > each) {
        place->at += each;
    } else {
        place->message++;
        place->at = 0;
    }
    if (*n > CUT)
        *n = CUT;
    return in;
}

/* One number for an address and port. IPv4's fit. IPv6's are mixed under a key, each word by a
 * bijection of what the others made: it is only to see that a sender who has proved himself now
 * comes from elsewhere, in which to deceive us he would gain nothing, and no table hangs on it. */
static uint64_t source(const struct mu_datagrams *d, const union peer *peer)
{
    uint64_t word[2], mixed = d->key[0];

    if (peer->sa.sa_family != AF_INET6)
        return (uint64_t)peer->v4.sin_addr.s_addr << 16 | peer->v4.sin_port;
    memcpy(word, &peer->v6.sin6_addr, sizeof(word));
    mixed = (mixed ^ word[0]) * (d->key[1] | 1);
    mixed = (mixed ^ mixed >> 32 ^ word[1]) * (d->key[1] | 1);
    return (mixed ^ mixed >> 32 ^ peer->v6.sin6_port) * (d->key[1] | 1);
}

static void tell_ahead(const struct mu_datagrams *d, unsigned messages, struct place *ahead)
{
    const uint8_t *in = NULL;
    size_t n = 0;

    if (ahead->message < messages)
        in = step(d, ahead, &n);
    d->sink->soon(d->sink->ctx, in, n);
}

/* Hands a batch on and gathers the answers. Returns how many datagrams there were. */
static unsigned hand_on(struct mu_datagrams *d, int fd, unsigned messages)
{
    const struct mu_transport_sink *sink = d->sink;
    struct place here = {0}, ahead = {0};
    mu_time now = mu_clock_now();
    unsigned count = 0;

    for (int i = 0; i < AHEAD && sink->soon; i++)
        tell_ahead(d, messages, &ahead);
    for (; here.message < messages; count++) {
        unsigned message = here.message;
        size_t n, len;
        const uint8_t *in = step(d, &here, &n);

        if (sink->soon)
            tell_ahead(d, messages, &ahead);
        if (d->nout == MU_BATCH || d->out_len > OUT_ROOM - CUT)
            send_answers(d, fd);
        len = sink->datagram(sink->ctx, in, n, source(d, &d->peers[message]), now,
                             d->out_data + d->out_len);
        assert(len <= n); /* no answer is longer than its question */
        if (len > 0)
            add_answer(d, &d->in[message].msg_hdr, len);
    }
    send_answers(d, fd);
    return count;
}

unsigned mu_datagrams_turn(struct mu_datagrams *d, int fd, unsigned *count)
{
    int n;

    for (size_t i = 0; i < MU_BATCH; i++) {
        d->in[i].msg_hdr.msg_namelen = sizeof(union peer);
        d->in[i].msg_hdr.msg_controllen = sizeof(struct control);
    }
    n = recvmmsg(fd, d->in, MU_BATCH, MSG_DONTWAIT, NULL);
    if (n <= 0)
        return 0;
    for (int i = 0; i < n; i++)
        d->each[i] = joined(&d->in[i].msg_hdr, d->in[i].msg_len);
    *count += hand_on(d, fd, (unsigned)n);
    return (unsigned)n;
}
