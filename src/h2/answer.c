/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers: content waits in the stream's queue until libnghttp2 asks for it (window, priority) and then goes out as the slices that
 * came, uncopied but for small ones; heads and trailers wait in theirs (section.c).
 */
#include "h2/private.h"

enum {
    COPIED_MOST =
        1024, /* content of a frame that is copied behind its header rather than referred to */
};

/* What libnghttp2 is given in place of a field section, and sends HEADERS for; h2_section_send() writes those. It is in the static
 * table, so that libnghttp2's own encoder remembers nothing. */
static const nghttp2_nv stand_in = {.name = (uint8_t *)":status",
                                    .value = (uint8_t *)"200",
                                    .namelen = sizeof ":status" - 1,
                                    .valuelen = sizeof "200" - 1,
                                    .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME |
                                             NGHTTP2_NV_FLAG_NO_COPY_VALUE};

static bool takes_answer(const struct h2_stream *stream)
{
    return h2_stream_is_known(stream) && stream->answer == H2_ANSWER_NONE && !stream->was_reset;
}

static bool is_valid(const struct h2_stream *stream, const struct http_head *answer)
{
    if (answer->status < 100 || answer->status > 599 || !takes_answer(stream))
        return false;
    if (answer->status == 101 && stream->request != H2_REQUEST_WAITING)
        return false;
    for (uint32_t i = 0; i < answer->fields.count; i++) {
        const struct http_field *field = &answer->fields.list[i];
        if ((field->id == HTTP_NAME_OTHER && !http_is_token(field->name)) ||
            !http_is_field_value(field->value))
            return false;
    }
    return true;
}

/* ---- libnghttp2 asks for content */

static int submit_trailers(struct h2_stream *stream)
{
    h2_section_queue_trailers(stream, &stream->answer_trailers);
    return nghttp2_submit_trailer(stream->session->nghttp2, stream->id, &stand_in, 1);
}

static ssize_t on_content(nghttp2_session *nghttp2, int32_t id, uint8_t *buffer, size_t length,
                          uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct h2_stream *stream = source->ptr;
    (void)nghttp2, (void)id, (void)buffer, (void)context;
    bool ends = stream->answer == H2_ANSWER_WHOLE;
    if (!stream->out.bytes && !ends) {
        stream->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t sent = stream->out.bytes < length ? stream->out.bytes : length;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (ends && sent == stream->out.bytes) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->answer_trailers.count) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            if (submit_trailers(stream))
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
    }
    return (ssize_t)sent;
}

void h2_answer_send_content(struct h2_stream *stream, const uint8_t *frame_header, size_t length)
{
    struct h2_session *session = stream->session;
    slice_queue_gather(session->out, span_of(frame_header, 9));
    uint64_t before = stream->out.bytes;
    for (size_t left = length; left;) {
        struct slice piece = slice_queue_pop(&stream->out, (uint32_t)left);
        left -= piece.length;
        if (piece.length <= COPIED_MOST) {
            slice_queue_gather(session->out, span_of(slice_data(&piece), piece.length));
            slice_release(&piece);
        } else {
            slice_queue_push(session->out, piece);
        }
    }
    h2_stream_account(stream, before);
    h2_flood_sent(session, length);
    if (length)
        h2_stream_set_due(stream);
}

static void resume(struct h2_stream *stream)
{
    if (!stream->is_deferred)
        return;
    stream->is_deferred = false;
    h2_session_failed(stream->session,
                      nghttp2_session_resume_data(stream->session->nghttp2, stream->id));
}

/* ---- the head */

static bool has_no_content(const struct h2_stream *stream, const struct http_head *answer)
{
    if (answer->status == 101)
        return false;
    return stream->head.method == HTTP_METHOD_HEAD || !http_status_has_body(answer->status) ||
           answer->body == HTTP_BODY_NONE ||
           (answer->body == HTTP_BODY_LENGTH && !answer->content_length);
}

/* The request's content that nobody will read. */
static void settle_request(struct h2_stream *stream, const struct http_head *answer)
{
    if (stream->request != H2_REQUEST_WAITING)
        return;
    if (answer->status == 101) {
        stream->is_tunnel = true;
        h2_stream_set_due(stream);
        return;
    }
    h2_stream_set_request(stream, H2_REQUEST_REFUSED);
    h2_stream_consume(stream, stream->held.bytes);
    slice_queue_clear(&stream->held);
}

int h2_stream_answer(struct h2_stream *stream, const struct http_head *answer)
{
    struct h2_session *session = stream->session;
    if (!is_valid(stream, answer))
        return ERROR_INVALID;
    h2_section_queue_head(stream, answer);
    if (answer->status < 200 && answer->status != 101) {
        h2_session_failed(session, nghttp2_submit_headers(session->nghttp2, NGHTTP2_FLAG_NONE,
                                                          stream->id, NULL, &stand_in, 1, NULL));
        return 0;
    }
    stream->is_empty = has_no_content(stream, answer);
    stream->has_length = answer->body == HTTP_BODY_LENGTH;
    stream->length = answer->content_length;
    h2_stream_set_answer(stream, H2_ANSWER_CONTENT);
    settle_request(stream, answer);
    nghttp2_data_provider content = {{.ptr = stream}, on_content};
    h2_session_failed(session, nghttp2_submit_response(session->nghttp2, stream->id, &stand_in, 1,
                                                       stream->is_empty ? NULL : &content));
    return 0;
}

/* ---- content and end */

void h2_stream_write(struct h2_stream *stream, struct slice data)
{
    if (stream->answer != H2_ANSWER_CONTENT || stream->is_empty || stream->was_reset) {
        slice_release(&data);
        return;
    }
    uint64_t before = stream->out.bytes;
    stream->written += data.length;
    slice_queue_push(&stream->out, data);
    h2_stream_account(stream, before);
    resume(stream);
}

static bool keep_trailers(struct h2_stream *stream, const struct http_fields *trailers)
{
    for (uint32_t i = 0; trailers && i < trailers->count; i++) {
        const struct http_field *field = &trailers->list[i];
        if (http_name_is_trailer(field->id) &&
            http_fields_add_text(&stream->answer_trailers, field->name, field->value))
            return false;
    }
    return true;
}

void h2_stream_end(struct h2_stream *stream, const struct http_fields *trailers)
{
    if (stream->answer != H2_ANSWER_CONTENT || stream->was_reset)
        return;
    bool is_whole = stream->is_empty || !stream->has_length || stream->written == stream->length;
    h2_stream_set_answer(stream, H2_ANSWER_WHOLE);
    if (!is_whole || !keep_trailers(stream, trailers)) {
        h2_stream_submit_reset(stream, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    resume(stream);
}
