/* seal.h - beats, attaches and acks as authenticated bytes: tag, replay window, session key.
 *
 * A sealed message has its place and length fixed by its kind and is the same in a datagram and in
 * a frame. Its tag is SipHash-2-4 of 128 bits under the session's key over all bytes before it; the
 * kind says the direction, so that a message sent back is none. Nothing here allocates. */
#ifndef MU_WIRE_SEAL_H
#define MU_WIRE_SEAL_H

#include "base/err.h"
#include "wire/msg.h"

#define MU_BEAT_HEAD   36                                            /* bytes before the indexes */
#define MU_BEAT_LEN(n) (MU_BEAT_HEAD + 4 * (size_t)(n) + MU_TAG_LEN) /* bytes with @n indexes */
#define MU_ACK_LEN     52
#define MU_ATTACH_LEN  MU_BEAT_LEN(0)

enum mu_sealed { MU_SEALED_BEAT = 1, MU_SEALED_ACK = 2, MU_SEALED_ATTACH = 3 };

/* The key of a session: the fleet's secret makes it anew whenever it is needed. */
void mu_seal_key(const uint8_t secret[16], uint64_t session, uint8_t key[16]);

/* What @n bytes claim to be, and for which session: to find its key. Checks the length against the
 * kind, believes nothing else. Returns an enum mu_sealed, MU_EPROTO or MU_EVERSION. */
int mu_seal_peek(const uint8_t *data, size_t n, uint64_t *session);

/* Writes a beat of 1 to MU_INDEXES_MAX indexes, an attach, an ack; @out has MU_BEAT_LEN(beat->n),
 * MU_ATTACH_LEN, MU_ACK_LEN bytes. Returns the length. */
size_t mu_seal_beat(const uint8_t key[16], const struct mu_beat *beat, uint8_t *out);
size_t mu_seal_attach(const uint8_t key[16], const struct mu_beat *beat, uint8_t *out);
size_t mu_seal_ack(const uint8_t key[16], const struct mu_ack *ack, uint8_t *out);

/* Opens a beat or an attach (.n = 0), or an ack: MU_EPROTO when it is malformed or of another kind,
 * MU_EPERM when the tag is not right (compared in constant time). Only then is *@out written. */
int mu_seal_open_beat(const uint8_t key[16], const uint8_t *data, size_t n, struct mu_beat *out);
int mu_seal_open_attach(const uint8_t key[16], const uint8_t *data, size_t n, struct mu_beat *out);
int mu_seal_open_ack(const uint8_t key[16], const uint8_t *data, size_t n, struct mu_ack *out);

/* Which sequence numbers of one session have been seen: the highest, and the 64 up to it. All zero
 * is a new one. */
struct mu_replay {
    uint64_t top;
    uint64_t seen; /* bit i: top - i was seen */
};

/* Whether @seq (1 and up) is new; then it is noted. Older than the window counts as seen. Ask only
 * after the tag was right. */
bool mu_replay_accept(struct mu_replay *r, uint64_t seq);

#endif
