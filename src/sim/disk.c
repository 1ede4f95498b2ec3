#include "sim/disk.h"

#include <string.h>

#include "base/mem.h"

struct mu_disk_job {
    struct mu_disk_job *next;
    struct mu_disk_row row;
    bool deletes;
    uint64_t ticket;
};

static void row_fini(struct mu_disk_row *r)
{
    mu_ident_unref(r->row.ident);
    for (size_t i = 0; i < MU_ARRAY_LEN(r->strings); i++)
        mu_free(r->strings[i]);
    memset(r, 0, sizeof(*r));
}

static int row_init(struct mu_disk_row *r, const struct mu_row *row)
{
    const char **texts[] = {&r->row.zone, &r->row.labels, &r->row.version, &r->row.disabled_reason,
                            &r->row.forced_reason};

    memset(r, 0, sizeof(*r));
    r->row = *row;
    r->row.ident = NULL;
    for (size_t i = 0; i < MU_ARRAY_LEN(texts); i++) {
        r->strings[i] = mu_strdup(*texts[i] ? *texts[i] : "");
        if (!r->strings[i])
            goto fail;
        *texts[i] = r->strings[i];
    }
    /* its own too: the disk outlives the conductor that made the row */
    r->row.ident = mu_ident_new(row->ident->uuid, row->ident->binary, row->ident->host);
    if (r->row.ident)
        return 0;
fail:
    row_fini(r);
    return MU_ENOMEM;
}

static void job_free(struct mu_disk_job *job)
{
    row_fini(&job->row);
    mu_free(job);
}

void mu_disk_init(struct mu_disk *d)
{
    *d = (struct mu_disk){.last = &d->jobs};
}

void mu_disk_fini(struct mu_disk *d)
{
    mu_disk_forget(d);
    for (size_t i = 0; i < d->nrows; i++)
        row_fini(&d->rows[i]);
    mu_free(d->rows);
}

int mu_disk_give(struct mu_disk *d, const struct mu_row *row, uint64_t ticket, bool deletes)
{
    struct mu_disk_job *job = mu_alloc(sizeof(*job));

    if (!job || row_init(&job->row, row)) {
        mu_free(job);
        return MU_ENOMEM;
    }
    job->ticket = ticket;
    job->deletes = deletes;
    *d->last = job;
    d->last = &job->next;
    return 0;
}

bool mu_disk_waits(const struct mu_disk *d)
{
    return d->jobs != NULL;
}

/* Moves the job's row to its place. */
static int keep(struct mu_disk *d, struct mu_disk_job *job)
{
    uint32_t id = job->row.row.id;

    if (id > d->nrows) {
        struct mu_disk_row *rows = mu_realloc(d->rows, id, sizeof(*rows));
        if (!rows)
            return MU_ENOMEM;
        memset(rows + d->nrows, 0, (id - d->nrows) * sizeof(*rows));
        d->rows = rows;
        d->nrows = id;
    }
    row_fini(&d->rows[id - 1]);
    if (!job->deletes) {
        d->rows[id - 1] = job->row;
        memset(&job->row, 0, sizeof(job->row));
    }
    return 0;
}

int mu_disk_commit(struct mu_disk *d, void (*told)(void *ctx, uint64_t ticket), void *ctx)
{
    struct mu_disk_job *jobs = d->jobs;
    int rv = 0;

    d->jobs = NULL;
    d->last = &d->jobs;
    for (struct mu_disk_job *job = jobs; job; job = job->next)
        if (keep(d, job))
            rv = MU_ENOMEM;
    while (jobs) {
        struct mu_disk_job *job = jobs;
        uint64_t ticket = job->ticket;
        jobs = job->next;
        job_free(job);
        if (ticket)
            told(ctx, ticket);
    }
    return rv;
}

void mu_disk_forget(struct mu_disk *d)
{
    while (d->jobs) {
        struct mu_disk_job *job = d->jobs;
        d->jobs = job->next;
        job_free(job);
    }
    d->last = &d->jobs;
}
