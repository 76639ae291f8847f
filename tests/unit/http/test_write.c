/* SPDX-License-Identifier: Apache-2.0
 *
 * What is written is what was meant, or nothing.
 */
#include "record.h"

static void expect_written(struct slice_queue *out, const char *expected)
{
    static uint8_t bytes[8192];
    size_t length = slice_queue_peek(out, 0, bytes, sizeof bytes - 1);
    bytes[length] = 0;
    assert_string_equal((char *)bytes, expected);
    slice_queue_clear(out);
}

static void add(struct http_head *head, enum http_name id, const char *value)
{
    assert_int_equal(http_fields_add(&head->fields, id, span_text(value)), 0);
}

static struct http_head request_of(struct arena *arena, enum http_method method)
{
    struct http_head head;
    http_head_init(&head, arena);
    head.method = method;
    head.target = SPAN("/x?y");
    head.host = SPAN("a.example");
    head.minor = 1;
    head.keeps_alive = true;
    return head;
}

static void requests_are_written(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head head = request_of(&arena, HTTP_METHOD_GET);
    add(&head, HTTP_NAME_ACCEPT, "*/*");
    add(&head, HTTP_NAME_CONNECTION, "whatever"); /* framing fields of the list never count */
    add(&head, HTTP_NAME_HOST, "other");
    add(&head, HTTP_NAME_CONTENT_LENGTH, "77");
    add(&head, HTTP_NAME_TRANSFER_ENCODING, "chunked");
    assert_int_equal(http_fields_add_text(&head.fields, SPAN("x-Odd"), SPAN("1")), 0);
    assert_int_equal(http_write_request(&out, &head), 0);
    expect_written(&out, "GET /x?y HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nx-Odd: 1\r\n\r\n");

    head = request_of(&arena, HTTP_METHOD_POST);
    head.port = 8080;
    assert_int_equal(http_write_request(&out, &head), 0);
    expect_written(&out, "POST /x?y HTTP/1.1\r\nHost: a.example:8080\r\nContent-Length: 0\r\n\r\n");

    head.body = HTTP_BODY_LENGTH;
    head.content_length = 18446744073709551615ull;
    head.keeps_alive = false;
    add(&head, HTTP_NAME_TE, "trailers");
    assert_int_equal(http_write_request(&out, &head), 0);
    expect_written(&out, "POST /x?y HTTP/1.1\r\nHost: a.example:8080\r\nTE: trailers\r\n"
                         "Content-Length: 18446744073709551615\r\nConnection: close, TE\r\n\r\n");

    head = request_of(&arena, HTTP_METHOD_OTHER);
    head.method_text = SPAN("PROPFIND");
    head.body = HTTP_BODY_CHUNKED;
    assert_int_equal(http_write_request(&out, &head), 0);
    expect_written(&out, "PROPFIND /x?y HTTP/1.1\r\nHost: a.example\r\n"
                         "Transfer-Encoding: chunked\r\n\r\n");

    head = request_of(&arena, HTTP_METHOD_GET);
    head.upgrades = true;
    head.upgrade_protocol = SPAN("websocket");
    assert_int_equal(http_write_request(&out, &head), 0);
    expect_written(&out, "GET /x?y HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\n\r\n");
    arena_clear(&arena);
}

/* The list cannot hold such fields; whoever goes round its functions is stopped here. */
static void nothing_dangerous_is_written(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice_queue out = {0};
    struct http_head good = request_of(&arena, HTTP_METHOD_GET);
    add(&good, HTTP_NAME_ACCEPT, "*/*");
    for (int i = 0;; i++) {
        struct http_head head = good;
        struct http_field field = good.fields.list[0];
        head.fields.list = &field;
        switch (i) {
        case 0:
            field.value = SPAN("a\r\nX: y");
            break;
        case 1:
            field.value = SPAN("a\0");
            break;
        case 2:
            field = (struct http_field){SPAN("A: b\r\nC"), SPAN("d"), HTTP_NAME_OTHER};
            break;
        case 3:
            head.target = SPAN("/ HTTP/1.1\r\n");
            break;
        case 4:
            head.target = SPAN("http://a/");
            break;
        case 5:
            head.target = SPAN("");
            break;
        case 6:
            head.host = SPAN("a\r\nb");
            break;
        case 7:
            head.host = SPAN("");
            break;
        case 8:
            head.method = HTTP_METHOD_OTHER;
            head.method_text = SPAN("GET /");
            break;
        case 9:
            head.method = HTTP_METHOD_CONNECT;
            break;
        case 10:
            head.method = HTTP_METHOD_OTHER;
            head.method_text = SPAN("CONNECT");
            break;
        case 11:
            head.body = HTTP_BODY_CLOSE;
            break;
        case 12:
            head.upgrades = true;
            head.upgrade_protocol = SPAN("h2c");
            break;
        case 13:
            head.target = SPAN("*");
            break;
        case 14:
            field =
                (struct http_field){http_name_text(HTTP_NAME_EXPECT), SPAN("x"), HTTP_NAME_EXPECT};
            head.fields.present[0] |= 1ull << HTTP_NAME_EXPECT;
            break;
        default:
            assert_int_equal(http_write_request(&out, &good), 0);
            slice_queue_clear(&out);
            arena_clear(&arena);
            return;
        }
        assert_int_equal(http_write_request(&out, &head), ERROR_INVALID);
        assert_int_equal(out.bytes, 0);
    }
}

static void answers_are_framed_for_their_client(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        enum http_method method;
        uint8_t minor;
        bool keeps_alive, has_length;
        enum http_body body;
        const char *expected;
    } rows[] = {
        {200, HTTP_METHOD_GET, 1, true, true, HTTP_BODY_LENGTH,
         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
        {200, HTTP_METHOD_GET, 1, true, false, HTTP_BODY_CHUNKED,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {200, HTTP_METHOD_GET, 1, false, false, HTTP_BODY_CLOSE,
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
        {200, HTTP_METHOD_GET, 0, true, false, HTTP_BODY_CHUNKED,
         "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
        {200, HTTP_METHOD_GET, 0, true, true, HTTP_BODY_LENGTH,
         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"},
        {200, HTTP_METHOD_HEAD, 1, true, true, HTTP_BODY_LENGTH,
         "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
        {200, HTTP_METHOD_HEAD, 1, true, false, HTTP_BODY_CHUNKED, "HTTP/1.1 200 OK\r\n\r\n"},
        {302, HTTP_METHOD_GET, 1, true, false, HTTP_BODY_NONE,
         "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"},
        {204, HTTP_METHOD_GET, 1, true, false, HTTP_BODY_NONE, "HTTP/1.1 204 No Content\r\n\r\n"},
        {304, HTTP_METHOD_GET, 1, true, true, HTTP_BODY_NONE,
         "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena arena = {0};
        struct slice_queue out = {0};
        struct http_head request = request_of(&arena, rows[i].method), head;
        request.minor = rows[i].minor;
        request.keeps_alive = rows[i].keeps_alive;
        http_head_init(&head, &arena);
        head.status = (uint16_t)rows[i].status;
        head.body = rows[i].body;
        head.has_length = rows[i].has_length;
        head.content_length = rows[i].has_length ? 5 : 0;
        http_response_frame(&head, &request);
        assert_int_equal(http_write_response(&out, &head), 0);
        expect_written(&out, rows[i].expected);
        arena_clear(&arena);
    }
}

static void impossible_answers_are_not_written(void **state)
{
    (void)state;
    static const struct http_head rows[] = {
        {.status = 99, .minor = 1},
        {.status = 600, .minor = 1},
        {.status = 101, .minor = 1},
        {.status = 103, .minor = 0},
        {.status = 204, .minor = 1, .body = HTTP_BODY_CHUNKED},
        {.status = 304, .minor = 1, .body = HTTP_BODY_LENGTH},
        {.status = 200, .minor = 0, .body = HTTP_BODY_CHUNKED},
        {.status = 200, .minor = 1, .body = HTTP_BODY_CLOSE, .keeps_alive = true},
        {.status = 200, .minor = 1, .body = HTTP_BODY_TUNNEL},
    };
    struct slice_queue out = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(http_write_response(&out, &rows[i]), ERROR_INVALID);
        assert_int_equal(out.bytes, 0);
    }
    struct http_head head = {.status = 101, .minor = 1, .upgrades = true, .body = HTTP_BODY_TUNNEL};
    head.upgrade_protocol = SPAN("websocket");
    assert_int_equal(http_write_response(&out, &head), 0);
    expect_written(&out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                         "Connection: Upgrade\r\n\r\n");
    head = (struct http_head){.status = 103, .minor = 1};
    assert_int_equal(http_write_response(&out, &head), 0);
    expect_written(&out, "HTTP/1.1 103 Early Hints\r\n\r\n");
}

static void chunks_are_written_by_reference(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct slice_queue out = {0};
    static uint8_t big[0x1a2b];
    memset(big, 'x', sizeof big);
    struct slice data = slice_copy(span_of(big, sizeof big));
    const uint8_t *bytes = slice_data(&data);
    http_write_chunk(&out, data);
    http_write_chunk(&out, slice_copy(SPAN("")));
    http_write_chunk(&out, slice_copy(SPAN("end")));
    struct http_fields trailers = {.arena = &arena};
    assert_int_equal(http_fields_add_text(&trailers, SPAN("X-Sum"), SPAN("1")), 0);
    assert_int_equal(http_fields_add(&trailers, HTTP_NAME_SET_COOKIE, SPAN("evil")), 0);
    assert_int_equal(http_fields_add(&trailers, HTTP_NAME_CONTENT_LENGTH, SPAN("3")), 0);
    assert_int_equal(http_write_last_chunk(&out, &trailers), 0);
    assert_true(span_equal(slice_queue_front(&out), SPAN("1a2b\r\n")));
    slice_queue_consume(&out, 6);
    assert_ptr_equal(slice_queue_front(&out).data, bytes);
    slice_queue_consume(&out, sizeof big);
    expect_written(&out, "\r\n3\r\nend\r\n0\r\nX-Sum: 1\r\n\r\n");
    assert_int_equal(http_write_last_chunk(&out, NULL), 0);
    expect_written(&out, "0\r\n\r\n");
    arena_clear(&arena);
    chunk_cache_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_written),
        cmocka_unit_test(nothing_dangerous_is_written),
        cmocka_unit_test(answers_are_framed_for_their_client),
        cmocka_unit_test(impossible_answers_are_not_written),
        cmocka_unit_test(chunks_are_written_by_reference),
    };
    return cmocka_run_group_tests_name("http/write", tests, NULL, NULL);
}
