#include "wire/seal.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/siphash.h"

/* Offsets that beat, attach and ack share, then those of their own. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 2,
    AT_KIND = 3,
    AT_SESSION = 4,
    AT_EPOCH = 12,
    AT_SEQ = 16,

    AT_SENT = 24,
    AT_PATH = 32,
    AT_HEALTH = 33,
    AT_COUNT = 34,

    AT_STATUS = 24,
    AT_LEASE = 28,
    AT_INDEX = 32,
};
#define MAGIC 0x4d75 /* "Mu" */

void mu_seal_key(const uint8_t secret[16], uint64_t session, uint8_t key[16])
{
    static const char label[] = "muster session key 1";
    uint8_t text[sizeof(label) - 1 + 8];

    memcpy(text, label, sizeof(label) - 1);
    mu_put64(text + sizeof(label) - 1, session);
    mu_siphash128(secret, text, sizeof(text), key);
}

int mu_seal_peek(const uint8_t *data, size_t n, uint64_t *session)
{
    size_t want;

    if (n < MU_ATTACH_LEN || mu_get16(data + AT_MAGIC) != MAGIC)
        return MU_EPROTO;
    if (data[AT_VERSION] != MU_WIRE_VERSION)
        return MU_EVERSION;
    switch (data[AT_KIND]) {
    case MU_SEALED_BEAT:
        want = MU_BEAT_LEN(mu_get16(data + AT_COUNT));
        if (want == MU_BEAT_LEN(0) || want > MU_BEAT_LEN(MU_INDEXES_MAX))
            return MU_EPROTO;
        break;
    case MU_SEALED_ACK:
        want = MU_ACK_LEN;
        break;
    case MU_SEALED_ATTACH:
        want = MU_BEAT_LEN(mu_get16(data + AT_COUNT));
        if (want != MU_ATTACH_LEN)
            return MU_EPROTO;
        break;
    default:
        return MU_EPROTO;
    }
    if (n != want)
        return MU_EPROTO;
    *session = mu_get64(data + AT_SESSION);
    return data[AT_KIND];
}

static void put_head(uint8_t *out, enum mu_sealed kind, uint64_t session, uint32_t epoch,
                     uint64_t seq)
{
    mu_put16(out + AT_MAGIC, MAGIC);
    out[AT_VERSION] = MU_WIRE_VERSION;
    out[AT_KIND] = (uint8_t)kind;
    mu_put64(out + AT_SESSION, session);
    mu_put32(out + AT_EPOCH, epoch);
    mu_put64(out + AT_SEQ, seq);
}

/* Writes the tag behind @n bytes. Returns the whole length. */
static size_t seal(const uint8_t key[16], uint8_t *out, size_t n)
{
    mu_siphash128(key, out, n, out + n);
    return n + MU_TAG_LEN;
}

static size_t put_beat(const uint8_t key[16], enum mu_sealed kind, const struct mu_beat *beat,
                       uint8_t *out)
{
    put_head(out, kind, beat->session, beat->epoch, beat->seq);
    mu_put64(out + AT_SENT, beat->sent_ms);
    out[AT_PATH] = beat->path;
    out[AT_HEALTH] = beat->health;
    mu_put16(out + AT_COUNT, beat->n);
    for (size_t i = 0; i < beat->n; i++)
        mu_put32(out + MU_BEAT_HEAD + 4 * i, beat->indexes[i]);
    return seal(key, out, MU_BEAT_HEAD + 4 * (size_t)beat->n);
}

size_t mu_seal_beat(const uint8_t key[16], const struct mu_beat *beat, uint8_t *out)
{
    assert(beat->n > 0 && beat->n <= MU_INDEXES_MAX);
    return put_beat(key, MU_SEALED_BEAT, beat, out);
}

size_t mu_seal_attach(const uint8_t key[16], const struct mu_beat *beat, uint8_t *out)
{
    assert(beat->n == 0);
    return put_beat(key, MU_SEALED_ATTACH, beat, out);
}

size_t mu_seal_ack(const uint8_t key[16], const struct mu_ack *ack, uint8_t *out)
{
    put_head(out, MU_SEALED_ACK, ack->session, ack->epoch, ack->seq);
    mu_put32(out + AT_STATUS, (uint32_t)ack->status << 24);
    mu_put32(out + AT_LEASE, ack->lease_ms);
    mu_put32(out + AT_INDEX, ack->index);
    return seal(key, out, MU_ACK_LEN - MU_TAG_LEN);
}

/* Whether it is well formed, of @kind, and its tag right. The comparison takes the same time
 * wherever the first difference is, so that nobody can feel his way to a tag. */
static int check(const uint8_t key[16], enum mu_sealed kind, const uint8_t *data, size_t n)
{
    uint64_t session;
    uint8_t tag[MU_TAG_LEN], diff = 0;
    int rv = mu_seal_peek(data, n, &session);

    if (rv < 0)
        return rv;
    if (rv != (int)kind)
        return MU_EPROTO;
    mu_siphash128(key, data, n - MU_TAG_LEN, tag);
    for (size_t i = 0; i < MU_TAG_LEN; i++)
        diff |= tag[i] ^ data[n - MU_TAG_LEN + i];
    return diff ? MU_EPERM : 0;
}

static int open_beat(const uint8_t key[16], enum mu_sealed kind, const uint8_t *data, size_t n,
                     struct mu_beat *out)
{
    int rv = check(key, kind, data, n);

    if (rv)
        return rv;
    out->session = mu_get64(data + AT_SESSION);
    out->epoch = mu_get32(data + AT_EPOCH);
    out->seq = mu_get64(data + AT_SEQ);
    out->sent_ms = mu_get64(data + AT_SENT);
    out->path = data[AT_PATH];
    out->health = data[AT_HEALTH];
    out->n = mu_get16(data + AT_COUNT);
    for (size_t i = 0; i < out->n; i++)
        out->indexes[i] = mu_get32(data + MU_BEAT_HEAD + 4 * i);
    return 0;
}

int mu_seal_open_beat(const uint8_t key[16], const uint8_t *data, size_t n, struct mu_beat *out)
{
    return open_beat(key, MU_SEALED_BEAT, data, n, out);
}

int mu_seal_open_attach(const uint8_t key[16], const uint8_t *data, size_t n, struct mu_beat *out)
{
    return open_beat(key, MU_SEALED_ATTACH, data, n, out);
}

int mu_seal_open_ack(const uint8_t key[16], const uint8_t *data, size_t n, struct mu_ack *out)
{
    int rv = check(key, MU_SEALED_ACK, data, n);

    if (rv)
        return rv;
    out->session = mu_get64(data + AT_SESSION);
    out->epoch = mu_get32(data + AT_EPOCH);
    out->seq = mu_get64(data + AT_SEQ);
    out->status = data[AT_STATUS];
    out->lease_ms = mu_get32(data + AT_LEASE);
    out->index = mu_get32(data + AT_INDEX);
    return 0;
}

bool mu_replay_accept(struct mu_replay *r, uint64_t seq)
{
    uint64_t back;

    if (seq == 0)
        return false;
    if (seq > r->top) {
        back = seq - r->top;
        r->seen = back < 64 ? r->seen << back | 1 : 1;
        r->top = seq;
        return true;
    }
    back = r->top - seq;
    if (back >= 64 || r->seen >> back & 1)
        return false;
    r->seen |= (uint64_t)1 << back;
    return true;
}
