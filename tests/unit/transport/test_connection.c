/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/lane.h"
#include "wire.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* One stream that both ends keep talking on, as proof of life. */
static struct transport_stream *near, *far;
static uint64_t near_received, far_received;
static uint32_t near_reset_code, far_reset_code;
static bool near_is_reset, far_is_reset;

static void on_event(struct wire *wire, int end, const struct transport_event *event)
{
    (void)wire;
    bool is_near = end == WIRE_EDGE;
    switch (event->kind) {
    case TRANSPORT_EVENT_UP:
    case TRANSPORT_EVENT_DOWN:
    case TRANSPORT_EVENT_RING:
    case TRANSPORT_EVENT_WRITABLE:
        break;
    case TRANSPORT_EVENT_OPENED:
        far = event->stream;
        break;
    case TRANSPORT_EVENT_READABLE: {
        struct slice_queue bytes = {0};
        bool ended;
        transport_stream_read(event->stream, &bytes, UINT64_MAX, &ended);
        transport_stream_consume(event->stream, bytes.bytes);
        *(is_near ? &near_received : &far_received) += bytes.bytes;
        slice_queue_clear(&bytes);
        break;
    }
    case TRANSPORT_EVENT_RESET:
        *(is_near ? &near_reset_code : &far_reset_code) = event->code;
        *(is_near ? &near_is_reset : &far_is_reset) = true;
        *(is_near ? &near : &far) = NULL;
        transport_stream_release(event->stream);
        break;
    case TRANSPORT_EVENT_DONE:
        *(is_near ? &near : &far) = NULL;
        transport_stream_release(event->stream);
        break;
    }
}

static bool is_up(struct wire *wire)
{
    return wire->ends[0].ups && wire->ends[1].ups;
}

static void say(struct transport_stream *stream, size_t length)
{
    static const uint8_t zero[65536];
    struct slice_queue bytes = {0};
    slice_queue_append(&bytes, span_of(zero, length));
    transport_stream_write(stream, &bytes);
    slice_queue_clear(&bytes);
}

static void begin(struct wire *wire, const struct crypto *crypto, uint64_t seed)
{
    wire_init(wire, crypto, seed);
    wire->on_event = on_event;
    near = far = NULL;
    near_received = far_received = 0;
    near_reset_code = far_reset_code = 0;
    near_is_reset = far_is_reset = false;
}

static void open_stream(struct wire *wire)
{
    const struct transport_open open = {.port = 443, .ring = 0, .flags = TRANSPORT_OPEN_SECURE};
    assert_int_equal(transport_stream_open(wire->ends[WIRE_EDGE].transport, &open, &near), 0);
    say(near, 100);
}

static void come_up(struct wire *wire)
{
    wire_dial(wire);
    assert_true(wire_run_until(wire, is_up, 120 * SECOND));
    open_stream(wire);
    wire_run(wire, SECOND);
    assert_non_null(far);
    assert_int_equal(far_received, 100);
}

static struct transport_facts facts_of(struct wire *wire, int end)
{
    struct transport_facts facts;
    transport_read_facts(wire->ends[end].transport, &facts);
    return facts;
}

static void T1_streams_survive_fresh_handshakes(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 3);
    wire.ends[WIRE_EDGE].config.handshake_every_ns = 20 * SECOND;
    wire_start(&wire, WIRE_EDGE);
    wire.loss_ppm = 100000;
    come_up(&wire);
    for (int i = 1; i <= 300; i++) {
        say(near, 5000);
        say(far, 3000);
        wire_run(&wire, SECOND);
    }
    wire.loss_ppm = 0;
    wire_run(&wire, 10 * SECOND);
    assert_int_equal(far_received, 100 + 300 * 5000);
    assert_int_equal(near_received, 300 * 3000);
    assert_int_equal(wire.ends[0].downs + wire.ends[1].downs, 0);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).sessions, 1);
    assert_true(wire.now_ns - wire.ends[0].transport->current.started_ns < 25 * SECOND);
    wire_clear(&wire);
}

static void T9_key_phases_follow_each_other(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 4);
    wire.swap_ppm = 300000;
    wire.loss_ppm = 20000;
    come_up(&wire);
    /* A phase lasts 120 s: eleven of them, so that the two bits wrap. */
    for (int i = 0; i < 1320; i++) {
        say(near, 3000);
        say(far, 3000);
        wire_run(&wire, SECOND);
    }
    wire.loss_ppm = 0;
    wire_run(&wire, 5 * SECOND);
    assert_int_equal(far_received, 100 + 1320 * 3000);
    assert_int_equal(near_received, 1320 * 3000);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).datagrams_refused, 0);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).datagrams_refused, 0);
    wire_clear(&wire);
}

static void T1_link_comes_back_after_the_network_broke(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 5);
    come_up(&wire);
    wire.loss_ppm = 1000000;
    say(near, 100);
    say(far, 100);
    wire_run(&wire, 60 * SECOND);
    assert_int_equal(wire.ends[0].downs, 1);
    assert_int_equal(wire.ends[1].downs, 1);
    assert_int_equal(near_reset_code, TRANSPORT_CODE_LINK_LOST);
    assert_int_equal(far_reset_code, TRANSPORT_CODE_LINK_LOST);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).state, TRANSPORT_STATE_DIALLING);
    wire.loss_ppm = 0;
    wire_run(&wire, 12 * SECOND);
    assert_int_equal(wire.ends[0].ups, 2);
    assert_int_equal(wire.ends[1].ups, 2);
    open_stream(&wire);
    wire_run(&wire, SECOND);
    assert_int_equal(far_received, 200);
    wire_clear(&wire);
}

static void T1_short_outage_costs_no_stream(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 6);
    come_up(&wire);
    say(near, 50000);
    say(far, 50000);
    wire.loss_ppm = 1000000;
    wire_run(&wire, 8 * SECOND);
    wire.loss_ppm = 0;
    wire_run(&wire, 10 * SECOND);
    assert_int_equal(wire.ends[0].downs + wire.ends[1].downs, 0);
    assert_int_equal(far_received, 50100);
    assert_int_equal(near_received, 50000);
    wire_clear(&wire);
}

static void T1_restarted_responder_is_found_at_once(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 7);
    come_up(&wire);
    far = NULL;
    wire.ends[WIRE_GATEWAY].ups = 0;
    wire_start(&wire, WIRE_GATEWAY);
    say(near, 100);
    wire_run(&wire, 3 * SECOND);
    assert_int_equal(wire.ends[WIRE_EDGE].downs, 1);
    assert_int_equal(wire.ends[WIRE_EDGE].ups, 2);
    assert_int_equal(wire.ends[WIRE_GATEWAY].ups, 1);
    assert_true(near_is_reset);
    open_stream(&wire);
    wire_run(&wire, SECOND);
    assert_int_equal(far_received, 200);
    wire_clear(&wire);
}

static void T1_restarted_initiator_replaces_its_former_self(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 8);
    come_up(&wire);
    wire_run(&wire, SECOND);
    near = NULL;
    wire.ends[WIRE_EDGE].ups = 0;
    wire_start(&wire, WIRE_EDGE);
    wire_dial(&wire);
    wire_run(&wire, 2 * SECOND);
    assert_int_equal(wire.ends[WIRE_EDGE].ups, 1);
    assert_int_equal(wire.ends[WIRE_GATEWAY].ups, 2);
    assert_int_equal(wire.ends[WIRE_GATEWAY].downs, 1);
    assert_true(far_is_reset);
    open_stream(&wire);
    wire_run(&wire, SECOND);
    assert_int_equal(far_received, 200);
    wire_clear(&wire);
}

static void T1_close_tells_the_other_end(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 9);
    come_up(&wire);
    transport_close(wire.ends[WIRE_GATEWAY].transport, TRANSPORT_CODE_SHUTDOWN, wire.now_ns);
    wire_run(&wire, SECOND);
    assert_int_equal(near_reset_code, TRANSPORT_CODE_SHUTDOWN);
    assert_int_equal(far_reset_code, TRANSPORT_CODE_SHUTDOWN);
    assert_int_equal(wire.ends[WIRE_EDGE].downs, 1);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).state, TRANSPORT_STATE_CLOSED);
    wire_run(&wire, 20 * SECOND);
    assert_int_equal(wire.ends[WIRE_EDGE].ups, 1);
    wire_clear(&wire);
}

/* A process that makes way for another: that one is there already, and nobody waits for it. */
static void T1_after_a_shutdown_the_successor_is_dialled_at_once(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 15);
    come_up(&wire);
    wire_run(&wire, SECOND);
    transport_close(wire.ends[WIRE_GATEWAY].transport, TRANSPORT_CODE_SHUTDOWN, wire.now_ns);
    while (!wire.ends[WIRE_EDGE].downs)
        wire_step(&wire);
    wire_start(&wire, WIRE_GATEWAY);
    wire_run(&wire, SECOND / 4);
    assert_int_equal(wire.ends[WIRE_EDGE].ups, 2);
    wire_clear(&wire);
}

static void T1_closed_while_dialling_stays_closed(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 14);
    wire_dial(&wire);
    wire_step(&wire); /* INIT is out */
    transport_close(wire.ends[WIRE_EDGE].transport, TRANSPORT_CODE_SHUTDOWN, wire.now_ns);
    wire_run(&wire, 5 * SECOND);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).state, TRANSPORT_STATE_CLOSED);
    assert_int_equal(wire.ends[0].ups + wire.ends[1].ups, 0);
    transport_close(wire.ends[WIRE_EDGE].transport, TRANSPORT_CODE_SHUTDOWN, wire.now_ns);
    wire_clear(&wire);
}

static void T1_lane_follows_the_peer_to_a_new_address(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 10);
    come_up(&wire);
    wire.ends[WIRE_EDGE].address.port = 5555; /* a NAT forgot */
    say(near, 100);
    wire_run(&wire, SECOND);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).peer.port, 5555);
    say(far, 60000);
    wire_run(&wire, SECOND);
    assert_int_equal(near_received, 60000);
    assert_int_equal(far_received, 200);
    wire_clear(&wire);
}

static void T1_late_packet_does_not_move_the_lane_back(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 15);
    come_up(&wire);
    /* A packet stays in the network while the edge's address changes. */
    struct session *session = &wire.ends[WIRE_EDGE].transport->current;
    uint8_t late[PACKET_OVERHEAD_BYTES + 1] = {[PACKET_HEADER_BYTES] = FRAME_PING};
    session->send.fresh_numbers[0]--; /* of a packet that has not come */
    session_seal(session, 0, wire.ends[WIRE_EDGE].transport->primary->sent.next - 1, late, 1);
    uint64_t word = wire.ends[WIRE_GATEWAY].transport->primary->replay.words[0];
    wire.ends[WIRE_GATEWAY].transport->primary->replay.words[0] =
        word & ~(1ull << (wire.ends[WIRE_EDGE].transport->primary->sent.next - 1));
    struct transport_datagram datagram = {.from = wire.ends[WIRE_EDGE].address,
                                          .data = late,
                                          .length = sizeof late};
    wire.ends[WIRE_EDGE].address.port = 7777;
    say(near, 100);
    wire_run(&wire, SECOND);
    transport_receive(wire.ends[WIRE_GATEWAY].transport, wire.now_ns, &datagram, 1);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).packets_replayed, 0);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).peer.port, 7777);
    wire_clear(&wire);
}

/* An attacker who reads packets forwards one first, from an address of its own. */
static struct address liar;
static uint32_t lied_bytes;

static bool lie_once(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    if (from != WIRE_EDGE || !liar.family)
        return true;
    const struct transport_datagram datagram = {.from = liar, .data = packet, .length = length};
    uint8_t copy[65536];
    memcpy(copy, packet, length);
    liar.family = 0;
    lied_bytes = length;
    transport_receive(wire->ends[WIRE_GATEWAY].transport, wire->now_ns, &datagram, 1);
    return true;
}

static void T1_forwarded_packet_steals_little(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 11);
    come_up(&wire);
    liar = (struct address){.family = 4, .bytes = {203, 0, 113, 9}, .port = 9};
    wire.filter = lie_once;
    say(near, 100);
    wire_step(&wire);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).peer.port, 9);
    /* Whatever waits, no more goes there than came from there. */
    say(far, 60000);
    static uint8_t bytes[65536];
    struct transport_transmit transmit = {.data = bytes, .capacity = sizeof bytes};
    while (transport_send(wire.ends[WIRE_GATEWAY].transport, wire.now_ns, &transmit, 1))
        assert_int_equal(transmit.to.port, 9);
    assert_in_range(wire.ends[WIRE_GATEWAY].transport->primary->unproven_out, 1, lied_bytes);
    /* The owner's next packet brings the lane back. */
    say(near, 100);
    wire_run(&wire, 2 * SECOND);
    assert_int_equal(facts_of(&wire, WIRE_GATEWAY).peer.port, wire.ends[WIRE_EDGE].address.port);
    assert_int_equal(near_received, 60000);
    wire_clear(&wire);
}

/* Loses the packets whose bits are set in a mask, counting both directions together. */
static uint32_t loss_mask, packets_seen;

static bool lose_by_mask(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)wire, (void)from, (void)packet, (void)length;
    uint32_t at = packets_seen++;
    return at >= 32 || !(loss_mask >> at & 1);
}

static void T1_every_loss_of_the_first_ten_packets_is_survived(void **state)
{
    (void)state;
    for (loss_mask = 0; loss_mask < 1024; loss_mask++) {
        struct wire wire;
        begin(&wire, crypto_null(), loss_mask);
        packets_seen = 0;
        wire.filter = lose_by_mask;
        wire_dial(&wire);
        assert_true(wire_run_until(&wire, is_up, 120 * SECOND));
        open_stream(&wire);
        transport_stream_finish(near);
        wire_run(&wire, 30 * SECOND);
        assert_non_null(far);
        assert_int_equal(far_received, 100);
        transport_stream_finish(far);
        wire_run(&wire, 30 * SECOND);
        assert_null(far);
        assert_null(near);
        assert_int_equal(facts_of(&wire, 0).streams_open + facts_of(&wire, 1).streams_open, 0);
        assert_int_equal(wire.ends[0].ups, 1);
        wire_clear(&wire);
    }
}

static void T1_same_seed_gives_the_same_packets(void **state)
{
    (void)state;
    uint64_t digests[2];
    for (int run = 0; run < 2; run++) {
        struct wire wire;
        begin(&wire, crypto_openssl(), 12);
        wire.loss_ppm = 50000;
        wire.swap_ppm = 50000;
        come_up(&wire);
        say(near, 65000);
        say(far, 65000);
        wire_run(&wire, 20 * SECOND);
        digests[run] = wire.digest;
        wire_clear(&wire);
    }
    assert_true(digests[0] == digests[1]);
}

/* Flips one bit of one packet in three. */
static bool flip(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)from;
    if (random_below(&wire->random, 3) == 0)
        packet[random_below(&wire->random, length)] ^=
            (uint8_t)(1 << random_below(&wire->random, 8));
    return true;
}

static void T9_damaged_packets_change_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct wire wire;
        begin(&wire, crypto_openssl(), seed);
        wire.filter = flip;
        wire_dial(&wire);
        assert_true(wire_run_until(&wire, is_up, 60 * SECOND));
        open_stream(&wire);
        say(near, 65000);
        wire_run(&wire, 60 * SECOND);
        assert_int_equal(far_received, 65100);
        assert_true(facts_of(&wire, 1).datagrams_refused > 10);
        assert_int_equal(wire.ends[0].downs + wire.ends[1].downs, 0);
        wire_clear(&wire);
    }
}

static bool repeat_all(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    uint8_t copy[65536];
    memcpy(copy, packet, length);
    struct transport_datagram datagram = {.from = wire->ends[from].address,
                                          .data = copy,
                                          .length = length};
    uint32_t index;
    if (transport_packet_kind(span_of(packet, length), &index) == TRANSPORT_PACKET_INDEXED)
        transport_receive(wire->ends[!from].transport, wire->now_ns, &datagram, 1);
    return true;
}

static void R9_replayed_packets_are_counted_and_ignored(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 13);
    come_up(&wire);
    wire.filter = repeat_all;
    say(near, 65000);
    wire_run(&wire, 10 * SECOND);
    assert_int_equal(far_received, 65100);
    assert_true(facts_of(&wire, WIRE_GATEWAY).packets_replayed > 40);
    wire_clear(&wire);
}

/* Cookies that went over the wire. */
static bool count_cookies(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)from, (void)length;
    *(int *)wire->argument += packet_type(packet[0]) == PACKET_COOKIE;
    return true;
}

static void R9_busy_listener_asks_for_a_cookie(void **state)
{
    (void)state;
    struct wire wire;
    int cookies = 0;
    begin(&wire, crypto_openssl(), 16);
    wire.filter = count_cookies;
    wire.argument = &cookies;
    /* Others who know the gateway's public key keep it busy. */
    struct transport *edge = wire.ends[WIRE_EDGE].transport;
    for (uint32_t i = 0; i < GUARD_FREE_PER_S + 10; i++) {
        uint8_t init[HANDSHAKE_INIT_BYTES], reply_bytes[HANDSHAKE_COOKIE_BYTES];
        const struct handshake_offer offer = {.version_min = 1, .version_max = 1, .lane_count = 1};
        handshake_initiator_start(&edge->dial.initiator, wire.now_ns, 1, &offer, init);
        const struct transport_datagram datagram = {
            .from = {.family = 4, .bytes = {198, 51, (uint8_t)(i / 250), (uint8_t)i}},
            .data = init,
            .length = sizeof init};
        struct transport_transmit reply = {.data = reply_bytes, .capacity = sizeof reply_bytes};
        struct transport_hello *hello;
        struct transport_hello_facts facts;
        if (!transport_listener_hello(wire.ends[WIRE_GATEWAY].listener, &datagram, wire.now_ns,
                                      &reply, &hello, &facts))
            transport_hello_free(&hello);
    }
    wire_dial(&wire);
    wire_run(&wire, 150 * MS);
    assert_int_equal(cookies, 1);
    assert_int_equal(wire.ends[0].ups + wire.ends[1].ups, 2);
    wire_clear(&wire);
}

static void T1_stateless_close_of_a_restarted_peer_is_believed(void **state)
{
    (void)state;
    struct wire wire;
    begin(&wire, crypto_openssl(), 17);
    come_up(&wire);
    wire_start(&wire, WIRE_GATEWAY);
    uint8_t packet[PACKET_OVERHEAD_BYTES + 20] = {0}, bytes[HANDSHAKE_CLOSE_BYTES];
    const struct packet_header header = {
        .index = wire.ends[WIRE_EDGE].transport->current.result.peer_index};
    packet_header_write(&header, packet);
    struct transport_datagram datagram = {.from = wire.ends[WIRE_EDGE].address,
                                          .data = packet,
                                          .length = sizeof packet};
    struct transport_transmit reply = {.data = bytes, .capacity = sizeof bytes};
    assert_true(
        transport_listener_stray(wire.ends[WIRE_GATEWAY].listener, &datagram, wire.now_ns, &reply));
    assert_int_equal(reply.length, HANDSHAKE_CLOSE_BYTES);
    datagram = (struct transport_datagram){.from = wire.ends[WIRE_GATEWAY].address,
                                           .data = bytes,
                                           .length = reply.length};
    /* Another node's token is not believed. */
    bytes[HANDSHAKE_CLOSE_BYTES - 1] ^= 1;
    transport_receive(wire.ends[WIRE_EDGE].transport, wire.now_ns, &datagram, 1);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).state, TRANSPORT_STATE_UP);
    bytes[HANDSHAKE_CLOSE_BYTES - 1] ^= 1;
    transport_receive(wire.ends[WIRE_EDGE].transport, wire.now_ns, &datagram, 1);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).state, TRANSPORT_STATE_DIALLING);
    wire_run(&wire, 100 * MS);
    assert_int_equal(facts_of(&wire, WIRE_EDGE).state, TRANSPORT_STATE_UP);
    /* Answers are few. */
    datagram = (struct transport_datagram){.from = wire.ends[WIRE_EDGE].address,
                                           .data = packet,
                                           .length = sizeof packet};
    int answers = 0;
    for (int i = 0; i < 1000; i++)
        answers += transport_listener_stray(wire.ends[WIRE_GATEWAY].listener, &datagram,
                                            wire.now_ns, &reply);
    assert_in_range(answers, 1, 100);
    wire_clear(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T1_streams_survive_fresh_handshakes),
        cmocka_unit_test(T9_key_phases_follow_each_other),
        cmocka_unit_test(T1_link_comes_back_after_the_network_broke),
        cmocka_unit_test(T1_short_outage_costs_no_stream),
        cmocka_unit_test(T1_restarted_responder_is_found_at_once),
        cmocka_unit_test(T1_restarted_initiator_replaces_its_former_self),
        cmocka_unit_test(T1_close_tells_the_other_end),
        cmocka_unit_test(T1_after_a_shutdown_the_successor_is_dialled_at_once),
        cmocka_unit_test(T1_closed_while_dialling_stays_closed),
        cmocka_unit_test(T1_lane_follows_the_peer_to_a_new_address),
        cmocka_unit_test(T1_late_packet_does_not_move_the_lane_back),
        cmocka_unit_test(T1_forwarded_packet_steals_little),
        cmocka_unit_test(T1_every_loss_of_the_first_ten_packets_is_survived),
        cmocka_unit_test(T1_same_seed_gives_the_same_packets),
        cmocka_unit_test(T9_damaged_packets_change_nothing),
        cmocka_unit_test(R9_busy_listener_asks_for_a_cookie),
        cmocka_unit_test(T1_stateless_close_of_a_restarted_peer_is_believed),
        cmocka_unit_test(R9_replayed_packets_are_counted_and_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
