/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes that a driver gives while a lane lives, and what it sends where: over TCP as well (L2).
 */
#include "wire.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { BUFFER_BYTES = 65536 };

static const struct transport_route udp = {
    .to = {.bytes = {192, 0, 2, 1}, .family = 4, .port = 4500}};
static const struct transport_route tcp = {
    .to = {.bytes = {192, 0, 2, 1}, .family = 4, .port = 4500},
    .carriage = TRANSPORT_CARRIAGE_TCP,
    .is_standby = true};

static size_t send(struct transport *transport, uint64_t now_ns,
                   struct transport_transmit *transmit)
{
    static uint8_t buffer[BUFFER_BYTES];
    *transmit = (struct transport_transmit){.data = buffer, .capacity = sizeof buffer};
    return transport_send(transport, now_ns, transmit, 1);
}

static void L2_a_route_that_comes_while_dialling_is_tried_at_once(void **state)
{
    struct wire wire;
    struct transport_transmit transmit;
    const struct transport_route both[] = {udp, tcp};
    (void)state;
    wire_init(&wire, crypto_null(), 1);
    struct transport *transport = wire.ends[WIRE_EDGE].transport;
    uint64_t now_ns = wire.now_ns;
    transport_dial(transport, &udp, 1, now_ns);
    assert_int_equal(send(transport, now_ns, &transmit), 1);
    assert_int_equal(transmit.carriage, TRANSPORT_CARRIAGE_UDP);
    assert_int_equal(send(transport, now_ns, &transmit), 0);
    uint64_t retry_ns = transport_next_wake(transport);
    assert_true(retry_ns > now_ns + 100 * MS);

    now_ns += 10 * MS;
    transport_set_routes(transport, both, 2, now_ns);
    assert_int_equal(transport_next_wake(transport), now_ns);
    assert_int_equal(send(transport, now_ns, &transmit), 1);
    assert_int_equal(transmit.carriage, TRANSPORT_CARRIAGE_TCP);
    assert_true(address_equal(&transmit.to, &tcp.to));

    /* The same routes again are no news; both have their turn from here on. */
    transport_set_routes(transport, both, 2, now_ns);
    assert_int_equal(send(transport, now_ns, &transmit), 0);
    bool was_there[2] = {false, false};
    for (int i = 0; i < 2; i++) {
        now_ns = transport_next_wake(transport);
        assert_int_equal(send(transport, now_ns, &transmit), 1);
        was_there[transmit.carriage == TRANSPORT_CARRIAGE_TCP] = true;
    }
    assert_true(was_there[0] && was_there[1]);
    wire_clear(&wire);
}

/* One that answers over TCP alone: RESP and all that follows go back by the way that they came. */
struct both_ends {
    struct wire *wire;
    uint64_t over_tcp, over_udp;
};

static void pass(struct both_ends *both, int from, uint64_t now_ns)
{
    struct transport_transmit transmit;
    struct wire_end *end = &both->wire->ends[from], *other = &both->wire->ends[!from];
    while (send(end->transport, now_ns, &transmit)) {
        if (transmit.carriage != TRANSPORT_CARRIAGE_TCP) {
            both->over_udp++;
            continue;
        }
        both->over_tcp++;
        struct transport_datagram datagram = {.from = tcp.to,
                                              .data = transmit.data,
                                              .length = transmit.length,
                                              .segment_bytes = transmit.segment_bytes,
                                              .carriage = TRANSPORT_CARRIAGE_TCP};
        uint32_t index;
        if (transport_packet_kind(span_of(datagram.data, datagram.length), &index) !=
            TRANSPORT_PACKET_HELLO) {
            transport_receive(other->transport, now_ns, &datagram, 1);
            continue;
        }
        struct transport_hello *hello;
        struct transport_hello_facts facts;
        uint8_t room[256];
        struct transport_transmit reply = {.data = room, .capacity = sizeof room};
        assert_int_equal(transport_listener_hello(other->listener, &datagram, now_ns, &reply,
                                                  &hello, &facts),
                         0);
        assert_int_equal(transport_accept(other->transport, &hello, &datagram, now_ns), 0);
    }
    struct transport_event event;
    while (transport_next_event(end->transport, &event)) {
    }
}

static void L2_a_path_over_tcp_has_no_congestion_control_of_ours(void **state)
{
    struct wire wire;
    struct both_ends both = {.wire = &wire};
    struct transport_facts facts;
    (void)state;
    wire_init(&wire, crypto_null(), 2);
    uint64_t now_ns = wire.now_ns;
    struct transport *edge = wire.ends[WIRE_EDGE].transport;
    const struct transport_route routes[] = {tcp, udp};
    transport_dial(edge, routes, 2, now_ns);
    for (int i = 0; i < 40; i++, now_ns += 10 * MS) {
        pass(&both, WIRE_EDGE, now_ns);
        pass(&both, WIRE_GATEWAY, now_ns);
    }
    transport_read_facts(edge, &facts);
    assert_int_equal(facts.state, TRANSPORT_STATE_UP);
    assert_true(both.over_tcp > 0 && both.over_udp > 0); /* and UDP is probed */
    for (uint32_t i = 0; i < facts.path_count; i++) {
        bool is_tcp = facts.paths[i].carriage == TRANSPORT_CARRIAGE_TCP;
        assert_int_equal(facts.paths[i].state,
                         is_tcp ? TRANSPORT_PATH_STATE_STANDBY : TRANSPORT_PATH_STATE_NEW);
        if (is_tcp)
            assert_true(facts.paths[i].window_bytes > 16 << 20 &&
                        facts.paths[i].pacing_bytes_per_s == 0);
    }

    /* Much goes at once, as far as the driver takes it. */
    struct transport_stream *stream;
    const struct transport_open open = {.ring = 2, .weight = 16};
    assert_int_equal(transport_stream_open(edge, &open, &stream), 0);
    struct slice_queue bytes = {0};
    uint8_t block[10000] = {0};
    for (int i = 0; i < 20; i++)
        slice_queue_append(&bytes, span_of(block, sizeof block));
    transport_stream_write(stream, &bytes);
    slice_queue_clear(&bytes);
    uint64_t before = both.over_tcp, sent = facts.stream_bytes_sent;
    pass(&both, WIRE_EDGE, now_ns);
    transport_read_facts(edge, &facts);
    assert_true(both.over_tcp > before);
    assert_true(facts.stream_bytes_sent - sent >= 16384); /* the peer's first credit */
    assert_int_equal(facts.packets_lost, 0);
    transport_stream_release(stream);
    wire_clear(&wire);
    chunk_cache_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L2_a_route_that_comes_while_dialling_is_tried_at_once),
        cmocka_unit_test(L2_a_path_over_tcp_has_no_congestion_control_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
