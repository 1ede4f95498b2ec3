#include "outlet/batch.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* A row's own strings; those of its ident are held by reference. */
static const size_t strings[] = {offsetof(struct mu_row, zone), offsetof(struct mu_row, labels),
                                 offsetof(struct mu_row, version),
                                 offsetof(struct mu_row, disabled_reason),
                                 offsetof(struct mu_row, forced_reason)};

static const char **string_of(struct mu_row *row, size_t i)
{
    return (const char **)((char *)row + strings[i]);
}

static size_t text_size(const struct mu_row *row)
{
    struct mu_row copy = *row;
    size_t n = 0;

    for (size_t i = 0; i < MU_ARRAY_LEN(strings); i++)
        n += strlen(*string_of(&copy, i)) + 1;
    return n;
}

/* @text has text_size() bytes. */
static void copy_row(struct mu_row *out, const struct mu_row *row, char *text)
{
    *out = *row;
    mu_ident_ref(out->ident);
    for (size_t i = 0; i < MU_ARRAY_LEN(strings); i++) {
        const char **string = string_of(out, i);
        size_t n = strlen(*string) + 1;
        *string = memcpy(text, *string, n);
        text += n;
    }
}

/* ---- proposals ---- */

int mu_proposal_new(struct mu_proposal **out, const struct mu_change *change)
{
    struct mu_proposal *proposal = mu_alloc(sizeof(*proposal) + text_size(&change->row));

    if (!proposal)
        return MU_ENOMEM;
    proposal->change = *change;
    proposal->change.payload = NULL;
    copy_row(&proposal->change.row, &change->row, proposal->text);
    mu_event_ref(&change->event);
    *out = proposal;
    return 0;
}

void mu_proposal_free(struct mu_proposal *proposal)
{
    mu_event_unref(&proposal->change.event);
    mu_ident_unref(proposal->change.row.ident);
    mu_free((char *)proposal->payload.json);
    mu_free(proposal);
}

/* ---- gathering ---- */

int mu_gather_new(struct mu_gather **out, size_t events, size_t rows)
{
    struct mu_gather *gather = mu_alloc(sizeof(*gather));

    if (!gather)
        return MU_ENOMEM;
    gather->last = &gather->first;
    gather->max_rows = rows;
    gather->max_events = events;
    gather->rows = mu_calloc(rows, sizeof(*gather->rows));
    gather->texts = mu_calloc(rows, sizeof(*gather->texts));
    gather->row_slots = mu_calloc(rows, sizeof(*gather->row_slots));
    gather->verdicts = mu_calloc(events, sizeof(*gather->verdicts));
    gather->verdict_slots = mu_calloc(events, sizeof(*gather->verdict_slots));
    gather->deletes = mu_calloc(rows, sizeof(*gather->deletes));
    gather->delete_slots = mu_calloc(rows, sizeof(*gather->delete_slots));
    gather->events = mu_calloc(events, sizeof(*gather->events));
    gather->payloads = mu_calloc(rows, sizeof(*gather->payloads));
    gather->reported = mu_calloc(rows, sizeof(*gather->reported));
    if (!gather->rows || !gather->texts || !gather->row_slots || !gather->verdicts ||
        !gather->verdict_slots || !gather->deletes || !gather->delete_slots || !gather->events ||
        !gather->payloads || !gather->reported) {
        mu_gather_free(gather, NULL);
        return MU_ENOMEM;
    }
    gather->batch = (struct mu_batch){.deletes = gather->deletes,
                                      .rows = gather->rows,
                                      .verdicts = gather->verdicts,
                                      .events = gather->events,
                                      .payloads = gather->payloads};
    *out = gather;
    return 0;
}

void mu_gather_free(struct mu_gather *gather, struct mu_payloads *payloads)
{
    struct mu_proposal *next;

    if (!gather)
        return;
    for (struct mu_proposal *proposal = gather->first; proposal; proposal = next) {
        next = proposal->next;
        mu_proposal_free(proposal);
    }
    mu_gather_reset(gather, payloads);
    mu_free(gather->rows);
    mu_free(gather->texts);
    mu_free(gather->row_slots);
    mu_free(gather->verdicts);
    mu_free(gather->verdict_slots);
    mu_free(gather->deletes);
    mu_free(gather->delete_slots);
    mu_free(gather->events);
    mu_free(gather->payloads);
    mu_free(gather->reported);
    mu_free(gather);
}

int mu_gather_row(struct mu_gather *gather, const struct mu_row *row, uint32_t slot)
{
    size_t i = gather->batch.nrows;

    assert(i < gather->max_rows);
    gather->texts[i] = mu_alloc(text_size(row));
    if (!gather->texts[i])
        return MU_ENOMEM;
    copy_row(&gather->rows[i], row, gather->texts[i]);
    gather->row_slots[i] = slot;
    gather->batch.nrows++;
    return 0;
}

void mu_gather_verdict(struct mu_gather *gather, const struct mu_row *row, uint32_t slot)
{
    size_t i = gather->batch.nverdicts;

    assert(i < gather->max_events);
    gather->verdicts[i] = (struct mu_verdict){.row = row->id,
                                              .state = row->state,
                                              .reason = row->state_reason,
                                              .since = row->state_since,
                                              .last_seen = row->last_seen,
                                              .report_count = row->report_count};
    gather->verdict_slots[i] = slot;
    gather->batch.nverdicts++;
}

void mu_gather_event(struct mu_gather *gather, const struct mu_event *event)
{
    assert(gather->batch.nevents < gather->max_events);
    gather->events[gather->batch.nevents++] = *event;
}

void mu_gather_delete(struct mu_gather *gather, uint32_t row, uint32_t slot)
{
    size_t i = gather->batch.ndeletes;

    assert(i < gather->max_rows);
    gather->deletes[i] = row;
    gather->delete_slots[i] = slot;
    gather->batch.ndeletes++;
}

void mu_gather_proposal(struct mu_gather *gather, struct mu_proposal *proposal)
{
    mu_event_ref(&proposal->change.event);
    mu_gather_event(gather, &proposal->change.event);
    proposal->next = NULL;
    *gather->last = proposal;
    gather->last = &proposal->next;
}

void mu_gather_payload(struct mu_gather *gather, const struct mu_payload *payload,
                       const struct mu_reported *from)
{
    size_t i = gather->batch.npayloads;

    assert(i < gather->max_rows);
    gather->payloads[i] = *payload;
    gather->reported[i] = *from;
    gather->payload_bytes += payload->len;
    gather->batch.npayloads++;
}

bool mu_gather_empty(const struct mu_gather *gather)
{
    const struct mu_batch *batch = &gather->batch;

    return !batch->nrows && !batch->nverdicts && !batch->ndeletes && !batch->nevents &&
           !batch->npayloads && !batch->grant;
}

void mu_gather_reset(struct mu_gather *gather, struct mu_payloads *payloads)
{
    struct mu_batch *batch = &gather->batch;

    for (size_t i = 0; i < batch->nrows; i++) {
        mu_ident_unref(gather->rows[i].ident);
        mu_free(gather->texts[i]);
    }
    for (size_t i = 0; i < batch->nevents; i++)
        mu_event_unref(&gather->events[i]);
    for (size_t i = 0; i < batch->npayloads; i++)
        mu_payloads_give_back(payloads, &gather->payloads[i]);
    batch->nrows = batch->nverdicts = batch->ndeletes = 0;
    batch->nevents = batch->npayloads = 0;
    batch->grant = 0;
    gather->payload_bytes = 0;
    gather->first = NULL;
    gather->last = &gather->first;
}
