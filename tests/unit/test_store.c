/* The front: order, repeats, readers' patience, health, and the close. */
#include "lib/faults.h"
#include "lib/flaky.h"
#include "lib/rows.h"
#include "lib/turn.h"
#include "store/job.h"
#include "store/store.h"

struct fixture {
    uv_loop_t loop;
    struct mu_store *store;
    struct mu_boot boot;
    struct mu_err err;
    char log[1024]; /* what was answered, "a=0 b=-6" */
    size_t answers;
    bool closed;
    size_t lost;
};

/* A job's name, and who hears of it. */
struct job {
    struct fixture *f;
    const char *name;
};

static int setup(void **state)
{
    static const struct mu_addr addr = {.text = "flaky:", .scheme = "flaky"};
    static struct mu_store_driver driver;
    struct fixture *f = calloc(1, sizeof(*f));

    flaky_reset();
    driver = flaky_driver();
    assert_int_equal(uv_loop_init(&f->loop), 0);
    if (mu_store_open_driver(&f->store, &f->loop, &driver, &addr, true, &f->boot, &f->err))
        fail_msg("open: %s", f->err.text);
    *state = f;
    return 0;
}

static void on_closed(void *ctx, size_t lost)
{
    struct fixture *f = ctx;

    f->closed = true;
    f->lost = lost;
    f->store = NULL;
}

static void close_store(struct fixture *f, mu_dur patience)
{
    mu_store_close(f->store, patience, on_closed, f);
    TURN_UNTIL(&f->loop, f->closed);
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->store)
        close_store(f, 10 * MU_SEC);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

static void note(struct job *job, int rv)
{
    struct fixture *f = job->f;

    snprintf(f->log + strlen(f->log), sizeof(f->log) - strlen(f->log), "%s%s=%d",
             *f->log ? " " : "", job->name, rv);
    f->answers++;
}

static void on_done(void *ctx, int rv, const struct mu_err *err)
{
    struct job *job = ctx;

    if (rv)
        job->f->err = *err;
    note(job, rv);
}

static void on_events(void *ctx, int rv, const struct mu_event_row *events, size_t n,
                      const struct mu_event_span *span, const struct mu_err *err)
{
    note(ctx, rv ? rv : (int)n);
}

static const struct mu_batch nothing = {0};
static const struct mu_event_query all = {.limit = 100};

#define COMMIT(f, job) assert_int_equal(mu_store_commit((f)->store, &nothing, on_done, (job)), 0)

static struct mu_store_health health_of(struct fixture *f)
{
    struct mu_store_health health;

    mu_store_health(f->store, mu_clock_now(), &health);
    return health;
}

static void give_events(struct fixture *f, uint64_t n, struct job *job)
{
    static struct mu_event events[12000];
    static struct mu_batch batch;

    assert_in_range(n, 1, 12000);
    for (uint64_t i = 0; i < n; i++) {
        events[i] = an_event(i + 1, NULL);
        events[i].kind = MU_KIND_CONDUCTOR;
    }
    batch = (struct mu_batch){.events = events, .nevents = n};
    assert_int_equal(mu_store_commit(f->store, &batch, on_done, job), 0);
}

/* ---- the happy path ---- */

static void jobs_are_answered_in_their_order(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "b"}, c = {f, "c"}, d = {f, "d"};
    const struct mu_beat_row beat = {.row = 1};

    give_events(f, 3, &a);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &b), 0);
    assert_int_equal(mu_store_checkpoint(f->store, &beat, 1, on_done, &c), 0);
    COMMIT(f, &d);
    assert_string_equal(f->log, ""); /* never from within the call */
    TURN_UNTIL(&f->loop, f->answers == 4);
    assert_string_equal(f->log, "a=0 b=3 c=0 d=0");
    assert_true(health_of(f).ok);
    assert_int_equal(health_of(f).writes, 3);
    assert_int_equal(health_of(f).jobs, 0);
}

static void words_of(void *ctx, int rv, const struct mu_event_row *events, size_t n,
                     const struct mu_event_span *span, const struct mu_err *err)
{
    struct job *job = ctx;

    assert_int_equal(rv, 0);
    assert_int_equal(n, 100);
    assert_int_equal(span->oldest, 1);
    assert_int_equal(span->newest, 300);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(events[i].seq, 201 + i);
        assert_string_equal(events[i].kind, "conductor");
        assert_string_equal(events[i].reason, "silence");
        assert_string_equal(events[i].agent, "");
        assert_non_null(strstr(events[i].detail, "60001"));
    }
    note(job, rv);
}

static void events_come_with_all_their_words(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "b"};
    const struct mu_event_query newest = {.limit = 100, .newest = true};

    give_events(f, 300, &a);
    assert_int_equal(mu_store_events(f->store, &newest, words_of, &b), 0);
    TURN_UNTIL(&f->loop, f->answers == 2);
}

static void on_payload(void *ctx, int rv, const char *json, const struct mu_err *err)
{
    struct job *job = ctx;

    assert_string_equal(json, job->name);
    note(job, rv);
}

static void payloads_are_read(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "{}"}, c = {f, ""};
    struct mu_ident *ident = an_ident(1);
    struct mu_row row = a_row(1, ident);
    struct mu_payload payload = {.row = 1, .len = 2, .json = "{}"};
    const struct mu_batch batch = {.rows = &row, .nrows = 1, .payloads = &payload, .npayloads = 1};

    assert_int_equal(mu_store_commit(f->store, &batch, on_done, &a), 0);
    assert_int_equal(mu_store_payload(f->store, 1, on_payload, &b), 0);
    assert_int_equal(mu_store_payload(f->store, 2, on_payload, &c), 0);
    TURN_UNTIL(&f->loop, f->answers == 3);
    mu_ident_unref(ident);
}

static void trimming_lets_others_between(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "fill"}, b = {f, "trim"}, c = {f, "commit"}, d = {f, "left"};

    give_events(f, 12000, &a);
    assert_int_equal(mu_store_trim(f->store, 0, 10, on_done, &b), 0);
    COMMIT(f, &c);
    TURN_UNTIL(&f->loop, f->answers == 3);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &d), 0);
    TURN_UNTIL(&f->loop, f->answers == 4);
    assert_string_equal(f->log, "fill=0 commit=0 trim=0 left=10");
}

/* ---- a store that is away ---- */

static void a_write_is_tried_until_it_succeeds(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "b"};

    flaky_fail(ON_COMMIT, MU_EAGAIN, 2, false);
    COMMIT(f, &a);
    COMMIT(f, &b);
    TURN_UNTIL(&f->loop, health_of(f).errors == 1);
    assert_false(health_of(f).ok);
    assert_true(health_of(f).away > 0);
    assert_non_null(strstr(health_of(f).error, "flaky"));
    TURN_UNTIL(&f->loop, f->answers == 2);
    assert_string_equal(f->log, "a=0 b=0");
    assert_int_equal(flaky_count(ON_COMMIT), 4);
    assert_int_equal(flaky_count(ON_OPEN), 3); /* made anew before each repeat */
    assert_true(health_of(f).ok);
    assert_int_equal(health_of(f).away, 0);
    assert_string_equal(health_of(f).error, "");
}

static void a_write_of_unknown_outcome_is_repeated(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "b"};

    flaky_fail(ON_COMMIT, MU_EAGAIN, 1, true);
    give_events(f, 5, &a);
    TURN_UNTIL(&f->loop, f->answers == 1);
    assert_int_equal(flaky_count(ON_COMMIT), 2);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &b), 0);
    TURN_UNTIL(&f->loop, f->answers == 2);
    assert_string_equal(f->log, "a=0 b=5");
}

static void what_is_final_is_answered(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "b"};

    flaky_fail(ON_COMMIT, MU_ECORRUPT, 1, false);
    COMMIT(f, &a);
    TURN_UNTIL(&f->loop, f->answers == 1);
    assert_int_equal(f->err.code, MU_ECORRUPT);
    assert_string_equal(f->err.text, "store flaky:: flaky");
    assert_false(health_of(f).ok);
    COMMIT(f, &b);
    TURN_UNTIL(&f->loop, f->answers == 2);
    assert_string_equal(f->log, "a=-14 b=0");
    assert_true(health_of(f).ok);
}

static void a_store_that_another_took_stays_lost(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "b"};

    assert_false(health_of(f).taken);
    flaky_fail(ON_COMMIT, MU_ELOCKED, 1, false);
    COMMIT(f, &a);
    TURN_UNTIL(&f->loop, f->answers == 1);
    assert_int_equal(f->err.code, MU_ELOCKED);
    assert_true(health_of(f).taken);
    COMMIT(f, &b);
    TURN_UNTIL(&f->loop, f->answers == 2);
    assert_true(health_of(f).taken);
}

static void a_reader_does_not_wait_for_a_store_that_fails(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "write"}, b = {f, "read"}, c = {f, "late"};

    flaky_freeze(ON_COMMIT, true);
    flaky_fail(ON_COMMIT, MU_EAGAIN, 1000, false);
    COMMIT(f, &a);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &b), 0);
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, f->answers == 1);
    assert_string_equal(f->log, "read=-6");
    assert_int_equal(mu_store_events(f->store, &all, on_events, &c), MU_EAGAIN);
    assert_int_equal(mu_store_payload(f->store, 1, on_payload, &c), MU_EAGAIN);
    flaky_reset();
    TURN_UNTIL(&f->loop, f->answers == 2);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &c), 0);
    TURN_UNTIL(&f->loop, f->answers == 3);
    assert_string_equal(f->log, "read=-6 write=0 late=0");
}

static void a_reader_does_not_wait_for_a_store_that_hangs(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "write"}, b = {f, "read"}, c = {f, "late"};

    flaky_freeze(ON_COMMIT, true);
    COMMIT(f, &a);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &b), 0);
    TURN_UNTIL(&f->loop, f->answers == 1);
    assert_string_equal(f->log, "read=-6");
    assert_int_equal(mu_store_events(f->store, &all, on_events, &c), MU_EAGAIN);
    assert_false(health_of(f).ok);
    assert_true(health_of(f).away >= 2 * MU_SEC);
    assert_non_null(strstr(health_of(f).error, "no answer"));
    flaky_freeze(ON_COMMIT, false);
    TURN_UNTIL(&f->loop, f->answers == 2);
    assert_true(health_of(f).ok);
    assert_string_equal(f->log, "read=-6 write=0");
}

static void a_read_that_finds_damage_stops_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "read"}, b = {f, "again"}, c = {f, "write"};

    flaky_fail(ON_EVENTS, MU_ECORRUPT, 1, false);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &a), 0);
    TURN_UNTIL(&f->loop, f->answers == 1);
    assert_true(health_of(f).ok);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &b), 0);
    COMMIT(f, &c);
    TURN_UNTIL(&f->loop, f->answers == 3);
    assert_string_equal(f->log, "read=-14 again=0 write=0");
}

static int damaged_event(void *st, const struct mu_event_query *query, struct mu_event_span *span,
                         mu_store_event_fn each, void *ctx, struct mu_err *err)
{
    static const struct mu_event_row event = {.seq = 7,
                                              .kind = "state",
                                              .from = "",
                                              .to = "",
                                              .reason = "",
                                              .agent = "a@b",
                                              .uuid = "",
                                              .detail = "{\"silence_ms\":"};

    return each(ctx, &event);
}

static void an_event_is_read_without_its_detail_where_that_is_damaged(void **state)
{
    static const struct mu_store_driver driver = {.events = damaged_event};
    struct mu_engine engine = {.driver = &driver};
    struct mu_store_job *job = calloc(1, sizeof(*job));

    job->engine = &engine;
    job->kind = MU_JOB_EVENTS;
    mu_buf_init(&job->text, 0);
    mu_store_job_run(job);
    assert_int_equal(job->rv, 0);
    assert_string_equal(job->u.events.rows[0].agent, "a@b");
    assert_string_equal(job->u.events.rows[0].detail, "{\"damaged\":true}");
    mu_store_job_free(job);
}

static void a_read_that_hangs_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "read"}, b = {f, "write"};

    flaky_freeze(ON_EVENTS, true);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &a), 0);
    COMMIT(f, &b);
    TURN_UNTIL(&f->loop, f->answers == 1);
    flaky_freeze(ON_EVENTS, false);
    TURN_UNTIL(&f->loop, f->answers == 2);
    assert_string_equal(f->log, "read=-6 write=0"); /* and it is answered once */
    assert_int_equal(health_of(f).jobs, 0);
}

static void at_most_sixteen_reads_wait(void **state)
{
    struct fixture *f = *state;
    struct job job = {f, "r"};

    flaky_freeze(ON_EVENTS, true);
    for (int i = 0; i < 16; i++)
        assert_int_equal(mu_store_events(f->store, &all, on_events, &job), 0);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &job), MU_EFULL);
    flaky_freeze(ON_EVENTS, false);
    TURN_UNTIL(&f->loop, f->answers == 16);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &job), 0);
    TURN_UNTIL(&f->loop, f->answers == 17);
}

static void an_idle_store_is_asked_whether_it_is_back(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "read"};

    flaky_fail(ON_EVENTS, MU_EAGAIN, 1, false);
    flaky_fail(ON_OPEN, MU_EAGAIN, 1, false);
    assert_int_equal(mu_store_events(f->store, &all, on_events, &a), 0);
    TURN_UNTIL(&f->loop, f->answers == 1);
    assert_string_equal(f->log, "read=-6");
    assert_false(health_of(f).ok);
    TURN_UNTIL(&f->loop, health_of(f).ok);
    assert_int_equal(flaky_count(ON_OPEN), 3);
}

static void a_server_is_asked_for_a_sign_of_life(void **state)
{
    static const struct mu_addr addr = {.text = "flaky:", .scheme = "flaky"};
    static struct mu_store_driver driver;
    struct fixture *f = *state;

    close_store(f, MU_SEC);
    driver = flaky_driver();
    driver.idle = 5 * MU_MS;
    assert_int_equal(
        mu_store_open_driver(&f->store, &f->loop, &driver, &addr, true, &f->boot, &f->err), 0);
    TURN_UNTIL(&f->loop, flaky_count(ON_PING) >= 2);
    assert_true(health_of(f).ok);

    flaky_fail(ON_PING, MU_EAGAIN, 1, false);
    TURN_UNTIL(&f->loop, health_of(f).errors == 1);
    assert_false(health_of(f).ok);
    unsigned opened = flaky_count(ON_OPEN);
    TURN_UNTIL(&f->loop, health_of(f).ok);
    assert_int_equal(flaky_count(ON_OPEN), opened + 1);
}

/* ---- the end ---- */

static void a_close_finishes_what_was_given(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "b"};

    flaky_fail(ON_COMMIT, MU_EAGAIN, 1, false);
    COMMIT(f, &a);
    COMMIT(f, &b);
    mu_store_close(f->store, 30 * MU_SEC, on_closed, f);
    assert_int_equal(mu_store_commit(f->store, &nothing, on_done, &a), MU_ECLOSED);
    TURN_UNTIL(&f->loop, f->closed);
    assert_string_equal(f->log, "a=0 b=0");
    assert_int_equal(f->lost, 0);
    assert_int_equal(flaky_count(ON_CLOSE), 1);
}

static void a_close_does_not_wait_for_ever(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "b"};

    flaky_fail(ON_COMMIT, MU_EAGAIN, 1000, false);
    COMMIT(f, &a);
    COMMIT(f, &b);
    TURN_UNTIL(&f->loop, health_of(f).errors > 0);
    close_store(f, 50 * MU_MS);
    assert_string_equal(f->log, "a=-20 b=-20");
    assert_int_equal(f->lost, 2);
    assert_int_equal(flaky_count(ON_CLOSE), 1);
}

static void a_close_leaves_a_call_that_hangs(void **state)
{
    struct fixture *f = *state;
    struct job a = {f, "a"}, b = {f, "b"};

    flaky_freeze(ON_COMMIT, true);
    COMMIT(f, &a);
    COMMIT(f, &b);
    flaky_await(ON_COMMIT, 1, false);
    close_store(f, 50 * MU_MS);
    assert_string_equal(f->log, "b=-20"); /* what hangs is never answered */
    assert_int_equal(f->lost, 2);
    flaky_freeze(ON_COMMIT, false);
    flaky_await(ON_CLOSE, 1, true); /* it comes back, and tidies up behind itself */
}

static void a_driver_that_hangs_in_its_close_is_left(void **state)
{
    struct fixture *f = *state;

    flaky_freeze(ON_CLOSE, true);
    close_store(f, 50 * MU_MS);
    assert_int_equal(f->lost, 0);
    flaky_freeze(ON_CLOSE, false);
    flaky_await(ON_CLOSE, 1, true);
    assert_int_equal(flaky_count(ON_CLOSE), 1);
}

static void a_close_takes_no_memory(void **state)
{
    struct fixture *f = *state;

    mu_mem_fault_at(1);
    close_store(f, 10 * MU_SEC);
    assert_false(mu_mem_fault_fired());
    mu_mem_fault_at(0);
    assert_int_equal(flaky_count(ON_CLOSE), 1);
}

static void an_open_that_fails_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct mu_store *store = NULL;
    struct mu_boot boot;

    assert_int_equal(mu_store_open(&store, &f->loop, "sqlite:", true, &boot, &f->err), MU_EINVAL);
    assert_non_null(strstr(f->err.text, "store sqlite:"));
    assert_int_equal(mu_store_open(&store, &f->loop, "oracle:x", true, &boot, &f->err), MU_EINVAL);
    assert_non_null(strstr(f->err.text, "oracle:x"));
    assert_null(store);
}

static void without_memory_nothing_opens(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_FAULT (n) {
        struct mu_store *store = NULL;
        int rv = mu_store_open(&store, &f->loop, "memory:", true, &f->boot, &f->err);
        FAULT_CHECK(rv);
        if (rv == 0) {
            f->closed = false;
            mu_store_close(store, MU_SEC, NULL, NULL);
        }
        uv_run(&f->loop, UV_RUN_NOWAIT);
    }
    mu_mem_fault_at(0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(jobs_are_answered_in_their_order),
        TEST(events_come_with_all_their_words),
        TEST(payloads_are_read),
        TEST(trimming_lets_others_between),
        TEST(a_write_is_tried_until_it_succeeds),
        TEST(a_write_of_unknown_outcome_is_repeated),
        TEST(what_is_final_is_answered),
        TEST(a_store_that_another_took_stays_lost),
        TEST(a_reader_does_not_wait_for_a_store_that_fails),
        TEST(a_reader_does_not_wait_for_a_store_that_hangs),
        TEST(a_read_that_finds_damage_stops_nobody_else),
        cmocka_unit_test(an_event_is_read_without_its_detail_where_that_is_damaged),
        TEST(a_read_that_hangs_is_given_up),
        TEST(at_most_sixteen_reads_wait),
        TEST(an_idle_store_is_asked_whether_it_is_back),
        TEST(a_server_is_asked_for_a_sign_of_life),
        TEST(a_close_finishes_what_was_given),
        TEST(a_close_does_not_wait_for_ever),
        TEST(a_close_leaves_a_call_that_hangs),
        TEST(a_driver_that_hangs_in_its_close_is_left),
        TEST(a_close_takes_no_memory),
        TEST(an_open_that_fails_leaves_nothing),
        TEST(without_memory_nothing_opens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
