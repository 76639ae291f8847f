/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's interface called in any order by two callers that know no manners: streams are used before, after and instead of what
 * is sensible, on two paths that come and go, while time jumps and the network loses, repeats, swaps and damages. A model of each
 * stream is the oracle: bytes and ends are those that were written, events come in an order that makes sense and never for a
 * stream that was released. The first byte may say that bits flip before encryption: then contents prove nothing, and what is
 * tried is that nothing breaks.
 */
#include "fuzz.h"

#include "base/memory.h"
#include "transport/lane.h"
#include "wire.h"

#define must(condition) INVARIANT(condition)

enum { STREAMS_MAX = 32, OPERATIONS_MAX = 500, BYTES_MAX = 1 << 17, OPERATION_BYTES = 3 };

struct side {
    struct transport_stream *stream; /* NULL: never seen here, or released */
    uint64_t written, read, unconsumed;
    bool is_finished, is_ended, is_reset, is_done, was_seen;
};

struct model {
    struct side sides[WIRE_ENDS];
    bool is_flow;
};

static struct model models[STREAMS_MAX];
static uint32_t model_count, flips_left;
static bool is_hostile;

static uint8_t byte_at(uint32_t number, int from, uint64_t offset)
{
    return (uint8_t)((offset * 2654435761u + number * 97 + (uint64_t)from * 13) >> 7);
}

static void forget(struct side *side)
{
    transport_stream_release(side->stream);
    side->stream = NULL;
}

static void adopt(int end, const struct transport_event *event)
{
    struct model *model = &models[event->open->port % STREAMS_MAX];
    struct side *side = &model->sides[end];
    if (is_hostile && (event->open->port >= model_count || side->was_seen)) {
        transport_stream_reset(event->stream, TRANSPORT_CODE_REFUSED);
        transport_stream_release(event->stream);
        return;
    }
    must(event->open->port < model_count && !side->was_seen);
    side->was_seen = true;
    side->stream = event->stream;
    transport_stream_set_owner(event->stream, side);
}

static void on_event(struct wire *wire, int end, const struct transport_event *event)
{
    (void)wire;
    struct side *side = event->owner;
    switch (event->kind) {
    case TRANSPORT_EVENT_UP:
    case TRANSPORT_EVENT_DOWN:
        must(!event->stream);
        return;
    case TRANSPORT_EVENT_OPENED:
        must(!side);
        adopt(end, event);
        return;
    case TRANSPORT_EVENT_RING:
        must(side && side->stream == event->stream && !side->is_reset && !side->is_done);
        must(event->open && event->open->ring < TRANSPORT_RINGS);
        return;
    case TRANSPORT_EVENT_READABLE:
    case TRANSPORT_EVENT_WRITABLE:
        must(side && side->stream == event->stream && !side->is_reset && !side->is_done);
        must(event->kind != TRANSPORT_EVENT_WRITABLE || !side->is_finished);
        return;
    case TRANSPORT_EVENT_RESET:
        must(side && side->stream == event->stream && !side->is_reset && !side->is_done);
        must(is_hostile || event->code != TRANSPORT_CODE_PROTOCOL);
        side->is_reset = true;
        return; /* it may be used on, and is released some time */
    case TRANSPORT_EVENT_DONE:
        must(side && side->stream == event->stream && !side->is_reset && !side->is_done);
        must(side->is_finished && side->is_ended);
        side->is_done = true;
        return;
    }
}

static void open_one(struct wire *wire, int end, uint8_t argument)
{
    bool is_flow = argument % 8 == 7;
    const struct transport_open open = {.port = (uint16_t)model_count,
                                        .ring = argument % 6,
                                        .weight = argument,
                                        .site = argument % 3,
                                        .lifetime_ms = argument,
                                        .flags = is_flow ? TRANSPORT_OPEN_DATAGRAMS : 0};
    struct transport_stream *stream;
    if (model_count == STREAMS_MAX)
        return;
    int error = transport_stream_open(wire->ends[end].transport, &open, &stream);
    if (error) {
        must(!stream && (error == ERROR_INVALID || error == ERROR_UNREACHABLE || is_hostile));
        return;
    }
    struct model *model = &models[model_count++];
    struct side *side = &model->sides[end];
    model->is_flow = is_flow;
    side->stream = stream;
    side->was_seen = true;
    transport_stream_set_owner(stream, side);
}

static void write_some(const struct model *model, int end, uint64_t length)
{
    struct side *side = (struct side *)&model->sides[end];
    uint32_t number = (uint32_t)(model - models);
    if (side->written + length > BYTES_MAX)
        return;
    struct slice_queue bytes = {0};
    for (uint64_t i = 0; i < length; i++) {
        uint8_t byte = byte_at(number, end, side->written + i);
        slice_queue_append(&bytes, span_of(&byte, 1));
    }
    transport_stream_write(side->stream, &bytes);
    must(bytes.bytes == 0);
    slice_queue_clear(&bytes);
    if (!side->is_finished)
        side->written += length;
}

static void read_some(struct model *model, int end, uint64_t limit)
{
    struct side *side = &model->sides[end];
    uint32_t number = (uint32_t)(model - models);
    struct slice_queue bytes = {0};
    bool is_ended;
    transport_stream_read(side->stream, &bytes, limit, &is_ended);
    must(bytes.bytes <= limit);
    side->unconsumed += bytes.bytes;
    while (bytes.bytes) {
        struct span front = slice_queue_front(&bytes);
        for (size_t i = 0; i < front.length; i++)
            must(is_hostile || front.data[i] == byte_at(number, !end, side->read + i));
        side->read += front.length;
        slice_queue_consume(&bytes, front.length);
    }
    slice_queue_clear(&bytes);
    const struct side *peer = &model->sides[!end];
    must(is_hostile || side->read <= peer->written);
    must(is_hostile || !is_ended || (peer->is_finished && side->read == peer->written));
    side->is_ended |= is_ended;
}

static void send_datagram(const struct side *side, uint8_t argument)
{
    uint8_t bytes[2040];
    memset(bytes, argument, sizeof bytes);
    struct slice datagram = slice_copy(span_of(bytes, argument * 8u));
    (void)!transport_datagram_write(side->stream, &datagram, 0);
    while (transport_datagram_read(side->stream, &datagram)) {
        const uint8_t *data = slice_data(&datagram);
        for (uint32_t i = 1; i < datagram.length; i++)
            must(is_hostile || data[i] == data[0]);
        slice_release(&datagram);
    }
}

static void use_stream(struct model *model, int end, uint8_t code, uint8_t argument)
{
    struct side *side = &model->sides[end];
    switch (code % 10) {
    case 0:
    case 1:
        write_some(model, end, argument * (code & 64 ? 100u : 3u));
        return;
    case 2:
    case 3:
        read_some(model, end, argument * (code & 64 ? 1000u : 7u));
        return;
    case 4: {
        uint64_t bytes = side->unconsumed * argument / 255;
        transport_stream_consume(side->stream, bytes);
        side->unconsumed -= bytes;
        return;
    }
    case 5:
        transport_stream_finish(side->stream);
        side->is_finished = true;
        must(transport_stream_room(side->stream) == 0);
        return;
    case 6:
        transport_stream_set_ring(side->stream, argument % 7, (uint8_t)(argument * 3));
        return;
    case 7:
        if (argument & 3)
            return; /* rarely: it ends the stream */
        transport_stream_reset(side->stream, argument);
        side->is_reset = true;
        must(transport_stream_room(side->stream) == 0);
        return;
    case 8:
        if (!(argument & 3))
            forget(side);
        return;
    case 9:
        send_datagram(side, argument);
        return;
    }
}

static void set_routes(struct wire *wire, uint32_t mask)
{
    struct transport_route routes[2];
    size_t count = 0;
    const struct wire_end *gateway = &wire->ends[WIRE_GATEWAY];
    if (mask & 1)
        routes[count++] = (struct transport_route){.to = gateway->address};
    if (mask & 2)
        routes[count++] = (struct transport_route){.to = gateway->more[0],
                                                   .local = 1,
                                                   .is_standby = (mask & 4) != 0};
    transport_set_routes(wire->ends[WIRE_EDGE].transport, routes, count, wire->now_ns);
}

static void use_lane(struct wire *wire, int end, uint8_t code, uint8_t argument)
{
    struct transport *transport = wire->ends[end].transport;
    switch (code % 11) {
    case 0:
    case 1:
        open_one(wire, end, argument);
        return;
    case 2:
    case 3:
        wire_run(wire, (uint64_t)argument * MS);
        return;
    case 4: /* nobody runs, for up to a minute */
        wire->now_ns += (uint64_t)argument * (code & 64 ? 250 : 1) * MS;
        return;
    case 5:
        wire->loss_ppm = argument * 1500u;
        wire->repeat_ppm = argument * 500u;
        return;
    case 6:
        wire->swap_ppm = argument * 2000u;
        wire->delay_ns = (1 + (uint64_t)argument) * MS / 2;
        return;
    case 7:
        *(argument & 1 ? &wire->ends[end].more[0].port : &wire->ends[end].address.port) =
            (uint16_t)(4000 + argument);
        return;
    case 8:
        set_routes(wire, argument);
        return;
    case 9:
        if (argument == 0xff) {
            transport_close(transport, argument, wire->now_ns);
        } else if (argument & 1) {
            wire_dial(wire);
        } else {
            transport_set_packet_bytes(transport, (uint16_t)(1200 + argument * 2));
        }
        return;
    case 10:
        flips_left = argument % 8;
        return;
    }
}

static bool flip(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)from;
    if (is_hostile && flips_left && packet[0] >> 4 == PACKET_DATA &&
        length > PACKET_OVERHEAD_BYTES) {
        flips_left--;
        uint64_t at = random_below(&wire->random, length - PACKET_OVERHEAD_BYTES);
        packet[PACKET_HEADER_BYTES + at] ^= (uint8_t)(1u << random_below(&wire->random, 8));
    }
    return true;
}

/* Whoever still holds a stream reads it, ends it and lets it go when it is over. */
static bool wind_up(struct wire *wire)
{
    bool is_over = true;
    for (uint32_t i = 0; i < model_count; i++)
        for (int end = 0; end < WIRE_ENDS; end++) {
            struct side *side = &models[i].sides[end];
            if (!side->stream)
                continue;
            is_over = false;
            if (models[i].is_flow || side->is_reset || side->is_done) {
                forget(side);
                continue;
            }
            read_some(&models[i], end, UINT64_MAX);
            use_stream(&models[i], end, 4, 255);
            use_stream(&models[i], end, 5, 0);
        }
    wire_run(wire, 200 * MS);
    for (int end = 0; end < WIRE_ENDS; end++) {
        struct transport_facts facts;
        transport_read_facts(wire->ends[end].transport, &facts);
        is_over &= facts.streams_open == 0 && wire->ends[end].transport->credit.given == 0;
    }
    return is_over;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire wire;
    wire_init(&wire, crypto_null(), 1);
    wire.on_event = on_event;
    wire.filter = flip;
    memset(models, 0, sizeof models);
    model_count = flips_left = 0;
    is_hostile = size && data[0] & 1;
    wire_dial(&wire);
    set_routes(&wire, 3);
    wire_run(&wire, 100 * MS);
    for (size_t i = 1, count = 0; i + 2 < size && count < OPERATIONS_MAX;
         i += OPERATION_BYTES, count++) {
        uint8_t code = data[i], which = data[i + 1], argument = data[i + 2];
        int end = which & 1;
        struct model *model = model_count ? &models[(which >> 1) % model_count] : NULL;
        if (code & 128 && model && model->sides[end].stream)
            use_stream(model, end, code & 127, argument);
        else
            use_lane(&wire, end, code & 127, argument);
    }
    flips_left = wire.loss_ppm = wire.swap_ppm = wire.repeat_ppm = 0;
    for (int rounds = 0; !wind_up(&wire) && !is_hostile;)
        must(rounds++ < 900); /* three minutes */
    wire_clear(&wire);
    return 0;
}
