/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: type (1), length of the body (4), body. A body may be longer than is known here: what is behind belongs to later releases.
 */
#include "loads/loads.h"

enum {
    LOAD_BYTES = 8 + 1 + 5 * 4 + 2 * 4 * LOADS_CLASSES,
    LOAD_IS_FULL = 1,    /* of the flags */
    BEAT_IS_LEAVING = 1, /* likewise */
};

static uint8_t *store_classes(uint8_t *at, const uint32_t values[LOADS_CLASSES])
{
    for (int i = 0; i < LOADS_CLASSES; i++)
        at = store_u32(at, values[i]);
    return at;
}

static void read_classes(struct reader *reader, uint32_t values[LOADS_CLASSES])
{
    for (int i = 0; i < LOADS_CLASSES; i++)
        values[i] = read_u32(reader);
}

static uint8_t *store_report(uint8_t *at, const struct loads_report *report)
{
    at = store_u64(at, report->site);
    *at++ = report->is_full ? LOAD_IS_FULL : 0;
    at = store_u32(at, report->load_permille);
    at = store_u32(at, report->pending);
    at = store_u32(at, report->slots);
    at = store_u32(at, report->service_us);
    at = store_u32(at, report->demand_milli);
    return store_classes(store_classes(at, report->waiting), report->wait_us);
}

static void read_report(struct reader *reader, struct loads_report *report)
{
    report->site = read_u64(reader);
    report->is_full = read_u8(reader) & LOAD_IS_FULL;
    report->load_permille = read_u32(reader);
    report->pending = read_u32(reader);
    report->slots = read_u32(reader);
    report->service_us = read_u32(reader);
    report->demand_milli = read_u32(reader);
    read_classes(reader, report->waiting);
    read_classes(reader, report->wait_us);
}

void loads_message_write(struct text *out, const struct loads_message *message)
{
    uint8_t bytes[LOADS_MESSAGE_HEAD + LOAD_BYTES], *at = bytes + LOADS_MESSAGE_HEAD;
    switch (message->type) {
    case LOADS_MESSAGE_HELLO:
        *at++ = message->version;
        break;
    case LOADS_MESSAGE_BEAT:
        at = store_u64(store_u64(store_u64(at, message->number), message->known), message->lost);
        if (message->is_leaving)
            *at++ = BEAT_IS_LEAVING;
        break;
    case LOADS_MESSAGE_LOAD:
        at = store_report(at, &message->report);
        break;
    case LOADS_MESSAGE_GONE:
        at = store_u64(at, message->report.site);
        break;
    case LOADS_MESSAGE_HEARD:
        at = store_u64(at, message->number);
        break;
    case LOADS_MESSAGE_PEERS:
        at = store_u64(at, message->report.site);
        at = store_u32(store_u32(at, message->others), message->need_milli);
        break;
    case LOADS_MESSAGE_UNKNOWN:
        INVARIANT(!"a message of its own kind only");
    }
    bytes[0] = (uint8_t)message->type;
    store_u32(bytes + 1, (uint32_t)(at - bytes) - LOADS_MESSAGE_HEAD);
    text_add_span(out, span_of(bytes, (size_t)(at - bytes)));
}

/* Members that its type does not have stay zero. */
static int read_body(struct loads_message *message, uint8_t type, struct span body)
{
    struct reader reader = reader_of(body);
    switch (type) {
    case LOADS_MESSAGE_HELLO:
        message->version = read_u8(&reader);
        break;
    case LOADS_MESSAGE_BEAT:
        message->number = read_u64(&reader);
        message->known = read_u64(&reader);
        message->lost = read_u64(&reader);
        message->is_leaving = reader_left(&reader) && read_u8(&reader) & BEAT_IS_LEAVING;
        break;
    case LOADS_MESSAGE_LOAD:
        read_report(&reader, &message->report);
        break;
    case LOADS_MESSAGE_GONE:
        message->report.site = read_u64(&reader);
        break;
    case LOADS_MESSAGE_HEARD:
        message->number = read_u64(&reader);
        break;
    case LOADS_MESSAGE_PEERS:
        message->report.site = read_u64(&reader);
        message->others = read_u32(&reader);
        message->need_milli = read_u32(&reader);
        break;
    default:
        return 0;
    }
    message->type = (enum loads_message_type)type;
    return reader.failed ? ERROR_INVALID : 0;
}

int loads_message_read(struct span bytes, struct loads_message *message)
{
    *message = (struct loads_message){0};
    if (bytes.length < LOADS_MESSAGE_HEAD)
        return ERROR_INCOMPLETE;
    uint32_t length = load_u32(bytes.data + 1);
    if (length > LOADS_BODY_MOST)
        return ERROR_INVALID;
    if (bytes.length < LOADS_MESSAGE_HEAD + length)
        return ERROR_INCOMPLETE;
    int result =
        read_body(message, bytes.data[0], span_of(bytes.data + LOADS_MESSAGE_HEAD, length));
    return result < 0 ? result : (int)(LOADS_MESSAGE_HEAD + length);
}

int loads_message_take(struct slice_queue *in, struct loads_message *message)
{
    uint8_t buffer[LOADS_MESSAGE_MOST];
    size_t got = slice_queue_peek(in, 0, buffer, sizeof buffer);
    int length = loads_message_read(span_of(buffer, got), message);
    if (length > 0)
        slice_queue_consume(in, (uint64_t)length);
    return length;
}
