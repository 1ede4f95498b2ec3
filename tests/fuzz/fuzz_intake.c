/* A conductor among senders that send anything: bytes of their own, sealed messages of any content
 * under the right key, streams that come and go, operators, a store that answers or not, and time.
 * The input is a script: an opcode, a length, so many bytes; see step(). Whatever it says, no
 * answer is longer than its question, and what the roster counts is what it holds. */
#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "conductor/explain.h"
#include "conductor/intake.h"
#include "wire/seal.h"

#define TICKETS 64
#define CONNS   4

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[16] = "0123456789abcde";

struct play {
    struct mu_conductor *c;
    struct mu_policies policies;
    mu_time now;
    uint64_t drops;
    uint64_t tickets[TICKETS];
    size_t ntickets;
    struct mu_reported report;        /* .row is 0: none waits */
    uint64_t conns[CONNS], last_conn; /* 0 = not open */
    uint64_t last_seq;
};

static int propose(void *ctx, const struct mu_change *change)
{
    struct play *p = ctx;

    if (p->ntickets == TICKETS)
        return MU_EAGAIN;
    p->tickets[p->ntickets++] = change->ticket;
    return 0;
}

static int payload(void *ctx, const struct mu_reported *report, const char *json, size_t n)
{
    if (n % 7 == 6)
        return MU_EFULL;
    ((struct play *)ctx)->report = *report;
    return 0;
}

static void changed(void *ctx, uint32_t slot)
{
    struct mu_row row;

    mu_roster_row(mu_conductor_roster(((struct play *)ctx)->c), slot, &row);
}

static void send_frame(void *ctx, uint64_t conn, const uint8_t *frame, size_t n)
{
    assert(n > 0);
}

static void close_stream(void *ctx, uint64_t conn)
{
}

static void sink(void *ctx, const struct mu_event *event)
{
    struct mu_event_scratch scratch;
    struct mu_event_row row;

    mu_event_words(event, &scratch, &row);
    assert(event->seq != 0 && strcmp(row.kind, "?") != 0);
}

static void done(void *ctx, int rv, uint32_t slot)
{
}

static void give_datagram(struct play *p, const uint8_t *data, size_t n, uint64_t from)
{
    uint8_t out[MU_DATAGRAM_MAX];

    assert(mu_intake_datagram(p->c, data, n, from, p->now, out) <= n);
}

/* A sealed message of what @cur says, under the key that belongs to it. Returns its length. */
static size_t seal(struct play *p, struct mu_cur *cur, bool attach, uint8_t *out)
{
    struct mu_beat beat = {.epoch = 1 + mu_cur_u8(cur) % 2};
    uint8_t key[16], step = mu_cur_u8(cur);

    beat.session = (uint64_t)(1 + mu_cur_u8(cur) % 2) << 32 | mu_cur_u8(cur) % 4;
    p->last_seq += step % 3; /* 0 repeats */
    beat.seq = p->last_seq + 1;
    while (!attach && beat.n < MU_INDEXES_MAX && (beat.n == 0 || mu_cur_left(cur) > 0))
        beat.indexes[beat.n++] = mu_cur_u8(cur);
    mu_seal_key(secret, beat.session, key);
    return attach ? mu_seal_attach(key, &beat, out) : mu_seal_beat(key, &beat, out);
}

static void close_conn(struct play *p, uint64_t *conn, bool by_peer)
{
    mu_intake_closed(p->c, *conn, by_peer, p->now);
    *conn = 0;
}

static void give_frame(struct play *p, uint64_t *conn, const uint8_t *data, size_t n)
{
    if (*conn == 0 && mu_intake_opened(p->c, *conn = ++p->last_conn, "10.0.0.1:1", p->now) != 0)
        *conn = 0;
    if (*conn && mu_intake_frame(p->c, *conn, data, n, p->now) != 0)
        close_conn(p, conn, false);
}

static void pass_time(struct play *p, struct mu_cur *cur)
{
    uint8_t ms10 = mu_cur_u8(cur), ticks = mu_cur_u8(cur) % 64, drops = mu_cur_u8(cur);

    for (; ticks > 0; ticks--) {
        p->now += ms10 * 10 * MU_MS;
        p->drops += drops > 200;
        mu_conductor_tick(p->c, p->now, p->now + (drops == 199) * 60 * MU_SEC,
                          1700000000000 + p->now / MU_MS, p->drops);
    }
}

static void commit(struct play *p, int rv)
{
    size_t n = p->ntickets;

    p->ntickets = 0;
    for (size_t i = 0; i < n; i++)
        mu_conductor_committed(p->c, p->tickets[i], rv, p->now);
    if (p->report.row)
        mu_conductor_reported(p->c, &p->report, rv, p->now);
    p->report.row = 0;
}

static void step(struct play *p, uint8_t op, const uint8_t *data, size_t n)
{
    uint64_t *conn = &p->conns[op / 16 % CONNS];
    uint8_t sealed[1 + MU_DATAGRAM_MAX];
    struct mu_cur cur;
    char name[8] = "h0";

    mu_cur_init(&cur, data, n);
    switch (op % 16) {
    case 0:
        give_datagram(p, data, n, op / 16);
        break;
    case 1:
        n = seal(p, &cur, false, sealed);
        give_datagram(p, sealed, n, op / 16);
        break;
    case 2:
        give_frame(p, conn, data, n);
        break;
    case 3:
    case 4:
        sealed[0] = op % 16 == 3 ? MU_MSG_ATTACH : MU_MSG_BEAT;
        n = seal(p, &cur, op % 16 == 3, sealed + 1);
        give_frame(p, conn, sealed, 1 + n);
        break;
    case 5:
        if (*conn)
            close_conn(p, conn, n % 2);
        break;
    case 6:
        pass_time(p, &cur);
        break;
    case 7:
        commit(p, n % 2 ? MU_EIO : 0);
        break;
    case 8:
        mu_conductor_write(p->c, mu_cur_u8(&cur) % 8, (enum mu_op)(op / 16 % 5), "reason",
                           MU_ANY_REVISION, p->now, done, p);
        break;
    case 9:
        name[1] = (char)('0' + op / 16 % 4);
        mu_conductor_http_beat(p->c, "nova", name, mu_cur_u16(&cur) * MU_SEC, p->now, done, p);
        break;
    case 10:
        p->policies.at[0].times.interval = (1 + mu_cur_u8(&cur) % 20) * 100 * MU_MS;
        mu_conductor_policies(p->c, &p->policies, p->now);
        break;
    default:
        break;
    }
}

static void check(struct play *p)
{
    struct mu_roster *roster = mu_conductor_roster(p->c);
    uint32_t n = 0, shown = 0;

    for (uint32_t slot = 0; slot < mu_roster_slots(roster); slot++) {
        struct mu_explanation why;

        if (!mu_roster_used(roster, slot))
            continue;
        n++;
        mu_explain(p->c, slot, p->now, 1700000000000 + p->now / MU_MS, &why);
        assert(why.verdict[0] && why.rule[0]);
        assert(mu_roster_find(roster, why.view.row.ident->binary, why.view.row.ident->host) ==
               slot);
    }
    for (int state = 0; state < MU_STATES; state++)
        shown += mu_roster_census(roster)->state[(enum mu_state)state];
    assert(n == mu_roster_count(roster) && n == shown && n <= 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play p = {.now = 1000 * MU_SEC};
    struct mu_conductor_ports ports = {.ctx = &p,
                                       .propose = propose,
                                       .payload = payload,
                                       .changed = changed,
                                       .send = send_frame,
                                       .close = close_stream};
    struct mu_conductor_config config = {.epoch = 1,
                                         .next_row = 1,
                                         .seed = 7,
                                         .max_agents = 8,
                                         .join_rate = 50,
                                         .max_streams = 3,
                                         .forget_after = 20 * MU_SEC,
                                         .policies = &p.policies};
    struct mu_cur cur;

    mu_policies_init(&p.policies);
    p.policies.at[0].times =
        (struct mu_times){.interval = MU_SEC, .suspect = 2500 * MU_MS, .down = 6 * MU_SEC};
    memcpy(config.secret, secret, sizeof(secret));
    if (mu_conductor_new(&p.c, &config, &ports, p.now, 1700000000000) != 0)
        return 0;
    mu_bus_grant(mu_conductor_bus(p.c), 1, UINT64_MAX);
    mu_bus_attach(mu_conductor_bus(p.c), sink, &p);
    mu_conductor_begin(p.c, p.now, 1700000000000);
    mu_cur_init(&cur, data, size);
    while (mu_cur_left(&cur) >= 3) {
        uint8_t op = mu_cur_u8(&cur);
        size_t n = mu_cur_u16(&cur);

        if (n > mu_cur_left(&cur))
            n = mu_cur_left(&cur);
        step(&p, op, mu_cur_take(&cur, n), n);
    }
    check(&p);
    mu_conductor_free(p.c);
    return 0;
}
