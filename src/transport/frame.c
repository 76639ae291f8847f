/* SPDX-License-Identifier: Apache-2.0
 *
 * The frames' codec.
 */
#include "transport/frame.h"

#include "transport/packet.h"

static int read_ack(struct reader *reader, struct frame_ack *ack)
{
    struct frame_ack_head *head = &ack->head;
    uint64_t path = read_varint(reader);
    uint64_t largest = read_varint(reader);
    head->delay_us = read_varint(reader);
    head->arrival_us = read_u32(reader);
    head->ecn.ect_0 = read_varint(reader);
    head->ecn.ect_1 = read_varint(reader);
    head->ecn.ce = read_varint(reader);
    uint64_t count = read_varint(reader);
    uint64_t first = read_varint(reader); /* numbers below the largest in the first range */
    if (reader->failed || path > UINT8_MAX || count < 1 || count > FRAME_ACK_RANGES_MAX ||
        largest > PACKET_NUMBER_MAX || first > largest)
        return ERROR_INVALID;
    head->path = (uint8_t)path;
    ack->count = (uint32_t)count;
    uint64_t start = largest - first;
    ack->ranges[0] = (struct range){start, largest + 1};
    for (uint32_t i = 1; i < ack->count; i++) {
        uint64_t gap = read_varint(reader) + 1; /* numbers not received in between */
        uint64_t length = read_varint(reader) + 1;
        if (reader->failed || gap > start || length > start - gap)
            return ERROR_INVALID;
        uint64_t end = start - gap;
        start = end - length;
        ack->ranges[i] = (struct range){start, end};
    }
    return 0;
}

static int read_open(struct reader *reader, struct frame_open *frame)
{
    frame->id = read_varint(reader);
    struct transport_open *open = &frame->open;
    *open = (struct transport_open){0};
    open->port = read_u16(reader);
    open->site = read_u16(reader);
    open->flags = read_u8(reader);
    open->ring = read_u8(reader);
    open->weight = read_u8(reader);
    open->client.family = read_u8(reader);
    if (reader->failed || open->ring >= TRANSPORT_RINGS || !open->weight ||
        open->flags & ~TRANSPORT_OPEN_FLAGS)
        return ERROR_INVALID;
    if (open->flags & TRANSPORT_OPEN_DATAGRAMS)
        open->lifetime_ms = read_u16(reader);
    size_t length = open->client.family == 4 ? 4 : 16;
    switch (open->client.family) {
    case 0:
        return 0;
    case 4:
    case 6:
        open->client.port = read_u16(reader);
        struct span bytes = read_span(reader, length);
        if (reader->failed)
            return ERROR_INVALID;
        memcpy(open->client.bytes, bytes.data, length);
        return 0;
    default:
        return ERROR_INVALID;
    }
}

static int read_stream(struct reader *reader, uint8_t flags, struct frame_stream *stream)
{
    stream->id = read_varint(reader);
    stream->offset = flags & FRAME_STREAM_OFF ? read_varint(reader) : 0;
    uint64_t length = flags & FRAME_STREAM_LEN ? read_varint(reader) : reader_left(reader);
    stream->fin = flags & FRAME_STREAM_FIN;
    if (reader->failed || length > reader_left(reader) ||
        length > FRAME_STREAM_END_MAX - stream->offset)
        return ERROR_INVALID;
    stream->data = read_span(reader, (size_t)length);
    return 0;
}

static int read_datagram(struct reader *reader, bool has_length, struct frame *frame)
{
    frame->type = FRAME_DATAGRAM;
    frame->datagram.id = read_varint(reader);
    uint64_t length = has_length ? read_varint(reader) : reader_left(reader);
    if (reader->failed || length > reader_left(reader))
        return ERROR_INVALID;
    frame->datagram.data = read_span(reader, (size_t)length);
    return 0;
}

/* The members of LINK_QUALITY that are no more than 30 bits long, in order. */
enum { QUALITY_SMALL = 11, QUALITY_SMALL_MAX = (1 << 30) - 1 };

static void quality_members(struct transport_quality *quality, uint32_t *members[QUALITY_SMALL])
{
    uint32_t *all[QUALITY_SMALL] = {
        &quality->loss_ppm_1s, &quality->loss_ppm_10s,    &quality->ce_ppm_10s, &quality->srtt_us,
        &quality->min_rtt_us,  &quality->rtt_variance_us, &quality->queue_us,   &quality->hosted,
        &quality->spurious,    &quality->reconnects,      &quality->ecn_state,
    };
    memcpy(members, all, sizeof all);
}

static int read_quality(struct reader *reader, struct frame_quality *frame)
{
    struct transport_quality *quality = &frame->quality;
    uint32_t *members[QUALITY_SMALL];
    quality_members(quality, members);
    uint64_t path = read_varint(reader);
    bool is_good = path <= UINT8_MAX;
    for (int i = 0; i < QUALITY_SMALL; i++) {
        uint64_t value = read_varint(reader);
        is_good &= value <= QUALITY_SMALL_MAX;
        *members[i] = (uint32_t)value;
    }
    uint64_t trend = read_varint(reader); /* sign in the lowest bit */
    is_good &= trend <= QUALITY_SMALL_MAX;
    quality->delay_trend_us_per_s = (int32_t)(trend >> 1) * (trend & 1 ? -1 : 1);
    quality->delivery_bytes_per_s = read_varint(reader);
    quality->spare_window_bytes = read_varint(reader);
    frame->path = (uint8_t)path;
    return is_good ? 0 : ERROR_INVALID;
}

static int read_path(struct reader *reader, uint8_t *path)
{
    uint64_t id = read_varint(reader);
    *path = (uint8_t)id;
    return id <= UINT8_MAX ? 0 : ERROR_INVALID;
}

static int read_ack_freq(struct reader *reader, struct frame_ack_freq *frame)
{
    struct ack_asking *asking = &frame->asking;
    int error = read_path(reader, &frame->path);
    asking->sequence = read_varint(reader);
    uint64_t packets = read_varint(reader), delay_us = read_varint(reader);
    if (error || !asking->sequence || !packets || packets > UINT32_MAX || delay_us > UINT32_MAX)
        return ERROR_INVALID;
    asking->packets = (uint32_t)packets;
    asking->delay_us = (uint32_t)delay_us;
    return 0;
}

static int read_path_change(struct reader *reader, uint8_t type, struct frame_path *change)
{
    *change = (struct frame_path){.path = read_u8(reader)};
    if (type == FRAME_PATH_ABANDON)
        return 0;
    change->sequence = type == FRAME_PATH_STATUS ? read_varint(reader) : 0;
    change->use = read_u8(reader);
    return change->use == FRAME_PATH_USE_ACTIVE || change->use == FRAME_PATH_USE_STANDBY
               ? 0
               : ERROR_INVALID;
}

static int read_body(struct reader *reader, uint8_t type, struct frame *frame)
{
    switch (type) {
    case FRAME_PADDING:
        while (reader->at < reader->end && !*reader->at)
            reader->at++;
        return 0;
    case FRAME_PING:
        return 0;
    case FRAME_ACK:
        return read_ack(reader, &frame->ack);
    case FRAME_SETTINGS:
        frame->settings.own = read_u64(reader);
        frame->settings.peer = read_u64(reader);
        frame->settings.stream_window = read_varint(reader);
        frame->settings.streams_limit = read_varint(reader);
        return frame->settings.own ? 0 : ERROR_INVALID;
    case FRAME_CLOSE:
        frame->close_code = read_varint(reader);
        return 0;
    case FRAME_OPEN:
        return read_open(reader, &frame->open);
    case FRAME_RESET:
        frame->reset.id = read_varint(reader);
        frame->reset.code = read_varint(reader);
        return 0;
    case FRAME_STREAM_WINDOW:
        frame->window.id = read_varint(reader);
        frame->window.limit = read_varint(reader);
        return 0;
    case FRAME_STREAM_PRIORITY:
        frame->priority.id = read_varint(reader);
        frame->priority.ring = read_u8(reader);
        frame->priority.weight = read_u8(reader);
        return frame->priority.ring < TRANSPORT_RINGS && frame->priority.weight ? 0 : ERROR_INVALID;
    case FRAME_PATH_CHALLENGE:
    case FRAME_PATH_RESPONSE: {
        struct span token = read_span(reader, FRAME_TOKEN_BYTES);
        if (reader->failed)
            return ERROR_INVALID;
        memcpy(frame->token, token.data, FRAME_TOKEN_BYTES);
        return 0;
    }
    case FRAME_LINK_QUALITY:
        return read_quality(reader, &frame->quality);
    case FRAME_DATAGRAM:
    case FRAME_DATAGRAM_LAST:
        return read_datagram(reader, type == FRAME_DATAGRAM, frame);
    case FRAME_ACK_FREQ:
        return read_ack_freq(reader, &frame->ack_freq);
    case FRAME_ACK_NOW:
        return read_path(reader, &frame->ack_now_path);
    case FRAME_PATH_NEW:
    case FRAME_PATH_STATUS:
    case FRAME_PATH_ABANDON:
        return read_path_change(reader, type, &frame->path_change);
    default:
        return ERROR_INVALID;
    }
}

int frame_read(struct reader *reader, struct frame *frame)
{
    uint8_t type = read_u8(reader);
    int error;
    if ((type & ~7) == FRAME_STREAM) {
        frame->type = FRAME_STREAM;
        error = read_stream(reader, type & 7, &frame->stream);
    } else {
        frame->type = (enum frame_type)type;
        error = read_body(reader, type, frame);
    }
    return error || reader->failed ? ERROR_INVALID : 0;
}

uint8_t *frame_write_settings(uint8_t *out, const struct frame_settings *settings)
{
    *out++ = FRAME_SETTINGS;
    out = store_u64(out, settings->own);
    out = store_u64(out, settings->peer);
    out = varint_store(out, settings->stream_window);
    return varint_store(out, settings->streams_limit);
}

uint8_t *frame_write_close(uint8_t *out, uint64_t code)
{
    *out++ = FRAME_CLOSE;
    return varint_store(out, code);
}

uint8_t *frame_write_open(uint8_t *out, uint64_t id, const struct transport_open *open)
{
    *out++ = FRAME_OPEN;
    out = varint_store(out, id);
    out = store_u16(out, open->port);
    out = store_u16(out, open->site);
    *out++ = open->flags;
    *out++ = open->ring;
    *out++ = open->weight;
    *out++ = open->client.family;
    if (open->flags & TRANSPORT_OPEN_DATAGRAMS)
        out = store_u16(out, open->lifetime_ms);
    if (!open->client.family)
        return out;
    out = store_u16(out, open->client.port);
    size_t length = open->client.family == 4 ? 4 : 16;
    memcpy(out, open->client.bytes, length);
    return out + length;
}

uint8_t *frame_write_reset(uint8_t *out, uint64_t id, uint64_t code)
{
    *out++ = FRAME_RESET;
    return varint_store(varint_store(out, id), code);
}

uint8_t *frame_write_window(uint8_t *out, uint64_t id, uint64_t limit)
{
    *out++ = FRAME_STREAM_WINDOW;
    return varint_store(varint_store(out, id), limit);
}

uint8_t *frame_write_priority(uint8_t *out, uint64_t id, uint8_t ring, uint8_t weight)
{
    *out++ = FRAME_STREAM_PRIORITY;
    out = varint_store(out, id);
    *out++ = ring;
    *out++ = weight;
    return out;
}

uint8_t *frame_write_token(uint8_t *out, enum frame_type type,
                           const uint8_t token[FRAME_TOKEN_BYTES])
{
    *out++ = (uint8_t)type;
    memcpy(out, token, FRAME_TOKEN_BYTES);
    return out + FRAME_TOKEN_BYTES;
}

uint8_t *frame_write_path(uint8_t *out, enum frame_type type, const struct frame_path *change)
{
    *out++ = (uint8_t)type;
    *out++ = change->path;
    if (type == FRAME_PATH_ABANDON)
        return out;
    if (type == FRAME_PATH_STATUS)
        out = varint_store(out, change->sequence);
    *out++ = change->use;
    return out;
}

static uint64_t storable(uint64_t value)
{
    return value < VARINT_MAX ? value : VARINT_MAX;
}

uint8_t *frame_write_quality(uint8_t *out, const struct frame_quality *frame)
{
    struct transport_quality quality = frame->quality;
    uint32_t *members[QUALITY_SMALL];
    quality_members(&quality, members);
    *out++ = FRAME_LINK_QUALITY;
    out = varint_store(out, frame->path);
    for (int i = 0; i < QUALITY_SMALL; i++)
        out = varint_store(out, *members[i] < QUALITY_SMALL_MAX ? *members[i] : QUALITY_SMALL_MAX);
    int64_t trend = quality.delay_trend_us_per_s;
    uint64_t size = (uint64_t)(trend < 0 ? -trend : trend);
    if (size > QUALITY_SMALL_MAX / 2)
        size = QUALITY_SMALL_MAX / 2;
    out = varint_store(out, size << 1 | (trend < 0));
    out = varint_store(out, storable(quality.delivery_bytes_per_s));
    return varint_store(out, storable(quality.spare_window_bytes));
}

uint8_t *frame_write_ack_freq(uint8_t *out, uint8_t path, const struct ack_asking *asking)
{
    *out++ = FRAME_ACK_FREQ;
    out = varint_store(out, path);
    out = varint_store(out, asking->sequence);
    out = varint_store(out, asking->packets);
    return varint_store(out, asking->delay_us);
}

uint8_t *frame_write_ack_now(uint8_t *out, uint8_t path)
{
    *out++ = FRAME_ACK_NOW;
    return varint_store(out, path);
}

uint8_t *frame_write_ack(uint8_t *out, const uint8_t *end, const struct frame_ack_head *head,
                         const struct ranges *ranges)
{
    if (!ranges->count || end < out || (size_t)(end - out) < FRAME_ACK_HEAD_MAX)
        return out;
    const struct range *all = ranges_items(ranges);
    uint32_t at = ranges->count - 1;
    const struct range *last = &all[at];
    *out++ = FRAME_ACK;
    out = varint_store(out, head->path);
    out = varint_store(out, last->end - 1);
    out = varint_store(out, head->delay_us);
    out = store_u32(out, head->arrival_us);
    out = varint_store(out, head->ecn.ect_0);
    out = varint_store(out, head->ecn.ect_1);
    out = varint_store(out, head->ecn.ce);
    uint8_t *count_at = out; /* 64 needs two bytes: always write it so */
    out += 2;
    out = varint_store(out, last->end - 1 - last->start);
    uint16_t count = 1;
    for (; at > 0 && count < FRAME_ACK_RANGES_MAX && end - out >= 16; at--, count++) {
        out = varint_store(out, all[at].start - all[at - 1].end - 1);
        out = varint_store(out, all[at - 1].end - all[at - 1].start - 1);
    }
    store_u16(count_at, (uint16_t)(count | 0x4000));
    return out;
}

uint8_t *frame_write_datagram(uint8_t *out, uint64_t id, uint32_t length, bool has_length)
{
    *out++ = has_length ? FRAME_DATAGRAM : FRAME_DATAGRAM_LAST;
    out = varint_store(out, id);
    return has_length ? varint_store(out, length) : out;
}

uint8_t *frame_write_stream(uint8_t *out, uint64_t id, uint64_t offset, uint32_t length, bool fin,
                            bool has_length)
{
    *out++ = (uint8_t)(FRAME_STREAM | (fin ? FRAME_STREAM_FIN : 0) |
                       (has_length ? FRAME_STREAM_LEN : 0) | (offset ? FRAME_STREAM_OFF : 0));
    out = varint_store(out, id);
    if (offset)
        out = varint_store(out, offset);
    return has_length ? varint_store(out, length) : out;
}

uint32_t frame_stream_head_bytes(uint64_t id, uint64_t offset, uint32_t length)
{
    return (uint32_t)(1 + varint_size(id) + (offset ? varint_size(offset) : 0) +
                      varint_size(length));
}
