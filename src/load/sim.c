/* joining -> playing -> settling -> leaving -> closed. A tick moves it on; the listener's words
 * come in between, as jobs of a worker that is given the same job again and again. */
#include "load/sim.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/mem.h"
#include "loop/worker.h"

#define TICK_MS    10
#define JOIN_TIME  (60 * MU_SEC)
#define LEAVE_TIME (5 * MU_SEC)
#define NAMES_TOLD 5 /* of those whom one step befell in one tick */

enum phase { JOINING, PLAYING, SETTLING, LEAVING, CLOSING };

struct sim {
    const struct mu_sim_config *config;
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t term, interrupt;
    enum phase phase;
    mu_time since; /* of the phase */
    mu_time start; /* of the scenario's time */
    struct mu_fleet *fleet;
    struct mu_stage fleet_stage, stage; /* the fleet's own; the one with the tally looking on */
    struct mu_play *play;
    struct mu_tally *tally;
    struct mu_sim_result *result;
    struct mu_err *err;
    int rv;
    bool stop; /* by a signal */

    const struct mu_step *told_step; /* whose agents are being counted, to be told in one line */
    bool told_end;
    uint32_t told_n;
    char told_names[NAMES_TOLD][MU_NAME_TEXT];

    struct mu_worker *worker;
    struct mu_job job;
    bool listening; /* the job is out */
    size_t nwords;
    int listen_rv;
    struct mu_err listen_err;
    struct mu_sim_word words[MU_SIM_WORDS];
};

/* --- what people read ---------------------------------------------------------------------------
 */

static void tell(struct sim *sim, const char *line)
{
    bool played = sim->phase == PLAYING || sim->phase == SETTLING;

    sim->config->tell(sim->config->ctx, played ? mu_clock_now() - sim->start : -1, line);
}

static void tell_step(struct sim *sim)
{
    const struct mu_step *step = sim->told_step;
    char line[NAMES_TOLD * MU_NAME_TEXT + 128];
    size_t n;

    if (!step)
        return;
    n = (size_t)snprintf(line, sizeof(line), "%s%s %" PRIu32 " agent%s", mu_act_text(step->act),
                         sim->told_end ? " ends for" : "", sim->told_n,
                         sim->told_n == 1 ? "" : "s");
    for (uint32_t i = 0; i < sim->told_n && i < NAMES_TOLD; i++)
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", i ? ", " : ": ",
                              sim->told_names[i]);
    if (sim->told_n > NAMES_TOLD)
        snprintf(line + n, sizeof(line) - n, ", ...");
    tell(sim, line);
    sim->told_step = NULL;
    sim->told_n = 0;
}

static void count_step(struct sim *sim, const struct mu_step *step, bool end, uint32_t agent)
{
    if (step != sim->told_step || end != sim->told_end)
        tell_step(sim);
    sim->told_step = step;
    sim->told_end = end;
    if (sim->told_n < NAMES_TOLD)
        mu_fleet_name(sim->fleet, agent, sim->told_names[sim->told_n]);
    sim->told_n++;
}

/* --- the stage: the fleet's, with the tally looking on ------------------------------------------
 */

static bool may_take(void *ctx, uint32_t agent)
{
    struct sim *sim = ctx;

    return sim->fleet_stage.may_take(sim->fleet_stage.ctx, agent);
}

static const char *label(void *ctx, uint32_t agent, const char *key)
{
    struct sim *sim = ctx;

    return sim->fleet_stage.label(sim->fleet_stage.ctx, agent, key);
}

static void nobody(void *ctx, const struct mu_step *step)
{
    struct sim *sim = ctx;
    char line[64];

    tell_step(sim);
    snprintf(line, sizeof(line), "%s 0 agents: none is as the step says", mu_act_text(step->act));
    tell(sim, line);
}

static void begin_step(void *ctx, const struct mu_step *step, uint32_t agent, mu_time now)
{
    struct sim *sim = ctx;

    mu_tally_begin(sim->tally, step->act, agent, mu_clock_now());
    sim->fleet_stage.begin(sim->fleet_stage.ctx, step, agent, now);
    count_step(sim, step, false, agent);
}

static void end_step(void *ctx, const struct mu_step *step, uint32_t agent, mu_time now)
{
    struct sim *sim = ctx;

    sim->fleet_stage.end(sim->fleet_stage.ctx, step, agent, now);
    mu_tally_end(sim->tally, step->act, agent, mu_clock_now());
    count_step(sim, step, true, agent);
}

/* --- the conductor's words ----------------------------------------------------------------------
 */

static void listen_job(struct mu_job *job)
{
    struct sim *sim = MU_CONTAINER_OF(job, struct sim, job);

    sim->nwords = 0;
    sim->listen_rv =
        sim->config->listen(sim->config->ctx, sim->words, &sim->nwords, &sim->listen_err);
}

static void fail(struct sim *sim, int rv)
{
    if (sim->rv == 0)
        sim->rv = rv;
    sim->stop = true;
}

static void hear(struct sim *sim, const struct mu_sim_word *word, mu_time now)
{
    uint32_t agent = mu_fleet_find(sim->fleet, word->name);
    char line[MU_NAME_TEXT + 64];

    if (agent == UINT32_MAX || sim->phase == JOINING)
        return;
    mu_tally_heard(sim->tally, agent, word->state, word->silence, now);
    if (word->state != MU_DOWN)
        return;
    if (word->silence >= 0)
        snprintf(line, sizeof(line), "down %s after %.3f s of silence", word->name,
                 (double)word->silence / (double)MU_SEC);
    else
        snprintf(line, sizeof(line), "down %s", word->name);
    tell(sim, line);
}

static void listened(struct mu_job *job)
{
    struct sim *sim = MU_CONTAINER_OF(job, struct sim, job);
    mu_time now = mu_clock_now();

    sim->listening = false;
    if (sim->listen_rv) {
        mu_err_set(sim->err, sim->listen_rv, "%s", sim->listen_err.text);
        fail(sim, sim->listen_rv);
        return;
    }
    if (sim->phase >= LEAVING) /* what is said of leaving is no answer to the scenario */
        return;
    for (size_t i = 0; i < sim->nwords; i++)
        hear(sim, &sim->words[i], now);
    sim->listening = true;
    mu_worker_give(sim->worker, &sim->job);
}

/* --- phases -------------------------------------------------------------------------------------
 */

static void enter(struct sim *sim, enum phase phase)
{
    sim->phase = phase;
    sim->since = mu_clock_now();
}

static void begin_play(struct sim *sim, mu_time now)
{
    char line[64];

    sim->result->join_time = now - sim->since;
    snprintf(line, sizeof(line), "%" PRIu32 " agents joined in %.1f s", sim->config->fleet.agents,
             (double)sim->result->join_time / (double)MU_SEC);
    tell(sim, line);
    sim->start = now;
    enter(sim, PLAYING);
}

static void join(struct sim *sim, mu_time now)
{
    uint32_t joined = mu_fleet_joined(sim->fleet);
    const char *refused = mu_fleet_refused(sim->fleet);

    if (joined == sim->config->fleet.agents) {
        begin_play(sim, now);
    } else if (refused) {
        fail(sim, mu_err_set(sim->err, MU_EPERM, "the conductor refused agents: %s", refused));
    } else if (now - sim->since > JOIN_TIME) {
        fail(sim, mu_err_set(sim->err, MU_EAGAIN,
                             "only %" PRIu32 " of %" PRIu32 " agents could join within 60 s",
                             joined, sim->config->fleet.agents));
    }
}

static int open_play(struct sim *sim, mu_time now)
{
    sim->stage = (struct mu_stage){
        sim, sim->config->fleet.agents, may_take, label, begin_step, end_step, nobody};
    return mu_play_new(&sim->play, sim->config->scenario, &sim->stage, sim->config->fleet.seed,
                       now);
}

static void play(struct sim *sim, mu_time now)
{
    if (!sim->play && open_play(sim, now)) {
        fail(sim, mu_err_set(sim->err, MU_ENOMEM, "out of memory"));
        return;
    }
    mu_play_advance(sim->play, now);
    tell_step(sim);
    if (now - sim->start >= sim->config->length)
        enter(sim, SETTLING);
}

static void name_those(struct sim *sim, uint32_t (*nth)(const struct mu_tally *tally, size_t i))
{
    struct mu_sim_result *result = sim->result;
    uint32_t agent;

    for (size_t i = 0;
         result->named < MU_ARRAY_LEN(result->names) && (agent = nth(sim->tally, i)) != UINT32_MAX;
         i++)
        mu_fleet_name(sim->fleet, agent, result->names[result->named++]);
}

static void begin_leave(struct sim *sim)
{
    mu_tally_report(sim->tally, &sim->result->report);
    name_those(sim, mu_tally_false);
    sim->result->named_false = sim->result->named;
    name_those(sim, mu_tally_missed);
    sim->result->beats = mu_fleet_beats(sim->fleet);
    enter(sim, LEAVING);
    mu_fleet_leave(sim->fleet);
}

static void worker_gone(void *ctx)
{
    (void)ctx;
}

static void close_all(struct sim *sim)
{
    enter(sim, CLOSING);
    mu_fleet_close(sim->fleet);
    mu_worker_close(sim->worker, worker_gone, sim);
    uv_close((uv_handle_t *)&sim->tick, NULL);
    uv_close((uv_handle_t *)&sim->term, NULL);
    uv_close((uv_handle_t *)&sim->interrupt, NULL);
}

static void on_tick(uv_timer_t *timer)
{
    struct sim *sim = timer->data;
    mu_time now = mu_clock_now();

    if (sim->stop && sim->phase < LEAVING)
        begin_leave(sim);
    switch (sim->phase) {
    case JOINING:
        join(sim, now);
        break;
    case PLAYING:
        play(sim, now);
        break;
    case SETTLING:
        if (mu_tally_open(sim->tally) == 0 || now - sim->since > sim->config->settle)
            begin_leave(sim);
        break;
    case LEAVING:
        if (!sim->listening && (mu_fleet_living(sim->fleet) == 0 || now - sim->since > LEAVE_TIME))
            close_all(sim);
        break;
    default:
        break;
    }
}

static void on_signal(uv_signal_t *handle, int sig)
{
    struct sim *sim = handle->data;

    (void)sig;
    if (sim->stop) /* once more: without leave */
        sim->since = 0;
    sim->stop = true;
}

static int open_all(struct sim *sim)
{
    int rv = mu_tally_new(&sim->tally, sim->config->fleet.agents);

    if (rv)
        return mu_err_set(sim->err, rv, "out of memory");
    rv = mu_fleet_new(&sim->fleet, &sim->loop, &sim->config->fleet, sim->err);
    if (rv)
        return rv;
    mu_fleet_stage(sim->fleet, &sim->fleet_stage);
    rv = mu_worker_open(&sim->worker, &sim->loop, "mu-listen", 0, sim->err);
    if (rv) {
        mu_fleet_close(sim->fleet);
        return rv;
    }
    uv_timer_init(&sim->loop, &sim->tick);
    uv_signal_init(&sim->loop, &sim->term);
    uv_signal_init(&sim->loop, &sim->interrupt);
    sim->tick.data = sim->term.data = sim->interrupt.data = sim;
    uv_timer_start(&sim->tick, on_tick, TICK_MS, TICK_MS);
    uv_signal_start(&sim->term, on_signal, SIGTERM);
    uv_signal_start(&sim->interrupt, on_signal, SIGINT);
    enter(sim, JOINING);
    sim->job = (struct mu_job){.run = listen_job, .done = listened};
    sim->listening = true;
    mu_worker_give(sim->worker, &sim->job);
    return 0;
}

int mu_sim_run(const struct mu_sim_config *config, struct mu_sim_result *out, struct mu_err *err)
{
    struct sim *sim = mu_alloc(sizeof(*sim));
    int rv;

    if (!sim || uv_loop_init(&sim->loop)) {
        mu_free(sim);
        return mu_err_set(err, MU_ENOMEM, "no event loop: too few descriptors, or no memory");
    }
    *out = (struct mu_sim_result){0};
    sim->config = config;
    sim->result = out;
    sim->err = err;
    sim->rv = open_all(sim);
    uv_run(&sim->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&sim->loop);
    mu_play_free(sim->play);
    mu_tally_free(sim->tally);
    rv = sim->rv;
    mu_free(sim);
    return rv;
}
