/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests (RFC 9113 section 8): what HTTP/2 itself asks of their fields is checked here, strictly; what they mean is settled by
 * http/, as for HTTP/1.1. libnghttp2's own checks of messages are off: one place decides.
 *
 * A malformed request is a stream error (section 8.1.1) and nobody sees it. A request that is well-formed and refused, too large for
 * one, goes to the caller, who answers.
 */
#include "h2/private.h"

#include "base/text.h"

static void refuse(struct h2_stream *stream, enum http_cause cause)
{
    if (!stream->cause)
        stream->cause = cause;
}

static bool is_malformed(enum http_cause cause)
{
    return http_cause_status(cause) == 400;
}

/* ---- fields */

/* NULL: there is none of that name. By length first: every request has four of them. */
static struct span *pseudo_of(struct h2_pseudo *pseudo, struct span name)
{
    switch (name.length) {
    case sizeof ":path" - 1:
        return span_equal(name, SPAN(":path")) ? &pseudo->path : NULL;
    case sizeof ":method" - 1: /* and of ":scheme" */
        return span_equal(name, SPAN(":method"))   ? &pseudo->method
               : span_equal(name, SPAN(":scheme")) ? &pseudo->scheme
                                                   : NULL;
    case sizeof ":protocol" - 1:
        return span_equal(name, SPAN(":protocol")) ? &pseudo->protocol : NULL;
    case sizeof ":authority" - 1:
        return span_equal(name, SPAN(":authority")) ? &pseudo->authority : NULL;
    }
    return NULL;
}

static void take_pseudo(struct h2_stream *stream, struct span name, struct span value)
{
    struct span *taken = pseudo_of(&stream->pseudo, name);
    if (!taken || taken->data || stream->has_regular)
        refuse(stream, HTTP_CAUSE_PSEUDO_FIELD);
    else if (value.length > stream->session->settings.limits.line_bytes)
        refuse(stream, HTTP_CAUSE_TARGET_LONG);
    else
        *taken = arena_copy(&stream->arena, value);
}

/* RFC 9113 section 8.2.2. TE may say that trailers are welcome, nothing else. */
static bool is_of_connection(enum http_name id, struct span value)
{
    return id == HTTP_NAME_CONNECTION || id == HTTP_NAME_KEEP_ALIVE ||
           id == HTTP_NAME_PROXY_CONNECTION || id == HTTP_NAME_TRANSFER_ENCODING ||
           id == HTTP_NAME_UPGRADE ||
           (id == HTTP_NAME_TE && !span_equal_nocase(value, SPAN("trailers")));
}

static bool has_upper_case(struct span name)
{
    for (size_t i = 0; i < name.length; i++)
        if (ascii_lower(name.data[i]) != name.data[i])
            return true;
    return false;
}

static enum http_cause check_field(const struct http_limits *limits, enum http_name id,
                                   struct span name, struct span value)
{
    if (has_upper_case(name) || !http_is_token(name))
        return HTTP_CAUSE_FIELD_NAME;
    if (name.length >= limits->name_bytes)
        return HTTP_CAUSE_FIELD_NAME_LONG;
    if (!http_is_field_value(value))
        return HTTP_CAUSE_FIELD_VALUE;
    return is_of_connection(id, value) ? HTTP_CAUSE_FIELD_CONNECTION : HTTP_CAUSE_NONE;
}

/* Bytes that the field would take as a line. */
static uint32_t line_bytes(struct span name, struct span value)
{
    return (uint32_t)(name.length + value.length + SPAN(": \r\n").length);
}

/* Checked already: only to be copied. */
static int keep(struct h2_stream *stream, enum http_name id, struct span name, struct span value)
{
    struct arena *arena = &stream->arena;
    struct http_field field = {id == HTTP_NAME_OTHER ? arena_copy(arena, name) : http_name_text(id),
                               arena_copy(arena, value), id};
    return http_fields_borrow(&stream->head.fields, &field);
}

static void take_regular(struct h2_stream *stream, struct span name, struct span value)
{
    const struct http_limits *limits = &stream->session->settings.limits;
    enum http_name id = http_name_of(name);
    enum http_cause cause = check_field(limits, id, name, value);
    stream->has_regular = true;
    stream->head_bytes += line_bytes(name, value);
    if (!cause && stream->head_bytes + SPAN("\r\n").length > limits->head_bytes)
        cause = HTTP_CAUSE_HEAD_LONG;
    if (!cause && (stream->head.fields.count >= limits->fields || keep(stream, id, name, value)))
        cause = HTTP_CAUSE_HEAD_FIELDS;
    stream->cookies += id == HTTP_NAME_COOKIE;
    refuse(stream, cause);
}

static void take_trailer(struct h2_stream *stream, struct span name, struct span value)
{
    const struct http_limits *limits = &stream->session->settings.limits;
    enum http_name id = http_name_of(name);
    enum http_cause cause = check_field(limits, id, name, value);
    stream->head_bytes += line_bytes(name, value);
    if (name.length && name.data[0] == ':')
        cause = HTTP_CAUSE_PSEUDO_FIELD;
    else if (id == HTTP_NAME_CONTENT_LENGTH || id == HTTP_NAME_HOST)
        cause = HTTP_CAUSE_TRAILER_FORBIDDEN;
    if (!cause && (stream->head_bytes + SPAN("\r\n").length > limits->trailer_bytes ||
                   stream->trailers.count >= limits->trailers ||
                   http_fields_add_text(&stream->trailers, name, value)))
        cause = HTTP_CAUSE_TRAILER_LONG;
    refuse(stream, cause);
}

void h2_request_field(struct h2_stream *stream, struct span name, struct span value)
{
    const struct http_limits *limits = &stream->session->settings.limits;
    stream->decoded_bytes += name.length + value.length + SPAN(": \r\n").length;
    if (stream->decoded_bytes >
        H2_HEAD_BYTES_MOST * ((uint64_t)limits->head_bytes + limits->line_bytes)) {
        h2_session_fail(stream->session, H2_CAUSE_HEAD_BOMB);
        return;
    }
    if (stream->cause || stream->request > H2_REQUEST_CONTENT)
        return;
    if (stream->request == H2_REQUEST_CONTENT)
        take_trailer(stream, name, value);
    else if (name.length && name.data[0] == ':')
        take_pseudo(stream, name, value);
    else
        take_regular(stream, name, value);
}

/* ---- the head */

/* Section 8.3.1: an authority and a Host say the same. Host goes where HTTP/1.1 has it, to be settled like any other. */
static enum http_cause settle_host(struct h2_stream *stream)
{
    struct http_fields *fields = &stream->head.fields;
    struct span authority = stream->pseudo.authority, name, other;
    uint16_t port, other_port;
    const struct http_field *host = http_fields_find(fields, HTTP_NAME_HOST);
    if (!authority.data)
        return HTTP_CAUSE_NONE; /* settled by Host, or missing */
    if (!host) {
        int result = http_fields_add(fields, HTTP_NAME_HOST, authority);
        return result == 0               ? HTTP_CAUSE_NONE
               : result == ERROR_INVALID ? HTTP_CAUSE_HOST_INVALID
                                         : HTTP_CAUSE_HEAD_FIELDS;
    }
    if (http_host_parse(authority, &stream->arena, &name, &port) ||
        http_host_parse(host->value, &stream->arena, &other, &other_port))
        return HTTP_CAUSE_HOST_INVALID;
    return span_equal(name, other) && port == other_port ? HTTP_CAUSE_NONE
                                                         : HTTP_CAUSE_HOST_DIFFERS;
}

/* Section 8.2.3: they were cut for the sake of compression. */
static enum http_cause join_cookies(struct h2_stream *stream)
{
    struct http_fields *fields = &stream->head.fields;
    size_t length = 0;
    if (stream->cookies < 2)
        return HTTP_CAUSE_NONE;
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->list[i].id == HTTP_NAME_COOKIE)
            length += fields->list[i].value.length + 2;
    uint8_t *joined = arena_take(&stream->arena, length), *at = joined;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span crumb = fields->list[i].value;
        if (fields->list[i].id != HTTP_NAME_COOKIE || !crumb.length)
            continue;
        if (at > joined) {
            *at++ = ';';
            *at++ = ' ';
        }
        at = (uint8_t *)memcpy(at, crumb.data, crumb.length) + crumb.length;
    }
    return http_fields_set(fields, HTTP_NAME_COOKIE, span_of(joined, (size_t)(at - joined)))
               ? HTTP_CAUSE_FIELD_VALUE
               : HTTP_CAUSE_NONE;
}

enum { WEBSOCKET_KEY_BYTES = 16 };

/* RFC 8441 section 5 made an HTTP/1.1 request again (RFC 6455 section 4.1): an origin that knows only that must understand it. */
static enum http_cause settle_websocket(struct h2_stream *stream)
{
    struct http_head *head = &stream->head;
    uint64_t bits[2] = {random_u64(stream->session->random), random_u64(stream->session->random)};
    struct text key = {0};
    text_add_base64(&key, span_of(bits, WEBSOCKET_KEY_BYTES));
    int result =
        http_fields_set(&head->fields, HTTP_NAME_SEC_WEBSOCKET_KEY, span_of(key.data, key.length));
    text_clear(&key);
    if (result || http_fields_has(&head->fields, HTTP_NAME_CONTENT_LENGTH))
        return HTTP_CAUSE_LENGTH_INVALID;
    enum http_cause cause = http_request_settle(head, &stream->session->settings.limits,
                                                SPAN("GET"), stream->pseudo.path, false);
    head->upgrades = true;
    head->upgrade_protocol = SPAN("websocket");
    return cause;
}

static bool is_scheme(struct span scheme)
{
    return span_equal_nocase(scheme, SPAN("https")) || span_equal_nocase(scheme, SPAN("http"));
}

static enum http_cause settle_connect(struct h2_stream *stream, bool *is_websocket)
{
    const struct h2_pseudo *pseudo = &stream->pseudo;
    if (!pseudo->authority.data)
        return HTTP_CAUSE_PSEUDO_FIELD;
    if (!pseudo->protocol.data) /* RFC 9113 section 8.5 */
        return pseudo->scheme.data || pseudo->path.data ? HTTP_CAUSE_PSEUDO_FIELD
                                                        : HTTP_CAUSE_METHOD_CONNECT;
    if (!pseudo->scheme.data || !pseudo->path.data || !stream->session->settings.websocket)
        return HTTP_CAUSE_PSEUDO_FIELD;
    *is_websocket = true;
    return span_equal(pseudo->protocol, SPAN("websocket")) ? HTTP_CAUSE_NONE
                                                           : HTTP_CAUSE_METHOD_CONNECT;
}

static enum http_cause settle(struct h2_stream *stream, bool ends)
{
    const struct h2_pseudo *pseudo = &stream->pseudo;
    const struct http_head *head = &stream->head;
    bool is_websocket = false;
    enum http_cause cause = HTTP_CAUSE_NONE;
    if (span_equal(pseudo->method, SPAN("CONNECT")))
        cause = settle_connect(stream, &is_websocket);
    else if (!pseudo->method.data || !pseudo->scheme.data || !pseudo->path.data ||
             pseudo->protocol.data)
        cause = HTTP_CAUSE_PSEUDO_FIELD;
    if (!cause && !is_scheme(pseudo->scheme))
        cause = HTTP_CAUSE_PSEUDO_FIELD;
    if (!cause)
        cause = settle_host(stream);
    if (!cause)
        cause = join_cookies(stream);
    if (!cause)
        cause = is_websocket ? settle_websocket(stream)
                             : http_request_settle(&stream->head, &stream->session->settings.limits,
                                                   pseudo->method, pseudo->path, !ends);
    if (!cause && ends && head->body == HTTP_BODY_LENGTH && head->content_length)
        cause = HTTP_CAUSE_LENGTH_DIFFERS;
    return cause;
}

/* ---- events */

static void refuse_stream(struct h2_stream *stream, enum http_cause cause)
{
    struct h2_session *session = stream->session;
    stream->cause = cause;
    if (!is_malformed(cause)) {
        h2_stream_set_request(stream, H2_REQUEST_REFUSED);
        session->events->on_refused(session->context, stream, &stream->head, cause);
        return;
    }
    bool was_known = h2_stream_is_known(stream);
    if (stream->request == H2_REQUEST_HEAD || !was_known)
        h2_stream_set_request(stream, H2_REQUEST_GONE);
    else
        h2_stream_set_request(stream, H2_REQUEST_REFUSED);
    session->events->on_refused(session->context, NULL, &stream->head, cause);
    h2_stream_submit_reset(stream, NGHTTP2_PROTOCOL_ERROR);
    h2_flood_take(session, H2_RATE_ERRORS);
}

/* RFC 9218 section 7: what a frame said goes before the field, also when it came first. */
static void settle_priority(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;
    const struct http_field *field = http_fields_find(&stream->head.fields, HTTP_NAME_PRIORITY);
    if (field)
        stream->priority = http_priority_read(field->value);
    for (size_t i = 0; i < H2_EARLY_PRIORITIES; i++)
        if (session->early[i].stream == (uint32_t)stream->id)
            stream->priority = session->early[i].priority;
    const struct http_priority usual = HTTP_PRIORITY_DEFAULT; /* libnghttp2's, too */
    if (stream->priority.urgency == usual.urgency &&
        stream->priority.incremental == usual.incremental)
        return;
    nghttp2_extpri priority = {stream->priority.urgency, stream->priority.incremental};
    nghttp2_session_change_extpri_stream_priority(session->nghttp2, stream->id, &priority, 0);
}

void h2_request_head(struct h2_stream *stream, bool ends)
{
    struct h2_session *session = stream->session;
    stream->request_ended = ends;
    enum http_cause cause = stream->cause ? stream->cause : settle(stream, ends);
    if (cause) {
        refuse_stream(stream, cause);
        return;
    }
    settle_priority(stream);
    h2_stream_set_request(stream, stream->head.upgrades ? H2_REQUEST_WAITING : H2_REQUEST_CONTENT);
    session->requests++;
    session->events->on_head(session->context, stream, &stream->head);
    if (ends)
        h2_request_end(stream);
}

void h2_request_trailers(struct h2_stream *stream, bool ends)
{
    stream->request_ended = ends;
    if (stream->request == H2_REQUEST_WAITING)
        stream->cause = HTTP_CAUSE_TRAILER_FORBIDDEN; /* a tunnel has none: RFC 9113 section 8.5 */
    else if (stream->request != H2_REQUEST_CONTENT)
        return;
    else if (!ends)
        stream->cause = HTTP_CAUSE_TRAILER_FORBIDDEN; /* section 8.1 */
    if (stream->cause || stream->is_tunnel)
        refuse_stream(stream, stream->cause ? stream->cause : HTTP_CAUSE_TRAILER_FORBIDDEN);
    else
        h2_request_end(stream);
}

static enum http_cause check_length(const struct h2_stream *stream, uint64_t bytes)
{
    const struct http_head *head = &stream->head;
    if (stream->is_tunnel || head->upgrades)
        return HTTP_CAUSE_NONE;
    if (head->has_length && bytes > head->content_length)
        return HTTP_CAUSE_LENGTH_DIFFERS;
    return bytes > stream->session->settings.limits.body_bytes ? HTTP_CAUSE_BODY_LONG
                                                               : HTTP_CAUSE_NONE;
}

void h2_request_data(struct h2_stream *stream, struct slice data)
{
    struct h2_session *session = stream->session;
    bool is_wanted = stream->request == H2_REQUEST_CONTENT || stream->request == H2_REQUEST_WAITING;
    stream->owed += data.length;
    if (is_wanted) {
        stream->body_bytes += data.length;
        enum http_cause cause = check_length(stream, stream->body_bytes);
        if (cause) {
            refuse_stream(stream, cause);
            is_wanted = false;
        }
    }
    if (!is_wanted) {
        h2_stream_consume(stream, data.length);
        slice_release(&data);
    } else if (stream->request == H2_REQUEST_WAITING) {
        slice_queue_push(&stream->held, data);
    } else {
        session->events->on_data(session->context, stream, data);
    }
}

void h2_request_end(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;
    const struct http_head *head = &stream->head;
    stream->request_ended = true;
    if (stream->request != H2_REQUEST_CONTENT)
        return; /* a tunnel that waits ends when it is accepted */
    if (!head->upgrades && head->has_length && stream->body_bytes != head->content_length) {
        refuse_stream(stream, HTTP_CAUSE_LENGTH_DIFFERS);
        return;
    }
    h2_stream_set_request(stream, H2_REQUEST_WHOLE);
    session->events->on_end(session->context, stream,
                            stream->trailers.count ? &stream->trailers : NULL);
}

void h2_request_tunnel(struct h2_stream *stream)
{
    struct h2_session *session = stream->session;
    stream->is_tunnel = true;
    h2_stream_set_request(stream, H2_REQUEST_CONTENT);
    while (stream->held.count && stream->request == H2_REQUEST_CONTENT)
        session->events->on_data(session->context, stream,
                                 slice_queue_pop(&stream->held, UINT32_MAX));
    if (stream->request_ended)
        h2_request_end(stream);
}
