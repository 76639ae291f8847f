/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/frame.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static uint8_t wire[2048];

static struct frame read_one(const uint8_t *end)
{
    struct reader reader = reader_of(span_of(wire, (size_t)(end - wire)));
    struct frame frame;
    assert_int_equal(frame_read(&reader, &frame), 0);
    assert_int_equal(reader_left(&reader), 0);
    return frame;
}

/* Every prefix of a frame is malformed (that of a STREAM without length is a shorter one). */
static void assert_prefixes_fail(const uint8_t *end)
{
    for (const uint8_t *cut = wire + 1; cut < end; cut++) {
        struct reader reader = reader_of(span_of(wire, (size_t)(cut - wire)));
        struct frame frame;
        assert_int_equal(frame_read(&reader, &frame), ERROR_INVALID);
    }
}

static void control_frames_come_back_as_written(void **state)
{
    (void)state;
    const struct frame_settings settings = {0x0102030405060708, 9, 16384, 32768};
    uint8_t *end = frame_write_settings(wire, &settings);
    struct frame frame = read_one(end);
    assert_prefixes_fail(end);
    assert_int_equal(frame.type, FRAME_SETTINGS);
    assert_memory_equal(&frame.settings, &settings, sizeof settings);

    end = frame_write_close(wire, 70000);
    frame = read_one(end);
    assert_prefixes_fail(end);
    assert_int_equal(frame.close_code, 70000);

    end = frame_write_reset(wire, VARINT_MAX, 5);
    frame = read_one(end);
    assert_prefixes_fail(end);
    assert_true(frame.reset.id == VARINT_MAX && frame.reset.code == 5);

    end = frame_write_window(wire, 64, 1u << 30);
    frame = read_one(end);
    assert_prefixes_fail(end);
    assert_true(frame.window.id == 64 && frame.window.limit == 1u << 30);

    const struct ack_asking asking = {.sequence = 70, .packets = 32, .delay_us = 5000};
    end = frame_write_ack_freq(wire, 255, &asking);
    frame = read_one(end);
    assert_prefixes_fail(end);
    assert_true(frame.type == FRAME_ACK_FREQ && frame.ack_freq.path == 255 &&
                frame.ack_freq.asking.sequence == 70 && frame.ack_freq.asking.packets == 32 &&
                frame.ack_freq.asking.delay_us == 5000);

    end = frame_write_ack_now(wire, 200);
    frame = read_one(end);
    assert_prefixes_fail(end);
    assert_true(frame.type == FRAME_ACK_NOW && frame.ack_now_path == 200);

    end = frame_write_priority(wire, 3, 4, 255);
    frame = read_one(end);
    assert_prefixes_fail(end);
    assert_true(frame.priority.id == 3 && frame.priority.ring == 4 && frame.priority.weight == 255);

    const uint8_t token[FRAME_TOKEN_BYTES] = "12345678";
    end = frame_write_token(wire, FRAME_PATH_RESPONSE, token);
    frame = read_one(end);
    assert_prefixes_fail(end);
    assert_int_equal(frame.type, FRAME_PATH_RESPONSE);
    assert_memory_equal(frame.token, token, sizeof token);
}

static void L2_path_frames_come_back_as_written(void **state)
{
    (void)state;
    static const struct {
        enum frame_type type;
        struct frame_path change;
    } cases[] = {
        {FRAME_PATH_NEW, {.path = 255, .use = FRAME_PATH_USE_STANDBY}},
        {FRAME_PATH_STATUS, {.path = 1, .use = FRAME_PATH_USE_ACTIVE, .sequence = VARINT_MAX}},
        {FRAME_PATH_ABANDON, {.path = 7}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *end = frame_write_path(wire, cases[i].type, &cases[i].change);
        struct frame frame = read_one(end);
        assert_prefixes_fail(end);
        assert_int_equal(frame.type, cases[i].type);
        assert_int_equal(frame.path_change.path, cases[i].change.path);
        assert_int_equal(frame.path_change.use, cases[i].change.use);
        assert_int_equal(frame.path_change.sequence, cases[i].change.sequence);
    }
    /* Neither active nor standby. */
    static const uint8_t bad[] = {FRAME_PATH_NEW, 1, 3};
    struct reader reader = reader_of(span_of(bad, sizeof bad));
    struct frame frame;
    assert_int_equal(frame_read(&reader, &frame), ERROR_INVALID);
}

static void T8_quality_comes_back_as_written(void **state)
{
    (void)state;
    const struct transport_quality cases[] = {
        {0},
        {1, 2, 3, 4, 5, 6, 7, -8, 9, 10, 11, 3, 12, 13},
        {1000000, 1000000, 1000000, 1u << 29, 1, 1, 1u << 29, 536870911, 1, 1, 1, 1, VARINT_MAX,
         VARINT_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct frame_quality written = {.path = 255, .quality = cases[i]};
        uint8_t *end = frame_write_quality(wire, &written);
        struct frame frame = read_one(end);
        assert_prefixes_fail(end);
        assert_true(end - wire <= FRAME_CONTROL_MAX);
        assert_int_equal(frame.quality.path, 255);
        assert_memory_equal(&frame.quality.quality, &cases[i], sizeof cases[i]);
    }
    /* What is too large is cut to the largest, never wrapped. */
    const struct frame_quality wild = {.quality = {.srtt_us = UINT32_MAX,
                                                   .delay_trend_us_per_s = INT32_MIN,
                                                   .delivery_bytes_per_s = UINT64_MAX}};
    uint8_t *end = frame_write_quality(wire, &wild);
    struct frame frame = read_one(end);
    assert_int_equal(frame.quality.quality.srtt_us, (1 << 30) - 1);
    assert_int_equal(frame.quality.quality.delay_trend_us_per_s, -((1 << 29) - 1));
    assert_true(frame.quality.quality.delivery_bytes_per_s == VARINT_MAX);
    wire[1] = 0x41; /* path 256 and more */
    memset(wire + 3, 0, 20);
    struct reader reader = reader_of(span_of(wire, 23));
    assert_int_equal(frame_read(&reader, &frame), ERROR_INVALID);
}

static void T10_opening_carries_port_service_and_client(void **state)
{
    (void)state;
    static const struct transport_open cases[] = {
        {.port = 80, .ring = 0, .weight = 1},
        {.port = 65535, .flags = TRANSPORT_OPEN_SECURE, .ring = 4, .weight = 255, .site = 700},
        {.port = 443,
         .flags = TRANSPORT_OPEN_HTTP,
         .ring = 2,
         .weight = 16,
         .client = {.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4}},
        {.port = 5432,
         .ring = 1,
         .weight = 9,
         .client = {.bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 1, .family = 6}},
        {.port = 53,
         .flags = TRANSPORT_OPEN_DATAGRAMS | TRANSPORT_OPEN_SECURE,
         .weight = 1,
         .lifetime_ms = 60000,
         .client = {.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *end = frame_write_open(wire, 1000 + i, &cases[i]);
        assert_true(end - wire <= FRAME_CONTROL_MAX);
        struct frame frame = read_one(end);
        assert_prefixes_fail(end);
        assert_true(frame.open.id == 1000 + i);
        assert_int_equal(frame.open.open.port, cases[i].port);
        assert_int_equal(frame.open.open.site, cases[i].site);
        assert_int_equal(frame.open.open.flags, cases[i].flags);
        assert_int_equal(frame.open.open.ring, cases[i].ring);
        assert_int_equal(frame.open.open.weight, cases[i].weight);
        assert_int_equal(frame.open.open.lifetime_ms, cases[i].lifetime_ms);
        assert_true(address_equal(&frame.open.open.client, &cases[i].client));
    }
}

static void T6_stream_frames_in_every_form(void **state)
{
    (void)state;
    static const uint64_t offsets[] = {0, 1, 63, 64, 16383, 16384, 1u << 30, 1ull << 40};
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
        for (int form = 0; form < 4; form++) {
            bool fin = form & 1, has_length = form & 2;
            uint8_t *end = frame_write_stream(wire, 70 + i, offsets[i], 5, fin, has_length);
            if (has_length)
                assert_int_equal(end - wire, frame_stream_head_bytes(70 + i, offsets[i], 5));
            assert_true(end - wire <= FRAME_STREAM_MAX);
            memcpy(end, "hello", 5);
            struct frame frame = read_one(end + 5);
            if (has_length)
                assert_prefixes_fail(end + 5);
            assert_int_equal(frame.type, FRAME_STREAM);
            assert_true(frame.stream.id == 70 + i && frame.stream.offset == offsets[i]);
            assert_int_equal(frame.stream.fin, fin);
            assert_true(span_equal(frame.stream.data, SPAN("hello")));
        }
}

static void T12_datagrams_in_both_forms(void **state)
{
    (void)state;
    for (int has_length = 0; has_length < 2; has_length++) {
        uint8_t *end = frame_write_datagram(wire, 1 << 20, 5, has_length);
        memcpy(end, "hello", 5);
        struct frame frame = read_one(end + 5);
        if (has_length)
            assert_prefixes_fail(end + 5);
        assert_int_equal(frame.type, FRAME_DATAGRAM);
        assert_true(frame.datagram.id == 1 << 20);
        assert_true(span_equal(frame.datagram.data, SPAN("hello")));
        assert_true(frame_is_eliciting(frame.type));
    }
}

static void T11_acks_carry_up_to_64_ranges(void **state)
{
    (void)state;
    struct ranges ranges = {0};
    for (uint64_t i = 0; i < 100; i++)
        ranges_add(&ranges, i * 1000, i * 1000 + 1 + i);
    const struct frame_ack_head head = {.path = 3,
                                        .arrival_us = UINT32_MAX - 1,
                                        .delay_us = 12345,
                                        .ecn = {.ect_0 = 1u << 30, .ect_1 = 7, .ce = 99}};
    uint8_t *end = frame_write_ack(wire, wire + sizeof wire, &head, &ranges);
    assert_true(end - wire <= FRAME_ACK_MAX);
    struct frame frame = read_one(end);
    assert_prefixes_fail(end);
    assert_int_equal(frame.ack.head.path, 3);
    assert_int_equal(frame.ack.head.delay_us, 12345);
    assert_int_equal(frame.ack.head.arrival_us, UINT32_MAX - 1);
    assert_memory_equal(&frame.ack.head.ecn, &head.ecn, sizeof head.ecn);
    assert_int_equal(frame.ack.count, FRAME_ACK_RANGES_MAX);
    for (uint32_t i = 0; i < frame.ack.count; i++)
        assert_memory_equal(&frame.ack.ranges[i], &ranges_items(&ranges)[99 - i],
                            sizeof(struct range));
    /* In little room the greatest go first. */
    end = frame_write_ack(wire, wire + 60, &head, &ranges);
    assert_true(end <= wire + 60);
    frame = read_one(end);
    assert_in_range(frame.ack.count, 2, 20);
    assert_true(frame.ack.ranges[0].end == 99 * 1000 + 100);
    assert_ptr_equal(frame_write_ack(wire, wire + 10, &head, &ranges), wire);
    ranges_clear(&ranges);
}

static void malformed_frames_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t bytes[40];
        size_t length;
    } cases[] = {
        {"an unknown type", {0x0c}, 1},
        {"an unknown type", {0x1f, 0, 0}, 3},
        {"a datagram shorter than its length", {0x18, 4, 3, 1, 2}, 5},
        {"a datagram of no stream", {0x19}, 1},
        {"an unknown type", {0xff}, 1},
        {"an asking without a sequence number", {0x1a, 0, 0, 2, 9}, 5},
        {"an asking for an ack of nothing", {0x1a, 0, 1, 0, 9}, 5},
        {"an asking of path 256", {0x1a, 0x41, 0, 1, 2, 9}, 6},
        {"an ack now of path 256", {0x1b, 0x41, 0}, 3},
        {"an ack of no range", {2, 0, 5, 0, 0, 0}, 6},
        {"an ack of 65 ranges", {2, 0, 5, 0, 0x40, 65, 0}, 7},
        {"a first range below zero", {2, 0, 5, 0, 1, 6}, 6},
        {"a gap below zero", {2, 0, 5, 0, 2, 0, 5, 0}, 8},
        {"a range below zero", {2, 0, 5, 0, 2, 0, 0, 4}, 8},
        {"a packet number of 49 bits", {2, 0, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 13},
        {"a path of 256", {2, 0x41, 0, 5, 0, 1, 0}, 7},
        {"settings without an incarnation", {3, [17] = 0x40, 1, 1}, 20},
        {"a ring of 5", {5, 0, 0, 80, 0, 0, 0, 5, 1, 0}, 10},
        {"a weight of 0", {5, 0, 0, 80, 0, 0, 0, 1, 0, 0}, 10},
        {"an unknown flag", {5, 0, 0, 80, 0, 0, 4, 1, 1, 0}, 10},
        {"an address family of 5", {5, 0, 0, 80, 0, 0, 0, 1, 1, 5, 0, 0, 1, 2, 3, 4}, 16},
        {"a priority ring of 5", {8, 0, 5, 1}, 4},
        {"a priority weight of 0", {8, 0, 1, 0}, 4},
        {"a length beyond the packet", {0x12, 0, 3, 'a', 'b'}, 5},
        {"an end beyond 2^62",
         {0x16, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'a'},
         12},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reader reader = reader_of(span_of(cases[i].bytes, cases[i].length));
        struct frame frame;
        if (frame_read(&reader, &frame) != ERROR_INVALID)
            fail_msg("%s passed", cases[i].what);
    }
}

static void padding_is_one_frame(void **state)
{
    (void)state;
    memset(wire, 0, 50);
    wire[50] = FRAME_PING;
    struct reader reader = reader_of(span_of(wire, 51));
    struct frame frame;
    assert_int_equal(frame_read(&reader, &frame), 0);
    assert_int_equal(frame.type, FRAME_PADDING);
    assert_int_equal(reader_left(&reader), 1);
    assert_int_equal(frame_read(&reader, &frame), 0);
    assert_int_equal(frame.type, FRAME_PING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_frames_come_back_as_written),
        cmocka_unit_test(L2_path_frames_come_back_as_written),
        cmocka_unit_test(T8_quality_comes_back_as_written),
        cmocka_unit_test(T10_opening_carries_port_service_and_client),
        cmocka_unit_test(T6_stream_frames_in_every_form),
        cmocka_unit_test(T12_datagrams_in_both_forms),
        cmocka_unit_test(T11_acks_carry_up_to_64_ranges),
        cmocka_unit_test(malformed_frames_are_refused),
        cmocka_unit_test(padding_is_one_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
