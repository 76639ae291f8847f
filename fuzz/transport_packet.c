/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames from a peer gone mad: the input is cut into packets, sealed under a running session (null
 * table) and given to a lane that has streams of both ends open. It may end the session; it may not
 * crash, leak, or send without end.
 *
 *     input: { flags, length (2 bytes), frames }*
 *     flags: 1 reads and consumes, 2 lets time pass, 4 repeats the packet number
 */
#include "fuzz.h"

#include "transport/lane.h"
#include "wire.h"

enum { PACKETS_MAX = 64, SENDS_MAX = 2000, OWN_STREAMS = 3 };

static void must(bool condition)
{
    INVARIANT(condition);
}

static void open_some(struct transport *transport)
{
    for (int i = 0; i < OWN_STREAMS; i++) {
        const struct transport_open open = {.port = 80, .ring = (uint8_t)i};
        struct transport_stream *stream;
        struct slice_queue bytes = {0};
        must(transport_stream_open(transport, &open, &stream) == 0);
        slice_queue_append(&bytes, SPAN("some bytes that wait for credit and acknowledgement"));
        transport_stream_write(stream, &bytes);
        slice_queue_clear(&bytes);
    }
}

static void read_events(struct transport *transport, bool reads)
{
    struct transport_event event;
    while (transport_next_event(transport, &event)) {
        struct slice_queue bytes = {0};
        bool ended;
        switch (event.kind) {
        case TRANSPORT_EVENT_READABLE:
            if (!reads)
                break;
            transport_stream_read(event.stream, &bytes, UINT64_MAX, &ended);
            transport_stream_consume(event.stream, bytes.bytes);
            slice_queue_clear(&bytes);
            if (ended)
                transport_stream_finish(event.stream);
            break;
        case TRANSPORT_EVENT_RESET:
        case TRANSPORT_EVENT_DONE:
            transport_stream_release(event.stream);
            break;
        case TRANSPORT_EVENT_UP:
        case TRANSPORT_EVENT_DOWN:
        case TRANSPORT_EVENT_OPENED:
        case TRANSPORT_EVENT_RING:
        case TRANSPORT_EVENT_WRITABLE:
            break;
        }
    }
}

static void send_all(struct transport *transport, uint64_t now_ns)
{
    static uint8_t bytes[65536];
    int sends = 0;
    struct transport_transmit transmit = {.data = bytes, .capacity = sizeof bytes};
    while (transport_send(transport, now_ns, &transmit, 1))
        must(sends++ < SENDS_MAX);
}

static void feed(struct wire *wire, struct span frames, uint64_t number)
{
    static uint8_t packet[65536];
    struct session *session = &wire->ends[WIRE_EDGE].transport->current;
    memcpy(packet + PACKET_HEADER_BYTES, frames.data, frames.length);
    uint64_t fresh = session->send.fresh_numbers[0];
    session->send.fresh_numbers[0] = 0; /* a peer need not be honest */
    session_seal(session, 0, number, packet, (uint32_t)frames.length);
    session->send.fresh_numbers[0] = fresh;
    const struct transport_datagram datagram = {.from = wire->ends[WIRE_EDGE].address,
                                                .data = packet,
                                                .length = (uint32_t)frames.length +
                                                          PACKET_OVERHEAD_BYTES};
    transport_receive(wire->ends[WIRE_GATEWAY].transport, wire->now_ns, &datagram, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire wire;
    wire_init(&wire, crypto_null(), 1);
    wire_dial(&wire);
    wire_run(&wire, 100 * MS);
    struct transport *victim = wire.ends[WIRE_GATEWAY].transport;
    must(victim->state == TRANSPORT_STATE_UP);
    open_some(victim);
    send_all(victim, wire.now_ns);
    struct reader reader = reader_of(span_of(data, size));
    uint64_t number = 1000;
    for (int i = 0; i < PACKETS_MAX && reader_left(&reader); i++) {
        uint8_t flags = read_u8(&reader);
        uint32_t length = read_u16(&reader);
        struct span frames =
            read_span(&reader, length < reader_left(&reader) ? length : reader_left(&reader));
        if (!(flags & 4))
            number += 1 + (flags >> 4);
        feed(&wire, frames, number);
        if (flags & 2)
            wire.now_ns += 30 * MS;
        read_events(victim, flags & 1);
        send_all(victim, wire.now_ns);
    }
    wire_clear(&wire);
    return 0;
}
