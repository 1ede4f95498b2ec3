#include "wire/codec.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "lib/faults.h"

static struct mu_join_agent join_room[MU_JOIN_AGENTS_MAX];
static struct mu_joined_agent joined_room[MU_JOIN_AGENTS_MAX];
static const struct mu_codec_room room = {join_room, joined_room, MU_JOIN_AGENTS_MAX};

static struct mu_bytes text(const char *s)
{
    return (struct mu_bytes){s, strlen(s)};
}

static void assert_text(struct mu_bytes got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p, want, got.n);
}

static struct mu_msg there_and_back(struct mu_buf *buf, const struct mu_msg *msg)
{
    struct mu_msg got;
    struct mu_err err;
    int rv;

    mu_buf_init(buf, MU_FRAME_MAX);
    assert_int_equal(mu_codec_put(buf, msg), 0);
    rv = mu_codec_get(buf->data, buf->len, &room, &got, &err);
    if (rv)
        print_error("%s\n", err.text);
    assert_int_equal(rv, 0);
    assert_int_equal(got.type, msg->type);
    return got;
}

static void codec_joins_come_back(void **state)
{
    struct mu_join_agent agents[2] = {
        {.binary = text("nova-compute"),
         .host = text("cmp-017"),
         .zone = text("az1"),
         .version = text("26.1.0"),
         .has_uuid = true,
         .uuid = {1, 2, 3},
         .interval_ms = 10000,
         .labels = {{text("rack"), text("r7")}, {text("switch"), text("")}},
         .nlabels = 2,
         .payload = text("{\"a\":1}")},
        {.binary = text("Open vSwitch agent"), .host = text("h")},
    };
    struct mu_msg msg = {.type = MU_MSG_JOIN,
                         .join = {.version = 1,
                                  .token = text("secret"),
                                  .start_id = UINT64_MAX,
                                  .session = 77,
                                  .n = 2,
                                  .agents = agents}};
    struct mu_buf buf;
    struct mu_msg got = there_and_back(&buf, &msg);

    assert_int_equal(got.join.version, 1);
    assert_text(got.join.token, "secret");
    assert_int_equal(got.join.start_id, UINT64_MAX);
    assert_int_equal(got.join.session, 77);
    assert_int_equal(got.join.n, 2);
    assert_text(join_room[0].binary, "nova-compute");
    assert_text(join_room[0].host, "cmp-017");
    assert_text(join_room[0].zone, "az1");
    assert_text(join_room[0].version, "26.1.0");
    assert_true(join_room[0].has_uuid);
    assert_memory_equal(join_room[0].uuid, agents[0].uuid, 16);
    assert_int_equal(join_room[0].interval_ms, 10000);
    assert_int_equal(join_room[0].nlabels, 2);
    assert_text(join_room[0].labels[0].key, "rack");
    assert_text(join_room[0].labels[1].key, "switch");
    assert_text(join_room[0].labels[1].value, "");
    assert_text(join_room[0].payload, "{\"a\":1}");
    assert_text(join_room[1].binary, "Open vSwitch agent");
    assert_false(join_room[1].has_uuid);
    assert_int_equal(join_room[1].nlabels, 0);
    assert_int_equal(join_room[1].payload.n, 0);
    mu_buf_fini(&buf);
}

static void codec_answers_come_back(void **state)
{
    struct mu_joined_agent agents[2] = {
        {.index = 5,
         .uuid = {9},
         .incarnation = (uint64_t)3 << 32 | 1,
         .interval_ms = 1000,
         .lease_ms = 2900,
         .down_ms = 3000},
        {.rv = MU_EAGAIN, .retry_ms = 1500, .text = text("the store is away")},
    };
    struct mu_msg joined = {
        .type = MU_MSG_JOINED,
        .joined = {
            .session = UINT64_MAX - 1, .key = {1, 2}, .epoch = 12, .n = 2, .agents = agents}};
    struct mu_msg done = {.type = MU_MSG_DONE, .done = {.id = 70000, .rv = MU_EBUSY}};
    struct mu_msg error = {.type = MU_MSG_ERROR,
                           .error = {.rv = INT32_MIN, .retry_ms = 1, .text = text("no")}};
    struct mu_buf buf;
    struct mu_msg got = there_and_back(&buf, &joined);

    assert_int_equal(got.joined.session, UINT64_MAX - 1);
    assert_memory_equal(got.joined.key, joined.joined.key, 16);
    assert_int_equal(got.joined.epoch, 12);
    assert_int_equal(got.joined.n, 2);
    assert_int_equal(joined_room[0].rv, 0);
    assert_int_equal(joined_room[0].index, 5);
    assert_memory_equal(joined_room[0].uuid, agents[0].uuid, 16);
    assert_int_equal(joined_room[0].incarnation, agents[0].incarnation);
    assert_int_equal(joined_room[0].interval_ms, 1000);
    assert_int_equal(joined_room[0].lease_ms, 2900);
    assert_int_equal(joined_room[0].down_ms, 3000);
    assert_int_equal(joined_room[1].rv, MU_EAGAIN);
    assert_int_equal(joined_room[1].retry_ms, 1500);
    assert_text(joined_room[1].text, "the store is away");
    mu_buf_fini(&buf);
    got = there_and_back(&buf, &done);
    assert_int_equal(got.done.id, 70000);
    assert_int_equal(got.done.rv, MU_EBUSY);
    assert_int_equal(got.done.retry_ms, 0);
    mu_buf_fini(&buf);
    got = there_and_back(&buf, &error);
    assert_int_equal(got.error.rv, INT32_MIN);
    assert_int_equal(got.error.retry_ms, 1);
    assert_text(got.error.text, "no");
    mu_buf_fini(&buf);
}

static void codec_small_messages_come_back(void **state)
{
    struct mu_msg report = {.type = MU_MSG_REPORT, .report = {1, UINT32_MAX, text("{}")}};
    struct mu_msg leave = {.type = MU_MSG_LEAVE, .leave = {2, 128}};
    struct mu_msg ended = {.type = MU_MSG_ENDED, .ended = {3, 0, MU_ENDED_KILLED, 9}};
    struct mu_msg sealed = {.type = MU_MSG_BEAT, .sealed = text("any bytes")};
    struct mu_buf buf;
    struct mu_msg got = there_and_back(&buf, &report);

    assert_int_equal(got.report.id, 1);
    assert_int_equal(got.report.index, UINT32_MAX);
    assert_text(got.report.payload, "{}");
    mu_buf_fini(&buf);
    got = there_and_back(&buf, &leave);
    assert_int_equal(got.leave.id, 2);
    assert_int_equal(got.leave.index, 128);
    mu_buf_fini(&buf);
    got = there_and_back(&buf, &ended);
    assert_int_equal(got.ended.how, MU_ENDED_KILLED);
    assert_int_equal(got.ended.status, 9);
    mu_buf_fini(&buf);
    got = there_and_back(&buf, &sealed);
    assert_text(got.sealed, "any bytes");
    mu_buf_fini(&buf);
}

static int get(const char *bytes, size_t n, struct mu_msg *out, struct mu_err *err)
{
    return mu_codec_get((const uint8_t *)bytes, n, &room, out, err);
}
#define GET(bytes, out, err) get(bytes, sizeof(bytes) - 1, out, err)

static void codec_takes_integers_of_any_width(void **state)
{
    struct mu_msg msg;

    assert_int_equal(GET("\x05\x82\x00\x07\x01\x08", &msg, NULL), 0);
    assert_int_equal(msg.leave.id, 7);
    assert_int_equal(GET("\x05\xde\x00\x02\xcc\x00\xcf\x00\x00\x00\x00\x00\x00\x00\x07"
                         "\x01\xd1\x00\x08",
                         &msg, NULL),
                     0);
    assert_int_equal(msg.leave.id, 7);
    assert_int_equal(msg.leave.index, 8);
    assert_int_equal(GET("\x43\x82\x00\x07\x01\xd0\xfa", &msg, NULL), 0);
    assert_int_equal(msg.done.rv, -6);
    assert_int_equal(GET("\x43\x82\x00\x07\x01\xd3\xff\xff\xff\xff\xff\xff\xff\xfa", &msg, NULL),
                     0);
    assert_int_equal(msg.done.rv, -6);
}

static void codec_skips_keys_of_a_newer_version(void **state)
{
    struct mu_msg msg;

    /* 9: {"a": [nil, true, -1, bin, {1: 2}]}, 200: 1, 70000: "x" */
    assert_int_equal(GET("\x05\x85\x00\x07\x01\x08"
                         "\x09\x81\xa1"
                         "a\x95\xc0\xc3\xff\xc4\x02zz\x81\x01\x02"
                         "\xcc\xc8\x01\xce\x00\x01\x11\x70\xa1x",
                         &msg, NULL),
                     0);
    assert_int_equal(msg.leave.index, 8);
}

static void codec_says_which_field_is_wrong(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *why;
    } bad[] = {
#define BAD(bytes, why) {bytes, sizeof(bytes) - 1, why}
        BAD("", "a frame has 1 to 131072 bytes"),
        BAD("\0", "message type 0 is not known"),
        BAD("\x07\x80", "message type 7 is not known"),
        BAD("\x05", "LEAVE: not a map"),
        BAD("\x05\x92\x07\x08", "LEAVE: not a map"),
        BAD("\x05\x81\x00\x07", "LEAVE: index: missing"),
        BAD("\x05\x81\x01\x07", "LEAVE: id: missing"),
        BAD("\x05\x82\x00\x07\x00\x08", "LEAVE: keys do not ascend"),
        BAD("\x05\x83\x00\x07\x01\x08\x01\x08", "LEAVE: keys do not ascend"),
        BAD("\x05\x82\x01\x08\x00\x07", "LEAVE: id: missing"),
        BAD("\x05\x82\x00\x07\x01\x08\x00", "LEAVE: bytes behind its end"),
        BAD("\x05\x82\x00\x07\x01", "LEAVE: index: not an unsigned integer"),
        BAD("\x05\x82\x00\x07\x01\xff", "LEAVE: index: not an unsigned integer"),
        BAD("\x05\x82\x00\x07\x01\xca\x00\x00\x00\x00", "LEAVE: index: not an unsigned integer"),
        BAD("\x05\x82\x00\x07\x01\xcf\x00\x00\x00\x01\x00\x00\x00\x00", "LEAVE: index: too large"),
        BAD("\x05\x82\x00\x07\xa1i\x08", "LEAVE: key: not an unsigned integer"),
        BAD("\x05\x83\x00\x07\x01\x08\x02\xca\x00\x00\x00\x00",
            "LEAVE: key 2: no value that can be skipped"),
        BAD("\x05\x83\x00\x07\x01\x08\x02\xdd\xff\xff\xff\xff",
            "LEAVE: key 2: no value that can be skipped"),
        BAD("\x05\x83\x00\x07\x01\x08\x02\xdb\xff\xff\xff\xff",
            "LEAVE: key 2: no value that can be skipped"),
        BAD("\x05\x83\x00\x07\x01\x08\x02\xdf\xff\xff\xff\xff",
            "LEAVE: key 2: no value that can be skipped"),
        BAD("\x06\x83\x00\x07\x01\x08\x02\xcd\x01\x00", "ENDED: how: too large"),
        BAD("\x06\x84\x00\x07\x01\x08\x02\x00\x03\xce\x80\x00\x00\x00", "ENDED: status: too large"),
        BAD("\x06\x84\x00\x07\x01\x08\x02\x00\x03\xd3\xff\xff\xff\xff\x00\x00\x00\x00",
            "ENDED: status: too large"),
        BAD("\x06\x84\x00\x07\x01\x08\x02\x00\x03\xc2", "ENDED: status: not an integer"),
        BAD("\x04\x83\x00\x07\x01\x08\x02\xc4\x01x", "REPORT: payload: not a text"),
        BAD("\x04\x83\x00\x07\x01\x08\x02\xa2x", "REPORT: payload: cut short"),
        BAD("\x04\x83\x00\x07\x01\x08\x02\xa1\xff", "REPORT: payload: not valid UTF-8"),
        BAD("\x04\x83\x00\x07\x01\x08\x02\xdb\x00\x01\x00\x01",
            "REPORT: payload: longer than 65536 bytes"),
        BAD("\x41\x84\x00\x07\x01\xc4\x0f\x02\x08", "JOINED: key: not 16 bytes"),
        BAD("\x01\x83\x00\x01\x02\x07\x04\xc0", "JOIN: agents: not an array"),
        BAD("\x01\x83\x00\x01\x02\x07\x04\xdc\x01\x19", "JOIN: agents: more than 280"),
        BAD("\x01\x83\x00\x01\x02\x07\x04\x92\x82\x00\xa1x\x01\xa1y\x81\x00\xa1x",
            "JOIN: agents[1]: host: missing"),
        BAD("\x01\x83\x00\x01\x02\x07\x04\x91\x83\x00\xa1x\x01\xa1y\x06\x90",
            "JOIN: agents[0]: labels: not a map"),
        BAD("\x01\x83\x00\x01\x02\x07\x04\x91\x83\x00\xa1x\x01\xa1y\x06\xde\x00\x21",
            "JOIN: agents[0]: labels: more than 32"),
        BAD("\x01\x83\x00\x01\x02\x07\x04\x91\x83\x00\xa1x\x01\xa1y\x06\x82\xa1k\xa1"
            "1\xa1k\xa1"
            "2",
            "JOIN: agents[0]: labels: a key comes twice"),
        BAD("\x01\x83\x00\x01\x02\x07\x04\x91\x83\x00\xa1x\x01\xa1y\x06\x81\xa1k\x05",
            "JOIN: agents[0]: label's value: not a text"),
    };
    struct mu_msg msg;
    struct mu_err err;

    for (size_t i = 0; i < MU_ARRAY_LEN(bad); i++) {
        assert_int_equal(get(bad[i].bytes, bad[i].n, &msg, &err), MU_EPROTO);
        assert_string_equal(err.text, bad[i].why);
    }
}

static void codec_refuses_what_is_not_for_this_side(void **state)
{
    static const uint8_t join[] = "\x01\x80", joined[] = "\x41\x80";
    const struct mu_codec_room none = {0};
    struct mu_msg msg;
    struct mu_err err;

    assert_int_equal(mu_codec_get(join, 2, &none, &msg, &err), MU_EPROTO);
    assert_string_equal(err.text, "JOIN: not for this side");
    assert_int_equal(mu_codec_get(joined, 2, &none, &msg, &err), MU_EPROTO);
    assert_string_equal(err.text, "JOINED: not for this side");
}

static void codec_message_cut_anywhere_is_refused(void **state)
{
    struct mu_join_agent agent = {.binary = text("b"),
                                  .host = text("h"),
                                  .has_uuid = true,
                                  .labels = {{text("k"), text("v")}},
                                  .nlabels = 1,
                                  .payload = text("{}")};
    struct mu_msg msg = {.type = MU_MSG_JOIN,
                         .join = {.version = 1, .start_id = 5, .n = 1, .agents = &agent}};
    struct mu_msg got;
    struct mu_buf buf;

    mu_buf_init(&buf, 0);
    mu_codec_put(&buf, &msg);
    for (size_t n = 0; n < buf.len; n++)
        assert_int_equal(mu_codec_get(buf.data, n, &room, &got, NULL), MU_EPROTO);
    assert_int_equal(mu_codec_get(buf.data, buf.len, &room, &got, NULL), 0);
    mu_buf_fini(&buf);
}

static void codec_biggest_agent_fits_into_a_frame_and_its_bound(void **state)
{
    static char payload[MU_PAYLOAD_MAX], word[MU_TEXT_MAX];
    static char keys[MU_LABELS_MAX][MU_TEXT_MAX];
    struct mu_bytes longest = {word, sizeof(word)};
    struct mu_join_agent agent = {.binary = longest,
                                  .host = longest,
                                  .zone = longest,
                                  .version = longest,
                                  .has_uuid = true,
                                  .interval_ms = UINT32_MAX,
                                  .nlabels = MU_LABELS_MAX,
                                  .payload = {payload, sizeof(payload)}};
    struct mu_msg msg = {.type = MU_MSG_JOIN,
                         .join = {.version = 1, .token = longest, .n = 1, .agents = &agent}};
    struct mu_buf buf;
    struct mu_msg got;

    memset(payload, ' ', sizeof(payload));
    memset(word, 'w', sizeof(word));
    memset(keys, 'k', sizeof(keys));
    for (int i = 0; i < MU_LABELS_MAX; i++) {
        keys[i][0] = (char)('A' + i);
        agent.labels[i] = (struct mu_label){{keys[i], sizeof(keys[i])}, longest};
    }
    got = there_and_back(&buf, &msg);
    assert_int_equal(got.join.agents[0].payload.n, MU_PAYLOAD_MAX);
    assert_true(buf.len - sizeof(word) <= mu_codec_join_size(&agent) + 32);
    assert_true(mu_codec_join_size(&agent) < MU_FRAME_MAX - 1024);
    mu_buf_fini(&buf);
}

static void codec_writing_tells_when_memory_is_out(void **state)
{
    struct mu_msg msg = {.type = MU_MSG_ERROR, .error = {.rv = -1, .text = text("long enough")}};

    FOR_EACH_FAULT (n) {
        struct mu_buf buf;

        mu_buf_init(&buf, 0);
        FAULT_CHECK(mu_codec_put(&buf, &msg));
        mu_buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codec_joins_come_back),
        cmocka_unit_test(codec_answers_come_back),
        cmocka_unit_test(codec_small_messages_come_back),
        cmocka_unit_test(codec_takes_integers_of_any_width),
        cmocka_unit_test(codec_skips_keys_of_a_newer_version),
        cmocka_unit_test(codec_says_which_field_is_wrong),
        cmocka_unit_test(codec_refuses_what_is_not_for_this_side),
        cmocka_unit_test(codec_message_cut_anywhere_is_refused),
        cmocka_unit_test(codec_biggest_agent_fits_into_a_frame_and_its_bound),
        cmocka_unit_test(codec_writing_tells_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
