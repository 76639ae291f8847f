/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: what is malformed (RFC 9113 section 8), what is refused with a page, and that a request means the same over HTTP/2 and
 * over HTTP/1.1.
 */
#include "fixture.h"

#include <stdio.h>

#define GET     ":method: GET\n:scheme: https\n:authority: example.com\n:path: /\n"
#define POST    ":method: POST\n:scheme: https\n:authority: example.com\n:path: /\n"
#define CONNECT ":method: CONNECT\n"
#define SOCKET \
    CONNECT ":protocol: websocket\n:scheme: https\n:authority: example.com\n:path: /chat\n"

enum { ENDS = NGHTTP2_FLAG_END_STREAM };

static const struct row {
    const char *lines;
    uint8_t flags;
    const char *log;
} rows[] = {
    /* 8.3.1: pseudo-header fields of a request */
    {GET, ENDS, "head 1 GET / at example.com:0, content none\nend 1\n"},
    {":path: /a?b\n:method: GET\n:authority: EXAMPLE.com.:8443\n:scheme: http\n", ENDS,
     "head 1 GET /a?b at example.com:8443, content none\nend 1\n"},
    {":method: OPTIONS\n:scheme: https\n:authority: example.com\n:path: *\n", ENDS,
     "head 1 OPTIONS * at example.com:0, content none\nend 1\n"},
    {":method: GET\n:scheme: https\n:path: /\nhost: example.com\n", ENDS,
     "head 1 GET / at example.com:0, content none\nend 1\n"},
    {GET "host: Example.com\n", ENDS, "head 1 GET / at example.com:0, content none\nend 1\n"},
    {GET "host: example.org\n", ENDS, "malformed HOST_DIFFERS\n"},
    {GET "host: example.com:81\n", ENDS, "malformed HOST_DIFFERS\n"},
    {GET "host: example.com\nhost: example.com\n", ENDS, "malformed HOST_DUPLICATE\n"},
    {":scheme: https\n:authority: a\n:path: /\n", ENDS, "malformed PSEUDO_FIELD\n"},
    {":method: GET\n:authority: a\n:path: /\n", ENDS, "malformed PSEUDO_FIELD\n"},
    {":method: GET\n:scheme: https\n:authority: a\n", ENDS, "malformed PSEUDO_FIELD\n"},
    {":method: GET\n:scheme: ftp\n:authority: a\n:path: /\n", ENDS, "malformed PSEUDO_FIELD\n"},
    {":method: GET\n:scheme: https\n:path: /\n", ENDS, "malformed HOST_MISSING\n"},
    {":method: GET\n:scheme: https\n:authority: \n:path: /\n", ENDS, "malformed HOST_INVALID\n"},
    {":method: GET\n:scheme: https\n:authority: me@a\n:path: /\n", ENDS,
     "malformed HOST_INVALID\n"},
    {":method: GET\n:scheme: https\n:authority: a b\n:path: /\n", ENDS, "malformed HOST_INVALID\n"},
    {":method: GET\n:scheme: https\n:authority: a\n:path: \n", ENDS, "malformed TARGET\n"},
    {":method: GET\n:scheme: https\n:authority: a\n:path: x\n", ENDS, "malformed TARGET\n"},
    {":method: GET\n:scheme: https\n:authority: a\n:path: /a b\n", ENDS, "malformed TARGET\n"},
    {":method: GET\n:scheme: https\n:authority: a\n:path: /a#b\n", ENDS, "malformed TARGET\n"},
    {":method: GET\n:scheme: https\n:authority: a\n:path: http://a/\n", ENDS, "malformed TARGET\n"},
    {":method: GET\n:scheme: https\n:authority: a\n:path: *\n", ENDS, "malformed TARGET_FORM\n"},
    {":method: G T\n:scheme: https\n:authority: a\n:path: /\n", ENDS, "malformed METHOD\n"},
    {":method: \n:scheme: https\n:authority: a\n:path: /\n", ENDS, "malformed METHOD\n"},
    {":method: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n:scheme: https\n:authority: a\n:path: /\n",
     ENDS, "refused 1 METHOD_LONG\n"},
    {GET ":path: /b\n", ENDS, "malformed PSEUDO_FIELD\n"},
    {GET ":status: 200\n", ENDS, "malformed PSEUDO_FIELD\n"},
    {GET ":new: 1\n", ENDS, "malformed PSEUDO_FIELD\n"},
    {":method: GET\n:scheme: https\na: b\n:authority: a\n:path: /\n", ENDS,
     "malformed PSEUDO_FIELD\n"},
    {GET ":protocol: websocket\n", ENDS, "malformed PSEUDO_FIELD\n"},
    /* 8.2.1: names and values */
    {GET "X-Upper: a\n", ENDS, "malformed FIELD_NAME\n"},
    {GET "x upper: a\n", ENDS, "malformed FIELD_NAME\n"},
    {GET "x\x7f: a\n", ENDS, "malformed FIELD_NAME\n"},
    {GET "x\xc3: a\n", ENDS, "malformed FIELD_NAME\n"},
    {GET "x: a\rb\n", ENDS, "malformed FIELD_VALUE\n"},
    {GET "x: a\x01\n", ENDS, "malformed FIELD_VALUE\n"},
    {GET "x:  a\n", ENDS, "malformed FIELD_VALUE\n"},
    {GET "x: a \n", ENDS, "malformed FIELD_VALUE\n"},
    {GET "x: a\tb\xc3\nempty: \n", ENDS, "head 1 GET / at example.com:0, content none\nend 1\n"},
    /* 8.2.2: fields of a connection */
    {GET "connection: close\n", ENDS, "malformed FIELD_CONNECTION\n"},
    {GET "keep-alive: 5\n", ENDS, "malformed FIELD_CONNECTION\n"},
    {GET "proxy-connection: close\n", ENDS, "malformed FIELD_CONNECTION\n"},
    {POST "transfer-encoding: chunked\n", 0, "malformed FIELD_CONNECTION\n"},
    {GET "upgrade: websocket\n", ENDS, "malformed FIELD_CONNECTION\n"},
    {GET "te: gzip\n", ENDS, "malformed FIELD_CONNECTION\n"},
    {GET "te: trailers, gzip\n", ENDS, "malformed FIELD_CONNECTION\n"},
    {GET "te: trailers\n", ENDS, "head 1 GET / at example.com:0, content none\nend 1\n"},
    /* 8.1.1 and 8.6 of RFC 9110: content */
    {POST "content-length: 5\n", ENDS, "malformed LENGTH_DIFFERS\n"},
    {POST "content-length: 0\n", ENDS, "head 1 POST / at example.com:0, content length\nend 1\n"},
    {POST "content-length: 5\n", 0, "head 1 POST / at example.com:0, content length\n"},
    {POST, 0, "head 1 POST / at example.com:0, content chunked\n"},
    {POST "content-length: 5\ncontent-length: 5\n", 0, "malformed LENGTH_DUPLICATE\n"},
    {POST "content-length: 5, 5\n", 0, "malformed LENGTH_INVALID\n"},
    {POST "content-length: -5\n", 0, "malformed LENGTH_INVALID\n"},
    {POST "content-length: 99999999999999999999\n", 0, "refused 1 BODY_LONG\n"},
    {POST "expect: 100-continue\ncontent-length: 5\n", 0,
     "head 1 POST / at example.com:0, content length, waits\n"},
    {POST "expect: 100-continue\n", 0, "head 1 POST / at example.com:0, content chunked, waits\n"},
    {POST "expect: 100-continue\n", ENDS, "head 1 POST / at example.com:0, content none\nend 1\n"},
    {POST "expect: miracles\n", 0, "refused 1 EXPECTATION\n"},
    /* 8.5 and RFC 8441 */
    {CONNECT ":authority: example.com:443\n", 0, "refused 1 METHOD_CONNECT\n"},
    {CONNECT, 0, "malformed PSEUDO_FIELD\n"},
    {CONNECT ":authority: a:1\n:path: /\n", 0, "malformed PSEUDO_FIELD\n"},
    {CONNECT ":authority: a:1\n:scheme: https\n", 0, "malformed PSEUDO_FIELD\n"},
    {CONNECT ":protocol: websocket\n:authority: a\n", 0, "malformed PSEUDO_FIELD\n"},
    {CONNECT ":protocol: connect-udp\n:scheme: https\n:authority: a\n:path: /\n", 0,
     "refused 1 METHOD_CONNECT\n"},
    {SOCKET, 0, "head 1 GET /chat at example.com:0, content upgrade\n"},
    {SOCKET "content-length: 1\n", 0, "malformed LENGTH_INVALID\n"},
};

static void RFC9113_8_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture fixture;
        fixture_start(&fixture, NULL);
        put_headers(&fixture, rows[i].flags, 1, rows[i].lines);
        assert_int_equal(feed(&fixture), 0);
        if (strcmp(fixture.log.data, rows[i].log) != 0)
            fail_msg("row %zu: %snot: %s\n%s", i, fixture.log.data, rows[i].log, rows[i].lines);
        bool is_malformed = strncmp(rows[i].log, "malformed", 9) == 0;
        text_clear(&fixture.log);
        /* RFC 9113 section 8.1.1: a stream error, and the connection goes on. */
        expect_sent(&fixture, is_malformed ? "RST_STREAM 1 1\n" : "");
        put_get(&fixture, 3);
        assert_int_equal(feed(&fixture), 0);
        fixture_expect(&fixture, "head 3 GET / at example.com:0, content none\nend 3\n");
        fixture_stop(&fixture);
    }
}

static void small(struct h2_settings *settings)
{
    settings->limits.head_bytes = 200;
    settings->limits.line_bytes = 100;
    settings->limits.fields = 5;
    settings->limits.name_bytes = 20;
    settings->limits.trailers = 1;
    settings->limits.body_bytes = 10;
}

/* The same limits as for HTTP/1.1, and the same pages. */
static void limits_are_those_of_http1(void **state)
{
    static const char long_value[] = GET "x: "
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n";
    static const struct row limited[] = {
        {long_value, ENDS, "refused 1 HEAD_LONG\n"},
        {GET "a: 1\nb: 1\nc: 1\nd: 1\ne: 1\nf: 1\n", ENDS, "refused 1 HEAD_FIELDS\n"},
        {GET "aaaaaaaaaaaaaaaaaaaa: 1\n", ENDS, "refused 1 FIELD_NAME_LONG\n"},
        {":method: GET\n:scheme: https\n:authority: a\n:path: "
         "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aa\n",
         ENDS, "refused 1 TARGET_LONG\n"},
        {POST "content-length: 11\n", 0, "refused 1 BODY_LONG\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof limited / sizeof *limited; i++) {
        struct fixture fixture;
        fixture_start(&fixture, small);
        put_headers(&fixture, limited[i].flags, 1, limited[i].lines);
        assert_int_equal(feed(&fixture), 0);
        fixture_expect(&fixture, limited[i].log);
        answer(&fixture, 1, 431, 0);
        sent(&fixture, false);
        assert_non_null(strstr(fixture.log.data, "HEADERS 1 END_STREAM :status=431"));
        fixture_stop(&fixture);
    }
}

static void content_past_its_limit_is_refused(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, small);
    put_headers(&fixture, 0, 1, POST);
    put_data(&fixture, 0, 1, "12345678");
    put_data(&fixture, 0, 1, "12345678");
    put_data(&fixture, ENDS, 1, "12345678");
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "head 1 POST / at example.com:0, content chunked\n"
                             "data 1 12345678\nrefused 1 BODY_LONG\n");
    answer(&fixture, 1, 413, 0);
    expect_sent(&fixture, "closed 1 0, answered\nHEADERS 1 END_STREAM :status=413\n");
    fixture_stop(&fixture);
}

static void RFC9113_8_1_1_content_length_is_kept(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_headers(&fixture, 0, 1, POST "content-length: 5\n");
    put_data(&fixture, ENDS, 1, "1234");
    put_headers(&fixture, 0, 3, POST "content-length: 5\n");
    put_data(&fixture, 0, 3, "123456");
    put_headers(&fixture, 0, 5, POST "content-length: 5\n");
    put_data(&fixture, 0, 5, "12345");
    put_data(&fixture, ENDS, 5, "");
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture,
                   "head 1 POST / at example.com:0, content length\ndata 1 1234\n"
                   "malformed LENGTH_DIFFERS\n"
                   "head 3 POST / at example.com:0, content length\n"
                   "malformed LENGTH_DIFFERS\n"
                   "head 5 POST / at example.com:0, content length\ndata 5 12345\nend 5\n");
    expect_sent(&fixture, "closed 1 1\nclosed 3 1\nRST_STREAM 1 1\nRST_STREAM 3 1\n");
    fixture_stop(&fixture);
}

static void RFC9113_8_1_trailers(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_headers(&fixture, 0, 1, POST);
    put_data(&fixture, 0, 1, "hello");
    put_headers(&fixture, ENDS, 1, "digest: x\n");
    put_headers(&fixture, 0, 3, POST);
    put_headers(&fixture, 0, 3, "digest: x\n"); /* no END_STREAM */
    put_headers(&fixture, 0, 5, POST);
    put_headers(&fixture, ENDS, 5, ":path: /\n");
    put_headers(&fixture, 0, 7, POST);
    put_headers(&fixture, ENDS, 7, "content-length: 1\n");
    put_headers(&fixture, 0, 9, POST);
    put_headers(&fixture, ENDS, 9, "Digest: 1\n");
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "head 1 POST / at example.com:0, content chunked\ndata 1 hello\n"
                             "end 1\n  digest: x\n"
                             "head 3 POST / at example.com:0, content chunked\n"
                             "malformed TRAILER_FORBIDDEN\n"
                             "head 5 POST / at example.com:0, content chunked\n"
                             "malformed PSEUDO_FIELD\n"
                             "head 7 POST / at example.com:0, content chunked\n"
                             "malformed TRAILER_FORBIDDEN\n"
                             "head 9 POST / at example.com:0, content chunked\n"
                             "malformed FIELD_NAME\n");
    fixture_stop(&fixture);
}

static void RFC9113_8_2_3_cookies_are_joined(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_headers(&fixture, ENDS, 1, GET "cookie: a=1\nx: y\ncookie: b=2\ncookie: c=3\n");
    assert_int_equal(feed(&fixture), 0);
    struct http_head *head = h2_stream_head(stream_of(&fixture, 1));
    const struct http_field *cookie = http_fields_find(&head->fields, HTTP_NAME_COOKIE);
    assert_true(span_equal(cookie->value, SPAN("a=1; b=2; c=3")));
    assert_int_equal(head->fields.count, 3);
    fixture_stop(&fixture);
}

/* ---- the same request over both protocols */

static bool equal_heads(const struct http_head *a, const struct http_head *b)
{
    if (a->fields.count != b->fields.count || a->method != b->method || a->body != b->body ||
        a->port != b->port || a->expects_continue != b->expects_continue || a->minor != b->minor ||
        a->keeps_alive != b->keeps_alive || a->has_length != b->has_length ||
        a->content_length != b->content_length || a->upgrades != b->upgrades ||
        !span_equal(a->method_text, b->method_text) || !span_equal(a->target, b->target) ||
        !span_equal(a->target_received, b->target_received) || !span_equal(a->host, b->host) ||
        a->fields.present[0] != b->fields.present[0] ||
        a->fields.present[1] != b->fields.present[1])
        return false;
    for (uint32_t i = 0; i < a->fields.count; i++) {
        /* In the order of HTTP/1.1 but for Host, which comes first there. */
        const struct http_field *field = &a->fields.list[i];
        bool found = false;
        for (uint32_t j = 0; j < b->fields.count && !found; j++)
            found = field->id == b->fields.list[j].id &&
                    span_equal(field->value, b->fields.list[j].value) &&
                    span_equal_nocase(field->name, b->fields.list[j].name);
        if (!found)
            return false;
    }
    return true;
}

static void the_same_request_over_both_protocols_gives_equal_heads(void **state)
{
    static const struct {
        const char *method, *authority, *path, *fields; /* fields as HTTP/2 lines */
        const char *framing; /* of HTTP/1.1, for content of unknown length */
        bool ends;
    } requests[] = {
        {"GET", "example.com", "/", "", "", true},
        {"GET", "EXAMPLE.com:8080", "/a/b?c=d&e", "accept: */*\nuser-agent: x\n", "", true},
        {"GET", "[2001:db8::1]:443", "/", "cookie: a=b; c=d\nx-other: 1\nx-other: 2\n", "", true},
        {"HEAD", "example.com.", "/%41", "if-none-match: \"x\"\n", "", true},
        {"OPTIONS", "example.com", "*", "", "", true},
        {"PURGE", "example.com", "/x", "", "", true},
        {"POST", "example.com", "/", "content-length: 0\n", "", true},
        {"POST", "example.com", "/", "content-length: 12\nexpect: 100-continue\n", "", false},
        {"PUT", "example.com", "/", "content-type: text/plain\n", "Transfer-Encoding: chunked\r\n",
         false},
        /* refused */
        {"GET", "exa mple.com", "/", "", "", true},
        {"GET", "example.com", "/a#b", "", "", true},
        {"GET", "example.com", "*", "", "", true},
        {"GET", "example..com", "/", "", "", true},
        {"GET", "example.com:99999", "/", "", "", true},
        {"POST", "example.com", "/", "content-length: 5, 5\n", "", false},
        {"POST", "example.com", "/", "content-length: +5\n", "", false},
        {"POST", "example.com", "/", "expect: something\n", "", false},
        {"G(T", "example.com", "/", "", "", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct fixture fixture;
        char lines[512], text[1024];
        struct text crlf = {0};
        for (const char *at = requests[i].fields; *at; at++)
            text_add_span(&crlf, *at == '\n' ? SPAN("\r\n") : span_of(at, 1));
        snprintf(lines, sizeof lines, ":method: %s\n:scheme: http\n:authority: %s\n:path: %s\n%s",
                 requests[i].method, requests[i].authority, requests[i].path, requests[i].fields);
        snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", requests[i].method,
                 requests[i].path, requests[i].authority, crlf.data ? crlf.data : "",
                 requests[i].framing);
        text_clear(&crlf);

        struct arena arena = {0};
        struct http_head head;
        struct http_parser parser;
        size_t used;
        struct span data;
        http_parser_start_request(&parser, &http_limits_default, &head, &arena);
        enum http_event event = http_parser_feed(&parser, span_text(text), &used, &data);
        http_fields_remove(&head.fields, HTTP_NAME_TRANSFER_ENCODING);

        fixture_start(&fixture, NULL);
        put_headers(&fixture, requests[i].ends ? ENDS : 0, 1, lines);
        assert_int_equal(feed(&fixture), 0);
        if (event == HTTP_EVENT_HEAD) {
            if (!equal_heads(h2_stream_head(stream_of(&fixture, 1)), &head))
                fail_msg("request %zu differs: %s", i, lines);
        } else {
            assert_int_equal(event, HTTP_EVENT_ERROR);
            if (fixture.heads || !strstr(fixture.log.data, http_cause_name(parser.cause)))
                fail_msg("request %zu: %s, HTTP/1.1 says %s", i, fixture.log.data,
                         http_cause_name(parser.cause));
        }
        arena_clear(&arena);
        fixture_stop(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(RFC9113_8_requests),
        cmocka_unit_test(limits_are_those_of_http1),
        cmocka_unit_test(content_past_its_limit_is_refused),
        cmocka_unit_test(RFC9113_8_1_1_content_length_is_kept),
        cmocka_unit_test(RFC9113_8_1_trailers),
        cmocka_unit_test(RFC9113_8_2_3_cookies_are_joined),
        cmocka_unit_test(the_same_request_over_both_protocols_gives_equal_heads),
    };
    return cmocka_run_group_tests_name("h2_request", tests, NULL, NULL);
}
