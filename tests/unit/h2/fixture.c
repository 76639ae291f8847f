/* SPDX-License-Identifier: Apache-2.0
 *
 * See fixture.h.
 */
#include "fixture.h"

#include "base/bytes.h"
#include "base/memory.h"

#include <stdio.h>

/* ---- events */

__attribute__((format(printf, 2, 3))) static void say(struct fixture *fixture, const char *format,
                                                      ...)
{
    va_list args;
    char line[512];
    if (fixture->is_quiet)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    text_add(&fixture->log, line);
    text_add(&fixture->log, "\n");
}

static void on_head(void *context, struct h2_stream *stream, struct http_head *head)
{
    static const char *const bodies[] = {"none", "length", "chunked", "close", "tunnel"};
    struct fixture *fixture = context;
    uint32_t id = h2_stream_id(stream);
    fixture->heads++;
    if (id / 2 < FIXTURE_STREAMS)
        fixture->streams[id / 2] = stream;
    say(fixture, "head %u %.*s %.*s at %.*s:%u, content %s%s", id, SPAN_ARGS(head->method_text),
        SPAN_ARGS(head->target), SPAN_ARGS(head->host), head->port,
        head->upgrades ? "upgrade" : bodies[head->body], head->expects_continue ? ", waits" : "");
}

static void on_refused(void *context, struct h2_stream *stream, struct http_head *head,
                       enum http_cause cause)
{
    struct fixture *fixture = context;
    (void)head;
    if (stream && h2_stream_id(stream) / 2 < FIXTURE_STREAMS)
        fixture->streams[h2_stream_id(stream) / 2] = stream;
    if (stream)
        say(fixture, "refused %u %s", h2_stream_id(stream), http_cause_name(cause));
    else
        say(fixture, "malformed %s", http_cause_name(cause));
}

static void on_data(void *context, struct h2_stream *stream, struct slice data)
{
    struct fixture *fixture = context;
    if (data.length <= 64)
        say(fixture, "data %u %.*s", h2_stream_id(stream), (int)data.length,
            (const char *)slice_data(&data));
    else
        say(fixture, "data %u of %u", h2_stream_id(stream), data.length);
    if (!fixture->keeps_data)
        h2_stream_consume(stream, data.length);
    slice_release(&data);
}

static void on_end(void *context, struct h2_stream *stream, const struct http_fields *trailers)
{
    struct fixture *fixture = context;
    say(fixture, "end %u", h2_stream_id(stream));
    for (uint32_t i = 0; trailers && i < trailers->count; i++)
        say(fixture, "  %.*s: %.*s", SPAN_ARGS(trailers->list[i].name),
            SPAN_ARGS(trailers->list[i].value));
    if (fixture->answers)
        answer(fixture, h2_stream_id(stream), 204, 0);
}

static void on_room(void *context, struct h2_stream *stream)
{
    (void)context, (void)stream;
}

static void on_closed(void *context, struct h2_stream *stream, uint32_t code)
{
    struct fixture *fixture = context;
    uint32_t id = h2_stream_id(stream);
    fixture->closed++;
    if (id / 2 < FIXTURE_STREAMS)
        fixture->streams[id / 2] = NULL;
    say(fixture, "closed %u %u%s", id, code, h2_stream_is_answered(stream) ? ", answered" : "");
}

static void on_priority(void *context, struct h2_stream *stream, struct http_priority priority)
{
    say(context, "priority %u u=%u%s", h2_stream_id(stream), priority.urgency,
        priority.incremental ? ", i" : "");
}

static const struct h2_events events = {on_head, on_refused, on_data,    on_end,
                                        on_room, on_closed,  on_priority};

/* ---- life */

void fixture_start_bare(struct fixture *fixture, void (*change)(struct h2_settings *))
{
    *fixture = (struct fixture){.now_ns = SECOND_NS};
    random_seed(&fixture->random, 1);
    h2_settings_init(&fixture->settings, &http_limits_default);
    if (change)
        change(&fixture->settings);
    fixture->session = h2_session_new(&fixture->settings, &events, fixture, &fixture->random);
    assert_int_equal(nghttp2_hd_inflate_new(&fixture->inflater), 0);
}

void fixture_start(struct fixture *fixture, void (*change)(struct h2_settings *))
{
    fixture_start_bare(fixture, change);
    slice_queue_append(&fixture->in, SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    put_frame(fixture, NGHTTP2_SETTINGS, 0, 0, SPAN(""));
    assert_int_equal(feed(fixture), 0);
    sent(fixture, true);
    put_frame(fixture, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, SPAN(""));
    assert_int_equal(feed(fixture), 0);
    text_clear(&fixture->log);
}

void fixture_stop(struct fixture *fixture)
{
    fixture->is_quiet = true;
    h2_session_free(&fixture->session);
    nghttp2_hd_inflate_del(fixture->inflater);
    slice_queue_clear(&fixture->in);
    slice_queue_clear(&fixture->out);
    text_clear(&fixture->log);
    chunk_cache_drain();
}

void fixture_expect(struct fixture *fixture, const char *text)
{
    assert_string_equal(fixture->log.data ? fixture->log.data : "", text);
    text_clear(&fixture->log);
}

/* ---- frames to it */

void put_frame(struct fixture *fixture, uint8_t type, uint8_t flags, uint32_t stream,
               struct span payload)
{
    uint8_t header[9] = {(uint8_t)(payload.length >> 16), (uint8_t)(payload.length >> 8),
                         (uint8_t)payload.length, type, flags};
    store_u32(header + 5, stream);
    slice_queue_append(&fixture->in, span_of(header, sizeof header));
    slice_queue_append(&fixture->in, payload);
}

static void add_string(struct text *block, struct span string)
{
    uint8_t bytes[8], *at = bytes;
    size_t rest = string.length;
    if (rest < 127) {
        *at++ = (uint8_t)rest;
    } else {
        *at++ = 127;
        for (rest -= 127; rest > 127; rest >>= 7)
            *at++ = (uint8_t)(rest | 128);
        *at++ = (uint8_t)rest;
    }
    text_add_span(block, span_of(bytes, (size_t)(at - bytes)));
    text_add_span(block, string);
}

struct span encode_lines(struct text *block, const char *lines)
{
    struct span rest = span_text(lines);
    while (rest.length) {
        struct span line = span_of(rest.data, span_find(rest, '\n'));
        rest = span_from(rest, line.length + 1);
        size_t colon = 1 + span_find(span_from(line, 1), ':');
        text_add_span(block, span_of("", 1));
        add_string(block, span_of(line.data, colon));
        add_string(block, span_from(line, colon + 2));
    }
    return span_of(block->data, block->length);
}

void put_headers(struct fixture *fixture, uint8_t flags, uint32_t stream, const char *lines)
{
    struct text block = {0};
    put_frame(fixture, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, stream,
              encode_lines(&block, lines));
    text_clear(&block);
}

void put_get(struct fixture *fixture, uint32_t stream)
{
    put_headers(fixture, NGHTTP2_FLAG_END_STREAM, stream,
                ":method: GET\n:scheme: https\n:authority: example.com\n:path: /\n");
}

void put_data(struct fixture *fixture, uint8_t flags, uint32_t stream, const char *text)
{
    put_frame(fixture, NGHTTP2_DATA, flags, stream, span_text(text));
}

void put_zeros(struct fixture *fixture, uint8_t flags, uint32_t stream, uint32_t length)
{
    uint8_t *zeros = memory_new(length);
    put_frame(fixture, NGHTTP2_DATA, flags, stream, span_of(zeros, length));
    memory_free(zeros);
}

void put_u32(struct fixture *fixture, uint8_t type, uint32_t stream, uint32_t value)
{
    uint8_t bytes[4];
    store_u32(bytes, value);
    put_frame(fixture, type, 0, stream, span_of(bytes, sizeof bytes));
}

void put_ping(struct fixture *fixture, uint8_t flags)
{
    put_frame(fixture, NGHTTP2_PING, flags, 0, SPAN("12345678"));
}

void put_settings(struct fixture *fixture, uint16_t id, uint32_t value)
{
    uint8_t bytes[6] = {(uint8_t)(id >> 8), (uint8_t)id};
    store_u32(bytes + 2, value);
    put_frame(fixture, NGHTTP2_SETTINGS, 0, 0, span_of(bytes, sizeof bytes));
}

int feed(struct fixture *fixture)
{
    fixture->fed = h2_session_feed(fixture->session, &fixture->in, fixture->now_ns);
    assert_int_equal(fixture->in.bytes, 0);
    return fixture->fed;
}

/* ---- frames from it */

enum { FRAME_MOST = 16384 };

/* `ends`: no CONTINUATION follows. */
static void say_block(struct fixture *fixture, struct text *line, struct span block, bool ends)
{
    nghttp2_nv pair;
    int flags = 0;
    while (ends ? !(flags & NGHTTP2_HD_INFLATE_FINAL) : block.length > 0) {
        ssize_t used = nghttp2_hd_inflate_hd2(fixture->inflater, &pair, &flags, block.data,
                                              block.length, ends);
        assert_true(used >= 0);
        block = span_from(block, (size_t)used);
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
            continue;
        text_add(line, " ");
        text_add_span(line, span_of(pair.name, pair.namelen));
        text_add(line, "=");
        text_add_span(line, span_of(pair.value, pair.valuelen));
    }
    if (ends)
        nghttp2_hd_inflate_end_headers(fixture->inflater);
}

static void say_frame(struct fixture *fixture, const uint8_t *header, struct span payload,
                      bool with_all)
{
    static const char *const types[] = {"DATA",          "HEADERS",      "PRIORITY", "RST_STREAM",
                                        "SETTINGS",      "PUSH_PROMISE", "PING",     "GOAWAY",
                                        "WINDOW_UPDATE", "CONTINUATION"};
    char words[64];
    uint8_t type = header[3], flags = header[4];
    if (!with_all && (type == NGHTTP2_SETTINGS || type == NGHTTP2_WINDOW_UPDATE))
        return;
    assert_true(type < sizeof types / sizeof *types);
    assert_in_range(payload.length, 0, FRAME_MOST);
    snprintf(words, sizeof words, "%s %u", types[type], load_u32(header + 5));
    if (type == NGHTTP2_CONTINUATION)
        words[0] = 0; /* the line goes on */
    text_add(&fixture->log, words);
    words[0] = 0;
    if (type == NGHTTP2_DATA)
        snprintf(words, sizeof words, " %zu", payload.length);
    else if (type == NGHTTP2_RST_STREAM || type == NGHTTP2_WINDOW_UPDATE)
        snprintf(words, sizeof words, " %u", load_u32(payload.data));
    else if (type == NGHTTP2_GOAWAY)
        snprintf(words, sizeof words, " last %u code %u", load_u32(payload.data),
                 load_u32(payload.data + 4));
    text_add(&fixture->log, words);
    if ((type == NGHTTP2_PING || type == NGHTTP2_SETTINGS) && (flags & NGHTTP2_FLAG_ACK))
        text_add(&fixture->log, " ACK");
    if ((type == NGHTTP2_DATA || type == NGHTTP2_HEADERS) && (flags & NGHTTP2_FLAG_END_STREAM))
        text_add(&fixture->log, " END_STREAM");
    if (type == NGHTTP2_HEADERS || type == NGHTTP2_CONTINUATION) {
        say_block(fixture, &fixture->log, payload, flags & NGHTTP2_FLAG_END_HEADERS);
        if (!(flags & NGHTTP2_FLAG_END_HEADERS))
            return;
    }
    for (size_t i = 0; type == NGHTTP2_SETTINGS && i + 6 <= payload.length; i += 6) {
        snprintf(words, sizeof words, " %u=%u", payload.data[i] << 8 | payload.data[i + 1],
                 load_u32(payload.data + i + 2));
        text_add(&fixture->log, words);
    }
    text_add(&fixture->log, "\n");
}

const char *sent(struct fixture *fixture, bool with_all)
{
    h2_session_pull(fixture->session, &fixture->out, UINT64_MAX);
    while (fixture->out.bytes) {
        uint8_t header[9];
        assert_int_equal(slice_queue_peek(&fixture->out, 0, header, sizeof header), sizeof header);
        size_t length = (size_t)header[0] << 16 | (size_t)header[1] << 8 | header[2];
        uint8_t *payload = memory_raw(length + 1);
        assert_int_equal(slice_queue_peek(&fixture->out, sizeof header, payload, length), length);
        slice_queue_consume(&fixture->out, sizeof header + length);
        say_frame(fixture, header, span_of(payload, length), with_all);
        memory_free(payload);
    }
    return fixture->log.data ? fixture->log.data : "";
}

void expect_sent(struct fixture *fixture, const char *text)
{
    text_clear(&fixture->log);
    sent(fixture, false);
    fixture_expect(fixture, text);
}

/* ---- answers */

struct h2_stream *stream_of(struct fixture *fixture, uint32_t id)
{
    assert_non_null(fixture->streams[id / 2]);
    return fixture->streams[id / 2];
}

void answer(struct fixture *fixture, uint32_t id, uint16_t status, int64_t length)
{
    struct arena arena = {0};
    struct http_head head;
    http_head_init(&head, &arena);
    head.status = status;
    head.body = length < 0 ? HTTP_BODY_CHUNKED : length ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    head.has_length = length > 0;
    head.content_length = length > 0 ? (uint64_t)length : 0;
    assert_int_equal(h2_stream_answer(stream_of(fixture, id), &head), 0);
    arena_clear(&arena);
}

void write_text(struct fixture *fixture, uint32_t id, const char *text)
{
    h2_stream_write(stream_of(fixture, id), slice_copy(span_text(text)));
}

void write_zeros(struct fixture *fixture, uint32_t id, uint32_t length)
{
    struct chunk *chunk = chunk_new_sized(length);
    memset(chunk->data, 0, length);
    chunk->filled = length;
    h2_stream_write(stream_of(fixture, id), (struct slice){chunk, 0, length});
}
