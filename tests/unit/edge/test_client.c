/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection at the edge: what goes to which gateway, what comes back, and what becomes of it when something fails.
 */
#include "stage.h"

#include <sys/socket.h>
#include <unistd.h>

#define GET "GET /a?b HTTP/1.1\r\nHost: www.shop.example\r\n\r\n"

static const struct address visitor = {.bytes = {192, 0, 2, 7}, .port = 4711, .family = 4};

/* ---- the client */

static int connect_from(struct stage *stage, const struct address *peer)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    stage->worker->connections++;
    edge_client_start(stage->worker, &(struct edge_arrival){.fd = ends[0], .client = *peer}, NULL);
    return ends[1];
}

static void say(struct stage *stage, int client, const char *text)
{
    assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn_some(stage->worker->loop);
}

static int ask(struct stage *stage, const char *request)
{
    int client = connect_from(stage, &visitor);
    say(stage, client, request);
    return client;
}

/* Everything that has come, as text. */
static const char *heard(int client)
{
    static char got[1 << 17];
    size_t length = 0;
    for (ssize_t more; (more = recv(client, got + length, sizeof got - 1 - length, 0)) > 0;)
        length += (size_t)more;
    got[length] = 0;
    return got;
}

static bool is_over(int client)
{
    return recv(client, &(char){0}, 1, MSG_PEEK) == 0;
}

static void expect_status(int client, unsigned status, const char *cause)
{
    char line[32];
    const char *answer = heard(client);
    snprintf(line, sizeof line, "HTTP/1.1 %u ", status);
    if (strncmp(answer, line, strlen(line)) != 0 || (cause && !strstr(answer, cause)))
        fail_msg("expected %u \"%s\" instead of:\n%s", status, cause ? cause : "", answer);
}

/* ---- the gateway */

struct received {
    struct arena arena;
    struct http_opening opening;
    struct http_head head;
    struct text body;
    bool has_head, is_whole;
};

static void receive(struct link_stream *stream, struct received *received)
{
    struct slice_queue bytes = {0};
    struct http_form_reader reader;
    struct slice data;
    *received = (struct received){0};
    slice_queue_append(&bytes, text_span(&stream->written));
    http_form_reader_start_request(&reader, &http_limits_default, &received->opening,
                                   &received->head, &received->arena);
    for (;;) {
        enum http_event event = http_form_reader_next(&reader, &bytes, &data);
        if (event == HTTP_EVENT_HEAD) {
            received->has_head = true;
        } else if (event == HTTP_EVENT_DATA) {
            text_add_span(&received->body, span_of(slice_data(&data), data.length));
            slice_release(&data);
        } else if (event != HTTP_EVENT_TRAILERS) {
            assert_int_not_equal(event, HTTP_EVENT_ERROR);
            received->is_whole = event == HTTP_EVENT_END;
            break;
        }
    }
    slice_queue_clear(&bytes);
}

static void received_clear(struct received *received)
{
    arena_clear(&received->arena);
    text_clear(&received->body);
}

static void deliver(struct stage *stage, struct link_stream *stream, struct slice_queue *form,
                    bool is_end)
{
    struct text bytes = {0};
    while (form->count) {
        struct slice slice = slice_queue_pop(form, UINT32_MAX);
        text_add_span(&bytes, span_of(slice_data(&slice), slice.length));
        slice_release(&slice);
    }
    slice_queue_clear(form);
    fake_deliver(stream, text_span(&bytes), is_end);
    text_clear(&bytes);
    turn_some(stage->worker->loop);
}

struct reply {
    uint16_t status;
    enum http_body body;
    const char *content;
    uint64_t length; /* promised; 0: that of the content */
    bool is_cut;     /* the stream ends without END */
    bool is_unended; /* and does not end either */
};

static void reply(struct stage *stage, struct link_stream *stream, const struct reply *how)
{
    struct arena arena = {0};
    struct slice_queue form = {0};
    struct http_head head;
    size_t length = how->content ? strlen(how->content) : 0;
    http_head_init(&head, &arena);
    head.status = how->status;
    head.minor = 1;
    head.body = how->body;
    if (how->body == HTTP_BODY_LENGTH) {
        head.has_length = true;
        head.content_length = how->length ? how->length : length;
    }
    assert_int_equal(http_form_write_response(&form, &head), 0);
    if (length)
        http_form_write_data(&form, slice_copy(span_text(how->content)));
    if (!how->is_cut && !how->is_unended && how->status >= 200)
        http_form_write_end(&form);
    arena_clear(&arena);
    deliver(stage, stream, &form, !how->is_unended && how->status >= 200);
}

static const struct reply hello = {.status = 200, .body = HTTP_BODY_LENGTH, .content = "hello"};

/* ---- up */

static void a_request_opens_a_stream_to_the_nearest_gateway(void **state)
{
    struct stage stage;
    struct received got;
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, "GET /a?b HTTP/1.1\r\nHost: WWW.shop.example:80\r\nX-Own: 1\r\n"
                             "Connection: X-Hop\r\nX-Hop: 2\r\n\r\n");
    assert_int_equal(fake_stream_count(), 1);
    struct link_stream *stream = fake_stream(0);
    assert_ptr_equal(stream->link, &stage.links.links[STAGE_NEAR]);
    assert_int_equal(stream->open.flags, TRANSPORT_OPEN_HTTP);
    assert_int_equal(stream->open.ring, 1); /* the site's */
    assert_true(stream->is_finished);
    receive(stream, &got);
    assert_true(got.is_whole);
    assert_true(span_equal(got.opening.site, SPAN("shop")));
    assert_int_equal(got.opening.request_id.length, 32);
    for (size_t i = 0; i < 32; i++)
        assert_non_null(memchr("0123456789abcdef", got.opening.request_id.data[i], 16));
    assert_int_equal(got.opening.priority, 1);
    assert_true(address_equal(&got.opening.client, &visitor));
    assert_int_equal(got.head.method, HTTP_METHOD_GET);
    assert_true(span_equal(got.head.target, SPAN("/a?b")));
    assert_true(span_equal(got.head.host, SPAN("www.shop.example")));
    assert_non_null(http_fields_find_text(&got.head.fields, SPAN("x-own")));
    assert_null(http_fields_find_text(&got.head.fields, SPAN("x-hop")));
    received_clear(&got);
    close(client);
    stage_stop(&stage);
}

static void L10_a_client_may_want_its_answer_later_but_not_sooner(void **state)
{
    static const struct {
        const char *priority;
        uint8_t ring; /* the site's is 1 */
    } rows[] = {{"u=0", 1}, {"u=3, i", 1}, {"u=5", 2}, {"u=7", 3}, {"u=9", 1}};
    struct stage stage;
    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char request[128];
        snprintf(request, sizeof request,
                 "GET / HTTP/1.1\r\nHost: www.shop.example\r\nPriority: %s\r\n\r\n",
                 rows[i].priority);
        int client = ask(&stage, request);
        assert_int_equal(fake_stream(i)->open.ring, rows[i].ring);
        close(client);
    }
    stage_stop(&stage);
}

static void a_body_follows_its_head_in_pieces(void **state)
{
    struct stage stage;
    struct received got;
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, "POST /up HTTP/1.1\r\nHost: www.shop.example\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    receive(fake_stream(0), &got);
    assert_string_equal(got.body.data, "hello");
    assert_false(got.is_whole || fake_stream(0)->is_finished);
    received_clear(&got);
    say(&stage, client, "7\r\n there!\r\n0\r\n\r\n");
    receive(fake_stream(0), &got);
    assert_string_equal(got.body.data, "hello there!");
    assert_true(got.is_whole && fake_stream(0)->is_finished);
    received_clear(&got);
    close(client);
    stage_stop(&stage);
}

static void forwarded_fields_count_from_trusted_proxies_only(void **state)
{
    static const struct address proxy = {.bytes = {203, 0, 113, 9}, .port = 1, .family = 4};
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: www.shop.example\r\nForwarded: for=198.51.100.1\r\n"
        "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\nX-Real-IP: "
        "198.51.100.1\r\n\r\n";
    (void)state;
    for (int is_proxy = 0; is_proxy < 2; is_proxy++) {
        struct stage stage;
        struct received got;
        stage_start(&stage);
        int client = connect_from(&stage, is_proxy ? &proxy : &visitor);
        say(&stage, client, request);
        receive(fake_stream(0), &got);
        assert_int_equal(http_fields_has(&got.head.fields, HTTP_NAME_FORWARDED), is_proxy);
        assert_int_equal(http_fields_has(&got.head.fields, HTTP_NAME_X_FORWARDED_FOR), is_proxy);
        assert_int_equal(http_fields_has(&got.head.fields, HTTP_NAME_X_FORWARDED_PROTO), is_proxy);
        assert_int_equal(http_fields_find_text(&got.head.fields, SPAN("x-real-ip")) != NULL,
                         is_proxy);
        received_clear(&got);
        close(client);
        stage_stop(&stage);
    }
}

static void a_mapped_address_is_the_ipv4_one(void **state)
{
    static const struct address mapped = {.bytes = {[10] = 0xff, 0xff, 192, 0, 2, 7},
                                          .port = 4711,
                                          .family = 6};
    struct stage stage;
    struct received got;
    (void)state;
    stage_start(&stage);
    int client = connect_from(&stage, &mapped);
    say(&stage, client, GET);
    receive(fake_stream(0), &got);
    assert_true(address_equal(&got.opening.client, &visitor));
    received_clear(&got);
    close(client);
    stage_stop(&stage);
}

static void requests_that_no_gateway_gets(void **state)
{
    static const struct {
        const char *request;
        unsigned status;
        const char *cause;
        bool is_closed;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n", 404, "no site has this host name",
         false},
        {"GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 404, "no site has this host name",
         false},
        {"GET / HTTP/1.0\r\n\r\n", 404, "Host is missing", true},
        {"TRACE / HTTP/1.1\r\nHost: www.shop.example\r\n\r\n", 405, "TRACE", false},
        {"GET / HTTP/1.1\r\n\r\n", 400, NULL, true},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, NULL, true},
        {"POST / HTTP/1.1\r\nHost: nobody.example\r\nContent-Length: 5\r\n\r\n", 404, NULL, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        stage_start(&stage);
        int client = ask(&stage, rows[i].request);
        expect_status(client, rows[i].status, rows[i].cause);
        assert_int_equal(fake_stream_count(), 0);
        assert_int_equal(is_over(client), rows[i].is_closed);
        close(client);
        stage_stop(&stage);
    }
}

/* ---- down */

static void R2_other_hosts_are_sent_to_the_redirectors_name(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    static const struct {
        const char *request, *status, *location;
    } rows[] = {
        {"GET /a?b=//c HTTP/1.1\r\nHost: MOVED.example\r\n\r\n", "HTTP/1.1 302 Found\r\n",
         "\r\nLocation: http://redir.moved.example/a?b=//c\r\n"},
        {"POST /a HTTP/1.1\r\nHost: moved.example\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 307 ",
         "\r\nLocation: http://redir.moved.example/a\r\n"},
        {"OPTIONS * HTTP/1.1\r\nHost: moved.example\r\n\r\n", "HTTP/1.1 307 ",
         "\r\nLocation: http://redir.moved.example/\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int client = ask(&stage, rows[i].request);
        const char *answer = heard(client);
        assert_int_equal(strncmp(answer, rows[i].status, strlen(rows[i].status)), 0);
        assert_non_null(strstr(answer, rows[i].location));
        close(client);
    }
    assert_int_equal(fake_stream_count(), 0);
    close(ask(&stage, "GET / HTTP/1.1\r\nHost: redir.moved.example\r\n\r\n"));
    assert_int_equal(fake_stream_count(), 1); /* that one is served */
    stage_stop(&stage);
}

static void an_answer_comes_back_and_the_connection_is_kept(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, GET);
    for (size_t i = 0; i < 3; i++) {
        reply(&stage, fake_stream(i), &hello);
        const char *answer = heard(client);
        assert_memory_equal(answer, "HTTP/1.1 200 OK\r\n", 17);
        assert_non_null(strstr(answer, "\r\nVia: 1.1 edge\r\n"));
        assert_non_null(strstr(answer, "\r\nX-Request-ID: "));
        assert_non_null(strstr(answer, "\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\n"));
        assert_non_null(strstr(answer, "\r\nContent-Length: 5\r\n"));
        assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\nhello");
        assert_true(fake_stream(i)->is_released);
        assert_false(fake_stream(i)->was_reset);
        if (i < 2)
            say(&stage, client, GET);
    }
    assert_false(is_over(client));
    close(client);
    stage_stop(&stage);
}

static void pipelined_requests_are_answered_in_turn(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, GET GET);
    assert_int_equal(fake_stream_count(), 1); /* the second one waits */
    reply(&stage, fake_stream(0), &hello);
    assert_int_equal(fake_stream_count(), 2);
    reply(&stage, fake_stream(1), &hello);
    const char *first = strstr(heard(client), "hello");
    assert_non_null(strstr(first + 5, "hello"));
    close(client);
    stage_stop(&stage);
}

static void an_answer_of_unknown_length_is_chunked_or_ends_with_the_connection(void **state)
{
    static const struct reply open_ended = {.status = 200,
                                            .body = HTTP_BODY_CHUNKED,
                                            .content = "hello"};
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, GET);
    reply(&stage, fake_stream(0), &open_ended);
    assert_string_equal(strstr(heard(client), "\r\n\r\n"), "\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_false(is_over(client));
    close(client);
    client = ask(&stage, "GET / HTTP/1.0\r\nHost: www.shop.example\r\n\r\n");
    reply(&stage, fake_stream(1), &open_ended);
    assert_string_equal(strstr(heard(client), "\r\n\r\n"), "\r\n\r\nhello");
    assert_true(is_over(client));
    close(client);
    stage_stop(&stage);
}

static void interim_answers_are_for_clients_that_know_them(void **state)
{
    static const struct reply early_hints = {.status = 103};
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int modern = ask(&stage, GET);
    int old = ask(&stage, "GET / HTTP/1.0\r\nHost: www.shop.example\r\n\r\n");
    reply(&stage, fake_stream(0), &early_hints);
    reply(&stage, fake_stream(1), &early_hints);
    assert_memory_equal(heard(modern), "HTTP/1.1 103 ", 13);
    assert_string_equal(heard(old), "");
    reply(&stage, fake_stream(0), &hello);
    reply(&stage, fake_stream(1), &hello);
    expect_status(modern, 200, "hello");
    expect_status(old, 200, "hello");
    close(modern);
    close(old);
    stage_stop(&stage);
}

static void a_page_for_head_has_no_body(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, "HEAD / HTTP/1.1\r\nHost: nobody.example\r\n\r\n");
    const char *page = heard(client);
    assert_memory_equal(page, "HTTP/1.1 404 ", 13);
    assert_string_equal(strstr(page, "\r\n\r\n"), "\r\n\r\n");
    assert_non_null(strstr(page, "\r\nContent-Length: "));
    close(client);
    stage_stop(&stage);
}

static void a_client_that_does_not_read_stops_its_stream(void **state)
{
    enum { BYTES = 8 << 20 };
    struct stage stage;
    struct slice_queue form = {0};
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, GET);
    struct link_stream *stream = fake_stream(0);
    reply(&stage, stream,
          &(struct reply){
              .status = 200, .body = HTTP_BODY_LENGTH, .length = BYTES, .is_unended = true});
    uint8_t *block = memory_new(65536);
    for (size_t sent = 0; sent < BYTES; sent += 65536)
        http_form_write_data(&form, slice_copy(span_of(block, 65536)));
    memory_free(block);
    http_form_write_end(&form);
    uint64_t consumed = stream->consumed;
    deliver(&stage, stream, &form, true);
    assert_true(stream->inbound.bytes > BYTES / 2);
    assert_true(stream->consumed - consumed < BYTES / 2);
    uint64_t got = 0;
    while (got < BYTES) {
        size_t length = 0;
        static char piece[1 << 16];
        for (ssize_t more; (more = recv(client, piece, sizeof piece, 0)) > 0;)
            length += (size_t)more;
        if (!length && stream->is_released)
            break;
        got += length;
        turn_some(stage.worker->loop);
    }
    assert_in_range(got, BYTES, BYTES + 1000); /* with its head */
    assert_true(stream->is_released);
    assert_false(stream->was_reset);
    close(client);
    stage_stop(&stage);
}

/* ---- when a gateway fails */

static void pages_by_the_code_of_the_gateway(void **state)
{
    static const struct {
        uint32_t code;
        unsigned status;
        const char *cause;
    } rows[] = {
        {TRANSPORT_CODE_REFUSED, 502, "does not serve this site"},
        {TRANSPORT_CODE_UNREACHABLE, 502, "cannot be reached"},
        {TRANSPORT_CODE_TIMEOUT, 504, "did not answer in time"},
        {TRANSPORT_CODE_PROTOCOL, 502, "malformed answer"},
        {TRANSPORT_CODE_LIMIT, 503, "busy"},
        {TRANSPORT_CODE_LATER + 7, 503, "\r\nRetry-After: 7\r\n"},
        {TRANSPORT_CODE_LINK_LOST, 502, "was lost"},
        {TRANSPORT_CODE_SHUTDOWN, 502, "shuts down"},
        {TRANSPORT_CODE_INTERNAL, 502, "gave the request up"},
        {4711, 502, "gave the request up"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        stage_start(&stage);
        int client = ask(&stage, "GET / HTTP/1.1\r\nHost: single.example\r\n\r\n");
        fake_reset(fake_stream(0), rows[i].code);
        turn_some(stage.worker->loop);
        expect_status(client, rows[i].status, rows[i].cause);
        assert_false(is_over(client)); /* nothing is wrong with it */
        assert_int_equal(fake_stream_count(), 1);
        close(client);
        stage_stop(&stage);
    }
}

#define POST_NOTHING "POST / HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: 0\r\n\r\n"
#define POST_WAITING                                                             \
    "POST / HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: 5\r\nExpect: " \
    "100-continue\r\n\r\n"
#define POST_BODY   "POST / HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: 5\r\n\r\nhello"
#define PUT_NOTHING "PUT / HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: 0\r\n\r\n"

static void L3_which_requests_another_gateway_gets(void **state)
{
    static const struct {
        const char *request;
        uint32_t code;
        bool is_repeated;
    } rows[] = {
        {GET, TRANSPORT_CODE_UNREACHABLE, true},
        {GET, TRANSPORT_CODE_REFUSED, true},
        {GET, TRANSPORT_CODE_LINK_LOST, true},
        {GET, TRANSPORT_CODE_SHUTDOWN, true},
        {GET, TRANSPORT_CODE_TIMEOUT, false}, /* an origin may be at work on it */
        {GET, TRANSPORT_CODE_PROTOCOL, false},
        {GET, TRANSPORT_CODE_LIMIT, false}, /* the same origins would be as busy */
        {GET, TRANSPORT_CODE_INTERNAL, false},
        {PUT_NOTHING, TRANSPORT_CODE_LINK_LOST, true},
        {POST_NOTHING, TRANSPORT_CODE_UNREACHABLE, true}, /* no origin has seen it */
        {POST_NOTHING, TRANSPORT_CODE_LINK_LOST, false},  /* one may have */
        {POST_WAITING, TRANSPORT_CODE_UNREACHABLE, true},
        {POST_BODY, TRANSPORT_CODE_UNREACHABLE, false}, /* its body is gone */
        {POST_BODY, TRANSPORT_CODE_LINK_LOST, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        struct received got;
        stage_start(&stage);
        uint64_t retries = metric_read(&edge_retries);
        int client = ask(&stage, rows[i].request);
        fake_reset(fake_stream(0), rows[i].code);
        turn_some(stage.worker->loop);
        if (fake_stream_count() != 1u + rows[i].is_repeated)
            fail_msg("row %zu: %zu streams", i, fake_stream_count());
        assert_int_equal(metric_read(&edge_retries) - retries, rows[i].is_repeated);
        if (rows[i].is_repeated) {
            assert_ptr_equal(fake_stream(1)->link, &stage.links.links[STAGE_FAR]);
            receive(fake_stream(1), &got);
            assert_true(got.has_head);
            assert_int_equal(got.is_whole, got.head.content_length == 0);
            received_clear(&got);
            reply(&stage, fake_stream(1), &hello);
            expect_status(client, 200, "hello");
        } else {
            assert_memory_equal(heard(client), "HTTP/1.1 50", 11);
        }
        close(client);
        stage_stop(&stage);
    }
}

static void L3_another_gateway_is_tried_once(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, GET);
    fake_reset(fake_stream(0), TRANSPORT_CODE_UNREACHABLE);
    fake_reset(fake_stream(1), TRANSPORT_CODE_UNREACHABLE);
    turn_some(stage.worker->loop);
    assert_int_equal(fake_stream_count(), 2);
    expect_status(client, 502, "cannot be reached");
    /* The next request of the connection may try again. */
    say(&stage, client, GET);
    fake_reset(fake_stream(2), TRANSPORT_CODE_UNREACHABLE);
    assert_int_equal(fake_stream_count(), 4);
    reply(&stage, fake_stream(3), &hello);
    expect_status(client, 200, "hello");
    close(client);
    stage_stop(&stage);
}

static void L3_a_link_that_opens_no_stream_is_passed_over(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    stage.links.links[STAGE_NEAR].refuses = true;
    int client = ask(&stage, GET);
    assert_int_equal(fake_stream_count(), 1);
    assert_ptr_equal(fake_stream(0)->link, &stage.links.links[STAGE_FAR]);
    close(client);
    stage_stop(&stage);
}

static void without_any_link_the_answer_is_503(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    uint64_t none = metric_read(&edge_no_gateway);
    for (size_t i = 0; i < stage.links.count; i++)
        stage.links.links[i].is_up = false;
    int client = ask(&stage, GET);
    expect_status(client, 503, "no gateway can be reached");
    assert_int_equal(metric_read(&edge_no_gateway) - none, 1);
    assert_false(is_over(client));
    close(client);
    stage_stop(&stage);
}

/* What is not whole must not look whole: neither an end of a chunked body nor a kept connection. */
static void an_answer_that_breaks_off_cuts_the_client_off(void **state)
{
    static const struct {
        struct reply reply;
        uint32_t code; /* 0: the stream just ends */
    } rows[] = {
        {{.status = 200, .body = HTTP_BODY_CHUNKED, .content = "half", .is_cut = true}, 0},
        {{.status = 200, .body = HTTP_BODY_LENGTH, .content = "half", .length = 8, .is_cut = true},
         0},
        {{.status = 200, .body = HTTP_BODY_CHUNKED, .content = "half", .is_unended = true},
         TRANSPORT_CODE_UNREACHABLE},
        {{.status = 200, .body = HTTP_BODY_CHUNKED, .content = "half", .is_unended = true},
         TRANSPORT_CODE_LINK_LOST},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        stage_start(&stage);
        uint64_t aborted = metric_read(&edge_aborted);
        int client = ask(&stage, GET);
        reply(&stage, fake_stream(0), &rows[i].reply);
        if (rows[i].code)
            fake_reset(fake_stream(0), rows[i].code);
        const char *answer = heard(client);
        assert_null(strstr(answer, "\r\n0\r\n"));
        assert_int_equal(fake_stream_count(), 1); /* never repeated now */
        assert_int_equal(metric_read(&edge_aborted) - aborted, 1);
        assert_int_equal(stage.worker->connections, 0);
        close(client);
        stage_stop(&stage);
    }
}

static void an_answer_that_ends_before_its_head_is_502(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, GET);
    fake_deliver(fake_stream(0), SPAN(""), true);
    turn_some(stage.worker->loop);
    expect_status(client, 502, "malformed");
    close(client);
    stage_stop(&stage);
}

static void a_client_that_leaves_takes_its_stream_along(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int client =
        ask(&stage, "POST / HTTP/1.1\r\nHost: www.shop.example\r\nContent-Length: 9\r\n\r\nhalf");
    close(client);
    turn_some(stage.worker->loop);
    assert_int_equal(stage.worker->connections, 0);
    assert_true(fake_stream(0)->was_reset);
    assert_int_equal(fake_stream(0)->reset_code, TRANSPORT_CODE_CANCELLED);
    stage_stop(&stage);
}

/* ---- the end of the edge */

static void a_drain_ends_idle_connections_and_lets_others_finish(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage);
    int idle = connect_from(&stage, &visitor), busy = ask(&stage, GET);
    assert_false(edge_is_drained(stage.edge));
    edge_set_admin(stage.edge, EDGE_DRAIN);
    edge_clients_drain(stage.worker);
    assert_true(is_over(idle));
    reply(&stage, fake_stream(0), &hello);
    const char *answer = heard(busy);
    assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
    assert_non_null(strstr(answer, "hello"));
    close(idle);
    close(busy);
    turn_some(stage.worker->loop);
    assert_true(edge_is_drained(stage.edge));
    stage_stop(&stage);
}

/* An answer whose head said that the connection goes on ends after another process took over: the next request must not meet an end. */
static void L10_a_connection_that_was_promised_to_go_on_does(void **state)
{
    struct stage stage;
    static const struct reply half = {
        .status = 200, .body = HTTP_BODY_CHUNKED, .content = "half", .is_unended = true};
    (void)state;
    stage_start(&stage);
    int client = ask(&stage, GET);
    reply(&stage, fake_stream(0), &half);
    assert_null(strstr(heard(client), "close"));
    edge_set_admin(stage.edge, EDGE_DRAIN);
    struct slice_queue end = {0};
    http_form_write_end(&end);
    deliver(&stage, fake_stream(0), &end, true);
    assert_string_equal(heard(client), "0\r\n\r\n");
    say(&stage, client, GET);
    reply(&stage, fake_stream(1), &hello);
    assert_non_null(strstr(heard(client), "\r\nConnection: close\r\n"));
    close(client);
    stage_stop(&stage);
}

static void T10_a_port_connection_is_a_tagged_stream_and_counts_in_the_drain(void **state)
{
    struct stage stage;
    struct slice_queue record = {0};
    uint8_t buffer[LINK_SERVICE_BYTES];
    struct span site;
    int ends[2];
    (void)state;
    stage_start(&stage);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    stage.worker->connections++;
    edge_port_start(stage.worker, &(struct edge_arrival){.fd = ends[0], .client = visitor}, 0);
    assert_false(edge_is_drained(stage.edge));
    struct link_stream *stream = fake_stream(0);
    assert_int_equal(stream->open.port, 443);
    assert_int_equal(stream->open.flags, TRANSPORT_OPEN_SECURE);
    assert_true(address_equal(&stream->open.client, &visitor));
    slice_queue_append(&record, text_span(&stream->written));
    assert_int_equal(link_service_read(&record, buffer, &site), 0);
    assert_true(span_equal(site, SPAN("shop")));
    slice_queue_clear(&record);
    fake_reset(stream, TRANSPORT_CODE_UNREACHABLE);
    assert_true(edge_is_drained(stage.edge));
    assert_int_equal(stage.worker->connections, 0);
    close(ends[1]);
    stage_stop(&stage);
}

static void T10_a_port_without_a_link_is_closed(void **state)
{
    struct stage stage;
    int ends[2];
    (void)state;
    stage_start(&stage);
    for (size_t i = 0; i < stage.links.count; i++)
        stage.links.links[i].is_up = false;
    for (size_t port_index = 0; port_index < 2; port_index++) { /* the second: gone by a reload */
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        stage.worker->connections++;
        edge_port_start(stage.worker, &(struct edge_arrival){.fd = ends[0], .client = visitor},
                        port_index);
        assert_true(is_over(ends[1]));
        assert_true(edge_is_drained(stage.edge));
        close(ends[1]);
    }
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_opens_a_stream_to_the_nearest_gateway),
        cmocka_unit_test(L10_a_client_may_want_its_answer_later_but_not_sooner),
        cmocka_unit_test(a_body_follows_its_head_in_pieces),
        cmocka_unit_test(forwarded_fields_count_from_trusted_proxies_only),
        cmocka_unit_test(a_mapped_address_is_the_ipv4_one),
        cmocka_unit_test(requests_that_no_gateway_gets),
        cmocka_unit_test(R2_other_hosts_are_sent_to_the_redirectors_name),
        cmocka_unit_test(an_answer_comes_back_and_the_connection_is_kept),
        cmocka_unit_test(pipelined_requests_are_answered_in_turn),
        cmocka_unit_test(an_answer_of_unknown_length_is_chunked_or_ends_with_the_connection),
        cmocka_unit_test(interim_answers_are_for_clients_that_know_them),
        cmocka_unit_test(a_page_for_head_has_no_body),
        cmocka_unit_test(a_client_that_does_not_read_stops_its_stream),
        cmocka_unit_test(pages_by_the_code_of_the_gateway),
        cmocka_unit_test(L3_which_requests_another_gateway_gets),
        cmocka_unit_test(L3_another_gateway_is_tried_once),
        cmocka_unit_test(L3_a_link_that_opens_no_stream_is_passed_over),
        cmocka_unit_test(without_any_link_the_answer_is_503),
        cmocka_unit_test(an_answer_that_breaks_off_cuts_the_client_off),
        cmocka_unit_test(an_answer_that_ends_before_its_head_is_502),
        cmocka_unit_test(a_client_that_leaves_takes_its_stream_along),
        cmocka_unit_test(a_drain_ends_idle_connections_and_lets_others_finish),
        cmocka_unit_test(L10_a_connection_that_was_promised_to_go_on_does),
        cmocka_unit_test(T10_a_port_connection_is_a_tagged_stream_and_counts_in_the_drain),
        cmocka_unit_test(T10_a_port_without_a_link_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
