/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of the access log: both formats, and what a client may write into them.
 */
#include "base/memory.h"
#include "edge/private.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
// clang-format on

/* Behind the nine usual parts, of a request of which no more is known. */
#define OWN " id=0123456789abcdef0123456789abcdef first_byte_us=2500 total_us=10000"

struct fixture {
    struct arena arena;
    struct http_limits limits;
    struct http_parser parser;
    struct http_head head;
    struct address client;
    struct access_facts facts;
    struct text line;
};

/* The head as the parser of a connection leaves it. */
static void parse(struct fixture *fixture, struct span request)
{
    size_t used;
    struct span data;
    *fixture = (struct fixture){.limits = http_limits_default,
                                .client = {.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4}};
    http_parser_start_request(&fixture->parser, &fixture->limits, &fixture->head, &fixture->arena);
    http_parser_feed(&fixture->parser, request, &used, &data);
    fixture->facts = (struct access_facts){
        .client = &fixture->client,
        .protocol = fixture->head.minor ? "HTTP/1.1" : "HTTP/1.0",
        .request = &fixture->head,
        .request_id = "0123456789abcdef0123456789abcdef",
        .status = 200,
        .began_wall_ns = 1700000000123456789,
        .first_byte_ns = 2500000,
        .total_ns = 10000000,
        .bytes_in = 12,
        .bytes_out = 3456,
    };
}

static void finish(struct fixture *fixture)
{
    text_clear(&fixture->line);
    arena_clear(&fixture->arena);
}

static json_t *line_as_json(struct fixture *fixture)
{
    json_error_t error;
    edge_access_line(&fixture->line, true, &fixture->facts);
    json_t *json = json_loadb(fixture->line.data, fixture->line.length, 0, &error);
    if (!json)
        fail_msg("%s: %s", error.text, fixture->line.data);
    assert_int_equal(fixture->line.data[fixture->line.length - 1], '\n');
    assert_null(memchr(fixture->line.data, '\n', fixture->line.length - 1));
    return json;
}

static const char *text_of(json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name));
}

static void a_line_in_combined_format(void **state)
{
    struct fixture fixture;
    (void)state;
    parse(&fixture, SPAN("GET /a?b=c HTTP/1.1\r\nHost: www.shop.example\r\nReferer: "
                         "http://r.example/\r\nUser-Agent: agent 1.0\r\n\r\n"));
    fixture.facts.cache = SPAN("fwd=uri-miss;detail=\"no-store\"");
    fixture.facts.decision = "0123abcd.1";
    fixture.facts.trace_id = "";
    fixture.facts.legs.us[EDGE_LEG_QUEUE] = 7;
    fixture.facts.legs.known = 1u << EDGE_LEG_QUEUE | 1u << EDGE_LEG_CONNECT;
    edge_access_line(&fixture.line, false, &fixture.facts);
    assert_string_equal(fixture.line.data,
                        "192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] \"GET /a?b=c HTTP/1.1\" 200 "
                        "3456 \"http://r.example/\" \"agent 1.0\""
                        " id=0123456789abcdef0123456789abcdef"
                        " cache=\"fwd=uri-miss;detail=\\x22no-store\\x22\" decision=0123abcd.1"
                        " queue_us=7 connect_us=0 first_byte_us=2500 total_us=10000\n");
    finish(&fixture);
}

static void a_line_in_combined_format_says_what_is_missing(void **state)
{
    struct fixture fixture;
    (void)state;
    parse(&fixture, SPAN("GET / HTTP/1.0\r\n\r\n"));
    fixture.client = (struct address){.bytes = {0x20, 1, 0xd, 0xb8, [15] = 9}, .family = 6};
    edge_access_line(&fixture.line, false, &fixture.facts);
    assert_string_equal(fixture.line.data, "2001:db8::9 - - [14/Nov/2023:22:13:20 +0000] \"GET / "
                                           "HTTP/1.0\" 200 3456 \"-\" \"-\"" OWN "\n");
    finish(&fixture);
}

static void nothing_in_combined_format_ends_a_string(void **state)
{
    struct fixture fixture;
    (void)state;
    parse(&fixture,
          SPAN("GET /\"q\"\\ HTTP/1.1\r\nHost: h\r\nUser-Agent: a\"b\\c\td\xc3\xa9\r\n\r\n"));
    edge_access_line(&fixture.line, false, &fixture.facts);
    assert_non_null(strstr(fixture.line.data, " \"-\" \"a\\x22b\\x5Cc\\x09d\\xC3\\xA9\"" OWN "\n"));
    /* three strings, six quotes: as many as without any in the values */
    size_t quotes = 0;
    for (size_t i = 0; i < fixture.line.length; i++)
        quotes += fixture.line.data[i] == '"';
    assert_int_equal(quotes, 6);
    finish(&fixture);
}

static void a_line_as_json(void **state)
{
    struct fixture fixture;
    (void)state;
    parse(&fixture, SPAN("POST http://www.shop.example/a HTTP/1.1\r\nHost: www.shop.example\r\n"
                         "User-Agent: agent\r\nReferer: there\r\nContent-Length: 12\r\n\r\n"));
    fixture.facts.site = "shop";
    fixture.facts.gateway = "gw-1";
    fixture.facts.cause = "no answer came in time";
    fixture.facts.status = 504;
    fixture.facts.cache = SPAN("hit;ttl=3");
    fixture.facts.decision = "0123abcd.1.2";
    fixture.facts.trace_id = "12345678901234567890123456789012";
    fixture.facts.legs.us[EDGE_LEG_ORIGIN_FIRST_BYTE] = 1234567;
    fixture.facts.legs.known = 1u << EDGE_LEG_ORIGIN_FIRST_BYTE;
    json_t *json = line_as_json(&fixture);
    assert_string_equal(text_of(json, "cache"), "hit;ttl=3");
    assert_string_equal(text_of(json, "decision"), "0123abcd.1.2");
    assert_string_equal(text_of(json, "trace"), fixture.facts.trace_id);
    assert_int_equal(json_integer_value(json_object_get(json, "origin_first_byte_us")), 1234567);
    assert_null(json_object_get(json, "queue_us"));
    assert_string_equal(text_of(json, "client"), "192.0.2.7");
    assert_string_equal(text_of(json, "id"), fixture.facts.request_id);
    assert_string_equal(text_of(json, "method"), "POST");
    assert_string_equal(text_of(json, "host"), "www.shop.example");
    assert_string_equal(text_of(json, "target"), "http://www.shop.example/a");
    assert_string_equal(text_of(json, "protocol"), "HTTP/1.1");
    assert_string_equal(text_of(json, "site"), "shop");
    assert_string_equal(text_of(json, "gateway"), "gw-1");
    assert_string_equal(text_of(json, "cause"), "no answer came in time");
    assert_string_equal(text_of(json, "user_agent"), "agent");
    assert_string_equal(text_of(json, "referer"), "there");
    assert_int_equal(json_integer_value(json_object_get(json, "status")), 504);
    assert_int_equal(json_integer_value(json_object_get(json, "bytes_in")), 12);
    assert_int_equal(json_integer_value(json_object_get(json, "bytes_out")), 3456);
    assert_true(json_real_value(json_object_get(json, "seconds")) == 0.01);
    assert_true(json_real_value(json_object_get(json, "first_byte_seconds")) == 0.0025);
    assert_non_null(strstr(fixture.line.data, "\"time\":1700000000.123456,"));
    json_decref(json);
    finish(&fixture);
}

static void json_strings_hold_whatever_a_client_sends(void **state)
{
    struct fixture fixture;
    (void)state;
    parse(&fixture, SPAN("GET /a HTTP/1.1\r\nHost: h\r\nUser-Agent: \"\\\xff\xc3\xa9\tz\r\n\r\n"));
    json_t *json = line_as_json(&fixture);
    assert_string_equal(text_of(json, "user_agent"), "\"\\\xef\xbf\xbd\xc3\xa9\tz");
    json_decref(json);
    finish(&fixture);
}

static void a_request_that_could_not_be_read_has_a_line(void **state)
{
    struct fixture fixture;
    (void)state;
    parse(&fixture, SPAN("\x16\x03\x01\r\n\r\n"));
    fixture.facts.status = 400;
    json_t *json = line_as_json(&fixture);
    assert_null(json_object_get(json, "method"));
    assert_null(json_object_get(json, "target"));
    json_decref(json);
    edge_access_line(&fixture.line, false, &fixture.facts);
    assert_non_null(strstr(fixture.line.data, "] \"-\" 400 3456 \"-\" \"-\"" OWN "\n"));
    finish(&fixture);
}

/* The log takes lines of 8 KB; a head may have four times as much, and escapes take up to six times as much again. */
static void lines_stay_whole_whatever_their_values_lengths(void **state)
{
    static const char fillers[] = {'a', '"', '\\', '\xff'};
    static const char name[] = "sixty-four-bytes-are-as-long-as-a-name-of-a-site-or-node-may-be!";
    (void)state;
    for (size_t i = 0; i < sizeof fillers; i++)
        for (size_t length = 1000; length <= 7000; length += 3000) {
            struct fixture fixture;
            struct text request = {0};
            char *filler = memory_new(length + 1);
            memset(filler, fillers[i], length);
            char target = fillers[i] == 'a' ? 'a' : '"';
            text_add(&request, "GET /");
            for (size_t k = 0; k < length; k++)
                text_add_span(&request, span_of(&target, 1));
            text_add_format(&request,
                            " HTTP/1.1\r\nHost: h\r\nUser-Agent: %s\r\nReferer: %s\r\n\r\n", filler,
                            filler);
            parse(&fixture, text_span(&request));
            fixture.facts.site = fixture.facts.gateway = name;
            fixture.facts.cause = fixture.facts.decision = fixture.facts.trace_id = name;
            fixture.facts.cache = span_text(name);
            fixture.facts.legs.known = (1u << EDGE_LEG_COUNT) - 1;
            memset(fixture.facts.legs.us, 0x7f, sizeof fixture.facts.legs.us);
            json_t *json = line_as_json(&fixture);
            assert_true(fixture.line.length <= 8000);
            assert_true(strlen(text_of(json, "user_agent")) >= 200);
            json_decref(json);
            edge_access_line(&fixture.line, false, &fixture.facts);
            assert_true(fixture.line.length <= 8000);
            assert_non_null(strstr(fixture.line.data, " total_us=10000\n"));
            finish(&fixture);
            text_clear(&request);
            memory_free(filler);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_in_combined_format),
        cmocka_unit_test(a_line_in_combined_format_says_what_is_missing),
        cmocka_unit_test(nothing_in_combined_format_ends_a_string),
        cmocka_unit_test(a_line_as_json),
        cmocka_unit_test(json_strings_hold_whatever_a_client_sends),
        cmocka_unit_test(a_request_that_could_not_be_read_has_a_line),
        cmocka_unit_test(lines_stay_whole_whatever_their_values_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
