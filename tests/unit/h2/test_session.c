/* SPDX-License-Identifier: Apache-2.0
 *
 * A session as a whole: requests in, answers out, tunnels, priorities, the end. Its windows are in test_windows.c.
 */
#include "fixture.h"

#include <stdio.h>

static void a_request_is_answered(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "head 1 GET / at example.com:0, content none\nend 1\n");
    answer(&fixture, 1, 200, 5);
    write_text(&fixture, 1, "hello");
    h2_stream_end(stream_of(&fixture, 1), NULL);
    expect_sent(&fixture, "closed 1 0, answered\n"
                          "HEADERS 1 :status=200 content-length=5\n"
                          "DATA 1 5 END_STREAM\n");
    fixture_stop(&fixture);
}

/* RFC 9113 section 8.2: field names are in lower case, whatever the origin wrote. */
static void known_names_are_in_lower_case(void **state)
{
    (void)state;
    for (enum http_name id = HTTP_NAME_OTHER + 1; id < HTTP_NAME_COUNT; id++) {
        struct fixture fixture;
        struct arena arena = {0};
        struct http_head head;
        char lower[64] = "";
        struct span name = http_name_text(id);
        if (http_name_is_framing(id) || http_name_is_hop_by_hop(id))
            continue;
        for (size_t i = 0; i < name.length; i++)
            lower[i] = (char)ascii_lower(name.data[i]);
        http_head_init(&head, &arena);
        head.status = 200;
        assert_int_equal(http_fields_add(&head.fields, id, SPAN("x")), 0);
        fixture_start(&fixture, NULL);
        put_get(&fixture, 1);
        assert_int_equal(feed(&fixture), 0);
        assert_int_equal(h2_stream_answer(stream_of(&fixture, 1), &head), 0);
        arena_clear(&arena);
        expect_sent(&fixture, arena_format(&arena,
                                           "closed 1 0, answered\n"
                                           "HEADERS 1 END_STREAM :status=200 %s=x\n",
                                           lower));
        arena_clear(&arena);
        fixture_stop(&fixture);
    }
}

static void settings_are_announced(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start_bare(&fixture, NULL);
    sent(&fixture, true);
    /* No push, which is the client's to allow; 3 streams, 4 window, 6 head, 9 RFC 9218, 8 RFC 8441; the connection's window. */
    fixture_expect(&fixture,
                   "SETTINGS 0 3=128 4=262144 6=40960 9=1 8=1\nWINDOW_UPDATE 0 4128769\n");
    fixture_stop(&fixture);
}

static void a_preface_is_told_from_http1(void **state)
{
    static const struct {
        const char *bytes;
        int result;
    } rows[] = {
        {"", ERROR_INCOMPLETE},
        {"P", ERROR_INCOMPLETE},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", ERROR_INCOMPLETE},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nmore", 0},
        {"POST", ERROR_INVALID},
        {"PRI * HTTP/1.1", ERROR_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct slice_queue in = {0};
        slice_queue_append(&in, span_text(rows[i].bytes));
        assert_int_equal(h2_preface_check(&in), rows[i].result);
        slice_queue_clear(&in);
    }
}

static void RFC9113_3_4_without_a_preface_the_connection_ends(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start_bare(&fixture, NULL);
    slice_queue_append(&fixture.in, SPAN("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"));
    assert_int_equal(feed(&fixture), ERROR_CLOSED);
    assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_PREFACE);
    expect_sent(&fixture, "GOAWAY 0 last 0 code 1\n");
    assert_true(h2_session_is_over(fixture.session));
    fixture_stop(&fixture);
}

/* Every cut of the same bytes gives the same events. */
static void every_cut_gives_the_same_events(void **state)
{
    (void)state;
    for (uint32_t cut = 1; cut < 90; cut += cut < 12 ? 1 : 13) {
        struct fixture fixture;
        struct slice_queue all = {0};
        fixture_start(&fixture, NULL);
        put_headers(&fixture, 0, 1,
                    ":method: POST\n:scheme: https\n:authority: example.com\n:path: /\n");
        put_data(&fixture, 0, 1, "hello");
        put_get(&fixture, 3);
        put_headers(&fixture, NGHTTP2_FLAG_END_STREAM, 1, "x: y\n");
        slice_queue_move(&all, &fixture.in);
        while (all.count) {
            slice_queue_push(&fixture.in, slice_queue_pop(&all, cut));
            assert_int_equal(feed(&fixture), 0);
        }
        slice_queue_clear(&all);
        assert_non_null(
            strstr(fixture.log.data, "head 1 POST / at example.com:0, content chunked\n"));
        assert_non_null(
            strstr(fixture.log.data,
                   "head 3 GET / at example.com:0, content none\nend 3\nend 1\n  x: y\n"));
        fixture_stop(&fixture);
    }
}

/* ---- answers */

static void answers_without_content(void **state)
{
    static const struct {
        const char *method;
        uint16_t status;
        int64_t length;
        const char *sent;
    } rows[] = {
        {"HEAD", 200, 5, "HEADERS 1 END_STREAM :status=200 content-length=5\n"},
        {"HEAD", 200, -1, "HEADERS 1 END_STREAM :status=200\n"},
        {"GET", 204, 0, "HEADERS 1 END_STREAM :status=204\n"},
        {"GET", 304, 5, "HEADERS 1 END_STREAM :status=304 content-length=5\n"},
        {"GET", 200, 0, "HEADERS 1 END_STREAM :status=200\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct fixture fixture;
        char lines[128], expected[160];
        snprintf(lines, sizeof lines,
                 ":method: %s\n:scheme: https\n:authority: example.com\n:path: /\n",
                 rows[i].method);
        fixture_start(&fixture, NULL);
        put_headers(&fixture, NGHTTP2_FLAG_END_STREAM, 1, lines);
        assert_int_equal(feed(&fixture), 0);
        answer(&fixture, 1, rows[i].status, rows[i].length);
        write_text(&fixture, 1, "not for this answer");
        h2_stream_end(stream_of(&fixture, 1), NULL);
        snprintf(expected, sizeof expected, "closed 1 0, answered\n%s", rows[i].sent);
        expect_sent(&fixture, expected);
        fixture_stop(&fixture);
    }
}

static void RFC9113_8_2_2_fields_of_a_connection_stay_behind(void **state)
{
    struct fixture fixture;
    struct arena arena = {0};
    struct http_head head;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    http_head_init(&head, &arena);
    head.status = 200;
    head.body = HTTP_BODY_CHUNKED;
    static const char *const fields[][2] = {
        {"Connection", "close"},
        {"Keep-Alive", "5"},
        {"Transfer-Encoding", "chunked"},
        {"Upgrade", "h2c"},
        {"Content-Length", "7"},
        {"Proxy-Connection", "x"},
        {"TE", "gzip"},
        {"Content-Type", "text/plain"},
        {"X-Mixed-Case", "Kept"},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_int_equal(http_fields_add_text(&head.fields, span_text(fields[i][0]),
                                              span_text(fields[i][1])),
                         0);
    assert_int_equal(h2_stream_answer(stream_of(&fixture, 1), &head), 0);
    assert_int_equal(h2_stream_answer(stream_of(&fixture, 1), &head),
                     ERROR_INVALID); /* a second one */
    expect_sent(&fixture, "HEADERS 1 :status=200 content-type=text/plain x-mixed-case=Kept\n");
    arena_clear(&arena);
    fixture_stop(&fixture);
}

static void interim_answers_come_first(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 103, 0);
    answer(&fixture, 1, 100, 0);
    answer(&fixture, 1, 200, 2);
    write_text(&fixture, 1, "ok");
    h2_stream_end(stream_of(&fixture, 1), NULL);
    expect_sent(&fixture, "closed 1 0, answered\nHEADERS 1 :status=103\nHEADERS 1 :status=100\n"
                          "HEADERS 1 :status=200 content-length=2\nDATA 1 2 END_STREAM\n");
    fixture_stop(&fixture);
}

/* RFC 9113 section 6.10: what one frame does not hold goes on in CONTINUATION, and the decoder is not put out of step. */
static void large_heads_are_continued(void **state)
{
    enum { FIELDS = 60, VALUE_BYTES = 1000 };
    struct fixture fixture;
    struct arena arena = {0};
    struct http_head head;
    struct text expected = {0};
    (void)state;
    http_head_init(&head, &arena);
    head.status = 200;
    text_add(&expected, "closed 1 0, answered\nHEADERS 1 END_STREAM :status=200");
    for (int i = 0; i < FIELDS; i++) {
        char *value = arena_format(&arena, "%0*d", VALUE_BYTES, i);
        assert_int_equal(http_fields_add_text(&head.fields, SPAN("X-Own"), span_text(value)), 0);
        text_add_format(&expected, " x-own=%s", value);
    }
    text_add(&expected, "\n");
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    put_settings(&fixture, NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, 0); /* nothing is remembered */
    put_get(&fixture, 3);
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "head 1 GET / at example.com:0, content none\nend 1\n"
                             "head 3 GET / at example.com:0, content none\nend 3\n");
    assert_int_equal(h2_stream_answer(stream_of(&fixture, 1), &head), 0);
    expect_sent(&fixture, expected.data);
    answer(&fixture, 3, 200, 0);
    expect_sent(&fixture, "closed 3 0, answered\nHEADERS 3 END_STREAM :status=200\n");
    text_clear(&expected);
    arena_clear(&arena);
    fixture_stop(&fixture);
}

static void trailers_follow_the_content(void **state)
{
    struct fixture fixture;
    struct arena arena = {0};
    struct http_fields trailers = {.arena = &arena};
    (void)state;
    assert_int_equal(http_fields_add_text(&trailers, SPAN("Digest"), SPAN("x")), 0);
    assert_int_equal(http_fields_add_text(&trailers, SPAN("Set-Cookie"), SPAN("no")), 0);
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    put_get(&fixture, 3);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 200, -1);
    write_text(&fixture, 1, "hello");
    h2_stream_end(stream_of(&fixture, 1), &trailers);
    answer(&fixture, 3, 200, -1);
    expect_sent(&fixture, "closed 1 0, answered\nHEADERS 1 :status=200\nHEADERS 3 :status=200\n"
                          "DATA 1 5\nHEADERS 1 END_STREAM digest=x\n");
    h2_stream_end(stream_of(&fixture, 3), &trailers); /* once libnghttp2 waits for it */
    expect_sent(&fixture, "closed 3 0, answered\nHEADERS 3 END_STREAM digest=x\n");
    arena_clear(&arena);
    fixture_stop(&fixture);
}

static void what_is_not_whole_does_not_look_whole(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    put_get(&fixture, 3);
    put_get(&fixture, 5);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 200, 5); /* too short */
    write_text(&fixture, 1, "hell");
    h2_stream_end(stream_of(&fixture, 1), NULL);
    answer(&fixture, 3, 200, 5); /* too long */
    write_text(&fixture, 3, "hello!");
    h2_stream_end(stream_of(&fixture, 3), NULL);
    answer(&fixture, 5, 200, -1); /* given up */
    write_text(&fixture, 5, "hello");
    sent(&fixture, false);
    h2_stream_reset(&fixture.streams[2], H2_CODE_INTERNAL_ERROR);
    assert_null(fixture.streams[2]);
    sent(&fixture, false);
    assert_null(strstr(fixture.log.data, "END_STREAM"));
    assert_non_null(strstr(fixture.log.data, "RST_STREAM 1 2\n"));
    assert_non_null(strstr(fixture.log.data, "RST_STREAM 3 2\n"));
    assert_non_null(strstr(fixture.log.data, "RST_STREAM 5 2\n"));
    assert_null(strstr(fixture.log.data, "closed 5"));
    fixture_stop(&fixture);
}

static void RFC9113_8_1_an_early_answer_stops_the_request(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_headers(&fixture, 0, 1, ":method: POST\n:scheme: https\n:authority: a\n:path: /\n");
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 403, 0);
    expect_sent(&fixture,
                "closed 1 0, answered\nHEADERS 1 END_STREAM :status=403\nRST_STREAM 1 0\n");
    put_data(&fixture, 0, 1, "late"); /* was under way */
    assert_int_equal(feed(&fixture), 0);
    expect_sent(&fixture, "");
    fixture_stop(&fixture);
}

/* Section 5.1.1: they are lower than others and open nothing, and yet they are right. */
static void trailers_of_a_stream_that_was_reset_are_let_pass(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.answers = true;
    put_headers(&fixture, 0, 1, ":method: POST\n:scheme: https\n:authority: a\n:path: /\n");
    put_get(&fixture, 3);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 403, 0);
    sent(&fixture, false);
    put_headers(&fixture, NGHTTP2_FLAG_END_STREAM, 1, "x-checksum: 1\n");
    assert_int_equal(feed(&fixture), 0);
    put_headers(&fixture, NGHTTP2_FLAG_END_STREAM, 3, "x-checksum: 1\n"); /* had ended */
    assert_int_equal(feed(&fixture), ERROR_CLOSED);
    assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_PROTOCOL);
    fixture_stop(&fixture);
}

static void what_nobody_takes_can_be_given_up(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_settings(&fixture, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 10);
    put_get(&fixture, 1);
    put_get(&fixture, 3);
    assert_int_equal(feed(&fixture), 0);
    for (uint32_t id = 1; id <= 3; id += 2) {
        answer(&fixture, id, 200, 100);
        write_zeros(&fixture, id, 100);
        h2_stream_end(stream_of(&fixture, id), NULL);
    }
    sent(&fixture, false);
    assert_int_equal(h2_session_content_sent(fixture.session), 20);
    h2_stream_set_context(stream_of(&fixture, 3), &fixture);
    h2_session_forget(fixture.session);
    assert_non_null(strstr(sent(&fixture, false), "RST_STREAM 1 8\n"));
    assert_int_equal(h2_session_streams(fixture.session), 1);
    fixture_stop(&fixture);
}

/* ---- RFC 8441 */

static void RFC8441_5_a_websocket_is_a_tunnel(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_headers(&fixture, 0, 1,
                ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: example.com\n"
                ":path: /chat\nsec-websocket-version: 13\n");
    put_data(&fixture, 0, 1, "early");
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "head 1 GET /chat at example.com:0, content upgrade\n");
    struct http_head *head = h2_stream_head(stream_of(&fixture, 1));
    const struct http_field *key = http_fields_find(&head->fields, HTTP_NAME_SEC_WEBSOCKET_KEY);
    assert_int_equal(key->value.length, 24); /* 16 bytes in base64: RFC 6455 section 4.1 */
    struct slice_queue line = {0};
    assert_int_equal(http_write_request(&line, head), 0);
    slice_queue_clear(&line);

    struct arena arena = {0};
    struct http_head accepted;
    http_head_init(&accepted, &arena);
    accepted.status = 101;
    accepted.body = HTTP_BODY_TUNNEL;
    accepted.upgrades = true;
    assert_int_equal(http_fields_add(&accepted.fields, HTTP_NAME_SEC_WEBSOCKET_ACCEPT, SPAN("x")),
                     0);
    assert_int_equal(
        http_fields_add(&accepted.fields, HTTP_NAME_SEC_WEBSOCKET_PROTOCOL, SPAN("chat")), 0);
    assert_int_equal(h2_stream_answer(stream_of(&fixture, 1), &accepted), 0);
    fixture_expect(&fixture, ""); /* events come from feeding and pulling alone */
    write_text(&fixture, 1, "hello");
    expect_sent(&fixture,
                "data 1 early\nHEADERS 1 :status=200 sec-websocket-protocol=chat\nDATA 1 5\n");
    put_data(&fixture, 0, 1, "more");
    put_data(&fixture, NGHTTP2_FLAG_END_STREAM, 1, "");
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "data 1 more\nend 1\n");
    h2_stream_end(stream_of(&fixture, 1), NULL);
    expect_sent(&fixture, "closed 1 0, answered\nDATA 1 0 END_STREAM\n");
    arena_clear(&arena);
    fixture_stop(&fixture);
}

static void RFC8441_5_a_refused_websocket_is_an_answer(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_headers(&fixture, 0, 1,
                ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: "
                "example.com\n:path: /\n");
    put_data(&fixture, 0, 1, "early");
    assert_int_equal(feed(&fixture), 0);
    text_clear(&fixture.log);
    answer(&fixture, 1, 403, 2);
    put_data(&fixture, 0, 1, "more");
    assert_int_equal(feed(&fixture), 0);
    write_text(&fixture, 1, "no");
    h2_stream_end(stream_of(&fixture, 1), NULL);
    expect_sent(&fixture, "closed 1 0, answered\nHEADERS 1 :status=403 content-length=2\n"
                          "DATA 1 2 END_STREAM\nRST_STREAM 1 0\n");
    fixture_stop(&fixture);
}

static void without_websocket(struct h2_settings *settings)
{
    settings->websocket = false;
}

static void RFC8441_3_not_offered_not_taken(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, without_websocket);
    put_headers(&fixture, 0, 1,
                ":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: "
                "example.com\n:path: /\n");
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "malformed PSEUDO_FIELD\n");
    fixture_stop(&fixture);
}

/* ---- RFC 9218 */

static void put_priority_update(struct fixture *fixture, uint32_t id, const char *value)
{
    struct text payload = {0};
    uint8_t bytes[4] = {0, 0, (uint8_t)(id >> 8), (uint8_t)id};
    text_add_span(&payload, span_of(bytes, sizeof bytes));
    text_add(&payload, value);
    put_frame(fixture, NGHTTP2_PRIORITY_UPDATE, 0, 0, span_of(payload.data, payload.length));
    text_clear(&payload);
}

static void put_wish(struct fixture *fixture, uint32_t id, const char *priority)
{
    char lines[128];
    snprintf(lines, sizeof lines,
             ":method: GET\n:scheme: https\n:authority: a\n:path: /\npriority: %s\n", priority);
    put_headers(fixture, NGHTTP2_FLAG_END_STREAM, id, lines);
}

static void L10_the_urgent_goes_first(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.is_quiet = true;
    put_wish(&fixture, 1, "u=5");
    put_wish(&fixture, 3, "u=1");
    put_wish(&fixture, 5, "u=3");
    put_priority_update(&fixture, 7, "u=0"); /* before its request: RFC 9218 section 7 */
    put_wish(&fixture, 7, "u=6");
    assert_int_equal(feed(&fixture), 0);
    for (uint32_t id = 1; id <= 7; id += 2) {
        answer(&fixture, id, 200, 4);
        write_text(&fixture, id, "data");
        h2_stream_end(stream_of(&fixture, id), NULL);
    }
    sent(&fixture, false);
    const char *first = strstr(fixture.log.data, "DATA");
    assert_string_equal(
        first,
        "DATA 7 4 END_STREAM\nDATA 3 4 END_STREAM\nDATA 5 4 END_STREAM\nDATA 1 4 END_STREAM\n");
    fixture_stop(&fixture);
}

static void L10_incremental_ones_share(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    fixture.is_quiet = true;
    put_wish(&fixture, 1, "u=2, i");
    put_wish(&fixture, 3, "u=2, i");
    assert_int_equal(feed(&fixture), 0);
    for (uint32_t id = 1; id <= 3; id += 2) {
        answer(&fixture, id, 200, 32768);
        write_zeros(&fixture, id, 32768);
        h2_stream_end(stream_of(&fixture, id), NULL);
    }
    sent(&fixture, false);
    const char *first = strstr(fixture.log.data, "DATA");
    assert_int_equal(strncmp(first, "DATA 1 16384\nDATA 3 16384\nDATA 1", 32), 0);
    fixture_stop(&fixture);
}

static void L10_updates_are_heeded_unless_the_site_decided(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_wish(&fixture, 1, "u=5, i");
    assert_int_equal(feed(&fixture), 0);
    assert_int_equal(h2_stream_priority(stream_of(&fixture, 1)).urgency, 5);
    assert_true(h2_stream_priority(stream_of(&fixture, 1)).incremental);
    text_clear(&fixture.log);
    put_priority_update(&fixture, 1, "u=2");
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "priority 1 u=2\n");
    h2_stream_set_priority(stream_of(&fixture, 1), (struct http_priority){7, false});
    put_priority_update(&fixture, 1, "u=0");
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "");
    assert_int_equal(h2_stream_priority(stream_of(&fixture, 1)).urgency, 7);
    fixture_stop(&fixture);
}

/* ---- the end */

static void RFC9113_6_8_the_end_comes_in_two_steps(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    h2_session_drain(fixture.session);
    expect_sent(&fixture, "GOAWAY 0 last 2147483647 code 0\nPING 0\n");
    put_get(&fixture, 3); /* was under way */
    put_frame(&fixture, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, SPAN("drained\0"));
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "head 3 GET / at example.com:0, content none\nend 3\n");
    expect_sent(&fixture, "GOAWAY 0 last 3 code 0\n");
    put_get(&fixture, 5); /* too late */
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "");
    answer(&fixture, 1, 204, 0);
    sent(&fixture, false);
    assert_false(h2_session_is_over(fixture.session));
    answer(&fixture, 3, 204, 0);
    sent(&fixture, false);
    assert_true(h2_session_is_over(fixture.session));
    assert_int_equal(h2_session_cause(fixture.session), H2_CAUSE_NONE);
    fixture_stop(&fixture);
}

static void a_client_that_never_answers_the_ping_is_drained_by_a_second_call(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    h2_session_drain(fixture.session);
    sent(&fixture, false);
    h2_session_drain(fixture.session);
    h2_session_drain(fixture.session);
    expect_sent(&fixture, "GOAWAY 0 last 0 code 0\n");
    assert_true(h2_session_is_over(fixture.session));
    fixture_stop(&fixture);
}

static void freeing_closes_every_stream(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    put_headers(&fixture, 0, 3, ":method: POST\n:scheme: https\n:authority: a\n:path: /\n");
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 200, -1);
    write_zeros(&fixture, 1, 40000);
    text_clear(&fixture.log);
    h2_session_free(&fixture.session);
    fixture_expect(&fixture, "closed 1 8\nclosed 3 8\n");
    fixture_stop(&fixture);
}

static void the_client_may_give_up(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_start(&fixture, NULL);
    put_get(&fixture, 1);
    assert_int_equal(feed(&fixture), 0);
    answer(&fixture, 1, 200, -1);
    write_zeros(&fixture, 1, 40000);
    text_clear(&fixture.log);
    put_u32(&fixture, NGHTTP2_RST_STREAM, 1, NGHTTP2_CANCEL);
    assert_int_equal(feed(&fixture), 0);
    fixture_expect(&fixture, "closed 1 8\n");
    expect_sent(&fixture, "");
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered),
        cmocka_unit_test(known_names_are_in_lower_case),
        cmocka_unit_test(settings_are_announced),
        cmocka_unit_test(a_preface_is_told_from_http1),
        cmocka_unit_test(RFC9113_3_4_without_a_preface_the_connection_ends),
        cmocka_unit_test(every_cut_gives_the_same_events),
        cmocka_unit_test(answers_without_content),
        cmocka_unit_test(RFC9113_8_2_2_fields_of_a_connection_stay_behind),
        cmocka_unit_test(interim_answers_come_first),
        cmocka_unit_test(large_heads_are_continued),
        cmocka_unit_test(trailers_follow_the_content),
        cmocka_unit_test(what_is_not_whole_does_not_look_whole),
        cmocka_unit_test(RFC9113_8_1_an_early_answer_stops_the_request),
        cmocka_unit_test(trailers_of_a_stream_that_was_reset_are_let_pass),
        cmocka_unit_test(what_nobody_takes_can_be_given_up),
        cmocka_unit_test(RFC8441_5_a_websocket_is_a_tunnel),
        cmocka_unit_test(RFC8441_5_a_refused_websocket_is_an_answer),
        cmocka_unit_test(RFC8441_3_not_offered_not_taken),
        cmocka_unit_test(L10_the_urgent_goes_first),
        cmocka_unit_test(L10_incremental_ones_share),
        cmocka_unit_test(L10_updates_are_heeded_unless_the_site_decided),
        cmocka_unit_test(RFC9113_6_8_the_end_comes_in_two_steps),
        cmocka_unit_test(a_client_that_never_answers_the_ping_is_drained_by_a_second_call),
        cmocka_unit_test(freeing_closes_every_stream),
        cmocka_unit_test(the_client_may_give_up),
    };
    return cmocka_run_group_tests_name("h2_session", tests, NULL, NULL);
}
