#include "wire/frame.h"

#include <string.h>

#include "base/rng.h"
#include "lib/faults.h"

/* What came out: each body's length and bytes, one behind the other. */
struct heard {
    struct mu_buf bodies;
    size_t n;
    int answer; /* of the callback */
};

static int hear(void *ctx, const uint8_t *body, size_t n)
{
    struct heard *h = ctx;

    h->n++;
    mu_buf_u32(&h->bodies, (uint32_t)n);
    mu_buf_put(&h->bodies, body, n);
    return h->answer;
}

static void put_frame(struct mu_buf *buf, const void *body, size_t n)
{
    mu_frame_head(mu_buf_grow(buf, MU_FRAME_HEAD), n);
    mu_buf_put(buf, body, n);
}

static void frame_bodies_come_out_whole_however_they_are_cut(void **state)
{
    static const uint8_t big[5000] = {7, 8, 9};
    struct mu_rng rng;
    struct mu_buf stream;

    mu_buf_init(&stream, 0);
    put_frame(&stream, "a", 1);
    put_frame(&stream, "hello", 5);
    put_frame(&stream, big, sizeof(big));
    put_frame(&stream, "z", 1);
    mu_rng_seed(&rng, 1);
    for (int round = 0; round < 300; round++) {
        struct mu_frames f;
        struct heard h = {.n = 0};
        size_t most = round == 0 ? stream.len : round == 1 ? 1 : 1 + mu_rng_below(&rng, 60);

        mu_buf_init(&h.bodies, 0);
        mu_frames_init(&f);
        for (size_t at = 0, take; at < stream.len; at += take) {
            take = most < stream.len - at ? most : stream.len - at;
            assert_int_equal(mu_frames_feed(&f, stream.data + at, take, hear, &h), 0);
        }
        assert_int_equal(h.n, 4);
        assert_int_equal(h.bodies.len, stream.len); /* a length before each, as in the stream */
        assert_memory_equal(h.bodies.data, stream.data, stream.len);
        assert_false(mu_frames_pending(&f));
        mu_buf_fini(&h.bodies);
        mu_frames_fini(&f);
    }
    mu_buf_fini(&stream);
}

static void frame_of_forbidden_length_is_refused(void **state)
{
    static const uint8_t none[4] = {0}, over[4] = {0, 2, 0, 1}, huge[4] = {255, 255, 255, 255};
    const uint8_t *bad[] = {none, over, huge};

    for (size_t i = 0; i < MU_ARRAY_LEN(bad); i++) {
        struct mu_frames f;
        struct heard h = {.n = 0};

        mu_buf_init(&h.bodies, 0);
        mu_frames_init(&f);
        assert_int_equal(mu_frames_feed(&f, bad[i], 4, hear, &h), MU_EPROTO);
        mu_frames_fini(&f);
        mu_frames_init(&f); /* the same, byte by byte */
        assert_int_equal(mu_frames_feed(&f, bad[i], 3, hear, &h), 0);
        assert_true(mu_frames_pending(&f));
        assert_int_equal(mu_frames_feed(&f, bad[i] + 3, 1, hear, &h), MU_EPROTO);
        mu_frames_fini(&f);
        assert_int_equal(h.n, 2); /* each was told of, as an empty one */
        assert_int_equal(h.bodies.len, 8);
        assert_int_equal(mu_get32(h.bodies.data), 0);
        mu_buf_fini(&h.bodies);
    }
}

static void frame_memory_grows_by_what_came_not_by_what_was_announced(void **state)
{
    static const uint8_t head[] = {0, 2, 0, 0, 'x'}; /* the longest that is allowed */
    struct mu_frames f;
    struct heard h = {.n = 0};

    mu_frames_init(&f);
    assert_int_equal(mu_frames_feed(&f, head, sizeof(head), hear, &h), 0);
    assert_true(f.rest.cap < 4096);
    mu_frames_fini(&f);
}

static void frame_reading_ends_with_the_callbacks_error(void **state)
{
    struct mu_frames f;
    struct heard h = {.answer = MU_ECLOSED};
    struct mu_buf stream;

    mu_buf_init(&stream, 0);
    mu_buf_init(&h.bodies, 0);
    put_frame(&stream, "a", 1);
    put_frame(&stream, "b", 1);
    mu_frames_init(&f);
    assert_int_equal(mu_frames_feed(&f, stream.data, stream.len, hear, &h), MU_ECLOSED);
    assert_int_equal(h.n, 1);
    mu_frames_fini(&f);
    mu_frames_init(&f);
    assert_int_equal(mu_frames_feed(&f, stream.data, 3, hear, &h), 0);
    assert_int_equal(mu_frames_feed(&f, stream.data + 3, stream.len - 3, hear, &h), MU_ECLOSED);
    assert_int_equal(h.n, 2);
    mu_frames_fini(&f);
    mu_buf_fini(&h.bodies);
    mu_buf_fini(&stream);
}

static void frame_reading_tells_when_memory_is_out(void **state)
{
    static const uint8_t cut[] = {0, 0, 0, 9, 1, 2, 3, 4, 5};

    FOR_EACH_FAULT (n) {
        struct mu_frames f;
        struct heard h = {.n = 0};
        int rv;

        mu_frames_init(&f);
        rv = mu_frames_feed(&f, cut, 3, hear, &h);
        if (!rv)
            rv = mu_frames_feed(&f, cut + 3, sizeof(cut) - 3, hear, &h);
        FAULT_CHECK(rv);
        mu_frames_fini(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_bodies_come_out_whole_however_they_are_cut),
        cmocka_unit_test(frame_of_forbidden_length_is_refused),
        cmocka_unit_test(frame_memory_grows_by_what_came_not_by_what_was_announced),
        cmocka_unit_test(frame_reading_ends_with_the_callbacks_error),
        cmocka_unit_test(frame_reading_tells_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
