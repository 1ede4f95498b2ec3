/* codec.h - a frame's body: its type, then one map of a bounded subset of MessagePack.
 *
 * Keys are small integers and ascend, so that nothing comes twice; a key that the reader does not
 * know is skipped, whatever its value; types, lengths and what must be there are checked; nothing
 * may follow the map. ATTACH, BEAT and ACK carry sealed bytes instead (seal.h) and need no memory.
 */
#ifndef MU_WIRE_CODEC_H
#define MU_WIRE_CODEC_H

#include "base/buf.h"
#include "wire/msg.h"

struct mu_msg {
    enum mu_msg_type type;
    union {
        struct mu_bytes sealed; /* ATTACH, BEAT, ACK */
        struct mu_join join;
        struct mu_joined joined;
        struct mu_report report;
        struct mu_leave leave;
        struct mu_ended ended;
        struct mu_done done;
        struct mu_error_msg error;
    };
};

/* Where a JOIN's or a JOINED's agents are written to. NULL where this side is never sent such a
 * message: it is refused then. */
struct mu_codec_room {
    struct mu_join_agent *join;
    struct mu_joined_agent *joined;
    size_t max; /* elements; the wire's bound is MU_JOIN_AGENTS_MAX */
};

/* Reads a frame's body. Texts are valid UTF-8 within their bounds, but names are not checked for
 * what they may contain; strings borrow @body. A message is of the wire's version or newer:
 * join.version is the reader's to look at. Returns 0; MU_EPROTO and what is wrong with which field,
 * in @err. */
int mu_codec_get(const uint8_t *body, size_t n, const struct mu_codec_room *room,
                 struct mu_msg *out, struct mu_err *err);

/* Appends a frame's body, without the frame's length. Fields that are zero or empty are left out.
 * What breaks a bound of the wire is the caller's bug and asserted, apart from the size of the
 * whole: the buffer's .max sees to that. Returns 0, or buf->failed. */
int mu_codec_put(struct mu_buf *buf, const struct mu_msg *msg);

/* Upper bound of what one agent of a JOIN takes: to pack as many as fit into a frame. */
size_t mu_codec_join_size(const struct mu_join_agent *agent);

#endif
