/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages: type (1), length of the body (4), body. A body may be longer than is known here: what is behind belongs to later releases.
 */
#include "purge/record.h"

static void add_head(struct text *out, enum purge_message_type type, uint32_t length)
{
    uint8_t head[PURGE_MESSAGE_HEAD] = {(uint8_t)type};
    store_u32(head + 1, length);
    text_add_span(out, span_of(head, sizeof head));
}

static void add_numbers(struct text *out, enum purge_message_type type, const uint64_t *numbers,
                        uint32_t count)
{
    add_head(out, type, count * 8);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[8];
        store_u64(bytes, numbers[i]);
        text_add_span(out, span_of(bytes, sizeof bytes));
    }
}

void purge_message_write(struct text *out, const struct purge_message *message)
{
    switch (message->type) {
    case PURGE_MESSAGE_HELLO:
        add_head(out, message->type, 1);
        text_add_span(out, span_of(&message->version, 1));
        break;
    case PURGE_MESSAGE_SITE:
    case PURGE_MESSAGE_DONE:
        add_numbers(out, message->type, (const uint64_t[]){message->site, message->number}, 2);
        break;
    case PURGE_MESSAGE_ASK:
    case PURGE_MESSAGE_CURRENT:
        add_numbers(out, message->type, &message->number, 1);
        break;
    case PURGE_MESSAGE_FOREIGN:
        add_numbers(out, message->type, &message->site, 1);
        break;
    case PURGE_MESSAGE_PURGE:
        add_head(out, message->type, (uint32_t)(PURGE_RECORD_BYTES + message->purge.what.length));
        record_write(out, &message->purge);
        break;
    case PURGE_MESSAGE_UNKNOWN:
        INVARIANT(!"a message of its own kind only");
    }
}

/* Members that its type does not have stay zero. */
static int read_body(struct purge_message *message, uint8_t type, struct span body)
{
    struct reader reader = reader_of(body);
    switch (type) {
    case PURGE_MESSAGE_HELLO:
        message->version = read_u8(&reader);
        break;
    case PURGE_MESSAGE_SITE:
    case PURGE_MESSAGE_DONE:
        message->site = read_u64(&reader);
        message->number = read_u64(&reader);
        break;
    case PURGE_MESSAGE_ASK:
    case PURGE_MESSAGE_CURRENT:
        message->number = read_u64(&reader);
        break;
    case PURGE_MESSAGE_FOREIGN:
        message->site = read_u64(&reader);
        break;
    case PURGE_MESSAGE_PURGE:
        message->type = PURGE_MESSAGE_PURGE;
        return record_read(body, &message->purge);
    default:
        return 0;
    }
    message->type = (enum purge_message_type)type;
    return reader.failed ? ERROR_INVALID : 0;
}

int purge_message_read(struct span bytes, struct purge_message *message)
{
    *message = (struct purge_message){0};
    if (bytes.length < PURGE_MESSAGE_HEAD)
        return ERROR_INCOMPLETE;
    uint32_t length = load_u32(bytes.data + 1);
    if (length > PURGE_MESSAGE_MOST - PURGE_MESSAGE_HEAD)
        return ERROR_INVALID;
    if (bytes.length < PURGE_MESSAGE_HEAD + length)
        return ERROR_INCOMPLETE;
    int result =
        read_body(message, bytes.data[0], span_of(bytes.data + PURGE_MESSAGE_HEAD, length));
    if (result == 0 && message->number > PURGE_NUMBER_MOST)
        result = ERROR_INVALID;
    return result < 0 ? result : (int)(PURGE_MESSAGE_HEAD + length);
}

int purge_message_take(struct slice_queue *in, uint8_t buffer[PURGE_MESSAGE_MOST],
                       struct purge_message *message)
{
    size_t got = slice_queue_peek(in, 0, buffer, PURGE_MESSAGE_HEAD);
    if (got == PURGE_MESSAGE_HEAD) {
        uint32_t length = load_u32(buffer + 1);
        if (length <= PURGE_MESSAGE_MOST - PURGE_MESSAGE_HEAD)
            got += slice_queue_peek(in, got, buffer + got, length);
    }
    int length = purge_message_read(span_of(buffer, got), message);
    if (length > 0)
        slice_queue_consume(in, (uint64_t)length);
    return length;
}
