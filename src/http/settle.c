/* SPDX-License-Identifier: Apache-2.0
 *
 * What a complete head means: where the request goes (RFC 9112 section 3), how the content is
 * delimited (section 6), whether the connection stays (section 9) or becomes something else.
 * Whatever two implementations might read in two ways is refused here: that is how requests are
 * smuggled.
 */
#include "http/chars.h"
#include "http/fields.h"
#include "http/parser.h"

/* What the framing and connection fields say, gathered in one walk. */
struct framing {
    bool has_length, has_coding, is_chunked;
    bool says_close, says_keep_alive, says_upgrade;
    uint64_t length;
    uint32_t hosts, options;
    struct span host, upgrade;
};

static enum http_cause read_length(struct framing *framing, struct span value)
{
    /* Even an equal second one is refused, as is "5, 5": no client of good will sends it. */
    if (framing->has_length)
        return HTTP_CAUSE_LENGTH_DUPLICATE;
    framing->has_length = true;
    switch (span_number(value, &framing->length)) {
    case 0:
        return HTTP_CAUSE_NONE;
    case ERROR_LIMIT:
        return HTTP_CAUSE_BODY_LONG;
    default:
        return HTTP_CAUSE_LENGTH_INVALID;
    }
}

/* "chunked" alone is understood. It must be the last, and once (RFC 9112 section 6.1). Empty elements are allowed in lists (RFC 9110 section
 * 5.6.1), but there are parsers to which "chunked," is another coding, whose content ends elsewhere: not here. */
static enum http_cause read_coding(struct framing *framing, struct span value)
{
    struct span element, whole = value;
    bool any = false, unknown = false;
    framing->has_coding = true;
    while (http_list_next(&value, &element)) {
        any = true;
        if (framing->is_chunked)
            return HTTP_CAUSE_CODING_INVALID;
        if (span_equal_nocase(element, SPAN("chunked")))
            framing->is_chunked = true;
        else if (http_is_token(span_of(element.data, span_find(element, ';'))))
            unknown = true;
        else
            return HTTP_CAUSE_CODING_INVALID;
    }
    if (!any || (!unknown && !span_equal_nocase(whole, SPAN("chunked"))))
        return HTTP_CAUSE_CODING_INVALID;
    return unknown ? HTTP_CAUSE_CODING_UNKNOWN : HTTP_CAUSE_NONE;
}

static enum http_cause read_connection(struct framing *framing, struct span value)
{
    struct span element;
    while (http_list_next(&value, &element)) {
        if (!http_is_token(element) || framing->options++ == HTTP_CONNECTION_OPTIONS_MOST)
            return HTTP_CAUSE_CONNECTION_INVALID;
        framing->says_close |= span_equal_nocase(element, SPAN("close"));
        framing->says_keep_alive |= span_equal_nocase(element, SPAN("keep-alive"));
        framing->says_upgrade |= span_equal_nocase(element, SPAN("upgrade"));
    }
    return HTTP_CAUSE_NONE;
}

static enum http_cause read_fields(const struct http_fields *fields, struct framing *framing)
{
    enum http_cause cause = HTTP_CAUSE_NONE;
    for (uint32_t i = 0; i < fields->count && !cause; i++) {
        const struct http_field *field = &fields->list[i];
        if (field->id == HTTP_NAME_HOST) {
            framing->host = field->value;
            if (framing->hosts++)
                cause = HTTP_CAUSE_HOST_DUPLICATE;
        } else if (field->id == HTTP_NAME_CONTENT_LENGTH) {
            cause = read_length(framing, field->value);
        } else if (field->id == HTTP_NAME_TRANSFER_ENCODING) {
            cause = read_coding(framing, field->value);
        } else if (field->id == HTTP_NAME_CONNECTION) {
            cause = read_connection(framing, field->value);
        } else if (field->id == HTTP_NAME_UPGRADE) {
            framing->upgrade = field->value;
        }
    }
    if (!cause && framing->has_coding && framing->has_length)
        cause = HTTP_CAUSE_LENGTH_AND_CODING;
    return cause;
}

static enum http_cause check_coding(const struct http_head *head, const struct framing *framing)
{
    return framing->has_coding && head->minor == 0 ? HTTP_CAUSE_CODING_VERSION : HTTP_CAUSE_NONE;
}

static bool stays_open(const struct http_head *head, const struct framing *framing)
{
    return !framing->says_close && (head->minor == 1 || framing->says_keep_alive);
}

/* Only WebSocket is carried: upgrading to h2c behind an intermediary is a way around its rules. */
static bool is_upgrade(const struct http_head *head, const struct framing *framing)
{
    return head->minor == 1 && framing->says_upgrade &&
           span_equal_nocase(framing->upgrade, SPAN("websocket"));
}

static bool starts_nocase(struct span text, struct span prefix)
{
    return text.length >= prefix.length &&
           span_equal_nocase(span_of(text.data, prefix.length), prefix);
}

/* "http://host:port/path?query": RFC 9112 section 3.2.2, the target's authority replaces Host. */
static enum http_cause settle_absolute(struct http_head *head, struct span rest)
{
    size_t end = 0;
    while (end < rest.length && rest.data[end] != '/' && rest.data[end] != '?')
        end++;
    struct arena *arena = head->fields.arena;
    if (http_host_parse(span_of(rest.data, end), arena, &head->host, &head->port))
        return HTTP_CAUSE_HOST_INVALID;
    head->target = span_from(rest, end);
    if (!head->target.length) {
        head->target = head->method == HTTP_METHOD_OPTIONS ? SPAN("*") : SPAN("/");
    } else if (head->target.data[0] == '?') {
        uint8_t *path = arena_take(arena, head->target.length + 1);
        path[0] = '/';
        memcpy(path + 1, head->target.data, head->target.length);
        head->target = span_of(path, head->target.length + 1);
    }
    return HTTP_CAUSE_NONE;
}

static enum http_cause settle_target(struct http_head *head, const struct framing *framing)
{
    struct span target = head->target_received;
    if (head->method == HTTP_METHOD_CONNECT)
        return HTTP_CAUSE_METHOD_CONNECT;
    if (!framing->hosts) {
        if (head->minor)
            return HTTP_CAUSE_HOST_MISSING;
    } else if (http_host_parse(framing->host, head->fields.arena, &head->host, &head->port)) {
        return HTTP_CAUSE_HOST_INVALID;
    }
    if (target.data[0] == '/') {
        head->target = target;
        return HTTP_CAUSE_NONE;
    }
    if (starts_nocase(target, SPAN("http://")))
        return settle_absolute(head, span_from(target, 7));
    if (starts_nocase(target, SPAN("https://")))
        return settle_absolute(head, span_from(target, 8));
    if (!span_equal(target, SPAN("*")) || head->method != HTTP_METHOD_OPTIONS)
        return HTTP_CAUSE_TARGET_FORM;
    head->target = target;
    return HTTP_CAUSE_NONE;
}

static enum http_cause settle_request(struct http_head *head, const struct http_limits *limits,
                                      bool has_content)
{
    struct framing framing = {0};
    enum http_cause cause = read_fields(&head->fields, &framing);
    if (!cause)
        cause = check_coding(head, &framing);
    if (!cause)
        cause = settle_target(head, &framing);
    if (cause)
        return cause;
    if (framing.is_chunked) {
        head->body = HTTP_BODY_CHUNKED;
    } else if (framing.has_length) {
        if (framing.length > limits->body_bytes)
            return HTTP_CAUSE_BODY_LONG;
        head->body = HTTP_BODY_LENGTH;
        head->has_length = true;
        head->content_length = framing.length;
    } else if (has_content) {
        head->body = HTTP_BODY_CHUNKED;
    }
    head->keeps_alive = stays_open(head, &framing);
    if (is_upgrade(head, &framing) && head->method == HTTP_METHOD_GET &&
        head->body == HTTP_BODY_NONE) {
        head->upgrades = true;
        head->upgrade_protocol = SPAN("websocket");
    }
    /* HTTP/1.0 knows no Expect (RFC 9110 section 10.1.1); forwarded as 1.1 it would gain a
     * meaning. */
    if (!head->minor)
        http_fields_remove(&head->fields, HTTP_NAME_EXPECT);
    const struct http_field *expect = http_fields_find(&head->fields, HTTP_NAME_EXPECT);
    if (expect && !span_equal_nocase(expect->value, SPAN("100-continue")))
        return HTTP_CAUSE_EXPECTATION;
    head->expects_continue = expect && http_has_content(head);
    return HTTP_CAUSE_NONE;
}

enum http_cause http_settle_request(struct http_head *head, const struct http_limits *limits)
{
    return settle_request(head, limits, false);
}

/* What lines.c checks on its way. */
static enum http_cause check_line(struct span method, struct span target,
                                  const struct http_limits *limits)
{
    const size_t besides = SPAN("  HTTP/1.1\r\n").length;
    if (method.length >= HTTP_METHOD_MOST)
        return HTTP_CAUSE_METHOD_LONG;
    if (!http_is_token(method))
        return HTTP_CAUSE_METHOD;
    if (!http_is_target(target))
        return HTTP_CAUSE_TARGET;
    return method.length + target.length + besides > limits->line_bytes ? HTTP_CAUSE_TARGET_LONG
                                                                        : HTTP_CAUSE_NONE;
}

enum http_cause http_request_settle(struct http_head *head, const struct http_limits *limits,
                                    struct span method, struct span target, bool has_content)
{
    head->minor = 1;
    head->method_text = method;
    head->method = http_method_of(method);
    head->target_received = target;
    enum http_cause cause = check_line(method, target, limits);
    return cause ? cause : settle_request(head, limits, has_content);
}

/* RFC 9112 section 6.3, with the answers that have no content first. */
static enum http_cause settle_content(struct http_head *head, const struct framing *framing,
                                      const struct http_limits *limits,
                                      enum http_method asked_method)
{
    head->has_length = framing->has_length;
    head->content_length = framing->length;
    if (head->status < 200 || head->status == 204) {
        head->has_length = false;
        head->content_length = 0;
        return framing->has_coding || framing->length ? HTTP_CAUSE_CODING_FORBIDDEN
                                                      : HTTP_CAUSE_NONE;
    }
    if (head->status == 304 || asked_method == HTTP_METHOD_HEAD)
        return HTTP_CAUSE_NONE;
    if (framing->has_coding) {
        head->body = HTTP_BODY_CHUNKED;
    } else if (framing->has_length) {
        if (framing->length > limits->body_bytes)
            return HTTP_CAUSE_BODY_LONG;
        head->body = HTTP_BODY_LENGTH;
    } else {
        head->body = HTTP_BODY_CLOSE;
    }
    return HTTP_CAUSE_NONE;
}

enum http_cause http_settle_response(struct http_head *head, const struct http_limits *limits,
                                     enum http_method asked_method, bool asked_upgrade)
{
    struct framing framing = {0};
    enum http_cause cause = read_fields(&head->fields, &framing);
    if (!cause)
        cause = check_coding(head, &framing);
    if (!cause)
        cause = settle_content(head, &framing, limits, asked_method);
    if (cause)
        return cause;
    head->keeps_alive = stays_open(head, &framing) && head->body != HTTP_BODY_CLOSE;
    if (head->status == 101) {
        if (!asked_upgrade || !is_upgrade(head, &framing))
            return HTTP_CAUSE_STATUS_UNEXPECTED;
        head->upgrades = true;
        head->upgrade_protocol = SPAN("websocket");
        head->body = HTTP_BODY_TUNNEL;
        head->keeps_alive = false;
    }
    return HTTP_CAUSE_NONE;
}
