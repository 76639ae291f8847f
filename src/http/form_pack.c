/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed frames of a message (T9): which messages may be packed, heads with the dictionary, content in pieces. A frame that would
 * not shrink goes as it is.
 */
#include "http/fields.h"
#include "http/form.h"

#include "base/bytes.h"

enum {
    HEAD_LEAST = 256,    /* shorter heads are codes for the most part */
    CONTENT_LEAST = 256, /* of a known length */
};

/* ---- which messages */

/* What browsers send along whoever makes them ask, and what clients authenticate by. */
static bool has_credentials(const struct http_fields *fields)
{
    static const struct span names[] = {SPAN("X-Api-Key"), SPAN("X-Auth-Token"),
                                        SPAN("X-CSRF-Token"), SPAN("X-XSRF-Token")};
    if (http_fields_has(fields, HTTP_NAME_COOKIE) ||
        http_fields_has(fields, HTTP_NAME_AUTHORIZATION))
        return true;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (http_fields_find_text(fields, names[i]))
            return true;
    return false;
}

static bool is_for_one(const struct http_fields *fields)
{
    return http_fields_has(fields, HTTP_NAME_SET_COOKIE) ||
           http_fields_list_has(fields, HTTP_NAME_CACHE_CONTROL, SPAN("private")) ||
           http_fields_list_has(fields, HTTP_NAME_CACHE_CONTROL, SPAN("no-store"));
}

/* Without parameters. */
static bool is_type(struct span value, struct span type)
{
    struct span own = span_trim(span_of(value.data, span_find(value, ';')));
    return span_equal_nocase(own, type);
}

static bool starts(struct span value, struct span prefix)
{
    return value.length >= prefix.length &&
           span_equal_nocase(span_of(value.data, prefix.length), prefix);
}

/* All others are tried: a piece that does not shrink is found out. */
static bool is_packed_type(struct span value)
{
    static const struct span kinds[] = {SPAN("image/"), SPAN("video/"), SPAN("audio/"),
                                        SPAN("font/woff")};
    static const struct span plain[] = {SPAN("image/svg+xml"), SPAN("image/bmp"),
                                        SPAN("image/x-icon")};
    static const struct span packed[] = {SPAN("application/zip"),
                                         SPAN("application/gzip"),
                                         SPAN("application/x-gzip"),
                                         SPAN("application/zstd"),
                                         SPAN("application/x-xz"),
                                         SPAN("application/x-bzip2"),
                                         SPAN("application/x-7z-compressed"),
                                         SPAN("application/vnd.rar"),
                                         SPAN("application/pdf"),
                                         SPAN("application/java-archive"),
                                         SPAN("application/ogg"),
                                         SPAN("application/font-woff"),
                                         SPAN("application/vnd.android.package-archive")};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (is_type(value, plain[i]))
            return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (starts(value, kinds[i]))
            return true;
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
        if (is_type(value, packed[i]))
            return true;
    return false;
}

static bool is_packed_content(const struct http_head *head)
{
    const struct http_field *coding = http_fields_find(&head->fields, HTTP_NAME_CONTENT_ENCODING);
    const struct http_field *type = http_fields_find(&head->fields, HTTP_NAME_CONTENT_TYPE);
    if (coding && !span_equal_nocase(coding->value, SPAN("identity")))
        return true;
    return type && is_packed_type(type->value);
}

void http_pack_decide(enum http_pack_policy policy, const struct http_head *head,
                      const struct http_fields *asked, struct http_pack *pack)
{
    *pack = (struct http_pack){0};
    if (policy == HTTP_PACK_OFF) {
        pack->content_count = COMPRESS_OFF;
        return;
    }
    bool is_secret = policy == HTTP_PACK_PUBLIC &&
                     (has_credentials(&head->fields) || is_for_one(&head->fields) ||
                      (asked && has_credentials(asked)));
    pack->head = !is_secret;
    if (is_secret)
        pack->content_count = COMPRESS_SECRET;
    else if (head->upgrades || head->body == HTTP_BODY_NONE || head->body == HTTP_BODY_TUNNEL)
        pack->content_count = COMPRESS_COUNTS;
    else if (is_packed_content(head))
        pack->content_count = COMPRESS_TYPE;
    else if (head->has_length && head->content_length < CONTENT_LEAST)
        pack->content_count = COMPRESS_SMALL;
    else
        pack->content = true;
}

void http_pack_count(const struct http_pack *pack, struct compressor *compressor)
{
    if (!pack->content && pack->content_count != COMPRESS_COUNTS)
        compressor_count(compressor, pack->content_count, 1);
}

/* ---- heads */

void http_form_pack_head(struct slice_queue *out, struct slice_queue *head,
                         struct compressor *compressor)
{
    uint8_t header[FORM_FRAME_HEADER_MOST + FORM_PACKED_HEADER_MOST];
    size_t got = slice_queue_peek(head, 0, header, FORM_FRAME_HEADER_MOST);
    struct reader reader = reader_of(span_of(header, got));
    bool may = read_u8(&reader) == FORM_HEADERS && compressor;
    uint64_t length = read_varint(&reader);
    struct span frame = slice_queue_front(head), packed;
    size_t at = got - reader_left(&reader);
    may = may && length >= HEAD_LEAST && frame.length == at + length;
    if (!may || !compressor_pack_head(compressor, span_from(frame, at), &packed)) {
        slice_queue_move(out, head);
        return;
    }
    uint8_t *end = header;
    *end++ = FORM_PACKED_HEADERS;
    end = varint_store(end, varint_size(length) + packed.length);
    end = varint_store(end, length);
    slice_queue_append(out, span_of(header, (size_t)(end - header)));
    slice_queue_append(out, packed);
    slice_queue_clear(head);
}

/* ---- content */

void http_form_content_start(struct http_form_content *content, struct compressor *compressor)
{
    http_form_content_clear(content);
    if (compressor)
        packer_init(&content->packer, compressor);
}

void http_form_content_clear(struct http_form_content *content)
{
    packer_clear(&content->packer);
    slice_queue_clear(&content->waiting);
}

/* The first so many bytes as they are. */
static void write_plain(struct slice_queue *out, struct slice_queue *waiting, uint32_t length)
{
    while (length) {
        struct slice slice = slice_queue_pop(waiting, length);
        length -= slice.length;
        http_form_write_data(out, slice);
    }
}

static bool write_packed(struct slice_queue *out, struct http_form_content *content,
                         uint32_t length)
{
    uint8_t header[FORM_FRAME_HEADER_MOST + FORM_PACKED_HEADER_MOST];
    struct span packed;
    bool continues;
    if (!packer_pack(&content->packer, &content->waiting, length, &packed, &continues))
        return false;
    uint8_t *end = header;
    *end++ = FORM_PACKED;
    end = varint_store(end, 1 + varint_size(length) + packed.length);
    *end++ = continues ? FORM_PACKED_CONTINUES : 0;
    end = varint_store(end, length);
    slice_queue_append(out, span_of(header, (size_t)(end - header)));
    slice_queue_append(out, packed);
    slice_queue_consume(&content->waiting, length);
    return true;
}

void http_form_content_flush(struct http_form_content *content, struct slice_queue *out)
{
    while (content->waiting.bytes) {
        bool packs;
        uint32_t length = packer_plan(&content->packer, content->waiting.bytes, &packs);
        if (!packs || !write_packed(out, content, length))
            write_plain(out, &content->waiting, length);
    }
}

void http_form_content_add(struct http_form_content *content, struct slice_queue *out,
                           struct slice data)
{
    if (!content->packer.compressor) {
        http_form_write_data(out, data);
        return;
    }
    slice_queue_push(&content->waiting, data);
    if (content->waiting.bytes >= COMPRESS_PIECE_BYTES)
        http_form_content_flush(content, out);
}
