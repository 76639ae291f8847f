/* SPDX-License-Identifier: Apache-2.0
 *
 * A session: libnghttp2's callbacks become the parts' functions, and back. libnghttp2 is given whole slices and refers to them in its
 * callbacks, so content goes on as references to what came from the socket; what it wants sent is appended, content as the slices that
 * the caller gave.
 *
 * Windows are ours alone (no automatic updates), messages are checked in request.c (its own checks are off), floods are counted in
 * flood.c by the time that is passed in (its own limit, by a clock, is set out of reach).
 */
#include "h2/private.h"

#include "base/memory.h"

enum {
    /* Smaller content is copied: what a client sends bit by bit must not hold a chunk for each bit. */
    SHARED_LEAST = CHUNK_BYTES / 4,
    LAST_WORDS_BYTES = 64 << 10, /* of memory beyond the limit, for GOAWAY */
    RATE_OUT_OF_REACH = 1 << 30,
    EXTENSION_FIRST = 0xb, /* the first frame type that libnghttp2 does not know, but for 0x10 */
    EXTENSION_LAST = 0xff,
};

static const uint8_t drain_ping[8] = "drained";

/* ---- failure */

void h2_session_fail(struct h2_session *session, enum h2_cause cause)
{
    if (!session->cause && !session->is_ended)
        session->cause = cause;
}

bool h2_session_failed(struct h2_session *session, ssize_t result)
{
    if (result >= 0 || !nghttp2_is_fatal((int)result))
        return false;
    switch (result) {
    case NGHTTP2_ERR_NOMEM:
        h2_session_fail(session, H2_CAUSE_MEMORY);
        break;
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        h2_session_fail(session, H2_CAUSE_PREFACE);
        break;
    case NGHTTP2_ERR_FLOODED:
        h2_session_fail(session, H2_CAUSE_ACKS_UNREAD);
        break;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        h2_session_fail(session, H2_CAUSE_CONTINUATIONS);
        break;
    default:
        h2_session_fail(session, H2_CAUSE_PROTOCOL);
        break;
    }
    return true;
}

static uint32_t code_of(enum h2_cause cause)
{
    static const uint8_t codes[] = {
#define X(name, code, text) code,
        H2_CAUSE_LIST(X)
#undef X
    };
    return codes[cause];
}

/* Queues the last GOAWAY; nothing else is sent behind it. */
static void terminate(struct h2_session *session, uint32_t code)
{
    session->is_ended = true;
    session->memory_most += LAST_WORDS_BYTES;
    session->is_broken = nghttp2_session_terminate_session(session->nghttp2, code) != 0;
}

static void end_if_failed(struct h2_session *session)
{
    if (session->cause && !session->is_ended)
        terminate(session, code_of(session->cause));
}

/* What a callback says when its session has failed. */
static int outcome(const struct h2_session *session)
{
    return session->cause ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* ---- from libnghttp2: what came */

/* Of a request's callbacks all but the first are for the same stream: libnghttp2 is not asked to look it up for each. NULL: none, or one
 * that it refuses. */
static struct h2_stream *stream_of(struct h2_session *session, int32_t id)
{
    if (!session->recent || session->recent->id != id)
        session->recent = nghttp2_session_get_stream_user_data(session->nghttp2, id);
    return session->recent;
}

/* False: HEADERS that no client may send. libnghttp2 ignores them, for it knows of streams only while they are open. */
static bool may_open(struct h2_session *session, const nghttp2_frame_hd *frame)
{
    uint32_t id = (uint32_t)frame->stream_id;
    if (id <= session->ids.highest && stream_of(session, frame->stream_id))
        return true;
    if (id > session->ids.highest && session->open >= session->settings.streams)
        h2_ids_note_reset(&session->ids, id); /* it will be refused, with what follows of it */
    return h2_ids_take(&session->ids, id) || session->drain == H2_DRAIN_FINAL || session->is_ended;
}

static int on_begin_frame(nghttp2_session *nghttp2, const nghttp2_frame_hd *frame, void *context)
{
    (void)nghttp2;
    struct h2_session *session = context;
    h2_flood_frame(session, frame);
    if (frame->type == NGHTTP2_HEADERS && frame->stream_id && !may_open(session, frame))
        h2_session_fail(session, H2_CAUSE_PROTOCOL);
    /* RFC 9113 section 6.3; libnghttp2 looks at no PRIORITY frame once RFC 9218 has taken its place. */
    if (frame->type == NGHTTP2_PRIORITY && frame->stream_id == 0)
        h2_session_fail(session, H2_CAUSE_PROTOCOL);
    return outcome(session);
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = context;
    struct h2_stream *stream;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        session->recent = stream = h2_stream_new(session, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(nghttp2, frame->hd.stream_id, stream);
    } else {
        stream = stream_of(context, frame->hd.stream_id);
        if (stream)
            stream->head_bytes = 0, stream->decoded_bytes = 0;
    }
    return outcome(session);
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *context)
{
    struct h2_stream *stream = stream_of(context, frame->hd.stream_id);
    (void)nghttp2, (void)flags;
    if (stream)
        h2_request_field(stream, span_of(name, name_length), span_of(value, value_length));
    return outcome(context);
}

static void on_priority_update(struct h2_session *session,
                               const nghttp2_ext_priority_update *update)
{
    struct http_priority priority =
        http_priority_read(span_of(update->field_value, update->field_value_len));
    struct h2_stream *stream = stream_of(session, update->stream_id);
    if (update->stream_id == 0) {
        h2_session_fail(session, H2_CAUSE_PROTOCOL); /* RFC 9218 section 7.1 */
        return;
    }
    if (!stream) {
        if (update->stream_id <= nghttp2_session_get_last_proc_stream_id(session->nghttp2))
            return;
        session->early[session->early_next].stream = (uint32_t)update->stream_id;
        session->early[session->early_next].priority = priority;
        session->early_next = (session->early_next + 1) % H2_EARLY_PRIORITIES;
        return;
    }
    if (stream->is_priority_fixed)
        return;
    stream->priority = priority;
    if (session->events->on_priority && h2_stream_is_known(stream))
        session->events->on_priority(session->context, stream, priority);
}

static void on_settings(struct h2_session *session, const nghttp2_settings *settings)
{
    for (size_t i = 0; i < settings->niv; i++)
        if (settings->iv[i].settings_id == NGHTTP2_SETTINGS_HEADER_TABLE_SIZE)
            hpack_encoder_limit(&session->hpack, settings->iv[i].value);
}

static void on_ping(struct h2_session *session, const nghttp2_frame *frame)
{
    if ((frame->hd.flags & NGHTTP2_FLAG_ACK) && session->drain == H2_DRAIN_ANNOUNCED &&
        memcmp(frame->ping.opaque_data, drain_ping, sizeof drain_ping) == 0)
        h2_session_drain(session);
}

static int on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = context;
    struct h2_stream *stream = stream_of(context, frame->hd.stream_id);
    bool ends = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    (void)nghttp2;
    if (frame->hd.type == NGHTTP2_HEADERS && stream) {
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
            h2_request_head(stream, ends);
        else
            h2_request_trailers(stream, ends);
    } else if (frame->hd.type == NGHTTP2_DATA && stream && ends) {
        h2_request_end(stream);
    } else if (frame->hd.type == NGHTTP2_PRIORITY_UPDATE) {
        on_priority_update(session, frame->ext.payload);
    } else if (frame->hd.type == NGHTTP2_PING) {
        on_ping(session, frame);
    } else if (frame->hd.type == NGHTTP2_SETTINGS) {
        on_settings(session, &frame->settings);
    }
    return outcome(session);
}

static int on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t length, void *context)
{
    struct h2_session *session = context;
    struct h2_stream *stream = stream_of(context, id);
    (void)nghttp2, (void)flags;
    if (!stream)
        return outcome(
            session); /* not known to happen: what comes for streams that are over never gets here */
    const struct slice *fed = &session->fed;
    struct slice piece;
    if (length < SHARED_LEAST)
        piece = slice_copy(span_of(data, length));
    else
        piece = slice_retain(
            (struct slice){fed->chunk, (uint32_t)(data - fed->chunk->data), (uint32_t)length});
    h2_request_data(stream, piece);
    return outcome(session);
}

/* A frame of a type that means nothing here was counted; its payload is not looked at. */
static int on_extension_chunk(nghttp2_session *nghttp2, const nghttp2_frame_hd *frame,
                              const uint8_t *data, size_t length, void *context)
{
    (void)nghttp2, (void)frame, (void)data, (void)length, (void)context;
    return NGHTTP2_ERR_CANCEL;
}

static int on_unpack_extension(nghttp2_session *nghttp2, void **payload,
                               const nghttp2_frame_hd *frame, void *context)
{
    (void)nghttp2, (void)payload, (void)frame, (void)context;
    return NGHTTP2_ERR_CANCEL;
}

static int on_close(nghttp2_session *nghttp2, int32_t id, uint32_t code, void *context)
{
    struct h2_session *session = context;
    struct h2_stream *stream = stream_of(context, id);
    if (!stream)
        return 0;
    if (h2_stream_is_known(stream))
        session->events->on_closed(session->context, stream, code);
    if (stream->owed)
        h2_session_failed(session, nghttp2_session_consume_connection(nghttp2, stream->owed));
    nghttp2_session_set_stream_user_data(nghttp2, id, NULL);
    h2_stream_free(stream);
    return 0;
}

/* ---- from libnghttp2: what is sent */

static int on_send_data(nghttp2_session *nghttp2, nghttp2_frame *frame, const uint8_t *header,
                        size_t length, nghttp2_data_source *source, void *context)
{
    struct h2_session *session = context;
    (void)nghttp2, (void)frame;
    h2_answer_send_content(source->ptr, header, length);
    return session->out->bytes < session->out_most ? 0 : NGHTTP2_ERR_PAUSE;
}

/* The answer is out. A client that is still sending may stop (RFC 9113 section 8.1). */
static void on_answer_sent(struct h2_stream *stream)
{
    h2_stream_set_answer(stream, H2_ANSWER_SENT);
    if (!stream->request_ended)
        h2_stream_submit_reset(stream, NGHTTP2_NO_ERROR);
}

static int on_frame_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
    struct h2_session *session = context;
    struct h2_stream *stream = stream_of(context, frame->hd.stream_id);
    switch (frame->hd.type) {
    case NGHTTP2_RST_STREAM:
        h2_ids_note_reset(&session->ids, (uint32_t)frame->hd.stream_id);
        /* libnghttp2 found a mistake of the client. */
        if (!stream || !stream->was_reset)
            h2_flood_take(session, H2_RATE_ERRORS);
        break;
    case NGHTTP2_GOAWAY:
        /* Behind the announcement, not with it: PING would overtake. */
        if (session->drain == H2_DRAIN_ANNOUNCED)
            h2_session_failed(session, nghttp2_submit_ping(nghttp2, NGHTTP2_FLAG_NONE, drain_ping));
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR && !session->is_ended) {
            h2_session_fail(session, H2_CAUSE_PROTOCOL);
            session->is_ended = true;
        }
        break;
    case NGHTTP2_HEADERS:
        INVARIANT(stream);
        h2_section_send(stream, frame->hd.flags);
        session->has_written = true;
        /* fall through */
    case NGHTTP2_DATA:
        if (stream && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
            on_answer_sent(stream);
        break;
    }
    return 0;
}

/* An answer that libnghttp2 cannot send, for its size; frames of streams that are over need no care. */
static int on_frame_not_sent(nghttp2_session *nghttp2, const nghttp2_frame *frame, int error,
                             void *context)
{
    struct h2_stream *stream = stream_of(context, frame->hd.stream_id);
    (void)nghttp2, (void)error;
    if (stream && frame->hd.type == NGHTTP2_HEADERS && !stream->was_reset)
        h2_stream_submit_reset(stream, NGHTTP2_INTERNAL_ERROR);
    return 0;
}

/* ---- life */

static void set_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(callbacks, on_extension_chunk);
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, on_unpack_extension);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
}

static void set_options(nghttp2_option *option)
{
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, H2_ACKS_QUEUED);
    nghttp2_option_set_max_continuations(option, H2_CONTINUATIONS);
    nghttp2_option_set_stream_reset_rate_limit(option, RATE_OUT_OF_REACH, RATE_OUT_OF_REACH);
    nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_PRIORITY_UPDATE);
    for (unsigned type = EXTENSION_FIRST; type <= EXTENSION_LAST; type++)
        if (type != NGHTTP2_PRIORITY_UPDATE)
            nghttp2_option_set_user_recv_extension_type(option, (uint8_t)type);
}

static int submit_settings(struct h2_session *session)
{
    const struct h2_settings *settings = &session->settings;
    const nghttp2_settings_entry entries[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings->stream_window_bytes},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
         settings->limits.line_bytes + settings->limits.head_bytes},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    size_t count = sizeof entries / sizeof *entries - !settings->websocket;
    int result = nghttp2_submit_settings(session->nghttp2, NGHTTP2_FLAG_NONE, entries, count);
    if (!result)
        result = nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, 0,
                                                       (int32_t)settings->connection_window_bytes);
    return result;
}

struct h2_session *h2_session_new(const struct h2_settings *settings,
                                  const struct h2_events *events, void *context,
                                  struct random *random)
{
    struct h2_session *session = NEW(struct h2_session);
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    session->settings = *settings;
    session->events = events;
    session->context = context;
    session->random = random;
    session->memory_most = settings->memory_bytes;
    list_init(&session->streams);
    list_init(&session->due);
    hpack_encoder_init(&session->hpack);
    nghttp2_mem memory = h2_memory_of(session);
    INVARIANT(!nghttp2_session_callbacks_new(&callbacks) && !nghttp2_option_new(&option));
    set_callbacks(callbacks);
    set_options(option);
    INVARIANT(!nghttp2_session_server_new3(&session->nghttp2, callbacks, session, option, &memory));
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    h2_session_failed(session, submit_settings(session));
    return session;
}

void h2_session_free(struct h2_session **freed)
{
    struct h2_session *session = *freed;
    if (!session)
        return;
    *freed = NULL;
    while (!list_is_empty(&session->streams)) {
        struct h2_stream *stream = CONTAINER_OF(session->streams.next, struct h2_stream, link);
        if (h2_stream_is_known(stream))
            session->events->on_closed(session->context, stream, H2_CODE_CANCEL);
        nghttp2_session_set_stream_user_data(session->nghttp2, stream->id, NULL);
        h2_stream_free(stream);
    }
    nghttp2_session_del(session->nghttp2);
    memory_free(session);
}

int h2_preface_check(const struct slice_queue *in)
{
    uint8_t bytes[NGHTTP2_CLIENT_MAGIC_LEN];
    size_t length = slice_queue_peek(in, 0, bytes, sizeof bytes);
    if (memcmp(bytes, NGHTTP2_CLIENT_MAGIC, length) != 0)
        return ERROR_INVALID;
    return length < sizeof bytes ? ERROR_INCOMPLETE : 0;
}

/* ---- bytes */

static bool is_closed(const struct h2_session *session)
{
    return session->cause || session->is_broken || !nghttp2_session_want_read(session->nghttp2);
}

int h2_session_feed(struct h2_session *session, struct slice_queue *in, uint64_t now_ns)
{
    session->now_ns = now_ns;
    while (in->count && !is_closed(session)) {
        session->fed = slice_queue_pop(in, UINT32_MAX);
        ssize_t used = nghttp2_session_mem_recv(session->nghttp2, slice_data(&session->fed),
                                                session->fed.length);
        h2_session_failed(session, used);
        slice_release(&session->fed);
    }
    end_if_failed(session);
    if (!is_closed(session))
        return 0;
    slice_queue_clear(in);
    return ERROR_CLOSED;
}

/* False: nothing was there to send. */
static bool send_piece(struct h2_session *session)
{
    const uint8_t *bytes;
    uint64_t before = session->out->bytes;
    session->has_written = false;
    ssize_t length = nghttp2_session_mem_send(session->nghttp2, &bytes);
    if (length > 0 && !session->has_written)
        slice_queue_gather(session->out, span_of(bytes, (size_t)length));
    if (h2_session_failed(session, length) && session->is_ended)
        session->is_broken = true;
    end_if_failed(session);
    return session->out->bytes > before || length < 0;
}

static void give_due(struct h2_session *session)
{
    struct list due;
    list_init(&due);
    while (!list_is_empty(&session->due)) {
        struct list *item = list_pop_front(&session->due);
        list_push_back(&due, item);
    }
    while (!list_is_empty(&due)) {
        struct h2_stream *stream = CONTAINER_OF(due.next, struct h2_stream, due);
        list_remove(&stream->due);
        if (stream->is_tunnel && stream->request == H2_REQUEST_WAITING)
            h2_request_tunnel(stream);
        else if (stream->answer == H2_ANSWER_CONTENT)
            session->events->on_room(session->context, stream);
    }
}

void h2_session_pull(struct h2_session *session, struct slice_queue *out, uint64_t limit_bytes)
{
    session->out = out;
    session->out_most = limit_bytes;
    end_if_failed(session);
    for (;;) {
        while (out->bytes < limit_bytes && !session->is_broken && send_piece(session)) {
        }
        if (list_is_empty(&session->due))
            break;
        give_due(session);
    }
    session->out = NULL;
}

bool h2_session_has_output(const struct h2_session *session)
{
    return !session->is_broken &&
           (nghttp2_session_want_write(session->nghttp2) || !list_is_empty(&session->due));
}

/* ---- the end */

static void set_drain(struct h2_session *session, enum h2_drain_state state)
{
    INVARIANT(state > session->drain);
    session->drain = state;
}

void h2_session_drain(struct h2_session *session)
{
    nghttp2_session *nghttp2 = session->nghttp2;
    if (session->is_ended)
        return;
    switch (session->drain) {
    case H2_DRAIN_NO:
        set_drain(session, H2_DRAIN_ANNOUNCED);
        h2_session_failed(session, nghttp2_submit_shutdown_notice(nghttp2));
        break;
    case H2_DRAIN_ANNOUNCED:
        set_drain(session, H2_DRAIN_FINAL);
        h2_session_failed(session,
                          nghttp2_submit_goaway(nghttp2, NGHTTP2_FLAG_NONE,
                                                nghttp2_session_get_last_proc_stream_id(nghttp2),
                                                NGHTTP2_NO_ERROR, NULL, 0));
        break;
    case H2_DRAIN_FINAL:
        break;
    }
}

void h2_session_end(struct h2_session *session)
{
    if (!session->is_ended)
        terminate(session, NGHTTP2_NO_ERROR);
}

void h2_session_forget(struct h2_session *session)
{
    LIST_EACH (item, after, &session->streams) {
        struct h2_stream *stream = CONTAINER_OF(item, struct h2_stream, link);
        if (h2_stream_is_known(stream) && !stream->context && !stream->was_reset)
            h2_stream_submit_reset(stream, NGHTTP2_CANCEL);
    }
}

bool h2_session_is_over(const struct h2_session *session)
{
    return session->is_broken || (!nghttp2_session_want_read(session->nghttp2) &&
                                  !nghttp2_session_want_write(session->nghttp2));
}

enum h2_cause h2_session_cause(const struct h2_session *session)
{
    return session->cause;
}

uint32_t h2_session_streams(const struct h2_session *session)
{
    return session->open;
}

uint32_t h2_session_head(const struct h2_session *session)
{
    return session->heads ? session->ids.highest : 0;
}

uint64_t h2_session_requests(const struct h2_session *session)
{
    return session->requests;
}

uint64_t h2_session_content_sent(const struct h2_session *session)
{
    return session->content_sent;
}

uint64_t h2_session_unsent(const struct h2_session *session)
{
    return session->unsent_bytes;
}

uint64_t h2_session_memory_bytes(const struct h2_session *session)
{
    return session->memory_bytes;
}
