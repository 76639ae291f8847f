/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.1 heads and chunked content, written (RFC 9112). Framing and connection fields are made
 * here and nowhere else, and whatever could be read in another way than it was meant is refused.
 */
#include "http/chars.h"
#include "http/fields.h"
#include "http/out.h"

static void out_field(struct out *out, struct span name, struct span value)
{
    const size_t bytes = name.length + SPAN(": \r\n").length + value.length;
    uint8_t *at = out->at;
    out->bytes += bytes;
    if (!at)
        return;
    memcpy(at, name.data, name.length);
    memcpy(at + name.length, ": ", 2);
    if (value.length)
        memcpy(at + name.length + 2, value.data, value.length);
    memcpy(at + bytes - 2, "\r\n", 2);
    out->at = at + bytes;
}

static void out_fields(struct out *out, const struct http_fields *fields)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->list[i];
        if (!http_name_is_framing(field->id))
            out_field(out, http_field_name(field), field->value);
    }
}

static void out_length(struct out *out, uint64_t length)
{
    out_span(out, SPAN("Content-Length: "));
    out_decimal(out, length);
    out_span(out, SPAN("\r\n"));
}

static struct span method_of(const struct http_head *head)
{
    return head->method == HTTP_METHOD_OTHER ? head->method_text : http_method_text(head->method);
}

bool http_is_request_line(const struct http_head *head)
{
    struct span method = method_of(head);
    return http_is_token(method) && method.length < HTTP_METHOD_MOST &&
           head->method != HTTP_METHOD_CONNECT &&
           (head->method != HTTP_METHOD_OTHER || http_method_of(method) == HTTP_METHOD_OTHER) &&
           http_is_target(head->target) &&
           (head->target.data[0] == '/' || head->method == HTTP_METHOD_OPTIONS);
}

static bool is_request_valid(const struct http_head *head)
{
    const struct http_field *expect = http_fields_find(&head->fields, HTTP_NAME_EXPECT);
    if (expect && !span_equal_nocase(expect->value, SPAN("100-continue")))
        return false;
    if (head->upgrades && (head->method != HTTP_METHOD_GET || head->body != HTTP_BODY_NONE ||
                           !span_equal(head->upgrade_protocol, SPAN("websocket"))))
        return false;
    if (head->body == HTTP_BODY_CLOSE || head->body == HTTP_BODY_TUNNEL)
        return false;
    return http_is_request_line(head) && http_is_host(head->host) &&
           http_fields_are_valid(&head->fields);
}

static void out_request(struct out *out, const struct http_head *head)
{
    out_span(out, method_of(head));
    out_byte(out, ' ');
    out_span(out, head->target);
    out_span(out, SPAN(" HTTP/1.1\r\nHost: "));
    out_span(out, head->host);
    if (head->port) {
        out_byte(out, ':');
        out_decimal(out, head->port);
    }
    out_span(out, SPAN("\r\n"));
    out_fields(out, &head->fields);
    if (head->body == HTTP_BODY_CHUNKED)
        out_span(out, SPAN("Transfer-Encoding: chunked\r\n"));
    else if (head->body == HTTP_BODY_LENGTH)
        out_length(out, head->content_length);
    else if (head->method == HTTP_METHOD_POST || head->method == HTTP_METHOD_PUT ||
             head->method == HTTP_METHOD_PATCH)
        out_length(out, 0); /* RFC 9110 section 8.6: these are expected to have content */

    /* TE concerns the next hop only, and says so (RFC 9110 section 10.1.4). */
    bool has_te = http_fields_has(&head->fields, HTTP_NAME_TE);
    if (head->upgrades)
        out_span(out, SPAN("Upgrade: websocket\r\n"));
    if (head->upgrades)
        out_span(out,
                 has_te ? SPAN("Connection: Upgrade, TE\r\n") : SPAN("Connection: Upgrade\r\n"));
    else if (!head->keeps_alive)
        out_span(out, has_te ? SPAN("Connection: close, TE\r\n") : SPAN("Connection: close\r\n"));
    else if (has_te)
        out_span(out, SPAN("Connection: TE\r\n"));
    out_span(out, SPAN("\r\n"));
}

static bool is_informational(const struct http_head *head)
{
    return head->status < 200 && head->status != 101;
}

static bool is_response_valid(const struct http_head *head)
{
    if (head->status < 100 || head->status > 599 || !http_fields_are_valid(&head->fields))
        return false;
    if (head->status == 101)
        return head->minor && head->upgrades && head->body == HTTP_BODY_TUNNEL &&
               span_equal(head->upgrade_protocol, SPAN("websocket"));
    if (head->upgrades || head->body == HTTP_BODY_TUNNEL)
        return false;
    if (is_informational(head) && !head->minor)
        return false; /* HTTP/1.0 knows none */
    if (!http_status_has_body(head->status) && head->body != HTTP_BODY_NONE)
        return false;
    if (head->body == HTTP_BODY_CLOSE && head->keeps_alive)
        return false;
    return head->body != HTTP_BODY_CHUNKED || head->minor;
}

static void out_response(struct out *out, const struct http_head *head)
{
    out_span(out, SPAN("HTTP/1.1 "));
    out_decimal(out, head->status);
    out_byte(out, ' ');
    out_span(out, span_text(http_status_reason(head->status)));
    out_span(out, SPAN("\r\n"));
    out_fields(out, &head->fields);
    if (head->body == HTTP_BODY_CHUNKED)
        out_span(out, SPAN("Transfer-Encoding: chunked\r\n"));
    else if (head->body == HTTP_BODY_LENGTH || (head->body == HTTP_BODY_NONE && head->has_length &&
                                                head->status != 204 && head->status >= 200))
        out_length(out, head->content_length);
    if (head->status == 101)
        out_span(out, SPAN("Upgrade: websocket\r\nConnection: Upgrade\r\n"));
    else if (!is_informational(head) && !head->keeps_alive)
        out_span(out, SPAN("Connection: close\r\n"));
    else if (!is_informational(head) && !head->minor)
        out_span(out, SPAN("Connection: keep-alive\r\n"));
    out_span(out, SPAN("\r\n"));
}

static int write_head(struct slice_queue *queue, const struct http_head *head,
                      void (*write)(struct out *out, const struct http_head *head))
{
    struct out count = {0};
    write(&count, head);
    if (count.bytes > HTTP_HEAD_MOST)
        return ERROR_LIMIT;
    struct out store = {slice_queue_extend(queue, (uint32_t)count.bytes), 0};
    write(&store, head);
    return 0;
}

int http_write_request(struct slice_queue *out, const struct http_head *head)
{
    return is_request_valid(head) ? write_head(out, head, out_request) : ERROR_INVALID;
}

/* What an answer's head can have beside its fields: the line, three fields of ours, the empty line. */
enum { BESIDES_FIELDS = 256 };

static size_t response_bytes_most(const struct http_head *head)
{
    size_t bytes = BESIDES_FIELDS;
    for (uint32_t i = 0; i < head->fields.count; i++) {
        const struct http_field *field = &head->fields.list[i];
        bytes += http_field_name(field).length + SPAN(": \r\n").length + field->value.length;
    }
    return bytes;
}

/* Answers are written more often than all else: straight into room that is enough, and what is left of that is given back. */
int http_write_response(struct slice_queue *out, const struct http_head *head)
{
    if (!is_response_valid(head))
        return ERROR_INVALID;
    size_t most = response_bytes_most(head);
    if (most > HTTP_HEAD_MOST)
        return ERROR_LIMIT;
    struct out store = {slice_queue_extend(out, (uint32_t)most), 0};
    out_response(&store, head);
    INVARIANT(store.bytes <= most);
    slice_queue_trim(out, (uint32_t)(most - store.bytes));
    return 0;
}

void http_response_frame(struct http_head *response, const struct http_head *request)
{
    response->minor = request->minor;
    response->keeps_alive = request->keeps_alive;
    if (response->status == 101) {
        response->body = HTTP_BODY_TUNNEL;
        response->keeps_alive = false;
    } else if (request->method == HTTP_METHOD_HEAD || !http_status_has_body(response->status)) {
        response->body = HTTP_BODY_NONE;
    } else if (response->has_length) {
        response->body = HTTP_BODY_LENGTH;
    } else if (response->body == HTTP_BODY_NONE) {
        response->body = HTTP_BODY_LENGTH;
        response->has_length = true;
        response->content_length = 0;
    } else if (request->minor) {
        response->body = HTTP_BODY_CHUNKED;
    } else {
        response->body = HTTP_BODY_CLOSE;
        response->keeps_alive = false;
    }
}

void http_write_chunk(struct slice_queue *out, struct slice data)
{
    if (!data.length) {
        slice_release(&data); /* an empty chunk would end the content */
        return;
    }
    static const char digits[] = "0123456789abcdef";
    uint8_t line[10], *at = line + sizeof line;
    *--at = '\n';
    *--at = '\r';
    for (uint32_t left = data.length; left; left >>= 4)
        *--at = (uint8_t)digits[left & 15];
    slice_queue_append(out, span_of(at, (size_t)(line + sizeof line - at)));
    slice_queue_push(out, data);
    slice_queue_append(out, SPAN("\r\n"));
}

int http_write_last_chunk(struct slice_queue *out, const struct http_fields *trailers)
{
    if (trailers && !http_fields_are_valid(trailers))
        return ERROR_INVALID;
    slice_queue_append(out, SPAN("0\r\n"));
    for (uint32_t i = 0; trailers && i < trailers->count; i++) {
        const struct http_field *field = &trailers->list[i];
        if (!http_name_is_trailer(field->id))
            continue;
        slice_queue_append(out, field->name);
        slice_queue_append(out, SPAN(": "));
        slice_queue_append(out, field->value);
        slice_queue_append(out, SPAN("\r\n"));
    }
    slice_queue_append(out, SPAN("\r\n"));
    return 0;
}
