/* intake.h - bytes -> message -> conductor, and the answers back as bytes.
 *
 * What is malformed, forged, old or unasked for ends here, with a counter. */
#ifndef MU_CONDUCTOR_INTAKE_H
#define MU_CONDUCTOR_INTAKE_H

#include "conductor/conductor.h"

/* These @n bytes come as a datagram soon: at least MU_SOON others should lie between, and then this
 * is called again for each of them. Has the processor fetch what they will need; changes nothing.
 */
void mu_intake_soon(struct mu_conductor *c, const uint8_t *in, size_t n);

/* A datagram of @n bytes from a source whose address hashes to @from (0 = unknown). Writes the
 * answer to @out, which has at least max(@n, 64) bytes, and returns its length, at most @n; 0 = no
 * answer. */
size_t mu_intake_datagram(struct mu_conductor *c, const uint8_t *in, size_t n, uint64_t from,
                          mu_time now, uint8_t *out);

/* A stream was accepted: @conn is the transport's id for it, never given again; @peer reads as its
 * address. */
int mu_intake_opened(struct mu_conductor *c, uint64_t conn, const char *peer, mu_time now);

/* One whole frame (without its length prefix). Returns 0, or an error after which the caller closes
 * the stream. */
int mu_intake_frame(struct mu_conductor *c, uint64_t conn, const uint8_t *frame, size_t n,
                    mu_time now);

/* The stream is gone: @by_peer says whether he closed it (FIN, RST) or we did. */
void mu_intake_closed(struct mu_conductor *c, uint64_t conn, bool by_peer, mu_time now);

#endif
