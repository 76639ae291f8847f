/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of an origin: what is refused (for a 502), and how content is delimited for each kind of
 * request.
 */
#include "record.h"

#define OK "HTTP/1.1 200 OK\r\n"

static const struct http_limits small = {
    .line_bytes = 40,
    .head_bytes = 100,
    .fields = 3,
    .name_bytes = 32,
    .trailer_bytes = 40,
    .trailers = 2,
    .chunk_line_bytes = 24,
    .chunk_extension_bytes = 40,
    .informational = 2,
    .body_bytes = 10,
};

struct row {
    struct span input;
    enum http_cause cause;
    const char *expected; /* of good rows */
    enum http_method method;
    bool is_small, upgrade, goes_on;
    size_t rest;
};

// clang-format off
static const struct row bad_rows[] = {
    {TEXT("\r\n" OK "\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("\n" OK "\r\n"), HTTP_CAUSE_LINE_END, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1  200 OK\r\n\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 20 OK\r\n\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 2000 OK\r\n\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 099 OK\r\n\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 600 OK\r\n\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 2x0 OK\r\n\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 200 O\x01K\r\n\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 200 OK\n\r\n"), HTTP_CAUSE_LINE_END, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 200 OK\rX"), HTTP_CAUSE_LINE_END, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/2.0 200 OK\r\n\r\n"), HTTP_CAUSE_VERSION_UNSUPPORTED, .method = HTTP_METHOD_GET},
    {TEXT("ICY 200 OK\r\n\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("SSH-2.0-OpenSSH_9.2\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 200 OKOKOKOKOKOKOKOKOKOKOKOKOKOKOKOK\r\n\r\n"), HTTP_CAUSE_STATUS_LINE, .method = HTTP_METHOD_GET, .is_small = true},
    {TEXT(OK "A: 1\r\n 2\r\n\r\n"), HTTP_CAUSE_FIELD_FOLDED, .method = HTTP_METHOD_GET},
    {TEXT(OK "A : 1\r\n\r\n"), HTTP_CAUSE_FIELD_SPACE, .method = HTTP_METHOD_GET},
    {TEXT(OK "A: 1\nB: 2\r\n\r\n"), HTTP_CAUSE_LINE_END, .method = HTTP_METHOD_GET},
    {TEXT(OK "Set-Cookie: a\x00z\r\n\r\n"), HTTP_CAUSE_FIELD_VALUE, .method = HTTP_METHOD_GET},
    {TEXT(OK "A: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\n\r\n"), HTTP_CAUSE_HEAD_FIELDS, .method = HTTP_METHOD_GET, .is_small = true},
    {TEXT(OK "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_CAUSE_LENGTH_AND_CODING, .method = HTTP_METHOD_GET},
    {TEXT(OK "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"), HTTP_CAUSE_LENGTH_DUPLICATE, .method = HTTP_METHOD_GET},
    {TEXT(OK "Content-Length: 3,3\r\n\r\n"), HTTP_CAUSE_LENGTH_INVALID, .method = HTTP_METHOD_GET},
    {TEXT(OK "Transfer-Encoding: gzip, chunked\r\n\r\n"), HTTP_CAUSE_CODING_UNKNOWN, .method = HTTP_METHOD_GET},
    {TEXT(OK "Transfer-Encoding: chunked,\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, .method = HTTP_METHOD_GET},
    {TEXT(OK "Transfer-Encoding: chunked, identity\r\n\r\n"), HTTP_CAUSE_CODING_INVALID, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_CAUSE_CODING_VERSION, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"), HTTP_CAUSE_CODING_FORBIDDEN, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc"), HTTP_CAUSE_CODING_FORBIDDEN, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabc"), HTTP_CAUSE_CODING_FORBIDDEN, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), HTTP_CAUSE_STATUS_UNEXPECTED, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"), HTTP_CAUSE_STATUS_UNEXPECTED, .method = HTTP_METHOD_GET, .upgrade = true},
    {TEXT("HTTP/1.1 101 Switching\r\n\r\n"), HTTP_CAUSE_STATUS_UNEXPECTED, .method = HTTP_METHOD_GET, .upgrade = true},
    {TEXT("HTTP/1.1 100 \r\n\r\nHTTP/1.1 100 \r\n\r\nHTTP/1.1 103 \r\n\r\n"), HTTP_CAUSE_INFORMATIONAL_MANY, .method = HTTP_METHOD_GET, .is_small = true},
    {TEXT(OK "Content-Length: 11\r\n\r\n"), HTTP_CAUSE_BODY_LONG, .method = HTTP_METHOD_GET, .is_small = true},
    {TEXT(OK "\r\nhello hello"), HTTP_CAUSE_BODY_LONG, .method = HTTP_METHOD_GET, .is_small = true},
    {TEXT(OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n"), HTTP_CAUSE_CHUNK_END, .method = HTTP_METHOD_GET},
    {TEXT(OK "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"), HTTP_CAUSE_TRUNCATED, .method = HTTP_METHOD_GET},
    {TEXT(OK "Content-Length: 5\r\n\r\nhell"), HTTP_CAUSE_TRUNCATED, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 100 Continue\r\n\r\n"), HTTP_CAUSE_TRUNCATED, .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1"), HTTP_CAUSE_TRUNCATED, .method = HTTP_METHOD_GET},
};

static const struct row good_rows[] = {
    {TEXT(OK "Content-Length: 5\r\n\r\nhelloHTTP"),
     .expected = "200 OK 1.1 body 1 length 1 5 keeps\n  Content-Length: 5|16\ncontent hello\nend\n",
     .method = HTTP_METHOD_GET, .rest = 4},
    {TEXT(OK "\r\nhello"), .expected = "200 OK 1.1 body 3 length 0 0\ncontent hello\nend\n", .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 200\r\n\r\n"), .expected = "200  1.1 body 3 length 0 0\nend\n", .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.0 200 Caf\xc3\xa9 \r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
     .expected = "200 Caf\xc3\xa9  1.0 body 1 length 1 0 keeps\n  Connection: keep-alive|12\n  Content-Length: 0|16\nend\n", .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"),
     .expected = "200 OK 1.0 body 1 length 1 1\n  Content-Length: 1|16\ncontent a\nend\n", .method = HTTP_METHOD_GET},
    {TEXT(OK "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nA: b\r\n\r\n"),
     .expected = "200 OK 1.1 body 2 length 0 0\n  Transfer-Encoding: chunked|70\n  Connection: close|12\n"
                 "content hello\n  trailer A: b|0\nend\n", .method = HTTP_METHOD_GET},
    /* No content whatever the fields say (RFC 9112 section 6.3). */
    {TEXT(OK "Content-Length: 5\r\n\r\nHTTP"),
     .expected = "200 OK 1.1 body 0 length 1 5 keeps\n  Content-Length: 5|16\nend\n", .method = HTTP_METHOD_HEAD, .rest = 4},
    {TEXT(OK "Transfer-Encoding: chunked\r\n\r\nHTTP"),
     .expected = "200 OK 1.1 body 0 length 0 0 keeps\n  Transfer-Encoding: chunked|70\nend\n", .method = HTTP_METHOD_HEAD, .rest = 4},
    {TEXT("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
     .expected = "304 Not Modified 1.1 body 0 length 1 5 keeps\n  Content-Length: 5|16\nend\n", .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
     .expected = "204 No Content 1.1 body 0 length 0 0 keeps\n  Content-Length: 0|16\nend\n", .method = HTTP_METHOD_GET},
    /* Informational answers first. */
    {TEXT("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" OK "Content-Length: 0\r\n\r\n"),
     .expected = "100 Continue 1.1 body 0 length 0 0 keeps\n103 Early Hints 1.1 body 0 length 0 0 keeps\n  Link: </a>|35\n"
                 "200 OK 1.1 body 1 length 1 0 keeps\n  Content-Length: 0|16\nend\n", .method = HTTP_METHOD_GET},
    {TEXT("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00"),
     .expected = "101 Switching Protocols 1.1 body 4 length 0 0 upgrades\n  Upgrade: websocket|71\n  Connection: Upgrade|12\n"
                 "content \x81", /* the recording shows text up to the NUL */
     .method = HTTP_METHOD_GET, .upgrade = true},
    {TEXT("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
     .expected = "403 Forbidden 1.1 body 1 length 1 0 keeps\n  Content-Length: 0|16\nend\n", .method = HTTP_METHOD_GET, .upgrade = true},
};
// clang-format on

static struct record_mode mode_of(const struct row *row)
{
    return (struct record_mode){.limits = row->is_small ? &small : NULL,
                                .is_response = true,
                                .asked_method = row->method,
                                .asked_upgrade = row->upgrade,
                                .is_closed = true};
}

static void bad_answers_are_refused_with_their_cause(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++) {
        const struct row *row = &bad_rows[i];
        struct record_mode mode = mode_of(row);
        struct recording whole = record(&mode, row->input, row->input.length, 1);
        if (whole.cause != row->cause)
            fail_msg("row %zu %.*s: %s, not %s", i, SPAN_ARGS(row->input),
                     http_cause_name(whole.cause), http_cause_name(row->cause));
        check_cuts(&mode, row->input, &whole);
        recording_clear(&whole);
    }
}

static void good_answers_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good_rows / sizeof *good_rows; i++) {
        const struct row *row = &good_rows[i];
        struct record_mode mode = mode_of(row);
        struct recording whole = record(&mode, row->input, row->input.length, 1);
        if (row->upgrade)
            assert_memory_equal(whole.text.data, row->expected, strlen(row->expected));
        else
            assert_string_equal(whole.text.data, row->expected);
        assert_int_equal(whole.used, row->input.length - row->rest);
        check_cuts(&mode, row->input, &whole);
        recording_clear(&whole);
    }
}

static void idle_connection_may_close(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct http_head head;
    struct http_parser parser;
    http_parser_start_response(&parser, &http_limits_default, &head, &arena, HTTP_METHOD_GET,
                               false);
    assert_int_equal(http_parser_finish(&parser), HTTP_EVENT_MORE);
    arena_clear(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_answers_are_refused_with_their_cause),
        cmocka_unit_test(good_answers_are_understood),
        cmocka_unit_test(idle_connection_may_close),
    };
    return cmocka_run_group_tests_name("http/response", tests, NULL, NULL);
}
