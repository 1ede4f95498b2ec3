/* A session that meets a conductor out of its mind. The input is a script: a byte says what
 * happens, the next how long what follows is, or how much time passes. Acks among it get a right
 * tag, so that they are believed. The session must stay sane: it never asks for a stream it has,
 * never sends on one it has not, and always can be asked when it is due. */
#include <stdlib.h>
#include <string.h>

#include "agent/session.h"
#include "base/buf.h"
#include "base/siphash.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outside {
    bool up, dialling;
    uint64_t seq;
};

static void must(bool truth)
{
    if (!truth)
        abort();
}

static void datagram(void *ctx, const uint8_t *data, size_t n)
{
    struct outside *o = ctx;
    uint64_t session;

    must(mu_seal_peek(data, n, &session) == MU_SEALED_BEAT);
    o->seq = mu_get64(data + 16);
}

static void stream(void *ctx, const uint8_t *data, size_t n)
{
    struct outside *o = ctx;

    must(o->up && n > MU_FRAME_HEAD + 1 && mu_get32(data) == n - MU_FRAME_HEAD);
    if (data[MU_FRAME_HEAD] == MU_MSG_BEAT || data[MU_FRAME_HEAD] == MU_MSG_ATTACH)
        o->seq = mu_get64(data + MU_FRAME_HEAD + 1 + 16);
}

static void dial(void *ctx)
{
    struct outside *o = ctx;

    must(!o->up && !o->dialling);
    o->dialling = true;
}

static void hangup(void *ctx)
{
    struct outside *o = ctx;

    must(o->up);
    o->up = false;
}

static void notice(void *ctx, enum mu_notice what, uint32_t agent, int rv, const char *text)
{
    must(text != NULL);
}

static void feed_frame(struct mu_session *s, const uint8_t *body, size_t n, mu_time now)
{
    uint8_t frame[MU_FRAME_HEAD + 256];

    if (n == 0)
        return;
    mu_frame_head(frame, n);
    memcpy(frame + MU_FRAME_HEAD, body, n);
    mu_session_stream(s, frame, MU_FRAME_HEAD + n, now);
}

/* An ack of what was sent last: the script's bytes are epoch, status, lease and index. */
static void feed_ack(struct mu_session *s, const struct outside *o, const uint8_t *p, size_t n,
                     bool by_stream, mu_time now)
{
    uint8_t body[1 + MU_ACK_LEN] = {MU_MSG_ACK}, key[16] = {0};
    struct mu_ack ack = {.session = 1, .seq = o->seq};

    if (n < 4)
        return;
    ack.epoch = p[0];
    ack.status = p[1];
    ack.lease_ms = p[2] * 100u;
    ack.index = p[3] == 255 ? MU_INDEX_ALL : p[3];
    mu_seal_ack(key, &ack, body + 1);
    if (by_stream)
        feed_frame(s, body, sizeof(body), now);
    else
        mu_session_datagram(s, body + 1, MU_ACK_LEN, now);
}

static void ask(struct mu_session *s, const uint8_t *p, size_t n, mu_time now)
{
    uint32_t id = n > 1 ? p[1] % 4 : 0;

    switch (n ? p[0] % 6 : 0) {
    case 0:
        mu_session_beat(s, id, now);
        break;
    case 1:
        mu_session_report(s, id, "{}", 2, now);
        break;
    case 2:
        mu_session_leave(s, id, now);
        break;
    case 3:
        mu_session_ended(s, id, MU_ENDED_KILLED, 9, now);
        break;
    case 4:
        mu_session_remove(s, id, now);
        break;
    default:
        mu_session_add(s, &(struct mu_session_agent){.binary = "b", .host = "h", .manual = n > 2},
                       &id, now);
    }
}

static void happen(struct mu_session *s, struct outside *o, uint8_t what, const uint8_t *p,
                   size_t n, mu_time *now)
{
    switch (what) {
    case 0:
        *now += (mu_dur)n * 20 * MU_MS;
        mu_session_tick(s, *now);
        break;
    case 1:
        if (o->dialling) {
            o->dialling = false;
            o->up = n % 2 == 0;
            mu_session_dialled(s, o->up ? 0 : MU_EAGAIN, *now);
        }
        break;
    case 2:
        if (o->up) {
            o->up = false;
            mu_session_hungup(s, *now);
        }
        break;
    case 3:
        mu_session_stream(s, p, o->up ? n : 0, *now);
        break;
    case 4:
        feed_ack(s, o, p, n, false, *now);
        break;
    case 5:
        if (o->up)
            feed_ack(s, o, p, n, true, *now);
        break;
    case 6:
        if (o->up)
            feed_frame(s, p, n, *now);
        break;
    default:
        ask(s, p, n, *now);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outside o = {0};
    const struct mu_session_ports ports = {&o, datagram, stream, dial, hangup, notice};
    const struct mu_session_config config = {.seed = 1, .token = "", .datagrams = true};
    const struct mu_session_agent agent = {.binary = "b", .host = "h", .interval = MU_SEC};
    struct mu_session *s;
    mu_time now = MU_SEC;
    uint32_t id;

    must(mu_session_new(&s, &config, &ports, now) == 0);
    must(mu_session_add(s, &agent, &id, now) == 0);
    while (size >= 2) {
        uint8_t what = data[0] % 8, count = data[1];
        size_t bytes = what < 3 ? 0 : count < size - 2 ? count : size - 2;
        struct mu_session_status st;

        happen(s, &o, what, data + 2, what < 3 ? count : bytes, &now);
        for (id = 0; id < 4; id++)
            mu_session_status(s, id, now, &st);
        must(mu_session_due(s) > 0);
        data += 2 + bytes;
        size -= 2 + bytes;
    }
    mu_session_free(s);
    return 0;
}
