/* SPDX-License-Identifier: Apache-2.0
 *
 * A message into the frames that cross the link (docs/protocol/message.md).
 */
#include "http/fields.h"
#include "http/form.h"
#include "http/out.h"

/* What is written, for both passes. */
struct form {
    const struct http_opening *opening; /* NULL: response */
    const struct http_head *head;
    struct http_connection_options options;
};

static bool is_name(struct span text, size_t most)
{
    return text.length <= most && http_is_token(text);
}

static bool stays_behind(const struct http_connection_options *options,
                         const struct http_field *field)
{
    if (http_name_is_framing(field->id))
        return true;
    if (http_name_is_hop_by_hop(field->id))
        return field->id != HTTP_NAME_TE || !span_equal_nocase(field->value, SPAN("trailers"));
    return http_is_connection_option(options, field->name);
}

static void out_text(struct out *out, struct span text)
{
    out_varint(out, text.length);
    out_span(out, text);
}

static void out_field(struct out *out, const struct http_field *field)
{
    uint8_t pair = http_pair_of(field->id, field->value);
    if (pair) {
        out_byte(out, pair);
        return;
    }
    out_byte(out, (uint8_t)field->id);
    if (field->id == HTTP_NAME_OTHER)
        out_text(out, field->name);
    out_text(out, field->value);
}

static void out_fields(struct out *out, const struct form *form)
{
    const struct http_fields *fields = &form->head->fields;
    uint32_t count = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        count += !stays_behind(&form->options, &fields->list[i]);
    out_varint(out, count);
    for (uint32_t i = 0; i < fields->count; i++)
        if (!stays_behind(&form->options, &fields->list[i]))
            out_field(out, &fields->list[i]);
}

static uint8_t flags_of(const struct form *form)
{
    const struct http_head *head = form->head;
    bool has_content = head->body != HTTP_BODY_NONE && head->body != HTTP_BODY_TUNNEL;
    return (
        uint8_t)((has_content ? FORM_FLAG_CONTENT : 0) | (head->has_length ? FORM_FLAG_LENGTH : 0) |
                 (head->upgrades ? FORM_FLAG_UPGRADE : 0) | (head->minor ? 0 : FORM_FLAG_HTTP_1_0) |
                 (form->opening && form->opening->is_https ? FORM_FLAG_HTTPS : 0) |
                 (form->opening && form->opening->group.length ? FORM_FLAG_GROUP : 0));
}

static void out_opening(struct out *out, const struct http_opening *opening)
{
    out_byte(out, opening->priority);
    out_u16(out, opening->edge_port);
    out_byte(out, opening->client.family);
    out_span(out, span_of(opening->client.bytes, address_bits(&opening->client) / 8));
    out_u16(out, opening->client.port);
    out_text(out, opening->site);
    out_text(out, opening->request_id);
    if (opening->group.length)
        out_text(out, opening->group);
}

static void out_head(struct out *out, const struct form *form)
{
    const struct http_head *head = form->head;
    out_byte(out, HTTP_FORM_VERSION);
    out_byte(out, flags_of(form));
    if (form->opening) {
        out_opening(out, form->opening);
        out_byte(out, (uint8_t)head->method);
        if (head->method == HTTP_METHOD_OTHER)
            out_text(out, head->method_text);
        out_text(out, head->host);
        out_u16(out, head->port);
        out_text(out, head->target);
    } else {
        out_u16(out, head->status);
    }
    if (head->has_length)
        out_varint(out, head->content_length);
    if (head->upgrades)
        out_text(out, head->upgrade_protocol);
    out_fields(out, form);
}

static int write_head(struct slice_queue *queue, const struct form *form, enum form_frame type)
{
    struct out count = {0};
    out_head(&count, form);
    if (count.bytes > HTTP_FORM_HEAD_MOST)
        return ERROR_LIMIT;
    size_t bytes = 1 + varint_size(count.bytes) + count.bytes;
    struct out store = {slice_queue_extend(queue, (uint32_t)bytes), 0};
    out_byte(&store, (uint8_t)type);
    out_varint(&store, count.bytes);
    out_head(&store, form);
    return 0;
}

static int check_head(const struct http_head *head)
{
    if (head->has_length && head->content_length > VARINT_MAX)
        return ERROR_LIMIT;
    if ((head->body == HTTP_BODY_LENGTH && !head->has_length) ||
        ((head->body == HTTP_BODY_CHUNKED || head->body == HTTP_BODY_CLOSE) && head->has_length) ||
        (head->upgrades && !span_equal(head->upgrade_protocol, SPAN("websocket"))))
        return ERROR_INVALID;
    return http_fields_are_valid(&head->fields) ? 0 : ERROR_INVALID;
}

int http_form_write_request(struct slice_queue *out, const struct http_opening *opening,
                            const struct http_head *head)
{
    int result = check_head(head);
    if (result)
        return result;
    if (!is_name(opening->site, HTTP_SITE_MOST) ||
        !is_name(opening->request_id, HTTP_REQUEST_ID_MOST) ||
        (opening->group.length && !is_name(opening->group, HTTP_SITE_MOST)) ||
        (opening->client.family != 4 && opening->client.family != 6) ||
        !http_is_request_line(head) || (head->host.length && !http_is_host(head->host)) ||
        (head->body != HTTP_BODY_NONE && head->upgrades) ||
        head->has_length != (head->body == HTTP_BODY_LENGTH))
        return ERROR_INVALID;
    struct form form = {.opening = opening, .head = head};
    http_connection_options_read(&form.options, &head->fields);
    return write_head(out, &form, FORM_HEADERS);
}

int http_form_write_response(struct slice_queue *out, const struct http_head *head)
{
    int result = check_head(head);
    if (result)
        return result;
    if (head->status < 100 || head->status > 599 || (head->status == 101) != head->upgrades ||
        (!http_status_has_body(head->status) && head->body != HTTP_BODY_NONE &&
         head->body != HTTP_BODY_TUNNEL) ||
        ((head->status < 200 || head->status == 204) && head->has_length))
        return ERROR_INVALID;
    struct form form = {.head = head};
    http_connection_options_read(&form.options, &head->fields);
    bool is_informational = head->status < 200 && head->status != 101;
    return write_head(out, &form, is_informational ? FORM_INFORMATIONAL : FORM_HEADERS);
}

static void out_times(struct out *out, const struct http_times *times)
{
    for (uint8_t i = 0; i < times->known; i++)
        out_varint(out, times->us[i] < VARINT_MAX ? times->us[i] : VARINT_MAX);
}

void http_form_write_times(struct slice_queue *out, const struct http_times *times)
{
    struct out count = {0};
    out_times(&count, times);
    size_t bytes = 1 + varint_size(count.bytes) + count.bytes;
    struct out store = {slice_queue_extend(out, (uint32_t)bytes), 0};
    out_byte(&store, FORM_TIMES);
    out_varint(&store, count.bytes);
    out_times(&store, times);
}

void http_form_write_data(struct slice_queue *out, struct slice data)
{
    if (data.length) {
        uint8_t header[FORM_FRAME_HEADER_MOST] = {FORM_DATA};
        uint8_t *end = varint_store(header + 1, data.length);
        slice_queue_append(out, span_of(header, (size_t)(end - header)));
    }
    slice_queue_push(out, data); /* releases an empty one */
}

static void out_trailers(struct out *out, const struct http_fields *trailers)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < trailers->count; i++)
        count += http_name_is_trailer(trailers->list[i].id);
    out_varint(out, count);
    for (uint32_t i = 0; i < trailers->count; i++)
        if (http_name_is_trailer(trailers->list[i].id))
            out_field(out, &trailers->list[i]);
}

int http_form_write_trailers(struct slice_queue *out, const struct http_fields *trailers)
{
    if (!http_fields_are_valid(trailers))
        return ERROR_INVALID;
    struct out count = {0};
    out_trailers(&count, trailers);
    if (count.bytes > HTTP_FORM_HEAD_MOST)
        return ERROR_LIMIT;
    size_t bytes = 1 + varint_size(count.bytes) + count.bytes;
    struct out store = {slice_queue_extend(out, (uint32_t)bytes), 0};
    out_byte(&store, FORM_TRAILERS);
    out_varint(&store, count.bytes);
    out_trailers(&store, trailers);
    return 0;
}

void http_form_write_end(struct slice_queue *out)
{
    static const uint8_t end[] = {FORM_END, 0};
    slice_queue_append(out, span_of(end, sizeof end));
}
