/* SPDX-License-Identifier: Apache-2.0
 *
 * What the head of an encoded answer says, and conditions that name its tag. A tag's suffix is '+' and the encoding's name within the
 * quotes. A tag of the origin that ends so is not lost: a translated list keeps what it had.
 */
#include "encode/encode.h"

#include "base/text.h"

struct tag {
    bool is_weak;
    struct span inner; /* without quotes */
};

/* False: no entity tag (RFC 9110 section 8.8.3). */
static bool tag_read(struct tag *tag, struct span text)
{
    tag->is_weak = span_starts(text, SPAN("W/"));
    struct span opaque = tag->is_weak ? span_from(text, 2) : text;
    if (opaque.length < 2 || opaque.data[0] != '"' || opaque.data[opaque.length - 1] != '"')
        return false;
    tag->inner = span_of(opaque.data + 1, opaque.length - 2);
    return span_find(tag->inner, '"') == tag->inner.length;
}

/* Takes the suffix off; IDENTITY: it has none. */
static enum encoding tag_undo(struct tag *tag)
{
    for (enum encoding i = ENCODING_IDENTITY + 1; i < ENCODING_COUNT; i++) {
        struct span name = encoding_name(i);
        if (tag->inner.length <= name.length)
            continue;
        size_t at = tag->inner.length - name.length - 1;
        if (tag->inner.data[at] == '+' && span_equal(span_from(tag->inner, at + 1), name)) {
            tag->inner.length = at;
            return i;
        }
    }
    return ENCODING_IDENTITY;
}

/* ---- answers */

int encode_add_vary(struct http_fields *answer)
{
    const struct http_field *vary = http_fields_find(answer, HTTP_NAME_VARY);
    if (!vary)
        return http_fields_add(answer, HTTP_NAME_VARY, SPAN("Accept-Encoding"));
    if (http_fields_list_has(answer, HTTP_NAME_VARY, SPAN("Accept-Encoding")) ||
        http_fields_list_has(answer, HTTP_NAME_VARY, SPAN("*")))
        return 0;
    for (uint32_t i = 0; i < answer->count; i++)
        if (answer->list[i].id == HTTP_NAME_VARY && &answer->list[i] != vary)
            return http_fields_add(answer, HTTP_NAME_VARY, SPAN("Accept-Encoding"));
    /* In front: what is there may be no list, and end within a quoted string. */
    const char *both = arena_format(answer->arena, "Accept-Encoding%s%.*s",
                                    vary->value.length ? ", " : "", SPAN_ARGS(vary->value));
    return http_fields_set(answer, HTTP_NAME_VARY, span_text(both));
}

/* Weak tags say no more than that the content means the same, which it does. */
static int add_suffix(struct http_fields *answer, enum encoding encoding)
{
    const struct http_field *field = http_fields_find(answer, HTTP_NAME_ETAG);
    struct tag tag;
    if (!field || !tag_read(&tag, field->value) || tag.is_weak)
        return 0;
    const char *text = arena_format(answer->arena, "\"%.*s+%.*s\"", SPAN_ARGS(tag.inner),
                                    SPAN_ARGS(encoding_name(encoding)));
    return http_fields_set(answer, HTTP_NAME_ETAG, span_text(text));
}

int encode_head(struct http_head *answer, enum encoding encoding, uint64_t length)
{
    int result =
        http_fields_set(&answer->fields, HTTP_NAME_CONTENT_ENCODING, encoding_name(encoding));
    if (result == 0)
        result = add_suffix(&answer->fields, encoding);
    http_fields_remove(&answer->fields, HTTP_NAME_ACCEPT_RANGES);
    http_fields_remove(&answer->fields, HTTP_NAME_CONTENT_LENGTH);
    answer->has_length = length != UINT64_MAX;
    answer->content_length = answer->has_length ? length : 0;
    if (answer->body != HTTP_BODY_NONE)
        answer->body = answer->has_length ? HTTP_BODY_LENGTH : HTTP_BODY_CHUNKED;
    return result;
}

int encode_not_modified(struct http_fields *answer, const struct http_fields *asked,
                        enum encoding chosen)
{
    const struct http_field *field = http_fields_find(answer, HTTP_NAME_ETAG);
    enum encoding has = ENCODING_IDENTITY;
    struct tag ours, theirs;
    if (!field || !tag_read(&ours, field->value) || ours.is_weak)
        return 0;
    for (uint32_t i = 0; i < asked->count; i++) {
        struct span list = asked->list[i].value, element;
        if (asked->list[i].id != HTTP_NAME_IF_NONE_MATCH)
            continue;
        while (http_list_next(&list, &element)) {
            if (!tag_read(&theirs, element))
                continue;
            enum encoding encoding = tag_undo(&theirs);
            if (encoding && span_equal(theirs.inner, ours.inner) &&
                (has == ENCODING_IDENTITY || encoding == chosen))
                has = encoding;
        }
    }
    int result = has ? add_suffix(answer, has) : 0;
    return result < 0 ? result : has != ENCODING_IDENTITY;
}

/* ---- requests */

static int translate(struct http_fields *request, enum http_name id,
                     const struct encode_wishes *wishes)
{
    struct text both = {.limit = 32768}; /* a head is no longer */
    bool is_ours = false;
    for (uint32_t i = 0; i < request->count; i++) {
        struct span list = request->list[i].value, element;
        struct tag tag;
        if (request->list[i].id != id)
            continue;
        while (http_list_next(&list, &element)) {
            text_add(&both, both.length ? ", " : "");
            text_add_span(&both, element);
            /* "*", or what is no list of tags to everybody: a backslash may hide the quote behind it. */
            if (!tag_read(&tag, element) || span_find(tag.inner, '\\') < tag.inner.length) {
                text_clear(&both);
                return 0;
            }
            enum encoding encoding = tag_undo(&tag);
            if (!encoding || (wishes && !wishes->quality[encoding]))
                continue;
            is_ours = true;
            text_add_format(&both, ", %s\"", tag.is_weak ? "W/" : "");
            text_add_span(&both, tag.inner);
            text_add(&both, "\"");
        }
    }
    int result = 0;
    if (is_ours)
        result = both.is_cut ? ERROR_LIMIT : http_fields_set(request, id, text_span(&both));
    text_clear(&both);
    return result;
}

int encode_translate_conditions(struct http_fields *request, const struct encode_wishes *wishes)
{
    int result = 0;
    /* What the client could not have been given now is not what it may keep. */
    if (http_fields_has(request, HTTP_NAME_IF_NONE_MATCH))
        result = translate(request, HTTP_NAME_IF_NONE_MATCH, wishes);
    /* Here it is about the resource, whichever way its bytes came. */
    if (result == 0 && http_fields_has(request, HTTP_NAME_IF_MATCH))
        result = translate(request, HTTP_NAME_IF_MATCH, NULL);
    return result;
}
