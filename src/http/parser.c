/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeding bytes to the parser. A head that lies whole in one piece of input, as nearly all do, is
 * parsed where it lies and copied once; one that comes in pieces is gathered in the arena first.
 */
#include "http/parser.h"
#include "http/fields.h"

enum {
    HELD_FIRST = 1024,   /* first room for a head that comes in pieces */
    GATHER_BYTES = 1024, /* taken from the input at a time while gathering */
    LOOK_MOST = 1 << 30, /* whatever the limits: positions are 32 bits wide */
};

static void move_span(struct span *span, const uint8_t *from, const uint8_t *to)
{
    if (span->data)
        span->data = to + (span->data - from);
}

/* The lines' bytes have moved: whatever points into them follows. Names and methods that are
 * known do not. */
static void move_lines(struct http_parser *parser, const uint8_t *from, const uint8_t *to)
{
    struct http_fields *fields = &parser->trailers;
    if (parser->state != PARSER_TRAILERS) {
        struct http_head *head = parser->head;
        fields = &head->fields;
        move_span(&head->method_text, from, to);
        move_span(&head->target_received, from, to);
        move_span(&head->reason, from, to);
    }
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->list[i].id == HTTP_NAME_OTHER)
            move_span(&fields->list[i].name, from, to);
        move_span(&fields->list[i].value, from, to);
    }
}

static void hold(struct http_parser *parser, const uint8_t *base, uint32_t filled,
                 struct span piece)
{
    uint32_t length = filled + (uint32_t)piece.length;
    if (length > parser->held_capacity) {
        uint32_t capacity = parser->held_capacity ? parser->held_capacity : HELD_FIRST;
        while (capacity < length)
            capacity *= 2;
        uint8_t *bytes = arena_take_raw(parser->arena, capacity);
        if (parser->held && filled)
            memcpy(bytes, parser->held, filled);
        move_lines(parser, base, bytes);
        parser->held = bytes;
        parser->held_capacity = capacity;
    }
    if (piece.length)
        memcpy(parser->held + filled, piece.data, piece.length);
    parser->held_bytes = length;
}

/* No more than this is ever looked at: what is longer is refused. */
static uint32_t look_most(const struct http_limits *limits)
{
    uint64_t most = (uint64_t)limits->line_bytes + limits->head_bytes + limits->trailer_bytes + 4;
    return most < LOOK_MOST ? (uint32_t)most : LOOK_MOST;
}

/* Feeds the lines' bytes and says how many of them were used. */
static enum lines_outcome feed_lines(struct http_parser *parser, struct span input, size_t *used)
{
    if (!parser->held) {
        uint32_t most = look_most(parser->limits);
        uint32_t length = input.length < most ? (uint32_t)input.length : most;
        enum lines_outcome outcome = http_parser_lines(parser, input.data, length);
        *used = outcome == LINES_COMPLETE ? parser->at : length;
        if (outcome == LINES_COMPLETE) {
            struct span copy = arena_copy(parser->arena, span_of(input.data, parser->at));
            move_lines(parser, input.data, copy.data);
        } else {
            /* Also of what is refused: the log may want to name it. */
            hold(parser, input.data, 0, span_of(input.data, length));
        }
        return outcome;
    }
    enum lines_outcome outcome = LINES_MORE;
    while (outcome == LINES_MORE && *used < input.length) {
        size_t room = input.length - *used;
        struct span piece = span_of(input.data + *used, room < GATHER_BYTES ? room : GATHER_BYTES);
        uint32_t before = parser->held_bytes;
        hold(parser, parser->held, before, piece);
        outcome = http_parser_lines(parser, parser->held, parser->held_bytes);
        *used += outcome == LINES_COMPLETE ? parser->at - before : piece.length;
    }
    return outcome;
}

static void begin_head(struct http_parser *parser)
{
    parser->held = NULL;
    parser->held_bytes = parser->held_capacity = 0;
    parser->at = parser->line_at = 0;
    parser_set_line(parser, LINE_START);
    parser_set_state(parser, PARSER_HEAD);
}

/* The state behind a head. */
static enum http_cause begin_content(struct http_parser *parser)
{
    const struct http_head *head = parser->head;
    if (parser->is_response && head->status < 200 && head->status != 101) {
        if (parser->informational++ == parser->limits->informational)
            return HTTP_CAUSE_INFORMATIONAL_MANY;
        parser_set_state(parser, PARSER_NEXT_HEAD);
        return HTTP_CAUSE_NONE;
    }
    switch (head->body) {
    case HTTP_BODY_NONE:
        parser_set_state(parser, PARSER_COMPLETE);
        break;
    case HTTP_BODY_LENGTH:
        parser->left = head->content_length;
        parser_set_state(parser, parser->left ? PARSER_LENGTH : PARSER_COMPLETE);
        break;
    case HTTP_BODY_CHUNKED:
        parser_set_state(parser, PARSER_CHUNK_SIZE);
        break;
    case HTTP_BODY_CLOSE:
        parser_set_state(parser, PARSER_UNTIL_CLOSE);
        break;
    case HTTP_BODY_TUNNEL:
        parser_set_state(parser, PARSER_TUNNEL);
        break;
    }
    return HTTP_CAUSE_NONE;
}

static enum http_event feed_head(struct http_parser *parser, struct span input, size_t *used)
{
    switch (feed_lines(parser, input, used)) {
    case LINES_ON:
    case LINES_MORE:
        return HTTP_EVENT_MORE;
    case LINES_REFUSED:
        return parser_refuse(parser, parser->cause);
    case LINES_COMPLETE:
        break;
    }
    enum http_cause cause = parser->is_response
                                ? http_settle_response(parser->head, parser->limits,
                                                       parser->asked_method, parser->asked_upgrade)
                                : http_settle_request(parser->head, parser->limits);
    if (!cause)
        cause = begin_content(parser);
    return cause ? parser_refuse(parser, cause) : HTTP_EVENT_HEAD;
}

static enum http_event feed_trailers(struct http_parser *parser, struct span input, size_t *used)
{
    size_t line_bytes = 0;
    enum lines_outcome outcome = feed_lines(parser, span_from(input, *used), &line_bytes);
    *used += line_bytes;
    if (outcome == LINES_REFUSED)
        return parser_refuse(parser, parser->cause);
    if (outcome != LINES_COMPLETE)
        return HTTP_EVENT_MORE;
    if (!parser->trailers.count) {
        parser_set_state(parser, PARSER_DONE);
        return HTTP_EVENT_END;
    }
    parser_set_state(parser, PARSER_COMPLETE);
    return HTTP_EVENT_TRAILERS;
}

enum http_event http_parser_feed(struct http_parser *parser, struct span input, size_t *used,
                                 struct span *data)
{
    *used = 0;
    *data = (struct span){0};
    switch ((enum parser_state)parser->state) {
    case PARSER_NEXT_HEAD:
        if (!input.length)
            return HTTP_EVENT_MORE;
        http_head_init(parser->head, parser->arena);
        begin_head(parser);
        return feed_head(parser, input, used);
    case PARSER_HEAD:
        return input.length ? feed_head(parser, input, used) : HTTP_EVENT_MORE;
    case PARSER_COMPLETE:
        parser_set_state(parser, PARSER_DONE);
        return HTTP_EVENT_END;
    case PARSER_DONE:
        return HTTP_EVENT_END;
    case PARSER_FAILED:
        return HTTP_EVENT_ERROR;
    case PARSER_LENGTH:
    case PARSER_CHUNK_SIZE:
    case PARSER_CHUNK_EXTENSION:
    case PARSER_CHUNK_LINE_END:
    case PARSER_CHUNK_DATA:
    case PARSER_CHUNK_DATA_CR:
    case PARSER_CHUNK_DATA_LF:
    case PARSER_UNTIL_CLOSE:
    case PARSER_TUNNEL:
    case PARSER_TRAILERS:
        break;
    }
    enum http_event event = http_parser_content(parser, input, used, data);
    if (event == HTTP_EVENT_MORE && parser->state == PARSER_TRAILERS && *used < input.length)
        return feed_trailers(parser, input, used);
    return event;
}

enum http_event http_parser_next(struct http_parser *parser, struct slice_queue *input,
                                 struct slice *data)
{
    *data = (struct slice){0};
    for (;;) {
        size_t used;
        struct span piece, front = slice_queue_front(input);
        enum http_event event = http_parser_feed(parser, front, &used, &piece);
        /* Content is always the last of what was used. */
        slice_queue_consume(input, used - piece.length);
        if (piece.length)
            *data = slice_queue_pop(input, (uint32_t)piece.length);
        if (event != HTTP_EVENT_MORE || !input->count)
            return event;
    }
}

enum http_event http_parser_finish(struct http_parser *parser)
{
    switch ((enum parser_state)parser->state) {
    case PARSER_HEAD:
        if (http_parser_is_idle(parser))
            return HTTP_EVENT_MORE;
        return parser_refuse(parser, HTTP_CAUSE_TRUNCATED);
    case PARSER_UNTIL_CLOSE:
    case PARSER_TUNNEL:
    case PARSER_COMPLETE:
        parser_set_state(parser, PARSER_DONE);
        return HTTP_EVENT_END;
    case PARSER_DONE:
        return HTTP_EVENT_END;
    case PARSER_FAILED:
        return HTTP_EVENT_ERROR;
    case PARSER_NEXT_HEAD:
    case PARSER_LENGTH:
    case PARSER_CHUNK_SIZE:
    case PARSER_CHUNK_EXTENSION:
    case PARSER_CHUNK_LINE_END:
    case PARSER_CHUNK_DATA:
    case PARSER_CHUNK_DATA_CR:
    case PARSER_CHUNK_DATA_LF:
    case PARSER_TRAILERS:
        break;
    }
    return parser_refuse(parser, HTTP_CAUSE_TRUNCATED);
}

void http_head_init(struct http_head *head, struct arena *arena)
{
    *head = (struct http_head){.fields.arena = arena};
}

static void start(struct http_parser *parser, const struct http_limits *limits,
                  struct http_head *head, struct arena *arena)
{
    http_head_init(head, arena);
    *parser = (struct http_parser){
        .limits = limits, .head = head, .arena = arena, .trailers.arena = arena};
    begin_head(parser);
}

void http_parser_start_request(struct http_parser *parser, const struct http_limits *limits,
                               struct http_head *head, struct arena *arena)
{
    start(parser, limits, head, arena);
}

void http_parser_start_response(struct http_parser *parser, const struct http_limits *limits,
                                struct http_head *head, struct arena *arena,
                                enum http_method method, bool upgrade)
{
    start(parser, limits, head, arena);
    parser->is_response = true;
    parser->asked_method = method;
    parser->asked_upgrade = upgrade;
}

void http_parser_tunnel(struct http_parser *parser)
{
    parser_set_state(parser, PARSER_TUNNEL);
}

bool http_parser_is_idle(const struct http_parser *parser)
{
    return parser->state == PARSER_HEAD && parser->line == LINE_START && !parser->informational;
}
