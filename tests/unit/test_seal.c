#include "wire/seal.h"

#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "lib/test.h"

static const uint8_t key[16] = {1, 2, 3};

static struct mu_beat some_beat(uint16_t n)
{
    struct mu_beat beat = {.session = 0x1122334455667788,
                           .epoch = 7,
                           .seq = 9,
                           .sent_ms = 123456789012,
                           .path = 1,
                           .health = MU_HEALTH_LATE,
                           .n = n};

    for (uint32_t i = 0; i < n; i++)
        beat.indexes[i] = 1000 * i + 5;
    return beat;
}

static void assert_beats_equal(const struct mu_beat *a, const struct mu_beat *b)
{
    assert_int_equal(a->session, b->session);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->seq, b->seq);
    assert_int_equal(a->sent_ms, b->sent_ms);
    assert_int_equal(a->path, b->path);
    assert_int_equal(a->health, b->health);
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        assert_int_equal(a->indexes[i], b->indexes[i]);
}

static void seal_beats_come_back(void **state)
{
    static const uint16_t sizes[] = {1, 2, 10, 279, MU_INDEXES_MAX};
    uint8_t out[MU_DATAGRAM_MAX];
    struct mu_beat beat, got;
    uint64_t session;

    for (size_t i = 0; i < MU_ARRAY_LEN(sizes); i++) {
        beat = some_beat(sizes[i]);
        assert_int_equal(mu_seal_beat(key, &beat, out), MU_BEAT_LEN(sizes[i]));
        assert_int_equal(mu_seal_peek(out, MU_BEAT_LEN(sizes[i]), &session), MU_SEALED_BEAT);
        assert_int_equal(session, beat.session);
        assert_int_equal(mu_seal_open_beat(key, out, MU_BEAT_LEN(sizes[i]), &got), 0);
        assert_beats_equal(&got, &beat);
    }
    assert_true(MU_BEAT_LEN(MU_INDEXES_MAX) <= MU_DATAGRAM_MAX);
}

static void seal_attaches_and_acks_come_back(void **state)
{
    uint8_t out[MU_ATTACH_LEN];
    struct mu_beat attach = some_beat(0), got;
    struct mu_ack ack = {.session = UINT64_MAX,
                         .epoch = 3,
                         .seq = 5,
                         .status = MU_ACK_REJOIN,
                         .lease_ms = 60000,
                         .index = 17},
                  back;

    assert_int_equal(mu_seal_attach(key, &attach, out), MU_ATTACH_LEN);
    assert_int_equal(mu_seal_open_attach(key, out, MU_ATTACH_LEN, &got), 0);
    assert_beats_equal(&got, &attach);
    assert_int_equal(mu_seal_ack(key, &ack, out), MU_ACK_LEN);
    assert_int_equal(mu_seal_open_ack(key, out, MU_ACK_LEN, &back), 0);
    assert_int_equal(back.session, ack.session);
    assert_int_equal(back.epoch, ack.epoch);
    assert_int_equal(back.seq, ack.seq);
    assert_int_equal(back.status, ack.status);
    assert_int_equal(back.lease_ms, ack.lease_ms);
    assert_int_equal(back.index, ack.index);
}

static void seal_answers_are_never_longer_than_questions(void **state)
{
    assert_true(MU_ACK_LEN <= MU_BEAT_LEN(1));
    assert_true(MU_ACK_LEN <= MU_ATTACH_LEN);
}

static void seal_opens_nothing_of_which_one_bit_changed(void **state)
{
    uint8_t out[MU_BEAT_LEN(2)];
    struct mu_beat beat = some_beat(2), got;
    struct mu_ack ack = {.seq = 1}, back;

    mu_seal_beat(key, &beat, out);
    for (size_t bit = 0; bit < 8 * sizeof(out); bit++) {
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(mu_seal_open_beat(key, out, sizeof(out), &got), 0);
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    mu_seal_ack(key, &ack, out);
    for (size_t bit = 0; bit < 8 * MU_ACK_LEN; bit++) {
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(mu_seal_open_ack(key, out, MU_ACK_LEN, &back), 0);
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(mu_seal_open_ack(key, out, MU_ACK_LEN, &back), 0);
}

static void seal_tells_bad_tags_kinds_versions_and_lengths_apart(void **state)
{
    static const uint8_t other[16] = {1, 2, 4};
    uint8_t out[MU_DATAGRAM_MAX];
    struct mu_beat beat = some_beat(2), got;
    struct mu_ack ack;
    uint64_t session;
    size_t n = mu_seal_beat(key, &beat, out);

    assert_int_equal(mu_seal_open_beat(other, out, n, &got), MU_EPERM);
    assert_int_equal(mu_seal_open_attach(key, out, n, &got), MU_EPROTO);
    assert_int_equal(mu_seal_open_ack(key, out, n, &ack), MU_EPROTO); /* sent back to its sender */
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(mu_seal_peek(out, cut, &session), MU_EPROTO);
    assert_int_equal(mu_seal_peek(out, n + 1, &session), MU_EPROTO);
    out[2] = 2;
    assert_int_equal(mu_seal_peek(out, n, &session), MU_EVERSION);
    out[2] = MU_WIRE_VERSION;
    for (unsigned kind = 4; kind < 256; kind++) {
        out[3] = (uint8_t)kind;
        assert_int_equal(mu_seal_peek(out, n, &session), MU_EPROTO);
    }
    memset(out, 0, sizeof(out));
    memcpy(out, "Mu\1\1", 4); /* a beat of nobody */
    assert_int_equal(mu_seal_peek(out, MU_BEAT_LEN(0), &session), MU_EPROTO);
    mu_put16(out + 34, MU_INDEXES_MAX + 1);
    assert_int_equal(mu_seal_peek(out, MU_BEAT_LEN(MU_INDEXES_MAX + 1), &session), MU_EPROTO);
    mu_put16(out + 34, 1); /* an attach with an index */
    out[3] = MU_SEALED_ATTACH;
    assert_int_equal(mu_seal_peek(out, MU_BEAT_LEN(1), &session), MU_EPROTO);
}

static void seal_key_is_the_secrets_hash_of_label_and_session(void **state)
{
    static const uint8_t text[] = "muster session key 1\x01\x02\x03\x04\x05\x06\x07\x08";
    uint8_t want[16], got[16];

    mu_siphash128(key, text, sizeof(text) - 1, want);
    mu_seal_key(key, 0x0102030405060708, got);
    assert_memory_equal(got, want, 16);
    mu_seal_key(key, 0x0102030405060709, got);
    assert_memory_not_equal(got, want, 16);
}

static void replay_window_takes_each_number_once(void **state)
{
    struct mu_replay r = {0};

    assert_false(mu_replay_accept(&r, 0));
    assert_true(mu_replay_accept(&r, 1));
    assert_false(mu_replay_accept(&r, 1));
    assert_true(mu_replay_accept(&r, 5));
    for (uint64_t seq = 2; seq <= 4; seq++) { /* came late */
        assert_true(mu_replay_accept(&r, seq));
        assert_false(mu_replay_accept(&r, seq));
    }
    assert_false(mu_replay_accept(&r, 5));
}

static void replay_window_is_64_wide(void **state)
{
    struct mu_replay r = {0};

    assert_true(mu_replay_accept(&r, 100));
    assert_true(mu_replay_accept(&r, 37));
    assert_false(mu_replay_accept(&r, 36));
    assert_true(mu_replay_accept(&r, 101));
    assert_false(mu_replay_accept(&r, 37)); /* seen, and out of the window by now */
    assert_false(mu_replay_accept(&r, 100));
    assert_true(mu_replay_accept(&r, 101 + 63));
    assert_false(mu_replay_accept(&r, 101));
    assert_true(mu_replay_accept(&r, 102));
    assert_true(mu_replay_accept(&r, UINT64_MAX));
    assert_false(mu_replay_accept(&r, UINT64_MAX));
    assert_false(mu_replay_accept(&r, 164));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seal_beats_come_back),
        cmocka_unit_test(seal_attaches_and_acks_come_back),
        cmocka_unit_test(seal_answers_are_never_longer_than_questions),
        cmocka_unit_test(seal_opens_nothing_of_which_one_bit_changed),
        cmocka_unit_test(seal_tells_bad_tags_kinds_versions_and_lengths_apart),
        cmocka_unit_test(seal_key_is_the_secrets_hash_of_label_and_session),
        cmocka_unit_test(replay_window_takes_each_number_once),
        cmocka_unit_test(replay_window_is_64_wide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
