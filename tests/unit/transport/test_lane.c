/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* What the gateway does with streams in these tests: sends everything back. */
struct echo {
    struct transport_stream *client;
    uint64_t to_send, received;
    uint32_t sum_sent, sum_received;
    bool ended, done, reset;
    uint32_t code;
};

static struct echo echo;

static uint32_t mix(uint32_t sum, struct span bytes)
{
    for (size_t i = 0; i < bytes.length; i++)
        sum = sum * 31 + bytes.data[i];
    return sum;
}

static void client_write(void)
{
    while (echo.to_send && transport_stream_room(echo.client)) {
        uint8_t block[4096];
        size_t length = echo.to_send < sizeof block ? (size_t)echo.to_send : sizeof block;
        for (size_t i = 0; i < length; i++)
            block[i] = (uint8_t)((echo.to_send - i) * 7 >> 3);
        struct slice_queue bytes = {0};
        slice_queue_append(&bytes, span_of(block, length));
        echo.sum_sent = mix(echo.sum_sent, span_of(block, length));
        transport_stream_write(echo.client, &bytes);
        slice_queue_clear(&bytes);
        echo.to_send -= length;
        if (!echo.to_send)
            transport_stream_finish(echo.client);
    }
}

static void client_read(struct transport_stream *stream)
{
    struct slice_queue bytes = {0};
    transport_stream_read(stream, &bytes, UINT64_MAX, &echo.ended);
    transport_stream_consume(stream, bytes.bytes);
    echo.received += bytes.bytes;
    while (bytes.bytes) {
        struct span front = slice_queue_front(&bytes);
        echo.sum_received = mix(echo.sum_received, front);
        slice_queue_consume(&bytes, front.length);
    }
    slice_queue_clear(&bytes);
}

static void server_pass(struct transport_stream *stream)
{
    struct slice_queue bytes = {0};
    bool ended;
    transport_stream_read(stream, &bytes, UINT64_MAX, &ended);
    transport_stream_consume(stream, bytes.bytes);
    transport_stream_write(stream, &bytes);
    if (ended)
        transport_stream_finish(stream);
    slice_queue_clear(&bytes);
}

static void on_event(struct wire *wire, int end, const struct transport_event *event)
{
    (void)wire;
    switch (event->kind) {
    case TRANSPORT_EVENT_UP:
    case TRANSPORT_EVENT_DOWN:
    case TRANSPORT_EVENT_RING:
        break;
    case TRANSPORT_EVENT_OPENED:
        assert_int_equal(event->open->port, 8080);
        break;
    case TRANSPORT_EVENT_READABLE:
        if (end == WIRE_EDGE)
            client_read(event->stream);
        else
            server_pass(event->stream);
        break;
    case TRANSPORT_EVENT_WRITABLE:
        if (end == WIRE_EDGE)
            client_write();
        break;
    case TRANSPORT_EVENT_RESET:
        if (end == WIRE_EDGE) {
            echo.reset = true;
            echo.code = event->code;
            echo.client = NULL;
        }
        transport_stream_release(event->stream);
        break;
    case TRANSPORT_EVENT_DONE:
        if (end == WIRE_EDGE) {
            echo.done = true;
            echo.client = NULL;
        }
        transport_stream_release(event->stream);
        break;
    }
}

static bool is_up(struct wire *wire)
{
    return wire->ends[0].ups && wire->ends[1].ups;
}

static bool is_done(struct wire *wire)
{
    (void)wire;
    return echo.done || echo.reset;
}

static void start(struct wire *wire, uint64_t bytes)
{
    const struct transport_open open = {.port = 8080, .ring = 1};
    echo = (struct echo){.to_send = bytes};
    assert_int_equal(transport_stream_open(wire->ends[WIRE_EDGE].transport, &open, &echo.client),
                     0);
    client_write();
    if (!bytes)
        transport_stream_finish(echo.client);
}

static void T1_handshake_brings_both_ends_up(void **state)
{
    (void)state;
    struct wire wire;
    wire_init(&wire, crypto_openssl(), 1);
    wire_dial(&wire);
    uint64_t started_ns = wire.now_ns;
    assert_true(wire_run_until(&wire, is_up, SECOND));
    struct transport_facts facts;
    transport_read_facts(wire.ends[WIRE_GATEWAY].transport, &facts);
    assert_int_equal(facts.up_since_ns - started_ns, 3 * wire.delay_ns);
    wire_run(&wire, 30 * SECOND);
    assert_int_equal(wire.ends[0].ups, 1);
    assert_int_equal(wire.ends[0].downs + wire.ends[1].downs, 0);
    wire_clear(&wire);
}

static void T6_stream_is_echoed(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {0, 1, 511, 1400, 16384, 100000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct wire wire;
        wire_init(&wire, crypto_openssl(), i);
        wire.on_event = on_event;
        wire_dial(&wire);
        assert_true(wire_run_until(&wire, is_up, SECOND));
        start(&wire, sizes[i]);
        assert_true(wire_run_until(&wire, is_done, 60 * SECOND));
        assert_true(echo.done);
        assert_int_equal(echo.received, sizes[i]);
        assert_int_equal(echo.sum_received, echo.sum_sent);
        wire_run(&wire, 2 * SECOND);
        struct transport_facts facts;
        for (int end = 0; end < WIRE_ENDS; end++) {
            transport_read_facts(wire.ends[end].transport, &facts);
            assert_int_equal(facts.streams_open, 0);
            assert_int_equal(facts.packets_lost, 0);
            assert_int_equal(facts.hosted, 0);
        }
        wire_clear(&wire);
    }
}

static void T6_stream_survives_loss_and_disorder(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct wire wire;
        wire_init(&wire, crypto_openssl(), seed);
        wire.on_event = on_event;
        wire.loss_ppm = (uint32_t)(seed % 5) * 40000;
        wire.repeat_ppm = (uint32_t)(seed % 3) * 30000;
        wire.swap_ppm = (uint32_t)(seed % 4) * 50000;
        wire.damage_ppm = (uint32_t)(seed % 2) * 10000;
        wire_dial(&wire);
        assert_true(wire_run_until(&wire, is_up, 60 * SECOND));
        start(&wire, 200000);
        assert_true(wire_run_until(&wire, is_done, 600 * SECOND));
        assert_true(echo.done);
        assert_int_equal(echo.sum_received, echo.sum_sent);
        wire_run(&wire, 5 * SECOND);
        wire_clear(&wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T1_handshake_brings_both_ends_up),
        cmocka_unit_test(T6_stream_is_echoed),
        cmocka_unit_test(T6_stream_survives_loss_and_disorder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
