/* SPDX-License-Identifier: Apache-2.0
 *
 * What an HTTP/2 request and its answer cost a session, without sockets: requests as h2load sends them (the same again and again, so
 * HPACK makes them a few bytes), TOGETHER at a time, answers with eight fields and content of 1 KiB. Beside it libnghttp2 alone,
 * which takes the same requests, looks at nothing and sends the same answers. Thread CPU time, the best of several rounds; one JSON
 * object a line.
 *
 *     micro_h2
 */
#include "micro.h"

#include "h2/h2.h"

#include <nghttp2/nghttp2.h>

enum { ROUNDS = 7, REQUESTS = 200000, TOGETHER = 16, CONTENT = 1024 };

static const char *const request_fields[][2] = {
    {":method", "GET"},
    {":scheme", "https"},
    {":authority", "www.shop.example"},
    {":path", "/shop/pictures/2026/kettle-blue.jpg?size=large"},
    {"user-agent", "h2load nghttp2/1.52.0"},
};

static const char *const answer_fields[][2] = {
    {"Server", "nginx"},
    {"Date", "Sun, 06 Nov 1994 08:49:37 GMT"},
    {"Content-Type", "text/html; charset=utf-8"},
    {"ETag", "\"656f1c2a-17e8\""},
    {"Cache-Control", "max-age=0"},
    {"Vary", "Accept-Encoding"},
    {"Via", "1.1 edge"},
};

enum { REQUEST_FIELDS = sizeof request_fields / sizeof *request_fields };
enum { ANSWER_FIELDS = sizeof answer_fields / sizeof *answer_fields };

static struct chunk *content;
static uint64_t answers;

static nghttp2_nv pair(const char *const field[2])
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)field[0],
                        .value = (uint8_t *)(uintptr_t)field[1],
                        .namelen = strlen(field[0]),
                        .valuelen = strlen(field[1])};
}

/* ---- the client: its bytes, made beforehand */

struct client {
    nghttp2_hd_deflater *deflater;
    uint32_t next;
};

static void put_frame(struct slice_queue *out, uint8_t type, uint8_t flags, uint32_t stream,
                      struct span payload)
{
    const uint8_t header[9] = {(uint8_t)(payload.length >> 16),
                               (uint8_t)(payload.length >> 8),
                               (uint8_t)payload.length,
                               type,
                               flags,
                               (uint8_t)(stream >> 24),
                               (uint8_t)(stream >> 16),
                               (uint8_t)(stream >> 8),
                               (uint8_t)stream};
    slice_queue_append(out, span_of(header, sizeof header));
    slice_queue_append(out, payload);
}

static void put_start(struct slice_queue *out)
{
    slice_queue_append(out, SPAN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    put_frame(out, NGHTTP2_SETTINGS, 0, 0, SPAN("\0\4\x7f\xff\xff\xff"));
    put_frame(out, NGHTTP2_WINDOW_UPDATE, 0, 0, SPAN("\x7f\0\0\0"));
}

static void put_requests(struct client *client, struct slice_queue *out)
{
    nghttp2_nv pairs[REQUEST_FIELDS];
    uint8_t block[512];
    for (size_t i = 0; i < REQUEST_FIELDS; i++)
        pairs[i] = pair(request_fields[i]);
    for (int i = 0; i < TOGETHER; i++, client->next += 2) {
        ssize_t length =
            nghttp2_hd_deflate_hd(client->deflater, block, sizeof block, pairs, REQUEST_FIELDS);
        must(length > 0);
        put_frame(out, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS,
                  client->next, span_of(block, (size_t)length));
    }
}

/* Credit for what the batch's answers took. */
static void put_credit(struct slice_queue *out)
{
    static const uint8_t bytes[4] = {0, 0, TOGETHER * CONTENT >> 8, 0};
    put_frame(out, NGHTTP2_WINDOW_UPDATE, 0, 0, span_of(bytes, sizeof bytes));
}

/* ---- the session */

static void on_head(void *context, struct h2_stream *stream, struct http_head *head)
{
    struct http_head *answer = context;
    (void)head;
    must(h2_stream_answer(stream, answer) == 0);
    chunk_retain(content);
    h2_stream_write(stream, (struct slice){content, 0, CONTENT});
    h2_stream_end(stream, NULL);
}

static void on_refused(void *context, struct h2_stream *stream, struct http_head *head,
                       enum http_cause cause)
{
    (void)context, (void)stream, (void)head, (void)cause;
    must(false);
}

static void on_data(void *context, struct h2_stream *stream, struct slice data)
{
    (void)context, (void)stream;
    slice_release(&data);
}

static void on_end(void *context, struct h2_stream *stream, const struct http_fields *trailers)
{
    (void)context, (void)stream, (void)trailers;
}

static void on_room(void *context, struct h2_stream *stream)
{
    (void)context, (void)stream;
}

static void on_closed(void *context, struct h2_stream *stream, uint32_t code)
{
    (void)context, (void)stream, (void)code;
    answers++;
}

static const struct h2_events events = {on_head, on_refused, on_data, on_end,
                                        on_room, on_closed,  NULL};

static double run_session(void)
{
    struct arena arena = {0};
    struct http_head answer;
    struct random random;
    struct h2_settings settings;
    struct client client = {.next = 1};
    struct slice_queue in = {0}, out = {0};
    http_head_init(&answer, &arena);
    answer.status = 200;
    answer.body = HTTP_BODY_LENGTH;
    answer.has_length = true;
    answer.content_length = CONTENT;
    for (size_t i = 0; i < ANSWER_FIELDS; i++)
        must(http_fields_add_text(&answer.fields, span_text(answer_fields[i][0]),
                                  span_text(answer_fields[i][1])) == 0);
    random_seed(&random, 1);
    h2_settings_init(&settings, &http_limits_default);
    must(nghttp2_hd_deflate_new(&client.deflater, 4096) == 0);
    struct h2_session *session = h2_session_new(&settings, &events, &answer, &random);
    put_start(&in);
    must(h2_session_feed(session, &in, 1) == 0);
    double took = 0;
    answers = 0;
    while (client.next < 2 * REQUESTS) {
        put_requests(&client, &in);
        put_credit(&in);
        double start = cpu_seconds();
        must(h2_session_feed(session, &in, client.next) == 0);
        h2_session_pull(session, &out, UINT64_MAX);
        took += cpu_seconds() - start;
        slice_queue_clear(&out);
    }
    must(answers == REQUESTS);
    h2_session_free(&session);
    nghttp2_hd_deflate_del(client.deflater);
    arena_clear(&arena);
    return took;
}

/* ---- libnghttp2 alone */

static ssize_t read_content(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length,
                            uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)session, (void)id, (void)source, (void)context;
    must(length >= CONTENT);
    memcpy(buffer, content->data, CONTENT);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return CONTENT;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)context;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    nghttp2_nv pairs[ANSWER_FIELDS + 2];
    static const char *const status[2] = {":status", "200"}, *const length[2] = {"content-length",
                                                                                 "1024"};
    pairs[0] = pair(status);
    for (size_t i = 0; i < ANSWER_FIELDS; i++)
        pairs[i + 1] = pair(answer_fields[i]);
    pairs[ANSWER_FIELDS + 1] = pair(length);
    nghttp2_data_provider provider = {.read_callback = read_content};
    must(nghttp2_submit_response(session, frame->hd.stream_id, pairs, ANSWER_FIELDS + 2,
                                 &provider) == 0);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    (void)session, (void)id, (void)code, (void)context;
    answers++;
    return 0;
}

static double run_library(void)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;
    struct client client = {.next = 1};
    struct slice_queue in = {0}, out = {0};
    must(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    must(nghttp2_session_server_new(&session, callbacks, NULL) == 0);
    must(nghttp2_hd_deflate_new(&client.deflater, 4096) == 0);
    put_start(&in);
    double took = 0;
    answers = 0;
    while (client.next < 2 * REQUESTS) {
        put_requests(&client, &in);
        put_credit(&in);
        double start = cpu_seconds();
        while (in.count) {
            struct span front = slice_queue_front(&in);
            must(nghttp2_session_mem_recv(session, front.data, front.length) ==
                 (ssize_t)front.length);
            slice_queue_consume(&in, front.length);
        }
        const uint8_t *bytes;
        ssize_t length;
        while ((length = nghttp2_session_mem_send(session, &bytes)) > 0)
            slice_queue_append(&out, span_of(bytes, (size_t)length));
        took += cpu_seconds() - start;
        slice_queue_clear(&out);
    }
    must(answers == REQUESTS);
    nghttp2_session_del(session);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_hd_deflate_del(client.deflater);
    return took;
}

static void measure(const char *subject, double (*run)(void))
{
    double best = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        double took = run() / REQUESTS;
        best = took < best ? took : best;
    }
    printf("{\"case\": \"h2_request\", \"subject\": \"%s\", \"metric\": \"cpu_us_per_request\", "
           "\"value\": %.3f, \"unit\": \"us\"}\n",
           subject, best * 1e6);
}

int main(void)
{
    content = chunk_new();
    memset(content->data, 'x', CONTENT);
    content->filled = CONTENT;
    measure("causeway", run_session);
    measure("libnghttp2 alone", run_library);
    chunk_release(content);
    chunk_cache_drain();
    return 0;
}
