/* SPDX-License-Identifier: Apache-2.0
 *
 * Start lines and field lines of HTTP/1.1 (RFC 9112 sections 2 to 5), strictly: every line ends
 * with CR LF, nothing is folded, no control byte passes. One pass over the bytes; a line that is
 * not complete yet is taken up where it stopped.
 */
#include "http/chars.h"
#include "http/fields.h"
#include "http/parser.h"

enum {
    VERSION_BYTES = 8, /* HTTP/1.1 */
    STATUS_BYTES = 12, /* HTTP/1.1 200 */
};

/* The bytes of the head so far. */
struct lines {
    const uint8_t *bytes;
    uint32_t at, end;
};

static enum lines_outcome refuse(struct http_parser *parser, enum http_cause cause)
{
    parser->cause = cause;
    return LINES_REFUSED;
}

static enum lines_outcome on(struct http_parser *parser, enum line_state next)
{
    parser_set_line(parser, next);
    return LINES_ON;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct span between(const struct lines *lines, uint32_t from, uint32_t to)
{
    return span_of(lines->bytes + from, to - from);
}

/* The end of what may be looked at: of the bytes, or of the start line's limit. */
static uint32_t line_stop(const struct http_parser *parser, const struct lines *lines)
{
    return least(lines->end, parser->line_at + parser->limits->line_bytes);
}

/* A scan ran into it. */
static enum lines_outcome line_stopped(struct http_parser *parser, uint32_t stop)
{
    if (stop < parser->line_at + parser->limits->line_bytes)
        return LINES_MORE;
    return refuse(parser, parser->is_response ? HTTP_CAUSE_STATUS_LINE : HTTP_CAUSE_TARGET_LONG);
}

static enum lines_outcome read_start(struct http_parser *parser, struct lines *lines)
{
    if (lines->at == lines->end)
        return LINES_MORE;
    uint8_t first = lines->bytes[lines->at];
    if (first == '\n')
        return refuse(parser, HTTP_CAUSE_LINE_END);
    parser->line_at = parser->mark_at = lines->at;
    if (parser->is_response)
        return on(parser, LINE_STATUS);
    if (first != '\r')
        return on(parser, LINE_METHOD);
    /* RFC 9112 section 2.2: an empty line may precede the request line; more than one is abuse. */
    if (parser->empty_lines)
        return refuse(parser, HTTP_CAUSE_EMPTY_LINES);
    if (lines->end - lines->at < 2)
        return LINES_MORE;
    if (lines->bytes[lines->at + 1] != '\n')
        return refuse(parser, HTTP_CAUSE_LINE_END);
    parser->empty_lines++;
    lines->at += 2;
    return LINES_ON;
}

static enum lines_outcome read_method(struct http_parser *parser, struct lines *lines)
{
    struct http_head *head = parser->head;
    const uint32_t most = parser->line_at + HTTP_METHOD_MOST;
    lines->at = (uint32_t)token_run(lines->bytes, lines->at, least(lines->end, most));
    if (lines->at == most)
        return refuse(parser, HTTP_CAUSE_METHOD_LONG);
    if (lines->at == lines->end)
        return LINES_MORE;
    if (lines->bytes[lines->at] != ' ' || lines->at == parser->line_at)
        return refuse(parser, HTTP_CAUSE_METHOD);
    head->method_text = between(lines, parser->line_at, lines->at);
    head->method = http_method_of(head->method_text);
    parser->mark_at = ++lines->at;
    return on(parser, LINE_TARGET);
}

static enum lines_outcome read_target(struct http_parser *parser, struct lines *lines)
{
    const uint32_t stop = line_stop(parser, lines);
    if (lines->at < stop)
        lines->at = (uint32_t)target_run(lines->bytes, lines->at, stop);
    if (lines->at >= stop)
        return line_stopped(parser, stop);
    if (lines->bytes[lines->at] != ' ')
        return refuse(parser,
                      lines->bytes[lines->at] == '\r' ? HTTP_CAUSE_VERSION : HTTP_CAUSE_TARGET);
    if (lines->at == parser->mark_at)
        return refuse(parser, HTTP_CAUSE_TARGET);
    parser->head->target_received = between(lines, parser->mark_at, lines->at);
    parser->mark_at = ++lines->at;
    return on(parser, LINE_VERSION);
}

/* One byte of "HTTP/d.d" at its index. */
static bool is_version_byte(uint8_t byte, uint32_t index)
{
    static const char pattern[] = "HTTP/0.0";
    return index == 5 || index == 7 ? is_digit(byte) : byte == (uint8_t)pattern[index];
}

static enum http_cause take_version(struct http_head *head, const uint8_t *version)
{
    if (version[5] != '1')
        return HTTP_CAUSE_VERSION_UNSUPPORTED;
    head->minor = version[7] != '0'; /* a higher minor is understood as the highest known */
    return HTTP_CAUSE_NONE;
}

static enum lines_outcome read_version(struct http_parser *parser, struct lines *lines)
{
    const uint32_t stop = line_stop(parser, lines);
    for (; lines->at < stop; lines->at++) {
        uint32_t index = lines->at - parser->mark_at;
        uint8_t byte = lines->bytes[lines->at];
        if (index < VERSION_BYTES) {
            if (!is_version_byte(byte, index))
                return refuse(parser, HTTP_CAUSE_VERSION);
        } else if (index == VERSION_BYTES) {
            if (byte != '\r')
                return refuse(parser, byte == '\n' ? HTTP_CAUSE_LINE_END : HTTP_CAUSE_VERSION);
        } else {
            if (byte != '\n')
                return refuse(parser, HTTP_CAUSE_LINE_END);
            enum http_cause cause = take_version(parser->head, lines->bytes + parser->mark_at);
            if (cause)
                return refuse(parser, cause);
            parser->section_at = ++lines->at;
            return on(parser, LINE_FIELD);
        }
    }
    return line_stopped(parser, stop);
}

static enum lines_outcome read_status(struct http_parser *parser, struct lines *lines)
{
    struct http_head *head = parser->head;
    const uint32_t stop = line_stop(parser, lines);
    for (; lines->at < stop; lines->at++) {
        uint32_t index = lines->at - parser->mark_at;
        uint8_t byte = lines->bytes[lines->at];
        if (index < VERSION_BYTES    ? !is_version_byte(byte, index)
            : index == VERSION_BYTES ? byte != ' '
            : index < STATUS_BYTES   ? !is_digit(byte)
                                     : byte != ' ' && byte != '\r')
            return refuse(parser, HTTP_CAUSE_STATUS_LINE);
        if (index < STATUS_BYTES)
            continue;
        const uint8_t *line = lines->bytes + parser->mark_at;
        enum http_cause cause = take_version(head, line);
        if (cause)
            return refuse(parser, cause);
        head->status = (uint16_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0');
        if (head->status < 100 || head->status > 599)
            return refuse(parser, HTTP_CAUSE_STATUS_LINE);
        /* Without a reason the space before it is often missing too (RFC 9112 section 4). */
        lines->at += byte == ' ';
        parser->mark_at = lines->at;
        return on(parser, LINE_REASON);
    }
    return line_stopped(parser, stop);
}

static enum lines_outcome read_reason(struct http_parser *parser, struct lines *lines)
{
    const uint32_t stop = line_stop(parser, lines);
    if (lines->at < stop)
        lines->at = (uint32_t)value_run(lines->bytes, lines->at, stop);
    if (lines->at >= stop)
        return line_stopped(parser, stop);
    uint8_t byte = lines->bytes[lines->at];
    if (byte != '\r')
        return refuse(parser, byte == '\n' ? HTTP_CAUSE_LINE_END : HTTP_CAUSE_STATUS_LINE);
    if (lines->at + 1 == stop)
        return line_stopped(parser, stop);
    if (lines->bytes[lines->at + 1] != '\n')
        return refuse(parser, HTTP_CAUSE_LINE_END);
    parser->head->reason = between(lines, parser->mark_at, lines->at);
    lines->at += 2;
    parser->section_at = lines->at;
    return on(parser, LINE_FIELD);
}

static enum lines_outcome add_field(struct http_parser *parser, const struct lines *lines)
{
    const bool is_trailer = parser->state == PARSER_TRAILERS;
    struct http_fields *fields = is_trailer ? &parser->trailers : &parser->head->fields;
    uint32_t value_end = lines->at;
    while (value_end > parser->mark_at && is_white(lines->bytes[value_end - 1]))
        value_end--;
    struct span name = between(lines, parser->line_at, parser->name_end);
    enum http_name id = http_name_of_token(name);
    if (id != HTTP_NAME_OTHER)
        name = http_name_text(id);
    if (is_trailer && (id == HTTP_NAME_CONTENT_LENGTH || id == HTTP_NAME_TRANSFER_ENCODING ||
                       id == HTTP_NAME_HOST))
        return refuse(parser, HTTP_CAUSE_TRAILER_FORBIDDEN);
    if (fields->count >= (is_trailer ? parser->limits->trailers : parser->limits->fields) ||
        http_fields_put(fields, id, name, between(lines, parser->mark_at, value_end)))
        return refuse(parser, is_trailer ? HTTP_CAUSE_TRAILER_LONG : HTTP_CAUSE_HEAD_FIELDS);
    return LINES_ON;
}

/* One field line, or the empty line that ends the section. */
static enum lines_outcome read_field(struct http_parser *parser, struct lines *lines)
{
    const bool is_trailer = parser->state == PARSER_TRAILERS;
    const uint32_t section_end = parser->section_at + (is_trailer ? parser->limits->trailer_bytes
                                                                  : parser->limits->head_bytes);
    const uint32_t stop = least(lines->end, section_end);
    const uint8_t *bytes = lines->bytes;
    uint32_t at = lines->at;

    if (parser->line == LINE_FIELD) {
        if (at >= stop)
            goto stopped;
        if (bytes[at] == '\r') {
            if (at + 1 == stop)
                goto stopped;
            if (bytes[at + 1] != '\n')
                return refuse(parser, HTTP_CAUSE_LINE_END);
            lines->at = at + 2;
            return LINES_COMPLETE;
        }
        if (is_white(bytes[at]))
            return refuse(parser, HTTP_CAUSE_FIELD_FOLDED);
        if (bytes[at] == '\n')
            return refuse(parser, HTTP_CAUSE_LINE_END);
        parser->line_at = at;
        parser_set_line(parser, LINE_NAME);
    }
    if (parser->line == LINE_NAME) {
        const uint32_t name_stop = parser->line_at + parser->limits->name_bytes;
        at = (uint32_t)token_run(bytes, at, least(stop, name_stop));
        if (at == name_stop)
            return refuse(parser, HTTP_CAUSE_FIELD_NAME_LONG);
        if (at == stop)
            goto stopped;
        if (bytes[at] != ':' || at == parser->line_at)
            return refuse(parser,
                          is_white(bytes[at]) ? HTTP_CAUSE_FIELD_SPACE : HTTP_CAUSE_FIELD_NAME);
        parser->name_end = at++;
        parser_set_line(parser, LINE_SPACE);
    }
    if (parser->line == LINE_SPACE) {
        while (at < stop && is_white(bytes[at]))
            at++;
        if (at == stop)
            goto stopped;
        parser->mark_at = at;
        parser_set_line(parser, LINE_VALUE);
    }
    at = (uint32_t)value_run(bytes, at, stop);
    if (at == stop)
        goto stopped;
    if (bytes[at] != '\r')
        return refuse(parser, bytes[at] == '\n' ? HTTP_CAUSE_LINE_END : HTTP_CAUSE_FIELD_VALUE);
    if (at + 1 == stop)
        goto stopped;
    if (bytes[at + 1] != '\n')
        return refuse(parser, HTTP_CAUSE_LINE_END);
    lines->at = at;
    if (add_field(parser, lines) == LINES_REFUSED)
        return LINES_REFUSED;
    lines->at += 2;
    return on(parser, LINE_FIELD);

stopped:
    lines->at = at;
    if (stop < section_end)
        return LINES_MORE;
    return refuse(parser, is_trailer ? HTTP_CAUSE_TRAILER_LONG : HTTP_CAUSE_HEAD_LONG);
}

enum lines_outcome http_parser_lines(struct http_parser *parser, const uint8_t *bytes, uint32_t end)
{
    struct lines lines = {bytes, parser->at, end};
    enum lines_outcome outcome = LINES_ON;
    while (outcome == LINES_ON) {
        switch ((enum line_state)parser->line) {
        case LINE_START:
            outcome = read_start(parser, &lines);
            break;
        case LINE_METHOD:
            outcome = read_method(parser, &lines);
            break;
        case LINE_TARGET:
            outcome = read_target(parser, &lines);
            break;
        case LINE_VERSION:
            outcome = read_version(parser, &lines);
            break;
        case LINE_STATUS:
            outcome = read_status(parser, &lines);
            break;
        case LINE_REASON:
            outcome = read_reason(parser, &lines);
            break;
        case LINE_FIELD:
        case LINE_NAME:
        case LINE_SPACE:
        case LINE_VALUE:
            outcome = read_field(parser, &lines);
            break;
        }
    }
    parser->at = lines.at;
    return outcome;
}
