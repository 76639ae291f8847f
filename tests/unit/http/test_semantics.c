/* SPDX-License-Identifier: Apache-2.0
 *
 * What every intermediary does to a message.
 */
#include "record.h"

#include <stdio.h>

struct request {
    struct arena arena;
    struct http_head head;
};

static void open_request(struct request *request, const char *text)
{
    struct http_parser parser;
    size_t used;
    struct span data;
    *request = (struct request){0};
    http_parser_start_request(&parser, &http_limits_default, &request->head, &request->arena);
    assert_int_equal(http_parser_feed(&parser, span_text(text), &used, &data), HTTP_EVENT_HEAD);
}

static void expect_fields(const struct http_fields *fields, const char *expected)
{
    struct text text = {0};
    for (uint32_t i = 0; i < fields->count; i++)
        text_add_format(&text, "%.*s: %.*s\n", SPAN_ARGS(fields->list[i].name),
                        SPAN_ARGS(fields->list[i].value));
    assert_string_equal(text.data ? text.data : "", expected);
    text_clear(&text);
}

static void hop_by_hop_fields_are_removed(void **state)
{
    (void)state;
    static const struct {
        const char *input, *expected;
    } rows[] = {
        {"Host: a\r\nConnection: keep-alive, X-Drop , Cookie\r\nX-Drop: 1\r\nx-drop: 2\r\nX-Keep: "
         "3\r\n"
         "Cookie: c\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\n"
         "Upgrade: h2c\r\nTE: gzip\r\nContent-Length: 0\r\n",
         "Host: a\nX-Keep: 3\n"},
        {"Host: a\r\nTransfer-Encoding: chunked\r\nTE: deflate, Trailers\r\nTrailer: X\r\n",
         "Host: a\nTrailer: X\nTE: trailers\n"},
        /* Host cannot be taken away. */
        {"Host: a\r\nConnection: Host, close\r\nAccept: b\r\n", "Host: a\nAccept: b\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[1024];
        struct request request;
        snprintf(text, sizeof text, "POST / HTTP/1.1\r\n%s\r\n", rows[i].input);
        open_request(&request, text);
        http_remove_hop_by_hop(&request.head.fields);
        expect_fields(&request.head.fields, rows[i].expected);
        assert_false(http_fields_has(&request.head.fields, HTTP_NAME_CONNECTION));
        arena_clear(&request.arena);
    }
}

static void via_names_the_received_version(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct http_fields fields = {.arena = &arena};
    assert_int_equal(http_add_via(&fields, 0, SPAN("one")), 0);
    assert_int_equal(http_add_via(&fields, 1, SPAN("two")), 0);
    assert_int_equal(http_add_via(&fields, 1, SPAN("a b")), ERROR_INVALID);
    expect_fields(&fields, "Via: 1.0 one\nVia: 1.1 two\n");
    arena_clear(&arena);
}

/* Whatever is made of the rest, the next hop is not asked to take it away. */
static void what_the_client_nominates_is_gone_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *said, *left;
    } rows[] = {
        {"Connection: keep-alive\r\nX-A: 1\r\n", "Host: a\nConnection: keep-alive\nX-A: 1\n"},
        {"Connection: close, x-a\r\nX-A: 1\r\nX-B: 2\r\n", "Host: a\nX-B: 2\n"},
        {"Connection: Accept-Language\r\nConnection: Host, TE\r\nAccept-Language: de\r\n"
         "TE: trailers\r\n",
         "Host: a\nTE: trailers\n"},
        {"X-A: 1\r\n", "Host: a\nX-A: 1\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[256];
        struct request request;
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].said);
        open_request(&request, text);
        http_remove_nominated(&request.head.fields);
        expect_fields(&request.head.fields, rows[i].left);
        arena_clear(&request.arena);
    }
}

static void strangers_speak_for_no_proxy_under_any_name(void **state)
{
    (void)state;
    struct request request;
    open_request(&request,
                 "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Scheme: http\r\nx-forwarded: 1\r\n"
                 "X-Forwarded-Prefix: /p\r\nX_Forwarded-Ssl: on\r\nX-Original-URL: /admin\r\n"
                 "X-Rewrite_URL: /admin\r\nX-Original-Host: b\r\nX-Host: b\r\n"
                 "X-HTTP-Host-Override: b\r\nX-Forwarded-By-Some-Name-That-Is-Rather-Long: 1\r\n"
                 "X-Forward: 1\r\nX-Original-URL-Of: 1\r\nX-Hosts: 1\r\nX: 1\r\n\r\n");
    http_remove_forwarded(&request.head.fields);
    expect_fields(&request.head.fields,
                  "Host: a\nX-Forward: 1\nX-Original-URL-Of: 1\nX-Hosts: 1\nX: 1\n");
    arena_clear(&request.arena);
}

#define CLAIMS                                                                            \
    "GET / HTTP/1.1\r\nHost: Shop.Example:8080\r\nForwarded: for=1.2.3.4;proto=https\r\n" \
    "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"  \
    "X-Real-IP: 1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\nX-Forwarded_Proto: https\r\nA_B: 1\r\n\r\n"

static struct http_opening opening_of(const char *address)
{
    struct http_opening opening = {
        .site = SPAN("shop"), .request_id = SPAN("r1"), .edge_port = 80, .priority = 2};
    assert_int_equal(address_parse(span_text(address), &opening.client), 0);
    opening.client.port = 5555;
    return opening;
}

static const unsigned both = HTTP_FORWARDED | HTTP_X_FORWARDED;

static void strangers_cannot_claim_whom_they_forward_for(void **state)
{
    (void)state;
    struct request request;
    open_request(&request, CLAIMS);
    http_remove_forwarded(&request.head.fields);
    expect_fields(&request.head.fields, "Host: Shop.Example:8080\nA_B: 1\n");
    struct http_opening opening = opening_of("192.0.2.7");
    assert_int_equal(http_add_forwarded(&request.head.fields, &opening, &request.head, both), 0);
    expect_fields(&request.head.fields,
                  "Host: Shop.Example:8080\nA_B: 1\n"
                  "Forwarded: for=192.0.2.7;proto=http;host=\"shop.example:8080\"\n"
                  "X-Forwarded-For: 192.0.2.7\nX-Forwarded-Proto: http\n"
                  "X-Forwarded-Host: shop.example:8080\nX-Forwarded-Port: 80\n");
    arena_clear(&request.arena);
}

static void trusted_proxies_are_continued(void **state)
{
    (void)state;
    struct request request;
    open_request(&request, "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4;proto=https\r\n"
                           "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.2.3.4\r\n"
                           "X-Forwarded-Proto: https\r\n\r\n");
    struct http_opening opening = opening_of("2001:db8::7");
    opening.is_https = true;
    opening.edge_port = 443;
    assert_int_equal(http_add_forwarded(&request.head.fields, &opening, &request.head, both), 0);
    expect_fields(&request.head.fields,
                  "Host: a\nForwarded: for=1.2.3.4;proto=https, "
                  "for=\"[2001:db8::7]\";proto=https;host=a\n"
                  "X-Forwarded-For: 9.9.9.9\nX-Forwarded-For: 1.2.3.4, 2001:db8::7\n"
                  "X-Forwarded-Proto: https\nX-Forwarded-Host: a\nX-Forwarded-Port: 443\n");
    arena_clear(&request.arena);
}

static void W8_origins_learn_of_the_client_by_the_fields_that_are_wanted(void **state)
{
    static const struct {
        unsigned kinds;
        const char *expected;
    } rows[] = {
        {HTTP_FORWARDED,
         "Host: a\nForwarded: for=1.2.3.4, for=192.0.2.7;proto=http;host=a\nA_B: 1\n"},
        {HTTP_X_FORWARDED, "Host: a\nX-Forwarded-For: 1.2.3.4, 192.0.2.7\nX-Real-IP: 1.2.3.4\n"
                           "A_B: 1\nX-Forwarded-Proto: http\nX-Forwarded-Host: a\n"
                           "X-Forwarded-Port: 80\n"},
        {0, "Host: a\nA_B: 1\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct request request;
        open_request(&request, "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.2.3.4\r\n"
                               "X-Forwarded-For: 1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nA_B: 1\r\n\r\n");
        struct http_opening opening = opening_of("192.0.2.7");
        assert_int_equal(
            http_add_forwarded(&request.head.fields, &opening, &request.head, rows[i].kinds), 0);
        expect_fields(&request.head.fields, rows[i].expected);
        arena_clear(&request.arena);
    }
}

static void hosts_are_normalised(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host; /* NULL: refused */
        uint16_t port;
    } rows[] = {
        {"example.com", "example.com", 0},
        {"Example.COM.:8080", "example.com", 8080},
        {"a_b-c.d~1:", "a_b-c.d~1", 0},
        {"192.0.2.1:80", "192.0.2.1", 80},
        {"[2001:DB8::1]", "[2001:db8::1]", 0},
        {"[::]:65535", "[::]", 65535},
        {"", NULL, 0},
        {".", NULL, 0},
        {":80", NULL, 0},
        {".a", NULL, 0},
        {"a..", NULL, 0},
        {"a:0", NULL, 0},
        {"a:65536", NULL, 0},
        {"a:+80", NULL, 0},
        {"a:080000", NULL, 0},
        {"a%41", NULL, 0},
        {"a,b", NULL, 0},
        {"[1.2.3.4]", NULL, 0},
        {"[::1]x", NULL, 0},
        {"[::1%eth0]", NULL, 0},
        {"[]", NULL, 0},
        {"[", NULL, 0},
        {"a\xc3\xa9", NULL, 0},
    };
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span host = {0};
        uint16_t port = 0;
        int result = http_host_parse(span_text(rows[i].text), &arena, &host, &port);
        if ((result == 0) != (rows[i].host != NULL))
            fail_msg("%s: %d", rows[i].text, result);
        if (result)
            continue;
        assert_true(span_equal(host, span_text(rows[i].host)));
        assert_int_equal(port, rows[i].port);
    }
    arena_clear(&arena);
}

static void lists_are_walked(void **state)
{
    (void)state;
    struct span rest = SPAN(" a ,, \"b,c\\\",\" , d;e=\"f,g\"  ,"), element;
    static const char *const expected[] = {"a", "\"b,c\\\",\"", "d;e=\"f,g\""};
    for (size_t i = 0; i < 3; i++) {
        assert_true(http_list_next(&rest, &element));
        assert_true(span_equal(element, span_text(expected[i])));
    }
    assert_false(http_list_next(&rest, &element));
    rest = SPAN("\"open, \\");
    assert_true(http_list_next(&rest, &element));
    assert_false(http_list_next(&rest, &element));
}

static void fields_take_only_what_may_be_written(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct http_fields fields = {.arena = &arena};
    assert_int_equal(http_fields_add(&fields, HTTP_NAME_ACCEPT, SPAN("a\r\nB: c")), ERROR_INVALID);
    assert_int_equal(http_fields_add(&fields, HTTP_NAME_ACCEPT, SPAN("a\0b")), ERROR_INVALID);
    assert_int_equal(http_fields_add(&fields, HTTP_NAME_ACCEPT, SPAN(" a")), ERROR_INVALID);
    assert_int_equal(http_fields_add(&fields, HTTP_NAME_OTHER, SPAN("a")), ERROR_INVALID);
    assert_int_equal(http_fields_add_text(&fields, SPAN("a b"), SPAN("c")), ERROR_INVALID);
    assert_int_equal(http_fields_add_text(&fields, SPAN(""), SPAN("c")), ERROR_INVALID);
    assert_int_equal(fields.count, 0);
    assert_int_equal(http_fields_add_text(&fields, SPAN("aCCept"), SPAN("1")), 0);
    assert_int_equal(http_fields_add_text(&fields, SPAN("X-A"), SPAN("2")), 0);
    assert_int_equal(http_fields_add(&fields, HTTP_NAME_ACCEPT, SPAN("3")), 0);
    assert_int_equal(http_fields_find(&fields, HTTP_NAME_ACCEPT)->value.data[0], '1');
    assert_int_equal(http_fields_find_text(&fields, SPAN("x-a"))->value.data[0], '2');
    assert_null(http_fields_find(&fields, HTTP_NAME_HOST));
    assert_int_equal(http_fields_set(&fields, HTTP_NAME_ACCEPT,
                                     http_fields_find(&fields, HTTP_NAME_ACCEPT)->value),
                     0);
    expect_fields(&fields, "X-A: 2\nAccept: 1\n");
    struct http_fields copy = {.arena = &arena};
    assert_int_equal(http_fields_copy(&copy, &fields), 0);
    struct http_fields borrowed = {.arena = &arena};
    assert_int_equal(http_fields_add(&borrowed, HTTP_NAME_AGE, SPAN("0")), 0);
    assert_int_equal(http_fields_borrow_all(&borrowed, &fields), 0);
    assert_true(http_fields_has(&borrowed, HTTP_NAME_ACCEPT));
    expect_fields(&borrowed, "Age: 0\nX-A: 2\nAccept: 1\n");
    http_fields_remove_text(&fields, SPAN("x-A"));
    http_fields_remove(&fields, HTTP_NAME_ACCEPT);
    assert_int_equal(fields.count, 0);
    assert_false(http_fields_has(&fields, HTTP_NAME_ACCEPT));
    expect_fields(&copy, "X-A: 2\nAccept: 1\n");
    int result = 0;
    for (int i = 0; i < 2 * HTTP_FIELDS_MOST && !result; i++)
        result = http_fields_add(&fields, HTTP_NAME_VIA, SPAN("1.1 a"));
    assert_int_equal(result, ERROR_LIMIT);
    assert_int_equal(fields.count, HTTP_FIELDS_MOST);
    arena_clear(&arena);
}

static void error_pages_say_why_in_the_asked_form(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool is_plain;
    } rows[] = {
        {"*/*", false},
        {"text/html, text/plain;q=0.5", false},
        {"text/plain", true},
        {"application/json, Text/Plain ; q=0.5", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        struct request request;
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nAccept: %s\r\n\r\n",
                 rows[i].accept);
        open_request(&request, text);
        struct arena arena = {0};
        struct http_head head;
        http_head_init(&head, &arena);
        struct span page = http_error_page(&head, &request.head, 502,
                                           SPAN("<origin> \"down\" & out"), SPAN("id-1"));
        char *copy = arena_format(&arena, "%.*s", SPAN_ARGS(page));
        assert_non_null(strstr(copy, "502 Bad Gateway"));
        assert_non_null(strstr(copy, "id-1"));
        const char *expected = rows[i].is_plain ? "<origin> \"down\" & out"
                                                : "&lt;origin&gt; &quot;down&quot; &amp; out";
        assert_non_null(strstr(copy, expected));
        assert_int_equal(head.status, 502);
        assert_int_equal(head.content_length, page.length);
        assert_int_equal(head.body, HTTP_BODY_LENGTH);
        struct span type = http_fields_find(&head.fields, HTTP_NAME_CONTENT_TYPE)->value;
        assert_true(span_starts(type, rows[i].is_plain ? SPAN("text/plain") : SPAN("text/html")));
        arena_clear(&arena);
        arena_clear(&request.arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hop_by_hop_fields_are_removed),
        cmocka_unit_test(via_names_the_received_version),
        cmocka_unit_test(what_the_client_nominates_is_gone_at_once),
        cmocka_unit_test(strangers_cannot_claim_whom_they_forward_for),
        cmocka_unit_test(strangers_speak_for_no_proxy_under_any_name),
        cmocka_unit_test(trusted_proxies_are_continued),
        cmocka_unit_test(W8_origins_learn_of_the_client_by_the_fields_that_are_wanted),
        cmocka_unit_test(hosts_are_normalised),
        cmocka_unit_test(lists_are_walked),
        cmocka_unit_test(fields_take_only_what_may_be_written),
        cmocka_unit_test(error_pages_say_why_in_the_asked_form),
    };
    return cmocka_run_group_tests_name("http/semantics", tests, NULL, NULL);
}
