/* SPDX-License-Identifier: Apache-2.0
 *
 * The record of a stream: made when its HEADERS begin, freed when libnghttp2 closes it, and what the caller sees of it.
 */
#include "h2/private.h"

#include "base/pool.h"

struct h2_stream *h2_stream_new(struct h2_session *session, int32_t id)
{
    struct h2_stream *stream = pool_take_zeroed(sizeof *stream);
    stream->session = session;
    stream->id = id;
    stream->priority = HTTP_PRIORITY_DEFAULT;
    http_head_init(&stream->head, &stream->arena);
    stream->trailers.arena = stream->answer_trailers.arena = &stream->arena;
    list_push_back(&session->streams, &stream->link);
    list_init(&stream->due);
    session->open++;
    session->heads++;
    return stream;
}

void h2_stream_set_request(struct h2_stream *stream, enum h2_request_state state)
{
    INVARIANT(stream->request != H2_REQUEST_GONE || state == H2_REQUEST_GONE);
    stream->session->heads -= stream->request == H2_REQUEST_HEAD && state != H2_REQUEST_HEAD;
    stream->request = state;
}

void h2_stream_set_answer(struct h2_stream *stream, enum h2_answer_state state)
{
    INVARIANT(state > stream->answer);
    stream->answer = state;
}

bool h2_stream_is_known(const struct h2_stream *stream)
{
    return stream->request != H2_REQUEST_HEAD && stream->request != H2_REQUEST_GONE;
}

void h2_stream_submit_reset(struct h2_stream *stream, uint32_t code)
{
    stream->was_reset = true;
    h2_session_failed(stream->session,
                      nghttp2_submit_rst_stream(stream->session->nghttp2, NGHTTP2_FLAG_NONE,
                                                stream->id, code));
}

/* What counts against the connection's share: all but the floor that every stream has. */
static uint64_t beyond_floor(uint64_t bytes)
{
    return bytes > H2_STREAM_FLOOR_BYTES ? bytes - H2_STREAM_FLOOR_BYTES : 0;
}

void h2_stream_account(struct h2_stream *stream, uint64_t before)
{
    stream->session->held_bytes += beyond_floor(stream->out.bytes) - beyond_floor(before);
    stream->session->unsent_bytes += stream->out.bytes - before;
}

void h2_stream_set_due(struct h2_stream *stream)
{
    if (h2_stream_is_known(stream) && list_is_empty(&stream->due))
        list_push_back(&stream->session->due, &stream->due);
}

/* Nothing of it is sent or given out any more. */
static void drop_content(struct h2_stream *stream)
{
    uint64_t before = stream->out.bytes;
    slice_queue_clear(&stream->out);
    slice_queue_clear(&stream->held);
    h2_stream_account(stream, before);
    list_remove(&stream->due);
}

void h2_stream_free(struct h2_stream *stream)
{
    drop_content(stream);
    list_remove(&stream->link);
    if (stream->session->recent == stream)
        stream->session->recent = NULL;
    stream->session->open--;
    stream->session->heads -= stream->request == H2_REQUEST_HEAD;
    arena_clear(&stream->arena);
    pool_give(stream, sizeof *stream);
}

/* ---- for the caller */

void h2_stream_set_context(struct h2_stream *stream, void *context)
{
    stream->context = context;
}

void *h2_stream_context(const struct h2_stream *stream)
{
    return stream->context;
}

uint32_t h2_stream_id(const struct h2_stream *stream)
{
    return (uint32_t)stream->id;
}

struct http_head *h2_stream_head(struct h2_stream *stream)
{
    return &stream->head;
}

struct http_priority h2_stream_priority(const struct h2_stream *stream)
{
    return stream->priority;
}

void h2_stream_set_priority(struct h2_stream *stream, struct http_priority priority)
{
    nghttp2_extpri wish = {priority.urgency, priority.incremental};
    stream->priority = priority;
    stream->is_priority_fixed = true;
    h2_session_failed(stream->session,
                      nghttp2_session_change_extpri_stream_priority(stream->session->nghttp2,
                                                                    stream->id, &wish, 1));
}

void h2_stream_reset(struct h2_stream **reset, enum h2_code code)
{
    struct h2_stream *stream = *reset;
    *reset = NULL;
    if (stream->request == H2_REQUEST_GONE)
        return;
    h2_stream_set_request(stream, H2_REQUEST_GONE);
    drop_content(stream);
    h2_stream_submit_reset(stream, code);
}

uint64_t h2_stream_room(const struct h2_stream *stream)
{
    const struct h2_session *session = stream->session;
    const struct h2_settings *settings = &session->settings;
    uint64_t held = stream->out.bytes;
    if (held >= settings->stream_held_bytes)
        return 0;
    uint64_t room = settings->stream_held_bytes - held;
    uint64_t shared = settings->connection_held_bytes > session->held_bytes
                          ? settings->connection_held_bytes - session->held_bytes
                          : 0;
    uint64_t floor = held < H2_STREAM_FLOOR_BYTES ? H2_STREAM_FLOOR_BYTES - held : 0;
    return room < floor + shared ? room : floor + shared;
}

uint64_t h2_stream_held(const struct h2_stream *stream)
{
    return stream->out.bytes;
}

void h2_stream_consume(struct h2_stream *stream, uint64_t bytes)
{
    struct h2_session *session = stream->session;
    INVARIANT(bytes <= stream->owed);
    stream->owed -= bytes;
    h2_session_failed(session, nghttp2_session_consume_connection(session->nghttp2, bytes));
    if (!stream->request_ended && !stream->was_reset)
        h2_session_failed(session,
                          nghttp2_session_consume_stream(session->nghttp2, stream->id, bytes));
}

bool h2_stream_is_answered(const struct h2_stream *stream)
{
    return stream->answer == H2_ANSWER_SENT;
}
