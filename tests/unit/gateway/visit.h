/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of an edge, the origins that they come to, and the answers that the edge gets.
 */
#ifndef TESTS_UNIT_GATEWAY_VISIT_H
#define TESTS_UNIT_GATEWAY_VISIT_H

#include "stage.h"

/* ---- the edge */

struct request {
    enum http_method method;
    const char *site;
    const char *body; /* NULL: none; else of unknown length, chunked */
    bool is_unended;  /* END does not come yet */
    const char *target;
};

static inline void append_text(struct slice_queue *form, struct text *bytes)
{
    while (form->count) {
        struct slice slice = slice_queue_pop(form, UINT32_MAX);
        text_add_span(bytes, span_of(slice_data(&slice), slice.length));
        slice_release(&slice);
    }
    slice_queue_clear(form);
}

static inline struct link_stream *ask(struct stage *stage, struct link *from,
                                      const struct request *how)
{
    struct arena arena = {0};
    struct slice_queue form = {0};
    struct text bytes = {0};
    struct http_head head;
    struct http_opening opening = {.site = span_text(how->site ? how->site : "shop"),
                                   .request_id = SPAN("0123"),
                                   .client = {.bytes = {192, 0, 2, 7}, .port = 1, .family = 4},
                                   .edge_port = 80,
                                   .priority = 2};
    http_head_init(&head, &arena);
    head.method = how->method ? how->method : HTTP_METHOD_GET;
    head.method_text = http_method_text(head.method);
    head.target = span_text(how->target ? how->target : "/a");
    head.host = SPAN("www.shop.example");
    head.minor = 1;
    head.body = how->body ? HTTP_BODY_CHUNKED : HTTP_BODY_NONE;
    assert_int_equal(http_form_write_request(&form, &opening, &head), 0);
    if (how->body && *how->body)
        http_form_write_data(&form, slice_copy(span_text(how->body)));
    if (!how->is_unended)
        http_form_write_end(&form);
    append_text(&form, &bytes);
    struct link_stream *stream = fake_stream_new(from);
    gateway_request_accept(stage->worker, from, stream);
    fake_deliver(stream, text_span(&bytes), !how->is_unended);
    text_clear(&bytes);
    arena_clear(&arena);
    return stream;
}

static inline bool is_over(void *argument)
{
    struct link_stream *stream = argument;
    return stream->is_released;
}

static inline void expect_reset(struct stage *stage, struct link_stream *stream, uint32_t code)
{
    assert_true(turn_until(stage->worker->loop, is_over, stream));
    assert_true(stream->was_reset);
    assert_int_equal(stream->reset_code, code);
    assert_true(list_is_empty(&stage->worker->requests));
}

static struct http_times told; /* with the last answer */

/* The answer as the edge reads it. */
static inline void expect_answer(struct stage *stage, struct link_stream *stream, unsigned status,
                                 const char *content)
{
    struct arena arena = {0};
    struct http_form_reader reader;
    struct http_head head;
    struct slice_queue bytes = {0};
    struct text body = {0};
    struct slice data;
    enum http_event event;
    assert_true(turn_until(stage->worker->loop, is_over, stream));
    assert_false(stream->was_reset);
    assert_true(stream->is_finished);
    slice_queue_append(&bytes, text_span(&stream->written));
    http_form_reader_start_response(&reader, &http_limits_default, &head, &arena, HTTP_METHOD_GET,
                                    false);
    while ((event = http_form_reader_next(&reader, &bytes, &data)) != HTTP_EVENT_END) {
        assert_true(event == HTTP_EVENT_HEAD || event == HTTP_EVENT_DATA);
        if (event == HTTP_EVENT_DATA) {
            text_add_span(&body, span_of(slice_data(&data), data.length));
            slice_release(&data);
        }
    }
    told = reader.times;
    assert_int_equal(head.status, status);
    assert_string_equal(body.data ? body.data : "", content);
    text_clear(&body);
    slice_queue_clear(&bytes);
    arena_clear(&arena);
}

/* ---- the origins */

struct visit {
    struct stage *stage;
    int fd, origin; /* where a connection came in */
    char got[4096];
    size_t length;
};

static inline bool has_come(void *argument)
{
    struct visit *visit = argument;
    struct address peer;
    for (visit->origin = 0; visit->origin < STAGE_ORIGINS; visit->origin++)
        if (visit->stage->listeners[visit->origin] >= 0 &&
            socket_accept(visit->stage->listeners[visit->origin], &peer, &visit->fd) == 0)
            return true;
    return false;
}

/* What came of a request ends with `end`. */
static const char *wanted_end;
static inline bool has_read(void *argument)
{
    struct visit *visit = argument;
    ssize_t got = recv(visit->fd, visit->got + visit->length, sizeof visit->got - 1 - visit->length,
                       MSG_DONTWAIT);
    if (got > 0)
        visit->length += (size_t)got;
    visit->got[visit->length] = 0;
    size_t end = strlen(wanted_end);
    return visit->length >= end && strcmp(visit->got + visit->length - end, wanted_end) == 0;
}

static inline const char *read_request(struct visit *visit, const char *end)
{
    visit->length = 0;
    wanted_end = end;
    if (!turn_until(visit->stage->worker->loop, has_read, visit))
        fail_msg("only this came: %s", visit->got);
    return visit->got;
}

static inline void visit(struct stage *stage, struct visit *visit)
{
    *visit = (struct visit){.stage = stage, .fd = -1};
    assert_true(turn_until(stage->worker->loop, has_come, visit));
}

static inline void answer(struct visit *visit, const char *text)
{
    assert_int_equal(send(visit->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static inline size_t idle_connections(struct stage *stage)
{
    size_t count = 0;
    LIST_EACH (item, after, &stage->worker->pools)
        count += CONTAINER_OF(item, struct origin_pool, link)->idle_count;
    return count;
}

static inline size_t pending_requests(struct stage *stage)
{
    size_t count = 0;
    LIST_EACH (item, after, &stage->worker->pools)
        count += CONTAINER_OF(item, struct origin_pool, link)->holds;
    return count;
}

#endif
