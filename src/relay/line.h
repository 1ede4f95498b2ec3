/* line.h - one line of the relay's local protocol as a value. docs/relay.md has the protocol. */
#ifndef MU_RELAY_LINE_H
#define MU_RELAY_LINE_H

#include "base/clock.h"
#include "base/name.h"
#include "wire/msg.h"

enum mu_line_verb { MU_LINE_BEAT, MU_LINE_REPORT, MU_LINE_BYE };

#define MU_LINE_MAX (MU_PAYLOAD_MAX + 4096) /* bytes of a line: a report and its name */

struct mu_line {
    enum mu_line_verb verb;
    char binary[MU_NAME_PART_MAX + 1], host[MU_NAME_PART_MAX + 1]; /* host "" = the relay's */
    mu_dur interval;                                               /* of a beat; 0 = not given */
    const char *zone;                                              /* of a beat; "" = not given */
    size_t nlabels;
    const char *labels[MU_LABELS_MAX][2]; /* key, value */
    const char *json;                     /* of a report: the rest of the line */
};

/* Reads @text, which is changed and must outlive *@out. Returns 0, or MU_EINVAL and one sentence.
 */
int mu_line_parse(struct mu_line *out, char *text, struct mu_err *err);

#endif
