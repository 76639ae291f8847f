/* SPDX-License-Identifier: Apache-2.0
 *
 * A request at the gateway: whose it must be, what its origin gets, and what is tried again when an origin fails (L1, L3).
 */
#include "visit.h"

#define LOCAL ", allow_local: true"

static void a_request_goes_to_an_origin_and_its_connection_is_kept(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
    visit(&stage, &origin);
    const char *request = read_request(&origin, "\r\n\r\n");
    assert_memory_equal(request, "GET /a HTTP/1.1\r\nHost: www.shop.example\r\n", 41);
    assert_non_null(strstr(request, "\r\nVia: 1.1 gate\r\n"));
    assert_non_null(strstr(request, "\r\nX-Forwarded-For: 192.0.2.7\r\n"));
    assert_int_equal(pending_requests(&stage), 1);
    answer(&origin, OK);
    expect_answer(&stage, stream, 200, "hello");
    assert_int_equal(pending_requests(&stage), 0);
    assert_int_equal(idle_connections(&stage), 1);
    close(origin.fd);
    stage_stop(&stage);
}

static void an_edge_that_hears_them_is_told_the_times(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, ", balance: { policy: first }", LOCAL);
    for (int i = 0; i < 3; i++) {
        stage.edge.hears_times = i < 2;
        struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
        if (i == 0)
            visit(&stage, &origin);
        read_request(&origin, "\r\n\r\n");
        answer(&origin, OK);
        expect_answer(&stage, stream, 200, "hello");
        assert_int_equal(told.known, i < 2 ? HTTP_TIME_COUNT : 0);
        if (i < 2)
            assert_true(told.us[HTTP_TIME_WHOLE] >=
                        told.us[HTTP_TIME_CONNECT] + told.us[HTTP_TIME_FIRST_BYTE]);
        if (i == 1) /* on the kept connection */
            assert_int_equal(told.us[HTTP_TIME_CONNECT], 0);
    }
    close(origin.fd);
    stage_stop(&stage);
}

static void a_site_may_name_the_host_that_its_origin_gets(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, ", origin_host: inner.example", LOCAL);
    ask(&stage, &stage.edge, &(struct request){0});
    visit(&stage, &origin);
    const char *request = read_request(&origin, "\r\n\r\n");
    assert_non_null(strstr(request, "\r\nHost: inner.example\r\n"));
    assert_non_null(strstr(request, "\r\nX-Forwarded-Host: www.shop.example\r\n"));
    close(origin.fd);
    stage_stop(&stage);
}

static void only_what_the_allow_list_names_reaches_an_origin(void **state)
{
    struct stage stage;
    struct visit origin = {.fd = -1};
    (void)state;
    stage_start(&stage, "", LOCAL);
    const struct {
        struct link *from;
        const char *site;
    } rows[] = {{&stage.edge, "private"}, {&stage.edge, "nothing"}, {&stage.stranger, "shop"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t refused = metric_read(&gateway_refused);
        struct link_stream *stream =
            ask(&stage, rows[i].from, &(struct request){.site = rows[i].site});
        expect_reset(&stage, stream, TRANSPORT_CODE_REFUSED);
        assert_int_equal(metric_read(&gateway_refused) - refused, 1);
    }
    origin.stage = &stage;
    turn_some(stage.worker->loop);
    assert_false(has_come(&origin));
    stage_stop(&stage);
}

static void a_message_without_a_whole_head_is_refused(void **state)
{
    struct stage stage;
    struct slice_queue form = {0};
    struct text content_first = {0};
    (void)state;
    stage_start(&stage, "", LOCAL);
    http_form_write_data(&form, slice_copy(SPAN("content")));
    append_text(&form, &content_first);
    const struct {
        struct span bytes;
        bool is_end;
    } rows[] = {{text_span(&content_first), false}, {SPAN(""), true}, {SPAN("\x01"), true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t bad = metric_read(&gateway_bad_requests);
        struct link_stream *stream = fake_stream_new(&stage.edge);
        gateway_request_accept(stage.worker, &stage.edge, stream);
        fake_deliver(stream, rows[i].bytes, rows[i].is_end);
        assert_true(stream->is_released); /* at once */
        assert_int_equal(stream->reset_code, TRANSPORT_CODE_PROTOCOL);
        assert_int_equal(metric_read(&gateway_bad_requests) - bad, 1);
    }
    text_clear(&content_first);
    stage_stop(&stage);
}

static void a_head_that_does_not_come_is_not_waited_for(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    stage.worker->head_timeout_ns = 10000000;
    struct link_stream *stream = fake_stream_new(&stage.edge);
    gateway_request_accept(stage.worker, &stage.edge, stream);
    expect_reset(&stage, stream, TRANSPORT_CODE_TIMEOUT);
    stage_stop(&stage);
}

static void L3_an_origin_that_refuses_is_passed_over_for_any_method(void **state)
{
    static const struct request rows[] = {{0}, {.method = HTTP_METHOD_POST, .body = "body"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int dead = 0; dead < STAGE_ORIGINS; dead++) {
            struct stage stage;
            struct visit origin;
            stage_start(&stage, "", LOCAL);
            stage_kill_origin(&stage, dead);
            for (int turn = 0; turn < 4; turn++) { /* whichever of them comes first */
                struct link_stream *stream = ask(&stage, &stage.edge, &rows[i]);
                if (turn == 0)
                    visit(&stage, &origin);
                read_request(&origin, rows[i].body ? "\r\n4\r\nbody\r\n0\r\n\r\n" : "\r\n\r\n");
                assert_int_equal(origin.origin, 1 - dead);
                answer(&origin, OK);
                expect_answer(&stage, stream, 200, "hello");
            }
            close(origin.fd);
            stage_stop(&stage);
        }
}

static void L3_without_any_origin_it_is_unreachable(void **state)
{
    struct stage stage;
    (void)state;
    stage_start(&stage, "", LOCAL);
    stage_kill_origin(&stage, 0);
    stage_kill_origin(&stage, 1);
    uint64_t failures = metric_read(&gateway_connect_failures);
    struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
    expect_reset(&stage, stream, TRANSPORT_CODE_UNREACHABLE);
    assert_in_range(metric_read(&gateway_connect_failures) - failures, 2, 4);
    assert_int_equal(pending_requests(&stage), 0);
    stage_stop(&stage);
}

static void L3_a_request_waits_until_an_origin_has_a_slot(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    struct gateway_ticket *first = stage_take_slot(&stage), *second = stage_take_slot(&stage);
    struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
    turn_some(stage.worker->loop);
    assert_int_equal(pending_requests(&stage), 0);
    assert_false(stream->was_reset);
    gateway_ticket_end(&second, NULL);
    visit(&stage, &origin);
    read_request(&origin, "\r\n\r\n");
    answer(&origin, OK);
    expect_answer(&stage, stream, 200, "hello");
    gateway_ticket_end(&first, NULL);
    close(origin.fd);
    stage_stop(&stage);
}

static void L10_a_request_that_waits_follows_the_ring_of_its_stream(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    struct gateway_ticket *first = stage_take_slot(&stage), *second = stage_take_slot(&stage);
    struct link_stream *early = ask(&stage, &stage.edge, &(struct request){.target = "/early"});
    struct link_stream *late = ask(&stage, &stage.edge, &(struct request){.target = "/late"});
    turn_some(stage.worker->loop);
    fake_set_ring(early, 4);
    turn_some(stage.worker->loop);
    gateway_ticket_end(&second, NULL);
    visit(&stage, &origin);
    assert_non_null(strstr(read_request(&origin, "\r\n\r\n"), "/late"));
    answer(&origin, OK);
    expect_answer(&stage, late, 200, "hello");
    assert_non_null(strstr(read_request(&origin, "\r\n\r\n"), "/early"));
    answer(&origin, OK);
    expect_answer(&stage, early, 200, "hello");
    gateway_ticket_end(&first, NULL);
    close(origin.fd);
    stage_stop(&stage);
}

static void L3_a_request_that_waited_long_enough_is_told_when_to_come_again(void **state)
{
    (void)state;
    for (int hears = 0; hears < 2; hears++) {
        struct stage stage;
        stage_start(&stage, ", limits: { connections: 1, kept: 1 }, queue: { patience: 10ms }",
                    LOCAL);
        stage.edge.hears_later = hears;
        struct gateway_ticket *first = stage_take_slot(&stage), *second = stage_take_slot(&stage);
        struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
        assert_true(turn_until(stage.worker->loop, is_over, stream));
        if (hears)
            assert_int_not_equal(transport_code_seconds(stream->reset_code), 0);
        else
            assert_int_equal(stream->reset_code, TRANSPORT_CODE_LIMIT);
        gateway_ticket_end(&first, NULL);
        gateway_ticket_end(&second, NULL);
        stage_stop(&stage);
    }
}

static void L3_a_request_whose_edge_leaves_leaves_the_queue(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, ", limits: { connections: 1, kept: 1 }", LOCAL);
    struct gateway_ticket *first = stage_take_slot(&stage), *second = stage_take_slot(&stage);
    uint64_t before = metric_read(&gateway_cancelled);
    struct link_stream *gone = ask(&stage, &stage.edge, &(struct request){0});
    struct link_stream *stays = ask(&stage, &stage.edge, &(struct request){0});
    turn_some(stage.worker->loop);
    fake_reset(gone, TRANSPORT_CODE_CANCELLED);
    assert_true(gone->is_released);
    assert_int_equal(metric_read(&gateway_cancelled) - before, 1);
    gateway_ticket_end(&first, NULL);
    visit(&stage, &origin);
    read_request(&origin, "\r\n\r\n");
    answer(&origin, OK);
    expect_answer(&stage, stays, 200, "hello");
    gateway_ticket_end(&second, NULL);
    close(origin.fd);
    stage_stop(&stage);
}

/* An origin answered once; its connection is kept on this side, and dies as the next request comes. */
static struct link_stream *ask_on_a_connection_that_dies(struct stage *stage, struct visit *origin,
                                                         const struct request *how)
{
    struct link_stream *stream = ask(stage, &stage->edge, &(struct request){0});
    visit(stage, origin);
    read_request(origin, "\r\n\r\n");
    answer(origin, OK);
    expect_answer(stage, stream, 200, "hello");
    assert_int_equal(idle_connections(stage), 1);
    /* The least pending: only the origin with the kept connection. */
    struct gateway_ticket *first = stage_take_slot(stage), *second = stage_take_slot(stage);
    struct gateway_ticket **at_origin =
        address_equal(&gateway_ticket_answer(first)->address, &stage->origins[origin->origin])
            ? &first
            : &second;
    gateway_ticket_end(at_origin, NULL);
    turn_some(stage->worker->loop);
    struct link_stream *again = ask(stage, &stage->edge, how);
    turn_some(stage->worker->loop); /* it is written, */
    socket_set_reset_on_close(origin->fd);
    close(origin->fd); /* and the loop turns and sees it */
    gateway_ticket_end(&first, NULL);
    gateway_ticket_end(&second, NULL);
    return again;
}

static void L3_a_dead_kept_connection_costs_an_idempotent_request_nothing(void **state)
{
    static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_PUT,
                                               HTTP_METHOD_DELETE, HTTP_METHOD_OPTIONS};
    (void)state;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        struct stage stage;
        struct visit origin;
        stage_start(&stage, "", LOCAL);
        uint64_t retries = metric_read(&gateway_retries);
        struct link_stream *stream =
            ask_on_a_connection_that_dies(&stage, &origin, &(struct request){.method = methods[i]});
        visit(&stage, &origin); /* a fresh one */
        read_request(&origin, "\r\n\r\n");
        answer(&origin, methods[i] == HTTP_METHOD_HEAD ? "HTTP/1.1 204 No Content\r\n\r\n" : OK);
        if (methods[i] != HTTP_METHOD_HEAD)
            expect_answer(&stage, stream, 200, "hello");
        else
            expect_answer(&stage, stream, 204, "");
        assert_int_equal(metric_read(&gateway_retries) - retries, 1);
        close(origin.fd);
        stage_stop(&stage);
    }
}

static void L3_what_may_have_been_done_is_not_done_again(void **state)
{
    static const struct request rows[] = {
        {.method = HTTP_METHOD_POST},
        {.method = HTTP_METHOD_PATCH},
        {.method = HTTP_METHOD_PUT, .body = "its body is gone"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        struct visit origin;
        stage_start(&stage, "", LOCAL);
        uint64_t retries = metric_read(&gateway_retries);
        struct link_stream *stream = ask_on_a_connection_that_dies(&stage, &origin, &rows[i]);
        expect_reset(&stage, stream, TRANSPORT_CODE_PROTOCOL);
        assert_int_equal(metric_read(&gateway_retries) - retries, 0);
        stage_stop(&stage);
    }
}

/* What has begun to come is not asked for again. */
static void L3_an_answer_that_ends_early_is_a_bad_one(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 200",
                                          "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
                                          "\x01\x02\r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct stage stage;
        struct visit origin;
        stage_start(&stage, "", LOCAL);
        uint64_t bad = gateway_faults_read(), retries = metric_read(&gateway_retries);
        struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
        visit(&stage, &origin);
        read_request(&origin, "\r\n\r\n");
        answer(&origin, answers[i]);
        close(origin.fd);
        expect_reset(&stage, stream, TRANSPORT_CODE_PROTOCOL);
        assert_int_equal(gateway_faults_read() - bad, 1);
        assert_int_equal(metric_read(&gateway_retries) - retries, 0);
        stage_stop(&stage);
    }
}

/* It may have begun the request: only one that may be repeated goes elsewhere. */
static void an_origin_that_dies_without_an_answer_is_left_for_another(void **state)
{
    static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_POST};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct stage stage;
        struct visit origin, other;
        stage_start(&stage, "", LOCAL);
        uint64_t bad = gateway_faults_read(), retries = metric_read(&gateway_retries);
        struct link_stream *stream =
            ask(&stage, &stage.edge, &(struct request){.method = methods[i]});
        visit(&stage, &origin);
        read_request(&origin, "\r\n\r\n");
        close(origin.fd);
        if (i == 0) {
            visit(&stage, &other);
            assert_int_equal(other.origin, 1 - origin.origin);
            read_request(&other, "\r\n\r\n");
            answer(&other, OK);
            expect_answer(&stage, stream, 200, "hello");
            close(other.fd);
        } else {
            expect_reset(&stage, stream, TRANSPORT_CODE_PROTOCOL);
        }
        assert_int_equal(gateway_faults_read() - bad, i);
        assert_int_equal(metric_read(&gateway_retries) - retries, 1 - i);
        stage_stop(&stage);
    }
}

static void L3_retries_end(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, ", retries: 0", LOCAL);
    struct link_stream *stream =
        ask_on_a_connection_that_dies(&stage, &origin, &(struct request){0});
    expect_reset(&stage, stream, TRANSPORT_CODE_PROTOCOL);
    stage_stop(&stage);
}

static void an_origin_that_is_silent_too_long_is_a_timeout(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, ", timeouts: { read: 100ms }", LOCAL);
    uint64_t timeouts = metric_read(&gateway_timeouts);
    struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
    visit(&stage, &origin);
    read_request(&origin, "\r\n\r\n");
    expect_reset(&stage, stream, TRANSPORT_CODE_TIMEOUT);
    assert_int_equal(metric_read(&gateway_timeouts) - timeouts, 1);
    close(origin.fd);
    stage_stop(&stage);
}

static void what_keeps_a_connection_and_what_ends_it(void **state)
{
    static const struct {
        const char *answer;
        bool is_kept;
    } rows[] = {
        {OK, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", false},
        {OK "HTTP/1.1 200 OK\r\n", false}, /* more than was asked for */
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct stage stage;
        struct visit origin;
        stage_start(&stage, "", LOCAL);
        struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
        visit(&stage, &origin);
        read_request(&origin, "\r\n\r\n");
        answer(&origin, rows[i].answer);
        expect_answer(&stage, stream, 200, "hello");
        assert_int_equal(idle_connections(&stage), rows[i].is_kept);
        close(origin.fd);
        stage_stop(&stage);
    }
}

static void an_answer_without_a_length_ends_with_its_connection(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
    visit(&stage, &origin);
    read_request(&origin, "\r\n\r\n");
    answer(&origin, "HTTP/1.1 200 OK\r\n\r\nhello");
    turn_some(stage.worker->loop);
    assert_false(stream->is_released);
    close(origin.fd);
    expect_answer(&stage, stream, 200, "hello");
    stage_stop(&stage);
}

static void an_edge_that_gives_up_frees_the_origin(void **state)
{
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
    visit(&stage, &origin);
    read_request(&origin, "\r\n\r\n");
    fake_reset(stream, TRANSPORT_CODE_CANCELLED);
    assert_true(stream->is_released);
    assert_int_equal(pending_requests(&stage), 0);
    assert_int_equal(idle_connections(&stage),
                     0); /* its answer is on the way: of no use to others */
    close(origin.fd);
    stage_stop(&stage);
}

static void a_stream_without_room_stops_the_origin(void **state)
{
    enum { BYTES = 8 << 20 };
    struct stage stage;
    struct visit origin;
    (void)state;
    stage_start(&stage, "", LOCAL);
    struct link_stream *stream = ask(&stage, &stage.edge, &(struct request){0});
    fake_set_room(stream, 100000);
    visit(&stage, &origin);
    read_request(&origin, "\r\n\r\n");
    answer(&origin, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
    uint8_t *block = memory_new(65536);
    size_t sent = 0;
    for (int idle = 0; idle < 20 && sent < BYTES;) {
        ssize_t more = send(origin.fd, block, 65536, MSG_DONTWAIT);
        sent += more > 0 ? (size_t)more : 0;
        idle = more > 0 ? 0 : idle + 1;
        turn_some(stage.worker->loop);
    }
    assert_true(sent < BYTES);                              /* the kernel's buffers are full */
    assert_in_range(stream->written.length, 90000, 166000); /* the room, and a turn's reading */
    memory_free(block);
    close(origin.fd);
    stage_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_goes_to_an_origin_and_its_connection_is_kept),
        cmocka_unit_test(an_edge_that_hears_them_is_told_the_times),
        cmocka_unit_test(a_site_may_name_the_host_that_its_origin_gets),
        cmocka_unit_test(only_what_the_allow_list_names_reaches_an_origin),
        cmocka_unit_test(a_message_without_a_whole_head_is_refused),
        cmocka_unit_test(a_head_that_does_not_come_is_not_waited_for),
        cmocka_unit_test(L3_an_origin_that_refuses_is_passed_over_for_any_method),
        cmocka_unit_test(L3_without_any_origin_it_is_unreachable),
        cmocka_unit_test(L3_a_request_waits_until_an_origin_has_a_slot),
        cmocka_unit_test(L10_a_request_that_waits_follows_the_ring_of_its_stream),
        cmocka_unit_test(L3_a_request_that_waited_long_enough_is_told_when_to_come_again),
        cmocka_unit_test(L3_a_request_whose_edge_leaves_leaves_the_queue),
        cmocka_unit_test(L3_a_dead_kept_connection_costs_an_idempotent_request_nothing),
        cmocka_unit_test(L3_what_may_have_been_done_is_not_done_again),
        cmocka_unit_test(L3_an_answer_that_ends_early_is_a_bad_one),
        cmocka_unit_test(an_origin_that_dies_without_an_answer_is_left_for_another),
        cmocka_unit_test(L3_retries_end),
        cmocka_unit_test(an_origin_that_is_silent_too_long_is_a_timeout),
        cmocka_unit_test(what_keeps_a_connection_and_what_ends_it),
        cmocka_unit_test(an_answer_without_a_length_ends_with_its_connection),
        cmocka_unit_test(an_edge_that_gives_up_frees_the_origin),
        cmocka_unit_test(a_stream_without_room_stops_the_origin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
