/* SPDX-License-Identifier: Apache-2.0
 *
 * The short page that tells a visitor why there is no answer: status, cause, request id, nothing of
 * the inside.
 */
#include "base/text.h"
#include "http/fields.h"

static void add_escaped(struct text *page, struct span part)
{
    for (size_t i = 0; i < part.length; i++) {
        switch (part.data[i]) {
        case '<':
            text_add(page, "&lt;");
            break;
        case '>':
            text_add(page, "&gt;");
            break;
        case '&':
            text_add(page, "&amp;");
            break;
        case '"':
            text_add(page, "&quot;");
            break;
        default:
            text_add_span(page, span_of(part.data + i, 1));
        }
    }
}

static bool accepts(const struct http_fields *fields, struct span type)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->list[i].id != HTTP_NAME_ACCEPT)
            continue;
        struct span rest = fields->list[i].value, element;
        while (http_list_next(&rest, &element))
            if (span_equal_nocase(span_trim(span_of(element.data, span_find(element, ';'))), type))
                return true;
    }
    return false;
}

static void write_plain(struct text *page, unsigned status, struct span cause, struct span id)
{
    text_add_format(page, "%u %s\n", status, http_status_reason(status));
    text_add_format(page, "%.*s\n", SPAN_ARGS(cause));
    if (id.length)
        text_add_format(page, "Request %.*s\n", SPAN_ARGS(id));
}

static void write_html(struct text *page, unsigned status, struct span cause, struct span id)
{
    const char *reason = http_status_reason(status);
    text_add_format(page,
                    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                    "<title>%u %s</title></head>\n<body><h1>%u %s</h1>\n<p>",
                    status, reason, status, reason);
    add_escaped(page, cause);
    text_add(page, "</p>\n");
    if (id.length) {
        text_add(page, "<p><small>Request ");
        add_escaped(page, id);
        text_add(page, "</small></p>\n");
    }
    text_add(page, "</body></html>\n");
}

static void set(struct http_fields *fields, enum http_name id, struct span value)
{
    if (http_fields_set(fields, id, value))
        INVARIANT(!"a constant field is valid");
}

struct span http_error_page(struct http_head *head, const struct http_head *request,
                            unsigned status, struct span cause, struct span request_id)
{
    struct arena *arena = head->fields.arena;
    bool is_plain = request && accepts(&request->fields, SPAN("text/plain")) &&
                    !accepts(&request->fields, SPAN("text/html"));
    struct text page = {0};
    (is_plain ? write_plain : write_html)(&page, status, cause, request_id);
    struct span bytes = arena_copy(arena, text_span(&page));
    text_clear(&page);

    http_head_init(head, arena);
    head->status = (uint16_t)status;
    head->minor = 1;
    head->keeps_alive = true;
    head->body = HTTP_BODY_LENGTH;
    head->has_length = true;
    head->content_length = bytes.length;
    set(&head->fields, HTTP_NAME_CONTENT_TYPE,
        is_plain ? SPAN("text/plain; charset=utf-8") : SPAN("text/html; charset=utf-8"));
    set(&head->fields, HTTP_NAME_CACHE_CONTROL, SPAN("no-store"));
    return bytes;
}
