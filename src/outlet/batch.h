/* batch.h - one transaction with all the memory it stands on, for the store's thread to read.
 *
 * Rows are copied, their strings too; events and idents are held by reference, which this thread
 * alone counts. Private to the journal. */
#ifndef MU_OUTLET_BATCH_H
#define MU_OUTLET_BATCH_H

#include "event/change.h"
#include "outlet/payloads.h"

/* A change that waits for its commit. */
struct mu_proposal {
    struct mu_proposal *next;
    struct mu_change change;   /* a copy, its strings in .text; but the payload, which is below */
    struct mu_payload payload; /* .json is NULL: none, or it is in the batch */
    char text[];
};

int mu_proposal_new(struct mu_proposal **out, const struct mu_change *change);
void mu_proposal_free(struct mu_proposal *proposal);

struct mu_gather {
    struct mu_batch batch; /* what the store is given */
    size_t max_rows, max_events;
    struct mu_row *rows;
    char **texts;        /* of rows[i]: its strings */
    uint32_t *row_slots; /* where rows[i] is in the roster; MU_NO_SLOT = not yet */
    struct mu_verdict *verdicts;
    uint32_t *verdict_slots;
    uint32_t *deletes, *delete_slots;
    struct mu_event *events;
    struct mu_payload *payloads;
    struct mu_reported *reported; /* of payloads[i]; .row is 0 at a first join */
    size_t payload_bytes;
    struct mu_proposal *first, **last; /* those that are in it */
};

/* @events is the bound of verdicts, too, and @rows that of deletes and of payloads. Returns 0 or
 * MU_ENOMEM. */
int mu_gather_new(struct mu_gather **out, size_t events, size_t rows);
void mu_gather_free(struct mu_gather *gather, struct mu_payloads *payloads);

/* There is room (asserted). A row may find no memory: MU_ENOMEM. The event's references are taken
 * over, the proposal as well. */
int mu_gather_row(struct mu_gather *gather, const struct mu_row *row, uint32_t slot);
void mu_gather_verdict(struct mu_gather *gather, const struct mu_row *row, uint32_t slot);
void mu_gather_event(struct mu_gather *gather, const struct mu_event *event);
void mu_gather_delete(struct mu_gather *gather, uint32_t row, uint32_t slot);
void mu_gather_proposal(struct mu_gather *gather, struct mu_proposal *proposal);
/* Its text is taken over. */
void mu_gather_payload(struct mu_gather *gather, const struct mu_payload *payload,
                       const struct mu_reported *from);

bool mu_gather_empty(const struct mu_gather *gather);
/* Empty again; gives back what it holds, but for the proposals, which the caller has taken. */
void mu_gather_reset(struct mu_gather *gather, struct mu_payloads *payloads);

#endif
