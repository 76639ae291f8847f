/* SPDX-License-Identifier: Apache-2.0
 *
 * A nonce is made of path id and packet number. None comes twice while keys, paths and addresses change,
 * since the numbers of a path only grow as long as the connection lives, whatever the keys are.
 */
#include "base/bytes.h"
#include "wire.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

enum { DATA = 1, PATHS = 256 };

static struct {
    uint64_t next[WIRE_ENDS][PATHS]; /* one more than the last number of the path */
    uint64_t packets, phases[4];
    uint32_t paths;
} seen;

static bool note(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)wire, (void)length;
    if (packet[0] >> 4 != DATA)
        return true;
    uint8_t path = packet[1];
    uint64_t number = (uint64_t)load_u16(packet + 2) << 32 | load_u32(packet + 4);
    assert_true(number >= seen.next[from][path]);
    seen.paths += !seen.next[from][path];
    seen.next[from][path] = number + 1;
    seen.phases[packet[0] >> 2 & 3]++;
    seen.packets++;
    return true;
}

static void on_event(struct wire *wire, int end, const struct transport_event *event)
{
    (void)wire, (void)end;
    struct slice_queue bytes = {0};
    bool ended;
    if (event->kind != TRANSPORT_EVENT_READABLE)
        return;
    transport_stream_read(event->stream, &bytes, UINT64_MAX, &ended);
    transport_stream_consume(event->stream, bytes.bytes);
    slice_queue_clear(&bytes);
}

static void T9_no_nonce_comes_twice(void **state)
{
    (void)state;
    struct wire wire;
    memset(&seen, 0, sizeof seen);
    wire_init(&wire, crypto_openssl(), 77);
    for (int end = 0; end < WIRE_ENDS; end++) {
        wire.ends[end].config.handshake_every_ns = 300 * SECOND;
        wire_start(&wire, end);
    }
    wire.filter = note;
    wire.on_event = on_event;
    wire.ways = WIRE_WAYS;
    wire.loss_ppm = 20000;
    wire_dial(&wire);
    wire_run(&wire, SECOND);
    struct transport_stream *stream;
    const struct transport_open open = {.port = 443};
    assert_int_equal(transport_stream_open(wire.ends[WIRE_EDGE].transport, &open, &stream), 0);
    for (uint32_t step = 0; step < 140; step++) {
        struct slice_queue bytes = {0};
        uint8_t piece[4000] = {0};
        slice_queue_append(&bytes, span_of(piece, sizeof piece));
        transport_stream_write(stream, &bytes);
        wire.is_cut[step % WIRE_WAYS] = step % 5 == 0;
        wire.is_cut[(step + 1) % WIRE_WAYS] = false;
        if (step % 7 == 3) /* one comes, another goes: ids are used up */
            wire_route(&wire, step, 1 + step % WIRE_WAYS);
        if (step % 11 == 5)
            wire.ends[WIRE_EDGE].address.port++;
        wire_run(&wire, 5 * SECOND);
    }
    assert_int_equal(wire.ends[WIRE_EDGE].downs + wire.ends[WIRE_GATEWAY].downs, 0);
    for (int phase = 0; phase < 2; phase++)
        assert_true(seen.phases[phase] > 100);
    print_message("  %llu packets on %u paths of both ends\n", (unsigned long long)seen.packets,
                  seen.paths);
    assert_true(seen.paths > 10 && seen.packets > 1000);
    wire_clear(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(T9_no_nonce_comes_twice)};
    return cmocka_run_group_tests_name("transport/nonces", tests, NULL, NULL);
}
