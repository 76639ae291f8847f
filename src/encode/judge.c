/* SPDX-License-Identifier: Apache-2.0
 *
 * Which answers are encoded. What is compressed already only costs time; what somebody signed, or asked to be left alone, is.
 */
#include "encode/encode.h"

/* Media types that gain: text, and what is text in disguise. Not text/event-stream, which keeps an encoder for hours. */
static const char *const gaining[] = {
    "text/*",
    "*+json",
    "*+xml",
    "*+text",
    "application/json",
    "application/ld+json",
    "application/x-ndjson",
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/xml",
    "application/xml-dtd",
    "application/wasm",
    "application/yaml",
    "application/toml",
    "application/sql",
    "application/graphql",
    "application/rtf",
    "application/x-sh",
    "application/vnd.apple.mpegurl",
    "application/vnd.ms-fontobject",
    "application/x-font-ttf",
    "application/x-font-otf",
    "font/ttf",
    "font/otf",
    "font/collection",
    "font/sfnt",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
};

static struct span value_of(const struct http_fields *fields, enum http_name id)
{
    const struct http_field *field = http_fields_find(fields, id);
    return field ? field->value : (struct span){0};
}

/* One '*' at either end stands for anything. */
static bool matches(struct span type, struct span pattern)
{
    if (pattern.length && pattern.data[0] == '*') {
        struct span end = span_from(pattern, 1);
        return type.length >= end.length &&
               span_equal_nocase(span_from(type, type.length - end.length), end);
    }
    if (pattern.length && pattern.data[pattern.length - 1] == '*') {
        pattern.length--;
        return type.length >= pattern.length &&
               span_equal_nocase(span_of(type.data, pattern.length), pattern);
    }
    return span_equal_nocase(type, pattern);
}

static bool matches_any(struct span type, const char *const *patterns, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (matches(type, span_text(patterns[i])))
            return true;
    return false;
}

bool encode_type_gains(const struct encode_policy *policy, struct span content_type)
{
    struct span type = span_trim(span_of(content_type.data, span_find(content_type, ';')));
    if (!type.length)
        return false;
    if (policy->types)
        return matches_any(type, policy->types, policy->type_count);
    return matches_any(type, gaining, sizeof gaining / sizeof *gaining) &&
           !span_equal_nocase(type, SPAN("text/event-stream"));
}

/* RFC 9530 and what came before: of the bytes as the origin sent them. In trailers, too, where they are announced. */
static bool has_digest(const struct http_fields *fields)
{
    static const struct span digests[] = {SPAN("Content-Digest"), SPAN("Repr-Digest"),
                                          SPAN("Digest"), SPAN("Content-MD5")};
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
        if (http_fields_find_text(fields, digests[i]) ||
            http_fields_list_has(fields, HTTP_NAME_TRAILER, digests[i]))
            return true;
    return false;
}

static bool is_forbidden(const struct http_fields *fields)
{
    return http_fields_list_has(fields, HTTP_NAME_CACHE_CONTROL, SPAN("no-transform"));
}

/* BREACH (CVE-2013-3587) needs a secret and something that the attacker chose in one compressed answer. */
static bool may_hold_secret(const struct http_head *request, const struct http_head *answer)
{
    const struct http_fields *asked = &request->fields, *said = &answer->fields;
    return http_fields_has(asked, HTTP_NAME_COOKIE) ||
           http_fields_has(asked, HTTP_NAME_AUTHORIZATION) ||
           http_fields_has(said, HTTP_NAME_SET_COOKIE) ||
           http_fields_list_has(said, HTTP_NAME_CACHE_CONTROL, SPAN("private")) ||
           http_fields_list_has(said, HTTP_NAME_CACHE_CONTROL, SPAN("no-store"));
}

enum encode_reason encode_judge(const struct encode_policy *policy, const struct http_head *request,
                                const struct http_head *answer)
{
    const struct http_fields *fields = &answer->fields;
    struct span coding = value_of(fields, HTTP_NAME_CONTENT_ENCODING);
    bool is_part = answer->status == 206;
    if (answer->status < 200 || !http_status_has_body(answer->status) ||
        (!is_part && http_fields_has(fields, HTTP_NAME_CONTENT_RANGE)))
        return ENCODE_STATUS;
    if (coding.length && !span_equal_nocase(coding, SPAN("identity")))
        return ENCODE_CODED;
    if (!encode_type_gains(policy, value_of(fields, HTTP_NAME_CONTENT_TYPE)))
        return ENCODE_TYPE;
    if (!is_part && answer->has_length && answer->content_length < policy->least_bytes)
        return ENCODE_SMALL;
    if (is_forbidden(fields) || is_forbidden(&request->fields))
        return ENCODE_FORBIDDEN;
    if (has_digest(fields))
        return ENCODE_DIGEST;
    if (policy->only_public && may_hold_secret(request, answer))
        return ENCODE_SECRET;
    return is_part ? ENCODE_PART : ENCODE_FITS;
}
