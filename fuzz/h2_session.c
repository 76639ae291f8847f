/* SPDX-License-Identifier: Apache-2.0
 *
 * An HTTP/2 session with a client that may send anything, in any cuts, and a caller that does what the input says. Whatever comes,
 *   - a head that is handed out can be written as an HTTP/1.1 request, and reads back as the same request;
 *   - every stream that the caller knows ends with one on_closed(), unless the caller reset it;
 *   - what the session sends is whole frames of at most 16 KiB;
 *   - the memory of libnghttp2 stays within its limit.
 *
 * Input: a byte of choices for the caller, then the client's bytes behind preface and SETTINGS; a cut follows each byte that is 0x5a.
 */
#include "fuzz.h"

#include "h2/h2.h"

enum { STREAMS = 64, CUT = 0x5a, FRAME_HEADER = 9, FRAME_MOST = 16384 };

struct caller {
    struct h2_session *session;
    struct h2_stream *known[STREAMS];
    struct slice_queue out;
    uint8_t choices;
    uint32_t turn;
};

static void learn(struct caller *caller, struct h2_stream *stream)
{
    for (int i = 0; i < STREAMS; i++)
        if (!caller->known[i]) {
            caller->known[i] = stream;
            h2_stream_set_context(stream, &caller->known[i]);
            return;
        }
    h2_stream_reset(&stream, H2_CODE_REFUSED_STREAM);
}

static bool is_known(struct h2_stream *stream)
{
    struct h2_stream **place = h2_stream_context(stream);
    return place && *place == stream;
}

static void read_back(const struct http_head *head)
{
    struct slice_queue text = {0};
    struct arena arena = {0};
    struct http_parser parser;
    struct http_head again;
    struct slice data;
    INVARIANT(http_write_request(&text, head) == 0);
    http_parser_start_request(&parser, &http_limits_default, &again, &arena);
    /* Host comes on top of what the limits let in. */
    enum http_event event = http_parser_next(&parser, &text, &data);
    if (event == HTTP_EVENT_ERROR) {
        INVARIANT(parser.cause == HTTP_CAUSE_HEAD_LONG || parser.cause == HTTP_CAUSE_HEAD_FIELDS);
    } else {
        INVARIANT(event == HTTP_EVENT_HEAD && text.bytes == 0);
        INVARIANT(again.method == head->method && span_equal(again.target, head->target));
        INVARIANT(span_equal(again.host, head->host) && again.port == head->port);
        /* Without content a POST says so over HTTP/1.1. */
        bool says_none = head->body == HTTP_BODY_NONE && again.body == HTTP_BODY_LENGTH;
        INVARIANT(again.body == head->body || says_none);
        INVARIANT(again.content_length == head->content_length);
        INVARIANT(again.upgrades == head->upgrades);
    }
    arena_clear(&arena);
    slice_queue_clear(&text);
}

static void answer(struct caller *caller, struct h2_stream *stream, uint8_t choice)
{
    struct arena arena = {0};
    struct http_head head;
    http_head_init(&head, &arena);
    head.status = choice & 1 ? 200 : choice & 2 ? 101 : choice & 4 ? 103 : 304;
    head.body = choice & 8 ? HTTP_BODY_LENGTH : HTTP_BODY_CHUNKED;
    head.has_length = head.body == HTTP_BODY_LENGTH;
    head.content_length = 5000;
    INVARIANT(!http_fields_add(&head.fields, HTTP_NAME_CONTENT_TYPE, SPAN("text/plain")));
    if (h2_stream_answer(stream, &head) == 0 && head.status >= 200) {
        static const uint8_t content[5000];
        h2_stream_write(stream, slice_copy(span_of(content, choice & 16 ? 5000 : 20)));
        if (choice & 32)
            h2_stream_end(stream, choice & 64 ? &head.fields : NULL);
    }
    (void)caller;
    arena_clear(&arena);
}

static void on_head(void *context, struct h2_stream *stream, struct http_head *head)
{
    struct caller *caller = context;
    read_back(head);
    learn(caller, stream);
}

static void on_refused(void *context, struct h2_stream *stream, struct http_head *head,
                       enum http_cause cause)
{
    INVARIANT(cause != HTTP_CAUSE_NONE && head);
    if (stream && !is_known(stream))
        learn(context, stream);
    if (stream && is_known(stream))
        answer(context, stream, 0xff);
}

static void on_data(void *context, struct h2_stream *stream, struct slice data)
{
    const struct caller *caller = context;
    INVARIANT(is_known(stream));
    if (caller->choices & 1)
        h2_stream_consume(stream, data.length);
    slice_release(&data);
}

static void on_end(void *context, struct h2_stream *stream, const struct http_fields *trailers)
{
    const struct caller *caller = context;
    INVARIANT(is_known(stream));
    for (uint32_t i = 0; trailers && i < trailers->count; i++)
        INVARIANT(http_is_field_value(trailers->list[i].value));
    if (caller->choices & 2)
        answer(context, stream, (uint8_t)(caller->choices * 7));
}

static void on_room(void *context, struct h2_stream *stream)
{
    const struct caller *caller = context;
    INVARIANT(is_known(stream));
    if (caller->choices & 4)
        h2_stream_end(stream, NULL);
}

static void on_closed(void *context, struct h2_stream *stream, uint32_t code)
{
    (void)context, (void)code;
    INVARIANT(is_known(stream));
    *(struct h2_stream **)h2_stream_context(stream) = NULL;
}

static const struct h2_events events = {on_head, on_refused, on_data, on_end,
                                        on_room, on_closed,  NULL};

static void check_frames(struct slice_queue *out)
{
    while (out->bytes) {
        uint8_t header[FRAME_HEADER];
        INVARIANT(slice_queue_peek(out, 0, header, sizeof header) == sizeof header);
        size_t length = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
        INVARIANT(length <= FRAME_MOST && out->bytes >= FRAME_HEADER + length);
        slice_queue_consume(out, FRAME_HEADER + length);
    }
}

/* Something that is not in an event. */
static void act(struct caller *caller, uint8_t choice)
{
    struct h2_stream **stream = &caller->known[choice % STREAMS];
    if ((choice & 0xc0) == 0xc0 && caller->choices & 8)
        h2_session_drain(caller->session);
    if (!*stream)
        return;
    if (choice & 0x40)
        answer(caller, *stream, (uint8_t)(choice * 13));
    else if ((choice & 0x30) == 0x30)
        h2_stream_reset(stream, H2_CODE_CANCEL);
    else
        h2_stream_end(*stream, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct caller caller = {.choices = size ? data[0] : 0};
    struct span rest = span_from(span_of(data, size), 1);
    struct slice_queue in = {0};
    struct random random;
    struct h2_settings settings;
    uint64_t now_ns = 1000000000;
    random_seed(&random, 1);
    h2_settings_init(&settings, &http_limits_default);
    settings.stream_held_bytes = 8192;
    settings.connection_held_bytes = 32768;
    caller.session = h2_session_new(&settings, &events, &caller, &random);
    slice_queue_append(&in, SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"));
    INVARIANT(h2_session_feed(caller.session, &in, now_ns) == 0);
    int fed = 0;
    while (rest.length && fed == 0) {
        size_t length = span_find(rest, CUT);
        length += length < rest.length;
        slice_queue_push(&in, slice_copy(span_of(rest.data, length)));
        uint8_t choice = rest.data[length / 2];
        rest = span_from(rest, length);
        now_ns += 1000000;
        fed = h2_session_feed(caller.session, &in, now_ns);
        INVARIANT(in.bytes == 0);
        INVARIANT(h2_session_memory_bytes(caller.session) <= settings.memory_bytes + 65536);
        act(&caller, choice);
        h2_session_pull(caller.session, &caller.out, caller.choices & 16 ? 1000 : UINT64_MAX);
        check_frames(&caller.out);
    }
    h2_session_free(&caller.session);
    for (int i = 0; i < STREAMS; i++)
        INVARIANT(!caller.known[i]);
    slice_queue_clear(&caller.out);
    slice_queue_clear(&in);
    return 0;
}
