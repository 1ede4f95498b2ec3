/* frame.h - frames out of a stream: a length of 4 bytes, then so many bytes.
 *
 * Frames that arrive whole are handed on where they lie; only the rest of a cut one is kept, and it
 * grows by what has arrived, not by what its length announces. An idle stream holds no memory. */
#ifndef MU_WIRE_FRAME_H
#define MU_WIRE_FRAME_H

#include "base/buf.h"
#include "wire/msg.h"

#define MU_FRAME_HEAD 4 /* bytes of the length */

struct mu_frames {
    struct mu_buf rest; /* of a frame that has not come whole */
};

/* One frame's body, borrowed. What it returns but 0 ends the reading and is handed on; only then
 * may it free the struct mu_frames. @n is 0 for a length that no frame has: a chance to say so. */
typedef int (*mu_frame_fn)(void *ctx, const uint8_t *body, size_t n);

void mu_frames_init(struct mu_frames *f);
void mu_frames_fini(struct mu_frames *f);

/* Takes @n bytes as they came and calls @fn for each frame that is whole by now. Returns 0; what
 * @fn returned; MU_EPROTO for a length of 0 or over MU_FRAME_MAX, after @fn; or MU_ENOMEM. After an
 * error the stream cannot be read on. */
int mu_frames_feed(struct mu_frames *f, const uint8_t *data, size_t n, mu_frame_fn fn, void *ctx);

/* Whether a part of a frame waits for its rest. */
bool mu_frames_pending(const struct mu_frames *f);

/* Writes the length before a body of @n bytes, 1 to MU_FRAME_MAX. */
void mu_frame_head(uint8_t out[MU_FRAME_HEAD], size_t n);

#endif
