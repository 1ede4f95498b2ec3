#include "lib/faults.h"
#include "outlet/watch.h"

#include <stdio.h>
#include <string.h>

struct fixture {
    struct mu_bus *bus;
    struct mu_watch *watch;
    struct mu_ident *who;
    unsigned told, held;
    uint64_t late;
    char seen[128]; /* "1 2 3 " */
    unsigned stop_after;
};

static void on_watch(void *ctx, bool held, const struct mu_event *late)
{
    struct fixture *f = ctx;

    f->told++;
    f->held += held;
    if (late)
        f->late = late->seq;
}

static int setup(void **state)
{
    static struct fixture f;
    uint8_t uuid[16] = {0};

    memset(&f, 0, sizeof(f));
    assert_int_equal(mu_bus_new(&f.bus), 0);
    mu_bus_grant(f.bus, 10, 1000);
    assert_int_equal(mu_watch_new(&f.watch, f.bus, 10, 4), 0);
    mu_watch_listen(f.watch, on_watch, &f);
    f.who = mu_ident_new(uuid, "a", "b");
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    mu_watch_free(f->watch);
    mu_bus_free(f->bus);
    assert_int_equal(f->who->refs, 1);
    mu_ident_unref(f->who);
    return 0;
}

static void publish(struct fixture *f, uint64_t seq)
{
    struct mu_event event = {.seq = seq, .kind = MU_KIND_STATE, .who = f->who};

    mu_bus_publish(f->bus, &event);
}

static int note(void *ctx, const struct mu_event *event)
{
    struct fixture *f = ctx;

    snprintf(f->seen + strlen(f->seen), sizeof(f->seen) - strlen(f->seen), "%u ",
             (unsigned)event->seq);
    return f->stop_after && --f->stop_after == 0;
}

/* What a reader from @since on sees; @next is where he goes on. */
static void expect(struct fixture *f, uint64_t since, const char *seen, uint64_t next)
{
    f->seen[0] = '\0';
    assert_int_equal(mu_watch_read(f->watch, since, note, f), next);
    assert_string_equal(f->seen, seen);
}

static void watch_keeps_the_newest(void **state)
{
    struct fixture *f = *state;

    expect(f, 9, "", 9);
    for (int i = 0; i < 6; i++)
        publish(f, 0);
    assert_int_equal(mu_watch_evicted(f->watch), 11);
    assert_false(mu_watch_covers(f->watch, 10));
    assert_true(mu_watch_covers(f->watch, 11));
    expect(f, 11, "12 13 14 15 ", 15);
    expect(f, 14, "15 ", 15);
    expect(f, 99, "", 99);
    f->stop_after = 2;
    expect(f, 0, "12 13 ", 13);
    assert_int_equal(f->told, 6);
}

static void watch_of_a_new_life_covers_no_earlier_one(void **state)
{
    struct fixture *f = *state;

    assert_false(mu_watch_covers(f->watch, 0));
    assert_false(mu_watch_covers(f->watch, 8));
    assert_true(mu_watch_covers(f->watch, 9));
    assert_int_equal(mu_watch_last(f->watch), 9);
}

static void watch_holds_what_is_above_a_reserved_number(void **state)
{
    struct fixture *f = *state;
    uint64_t seq = mu_bus_reserve(f->bus);

    publish(f, 0);
    publish(f, 0);
    assert_int_equal(f->held, 2);
    expect(f, 9, "", 9);
    publish(f, seq);
    assert_int_equal(f->late, 0);
    expect(f, 9, "10 11 12 ", 12);
    assert_false(mu_watch_release(f->watch));
}

static void watch_shows_what_lies_between_two_reserved_numbers(void **state)
{
    struct fixture *f = *state;
    uint64_t first = mu_bus_reserve(f->bus), second;

    publish(f, 0);
    second = mu_bus_reserve(f->bus);
    publish(f, 0);
    publish(f, first);
    expect(f, 9, "10 11 ", 11);
    mu_bus_release(f->bus, second); /* came to nothing */
    publish(f, 0);
    expect(f, 9, "10 11 13 14 ", 14);
}

static void watch_tells_of_a_late_one(void **state)
{
    struct fixture *f = *state;
    uint64_t seq = mu_bus_reserve(f->bus);

    publish(f, 0);
    assert_true(mu_watch_release(f->watch));
    expect(f, 9, "11 ", 11);
    publish(f, seq);
    assert_int_equal(f->late, 10);
    expect(f, 9, "10 11 ", 11); /* in its place for those who come after */
}

static void watch_forgets_a_late_one_that_is_too_old(void **state)
{
    struct fixture *f = *state;
    uint64_t seq = mu_bus_reserve(f->bus);

    for (int i = 0; i < 4; i++)
        publish(f, 0);
    mu_watch_release(f->watch);
    publish(f, seq);
    assert_int_equal(f->late, 10);
    assert_false(mu_watch_covers(f->watch, 9)); /* the store has it */
    expect(f, 10, "11 12 13 14 ", 14);
}

static void watch_without_memory_is_none(void **state)
{
    (void)state;
    FOR_EACH_FAULT (n) {
        struct mu_watch *watch = NULL;
        struct mu_bus *bus = NULL;
        int rv = mu_bus_new(&bus);

        if (!rv)
            rv = mu_watch_new(&watch, bus, 1, 4);
        FAULT_CHECK(rv);
        mu_watch_free(watch);
        if (bus)
            mu_bus_free(bus);
    }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(watch_keeps_the_newest),
        CASE(watch_of_a_new_life_covers_no_earlier_one),
        CASE(watch_holds_what_is_above_a_reserved_number),
        CASE(watch_shows_what_lies_between_two_reserved_numbers),
        CASE(watch_tells_of_a_late_one),
        CASE(watch_forgets_a_late_one_that_is_too_old),
        CASE(watch_without_memory_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
