/* SPDX-License-Identifier: Apache-2.0
 *
 * Two live lanes and a network between them, driven by the input: each pair of bytes is an
 * operation of a caller or a misdeed of the network. Every byte of a stream follows from the stream
 * and its offset, so what arrives is checked at once. At the end the network heals: then every
 * stream must end as its callers asked, and both lanes must be empty.
 */
#include "fuzz.h"

#include "base/memory.h"
#include "transport/lane.h"
#include "wire.h"

enum { MODELS_MAX = 24, OPERATIONS_MAX = 400, STREAM_BYTES_MAX = 1 << 18, DATAGRAMS_MAX = 512 };

/* One end's view of a stream. */
struct half {
    struct transport_stream *stream;
    uint64_t written, read, unconsumed; /* a flow's: datagrams */
    bool finished, ended, over;
};

struct model {
    struct half half[WIRE_ENDS];
    uint64_t key;
    bool is_flow;
    uint64_t arrived[WIRE_ENDS][DATAGRAMS_MAX / 64]; /* bits: each datagram comes at most once */
};

static struct model models[MODELS_MAX];
static uint32_t model_count;
static uint8_t misdeed; /* for the packets to come */
static uint32_t misdeeds_left;

static void must(bool condition)
{
    INVARIANT(condition);
}

static uint8_t byte_at(const struct model *model, int from, uint64_t offset)
{
    return (uint8_t)((offset * 2654435761u + model->key * 97 + (uint64_t)from * 13) >> 7);
}

static struct model *model_of(void *owner)
{
    return owner ? &models[(uintptr_t)owner - 1] : NULL;
}

static void open_model(struct wire *wire, int end, uint8_t ring)
{
    if (model_count == MODELS_MAX)
        return;
    struct model *model = &models[model_count];
    bool is_flow = ring % 8 > 4;
    const struct transport_open open = {.port = (uint16_t)(model_count + 1),
                                        .ring = ring % 5,
                                        .site = ring % 3,
                                        .flags = is_flow ? TRANSPORT_OPEN_DATAGRAMS : 0,
                                        .lifetime_ms = is_flow ? ring * 20 : 0};
    struct transport_stream *stream;
    if (transport_stream_open(wire->ends[end].transport, &open, &stream))
        return;
    *model = (struct model){.key = model_count, .is_flow = is_flow};
    model->half[end].stream = stream;
    transport_stream_set_owner(stream, (void *)(uintptr_t)(++model_count));
}

/* Its number, then bytes that follow from it. */
static void write_datagram(struct wire *wire, struct model *model, int end, uint64_t length)
{
    struct half *half = &model->half[end];
    uint8_t bytes[2048];
    if (!half->stream || half->written == DATAGRAMS_MAX)
        return;
    length = 2 + length % (sizeof bytes - 2);
    store_u16(bytes, (uint16_t)half->written);
    for (uint64_t i = 2; i < length; i++)
        bytes[i] = byte_at(model, end, half->written + i);
    struct slice datagram = slice_copy(span_of(bytes, length));
    int result = transport_datagram_write(half->stream, &datagram, wire->now_ns);
    /* Closed: reset, and not told yet. */
    must(!result || result == ERROR_LIMIT || result == ERROR_CLOSED);
    half->written++;
}

static void read_datagrams(struct model *model, int end)
{
    struct half *half = &model->half[end];
    struct slice datagram;
    while (half->stream && transport_datagram_read(half->stream, &datagram)) {
        const uint8_t *data = slice_data(&datagram);
        must(datagram.length >= 2);
        uint64_t number = (uint64_t)data[0] << 8 | data[1];
        must(number < model->half[!end].written);
        must(!(model->arrived[end][number / 64] >> number % 64 & 1));
        model->arrived[end][number / 64] |= 1ull << number % 64;
        for (uint32_t i = 2; i < datagram.length; i++)
            must(data[i] == byte_at(model, !end, number + i));
        slice_release(&datagram);
    }
}

static void write_model(struct model *model, int end, uint64_t length)
{
    struct half *half = &model->half[end];
    if (!half->stream || half->finished || half->written + length > STREAM_BYTES_MAX)
        return;
    struct slice_queue bytes = {0};
    for (uint64_t i = 0; i < length; i++) {
        uint8_t byte = byte_at(model, end, half->written + i);
        slice_queue_append(&bytes, span_of(&byte, 1));
    }
    transport_stream_write(half->stream, &bytes);
    slice_queue_clear(&bytes);
    half->written += length;
}

static void read_model(struct model *model, int end, uint64_t limit, uint64_t keep)
{
    struct half *half = &model->half[end];
    if (!half->stream)
        return;
    struct slice_queue bytes = {0};
    bool ended;
    transport_stream_read(half->stream, &bytes, limit, &ended);
    must(bytes.bytes <= limit);
    half->unconsumed += bytes.bytes;
    while (bytes.bytes) {
        struct span front = slice_queue_front(&bytes);
        for (size_t i = 0; i < front.length; i++)
            must(front.data[i] == byte_at(model, !end, half->read + i));
        half->read += front.length;
        slice_queue_consume(&bytes, front.length);
    }
    slice_queue_clear(&bytes);
    must(half->read <= model->half[!end].written);
    half->ended |= ended;
    if (half->unconsumed > keep) {
        transport_stream_consume(half->stream, half->unconsumed - keep);
        half->unconsumed = keep;
    }
}

static void over(struct model *model, int end)
{
    transport_stream_release(model->half[end].stream);
    model->half[end].stream = NULL;
    model->half[end].over = true;
}

static void on_event(struct wire *wire, int end, const struct transport_event *event)
{
    (void)wire;
    struct model *model = model_of(event->owner);
    switch (event->kind) {
    case TRANSPORT_EVENT_OPENED:
        model = &models[event->open->port - 1];
        must(event->open->port <= model_count && !model->half[end].stream);
        model->half[end].stream = event->stream;
        transport_stream_set_owner(event->stream, (void *)(uintptr_t)event->open->port);
        break;
    case TRANSPORT_EVENT_RESET:
        must(event->code != TRANSPORT_CODE_PROTOCOL && event->code != TRANSPORT_CODE_INTERNAL);
        over(model, end);
        break;
    case TRANSPORT_EVENT_DONE:
        must(model->half[end].finished && model->half[end].ended);
        must(model->half[end].read == model->half[!end].written);
        over(model, end);
        break;
    case TRANSPORT_EVENT_RING:
    case TRANSPORT_EVENT_READABLE:
    case TRANSPORT_EVENT_WRITABLE:
    case TRANSPORT_EVENT_UP:
    case TRANSPORT_EVENT_DOWN:
        break;
    }
}

static bool misbehave(struct wire *wire, int from, uint8_t *packet, uint32_t length)
{
    (void)wire, (void)from;
    if (!misdeeds_left)
        return true;
    misdeeds_left--;
    if (misdeed & 1)
        return false;
    if (misdeed & 2) /* the tag: the null table tells */
        packet[length - 1] ^= 1;
    return true;
}

/* The end's process ends; another may take its place. */
static void leave(struct wire *wire, int end, bool comes_back)
{
    if (!comes_back) {
        transport_close(wire->ends[end].transport, TRANSPORT_CODE_SHUTDOWN, wire->now_ns);
        return;
    }
    for (uint32_t i = 0; i < model_count; i++)
        models[i].half[end].stream = NULL;
    wire_start(wire, end);
    if (end == WIRE_EDGE)
        wire_dial(wire);
}

/* Addresses move, ways are cut and mended, routes come and go. */
static void change_ways(struct wire *wire, int end, uint8_t argument)
{
    uint32_t way = (argument >> 1) % WIRE_WAYS;
    switch (argument >> 5) {
    case 4:
        wire->is_cut[way] = true;
        return;
    case 5:
        wire->is_cut[way] = false;
        return;
    case 6:
        if (end == WIRE_EDGE)
            wire->ends[end].more[way % (WIRE_WAYS - 1)].port ^= argument;
        return;
    case 7:
        wire_route(wire, way, 1 + (argument >> 3) % WIRE_WAYS);
        return;
    default: /* 0 to 3 */
        wire->ends[end].address.port = (uint16_t)(4000 + argument);
    }
}

static void operate(struct wire *wire, uint8_t code, uint8_t argument)
{
    int end = argument & 1;
    struct model *model = model_count ? &models[(argument >> 1) % model_count] : NULL;
    switch (code % 16) {
    case 0:
        open_model(wire, end, argument >> 1);
        return;
    case 1:
        wire_run(wire, (uint64_t)argument * MS);
        return;
    case 2:
        wire_run(wire, (uint64_t)argument * 50 * MS);
        return;
    case 3:
        misdeed = 1;
        misdeeds_left = argument % 32;
        return;
    case 4:
        misdeed = 2;
        misdeeds_left = argument % 32;
        return;
    case 5:
        wire->loss_ppm = argument * 1500u;
        return;
    case 6:
        wire->swap_ppm = argument * 2000u;
        wire->repeat_ppm = argument * 1000u;
        return;
    case 7:
        change_ways(wire, end, argument);
        return;
    case 8:
        wire->delay_ns = (1 + (uint64_t)argument) * MS;
        return;
    case 9:
        if (argument >= 0xe0) {
            leave(wire, end, argument < 0xfc);
            return;
        }
        transport_set_packet_bytes(wire->ends[end].transport, (uint16_t)(1200 + argument * 4));
        return;
    }
    if (!model || !model->half[end].stream)
        return;
    struct half *half = &model->half[end];
    if (model->is_flow && code % 16 < 14) {
        if (code % 16 == 12)
            read_datagrams(model, end);
        else
            write_datagram(wire, model, end, (uint64_t)(code >> 4) * (code % 16 == 10 ? 37 : 100));
        return;
    }
    switch (code % 16) {
    case 10:
        write_model(model, end, 1 + (uint64_t)(code >> 4) * 37);
        return;
    case 11:
        write_model(model, end, (uint64_t)(code >> 4) * 3000);
        return;
    case 12:
        read_model(model, end, 1 + (uint64_t)(code >> 4) * 500, (uint64_t)(code >> 6) * 1000);
        return;
    case 13:
        transport_stream_finish(half->stream);
        half->finished = true;
        return;
    case 14:
        transport_stream_set_ring(half->stream, (code >> 4) % 5, 1 + argument);
        return;
    case 15:
        if (code >> 4 > 3)
            return;
        if (code >> 4 & 1)
            transport_stream_reset(half->stream, TRANSPORT_CODE_REFUSED);
        over(model, end);
        return;
    }
}

/* Everyone reads all, ends all and releases all. */
static bool wind_up(struct wire *wire)
{
    bool all_over = true;
    for (uint32_t i = 0; i < model_count; i++)
        for (int end = 0; end < WIRE_ENDS; end++) {
            struct half *half = &models[i].half[end];
            if (!half->stream)
                continue;
            all_over = false;
            if (models[i].is_flow) {
                read_datagrams(&models[i], end);
                over(&models[i], end);
                continue;
            }
            read_model(&models[i], end, UINT64_MAX, 0);
            if (!half->finished)
                transport_stream_finish(half->stream);
            half->finished = true;
        }
    wire_run(wire, 200 * MS);
    for (int end = 0; end < WIRE_ENDS; end++) {
        struct transport_facts facts;
        transport_read_facts(wire->ends[end].transport, &facts);
        all_over &= facts.streams_open == 0 && wire->ends[end].transport->credit.given == 0;
    }
    return all_over;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire wire;
    wire_init(&wire, crypto_null(), 1);
    wire.on_event = on_event;
    wire.filter = misbehave;
    wire.ways = WIRE_WAYS;
    memset(models, 0, sizeof models);
    model_count = misdeeds_left = 0;
    wire_dial(&wire);
    wire_run(&wire, 100 * MS);
    for (size_t i = 0; i + 1 < size && i / 2 < OPERATIONS_MAX; i += 2)
        operate(&wire, data[i], data[i + 1]);
    memset(wire.is_cut, 0, sizeof wire.is_cut);
    wire_route(&wire, 0, WIRE_WAYS);
    misdeeds_left = wire.loss_ppm = wire.swap_ppm = wire.repeat_ppm = 0;
    int rounds = 0;
    while (!wind_up(&wire))
        must(rounds++ < 600); /* two minutes */
    wire_clear(&wire);
    return 0;
}
