/* docs/protocol.md against the code: each ```hex block of the page has a message here, which must
 * be written as those bytes, and the bytes must be read as that message. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lib/test.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/seal.h"

#define SESSION   UINT64_C(0x0000000700000001)
#define BYTES_MAX 2048

static char page[64 * 1024];
static uint8_t key[16];

static const uint8_t uuid[16] = {0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x41, 0xd0,
                                 0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6};

static struct mu_bytes text(const char *s)
{
    return (struct mu_bytes){s, strlen(s)};
}

/* ---- the page ---- */

/* Reads hex up to ';' or the line's end. */
static size_t read_line(const char *line, uint8_t *out, size_t n)
{
    for (; isxdigit((unsigned char)line[0]) && isxdigit((unsigned char)line[1]); line += 3) {
        const char byte[3] = {line[0], line[1], 0};
        assert_true(n < BYTES_MAX);
        out[n++] = (uint8_t)strtoul(byte, NULL, 16);
        if (line[2] != ' ')
            break;
    }
    return n;
}

static size_t read_block(const char *name, uint8_t out[BYTES_MAX])
{
    char head[64];
    const char *at;
    size_t n = 0;

    snprintf(head, sizeof(head), "```hex %s\n", name);
    at = strstr(page, head);
    if (!at) {
        fail_msg("the page has no block \"%s\"", name);
        return 0;
    }
    for (at = strchr(at, '\n'); at && strncmp(at + 1, "```", 3) != 0; at = strchr(at + 1, '\n'))
        n = read_line(at + 1, out, n);
    assert_true(n > 0);
    return n;
}

/* The 16 bytes in the line after @words. */
static void read_key(const char *words, uint8_t out[BYTES_MAX])
{
    const char *at = strstr(page, words);

    assert_non_null(at);
    at = strstr(at, "\n    ");
    assert_non_null(at);
    assert_int_equal(read_line(at + 5, out, 0), 16);
}

static int load_page(void **state)
{
    FILE *file = fopen(PROTOCOL_PAGE, "r");
    uint8_t secret[BYTES_MAX], shown[BYTES_MAX];

    if (!file)
        return -1;
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    fclose(file);
    read_key("On this page the secret is", secret);
    read_key("which makes the key of session", shown);
    mu_seal_key(secret, SESSION, key);
    return memcmp(key, shown, 16) == 0 ? 0 : -1;
}

/* ---- its messages ---- */

static struct mu_join_agent join_agent;
static struct mu_joined_agent joined_agents[2];

static struct mu_msg join_msg(void)
{
    join_agent = (struct mu_join_agent){.binary = text("nova-compute"),
                                        .host = text("cmp-017"),
                                        .zone = text("az1"),
                                        .version = text("26.1.0"),
                                        .has_uuid = true,
                                        .interval_ms = 10000,
                                        .labels = {{text("rack"), text("r7")}},
                                        .nlabels = 1,
                                        .payload = text("{\"vcpus\":8}")};
    memcpy(join_agent.uuid, uuid, 16);
    return (struct mu_msg){.type = MU_MSG_JOIN,
                           .join = {.version = 1,
                                    .token = text("hunter2"),
                                    .start_id = UINT64_C(0x8899aabbccddeeff),
                                    .n = 1,
                                    .agents = &join_agent}};
}

static struct mu_msg joined_msg(void)
{
    struct mu_msg msg = {
        .type = MU_MSG_JOINED,
        .joined = {.session = SESSION, .epoch = 7, .n = 2, .agents = joined_agents}};

    memcpy(msg.joined.key, key, 16);
    joined_agents[0] = (struct mu_joined_agent){.index = 5,
                                                .incarnation = UINT64_C(0x0000000700000001),
                                                .interval_ms = 10000,
                                                .lease_ms = 60000,
                                                .down_ms = 60000};
    memcpy(joined_agents[0].uuid, uuid, 16);
    joined_agents[1] = (struct mu_joined_agent){
        .rv = MU_EAGAIN, .retry_ms = 1500, .text = text("too many joins at once")};
    return msg;
}

/* What the page shows as bytes must be what @msg is written as, and come back as the same. */
static void check_map(const char *name, const struct mu_msg *msg)
{
    static struct mu_join_agent join[MU_JOIN_AGENTS_MAX];
    static struct mu_joined_agent joined[MU_JOIN_AGENTS_MAX];
    const struct mu_codec_room room = {join, joined, MU_JOIN_AGENTS_MAX};
    uint8_t shown[BYTES_MAX], length[MU_FRAME_HEAD];
    size_t n = read_block(name, shown);
    struct mu_buf written, again;
    struct mu_msg got;

    mu_buf_init(&written, 0);
    mu_buf_init(&again, 0);
    assert_int_equal(mu_codec_put(&written, msg), 0);
    mu_frame_head(length, written.len);
    assert_int_equal(n, MU_FRAME_HEAD + written.len);
    assert_memory_equal(shown, length, MU_FRAME_HEAD);
    assert_memory_equal(shown + MU_FRAME_HEAD, written.data, written.len);
    assert_int_equal(mu_codec_get(shown + MU_FRAME_HEAD, n - MU_FRAME_HEAD, &room, &got, NULL), 0);
    assert_int_equal(got.type, msg->type);
    assert_int_equal(mu_codec_put(&again, &got), 0);
    assert_int_equal(again.len, written.len);
    assert_memory_equal(again.data, written.data, written.len);
    mu_buf_fini(&written);
    mu_buf_fini(&again);
}

static void protocol_page_shows_the_maps_as_they_are(void **state)
{
    struct mu_msg join = join_msg(), joined = joined_msg();
    struct mu_msg report = {.type = MU_MSG_REPORT, .report = {1, 5, text("{\"vcpus\":16}")}};
    struct mu_msg leave = {.type = MU_MSG_LEAVE, .leave = {2, 5}};
    struct mu_msg ended = {.type = MU_MSG_ENDED, .ended = {3, 5, MU_ENDED_KILLED, 9}};
    struct mu_msg done = {.type = MU_MSG_DONE, .done = {.id = 1}};
    struct mu_msg error = {.type = MU_MSG_ERROR,
                           .error = {.rv = MU_EPERM, .text = text("the token is not the fleet's")}};

    check_map("join", &join);
    check_map("joined", &joined);
    check_map("report", &report);
    check_map("leave", &leave);
    check_map("ended", &ended);
    check_map("done", &done);
    check_map("error", &error);
}

static struct mu_beat beat_of(uint64_t seq, uint8_t path, uint64_t sent_ms, uint16_t n)
{
    return (struct mu_beat){.session = SESSION,
                            .epoch = 7,
                            .seq = seq,
                            .sent_ms = sent_ms,
                            .path = path,
                            .n = n,
                            .indexes = {5, 6, 9}};
}

static void protocol_page_shows_beats_as_they_are(void **state)
{
    static const struct {
        const char *name;
        uint64_t seq, sent_ms;
        uint16_t n;
        uint8_t path;
        uint8_t type; /* of the frame; 0 = a datagram */
    } shown[] = {
        {"beat", 42, 360000000, 1, 0, 0},
        {"beats", 43, 360010000, 3, 0, 0},
        {"attach", 44, 360020000, 0, 1, MU_MSG_ATTACH},
        {"stream-beat", 45, 360030000, 1, 1, MU_MSG_BEAT},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(shown); i++) {
        struct mu_beat beat = beat_of(shown[i].seq, shown[i].path, shown[i].sent_ms, shown[i].n);
        uint8_t bytes[BYTES_MAX] = {0}, out[MU_DATAGRAM_MAX], *sealed = bytes;
        size_t n = read_block(shown[i].name, bytes);
        struct mu_beat got;

        if (shown[i].type) {
            sealed += MU_FRAME_HEAD + 1;
            n -= MU_FRAME_HEAD + 1;
            assert_int_equal(mu_get32(bytes), n + 1);
            assert_int_equal(bytes[MU_FRAME_HEAD], shown[i].type);
        }
        assert_int_equal(n, MU_BEAT_LEN(shown[i].n));
        if (shown[i].n > 0) {
            mu_seal_beat(key, &beat, out);
            assert_int_equal(mu_seal_open_beat(key, sealed, n, &got), 0);
        } else {
            mu_seal_attach(key, &beat, out);
            assert_int_equal(mu_seal_open_attach(key, sealed, n, &got), 0);
        }
        assert_memory_equal(sealed, out, n);
    }
}

static void protocol_page_shows_acks_as_they_are(void **state)
{
    static const struct {
        const char *name;
        struct mu_ack ack;
        bool framed;
    } shown[] = {
        {"ack", {SESSION, 7, 42, MU_ACK_OK, 60000, 0}, false},
        {"resync", {SESSION, 7, 41, MU_ACK_RESYNC, 0, 0}, false},
        {"stream-ack", {SESSION, 7, 45, MU_ACK_SUPERSEDED, 0, 5}, true},
    };

    for (size_t i = 0; i < MU_ARRAY_LEN(shown); i++) {
        uint8_t bytes[BYTES_MAX] = {0}, out[MU_ACK_LEN], *sealed = bytes;
        size_t n = read_block(shown[i].name, bytes);
        struct mu_ack got;

        if (shown[i].framed) {
            sealed += MU_FRAME_HEAD + 1;
            n -= MU_FRAME_HEAD + 1;
            assert_int_equal(mu_get32(bytes), n + 1);
            assert_int_equal(bytes[MU_FRAME_HEAD], MU_MSG_ACK);
        }
        assert_int_equal(n, MU_ACK_LEN);
        mu_seal_ack(key, &shown[i].ack, out);
        assert_memory_equal(sealed, out, n);
        assert_int_equal(mu_seal_open_ack(key, sealed, n, &got), 0);
    }
}

static void protocol_page_shows_nothing_that_is_not_checked_here(void **state)
{
    size_t n = 0;

    for (const char *at = page; (at = strstr(at, "```hex ")); at++)
        n++;
    assert_int_equal(n, 7 + 4 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocol_page_shows_the_maps_as_they_are),
        cmocka_unit_test(protocol_page_shows_beats_as_they_are),
        cmocka_unit_test(protocol_page_shows_acks_as_they_are),
        cmocka_unit_test(protocol_page_shows_nothing_that_is_not_checked_here),
    };
    return cmocka_run_group_tests(tests, load_page, NULL);
}
