/* SPDX-License-Identifier: Apache-2.0
 *
 * Flows of datagrams (T12): what arrives, what is dropped and counted, and that they are neither sent again nor in anyone's way.
 */
#include "transport/lane.h"
#include "wire.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { LIFETIME_MS = 100 };

static struct transport_stream *accepted;
static uint32_t resets, readables;
static uint32_t reset_code;

static void on_event(struct wire *wire, int end, const struct transport_event *event)
{
    (void)wire;
    if (event->kind == TRANSPORT_EVENT_OPENED) {
        assert_int_equal(end, WIRE_GATEWAY);
        accepted = event->stream;
    } else if (event->kind == TRANSPORT_EVENT_RESET) {
        resets++;
        reset_code = event->code;
    } else if (event->kind == TRANSPORT_EVENT_READABLE) {
        readables++;
    }
}

static void come_up(struct wire *wire, uint64_t seed)
{
    wire_init(wire, crypto_openssl(), seed);
    accepted = NULL;
    resets = readables = reset_code = 0;
    wire->on_event = on_event;
    wire_dial(wire);
    wire_run(wire, 200 * MS);
}

static struct transport_stream *open_flow(struct wire *wire, uint16_t lifetime_ms)
{
    const struct transport_open open = {
        .port = 53, .ring = 1, .flags = TRANSPORT_OPEN_DATAGRAMS, .lifetime_ms = lifetime_ms};
    struct transport_stream *flow;
    assert_int_equal(transport_stream_open(wire->ends[WIRE_EDGE].transport, &open, &flow), 0);
    return flow;
}

/* Datagram number `number`, `length` bytes long, at least four. */
static int send_datagram(struct wire *wire, struct transport_stream *flow, uint32_t number,
                         uint32_t length)
{
    uint8_t bytes[4096] = {0};
    store_u32(bytes, number);
    struct slice datagram = slice_copy(span_of(bytes, length));
    int result = transport_datagram_write(flow, &datagram, wire->now_ns);
    assert_null(datagram.chunk);
    return result;
}

/* The number of the next one; -1: none waits. */
static int64_t next_datagram(struct transport_stream *flow)
{
    struct slice datagram;
    if (!transport_datagram_read(flow, &datagram))
        return -1;
    struct reader reader = reader_of(span_of(slice_data(&datagram), datagram.length));
    uint32_t number = read_u32(&reader);
    slice_release(&datagram);
    return number;
}

static struct transport_facts facts_of(struct wire *wire, int end)
{
    struct transport_facts facts;
    transport_read_facts(wire->ends[end].transport, &facts);
    return facts;
}

static void T12_datagrams_go_both_ways(void **state)
{
    (void)state;
    struct wire wire;
    come_up(&wire, 1);
    struct transport_stream *flow = open_flow(&wire, LIFETIME_MS);
    struct slice_queue record = {0};
    slice_queue_append(&record, SPAN("site"));
    transport_stream_write(flow, &record);
    transport_stream_finish(flow);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(send_datagram(&wire, flow, i, 4 + i * 60), 0);
    wire_run(&wire, 300 * MS);
    assert_non_null(accepted);
    assert_int_equal(accepted->open.lifetime_ms, LIFETIME_MS);
    assert_true(stream_is_flow(accepted));
    bool ended;
    transport_stream_read(accepted, &record, UINT64_MAX, &ended);
    assert_true(ended && record.bytes == 4);
    slice_queue_clear(&record);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(next_datagram(accepted), i);
    assert_int_equal(next_datagram(accepted), -1);
    assert_int_equal(send_datagram(&wire, accepted, 99, 10), 0);
    wire_run(&wire, 100 * MS);
    assert_int_equal(next_datagram(flow), 99);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).flow_sent, 20);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).flow_received, 20);

    /* Bytes that ended both ways end no flow; its reset does. */
    transport_stream_finish(accepted);
    wire_run(&wire, SECOND);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).streams_open, 1);
    transport_stream_release(flow);
    wire_run(&wire, SECOND);
    assert_int_equal(resets, 1);
    assert_int_equal(reset_code, TRANSPORT_CODE_NONE);
    transport_stream_release(accepted);
    wire_run(&wire, SECOND);
    for (int end = 0; end < WIRE_ENDS; end++) {
        assert_int_equal(facts_of(&wire, end).streams_open, 0);
        assert_int_equal(wire.ends[end].transport->credit.given, 0);
        assert_int_equal(blender_waiting(&wire.ends[end].transport->blender), 0);
    }
    wire_clear(&wire);
}

static void T12_lost_datagrams_are_not_sent_again(void **state)
{
    (void)state;
    struct wire wire;
    come_up(&wire, 2);
    struct transport_stream *flow = open_flow(&wire, LIFETIME_MS);
    wire_run(&wire, 100 * MS);
    wire.loss_ppm = 200000;
    uint32_t got = 0;
    int64_t last = -1;
    for (uint32_t i = 0; i < 1000; i++) {
        send_datagram(&wire, flow, i, 200);
        wire_run(&wire, 5 * MS);
        for (int64_t number; (number = next_datagram(accepted)) >= 0; got++) {
            assert_true(number > last);
            last = number;
        }
    }
    assert_in_range(got, 720, 880);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).flow_sent + facts_of(&wire, WIRE_EDGE).flow_late,
                     1000);
    wire_clear(&wire);
}

static bool drop_all(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)wire, (void)from, (void)packet, (void)length;
    return false;
}

/* Nothing is acknowledged: the window fills, what waits longer than its lifetime goes. */
static void T12_late_datagrams_are_dropped_and_counted(void **state)
{
    (void)state;
    struct wire wire;
    come_up(&wire, 3);
    struct transport_stream *flow = open_flow(&wire, LIFETIME_MS), *patient = open_flow(&wire, 0);
    wire_run(&wire, 100 * MS);
    wire.filter = drop_all;
    for (uint32_t i = 0; i < 60; i++)
        send_datagram(&wire, flow, i, 1000);
    wire_run(&wire, 3 * SECOND);
    assert_true(facts_of(&wire, WIRE_EDGE).flow_late > 20);
    assert_int_equal(flow->flow->out.count, 0);
    /* Without a lifetime they wait. */
    for (uint32_t i = 0; i < 30; i++)
        send_datagram(&wire, patient, i, 1000);
    wire_run(&wire, 2 * SECOND);
    assert_true(patient->flow->out.count > 0);
    wire_clear(&wire);
}

static void T12_a_full_queue_drops_its_oldest(void **state)
{
    (void)state;
    struct wire wire;
    come_up(&wire, 4);
    struct transport_stream *flow = open_flow(&wire, LIFETIME_MS);
    for (uint32_t i = 0; i < DATAGRAMS_LIMIT + 10; i++)
        send_datagram(&wire, flow, i, 20);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).flow_overflowed, 10);
    wire_run(&wire, 200 * MS);
    assert_int_equal(next_datagram(accepted), 10);
    /* So does one that nobody reads. */
    for (uint32_t i = 100; i < 100 + DATAGRAMS_LIMIT; i++)
        send_datagram(&wire, flow, i, 20);
    wire_run(&wire, 200 * MS);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).flow_overflowed, DATAGRAMS_LIMIT - 1);
    assert_int_equal(next_datagram(accepted), 100);
    wire_clear(&wire);
}

static void T12_sizes_from_none_to_the_largest(void **state)
{
    (void)state;
    struct wire wire;
    come_up(&wire, 5);
    struct transport_stream *flow = open_flow(&wire, LIFETIME_MS);
    uint32_t most = transport_datagram_most(wire.ends[WIRE_EDGE].transport);
    assert_int_equal(send_datagram(&wire, flow, 1, most), 0);
    assert_int_equal(send_datagram(&wire, flow, 2, most + 1), ERROR_LIMIT);
    struct slice empty = slice_copy(span_of("", 0));
    assert_int_equal(transport_datagram_write(flow, &empty, wire.now_ns), 0);
    wire_run(&wire, 100 * MS);
    assert_int_equal(next_datagram(accepted), 1);
    struct slice datagram;
    assert_true(transport_datagram_read(accepted, &datagram));
    assert_int_equal(datagram.length, 0);
    slice_release(&datagram);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).flow_too_large, 1);
    /* Packets become smaller while large ones wait. */
    assert_int_equal(send_datagram(&wire, flow, 3, most), 0);
    assert_int_equal(send_datagram(&wire, flow, 4, 100), 0);
    transport_set_packet_bytes(wire.ends[WIRE_EDGE].transport, 1200);
    wire_run(&wire, 100 * MS);
    assert_int_equal(next_datagram(accepted), 4);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).flow_too_large, 2);
    wire_clear(&wire);
}

/* A voice call in ring 0 beside bulk: its datagrams wait for a few packets at most. */
static void T12_datagrams_pass_bulk(void **state)
{
    (void)state;
    struct wire wire;
    come_up(&wire, 6);
    const struct transport_open open = {.port = 80, .ring = 4};
    struct transport_stream *bulk;
    assert_int_equal(transport_stream_open(wire.ends[WIRE_EDGE].transport, &open, &bulk), 0);
    struct transport_stream *flow = open_flow(&wire, LIFETIME_MS);
    uint8_t zeroes[60000] = {0};
    uint32_t got = 0;
    for (uint32_t i = 0; i < 200; i++) {
        struct slice_queue bytes = {0};
        slice_queue_append(&bytes, span_of(zeroes, sizeof zeroes));
        if (transport_stream_room(bulk))
            transport_stream_write(bulk, &bytes);
        slice_queue_clear(&bytes);
        send_datagram(&wire, flow, i, 160);
        wire_run(&wire, 20 * MS);
        got += next_datagram(accepted) >= 0;
        while (next_datagram(accepted) >= 0)
            got++;
    }
    struct transport_facts facts = facts_of(&wire, WIRE_EDGE);
    assert_int_equal(facts.flow_late, 0);
    assert_in_range(got, 195, 200);
    wire_clear(&wire);
}

static void T12_datagrams_on_an_ordinary_stream_end_the_session(void **state)
{
    (void)state;
    struct wire wire;
    come_up(&wire, 7);
    const struct transport_open open = {.port = 80, .ring = 1};
    struct transport_stream *stream;
    assert_int_equal(transport_stream_open(wire.ends[WIRE_EDGE].transport, &open, &stream), 0);
    wire_run(&wire, 100 * MS);
    assert_int_equal(send_datagram(&wire, stream, 1, 10), ERROR_CLOSED);
    stream->open.flags |= TRANSPORT_OPEN_DATAGRAMS; /* a liar's */
    assert_int_equal(send_datagram(&wire, stream, 1, 10), 0);
    wire_run(&wire, 100 * MS);
    assert_int_equal(wire.ends[WIRE_GATEWAY].downs, 1);
    wire_clear(&wire);
}

static bool drop_next(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)packet, (void)length;
    if (from != WIRE_EDGE)
        return true;
    wire->filter = NULL;
    return false;
}

/* The packet with OPEN is lost: what overtakes it waits for it. */
static void T12_datagrams_may_overtake_the_opening(void **state)
{
    (void)state;
    struct wire wire;
    come_up(&wire, 8);
    struct transport_stream *flow = open_flow(&wire, 0);
    wire.filter = drop_next;
    for (uint32_t i = 0; i < 5; i++)
        send_datagram(&wire, flow, i, 1200);
    wire_run(&wire, SECOND);
    assert_non_null(accepted);
    assert_true(readables > 0);
    int64_t first = next_datagram(accepted);
    assert_true(first >= 1);
    wire_clear(&wire);
}

/* A peer that fills the queues of many flows that nobody reads: 64 of each would be 26 MB. */
static void T12_what_nobody_reads_is_bounded_over_all_flows(void **state)
{
    enum { FLOWS = 400, EACH = DATAGRAMS_LIMIT, BYTES = 1000 };
    (void)state;
    struct wire wire;
    come_up(&wire, 9);
    struct transport *gateway = wire.ends[WIRE_GATEWAY].transport;
    static struct transport_stream *flows[FLOWS], *unread[FLOWS];
    for (uint32_t i = 0; i < FLOWS; i++) {
        flows[i] = open_flow(&wire, 0);
        for (uint32_t j = 0; j < EACH; j++)
            send_datagram(&wire, flows[i], j, BYTES);
        wire_run(&wire, 100 * MS);
        unread[i] = accepted;
        assert_true(gateway->flow_unread <= FLOW_UNREAD_LIMIT);
    }
    wire_run(&wire, SECOND);
    uint64_t kept = 0, lost = facts_of(&wire, WIRE_GATEWAY).flow_overflowed;
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).flow_received, FLOWS * EACH);
    for (uint32_t i = 0; i < FLOWS; i++)
        kept += unread[i]->flow->in.count;
    assert_int_equal(kept + lost, FLOWS * EACH);
    assert_true(lost > 0);
    assert_in_range(gateway->flow_unread, FLOW_UNREAD_LIMIT - 2 * BYTES, FLOW_UNREAD_LIMIT);
    /* The first flow had room, keeps it, and makes room for its newest itself. */
    assert_int_equal(unread[0]->flow->in.count, EACH);
    send_datagram(&wire, flows[0], EACH, BYTES);
    wire_run(&wire, 100 * MS);
    assert_int_equal(next_datagram(unread[0]), 1);
    /* What is read makes room for others, and so does a flow that ends. */
    assert_int_equal(unread[FLOWS - 1]->flow->in.count, 0);
    send_datagram(&wire, flows[FLOWS - 1], 7, BYTES);
    wire_run(&wire, 100 * MS);
    assert_int_equal(next_datagram(unread[FLOWS - 1]), 7);
    for (uint32_t i = 0; i < FLOWS; i++) {
        transport_stream_release(flows[i]);
        transport_stream_release(unread[i]);
    }
    wire_run(&wire, SECOND);
    assert_int_equal(gateway->flow_unread, 0);
    wire_clear(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T12_datagrams_go_both_ways),
        cmocka_unit_test(T12_lost_datagrams_are_not_sent_again),
        cmocka_unit_test(T12_late_datagrams_are_dropped_and_counted),
        cmocka_unit_test(T12_a_full_queue_drops_its_oldest),
        cmocka_unit_test(T12_sizes_from_none_to_the_largest),
        cmocka_unit_test(T12_datagrams_pass_bulk),
        cmocka_unit_test(T12_datagrams_on_an_ordinary_stream_end_the_session),
        cmocka_unit_test(T12_datagrams_may_overtake_the_opening),
        cmocka_unit_test(T12_what_nobody_reads_is_bounded_over_all_flows),
    };
    return cmocka_run_group_tests_name("transport/flow", tests, NULL, NULL);
}
