/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames from the link back into a message (docs/protocol/message.md). The other end is a node of
 * ours and yet nothing is believed: what a broken or taken edge sends must not become two requests
 * at the origin.
 */
#include "http/fields.h"
#include "http/form.h"

#include "base/bytes.h"

#define FORM_STATE_LIST(X)                                        \
    X(HEADERS) /* before HEADERS, perhaps behind INFORMATIONAL */ \
    X(CONTENT) /* DATA, TRAILERS or END */                        \
    X(DATA)    /* within a DATA frame */                          \
    X(AFTER_TRAILERS)                                             \
    X(DONE)                                                       \
    X(FAILED)

enum form_state {
#define X(name) FORM_STATE_##name,
    FORM_STATE_LIST(X)
#undef X
};

struct frame {
    uint8_t type;
    uint32_t header_bytes;
    uint64_t length;
};

static void set_state(struct http_form_reader *reader, enum form_state state)
{
    reader->state = (uint8_t)state;
}

static enum http_event refuse(struct http_form_reader *reader, enum http_cause cause)
{
    reader->cause = cause;
    set_state(reader, FORM_STATE_FAILED);
    return HTTP_EVENT_ERROR;
}

static struct span read_text(struct reader *bytes)
{
    uint64_t length = read_varint(bytes);
    if (length > reader_left(bytes))
        bytes->failed = true;
    return bytes->failed ? (struct span){0} : read_span(bytes, (size_t)length);
}

static enum http_cause read_field(struct http_form_reader *reader, struct reader *bytes,
                                  struct http_fields *fields, bool is_trailer)
{
    uint8_t code = read_u8(bytes);
    enum http_name id = HTTP_NAME_OTHER;
    struct span name, value;
    if (code >= FORM_PAIR_FIRST) {
        if (!http_pair_at(code, &id, &value))
            return HTTP_CAUSE_FORM_CONTENT;
        name = http_name_text(id);
    } else {
        if (code == FORM_NAME_LITERAL) {
            name = read_text(bytes);
            if (bytes->failed)
                return HTTP_CAUSE_FORM_CONTENT;
            if (!http_is_token(name))
                return HTTP_CAUSE_FIELD_NAME;
            if (name.length > reader->limits->name_bytes)
                return HTTP_CAUSE_FIELD_NAME_LONG;
            id = http_name_of_token(name);
        } else {
            id = (enum http_name)code;
            name = http_name_text(id);
            if (!name.length)
                return HTTP_CAUSE_FORM_CONTENT;
        }
        value = read_text(bytes);
        if (!http_is_field_value(value))
            return HTTP_CAUSE_FIELD_VALUE;
    }
    bool is_te = id == HTTP_NAME_TE && span_equal_nocase(value, SPAN("trailers"));
    if (is_trailer ? !http_name_is_trailer(id)
                   : http_name_is_framing(id) || (http_name_is_hop_by_hop(id) && !is_te))
        return HTTP_CAUSE_FORM_FIELD;
    if (http_fields_put(fields, id, id == HTTP_NAME_OTHER ? name : http_name_text(id), value))
        return HTTP_CAUSE_HEAD_FIELDS;
    return HTTP_CAUSE_NONE;
}

static enum http_cause read_fields(struct http_form_reader *reader, struct reader *bytes,
                                   struct http_fields *fields, bool is_trailer)
{
    uint64_t count = read_varint(bytes);
    if (count > (is_trailer ? reader->limits->trailers
                            : (uint64_t)reader->limits->fields + FORM_FIELDS_EXTRA))
        return is_trailer ? HTTP_CAUSE_TRAILER_LONG : HTTP_CAUSE_HEAD_FIELDS;
    enum http_cause cause = HTTP_CAUSE_NONE;
    while (count-- && !cause && !bytes->failed)
        cause = read_field(reader, bytes, fields, is_trailer);
    if (!cause && (bytes->failed || reader_left(bytes)))
        cause = HTTP_CAUSE_FORM_CONTENT;
    return cause;
}

static enum http_cause read_opening(struct reader *bytes, uint8_t flags,
                                    struct http_opening *opening)
{
    *opening = (struct http_opening){0};
    opening->priority = read_u8(bytes);
    opening->edge_port = read_u16(bytes);
    opening->client.family = read_u8(bytes);
    if (opening->client.family != 4 && opening->client.family != 6)
        return HTTP_CAUSE_FORM_CONTENT;
    struct span address = read_span(bytes, address_bits(&opening->client) / 8);
    if (address.length)
        memcpy(opening->client.bytes, address.data, address.length);
    opening->client.port = read_u16(bytes);
    opening->site = read_text(bytes);
    opening->request_id = read_text(bytes);
    opening->is_https = flags & FORM_FLAG_HTTPS;
    if (flags & FORM_FLAG_GROUP) {
        opening->group = read_text(bytes);
        if (opening->group.length > HTTP_SITE_MOST || !http_is_token(opening->group))
            return HTTP_CAUSE_FORM_CONTENT;
    }
    if (bytes->failed || opening->site.length > HTTP_SITE_MOST ||
        opening->request_id.length > HTTP_REQUEST_ID_MOST || !http_is_token(opening->site) ||
        !http_is_token(opening->request_id))
        return HTTP_CAUSE_FORM_CONTENT;
    return HTTP_CAUSE_NONE;
}

static bool has_upper_case(struct span text)
{
    for (size_t i = 0; i < text.length; i++)
        if (ascii_lower(text.data[i]) != text.data[i])
            return true;
    return false;
}

static enum http_cause read_request_line(const struct http_limits *limits, struct reader *bytes,
                                         struct http_head *head)
{
    uint8_t method = read_u8(bytes);
    if (method >= HTTP_METHOD_COUNT)
        return HTTP_CAUSE_METHOD;
    head->method = (enum http_method)method;
    head->method_text =
        head->method == HTTP_METHOD_OTHER ? read_text(bytes) : http_method_text(head->method);
    head->host = read_text(bytes);
    head->port = read_u16(bytes);
    head->target = head->target_received = read_text(bytes);
    if (bytes->failed)
        return HTTP_CAUSE_FORM_CONTENT;
    if (head->method == HTTP_METHOD_OTHER && http_method_of(head->method_text) != HTTP_METHOD_OTHER)
        return HTTP_CAUSE_METHOD; /* a known one in disguise */
    if (head->host.length ? !http_is_host(head->host) || has_upper_case(head->host)
                          : head->port != 0)
        return HTTP_CAUSE_HOST_INVALID;
    if (head->target.length > limits->line_bytes)
        return HTTP_CAUSE_TARGET_LONG;
    if (!http_is_target(head->target))
        return HTTP_CAUSE_TARGET;
    return http_is_request_line(head) ? HTTP_CAUSE_NONE : HTTP_CAUSE_METHOD;
}

static enum http_cause read_status(struct http_form_reader *reader, struct reader *bytes,
                                   enum form_frame type)
{
    struct http_head *head = reader->head;
    head->status = read_u16(bytes);
    if (head->status < 100 || head->status > 599)
        return HTTP_CAUSE_STATUS_LINE;
    bool is_informational = head->status < 200 && head->status != 101;
    if (is_informational != (type == FORM_INFORMATIONAL) ||
        (head->status == 101) != head->upgrades || (head->status == 101 && !reader->asked_upgrade))
        return HTTP_CAUSE_STATUS_UNEXPECTED;
    if (is_informational && reader->informational++ == reader->limits->informational)
        return HTTP_CAUSE_INFORMATIONAL_MANY;
    head->reason = span_text(http_status_reason(head->status));
    return HTTP_CAUSE_NONE;
}

/* Which content the flags announce, and whether the message may have it. */
static enum http_cause settle_content(struct http_form_reader *reader, bool has_content)
{
    struct http_head *head = reader->head;
    bool may = head->status
                   ? http_status_has_body(head->status) && reader->asked_method != HTTP_METHOD_HEAD
                   : !head->upgrades;
    bool must = head->status && may;
    if ((has_content && !may) || (must && !has_content))
        return HTTP_CAUSE_FORM_BODY;
    if (head->has_length &&
        (head->status ? head->status < 200 || head->status == 204 : !has_content))
        return HTTP_CAUSE_FORM_BODY;
    if (has_content)
        head->body = head->has_length ? HTTP_BODY_LENGTH : HTTP_BODY_CHUNKED;
    if (head->status == 101)
        head->body = HTTP_BODY_TUNNEL;
    if (head->has_length && has_content && head->content_length > reader->limits->body_bytes)
        return HTTP_CAUSE_BODY_LONG;
    return HTTP_CAUSE_NONE;
}

static enum http_cause read_head(struct http_form_reader *reader, struct span payload,
                                 enum form_frame type)
{
    struct http_head *head = reader->head;
    struct reader bytes = reader_of(payload);
    http_head_init(head, reader->arena);
    if (read_u8(&bytes) != HTTP_FORM_VERSION)
        return HTTP_CAUSE_FORM_VERSION;
    uint8_t flags = read_u8(&bytes);
    if (flags & ~(FORM_FLAG_CONTENT | FORM_FLAG_LENGTH | FORM_FLAG_UPGRADE | FORM_FLAG_HTTP_1_0 |
                  (reader->opening ? FORM_FLAG_HTTPS | FORM_FLAG_GROUP : 0)))
        return HTTP_CAUSE_FORM_CONTENT;
    head->minor = !(flags & FORM_FLAG_HTTP_1_0);
    head->keeps_alive = true;
    head->upgrades = flags & FORM_FLAG_UPGRADE;
    head->has_length = flags & FORM_FLAG_LENGTH;
    enum http_cause cause;
    if (reader->opening) {
        cause = read_opening(&bytes, flags, reader->opening);
        if (!cause)
            cause = read_request_line(reader->limits, &bytes, head);
    } else {
        cause = read_status(reader, &bytes, type);
    }
    if (cause)
        return cause;
    if (head->has_length)
        head->content_length = read_varint(&bytes);
    if (head->upgrades) {
        head->upgrade_protocol = read_text(&bytes);
        if (!span_equal(head->upgrade_protocol, SPAN("websocket")))
            return HTTP_CAUSE_FORM_CONTENT;
    }
    cause = read_fields(reader, &bytes, &head->fields, false);
    if (!cause)
        cause = settle_content(reader, flags & FORM_FLAG_CONTENT);
    if (cause || head->status)
        return cause;
    const struct http_field *expect = http_fields_find(&head->fields, HTTP_NAME_EXPECT);
    if (expect && !span_equal_nocase(expect->value, SPAN("100-continue")))
        return HTTP_CAUSE_EXPECTATION;
    head->expects_continue = expect && http_has_content(head);
    if (head->upgrades && (head->method != HTTP_METHOD_GET || !head->minor))
        return HTTP_CAUSE_FORM_CONTENT;
    return HTTP_CAUSE_NONE;
}

/* The next frame's header, as far as it has come. */
static int peek_frame(const struct slice_queue *input, struct frame *frame)
{
    uint8_t header[FORM_FRAME_HEADER_MOST];
    size_t length = slice_queue_peek(input, 0, header, sizeof header);
    struct reader bytes = reader_of(span_of(header, length));
    frame->type = read_u8(&bytes);
    frame->length = read_varint(&bytes);
    frame->header_bytes = (uint32_t)(length - reader_left(&bytes));
    return bytes.failed ? ERROR_INCOMPLETE : 0;
}

static bool may_tell_times(const struct http_form_reader *reader, uint8_t type)
{
    return type == FORM_TIMES && !reader->opening && reader->times_frames < FORM_TIMES_FRAMES;
}

/* Whether a frame of that type may come now. */
static bool is_expected(const struct http_form_reader *reader, uint8_t type)
{
    switch ((enum form_state)reader->state) {
    case FORM_STATE_HEADERS:
        return type == FORM_HEADERS || (type == FORM_PACKED_HEADERS && reader->compressor) ||
               (type == FORM_INFORMATIONAL && !reader->opening) || may_tell_times(reader, type);
    case FORM_STATE_CONTENT:
        return type == FORM_DATA || type == FORM_END ||
               (type == FORM_PACKED && reader->compressor) ||
               (type == FORM_TRAILERS && reader->head->body == HTTP_BODY_CHUNKED) ||
               may_tell_times(reader, type);
    case FORM_STATE_AFTER_TRAILERS:
        return type == FORM_END || may_tell_times(reader, type);
    case FORM_STATE_DATA:
    case FORM_STATE_DONE:
    case FORM_STATE_FAILED:
        break;
    }
    return false;
}

/* So many bytes of content more. */
static enum http_cause count_content(struct http_form_reader *reader, uint64_t length)
{
    const struct http_head *head = reader->head;
    /* Behind a request that upgrades, what the client sends once the upgrade was accepted. */
    bool is_tunnel = head->upgrades;
    if (!length || length > UINT32_MAX)
        return HTTP_CAUSE_FORM_LENGTH;
    if (head->body == HTTP_BODY_NONE && !is_tunnel)
        return HTTP_CAUSE_FORM_BODY;
    if (head->body == HTTP_BODY_LENGTH && length > head->content_length - reader->body_bytes)
        return HTTP_CAUSE_FORM_BODY;
    if (!is_tunnel && length > reader->limits->body_bytes - reader->body_bytes)
        return HTTP_CAUSE_BODY_LONG;
    reader->body_bytes += length;
    return HTTP_CAUSE_NONE;
}

static enum http_event begin_data(struct http_form_reader *reader, uint64_t length)
{
    enum http_cause cause = count_content(reader, length);
    if (cause)
        return refuse(reader, cause);
    reader->left = (uint32_t)length;
    set_state(reader, FORM_STATE_DATA);
    return HTTP_EVENT_MORE;
}

/* One packed piece of content. What it will be is judged before it is unpacked. */
static enum http_event take_packed(struct http_form_reader *reader, struct slice_queue *input,
                                   const struct frame *frame, struct slice *data)
{
    uint8_t *scratch = compressor_scratch(reader->compressor);
    size_t length = (size_t)frame->length;
    slice_queue_consume(input, frame->header_bytes);
    slice_queue_peek(input, 0, scratch, length);
    slice_queue_consume(input, length);
    struct reader bytes = reader_of(span_of(scratch, length));
    uint8_t flags = read_u8(&bytes);
    uint64_t plain = read_varint(&bytes);
    struct span packed = span_of(bytes.at, reader_left(&bytes));
    if (bytes.failed || flags & ~FORM_PACKED_CONTINUES || plain > COMPRESS_PIECE_BYTES)
        return refuse(reader, HTTP_CAUSE_FORM_PACKED);
    enum http_cause cause = count_content(reader, plain);
    if (cause)
        return refuse(reader, cause);
    if (unpacker_take(&reader->unpacker, reader->compressor, packed, flags & FORM_PACKED_CONTINUES,
                      (uint32_t)plain, data) < 0)
        return refuse(reader, HTTP_CAUSE_FORM_PACKED);
    return HTTP_EVENT_DATA;
}

static enum http_event take_end(struct http_form_reader *reader, uint64_t length)
{
    const struct http_head *head = reader->head;
    if (length)
        return refuse(reader, HTTP_CAUSE_FORM_LENGTH);
    if (head->body == HTTP_BODY_LENGTH && reader->body_bytes != head->content_length)
        return refuse(reader, HTTP_CAUSE_FORM_BODY);
    set_state(reader, FORM_STATE_DONE);
    return HTTP_EVENT_END;
}

static enum http_event take_head(struct http_form_reader *reader, struct span payload,
                                 enum form_frame type)
{
    enum http_cause cause = read_head(reader, payload, type);
    if (cause)
        return refuse(reader, cause);
    if (type == FORM_HEADERS)
        set_state(reader, FORM_STATE_CONTENT);
    return HTTP_EVENT_HEAD;
}

static enum http_event take_trailers(struct http_form_reader *reader, struct span payload)
{
    struct reader bytes = reader_of(payload);
    enum http_cause cause = read_fields(reader, &bytes, &reader->trailers, true);
    if (cause)
        return refuse(reader, cause);
    set_state(reader, FORM_STATE_AFTER_TRAILERS);
    return reader->trailers.count ? HTTP_EVENT_TRAILERS : HTTP_EVENT_MORE;
}

/* What comes behind those that are known here was added later. */
static enum http_event take_times(struct http_form_reader *reader, struct slice_queue *input,
                                  const struct frame *frame)
{
    uint8_t payload[FORM_TIMES_BYTES];
    struct http_times *times = &reader->times;
    slice_queue_consume(input, frame->header_bytes);
    slice_queue_peek(input, 0, payload, (size_t)frame->length);
    slice_queue_consume(input, frame->length);
    struct reader bytes = reader_of(span_of(payload, (size_t)frame->length));
    *times = (struct http_times){0};
    while (reader_left(&bytes) && times->known < HTTP_TIME_COUNT)
        times->us[times->known++] = read_varint(&bytes);
    if (bytes.failed)
        return refuse(reader, HTTP_CAUSE_FORM_CONTENT);
    reader->times_frames++;
    return HTTP_EVENT_MORE;
}

/* The whole payload in the arena: spans into it live as long as the message. */
static struct span take_payload(struct http_form_reader *reader, struct slice_queue *input,
                                const struct frame *frame)
{
    size_t length = (size_t)frame->length;
    uint8_t *payload = arena_take(reader->arena, length);
    slice_queue_consume(input, frame->header_bytes);
    slice_queue_peek(input, 0, payload, length);
    slice_queue_consume(input, length);
    return span_of(payload, length);
}

/* What a PACKED_HEADERS frame stands for, in the arena. */
static enum http_event take_packed_head(struct http_form_reader *reader, struct span payload)
{
    struct reader bytes = reader_of(payload);
    uint64_t length = read_varint(&bytes);
    struct span packed = span_of(bytes.at, reader_left(&bytes));
    if (bytes.failed || !length || length > HTTP_FORM_HEAD_MOST)
        return refuse(reader, HTTP_CAUSE_FORM_PACKED);
    uint8_t *plain = arena_take(reader->arena, (size_t)length);
    if (compressor_unpack_head(reader->compressor, packed, plain, (size_t)length) < 0)
        return refuse(reader, HTTP_CAUSE_FORM_PACKED);
    return take_head(reader, span_of(plain, (size_t)length), FORM_HEADERS);
}

static enum http_event take_whole_frame(struct http_form_reader *reader, struct slice_queue *input,
                                        const struct frame *frame, struct slice *data)
{
    if (frame->type == FORM_PACKED)
        return take_packed(reader, input, frame, data);
    if (frame->type == FORM_TIMES)
        return take_times(reader, input, frame);
    struct span payload = take_payload(reader, input, frame);
    if (frame->type == FORM_PACKED_HEADERS)
        return take_packed_head(reader, payload);
    return frame->type == FORM_TRAILERS ? take_trailers(reader, payload)
                                        : take_head(reader, payload, (enum form_frame)frame->type);
}

/* One frame, or the header of a DATA frame; MORE also when it was used and nothing came of it. */
static enum http_event take_frame(struct http_form_reader *reader, struct slice_queue *input,
                                  struct slice *data, bool *is_short)
{
    struct frame frame;
    *is_short = peek_frame(input, &frame) != 0;
    if (*is_short)
        return HTTP_EVENT_MORE;
    if (!is_expected(reader, frame.type))
        return refuse(reader, HTTP_CAUSE_FORM_FRAME);
    if (frame.type == FORM_DATA || frame.type == FORM_END) {
        slice_queue_consume(input, frame.header_bytes);
        return frame.type == FORM_END ? take_end(reader, frame.length)
                                      : begin_data(reader, frame.length);
    }
    if (frame.length > (frame.type == FORM_TIMES ? FORM_TIMES_BYTES : HTTP_FORM_HEAD_MOST))
        return refuse(reader, HTTP_CAUSE_FORM_LENGTH);
    *is_short = input->bytes < frame.header_bytes + frame.length;
    if (*is_short)
        return HTTP_EVENT_MORE;
    return take_whole_frame(reader, input, &frame, data);
}

enum http_event http_form_reader_next(struct http_form_reader *reader, struct slice_queue *input,
                                      struct slice *data)
{
    *data = (struct slice){0};
    if (reader->state == FORM_STATE_DONE)
        return HTTP_EVENT_END;
    if (reader->state == FORM_STATE_FAILED)
        return HTTP_EVENT_ERROR;
    bool is_short = false;
    enum http_event event = HTTP_EVENT_MORE;
    while (event == HTTP_EVENT_MORE && !is_short && input->bytes) {
        if (reader->state != FORM_STATE_DATA) {
            event = take_frame(reader, input, data, &is_short);
            continue;
        }
        *data = slice_queue_pop(input, reader->left);
        reader->left -= data->length;
        if (!reader->left)
            set_state(reader, FORM_STATE_CONTENT);
        event = HTTP_EVENT_DATA;
    }
    return event;
}

enum http_event http_form_reader_finish(struct http_form_reader *reader)
{
    if (reader->state == FORM_STATE_DONE)
        return HTTP_EVENT_END;
    if (reader->state != FORM_STATE_FAILED)
        refuse(reader, HTTP_CAUSE_TRUNCATED);
    return HTTP_EVENT_ERROR;
}

static void start(struct http_form_reader *reader, const struct http_limits *limits,
                  struct http_opening *opening, struct http_head *head, struct arena *arena)
{
    http_head_init(head, arena);
    *reader = (struct http_form_reader){.limits = limits,
                                        .head = head,
                                        .opening = opening,
                                        .arena = arena,
                                        .trailers.arena = arena};
}

void http_form_reader_start_request(struct http_form_reader *reader,
                                    const struct http_limits *limits, struct http_opening *opening,
                                    struct http_head *head, struct arena *arena)
{
    start(reader, limits, opening, head, arena);
}

void http_form_reader_start_response(struct http_form_reader *reader,
                                     const struct http_limits *limits, struct http_head *head,
                                     struct arena *arena, enum http_method method, bool upgrade)
{
    start(reader, limits, NULL, head, arena);
    reader->asked_method = method;
    reader->asked_upgrade = upgrade;
}

void http_form_reader_unpack(struct http_form_reader *reader, struct compressor *compressor)
{
    reader->compressor = compressor;
}

void http_form_reader_clear(struct http_form_reader *reader)
{
    unpacker_clear(&reader->unpacker);
    reader->compressor = NULL;
}

void http_form_reader_move(struct http_form_reader *to, struct http_form_reader *from,
                           struct http_head *head, struct arena *arena)
{
    *head = *from->head;
    head->fields = (struct http_fields){.arena = arena};
    http_form_reader_clear(to);
    *to = *from;
    to->head = head;
    to->arena = arena;
    to->trailers = (struct http_fields){.arena = arena};
    from->unpacker = (struct unpacker){0};
    http_form_reader_clear(from);
}
