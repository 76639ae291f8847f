/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads and trailers on their way down. They must be encoded in the order in which they are sent (hpack.h), and what libnghttp2 cannot
 * send is never encoded: so a section is kept with its stream until libnghttp2 says that HEADERS are due, and its frames are written
 * then.
 */
#include "h2/private.h"

enum {
    FRAME_HEADER_BYTES = 9,
    FRAME_BYTES_MOST = 16384, /* every client takes so much (RFC 9113 section 4.2) */
};

/* ---- keeping */

/* Of the connection, or made from the head's members. */
static bool is_left_out(const struct http_field *field, bool is_tunnel)
{
    return http_name_is_framing(field->id) || http_name_is_hop_by_hop(field->id) ||
           (is_tunnel && field->id == HTTP_NAME_SEC_WEBSOCKET_ACCEPT);
}

static size_t text_bytes(const struct http_fields *fields)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        bytes += fields->list[i].name.length + fields->list[i].value.length;
    return bytes;
}

static struct span keep_text(uint8_t **room, struct span text)
{
    uint8_t *kept = *room;
    if (text.length)
        memcpy(kept, text.data, text.length);
    *room += text.length;
    return span_of(kept, text.length);
}

static struct span keep_lower(uint8_t **room, struct span name)
{
    struct span kept = keep_text(room, name);
    for (uint8_t *at = *room - name.length; at < *room; at++)
        *at = ascii_lower(*at);
    return kept;
}

/* The tunnel's answer is 200 (RFC 8441 section 5). */
static unsigned status_of(const struct http_head *answer)
{
    return answer->status == 101 ? 200 : answer->status;
}

static struct h2_section *section_new(struct h2_stream *stream, const struct http_fields *fields,
                                      bool is_tunnel)
{
    size_t bytes = text_bytes(fields) + SPAN("content-length").length + SPAN_DIGITS;
    struct h2_section *section =
        arena_take_raw(&stream->arena,
                       sizeof *section + (fields->count + 1) * sizeof *section->fields);
    *section = (struct h2_section){.text_bytes = bytes};
    uint8_t *room = arena_take_raw(&stream->arena, bytes);
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->list[i];
        if (is_left_out(field, is_tunnel))
            continue;
        struct http_field *kept = &section->fields[section->count++];
        kept->id = field->id;
        kept->name =
            field->id == HTTP_NAME_OTHER ? keep_lower(&room, field->name) : h2_names[field->id];
        kept->value = keep_text(&room, field->value);
    }
    return section;
}

static struct h2_section *head_new(struct h2_stream *stream, const struct http_head *answer)
{
    struct h2_section *section = section_new(stream, &answer->fields, answer->status == 101);
    section->status = status_of(answer);
    if (answer->has_length && answer->status >= 200 && answer->status != 204) {
        uint8_t *digits = arena_take_raw(&stream->arena, SPAN_DIGITS);
        section->fields[section->count++] =
            (struct http_field){.id = HTTP_NAME_CONTENT_LENGTH,
                                .name = h2_names[HTTP_NAME_CONTENT_LENGTH],
                                .value = span_decimal(answer->content_length, digits)};
    }
    return section;
}

static void append(struct h2_stream *stream, struct h2_section *section)
{
    struct h2_section **end = &stream->sections;
    while (*end)
        end = &(*end)->next;
    *end = section;
}

void h2_section_queue_head(struct h2_stream *stream, const struct http_head *answer)
{
    append(stream, head_new(stream, answer));
}

void h2_section_queue_trailers(struct h2_stream *stream, const struct http_fields *trailers)
{
    append(stream, section_new(stream, trailers, false));
}

/* ---- sending */

/* A frame's header stands before the part of the block that it is for, on what has been sent. */
static void put_frames(struct slice_queue *out, uint32_t id, uint8_t flags, uint8_t *block,
                       size_t length)
{
    uint8_t type = NGHTTP2_HEADERS;
    for (size_t part;; block += part, length -= part) {
        part = length < FRAME_BYTES_MOST ? length : FRAME_BYTES_MOST;
        if (part == length)
            flags |= NGHTTP2_FLAG_END_HEADERS;
        const uint8_t header[FRAME_HEADER_BYTES] = {
            (uint8_t)(part >> 16), (uint8_t)(part >> 8), (uint8_t)part,      type,       flags,
            (uint8_t)(id >> 24),   (uint8_t)(id >> 16),  (uint8_t)(id >> 8), (uint8_t)id};
        memcpy(block - sizeof header, header, sizeof header);
        slice_queue_gather(out, span_of(block - sizeof header, sizeof header + part));
        if (part == length)
            return;
        type = NGHTTP2_CONTINUATION;
        flags = 0;
    }
}

void h2_section_send(struct h2_stream *stream, uint8_t flags)
{
    struct h2_session *session = stream->session;
    struct h2_section *section = stream->sections;
    INVARIANT(section);
    stream->sections = section->next;
    size_t most = HPACK_SECTION_BYTES + section->count * HPACK_FIELD_BYTES + section->text_bytes;
    uint8_t *block =
        (uint8_t *)arena_take_raw(&stream->arena, FRAME_HEADER_BYTES + most) + FRAME_HEADER_BYTES;
    uint8_t *end = hpack_begin(&session->hpack, block);
    if (section->status)
        end = hpack_status(end, section->status);
    for (uint32_t i = 0; i < section->count; i++)
        end = hpack_field(&session->hpack, end, &section->fields[i]);
    put_frames(session->out, (uint32_t)stream->id, flags & NGHTTP2_FLAG_END_STREAM, block,
               (size_t)(end - block));
}
