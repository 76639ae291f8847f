/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames of a peer that says what it must not, or what comes too late to matter, in packets that
 * are authentic.
 */
#include "transport/lane.h"
#include "wire.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

static uint64_t next_number;

static void begin(struct wire *wire)
{
    wire_init(wire, crypto_openssl(), 1);
    wire_dial(wire);
    wire_run(wire, 100 * MS);
    assert_int_equal(wire->ends[0].ups + wire->ends[1].ups, 2);
    next_number = 100;
}

static struct transport *victim_of(struct wire *wire)
{
    return wire->ends[WIRE_GATEWAY].transport;
}

/* Seals `frames` under the edge's session and gives them to the gateway. */
static void feed(struct wire *wire, struct span frames)
{
    static uint8_t packet[65536];
    memcpy(packet + PACKET_HEADER_BYTES, frames.data, frames.length);
    struct session *session = &wire->ends[WIRE_EDGE].transport->current;
    uint64_t fresh = session->send.fresh_numbers[0];
    session_seal(session, 0, next_number++, packet, (uint32_t)frames.length);
    session->send.fresh_numbers[0] = fresh; /* the edge goes on where it was */
    const struct transport_datagram datagram = {.from = wire->ends[WIRE_EDGE].address,
                                                .data = packet,
                                                .length = (uint32_t)frames.length +
                                                          PACKET_OVERHEAD_BYTES};
    transport_receive(victim_of(wire), wire->now_ns, &datagram, 1);
}

static bool is_acknowledged(struct wire *wire)
{
    return ranges_has(&victim_of(wire)->primary->receipts.numbers, next_number - 1);
}

/* Frames written out: the gateway has opened stream 1 and ended stream 3. */
struct frame_case {
    const char *what;
    uint8_t bytes[48];
    size_t length;
};

static void prepare(struct wire *wire)
{
    begin(wire);
    const struct transport_open open = {.port = 80};
    struct transport_stream *streams[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(transport_stream_open(victim_of(wire), &open, &streams[i]), 0);
    transport_stream_release(streams[1]);
    wire_run(wire, SECOND);
    next_number = 1000;
}

static void what_cannot_be_ends_the_session(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"an ack of what was never sent", {2, 0, 0x7f, 0xff, 0, 1, 0}, 7},
        {"an ack for another path", {2, 1, 0, 0, 1, 0}, 6},
        {"bytes beyond the credit", {0x16, 0, 0x80, 0, 0x40, 0, 1, 'a'}, 8},
        {"bytes for a stream of ours that is not open", {0x12, 9, 1, 'a'}, 4},
        {"credit for a stream of ours that is not open", {7, 9, 9}, 3},
        {"our stream opened by the peer", {5, 1, 0, 80, 0, 0, 0, 1, 1, 0}, 10},
        {"an id far ahead", {0x12, 0xbf, 0, 0, 0, 1, 'a'}, 7},
        {"bytes behind the end", {0x13, 0, 1, 'a', 0x16, 0, 1, 1, 'b'}, 9},
        {"two ends", {0x13, 0, 1, 'a', 0x13, 0, 0}, 7},
        {"an unknown frame", {0x0c}, 1},
        {"another incarnation", {3, 1, 2, 3, 4, 5, 6, 7, 8, [17] = 0x80, 0, 0x40, 0, 5}, 22},
        {"a packet without frames", {0}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire wire;
        prepare(&wire);
        feed(&wire, span_of(cases[i].bytes, cases[i].length));
        if (victim_of(&wire)->state == TRANSPORT_STATE_UP)
            fail_msg("%s was accepted", cases[i].what);
        /* The peer is told, and dials anew. */
        wire_run(&wire, 50 * MS);
        assert_int_equal(wire.ends[WIRE_EDGE].downs, 1);
        wire_run(&wire, 10 * SECOND);
        assert_int_equal(wire.ends[WIRE_EDGE].ups, 2);
        wire_clear(&wire);
    }
}

static void settings_are_checked(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct wire wire;
        prepare(&wire);
        struct transport *victim = victim_of(&wire);
        struct frame_settings settings = {.own = victim->peer_incarnation,
                                          .peer = victim->incarnation,
                                          .stream_window = 16384,
                                          .streams_limit = 10};
        settings.own ^= i == 1;
        settings.peer ^= i == 2;
        settings.stream_window -= i == 3;
        uint8_t bytes[FRAME_CONTROL_MAX];
        feed(&wire, span_of(bytes, (size_t)(frame_write_settings(bytes, &settings) - bytes)));
        assert_int_equal(victim->state == TRANSPORT_STATE_UP, i == 0);
        wire_clear(&wire);
    }
}

static void what_comes_late_is_ignored(void **state)
{
    (void)state;
    static const struct frame_case cases[] = {
        {"bytes for a stream that has ended", {0x12, 3, 1, 'a'}, 4},
        {"credit for it", {7, 3, 9}, 3},
        {"its reset", {6, 3, 1}, 3},
        {"a reset of a stream that was never seen", {6, 0x40, 0x80, 1}, 4},
        {"and then its opening and bytes",
         {6, 2, 1, 5, 2, 0, 80, 0, 0, 0, 1, 1, 0, 0x12, 2, 1, 'a'},
         17},
        {"a path response that nobody asked for", {10, 1, 2, 3, 4, 5, 6, 7, 8}, 9},
        {"credit that is lower", {7, 1, 1}, 3},
        {"the same bytes again", {0x12, 0, 2, 'a', 'b', 0x12, 0, 2, 'a', 'b'}, 10},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire wire;
        prepare(&wire);
        uint64_t given = victim_of(&wire)->credit.given;
        feed(&wire, span_of(cases[i].bytes, cases[i].length));
        if (victim_of(&wire)->state != TRANSPORT_STATE_UP || !is_acknowledged(&wire))
            fail_msg("%s was not ignored", cases[i].what);
        struct transport_event event;
        while (transport_next_event(victim_of(&wire), &event))
            fail_msg("%s was told", cases[i].what);
        if (i + 1 < sizeof cases / sizeof *cases)
            assert_int_equal(victim_of(&wire)->credit.given, given);
        wire_clear(&wire);
    }
}

static void challenges_are_answered(void **state)
{
    (void)state;
    struct wire wire;
    prepare(&wire);
    feed(&wire, SPAN("\x09"
                     "12345678"));
    assert_true(victim_of(&wire)->primary->response_waits);
    assert_memory_equal(victim_of(&wire)->primary->response, "12345678", 8);
    static uint8_t bytes[2000];
    struct transport_transmit transmit = {.data = bytes, .capacity = sizeof bytes};
    assert_int_equal(transport_send(victim_of(&wire), wire.now_ns, &transmit, 1), 1);
    assert_false(victim_of(&wire)->primary->response_waits);
    wire_clear(&wire);
}

static void what_cannot_be_kept_is_not_acknowledged(void **state)
{
    (void)state;
    struct wire wire;
    prepare(&wire);
    /* As many gaps as a stream may have, then one more. */
    for (uint32_t i = 0; i <= RECEIVE_RUNS_MAX; i++) {
        uint8_t bytes[FRAME_STREAM_MAX + 1];
        uint8_t *end = frame_write_stream(bytes, 0, 1 + i * 2, 1, false, true);
        *end++ = 'a';
        feed(&wire, span_of(bytes, (size_t)(end - bytes)));
        assert_int_equal(is_acknowledged(&wire), i < RECEIVE_RUNS_MAX);
    }
    assert_int_equal(victim_of(&wire)->state, TRANSPORT_STATE_UP);
    wire_clear(&wire);
}

/* Loses the next packet from the edge. */
static bool lose_next(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)packet, (void)length;
    bool *armed = wire->argument;
    if (from != WIRE_EDGE || !*armed)
        return true;
    *armed = false;
    return false;
}

static void lost_frames_are_sent_again(void **state)
{
    (void)state;
    for (int what = 0; what < 4; what++) {
        struct wire wire;
        bool armed = false;
        begin(&wire);
        wire.filter = lose_next;
        wire.argument = &armed;
        const struct transport_open open = {.port = 80, .ring = 2};
        struct transport_stream *near;
        assert_int_equal(transport_stream_open(wire.ends[0].transport, &open, &near), 0);
        wire_run(&wire, 500 * MS);
        struct transport_stream *far = stream_table_get(&victim_of(&wire)->table, 0);
        assert_non_null(far);
        struct slice_queue bytes = {0};
        armed = true;
        uint64_t from_ns = wire.now_ns;
        switch (what) {
        case 0:
            slice_queue_append(&bytes, SPAN("the last words"));
            transport_stream_write(near, &bytes);
            transport_stream_finish(near);
            /* The probe itself carries the bytes: no further round trip is needed. */
            while (!receive_buffer_is_complete(&far->in))
                wire_step(&wire);
            assert_true(wire.now_ns - from_ns <=
                        rtt_probe_timeout(&wire.ends[0].transport->primary->rtt) + wire.delay_ns +
                            MS);
            break;
        case 1:
            transport_stream_reset(near, TRANSPORT_CODE_REFUSED);
            transport_stream_release(near);
            wire_run(&wire, 3 * SECOND);
            assert_null(stream_table_get(&victim_of(&wire)->table, 0));
            assert_int_equal(wire.ends[0].transport->table.count, 0);
            break;
        case 2:
            transport_stream_set_ring(near, 0, 99);
            wire_run(&wire, SECOND);
            assert_int_equal(far->open.weight, 99);
            break;
        case 3:
            near->credit.limit += 5000; /* as if its reader had consumed */
            near->in.limit = near->credit.limit;
            stream_owe(near, CONTROL_WINDOW);
            wire_run(&wire, SECOND);
            assert_int_equal(far->out.limit, 16384 + 5000);
            near->credit.limit -= 5000;
            break;
        }
        assert_false(armed);
        slice_queue_clear(&bytes);
        wire_clear(&wire);
    }
}

/* Loses the first DATA packet from the gateway. */
static bool lose_settings(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)length;
    bool *armed = wire->argument;
    if (from != WIRE_GATEWAY || !*armed || packet_type(packet[0]) != PACKET_DATA)
        return true;
    *armed = false;
    return false;
}

static void responders_settings_are_sent_again(void **state)
{
    (void)state;
    struct wire wire;
    bool armed = true;
    wire_init(&wire, crypto_openssl(), 2);
    wire.filter = lose_settings;
    wire.argument = &armed;
    wire_dial(&wire);
    wire_run(&wire, SECOND);
    assert_false(armed);
    assert_true(wire.ends[WIRE_EDGE].transport->peer_incarnation == victim_of(&wire)->incarnation);
    wire_clear(&wire);
}

static void a_session_that_came_and_went_untold_is_not_told(void **state)
{
    (void)state;
    struct wire wire;
    struct transport_event event;
    begin(&wire);
    struct transport *lane = wire.ends[WIRE_EDGE].transport;
    assert_false(transport_next_event(lane, &event));
    event_up(lane);
    event_down(lane, TRANSPORT_CODE_LINK_LOST);
    assert_false(transport_next_event(lane, &event));
    event_down(lane, TRANSPORT_CODE_LINK_LOST);
    event_up(lane);
    event_down(lane, TRANSPORT_CODE_SHUTDOWN);
    event_up(lane);
    assert_true(transport_next_event(lane, &event));
    assert_int_equal(event.kind, TRANSPORT_EVENT_DOWN);
    assert_true(transport_next_event(lane, &event));
    assert_int_equal(event.kind, TRANSPORT_EVENT_UP);
    assert_false(transport_next_event(lane, &event));
    wire_clear(&wire);
}

/* Loses every seventh packet of the edge. */
static bool lose_some(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)packet, (void)length;
    return from != WIRE_EDGE || wire->sent[from] % 7 != 0;
}

static void T11_acks_of_acks_keep_acks_short(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire);
    wire.filter = lose_some;
    const struct transport_open open = {.port = 80};
    struct transport_stream *near;
    assert_int_equal(transport_stream_open(wire.ends[0].transport, &open, &near), 0);
    uint32_t most = 0;
    for (int i = 0; i < 400; i++) {
        struct slice_queue bytes = {0};
        slice_queue_append(&bytes, SPAN("a packet of its own"));
        transport_stream_write(near, &bytes);
        wire_run(&wire, 10 * MS);
        uint32_t ranges = victim_of(&wire)->primary->receipts.numbers.count;
        most = ranges > most ? ranges : most;
        slice_queue_clear(&bytes);
    }
    assert_in_range(most, 2, 20);
    wire_clear(&wire);
}

static void T11_bytes_and_end_share_a_packet(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire);
    const struct transport_open open = {.port = 80};
    struct transport_stream *near;
    uint64_t before = wire.ends[0].transport->primary->sent.next;
    assert_int_equal(transport_stream_open(wire.ends[0].transport, &open, &near), 0);
    struct slice_queue bytes = {0};
    slice_queue_append(&bytes, SPAN("all of it"));
    transport_stream_write(near, &bytes);
    transport_stream_finish(near);
    slice_queue_clear(&bytes);
    wire_run(&wire, 15 * MS);
    assert_int_equal(wire.ends[0].transport->primary->sent.next - before, 1);
    assert_true(receive_buffer_is_complete(&stream_table_get(&victim_of(&wire)->table, 0)->in));
    wire_clear(&wire);
}

static void reordering_raises_the_loss_threshold(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire);
    wire.swap_ppm = 200000;
    const struct transport_open open = {.port = 80};
    struct transport_stream *near;
    assert_int_equal(transport_stream_open(wire.ends[0].transport, &open, &near), 0);
    for (int i = 0; i < 40; i++) {
        struct slice_queue bytes = {0};
        slice_queue_push(&bytes, slice_copy(span_of((uint8_t[5000]){0}, 5000)));
        transport_stream_write(near, &bytes);
        slice_queue_clear(&bytes);
        struct transport_stream *far = stream_table_get(&victim_of(&wire)->table, 0);
        bool ended;
        wire_run(&wire, 50 * MS);
        if (!far)
            continue;
        transport_stream_read(far, &bytes, UINT64_MAX, &ended);
        transport_stream_consume(far, bytes.bytes);
        slice_queue_clear(&bytes);
    }
    assert_true(wire.ends[0].transport->counters.packets_spurious > 0);
    assert_true(wire.ends[0].transport->primary->loss.packet_threshold > LOSS_PACKET_THRESHOLD);
    wire_clear(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_ends_the_session),
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(what_comes_late_is_ignored),
        cmocka_unit_test(challenges_are_answered),
        cmocka_unit_test(what_cannot_be_kept_is_not_acknowledged),
        cmocka_unit_test(lost_frames_are_sent_again),
        cmocka_unit_test(responders_settings_are_sent_again),
        cmocka_unit_test(a_session_that_came_and_went_untold_is_not_told),
        cmocka_unit_test(T11_acks_of_acks_keep_acks_short),
        cmocka_unit_test(T11_bytes_and_end_share_a_packet),
        cmocka_unit_test(reordering_raises_the_loss_threshold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
