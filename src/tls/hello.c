/* SPDX-License-Identifier: Apache-2.0
 *
 * The name in a ClientHello (RFC 8446 sections 4.1.2 and 5.1, RFC 6066 section 3), which may come in several records. Only what leads
 * to the name is looked at: whoever ends the connection judges the rest.
 */
#include "tls/hello.h"

#include "base/bytes.h"

enum {
    RECORD_HANDSHAKE = 22,
    RECORD_HEAD_BYTES = 5,
    RECORD_BYTES_MOST = 16384,
    MESSAGE_HELLO = 1,
    MESSAGE_HEAD_BYTES = 4,
    RANDOM_BYTES = 32,
    SESSION_ID_MOST = 32,
    EXTENSION_SERVER_NAME = 0,
    NAME_HOST = 0,
};

/* The payload of the first record; ERROR_INCOMPLETE also where only a part of it is here. */
static int take_record(struct span *bytes, struct span *payload)
{
    const uint8_t *head = bytes->data;
    if (bytes->length && head[0] != RECORD_HANDSHAKE)
        return ERROR_INVALID;
    if (bytes->length > 1 && head[1] != 3)
        return ERROR_INVALID;
    if (bytes->length < RECORD_HEAD_BYTES)
        return ERROR_INCOMPLETE;
    size_t length = (size_t)head[3] << 8 | head[4];
    if (!length || length > RECORD_BYTES_MOST)
        return ERROR_INVALID;
    if (bytes->length < RECORD_HEAD_BYTES + length)
        return ERROR_INCOMPLETE;
    *payload = span_of(head + RECORD_HEAD_BYTES, length);
    *bytes = span_from(*bytes, RECORD_HEAD_BYTES + length);
    return 0;
}

/* 0 when `message` begins with a whole ClientHello, which is then all of it. */
static int frame(struct span *message)
{
    const uint8_t *head = message->data;
    if (message->length && head[0] != MESSAGE_HELLO)
        return ERROR_INVALID;
    if (message->length < MESSAGE_HEAD_BYTES)
        return ERROR_INCOMPLETE;
    size_t length = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    if (length > TLS_HELLO_LIMIT - MESSAGE_HEAD_BYTES)
        return ERROR_LIMIT;
    if (message->length < MESSAGE_HEAD_BYTES + length)
        return ERROR_INCOMPLETE;
    *message = span_of(head + MESSAGE_HEAD_BYTES, length);
    return 0;
}

/* Where the first record does not hold it all, `scratch` does. */
static int gather(struct span bytes, uint8_t *scratch, struct span *message)
{
    int result = take_record(&bytes, message);
    if (result < 0 || (result = frame(message)) != ERROR_INCOMPLETE)
        return result;
    size_t filled = 0;
    for (struct span part = *message;;) {
        if (part.length > TLS_HELLO_LIMIT - filled)
            return ERROR_LIMIT;
        memcpy(scratch + filled, part.data, part.length);
        filled += part.length;
        *message = span_of(scratch, filled);
        if ((result = frame(message)) != ERROR_INCOMPLETE ||
            (result = take_record(&bytes, &part)) < 0)
            return result;
    }
}

int tls_hello_read_name(struct span extension, struct tls_hello *hello)
{
    struct reader reader = reader_of(extension);
    struct span names = read_span(&reader, read_u16(&reader));
    if (reader.failed || reader_left(&reader))
        return ERROR_INVALID;
    struct reader list = reader_of(names);
    while (reader_left(&list)) {
        uint8_t type = read_u8(&list);
        struct span name = read_span(&list, read_u16(&list));
        if (list.failed || (type == NAME_HOST && (hello->name.length || !name.length ||
                                                  span_find(name, 0) < name.length)))
            return ERROR_INVALID;
        if (type == NAME_HOST)
            hello->name = name;
    }
    return list.failed ? ERROR_INVALID : 0;
}

static int read_extensions(struct reader *reader, struct tls_hello *hello)
{
    bool has_name = false;
    struct span extensions = read_span(reader, read_u16(reader));
    if (reader->failed || reader_left(reader))
        return ERROR_INVALID;
    struct reader list = reader_of(extensions);
    while (reader_left(&list)) {
        uint16_t type = read_u16(&list);
        struct span extension = read_span(&list, read_u16(&list));
        if (list.failed)
            return ERROR_INVALID;
        if (type != EXTENSION_SERVER_NAME)
            continue;
        if (has_name || tls_hello_read_name(extension, hello) < 0)
            return ERROR_INVALID;
        has_name = true;
    }
    return 0;
}

int tls_hello_parse(struct span bytes, uint8_t *scratch, struct tls_hello *hello)
{
    struct span message;
    *hello = (struct tls_hello){0};
    int result = gather(bytes, scratch, &message);
    if (result < 0)
        return result;
    struct reader reader = reader_of(message);
    read_u16(&reader); /* a version that says nothing */
    read_span(&reader, RANDOM_BYTES);
    uint8_t id_bytes = read_u8(&reader);
    read_span(&reader, id_bytes);
    uint16_t ciphers_bytes = read_u16(&reader);
    read_span(&reader, ciphers_bytes);
    read_span(&reader, read_u8(&reader)); /* compression methods */
    if (reader.failed || id_bytes > SESSION_ID_MOST || ciphers_bytes < 2)
        return ERROR_INVALID;
    return reader_left(&reader) ? read_extensions(&reader, hello) : 0;
}
