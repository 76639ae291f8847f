/* SPDX-License-Identifier: Apache-2.0
 *
 * Packed messages: which may be, and how they cross.
 */
#include "base/memory.h"
#include "base/text.h"
#include "http/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int start(void **state)
{
    *state = compressor_new(compress_zstd(), 1, NULL);
    return 0;
}

static int stop(void **state)
{
    struct compressor *compressor = *state;
    compressor_free(&compressor);
    chunk_cache_drain();
    return 0;
}

static void parse(struct http_head *head, struct arena *arena, const char *text)
{
    struct http_parser parser;
    struct span data;
    size_t used;
    struct span bytes = span_text(text);
    if (span_starts(bytes, SPAN("HTTP/")))
        http_parser_start_response(&parser, &http_limits_default, head, arena, HTTP_METHOD_GET,
                                   false);
    else
        http_parser_start_request(&parser, &http_limits_default, head, arena);
    assert_int_equal(http_parser_feed(&parser, bytes, &used, &data), HTTP_EVENT_HEAD);
}

#define GET    "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n"
#define OK     "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n"
#define NOBODY COMPRESS_COUNTS

static void T9_what_may_be_packed(void **state)
{
    static const struct {
        const char *request, *answer; /* answer NULL: the request itself */
        enum http_pack_policy policy;
        bool head, content;
        enum compress_count count;
    } rows[] = {
        {GET "\r\n", NULL, HTTP_PACK_PUBLIC, true, false, NOBODY},
        {POST "\r\n", NULL, HTTP_PACK_PUBLIC, true, true, 0},
        {POST "\r\n", NULL, HTTP_PACK_OFF, false, false, COMPRESS_OFF},
        {POST "Cookie: s=1\r\n\r\n", NULL, HTTP_PACK_PUBLIC, false, false, COMPRESS_SECRET},
        {POST "Authorization: Basic YTpi\r\n\r\n", NULL, HTTP_PACK_PUBLIC, false, false,
         COMPRESS_SECRET},
        {POST "X-CSRF-Token: 1\r\n\r\n", NULL, HTTP_PACK_PUBLIC, false, false, COMPRESS_SECRET},
        {POST "x-api-key: 1\r\n\r\n", NULL, HTTP_PACK_PUBLIC, false, false, COMPRESS_SECRET},
        {POST "Cookie: s=1\r\n\r\n", NULL, HTTP_PACK_ALL, true, true, 0},
        {GET "\r\n", OK "\r\n", HTTP_PACK_PUBLIC, true, true, 0},
        {GET "Cookie: s=1\r\n\r\n", OK "\r\n", HTTP_PACK_PUBLIC, false, false, COMPRESS_SECRET},
        {GET "Cookie: s=1\r\n\r\n", OK "\r\n", HTTP_PACK_ALL, true, true, 0},
        {GET "\r\n", OK "Set-Cookie: s=1\r\n\r\n", HTTP_PACK_PUBLIC, false, false, COMPRESS_SECRET},
        {GET "\r\n", OK "Cache-Control: max-age=0, private\r\n\r\n", HTTP_PACK_PUBLIC, false, false,
         COMPRESS_SECRET},
        {GET "\r\n", OK "Cache-Control: no-store\r\n\r\n", HTTP_PACK_PUBLIC, false, false,
         COMPRESS_SECRET},
        {GET "\r\n", OK "Content-Type: text/html; charset=utf-8\r\n\r\n", HTTP_PACK_PUBLIC, true,
         true, 0},
        {GET "\r\n", OK "Content-Type: IMAGE/jpeg\r\n\r\n", HTTP_PACK_ALL, true, false,
         COMPRESS_TYPE},
        {GET "\r\n", OK "Content-Type: image/svg+xml\r\n\r\n", HTTP_PACK_PUBLIC, true, true, 0},
        {GET "\r\n", OK "Content-Type: application/zip ;x=y\r\n\r\n", HTTP_PACK_PUBLIC, true, false,
         COMPRESS_TYPE},
        {GET "\r\n", OK "Content-Type: font/woff2\r\n\r\n", HTTP_PACK_PUBLIC, true, false,
         COMPRESS_TYPE},
        {GET "\r\n", OK "Content-Type: text/css\r\nContent-Encoding: br\r\n\r\n", HTTP_PACK_PUBLIC,
         true, false, COMPRESS_TYPE},
        {GET "\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 255\r\n\r\n", HTTP_PACK_PUBLIC, true,
         false, COMPRESS_SMALL},
        {GET "\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_PACK_PUBLIC,
         true, true, 0},
        {GET "\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n", HTTP_PACK_PUBLIC, true, false, NOBODY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena = {0};
        struct http_head request, answer;
        struct http_pack pack;
        parse(&request, &arena, rows[i].request);
        if (rows[i].answer)
            parse(&answer, &arena, rows[i].answer);
        http_pack_decide(rows[i].policy, rows[i].answer ? &answer : &request,
                         rows[i].answer ? &request.fields : NULL, &pack);
        if (pack.head != rows[i].head || pack.content != rows[i].content ||
            (!pack.content && pack.content_count != rows[i].count))
            fail_msg("row %zu: head %d content %d count %d", i, pack.head, pack.content,
                     (int)pack.content_count);
        arena_clear(&arena);
    }
}

/* A long answer head and text of `length` bytes in pieces of `step`. */
static void write_answer(struct slice_queue *out, struct compressor *compressor,
                         struct text *content, size_t length, size_t step)
{
    struct arena arena = {0};
    struct http_head head;
    struct slice_queue frame = {0};
    struct http_form_content writer = {0};
    parse(&head, &arena,
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nServer: nginx/1.24.0\r\n"
          "Permissions-Policy: camera=(), microphone=(), geolocation=()\r\n"
          "Strict-Transport-Security: max-age=63072000; includeSubDomains; preload\r\n"
          "Content-Security-Policy: default-src 'self'; script-src 'self' 'unsafe-inline'; "
          "style-src 'self' 'unsafe-inline' https://fonts.googleapis.com; frame-ancestors 'none'; "
          "object-src 'none'; base-uri 'self'; form-action 'self'\r\n\r\n");
    assert_int_equal(http_form_write_response(&frame, &head), 0);
    http_form_pack_head(out, &frame, compressor);
    for (unsigned i = 0; content->length < length; i++)
        text_add_format(content, "<p>paragraph %u of a page</p>\n", i * i % 977);
    http_form_content_start(&writer, compressor);
    for (size_t at = 0; at < content->length; at += step) {
        size_t rest = content->length - at;
        http_form_content_add(&writer, out,
                              slice_copy(span_of(content->data + at, rest < step ? rest : step)));
        if (at / step % 3 == 0)
            http_form_content_flush(&writer, out);
    }
    http_form_content_flush(&writer, out);
    http_form_write_end(out);
    http_form_content_clear(&writer);
    arena_clear(&arena);
}

/* Reads `frames` in pieces of `step`; returns the last event. */
static enum http_event read_answer(struct slice_queue *frames, size_t step,
                                   struct compressor *compressor, struct text *content,
                                   enum http_cause *cause)
{
    struct arena arena = {0};
    struct http_head head;
    struct http_form_reader reader = {0};
    struct slice_queue input = {0};
    enum http_event event = HTTP_EVENT_MORE;
    http_form_reader_start_response(&reader, &http_limits_default, &head, &arena, HTTP_METHOD_GET,
                                    false);
    if (compressor)
        http_form_reader_unpack(&reader, compressor);
    while (frames->bytes && event != HTTP_EVENT_END && event != HTTP_EVENT_ERROR) {
        slice_queue_push(&input, slice_queue_pop(frames, (uint32_t)step));
        do {
            struct slice data;
            event = http_form_reader_next(&reader, &input, &data);
            if (event == HTTP_EVENT_HEAD)
                assert_int_equal(head.fields.count, 4);
            if (event == HTTP_EVENT_DATA)
                text_add_span(content, span_of(slice_data(&data), data.length));
            slice_release(&data);
        } while (event == HTTP_EVENT_HEAD || event == HTTP_EVENT_DATA);
    }
    *cause = reader.cause;
    http_form_reader_clear(&reader);
    slice_queue_clear(&input);
    arena_clear(&arena);
    return event;
}

static void T9_a_packed_message_is_read_as_it_was(void **state)
{
    static const size_t steps[] = {1, 7, 100, 5000, 70000};
    for (size_t i = 0; i < 5; i++) {
        struct slice_queue out = {0};
        struct text sent = {0}, got = {0};
        enum http_cause cause;
        write_answer(&out, *state, &sent, 150000, 100 + 4000 * i);
        assert_true(out.bytes < sent.length / 3);
        assert_int_equal(read_answer(&out, steps[i], *state, &got, &cause), HTTP_EVENT_END);
        assert_true(span_equal(text_span(&sent), text_span(&got)));
        slice_queue_clear(&out);
        text_clear(&sent);
        text_clear(&got);
    }
}

static void T9_packed_frames_are_for_those_who_asked(void **state)
{
    struct slice_queue out = {0};
    struct text sent = {0}, got = {0};
    enum http_cause cause;
    write_answer(&out, *state, &sent, 20000, 1000);
    assert_int_equal(read_answer(&out, 5000, NULL, &got, &cause), HTTP_EVENT_ERROR);
    assert_int_equal(cause, HTTP_CAUSE_FORM_FRAME);
    slice_queue_clear(&out);
    text_clear(&sent);
    text_clear(&got);
}

/* 200 with content of 100 bytes, then a packed frame. */
static void T9_packed_frames_are_judged_before_they_are_unpacked(void **state)
{
    static const struct {
        const char *name;
        uint8_t frame[12];
        size_t length;
        enum http_cause cause;
    } rows[] = {
        {"more than the declared length", {6, 6, 0, 0x40, 101, 1, 2, 3}, 8, HTTP_CAUSE_FORM_BODY},
        {"nothing", {6, 5, 0, 0, 1, 2, 3}, 7, HTTP_CAUSE_FORM_LENGTH},
        {"more than a piece", {6, 8, 0, 0x80, 0, 0x80, 1, 1, 2, 3}, 10, HTTP_CAUSE_FORM_PACKED},
        {"unknown flags", {6, 5, 2, 50, 1, 2, 3}, 7, HTTP_CAUSE_FORM_PACKED},
        {"refers to nothing", {6, 5, 1, 50, 1, 2, 3}, 7, HTTP_CAUSE_FORM_PACKED},
        {"rubbish", {6, 5, 0, 50, 1, 2, 3}, 7, HTTP_CAUSE_FORM_PACKED},
        {"no bytes", {6, 2, 0, 50}, 4, HTTP_CAUSE_FORM_PACKED},
        {"cut short", {6, 1, 0}, 3, HTTP_CAUSE_FORM_PACKED},
        {"a frame too long", {6, 0x80, 1, 0, 0}, 5, HTTP_CAUSE_FORM_LENGTH},
        {"a second head", {7, 5, 50, 1, 2, 3, 4}, 7, HTTP_CAUSE_FORM_FRAME},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static const uint8_t head[] = {1, 7, 1, 3, 0, 200, 0x40, 100, 0};
        struct slice_queue frames = {0};
        struct arena arena = {0};
        struct http_head answer;
        struct http_form_reader reader = {0};
        struct slice data;
        http_form_reader_start_response(&reader, &http_limits_default, &answer, &arena,
                                        HTTP_METHOD_GET, false);
        http_form_reader_unpack(&reader, *state);
        slice_queue_append(&frames, span_of(head, sizeof head));
        slice_queue_append(&frames, span_of(rows[i].frame, rows[i].length));
        assert_int_equal(http_form_reader_next(&reader, &frames, &data), HTTP_EVENT_HEAD);
        assert_int_equal(http_form_reader_next(&reader, &frames, &data), HTTP_EVENT_ERROR);
        if (reader.cause != rows[i].cause)
            fail_msg("%s: %s", rows[i].name, http_cause_name(reader.cause));
        http_form_reader_clear(&reader);
        slice_queue_clear(&frames);
        arena_clear(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T9_what_may_be_packed),
        cmocka_unit_test(T9_a_packed_message_is_read_as_it_was),
        cmocka_unit_test(T9_packed_frames_are_for_those_who_asked),
        cmocka_unit_test(T9_packed_frames_are_judged_before_they_are_unpacked),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
