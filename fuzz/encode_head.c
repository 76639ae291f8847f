/* SPDX-License-Identifier: Apache-2.0
 *
 * Negotiation and heads of encoded answers over any fields: a request, an answer. Parts end at a byte 0xff. Whatever they say: what is
 * chosen nobody prefers less, a translated condition keeps what it had, Vary grows once, and an answer's tag finds its way back through
 * a client to the origin's and forth again.
 */
#include "encode/encode.h"
#include "fuzz.h"

#define must(condition) INVARIANT(condition)

static const enum encoding order[] = {ENCODING_ZSTD, ENCODING_BROTLI, ENCODING_GZIP};

static struct span next_part(struct span *rest)
{
    size_t end = span_find(*rest, 0xff);
    struct span part = span_of(rest->data, end);
    *rest = span_from(*rest, end + 1);
    return part;
}

static void read_fields(struct http_fields *fields, struct span text)
{
    while (text.length && fields->count < 50) {
        size_t end = span_find(text, '\n'), colon = span_find(text, ':');
        if (colon < end &&
            http_fields_add_text(fields, span_of(text.data, colon),
                                 span_trim(span_of(text.data + colon + 1, end - colon - 1))))
            must(fields->count < 50);
        text = span_from(text, end + 1);
    }
}

static size_t elements(const struct http_fields *fields, enum http_name id)
{
    size_t count = 0;
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value, element;
        while (fields->list[i].id == id && http_list_next(&rest, &element))
            count++;
    }
    return count;
}

static bool lists(const struct http_fields *fields, enum http_name id, struct span wanted)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        struct span rest = fields->list[i].value, element;
        while (fields->list[i].id == id && http_list_next(&rest, &element))
            if (span_equal(element, wanted))
                return true;
    }
    return false;
}

static void must_choose_well(const struct encode_wishes *wishes)
{
    enum encoding chosen = encode_choose(wishes, order, 3);
    for (enum encoding i = ENCODING_IDENTITY; i < ENCODING_COUNT; i++) {
        must(wishes->quality[i] <= 1000);
        must(chosen == ENCODING_IDENTITY || wishes->quality[i] <= wishes->quality[chosen]);
    }
    must(chosen == ENCODING_IDENTITY || wishes->quality[chosen] > 0);
}

static void must_translate_well(const struct http_fields *request,
                                const struct encode_wishes *wishes, struct arena *arena)
{
    static const enum http_name ids[] = {HTTP_NAME_IF_NONE_MATCH, HTTP_NAME_IF_MATCH};
    struct http_fields sent = {.arena = arena};
    must(http_fields_copy(&sent, request) == 0);
    if (encode_translate_conditions(&sent, wishes))
        return;
    for (size_t k = 0; k < 2; k++) {
        must(http_fields_has(&sent, ids[k]) == http_fields_has(request, ids[k]));
        must(elements(&sent, ids[k]) >= elements(request, ids[k]));
        for (uint32_t i = 0; i < request->count; i++) {
            struct span rest = request->list[i].value, element;
            while (request->list[i].id == ids[k] && http_list_next(&rest, &element))
                must(lists(&sent, ids[k], element));
        }
    }
    for (uint32_t i = 0; i < sent.count; i++)
        must(http_is_field_value(sent.list[i].value));
}

/* ETag: "abc" -> the client's If-None-Match: "abc+br" -> "abc" again; and the 304's back. */
static void must_come_round(const struct http_fields *answer, struct arena *arena)
{
    const struct encode_wishes all = {.quality = {1, 1000, 1000, 1000}};
    const struct http_field *field = http_fields_find(answer, HTTP_NAME_ETAG);
    if (!field || span_find(field->value, '\\') < field->value.length)
        return; /* these are left alone */
    for (enum encoding i = ENCODING_GZIP; i < ENCODING_COUNT; i++) {
        struct http_head head = {.status = 200, .body = HTTP_BODY_CHUNKED};
        struct http_fields asked = {.arena = arena}, sent = {.arena = arena},
                           confirmed = {.arena = arena};
        head.fields.arena = arena;
        must(http_fields_add(&head.fields, HTTP_NAME_ETAG, field->value) == 0);
        must(encode_head(&head, i, UINT64_MAX) == 0);
        struct span tag = http_fields_find(&head.fields, HTTP_NAME_ETAG)->value;
        if (span_equal(tag, field->value))
            continue; /* weak, or no tag */
        must(http_fields_add(&asked, HTTP_NAME_IF_NONE_MATCH, tag) == 0);
        must(http_fields_copy(&sent, &asked) == 0);
        must(encode_translate_conditions(&sent, &all) == 0);
        must(lists(&sent, HTTP_NAME_IF_NONE_MATCH, field->value));
        must(http_fields_add(&confirmed, HTTP_NAME_ETAG, field->value) == 0);
        must(encode_not_modified(&confirmed, &asked, i) == 1);
        must(span_equal(http_fields_find(&confirmed, HTTP_NAME_ETAG)->value, tag));
    }
}

static void must_answer_well(struct http_head *request, const struct http_fields *fields,
                             struct arena *arena)
{
    const struct encode_policy usual = {.least_bytes = 512}, strict = {.only_public = true};
    struct http_head answer = {.status = 200, .body = HTTP_BODY_CHUNKED};
    answer.fields.arena = arena;
    must(http_fields_copy(&answer.fields, fields) == 0);
    enum encode_reason reason = encode_judge(&usual, request, &answer);
    must(encode_judge(&strict, request, &answer) == reason ||
         encode_judge(&strict, request, &answer) == ENCODE_SECRET);
    if (reason != ENCODE_FITS || encode_add_vary(&answer.fields))
        return;
    must(http_fields_list_has(&answer.fields, HTTP_NAME_VARY, SPAN("Accept-Encoding")) ||
         http_fields_list_has(&answer.fields, HTTP_NAME_VARY, SPAN("*")));
    size_t count = elements(&answer.fields, HTTP_NAME_VARY);
    must(encode_add_vary(&answer.fields) == 0 && elements(&answer.fields, HTTP_NAME_VARY) == count);
    must(encode_head(&answer, ENCODING_BROTLI, UINT64_MAX) == 0 && !answer.has_length);
    must(encode_judge(&usual, request, &answer) == ENCODE_CODED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = {0};
    struct span rest = span_of(data, size);
    struct http_head request = {.method = HTTP_METHOD_GET};
    struct http_fields answer = {.arena = &arena};
    struct encode_wishes wishes;
    request.fields.arena = &arena;
    read_fields(&request.fields, next_part(&rest));
    read_fields(&answer, next_part(&rest));
    encode_wishes_read(&wishes, &request.fields);
    must_choose_well(&wishes);
    must_translate_well(&request.fields, &wishes, &arena);
    must_come_round(&answer, &arena);
    must_answer_well(&request, &answer, &arena);
    arena_clear(&arena);
    return 0;
}
