/* SPDX-License-Identifier: Apache-2.0
 *
 * No packet allocates, on either side: the allocator counts while two lanes that have warmed up carry many streams' bytes, in
 * whole packets and in mixed ones, with real encryption.
 */
#include "base/memory.h"
#include "transport/lane.h"
#include "wire.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>

static uint64_t allocations;
static bool is_counting;

/* A sanitizer has an allocator of its own, which leaves nothing to count. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
enum { CAN_COUNT = 0 };
#else
enum { CAN_COUNT = 1 };
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
    allocations += is_counting;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    allocations += is_counting;
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    allocations += is_counting;
    return __libc_realloc(old, size);
}
#endif

enum { STREAMS = 100, BLOCK = 4096, ROUNDS = 4000, WARM_ROUNDS = 2000 };

static struct wire wire;
static struct slice block;
static struct slice_queue bytes; /* keeps its table */
static uint64_t delivered, packets;
static uint32_t piece_bytes;

static void fill(struct transport_stream *stream)
{
    while (transport_stream_room(stream)) {
        slice_queue_push(&bytes, (struct slice){slice_retain(block).chunk, 0, piece_bytes});
        transport_stream_write(stream, &bytes);
        if (piece_bytes < BLOCK)
            break; /* little by little, so that packets are mixed */
    }
}

static void tell(int end)
{
    struct transport_event event;
    while (transport_next_event(wire.ends[end].transport, &event)) {
        if (event.kind == TRANSPORT_EVENT_READABLE) {
            bool ended;
            transport_stream_read(event.stream, &bytes, UINT64_MAX, &ended);
            delivered += bytes.bytes;
            transport_stream_consume(event.stream, bytes.bytes);
            slice_queue_consume(&bytes, bytes.bytes);
        } else if (event.kind == TRANSPORT_EVENT_WRITABLE && piece_bytes == BLOCK) {
            fill(event.stream);
        }
    }
}

static void carry(int from)
{
    static uint8_t datagram[65536];
    struct transport_transmit transmit = {.data = datagram, .capacity = sizeof datagram};
    while (transport_send(wire.ends[from].transport, wire.now_ns, &transmit, 1)) {
        const struct transport_datagram arrived = {.from = wire.ends[from].address,
                                                   .data = transmit.data,
                                                   .length = transmit.length,
                                                   .segment_bytes = transmit.segment_bytes};
        packets += (transmit.length + transmit.segment_bytes - 1) / transmit.segment_bytes;
        transport_receive(wire.ends[!from].transport, wire.now_ns, &arrived, 1);
        tell(!from);
        tell(from);
    }
}

static void run(struct transport_stream **streams, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        wire.now_ns += MS / 4;
        if (piece_bytes < BLOCK)
            for (int s = 0; s < STREAMS; s++)
                fill(streams[s]);
        carry(WIRE_EDGE);
        carry(WIRE_GATEWAY);
    }
}

static void count(uint32_t piece)
{
    if (!CAN_COUNT)
        skip(); /* a sanitizer, or another compiler, has its own allocator calls */
    struct transport_stream *streams[STREAMS];
    const struct transport_open open = {.port = 80, .ring = 2};
    static const uint8_t zero[BLOCK];
    wire_init(&wire, crypto_openssl(), 1);
    wire_dial(&wire);
    wire_run(&wire, SECOND);
    block = slice_copy(span_of(zero, sizeof zero));
    piece_bytes = piece;
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(transport_stream_open(wire.ends[WIRE_EDGE].transport, &open, &streams[i]),
                         0);
        fill(streams[i]);
    }
    run(streams, WARM_ROUNDS);
    delivered = packets = allocations = 0;
    is_counting = true;
    run(streams, ROUNDS);
    is_counting = false;
    print_message("%llu packets, %llu bytes, %llu allocations\n", (unsigned long long)packets,
                  (unsigned long long)delivered, (unsigned long long)allocations);
    assert_true(packets > ROUNDS);
    assert_int_equal(allocations, 0);
    slice_release(&block);
    slice_queue_clear(&bytes);
    wire_clear(&wire);
}

static void whole_packets_allocate_nothing(void **state)
{
    (void)state;
    count(BLOCK);
}

static void mixed_packets_allocate_nothing(void **state)
{
    (void)state;
    count(100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_packets_allocate_nothing),
        cmocka_unit_test(mixed_packets_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
