/* SPDX-License-Identifier: Apache-2.0
 *
 * Content of an HTTP/1.1 message: by length, chunked (RFC 9112 section 7.1), until close, or a
 * tunnel. The bytes are handed on where they lie.
 */
#include "http/chars.h"
#include "http/parser.h"

enum { CHUNK_DIGITS_MOST = 16 };

static int hex_value(uint8_t byte)
{
    if (is_digit(byte))
        return byte - '0';
    uint8_t letter = (uint8_t)((byte | 0x20) - 'a');
    return letter < 6 ? letter + 10 : -1;
}

static void begin_chunk(struct http_parser *parser)
{
    parser->left = 0;
    parser->chunk_digits = 0;
    parser->chunk_line_bytes = 0;
    parser_set_state(parser, PARSER_CHUNK_SIZE);
}

/* Digits alone: no sign, no prefix, no white space, nothing that strtoul() would let through. */
static enum http_event chunk_size(struct http_parser *parser, uint8_t byte)
{
    int digit = hex_value(byte);
    if (digit >= 0) {
        if (parser->chunk_digits++ == CHUNK_DIGITS_MOST)
            return parser_refuse(parser, HTTP_CAUSE_CHUNK_SIZE);
        parser->left = parser->left << 4 | (unsigned)digit;
        return HTTP_EVENT_MORE;
    }
    if (!parser->chunk_digits)
        return parser_refuse(parser, HTTP_CAUSE_CHUNK_SIZE);
    parser->chunk_line_bytes = parser->chunk_digits;
    if (byte == '\r')
        parser_set_state(parser, PARSER_CHUNK_LINE_END);
    else if (byte == ';')
        parser_set_state(parser, PARSER_CHUNK_EXTENSION);
    else
        return parser_refuse(parser, byte == '\n' ? HTTP_CAUSE_LINE_END : HTTP_CAUSE_CHUNK_SIZE);
    return HTTP_EVENT_MORE;
}

/* Extensions mean nothing here and go no further; they are only counted. */
static enum http_event chunk_extension(struct http_parser *parser, uint8_t byte)
{
    if (byte == '\r' && parser->chunk_line_bytes > parser->chunk_digits) {
        parser_set_state(parser, PARSER_CHUNK_LINE_END);
        return HTTP_EVENT_MORE;
    }
    if (!is_value_byte(byte))
        return parser_refuse(parser,
                             byte == '\n' ? HTTP_CAUSE_LINE_END : HTTP_CAUSE_CHUNK_EXTENSION);
    if (++parser->chunk_line_bytes > parser->limits->chunk_line_bytes)
        return parser_refuse(parser, HTTP_CAUSE_CHUNK_LONG);
    if (++parser->extension_bytes > parser->limits->chunk_extension_bytes)
        return parser_refuse(parser, HTTP_CAUSE_CHUNK_EXTENSION);
    return HTTP_EVENT_MORE;
}

static enum http_event chunk_line_end(struct http_parser *parser, uint8_t byte)
{
    if (byte != '\n')
        return parser_refuse(parser, HTTP_CAUSE_LINE_END);
    if (parser->left > parser->limits->body_bytes - parser->body_bytes)
        return parser_refuse(parser, HTTP_CAUSE_BODY_LONG);
    if (parser->left) {
        parser_set_state(parser, PARSER_CHUNK_DATA);
        return HTTP_EVENT_MORE;
    }
    parser->trailers = (struct http_fields){.arena = parser->arena};
    parser->held = NULL;
    parser->held_bytes = parser->held_capacity = 0;
    parser->at = parser->section_at = 0;
    parser_set_line(parser, LINE_FIELD);
    parser_set_state(parser, PARSER_TRAILERS);
    return HTTP_EVENT_MORE;
}

static enum http_event hand_on(struct http_parser *parser, struct span input, size_t *used,
                               struct span *data, uint64_t most)
{
    size_t room = input.length - *used;
    size_t length = room < most ? room : (size_t)most;
    if (!length)
        return HTTP_EVENT_MORE;
    *data = span_of(input.data + *used, length);
    *used += length;
    parser->body_bytes += length;
    return HTTP_EVENT_DATA;
}

/* Of an announced length, the content's or the chunk's. */
static enum http_event hand_on_counted(struct http_parser *parser, struct span input, size_t *used,
                                       struct span *data, enum parser_state next)
{
    enum http_event event = hand_on(parser, input, used, data, parser->left);
    parser->left -= data->length;
    if (!parser->left)
        parser_set_state(parser, next);
    return event;
}

enum http_event http_parser_content(struct http_parser *parser, struct span input, size_t *used,
                                    struct span *data)
{
    enum http_event event = HTTP_EVENT_MORE;
    while (event == HTTP_EVENT_MORE && *used < input.length) {
        uint8_t byte = input.data[*used];
        switch ((enum parser_state)parser->state) {
        case PARSER_LENGTH:
            return hand_on_counted(parser, input, used, data, PARSER_COMPLETE);
        case PARSER_CHUNK_DATA:
            return hand_on_counted(parser, input, used, data, PARSER_CHUNK_DATA_CR);
        case PARSER_UNTIL_CLOSE:
            if (parser->body_bytes == parser->limits->body_bytes)
                return parser_refuse(parser, HTTP_CAUSE_BODY_LONG);
            return hand_on(parser, input, used, data,
                           parser->limits->body_bytes - parser->body_bytes);
        case PARSER_TUNNEL:
            return hand_on(parser, input, used, data, UINT64_MAX);
        case PARSER_CHUNK_SIZE:
            event = chunk_size(parser, byte);
            break;
        case PARSER_CHUNK_EXTENSION:
            event = chunk_extension(parser, byte);
            break;
        case PARSER_CHUNK_LINE_END:
            event = chunk_line_end(parser, byte);
            break;
        case PARSER_CHUNK_DATA_CR:
            if (byte != '\r')
                event = parser_refuse(parser, HTTP_CAUSE_CHUNK_END);
            else
                parser_set_state(parser, PARSER_CHUNK_DATA_LF);
            break;
        case PARSER_CHUNK_DATA_LF:
            if (byte != '\n')
                event = parser_refuse(parser, HTTP_CAUSE_CHUNK_END);
            else
                begin_chunk(parser);
            break;
        case PARSER_HEAD:
        case PARSER_TRAILERS:
        case PARSER_NEXT_HEAD:
        case PARSER_COMPLETE:
        case PARSER_DONE:
        case PARSER_FAILED:
            return event; /* not content: the caller goes on */
        }
        ++*used;
    }
    return event;
}
