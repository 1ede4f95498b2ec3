/* event.h - one change, as a numbered value. */
#ifndef MU_EVENT_EVENT_H
#define MU_EVENT_EVENT_H

#include "base/buf.h"
#include "fleet/row.h"

/* Words that come with an event and are not made from its numbers: an operator's reason. Counted
 * like an ident. */
struct mu_text {
    uint32_t refs;
    char text[];
};

struct mu_text *mu_text_new(const char *text); /* NULL = out of memory */
void mu_text_unref(struct mu_text *text);

/* The numbers behind a verdict; -1 = does not apply, and is left out of `detail`. */
struct mu_evidence {
    int64_t silence_ms;   /* the silence that counted: since the last beat, less .stall_ms */
    int64_t threshold_ms; /* the suspect or down time that it passed */
    int64_t stall_ms;     /* what did not count: our own deafness, and what a stall forgave */
    int64_t count;        /* agents, events or datagrams, for kind conductor */
    uint64_t first, last; /* numbers lost, for `events lost`; 0 = does not apply */
    int32_t exit_status;
    int32_t signal;
};

extern const struct mu_evidence mu_no_evidence; /* nothing applies */

struct mu_event {
    uint64_t seq; /* 1, 2, ...; gaps are allowed, repeats are not */
    mu_wall at;
    struct mu_ident *who; /* NULL where it is about nobody: most of kind conductor */
    struct mu_text *text; /* NULL = none */
    uint8_t kind;         /* enum mu_kind */
    uint8_t reason;       /* enum mu_reason */
    uint8_t from, to;     /* state: enum mu_state; others: enum mu_word; MU_WORD_NONE where none */
    uint32_t slot;        /* of .who in the roster, where its row changed too; else any number */
    struct mu_evidence evidence;
};

/* What kinds other than `state` go from and to. */
enum mu_word {
    MU_WORD_ENABLED = 100,
    MU_WORD_DISABLED,
    MU_WORD_FORCED,
    MU_WORD_NOT_FORCED,
    MU_WORD_PRESENT,
    MU_WORD_DELETED,
    MU_WORD_NONE = 255
};

/* Takes, gives back the event's references. An event by itself is a plain struct. */
void mu_event_ref(const struct mu_event *event);
void mu_event_unref(const struct mu_event *event);

/* An event in words, as the store keeps it and the API prints it; all borrowed, "" = none. */
struct mu_event_row {
    uint64_t seq;
    mu_wall at;
    const char *kind, *from, *to, *reason;
    const char *agent; /* BINARY@HOST */
    const char *uuid;
    const char *detail; /* a JSON object */
};

struct mu_event_scratch {
    char agent[512];
    char uuid[40];
    char detail[256];
};

/* What @word, its .from or .to, is called: "up", "disabled"; "" = MU_WORD_NONE. */
const char *mu_event_word(const struct mu_event *event, uint8_t word);

/* Puts @event into words. The strings point into @event, constants, and @scratch. `reason` is the
 * operator's words where there are some, otherwise the text of the reason. */
void mu_event_words(const struct mu_event *event, struct mu_event_scratch *scratch,
                    struct mu_event_row *out);

#endif
