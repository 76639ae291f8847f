/* SPDX-License-Identifier: Apache-2.0
 *
 * A voice call over a link that others keep full (T12): 50 datagrams a second, each of use for 100 ms. Urgent, it passes the bulk; less
 * urgent than the bulk, what is late is dropped here and does not take the room of what is not.
 *
 *     edge -> loss -> link (40 ms there and back) -> gateway
 */
#include "end.h"

#include "base/bytes.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { CALLS = 1500, PERIOD_MS = 20, LIFETIME_MS = 100, DATAGRAM_BYTES = 160, BULK_STREAMS = 4 };

struct call {
    struct sim_pair pair;
    uint8_t ring, bulk_ring;
    struct transport_stream *flow, *heard, *bulk[BULK_STREAMS];
    uint32_t sent, arrived;
    uint64_t next_ns, slowest_ns;
};

static struct call shared;

static void speak(struct call *call)
{
    uint8_t bytes[DATAGRAM_BYTES] = {0};
    store_u64(bytes, call->pair.sim.now_ns);
    struct slice datagram = slice_copy(span_of(bytes, sizeof bytes));
    assert_int_equal(transport_datagram_write(call->flow, &datagram, call->pair.sim.now_ns), 0);
    call->sent++;
    call->next_ns += PERIOD_MS * SIM_MS;
}

static void fill(struct transport_stream *stream)
{
    static const uint8_t zeroes[16384];
    while (transport_stream_room(stream)) {
        struct slice_queue bytes = {0};
        slice_queue_append(&bytes, span_of(zeroes, sizeof zeroes));
        transport_stream_write(stream, &bytes);
        slice_queue_clear(&bytes);
    }
}

static void start(struct call *call)
{
    struct transport *transport = call->pair.edge.transport;
    const struct transport_open flow = {.port = 5060,
                                        .ring = call->ring,
                                        .flags = TRANSPORT_OPEN_DATAGRAMS,
                                        .lifetime_ms = LIFETIME_MS};
    const struct transport_open bulk = {.port = 80, .ring = call->bulk_ring};
    assert_int_equal(transport_stream_open(transport, &flow, &call->flow), 0);
    for (int i = 0; i < BULK_STREAMS; i++)
        assert_int_equal(transport_stream_open(transport, &bulk, &call->bulk[i]), 0);
    call->next_ns = call->pair.sim.now_ns + 2 * SIM_SECOND; /* the link is full by then */
}

static uint64_t run_edge(struct sim_end *end)
{
    struct call *call = end->application.context;
    if (!end->ups)
        return SIM_NEVER;
    if (!call->flow)
        start(call);
    for (int i = 0; i < BULK_STREAMS; i++)
        fill(call->bulk[i]);
    if (call->sent < CALLS && call->pair.sim.now_ns >= call->next_ns)
        speak(call);
    return call->sent < CALLS ? call->next_ns : SIM_NEVER;
}

static void on_gateway(struct sim_end *end, const struct transport_event *event)
{
    struct call *call = end->application.context;
    if (event->kind == TRANSPORT_EVENT_OPENED && event->open->flags & TRANSPORT_OPEN_DATAGRAMS)
        call->heard = event->stream;
    if (event->kind != TRANSPORT_EVENT_READABLE)
        return;
    struct slice_queue bytes = {0};
    bool ended;
    transport_stream_read(event->stream, &bytes, UINT64_MAX, &ended);
    transport_stream_consume(event->stream, bytes.bytes);
    slice_queue_clear(&bytes);
    struct slice datagram;
    while (transport_datagram_read(event->stream, &datagram)) {
        struct reader reader = reader_of(span_of(slice_data(&datagram), datagram.length));
        uint64_t took_ns = end->node.sim->now_ns - read_u64(&reader);
        call->arrived++;
        call->slowest_ns = took_ns > call->slowest_ns ? took_ns : call->slowest_ns;
        slice_release(&datagram);
    }
}

static struct transport_facts hold_call(uint8_t ring, uint8_t bulk_ring, uint64_t bytes_per_s)
{
    struct sim_link_config link = {.bytes_per_s = bytes_per_s,
                                   .queue_ns = 30 * SIM_MS,
                                   .delay_ns = 20 * SIM_MS};
    struct sim_impairment_config impairment = {.loss = 0.01};
    shared = (struct call){.ring = ring, .bulk_ring = bulk_ring};
    sim_pair_init(&shared.pair, crypto_null(), 3, &link, &impairment);
    shared.pair.edge.application = (struct sim_application){.run = run_edge, .context = &shared};
    shared.pair.gateway.application =
        (struct sim_application){.on_event = on_gateway, .context = &shared};
    sim_pair_start(&shared.pair);
    sim_run(&shared.pair.sim, shared.pair.sim.now_ns + 5 * SIM_SECOND + CALLS * PERIOD_MS * SIM_MS,
            NULL, NULL);
    struct transport_facts facts = sim_end_facts(&shared.pair.edge);
    assert_int_equal(shared.sent, CALLS);
    assert_int_equal(facts.flow_sent + facts.flow_late + facts.flow_overflowed, CALLS);
    print_message("  ring %u beside %u: %u of %u arrived, %llu late, slowest %.1f ms\n", ring,
                  bulk_ring, shared.arrived, shared.sent, (unsigned long long)facts.flow_late,
                  (double)shared.slowest_ns / SIM_MS);
    sim_pair_clear(&shared.pair);
    return facts;
}

static void T12_an_urgent_call_passes_bulk(void **state)
{
    (void)state;
    struct transport_facts facts = hold_call(0, 3, 2500000);
    assert_true(facts.flow_late <= CALLS / 100);
    assert_true(shared.arrived >= CALLS * 0.96);
    assert_true(shared.slowest_ns <= (20 + 30 + LIFETIME_MS + 20) * SIM_MS);
}

static void T12_datagrams_are_dropped_when_late(void **state)
{
    (void)state;
    /* A share of 1 / (16 x 4 + 1) of the link is a tenth of what the call needs. */
    struct transport_facts facts = hold_call(4, 0, 250000);
    assert_true(facts.flow_late >= CALLS / 4);
    assert_true(shared.arrived >= CALLS / 20);
    assert_true(shared.slowest_ns <= (20 + 30 + LIFETIME_MS + 20) * SIM_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T12_an_urgent_call_passes_bulk),
        cmocka_unit_test(T12_datagrams_are_dropped_when_late),
    };
    return cmocka_run_group_tests_name("sim/datagrams", tests, NULL, NULL);
}
