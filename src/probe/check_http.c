/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP part of a check, in the clear or through TLS: one GET, the strict parser of http/, the status, and the text that is wanted
 * in the first CHECK_BODY_BYTES of the answer.
 */
#include "probe/private.h"

#include "base/memory.h"

#include <errno.h>

enum {
    HEAD_BYTES = 64 * 1024, /* besides the body */
    READ_BYTES = 16 * 1024,
};

/* ---- asking */

static int write_request(struct check *check)
{
    struct check_exchange *http = &check->http;
    const struct check_question *question = check->question;
    char address[ADDRESS_TEXT_BYTES];
    struct http_head head;
    http_head_init(&head, &http->arena);
    address_text(&check->address, false, address);
    head.method = HTTP_METHOD_GET;
    head.method_text = http_method_text(HTTP_METHOD_GET);
    head.target = span_text(question->path ? question->path : "/");
    head.host = span_text(question->host               ? question->host
                          : check->address.family == 6 ? arena_format(&http->arena, "[%s]", address)
                                                       : address);
    head.minor = 1;
    int result = http_fields_add_text(&head.fields, SPAN("User-Agent"), SPAN("causeway-health"));
    if (result == 0)
        result = http_fields_add_text(&head.fields, SPAN("Accept"), SPAN("*/*"));
    return result < 0 ? result : http_write_request(&http->out, &head);
}

void check_http_begin(struct check *check)
{
    struct check_exchange *http = &check->http;
    http->body.limit = CHECK_BODY_BYTES;
    if (write_request(check) < 0) {
        check_finish(check, CAUSE_HTTP);
        return;
    }
    http_parser_start_response(&http->parser, &http_limits_default, &http->head, &http->arena,
                               HTTP_METHOD_GET, false);
    check->step = STEP_SENDING;
    check_http_ready(check);
}

void check_http_clear(struct check *check)
{
    slice_queue_clear(&check->http.out);
    slice_queue_clear(&check->http.in);
    arena_clear(&check->http.arena);
    text_clear(&check->http.body);
}

/* ---- one read, one write, either way */

static int write_some(struct check *check, uint32_t *events)
{
    struct slice_queue *out = &check->http.out;
    *events = EPOLLOUT;
    if (!check->ssl) {
        int written = socket_write(check->watch.fd, out);
        return written < 0 ? written : out->bytes ? ERROR_AGAIN : 0;
    }
    while (out->bytes) {
        int written = check_tls_write(check, slice_queue_front(out), events);
        if (written < 0)
            return written;
        slice_queue_consume(out, (uint64_t)written);
    }
    return 0;
}

/* A number of bytes, 0 at the end, ERROR_AGAIN or another error. */
static int read_some(struct check *check, uint32_t *events)
{
    struct slice_queue *in = &check->http.in;
    *events = EPOLLIN;
    if (!check->ssl) {
        bool has_ended = false;
        int got = socket_read(check->watch.fd, in, READ_BYTES, &has_ended);
        return got == 0 && !has_ended ? ERROR_AGAIN : got;
    }
    uint8_t bytes[READ_BYTES];
    int got = check_tls_read(check, bytes, sizeof bytes, events);
    if (got > 0)
        slice_queue_append(in, span_of(bytes, (size_t)got));
    return got;
}

static void fail(struct check *check, int error)
{
    check_finish(check, error == ERROR_RESET ? CAUSE_RESET : CAUSE_CLOSED);
}

/* ---- judging */

/* The head is there: often that is enough. */
static void judge_head(struct check *check)
{
    uint16_t status = check->http.head.status;
    if (status < 200)
        return;
    check->http.has_head = true;
    check->result.status = status;
    if (status < check->question->status_least || status > check->question->status_most)
        check_finish(check, CAUSE_STATUS);
    else if (!check->question->body)
        check_finish(check, CAUSE_NONE);
}

static void judge_body(struct check *check)
{
    const struct text *body = &check->http.body;
    const char *wanted = check->question->body;
    bool is_there =
        body->length && memmem(body->data, body->length, wanted, strlen(wanted)) != NULL;
    check_finish(check, is_there ? CAUSE_NONE : CAUSE_BODY);
}

static void take_data(struct check *check, struct slice *data)
{
    struct text *body = &check->http.body;
    size_t room = CHECK_BODY_BYTES - body->length;
    text_add_span(body, span_of(slice_data(data), data->length < room ? data->length : room));
    slice_release(data);
    if (body->length == CHECK_BODY_BYTES)
        judge_body(check);
}

static void take_event(struct check *check, enum http_event event, struct slice *data)
{
    switch (event) {
    case HTTP_EVENT_HEAD:
        judge_head(check);
        break;
    case HTTP_EVENT_DATA:
        take_data(check, data);
        break;
    case HTTP_EVENT_END:
        judge_body(check);
        break;
    case HTTP_EVENT_ERROR:
        check_finish(check, CAUSE_HTTP);
        break;
    case HTTP_EVENT_MORE:
    case HTTP_EVENT_TRAILERS:
        break;
    }
}

static void parse(struct check *check)
{
    enum http_event event = HTTP_EVENT_HEAD;
    while (check->step != STEP_DONE && event != HTTP_EVENT_MORE) {
        struct slice data = {0};
        event = http_parser_next(&check->http.parser, &check->http.in, &data);
        take_event(check, event, &data);
    }
}

static void on_end(struct check *check)
{
    if (check->http.has_head && http_parser_finish(&check->http.parser) == HTTP_EVENT_END)
        judge_body(check);
    else
        check_finish(check, CAUSE_CLOSED);
}

static void read_answer(struct check *check)
{
    while (check->step != STEP_DONE) {
        uint32_t events;
        int got = read_some(check, &events);
        if (got == ERROR_AGAIN) {
            check_wait(check, events);
            return;
        }
        if (got == 0)
            on_end(check);
        else if (got < 0)
            fail(check, got);
        if (got <= 0)
            return;
        check->http.read_bytes += (uint64_t)got;
        parse(check);
        if (check->http.read_bytes > HEAD_BYTES + CHECK_BODY_BYTES)
            check_finish(check, CAUSE_HTTP);
    }
}

void check_http_ready(struct check *check)
{
    if (check->step == STEP_SENDING) {
        uint32_t events;
        int result = write_some(check, &events);
        if (result == ERROR_AGAIN) {
            check_wait(check, events);
            return;
        }
        if (result < 0) {
            fail(check, result);
            return;
        }
        check_set_step(check, STEP_READING, EPOLLIN);
    }
    if (check->step == STEP_READING)
        read_answer(check);
}
