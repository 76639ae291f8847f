/* SPDX-License-Identifier: Apache-2.0
 *
 * libnghttp2 as the client, in memory: requests with content of some megabytes each way, many at a time, through windows that are
 * used up and refilled, and sockets that take little at a time. Every byte arrives, in order.
 */
#include "fixture.h"

#include <stdio.h>

enum { CONTENT = 3 << 20, STREAMS = 20, SOCKET_BYTES = 7001, TURNS_MOST = 100000 };

/* Byte `at` of every content. */
static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)(at * 31 + (at >> 8) * 7);
}

struct exchange {
    uint64_t up_sent, up_received, down_sent, down_received;
    uint32_t status;
    bool is_whole; /* as the client sees it */
};

struct world {
    struct h2_session *server;
    nghttp2_session *client;
    struct exchange exchanges[STREAMS];
    struct slice_queue up, down;
    uint32_t closed;
};

static struct exchange *exchange_of(struct world *world, uint32_t id)
{
    assert_in_range(id / 2, 0, STREAMS - 1);
    return &world->exchanges[id / 2];
}

/* ---- the server's caller: sends as much as it gets */

static void fill(struct world *world, struct h2_stream *stream)
{
    struct exchange *exchange = exchange_of(world, h2_stream_id(stream));
    uint64_t room;
    while (exchange->down_sent < CONTENT && (room = h2_stream_room(stream)) > 0) {
        uint64_t left = CONTENT - exchange->down_sent;
        uint32_t length = (uint32_t)(room < left ? room : left);
        struct chunk *chunk = chunk_new_sized(length);
        for (uint32_t i = 0; i < length; i++)
            chunk->data[i] = byte_at(exchange->down_sent++);
        chunk->filled = length;
        h2_stream_write(stream, (struct slice){chunk, 0, length});
    }
    if (exchange->down_sent == CONTENT)
        h2_stream_end(stream, NULL);
}

static void on_head(void *context, struct h2_stream *stream, struct http_head *head)
{
    struct arena arena = {0};
    struct http_head answer;
    assert_int_equal(head->method, HTTP_METHOD_POST);
    http_head_init(&answer, &arena);
    answer.status = 200;
    answer.body = HTTP_BODY_LENGTH;
    answer.has_length = true;
    answer.content_length = CONTENT;
    assert_int_equal(h2_stream_answer(stream, &answer), 0);
    fill(context, stream);
    arena_clear(&arena);
}

static void on_refused(void *context, struct h2_stream *stream, struct http_head *head,
                       enum http_cause cause)
{
    (void)context, (void)stream, (void)head;
    fail_msg("%s", http_cause_name(cause));
}

static void on_data(void *context, struct h2_stream *stream, struct slice data)
{
    struct exchange *exchange = exchange_of(context, h2_stream_id(stream));
    for (uint32_t i = 0; i < data.length; i++)
        if (slice_data(&data)[i] != byte_at(exchange->up_received++))
            fail_msg("byte %lu", (unsigned long)exchange->up_received);
    h2_stream_consume(stream, data.length);
    slice_release(&data);
}

static void on_end(void *context, struct h2_stream *stream, const struct http_fields *trailers)
{
    assert_int_equal(exchange_of(context, h2_stream_id(stream))->up_received, CONTENT);
    assert_null(trailers);
}

static void on_room(void *context, struct h2_stream *stream)
{
    fill(context, stream);
}

static void on_closed(void *context, struct h2_stream *stream, uint32_t code)
{
    struct world *world = context;
    assert_int_equal(code, 0);
    assert_true(h2_stream_is_answered(stream));
    world->closed++;
}

static const struct h2_events events = {on_head, on_refused, on_data, on_end,
                                        on_room, on_closed,  NULL};

/* ---- the client */

static ssize_t read_content(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t length,
                            uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct exchange *exchange = exchange_of(context, (uint32_t)id);
    (void)session, (void)source;
    uint64_t left = CONTENT - exchange->up_sent;
    if (length > left)
        length = left;
    for (size_t i = 0; i < length; i++)
        buffer[i] = byte_at(exchange->up_sent++);
    if (exchange->up_sent == CONTENT)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)length;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *context)
{
    uint64_t status;
    (void)session, (void)flags;
    if (span_equal(span_of(name, name_length), SPAN(":status"))) {
        assert_int_equal(span_number(span_of(value, value_length), &status), 0);
        exchange_of(context, (uint32_t)frame->hd.stream_id)->status = (uint32_t)status;
    }
    return 0;
}

static int on_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                    size_t length, void *context)
{
    struct exchange *exchange = exchange_of(context, (uint32_t)id);
    (void)session, (void)flags;
    for (size_t i = 0; i < length; i++)
        if (data[i] != byte_at(exchange->down_received++))
            fail_msg("byte %lu", (unsigned long)exchange->down_received);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    (void)session;
    exchange_of(context, (uint32_t)id)->is_whole = code == 0;
    return 0;
}

static void make_client(struct world *world)
{
    nghttp2_session_callbacks *callbacks;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    assert_int_equal(nghttp2_session_client_new(&world->client, callbacks, world), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(world->client, 0, NULL, 0), 0);
    static const char *const fields[][2] = {
        {":method", "POST"}, {":scheme", "https"}, {":authority", "example.com"}, {":path", "/"}};
    nghttp2_nv pairs[4];
    for (size_t i = 0; i < 4; i++)
        pairs[i] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)fields[i][0],
                                .value = (uint8_t *)(uintptr_t)fields[i][1],
                                .namelen = strlen(fields[i][0]),
                                .valuelen = strlen(fields[i][1])};
    nghttp2_data_provider provider = {.read_callback = read_content};
    for (int i = 0; i < STREAMS; i++)
        assert_true(nghttp2_submit_request(world->client, NULL, pairs, 4, &provider, NULL) > 0);
}

/* ---- between them */

static void turn(struct world *world, uint64_t now_ns)
{
    const uint8_t *bytes;
    ssize_t length;
    while (world->up.bytes < SOCKET_BYTES &&
           (length = nghttp2_session_mem_send(world->client, &bytes)) > 0)
        slice_queue_append(&world->up, span_of(bytes, (size_t)length));
    struct slice_queue in = {0};
    uint64_t left = SOCKET_BYTES;
    while (world->up.count && left) {
        struct slice piece = slice_queue_pop(&world->up, (uint32_t)left);
        left -= piece.length;
        slice_queue_push(&in, piece);
    }
    if (h2_session_feed(world->server, &in, now_ns))
        fail_msg("%s", h2_cause_text(h2_session_cause(world->server)));
    h2_session_pull(world->server, &world->down, SOCKET_BYTES);
    for (left = SOCKET_BYTES; world->down.count && left;) {
        struct slice piece = slice_queue_pop(&world->down, (uint32_t)left);
        left -= piece.length;
        assert_int_equal(nghttp2_session_mem_recv(world->client, slice_data(&piece), piece.length),
                         piece.length);
        slice_release(&piece);
    }
    slice_queue_clear(&in);
}

static void megabytes_arrive_both_ways(void **state)
{
    struct world world = {0};
    struct h2_settings settings;
    struct random random;
    (void)state;
    random_seed(&random, 1);
    h2_settings_init(&settings, &http_limits_default);
    world.server = h2_session_new(&settings, &events, &world, &random);
    make_client(&world);
    uint32_t turns = 0;
    while (world.closed < STREAMS && turns++ < TURNS_MOST)
        turn(&world, turns * 1000000ull);
    assert_int_equal(world.closed, STREAMS);
    while (world.down.count) /* on its way */
        turn(&world, turns * 1000000ull);
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(world.exchanges[i].status, 200);
        assert_int_equal(world.exchanges[i].down_received, CONTENT);
        assert_true(world.exchanges[i].is_whole);
    }
    assert_int_equal(h2_session_requests(world.server), STREAMS);
    assert_int_equal(h2_session_streams(world.server), 0);
    h2_session_free(&world.server);
    nghttp2_session_del(world.client);
    slice_queue_clear(&world.up);
    slice_queue_clear(&world.down);
    chunk_cache_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(megabytes_arrive_both_ways),
    };
    return cmocka_run_group_tests_name("h2_client", tests, NULL, NULL);
}
