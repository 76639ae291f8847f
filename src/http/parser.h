/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of the HTTP/1.1 parser: lines (lines.c), what they mean for the message (settle.c),
 * content (content.c), and the feeding of bytes to them (parser.c). Private to http/.
 */
#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include "http/http.h"

/* Where the parser is in its message. */
// clang-format off
#define PARSER_STATE_LIST(X)                                       \
    X(HEAD)            /* start line and fields: see line states */ \
    X(TRAILERS)        /* fields behind the last chunk: likewise */ \
    X(NEXT_HEAD)       /* an informational head was handed out */   \
    X(LENGTH)          /* content of known length */                \
    X(CHUNK_SIZE)                                                   \
    X(CHUNK_EXTENSION)                                              \
    X(CHUNK_LINE_END)                                               \
    X(CHUNK_DATA)                                                   \
    X(CHUNK_DATA_CR)                                                \
    X(CHUNK_DATA_LF)                                                \
    X(UNTIL_CLOSE)                                                  \
    X(TUNNEL)                                                       \
    X(COMPLETE)        /* all is read, END is still to be told */   \
    X(DONE)                                                         \
    X(FAILED)

/* Where it is in the lines of HEAD and TRAILERS. */
#define LINE_STATE_LIST(X)                                         \
    X(START)           /* before the first byte of a start line */ \
    X(METHOD)                                                      \
    X(TARGET)                                                      \
    X(VERSION)                                                     \
    X(STATUS)          /* version and status of a response */      \
    X(REASON)                                                      \
    X(FIELD)           /* at the first byte of a field line */     \
    X(NAME)                                                        \
    X(SPACE)           /* between colon and value */               \
    X(VALUE)
// clang-format on

enum parser_state {
#define X(name) PARSER_##name,
    PARSER_STATE_LIST(X)
#undef X
};

enum line_state {
#define X(name) LINE_##name,
    LINE_STATE_LIST(X)
#undef X
};

static inline void parser_set_state(struct http_parser *parser, enum parser_state state)
{
    parser->state = (uint8_t)state;
}

static inline void parser_set_line(struct http_parser *parser, enum line_state line)
{
    parser->line = (uint8_t)line;
}

enum lines_outcome {
    LINES_ON, /* within the lines: go on with the next part */
    LINES_MORE,
    LINES_COMPLETE,
    LINES_REFUSED
};

/* Goes on at parser->at over [bytes, bytes + end), the head's (or the trailers') bytes from its
 * first on: MORE, COMPLETE (parser->at is behind the empty line) or REFUSED. What it decides
 * depends on positions alone, never on how much has come: that makes every cut of the input
 * equal. */
enum lines_outcome http_parser_lines(struct http_parser *parser, const uint8_t *bytes,
                                     uint32_t end);

/* What a complete head means: target, host, framing, connection. NONE, or why it is refused. */
enum http_cause http_settle_request(struct http_head *head, const struct http_limits *limits);
enum http_cause http_settle_response(struct http_head *head, const struct http_limits *limits,
                                     enum http_method asked_method, bool asked_upgrade);

/* The content states. */
enum http_event http_parser_content(struct http_parser *parser, struct span input, size_t *used,
                                    struct span *data);

static inline enum http_event parser_refuse(struct http_parser *parser, enum http_cause cause)
{
    parser->cause = cause;
    parser_set_state(parser, PARSER_FAILED);
    return HTTP_EVENT_ERROR;
}

#endif
